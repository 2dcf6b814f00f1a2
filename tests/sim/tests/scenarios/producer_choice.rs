//! 2.1: which partition a record goes to, and whose turn it is.

use crate::rig::*;
use klamm::{Partitioner, Partitioning, Placement, Record, TopicView};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many records each of `n` partitions of a topic has.
fn shares(sim: &klamm_sim::Sim, topic: &str, n: usize) -> Vec<usize> {
    let mut shares = vec![0; n];
    for record in sim.cluster().records(topic) {
        shares[usize::try_from(record.partition).unwrap()] += 1;
    }
    shares
}

#[test]
fn pr_31_a_batch_size_of_zero_is_one_record_per_batch_and_all_partitions_get_some() {
    few(|sim| async move {
        sim.cluster().create_topic("t", 3);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("batch.size", 0).set("linger.ms", 5));
        producer.topic("t").ready().await.expect("it is there");
        let sent: Vec<_> = (0..60).map(|i| producer.send(Record::to("t").value(&format!("{i}")))).collect();
        for delivery in sent {
            delivery.await.expect("written");
        }
        assert_eq!(kafka.metrics().stats().produced().batches, 60);
        let shares = shares(&sim, "t", 3);
        assert!(shares.iter().all(|n| *n >= 8), "{shares:?}");
    });
}

/// Counts how often it is asked, and goes round.
struct Counting(Arc<AtomicU32>);

impl Partitioner for Counting {
    fn partition(&self, _: &Record<'_>, topic: &TopicView<'_>) -> Placement {
        let turn = self.0.fetch_add(1, Ordering::Relaxed);
        Placement::At(turn as i32 % topic.partition_count())
    }
}

#[test]
fn pr_32_a_partitioner_is_asked_once_per_record_also_where_batches_end() {
    few(|sim| async move {
        sim.cluster().create_topic("own", 4);
        sim.cluster().create_topic("turns", 4);
        let kafka = kafka(&sim).await;
        let asked = Arc::new(AtomicU32::new(0));
        let size = if sim.seed() % 2 == 0 { 0 } else { 150 };
        let own = producer(&kafka, |c| {
            // Some wait for their topic, some for memory, and every other one ends a batch.
            c.set("batch.size", size)
                .set("buffer.memory", 3_000)
                .partitioner(Partitioning::from(Counting(asked.clone())))
        });
        let turns = producer(&kafka, |c| {
            c.set("batch.size", size).set("buffer.memory", 3_000).partitioner(Partitioning::round_robin())
        });
        let mut all = Vec::new();
        for i in 0..40 {
            let value = format!("{i}-{}", "x".repeat(30));
            all.push(own.send(Record::to("own").value(&value)));
            all.push(turns.send(Record::to("turns").value(&value)));
            if i == 20 {
                sim.sleep(ms(500)).await;
            }
        }
        for delivery in all {
            delivery.await.expect("written");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 40);
        assert_eq!(shares(&sim, "own", 4), [10; 4]);
        assert_eq!(shares(&sim, "turns", 4), [10; 4]);
    });
}

#[test]
fn pr_33_under_load_every_partition_of_a_broker_has_its_turn() {
    few(|sim| async move {
        sim.cluster().create_topic("t", 8);
        for partition in 0..8 {
            sim.cluster().move_leader("t", partition, 1).expect("it is up");
        }
        let kafka = kafka(&sim).await;
        // A request holds two or three batches, and one is under way at a time.
        let producer = producer(&kafka, |c| {
            c.set("batch.size", 400).set("max.request.size", 1_000).set("max.in.flight.requests.per.connection", 1)
        });
        producer.topic("t").ready().await.expect("it is there");
        let value = "x".repeat(300);
        let mut sent = Vec::new();
        for _ in 0..20 {
            for partition in 0..8 {
                sent.push(producer.send(Record::to("t").partition(partition).value(&value)));
            }
        }
        while sim.cluster().records("t").len() < 80 {
            sim.sleep(ms(1)).await;
        }
        let half = shares(&sim, "t", 8);
        assert!(half.iter().all(|n| (6..=14).contains(n)), "half of all is written: {half:?}");
        producer.flush().await.expect("written");
        assert_eq!(shares(&sim, "t", 8), [20; 8]);
        drop(sent);
    });
}

#[test]
fn pr_46_records_without_a_key_are_spread_by_bytes_and_a_slow_broker_gets_fewer() {
    few(|sim| async move {
        for topic in ["even", "slow"] {
            sim.cluster().create_topic(topic, 3);
            for partition in 0..3 {
                sim.cluster().move_leader(topic, partition, partition + 1).expect("it is up");
            }
        }
        let kafka = kafka(&sim).await;
        let producer =
            producer(&kafka, |c| c.set("batch.size", 1_000).set("linger.ms", 2).set("buffer.memory", 40_000));
        for topic in ["even", "slow"] {
            producer.topic(topic).ready().await.expect("it is there");
            if topic == "slow" {
                sim.cluster().fault(Api::Produce).on_broker(2).always().delay(ms(400));
            }
            for i in 0..900 {
                // Of any size: it is bytes that count, not records or batches.
                let value = "x".repeat(20 + (i * 31) % 160);
                drop(producer.send(Record::to(topic).value(&value)).queued().await.expect("there will be room"));
                if i % 10 == 0 {
                    sim.sleep(ms(4)).await;
                }
            }
            producer.flush().await.expect("written");
        }
        let bytes = |topic: &str, partition: i32| -> usize {
            let all = sim.cluster().records(topic);
            all.iter().filter(|r| r.partition == partition).filter_map(|r| Some(r.value.as_ref()?.len())).sum()
        };
        let even: Vec<usize> = (0..3).map(|p| bytes("even", p)).collect();
        let slow: Vec<usize> = (0..3).map(|p| bytes("slow", p)).collect();
        let total: usize = even.iter().sum();
        assert!(even.iter().all(|n| *n > total / 5), "{even:?}");
        assert!(slow[1] * 2 < slow[0].min(slow[2]), "the slow one is the second: {slow:?}");
    });
}
