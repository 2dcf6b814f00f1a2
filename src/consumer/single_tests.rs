//! Records one by one: the way past the lock gives what the long way gives.

use super::rig::{Rig, SOON, once, part};
use super::*;
use futures_core::Stream;
use klamm_core::client::Command;
use klamm_core::codec::Codec;
use klamm_core::config::AutoCommit;
use klamm_core::config::builder::ConsumerConfig;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

const NONE: Codec = Codec::None;

fn next(rig: &mut Rig) -> Option<(i32, i64)> {
    let record = once(rig.consumer.recv())?.unwrap()?;
    assert_eq!(record.value(), Some(record.offset().to_string().as_bytes()));
    Some((record.partition(), record.offset()))
}

fn offsets(rig: &mut Rig, count: usize) -> Vec<i64> {
    (0..count).filter_map(|_| next(rig)).map(|(_, offset)| offset).collect()
}

#[test]
fn the_cursors_move_record_by_record_and_done_stays_one_behind() {
    let mut rig = Rig::assigned(500, 1);
    rig.fetched(vec![part(0, 0, &[5, 3], NONE)]);
    for at in 0..8 {
        assert_eq!(next(&mut rig), Some((0, at)));
        assert_eq!(rig.cursors(0), (Some(at + 1), Some(at)));
        assert_eq!(once(rig.consumer.position(("t", 0))).unwrap().unwrap(), at + 1);
    }
    assert_eq!(next(&mut rig), None);
    assert_eq!(rig.cursors(0), (Some(8), Some(8)));
}

#[test]
fn each_record_counts_as_a_poll_in_time() {
    let mut rig = Rig::assigned(500, 1);
    rig.fetched(vec![part(0, 0, &[9], NONE)]);
    for _ in 0..6 {
        rig.advance(SOON);
        let _ = next(&mut rig).unwrap();
        assert_eq!(rig.progress().last_return, rig.now().mono);
        assert!(!rig.progress().polling);
    }
}

#[test]
fn a_seek_counts_before_the_next_record() {
    let mut rig = Rig::assigned(500, 1);
    rig.fetched(vec![part(0, 0, &[9], NONE)]);
    assert_eq!(offsets(&mut rig, 4), [0, 1, 2, 3]);
    rig.consumer.seek(("t", 0), 100).unwrap();
    assert_eq!(rig.cursors(0), (Some(100), Some(100)));
    assert_eq!(next(&mut rig), None);
    assert_eq!((rig.cursors(0), rig.freed().1), ((Some(100), Some(100)), vec![0]), "what was lent is home");
}

#[test]
fn a_pause_counts_before_the_next_record_and_keeps_the_rest() {
    let mut rig = Rig::assigned(500, 2);
    rig.fetched(vec![part(0, 0, &[9], NONE), part(1, 0, &[9], NONE)]);
    let (first, _) = next(&mut rig).unwrap();
    assert_eq!(next(&mut rig), Some((first, 1)));
    rig.consumer.pause([("t", first)]).unwrap();
    let rest: Vec<_> = (0..9).map(|_| next(&mut rig).unwrap()).collect();
    assert!(rest.iter().all(|(partition, _)| *partition == 1 - first), "{rest:?}");
    assert_eq!(next(&mut rig), None);
    rig.consumer.resume([("t", first)]).unwrap();
    assert_eq!(offsets(&mut rig, 9), [2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn a_revoked_partition_gives_no_further_record_and_goes_with_the_next_call() {
    let mut rig = Rig::member(ConsumerConfig::group("g"), 1);
    rig.fetched(vec![part(0, 0, &[9], NONE)]);
    assert_eq!(offsets(&mut rig, 3), [0, 1, 2]);
    rig.commands();
    rig.revoke(&[0]);
    assert_eq!(rig.cursors(0), (Some(3), Some(2)));
    let released = |rig: &Rig| rig.commands().iter().any(|one| matches!(one, Command::Released(_, 9, _)));
    assert!(!released(&rig), "the third record is in hand");
    assert_eq!(next(&mut rig), None);
    assert!(released(&rig));
    assert_eq!(rig.cursors(0), (Some(3), Some(3)));
}

#[test]
fn polls_streams_and_a_close_go_on_where_single_records_ended() {
    let mut rig = Rig::assigned(500, 1);
    rig.fetched(vec![part(0, 0, &[9], NONE)]);
    assert_eq!(offsets(&mut rig, 2), [0, 1]);
    assert_eq!(rig.consumer.iter().next().unwrap().unwrap().offset(), 2);
    let mut stream = rig.consumer.stream();
    match Pin::new(&mut stream).poll_next(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(Ok(record))) => assert_eq!(record.offset(), 3),
        other => panic!("{other:?}"),
    }
    drop(stream);
    drop(rig.consumer.recv());
    assert_eq!(rig.offsets(), [(0, 4), (0, 5), (0, 6), (0, 7), (0, 8)]);
    rig.fetched(vec![part(0, 9, &[9], NONE)]);
    assert_eq!(offsets(&mut rig, 2), [9, 10]);
    let before = rig.freed();
    let Rig { consumer, shelf, .. } = rig;
    drop(consumer);
    assert_eq!(before.1, [0]);
    assert_eq!(shelf.progress().delivered.iter().map(|one| one.2).collect::<Vec<_>>(), [11]);
}

#[test]
fn a_wakeup_and_a_close_end_it_in_the_middle_of_a_batch() {
    let mut rig = Rig::assigned(500, 1);
    rig.fetched(vec![part(0, 0, &[9], NONE)]);
    assert_eq!(offsets(&mut rig, 3), [0, 1, 2]);
    rig.consumer.handle().wakeup();
    assert!(once(rig.consumer.recv()).unwrap().unwrap().is_none());
    assert_eq!(offsets(&mut rig, 2), [3, 4]);
    rig.shelf.close();
    assert!(once(rig.consumer.recv()).unwrap().unwrap().is_none());
}

#[test]
fn acknowledged_records_are_taken_one_by_one_too() {
    let config = ConsumerConfig::group("g").auto_commit(AutoCommit::Acked(SOON));
    let mut rig = Rig::member(config, 1);
    rig.fetched(vec![part(0, 0, &[4], NONE)]);
    for at in 0..4 {
        let record = once(rig.consumer.recv()).unwrap().unwrap().unwrap();
        assert_eq!(record.offset(), at);
        assert!(rig.consumer.ack(&record));
        assert_eq!(rig.cursors(0).1, Some(at + 1));
    }
}

#[test]
fn a_single_record_costs_no_allocation_within_its_batch() {
    let mut rig = Rig::assigned(500, 1);
    rig.fetched(vec![part(0, 0, &[4_000], NONE)]);
    assert_eq!(offsets(&mut rig, 2), [0, 1]);
    let mut bytes = 0;
    let mut value = |record: OwnedRecord| bytes += record.value().map_or(0, <[u8]>::len);
    let received = allocation_counter::measure(|| {
        (0..1000).for_each(|_| value(once(rig.consumer.recv()).unwrap().unwrap().unwrap()));
    });
    let iterated = allocation_counter::measure(|| {
        rig.consumer.iter().take(1000).for_each(|record| value(record.unwrap()));
    });
    let mut stream = rig.consumer.stream();
    let streamed = allocation_counter::measure(|| {
        for _ in 0..1000 {
            match Pin::new(&mut stream).poll_next(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Some(Ok(record))) => value(record),
                other => panic!("{other:?}"),
            }
        }
    });
    assert_eq!((received.count_total, iterated.count_total, streamed.count_total), (0, 0, 0));
    assert!(bytes > 8_000);
}

/// Whatever is done in between, in one of the rigs the long way is taken for each record.
#[test]
fn both_ways_give_the_same_records_and_cursors_whatever_happens_in_between() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut short, mut long) = (Rig::assigned(500, 1), Rig::assigned(500, 1));
        let (mut end, mut seeks) = (0, 0);
        for step in 0..120 {
            let (op, count, back) = (random.u32(..20), random.i64(1..20), random.i64(0..5));
            let mut seen = Vec::new();
            for rig in [&mut short, &mut long] {
                let at = rig.cursors(0).0.unwrap();
                let mut got = Vec::new();
                match op {
                    0 | 1 => {
                        let mut one = part(0, end, &[count, 7], if op == 0 { NONE } else { Codec::Lz4 });
                        one.stamp.seek = seeks;
                        rig.fetched(vec![one]);
                    }
                    2 => rig.consumer.pause([("t", 0)]).unwrap(),
                    3 | 4 => rig.consumer.resume([("t", 0)]).unwrap(),
                    5 if step % 4 == 0 => {
                        rig.consumer.seek(("t", 0), (at - back).max(0)).unwrap();
                        let mut one = part(0, (at - back).max(0), &[9], NONE);
                        one.stamp.seek = seeks + 1;
                        rig.fetched(vec![one]);
                    }
                    6 if step % 3 == 0 => {
                        got.extend(
                            rig.poll().map(|batch| batch.unwrap().unwrap().next_offsets().iter().count() as i64),
                        );
                    }
                    _ => got.extend(next(rig).map(|(_, offset)| offset)),
                }
                seen.push((got, rig.cursors(0), rig.freed().1));
                if seen.len() == 2 {
                    // Whoever looks touches the shelf.
                    let _ = rig.consumer.paused();
                }
            }
            if op == 5 && step % 4 == 0 {
                seeks += 1;
                end = (seen[0].1.0.unwrap()).max(0) + 9;
            } else if op < 2 {
                end += count + 7;
            }
            assert_eq!((&seen[0].0, seen[0].1), (&seen[1].0, seen[1].1), "seed {seed}, step {step}, op {op}");
        }
    }
}
