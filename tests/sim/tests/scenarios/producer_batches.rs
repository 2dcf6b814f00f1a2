//! 2.1: what makes a batch, when it goes, and what becomes of one that is refused.

use crate::rig::*;
use klamm::serdes::Utf8;
use klamm::{ErrorKind, Kafka, Producer, Receipts, Record, Timestamp, TypedTopic};

fn batches(kafka: &Kafka) -> u64 {
    kafka.metrics().stats().produced().batches
}

#[test]
fn pr_07_serializers_are_not_asked_for_what_is_not_there() {
    few(|sim| async move {
        sim.cluster().create_topic("t", 4);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("batch.size", 100));
        const TOPIC: TypedTopic<Prefixed, Prefixed> = TypedTopic::new("t", Prefixed, Prefixed);
        producer.send_typed(&TOPIC, Some("k"), None::<&str>).await.expect("a tombstone");
        for _ in 0..40 {
            producer.send_typed(&TOPIC, None::<&str>, Some("v")).await.expect("without a key");
        }
        let all = sim.cluster().records("t");
        let tombstone = all.iter().find(|r| r.key.is_some()).expect("the one with a key");
        assert_eq!((tombstone.key.as_deref(), tombstone.value.as_deref()), (Some(&b"\0schema:k"[..]), None));
        assert_eq!(all.iter().filter(|r| r.key.is_none()).count(), 40);
        let partitions: std::collections::BTreeSet<i32> = all.iter().map(|r| r.partition).collect();
        assert!(partitions.len() > 2, "an invented key binds them to {partitions:?}");
    });
}

/// As schema registries do it: something stands before every value.
#[derive(Debug)]
struct Prefixed;

impl klamm::Serializer<str> for Prefixed {
    fn serialize(
        &self,
        _: &mut klamm::serdes::SerializeContext<'_>,
        value: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), klamm::serdes::BoxError> {
        out.extend_from_slice(b"\0schema:");
        out.extend_from_slice(value.as_bytes());
        Ok(())
    }
}

#[test]
fn pr_24_a_record_beyond_what_the_topic_takes_fails_alone_and_its_batch_arrives() {
    few(|sim| async move {
        sim.cluster().create_topic_with("t", 1, 3, &[("max.message.bytes", "700")]);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("batch.size", 60_000).set("linger.ms", 5));
        let large = sim.seed() * 9;
        let sent: Vec<_> = (0..30u64)
            .map(|i| {
                let value = format!("s-{i}-{}", "x".repeat(if i == large { 3_000 } else { 60 }));
                let delivery = producer.send(Record::to("t").value(&value));
                (value, delivery)
            })
            .collect();
        let results = outcomes(sent).await;
        for (i, (_, result)) in results.iter().enumerate() {
            match result {
                Ok(()) => assert_ne!(i as u64, large),
                Err(error) => {
                    assert_eq!(
                        (i as u64, error.kind(), error.possibly_written()),
                        (large, ErrorKind::RecordTooLarge, false)
                    );
                    assert!(error.to_string().contains("30"), "its size is not told: {error}");
                }
            }
        }
        judge_log(&sim, "t", &results);
        let splits = kafka.metrics().stats().produced().splits;
        assert!((1..=29).contains(&splits), "{splits} splits");
        producer.send(Record::to("t").value("s-99")).await.expect("it goes on");
    });
}

#[test]
fn pr_25_the_parts_of_a_split_batch_end_once_also_if_their_time_is_over() {
    scenario(|sim| async move {
        sim.cluster().create_topic_with("t", 1, 3, &[("max.message.bytes", "400")]);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| {
            c.set("batch.size", 4_000)
                .set("linger.ms", 5)
                .set("request.timeout.ms", 600)
                .set("delivery.timeout.ms", 1_500)
        });
        producer.topic("t").ready().await.expect("it is there");
        let sent: Vec<_> = (0..30u64)
            .map(|i| {
                let value = format!("s-{i}-{}", "x".repeat(50));
                let delivery = producer.send(Record::to("t").value(&value));
                (value, delivery)
            })
            .collect();
        // After some splits nobody answers any more.
        sim.cluster().fault(Api::Produce).after(2 + sim.seed() % 6).times(4).silence_after_apply();
        let results = outcomes(sent).await;
        assert_eq!(producer.buffered().memory(), 0);
        sim.sleep(ms(2_000)).await;
        judge_log(&sim, "t", &results);
        sim.cluster().clear_faults();
        let after = send_all(&producer, "t", "r", 0..5).await;
        assert!(after.iter().all(|(_, r)| r.is_ok()), "{after:?}");
        judge_log(&sim, "t", &after);
    });
}

#[test]
fn pr_28_a_record_of_an_idle_client_leaves_at_once() {
    steady(|sim| async move {
        sim.cluster().create_topic("t", 3);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("linger.ms", 0));
        for partition in 0..3 {
            producer.send(Record::to("t").partition(partition).value("warm")).await.expect("written");
        }
        for i in 0..60 {
            sim.sleep(ms(1 + (i * 37) % 400)).await;
            let begin = sim.elapsed();
            producer.send(Record::to("t").partition((i % 3) as i32).value("v")).await.expect("written");
            // There and back take 200 us each.
            assert!(sim.elapsed() - begin < ms(1), "{i}: {:?}", sim.elapsed() - begin);
        }
    });
}

#[test]
fn pr_29_a_batch_is_closed_by_size_linger_or_flush_and_by_nothing_else() {
    steady(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("linger.ms", 100).set("batch.size", 1_000));
        producer.send(Record::to("t").value("warm")).await.expect("written");
        let before = batches(&kafka);
        // By linger: one for each 100 ms of a slow stream.
        for i in 0..50 {
            drop(producer.send(Record::to("t").value(&format!("{i}"))));
            sim.sleep(ms(10)).await;
        }
        producer.flush().await.expect("written");
        let slow = batches(&kafka) - before;
        assert!((4..=6).contains(&slow), "{slow} batches in 500 ms with a linger of 100 ms");
        // By size: one for each 1000 bytes of a quick one.
        let value = "x".repeat(90);
        let sent: Vec<_> = (0..100).map(|_| producer.send(Record::to("t").value(&value))).collect();
        producer.flush().await.expect("written");
        let quick = batches(&kafka) - before - slow;
        assert!((9..=13).contains(&quick), "{quick} batches of {} records", sent.len());
    });
}

#[test]
fn pr_35_of_a_batch_with_a_bad_record_the_bad_one_fails_and_the_rest_may_go_again() {
    few(|sim| async move {
        sim.cluster().create_topic_with("t", 1, 3, &[("cleanup.policy", "compact")]);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("linger.ms", 10));
        producer.topic("t").ready().await.expect("it is there");
        let bad = 1 + sim.seed() as usize;
        let sent: Vec<_> = (0..6)
            .map(|i| {
                let value = format!("s-{i}");
                let record = Record::to("t").value(&value);
                producer.send(if i == bad { record } else { record.key("k") })
            })
            .collect();
        for (i, delivery) in sent.into_iter().enumerate() {
            let error = delivery.await.expect_err("the batch is refused");
            assert_eq!((error.is_retriable(), error.possibly_written()), (i != bad, false), "{i}: {error}");
            assert!(i != bad || error.to_string().contains("key"), "it is not told what is wrong: {error}");
        }
        assert!(log(&sim, "t").is_empty());
        for i in (0..6).filter(|i| *i != bad) {
            producer.send(Record::to("t").key("k").value(&format!("s-{i}"))).await.expect("without the bad one");
        }
        assert_eq!(log(&sim, "t").len(), 5);
    });
}

/// Sends 20 records to a topic in one of the ways that there are.
async fn by(way: usize, producer: &Producer, topic: &str, value: &str) {
    match way {
        0 => drop((0..20).map(|_| producer.send(Record::to(topic).value(value))).collect::<Vec<_>>()),
        1 => {
            producer.topic(topic).ready().await.expect("it is there");
            (0..20).for_each(|_| drop(producer.try_send(Record::to(topic).value(value)).expect("there is room")));
        }
        2 => drop(producer.send_batch((0..20).map(|_| Record::to(topic).value(value)))),
        3 => {
            let mut receipts = Receipts::new();
            (0..20).for_each(|_| producer.send_to(&mut receipts, Record::to(topic).value(value)));
            receipts.settled().await;
        }
        4 => {
            let typed: TypedTopic<Utf8, Utf8> = TypedTopic::new("way-4", Utf8, Utf8);
            (0..20).for_each(|_| drop(producer.send_typed(&typed, None::<&str>, Some(value))));
        }
        _ => {
            let known = producer.topic(topic);
            (0..20).for_each(|_| drop(producer.send(Record::to(&known).value(value))));
        }
    }
    producer.flush().await.expect("written");
}

#[test]
fn pr_36_each_way_of_sending_does_all_that_is_configured() {
    few(|sim| async move {
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("compression.type", "zstd").set("linger.ms", 50));
        let value = "compressible ".repeat(40);
        for way in 0..6 {
            let topic = format!("way-{way}");
            sim.cluster().create_topic(&topic, 1);
            by(way, &producer, &topic, &value).await;
            let records = sim.cluster().records(&topic);
            assert_eq!(records.len(), 20, "{topic}");
            assert!(records.iter().all(|r| r.producer_id >= 0), "{topic} is not idempotent");
            // What is counted is published when the driver rests.
            sim.sleep(ms(1)).await;
            let metrics = producer.metrics();
            let rate = metrics.get_tagged("producer-topic-metrics", "compression-rate", &[("topic", &topic)]);
            assert!(rate.is_some_and(|rate| rate < 0.3), "{topic} is not compressed: {rate:?}");
            let count = metrics.get_tagged("producer-topic-metrics", "batch-total", &[("topic", &topic)]);
            assert_eq!(count, Some(1.0), "{topic} does not linger");
        }
    });
}

#[test]
fn pr_40_a_producer_that_is_throttled_slows_down_and_loses_nothing() {
    few(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer =
            producer(&kafka, |c| c.set("batch.size", 60).set("request.timeout.ms", 1_000).set("linger.ms", 0));
        let mut results = send_all(&producer, "t", "s", 0..3).await;
        let before = kafka.metrics().stats().clone();
        sim.cluster().fault(Api::Produce).times(3).throttle(ms(2_500));
        let begin = sim.elapsed();
        for i in 3..9 {
            results.extend(send_all(&producer, "t", "s", i..i + 1).await);
        }
        let after = kafka.metrics().stats().clone();
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        judge_log(&sim, "t", &results);
        assert!(sim.elapsed() - begin > ms(5_000), "it went on as before: {:?}", sim.elapsed() - begin);
        assert_eq!(after.produced().retries, before.produced().retries, "a throttled request was sent again");
        assert_eq!(after.connects, before.connects, "a throttled connection was given up");
        assert!(after.throttled_ms >= 7_500, "{}", after.throttled_ms);
    });
}

#[test]
fn pr_43_an_acknowledgement_without_offset_has_none() {
    few(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("linger.ms", 5));
        assert_eq!(producer.send(Record::to("t").value("v")).await.map(|m| m.offset()), Ok(Some(0)));
        sim.cluster().fault(Api::Produce).times(1).error_after_apply(0);
        for done in outcomes_of(&producer).await {
            assert_eq!(done, None, "an offset that nobody named");
        }
        assert_eq!(producer.send(Record::to("t").value("v")).await.map(|m| m.offset()), Ok(Some(4)));
    });
}

async fn outcomes_of(producer: &Producer) -> Vec<Option<i64>> {
    let sent: Vec<_> = (0..3).map(|_| producer.send(Record::to("t").value("v"))).collect();
    let mut all = Vec::new();
    for delivery in sent {
        all.push(delivery.await.expect("written").offset());
    }
    all
}

#[test]
fn pr_44_each_record_keeps_its_own_time_and_the_logs_time_is_told() {
    few(|sim| async move {
        sim.cluster().create_topic("t", 1);
        sim.cluster().create_topic_with("l", 1, 3, &[("message.timestamp.type", "LogAppendTime")]);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("linger.ms", 50).set("timestamp.precision", "exact"));
        producer.topic("t").ready().await.expect("it is there");
        let (mut own, mut now) = (Vec::new(), Vec::new());
        for i in 0..5 {
            own.push(producer.send(Record::to("t").timestamp(Timestamp(1_767_225_600_000 + i * 1_000)).value("own")));
            now.push(producer.send(Record::to("t").value("now")));
            sim.sleep(ms(7)).await;
        }
        producer.flush().await.expect("written");
        let times = |value: &str| -> Vec<i64> {
            let all = sim.cluster().records("t");
            all.iter().filter(|r| text(r.value.as_deref()) == value).map(|r| r.timestamp).collect()
        };
        assert_eq!(times("own"), (0..5).map(|i| 1_767_225_600_000 + i * 1_000).collect::<Vec<_>>());
        let calls = times("now");
        assert!(calls.windows(2).all(|pair| pair[1] - pair[0] >= 7), "the batch's time for all: {calls:?}");
        for (i, delivery) in own.into_iter().enumerate() {
            let told = delivery.await.expect("written").timestamp();
            assert_eq!(told, Some(Timestamp(1_767_225_600_000 + i as i64 * 1_000)));
        }
        let told =
            producer.send(Record::to("l").timestamp(Timestamp(5)).value("v")).await.expect("written").timestamp();
        assert_eq!(told, Some(Timestamp(sim.cluster().records("l")[0].timestamp)));
        assert!(told.is_some_and(|at| at.0 > 1_767_225_600_000), "{told:?}");
    });
}
