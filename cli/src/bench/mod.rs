//! `klamm bench`: how fast, and at what price.

mod consume;
mod embedded;
mod produce;
mod report;
mod sample;

use crate::client::ClientArgs;
use clap::{Args, Subcommand};
use klamm::config::ProducerConfig;
use std::time::Duration;

/// Measures producing or consuming: records per second, CPU time, memory, latency
#[derive(Args, Debug)]
pub(crate) struct Bench {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Produce(produce::Produce),
    Consume(consume::Consume),
}

/// What is sent, and how.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Load")]
struct Load {
    #[command(flatten)]
    client: ClientArgs,
    /// How many records
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    records: u64,
    /// Bytes of each value
    #[arg(long, value_name = "BYTES", default_value_t = 100)]
    size: usize,
    /// Bytes of each key; 0 sends none
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    key_size: usize,
    /// none, gzip, snappy, lz4 or zstd
    #[arg(long, short = 'z', value_name = "CODEC", default_value = "none")]
    compression: String,
    /// 0, 1 or all
    #[arg(long, default_value = "all")]
    acks: String,
    /// linger.ms
    #[arg(long, value_name = "MS")]
    linger: Option<f64>,
    /// batch.size
    #[arg(long, value_name = "BYTES")]
    batch_size: Option<usize>,
    /// The topic, which is created if it does not exist
    #[arg(long, short = 't', default_value = "klamm-bench")]
    topic: String,
    /// Partitions of the topic, if it is created
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: i32,
    /// The result as one JSON object
    #[arg(long, short = 'J')]
    json: bool,
}

impl Load {
    fn producer(&self) -> ProducerConfig {
        let mut config = ProducerConfig::new().set("compression.type", &self.compression).set("acks", &self.acks);
        if self.acks != "all" && self.acks != "-1" {
            config = config.set("enable.idempotence", false);
        }
        if let Some(linger) = self.linger {
            config = config.linger(Duration::from_secs_f64(linger.max(0.0) / 1000.0));
        }
        if let Some(bytes) = self.batch_size {
            config = config.set("batch.size", bytes);
        }
        config
    }

    /// Makes sure that the topic is there.
    fn create_topic(&self, kafka: &klamm::Kafka) -> klamm::Result<()> {
        let topic = klamm::admin::NewTopic::new(self.topic.as_str(), self.partitions, -1);
        for (_, created) in kafka.admin().create_topics([topic]).wait()? {
            match created {
                Err(error) if error.code() != Some(klamm::ErrorCode::TOPIC_ALREADY_EXISTS) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Bench {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Produce(produce) => produce.run(),
            Command::Consume(consume) => consume.run(),
        }
    }
}
