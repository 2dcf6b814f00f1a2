//! Watches the wire and the events: what holds at every step (contracts section 3, items 1 to 3).

use super::super::sequence::first;
use super::broker::{Rec, Seen};
use crate::client::Event;
use crate::{BatchNo, BrokerId, PartitionIx};
use std::collections::{BTreeMap, BTreeSet};

type Window = (PartitionIx, i64, i16);

/// What became of a batch.
#[derive(Clone, Debug)]
pub(super) enum End {
    Acked(Option<i64>),
    Failed { possibly: bool, text: String },
}

#[derive(Debug, Default)]
pub(super) struct Monitor {
    pub(super) idempotent: bool,
    pub(super) most: usize,
    /// Per window: base sequence to count, body and first record; and the number that comes next.
    sent: BTreeMap<Window, BTreeMap<i32, (usize, u32, Rec)>>,
    next: BTreeMap<Window, (i32, Option<Rec>)>,
    /// Numbers that parts of a split batch inherited.
    inherited: BTreeMap<Window, BTreeSet<i32>>,
    /// Windows in which a batch ended otherwise than written: nothing may follow it (rule 11).
    closed: BTreeSet<Window>,
    in_flight: BTreeMap<PartitionIx, Vec<BrokerId>>,
    /// Batches that the producer took over and that have no outcome: which records they hold.
    pub(super) open: BTreeMap<(PartitionIx, BatchNo), Vec<Rec>>,
    pub(super) ends: BTreeMap<(PartitionIx, Rec), End>,
}

impl Monitor {
    pub(super) fn new(idempotent: bool, most: usize) -> Self {
        Self { idempotent, most, ..Self::default() }
    }

    pub(super) fn taken(&mut self, partition: PartitionIx, no: BatchNo, count: u32) {
        let records = (0..count).map(|i| (no.0, i)).collect();
        assert!(self.open.insert((partition, no), records).is_none());
    }

    /// A batch leaves in a request.
    pub(super) fn sent(&mut self, partition: PartitionIx, broker: BrokerId, seen: &Seen, silent: bool) {
        if !silent {
            let under_way = self.in_flight.entry(partition).or_default();
            assert!(under_way.iter().all(|b| *b == broker), "{partition}: unresolved on two brokers");
            under_way.push(broker);
            assert!(under_way.len() <= self.most, "{partition}: {} in flight", under_way.len());
        }
        if !self.idempotent {
            assert_eq!((seen.id, seen.epoch, seen.base), (-1, -1, -1));
            return;
        }
        assert!(seen.id >= 0 && seen.epoch >= 0 && seen.base >= 0, "a stamp that is none: {seen:?}");
        let window = (partition, seen.id, seen.epoch);
        assert!(!self.closed.contains(&window), "{window:?}: goes on after a failure");
        let this = (seen.records.len(), seen.crc, seen.records[0]);
        let sent = self.sent.entry(window).or_default();
        // What a broker would have to remember to recognise the oldest batch without outcome after this one.
        let oldest =
            sent.values().map(|(.., first)| *first).filter(|rec| !self.ends.contains_key(&(partition, *rec))).min();
        let span = oldest.map_or(0, |oldest| sent.values().filter(|v| (oldest..this.2).contains(&v.2)).count());
        assert!(span < 5, "{window:?}: {span} batches between one without outcome and this");
        if let Some(before) = sent.get(&seen.base) {
            assert_eq!(*before, this, "{window:?} {}: one number, two bodies", seen.base);
            return;
        }
        sent.insert(seen.base, this);
        if self.inherited.entry(window).or_default().remove(&seen.base) {
            return;
        }
        let (next, last) = self.next.entry(window).or_insert((first(seen.id), None));
        assert_eq!(seen.base, *next, "{window:?}: numbers leave a gap or are used again");
        assert!(last.is_none_or(|last| last < this.2), "{window:?}: first sent out of order");
        *next = ((i64::from(seen.last()) + 1) % (1 << 31)) as i32;
        *last = Some(this.2);
    }

    pub(super) fn returned(&mut self, partition: PartitionIx) {
        if let Some(under_way) = self.in_flight.get_mut(&partition) {
            under_way.pop();
        }
    }

    /// Batches whose outcome is out although they are still on the wire count on.
    pub(super) fn event(&mut self, event: &Event) {
        match event {
            Event::Delivered { partition, batch, base_offset, .. } => {
                for (i, rec) in self.close(*partition, *batch).into_iter().enumerate() {
                    self.end(*partition, rec, End::Acked(base_offset.map(|base| base + i as i64)));
                }
            }
            Event::Failed { partition, batch, error, .. } => {
                let (possibly, text) = (error.possibly_written(), error.to_string());
                let records = self.close(*partition, *batch);
                let of = |(window, sent): (&Window, &BTreeMap<i32, (usize, u32, Rec)>)| {
                    let holds = window.0 == *partition && sent.values().any(|(.., first)| *first == records[0]);
                    holds.then_some(*window)
                };
                self.closed.extend(self.sent.iter().filter_map(of));
                for rec in records {
                    self.end(*partition, rec, End::Failed { possibly, text: text.clone() });
                }
            }
            Event::Split { partition, batch, into, .. } => {
                let records = self.close(*partition, *batch);
                let mut at = 0;
                for part in into {
                    assert_eq!(part.first as usize, at);
                    at += part.count as usize;
                    let range = part.first as usize..at;
                    let before = self.open.insert((*partition, part.no), records[range].to_vec());
                    assert!(before.is_none(), "a number given twice");
                }
                assert_eq!(at, records.len());
                self.inherit(*partition, &records, into.iter().map(|part| part.first));
            }
            _ => {}
        }
    }

    fn inherit(&mut self, partition: PartitionIx, records: &[Rec], firsts: impl Iterator<Item = u32>) {
        let firsts: Vec<u32> = firsts.collect();
        for (window, sent) in self.sent.iter_mut().filter(|(window, _)| window.0 == partition) {
            let whole = |(count, _, first): &(usize, u32, Rec)| (*count, *first) == (records.len(), records[0]);
            let bases: Vec<i32> = sent.iter().filter(|(_, v)| whole(v)).map(|(base, _)| *base).collect();
            for base in bases {
                sent.remove(&base);
                let inherited = self.inherited.entry(*window).or_default();
                inherited.extend(firsts.iter().map(|f| ((i64::from(base) + i64::from(*f)) % (1 << 31)) as i32));
            }
        }
    }

    fn close(&mut self, partition: PartitionIx, batch: BatchNo) -> Vec<Rec> {
        self.open.remove(&(partition, batch)).unwrap_or_else(|| panic!("{partition} {batch}: an outcome for nothing"))
    }

    fn end(&mut self, partition: PartitionIx, rec: Rec, end: End) {
        let before = self.ends.insert((partition, rec), end);
        assert!(before.is_none(), "{partition} {rec:?}: resolved twice");
    }
}
