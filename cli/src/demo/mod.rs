//! `klamm demo`: the main job, on an embedded cluster, with every record checked.

mod ledger;
mod roles;

use crate::client::RuntimeName;
use crate::exit::Told;
use crate::usage::{per_record, process_cpu, thousands, threads_cpu};
use anyhow::{Context, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use klamm::Config;
use klamm_cluster::Cluster;
use ledger::SIZE;
use roles::{Arrived, Sent};
use std::time::{Duration, Instant};

const TOPIC: &str = "demo";
const GROUP: &str = "demo-readers";
const PARTITIONS: i32 = 6;
const BROKERS: i32 = 3;

/// Sends records through an embedded cluster and a consumer group, and checks every one of them
#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// How many records
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    records: u64,
    /// Who runs the client's driver, and how the program waits
    #[arg(long, value_enum, default_value_t)]
    runtime: RuntimeName,
}

impl Demo {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        // In this process, on a thread of its own; the client reaches it through TCP on loopback.
        let cluster = Cluster::builder().brokers(BROKERS).start().context("cannot start the embedded cluster")?;
        cluster.create_topic(TOPIC, PARTITIONS);
        eprintln!("{BROKERS} brokers in memory at {}", cluster.bootstrap());
        let config =
            Config::new(cluster.bootstrap()).set("auto.offset.reset", "earliest").set("max.poll.records", 5000);
        let bar = ProgressBar::new(self.records);
        bar.set_style(ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} records verified, {per_sec}")?);
        let (begun, cpu, served) = (Instant::now(), process_cpu(), threads_cpu("klamm-cluster"));
        let (sent, arrived) = match self.both(config, &bar) {
            Ok(both) => both,
            Err(error) => {
                bar.abandon();
                eprintln!("klamm: NOT verified: {error:#}");
                return Err(Told.into());
            }
        };
        let took = begun.elapsed();
        let served = threads_cpu("klamm-cluster").saturating_sub(served);
        let spent = process_cpu().saturating_sub(cpu).saturating_sub(served);
        bar.finish_and_clear();
        let committed = (0..PARTITIONS).map(|p| cluster.committed(GROUP, TOPIC, p).unwrap_or(0)).collect::<Vec<_>>();
        ensure!(
            committed == arrived.next_offsets,
            "NOT verified: committed {committed:?}, read {:?}",
            arrived.next_offsets
        );
        self.report(sent.took, arrived.took, took, spent, served);
        Ok(())
    }

    /// Produces and consumes at the same time, as two tasks or two threads.
    fn both(&self, config: Config, bar: &ProgressBar) -> anyhow::Result<(Sent, Arrived)> {
        let (records, bar) = (self.records, bar.clone());
        match self.runtime {
            RuntimeName::Tokio => {
                let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
                runtime.block_on(async {
                    let kafka = klamm::Kafka::connect(klamm::Tokio, config).await?;
                    let consumer = tokio::spawn(roles::awaited::consume(kafka.clone(), records, bar));
                    let sent = roles::awaited::produce(&kafka, records).await?;
                    let arrived = consumer.await??;
                    kafka.close().await?;
                    Ok((sent, arrived))
                })
            }
            RuntimeName::AsyncStd => async_std::task::block_on(async {
                let kafka = klamm::Kafka::connect(klamm::AsyncStd, config).await?;
                let consumer = async_std::task::spawn(roles::awaited::consume(kafka.clone(), records, bar));
                let sent = roles::awaited::produce(&kafka, records).await?;
                let arrived = consumer.await?;
                kafka.close().await?;
                Ok((sent, arrived))
            }),
            RuntimeName::Blocking => {
                let kafka = klamm::Kafka::connect(klamm::Blocking, config).wait()?;
                let reader = kafka.clone();
                let consumer = std::thread::spawn(move || roles::waited::consume(reader, records, bar));
                let sent = roles::waited::produce(&kafka, records)?;
                let arrived = consumer.join().ok().context("the consumer's thread failed")??;
                kafka.close().wait()?;
                Ok((sent, arrived))
            }
        }
    }

    fn report(&self, sent: Duration, arrived: Duration, took: Duration, spent: Duration, served: Duration) {
        let (records, runtime) = (self.records, self.runtime.as_str());
        let rate = |took: Duration| thousands((records as f64 / took.as_secs_f64().max(1e-9)) as u64);
        println!("verified {} records: each arrived once, in order per partition, byte for byte", thousands(records));
        println!(
            "  {SIZE} bytes and a key each, {PARTITIONS} partitions, {BROKERS} brokers, one consumer group, on {runtime}"
        );
        println!(
            "  produced {} records/s, consumed {} records/s, {:.2} s in all",
            rate(sent),
            rate(arrived),
            took.as_secs_f64()
        );
        let us = |spent: Duration| per_record(spent, records);
        println!(
            "  CPU per record, produced and consumed: client and checks {:.2} µs, cluster {:.2} µs",
            us(spent),
            us(served)
        );
    }
}
