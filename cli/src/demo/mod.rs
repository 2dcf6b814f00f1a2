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
const OUT: &str = "demo-out";
const GROUP: &str = "demo-readers";
const TRANSFORMERS: &str = "demo-transformers";
const PARTITIONS: i32 = 6;
const BROKERS: i32 = 3;

/// Sends records through an embedded cluster and a consumer group, and checks every one of them
///
/// With --transactions they go through a read-transform-write loop on the way, which gives every third of its transactions up.
#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// How many records
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    records: u64,
    /// Between producer and consumer a loop copies the records exactly once, in transactions
    #[arg(long)]
    transactions: bool,
    /// Who runs the client's driver, and how the program waits
    #[arg(long, value_enum, default_value_t)]
    runtime: RuntimeName,
}

impl Demo {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        // In this process, on a thread of its own; the client reaches it through TCP on loopback.
        let cluster = Cluster::builder().brokers(BROKERS).start().context("cannot start the embedded cluster")?;
        cluster.create_topic(TOPIC, PARTITIONS);
        cluster.create_topic(OUT, PARTITIONS);
        eprintln!("{BROKERS} brokers in memory at {}", cluster.bootstrap());
        let isolation = if self.transactions { "read_committed" } else { "read_uncommitted" };
        let config = Config::new(cluster.bootstrap())
            .set("auto.offset.reset", "earliest")
            .set("max.poll.records", 5000)
            .set("isolation.level", isolation);
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
        let committed = |group, topic| -> Vec<i64> {
            (0..PARTITIONS).map(|p| cluster.committed(group, topic, p).unwrap_or(0)).collect()
        };
        let (read, next) = (committed(GROUP, self.last_topic()), &arrived.next_offsets);
        // Behind the last record of a transaction stands its marker.
        let reached = read.iter().zip(next).all(|(read, next)| read == next || (self.transactions && read > next));
        ensure!(reached, "NOT verified: committed {read:?}, read {next:?}");
        if self.transactions {
            let copied: i64 = committed(TRANSFORMERS, TOPIC).iter().sum();
            ensure!(
                u64::try_from(copied) == Ok(self.records),
                "NOT verified: {copied} records are committed as copied"
            );
        }
        self.report(sent.took, arrived.took, took, spent, served);
        if let Some(aborted) = sent.aborted {
            println!("  copied once each by a transactional loop, {aborted} of whose transactions were aborted");
        }
        Ok(())
    }

    fn last_topic(&self) -> &'static str {
        if self.transactions { OUT } else { TOPIC }
    }

    /// Produces and consumes at the same time, as two tasks or two threads; a third copies if asked for.
    fn both(&self, config: Config, bar: &ProgressBar) -> anyhow::Result<(Sent, Arrived)> {
        let (records, bar, topic) = (self.records, bar.clone(), self.last_topic());
        match self.runtime {
            RuntimeName::Tokio => {
                let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
                runtime.block_on(async {
                    let kafka = klamm::Kafka::connect(klamm::Tokio, config).await?;
                    let copy =
                        self.transactions.then(|| tokio::spawn(roles::awaited::transform(kafka.clone(), records)));
                    let consumer = tokio::spawn(roles::awaited::consume(kafka.clone(), topic, records, bar));
                    let mut sent = roles::awaited::produce(&kafka, records).await?;
                    if let Some(copy) = copy {
                        sent.aborted = Some(copy.await??);
                    }
                    let arrived = consumer.await??;
                    kafka.close().await?;
                    Ok((sent, arrived))
                })
            }
            RuntimeName::AsyncStd => async_std::task::block_on(async {
                let kafka = klamm::Kafka::connect(klamm::AsyncStd, config).await?;
                let copy = roles::awaited::transform(kafka.clone(), records);
                let copy = self.transactions.then(|| async_std::task::spawn(copy));
                let consumer = async_std::task::spawn(roles::awaited::consume(kafka.clone(), topic, records, bar));
                let mut sent = roles::awaited::produce(&kafka, records).await?;
                if let Some(copy) = copy {
                    sent.aborted = Some(copy.await?);
                }
                let arrived = consumer.await?;
                kafka.close().await?;
                Ok((sent, arrived))
            }),
            RuntimeName::Blocking => {
                let kafka = klamm::Kafka::connect(klamm::Blocking, config).wait()?;
                let (reader, copier) = (kafka.clone(), kafka.clone());
                let copy = move || roles::waited::transform(copier, records);
                let copy = self.transactions.then(|| std::thread::spawn(copy));
                let consumer = std::thread::spawn(move || roles::waited::consume(reader, topic, records, bar));
                let mut sent = roles::waited::produce(&kafka, records)?;
                if let Some(copy) = copy {
                    sent.aborted = Some(copy.join().ok().context("the copier's thread failed")??);
                }
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
