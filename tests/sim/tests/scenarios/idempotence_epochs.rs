//! 2.2: new epochs and ids, leaders that move, batches that are given up.

use crate::rig::*;
use klamm::{ErrorKind, Purge};
use std::collections::BTreeSet;

/// Epoch and sequence number of each record of a topic.
fn stamps(sim: &klamm_sim::Sim, topic: &str) -> Vec<(i16, i32)> {
    sim.cluster().records(topic).iter().map(|r| (r.producer_epoch, r.sequence)).collect()
}

#[test]
fn id_03_a_batch_that_is_sent_again_has_its_old_boundaries_whatever_was_sent_since() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer =
            producer(&kafka, |c| c.set("batch.size", 200).set("linger.ms", 4).set("request.timeout.ms", 800));
        let mut sent = send_to(&producer, "t", 0, "s", 0..3);
        sim.sleep(ms(100)).await;
        let cluster = sim.cluster();
        let fault = cluster.fault(Api::Produce).after(sim.seed() % 2).times(2);
        match sim.seed() % 4 {
            0 => fault.disconnect(),
            1 => fault.disconnect_after_apply(),
            2 => fault.silence_after_apply(),
            _ => fault.error_after_apply(7),
        }
        // Half a batch each time, so that what comes back could be filled up.
        for i in 0..10 {
            sent.extend(send_to(&producer, "t", 0, "s", 3 + i * 3..6 + i * 3));
            sim.sleep(ms(1 + (i * sim.seed()) % 60)).await;
        }
        let results = outcomes(sent).await;
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        judge_log(&sim, "t", &results);
        let stamps = stamps(&sim, "t");
        assert_eq!(stamps, (0..33).map(|i| (0, i)).collect::<Vec<_>>(), "one epoch, no number twice");
    });
}

#[test]
fn id_07_behind_the_last_epoch_comes_a_new_producer_id() {
    few(|sim| async move {
        sim.cluster().create_topic("t", 1);
        sim.cluster().with(|b, _| b.set_first_epoch(i16::MAX - 1));
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("batch.size", 60));
        let mut results = Vec::new();
        for round in 0..4u64 {
            results.extend(send_all(&producer, "t", "s", round * 5..round * 5 + 5).await);
            sim.cluster().fault(Api::Produce).times(1).error(45);
        }
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        judge_log(&sim, "t", &results);
        let all = sim.cluster().records("t");
        let who: Vec<(i64, i16)> = all.iter().map(|r| (r.producer_id, r.producer_epoch)).collect();
        let ids: BTreeSet<i64> = who.iter().map(|(id, _)| *id).collect();
        assert!(ids.len() == 2 && who.iter().all(|(_, epoch)| *epoch >= i16::MAX - 1), "{who:?}");
    });
}

#[test]
fn id_13_a_producer_id_that_cannot_be_had_at_once_is_asked_for_again() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 2);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("request.timeout.ms", 700));
        let cluster = sim.cluster();
        let fault = cluster.fault(Api::InitProducerId).times(1 + sim.seed() % 3);
        match sim.seed() % 8 {
            0 => fault.disconnect(),
            1 => fault.silence(),
            2 => fault.truncate_after_apply(),
            3 => fault.disconnect_after_apply(),
            n => fault.error([14, 15, 16, 51][n as usize - 4]),
        }
        if sim.seed() >= 8 {
            // Two of three are down, and nobody knows which.
            sim.cluster().kill_broker(1 + (sim.seed() % 3) as i32);
            sim.cluster().kill_broker(1 + ((sim.seed() + 1) % 3) as i32);
            let cluster = sim.cluster();
            let (sim2, seed) = (sim.clone(), sim.seed());
            sim.spawn(async move {
                sim2.sleep(ms(4_000)).await;
                cluster.start_broker(1 + (seed % 3) as i32);
                cluster.start_broker(1 + ((seed + 1) % 3) as i32);
            });
        }
        let results = send_all(&producer, "t", "s", 0..10).await;
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        judge_log(&sim, "t", &results);
        assert!(sim.cluster().records("t").iter().all(|r| r.producer_id >= 0));
    });
}

#[test]
fn id_15_a_new_leader_gets_nothing_while_the_old_one_owes_answers() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        sim.cluster().move_leader("t", 0, 1).expect("it is up");
        // Every change is known to the client soon, and long before the old leader answers.
        let kafka = kafka_with(&sim, |c| c.set("metadata.max.age.ms", 100)).await;
        let producer = producer(&kafka, |c| c.set("batch.size", 60).set("request.timeout.ms", 5_000));
        let mut results = send_all(&producer, "t", "s", 0..5).await;
        let cluster = sim.cluster();
        let fault = cluster.fault(Api::Produce).on_broker(1).times(2);
        if sim.seed() % 2 == 0 {
            fault.delay(ms(700));
        } else {
            fault.delay_before_apply(ms(700));
        }
        let mut sent = send_to(&producer, "t", 0, "r", 0..12);
        sim.sleep(ms(50 + sim.seed() * 3)).await;
        sim.cluster().move_leader("t", 0, 2).expect("it is up");
        sim.sleep(ms(300)).await;
        sent.extend(send_to(&producer, "t", 0, "r", 12..20));
        results.extend(outcomes(sent).await);
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        judge_log(&sim, "t", &results);
        assert!(stamps(&sim, "t").iter().all(|(epoch, _)| *epoch == 0), "a new epoch for nothing");
    });
}

#[test]
fn id_16_batches_that_wait_with_numbers_get_new_ones_with_the_new_epoch() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("batch.size", 60));
        let mut results = send_all(&producer, "t", "s", 0..5).await;
        // Five are under way when one is refused for good or its window is forgotten.
        let code = [45, 59, 87, 47][(sim.seed() % 4) as usize];
        sim.cluster().fault(Api::Produce).after(sim.seed() % 5).times(1).error(code);
        results.extend(send_all(&producer, "t", "s", 5..40).await);
        let failed = results.iter().filter(|(_, r)| r.is_err()).count();
        assert!(failed <= usize::from(code == 87) * 8, "{code}: {results:?}");
        judge_log(&sim, "t", &results);
        let all = sim.cluster().records("t");
        let who: BTreeSet<(i64, i16)> = all.iter().map(|r| (r.producer_id, r.producer_epoch)).collect();
        assert_eq!(who.len(), 2, "{code}: {who:?}");
        for one in who {
            let of = all.iter().filter(|r| (r.producer_id, r.producer_epoch) == one).map(|r| r.sequence);
            let of: Vec<i32> = of.collect();
            assert_eq!(of, (0..of.len() as i32).collect::<Vec<_>>(), "{code}: a gap under {one:?}");
        }
    });
}

#[test]
fn id_17_a_process_that_was_frozen_beyond_its_deadlines_writes_nothing_twice_and_goes_on() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| {
            c.set("batch.size", 60)
                .set("linger.ms", 0)
                .set("request.timeout.ms", 2_000)
                .set("delivery.timeout.ms", 10_000)
        });
        let mut results = send_all(&producer, "t", "s", 0..5).await;
        let cluster = sim.cluster();
        let fault = cluster.fault(Api::Produce).after(sim.seed() % 3).times(1);
        match sim.seed() % 4 {
            0 => fault.silence_after_apply(),
            1 => fault.silence(),
            _ => fault.delay(ms(40)),
        }
        let sent = send_to(&producer, "t", 0, "s", 5..20);
        sim.sleep(ms(1 + sim.seed() * 4)).await;
        sim.freeze_clients(ms(if sim.seed() % 2 == 0 { 15_000 } else { 120_000 }));
        let while_frozen = send_to(&producer, "t", 0, "s", 20..25);
        results.extend(outcomes(sent).await);
        results.extend(outcomes(while_frozen).await);
        results.extend(send_all(&producer, "t", "s", 25..35).await);
        sim.sleep(ms(3_000)).await;
        judge_log(&sim, "t", &results);
        assert!(results[25..].iter().all(|(_, r)| r.is_ok()), "{:?}", &results[25..]);
    });
}

#[test]
fn id_19_what_is_given_up_under_way_is_told_as_perhaps_written_and_what_follows_is_written_once() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("batch.size", 60).set("linger.ms", 0));
        let mut results = send_all(&producer, "t", "s", 0..5).await;
        let cluster = sim.cluster();
        let fault = cluster.fault(Api::Produce).after(sim.seed() % 3).times(1);
        if sim.seed() % 2 == 0 {
            fault.delay(ms(600));
        } else {
            fault.delay_before_apply(ms(600));
        }
        let sent = send_to(&producer, "t", 0, "s", 5..20);
        sim.sleep(ms(20 + sim.seed() * 20)).await;
        // Nobody waits for some: that is not to give them up.
        let kept: Vec<_> = sent.into_iter().filter(|(value, _)| !value.ends_with('7')).collect();
        producer.purge(Purge::All).await.expect("it ends");
        let given_up = outcomes(kept).await;
        assert!(given_up.iter().all(|(_, r)| r.as_ref().map_or_else(|e| e.kind() == ErrorKind::Aborted, |()| true)));
        results.extend(given_up);
        results.extend(send_all(&producer, "t", "s", 20..40).await);
        assert!(results[results.len() - 20..].iter().all(|(_, r)| r.is_ok()), "{results:?}");
        sim.sleep(ms(2_000)).await;
        judge_log(&sim, "t", &results);
    });
}

#[test]
fn id_20_trouble_with_metadata_fails_no_batch_that_is_being_written() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 2);
        let kafka = kafka_with(&sim, |c| c.set("metadata.max.age.ms", 50)).await;
        let producer = producer(&kafka, |c| c.set("batch.size", 60).set("linger.ms", 0));
        let mut results = send_all(&producer, "t", "s", 0..5).await;
        let code = [3, 5, 17, 29][(sim.seed() % 4) as usize];
        sim.cluster().fault(Api::Metadata).times(8).error_after_apply(code);
        sim.cluster().fault(Api::Produce).times(3).delay(ms(400));
        let mut sent = Vec::new();
        for i in 1..8 {
            sent.extend(send_to(&producer, "t", 0, "a", i * 3..i * 3 + 3));
            sent.extend(send_to(&producer, "t", 1, "b", i * 3..i * 3 + 3));
            sim.sleep(ms(1 + sim.seed() * 10)).await;
        }
        results.extend(outcomes(sent).await);
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{code}: {results:?}");
        judge_log(&sim, "t", &results);
        assert!(stamps(&sim, "t").iter().all(|(epoch, _)| *epoch == 0), "a new epoch for nothing");
    });
}
