//! `klamm bench consume`.

use super::Load;
use super::embedded::Embedded;
use super::report::{Clock, Report, histogram};
use super::sample::Bytes;
use crate::client::ClientArgs;
use anyhow::ensure;
use clap::Args;
use hdrhistogram::Histogram;
use klamm::{Consumer, Kafka, TopicPartition};
use std::time::{Duration, Instant};

/// Reads a topic from its beginning; without -b an embedded cluster is filled first, which is not measured
#[derive(Args, Debug)]
pub(super) struct Consume {
    #[command(flatten)]
    load: Load,
    /// With -b: fills the topic first, too
    #[arg(long)]
    fill: bool,
}

/// What was read.
struct Read {
    records: u64,
    bytes: u64,
    polls: Histogram<u64>,
}

impl Consume {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let load = &self.load;
        let embedded = match load.client.brokers {
            Some(_) => None,
            None => Some(Embedded::start(&[])?),
        };
        let mut args: ClientArgs = load.client.clone();
        if let Some(embedded) = &embedded {
            args.brokers = Some(embedded.bootstrap.clone());
        }
        if embedded.is_some() || self.fill {
            // By a client of its own, so that nothing of it is left in the one that is measured.
            let client = args.connect(args.config(|config| config.producer(load.producer()))?)?;
            load.create_topic(&client.kafka)?;
            fill(&client.kafka, load)?;
            client.close()?;
        }
        let client = args.connect(args.config(|config| config.set("max.poll.records", 10_000))?)?;
        let mut consumer = client.kafka.standalone_consumer()?;
        let there = consumer.partitions_for(&load.topic).wait()?;
        let all = there.iter().map(|p| TopicPartition::from((load.topic.as_str(), p.partition())));
        let all: Vec<TopicPartition> = all.collect();
        consumer.assign(all.clone())?;
        consumer.seek_to_beginning(all)?;
        let clock = Clock::start();
        let read = read(&mut consumer, load.records)?;
        let took = clock.stop();
        drop(consumer);
        client.close()?;
        ensure!(read.records >= load.records, "the topic has {} records only", read.records);
        let report = Report {
            what: "consume",
            runtime: args.runtime.as_str(),
            records: read.records,
            bytes: read.bytes,
            took,
            latency: ("poll took", read.polls),
        };
        report.print(load.json)
    }
}

/// Reads until there are so many, or nothing comes.
fn read(consumer: &mut Consumer, records: u64) -> klamm::Result<Read> {
    let mut read = Read { records: 0, bytes: 0, polls: histogram() };
    let mut idle = 0;
    while read.records < records && idle < 5 {
        let asked = Instant::now();
        let Some(batch) = consumer.poll(Duration::from_secs(1)).wait()? else { break };
        read.polls.saturating_record(u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX));
        for record in &batch {
            read.records += 1;
            let lengths = record.value().map_or(0, <[u8]>::len) + record.key().map_or(0, <[u8]>::len);
            read.bytes += lengths as u64;
        }
        idle = if batch.is_empty() { idle + 1 } else { 0 };
    }
    Ok(read)
}

fn fill(kafka: &Kafka, load: &Load) -> klamm::Result<()> {
    let producer = kafka.producer()?;
    let topic = producer.topic(&load.topic);
    let bytes = Bytes::new(load.size, load.key_size);
    let mut n = 0;
    while n < load.records {
        let count = 256.min(load.records - n);
        let sent = producer.send_batch((n..n + count).map(|n| bytes.record(&topic, n)));
        n += count;
        if !sent.is_queued() {
            drop(sent.queued().wait()?);
        }
    }
    producer.flush().wait()
}
