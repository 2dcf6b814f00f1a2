//! What a client has counted, under Kafka's names.

use klamm_core::stats::{Histogram, Stats};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

/// A snapshot of counters, gauges and latencies: of the whole client, whose producers and consumers are counted together, and
/// of the handle that it was asked of (buffer, lag).
///
/// Counters only grow from the start of the client on; rates are for whoever collects them to make. Latencies are of all
/// requests so far, in milliseconds, known to within an eighth.
///
/// | Group | Tags | Names |
/// |---|---|---|
/// | `producer-metrics` | | `record-send-total` `record-error-total` `record-retry-total` `byte-total` `batch-total` `batch-split-total` `batch-size-avg` `records-per-batch-avg` `compression-rate-avg` `record-queue-time-avg` `-max` `-p50` `-p99` `-p999`; of `Producer::metrics` also `buffer-total-bytes` `buffer-available-bytes` `waiting-records` `buffered-records` |
/// | `producer-metrics`, `consumer-metrics` | | `connection-count` `connection-creation-total` `connection-failure-total` `request-total` `response-total` `incoming-byte-total` `outgoing-byte-total` `metadata-total` `throttle-time-total-ms` |
/// | `producer-node-metrics`, `consumer-node-metrics` | `node-id` | `response-total` `incoming-byte-total` `outgoing-byte-total` `request-latency-avg` `-max` `-p50` `-p99` `-p999` |
/// | `producer-topic-metrics` | `topic` | `record-send-total` `record-error-total` `record-retry-total` `byte-total` `batch-total` `compression-rate` |
/// | `consumer-fetch-manager-metrics` | | `fetch-total` `bytes-consumed-total`; of `Consumer::metrics` also `records-lag-max` |
/// | `consumer-fetch-manager-metrics` | `topic`, `partition` | of `Consumer::metrics`: `records-lag` `position` |
/// | `consumer-coordinator-metrics` | | `rebalance-total` `heartbeat-total` `commit-total` `commit-failure-total`; of `Consumer::metrics` also `assigned-partitions` |
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
    pub(crate) fn new(stats: Stats) -> Self {
        let mut metrics = Self { all: Vec::with_capacity(64), stats: Stats::default() };
        metrics.producers(&stats);
        for group in ["producer-metrics", "consumer-metrics"] {
            metrics.connections(group, &stats);
        }
        for (broker, node) in &stats.nodes {
            let tags: Tags<'_> = &[("node-id", broker.0.to_string().into())];
            for group in ["producer-node-metrics", "consumer-node-metrics"] {
                metrics.add(group, "response-total", tags, node.responses as f64);
                metrics.add(group, "incoming-byte-total", tags, node.bytes_in as f64);
                metrics.add(group, "outgoing-byte-total", tags, node.bytes_out as f64);
                metrics.latency(group, "request-latency", tags, &node.latency);
            }
        }
        let group = "consumer-fetch-manager-metrics";
        metrics.add(group, "fetch-total", &[], stats.fetches as f64);
        metrics.add(group, "bytes-consumed-total", &[], stats.fetched_bytes as f64);
        let group = "consumer-coordinator-metrics";
        metrics.add(group, "rebalance-total", &[], stats.rebalances as f64);
        metrics.add(group, "heartbeat-total", &[], stats.heartbeats as f64);
        metrics.add(group, "commit-total", &[], stats.commits as f64);
        metrics.add(group, "commit-failure-total", &[], stats.commit_failures as f64);
        metrics.stats = stats;
        metrics
    }

    fn producers(&mut self, s: &Stats) {
        let group = "producer-metrics";
        for (name, value) in [
            ("record-send-total", s.records_acked),
            ("record-error-total", s.records_failed),
            ("record-retry-total", s.retries),
            ("byte-total", s.record_bytes),
            ("batch-total", s.batches),
            ("batch-split-total", s.splits),
        ] {
            self.add(group, name, &[], value as f64);
        }
        self.ratio(group, "batch-size-avg", &[], s.record_bytes, s.batches_acked);
        self.ratio(group, "records-per-batch-avg", &[], s.records_acked, s.batches_acked);
        self.ratio(group, "compression-rate-avg", &[], s.record_bytes, s.plain_bytes);
        self.latency(group, "record-queue-time", &[], &s.queue_time);
        let group = "producer-topic-metrics";
        for (name, topic) in &s.topics {
            let tags: Tags<'_> = &[("topic", name.clone())];
            self.add(group, "record-send-total", tags, topic.records_acked as f64);
            self.add(group, "record-error-total", tags, topic.records_failed as f64);
            self.add(group, "record-retry-total", tags, topic.retries as f64);
            self.add(group, "byte-total", tags, topic.bytes as f64);
            self.add(group, "batch-total", tags, topic.batches as f64);
            self.ratio(group, "compression-rate", tags, topic.bytes, topic.plain_bytes);
        }
    }

    fn connections(&mut self, group: &'static str, s: &Stats) {
        for (name, value) in [
            ("connection-count", s.connections),
            ("connection-creation-total", s.connects),
            ("connection-failure-total", s.connect_failures),
            ("request-total", s.requests),
            ("response-total", s.responses),
            ("incoming-byte-total", s.bytes_in),
            ("outgoing-byte-total", s.bytes_out),
            ("metadata-total", s.metadata),
            ("throttle-time-total-ms", s.throttled_ms),
        ] {
            self.add(group, name, &[], value as f64);
        }
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
        let metrics = Metrics::new(Stats::default());
        assert_eq!(metrics.get("producer-metrics", "record-send-total"), Some(0.0));
        assert_eq!(metrics.get("producer-metrics", "batch-size-avg"), None);
    }
}
