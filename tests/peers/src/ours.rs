//! klamm: the same programs.

use crate::cell::{Cell, Load};
use crate::usage::{Cost, Usage};
use klamm::config::ProducerConfig;
use klamm::{AsyncStd, Blocking, Config, Delivery, Kafka, Producer, Receipts, Record, Tokio, Topic, TrySendReason};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Deliveries that are kept before the oldest is looked at.
const KEPT: usize = 50_000;
/// Records between two looks at receipts.
const DRAIN: u64 = 4096;
/// Records in one call of the bulk form.
const BULK: u64 = 100;

fn section(cell: &Cell) -> ProducerConfig {
    let section = ProducerConfig::new().set("compression.type", &cell.codec);
    if cell.tuned {
        section.batch_size(262_144).linger(Duration::from_millis(20)).buffer_memory(4 << 20)
    } else {
        section
    }
}

fn config(cell: &Cell, bootstrap: &str) -> Config {
    Config::new(bootstrap).producer(section(cell))
}

/// The share of each thread.
pub fn shares(records: u64, threads: u64) -> impl Iterator<Item = Range<u64>> {
    let share = records / threads;
    (0..threads).map(move |n| n * share..(n + 1) * share)
}

/// Sends `records` records; every outcome is looked at.
pub fn produce(cell: &Cell, bootstrap: &str, records: u64) -> Result<Cost, Failure> {
    let (runtime, way) = cell.who.rsplit_once('-').ok_or("RUNTIME-WAY")?;
    match runtime {
        "blocking" => blocking(cell, way, bootstrap, records),
        "async-std" => {
            async_std::task::block_on(asynchronous(AsyncStd, cell.clone(), way.into(), bootstrap.into(), records))
        }
        "tokio" => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(asynchronous(Tokio, cell.clone(), way.into(), bootstrap.into(), records))
        }
        "tokio-mt" => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let work = asynchronous(Tokio, cell.clone(), way.into(), bootstrap.into(), records);
            // As a task, so that the runtime runs it on a worker.
            let work = async { work.await.map_err(|error| error.to_string()) };
            Ok(runtime.block_on(async { tokio::spawn(work).await })??)
        }
        _ => Err(format!("klamm is not used as {}", cell.who).into()),
    }
}

fn blocking(cell: &Cell, way: &str, bootstrap: &str, records: u64) -> Result<Cost, Failure> {
    let run: fn(&Producer, &Topic, &Load, Range<u64>) -> klamm::Result<()> = match way {
        "send" => blocking_send,
        "receipts" => blocking_receipts,
        "batch" => blocking_batch,
        _ => return Err(format!("klamm is not used as {}", cell.who).into()),
    };
    let load = Load::new(cell);
    let kafka = Kafka::connect(Blocking, config(cell, bootstrap)).wait()?;
    let producer = kafka.producer()?;
    let topic = producer.topic(&cell.topic());
    topic.ready().wait()?;
    let all = |records| {
        std::thread::scope(|scope| {
            let (producer, topic, load) = (&producer, &topic, &load);
            let threads: Vec<_> = shares(records, cell.threads)
                .map(|share| scope.spawn(move || run(producer, topic, load, share)))
                .collect();
            threads.into_iter().try_for_each(|thread| thread.join().expect("a sender does not panic"))
        })
    };
    all(records / 10)?;
    let usage = Usage::now();
    all(records)?;
    let cost = usage.cost(records);
    kafka.close().wait()?;
    Ok(cost)
}

async fn asynchronous(
    runtime: impl klamm::Runtime,
    cell: Cell,
    way: String,
    bootstrap: String,
    records: u64,
) -> Result<Cost, Failure> {
    let load = Arc::new(Load::new(&cell));
    let kafka = Kafka::connect_lazy(runtime, config(&cell, &bootstrap))?;
    kafka.ping().await?;
    let producer = kafka.producer()?;
    let topic = producer.topic(&cell.topic());
    topic.ready().await?;
    let receipts = match way.as_str() {
        "receipts" => true,
        "send" => false,
        _ => return Err(format!("klamm is not used as {}", cell.who).into()),
    };
    let mut usage = Usage::now();
    for records in [records / 10, records] {
        usage = Usage::now();
        let mut tasks = Vec::new();
        for share in shares(records, cell.threads) {
            let (producer, topic, load) = (producer.clone(), topic.clone(), load.clone());
            let task = async move {
                if receipts {
                    async_receipts(&producer, &topic, &load, share).await
                } else {
                    async_send(&producer, &topic, &load, share).await
                }
            };
            if cell.threads == 1 { task.await? } else { tasks.push(tokio::spawn(task)) }
        }
        for task in tasks {
            task.await??;
        }
    }
    let cost = usage.cost(records);
    kafka.close().await?;
    Ok(cost)
}

#[inline]
fn record<'a>(topic: &'a Topic, value: &'a [u8], key: &'a Option<[u8; 8]>) -> Record<'a> {
    let record = Record::to(topic).value(value);
    match key {
        Some(key) => record.key(key),
        None => record,
    }
}

fn blocking_send(producer: &Producer, topic: &Topic, load: &Load, share: Range<u64>) -> klamm::Result<()> {
    let mut kept = VecDeque::with_capacity(KEPT);
    let look = |delivery: Delivery| delivery.wait().map(drop);
    for n in share {
        let key = load.key(n);
        let mut record = record(topic, load.value(n), &key);
        let delivery = loop {
            match producer.try_send(record) {
                Ok(delivery) => break delivery,
                Err(back) if matches!(back.reason, TrySendReason::Full) => {
                    record = back.record;
                    if let Some(oldest) = kept.pop_front() {
                        look(oldest)?;
                    }
                }
                Err(back) => return Err(klamm::Error::new(klamm::ErrorKind::Misuse, back.to_string())),
            }
        };
        kept.push_back(delivery);
        if kept.len() == KEPT {
            while kept.front().is_some_and(|oldest| kept.len() == KEPT || oldest.is_ready()) {
                if let Some(oldest) = kept.pop_front() {
                    look(oldest)?;
                }
            }
        }
    }
    producer.flush().wait()?;
    kept.into_iter().try_for_each(look)
}

fn settle(receipts: &mut Receipts) -> klamm::Result<u64> {
    let mut seen = 0;
    for receipt in receipts.drain() {
        receipt.result().map_err(Clone::clone)?;
        seen += receipt.numbers().end - receipt.numbers().start;
    }
    Ok(seen)
}

fn check(seen: u64, share: &Range<u64>) -> klamm::Result<()> {
    let records = share.end - share.start;
    if seen == records {
        return Ok(());
    }
    Err(klamm::Error::new(klamm::ErrorKind::NotDelivered, format!("{seen} of {records} outcomes")))
}

fn blocking_receipts(producer: &Producer, topic: &Topic, load: &Load, share: Range<u64>) -> klamm::Result<()> {
    let (mut receipts, mut seen) = (Receipts::new(), 0);
    for n in share.clone() {
        let key = load.key(n);
        producer.send_to(&mut receipts, record(topic, load.value(n), &key));
        if !receipts.is_queued() {
            receipts.queued().wait()?;
        }
        if n % DRAIN == 0 {
            seen += settle(&mut receipts)?;
        }
    }
    producer.flush().wait()?;
    receipts.wait()?;
    check(seen + settle(&mut receipts)?, &share)
}

fn blocking_batch(producer: &Producer, topic: &Topic, load: &Load, share: Range<u64>) -> klamm::Result<()> {
    let mut kept = VecDeque::with_capacity(KEPT / BULK as usize);
    for begin in share.step_by(BULK as usize) {
        let sent = producer.send_batch((begin..begin + BULK).map(|n| Record::to(topic).value(load.value(n))));
        let sent = if sent.is_queued() { sent } else { sent.queued().wait()? };
        kept.push_back(sent);
        if kept.len() == KEPT / BULK as usize {
            if let Some(oldest) = kept.pop_front() {
                oldest.wait()?;
            }
        }
    }
    producer.flush().wait()?;
    kept.into_iter().try_for_each(klamm::Deliveries::wait)
}

async fn async_send(producer: &Producer, topic: &Topic, load: &Load, share: Range<u64>) -> klamm::Result<()> {
    let mut kept = VecDeque::with_capacity(KEPT);
    for n in share {
        let key = load.key(n);
        kept.push_back(producer.send(record(topic, load.value(n), &key)).queued().await?);
        if kept.len() == KEPT {
            while kept.front().is_some_and(|oldest: &Delivery| kept.len() == KEPT || oldest.is_ready()) {
                if let Some(oldest) = kept.pop_front() {
                    oldest.await?;
                }
            }
        }
    }
    producer.flush().await?;
    for delivery in kept {
        delivery.await?;
    }
    Ok(())
}

async fn async_receipts(producer: &Producer, topic: &Topic, load: &Load, share: Range<u64>) -> klamm::Result<()> {
    let (mut receipts, mut seen) = (Receipts::new(), 0);
    for n in share.clone() {
        let key = load.key(n);
        producer.send_to(&mut receipts, record(topic, load.value(n), &key));
        receipts.queued().await?;
        if n % DRAIN == 0 {
            seen += settle(&mut receipts)?;
        }
    }
    producer.flush().await?;
    receipts.settled().await;
    check(seen + settle(&mut receipts)?, &share)
}
