//! Polls that are dropped have taken nothing: everything is handed out once, in order.

use super::{Cut, cases};
use crate::rig::*;
use futures_core::Stream;
use klamm::{Batch, Consumer, Kafka, OwnedRecord, Timestamp};
use klamm_sim::Sim;
use std::collections::HashMap;
use std::pin::Pin;

/// Records of each of the three partitions.
pub(super) const EACH: u64 = 6;

/// A client, and a topic that is full.
pub(super) async fn start(sim: &Sim) -> Kafka {
    sim.cluster().create_topic("in", 3);
    let kafka = kafka(sim).await;
    for partition in 0..3 {
        fill(&kafka, "in", partition, 0..EACH).await;
    }
    kafka
}

pub(super) fn row(record: &OwnedRecord) -> (i32, i64, String) {
    (record.partition(), record.offset(), text(record.value()))
}

/// Each record of each partition, once and in order.
pub(super) fn judge(rows: &[(i32, i64, String)]) {
    for partition in 0..3 {
        let of_it: Vec<_> = rows.iter().filter(|row| row.0 == partition).map(|row| row.2.clone()).collect();
        assert_eq!(of_it, values(&partition.to_string(), EACH), "of all that was handed out: {rows:?}");
    }
}

fn taken(rows: &mut Vec<(i32, i64, String)>, polled: Option<klamm::Result<Option<Batch>>>) {
    if let Some(batch) = polled {
        rows.extend(self::rows(&batch.expect("nothing is wrong").expect("nobody wakes it")));
    }
}

/// Reads what is left.
async fn rest(sim: &Sim, consumer: &mut Consumer, mut rows: Vec<(i32, i64, String)>) {
    let left = 3 * EACH as usize - rows.len();
    rows.extend(read(sim, consumer, left).await);
    assert!(consumer.poll(ms(300)).await.expect("nothing is wrong").is_none_or(|batch| batch.is_empty()), "too much");
    judge(&rows);
}

fn few(config: klamm::ConsumerConfig) -> klamm::ConsumerConfig {
    config.set("max.poll.records", 4)
}

/// One record of a stream.
async fn next(consumer: &mut Consumer, cut: Option<&Cut>) -> Option<OwnedRecord> {
    let mut stream = consumer.stream();
    let polling = std::future::poll_fn(|cx| Pin::new(&mut stream).poll_next(cx));
    let polled = match cut {
        Some(cut) => cut.off(polling).await?,
        None => polling.await,
    };
    Some(polled.expect("nobody wakes it").expect("nothing is wrong"))
}

cases! {
    the_first_poll: ["Consumer::poll"] = |sim, cut| async move {
        let kafka = start(&sim).await;
        let mut consumer = standalone(&kafka, "in", 3, few);
        let mut rows = Vec::new();
        taken(&mut rows, cut.off(consumer.poll(ms(5_000))).await);
        rest(&sim, &mut consumer, rows).await;
    };
    a_poll_that_joins_a_group: ["Consumer::poll"] = |sim, cut| async move {
        let kafka = start(&sim).await;
        let mut consumer = member(&kafka, "in", few);
        let mut rows = Vec::new();
        taken(&mut rows, cut.off(consumer.poll(ms(20_000))).await);
        rest(&sim, &mut consumer, rows).await;
    };
    polls_in_a_row: ["Consumer::poll"] = |sim, cut| async move {
        let kafka = start(&sim).await;
        let mut consumer = standalone(&kafka, "in", 3, few);
        let mut rows = Vec::new();
        // The points are those of all of them together, and from the chosen one on each is given up at once.
        for _ in 0..8 {
            taken(&mut rows, cut.off(consumer.poll(ms(50))).await);
        }
        rest(&sim, &mut consumer, rows).await;
    };
    a_poll_while_records_come: ["Consumer::poll"] = |sim, cut| async move {
        sim.cluster().create_topic("in", 3);
        let kafka = kafka(&sim).await;
        let mut consumer = standalone(&kafka, "in", 3, few);
        assert_eq!(consumer.poll(ms(1_500)).await.expect("nothing is wrong").map(|batch| batch.len()), Some(0));
        let writer = kafka.clone();
        sim.spawn(async move {
            for partition in 0..3 {
                fill(&writer, "in", partition, 0..EACH).await;
            }
        });
        let mut rows = Vec::new();
        taken(&mut rows, cut.off(consumer.poll(ms(10_000))).await);
        rest(&sim, &mut consumer, rows).await;
    };
    a_poll_while_a_partition_goes: ["Consumer::poll"] = |sim, cut| async move {
        let kafka = start(&sim).await;
        let mut one = member(&kafka, "in", |c| few(c).set("auto.commit.interval.ms", 20));
        let mut rows = joined(&sim, &mut one).await;
        let mut two = member(&kafka, "in", |c| few(c).set("auto.commit.interval.ms", 20));
        let end = sim.elapsed() + ms(60_000);
        // Both are polled until each has its share, the first with one poll of it given up.
        let mut gave_up = false;
        while two.assignment().is_empty() || rows.len() < 3 * EACH as usize {
            assert!(sim.elapsed() < end, "{rows:?}; {}; {}", one.state(), two.state());
            taken(&mut rows, Some(two.poll(ms(20)).await));
            let polled = if gave_up { Some(one.poll(ms(20)).await) } else { cut.off(one.poll(ms(20))).await };
            gave_up |= polled.is_none();
            taken(&mut rows, polled);
        }
        assert_eq!(one.assignment().len() + two.assignment().len(), 3);
        rows.sort();
        rows.dedup();
        judge(&rows);
    };
    a_poll_that_is_woken: ["Consumer::poll"] = |sim, cut| async move {
        sim.cluster().create_topic("in", 3);
        let kafka = kafka(&sim).await;
        let mut consumer = standalone(&kafka, "in", 3, few);
        let (handle, time) = (consumer.handle(), sim.clone());
        let woken = std::rc::Rc::new(std::cell::Cell::new(false));
        let flag = woken.clone();
        sim.spawn(async move {
            time.sleep(ms(30)).await;
            handle.wakeup();
            flag.set(true);
        });
        let polled = cut.off(consumer.poll(ms(10_000))).await;
        while !woken.get() {
            sim.sleep(ms(10)).await;
        }
        if let Some(polled) = polled {
            assert!(polled.expect("nothing is wrong").is_none(), "it was woken");
        } else {
            assert!(consumer.poll(ms(100)).await.expect("nothing is wrong").is_none(), "the next one is woken");
        }
        assert!(consumer.poll(ms(100)).await.expect("nothing is wrong").is_some(), "one wake-up, one poll");
    };
    recv: ["Consumer::recv"] = |sim, cut| async move {
        let kafka = start(&sim).await;
        let mut consumer = standalone(&kafka, "in", 3, few);
        let mut rows = Vec::new();
        for n in 0..3 * EACH {
            let received = if n % 2 == 0 { cut.off(consumer.recv()).await } else { Some(consumer.recv().await) };
            let received = received.map(|record| record.expect("nothing is wrong").expect("nobody wakes it"));
            rows.extend(received.as_ref().map(row));
        }
        rest(&sim, &mut consumer, rows).await;
    };
    next_of_a_stream: ["Consumer::stream"] = |sim, cut| async move {
        let kafka = start(&sim).await;
        let mut consumer = standalone(&kafka, "in", 3, few);
        let mut rows = Vec::new();
        for n in 0..3 * EACH {
            rows.extend(next(&mut consumer, (n % 2 == 0).then_some(&cut)).await.as_ref().map(row));
        }
        rest(&sim, &mut consumer, rows).await;
    };
    unsubscribe: ["Consumer::unsubscribe"] = |sim, cut| async move {
        let kafka = start(&sim).await;
        let mut consumer = member(&kafka, "in", few);
        joined(&sim, &mut consumer).await;
        cut.off(consumer.unsubscribe()).await;
        assert!(consumer.subscription().is_empty());
        // Whoever comes need not wait for the session of the one that left.
        let before = sim.elapsed();
        let mut other = member(&kafka, "in", few);
        joined(&sim, &mut other).await;
        assert!(sim.elapsed() - before < ms(5_000), "{:?}", sim.elapsed() - before);
        assert_eq!((consumer.assignment().len(), other.assignment().len()), (0, 3));
        consumer.subscribe(["in"]).expect("a subscription");
        let end = sim.elapsed() + ms(60_000);
        while consumer.assignment().is_empty() {
            assert!(sim.elapsed() < end, "it never comes back");
            consumer.poll(ms(50)).await.expect("nothing is wrong");
            other.poll(ms(50)).await.expect("nothing is wrong");
        }
    };
    look_ups: [
        "Consumer::beginning_offsets", "Consumer::end_offsets", "Consumer::offsets_for_times",
        "Consumer::partitions_for", "Consumer::list_topics", "Consumer::committed", "Consumer::position",
    ] = |sim, cut| async move {
        let kafka = start(&sim).await;
        let mut consumer = standalone(&kafka, "in", 3, |c| few(c).with_group("readers"));
        let (at, all) = (Timestamp::from_millis(0), [("in", 0), ("in", 1)]);
        cut.off(consumer.position(("in", 0))).await;
        cut.off(consumer.beginning_offsets(all)).await;
        cut.off(consumer.end_offsets(all)).await;
        cut.off(consumer.offsets_for_times([(("in", 0), at)])).await;
        cut.off(consumer.partitions_for("in")).await;
        cut.off(consumer.list_topics()).await;
        cut.off(consumer.committed(all)).await;
        assert_eq!(consumer.position(("in", 0)).await.expect("it has one"), 0);
        let both = |offset| HashMap::from(all.map(|place| (place.into(), offset)));
        assert_eq!(consumer.beginning_offsets(all).await.expect("it answers"), both(0));
        assert_eq!(consumer.end_offsets(all).await.expect("it answers"), both(EACH as i64));
        let found = consumer.offsets_for_times([(("in", 0), at)]).await.expect("it answers");
        assert_eq!(found.values().map(|one| one.map(|one| one.offset())).collect::<Vec<_>>(), [Some(0)]);
        assert_eq!(consumer.partitions_for("in").await.expect("it exists").len(), 3);
        assert!(consumer.list_topics().await.expect("it answers").contains_key("in"));
        assert!(consumer.committed(all).await.expect("it answers").is_empty());
        rest(&sim, &mut consumer, Vec::new()).await;
    };
    seek_to_a_time: ["Consumer::seek_to_timestamp"] = |sim, cut| async move {
        let kafka = start(&sim).await;
        let mut consumer = standalone(&kafka, "in", 3, few);
        let gone = read(&sim, &mut consumer, 3 * EACH as usize).await;
        assert_eq!(gone.len(), 3 * EACH as usize);
        cut.off(consumer.seek_to_timestamp([("in", 0), ("in", 1), ("in", 2)], Timestamp::from_millis(0))).await;
        rest(&sim, &mut consumer, Vec::new()).await;
    };
}
