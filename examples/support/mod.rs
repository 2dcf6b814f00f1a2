//! Which cluster the examples use.

use klamm_cluster::Cluster;
use std::sync::OnceLock;

/// The first argument, else `$BOOTSTRAP`, else an in-memory cluster that lives as long as the program.
pub(crate) fn bootstrap() -> String {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    let given = std::env::args().nth(1).or_else(|| std::env::var("BOOTSTRAP").ok());
    given.unwrap_or_else(|| CLUSTER.get_or_init(|| Cluster::start().expect("loopback is there")).bootstrap())
}
