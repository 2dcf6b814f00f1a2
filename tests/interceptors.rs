//! Interceptors of a producer, on the in-memory cluster.

use klamm::config::ProducerConfig;
use klamm::{
    Acknowledgement, Blocking, Config, ErrorKind, Kafka, Plugin, ProducerInterceptor, Receipts, Record, RecordEdit,
};
use klamm_cluster::{Api, Cluster};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

type Seen = Arc<Mutex<Vec<String>>>;

/// Adds a header and notes the outcome; panics where it is told to.
struct Stamps(&'static str, Seen);

impl ProducerInterceptor for Stamps {
    fn on_send(&self, record: &mut RecordEdit<'_>) {
        record.add_header("by", Some(self.0.into()));
        if self.0 == "upper" {
            let upper = record.value().map(<[u8]>::to_ascii_uppercase);
            record.set_value(upper);
        }
        assert!(self.0 != "panics", "on purpose");
    }

    fn on_acknowledgement(&self, told: &Acknowledgement<'_>) {
        let headers: Vec<_> = told.headers().map(|h| String::from_utf8_lossy(h.value.unwrap()).into_owned()).collect();
        let result = told.result().map(|at| at.offset()).map_err(klamm::Error::kind);
        let line = format!("{} {}-{:?} {} {result:?}", self.0, told.topic(), told.partition(), headers.join("+"));
        self.1.lock().unwrap().push(line);
        assert!(self.0 != "panics", "on purpose");
    }
}

fn cluster() -> Cluster {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("t", 1);
    cluster
}

fn section(names: &[&'static str], seen: &Seen) -> ProducerConfig {
    names.iter().fold(ProducerConfig::new().max_block(Duration::from_millis(300)), |section, name| {
        section.interceptor(Plugin::interceptor(Stamps(name, seen.clone())))
    })
}

/// What was seen, once there are `count` lines.
fn lines(seen: &Seen, count: usize) -> Vec<String> {
    let end = Instant::now() + Duration::from_secs(10);
    while seen.lock().unwrap().len() < count && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::mem::take(&mut *seen.lock().unwrap())
}

#[test]
fn each_way_of_sending_asks_them_in_order_and_tells_them_the_outcome() {
    let (cluster, seen) = (cluster(), Seen::default());
    let kafka = Kafka::connect(Blocking, Config::new(cluster.bootstrap())).wait().unwrap();
    let producer = kafka.producer_with(section(&["first", "upper"], &seen)).unwrap();
    producer.send(Record::to("t").value("a")).wait().unwrap();
    assert_eq!(lines(&seen, 2), ["first t-Some(0) first+upper Ok(Some(0))", "upper t-Some(0) first+upper Ok(Some(0))"]);
    producer.try_send(Record::to("t").value("b")).unwrap().wait().unwrap();
    producer.send_batch(["c", "d"].map(|value| Record::to("t").value(value.as_bytes()))).wait().unwrap();
    let mut receipts = Receipts::new();
    producer.send_to(&mut receipts, Record::to("t").value("e").header("own", "mine"));
    receipts.wait().unwrap();
    let told = lines(&seen, 8);
    assert_eq!(told.len(), 8, "{told:?}");
    assert_eq!(told[6], "first t-Some(0) mine+first+upper Ok(Some(4))");
    let values: Vec<_> = cluster.records("t").into_iter().map(|record| record.value.unwrap()).collect();
    assert_eq!(values, ["A", "B", "C", "D", "E"].map(|value| value.as_bytes().to_vec()));
    assert_eq!(producer.interceptor_panics(), 0);
    kafka.close().wait().unwrap();
}

#[test]
fn one_that_panics_is_passed_over_and_counted() {
    let (cluster, seen) = (cluster(), Seen::default());
    let kafka = Kafka::connect(Blocking, Config::new(cluster.bootstrap())).wait().unwrap();
    let producer = kafka.producer_with(section(&["first", "panics", "last"], &seen)).unwrap();
    producer.send(Record::to("t").value("a")).wait().unwrap();
    let told = lines(&seen, 3);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.iter().all(|line| line.contains(" first+last ")), "{told:?}");
    assert_eq!(producer.interceptor_panics(), 2);
    producer.send(Record::to("t").value("b")).wait().unwrap();
    kafka.close().wait().unwrap();
    assert_eq!(cluster.records("t").len(), 2);
}

#[test]
fn failures_are_told_and_a_look_by_an_interceptor_is_none_by_the_sender() {
    let (cluster, seen) = (Cluster::builder().auto_create(false).start().unwrap(), Seen::default());
    cluster.create_topic("t", 1);
    let kafka = Kafka::connect(Blocking, Config::new(cluster.bootstrap())).wait().unwrap();
    let producer = kafka.producer_with(section(&["one"], &seen)).unwrap();
    // Refused at the call, refused in line, refused by the broker.
    let large = vec![0; 2 << 20];
    let error = producer.send(Record::to("t").value(&large)).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RecordTooLarge);
    assert_eq!(lines(&seen, 1), ["one t-None one Err(RecordTooLarge)"]);
    producer.send(Record::to("nowhere").value("v")).wait().unwrap_err();
    assert_eq!(lines(&seen, 1), ["one nowhere-None one Err(UnknownTopic)"]);
    cluster.fault(Api::Produce).times(1).error(87);
    drop(producer.send(Record::to("t").value("v")));
    let told = lines(&seen, 1);
    assert!(told[0].starts_with("one t-Some(0) one Err("), "{told:?}");
    assert_eq!(producer.flush().wait().unwrap_err().kind(), ErrorKind::Undelivered);
    kafka.close().wait().unwrap();
}

/// Counts what it is told.
struct Counts(Arc<std::sync::atomic::AtomicUsize>);

impl ProducerInterceptor for Counts {
    fn on_acknowledgement(&self, _: &Acknowledgement<'_>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn each_of_many_records_is_told_once_however_they_waited() {
    let cluster = cluster();
    cluster.create_topic("u", 4);
    let told = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let section = ProducerConfig::new()
        .interceptor(Plugin::interceptor(Counts(told.clone())))
        .batch_size(2_000)
        .buffer_memory(30_000)
        .set("max.block.ms", 20_000);
    let kafka = Kafka::connect(Blocking, Config::new(cluster.bootstrap())).wait().unwrap();
    let producer = kafka.producer_with(section).unwrap();
    // Some wait for their topic, some for memory, most for their batch.
    std::thread::scope(|scope| {
        for topic in ["t", "u", "u", "new"] {
            let producer = &producer;
            scope.spawn(move || {
                for n in 0..2_000 {
                    let delivery = producer.send(Record::to(topic).value(&[n as u8; 20]));
                    if n % 50 == 0 {
                        delivery.queued().wait().unwrap();
                    }
                }
            });
        }
    });
    producer.flush().wait().unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    while told.load(std::sync::atomic::Ordering::Relaxed) < 8_000 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    kafka.close().wait().unwrap();
    assert_eq!(told.load(std::sync::atomic::Ordering::Relaxed), 8_000);
}
