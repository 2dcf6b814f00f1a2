//! In steady state a record costs no allocation on the thread that sends it.

use klamm::config::ProducerConfig;
use klamm::{Blocking, Config, Header, Kafka, Producer, Receipts, Record, Topic};
use klamm_cluster::Cluster;
use std::time::Duration;

fn rig(test: impl FnOnce(&Producer, &Topic)) {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("t", 4);
    // Batches that neither fill nor linger out while it is counted.
    let section = ProducerConfig::new().batch_size(1 << 20).linger(Duration::from_secs(60));
    let kafka = Kafka::connect(Blocking, Config::new(cluster.bootstrap()).producer(section)).wait().unwrap();
    let producer = kafka.producer().unwrap();
    let topic = producer.topic("t");
    topic.ready().wait().unwrap();
    test(&producer, &topic);
    producer.flush().wait().unwrap();
    kafka.close().wait().unwrap();
}

/// Counts the allocations of 1000 calls, after 100 that may open batches and grow tables.
fn count(mut one: impl FnMut(usize)) -> u64 {
    (0..100).for_each(&mut one);
    allocation_counter::measure(|| (0..1000).for_each(&mut one)).count_total
}

#[test]
fn a_record_to_a_resolved_topic_allocates_nothing() {
    rig(|producer, topic| {
        assert_eq!(count(|_| drop(producer.send(Record::to(topic).value(&[7; 100])))), 0);
    });
}

#[test]
fn a_record_by_name_with_key_and_lent_headers_allocates_nothing() {
    rig(|producer, _| {
        let headers = [Header::new("source", b"web"), Header::null("none")];
        let sent = count(|i| {
            let key = i.to_le_bytes();
            drop(producer.send(Record::to("t").key(&key).value("hello").headers(&headers)));
        });
        assert_eq!(sent, 0);
    });
}

#[test]
fn waiting_for_an_outcome_that_is_known_allocates_nothing() {
    rig(|producer, topic| {
        let sent: Vec<_> = (0..1100).map(|_| producer.send(Record::to(topic).value("v"))).collect();
        producer.flush().wait().unwrap();
        let mut sent = sent.into_iter();
        assert_eq!(count(|_| assert!(sent.next().is_some_and(|delivery| delivery.wait().is_ok()))), 0);
    });
}

#[test]
fn try_send_allocates_nothing() {
    rig(|producer, topic| {
        assert_eq!(count(|_| drop(producer.try_send(Record::to(topic).value("v")).unwrap())), 0);
    });
}

#[test]
fn a_batch_of_records_allocates_once_per_call() {
    rig(|producer, topic| {
        let sent = count(|_| drop(producer.send_batch((0..16).map(|_| Record::to(topic).value("v")))));
        assert_eq!(sent, 1000, "one per call of sixteen records");
    });
}

#[test]
fn receipts_allocate_nothing_per_record() {
    rig(|producer, topic| {
        let mut receipts = Receipts::new();
        assert_eq!(count(|_| producer.send_to(&mut receipts, Record::to(topic).value("v"))), 0);
        producer.flush().wait().unwrap();
        receipts.wait().unwrap();
        let ranges: Vec<_> = receipts.drain().map(|receipt| receipt.numbers()).collect();
        assert_eq!(ranges.iter().map(|range| range.end - range.start).sum::<u64>(), 1100);
    });
}

#[test]
fn a_batch_allocates_its_outcome_the_owner_of_its_bytes_and_at_most_a_buffer() {
    const RECORDS: u64 = 20_000;
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("t", 1);
    let kafka = Kafka::connect(Blocking, Config::new(cluster.bootstrap())).wait().unwrap();
    // Only full batches leave, however slow the machine is.
    let producer = kafka.producer_with(ProducerConfig::new().linger(Duration::from_secs(10))).unwrap();
    let topic = producer.topic("t");
    let send = || (0..RECORDS).for_each(|_| drop(producer.send(Record::to(&topic).value(&[7; 100]))));
    // From here on buffers come out of the pool, but for those that the driver still held at the end of the first round.
    send();
    producer.flush().wait().unwrap();
    let counted = allocation_counter::measure(send).count_total;
    producer.flush().wait().unwrap();
    // 107 to 109 bytes in a batch of 16384: at least 149 records.
    let batches = RECORDS / 149;
    // A few more where a list grows.
    assert!(counted <= 3 * batches + 16, "{counted} allocations for {batches} batches");
    assert_eq!(cluster.records("t").len() as u64, 2 * RECORDS);
    kafka.close().wait().unwrap();
}
