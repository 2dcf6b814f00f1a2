//! The metrics of producers, as `SenderMetricsRegistry`, `BufferPool` and `KafkaProducerMetrics` name them.

use super::{Metrics, Tags};
use crate::front::producer::ProducerShared;
use crate::front::recent::Reading;
use crate::producer::Buffered;
use klamm_core::stats::{Histogram, ProducerStats, TopicStats};

const GROUP: &str = "producer-metrics";
const TOPIC: &str = "producer-topic-metrics";

impl Metrics {
    /// Of one producer, with its client's connections.
    pub(crate) fn of_producer(shared: &ProducerShared, buffered: &Buffered) -> Self {
        let reading = shared.front.read_stats();
        let own = reading.stats.of_producer(shared.ix).cloned().or_else(|| shared.last()).unwrap_or_default();
        let before = reading.base.stats.of_producer(shared.ix).cloned().unwrap_or_default();
        let mut metrics = Self::with(&reading, &own, &before);
        metrics.memory(&reading, shared, buffered);
        metrics.stats = reading.stats;
        metrics
    }

    pub(super) fn produced(&mut self, reading: &Reading, now: &ProducerStats, before: &ProducerStats) {
        for (name, now, before) in [
            ("record-send", now.records_acked, before.records_acked),
            ("record-error", now.records_failed, before.records_failed),
            ("record-retry", now.records_retried, before.records_retried),
            ("byte", now.record_bytes, before.record_bytes),
            ("batch", now.batches, before.batches),
            ("batch-split", now.splits, before.splits),
        ] {
            self.rated(GROUP, name, &[], reading, now, before);
        }
        let records = now.records_acked - before.records_acked.min(now.records_acked);
        let batches = now.batches_acked - before.batches_acked.min(now.batches_acked);
        let bytes = now.record_bytes - before.record_bytes.min(now.record_bytes);
        let plain = now.plain_bytes - before.plain_bytes.min(now.plain_bytes);
        let requests = now.requests - before.requests.min(now.requests);
        let sent = now.records_sent - before.records_sent.min(now.records_sent);
        self.sizes(GROUP, "batch-size", &[], &now.batch_size.since(&before.batch_size));
        self.ratio(GROUP, "records-per-batch-avg", &[], records, batches);
        self.ratio(GROUP, "records-per-request-avg", &[], sent, requests);
        self.ratio(GROUP, "record-size-avg", &[], plain, records);
        self.ratio(GROUP, "compression-rate-avg", &[], bytes, plain);
        self.latency(GROUP, "record-queue-time", &[], &now.queue_time.since(&before.queue_time));
        self.latency(GROUP, "request-latency", &[], &now.latency.since(&before.latency));
        let throttle = now.throttle.since(&before.throttle);
        for (name, value) in
            [("produce-throttle-time-avg", throttle.mean_ms()), ("produce-throttle-time-max", throttle.max_ms())]
        {
            if let Some(value) = value {
                self.add(GROUP, name, &[], value);
            }
        }
        self.add(GROUP, "requests-in-flight", &[], now.in_flight as f64);
        for (name, topic) in &now.topics {
            self.topic(reading, name, topic, before.of_topic(name).unwrap_or(&TopicStats::default()));
        }
    }

    fn topic(&mut self, reading: &Reading, name: &std::sync::Arc<str>, now: &TopicStats, before: &TopicStats) {
        let tags: Tags<'_> = &[("topic", name.clone())];
        for (name, now, before) in [
            ("record-send", now.records_acked, before.records_acked),
            ("record-error", now.records_failed, before.records_failed),
            ("record-retry", now.records_retried, before.records_retried),
            ("byte", now.bytes, before.bytes),
            ("batch", now.batches, before.batches),
        ] {
            self.rated(TOPIC, name, tags, reading, now, before);
        }
        let (bytes, plain) =
            (now.bytes.saturating_sub(before.bytes), now.plain_bytes.saturating_sub(before.plain_bytes));
        self.ratio(TOPIC, "compression-rate", tags, bytes, plain);
    }

    fn memory(&mut self, reading: &Reading, shared: &ProducerShared, buffered: &Buffered) {
        let (used, total) = (shared.budget.used().0, shared.budget.total());
        let times = &shared.times;
        let waited = times.short_total(reading.now);
        let over = reading.over.as_nanos().max(1) as f64;
        for (name, value) in [
            ("buffer-total-bytes", total as f64),
            ("buffer-available-bytes", total.saturating_sub(used) as f64),
            ("buffered-records", buffered.records() as f64),
            ("waiting-records", buffered.waiting() as f64),
            ("buffer-exhausted-total", times.exhausted_total() as f64),
            ("bufferpool-wait-time-ns-total", waited as f64),
            ("bufferpool-wait-ratio", (waited.saturating_sub(reading.base.waited(shared.ix)) as f64 / over).min(1.0)),
            ("flush-time-ns-total", times.flush.get() as f64),
            ("metadata-wait-time-ns-total", times.metadata_wait.get() as f64),
        ] {
            self.add(GROUP, name, &[], value);
        }
        if shared.transactions.is_none() {
            return;
        }
        for (name, sum) in [
            ("txn-init-time-ns-total", &times.txn_init),
            ("txn-begin-time-ns-total", &times.txn_begin),
            ("txn-send-offsets-time-ns-total", &times.txn_send_offsets),
            ("txn-commit-time-ns-total", &times.txn_commit),
            ("txn-abort-time-ns-total", &times.txn_abort),
        ] {
            self.add(GROUP, name, &[], sum.get() as f64);
        }
    }

    pub(super) fn sizes(&mut self, group: &'static str, name: &'static str, tags: Tags<'_>, sizes: &Histogram) {
        if let (Some(mean), Some(max)) = (sizes.mean(), sizes.max()) {
            self.add(group, format!("{name}-avg"), tags, mean);
            self.add(group, format!("{name}-max"), tags, max as f64);
        }
    }
}
