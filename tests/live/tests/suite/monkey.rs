//! Who kills, stops and restarts nodes at random.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use klamm_live::{Cluster, probe};

/// What was done to the nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Toll {
    /// SIGKILLs.
    pub(crate) kills: usize,
    /// SIGSTOPs.
    pub(crate) pauses: usize,
    /// SIGTERMs.
    pub(crate) restarts: usize,
}

/// With this variable set to a number of seconds, the long tests of the suite go on for that long.
pub(crate) const SECONDS: &str = "KLAMM_LIVE_SECONDS";

/// How long a test is to go on: as the variable says, else `usual` seconds.
pub(crate) fn duration(usual: u64) -> Duration {
    let asked = std::env::var(SECONDS).ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(asked.unwrap_or(usual))
}

/// Sleeps, unless it is over.
pub(crate) fn doze(over: &AtomicBool, time: Duration) {
    let deadline = Instant::now() + time;
    while !over.load(Ordering::Acquire) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(20));
    }
}

/// Kills one node after the other with SIGKILL and starts it again, until it is over. Mostly a node dies only when all
/// replicas are in sync again, at times as soon as the one before listens. Everything is whole at the end.
pub(crate) fn kill_at_random(cluster: &Cluster, over: &AtomicBool, told: impl Fn(String)) -> Result<Toll> {
    let mut rng = fastrand::Rng::new();
    let mut toll = Toll::default();
    let mut last = 0;
    doze(over, Duration::from_secs(2));
    while !over.load(Ordering::Acquire) {
        let node = (1..=3).filter(|node| *node != last).nth(rng.usize(..2)).unwrap_or(1);
        last = node;
        told(format!("node {node} is killed"));
        cluster.kill(node)?;
        toll.kills += 1;
        doze(over, Duration::from_millis(rng.u64(200..6_000)));
        cluster.restart(node)?;
        told(format!("node {node} is back"));
        if rng.u8(..4) > 0 {
            probe::wait_until_whole(&cluster.client_ports(), Duration::from_secs(60))?;
            told("all is whole".to_owned());
        }
        doze(over, Duration::from_millis(rng.u64(0..3_000)));
    }
    cluster.heal()?;
    told("all is healed".to_owned());
    Ok(toll)
}
