//! klamm: the same programs.

use crate::broker::TOPIC;
use crate::cell::{Cell, values};
use crate::usage::{Cost, Usage};
use klamm::config::ProducerConfig;
use klamm::{Blocking, Config, Delivery, Kafka, Producer, Receipts, Record, Tokio, Topic, TrySendReason};
use std::collections::VecDeque;
use std::time::Duration;

type Failure = Box<dyn std::error::Error>;

/// Deliveries that are kept before the oldest is looked at.
const KEPT: usize = 50_000;
/// Records between two looks at receipts.
const DRAIN: u64 = 4096;
/// Records in one call of the bulk form.
const BULK: usize = 100;

fn section(cell: &Cell) -> ProducerConfig {
    let section = ProducerConfig::new();
    if cell.tuned {
        section.batch_size(262_144).linger(Duration::from_millis(20)).buffer_memory(4 << 20)
    } else {
        section
    }
}

fn config(cell: &Cell, bootstrap: &str) -> Config {
    Config::new(bootstrap).producer(section(cell))
}

/// Sends `records` records; every outcome is looked at.
pub fn produce(cell: &Cell, bootstrap: &str, records: u64) -> Result<Cost, Failure> {
    let values = values(cell.size);
    let (warm, full) = (records / 10, records);
    match cell.who.as_str() {
        "blocking-send" | "blocking-receipts" | "blocking-batch" => {
            let kafka = Kafka::connect(Blocking, config(cell, bootstrap)).wait()?;
            let producer = kafka.producer()?;
            let topic = producer.topic(TOPIC);
            topic.ready().wait()?;
            let run = |n| match cell.who.as_str() {
                "blocking-send" => blocking_send(&producer, &topic, &values, n),
                "blocking-receipts" => blocking_receipts(&producer, &topic, &values, n),
                _ => blocking_batch(&producer, &topic, &values, n),
            };
            run(warm)?;
            let usage = Usage::now();
            run(full)?;
            let cost = usage.cost(full);
            kafka.close().wait()?;
            Ok(cost)
        }
        who => {
            let mut builder = match who {
                "tokio-send" | "tokio-receipts" => tokio::runtime::Builder::new_current_thread(),
                "tokio-mt-send" | "tokio-mt-receipts" => tokio::runtime::Builder::new_multi_thread(),
                other => return Err(format!("klamm is not used as {other}").into()),
            };
            let runtime = builder.enable_all().build()?;
            let (who, config) = (who.to_owned(), config(cell, bootstrap));
            // As a task, so that the multi-thread runtime runs it on a worker.
            let work = async move {
                let kafka = Kafka::connect(Tokio, config).await?;
                let producer = kafka.producer()?;
                let topic = producer.topic(TOPIC);
                topic.ready().await?;
                let receipts = who.ends_with("receipts");
                let mut usage = Usage::now();
                for n in [warm, full] {
                    usage = Usage::now();
                    if receipts {
                        async_receipts(&producer, &topic, &values, n).await?;
                    } else {
                        async_send(&producer, &topic, &values, n).await?;
                    }
                }
                let cost = usage.cost(full);
                kafka.close().await?;
                Ok::<_, klamm::Error>(cost)
            };
            if who_is_mt(&cell.who) { Ok(runtime.block_on(runtime.spawn(work))??) } else { Ok(runtime.block_on(work)?) }
        }
    }
}

fn who_is_mt(who: &str) -> bool {
    who.contains("-mt-")
}

fn look(delivery: Delivery) -> klamm::Result<()> {
    delivery.wait().map(drop)
}

fn blocking_send(producer: &Producer, topic: &Topic, values: &[Vec<u8>], records: u64) -> klamm::Result<()> {
    let mut kept = VecDeque::with_capacity(KEPT);
    for (_, value) in (0..records).zip(values.iter().cycle()) {
        let mut record = Record::to(topic).value(value);
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

fn check(seen: u64, records: u64) -> klamm::Result<()> {
    if seen == records {
        return Ok(());
    }
    Err(klamm::Error::new(klamm::ErrorKind::NotDelivered, format!("{seen} of {records} outcomes")))
}

fn blocking_receipts(producer: &Producer, topic: &Topic, values: &[Vec<u8>], records: u64) -> klamm::Result<()> {
    let (mut receipts, mut seen) = (Receipts::new(), 0);
    for (n, value) in (0..records).zip(values.iter().cycle()) {
        producer.send_to(&mut receipts, Record::to(topic).value(value));
        if !receipts.is_queued() {
            receipts.queued().wait()?;
        }
        if n % DRAIN == 0 {
            seen += settle(&mut receipts)?;
        }
    }
    producer.flush().wait()?;
    receipts.wait()?;
    check(seen + settle(&mut receipts)?, records)
}

fn blocking_batch(producer: &Producer, topic: &Topic, values: &[Vec<u8>], records: u64) -> klamm::Result<()> {
    let mut kept = VecDeque::with_capacity(KEPT / BULK);
    let mut values = values.iter().cycle();
    for _ in 0..records / BULK as u64 {
        let sent = producer.send_batch(values.by_ref().take(BULK).map(|value| Record::to(topic).value(value)));
        let sent = if sent.is_queued() { sent } else { sent.queued().wait()? };
        kept.push_back(sent);
        if kept.len() == KEPT / BULK {
            if let Some(oldest) = kept.pop_front() {
                oldest.wait()?;
            }
        }
    }
    producer.flush().wait()?;
    kept.into_iter().try_for_each(klamm::Deliveries::wait)
}

async fn async_send(producer: &Producer, topic: &Topic, values: &[Vec<u8>], records: u64) -> klamm::Result<()> {
    let mut kept = VecDeque::with_capacity(KEPT);
    for (_, value) in (0..records).zip(values.iter().cycle()) {
        kept.push_back(producer.send(Record::to(topic).value(value)).queued().await?);
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

async fn async_receipts(producer: &Producer, topic: &Topic, values: &[Vec<u8>], records: u64) -> klamm::Result<()> {
    let (mut receipts, mut seen) = (Receipts::new(), 0);
    for (n, value) in (0..records).zip(values.iter().cycle()) {
        producer.send_to(&mut receipts, Record::to(topic).value(value));
        receipts.queued().await?;
        if n % DRAIN == 0 {
            seen += settle(&mut receipts)?;
        }
    }
    producer.flush().await?;
    receipts.settled().await;
    check(seen + settle(&mut receipts)?, records)
}
