//! `klamm bench produce`.

use super::Load;
use super::embedded::Embedded;
use super::report::{Clock, Report, histogram};
use super::sample::Bytes;
use crate::client::ClientArgs;
use anyhow::Context;
use clap::Args;
use hdrhistogram::Histogram;
use klamm::{Delivery, Producer, Topic};
use std::sync::mpsc;
use std::time::Instant;

/// So many records have their latency measured, evenly spread.
const SAMPLES: u64 = 10_000;

/// Sends records as fast as they are taken; without -b to an embedded cluster that stores nothing
#[derive(Args, Debug)]
pub(super) struct Produce {
    #[command(flatten)]
    load: Load,
    /// Records per call: 1 calls `send`, more call `send_batch`
    #[arg(long, value_name = "N", default_value_t = 1)]
    call: usize,
}

impl Produce {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let load = &self.load;
        let embedded = match load.client.brokers {
            Some(_) => None,
            None => Some(Embedded::start(&["--sink"])?),
        };
        let mut args: ClientArgs = load.client.clone();
        if let Some(embedded) = &embedded {
            args.brokers = Some(embedded.bootstrap.clone());
        }
        let client = args.connect(args.config(|config| config.producer(load.producer()))?)?;
        load.create_topic(&client.kafka)?;
        let producer = client.kafka.producer()?;
        let topic = producer.topic(&load.topic);
        topic.ready().wait()?;
        let clock = Clock::start();
        let latency = self.send(&producer, &topic)?;
        let took = clock.stop();
        client.close()?;
        let report = Report {
            what: "produce",
            runtime: args.runtime.as_str(),
            records: load.records,
            bytes: load.records * (load.size + load.key_size) as u64,
            took,
            latency: ("acknowledged after", latency),
        };
        report.print(load.json)
    }

    /// Sends all records; done when they are acknowledged.
    fn send(&self, producer: &Producer, topic: &Topic) -> anyhow::Result<Histogram<u64>> {
        let load = &self.load;
        let bytes = Bytes::new(load.size, load.key_size);
        let every = (load.records / SAMPLES).max(1);
        let (sample, samples) = mpsc::channel::<(Instant, Delivery)>();
        let collect = move || {
            let mut latency = histogram();
            for (sent, delivery) in samples {
                // A failure is told by the flush.
                if delivery.wait().is_ok() {
                    latency.saturating_record(u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX));
                }
            }
            latency
        };
        let collector = std::thread::Builder::new().name("latency".to_owned()).spawn(collect)?;
        let mut n = 0;
        let mut sampled = 0;
        while n < load.records {
            let count = (self.call.max(1) as u64).min(load.records - n);
            let sent = (n >= sampled).then(Instant::now);
            let last = if count == 1 {
                Some(producer.send(bytes.record(topic, n)))
            } else {
                let all = producer.send_batch((n..n + count).map(|n| bytes.record(topic, n)));
                if all.is_queued() && sent.is_none() { None } else { all.get(all.len() - 1) }
            };
            n += count;
            let Some(delivery) = last else { continue };
            if let Some(sent) = sent {
                sampled = n + every;
                // The collector lives as long as we do.
                let _ = sample.send((sent, delivery.clone()));
            }
            if !delivery.is_queued() {
                delivery.queued().wait()?;
            }
        }
        producer.flush().wait()?;
        drop(sample);
        collector.join().ok().context("the thread that measured latency failed")
    }
}
