//! `klamm mock`: the in-memory cluster, for tests of any client.

use crate::exit::Usage;
use crate::stop::on_signal;
use anyhow::Context;
use clap::Args;
use klamm_cluster::Cluster;
use std::io::{Read, Write};
use std::sync::mpsc;

/// Serves an in-memory Kafka cluster on loopback until SIGINT or SIGTERM
///
/// Prints `READY bootstrap=HOST:PORT,...` when it serves.
#[derive(Args, Debug)]
pub(crate) struct Mock {
    /// Port of the first broker, the next has the one behind it; 0 lets the system choose
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// How many brokers
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=100))]
    brokers: i32,
    /// Creates a topic
    #[arg(long, value_name = "NAME:PARTITIONS")]
    topic: Vec<String>,
    /// Partitions of topics that are created without saying how many
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..))]
    default_partitions: i32,
    /// Asking for an unknown topic does not create it
    #[arg(long)]
    no_auto_create: bool,
    /// The finalized level of transaction.version: 2 (KIP-890), 1, or 0 for none
    #[arg(long, value_name = "LEVEL", default_value_t = 2, value_parser = clap::value_parser!(i16).range(0..=2))]
    transaction_version: i16,
    /// Acknowledges records without storing them: for measuring producers
    #[arg(long)]
    sink: bool,
    /// Also ends when its standard input does
    #[arg(long)]
    until_stdin_closes: bool,
}

impl Mock {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let topics = self.topic.iter().map(|topic| parse(topic)).collect::<Result<Vec<_>, _>>()?;
        // Before it is announced: whoever reads READY may stop it.
        let (end, ended) = mpsc::channel();
        let signalled = end.clone();
        on_signal(move || signalled.send(()).unwrap_or_default()).context("cannot listen for signals")?;
        let mut cluster = Cluster::builder()
            .port(self.port)
            .brokers(self.brokers)
            .default_partitions(self.default_partitions)
            .transaction_version(self.transaction_version)
            .auto_create(!self.no_auto_create);
        if self.sink {
            cluster = cluster.sink();
        }
        let cluster = cluster.start().context("cannot serve")?;
        for (name, partitions) in topics {
            cluster.create_topic(name, partitions);
        }
        let mut out = std::io::stdout();
        writeln!(out, "READY bootstrap={}", cluster.bootstrap())?;
        out.flush()?;
        if self.until_stdin_closes {
            std::thread::spawn(move || {
                let mut buffer = [0; 1024];
                while std::io::stdin().read(&mut buffer).is_ok_and(|n| n > 0) {}
                end.send(())
            });
        } else {
            // The signal alone ends it.
            std::mem::forget(end);
        }
        ended.recv().context("nothing is left that could end the cluster")
    }
}

fn parse(text: &str) -> Result<(&str, i32), Usage> {
    let parts = text.rsplit_once(':').and_then(|(name, n)| Some((name, n.parse().ok().filter(|n| *n > 0)?)));
    parts
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| Usage(format!("--topic {text}: NAME:PARTITIONS is wanted")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_a_name_and_a_number() {
        assert_eq!(parse("orders:3").unwrap(), ("orders", 3));
        for wrong in ["orders", "orders:", ":3", "orders:0", "orders:-1", "orders:x"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
