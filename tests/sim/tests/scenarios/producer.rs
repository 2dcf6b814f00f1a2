//! 2.1: order, delivery, buffering.

use crate::rig::*;
use klamm::{ErrorKind, Record};
use klamm_sim::workload::{Promise, judge};
use std::cell::RefCell;
use std::rc::Rc;

#[test]
fn pr_01_many_tasks_send_to_one_partition_and_each_keeps_its_order() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("batch.size", 60));
        let (all, left) = (Rc::new(RefCell::new(Vec::new())), Rc::new(RefCell::new(6)));
        for task in 0..6 {
            let (sim, producer, all, left) = (sim.clone(), producer.clone(), all.clone(), left.clone());
            sim.clone().spawn(async move {
                for i in 0..20u64 {
                    let value = format!("s{task}-{i}");
                    let delivery = producer.send(Record::to("t").value(&value));
                    if i % 5 == task % 5 {
                        sim.sleep(ms(1)).await;
                    }
                    all.borrow_mut().push((value, delivery));
                }
                *left.borrow_mut() -= 1;
            });
        }
        while *left.borrow() > 0 {
            sim.sleep(ms(5)).await;
        }
        let mut results = Vec::new();
        for (value, delivery) in all.take() {
            results.push((value, delivery.await.map(drop)));
        }
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        judge_log(&sim, "t", &results);
    });
}

#[test]
fn pr_02_only_what_was_written_is_acknowledged_also_behind_a_batch_that_failed() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("batch.size", 0));
        producer.topic("t").ready().await.expect("it is there");
        sim.cluster().fault(Api::Produce).after(sim.seed() % 4).times(1).error(87);
        let results = send_all(&producer, "t", "s", 0..12).await;
        assert_eq!(results.iter().filter(|(_, r)| r.is_err()).count(), 1, "{results:?}");
        judge_log(&sim, "t", &results);
    });
}

#[test]
fn pr_03_what_was_sent_before_close_has_its_outcome_and_nothing_is_taken_after_it() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 2);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("linger.ms", 10_000));
        producer.topic("t").ready().await.expect("it is there");
        let sent: Vec<_> =
            (0..30).map(|i| producer.send(Record::to("t").partition(i % 2).value(&format!("{i}")))).collect();
        let closing = producer.close();
        let late = producer.send(Record::to("t").partition(0).value("late"));
        closing.await.expect("all is written");
        assert!(sent.iter().all(klamm::Delivery::is_ready));
        assert_eq!(late.await.map_err(|e| e.kind()).map(drop), Err(ErrorKind::Closed));
        assert_eq!(log(&sim, "t").len(), 30);
    });
}

#[test]
fn pr_05_an_answer_that_cannot_be_read_leaves_one_copy() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("batch.size", 60));
        sim.cluster().fault(Api::Produce).after(sim.seed() % 3).times(2).truncate_after_apply();
        let results = send_all(&producer, "t", "s", 0..20).await;
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        judge_log(&sim, "t", &results);
    });
}

#[test]
fn pr_06_null_stays_null_and_empty_stays_empty() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c);
        producer.send(Record::to("t").key("a").null_header("h")).await.expect("written");
        producer.send(Record::to("t").key("").value("").header("h", "")).await.expect("written");
        let mut consumer = standalone(&kafka, "t", 1, |c| c);
        let mut got = Vec::new();
        while got.len() < 2 {
            let batch = consumer.poll(ms(500)).await.expect("a batch").expect("open");
            for r in &batch {
                let header = r.headers().iter().next().map(|h| h.value.map(<[u8]>::len));
                got.push((r.key().map(<[u8]>::len), r.value().map(<[u8]>::len), header));
            }
        }
        assert_eq!(got, [(Some(1), None, Some(None)), (Some(0), Some(0), Some(Some(0)))]);
        assert_eq!(sim.cluster().records("t")[0].value, None);
    });
}

#[test]
fn pr_12_a_topic_created_anew_while_it_is_written_to_gets_nothing_twice() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 2);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| {
            c.set("batch.size", 60).set("request.timeout.ms", 1_000).set("delivery.timeout.ms", 40_000)
        });
        if sim.seed() % 2 == 0 {
            sim.cluster().fault(Api::Produce).after(1).times(2).silence_after_apply();
        }
        let before = send_all(&producer, "t", "a", 0..15).await;
        assert!(before.iter().all(|(_, r)| r.is_ok()), "{before:?}");
        judge_log(&sim, "t", &before);
        sim.cluster().recreate_topic("t");
        let after = send_all(&producer, "t", "b", 0..15).await;
        assert!(after.iter().any(|(_, r)| r.is_ok()), "the new topic is written to: {after:?}");
        judge_log(&sim, "t", &after);
    });
}

#[test]
fn pr_12_what_may_be_in_the_log_of_a_deleted_topic_does_not_go_to_the_new_one() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("request.timeout.ms", 1_000).set("delivery.timeout.ms", 40_000));
        producer.send(Record::to("t").value("s-0")).await.expect("written");
        match sim.seed() % 3 {
            0 => sim.cluster().fault(Api::Produce).times(1).silence_after_apply(),
            1 => sim.cluster().fault(Api::Produce).times(1).delay(ms(3_000)),
            _ => sim.cluster().fault(Api::Produce).times(1).disconnect_after_apply(),
        }
        // Nobody is told of the new topic before the old one took the record.
        let doubtful = producer.send(Record::to("t").value("s-1"));
        while log(&sim, "t").len() < 2 {
            sim.sleep(ms(1)).await;
        }
        sim.cluster().recreate_topic("t");
        let outcome = doubtful.await;
        producer.send(Record::to("t").value("s-2")).await.expect("the new one is written to");
        assert_eq!(log(&sim, "t"), ["s-2"]);
        assert!(
            outcome.as_ref().is_ok_and(|_| true) || outcome.as_ref().is_err_and(klamm::Error::possibly_written),
            "{outcome:?}"
        );
    });
}

#[test]
fn pr_23_what_is_in_the_log_is_what_was_sent_also_when_batches_expire_on_the_wire() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| {
            c.set("batch.size", 60).set("request.timeout.ms", 500).set("delivery.timeout.ms", 600)
        });
        sim.cluster().fault(Api::Produce).times(2).delay_before_apply(ms(2_000));
        let mut results = send_all(&producer, "t", "a", 0..20).await;
        results.extend(send_all(&producer, "t", "b", 0..20).await);
        sim.sleep(ms(5_000)).await;
        judge_log(&sim, "t", &results);
        let sent: Vec<&String> = results.iter().map(|(value, _)| value).collect();
        assert!(log(&sim, "t").iter().all(|value| sent.contains(&value)));
    });
}

#[test]
fn pr_26_without_idempotence_a_retry_does_not_land_behind_its_successor() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| {
            c.set("enable.idempotence", false).set("max.in.flight.requests.per.connection", 5).set("batch.size", 0)
        });
        sim.cluster().fault(Api::Produce).after(sim.seed() % 5).times(1).error(19);
        let results = send_all(&producer, "t", "s", 0..15).await;
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        let expected: Vec<String> = (0..15).map(|i| format!("s-{i}")).collect();
        assert_eq!(log(&sim, "t"), expected);
    });
}

#[test]
fn pr_41_who_gives_up_is_told_whether_it_may_be_written() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("request.timeout.ms", 500).set("delivery.timeout.ms", 700));
        let written = sim.seed() % 2 == 0;
        let fault = sim.cluster();
        let fault = fault.fault(Api::Produce).always();
        if written {
            fault.silence_after_apply()
        } else {
            fault.error(19)
        }
        let error = producer.send(Record::to("t").value("s-0")).await.expect_err("nobody answers");
        assert_eq!((error.possibly_written(), log(&sim, "t").len()), (written, usize::from(written)), "{error:?}");
    });
}

#[test]
fn pr_45_keys_land_where_java_puts_them() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 7);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c);
        for (key, partition) in
            [("", 2), ("23456", 5), ("this is another string with more length to it perhaps", 1), ("hejsan", 6)]
        {
            let done = producer.send(Record::to("t").key(key).value("v")).await.expect("written");
            assert_eq!(done.partition(), partition, "{key}");
        }
    });
}

#[test]
fn pr_13_a_flush_ends_while_others_go_on_sending() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("linger.ms", 60_000));
        let stop = Rc::new(RefCell::new(false));
        let (task, other, flag) = (sim.clone(), producer.clone(), stop.clone());
        sim.spawn(async move {
            while !*flag.borrow() {
                drop(other.send(Record::to("t").value("other-0")));
                task.sleep(ms(1)).await;
            }
        });
        let mine = producer.send(Record::to("t").value("mine-0"));
        assert!(within(&sim, ms(20_000), producer.flush()).await.is_some(), "it never ends");
        assert!(mine.is_ready(), "flushed, but without outcome");
        *stop.borrow_mut() = true;
    });
}

#[test]
fn pr_22_without_acknowledgements_nobody_waits_for_an_answer() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("enable.idempotence", false).set("acks", 0));
        let results = send_all(&producer, "t", "s", 0..20).await;
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        sim.sleep(ms(1_000)).await;
        judge(&sim, "t", &results, Promise::There);
    });
}

#[test]
fn lc_01_dropped_futures_change_nothing() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("batch.size", 60));
        for i in 0..20 {
            drop(producer.send(Record::to("t").value(&format!("s-{i}"))));
            drop(producer.flush());
        }
        producer.flush().await.expect("all is written");
        let expected: Vec<String> = (0..20).map(|i| format!("s-{i}")).collect();
        assert_eq!(log(&sim, "t"), expected);
    });
}

#[test]
fn lc_02_a_producer_that_is_dropped_leaves_no_delivery_without_outcome() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("linger.ms", 60_000));
        let sent: Vec<_> = (0..10).map(|i| producer.send(Record::to("t").value(&format!("s-{i}")))).collect();
        drop(producer);
        let mut results = Vec::new();
        for (i, delivery) in sent.into_iter().enumerate() {
            let outcome = within(&sim, ms(200_000), delivery).await.expect("it hangs");
            results.push((format!("s-{i}"), outcome.map(drop)));
        }
        judge_log(&sim, "t", &results);
    });
}
