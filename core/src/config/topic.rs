//! What one topic of a producer has otherwise.

use super::{Acks, Partitioning};
use crate::codec::{Compression, Preference};
use std::time::Duration;

/// What a producer does otherwise for one topic; validated, complete.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TopicConfig {
    /// How many replicas must have a record.
    pub acks: Acks,
    /// The codec and its level.
    pub compression: Compression,
    /// What comes after it if a broker refuses it, the best first.
    pub compression_fallbacks: Vec<Compression>,
    /// How long a record may take in all.
    pub delivery_timeout: Duration,
    /// How large a batch may grow, in bytes.
    pub batch_size: usize,
    /// How long a batch waits for more records.
    pub linger: Duration,
    /// How long to wait for the answer to a Produce request with records of this topic.
    pub request_timeout: Duration,
    /// How often a batch is sent again at most.
    pub retries: u32,
    /// How long a record may wait in line for memory or for the topic's metadata.
    pub max_block: Duration,
    /// Who chooses partitions.
    pub partitioning: Partitioning,
}

impl super::ProducerConfig {
    /// The codecs of topics without their own, the best first.
    pub fn preference(&self) -> Preference {
        Preference::new(self.compression, &self.compression_fallbacks)
    }
}

/// The keys that a topic may have of its own.
pub(super) const KEYS: &[&str] = &[
    "acks",
    "compression.type",
    "compression.fallbacks",
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.zstd.level",
    "compression.level",
    "delivery.timeout.ms",
    "batch.size",
    "linger.ms",
    "request.timeout.ms",
    "retries",
    "max.block.ms",
    "partitioner.class",
];

impl TopicConfig {
    /// The codecs of this topic, the best first.
    pub fn preference(&self) -> Preference {
        Preference::new(self.compression, &self.compression_fallbacks)
    }

    pub(super) fn read(reader: &mut super::reader::Reader<'_>) -> Self {
        Self {
            acks: reader.get("acks"),
            compression: super::reader::compression(reader),
            compression_fallbacks: super::reader::fallbacks(reader),
            delivery_timeout: reader.get("delivery.timeout.ms"),
            batch_size: reader.get("batch.size"),
            linger: reader.get("linger.ms"),
            request_timeout: reader.get("request.timeout.ms"),
            retries: reader.get("retries"),
            max_block: reader.get("max.block.ms"),
            partitioning: super::reader::partitioning(reader),
        }
    }
}
