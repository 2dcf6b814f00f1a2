//! A consumer without a driver: the test tells it events and looks at what it asks.

use super::Consumer;
use crate::Config;
use crate::front::Front;
use crate::front::clock::FrontClock;
use crate::front::shelf::Shelf;
use crate::kafka::Handle;
use klamm_core::client::{Chunk, Command, Event, GroupMeta, Stamp, TopicPartition};
use klamm_core::codec::{Codec, Compression};
use klamm_core::config::builder::ConsumerConfig;
use klamm_core::consumer::{Freed, Progress};
use klamm_core::driver::Clock;
use klamm_core::record::{BodyBuf, Stamp as ProducerStamp};
use klamm_core::{FrameIx, Now, PartitionIx, Time, Timestamp};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

pub(super) const SOON: Duration = Duration::from_secs(1);

pub(super) struct Rig {
    pub(super) time: Arc<AtomicU64>,
    pub(super) shelf: Arc<Shelf>,
    pub(super) consumer: Consumer,
    frames: u32,
}

/// One batch of `count` records from `base` on, each with its offset as value.
pub(super) fn batch(base: i64, count: i64, codec: Codec) -> Vec<u8> {
    let mut body = BodyBuf::with_limit(1 << 20);
    for offset in base..base + count {
        body.append(1_000 + offset, Some(b"k"), Some(offset.to_string().as_bytes()), &[]).unwrap();
    }
    let (facts, body) = if codec == Codec::None {
        (body.facts(), body.plain().to_vec())
    } else {
        let mut packed = Vec::new();
        let len = Compression::new(codec, None).unwrap().compress(body.plain(), &mut packed).unwrap();
        packed.truncate(len);
        (body.facts_as(codec, &packed), packed)
    };
    let mut bytes = facts.header(ProducerStamp::NONE, false).to_vec();
    bytes[..8].copy_from_slice(&base.to_be_bytes());
    bytes.extend(body);
    bytes
}

/// The chunk of a partition: its batches, where it was asked from, and where it ends.
pub(super) struct Part {
    pub(super) partition: u32,
    pub(super) stamp: Stamp,
    pub(super) bytes: Vec<u8>,
    pub(super) asked: i64,
    pub(super) next: i64,
    pub(super) problem: Option<crate::Error>,
}

pub(super) fn part(partition: u32, base: i64, counts: &[i64], codec: Codec) -> Part {
    let (mut bytes, mut next) = (Vec::new(), base);
    for count in counts {
        bytes.extend(batch(next, *count, codec));
        next += count;
    }
    Part { partition, stamp: Stamp { assign: 1, seek: 0 }, bytes, asked: base, next, problem: None }
}

impl Rig {
    pub(super) fn new(config: ConsumerConfig) -> Self {
        let time = Arc::new(AtomicU64::new(1_000_000_000));
        let read = time.clone();
        let clock = Clock::new(move || Now { mono: Time(read.load(Ordering::Relaxed)), wall: Timestamp(0) });
        let front = Arc::new(Front::new(FrontClock::new(clock, false), 7));
        let given = Config::new("localhost:1");
        let client = Arc::new(given.builder().resolve().unwrap());
        let config = Arc::new(given.builder().resolve_consumer(&config).unwrap());
        let shelf = Shelf::new(front.consumer_ix(), config, front.clone()).unwrap();
        let handle = Arc::new(Handle::new(front, client, given));
        Self { time, consumer: Consumer::new(shelf.clone(), handle), shelf, frames: 0 }
    }

    /// One with partitions of `t` assigned by hand, each at offset 0.
    pub(super) fn assigned(max: usize, partitions: u32) -> Self {
        let rig = Self::new(ConsumerConfig::standalone().set("max.poll.records", max));
        rig.consumer.assign((0..partitions).map(|n| ("t", n as i32))).unwrap();
        rig.assign(1, partitions);
        rig.commands();
        rig
    }

    /// A member of a group with these partitions of `t`, each at offset 0.
    pub(super) fn member(config: ConsumerConfig, partitions: u32) -> Self {
        let mut rig = Self::new(config.with_group("g"));
        rig.consumer.subscribe(["t"]).unwrap();
        assert!(rig.poll().is_none());
        rig.assign(1, partitions);
        rig
    }

    pub(super) fn assign(&self, token: u64, partitions: u32) {
        let stamp = Stamp { assign: 1, seek: 0 };
        let one = |n: u32| (TopicPartition::from(("t", n as i32)), PartitionIx(n), stamp);
        let group = GroupMeta { group: "g".into(), generation: 1, member: "m".into(), instance: None };
        let all = (0..partitions).map(one).collect();
        self.shelf.handle(Event::Assigned { consumer: self.shelf.ix, token, partitions: all, group });
        (0..partitions).for_each(|n| self.positioned(n, stamp, 0));
    }

    pub(super) fn positioned(&self, partition: u32, stamp: Stamp, offset: i64) {
        let (consumer, partition) = (self.shelf.ix, PartitionIx(partition));
        self.shelf.handle(Event::Positioned { consumer, partition, stamp, offset, leader_epoch: -1 });
    }

    pub(super) fn revoke(&self, partitions: &[u32]) {
        let partitions = partitions.iter().map(|n| PartitionIx(*n)).collect();
        let deadline = Time(u64::MAX);
        self.shelf.handle(Event::Revoking { consumer: self.shelf.ix, token: 9, partitions, deadline });
    }

    pub(super) fn lose(&self, partitions: &[u32], why: Option<crate::Error>) {
        let partitions = partitions.iter().map(|n| PartitionIx(*n)).collect();
        self.shelf.handle(Event::Lost { consumer: self.shelf.ix, partitions, why });
    }

    /// One fetch response.
    pub(super) fn fetched(&mut self, parts: Vec<Part>) {
        let (mut bytes, mut chunks) = (vec![0; 10], Vec::new());
        for part in parts {
            let start = bytes.len();
            bytes.extend(&part.bytes);
            chunks.push(Chunk {
                partition: PartitionIx(part.partition),
                stamp: part.stamp,
                asked: part.asked,
                next: part.next,
                bytes: start..bytes.len(),
                leader_epoch: 3,
                aborted: Vec::new(),
                high_watermark: part.next + 5,
                last_stable: part.next,
                log_start: 0,
                problem: part.problem,
            });
        }
        let frame = FrameIx(self.frames);
        self.frames += 1;
        self.shelf.handle(Event::Fetched { consumer: self.shelf.ix, frame, bytes, chunks });
    }

    pub(super) fn advance(&self, by: Duration) {
        self.time.fetch_add(by.as_nanos() as u64, Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> Now {
        self.shelf.front.clock.now()
    }

    /// What the consumer asked of the core since the last time.
    pub(super) fn commands(&self) -> Vec<Command> {
        let mut all = Vec::new();
        self.shelf.take_outgoing(&mut all);
        let answered = |one: crate::front::shelf::Outgoing| {
            if let Some(setter) = one.setter {
                setter.set(Ok(klamm_core::client::Reply::Unit));
            }
            one.command
        };
        all.into_iter().map(answered).collect()
    }

    /// What came home since the last time: bytes of chunks by partition, and frames.
    pub(super) fn freed(&self) -> (u64, Vec<u32>) {
        let mut all = Vec::new();
        self.shelf.take_freed(&mut all);
        let (mut bytes, mut frames) = (0, Vec::new());
        for freed in all {
            match freed {
                Freed::Chunk(_, n) => bytes += n,
                Freed::Frame(frame, _) => frames.push(frame.0),
            }
        }
        (bytes, frames)
    }

    pub(super) fn progress(&self) -> Progress {
        self.shelf.progress()
    }

    /// The cursors of a partition: delivered, done.
    pub(super) fn cursors(&self, partition: u32) -> (Option<i64>, Option<i64>) {
        let progress = self.progress();
        let of = |all: &[(PartitionIx, Stamp, i64, i32)]| {
            all.iter().find(|one| one.0 == PartitionIx(partition)).map(|one| one.2)
        };
        (of(&progress.delivered), of(&progress.done))
    }

    /// One poll that does not wait; `None` if it would.
    pub(super) fn poll(&mut self) -> Option<crate::Result<Option<super::Batch>>> {
        once(self.consumer.poll(SOON))
    }

    pub(super) fn offsets(&mut self) -> Vec<(i32, i64)> {
        match self.poll() {
            Some(Ok(Some(batch))) => batch.iter().map(|record| (record.partition(), record.offset())).collect(),
            other => panic!("{other:?}"),
        }
    }
}

pub(super) fn once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
