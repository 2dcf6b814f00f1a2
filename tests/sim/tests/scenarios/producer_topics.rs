//! 2.1: topics that come, go, move and are refused while they are written to.

use crate::rig::*;
use klamm::{ErrorKind, Purge, Record};

#[test]
fn pr_08_a_topic_that_was_forgotten_for_idleness_is_written_to_again() {
    few(|sim| async move {
        sim.cluster().create_topic("a", 1);
        sim.cluster().create_topic("b", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("metadata.max.idle.ms", 5_000).set("max.block.ms", 3_000));
        for round in 0..4 {
            let b = producer.send(Record::to("b").value(&format!("b-{round}"))).await;
            assert!(b.is_ok(), "round {round}: {b:?}");
            // Nobody writes to b for longer than it is kept; a alone is asked for meanwhile.
            for i in 0..4 {
                let a = producer.send(Record::to("a").value(&format!("a-{round}{i}"))).await;
                assert!(a.is_ok(), "round {round}: {a:?}");
                sim.sleep(ms(2_500)).await;
            }
        }
        assert_eq!(log(&sim, "b"), ["b-0", "b-1", "b-2", "b-3"]);
    });
}

#[test]
fn pr_09_records_for_a_partition_without_leader_wait_for_one() {
    few(|sim| async move {
        sim.cluster().create_topic_with("t", 1, 1, &[]);
        let leader = sim.cluster().leader("t", 0).expect("it is up");
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("batch.size", 60));
        let mut results = send_all(&producer, "t", "s", 0..5).await;
        sim.cluster().kill_broker(leader);
        sim.sleep(ms(3_000)).await;
        assert_eq!(sim.cluster().leader("t", 0), None);
        let waiting = send_to(&producer, "t", 0, "s", 5..15);
        sim.sleep(ms(20_000)).await;
        assert!(waiting.iter().all(|(_, d)| !d.is_ready()), "they fail before their time");
        sim.cluster().start_broker(leader);
        results.extend(outcomes(waiting).await);
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        judge_log(&sim, "t", &results);
    });
}

#[test]
fn pr_10_a_broker_that_does_not_yet_know_a_new_partition_takes_nothing_back() {
    few(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka_with(&sim, |c| c.set("metadata.max.age.ms", 500)).await;
        let producer = producer(&kafka, |c| c.set("linger.ms", 3_000));
        let topic = producer.topic("t");
        topic.ready().await.expect("it is there");
        sim.cluster().with(|b, now| b.add_partitions(now, "t", 2));
        while topic.partition_count() != Some(2) {
            sim.sleep(ms(100)).await;
        }
        let mut sent = send_to(&producer, "t", 1, "s", 0..10);
        // Whoever is asked from now on knows nothing of it.
        match sim.seed() % 3 {
            0 => sim.cluster().fault(Api::Metadata).times(4).error_after_apply(3),
            1 => sim.cluster().fault(Api::Metadata).times(4).omit_after_apply(),
            _ => sim.cluster().fault(Api::Metadata).times(4).error(5),
        }
        sim.sleep(ms(1_500)).await;
        sent.extend(send_to(&producer, "t", 1, "s", 10..20));
        let results = outcomes(sent).await;
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        judge_log(&sim, "t", &results);
    });
}

#[test]
fn pr_11_a_topic_that_a_restarting_broker_does_not_know_is_written_to_again() {
    few(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("batch.size", 60));
        let mut results = send_all(&producer, "t", "s", 0..5).await;
        // Before and after the append, and each look at the topic meanwhile.
        sim.cluster().fault(Api::Metadata).times(4).error_after_apply(3);
        if sim.seed() % 2 == 0 {
            sim.cluster().fault(Api::Produce).times(3).error(3);
        } else {
            sim.cluster().fault(Api::Produce).times(3).error_after_apply(3);
        }
        results.extend(send_all(&producer, "t", "s", 5..15).await);
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        judge_log(&sim, "t", &results);
        // One that is asked for the first time may take a while to be known, too.
        sim.cluster().create_topic("new", 1);
        sim.cluster().fault(Api::Metadata).on_topic("new").times(3).error_after_apply(3);
        producer.send(Record::to("new").value("v")).await.expect("it is there in the end");
    });
}

#[test]
fn pr_14_a_flush_says_what_could_not_be_written_because_the_topic_is_gone() {
    few(|sim| async move {
        sim.cluster().create_topic("t", 2);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| {
            c.set("linger.ms", 2_000).set("delivery.timeout.ms", 9_000).set("request.timeout.ms", 1_000)
        });
        producer.topic("t").ready().await.expect("it is there");
        for i in 0..10 {
            drop(producer.send(Record::to("t").partition(i % 2).value(&format!("s-{i}"))));
        }
        sim.cluster().fault(Api::Metadata).on_topic("t").always().error(3);
        sim.cluster().delete_topic("t");
        let error = producer.flush().await.expect_err("nothing of it is written");
        assert_eq!(error.kind(), ErrorKind::Undelivered, "{error}");
        assert!(error.to_string().contains("10"), "{error}");
        assert_eq!(producer.buffered().memory(), 0);
        producer.flush().await.expect("it was told");
    });
}

#[test]
fn pr_27_while_its_leader_moves_a_partition_is_written_to_one_broker_at_a_time() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("batch.size", 80).set("linger.ms", 2));
        producer.topic("t").ready().await.expect("it is there");
        let mut sent = Vec::new();
        for round in 0..10 {
            sent.extend(send_to(&producer, "t", 0, "s", round * 8..round * 8 + 8));
            sim.sleep(ms(1 + (round + sim.seed()) % 4)).await;
            let to = i32::try_from(1 + (round + sim.seed()) % 3).unwrap();
            sim.cluster().move_leader("t", 0, to).expect("it is up");
        }
        let results = outcomes(sent).await;
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        judge_log(&sim, "t", &results);
    });
}

#[test]
fn pr_34_what_is_forbidden_on_one_topic_is_told_of_that_topic_only() {
    few(|sim| async move {
        sim.cluster().create_topic("x", 1);
        sim.cluster().create_topic("y", 1);
        // Two leaders: a fault of one request must not be both topics'.
        sim.cluster().move_leader("x", 0, 1).expect("it is up");
        sim.cluster().move_leader("y", 0, 2).expect("it is up");
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("linger.ms", 20));
        producer.topic("y").ready().await.expect("it is there");
        if sim.seed() % 2 == 0 {
            sim.cluster().fault(Api::Metadata).on_topic("x").always().error_after_apply(29);
        } else {
            sim.cluster().fault(Api::Produce).on_topic("x").always().error(29);
        }
        // Side by side: the error of one must not be what the other is told.
        let both: Vec<_> = (0..10)
            .map(|i| {
                let value = format!("s-{i}");
                (producer.send(Record::to("x").value(&value)), producer.send(Record::to("y").value(&value)))
            })
            .collect();
        for (x, y) in both {
            let error = x.await.expect_err("it is forbidden");
            assert_eq!((error.kind(), error.topic()), (ErrorKind::Authorization, Some("x")), "{error}");
            y.await.expect("y is not");
        }
        sim.cluster().clear_faults();
        producer.send(Record::to("y").value("s-10")).await.expect("y was never forbidden");
        producer.send(Record::to("x").value("s-10")).await.expect("x is allowed now");
    });
}

#[test]
fn pr_37_a_partition_that_does_not_exist_is_refused_with_what_there_is() {
    few(|sim| async move {
        sim.cluster().create_topic("t", 3);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("max.block.ms", 2_000));
        // Refused when its turn comes, if the topic is not known yet, and at the call afterwards.
        for round in 0..2 {
            for wrong in [3, -1, i32::MAX, i32::MIN] {
                let delivery = producer.send(Record::to("t").partition(wrong).value("v"));
                assert!(round == 0 || delivery.is_ready(), "{wrong} is looked at late");
                let error = delivery.await.expect_err("there is none");
                assert_eq!((error.kind(), error.possibly_written()), (ErrorKind::Misuse, false), "{error}");
                assert!(error.to_string().contains(&wrong.to_string()) && error.to_string().contains('3'), "{error}");
            }
            producer.send(Record::to("t").partition(2).value("s-0")).await.expect("that is one");
        }
        // A topic without partitions is one that is not ready yet.
        sim.cluster().create_topic("none", 0);
        let error = producer.send(Record::to("none").key("k").value("v")).await.expect_err("nowhere to go");
        assert!(!error.possibly_written() && error.is_retriable(), "{error:?}");
        sim.cluster().with(|b, now| b.add_partitions(now, "none", 1));
        producer.send(Record::to("none").key("k").value("v")).await.expect("it is ready");
    });
}

#[test]
fn pr_39_a_purge_reaches_what_moves_or_is_new_and_ends() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 2);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("batch.size", 60).set("request.timeout.ms", 2_000));
        producer.topic("t").ready().await.expect("it is there");
        sim.cluster().fault(Api::Produce).times(2).delay(ms(500));
        let mut sent = Vec::new();
        for partition in 0..2 {
            sent.extend(send_to(&producer, "t", partition, &format!("p{partition}"), 0..20));
        }
        // Of a topic that nobody has heard of, too.
        let unknown = producer.send(Record::to("new").value("n-0"));
        sim.sleep(ms(sim.seed() * 7)).await;
        sim.cluster().move_leader("t", 0, i32::try_from(1 + sim.seed() % 3).unwrap()).expect("it is up");
        sim.cluster().with(|b, now| b.add_partitions(now, "t", 4));
        let what = if sim.seed() % 2 == 0 { Purge::Queued } else { Purge::All };
        within(&sim, ms(10_000), producer.purge(what)).await.expect("it ends").expect("and says so");
        let results = outcomes(sent).await;
        for (value, result) in &results {
            assert!(
                result.as_ref().is_ok_and(|()| true) || result.as_ref().is_err_and(|e| e.kind() == ErrorKind::Aborted),
                "{value}: {result:?}"
            );
        }
        assert!(results.iter().any(|(_, r)| r.is_err()), "nothing of it was purged");
        // It may have been written before the purge came.
        assert!(unknown.await.is_ok_and(|_| true) || log(&sim, "new").is_empty());
        producer.partitions_for("t").await.expect("it is there");
        let mut after = Vec::new();
        for partition in 0..2 {
            after.extend(send_to(&producer, "t", partition, &format!("q{partition}"), 0..5));
        }
        let after = outcomes(after).await;
        assert!(after.iter().all(|(_, r)| r.is_ok()), "{after:?}");
        assert_eq!(producer.buffered().memory(), 0);
        sim.sleep(ms(3_000)).await;
        judge_log(&sim, "t", &results);
        judge_log(&sim, "t", &after);
    });
}
