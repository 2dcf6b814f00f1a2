//! librdkafka, through the `rdkafka` crate.

use crate::broker::{PARTITIONS, TOPIC};
use crate::cell::{Cell, values};
use crate::usage::{Cost, Usage};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

type Failure = Box<dyn std::error::Error>;

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
    config
}

/// Sends `records` records; every delivery report is looked at.
pub fn produce(cell: &Cell, bootstrap: &str, records: u64) -> Result<Cost, Failure> {
    let (config, reports) = (config(cell, bootstrap), Reports::default());
    let values = values(cell.size);
    let done = reports.0.clone();
    if cell.who == "librdkafka-threaded" {
        let producer = ThreadedProducer::from_config_and_context(&config, reports)?;
        measure(
            records,
            &values,
            &done,
            |record| producer.send(record),
            |all| {
                if all {
                    producer.flush(Duration::from_secs(60))
                } else {
                    std::thread::sleep(Duration::from_micros(500));
                    Ok(())
                }
            },
        )
    } else {
        let producer = BaseProducer::from_config_and_context(&config, reports)?;
        let mut n = 0u32;
        measure(
            records,
            &values,
            &done,
            |record| {
                n += 1;
                if n % 1000 == 0 {
                    producer.poll(Duration::ZERO);
                }
                producer.send(record)
            },
            |all| {
                if all {
                    producer.flush(Duration::from_secs(60))
                } else {
                    producer.poll(Duration::from_millis(100));
                    Ok(())
                }
            },
        )
    }
}

fn measure<'v>(
    records: u64,
    values: &'v [Vec<u8>],
    done: &AtomicU64,
    mut send: impl FnMut(BaseRecord<'v, (), [u8]>) -> Result<(), (KafkaError, BaseRecord<'v, (), [u8]>)>,
    mut wait: impl FnMut(bool) -> Result<(), KafkaError>,
) -> Result<Cost, Failure> {
    let mut run = |records: u64| -> Result<(), Failure> {
        for (_, value) in (0..records).zip(values.iter().cycle()) {
            let mut record = BaseRecord::to(TOPIC).payload(value.as_slice());
            while let Err((error, back)) = send(record) {
                if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                    return Err(error.into());
                }
                record = back;
                wait(false)?;
            }
        }
        wait(true)?;
        Ok(())
    };
    run(records / 10)?;
    let before = done.load(Ordering::Relaxed);
    let usage = Usage::now();
    run(records)?;
    let cost = usage.cost(records);
    let delivered = done.load(Ordering::Relaxed) - before;
    if delivered == records { Ok(cost) } else { Err(format!("{delivered} of {records} were delivered").into()) }
}

/// Reads `records` records.
pub fn consume(cell: &Cell, bootstrap: &str, records: u64) -> Result<Cost, Failure> {
    let mut config = config(cell, bootstrap);
    config.set("group.id", "bench").set("enable.auto.commit", "false");
    let consumer = BaseConsumer::from_config(&config)?;
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(TOPIC, partition, Offset::Offset(0))?;
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
