//! The application and the front half of the client: slots with batches, fetched data, operations.

use klamm_core::client::{Command, Event, Stamp};
use klamm_core::codec::{Codec, Decompressor};
use klamm_core::consumer::{Freed, Progress};
use klamm_core::producer::{Batch, Collect, Left, Take, Taken};
use klamm_core::record::{BodyBuf, ChunkCursor, IsolationLevel, ReadLimits};
use klamm_core::{BatchNo, Client, ConsumerIx, FrameIx, Now, OpId, PartitionIx, ProducerIx, Time, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The numbers of batches that came of a split begin here.
const CHILDREN: u64 = 1 << 63;

/// What waits in the slot of one partition.
#[derive(Debug, Default)]
struct Slot {
    next: u64,
    packed: VecDeque<Batch>,
    /// Records of the open batch, and since when it is open.
    open: Option<(u32, Time)>,
}

/// A fetch answer that the application has not let go of.
#[derive(Debug)]
struct Frame {
    consumer: ConsumerIx,
    frame: FrameIx,
    bytes: Vec<u8>,
    chunks: Vec<(PartitionIx, u64)>,
}

/// What the application knows of a partition that it reads.
#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    stamp: Stamp,
    offset: i64,
    leader_epoch: i32,
}

/// All that the application holds.
#[derive(Debug, Default)]
pub(super) struct Front {
    ops: u64,
    open: BTreeSet<OpId>,
    seeks: u32,
    /// When every role that was told to close must have closed.
    pub(super) closed_at: Time,
    /// Producers and consumers that were ever opened: a number is used once.
    opened: BTreeSet<(bool, u32)>,
    producers: BTreeSet<ProducerIx>,
    consumers: BTreeSet<ConsumerIx>,
    slots: BTreeMap<(ProducerIx, PartitionIx), Slot>,
    /// Batches that the core has, each to be decided once.
    out: BTreeSet<(ProducerIx, PartitionIx, BatchNo)>,
    frames: VecDeque<Frame>,
    cursors: BTreeMap<ConsumerIx, BTreeMap<PartitionIx, Cursor>>,
    /// Assignments and revocations to answer.
    pub(super) assigned: VecDeque<(ConsumerIx, u64)>,
    pub(super) revoked: VecDeque<(ConsumerIx, u64, PartitionIx)>,
}

impl Front {
    /// Takes note of a command, and names it.
    pub(super) fn ask(&mut self, command: &Command) -> OpId {
        self.ops += 1;
        let op = OpId(self.ops);
        match command {
            Command::OpenProducer(ix, ..) => drop(self.producers.insert(*ix)),
            Command::OpenConsumer(ix, _) => drop(self.consumers.insert(*ix)),
            Command::Topic(..)
            | Command::Applied(..)
            | Command::Released(..)
            | Command::Seek(..)
            | Command::Pause(..) => {}
            Command::CloseProducer(ix, deadline) => {
                self.producers.remove(ix);
                self.closed_at = self.closed_at.max(*deadline);
                self.open.insert(op);
            }
            Command::CloseConsumer(ix, _, deadline) => {
                self.consumers.remove(ix);
                self.closed_at = self.closed_at.max(*deadline);
                self.open.insert(op);
            }
            _ => drop(self.open.insert(op)),
        }
        op
    }

    /// Whether a producer (or consumer) of this number was never opened before.
    pub(super) fn first(&mut self, ix: u32, producer: bool) -> bool {
        self.opened.insert((producer, ix))
    }

    pub(super) fn last_op(&self) -> OpId {
        OpId(self.ops)
    }

    /// The number of the next seek.
    pub(super) fn seek(&mut self) -> u32 {
        self.seeks += 1;
        self.seeks
    }

    pub(super) fn open_ops(&self) -> Vec<OpId> {
        self.open.iter().copied().collect()
    }

    pub(super) fn open_producers(&self) -> Vec<ProducerIx> {
        self.producers.iter().copied().collect()
    }

    pub(super) fn open_consumers(&self) -> Vec<ConsumerIx> {
        self.consumers.iter().copied().collect()
    }

    pub(super) fn slots(&self) -> Vec<(ProducerIx, PartitionIx)> {
        self.slots.keys().copied().collect()
    }

    pub(super) fn undecided(&self) -> &BTreeSet<(ProducerIx, PartitionIx, BatchNo)> {
        &self.out
    }

    /// Records enter a slot: sealed at once, or into its open batch.
    pub(super) fn append(&mut self, now: Now, at: (ProducerIx, PartitionIx), records: u32, seal: bool) -> Option<Left> {
        let slot = self.slots.get_mut(&at)?;
        let (count, since) = slot.open.take().unwrap_or((0, now.mono));
        slot.open = Some((count.saturating_add(records.max(1)), since));
        if seal {
            slot.seal(now);
        }
        Some(slot.left(false))
    }

    /// The level of a slot.
    pub(super) fn level(&self, at: (ProducerIx, PartitionIx), urgent: bool) -> Option<Left> {
        Some(self.slots.get(&at)?.left(urgent))
    }

    pub(super) fn collect(&mut self, now: Now, collect: &Collect) -> Vec<Taken> {
        let mut all = Vec::new();
        let mut room = collect.max_bytes;
        for partition in &collect.from {
            let Some(slot) = self.slots.get_mut(&(collect.producer, *partition)) else {
                all.push(Taken { partition: *partition, batch: None, left: Left::default() });
                continue;
            };
            if collect.take == Take::Send && room == 0 {
                all.push(Taken { partition: *partition, batch: None, left: slot.left(false) });
                continue;
            }
            loop {
                let batch = slot.take(now, collect.take);
                let last = batch.is_none() || collect.take == Take::Send;
                if let Some(batch) = &batch {
                    room = room.saturating_sub(batch.body.len());
                    let fresh = self.out.insert((collect.producer, *partition, batch.no));
                    assert!(fresh, "the harness gave a batch twice");
                }
                all.push(Taken { partition: *partition, batch, left: slot.left(false) });
                if last {
                    break;
                }
            }
        }
        all
    }

    pub(super) fn progress(&self, now: Now, consumer: ConsumerIx) -> Progress {
        let cursors = self.cursors.get(&consumer);
        let done: Vec<_> = cursors
            .into_iter()
            .flatten()
            .map(|(partition, c)| (*partition, c.stamp, c.offset, c.leader_epoch))
            .collect();
        Progress { polling: true, last_return: now.mono, delivered: done.clone(), done }
    }

    pub(super) fn event(&mut self, event: Event) {
        match event {
            Event::Done { op, result } => {
                assert!(self.open.remove(&op), "{op} was answered before, or nobody asked: {result:?}");
                check(result.err().as_ref());
            }
            Event::Topic { producer, shape, .. } => {
                check(shape.as_ref().err());
                for partition in shape.into_iter().flat_map(|shape| shape.partitions) {
                    self.slots.entry((producer, partition.ix)).or_default();
                }
            }
            Event::Delivered { producer, partition, batch, .. } => self.decide((producer, partition, batch)),
            Event::Failed { producer, partition, batch, error, .. } => {
                check(Some(&error));
                self.decide((producer, partition, batch));
            }
            Event::Split { producer, partition, batch, into } => {
                assert!(!into.is_empty(), "a batch was split into nothing");
                self.decide((producer, partition, batch));
                for part in into {
                    assert!(part.no.0 >= CHILDREN, "a child in the numbers of the front");
                    assert!(self.out.insert((producer, partition, part.no)), "a number was given twice");
                }
            }
            Event::Assigned { consumer, token, partitions, .. } => {
                self.assigned.push_back((consumer, token));
                let stamps = partitions.into_iter().map(|(_, ix, stamp)| (ix, Cursor { stamp, ..Cursor::default() }));
                self.cursors.insert(consumer, stamps.collect());
            }
            Event::Revoking { consumer, token, partitions, .. } => {
                self.revoked.extend(partitions.into_iter().map(|partition| (consumer, token, partition)));
            }
            Event::Lost { consumer, partitions, why } => {
                check(why.as_ref());
                let cursors = self.cursors.entry(consumer).or_default();
                cursors.retain(|partition, _| !partitions.contains(partition));
            }
            Event::Positioned { consumer, partition, stamp, offset, leader_epoch } => {
                assert!(offset >= 0, "a position below 0");
                self.cursors.entry(consumer).or_default().insert(partition, Cursor { stamp, offset, leader_epoch });
            }
            Event::Fetched { consumer, frame, bytes, chunks } => self.fetched(consumer, frame, bytes, &chunks),
            Event::ConsumerFailed { error, .. } => check(Some(&error)),
            Event::AutoCommitted { result, .. } => check(result.err().as_ref()),
            // Of no consequence for a front; no pattern is subscribed here.
            Event::Note(_) | Event::Chosen { .. } => {}
            other => panic!("an event that nobody knows: {other:?}"),
        }
    }

    fn decide(&mut self, batch: (ProducerIx, PartitionIx, BatchNo)) {
        assert!(self.out.remove(&batch), "{batch:?} was decided before, or never handed over");
    }

    fn fetched(&mut self, consumer: ConsumerIx, frame: FrameIx, bytes: Vec<u8>, chunks: &[klamm_core::client::Chunk]) {
        for chunk in chunks {
            check(chunk.problem.as_ref());
            assert!(chunk.next >= chunk.asked);
            let part = bytes.get(chunk.bytes.clone()).expect("a chunk lies in its frame");
            let isolation = IsolationLevel::ReadCommitted;
            let limits = ReadLimits { isolation, check_crcs: true, max_plain: 1 << 20 };
            let mut cursor = ChunkCursor::new(chunk.asked, chunk.aborted.clone(), limits);
            let (mut decompressor, mut plain) = (Decompressor::default(), Vec::new());
            while let Some(Ok(batch)) = cursor.next_batch(part, &mut decompressor, &mut plain) {
                assert!(batch.next_offset <= chunk.next, "records behind the end of their chunk");
            }
            if let Some(known) = self.cursors.get_mut(&consumer).and_then(|c| c.get_mut(&chunk.partition)) {
                if known.stamp == chunk.stamp {
                    known.offset = chunk.next;
                }
            }
        }
        let chunks = chunks.iter().map(|c| (c.partition, c.bytes.len() as u64)).collect();
        assert!(
            !self.frames.iter().any(|f| (f.consumer, f.frame) == (consumer, frame)),
            "a frame's name was used twice"
        );
        self.frames.push_back(Frame { consumer, frame, bytes, chunks });
    }

    /// Lets go of the oldest fetched data.
    pub(super) fn free(&mut self, now: Now, client: &mut Client) -> bool {
        let Some(frame) = self.frames.pop_front() else { return false };
        let mut freed: Vec<_> = frame.chunks.iter().map(|(partition, n)| Freed::Chunk(*partition, *n)).collect();
        freed.push(Freed::Frame(frame.frame, frame.bytes));
        client.handle_credits(now, frame.consumer, &mut freed);
        assert!(freed.is_empty());
        true
    }

    pub(super) fn let_go(&mut self, now: Now, client: &mut Client) {
        while self.free(now, client) {}
    }
}

/// An error says something.
fn check(error: Option<&klamm_core::Error>) {
    assert!(error.is_none_or(|e| !e.to_string().is_empty()), "an error without words");
}

impl Slot {
    fn seal(&mut self, now: Now) {
        let Some((records, since)) = self.open.take() else { return };
        let mut body = BodyBuf::with_limit(64 << 10);
        for n in 0..records.min(200) {
            body.append(now.wall.as_millis() + i64::from(n), None, Some(&[7; 20]), &[]).expect("there is room");
        }
        let facts = body.facts();
        let batch = Batch {
            no: BatchNo(self.next),
            plain_bytes: body.len() as u32,
            count: body.count(),
            base_timestamp: Timestamp(facts.base_timestamp),
            max_timestamp: Timestamp(facts.max_timestamp),
            crc: facts.crc,
            codec: Codec::None,
            body: body.plain().to_vec().into(),
            entered: since,
            generation: 0,
        };
        self.next += 1;
        self.packed.push_back(batch);
    }

    fn take(&mut self, now: Now, take: Take) -> Option<Batch> {
        let before = match take {
            Take::Send => Time::MAX,
            Take::Expire { entered_before } => entered_before,
        };
        if self.packed.is_empty() && self.open.is_some_and(|(_, since)| since < before) {
            self.seal(now);
        }
        self.packed.front().filter(|batch| batch.entered < before)?;
        self.packed.pop_front()
    }

    fn left(&self, urgent: bool) -> Left {
        let packed: usize = self.packed.iter().map(|batch| batch.body.len()).sum();
        let open = self.open.map_or(0, |(records, _)| u64::from(records) * 28);
        let entered = self.packed.front().map(|batch| batch.entered);
        Left {
            packed: self.packed.len() as u32,
            packing: 0,
            parked: 0,
            bytes: packed as u64 + open,
            line: 0,
            open_since: self.open.map(|(_, since)| since),
            oldest_entry: entered.or(self.open.map(|(_, since)| since)),
            urgent,
        }
    }
}
