//! Typed topics, written and read on an in-memory cluster.

use klamm::config::ConsumerConfig;
use klamm::serdes::{I64, Utf8};
use klamm::{Blocking, ErrorKind, Kafka, Record, TypedTopic};
use klamm_cluster::Cluster;
use std::time::Duration;

const VISITS: TypedTopic<Utf8, I64> = TypedTopic::new("visits", Utf8, I64);

#[test]
fn what_was_written_by_a_type_is_read_by_it_and_what_was_not_is_an_error_with_its_place() {
    let cluster = Cluster::start().unwrap();
    let kafka = Kafka::connect(Blocking, cluster.bootstrap()).wait().unwrap();
    let producer = kafka.producer().unwrap();
    producer.send_typed(&VISITS, Some("home"), Some(&7)).wait().unwrap();
    producer.send_typed::<_, _, str, i64>(&VISITS, Some("gone"), None).wait().unwrap();
    producer.send(Record::to("visits").key("odd").value("seven")).wait().unwrap();

    let section = ConsumerConfig::standalone().set("auto.offset.reset", "earliest");
    let mut consumer = kafka.consumer_with(section).unwrap();
    consumer.assign([("visits", 0)]).unwrap();
    let mut all = Vec::new();
    while all.len() < 3 {
        let batch = consumer.poll(Duration::from_secs(5)).wait().unwrap().unwrap();
        all.extend(batch.iter().map(klamm::ConsumerRecord::into_owned));
    }
    let record = all[0].view();
    assert_eq!((VISITS.key(&record).unwrap(), VISITS.value(&record).unwrap()), (Some("home"), Some(7)));
    assert_eq!((record.key_as(&Utf8).unwrap(), record.value_as(&I64).unwrap()), (Some("home"), Some(7)));
    assert_eq!(VISITS.value(&all[1].view()).unwrap(), None);

    for error in [VISITS.value(&all[2].view()).unwrap_err(), all[2].view().value_as(&I64).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Deserialize);
        assert_eq!((error.topic(), error.partition(), error.offset()), (Some("visits"), Some(0), Some(2)));
        assert!(error.to_string().starts_with("visits-0, offset 2: "), "{error}");
    }
}
