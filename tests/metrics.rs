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

#[test]
fn each_producer_counts_for_itself_and_the_client_for_all_of_them_also_when_they_have_ended() {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("t", 1);
    let config = Config::new(cluster.bootstrap()).set("metrics.sample.window.ms", 1000);
    let kafka = Kafka::connect(Blocking, config).wait().unwrap();
    let (one, other) = (kafka.producer().unwrap(), kafka.producer().unwrap());
    let group = "producer-metrics";
    for (producer, count) in [(&other, 5), (&one, 3)] {
        for _ in 0..count {
            producer.send(Record::to("t").value("0123456789")).wait().unwrap();
        }
    }
    let sent = |metrics: &Metrics| metrics.get(group, "record-send-total").unwrap();
    let metrics = until(|| one.metrics(), |m| sent(m) == 3.0);
    assert_eq!(metrics.get_tagged("producer-topic-metrics", "record-send-total", &[("topic", "t")]), Some(3.0));
    let rate = metrics.get(group, "record-send-rate").unwrap();
    assert!(rate > 0.0 && rate <= 3.0, "{rate}");
    assert!(metrics.get_tagged("producer-topic-metrics", "byte-rate", &[("topic", "t")]).unwrap() > 0.0);
    assert_eq!(metrics.get(group, "records-per-request-avg"), Some(1.0));
    assert_eq!(metrics.get(group, "requests-in-flight"), Some(0.0));
    let (average, most) =
        (metrics.get(group, "batch-size-avg").unwrap(), metrics.get(group, "batch-size-max").unwrap());
    assert!((71.0..100.0).contains(&average) && most >= average, "{average} {most}");
    assert!(metrics.get(group, "request-latency-avg").unwrap() <= metrics.get(group, "request-latency-max").unwrap());
    assert!((10.0..30.0).contains(&metrics.get(group, "record-size-avg").unwrap()));
    assert!(metrics.get(group, "metadata-age").unwrap() < 20.0);
    assert!(metrics.get(group, "metadata-wait-time-ns-total").unwrap() > 0.0);
    let node = |name| metrics.get_tagged("producer-node-metrics", name, &[("node-id", "1")]).unwrap();
    assert!(node("request-total") >= node("response-total") && node("request-size-max") >= node("request-size-avg"));
    other.close().wait().unwrap();
    let last = until(|| other.metrics(), |m| sent(m) == 5.0);
    assert_eq!(last.get_tagged("producer-topic-metrics", "record-send-total", &[("topic", "t")]), Some(5.0));
    // The one that has ended is added to the others, a turn of the driver later.
    let all = until(|| kafka.metrics(), |m| m.stats().producers.len() == 1);
    assert_eq!(sent(&all), 8.0);
    // Two windows later nothing has been sent lately; totals stay.
    let quiet = until(|| one.metrics(), |m| m.get(group, "record-send-rate") == Some(0.0));
    assert_eq!(quiet.get(group, "batch-size-avg"), None);
    assert_eq!(sent(&quiet), 3.0);
    kafka.close().wait().unwrap();
}

#[test]
fn waits_for_memory_and_for_a_flush_are_summed_up() {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("t", 1);
    let kafka = Kafka::connect(Blocking, Config::new(cluster.bootstrap())).wait().unwrap();
    let section = ProducerConfig::new().buffer_memory(20_000).batch_size(8_000).max_block(Duration::from_millis(100));
    let producer = kafka.producer_with(section).unwrap();
    producer.send(Record::to("t").value("first")).wait().unwrap();
    cluster.fault(Api::Produce).always().on_topic("t").delay_before_apply(Duration::from_millis(250));
    let all: Vec<_> = (0..8).map(|_| producer.send(Record::to("t").value(&[7; 5_000]))).collect();
    producer.flush().wait().ok();
    let failed = all.into_iter().filter(|delivery| delivery.clone().wait().is_err()).count();
    let metrics = producer.metrics();
    let get = |name| metrics.get("producer-metrics", name).unwrap();
    assert!(failed > 0 && get("buffer-exhausted-total") >= failed as f64, "{failed}");
    assert!(get("bufferpool-wait-time-ns-total") >= 90e6, "{}", get("bufferpool-wait-time-ns-total"));
    assert!((0.01..=1.0).contains(&get("bufferpool-wait-ratio")), "{}", get("bufferpool-wait-ratio"));
    assert!(get("flush-time-ns-total") >= 200e6);
    assert_eq!(metrics.get("producer-metrics", "txn-commit-time-ns-total"), None);
    cluster.clear_faults();
    let mut transactional = kafka.transactional_producer("id").wait().unwrap();
    let transaction = transactional.begin_transaction().unwrap();
    transaction.send(Record::to("t").value("v")).wait().unwrap();
    transaction.commit().wait().unwrap();
    let metrics = transactional.metrics();
    let get = |name| metrics.get("producer-metrics", name).unwrap();
    for name in ["txn-init-time-ns-total", "txn-begin-time-ns-total", "txn-commit-time-ns-total"] {
        assert!(get(name) > 0.0, "{name}");
    }
    assert_eq!((get("txn-abort-time-ns-total"), get("txn-send-offsets-time-ns-total")), (0.0, 0.0));
    drop(transactional);
    kafka.close().wait().unwrap();
}
