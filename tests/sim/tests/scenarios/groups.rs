//! 2.7: membership in a classic group.

use crate::rig::*;
use klamm::config::AutoCommit;
use klamm::{ErrorKind, Record};
use klamm_cluster::EventError;
use std::collections::BTreeSet;

#[test]
fn gr_04_a_join_that_meets_trouble_keeps_its_member_id() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 2);
        let kafka = kafka(&sim).await;
        let mut consumer = member(&kafka, "t", |c| c);
        joined(&sim, &mut consumer).await;
        let before = consumer.group_metadata().expect("a group").member_id().to_owned();
        let cluster = sim.cluster();
        let fault = cluster.fault(if sim.seed() % 2 == 0 { Api::JoinGroup } else { Api::SyncGroup }).times(1);
        match sim.seed() % 3 {
            0 => fault.error(14),
            1 => fault.error(15),
            _ => fault.disconnect_after_apply(),
        }
        consumer.enforce_rebalance("for the test");
        let end = sim.elapsed() + ms(30_000);
        while sim.elapsed() < end {
            consumer.poll(ms(100)).await.ok();
        }
        assert_eq!(consumer.assignment().len(), 2);
        assert_eq!(consumer.group_metadata().expect("a group").member_id(), before);
    });
}

#[test]
fn gr_07_partitions_that_stay_over_a_rebalance_are_read_on() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 2);
        let kafka = kafka(&sim).await;
        sim.cluster().fault(Api::OffsetFetch).times(2).delay(ms(500 + sim.seed() * 50));
        let mut consumer = member(&kafka, "t", |c| c);
        joined(&sim, &mut consumer).await;
        consumer.enforce_rebalance("for the test");
        fill(&kafka, "t", 0, 0..10).await;
        fill(&kafka, "t", 1, 0..10).await;
        let got: BTreeSet<(i32, i64)> =
            read(&sim, &mut consumer, 20).await.into_iter().map(|row| (row.0, row.1)).collect();
        assert_eq!(got.len(), 20, "{got:?}");
    });
}

#[test]
fn gr_10_a_close_while_the_join_is_under_way_leaves_no_ghost() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        sim.cluster().fault(Api::JoinGroup).times(2).delay(ms(sim.seed() * 40));
        let mut consumer = member(&kafka, "t", |c| c);
        drop(within(&sim, ms(20 + sim.seed() * 25), consumer.poll(ms(5_000))).await);
        consumer.close().await.expect("closed");
        let begun = sim.elapsed();
        let mut next = member(&kafka, "t", |c| c.session_timeout(ms(30_000)));
        joined(&sim, &mut next).await;
        assert!(sim.elapsed() - begun < ms(5_000), "it waited for a ghost: {:?}", sim.elapsed() - begun);
    });
}

#[test]
fn gr_16_an_answer_to_the_sync_that_cannot_be_read_is_no_assignment() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 2);
        let kafka = kafka(&sim).await;
        sim.cluster().fault(Api::SyncGroup).times(1 + sim.seed() % 2).truncate_after_apply();
        let mut consumer = member(&kafka, "t", |c| c);
        fill(&kafka, "t", 0, 0..5).await;
        fill(&kafka, "t", 1, 0..5).await;
        assert_eq!(read(&sim, &mut consumer, 10).await.len(), 10);
    });
}

#[test]
fn gr_24_who_hears_nothing_of_its_coordinator_takes_itself_for_dead() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        fill(&kafka, "t", 0, 0..5).await;
        let mut consumer = member(&kafka, "t", |c| c.session_timeout(ms(6_000)));
        read(&sim, &mut consumer, 5).await;
        let cluster = sim.cluster();
        cluster.fault(Api::Heartbeat).always().silence();
        cluster.fault(Api::FindCoordinator).always().silence();
        let begun = sim.elapsed();
        let mut lost = false;
        while !lost && sim.elapsed() - begun < ms(30_000) {
            match consumer.poll(ms(100)).await {
                Ok(Some(batch)) => lost = !batch.lost().is_empty(),
                Ok(None) => panic!("closed"),
                Err(error) => lost = error.kind() == ErrorKind::GroupLost,
            }
        }
        assert!(lost && sim.elapsed() - begun < ms(8_000), "after {:?}", sim.elapsed() - begun);
        assert!(consumer.assignment().is_empty());
        cluster.clear_faults();
        fill(&kafka, "t", 0, 5..10).await;
        let mut back = 0;
        while back < 5 {
            if let Ok(Some(batch)) = consumer.poll(ms(200)).await {
                back += batch.iter().filter(|r| r.offset() >= 5).count();
            }
            assert!(sim.elapsed() < ms(300_000), "it does not come back");
        }
    });
}

#[test]
fn gr_32_the_member_id_that_a_coordinator_gives_is_used() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let mut consumer = member(&kafka, "t", |c| c);
        joined(&sim, &mut consumer).await;
        assert!(sim.elapsed() < ms(10_000), "{:?}", sim.elapsed());
        assert!(!consumer.group_metadata().expect("a group").member_id().is_empty());
    });
}

#[test]
fn gr_09_who_leaves_is_not_waited_for() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 2);
        let kafka = kafka(&sim).await;
        let (mut first, mut second) = (member(&kafka, "t", |c| c), member(&kafka, "t", |c| c));
        let end = sim.elapsed() + ms(60_000);
        while (first.assignment().len() != 1 || second.assignment().len() != 1) && sim.elapsed() < end {
            first.poll(ms(50)).await.expect("nothing is wrong");
            second.poll(ms(50)).await.expect("nothing is wrong");
        }
        second.close().await.expect("closed");
        let begun = sim.elapsed();
        while first.assignment().len() < 2 {
            first.poll(ms(50)).await.expect("nothing is wrong");
            assert!(sim.elapsed() - begun < ms(4_000), "it waits for the session's end");
        }
    });
}

#[test]
fn gr_13_a_group_goes_on_where_its_coordinator_goes() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 2);
        let kafka = kafka(&sim).await;
        let mut consumer = member(&kafka, "t", |c| c);
        joined(&sim, &mut consumer).await;
        for round in 0..4u64 {
            let to = 1 + i32::try_from((sim.seed() + round) % 3).unwrap();
            let moved: Result<(), EventError> = sim.cluster().move_coordinator("readers", to);
            moved.expect("it is up");
            fill(&kafka, "t", 0, round * 5..round * 5 + 5).await;
            assert_eq!(read(&sim, &mut consumer, 5).await.len(), 5);
            consumer.commit_sync().await.expect("committed");
            assert_eq!(committed(&sim, "t", 0), Some(i64::try_from(round).unwrap() * 5 + 5));
        }
    });
}

#[test]
fn co_21_nothing_of_a_partition_that_goes_is_handed_out() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 2);
        let kafka = kafka(&sim).await;
        fill(&kafka, "t", 0, 0..200).await;
        fill(&kafka, "t", 1, 0..200).await;
        let mut first = member(&kafka, "t", |c| c.set("max.poll.records", 2).set("heartbeat.interval.ms", 100));
        assert!(!read(&sim, &mut first, 2).await.is_empty());
        let second = member(&kafka, "t", |c| c);
        let other = sim.clone();
        sim.spawn(async move {
            let mut second = second;
            while other.elapsed() < ms(20_000) {
                second.poll(ms(100)).await.ok();
            }
        });
        let mut revoking: BTreeSet<i32> = BTreeSet::new();
        let mut revoked = false;
        for _ in 0..60 {
            let batch = first.poll(ms(50)).await.expect("nothing is wrong").expect("open");
            batch.assigned().iter().for_each(|tp| {
                revoking.remove(&tp.partition);
            });
            for record in &batch {
                assert!(!revoking.contains(&record.partition()), "{} goes", record.partition());
            }
            revoking.extend(batch.revoking().iter().map(|tp| tp.partition));
            revoked |= !revoking.is_empty();
            sim.sleep(ms(20)).await;
        }
        assert!(revoked, "there was no rebalance to be seen");
    });
}

#[test]
fn gr_24_who_took_itself_for_dead_comes_back_as_another_member() {
    few(|sim| async move {
        sim.cluster().create_topic("t", 2);
        sim.cluster().create_topic("books", 1);
        let kafka = kafka(&sim).await;
        let mut leader = member(&kafka, "t", |c| c.session_timeout(ms(60_000)));
        joined(&sim, &mut leader).await;
        let mut second = member(&kafka, "t", |c| c.session_timeout(ms(6_000)).auto_commit(AutoCommit::Off));
        while leader.assignment().len() != 1 || second.assignment().len() != 1 {
            leader.poll(ms(50)).await.expect("nothing is wrong");
            second.poll(ms(50)).await.expect("nothing is wrong");
        }
        fill(&kafka, "t", 0, 0..1).await;
        fill(&kafka, "t", 1, 0..1).await;
        let mut producer = kafka.transactional_producer("clerk").await.expect("a producer");
        let mut batch = None;
        while batch.is_none() {
            batch = second.poll(ms(200)).await.expect("nothing is wrong").filter(|batch| !batch.is_empty());
        }
        let batch = batch.expect("a batch");
        let given = batch.iter().next().map(|r| (r.partition(), r.offset())).expect("a record");
        let group = batch.group_metadata().expect("it is a member");
        let txn = producer.begin_transaction().expect("it begins");
        txn.send(Record::to("books").value("first")).await.expect("written");
        // It hears nothing of its coordinator, and the next one takes every member for alive.
        sim.cluster().fault(Api::Heartbeat).always().silence();
        sim.sleep(ms(4_000)).await;
        let to = 1 + i32::try_from(sim.seed() % 3).expect("a small number");
        sim.cluster().move_coordinator("readers", to).expect("it is up");
        sim.sleep(ms(3_500)).await;
        sim.cluster().clear_faults();
        // What it did as the member that it was, or what it does as the one that it is now: never both.
        drop(txn.send_offsets(&batch, &group));
        let ended = txn.commit().await;
        let first = ended.is_ok();
        let mut again = false;
        let end = sim.elapsed() + ms(60_000);
        while sim.elapsed() < end && !again {
            for consumer in [&mut leader, &mut second] {
                if let Ok(Some(more)) = consumer.poll(ms(50)).await {
                    again |= more.iter().any(|r| (r.partition(), r.offset()) == given);
                }
            }
        }
        assert_ne!(first, again, "committed: {ended:?}, read again: {again}");
    });
}
