//! klamm and librdkafka (2.12.1, out of its own sources) as each other's opposite: klamm on librdkafka's mock cluster,
//! librdkafka on klamm's in-memory cluster.
//!
//! `cargo test` in this folder; it needs a C compiler and make.

use klamm::{Blocking, Config, ConsumerConfig, Kafka, ProducerConfig};
use klamm_cluster::Cluster;
use rdkafka::admin::{AdminClient, AdminOptions, ConfigSource, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::time::{Duration, Instant};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

const LIMIT: Duration = Duration::from_secs(30);
/// Those that librdkafka has without other libraries.
const CODECS: [&str; 3] = ["none", "snappy", "lz4"];
const RECORDS: usize = 500;

/// What was read of one record: partition, offset, key, value, headers.
type Read = (i32, i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

fn line(codec: &str, n: usize) -> (Option<String>, Option<String>) {
    // Every seventh has no key, every fifth no value.
    let key = (n % 7 != 0).then(|| format!("key {n}"));
    (key, (n % 5 != 0).then(|| format!("{codec} {n} {}", "x".repeat(n))))
}

fn written_by_klamm(kafka: &Kafka, topic: &str) -> Outcome<Vec<Read>> {
    let mut all = Vec::new();
    for codec in CODECS {
        let producer = kafka.producer_with(ProducerConfig::new().set("compression.type", codec))?;
        let mut deliveries = Vec::new();
        for n in 0..RECORDS {
            let (key, value) = line(codec, n);
            let mut record = klamm::Record::to(topic).header("h", codec).null_header("none");
            if let Some(key) = &key {
                record = record.key(key);
            }
            if let Some(value) = &value {
                record = record.value(value);
            }
            deliveries.push((producer.send(record), key, value));
        }
        for (delivery, key, value) in deliveries {
            let at = delivery.wait()?;
            let headers = vec![("h".to_owned(), Some(codec.as_bytes().to_vec())), ("none".to_owned(), None)];
            let offset = at.offset().ok_or("no offset")?;
            all.push((at.partition(), offset, key.map(Into::into), value.map(Into::into), headers));
        }
        producer.close().wait()?;
    }
    all.sort();
    Ok(all)
}

fn read_by_klamm(kafka: &Kafka, group: Option<&str>, topic: &str, count: usize) -> Outcome<Vec<Read>> {
    let config = group.map_or_else(ConsumerConfig::standalone, ConsumerConfig::group);
    let config = config.set("auto.offset.reset", "earliest").set("enable.auto.commit", false);
    let mut consumer = kafka.consumer_with(config)?;
    consumer.subscribe([topic])?;
    let (mut all, begin): (Vec<Read>, _) = (Vec::new(), Instant::now());
    while all.len() < count {
        if begin.elapsed() > LIMIT {
            return Err(format!("{} of {count} records, {}", all.len(), consumer.state()).into());
        }
        let batch = consumer.poll(Duration::from_millis(100)).wait()?.ok_or("woken up")?;
        for record in &batch {
            let header =
                |h: klamm::Header<'_>| (String::from_utf8_lossy(h.key).into_owned(), h.value.map(<[u8]>::to_vec));
            let headers = record.headers().into_iter().map(header).collect();
            let (key, value) = (record.key().map(<[u8]>::to_vec), record.value().map(<[u8]>::to_vec));
            all.push((record.partition(), record.offset(), key, value, headers));
        }
    }
    if group.is_some() {
        consumer.commit_sync().wait()?;
    }
    consumer.close().wait()?;
    all.sort();
    Ok(all)
}

fn written_by_librdkafka(bootstrap: &str, topic: &str) -> Outcome {
    for codec in CODECS {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap).set("compression.codec", codec).set("enable.idempotence", "true");
        let producer: BaseProducer = config.create()?;
        for n in 0..RECORDS {
            let (key, value) = line(codec, n);
            let headers = OwnedHeaders::new()
                .insert(Header { key: "h", value: Some(codec) })
                .insert(Header::<&[u8]> { key: "none", value: None });
            let mut record = BaseRecord::<str, str>::to(topic).headers(headers);
            record.key = key.as_deref();
            record.payload = value.as_deref();
            producer.send(record).map_err(|(error, _)| error)?;
        }
        producer.flush(LIMIT)?;
    }
    Ok(())
}

fn read_by_librdkafka(bootstrap: &str, group: &str, topic: &str, count: usize) -> Outcome<Vec<Read>> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("group.id", group).set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = config.set("enable.auto.commit", "false").create()?;
    consumer.subscribe(&[topic])?;
    let (mut all, begin): (Vec<Read>, _) = (Vec::new(), Instant::now());
    while all.len() < count {
        if begin.elapsed() > LIMIT {
            return Err(format!("{} of {count} records", all.len()).into());
        }
        let Some(message) = consumer.poll(Duration::from_millis(100)).transpose()? else { continue };
        let header = |h: Header<'_, &[u8]>| (h.key.to_owned(), h.value.map(<[u8]>::to_vec));
        let headers = message.headers().map(|all| all.iter().map(header).collect()).unwrap_or_default();
        let (key, value) = (message.key().map(<[u8]>::to_vec), message.payload().map(<[u8]>::to_vec));
        all.push((message.partition(), message.offset(), key, value, headers));
    }
    consumer.commit_consumer_state(CommitMode::Sync)?;
    all.sort();
    Ok(all)
}

/// The contents without where they lie, for comparing with what another client placed.
fn contents(mut all: Vec<Read>) -> Vec<Read> {
    all.iter_mut().for_each(|read| (read.0, read.1) = (0, 0));
    all.sort();
    all
}

fn expected() -> Vec<Read> {
    let of = |codec: &'static str| {
        (0..RECORDS).map(move |n| {
            let (key, value) = line(codec, n);
            let headers = vec![("h".to_owned(), Some(codec.as_bytes().to_vec())), ("none".to_owned(), None)];
            (0, 0, key.map(Into::into), value.map(Into::into), headers)
        })
    };
    contents(CODECS.into_iter().flat_map(of).collect())
}

#[test]
fn librdkafkas_mock_cluster_serves_klamm() -> Outcome {
    let mock = MockCluster::new(3)?;
    mock.create_topic("t", 4, 3)?;
    let kafka = Kafka::connect(Blocking, Config::new(mock.bootstrap_servers())).wait()?;
    let written = written_by_klamm(&kafka, "t")?;
    assert_eq!(contents(written.clone()), expected());
    assert_eq!(read_by_klamm(&kafka, None, "t", written.len())?, written);
    assert_eq!(read_by_klamm(&kafka, Some("g"), "t", written.len())?, written);
    kafka.close().wait()?;
    Ok(())
}

#[test]
fn klamm_goes_on_where_librdkafkas_mock_cluster_loses_a_broker() -> Outcome {
    let mock = MockCluster::new(3)?;
    mock.create_topic("t", 3, 3)?;
    let config = Config::new(mock.bootstrap_servers()).set("retry.backoff.ms", 20).set("metadata.max.age.ms", 1000);
    let kafka = Kafka::connect(Blocking, config).wait()?;
    let producer = kafka.producer()?;
    let send = |n: i32| producer.send(klamm::Record::to("t").partition(n % 3).value(&n.to_string()));
    for n in 0..300 {
        send(n).wait()?;
        match n {
            // The second broker is gone, and the first leads its partitions.
            100 => {
                mock.broker_down(2)?;
                (0..3).try_for_each(|partition| mock.partition_leader("t", partition, Some(1)))?;
            }
            200 => {
                mock.broker_up(2)?;
                (0..3).try_for_each(|partition| mock.partition_leader("t", partition, Some(2)))?;
            }
            _ => {}
        }
    }
    let read = read_by_klamm(&kafka, None, "t", 300)?;
    let mut values: Vec<i32> = Vec::new();
    for (_, _, _, value, _) in &read {
        values.push(String::from_utf8(value.clone().ok_or("a tombstone")?)?.parse()?);
    }
    values.sort_unstable();
    assert!(values.iter().copied().eq(0..300), "{values:?}");
    kafka.close().wait()?;
    Ok(())
}

#[test]
fn klamms_cluster_serves_librdkafka() -> Outcome {
    let cluster = Cluster::with_brokers(3)?;
    cluster.create_topic("t", 4);
    let count = expected().len();
    written_by_librdkafka(&cluster.bootstrap(), "t")?;
    let read = read_by_librdkafka(&cluster.bootstrap(), "rd", "t", count)?;
    assert_eq!(contents(read.clone()), expected());
    let kafka = Kafka::connect(Blocking, Config::new(cluster.bootstrap())).wait()?;
    assert_eq!(read_by_klamm(&kafka, Some("g"), "t", count)?, read);
    // What librdkafka committed, klamm goes on from.
    let consumer = kafka.consumer("rd")?;
    let committed = consumer.committed([0, 1, 2, 3].map(|partition| ("t", partition))).wait()?;
    let places = (0..4).map(|partition| committed.get(("t", partition)).unwrap_or(0)).sum::<i64>();
    assert_eq!(places, count as i64);
    kafka.close().wait()?;
    Ok(())
}

#[test]
fn klamms_cluster_is_administered_by_librdkafka() -> Outcome {
    let cluster = Cluster::with_brokers(3)?;
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap());
    let admin: AdminClient<_> = config.create()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let options = AdminOptions::new().operation_timeout(Some(LIMIT));
    let topic = NewTopic::new("made", 5, TopicReplication::Fixed(3)).set("retention.ms", "4242");
    for made in runtime.block_on(admin.create_topics(&[topic], &options))? {
        made.map_err(|(topic, code)| format!("{topic}: {code}"))?;
    }
    let metadata = admin.inner().fetch_metadata(None, LIMIT)?;
    assert_eq!(metadata.brokers().len(), 3);
    let made = metadata.topics().iter().find(|topic| topic.name() == "made").ok_or("not listed")?;
    assert!(made.partitions().len() == 5 && made.partitions().iter().all(|p| p.isr().len() == 3));
    let configs = runtime.block_on(admin.describe_configs(&[ResourceSpecifier::Topic("made")], &options))?;
    let config = configs.into_iter().next().ok_or("no answer")??;
    let entry = config.get("retention.ms").ok_or("no retention.ms")?;
    assert_eq!((entry.value.as_deref(), &entry.source), (Some("4242"), &ConfigSource::DynamicTopic));
    for gone in runtime.block_on(admin.delete_topics(&["made"], &options))? {
        gone.map_err(|(topic, code)| format!("{topic}: {code}"))?;
    }
    Ok(())
}
