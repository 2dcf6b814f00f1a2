//! 2.2: sequence numbers, epochs, unknown outcomes.

use crate::rig::*;
use klamm::{ErrorKind, Record};
use std::collections::BTreeSet;

#[test]
fn id_01_a_topic_that_metadata_leaves_out_for_a_while_keeps_its_numbers() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("batch.size", 60));
        let mut results = send_all(&producer, "t", "s", 0..10).await;
        sim.cluster().fault(Api::Metadata).times(3).omit_after_apply();
        sim.cluster().move_leader("t", 0, 1 + i32::try_from(sim.seed() % 3).unwrap()).expect("it is there");
        results.extend(send_all(&producer, "t", "s", 10..30).await);
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        judge_log(&sim, "t", &results);
    });
}

#[test]
fn id_02_what_was_written_without_an_answer_is_sent_again_as_it_was() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("batch.size", 60).set("request.timeout.ms", 1_000));
        let cluster = sim.cluster();
        let fault = cluster.fault(Api::Produce).after(sim.seed() % 4).times(1 + sim.seed() % 3);
        if sim.seed() % 2 == 0 {
            fault.disconnect_after_apply()
        } else {
            fault.silence_after_apply()
        }
        let results = send_all(&producer, "t", "s", 0..25).await;
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        judge_log(&sim, "t", &results);
    });
}

#[test]
fn id_04_an_error_that_comes_after_the_append_is_no_failure() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("batch.size", 60));
        let code = [7, 6, 3, 56, -1, 20][usize::try_from(sim.seed() % 6).unwrap()];
        sim.cluster().fault(Api::Produce).after(sim.seed() % 3).times(2).error_after_apply(code);
        let results = send_all(&producer, "t", "s", 0..25).await;
        // UNKNOWN_SERVER_ERROR is not retried, but told as what may be written.
        assert!(code == -1 || results.iter().all(|(_, r)| r.is_ok()), "{code}: {results:?}");
        judge_log(&sim, "t", &results);
    });
}

#[test]
fn id_05_a_new_epoch_for_one_partition_leaves_what_another_has_on_the_wire() {
    scenario(|sim| async move {
        sim.cluster().create_topic("a", 1);
        sim.cluster().create_topic("b", 1);
        // Two leaders: what is done to one must not be done to the other.
        sim.cluster().move_leader("a", 0, 1).expect("it is up");
        sim.cluster().move_leader("b", 0, 2).expect("it is up");
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("batch.size", 60));
        for topic in ["a", "b"] {
            producer.send(Record::to(topic).value("s-0")).await.expect("written");
        }
        sim.cluster().fault(Api::Produce).on_topic("b").times(2).disconnect_after_apply();
        sim.cluster().fault(Api::Produce).on_topic("a").times(1).error(45);
        let (first, second) = (producer.clone(), producer.clone());
        let results = std::rc::Rc::new(std::cell::RefCell::new(None));
        let out = results.clone();
        sim.spawn(async move {
            let of_a = send_all(&first, "a", "s", 1..12).await;
            *out.borrow_mut() = Some(of_a);
        });
        let of_b = send_all(&second, "b", "s", 1..12).await;
        while results.borrow().is_none() {
            sim.sleep(ms(10)).await;
        }
        let of_a = results.take().expect("it ended");
        assert!(of_a.iter().chain(&of_b).all(|(_, r)| r.is_ok()), "{of_a:?} {of_b:?}");
        judge_log(&sim, "a", &of_a);
        judge_log(&sim, "b", &of_b);
    });
}

#[test]
fn id_06_after_a_new_epoch_every_partition_begins_at_zero_in_it() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 3);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c);
        for partition in 0..3 {
            producer.send(Record::to("t").partition(partition).value("s-0")).await.expect("written");
        }
        sim.cluster().fault(Api::Produce).times(1).error(59);
        for partition in 0..3 {
            producer.send(Record::to("t").partition(partition).value("s-1")).await.expect("written");
        }
        for partition in 0..3 {
            let of: Vec<_> = sim.cluster().records("t").into_iter().filter(|r| r.partition == partition).collect();
            let stamps: Vec<(i16, i32)> = of.iter().map(|r| (r.producer_epoch, r.sequence)).collect();
            assert!(stamps == [(0, 0), (1, 0)] || stamps == [(0, 0), (0, 1)], "{partition}: {stamps:?}");
        }
    });
}

#[test]
fn id_10_a_record_that_is_refused_here_leaves_no_gap() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("max.request.size", 1_000).set("batch.size", 100));
        for i in 0..10 {
            let value = "x".repeat(if i % 3 == 1 { 5_000 } else { 40 });
            let sent = producer.send(Record::to("t").value(&value)).await;
            assert_eq!(sent.is_ok(), i % 3 != 1, "{sent:?}");
        }
        let numbers: Vec<i32> = sim.cluster().records("t").iter().map(|r| r.sequence).collect();
        assert_eq!(numbers, (0..numbers.len() as i32).collect::<Vec<_>>());
    });
}

#[test]
fn id_11_no_batch_of_an_idempotent_producer_goes_without_a_producer_id() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 2);
        sim.cluster().fault(Api::InitProducerId).times(1 + sim.seed() % 3).disconnect();
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c);
        let results = send_all(&producer, "t", "s", 0..10).await;
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        let ids: BTreeSet<i64> = sim.cluster().records("t").iter().map(|r| r.producer_id).collect();
        assert!(ids.iter().all(|id| *id >= 0) && ids.len() == 1, "{ids:?}");
    });
}

#[test]
fn id_12_a_broker_that_forgot_an_idle_producer_is_written_to_again() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c);
        let mut results = send_all(&producer, "t", "s", 0..5).await;
        sim.sleep(ms(300_000)).await;
        let code = if sim.seed() % 2 == 0 { 59 } else { 45 };
        sim.cluster().fault(Api::Produce).times(1).error(code);
        results.extend(send_all(&producer, "t", "s", 5..15).await);
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        judge_log(&sim, "t", &results);
    });
}

#[test]
fn id_14_a_refused_producer_is_told_so_at_once() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c);
        sim.cluster().fault(Api::Produce).times(1).error(31);
        let error = producer.send(Record::to("t").value("s-0")).await.expect_err("refused");
        assert!(!error.is_retriable() && error.kind() != ErrorKind::Timeout, "{error:?}");
        assert!(sim.elapsed() < ms(20_000), "{:?}", sim.elapsed());
    });
}

#[test]
fn id_18_the_halves_of_a_batch_that_is_too_large_stand_in_its_place() {
    scenario(|sim| async move {
        sim.cluster().create_topic_with("t", 1, 3, &[("max.message.bytes", "600")]);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("batch.size", 4_000).set("linger.ms", 5));
        let sent: Vec<_> = (0..40u64)
            .map(|i| {
                let value = format!("s-{i}-{}", "x".repeat(50));
                let delivery = producer.send(Record::to("t").value(&value));
                (value, delivery)
            })
            .collect();
        let mut results = Vec::new();
        for (value, delivery) in sent {
            results.push((value, delivery.await.map(drop)));
        }
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        judge_log(&sim, "t", &results);
    });
}

#[test]
fn id_02_no_more_batches_are_under_way_than_brokers_remember() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("batch.size", 0));
        let mut results = send_all(&producer, "t", "s", 0..3).await;
        // The requests that the broker has not read yet pile up behind this one; then all answers are lost.
        sim.cluster().fault(Api::Produce).after(sim.seed() % 3).times(1).delay(ms(300));
        sim.cluster().fault(Api::Produce).after(4 + sim.seed() % 5).times(1).disconnect_after_apply();
        results.extend(send_all(&producer, "t", "s", 3..40).await);
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        judge_log(&sim, "t", &results);
    });
}
