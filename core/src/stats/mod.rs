//! Plain counters and histograms, read by snapshot.

mod histogram;

pub use histogram::Histogram;

use crate::BrokerId;
use std::sync::Arc;

/// What was counted of one broker, over all connections to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeStats {
    /// Answers received, those to Fetch and JoinGroup not among them.
    pub responses: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// From the last byte of a request to the whole of its answer. Long polls of Fetch and JoinGroup are not in it.
    pub latency: Histogram,
}

/// What was counted of one topic that is written to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicStats {
    /// Records acknowledged.
    pub records_acked: u64,
    /// Bytes of records acknowledged, as they were sent.
    pub bytes: u64,
    /// Bytes of records acknowledged, before compression.
    pub plain_bytes: u64,
    /// Records failed.
    pub records_failed: u64,
    /// Batches acknowledged.
    pub batches: u64,
    /// Batches sent again.
    pub retries: u64,
}

/// What the core has counted since it began. All numbers only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Requests built.
    pub requests: u64,
    /// Answers received.
    pub responses: u64,
    /// Requests whose answer was lost.
    pub lost: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Connections opened.
    pub connects: u64,
    /// Connection attempts that failed.
    pub connect_failures: u64,
    /// Connections closed by their deadline.
    pub deadlines: u64,
    /// Metadata answers merged.
    pub metadata: u64,
    /// Batches sent, retries included.
    pub batches: u64,
    /// Batches sent again.
    pub retries: u64,
    /// Records acknowledged.
    pub records_acked: u64,
    /// Records failed.
    pub records_failed: u64,
    /// Bytes of records acknowledged, as they were sent.
    pub record_bytes: u64,
    /// Batches split.
    pub splits: u64,
    /// Epoch bumps.
    pub bumps: u64,
    /// Fetch answers with records.
    pub fetches: u64,
    /// Bytes of records fetched.
    pub fetched_bytes: u64,
    /// Rebalances begun.
    pub rebalances: u64,
    /// Heartbeats answered.
    pub heartbeats: u64,
    /// Commits answered without error.
    pub commits: u64,
    /// Commits that failed.
    pub commit_failures: u64,
    /// Time that brokers asked us to pause, in milliseconds.
    pub throttled_ms: u64,
    /// Connections that stand now.
    pub connections: u64,
    /// Batches acknowledged.
    pub batches_acked: u64,
    /// Bytes of records acknowledged, before compression.
    pub plain_bytes: u64,
    /// How long the oldest record of a batch waited until the batch was sent first.
    pub queue_time: Histogram,
    /// By broker, in the order in which they were met.
    pub nodes: Vec<(BrokerId, NodeStats)>,
    /// By topic that is written to, in the order in which they were met.
    pub topics: Vec<(Arc<str>, TopicStats)>,
}

impl Stats {
    pub(crate) fn node(&mut self, broker: BrokerId) -> &mut NodeStats {
        slot(&mut self.nodes, |known| *known == broker, || broker)
    }

    pub(crate) fn topic(&mut self, name: &Arc<str>) -> &mut TopicStats {
        slot(&mut self.topics, |known| Arc::ptr_eq(known, name) || *known == *name, || name.clone())
    }
}

/// The entry of a key, new if need be. A client meets few brokers, and one turn's batches are of few topics.
fn slot<K, V: Default>(all: &mut Vec<(K, V)>, is: impl Fn(&K) -> bool, key: impl FnOnce() -> K) -> &mut V {
    let at = all.iter().position(|(known, _)| is(known)).unwrap_or_else(|| {
        all.push((key(), V::default()));
        all.len() - 1
    });
    &mut all[at].1
}
