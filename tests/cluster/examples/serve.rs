//! Serves three in-memory brokers until standard input ends: `cargo run -p klamm-cluster --example serve`.
//!
//! Lines on standard input do harm: `kill 1` and `start 1`.

use klamm_cluster::Cluster;

fn main() -> std::io::Result<()> {
    let cluster = Cluster::builder().brokers(3).default_partitions(3).start()?;
    println!("READY bootstrap={}", cluster.bootstrap());
    for line in std::io::stdin().lines() {
        let line = line?;
        let (what, broker) = line.split_once(' ').unwrap_or((&line, ""));
        match (what, broker.parse()) {
            ("kill", Ok(broker)) => cluster.kill_broker(broker),
            ("start", Ok(broker)) => cluster.start_broker(broker),
            _ => eprintln!("not understood: {line}"),
        }
    }
    Ok(())
}
