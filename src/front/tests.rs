//! The front without a driver: the test takes batches and resolves them.

use super::ack::Wakers;
use super::append::{At, Refusal, Sent, place};
use super::budget::Grant;
use super::clock::FrontClock;
use super::line::{Parts, Placed};
use super::pack::Packing;
use super::producer::{ProducerFront, Settings};
use super::slot::{Slot, wake};
use super::sync::atomic::AtomicU64;
use super::topics::TopicSlot;
use super::*;
use crate::delivery::Delivery;
use crate::partitioning::Choice;
use klamm_core::client::{Command, PartitionShape, TopicShape};
use klamm_core::codec::{Codec, Compression, Decompressor};
use klamm_core::config::ProducerConfig;
use klamm_core::driver::Clock;
use klamm_core::producer::Batch;
use klamm_core::record::{BodyFacts, ChunkCursor, IsolationLevel, ReadLimits};
use klamm_core::{BrokerId, Now, PartitionIx, Time, Timestamp, TopicIx};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

struct Rig {
    time: Arc<AtomicU64>,
    producer: ProducerFront,
    topic: Arc<TopicSlot>,
}

fn rig(change: impl FnOnce(&mut Settings)) -> Rig {
    let time = Arc::new(AtomicU64::new(1_000_000));
    let read = time.clone();
    let clock = Clock::new(move || {
        let ns = read.load(Ordering::Relaxed);
        Now { mono: Time(ns), wall: Timestamp(i64::try_from(ns / 1_000_000).unwrap()) }
    });
    let front = Arc::new(Front::new(FrontClock::new(clock, false), 7));
    let config = Arc::new(ProducerConfig::default());
    let mut settings = Settings::new(&config, Choice::Builtin);
    change(&mut settings);
    let producer = ProducerFront::new(front, config, settings, None);
    let topic = producer.topic("t");
    Rig { time, producer, topic }
}

impl Rig {
    fn publish(&self, partitions: u32) {
        let partitions = (0..partitions)
            .map(|n| PartitionShape { ix: PartitionIx(n), leader: Some(BrokerId(1)), near: false })
            .collect();
        let shape = TopicShape { topic: TopicIx(0), incarnation: 0, partitions };
        let mut wakers = Wakers::new();
        self.topic.publish(&shape, &mut wakers);
        self.serve();
        wake(wakers);
    }

    fn slot(&self, number: u32) -> Arc<Slot> {
        self.topic.slot(number).unwrap().clone()
    }

    fn now(&self) -> Now {
        self.producer.shared.front.clock.now()
    }

    fn serve(&self) {
        let mut wakers = Wakers::new();
        let budget = &self.producer.shared.budget;
        while budget.is_open() {
            let Some(slot) = budget.first() else { break };
            let mut packed = 0;
            let done = slot.serve(self.now(), &mut wakers, &mut |sealed| {
                packed += 1;
                sealed.pack();
            });
            match (done, packed) {
                (true, _) => budget.pass(false),
                (false, 0) => break,
                _ => {}
            }
        }
        wake(wakers);
    }

    fn send(&self, value: &[u8]) -> Delivery {
        self.send_to(0, value)
    }

    fn send_to(&self, partition: i32, value: &[u8]) -> Delivery {
        let parts = Parts { partition: Some(partition), timestamp: None, key: None, value: Some(value), headers: &[] };
        crate::producer::deliver(&self.topic, self.topic.send(&parts, true, place))
    }

    fn try_send(&self, value: &[u8]) -> Result<Sent<Placed>, Refusal> {
        let parts = Parts { partition: Some(0), timestamp: None, key: None, value: Some(value), headers: &[] };
        self.topic.send(&parts, false, place)
    }

    /// Takes a batch as the core would under pressure.
    fn take(&self, number: u32) -> Option<Batch> {
        let slot = self.slot(number);
        let mut wakers = Wakers::new();
        let found = match slot.take(self.now().mono, true, &mut wakers).0 {
            Some(Packing::ToDo(sealed)) => {
                sealed.pack();
                slot.take_packed(&mut wakers).0
            }
            found => found,
        };
        wake(wakers);
        match found? {
            Packing::Done(batch) => Some(batch),
            Packing::ToDo(_) => None,
        }
    }

    fn deliver(&self, number: u32, batch: &Batch, base: i64) {
        let mut wakers = Wakers::new();
        if let Some(setter) = self.slot(number).resolve(batch.no) {
            setter.deliver(Some(base), None, &mut wakers);
        }
        wake(wakers);
    }

    fn fail(&self, number: u32, batch: &Batch) {
        let mut wakers = Wakers::new();
        if let Some(setter) = self.slot(number).resolve(batch.no) {
            setter.fail(Error::new(ErrorKind::NotDelivered, "refused"), Vec::new(), &mut wakers);
        }
        wake(wakers);
    }

    /// Sends everything to the broker that acknowledges all; gives the values in their order there.
    fn drain(&self, number: u32) -> Vec<Vec<u8>> {
        let mut values = Vec::new();
        loop {
            self.serve();
            let Some(batch) = self.take(number) else { return values };
            let base = i64::try_from(values.len()).unwrap();
            values.extend(read(&batch));
            self.deliver(number, &batch, base);
        }
    }
}

/// The values in a batch, read by the consumer's decoder.
fn read(batch: &Batch) -> Vec<Vec<u8>> {
    let facts = BodyFacts {
        crc: batch.crc,
        codec: batch.codec,
        count: batch.count,
        base_timestamp: batch.base_timestamp.0,
        max_timestamp: batch.max_timestamp.0,
    };
    let mut bytes = facts.header(klamm_core::record::Stamp::NONE, false).to_vec();
    bytes.extend_from_slice(&batch.body);
    values_of(&bytes)
}

fn values_of(bytes: &[u8]) -> Vec<Vec<u8>> {
    let limits = ReadLimits { isolation: IsolationLevel::ReadUncommitted, check_crcs: true, max_plain: 1 << 20 };
    let mut cursor = ChunkCursor::new(0, Vec::new(), limits);
    let (mut plain, mut values) = (Vec::new(), Vec::new());
    while let Some(batch) = cursor.next_batch(bytes, &mut Decompressor::default(), &mut plain) {
        let batch = batch.unwrap();
        let records = batch.records(batch.section(bytes, &plain));
        values.extend(records.map(|record| record.value.unwrap_or_default().to_vec()));
    }
    values
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn records_keep_the_order_of_the_calls_however_they_have_to_wait() {
    // Room for some batches: the rest waits in line, small ones behind large ones.
    let rig = rig(|s| (s.batch_size, s.buffer_memory) = (100, 1600));
    let values: Vec<Vec<u8>> = (0..32u8).map(|i| vec![i; if i % 3 == 0 { 60 } else { 2 }]).collect();
    let early: Vec<_> = values[..5].iter().map(|v| rig.send(v)).collect();
    rig.publish(1);
    let late: Vec<_> = values[5..].iter().map(|v| rig.send(v)).collect();
    assert!(late.iter().any(|delivery| !delivery.is_queued()), "nothing had to wait");
    assert_eq!(rig.drain(0), values);
    for (i, delivery) in early.iter().chain(&late).enumerate() {
        let at = delivery.try_result().unwrap().unwrap();
        assert_eq!((at.partition(), at.offset()), (0, Some(i as i64)));
    }
}

#[test]
fn a_delivery_that_nobody_polls_holds_up_nobody() {
    let rig = rig(|s| (s.batch_size, s.buffer_memory) = (100, 310));
    rig.publish(1);
    let _first = rig.send(&[0; 60]);
    let _unpolled = rig.send(&[1; 60]);
    let mut polled = rig.send(&[2; 60]);
    assert!(poll(&mut polled).is_pending());
    assert_eq!(rig.drain(0).len(), 3);
    assert!(matches!(poll(&mut polled), Poll::Ready(Ok(at)) if at.offset() == Some(2)));
}

#[test]
fn a_small_record_does_not_pass_a_large_one_that_waits() {
    let rig = rig(|s| (s.batch_size, s.buffer_memory) = (100, 330));
    rig.publish(2);
    let _held = rig.send(&[0; 60]);
    let large = rig.send(&[1; 200]);
    assert!(!large.is_queued());
    assert!(matches!(rig.try_send(&[2; 1]), Err(Refusal::Full)));
    let other = rig.send_to(1, &[3; 1]);
    assert!(!other.is_queued(), "another partition passed those who wait for memory");
    assert_eq!(rig.drain(0).len(), 2);
    assert_eq!(rig.drain(1), [vec![3]]);
    assert!(large.try_result().unwrap().is_ok() && other.try_result().unwrap().is_ok());
}

#[test]
fn nobody_gets_into_the_batch_that_is_opened_for_one_who_waits() {
    let rig = rig(|s| (s.batch_size, s.buffer_memory) = (100, 330));
    rig.publish(1);
    let _held = rig.send(&[0; 60]);
    let large = rig.send(&[1; 200]);
    let batch = rig.take(0).unwrap();
    rig.deliver(0, &batch, 0);
    drop(batch);
    // As the driver does it: between this and the placing of the line other threads may run.
    let (slot, shared, bytes) = (rig.slot(0), &rig.producer.shared, 300);
    assert!(!large.is_queued() && shared.budget.take_for_first(bytes));
    let (buffer, grant) = (shared.pool.get(bytes), Grant::new(shared.clone(), bytes));
    let now = rig.now();
    let refused = locked(&slot.state).open(&slot, buffer, grant, now, now.wall.0, shared.generation());
    assert!(refused.is_ok());
    let run = [Parts { partition: Some(0), timestamp: None, key: None, value: Some(&[2; 1]), headers: &[] }];
    assert_eq!(rig.topic.send_run(Some(0), run.into_iter(), &mut |_: At<'_>| ()), 0);
    let small = rig.send(&[2; 1]);
    assert!(!small.is_queued());
    assert_eq!(rig.drain(0), [vec![1; 200], vec![2; 1]]);
}

#[test]
fn memory_comes_back_whole_whatever_became_of_the_records() {
    let rig = rig(|s| (s.batch_size, s.buffer_memory) = (200, 1000));
    rig.publish(2);
    for round in 0..10 {
        let kept: Vec<_> = (0..30).map(|i| rig.send_to(i % 2, &[i as u8; 50])).collect();
        drop(kept);
        while let Some(batch) = rig.take(0) {
            if round % 2 == 0 {
                rig.deliver(0, &batch, 0)
            } else {
                rig.fail(0, &batch)
            }
            drop(batch);
            rig.serve();
        }
        rig.drain(1);
        rig.drain(0);
    }
    assert_eq!(rig.producer.shared.budget.used(), (0, 0));
    assert!(rig.producer.shared.is_settled());
    assert!(rig.producer.shared.unseen.take().is_err());
}

#[test]
fn memory_is_held_until_the_last_reference_to_a_body_dies() {
    let rig = rig(|_| {});
    rig.publish(1);
    let _delivery = rig.send(b"v");
    let batch = rig.take(0).unwrap();
    let body = batch.body.clone();
    rig.deliver(0, &batch, 0);
    drop(batch);
    assert!(rig.producer.shared.budget.used().0 > 0);
    drop(body);
    assert_eq!(rig.producer.shared.budget.used(), (0, 0));
}

#[test]
fn a_full_line_fails_at_once_and_names_the_buffer() {
    let rig = rig(|s| (s.batch_size, s.buffer_memory) = (100, 300));
    rig.publish(1);
    let all: Vec<_> = (0..40).map(|_| rig.send(&[0; 60])).collect();
    let last = all.last().unwrap().try_result().unwrap().unwrap_err();
    assert_eq!((last.kind(), last.possibly_written()), (ErrorKind::BufferFull, false));
    assert!(rig.drain(0).len() < 40);
}

#[test]
fn records_in_line_fail_when_max_block_is_over_and_only_they() {
    let rig = rig(|s| (s.batch_size, s.buffer_memory, s.max_block) = (100, 310, Duration::from_millis(50)));
    rig.publish(1);
    let placed = rig.send(&[0; 60]);
    let waiting = rig.send(&[1; 60]);
    assert_eq!(rig.producer.shared.deadline(), Some(Time(51_000_000)));
    rig.time.fetch_add(50_000_000, Ordering::Relaxed);
    let mut wakers = Wakers::new();
    rig.slot(0).expire(rig.now().mono, &mut wakers);
    assert_eq!(waiting.try_result().unwrap().unwrap_err().kind(), ErrorKind::BufferFull);
    assert!(placed.try_result().is_none());
    assert_eq!(rig.drain(0).len(), 1);
    assert_eq!(rig.producer.shared.budget.used(), (0, 0));
}

#[test]
fn a_topic_that_cannot_be_had_fails_its_own_records_only() {
    let rig = rig(|_| {});
    let other = rig.producer.topic("other");
    let parts = Parts { partition: None, timestamp: None, key: None, value: Some(b"v"), headers: &[] };
    let elsewhere = crate::producer::deliver(&other, other.send(&parts, true, place));
    let here = rig.send(b"v");
    let mut wakers = Wakers::new();
    rig.topic.fail_waiting(&Error::new(ErrorKind::Authorization, "no"), &mut wakers);
    assert_eq!(here.try_result().unwrap().unwrap_err().kind(), ErrorKind::Authorization);
    assert!(!elsewhere.is_ready());
}

#[test]
fn a_topic_that_could_not_be_had_is_looked_for_again_by_whoever_wants_it_next() {
    let rig = rig(|s| s.max_block = Duration::from_secs(60));
    let asked = || {
        let mut inputs = Vec::new();
        rig.producer.shared.front.inbox.swap(&mut inputs);
        inputs.iter().filter(|input| matches!(input, inbox::Input::Command(_, _, Command::Topic(..)))).count()
    };
    let mut wakers = Wakers::new();
    assert_eq!(asked(), 1, "its first use");
    drop((rig.send(b"v"), rig.send(b"w")));
    assert_eq!(asked(), 0, "it is being looked for");
    rig.topic.fail_waiting(&Error::new(ErrorKind::Authorization, "no"), &mut wakers);
    let again = rig.send(b"v");
    assert_eq!((asked(), again.is_ready()), (1, false), "that answer was final");
    rig.time.fetch_add(61_000_000_000, Ordering::Relaxed);
    rig.topic.expire(rig.now().mono, &mut wakers);
    assert!(again.is_ready());
    let last = rig.send(b"v");
    assert_eq!(asked(), 1, "nobody knows for how long the core goes on");
    rig.publish(1);
    drop((last, rig.send(b"w")));
    assert_eq!(asked(), 0, "it is known");
}

#[test]
fn a_partition_that_does_not_exist_is_refused_by_name_before_and_after_the_topic_is_known() {
    let rig = rig(|_| {});
    let early = rig.send_to(7, b"v");
    rig.publish(3);
    for delivery in [early, rig.send_to(3, b"v"), rig.send_to(-1, b"v")] {
        let error = delivery.try_result().unwrap().unwrap_err();
        assert_eq!((error.kind(), error.possibly_written()), (ErrorKind::Misuse, false));
        assert!(error.to_string().contains("has 3"), "{error}");
    }
}

#[test]
fn a_record_that_no_request_can_carry_is_refused_at_once() {
    let rig = rig(|s| s.max_request_size = 1000);
    rig.publish(1);
    let error = rig.send(&[0; 1000]).try_result().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RecordTooLarge);
    assert!(rig.send(&[0; 800]).try_result().is_none());
}

#[test]
fn every_record_is_a_batch_of_its_own_if_batch_size_is_zero() {
    let rig = rig(|s| s.batch_size = 0);
    rig.publish(1);
    let _all: Vec<_> = (0..3u8).map(|i| rig.send(&[i])).collect();
    let counts: Vec<_> = std::iter::from_fn(|| rig.take(0)).map(|batch| batch.count).collect();
    assert_eq!(counts, [1, 1, 1]);
}

#[test]
fn abandoning_resolves_everything_and_says_what_may_have_been_written() {
    let rig = rig(|s| (s.batch_size, s.buffer_memory) = (100, 650));
    rig.publish(1);
    let all: Vec<_> = (0..6u8).map(|i| rig.send(&[i; 60])).collect();
    let sent = rig.take(0).unwrap();
    let mut wakers = Wakers::new();
    rig.slot(0).abandon(&Error::new(ErrorKind::Closed, "over"), &mut wakers);
    let errors: Vec<_> = all.iter().map(|delivery| delivery.try_result().unwrap().unwrap_err()).collect();
    assert!(errors.iter().all(|error| error.kind() == ErrorKind::Closed));
    assert_eq!(
        errors.iter().map(Error::possibly_written).collect::<Vec<_>>(),
        [true, false, false, false, false, false]
    );
    drop(sent);
    drop(rig.producer.shared.budget.clear());
    assert_eq!(rig.producer.shared.budget.used(), (0, 0));
    assert_eq!(rig.send(b"late").try_result().unwrap().unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn a_failure_that_nobody_looked_at_is_told_once_with_its_count() {
    let rig = rig(|_| {});
    rig.publish(1);
    drop((rig.send(b"a"), rig.send(b"b")));
    let looked = rig.send(b"c");
    let batch = rig.take(0).unwrap();
    rig.fail(0, &batch);
    assert!(looked.try_result().unwrap().is_err());
    drop(looked);
    assert!(rig.producer.shared.unseen.take().is_ok(), "the batch's failure was seen");
    drop((rig.send(b"a"), rig.send(b"b")));
    let batch = rig.take(0).unwrap();
    rig.fail(0, &batch);
    let error = rig.producer.shared.unseen.take().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Undelivered);
    assert!(error.to_string().starts_with("2 records"), "{error}");
    assert!(rig.producer.shared.unseen.take().is_ok());
}

#[test]
fn a_split_batch_resolves_each_record_by_its_part() {
    let rig = rig(|_| {});
    rig.publish(1);
    let all: Vec<_> = (0..5u8).map(|i| rig.send(&[i])).collect();
    let mut waits = all[4].clone();
    assert!(poll(&mut waits).is_pending());
    let batch = rig.take(0).unwrap();
    let mut wakers = Wakers::new();
    let parts = rig.slot(0).resolve(batch.no).unwrap().split(&[(0, 2), (2, 3)], &mut wakers);
    let [first, second]: [_; 2] = parts.try_into().unwrap();
    second.deliver(Some(100), None, &mut wakers);
    assert!(all[0].try_result().is_none());
    assert_eq!(all[3].try_result().unwrap().unwrap().offset(), Some(101));
    assert!(matches!(poll(&mut waits), Poll::Ready(Ok(at)) if at.offset() == Some(102)));
    first.fail(Error::new(ErrorKind::NotDelivered, "no"), Vec::new(), &mut wakers);
    assert!(all[1].try_result().unwrap().is_err());
    assert!(rig.producer.shared.is_settled());
}

#[test]
fn compressed_batches_read_back_and_take_no_more_memory_than_they_need() {
    for codec in Codec::ALL.into_iter().filter(|codec| codec.is_built_in()) {
        let rig = rig(|s| s.compression = Compression::new(codec, None).unwrap().into());
        rig.publish(1);
        let values: Vec<_> = (0..1000u32).map(|i| format!("value {i}").into_bytes()).collect();
        let all: Vec<_> = values.iter().map(|value| rig.send(value)).collect();
        assert_eq!(rig.drain(0), values, "{codec}");
        assert!(all.iter().all(|delivery| delivery.try_result().unwrap().is_ok()));
        assert_eq!(rig.producer.shared.budget.used(), (0, 0), "{codec}");
    }
}

#[test]
fn records_without_a_key_are_even_over_partitions_at_low_and_high_rates() {
    for seal_each in [true, false] {
        let rig = rig(|s| s.batch_size = 400);
        rig.publish(4);
        let mut bytes = [0usize; 4];
        for i in 0..20_000 {
            let parts = Parts { partition: None, timestamp: None, key: None, value: Some(&[0; 30]), headers: &[] };
            let sent = crate::producer::deliver(&rig.topic, rig.topic.send(&parts, true, place));
            bytes[usize::try_from(sent.partition().unwrap()).unwrap()] += 30;
            if seal_each || i % 64 == 63 {
                (0..4).for_each(|n| drop(rig.drain(n)));
            }
        }
        let mean = 20_000 * 30 / 4;
        assert!(bytes.iter().all(|b| b.abs_diff(mean) < mean / 6), "{seal_each}: {bytes:?}");
    }
}

#[test]
fn a_codec_that_panics_or_fails_costs_its_own_batch_and_gives_its_memory_back() {
    for lost in [true, false] {
        let rig = rig(|settings| {
            settings.compression = Compression::new(Codec::Gzip, None).unwrap().into();
            settings.batch_size = 1000;
        });
        rig.publish(1);
        let broken = rig.send(b"broken");
        let mut wakers = Wakers::new();
        let Some(Packing::ToDo(sealed)) = rig.slot(0).take(rig.now().mono, true, &mut wakers).0 else { panic!() };
        let (work, underway) = sealed.offload();
        let next = rig.send(b"next");
        match lost {
            // The runtime's thread panicked: it never comes back.
            true => drop(underway),
            false => underway.done(Err(Error::new(ErrorKind::NotDelivered, "no memory for the codec"))),
        }
        drop(work);
        assert_eq!(rig.drain(0), [b"next".to_vec()]);
        let error = broken.wait().unwrap_err();
        assert_eq!((error.kind(), error.phase()), (ErrorKind::NotDelivered, Some(klamm_core::error::Phase::Buffered)));
        assert_eq!((error.topic(), error.partition(), error.attempts()), (Some("t"), Some(0), 0), "{error}");
        assert!(!error.possibly_written(), "{error}");
        assert!(next.wait().is_ok());
        assert_eq!(rig.producer.shared.budget.used(), (0, 0));
    }
}
