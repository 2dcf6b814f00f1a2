//! 2.13: records and compression, all the way.

use crate::rig::*;
use klamm::Record;
use std::time::{Duration, SystemTime};

#[test]
fn cx_07_timestamps_far_apart_survive_in_one_batch() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("linger.ms", 20));
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        let times = [now, now - Duration::from_secs(40 * 86_400), now, now - Duration::from_secs(400 * 86_400)];
        let sent: Vec<_> = times.iter().map(|at| producer.send(Record::to("t").value("v").timestamp(*at))).collect();
        for delivery in sent {
            delivery.await.expect("written");
        }
        let mut consumer = standalone(&kafka, "t", 1, |c| c);
        let mut got = Vec::new();
        while got.len() < times.len() {
            let batch = consumer.poll(ms(500)).await.expect("a batch").expect("open");
            got.extend(batch.iter().map(|r| r.timestamp()));
        }
        let expected: Vec<klamm::Timestamp> = times.iter().map(|at| klamm::Timestamp::from(*at)).collect();
        assert_eq!(got, expected);
    });
}

#[test]
fn cx_13_a_topic_with_append_time_gives_every_record_the_brokers_time() {
    scenario(|sim| async move {
        sim.cluster().create_topic_with("t", 1, 3, &[("message.timestamp.type", "LogAppendTime")]);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("linger.ms", 20));
        let past = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let sent: Vec<_> = (0..5u64)
            .map(|i| producer.send(Record::to("t").value("v").timestamp(past + Duration::from_secs(i))))
            .collect();
        let mut told = Vec::new();
        for delivery in sent {
            told.push(delivery.await.expect("written").timestamp());
        }
        let mut consumer = standalone(&kafka, "t", 1, |c| c);
        let mut got = Vec::new();
        while got.len() < 5 {
            let batch = consumer.poll(ms(500)).await.expect("a batch").expect("open");
            got.extend(batch.iter().map(|r| (r.timestamp(), r.timestamp_type())));
        }
        for (at, (read, kind)) in told.iter().zip(&got) {
            assert_eq!((*at, *kind), (Some(*read), klamm::TimestampType::LogAppend));
            assert!(*read > klamm::Timestamp::from(past + Duration::from_secs(10)));
        }
    });
}

#[test]
fn cx_15_header_values_may_be_null_or_empty_in_every_codec() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let codec = ["none", "gzip", "snappy", "lz4", "zstd"][usize::try_from(sim.seed() % 5).unwrap()];
        let producer = producer(&kafka, |c| c.set("compression.type", codec));
        let record = Record::to("t").value("v").header("a", "").null_header("b").header("a", "x");
        producer.send(record).await.expect("written");
        let mut consumer = standalone(&kafka, "t", 1, |c| c);
        let mut got: Vec<(Vec<u8>, Option<Vec<u8>>)> = Vec::new();
        while got.is_empty() {
            let batch = consumer.poll(ms(500)).await.expect("a batch").expect("open");
            for r in &batch {
                got.extend(r.headers().iter().map(|h| (h.key.to_vec(), h.value.map(<[u8]>::to_vec))));
            }
        }
        let expected = [("a", Some("")), ("b", None), ("a", Some("x"))];
        let expected: Vec<_> = expected.map(|(k, v)| (k.as_bytes().to_vec(), v.map(|v| v.as_bytes().to_vec()))).into();
        assert_eq!(got, expected);
    });
}
