//! librdkafka, through the `rdkafka` crate.

use crate::cell::{Cell, Load};
use crate::latency::{self, Latencies};
use crate::ours::shares;
use crate::usage::{Cost, Usage};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Looks at every delivery report.
#[derive(Clone, Default)]
struct Reports(Arc<AtomicU64>);

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.as_ref().is_ok_and(|message| message.offset() >= 0) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn config(cell: &Cell, bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    let tuned: &[(&str, &str)] = match (cell.what.as_str(), cell.tuned) {
        ("produce", true) => &[
            ("queue.buffering.max.messages", "50000"),
            ("linger.ms", "20"),
            ("batch.size", "1000000"),
            ("batch.num.messages", "100000"),
        ],
        ("consume", true) => &[("check.crcs", "false")],
        _ => &[],
    };
    for (key, value) in tuned {
        config.set(*key, *value);
    }
    if cell.what != "consume" {
        config.set("compression.type", &cell.codec);
    }
    config
}

/// Sends `records` records; every delivery report is looked at.
pub fn produce(cell: &Cell, bootstrap: &str, records: u64) -> Result<Cost, Failure> {
    let reports = Reports::default();
    let done = reports.0.clone();
    let producer = BaseProducer::from_config_and_context(&config(cell, bootstrap), reports)?;
    let (load, topic) = (Load::new(cell), cell.topic());
    let send_all = |records: u64| -> Result<(), Failure> {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // With several senders somebody else serves the reports, as librdkafka's manual has it.
            let poller = (cell.threads > 1).then(|| {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        producer.poll(Duration::from_millis(10));
                    }
                })
            });
            let (producer, load, topic) = (&producer, &load, topic.as_str());
            let own = cell.threads == 1;
            let senders: Vec<_> = shares(records, cell.threads)
                .map(|share| {
                    scope.spawn(move || share.into_iter().try_for_each(|n| send(producer, topic, load, n, own)))
                })
                .collect();
            let sent: Result<(), KafkaError> =
                senders.into_iter().try_for_each(|sender| sender.join().expect("a sender does not panic"));
            over.store(true, Ordering::Relaxed);
            if let Some(poller) = poller {
                poller.join().expect("polling does not panic");
            }
            sent?;
            Ok(producer.flush(Duration::from_secs(60))?)
        })
    };
    send_all(records / 10)?;
    let before = done.load(Ordering::Relaxed);
    let usage = Usage::now();
    send_all(records)?;
    let cost = usage.cost(records);
    let delivered = done.load(Ordering::Relaxed) - before;
    if delivered == records { Ok(cost) } else { Err(format!("{delivered} of {records} were delivered").into()) }
}

fn send(producer: &BaseProducer<Reports>, topic: &str, load: &Load, n: u64, own: bool) -> Result<(), KafkaError> {
    if own && n % 1000 == 0 {
        producer.poll(Duration::ZERO);
    }
    let key = load.key(n);
    let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).payload(load.value(n));
    if let Some(key) = &key {
        record = record.key(key);
    }
    while let Err((error, back)) = producer.send(record) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
            return Err(error);
        }
        record = back;
        if own {
            producer.poll(Duration::from_millis(100));
        } else {
            std::thread::sleep(Duration::from_micros(500));
        }
    }
    Ok(())
}

/// Reads `records` records.
pub fn consume(cell: &Cell, bootstrap: &str, records: u64) -> Result<Cost, Failure> {
    let mut config = config(cell, bootstrap);
    config.set("group.id", "bench").set("enable.auto.commit", "false");
    let consumer = BaseConsumer::from_config(&config)?;
    let mut list = TopicPartitionList::new();
    for partition in 0..cell.partitions {
        list.add_partition_offset(&cell.topic(), partition, Offset::Offset(0))?;
    }
    consumer.assign(&list)?;
    let run = |records: u64| -> Result<u64, Failure> {
        let mut bytes = 0;
        for _ in 0..records {
            let message = consumer.poll(Duration::from_secs(30)).ok_or("nothing came")??;
            bytes += message.payload().map_or(0, <[u8]>::len) as u64;
        }
        Ok(bytes)
    };
    run(records / 10)?;
    let usage = Usage::now();
    let bytes = run(records)?;
    let cost = usage.cost(records);
    if bytes == records * cell.size as u64 { Ok(cost) } else { Err(format!("{bytes} bytes came").into()) }
}

/// Notes when each record was acknowledged.
struct Clocked(latency::Shared);

impl ClientContext for Clocked {}

impl ProducerContext for Clocked {
    type DeliveryOpaque = Box<Instant>;
    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<Instant>) {
        if result.is_ok() {
            self.0.add(*sent);
        }
    }
}

/// The latencies of records at a fixed rate.
pub fn latency(cell: &Cell, bootstrap: &str, records: u64) -> Result<Latencies, Failure> {
    let seen = latency::Shared::default();
    let mut config = config(cell, bootstrap);
    config.set("linger.ms", cell.linger.to_string());
    let producer = ThreadedProducer::from_config_and_context(&config, Clocked(seen.clone()))?;
    let (load, topic) = (Load::new(cell), cell.topic());
    latency::pace(records, |n| {
        let record: BaseRecord<'_, [u8], [u8], _> =
            BaseRecord::with_opaque_to(&topic, Box::new(Instant::now())).payload(load.value(n));
        producer.send(record).map_err(|(error, _)| error.into())
    })?;
    producer.flush(Duration::from_secs(30))?;
    Ok(seen.summary())
}
