//! What a client counts, on the in-memory cluster.

use klamm::config::{ConsumerConfig, ProducerConfig};
use klamm::{Blocking, Config, Kafka, Metrics, Record};
use klamm_cluster::{Api, Cluster};
use std::time::{Duration, Instant};

/// Asks until the driver has told of what is awaited: it publishes its counters a few times a second.
fn until(mut ask: impl FnMut() -> Metrics, there: impl Fn(&Metrics) -> bool) -> Metrics {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let metrics = ask();
        if there(&metrics) {
            return metrics;
        }
        assert!(Instant::now() < end, "{}", metrics.to_prometheus());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_producer_counts_records_batches_and_bytes_by_topic_and_broker() {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("t", 1);
    cluster.create_topic("u", 1);
    let kafka = Kafka::connect(Blocking, Config::new(cluster.bootstrap())).wait().unwrap();
    let section = ProducerConfig::new().set("compression.type", "gzip").set("buffer.memory", 1 << 20);
    let producer = kafka.producer_with(section).unwrap();
    cluster.fault(Api::Produce).times(1).error(19);
    let value = vec![b'x'; 1000];
    for topic in ["t", "t", "t", "u"] {
        producer.send(Record::to(topic).value(&value)).wait().unwrap();
    }
    cluster.fault(Api::Produce).times(1).error(87);
    producer.send(Record::to("u").value(&value)).wait().unwrap_err();
    let group = "producer-metrics";
    let metrics = until(|| producer.metrics(), |m| m.get(group, "record-error-total") == Some(1.0));
    assert_eq!(metrics.get(group, "record-send-total"), Some(4.0));
    assert_eq!(metrics.get(group, "record-retry-total"), Some(1.0));
    assert_eq!(metrics.get(group, "records-per-batch-avg"), Some(1.0));
    assert!(metrics.get(group, "compression-rate-avg").unwrap() < 0.5);
    assert!(metrics.get(group, "record-queue-time-p99").is_some());
    assert_eq!(metrics.get(group, "buffer-total-bytes"), Some(f64::from(1 << 20)));
    let topic = |topic, name| metrics.get_tagged("producer-topic-metrics", name, &[("topic", topic)]);
    assert_eq!((topic("t", "record-send-total"), topic("u", "record-send-total")), (Some(3.0), Some(1.0)));
    assert_eq!((topic("t", "record-retry-total"), topic("u", "record-error-total")), (Some(1.0), Some(1.0)));
    let node = |name| metrics.get_tagged("producer-node-metrics", name, &[("node-id", "1")]).unwrap();
    assert!(node("response-total") >= 6.0 && node("outgoing-byte-total") > 0.0 && node("incoming-byte-total") > 0.0);
    assert!(node("request-latency-p50") <= node("request-latency-p99"));
    assert!(node("request-latency-p99") <= node("request-latency-max"));
    assert!(metrics.get(group, "connection-count").unwrap() >= 1.0);
    let text = metrics.to_prometheus();
    assert!(text.contains("\nkafka_producer_topic_metrics_record_send_total{topic=\"t\"} 3\n"), "{text}");
    kafka.close().wait().unwrap();
}

#[test]
fn a_consumer_tells_its_lag_by_partition() {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("t", 2);
    let kafka = Kafka::connect(Blocking, Config::new(cluster.bootstrap())).wait().unwrap();
    let producer = kafka.producer().unwrap();
    for n in 0..10 {
        producer.send(Record::to("t").partition(i32::from(n > 7)).value("v")).wait().unwrap();
    }
    let section = ConsumerConfig::group("g").set("auto.offset.reset", "earliest").set("max.poll.records", 4);
    let mut consumer = kafka.consumer_with(section).unwrap();
    consumer.subscribe(["t"]).unwrap();
    let mut read = 0;
    while read < 4 {
        read += consumer.poll(Duration::from_millis(200)).wait().unwrap().unwrap().len();
    }
    consumer.commit_sync().wait().unwrap();
    let group = "consumer-fetch-manager-metrics";
    let metrics = until(
        || consumer.metrics(),
        |m| m.get("consumer-coordinator-metrics", "commit-total").is_some_and(|commits| commits >= 1.0),
    );
    let lag = |partition| metrics.get_tagged(group, "records-lag", &[("topic", "t"), ("partition", partition)]);
    assert_eq!(lag("0").unwrap() + lag("1").unwrap(), 10.0 - f64::from(u32::try_from(read).unwrap()));
    assert_eq!(metrics.get(group, "records-lag-max"), Some(lag("0").unwrap().max(lag("1").unwrap())));
    assert!(metrics.get(group, "fetch-total").unwrap() >= 1.0);
    assert_eq!(metrics.get("consumer-coordinator-metrics", "assigned-partitions"), Some(2.0));
    assert!(metrics.get("consumer-coordinator-metrics", "rebalance-total").unwrap() >= 1.0);
    kafka.close().wait().unwrap();
}

#[test]
fn an_answer_that_cannot_be_read_ends_its_connection() {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("t", 1);
    let kafka = Kafka::connect(Blocking, Config::new(cluster.bootstrap())).wait().unwrap();
    let producer = kafka.producer().unwrap();
    producer.send(Record::to("t").value("before")).wait().unwrap();
    let made = |m: &Metrics| m.get("producer-metrics", "connection-creation-total");
    let before = made(&until(|| producer.metrics(), |m| m.get("producer-metrics", "record-send-total") == Some(1.0)));
    cluster.fault(Api::Produce).times(1).truncate_after_apply();
    producer.send(Record::to("t").value("cut")).wait().unwrap();
    until(|| producer.metrics(), |m| made(m) > before);
    assert_eq!(cluster.records("t").len(), 2, "and nothing is twice");
    kafka.close().wait().unwrap();
}
