//! What a client tells to `tracing`.

use klamm::{Blocking, Config, ConsumerConfig, Kafka, Record};
use klamm_cluster::{Api, Cluster};
use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record as Values};
use tracing::{Event, Metadata, Subscriber};

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps what klamm says, one line for each event.
struct Keeper;

impl Subscriber for Keeper {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("klamm::")
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Values<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        struct Text(String);
        impl Visit for Text {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                let _ = write!(self.0, " {}={value:?}", field.name());
            }
        }
        let mut text = Text(format!("{} {}", event.metadata().level(), event.metadata().target()));
        event.record(&mut text);
        LINES.lock().unwrap().push(text.0);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Waits for a line that holds all of these, and gives how many there are by then.
fn told(parts: &[&str]) -> usize {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let lines = LINES.lock().unwrap().clone();
        let count = lines.iter().filter(|line| parts.iter().all(|part| line.contains(part))).count();
        if count > 0 {
            return count;
        }
        assert!(Instant::now() < end, "{parts:?} is not among {lines:#?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn connections_leaders_retries_failures_and_rebalances_are_told_and_single_records_are_not() {
    tracing::subscriber::set_global_default(Keeper).unwrap();
    let cluster = Cluster::with_brokers(3).unwrap();
    cluster.create_topic_with("t", 1, 3, &[]);
    let config = Config::new(cluster.bootstrap()).metadata_max_age(Duration::from_millis(200));
    let kafka = Kafka::connect(Blocking, config).wait().unwrap();
    let producer = kafka.producer().unwrap();
    producer.send(Record::to("t").value("v")).wait().unwrap();
    told(&["DEBUG klamm::link", "connected", "broker="]);
    cluster.fault(Api::Produce).times(1).error(19);
    producer.send(Record::to("t").value("v")).wait().unwrap();
    told(&["DEBUG klamm::producer", "batch is sent again", "topic=t", "attempts=1", "NOT_ENOUGH_REPLICAS"]);
    cluster.fault(Api::Produce).times(1).error(87);
    producer.send(Record::to("t").value("v")).wait().unwrap_err();
    told(&["WARN klamm::producer", "batch failed", "INVALID_RECORD"]);
    let from = cluster.leader("t", 0).unwrap();
    let to = (1..=3).find(|broker| *broker != from).unwrap();
    cluster.move_leader("t", 0, to).unwrap();
    told(&["INFO klamm::metadata", "leader moved", &format!("from={from}"), &format!("to={to}")]);
    let mut consumer = kafka.consumer_with(ConsumerConfig::group("g")).unwrap();
    consumer.subscribe(["t"]).unwrap();
    consumer.poll(Duration::from_millis(500)).wait().unwrap();
    told(&["INFO klamm::group", "assigned", "group=g"]);
    cluster.kill_broker(to);
    told(&["INFO klamm::link", "disconnected", &format!("broker={to}")]);
    let before = LINES.lock().unwrap().len();
    for _ in 0..200 {
        producer.send(Record::to("t").value("v")).wait().unwrap();
    }
    let after = LINES.lock().unwrap().len();
    assert!(after - before < 100, "{} lines for 200 records", after - before);
    kafka.close().wait().unwrap();
}
