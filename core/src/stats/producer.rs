//! What was counted of producers.

use super::{Histogram, TopicStats, copied_in_place, slot};
use std::sync::Arc;

/// What was counted of one producer, or of all of a client together.
#[derive(Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProducerStats {
    /// Records acknowledged.
    pub records_acked: u64,
    /// Records failed behind the hand-over: those refused or timed out before are not among them.
    pub records_failed: u64,
    /// Records sent again.
    pub records_retried: u64,
    /// Bytes of records acknowledged, as they were sent.
    pub record_bytes: u64,
    /// Bytes of records acknowledged, before compression.
    pub plain_bytes: u64,
    /// Batches sent, retries included.
    pub batches: u64,
    /// Batches sent again.
    pub retries: u64,
    /// Batches acknowledged.
    pub batches_acked: u64,
    /// Batches split.
    pub splits: u64,
    /// Epoch bumps.
    pub bumps: u64,
    /// Produce requests sent.
    pub requests: u64,
    /// Records in them, those sent again included.
    pub records_sent: u64,
    /// Produce requests that wait for their answer now.
    pub in_flight: u64,
    /// How long the oldest record of a batch waited until the batch was sent first.
    pub queue_time: Histogram,
    /// From the building of a Produce request to its answer.
    pub latency: Histogram,
    /// How long brokers asked to pause in their answers to Produce; answers without a pause count as none.
    pub throttle: Histogram,
    /// Sizes of batches as they were sent first, in bytes.
    pub batch_size: Histogram,
    /// By topic, in the order in which they were met.
    pub topics: Vec<(Arc<str>, TopicStats)>,
}

copied_in_place!(
    ProducerStats: records_acked, records_failed, records_retried, record_bytes, plain_bytes, batches, retries, batches_acked, splits, bumps, requests, records_sent, in_flight; queue_time, latency, throttle, batch_size; topics
);

impl ProducerStats {
    /// The counts of a topic, new if need be.
    pub(crate) fn topic(&mut self, name: &Arc<str>) -> &mut TopicStats {
        slot(&mut self.topics, |known| Arc::ptr_eq(known, name) || *known == *name, || name.clone())
    }

    /// Takes in what was counted of another.
    pub(crate) fn add(&mut self, other: &Self) {
        let Self { queue_time, latency, throttle, batch_size, topics, .. } = other;
        for (all, own) in [
            (&mut self.records_acked, other.records_acked),
            (&mut self.records_failed, other.records_failed),
            (&mut self.records_retried, other.records_retried),
            (&mut self.record_bytes, other.record_bytes),
            (&mut self.plain_bytes, other.plain_bytes),
            (&mut self.batches, other.batches),
            (&mut self.retries, other.retries),
            (&mut self.batches_acked, other.batches_acked),
            (&mut self.splits, other.splits),
            (&mut self.bumps, other.bumps),
            (&mut self.requests, other.requests),
            (&mut self.records_sent, other.records_sent),
            (&mut self.in_flight, other.in_flight),
        ] {
            *all += own;
        }
        self.queue_time.merge(queue_time);
        self.latency.merge(latency);
        self.throttle.merge(throttle);
        self.batch_size.merge(batch_size);
        for (name, own) in topics {
            self.topic(name).add(own);
        }
    }

    /// The counts of a topic, if there are any.
    pub fn of_topic(&self, name: &str) -> Option<&TopicStats> {
        self.topics.iter().find(|(known, _)| **known == *name).map(|(_, stats)| stats)
    }
}
