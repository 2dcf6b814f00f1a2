//! When batches go, and what one topic has otherwise, end to end on an in-memory cluster.

use klamm::config::{Acks, Compression, ProducerConfig, TopicConfig};
use klamm::{Blocking, Config, ErrorKind, Kafka, Phase, Producer, Record, Scheme, TrySendReason};
use klamm_cluster::{Api, Cluster};
use std::time::{Duration, Instant};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn connect(cluster: &Cluster, section: ProducerConfig) -> (Kafka, Producer) {
    let kafka = Kafka::connect(Blocking, Config::new(cluster.bootstrap()).producer(section)).wait().unwrap();
    let producer = kafka.producer().unwrap();
    (kafka, producer)
}

fn cluster() -> Cluster {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("t", 1);
    cluster.create_topic("u", 3);
    cluster
}

fn manual() -> ProducerConfig {
    ProducerConfig::new().manual_flushing(true).linger(ms(0)).batch_size(1000)
}

#[test]
fn with_manual_flushing_only_a_flush_sends() {
    let cluster = cluster();
    let (kafka, producer) = connect(&cluster, manual());
    producer.topic("t").ready().wait().unwrap();
    let value = [b'x'; 400];
    let first: Vec<_> = (0..9).map(|_| producer.send(Record::to("t").value(&value))).collect();
    // An awaited record hurries its batch otherwise.
    let lone = producer.send(Record::to("t").value("lone"));
    std::thread::scope(|scope| {
        scope.spawn(|| lone.clone().wait().unwrap());
        std::thread::sleep(ms(60));
        assert_eq!((cluster.records("t").len(), producer.buffered().records()), (0, 10));
        producer.flush().wait().unwrap();
    });
    assert_eq!(cluster.records("t").len(), 10);
    let offsets: Vec<_> = first.into_iter().map(|delivery| delivery.wait().unwrap().offset()).collect();
    assert_eq!(offsets, (0..9).map(Some).collect::<Vec<_>>());
    let later = producer.send(Record::to("t").value("later"));
    std::thread::sleep(ms(40));
    assert_eq!(cluster.records("t").len(), 10, "the flush was for what came before it");
    producer.close().wait().unwrap();
    assert_eq!(later.wait().unwrap().offset(), Some(10), "a close flushes");
    kafka.close().wait().unwrap();
}

#[test]
fn with_manual_flushing_a_full_buffer_refuses_or_waits_for_a_flush() {
    let cluster = cluster();
    let (kafka, producer) = connect(&cluster, manual().buffer_memory(4000).max_block(ms(80)));
    producer.topic("t").ready().wait().unwrap();
    let value = [b'x'; 800];
    let mut held = Vec::new();
    let reason = loop {
        match producer.try_send(Record::to("t").value(&value)) {
            Ok(delivery) => held.push(delivery),
            Err(refused) => break refused.reason,
        }
    };
    assert!(matches!(reason, TrySendReason::Full), "{reason:?}");
    assert!((2..5).contains(&held.len()), "{}", held.len());
    let error = producer.send(Record::to("t").value(&value)).wait().unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::BufferFull, Some(Phase::Waiting)), "{error}");
    assert_eq!(cluster.records("t").len(), 0);
    let waiting = producer.send(Record::to("t").value(&value));
    producer.flush().wait().unwrap();
    assert!(waiting.wait().is_ok(), "who waits at a flush is part of it");
    assert_eq!(cluster.records("t").len(), held.len() + 1);
    assert_eq!(producer.buffered().memory(), 0);
    kafka.close().wait().unwrap();
}

#[test]
fn with_manual_flushing_the_deadline_of_a_record_counts_from_its_send() {
    let cluster = cluster();
    let section = manual().request_timeout(ms(50)).delivery_timeout(ms(80));
    let (kafka, producer) = connect(&cluster, section);
    let error = producer.send(Record::to("t").value("v")).wait().unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Timeout, Some(Phase::Buffered)), "{error}");
    assert!(!error.possibly_written());
    kafka.close().wait().unwrap();
}

#[test]
fn a_topic_may_linger_shorter_or_longer_than_the_others() {
    let cluster = cluster();
    let section = ProducerConfig::new()
        .linger(Duration::from_secs(20))
        .topic("t", TopicConfig::new().linger(ms(0)))
        .topic("u", TopicConfig::new().linger(ms(150)));
    let (kafka, producer) = connect(&cluster, section);
    for topic in ["t", "u"] {
        producer.topic(topic).ready().wait().unwrap();
    }
    let begun = Instant::now();
    // Two of each, not awaited: a lone awaited one would not linger anyway.
    let of = |topic| [0, 1].map(|_| producer.send(Record::to(topic).value("v")));
    let (quick, slow) = (of("t"), of("u"));
    while cluster.records("t").len() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(5));
        std::thread::sleep(ms(1));
    }
    assert!(cluster.records("u").is_empty());
    for delivery in quick.into_iter().chain(slow) {
        delivery.queued().wait().unwrap();
    }
    while cluster.records("u").len() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(5));
        std::thread::sleep(ms(1));
    }
    assert!(begun.elapsed() >= ms(150));
    kafka.close().within(ms(500)).wait().ok();
}

#[test]
fn a_topic_may_have_its_own_request_timeout_retries_and_acks() {
    let cluster = cluster();
    let own = TopicConfig::new().request_timeout(ms(40)).retries(1).acks(Acks::One).delivery_timeout(ms(3000));
    let section = ProducerConfig::new().set("enable.idempotence", false).retry_backoff(ms(1)).topic("t", own);
    let (kafka, producer) = connect(&cluster, section);
    producer.topic("t").ready().wait().unwrap();
    cluster.fault(Api::Produce).always().on_topic("t").silence();
    let begun = Instant::now();
    let error = producer.send(Record::to("t").value("v")).wait().unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::NotDelivered, 2), "{error}");
    assert!(begun.elapsed() < ms(2500), "{:?}", begun.elapsed());
    assert!(error.possibly_written());
    assert!(producer.send(Record::to("u").value("v")).wait().is_ok());
    kafka.close().wait().unwrap();
}

#[test]
fn a_topic_may_wait_less_for_its_metadata_and_choose_its_own_partitioner() {
    let cluster = Cluster::builder().auto_create(false).start().unwrap();
    cluster.create_topic("u", 3);
    let section = ProducerConfig::new()
        .topic("absent", TopicConfig::new().max_block(ms(60)))
        .topic("u", TopicConfig::new().partitioner(Scheme::Consistent).compression(Compression::Gzip));
    let (kafka, producer) = connect(&cluster, section);
    let begun = Instant::now();
    let error = producer.send(Record::to("absent").value("v")).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownTopic, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    for key in ["a", "b", "c", "d"] {
        let at = producer.send(Record::to("u").key(key).value("v")).wait().unwrap();
        let scheme = Scheme::Consistent.place(Some(key.as_bytes()), 3).unwrap();
        assert_eq!(klamm::Placement::At(at.partition()), scheme, "{key}");
    }
    kafka.close().wait().unwrap();
}

#[test]
fn a_producer_that_may_not_create_topics_does_not() {
    let cluster = cluster();
    for (by_section, text) in [(true, ""), (false, "allow.auto.create.topics=false\n")] {
        let config = Config::from_properties(&format!("bootstrap.servers={}\n{text}", cluster.bootstrap()));
        let kafka = Kafka::connect(Blocking, config).wait().unwrap();
        let section = ProducerConfig::new().max_block(ms(80));
        let section = if by_section { section.allow_auto_create_topics(false) } else { section };
        let producer = kafka.producer_with(section).unwrap();
        let error = producer.send(Record::to("new").value("v")).wait().unwrap_err();
        assert_eq!((error.kind(), error.possibly_written()), (ErrorKind::UnknownTopic, false), "{error}");
        assert_eq!(cluster.leader("new", 0), None);
        if by_section {
            // Another producer of the same client may.
            let creating = kafka.producer().unwrap();
            assert!(creating.send(Record::to("other").value("v")).wait().is_ok());
        }
        kafka.close().wait().unwrap();
    }
}
