//! What one topic of a producer has otherwise.

use super::{Acks, Partitioning};
use crate::codec::Compression;
use std::time::Duration;

/// What a producer does otherwise for one topic; validated, complete.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TopicConfig {
    /// How many replicas must have a record.
    pub acks: Acks,
    /// The codec and its level.
    pub compression: Compression,
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

/// The keys that a topic may have of its own.
pub(super) const KEYS: &[&str] = &[
    "acks",
    "compression.type",
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
    pub(super) fn read(reader: &mut super::reader::Reader<'_>) -> Self {
        Self {
            acks: reader.get("acks"),
            compression: super::reader::compression(reader),
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
