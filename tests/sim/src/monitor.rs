//! What producers put on the wire, watched from the clients' ends: sequence numbers without gaps, no number with two bodies, at
//! most five batches of a partition under way, to one broker, under one epoch (contracts section 3, item 2).

use crate::flight::Flights;
use klamm_core::codec::Codec;
use klamm_core::record::BatchHeader;
use klamm_core::wire::frame::decode_request_header;
use klamm_core::wire::messages::ProduceRequest;
use klamm_core::wire::{ApiKey, Message, Reader};
use std::collections::BTreeMap;

/// Producer id, epoch, topic (name or id), partition.
type Window = (i64, i16, String, i32);

/// One sent batch: records, checksum.
type Sent = (i32, u32, Option<Codec>);

#[derive(Debug, Default)]
pub(crate) struct Monitor {
    pub(crate) flights: Flights,
    sent: BTreeMap<Window, BTreeMap<i32, Sent>>,
    /// The number behind the highest of a window.
    next: BTreeMap<Window, i64>,
    wrong: Vec<String>,
    batches: u64,
}

impl Monitor {
    /// A client wrote bytes to a connection.
    pub(crate) fn wrote(&mut self, wire: u64, bytes: &[u8]) {
        for frame in self.flights.wrote(wire, bytes) {
            self.request(wire, &frame);
        }
    }

    fn request(&mut self, wire: u64, frame: &[u8]) {
        let mut reader = Reader::new(frame);
        let Ok(header) = decode_request_header(&mut reader) else { return };
        if header.key != ApiKey::PRODUCE {
            return;
        }
        let Ok(request) = ProduceRequest::decode(&mut reader, header.version) else {
            return self.wrong.push("a Produce request that cannot be read".into());
        };
        let (answered, mut batches) = (request.acks != 0, Vec::new());
        for topic in request.topic_data {
            let name = if topic.name.is_empty() { format!("{:?}", topic.topic_id) } else { topic.name };
            for part in topic.partition_data {
                let records = part.records.unwrap_or_default();
                match BatchHeader::parse(&records) {
                    Ok(batch) => {
                        self.batch(&name, part.index, &batch);
                        if batch.stamp.producer_id >= 0 && answered {
                            batches.push(((batch.stamp.producer_id, name.clone(), part.index), batch.stamp.epoch));
                        }
                    }
                    Err(error) => self.wrong.push(format!("{name}-{}: {error:?}", part.index)),
                }
            }
        }
        if answered {
            self.wrong.extend(self.flights.send(wire, header.correlation, batches));
        }
    }

    fn batch(&mut self, topic: &str, partition: i32, batch: &BatchHeader) {
        self.batches += 1;
        let stamp = batch.stamp;
        if stamp.producer_id < 0 {
            return;
        }
        if stamp.epoch < 0 || stamp.base_sequence < 0 {
            self.wrong.push(format!("{topic}-{partition}: a stamp that there is none of: {stamp:?}"));
        }
        let window = (stamp.producer_id, stamp.epoch, topic.to_owned(), partition);
        let sent = self.sent.entry(window.clone()).or_default();
        let one = (batch.count, batch.crc, batch.attributes.codec().ok());
        let next = self.next.entry(window.clone()).or_insert(0);
        if i64::from(stamp.base_sequence) > *next {
            let text = format!("{window:?}: a gap, number {} where {next} was next", stamp.base_sequence);
            self.wrong.push(text);
        }
        *next = (*next).max(i64::from(stamp.base_sequence) + i64::from(batch.count));
        match sent.get(&stamp.base_sequence) {
            // A batch that was too large is split: its first half has its number.
            Some(before) if one.0 < before.0 => {
                sent.insert(stamp.base_sequence, one);
            }
            // Its codec was refused: the same records by another. What the log says of them is judged elsewhere.
            Some(before) if one.0 == before.0 && one.2 != before.2 => {
                sent.insert(stamp.base_sequence, one);
            }
            Some(before) if *before != one => {
                let text = format!("{window:?}: number {} has two bodies: {before:?}, {one:?}", stamp.base_sequence);
                self.wrong.push(text);
            }
            Some(_) => {}
            None => {
                sent.insert(stamp.base_sequence, one);
            }
        }
    }

    /// # Panics
    /// If something was wrong.
    pub(crate) fn judge(&self) {
        let mut wrong = self.wrong.clone();
        for (window, sent) in &self.sent {
            let mut next = 0;
            for (base, (count, ..)) in sent {
                if *base < next {
                    wrong.push(format!("{window:?}: number {base} again, {next} was next"));
                }
                next = base.saturating_add(*count);
            }
        }
        assert!(wrong.is_empty(), "on the wire, after {} batches: {wrong:#?}", self.batches);
    }
}
