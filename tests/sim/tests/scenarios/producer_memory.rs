//! 2.1: memory, lines for it, and how long anybody waits.

use crate::rig::*;
use klamm::{ErrorKind, Record};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

#[test]
fn pr_17_who_leaves_the_line_or_was_never_fit_for_it_holds_no_memory() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 2);
        let kafka = kafka(&sim).await;
        let producer =
            producer(&kafka, |c| c.set("buffer.memory", 6_000).set("batch.size", 1_000).set("max.request.size", 3_000));
        producer.topic("t").ready().await.expect("it is there");
        // A second time, when all that was held must have come back.
        for round in 0..2 {
            sim.cluster().fault(Api::Produce).times(2).delay(ms(300));
            let mut sent = Vec::new();
            for i in 0..40u64 {
                let value = format!("s{round}-{i}-{}", "x".repeat(400));
                let delivery = producer.send(Record::to("t").partition(0).value(&value));
                match (i + sim.seed()) % 5 {
                    // Nobody waits for its place any more, before it was looked at or after.
                    0 => drop(delivery.clone().queued()),
                    1 => drop(within(&sim, ms(3), delivery.clone().queued()).await),
                    2 => {
                        let wrong = producer.send(Record::to("t").partition(7).value(&value)).await;
                        assert_eq!(wrong.map_err(|e| e.kind()).map(drop), Err(ErrorKind::Misuse));
                    }
                    3 => {
                        let large = producer.send(Record::to("t").value(&"x".repeat(5_000))).await;
                        assert_eq!(large.map_err(|e| e.kind()).map(drop), Err(ErrorKind::RecordTooLarge));
                    }
                    _ => drop(
                        producer
                            .try_send(Record::to("t").partition(9).value(&value))
                            .map(|_| panic!("there is no such")),
                    ),
                }
                sent.push((value, delivery));
            }
            assert!(producer.buffered().waiting() > 0, "nobody ever waited");
            let results = outcomes(sent).await;
            // The line has an end too.
            let written = results.iter().filter(|(_, r)| r.is_ok()).count();
            let full =
                results.iter().filter(|(_, r)| r.as_ref().is_err_and(|e| e.kind() == ErrorKind::BufferFull)).count();
            assert!(written >= 20 && written + full == 40, "{written} written, {full} not taken");
            judge_log(&sim, "t", &results);
        }
        producer.send(Record::to("t").value("s-99")).await.expect("there is room");
        let all = producer.buffered();
        assert_eq!((all.memory(), all.waiting(), all.records()), (0, 0, 0));
    });
}

#[test]
fn pr_18_a_full_buffer_goes_out_without_its_linger() {
    few(|sim| async move {
        sim.cluster().create_topic("t", 4);
        let kafka = kafka(&sim).await;
        let producer =
            producer(&kafka, |c| c.set("linger.ms", 50_000).set("buffer.memory", 40_000).set("batch.size", 16_384));
        producer.topic("t").ready().await.expect("it is there");
        let begin = sim.elapsed();
        let mut last = None;
        for i in 0..200 {
            let value = format!("s-{i}-{}", "x".repeat(700));
            let delivery = producer.send(Record::to("t").partition(i % 4).value(&value));
            last = Some(delivery.queued().await.expect("there will be room"));
        }
        assert!(sim.elapsed() - begin < ms(20_000), "it stalled for {:?}", sim.elapsed() - begin);
        producer.flush().await.expect("all is written");
        assert!(last.is_some_and(|d| d.is_ready()));
        assert_eq!(log(&sim, "t").len(), 200);
    });
}

#[test]
fn pr_19_records_that_waited_for_memory_share_batches() {
    few(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("buffer.memory", 8_192).set("batch.size", 4_096));
        producer.topic("t").ready().await.expect("it is there");
        let sent: Vec<_> = (0..50u64)
            .map(|i| {
                let value = format!("s-{i}-{}", "x".repeat(100));
                let delivery = producer.send(Record::to("t").value(&value));
                (value, delivery)
            })
            .collect();
        assert!(producer.buffered().waiting() > 10, "nobody waited");
        let results = outcomes(sent).await;
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        let batches = kafka.metrics().stats().produced().batches;
        assert!(batches <= 8, "{batches} batches for 50 records");
    });
}

#[test]
fn pr_20_all_waits_of_a_record_are_within_one_deadline() {
    few(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| {
            c.set("max.block.ms", 4_000)
                .set("delivery.timeout.ms", 5_000)
                .set("request.timeout.ms", 1_000)
                .set("linger.ms", 0)
        });
        // For its topic it waits most of its time, then for a broker that takes it.
        sim.cluster().fault(Api::Metadata).on_topic("t").times(1).delay(ms(900));
        sim.cluster().fault(Api::Metadata).on_topic("t").times(4).error_after_apply(5);
        sim.cluster().fault(Api::Produce).always().error(19);
        let begin = sim.elapsed();
        let error = producer.send(Record::to("t").value("s-0")).await.expect_err("nobody takes it");
        let waited = sim.elapsed() - begin;
        assert!((ms(4_900)..ms(5_400)).contains(&waited), "{waited:?}");
        assert_eq!((error.kind(), error.possibly_written()), (ErrorKind::Timeout, false), "{error:?}");
        assert!(error.to_string().contains("NOT_ENOUGH_REPLICAS"), "the cause is not told: {error}");
    });
}

#[test]
fn pr_20_who_waited_for_memory_is_told_that_it_was_memory() {
    few(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| {
            c.set("max.block.ms", 2_000)
                .set("buffer.memory", 3_000)
                .set("batch.size", 1_000)
                .set("request.timeout.ms", 30_000)
        });
        producer.topic("t").ready().await.expect("it is there");
        sim.cluster().fault(Api::Produce).always().silence();
        let value = "x".repeat(600);
        let begin = sim.elapsed();
        let sent: Vec<_> = (0..8).map(|_| producer.send(Record::to("t").value(&value))).collect();
        let mut full = 0;
        for delivery in sent.iter().skip(5) {
            let error =
                within(&sim, ms(2_300), delivery.clone()).await.expect("its time is over").expect_err("no room");
            assert_eq!((error.kind(), error.possibly_written()), (ErrorKind::BufferFull, false), "{error}");
            full += 1;
        }
        assert_eq!(full, 3);
        assert!(sim.elapsed() - begin < ms(2_300), "one after the other: {:?}", sim.elapsed() - begin);
    });
}

#[test]
fn pr_30_failures_that_nobody_collects_take_no_memory_and_are_counted() {
    few(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("buffer.memory", 20_000).set("batch.size", 500).set("linger.ms", 0));
        producer.topic("t").ready().await.expect("it is there");
        sim.cluster().fault(Api::Produce).always().error(87);
        let most = Rc::new(Cell::new(0));
        for i in 0..300 {
            // Awaited for its place only; what became of it nobody asks.
            drop(producer.send(Record::to("t").value(&format!("s-{i}"))).queued().await);
            most.set(most.get().max(producer.buffered().memory()));
        }
        let error = producer.flush().await.expect_err("all of them failed");
        assert_eq!(error.kind(), ErrorKind::Undelivered);
        assert!(error.to_string().contains("300"), "{error}");
        assert!(most.get() <= 20_000, "{}", most.get());
        assert_eq!(producer.buffered().memory(), 0);
        assert!(log(&sim, "t").is_empty());
    });
}

#[test]
fn pr_42_without_brokers_everything_ends_in_its_time() {
    few(|sim| async move {
        sim.cluster().create_topic("t", 2);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| {
            c.set("delivery.timeout.ms", 6_000).set("request.timeout.ms", 2_000).set("max.block.ms", 3_000)
        });
        send_all(&producer, "t", "s", 0..5).await;
        for broker in 1..=3 {
            sim.cluster().kill_broker(broker);
        }
        let begin = sim.elapsed();
        let mut sent = send_to(&producer, "t", 0, "s", 5..10);
        let unknown = producer.send(Record::to("never heard of").value("s-10"));
        sent.push(("s-10".to_owned(), unknown));
        let late = producer.partitions_for("nor of this").within(ms(2_000)).await;
        assert!(late.is_err());
        within(&sim, ms(7_000), producer.flush()).await.expect("a flush hangs").ok();
        let results = outcomes(sent).await;
        assert!(sim.elapsed() - begin < ms(7_000), "{:?}", sim.elapsed() - begin);
        assert!(results.iter().all(|(_, r)| r.is_err()), "{results:?}");
        let more = send_to(&producer, "t", 1, "r", 0..5);
        within(&sim, ms(4_000), producer.close().within(ms(1_000))).await.expect("a close hangs").ok();
        assert!(more.iter().all(|(_, d)| d.is_ready()), "closed, but without outcome");
        let more = outcomes(more).await;
        assert!(more.iter().all(|(_, r)| r.is_err()), "{more:?}");
        within(&sim, ms(40_000), kafka.close()).await.expect("the client's close hangs").ok();
    });
}

#[test]
fn pr_42_the_death_of_the_driver_resolves_everything() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 2);
        let kafka = kafka(&sim).await;
        let producer =
            producer(&kafka, |c| c.set("buffer.memory", 4_000).set("batch.size", 1_000).set("linger.ms", 100));
        let value = |i: u64| format!("s-{i}-{}", "x".repeat(100));
        let mut sent: Vec<_> = (0..60).map(|i| (value(i), producer.send(Record::to("t").value(&value(i))))).collect();
        sent.push((value(60), producer.send(Record::to("never heard of").value(&value(60)))));
        let told = Rc::new(RefCell::new(0));
        for op in [producer.flush(), producer.close()] {
            let told = told.clone();
            sim.spawn(async move {
                drop(op.await);
                *told.borrow_mut() += 1;
            });
        }
        sim.sleep(ms(sim.seed() * 3)).await;
        sim.kill_clients();
        sim.sleep(ms(1)).await;
        assert!(sent.iter().all(|(_, d)| d.is_ready()), "{} hang", sent.iter().filter(|(_, d)| !d.is_ready()).count());
        let results = outcomes(sent).await;
        sim.sleep(ms(5_000)).await;
        judge_log(&sim, "t", &results);
        assert_eq!(*told.borrow(), 2, "a flush or a close hangs");
        let late = producer.send(Record::to("t").value("late"));
        assert!(late.is_ready() && late.await.is_err());
    });
}
