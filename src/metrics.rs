//! What a client has counted.

use klamm_core::stats::Stats;

/// A snapshot of plain counters. All of them only grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    stats: Stats,
}

impl Metrics {
    pub(crate) fn new(stats: Stats) -> Self {
        Self { stats }
    }

    /// The counters of the client's core.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// A counter by Kafka's name: `("producer-metrics", "record-send-total")`.
    pub fn get(&self, group: &str, name: &str) -> Option<f64> {
        self.iter().find(|(g, n, _)| *g == group && *n == name).map(|(_, _, value)| value as f64)
    }

    /// All counters: Kafka's group and name, and the value.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let s = &self.stats;
        [
            ("producer-metrics", "request-total", s.requests),
            ("producer-metrics", "response-total", s.responses),
            ("producer-metrics", "incoming-byte-total", s.bytes_in),
            ("producer-metrics", "outgoing-byte-total", s.bytes_out),
            ("producer-metrics", "connection-creation-total", s.connects),
            ("producer-metrics", "connection-failure-total", s.connect_failures),
            ("producer-metrics", "record-send-total", s.records_acked),
            ("producer-metrics", "record-error-total", s.records_failed),
            ("producer-metrics", "record-retry-total", s.retries),
            ("producer-metrics", "byte-total", s.record_bytes),
            ("producer-metrics", "batch-total", s.batches),
            ("producer-metrics", "batch-split-total", s.splits),
            ("consumer-fetch-manager-metrics", "fetch-total", s.fetches),
            ("consumer-fetch-manager-metrics", "bytes-consumed-total", s.fetched_bytes),
            ("consumer-coordinator-metrics", "rebalance-total", s.rebalances),
            ("consumer-coordinator-metrics", "heartbeat-total", s.heartbeats),
            ("consumer-coordinator-metrics", "commit-total", s.commits),
        ]
        .into_iter()
    }
}
