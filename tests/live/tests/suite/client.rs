//! klamm on a runtime, and records in the notation of the peers.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use klamm::{Config, Consumer, ConsumerConfig, ConsumerRecord, Kafka, Timestamp};
use klamm_live::{Record, Runtime, Target};

/// What most behaviours wait for at most: a slow machine must not fail them, and a hang must.
pub(crate) const LIMIT: Duration = Duration::from_secs(40);

/// Runs a behaviour where its client belongs: futures of the blocking client are polled by a plain thread, for no
/// executor may be needed.
pub(crate) fn drive<T>(runtime: Runtime, future: impl Future<Output = Result<T>>) -> Result<T> {
    match runtime {
        Runtime::Tokio => {
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(future)
        }
        Runtime::AsyncStd => async_std::task::block_on(future),
        Runtime::Blocking => park_on(future),
    }
}

fn park_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

/// A client of this target on this runtime.
pub(crate) async fn connect(target: &Target, runtime: Runtime) -> Result<Kafka> {
    connect_with(Config::new(target.bootstrap()), runtime).await
}

/// The same with settings.
pub(crate) async fn connect_with(config: Config, runtime: Runtime) -> Result<Kafka> {
    Ok(match runtime {
        Runtime::Tokio => Kafka::connect(klamm::Tokio, config).await?,
        Runtime::AsyncStd => Kafka::connect(klamm::AsyncStd, config).await?,
        Runtime::Blocking => Kafka::connect(klamm::Blocking, config).await?,
    })
}

/// A record of klamm that borrows from one of ours.
pub(crate) fn to_klamm(record: &Record) -> klamm::Record<'_> {
    let mut made = klamm::Record::to(record.topic.as_str());
    if let Some(partition) = record.partition {
        made = made.partition(partition);
    }
    if let Some(timestamp) = record.timestamp {
        made = made.timestamp(Timestamp::from_millis(timestamp));
    }
    if let Some(key) = &record.key {
        made = made.key(key);
    }
    if let Some(value) = &record.value {
        made = made.value(value);
    }
    for (name, value) in &record.headers {
        made = match value {
            Some(value) => made.header(name, value),
            None => made.null_header(name),
        };
    }
    made
}

/// A record of ours with everything that a consumer sees.
pub(crate) fn from_klamm(record: ConsumerRecord<'_>) -> Record {
    Record {
        topic: record.topic().to_owned(),
        partition: Some(record.partition()),
        offset: Some(record.offset()),
        timestamp: Some(record.timestamp().as_millis()),
        codec: None,
        key: record.key().map(<[u8]>::to_vec),
        value: record.value().map(<[u8]>::to_vec),
        headers: record
            .headers()
            .into_iter()
            .map(|h| (String::from_utf8_lossy(h.key).into_owned(), h.value.map(<[u8]>::to_vec)))
            .collect(),
    }
}

/// Sends records one after the other, then gives them back as they are to be read.
pub(crate) async fn send_all(producer: &klamm::Producer, records: &[Record]) -> Result<Vec<Record>> {
    let deliveries: Vec<_> = records.iter().map(|record| producer.send(to_klamm(record))).collect();
    let mut written = Vec::with_capacity(records.len());
    for (delivery, record) in deliveries.into_iter().zip(records) {
        let at = delivery.await?;
        let mut record = record.clone().as_read();
        record.partition = Some(at.partition());
        record.offset = at.offset();
        record.timestamp = at.timestamp().map(Timestamp::as_millis).or(record.timestamp);
        written.push(record);
    }
    Ok(written)
}

/// Polls until `count` records came; fails after [`LIMIT`], and when more came.
pub(crate) async fn take(consumer: &mut Consumer, count: usize) -> Result<Vec<Record>> {
    let deadline = Instant::now() + LIMIT;
    let mut records = Vec::new();
    while records.len() < count {
        ensure!(Instant::now() < deadline, "{} of {count} records within {LIMIT:?}", records.len());
        let batch = consumer.poll(Duration::from_millis(200)).await?.context("nobody woke this consumer up")?;
        records.extend(batch.iter().map(from_klamm));
    }
    ensure!(records.len() == count, "{} records instead of {count}", records.len());
    Ok(records)
}

/// Polls for a moment and expects nothing.
pub(crate) async fn expect_nothing(consumer: &mut Consumer) -> Result<()> {
    let batch = consumer.poll(Duration::from_millis(500)).await?.context("nobody woke this consumer up")?;
    ensure!(batch.is_empty(), "{} records more than expected", batch.len());
    Ok(())
}

/// A consumer without a group that begins at the first record of every partition.
pub(crate) fn reader(kafka: &Kafka, topic: &str) -> Result<Consumer> {
    let consumer = kafka.consumer_with(ConsumerConfig::standalone().set("auto.offset.reset", "earliest"))?;
    consumer.subscribe([topic])?;
    Ok(consumer)
}

/// Records in the order of their partitions, for comparing what several partitions hold.
pub(crate) fn by_place(mut records: Vec<Record>) -> Vec<Record> {
    records.sort_by_key(|record| (record.partition, record.offset));
    records
}
