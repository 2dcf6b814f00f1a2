//! krafka, a client in Rust for tokio. Its runtime is current-thread: its multi-thread figures are two to three times higher.

use crate::cell::{Cell, Load};
use crate::latency::{self, Latencies};
use crate::usage::{Cost, Usage};
use bytes::Bytes;
use krafka::consumer::AutoOffsetReset;
use krafka::{Compression, Kafka, Record};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Handles that are kept before the oldest is looked at.
const KEPT: usize = 10_000;

fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

fn builder(kafka: &Kafka, cell: &Cell) -> krafka::producer::ProducerBuilder {
    let builder = kafka.producer().compression(match cell.codec.as_str() {
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        _ => Compression::None,
    });
    match (cell.what.as_str(), cell.tuned) {
        ("latency", _) => builder.linger(Duration::from_millis(cell.linger)),
        (_, true) => builder.batch_size(1_000_000).linger(Duration::from_millis(20)),
        (_, false) => builder,
    }
}

fn values(load: &Load) -> Vec<Bytes> {
    (0..load.len()).map(|n| Bytes::copy_from_slice(load.value(n))).collect()
}

/// Sends `records` records; every handle is awaited.
pub fn produce(cell: &Cell, bootstrap: &str, records: u64) -> Result<Cost, Failure> {
    block_on(async {
        let kafka = Kafka::builder(bootstrap).connect().await?;
        let producer = builder(&kafka, cell).build().await?;
        let (load, topic) = (Load::new(cell), cell.topic());
        // Its records own their bytes: shared ones cost a reference count each, and no copy.
        let values = values(&load);
        let mut usage = Usage::now();
        for records in [records / 10, records] {
            usage = Usage::now();
            let mut kept = VecDeque::with_capacity(KEPT);
            for n in 0..records {
                let mut record = Record::new(topic.as_str(), values[n as usize % values.len()].clone());
                if let Some(key) = load.key(n) {
                    record = record.key(Bytes::copy_from_slice(&key));
                }
                kept.push_back(producer.enqueue(record).await?);
                if kept.len() == KEPT {
                    if let Some(oldest) = kept.pop_front() {
                        drop(oldest.await?);
                    }
                }
            }
            producer.flush().await?;
            for handle in kept {
                drop(handle.await?);
            }
        }
        let cost = usage.cost(records);
        producer.close().await?;
        Ok(cost)
    })
}

/// Reads `records` records.
pub fn consume(cell: &Cell, bootstrap: &str, records: u64) -> Result<Cost, Failure> {
    block_on(async {
        let kafka = Kafka::builder(bootstrap).connect().await?;
        let builder = kafka.consumer_without_group().auto_offset_reset(AutoOffsetReset::Earliest);
        let builder = if cell.tuned { builder.max_poll_records(5_000) } else { builder };
        let consumer = builder.build().await?;
        consumer.assign(&cell.topic(), (0..cell.partitions).collect()).await?;
        let (mut cost, mut seen, mut bytes) = (None, 0, 0);
        for wanted in [records / 10, records] {
            let usage = Usage::now();
            (seen, bytes) = (0u64, 0u64);
            while seen < wanted {
                for record in consumer.poll(Duration::from_secs(30)).await? {
                    seen += 1;
                    bytes += record.value.map_or(0, |value| value.len() as u64);
                }
            }
            cost = Some(usage.cost(seen));
        }
        if bytes != seen * cell.size as u64 {
            return Err(format!("{bytes} bytes in {seen} records").into());
        }
        cost.ok_or_else(|| "no records".into())
    })
}

/// The latencies of records at a fixed rate.
pub fn latency(cell: &Cell, bootstrap: &str, records: u64) -> Result<Latencies, Failure> {
    let seen = latency::Shared::default();
    block_on(async {
        let kafka = Kafka::builder(bootstrap).connect().await?;
        let producer = Arc::new(builder(&kafka, cell).build().await?);
        let (load, topic) = (Load::new(cell), cell.topic());
        latency::pace_task(records, |n| {
            let (sent, seen, producer) = (Instant::now(), seen.clone(), producer.clone());
            let record = Record::new(topic.as_str(), Bytes::copy_from_slice(load.value(n)));
            async move {
                let handle = producer.enqueue(record).await?;
                tokio::spawn(async move { handle.await.map(|_| seen.add(sent)) });
                Ok(())
            }
        })
        .await?;
        Ok(producer.flush().await?)
    })?;
    Ok(seen.summary())
}
