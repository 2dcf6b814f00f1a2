//! The consumer's share of the rules, with events told by the test.

use super::rig::{Part, Rig, SOON, batch, once, part};
use super::*;
use crate::{Error, ErrorKind};
use futures_core::Stream;
use klamm_core::client::{Command, Event, SeekTo, Stamp};
use klamm_core::codec::Codec;
use klamm_core::config::AutoCommit;
use klamm_core::config::builder::ConsumerConfig;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

const fn shared<T: Send + Sync + 'static>() {}
const fn future<T: Send + Unpin>() {}

const _: () = {
    shared::<Consumer>();
    shared::<ConsumerHandle>();
    shared::<Batch>();
    shared::<PartitionBatch>();
    shared::<OwnedRecord>();
    shared::<Offsets>();
    shared::<RecordId>();
    shared::<ConsumerState>();
    shared::<Partitions>();
    shared::<PartitionStream>();
    future::<Polling<'static>>();
    future::<Receiving<'static>>();
    future::<RecordStream<'static>>();
    future::<NextPartition<'static>>();
    future::<PollingPartition<'static>>();
    future::<ConsumerRecord<'static>>();
};

const NONE: Codec = Codec::None;

fn group() -> ConsumerConfig {
    ConsumerConfig::group("g")
}

#[test]
fn a_poll_brings_exactly_what_is_allowed_across_chunks_batches_and_partitions() {
    let mut rig = Rig::assigned(10, 2);
    rig.fetched(vec![part(0, 0, &[7, 5], NONE), part(1, 0, &[9], Codec::Lz4)]);
    rig.fetched(vec![part(0, 12, &[4], Codec::Zstd)]);
    let (mut all, mut sizes) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let offsets = rig.offsets();
        sizes.push(offsets.len());
        all.extend(offsets);
    }
    assert_eq!(sizes, [10, 10, 5]);
    for (partition, count) in [(0, 16), (1, 9)] {
        let of: Vec<_> = all.iter().filter(|one| one.0 == partition).map(|one| one.1).collect();
        assert_eq!(of, (0..count).collect::<Vec<_>>());
    }
    assert!(rig.poll().is_none());
    assert_eq!((rig.cursors(0), rig.cursors(1)), ((Some(16), Some(16)), (Some(9), Some(9))));
}

#[test]
fn a_partition_with_much_to_read_does_not_starve_another() {
    let mut rig = Rig::assigned(5, 2);
    rig.fetched(vec![part(0, 0, &[50], NONE), part(1, 0, &[5], NONE)]);
    assert_eq!(rig.offsets()[0], (0, 0));
    assert_eq!(rig.offsets()[0], (1, 0));
    assert_eq!(rig.offsets()[0], (0, 5));
}

#[test]
fn records_below_what_was_asked_for_are_dropped_and_positions_move_without_records() {
    let mut rig = Rig::assigned(100, 1);
    let mut one = part(0, 0, &[10], NONE);
    one.asked = 4;
    one.next = 15;
    rig.fetched(vec![one]);
    assert_eq!(rig.offsets().first(), Some(&(0, 4)));
    assert_eq!(rig.cursors(0).0, Some(15), "the last offsets were compacted away");
    let empty = Part { bytes: Vec::new(), asked: 15, next: 20, ..part(0, 15, &[], NONE) };
    rig.fetched(vec![empty]);
    assert!(rig.poll().is_none());
    assert_eq!(rig.cursors(0).0, Some(20));
}

#[test]
fn a_seek_drops_what_was_fetched_before() {
    let mut rig = Rig::assigned(100, 1);
    rig.fetched(vec![part(0, 0, &[10], NONE)]);
    rig.consumer.seek(("t", 0), 40).unwrap();
    assert!(rig.poll().is_none());
    assert_eq!(rig.freed().1, [0], "the frame went home");
    assert!(matches!(&rig.commands()[..], [Command::Seek(_, _, 1, SeekTo::Offset { offset: 40, .. })]));
    rig.fetched(vec![part(0, 10, &[10], NONE)]);
    assert!(rig.poll().is_none(), "it was asked for before the seek");
    let stamp = Stamp { assign: 1, seek: 1 };
    rig.positioned(0, stamp, 40);
    rig.fetched(vec![Part { stamp, ..part(0, 40, &[2], NONE) }]);
    assert_eq!(rig.offsets(), [(0, 40), (0, 41)]);
    assert!(rig.consumer.seek(("t", 1), 0).is_err_and(|error| error.kind() == ErrorKind::Misuse));
}

#[test]
fn a_seek_before_the_assignment_is_known_counts() {
    let mut rig = Rig::new(ConsumerConfig::standalone());
    rig.consumer.assign([("t", 0)]).unwrap();
    rig.consumer.seek(("t", 0), 40).unwrap();
    assert_eq!(once(rig.consumer.position(("t", 0))).unwrap().unwrap(), 40);
    rig.assign(1, 1);
    rig.fetched(vec![part(0, 0, &[10], NONE)]);
    assert!(rig.poll().is_none());
    let stamp = Stamp { assign: 1, seek: 1 };
    rig.positioned(0, stamp, 40);
    rig.fetched(vec![Part { stamp, ..part(0, 40, &[1], NONE) }]);
    assert_eq!(rig.offsets(), [(0, 40)]);
}

#[test]
fn what_a_paused_partition_holds_is_kept() {
    let mut rig = Rig::assigned(3, 2);
    rig.fetched(vec![part(0, 0, &[10], NONE)]);
    assert_eq!(rig.offsets().len(), 3);
    rig.consumer.pause([("t", 0)]).unwrap();
    rig.fetched(vec![part(1, 0, &[1], NONE)]);
    assert_eq!(rig.offsets(), [(1, 0)]);
    assert!(rig.poll().is_none());
    assert_eq!(rig.consumer.paused(), [TopicPartition::from(("t", 0))]);
    rig.consumer.resume([("t", 0)]).unwrap();
    assert_eq!(rig.offsets(), [(0, 3), (0, 4), (0, 5)]);
}

#[test]
fn a_dropped_partition_is_not_handed_out_though_its_cursors_are_told() {
    let mut rig = Rig::assigned(100, 2);
    rig.fetched(vec![part(0, 0, &[3], NONE)]);
    assert_eq!(rig.offsets().len(), 3);
    rig.fetched(vec![part(0, 3, &[3], NONE), part(1, 0, &[1], NONE)]);
    rig.consumer.assign([("t", 1)]).unwrap();
    assert_eq!(rig.offsets(), [(1, 0)]);
    assert_eq!(rig.cursors(0), (Some(3), Some(3)));
    rig.lose(&[0], None);
    assert_eq!(rig.cursors(0), (None, None));
    assert_eq!(rig.consumer.assignment(), [TopicPartition::from(("t", 1))]);
}

#[test]
fn an_error_comes_after_the_good_records_and_stays_until_it_is_skipped() {
    let mut rig = Rig::assigned(100, 1);
    let mut broken = part(0, 0, &[3, 4, 2], NONE);
    let at = batch(0, 3, NONE).len() + 70;
    broken.bytes[at] ^= 1;
    rig.fetched(vec![broken]);
    assert_eq!(rig.offsets().len(), 3);
    for _ in 0..2 {
        let error = rig.poll().unwrap().unwrap_err();
        assert_eq!((error.kind(), error.offset(), error.topic()), (ErrorKind::Corrupt, Some(3), Some("t")), "{error}");
        assert_eq!((rig.cursors(0).0, rig.freed().0), (Some(3), 0));
    }
    let error = rig.poll().unwrap().unwrap_err();
    rig.consumer.skip_past(&error).unwrap();
    assert!(matches!(rig.commands()[..], [Command::Seek(_, _, 1, SeekTo::Offset { offset: 7, .. })]));
    assert!(rig.poll().is_none());
}

#[test]
fn what_the_core_tries_again_is_told_once_and_in_its_place() {
    let mut rig = Rig::assigned(100, 1);
    let problem = Some(Error::new(ErrorKind::Authorization, "no"));
    rig.fetched(vec![part(0, 0, &[2], NONE), Part { problem, ..part(0, 2, &[], NONE) }]);
    rig.fetched(vec![part(0, 2, &[1], NONE)]);
    assert_eq!(rig.offsets().len(), 2);
    assert_eq!(rig.poll().unwrap().unwrap_err().kind(), ErrorKind::Authorization);
    assert_eq!(rig.offsets(), [(0, 2)]);
}

#[test]
fn done_is_one_poll_behind_delivered_and_waits_for_batches() {
    let mut rig = Rig::assigned(2, 1);
    rig.fetched(vec![part(0, 0, &[6], NONE)]);
    let first = rig.poll().unwrap().unwrap().unwrap();
    assert_eq!(rig.cursors(0), (Some(2), Some(0)));
    let second = rig.poll().unwrap().unwrap().unwrap();
    assert_eq!(rig.cursors(0), (Some(4), Some(0)), "the first batch is still in use");
    drop(first);
    let third = rig.poll().unwrap().unwrap().unwrap();
    assert_eq!(rig.cursors(0), (Some(6), Some(2)));
    let mut parts: Vec<_> = second.into_partitions().chain(third.into_partitions()).collect();
    parts.iter_mut().for_each(PartitionBatch::detach);
    assert!(rig.poll().is_none());
    assert_eq!(rig.cursors(0), (Some(6), Some(6)));
}

#[test]
fn nothing_is_taken_by_futures_that_are_dropped() {
    let mut rig = Rig::assigned(2, 1);
    drop(rig.consumer.poll(SOON));
    assert!(once(rig.consumer.recv()).is_none());
    assert!(once(rig.consumer.poll(SOON)).is_none());
    assert!(!rig.progress().polling);
    let mut stream = rig.consumer.stream();
    assert!(Pin::new(&mut stream).poll_next(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(stream);
    rig.fetched(vec![part(0, 0, &[3], NONE)]);
    drop(rig.consumer.poll(SOON));
    drop(rig.consumer.recv());
    drop(rig.consumer.stream());
    assert_eq!(rig.cursors(0), (Some(0), Some(0)));
    assert_eq!(rig.offsets(), [(0, 0), (0, 1)]);
    assert_eq!(once(rig.consumer.recv()).unwrap().unwrap().unwrap().offset(), 2);
}

#[test]
fn all_memory_comes_home() {
    let mut rig = Rig::assigned(4, 2);
    let mut total = 0;
    for round in 0..4 {
        let parts = vec![part(0, round * 9, &[4, 5], NONE), part(1, round * 3, &[3], Codec::Lz4)];
        total += parts.iter().map(|one| one.bytes.len() as u64).sum::<u64>();
        rig.fetched(parts);
    }
    let kept: Vec<_> = (0..3).map(|_| rig.poll().unwrap().unwrap().unwrap()).collect();
    let owned = kept[0].iter().next().unwrap().into_owned();
    rig.consumer.seek(("t", 0), 2).unwrap();
    rig.fetched(vec![part(0, 36, &[1], NONE)]);
    total += batch(36, 1, NONE).len() as u64;
    rig.lose(&[1], Some(Error::new(ErrorKind::GroupLost, "gone")));
    let (bytes, mut frames) = rig.freed();
    assert_eq!(bytes, total, "no chunk is left on the shelf");
    drop(kept);
    frames.extend(rig.freed().1);
    assert!(!frames.contains(&0), "a record still reads from it");
    assert_eq!(owned.value(), Some(&b"0"[..]));
    drop(owned.compact());
    frames.extend(rig.freed().1);
    frames.sort_unstable();
    assert_eq!(frames, [0, 1, 2, 3, 4]);
}

#[test]
fn a_wakeup_is_sticky_and_taken_once() {
    let mut rig = Rig::assigned(2, 1);
    let handle = rig.consumer.handle();
    handle.wakeup();
    handle.wakeup();
    rig.fetched(vec![part(0, 0, &[1], NONE)]);
    assert!(rig.poll().unwrap().unwrap().is_none());
    assert_eq!(rig.offsets(), [(0, 0)]);
    handle.wakeup();
    assert!(rig.consumer.iter().next().is_none());
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_poll_that_waits_is_woken_by_data_and_by_its_time() {
    let mut rig = Rig::assigned(2, 1);
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let shelf = rig.shelf.clone();
    let mut polling = rig.consumer.poll(SOON);
    assert!(Pin::new(&mut polling).poll(&mut Context::from_waker(&waker)).is_pending());
    assert!(shelf.progress().polling);
    let at = shelf.arm().unwrap();
    let mut wakers = Vec::new();
    shelf.expire(klamm_core::Now { mono: at - Duration::from_nanos(1), ..Default::default() }, &mut wakers);
    assert!(wakers.is_empty());
    shelf.expire(klamm_core::Now { mono: at, ..Default::default() }, &mut wakers);
    assert_eq!(wakers.len(), 1);
    drop(polling);
    assert_eq!(shelf.arm(), None);
    rig.advance(SOON);
    let mut polling = rig.consumer.poll(Duration::ZERO);
    match Pin::new(&mut polling).poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(Ok(Some(batch))) => assert!(batch.is_empty()),
        other => panic!("{other:?}"),
    }
    drop(polling);
    let polling = rig.consumer.poll(SOON);
    let mut polling = Box::pin(polling);
    assert!(polling.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    shelf.handle(Event::ConsumerFailed { consumer: shelf.ix, error: Error::new(ErrorKind::Fenced, "x") });
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert!(matches!(polling.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(Err(_))));
    drop(polling);
    assert_eq!(rig.progress().last_return, rig.now().mono);
}

fn released(commands: &[Command]) -> usize {
    commands.iter().filter(|command| matches!(command, Command::Released(_, 9, _))).count()
}

#[test]
fn a_revoked_partition_is_let_go_when_its_batches_are_dropped_and_the_application_came_back() {
    let mut rig = Rig::member(group(), 2);
    rig.fetched(vec![part(0, 0, &[3], NONE), part(1, 0, &[3], NONE)]);
    let batch = rig.poll().unwrap().unwrap().unwrap();
    assert_eq!((batch.len(), batch.assigned().len()), (6, 2));
    assert!(rig.commands().iter().any(|command| matches!(command, Command::Applied(_, 1))));
    rig.revoke(&[0]);
    rig.fetched(vec![part(0, 3, &[3], NONE)]);
    let news = rig.poll().unwrap().unwrap().unwrap();
    assert_eq!((news.len(), news.revoking()), (0, &[TopicPartition::from(("t", 0))][..]));
    assert!(rig.poll().is_none());
    assert_eq!(released(&rig.commands()), 0, "a batch is still in use");
    drop(batch);
    assert_eq!(released(&rig.commands()), 1);
    assert_eq!(rig.cursors(0), (Some(3), Some(3)), "its cursors are told until it is gone");
    rig.lose(&[0], None);
    assert_eq!(rig.cursors(0), (None, None));
    assert!(rig.poll().is_none(), "an orderly end is no news");
}

#[test]
fn without_holding_a_revocation_ends_with_the_next_poll() {
    let mut rig = Rig::member(group().set("klamm.rebalance.waits.for.batches", false), 1);
    rig.fetched(vec![part(0, 0, &[3], NONE)]);
    let batch = rig.poll().unwrap().unwrap().unwrap();
    rig.revoke(&[0]);
    assert_eq!(rig.poll().unwrap().unwrap().unwrap().revoking().len(), 1);
    assert_eq!(released(&rig.commands()), 0);
    assert!(rig.poll().is_none());
    assert_eq!(released(&rig.commands()), 1);
    drop(batch);
    assert_eq!(released(&rig.commands()), 0);
}

#[test]
fn a_receiver_lets_go_when_it_asks_for_the_next_record() {
    let mut rig = Rig::member(group(), 1);
    rig.fetched(vec![part(0, 0, &[3], NONE)]);
    assert_eq!(once(rig.consumer.recv()).unwrap().unwrap().unwrap().offset(), 0);
    rig.revoke(&[0]);
    assert_eq!(released(&rig.commands()), 0, "the record may be in work");
    assert!(once(rig.consumer.recv()).is_none());
    assert_eq!(released(&rig.commands()), 1);
    assert_eq!(rig.cursors(0), (Some(1), Some(1)));
}

#[test]
fn lost_partitions_are_told_and_nothing_of_them_is_handed_out() {
    let mut rig = Rig::member(group(), 2);
    rig.fetched(vec![part(0, 0, &[3], NONE)]);
    let batch = rig.poll().unwrap().unwrap().unwrap();
    let record = batch.iter().next().unwrap().into_owned();
    assert!(rig.consumer.ack(&record));
    rig.fetched(vec![part(0, 3, &[3], NONE)]);
    rig.lose(&[0], Some(Error::new(ErrorKind::GroupLost, "gone")));
    let news = rig.poll().unwrap().unwrap().unwrap();
    assert_eq!((news.len(), news.lost().len()), (0, 1));
    assert!(!rig.consumer.ack(&record));
    let mut outgoing = Vec::new();
    assert!(rig.shelf.take_outgoing(&mut outgoing), "the core hears that the application polls");
}

#[test]
fn new_partitions_can_come_before_their_records() {
    let mut rig = Rig::member(group().set("klamm.rebalance.assigned.first", true), 1);
    let applied = |rig: &Rig| rig.commands().iter().any(|command| matches!(command, Command::Applied(..)));
    assert!(!applied(&rig));
    let batch = rig.poll().unwrap().unwrap().unwrap();
    assert_eq!((batch.len(), batch.assigned().len()), (0, 1));
    assert!(!applied(&rig), "now is the time to seek");
    assert!(rig.poll().is_none());
    assert!(applied(&rig));
}

#[test]
fn acknowledgements_move_the_commit_point_without_gaps() {
    let mode = AutoCommit::Acked(Duration::from_secs(5));
    let mut rig = Rig::member(group().auto_commit(mode), 1);
    rig.fetched(vec![part(0, 0, &[3, 70], NONE)]);
    rig.fetched(vec![Part { next: 90, ..part(0, 73, &[2], Codec::Gzip) }]);
    let batch = rig.poll().unwrap().unwrap().unwrap();
    let all: Vec<_> = batch.iter().collect();
    let done = |rig: &Rig| rig.cursors(0).1;
    assert!(rig.consumer.ack(all[1]) && rig.consumer.ack(all[2]));
    assert_eq!(done(&rig), Some(0));
    assert!(rig.consumer.ack(all[0]));
    assert_eq!(done(&rig), Some(3));
    assert!(rig.consumer.ack(all[4]));
    assert!(rig.consumer.ack_through(all[67]));
    assert_eq!(done(&rig), Some(68));
    assert!(rig.consumer.ack_through(all[74]));
    assert_eq!(done(&rig), Some(90), "behind what was compacted away too");
    assert!(rig.consumer.ack(all[3]), "again");
    rig.consumer.seek(("t", 0), 5).unwrap();
    assert!(!rig.consumer.ack(all[6]), "from before the seek");
}

#[test]
fn reading_costs_no_allocation_per_record() {
    let mut rig = Rig::assigned(10_000, 1);
    let (mut at, mut costs) = (0, Vec::new());
    for count in [10, 10, 5_000] {
        rig.fetched(vec![part(0, at, &[count], NONE)]);
        at += count;
        let mut batch = None;
        let polled = allocation_counter::measure(|| batch = rig.poll().unwrap().unwrap());
        let batch = batch.unwrap();
        let read = allocation_counter::measure(|| {
            let bytes: usize = batch.iter().map(|record| record.value().map_or(0, <[u8]>::len)).sum();
            assert!(bytes >= count as usize);
        });
        assert_eq!((batch.len(), read.count_total), (count as usize, 0));
        costs.push(polled.count_total);
    }
    assert!(costs.iter().all(|cost| *cost <= 10), "{costs:?}");
}

#[test]
fn a_closed_consumer_ends_its_polls_and_a_dead_driver_fails_them() {
    let mut rig = Rig::assigned(2, 1);
    rig.shelf.close();
    assert!(rig.poll().unwrap().unwrap().is_none());
    assert_eq!(rig.consumer.assign([("t", 0)]).unwrap_err().kind(), ErrorKind::Closed);
    let mut rig = Rig::assigned(2, 1);
    let op = rig.consumer.position(("t", 0));
    rig.shelf.end(Some(&Error::new(ErrorKind::Closed, "the driver is gone")), &mut Vec::new());
    assert_eq!(rig.poll().unwrap().unwrap_err().kind(), ErrorKind::Closed);
    assert!(once(op).is_some());
}

#[test]
fn streams_take_their_partitions_and_give_them_back() {
    let rig = Rig::member(group().auto_commit(AutoCommit::Off), 2);
    let shelf = rig.shelf.clone();
    let mut partitions = rig.consumer.into_partitions();
    let mut first = once(partitions.next()).unwrap().unwrap().unwrap();
    let second = once(partitions.next()).unwrap().unwrap().unwrap();
    assert!(once(partitions.next()).is_none());
    assert!(once(first.poll(SOON)).is_none());
    drop(first);
    let mut outgoing = Vec::new();
    shelf.take_outgoing(&mut outgoing);
    assert!(outgoing.iter().any(|one| matches!(one.command, Command::Seek(_, _, 1, SeekTo::Committed))));
    assert!(once(partitions.next()).is_none(), "not before the backoff");
    rig.time.fetch_add(Duration::from_secs(1).as_nanos() as u64, Ordering::Relaxed);
    assert_eq!(once(partitions.next()).unwrap().unwrap().unwrap().topic_partition().partition, 0);
    drop(second);
    assert_eq!(shelf.assignment().len(), 2);
}

#[test]
fn a_close_goes_on_when_the_last_stream_is_dropped_though_its_partition_is_lost() {
    let rig = Rig::member(group().auto_commit(AutoCommit::Off), 1);
    let shelf = rig.shelf.clone();
    let mut partitions = rig.consumer.into_partitions();
    let stream = once(partitions.next()).unwrap().unwrap().unwrap();
    let closing = partitions.close();
    let mut inputs = Vec::new();
    shelf.front.inbox.swap(&mut inputs);
    assert!(!inputs.iter().any(|input| matches!(input, Input::CloseConsumer(..))), "the stream is at work");
    let lost = Event::Lost { consumer: shelf.ix, partitions: vec![klamm_core::PartitionIx(0)], why: None };
    shelf.handle(lost);
    drop(stream);
    inputs.clear();
    shelf.front.inbox.swap(&mut inputs);
    assert!(inputs.iter().any(|input| matches!(input, Input::CloseConsumer(..))), "{inputs:?}");
    drop(closing.within(Duration::from_secs(1)));
    inputs.clear();
    shelf.front.inbox.swap(&mut inputs);
    assert!(inputs.iter().any(|input| matches!(input, Input::HurryConsumer(..))), "it has less time from now on");
}

#[test]
fn an_automatic_commit_that_succeeds_makes_good_for_one_that_failed() {
    let rig = Rig::member(group(), 1);
    let committed = |result| rig.shelf.handle(Event::AutoCommitted { consumer: rig.shelf.ix, result });
    let failed = || Err(Error::new(ErrorKind::CommitFailed, "the coordinator moved"));
    committed(failed());
    committed(Ok(()));
    assert!(rig.shelf.take_unseen().is_none());
    committed(failed());
    assert_eq!(rig.shelf.take_unseen().map(|error| error.kind()), Some(ErrorKind::CommitFailed));
    assert!(rig.shelf.take_unseen().is_none(), "told once");
}
