//! Batches, their memory and what becomes of them, end to end on an in-memory cluster.

use klamm::config::ProducerConfig;
use klamm::{Blocking, Config, ErrorKind, Kafka, Producer, Purge, Record};
use klamm_cluster::{Api, Cluster};
use std::time::Duration;

fn connect(cluster: &Cluster, section: ProducerConfig) -> (Kafka, Producer) {
    let kafka = Kafka::connect(Blocking, Config::new(cluster.bootstrap()).producer(section)).wait().unwrap();
    let producer = kafka.producer().unwrap();
    (kafka, producer)
}

fn cluster(configs: &[(&str, &str)]) -> Cluster {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic_with("t", 1, 1, configs);
    cluster
}

#[test]
fn a_batch_beyond_what_the_topic_takes_arrives_in_parts_and_its_memory_comes_back() {
    for codec in ["none", "gzip", "zstd"] {
        let cluster = cluster(&[("max.message.bytes", "3000")]);
        let section = ProducerConfig::new().set("compression.type", codec).linger(Duration::from_secs(5));
        let (kafka, producer) = connect(&cluster, section.batch_size(60_000).buffer_memory(70_000));
        let mut noise = 1_u64;
        let values: Vec<Vec<u8>> = (0..40)
            .map(|_| {
                let mut byte = || {
                    noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (noise >> 56) as u8
                };
                (0..1000).map(|_| byte()).collect()
            })
            .collect();
        let all: Vec<_> = values.iter().map(|value| producer.send(Record::to("t").value(value))).collect();
        producer.flush().wait().unwrap();
        let offsets: Vec<_> = all.iter().map(|delivery| delivery.clone().wait().unwrap().offset()).collect();
        assert_eq!(offsets, (0..40).map(Some).collect::<Vec<_>>(), "{codec}");
        let written: Vec<_> = cluster.records("t").iter().map(|r| r.value.clone().unwrap()).collect();
        assert_eq!(written, values, "{codec}");
        assert!(kafka.metrics().stats().produced().splits > 5, "{codec}");
        assert_eq!(producer.buffered().memory(), 0, "{codec}");
        kafka.close().wait().unwrap();
    }
}

#[test]
fn a_batch_that_is_called_corrupt_goes_again_and_fails_when_it_always_is() {
    let cluster = cluster(&[]);
    let (kafka, producer) = connect(&cluster, ProducerConfig::new().retry_backoff(Duration::from_millis(1)));
    cluster.fault(Api::Produce).times(2).error(2);
    assert_eq!(producer.send(Record::to("t").value("v")).wait().unwrap().offset(), Some(0));
    cluster.fault(Api::Produce).always().error(2);
    let error = producer.send(Record::to("t").value("w")).wait().unwrap_err();
    assert_eq!((error.kind(), error.attempts(), error.possibly_written()), (ErrorKind::Corrupt, 5, false), "{error}");
    cluster.clear_faults();
    assert_eq!(producer.send(Record::to("t").value("x")).wait().unwrap().offset(), Some(1));
    kafka.close().wait().unwrap();
}

#[test]
fn batches_are_filled_to_their_size_as_sent_once_it_is_known_how_they_compress() {
    let batches = |codec: &str| {
        let cluster = cluster(&[]);
        let section = ProducerConfig::new().set("compression.type", codec).linger(Duration::from_secs(5));
        let (kafka, producer) = connect(&cluster, section.batch_size(8_000));
        let value = vec![b'x'; 900];
        for _ in 0..40 {
            drop((0..100).map(|_| producer.send(Record::to("t").value(&value))).collect::<Vec<_>>());
            producer.flush().wait().unwrap();
        }
        assert_eq!((cluster.records("t").len(), producer.buffered().memory()), (4000, 0));
        let batches = kafka.metrics().stats().produced().batches;
        kafka.close().wait().unwrap();
        batches
    };
    let plain = batches("none");
    for codec in ["lz4", "gzip", "snappy", "zstd"] {
        let packed = batches(codec);
        assert!(packed < plain * 7 / 10, "{codec}: {packed} batches, {plain} without compression");
    }
}

#[test]
fn a_purge_fails_what_is_queued_and_leaves_what_is_on_its_way() {
    let cluster = cluster(&[]);
    let section = ProducerConfig::new().linger(Duration::ZERO).buffer_memory(40_000).max_block(Duration::from_secs(60));
    let (kafka, producer) = connect(&cluster, section);
    producer.send(Record::to("t").value("first")).wait().unwrap();
    cluster.fault(Api::Produce).times(1).delay_before_apply(Duration::from_secs(1));
    let under_way = producer.send(Record::to("t").value("under way"));
    while producer.buffered().records() > 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(50));
    let value = vec![1; 5000];
    let mut queued: Vec<_> = (0..8).map(|_| producer.send(Record::to("t").value(&value))).collect();
    queued.push(producer.send(Record::to("not there yet").value("v")));
    assert!(producer.buffered().waiting() > 0, "some stand in line for memory");
    producer.purge(Purge::Queued).wait().unwrap();
    let failed: Vec<_> = queued.into_iter().filter_map(|delivery| delivery.wait().err()).collect();
    assert!(failed.len() > 4, "{failed:?}");
    for error in &failed {
        assert_eq!((error.kind(), error.possibly_written()), (ErrorKind::Aborted, false), "{error}");
    }
    assert_eq!(under_way.wait().unwrap().offset(), Some(1));
    assert!(producer.send(Record::to("t").value("next")).wait().unwrap().offset().is_some());
    producer.flush().wait().unwrap();
    assert_eq!(producer.buffered().memory(), 0);
    kafka.close().wait().unwrap();
}

#[test]
fn a_purge_of_all_says_that_what_was_under_way_may_be_written() {
    let cluster = cluster(&[]);
    let (kafka, producer) = connect(&cluster, ProducerConfig::new());
    producer.send(Record::to("t").value("first")).wait().unwrap();
    cluster.fault(Api::Produce).times(1).delay(Duration::from_millis(300));
    let under_way = producer.send(Record::to("t").partition(0).value("under way"));
    while cluster.records("t").len() < 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    producer.purge(Purge::All).wait().unwrap();
    let error = under_way.wait().unwrap_err();
    assert_eq!((error.kind(), error.possibly_written(), error.attempts()), (ErrorKind::Aborted, true, 1), "{error}");
    assert_eq!(producer.send(Record::to("t").value("next")).wait().unwrap().offset(), Some(2));
    kafka.close().wait().unwrap();
}

#[test]
fn records_beyond_their_bound_wait_in_line_and_all_arrive_in_order() {
    let cluster = cluster(&[("max.message.bytes", "2000")]);
    let section = ProducerConfig::new().set("queue.buffering.max.messages", 10).linger(Duration::from_secs(1));
    let (kafka, producer) = connect(&cluster, section);
    producer.topic("t").ready().wait().unwrap();
    let values: Vec<Vec<u8>> = (0..200_u8).map(|i| vec![i; 300]).collect();
    cluster.fault(Api::Produce).times(1).delay_before_apply(Duration::from_millis(300));
    let all: Vec<_> = values.iter().map(|value| producer.send(Record::to("t").value(value))).collect();
    assert!(producer.buffered().records() <= 10 && producer.buffered().waiting() >= 180, "{:?}", producer.buffered());
    assert!(producer.try_send(Record::to("t").value("v")).is_err());
    for delivery in all {
        delivery.wait().unwrap();
    }
    let written: Vec<_> = cluster.records("t").iter().map(|r| r.value.clone().unwrap()).collect();
    assert_eq!(written, values);
    assert_eq!((producer.buffered().memory(), producer.buffered().waiting()), (0, 0));
    for _ in 0..10 {
        drop(producer.try_send(Record::to("t").value("room again")).unwrap());
    }
    producer.purge(Purge::Queued).wait().unwrap();
    for _ in 0..10 {
        drop(producer.try_send(Record::to("t").value("and again")).unwrap());
    }
    producer.flush().wait().ok();
    kafka.close().wait().ok();
}
