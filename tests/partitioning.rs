//! Which partition a record goes to, by every partitioner that a configuration can name.

use klamm::config::ProducerConfig;
use klamm::{Blocking, Config, ErrorKind, Kafka, Partitioning, Producer, Record, Scheme};
use klamm_cluster::Cluster;

fn connect(cluster: &Cluster, section: ProducerConfig) -> (Kafka, Producer) {
    let kafka = Kafka::connect(Blocking, Config::new(cluster.bootstrap()).producer(section)).wait().unwrap();
    let producer = kafka.producer().unwrap();
    (kafka, producer)
}

fn cluster() -> Cluster {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("t", 17);
    cluster
}

fn landed(producer: &Producer, record: Record<'_>) -> i32 {
    producer.send(record).wait().unwrap().partition()
}

#[test]
fn keys_land_where_librdkafka_and_sarama_put_them() {
    let cluster = cluster();
    for (name, hejsan, text) in [
        ("consistent", 14, 15),
        ("consistent_random", 14, 15),
        ("murmur2", 5, 11),
        ("murmur2_random", 5, 11),
        ("fnv1a", 4, 0),
        ("fnv1a_random", 4, 0),
        ("sarama_hash", 4, 0),
        ("sarama_crc", 14, 15),
        ("org.apache.kafka.clients.producer.internals.DefaultPartitioner", 5, 11),
    ] {
        for key in ["partitioner", "partitioner.class"] {
            let (kafka, producer) = connect(&cluster, ProducerConfig::new().set(key, name));
            assert_eq!(landed(&producer, Record::to("t").key("hejsan")), hejsan, "{name}");
            let long = "this is another string with more length to it perhaps";
            assert_eq!(landed(&producer, Record::to("t").key(long)), text, "{name}");
            kafka.close().wait().unwrap();
        }
    }
}

#[test]
fn no_key_and_an_empty_one_go_where_the_family_sends_them() {
    let cluster = cluster();
    for (scheme, none, empty) in [
        (Scheme::Consistent, Some(0), Some(0)),
        (Scheme::Murmur2, Some(11), Some(11)),
        (Scheme::Fnv1a, Some(0), Some(0)),
        (Scheme::ConsistentRandom, None, None),
        (Scheme::Murmur2Random, None, Some(11)),
        (Scheme::Fnv1aRandom, None, Some(0)),
        (Scheme::SaramaHash, None, Some(0)),
    ] {
        let (kafka, producer) = connect(&cluster, ProducerConfig::new().partitioner(Partitioning::from(scheme)));
        for (key, expected) in [(None, none), (Some(""), empty)] {
            let value = vec![0_u8; 2000];
            let record = || match key {
                None => Record::to("t").value(&value),
                Some(key) => Record::to("t").key(key).value(&value),
            };
            let all: Vec<_> = (0..120).map(|_| producer.send(record())).collect();
            let mut seen: Vec<i32> = all.into_iter().map(|d| d.wait().unwrap().partition()).collect();
            seen.sort_unstable();
            seen.dedup();
            match expected {
                Some(partition) => assert_eq!(seen, [partition], "{scheme} {key:?}"),
                None => assert!(seen.len() > 2, "{scheme} {key:?}: {seen:?}"),
            }
        }
        kafka.close().wait().unwrap();
    }
}

#[test]
fn manual_wants_a_partition_of_every_record() {
    let cluster = cluster();
    let (kafka, producer) = connect(&cluster, ProducerConfig::new().set("partitioner.class", "manual"));
    assert_eq!(landed(&producer, Record::to("t").partition(3).value("v")), 3);
    let error = producer.send(Record::to("t").key("k").value("v")).wait().unwrap_err();
    assert_eq!((error.kind(), error.topic()), (ErrorKind::Misuse, Some("t")), "{error}");
    kafka.close().wait().unwrap();
}

#[test]
fn records_without_a_key_stay_in_the_rack_while_it_has_a_leader() {
    let cluster = Cluster::with_brokers(2).unwrap();
    cluster.create_topic("t", 6);
    cluster.with(|brokers, _| {
        brokers.set_rack(1, "here");
        brokers.set_rack(2, "there");
    });
    let section = ProducerConfig::new().partitioner_rack_aware(true).set("client.rack", "here");
    let (kafka, producer) = connect(&cluster, section);
    let value = vec![0_u8; 4000];
    let leaders = || {
        let all: Vec<_> = (0..100).map(|_| producer.send(Record::to("t").value(&value))).collect();
        let mut seen: Vec<_> = all.into_iter().map(|d| cluster.leader("t", d.wait().unwrap().partition())).collect();
        seen.sort_unstable();
        seen.dedup();
        seen
    };
    assert_eq!(leaders(), [Some(1)]);
    let keyed =
        (0..40).map(|i| producer.send(Record::to("t").key(&i.to_string()).value("v")).wait().unwrap().partition());
    assert!(keyed.map(|p| cluster.leader("t", p)).any(|leader| leader == Some(2)), "keys know no racks");
    kafka.close().wait().unwrap();
}
