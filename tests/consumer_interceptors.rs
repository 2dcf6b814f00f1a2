//! Interceptors of a consumer, on the in-memory cluster: each way of consuming, each way of committing.

use futures_core::Stream;
use klamm::config::{AutoCommit, ConsumerConfig};
use klamm::{Blocking, Config, Consumed, ConsumerInterceptor, ErrorKind, Kafka, Offsets, Plugin, Record, Tokio};
use klamm_cluster::Cluster;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(20);

type Seen = Arc<Mutex<Vec<String>>>;

/// Notes what it sees; panics where it is told to.
struct Notes(&'static str, Seen);

impl Notes {
    fn note(&self, line: String) {
        self.1.lock().unwrap().push(format!("{}: {line}", self.0));
        assert!(self.0 != "panics", "on purpose");
    }
}

impl ConsumerInterceptor for Notes {
    fn on_consume(&self, records: &Consumed<'_>) {
        let offsets: Vec<_> = records.records().map(|record| record.offset().to_string()).collect();
        let partitions: Vec<_> = records.partitions().map(ToString::to_string).collect();
        self.note(format!("{} {}", partitions.join("+"), offsets.join(",")));
    }

    fn on_commit(&self, offsets: &Offsets) {
        let all: Vec<_> = offsets.iter().map(|(tp, position)| format!("{tp}@{position}")).collect();
        self.note(format!("committed {}", all.join("+")));
    }

    fn on_close(&self) {
        self.note("closed".into());
    }
}

fn section(names: &[&'static str], seen: &Seen) -> ConsumerConfig {
    let config = ConsumerConfig::group("g")
        .set("auto.offset.reset", "earliest")
        .set("heartbeat.interval.ms", 50)
        .set("max.poll.records", 2)
        .auto_commit(AutoCommit::Off);
    names
        .iter()
        .fold(config, |config, name| config.interceptor(Plugin::consumer_interceptor(Notes(name, seen.clone()))))
}

/// A cluster with records 0 to 3 in its only partition.
fn rig() -> (Cluster, Kafka, Seen) {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("t", 1);
    let kafka = Kafka::connect(Blocking, Config::new(cluster.bootstrap())).wait().unwrap();
    let producer = kafka.producer().unwrap();
    for n in 0..4 {
        producer.send(Record::to("t").value(&n.to_string())).wait().unwrap();
    }
    (cluster, kafka, Seen::default())
}

fn take(seen: &Seen) -> Vec<String> {
    std::mem::take(&mut *seen.lock().unwrap())
}

#[test]
fn a_poll_shows_them_its_records_in_their_order_and_a_commit_its_offsets() {
    let (_cluster, kafka, seen) = rig();
    let mut consumer = kafka.consumer_with(section(&["first", "panics", "last"], &seen)).unwrap();
    consumer.assign([("t", 0)]).unwrap();
    let batch = consumer.poll(LONG).wait().unwrap().unwrap();
    assert_eq!(take(&seen), ["first: t-0 0,1", "panics: t-0 0,1", "last: t-0 0,1"]);
    consumer.commit_sync_offsets(&batch).wait().unwrap();
    // Told before the outcome.
    assert_eq!(take(&seen), ["first: committed t-0@2", "panics: committed t-0@2", "last: committed t-0@2"]);
    drop(consumer.poll(LONG).wait().unwrap());
    assert_eq!(take(&seen).len(), 3);
    drop(consumer.poll(Duration::ZERO).wait().unwrap());
    assert_eq!(take(&seen), [""; 0], "nothing is shown where there is nothing");
    assert_eq!(consumer.interceptor_panics(), 3);
    consumer.close().wait().unwrap();
    assert_eq!(take(&seen), ["first: closed", "panics: closed", "last: closed"]);
}

#[test]
fn single_records_are_shown_one_by_one() {
    let (_cluster, kafka, seen) = rig();
    let mut consumer = kafka.consumer_with(section(&["i"], &seen)).unwrap();
    consumer.assign([("t", 0)]).unwrap();
    for n in 0..3 {
        assert_eq!(consumer.recv().wait().unwrap().unwrap().offset(), n);
        assert_eq!(take(&seen), [format!("i: t-0 {n}")]);
    }
    assert_eq!(consumer.iter().next().unwrap().unwrap().offset(), 3);
    assert_eq!(take(&seen), ["i: t-0 3"]);
}

#[tokio::test]
async fn streams_show_them_what_they_return() {
    let (cluster, _kafka, seen) = tokio::task::spawn_blocking(rig).await.unwrap();
    let kafka = Kafka::connect(Tokio, Config::new(cluster.bootstrap())).await.unwrap();
    let mut consumer = kafka.consumer_with(section(&["i"], &seen)).unwrap();
    consumer.assign([("t", 0)]).unwrap();
    {
        let mut stream = consumer.stream();
        for n in 0..2 {
            let next = std::future::poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await;
            assert_eq!(next.unwrap().unwrap().offset(), n);
            assert_eq!(take(&seen), [format!("i: t-0 {n}")]);
        }
    }
    consumer.close().await.unwrap();
    assert_eq!(take(&seen), ["i: closed"]);
    let consumer = kafka.consumer_with(section(&["i"], &seen)).unwrap();
    consumer.subscribe(["t"]).unwrap();
    let mut partitions = consumer.into_partitions();
    let mut stream = partitions.next().await.unwrap().unwrap();
    let batch = stream.poll(LONG).await.unwrap().unwrap();
    assert_eq!((batch.len(), take(&seen)), (2, vec!["i: t-0 0,1".to_owned()]));
    stream.commit_sync().await.unwrap();
    assert_eq!(take(&seen), ["i: committed t-0@2"]);
}

#[test]
fn automatic_commits_and_that_of_a_close_are_told_too() {
    let (_cluster, kafka, seen) = rig();
    let config = section(&["i"], &seen).auto_commit(AutoCommit::Polled(Duration::from_millis(50)));
    let mut consumer = kafka.consumer_with(config).unwrap();
    consumer.subscribe(["t"]).unwrap();
    let mut read = 0;
    while read < 4 {
        read += consumer.poll(LONG).wait().unwrap().unwrap().len();
    }
    consumer.close().wait().unwrap();
    let all = take(&seen);
    assert_eq!(all.iter().rev().take(2).collect::<Vec<_>>(), ["i: closed", "i: committed t-0@4"], "{all:?}");
}

#[test]
fn a_refused_commit_is_not_told() {
    let (cluster, kafka, seen) = rig();
    let consumer = kafka.consumer_with(section(&["i"], &seen)).unwrap();
    consumer.assign([("t", 0)]).unwrap();
    let code = klamm::ErrorCode::OFFSET_METADATA_TOO_LARGE;
    cluster.fault(klamm_cluster::Api::OffsetCommit).times(1).error(code.0);
    consumer.commit_sync_offsets(Offsets::new().with(("t", 0), 3)).wait().unwrap_err();
    assert_eq!(take(&seen), [""; 0]);
}

#[test]
fn interceptors_come_by_the_name_of_their_class_each_role_its_own() {
    struct Producers;
    impl klamm::ProducerInterceptor for Producers {}
    let (cluster, _kafka, seen) = rig();
    let config = Config::new(cluster.bootstrap())
        .class("com.acme.Reads", Plugin::consumer_interceptor(Notes("i", seen.clone())))
        .class("com.acme.Writes", Plugin::interceptor(Producers))
        .set("interceptor.classes", "com.acme.Reads,com.acme.Writes")
        .set("auto.offset.reset", "earliest");
    let kafka = Kafka::connect(Blocking, config).wait().unwrap();
    kafka.producer().unwrap().send(Record::to("t").value("4")).wait().unwrap();
    let mut consumer = kafka.standalone_consumer().unwrap();
    consumer.assign([("t", 0)]).unwrap();
    consumer.poll(LONG).wait().unwrap();
    assert_eq!(take(&seen).len(), 1);
    let wrong = ConsumerConfig::standalone().interceptor(Plugin::interceptor(Producers));
    let error = kafka.consumer_with(wrong).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}
