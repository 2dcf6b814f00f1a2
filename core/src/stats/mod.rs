//! Plain counters, read by snapshot.

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
}
