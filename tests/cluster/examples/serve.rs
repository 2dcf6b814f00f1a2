//! Serves three in-memory brokers until standard input ends: `cargo run -p klamm-cluster --example serve`.

use klamm_cluster::Cluster;
use std::io::Read;

fn main() -> std::io::Result<()> {
    let cluster = Cluster::builder().brokers(3).default_partitions(3).start()?;
    println!("READY bootstrap={}", cluster.bootstrap());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
