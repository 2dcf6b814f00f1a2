//! 2.9 and what of 2.5 concerns commits: what is committed, when, and read back.

use crate::rig::*;
use klamm::Offsets;
use klamm_sim::workload::{History, life, reader};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Polls until so many records came, without an error, and gives the last batch too: it is still in hand.
async fn hold(sim: &klamm_sim::Sim, consumer: &mut klamm::Consumer) -> klamm::Batch {
    let end = sim.elapsed() + ms(60_000);
    while sim.elapsed() < end {
        match consumer.poll(ms(200)).await.expect("nothing is wrong") {
            Some(batch) if !batch.is_empty() => return batch,
            _ => {}
        }
    }
    panic!("nothing comes");
}

#[test]
fn oc_01_an_offset_of_a_past_ownership_is_refused() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 2);
        let kafka = kafka(&sim).await;
        fill(&kafka, "t", 0, 0..10).await;
        fill(&kafka, "t", 1, 0..10).await;
        let mut first = member(&kafka, "t", |c| c.set("enable.auto.commit", false).set("max.poll.records", 20));
        let mut old = BTreeMap::new();
        while old.len() < 2 {
            let batch = hold(&sim, &mut first).await;
            old.extend(batch.iter().map(|r| (r.partition(), klamm::RecordId::from(r))));
        }
        let other = crate::rig::kafka(&sim).await;
        let mut second = member(&other, "t", |c| c.set("enable.auto.commit", false));
        let end = sim.elapsed() + ms(60_000);
        while (first.assignment().len() != 1 || second.assignment().len() != 1) && sim.elapsed() < end {
            first.poll(ms(50)).await.ok();
            second.poll(ms(50)).await.ok();
        }
        let theirs = second.assignment().first().expect("its share").partition;
        let late = first.commit_sync_offsets(Offsets::after(old[&theirs].clone())).await;
        assert!(late.is_err(), "it is not its own any more");
        assert_eq!(committed(&sim, "t", theirs), None);
    });
}

#[test]
fn oc_02_who_crashes_loses_nothing_that_was_not_done() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        fill(&kafka, "t", 0, 0..40).await;
        let mut first = member(&kafka, "t", |c| c.set("auto.commit.interval.ms", 10).set("max.poll.records", 6));
        let batch = hold(&sim, &mut first).await;
        // It works on them for a while; its automatic commits go on.
        sim.sleep(ms(3_000)).await;
        assert!(committed(&sim, "t", 0).unwrap_or(0) == 0, "committed while in hand");
        let done = batch.len() as i64;
        drop(batch);
        let second = hold(&sim, &mut first).await;
        sim.sleep(ms(1_000)).await;
        assert_eq!(committed(&sim, "t", 0), Some(done), "what it came back after, and no more");
        drop(second);
    });
}

#[test]
fn oc_03_what_is_done_is_committed_before_partitions_change_hands_and_at_the_close() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 4);
        let kafka = kafka(&sim).await;
        for partition in 0..4 {
            fill(&kafka, "t", partition, 0..25).await;
        }
        // No timer ever commits here.
        let slow = || reader().set("auto.commit.interval.ms", 3_000_000).set("max.poll.records", 3);
        let (history, done, left) = (History::default(), Rc::new(RefCell::new(false)), Rc::new(RefCell::new(2)));
        for number in 0..2u64 {
            let (sim, history, done, left) = (sim.clone(), history.clone(), done.clone(), left.clone());
            sim.clone().spawn(async move {
                sim.sleep(ms(number * 400 + sim.seed() * 13)).await;
                let config = klamm::Config::new(sim.cluster().bootstrap());
                let polls = if number == 0 { u32::MAX } else { 12 };
                life(&sim, config, slow(), "t", number as usize, polls, &history, &done).await;
                *left.borrow_mut() -= 1;
            });
        }
        while history.values().len() < 100 {
            sim.sleep(ms(100)).await;
            assert!(sim.elapsed() < ms(200_000), "{}", history.values().len());
        }
        *done.borrow_mut() = true;
        while *left.borrow() > 0 {
            sim.sleep(ms(100)).await;
        }
        let twice: Vec<_> = history.counts().into_iter().filter(|(_, n)| *n > 1).collect();
        assert!(twice.is_empty(), "nothing went wrong, and yet: {twice:?}");
        for partition in 0..4 {
            assert_eq!(committed(&sim, "t", partition), Some(25));
        }
    });
}

#[test]
fn oc_09_commits_arrive_in_the_order_of_the_calls() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        fill(&kafka, "t", 0, 0..40).await;
        let mut consumer = member(&kafka, "t", |c| c.set("enable.auto.commit", false));
        joined(&sim, &mut consumer).await;
        let cluster = sim.cluster();
        let fault = cluster.fault(Api::OffsetCommit).times(2);
        match sim.seed() % 3 {
            0 => fault.disconnect(),
            1 => fault.error(14),
            _ => fault.delay_before_apply(ms(800)),
        }
        let commits: Vec<_> =
            (1..=10).map(|n| consumer.commit_async_offsets(Offsets::new().with(("t", 0), n))).collect();
        let mut highest = 0;
        for commit in commits {
            commit.await.expect("committed, or overtaken by a newer one");
            let now = committed(&sim, "t", 0).expect("something");
            assert!(now >= highest, "{now} after {highest}");
            highest = now;
        }
        sim.sleep(ms(3_000)).await;
        assert_eq!(committed(&sim, "t", 0), Some(10));
    });
}

#[test]
fn oc_15_a_commit_covers_all_partitions_of_the_batch() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 3);
        let kafka = kafka(&sim).await;
        for partition in 0..3 {
            fill(&kafka, "t", partition, 0..10).await;
        }
        let mut consumer = member(&kafka, "t", |c| c.set("enable.auto.commit", false));
        read(&sim, &mut consumer, 30).await;
        consumer.commit_sync().await.expect("committed");
        for partition in 0..3 {
            assert_eq!(committed(&sim, "t", partition), Some(10));
        }
    });
}

/// Reads ten, commits five, closes; the next member must begin there although the answers to OffsetFetch are spoilt.
fn resumes(spoil: impl Fn(&klamm_sim::Sim) + Copy + 'static) {
    scenario(move |sim| async move {
        sim.cluster().create_topic("t", 2);
        let kafka = kafka(&sim).await;
        for partition in 0..2 {
            fill(&kafka, "t", partition, 0..10).await;
        }
        let mut first = member(&kafka, "t", |c| c.set("enable.auto.commit", false));
        read(&sim, &mut first, 20).await;
        first.commit_sync_offsets(Offsets::new().with(("t", 0), 5).with(("t", 1), 5)).await.expect("committed");
        first.close().await.expect("closed");
        spoil(&sim);
        for policy in ["earliest", "latest"] {
            let mut next = member(&kafka, "t", |c| c.set("enable.auto.commit", false).set("auto.offset.reset", policy));
            let got = read(&sim, &mut next, 10).await;
            let mut offsets: Vec<(i32, i64)> = got.iter().map(|row| (row.0, row.1)).collect();
            offsets.sort_unstable();
            let expected: Vec<(i32, i64)> = (0..2).flat_map(|p| (5..10).map(move |o| (p, o))).collect();
            assert_eq!(offsets, expected, "{policy}");
            next.close().await.expect("closed");
        }
    });
}

#[test]
fn oc_17_a_partition_that_the_answer_leaves_out_is_asked_for_again() {
    resumes(|sim| {
        sim.cluster().fault(Api::OffsetFetch).times(1 + sim.seed() % 3).omit_after_apply();
    });
}

#[test]
fn oc_18_rc_10_an_unstable_offset_is_asked_for_until_it_is_stable() {
    resumes(|sim| {
        sim.cluster().fault(Api::OffsetFetch).times(20 + sim.seed()).error(88);
    });
}

#[test]
fn oc_17_a_group_error_is_not_read_as_no_offset() {
    resumes(|sim| {
        let code = [14, 15, 16][usize::try_from(sim.seed() % 3).unwrap()];
        sim.cluster().fault(Api::OffsetFetch).times(2).error(code);
    });
}

#[test]
fn oc_25_an_acknowledgement_of_a_past_ownership_commits_nothing() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        fill(&kafka, "t", 0, 0..20).await;
        let config = reader().auto_commit(klamm::config::AutoCommit::Acked(ms(50)));
        let mut consumer = kafka.consumer_with(config.set("max.poll.records", 5)).expect("a good configuration");
        consumer.subscribe(["t"]).expect("a subscription");
        let batch = hold(&sim, &mut consumer).await;
        let ids: Vec<klamm::RecordId> = batch.iter().map(klamm::RecordId::from).collect();
        drop(batch);
        assert!(consumer.ack(ids[1].clone()), "out of order, as may be");
        sim.sleep(ms(500)).await;
        assert_eq!(committed(&sim, "t", 0).unwrap_or(0), 0, "the first is not done");
        consumer.unsubscribe().await.expect("done");
        assert!(!consumer.ack(ids[0].clone()), "it is not its own any more");
        sim.sleep(ms(500)).await;
        assert_eq!(committed(&sim, "t", 0).unwrap_or(0), 0);
    });
}
