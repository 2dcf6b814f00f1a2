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

#[test]
fn with_the_gapless_guarantee_nothing_follows_a_batch_that_failed() {
    for gapless in [true, false] {
        let cluster = cluster();
        let section = ProducerConfig::new().linger(ms(0)).enable_gapless_guarantee(gapless);
        let (kafka, producer) = connect(&cluster, section);
        producer.send(Record::to("t").value("0")).wait().unwrap();
        cluster.fault(Api::Produce).times(1).error(87);
        let refused = producer.send(Record::to("t").value("1")).wait().unwrap_err();
        assert_eq!((refused.kind(), refused.is_fatal()), (ErrorKind::Corrupt, false), "{refused}");
        let next = producer.send(Record::to("t").value("2")).wait();
        let other = producer.send(Record::to("u").value("2")).wait();
        if gapless {
            for error in [next.unwrap_err(), other.unwrap_err()] {
                assert!(error.is_fatal() && !error.possibly_written(), "{error}");
                assert!(error.to_string().contains("enable.gapless.guarantee"), "{error}");
            }
        } else {
            assert!(next.is_ok() && other.is_ok());
        }
        assert_eq!(cluster.records("t").len(), if gapless { 1 } else { 2 });
        kafka.close().wait().unwrap();
    }
    let cluster = cluster();
    let purged = ProducerConfig::new().linger(Duration::from_secs(9)).enable_gapless_guarantee(true);
    let (kafka, producer) = connect(&cluster, purged);
    let given_up = producer.send(Record::to("t").value("0"));
    producer.purge(klamm::Purge::Queued).wait().unwrap();
    assert_eq!(given_up.wait().unwrap_err().kind(), ErrorKind::Aborted);
    assert!(producer.send(Record::to("t").value("1")).wait().is_ok(), "what the application gave up is no gap");
    kafka.close().wait().unwrap();
}

#[test]
fn a_topic_that_was_warmed_up_has_its_connections_before_the_first_record() {
    let cluster = Cluster::with_brokers(3).unwrap();
    cluster.create_topic("wide", 6);
    let (kafka, producer) = connect(&cluster, ProducerConfig::new().max_block(ms(3000)));
    let leaders: std::collections::BTreeSet<_> = (0..6).filter_map(|p| cluster.leader("wide", p)).collect();
    let topic = producer.topic("wide");
    topic.warm_up().wait().unwrap();
    std::thread::sleep(ms(50));
    let connects = kafka.metrics().stats().connects;
    assert!(connects > leaders.len() as u64, "{connects}");
    for partition in 0..6 {
        producer.send(Record::to(&topic).partition(partition).value("v")).wait().unwrap();
    }
    std::thread::sleep(ms(50));
    assert_eq!(kafka.metrics().stats().connects, connects, "nothing was left to dial");
    topic.warm_up().wait().unwrap();
    cluster.kill_broker(cluster.leader("wide", 0).unwrap());
    cluster.kill_broker(cluster.leader("wide", 1).unwrap());
    let (_, cold) = connect_quickly(&cluster, 300);
    let error = cold.topic("wide").warm_up().wait().unwrap_err();
    assert_eq!((error.kind(), error.possibly_written()), (ErrorKind::Timeout, false), "{error}");
    kafka.close().within(ms(500)).wait().ok();
}

fn connect_quickly(cluster: &Cluster, block: u64) -> (Kafka, Producer) {
    let kafka = Kafka::connect_lazy(Blocking, cluster.bootstrap()).unwrap();
    let producer = kafka.producer_with(ProducerConfig::new().max_block(ms(block))).unwrap();
    (kafka, producer)
}

#[test]
fn batches_grow_while_their_broker_is_busy_instead_of_queueing_up() {
    let cluster = cluster();
    let section =
        ProducerConfig::new().linger(ms(0)).batch_size(100_000).set("max.in.flight.requests.per.connection", 1);
    let (kafka, producer) = connect(&cluster, section);
    producer.send(Record::to("t").value("first")).wait().unwrap();
    let before = kafka.metrics().stats().produced().batches;
    cluster.fault(Api::Produce).times(1).delay_before_apply(ms(300));
    let all: Vec<_> = (0..300)
        .map(|n| {
            std::thread::sleep(Duration::from_micros(300));
            producer.send(Record::to("t").value(&format!("{n}")))
        })
        .collect();
    for delivery in all {
        delivery.wait().unwrap();
    }
    std::thread::sleep(ms(40));
    let batches = kafka.metrics().stats().produced().batches - before;
    assert!(batches < 60, "{batches} batches of 300 records: a batch was cut while a request was under way");
    kafka.close().wait().unwrap();
}

#[test]
fn records_of_a_producer_that_is_of_no_more_use_fail_at_once_though_they_linger_or_wait_for_a_flush() {
    for section in [ProducerConfig::new().linger(Duration::from_secs(20)), manual().linger(Duration::from_secs(20))] {
        let cluster = cluster();
        cluster.fault(Api::InitProducerId).always().error(31);
        let (kafka, producer) = connect(&cluster, section);
        // Two, so that none is a lone one, which would not linger.
        let both = [0, 1].map(|_| producer.send(Record::to("t").value("v")));
        let begun = Instant::now();
        for delivery in both {
            let error = delivery.wait().unwrap_err();
            assert!(error.is_fatal() && !error.possibly_written(), "{error}");
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        kafka.close().wait().unwrap();
    }
}
