//! What scenarios have in common.

use klamm::{
    Batch, Config, Consumer, ConsumerConfig, Delivery, Error, Kafka, Producer, ProducerConfig, Record,
    TransactionalProducer,
};
use klamm_sim::workload::{Sent, reader};
use klamm_sim::{Faults, Sim};
use std::future::Future;
use std::time::Duration;

pub(crate) use klamm_cluster::Api;
pub(crate) use klamm_sim::workload::judge_log;

/// The seeds of each scenario.
pub(crate) const SEEDS: std::ops::Range<u64> = 0..16;

/// Runs a scenario on a network that cuts and delays.
pub(crate) fn scenario<F: Future<Output = ()> + 'static>(app: impl Fn(Sim) -> F) {
    klamm_sim::check(SEEDS, |sim| {
        sim.faults(Faults::slowness().until(Duration::from_secs(3600)));
        app(sim)
    });
}

/// The same under few seeds: for what does not hang on the order of events.
pub(crate) fn few<F: Future<Output = ()> + 'static>(app: impl Fn(Sim) -> F) {
    klamm_sim::check(0..4, |sim| {
        sim.faults(Faults::slowness().until(Duration::from_secs(3600)));
        app(sim)
    });
}

/// Runs a scenario under few seeds on a network that delivers everything whole after 200 us: time means something there.
pub(crate) fn steady<F: Future<Output = ()> + 'static>(app: impl Fn(Sim) -> F) {
    klamm_sim::check(0..4, app);
}

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) async fn kafka(sim: &Sim) -> Kafka {
    kafka_with(sim, |c| c).await
}

pub(crate) async fn kafka_with(sim: &Sim, change: impl FnOnce(Config) -> Config) -> Kafka {
    Kafka::connect(sim, change(Config::new(sim.cluster().bootstrap()))).await.expect("the cluster answers")
}

pub(crate) fn producer(kafka: &Kafka, change: impl FnOnce(ProducerConfig) -> ProducerConfig) -> Producer {
    kafka.producer_with(change(ProducerConfig::new())).expect("a good configuration")
}

/// A member of `readers` that has subscribed to `topic`.
pub(crate) fn member(kafka: &Kafka, topic: &str, change: impl FnOnce(ConsumerConfig) -> ConsumerConfig) -> Consumer {
    let consumer = kafka.consumer_with(change(reader())).expect("a good configuration");
    consumer.subscribe([topic]).expect("a subscription");
    consumer
}

/// A consumer of its own that reads these partitions from the beginning.
pub(crate) fn standalone(
    kafka: &Kafka,
    topic: &str,
    partitions: i32,
    change: impl FnOnce(ConsumerConfig) -> ConsumerConfig,
) -> Consumer {
    let config = ConsumerConfig::standalone().set("auto.offset.reset", "earliest");
    let consumer = kafka.consumer_with(change(config)).expect("a good configuration");
    consumer.assign((0..partitions).map(|n| (topic, n))).expect("an assignment");
    consumer
}

/// Sends `n` values, one after the other, to one partition and waits for them.
pub(crate) async fn fill(kafka: &Kafka, topic: &str, partition: i32, values: std::ops::Range<u64>) {
    let producer = producer(kafka, |c| c);
    let sent: Vec<_> = values
        .map(|i| producer.send(Record::to(topic).partition(partition).value(&format!("{partition}-{i}"))))
        .collect();
    for delivery in sent {
        delivery.await.expect("nothing goes wrong here");
    }
    producer.close().await.expect("all is acknowledged");
}

/// Sends values of a sender and returns what is said of them.
pub(crate) async fn send_all(
    producer: &Producer,
    topic: &str,
    sender: &str,
    values: std::ops::Range<u64>,
) -> Vec<Sent> {
    let sent: Vec<_> = values
        .map(|i| {
            let value = format!("{sender}-{i}");
            let delivery = producer.send(Record::to(topic).key(sender).value(&value));
            (value, delivery)
        })
        .collect();
    let mut results = Vec::new();
    for (value, delivery) in sent {
        results.push((value, delivery.await.map(drop)));
    }
    results
}

/// What became of deliveries, each by the value that was sent.
pub(crate) async fn outcomes(sent: impl IntoIterator<Item = (String, Delivery)>) -> Vec<Sent> {
    let mut results = Vec::new();
    for (value, delivery) in sent {
        results.push((value, delivery.await.map(drop)));
    }
    results
}

/// Sends values of a sender to a partition without waiting for them.
pub(crate) fn send_to(
    producer: &Producer,
    topic: &str,
    partition: i32,
    sender: &str,
    values: std::ops::Range<u64>,
) -> Vec<(String, Delivery)> {
    let send = |i| {
        let value = format!("{sender}-{i}");
        let delivery = producer.send(Record::to(topic).partition(partition).value(&value));
        (value, delivery)
    };
    values.map(send).collect()
}

/// Partition, offset and value of each record.
pub(crate) fn rows(batch: &Batch) -> Vec<(i32, i64, String)> {
    batch.iter().map(|r| (r.partition(), r.offset(), text(r.value()))).collect()
}

pub(crate) fn text(value: Option<&[u8]>) -> String {
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}

/// Polls until there are `n` records in all, or for 60 s.
pub(crate) async fn read(sim: &Sim, consumer: &mut Consumer, n: usize) -> Vec<(i32, i64, String)> {
    let (mut all, end) = (Vec::new(), sim.elapsed() + Duration::from_secs(60));
    while all.len() < n && sim.elapsed() < end {
        if let Some(batch) = consumer.poll(ms(200)).await.expect("nothing is wrong here") {
            all.extend(rows(&batch));
        }
    }
    all
}

/// Polls until something is handed out, and gives the errors on the way.
pub(crate) async fn read_some(sim: &Sim, consumer: &mut Consumer) -> (Vec<(i32, i64, String)>, Vec<Error>) {
    let (mut errors, end) = (Vec::new(), sim.elapsed() + Duration::from_secs(60));
    while sim.elapsed() < end {
        match consumer.poll(ms(200)).await {
            Ok(Some(batch)) if !batch.is_empty() => return (rows(&batch), errors),
            Ok(_) => {}
            Err(error) => errors.push(error),
        }
    }
    (Vec::new(), errors)
}

/// Polls until the consumer has partitions; what comes with it is given back.
pub(crate) async fn joined(sim: &Sim, consumer: &mut Consumer) -> Vec<(i32, i64, String)> {
    let (mut all, end) = (Vec::new(), sim.elapsed() + Duration::from_secs(60));
    while consumer.assignment().is_empty() && sim.elapsed() < end {
        if let Some(batch) = consumer.poll(ms(50)).await.expect("nothing is wrong here") {
            all.extend(rows(&batch));
        }
    }
    assert!(!consumer.assignment().is_empty(), "it never gets a partition");
    all
}

/// The values in the log of a topic.
pub(crate) fn log(sim: &Sim, topic: &str) -> Vec<String> {
    sim.cluster().records(topic).iter().map(|r| text(r.value.as_deref())).collect()
}

/// The commit of a partition for the group `readers`.
pub(crate) fn committed(sim: &Sim, topic: &str, partition: i32) -> Option<i64> {
    sim.cluster().committed("readers", topic, partition)
}

/// `future`, unless it takes longer than `time`: then it is dropped.
pub(crate) async fn within<T>(sim: &Sim, time: Duration, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut over) = (std::pin::pin!(future), std::pin::pin!(sim.sleep(time)));
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        std::task::Poll::Ready(result) => std::task::Poll::Ready(Some(result)),
        std::task::Poll::Pending => over.as_mut().poll(cx).map(|()| None),
    })
    .await
}

/// A transactional producer of its own client's defaults.
pub(crate) async fn transactional(kafka: &Kafka, id: &str) -> TransactionalProducer {
    kafka.transactional_producer(id).await.expect("the coordinator answers")
}

/// The committed values of a topic, sorted, once no transaction is open on it.
pub(crate) async fn settled(sim: &Sim, topic: &str) -> Vec<String> {
    let end = sim.elapsed() + Duration::from_secs(120);
    loop {
        let open = sim.cluster().with(|b, _| {
            (0..b.partition_count(topic)).any(|p| b.last_stable_offset(topic, p) != b.offsets(topic, p).map(|at| at.1))
        });
        if !open {
            break;
        }
        assert!(sim.elapsed() < end, "a transaction hangs");
        sim.sleep(ms(20)).await;
    }
    let mut all: Vec<String> =
        sim.cluster().committed_records(topic).iter().map(|r| text(r.value.as_deref())).collect();
    all.sort();
    all
}

/// `n` values of a sender.
pub(crate) fn values(sender: &str, n: u64) -> Vec<String> {
    (0..n).map(|i| format!("{sender}-{i}")).collect()
}
