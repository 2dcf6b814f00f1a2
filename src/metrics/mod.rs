//! What a client has counted, under Kafka's names.

mod producers;

use crate::front::Front;
use crate::front::recent::Reading;
use klamm_core::stats::{Histogram, ProducerStats, Stats};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

/// A snapshot of counters, gauges, rates and latencies under Kafka's names.
///
/// **Scope.** `Producer::metrics` has in `producer-metrics` and `producer-topic-metrics` what *that* producer sent;
/// `Kafka::metrics` and `Consumer::metrics` have all producers of the client together there, those that have ended included.
/// Connections and brokers (`*-node-metrics`, and the line of connections below) are always of the whole client: its
/// producers and consumers share them. Consumers are counted together, but for the lag and assignment of the one that is asked.
///
/// **Time.** What ends in `-total` only grows from the start of the client on. Rates (`-rate`, per second), averages, largest
/// values and percentiles are of the last `metrics.num.samples` windows of `metrics.sample.window.ms` (one to two half
/// minutes by default), and not there if nothing happened in them. Times are in milliseconds unless their name says `-ns-`;
/// `metadata-age` is in seconds. Percentiles are known to within an eighth, and so are the largest values of a window. The
/// driver publishes its counters before it sleeps, and every 20 ms while it does not.
///
/// | Group | Tags | Names |
/// |---|---|---|
/// | `producer-metrics` | | `record-send-total` `-rate`, `record-error-total` `-rate`, `record-retry-total` `-rate` (records), `byte-total` `-rate`, `batch-total` `-rate`, `batch-split-total` `-rate`, `batch-size-avg` `-max`, `records-per-batch-avg`, `records-per-request-avg`, `record-size-avg`, `compression-rate-avg`, `record-queue-time-avg` `-max` `-p50` `-p99` `-p999`, `request-latency-` the same (of Produce), `produce-throttle-time-avg` `-max`, `requests-in-flight` |
/// | `producer-metrics`, of `Producer::metrics` only | | `buffer-total-bytes`, `buffer-available-bytes`, `buffered-records`, `waiting-records`, `buffer-exhausted-total`, `bufferpool-wait-time-ns-total` and `-ratio` (the time in which anybody stood in line), `flush-time-ns-total`, `metadata-wait-time-ns-total`; with transactions `txn-init-time-ns-total`, `txn-begin-`, `txn-send-offsets-`, `txn-commit-`, `txn-abort-` |
/// | `producer-metrics`, `consumer-metrics` | | `connection-count`, `connection-creation-total` `-rate`, `connection-failure-total` `-rate`, `request-total` `-rate`, `response-total` `-rate`, `network-io-total` `-rate`, `incoming-byte-total` `-rate`, `outgoing-byte-total` `-rate`, `metadata-total`, `metadata-age`, `throttle-time-total-ms` |
/// | `producer-node-metrics`, `consumer-node-metrics` | `node-id` | `request-total` `-rate`, `response-total` `-rate`, `incoming-byte-total` `-rate`, `outgoing-byte-total` `-rate`, `request-size-avg` `-max`, `request-latency-avg` `-max` `-p50` `-p99` `-p999` (long polls of Fetch and JoinGroup not among them) |
/// | `producer-topic-metrics` | `topic` | `record-send-total` `-rate`, `record-error-total` `-rate`, `record-retry-total` `-rate`, `byte-total` `-rate`, `batch-total` `-rate`, `compression-rate` |
/// | `consumer-fetch-manager-metrics` | | `fetch-total`, `bytes-consumed-total`; of `Consumer::metrics` also `records-lag-max` |
/// | `consumer-fetch-manager-metrics` | `topic`, `partition` | of `Consumer::metrics`: `records-lag`, `position` |
/// | `consumer-coordinator-metrics` | | `rebalance-total`, `heartbeat-total`, `commit-total`, `commit-failure-total`; of `Consumer::metrics` also `assigned-partitions` |
///
/// Java's `record-size-max` is not there: it would cost every record a comparison.
#[derive(Clone, Debug)]
pub struct Metrics {
    stats: Stats,
    all: Vec<Metric>,
}

/// One number of a [`Metrics`].
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    group: &'static str,
    name: Cow<'static, str>,
    tags: Vec<(&'static str, Arc<str>)>,
    value: f64,
}

impl Metric {
    /// Its group: `producer-metrics`, say.
    pub fn group(&self) -> &str {
        self.group
    }
    /// Its name within the group.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// What it is about, beyond the client: topic, partition, broker.
    pub fn tags(&self) -> impl Iterator<Item = (&str, &str)> {
        self.tags.iter().map(|(key, value)| (*key, &**value))
    }
    /// Its value.
    pub fn value(&self) -> f64 {
        self.value
    }
}

type Tags<'a> = &'a [(&'static str, Arc<str>)];

impl Metrics {
    /// Of a whole client.
    pub(crate) fn of_client(front: &Front) -> Self {
        let reading = front.read_stats();
        let mut metrics = Self::with(&reading, &reading.stats.produced(), &reading.base.stats.produced());
        metrics.stats = reading.stats;
        metrics
    }

    fn with(reading: &Reading, produced: &ProducerStats, before: &ProducerStats) -> Self {
        let mut metrics = Self { all: Vec::with_capacity(128), stats: Stats::default() };
        metrics.produced(reading, produced, before);
        for group in ["producer-metrics", "consumer-metrics"] {
            metrics.connections(group, reading);
        }
        metrics.nodes(reading);
        metrics.consumed(&reading.stats);
        metrics
    }

    fn nodes(&mut self, reading: &Reading) {
        for (broker, node) in &reading.stats.nodes {
            let before = reading.base.stats.nodes.iter().find(|(known, _)| known == broker);
            let before = before.map(|(_, before)| before.clone()).unwrap_or_default();
            let tags: Tags<'_> = &[("node-id", broker.0.to_string().into())];
            let (latency, sizes) = (node.latency.since(&before.latency), node.request_size.since(&before.request_size));
            for group in ["producer-node-metrics", "consumer-node-metrics"] {
                for (name, now, before) in [
                    ("request", node.requests, before.requests),
                    ("response", node.responses, before.responses),
                    ("incoming-byte", node.bytes_in, before.bytes_in),
                    ("outgoing-byte", node.bytes_out, before.bytes_out),
                ] {
                    self.rated(group, name, tags, reading, now, before);
                }
                self.sizes(group, "request-size", tags, &sizes);
                self.latency(group, "request-latency", tags, &latency);
            }
        }
    }

    fn consumed(&mut self, stats: &Stats) {
        let group = "consumer-fetch-manager-metrics";
        self.add(group, "fetch-total", &[], stats.fetches as f64);
        self.add(group, "bytes-consumed-total", &[], stats.fetched_bytes as f64);
        let group = "consumer-coordinator-metrics";
        self.add(group, "rebalance-total", &[], stats.rebalances as f64);
        self.add(group, "heartbeat-total", &[], stats.heartbeats as f64);
        self.add(group, "commit-total", &[], stats.commits as f64);
        self.add(group, "commit-failure-total", &[], stats.commit_failures as f64);
    }

    fn connections(&mut self, group: &'static str, reading: &Reading) {
        let (s, before) = (&reading.stats, &reading.base.stats);
        for (name, now, before) in [
            ("connection-creation", s.connects, before.connects),
            ("connection-failure", s.connect_failures, before.connect_failures),
            ("request", s.requests, before.requests),
            ("response", s.responses, before.responses),
            ("network-io", s.requests + s.responses, before.requests + before.responses),
            ("incoming-byte", s.bytes_in, before.bytes_in),
            ("outgoing-byte", s.bytes_out, before.bytes_out),
        ] {
            self.rated(group, name, &[], reading, now, before);
        }
        self.add(group, "connection-count", &[], s.connections as f64);
        self.add(group, "metadata-total", &[], s.metadata as f64);
        self.add(group, "throttle-time-total-ms", &[], s.throttled_ms as f64);
        if let Some(at) = s.metadata_at {
            self.add(group, "metadata-age", &[], reading.now.since(at).as_secs_f64());
        }
    }

    /// A counter, and how fast it grows per second.
    fn rated(&mut self, group: &'static str, name: &str, tags: Tags<'_>, reading: &Reading, now: u64, before: u64) {
        self.add(group, format!("{name}-total"), tags, now as f64);
        self.add(group, format!("{name}-rate"), tags, reading.rate(now, before));
    }

    pub(crate) fn add(&mut self, group: &'static str, name: impl Into<Cow<'static, str>>, tags: Tags<'_>, value: f64) {
        self.all.push(Metric { group, name: name.into(), tags: tags.to_vec(), value });
    }

    fn ratio(&mut self, group: &'static str, name: &'static str, tags: Tags<'_>, part: u64, whole: u64) {
        if whole > 0 {
            self.add(group, name, tags, part as f64 / whole as f64);
        }
    }

    fn latency(&mut self, group: &'static str, name: &'static str, tags: Tags<'_>, histogram: &Histogram) {
        for (end, value) in [
            ("avg", histogram.mean_ms()),
            ("max", histogram.max_ms()),
            ("p50", histogram.quantile_ms(0.5)),
            ("p99", histogram.quantile_ms(0.99)),
            ("p999", histogram.quantile_ms(0.999)),
        ] {
            if let Some(value) = value {
                self.add(group, format!("{name}-{end}"), tags, value);
            }
        }
    }

    /// The counters of the client's core, under klamm's own names.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// A number without tags by Kafka's group and name: `("producer-metrics", "record-send-total")`. `None`: it is not known,
    /// or there is nothing to take an average of yet.
    pub fn get(&self, group: &str, name: &str) -> Option<f64> {
        self.get_tagged(group, name, &[])
    }

    /// A number that has exactly these tags: `("producer-topic-metrics", "byte-total", &[("topic", "orders")])`.
    pub fn get_tagged(&self, group: &str, name: &str, tags: &[(&str, &str)]) -> Option<f64> {
        let found = self.all.iter().find(|m| m.group == group && m.name == name && m.tags().eq(tags.iter().copied()));
        found.map(Metric::value)
    }

    /// All numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Metric> {
        self.all.iter()
    }

    /// All numbers in the text format of Prometheus, as `kafka_<group>_<name>`: what ends in `-total` is a counter, the rest
    /// are gauges.
    pub fn to_prometheus(&self) -> String {
        let name = |metric: &Metric| format!("kafka_{}_{}", metric.group, metric.name).replace(['-', '.'], "_");
        let mut text = String::new();
        let mut done = BTreeSet::new();
        for metric in &self.all {
            // All samples of a name stand together.
            if !done.insert((metric.group, &metric.name)) {
                continue;
            }
            let title = name(metric);
            let kind = if metric.name.ends_with("-total") { "counter" } else { "gauge" };
            let _ = writeln!(text, "# TYPE {title} {kind}");
            for sample in self.all.iter().filter(|m| m.group == metric.group && m.name == metric.name) {
                let tags: Vec<_> = sample
                    .tags()
                    .map(|(key, value)| format!("{}=\"{}\"", key.replace('-', "_"), escaped(value)))
                    .collect();
                let tags = if tags.is_empty() { String::new() } else { format!("{{{}}}", tags.join(",")) };
                let _ = writeln!(text, "{title}{tags} {}", sample.value);
            }
        }
        text
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_gets_one_type_line_per_name_and_escaped_labels() {
        let mut metrics = Metrics { stats: Stats::default(), all: Vec::new() };
        metrics.add("producer-topic-metrics", "byte-total", &[("topic", "a".into())], 3.0);
        metrics.add("producer-metrics", "connection-count", &[], 2.0);
        metrics.add("producer-topic-metrics", "byte-total", &[("topic", "b\"".into())], 4.5);
        assert_eq!(
            metrics.to_prometheus(),
            "# TYPE kafka_producer_topic_metrics_byte_total counter\n\
             kafka_producer_topic_metrics_byte_total{topic=\"a\"} 3\n\
             kafka_producer_topic_metrics_byte_total{topic=\"b\\\"\"} 4.5\n\
             # TYPE kafka_producer_metrics_connection_count gauge\n\
             kafka_producer_metrics_connection_count 2\n"
        );
        assert_eq!(metrics.get_tagged("producer-topic-metrics", "byte-total", &[("topic", "a")]), Some(3.0));
        assert_eq!(metrics.get("producer-topic-metrics", "byte-total"), None);
    }

    #[test]
    fn nothing_is_averaged_before_there_is_something() {
        let (reading, none) = (Reading::default(), ProducerStats::default());
        let metrics = Metrics::with(&reading, &none, &none);
        assert_eq!(metrics.get("producer-metrics", "record-send-total"), Some(0.0));
        assert_eq!(metrics.get("producer-metrics", "record-send-rate"), Some(0.0));
        assert_eq!(metrics.get("producer-metrics", "batch-size-avg"), None);
    }
}
