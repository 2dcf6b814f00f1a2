//! What one topic of a producer has otherwise.

use super::producer::put_compression;
use super::unknown;
use crate::config::entries::Entries;
use crate::config::plugin::{Partitioning, Plugin};
use crate::config::reader::FROM_CODE;
use crate::config::value::Value;
use crate::config::{Acks, Compression, Origin, keys, topic};
use std::time::Duration;

/// What one topic of a producer has otherwise than the others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopicConfig {
    pub(super) entries: Entries,
    pub(super) partitioner: Option<Plugin>,
}

impl TopicConfig {
    /// Nothing otherwise.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key by its name: `acks`, `compression.*`, `batch.size`, `linger.ms`, `delivery.timeout.ms`,
    /// `request.timeout.ms`, `max.block.ms`, `retries` or `partitioner.class`.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "so that literals need no reference")]
    pub fn set(self, key: &str, value: impl ToString) -> Self {
        self.put(key, &value.to_string())
    }

    fn put(mut self, given: &str, value: &str) -> Self {
        match keys::find(given) {
            Some(key) if topic::KEYS.contains(&key.name) => {
                if key.name == "partitioner.class" {
                    self.partitioner = None;
                }
                self.entries.put(key, given, value, Origin::Code);
            }
            Some(_) => {
                let text = format!("{given} cannot be set for one topic: {} can", topic::KEYS.join(", "));
                self.entries.early.error(text, &Origin::Code);
            }
            None => self.entries.early.error(unknown(given), &Origin::Code),
        }
        self
    }

    /// How many replicas must have a record of this topic.
    #[must_use]
    pub fn acks(self, acks: Acks) -> Self {
        self.put("acks", &acks.write())
    }

    /// How batches of this topic are compressed.
    #[must_use]
    #[doc(alias = "compression.type")]
    pub fn compression(self, compression: Compression) -> Self {
        Self { entries: put_compression(self.entries, compression), ..self }
    }

    /// How long a record of this topic may take in all.
    #[must_use]
    #[doc(alias = "delivery.timeout.ms")]
    pub fn delivery_timeout(self, value: Duration) -> Self {
        self.put("delivery.timeout.ms", &value.write())
    }

    /// How long a batch of this topic waits for more records.
    #[must_use]
    #[doc(alias = "linger.ms")]
    pub fn linger(self, value: Duration) -> Self {
        self.put("linger.ms", &value.write())
    }

    /// How long to wait for the answer to a Produce request with records of this topic; the broker is told the same limit.
    #[must_use]
    #[doc(alias = "request.timeout.ms")]
    pub fn request_timeout(self, value: Duration) -> Self {
        self.put("request.timeout.ms", &value.write())
    }

    /// How long a record of this topic may wait in line for memory or for the topic's metadata.
    #[must_use]
    #[doc(alias = "max.block.ms")]
    pub fn max_block(self, value: Duration) -> Self {
        self.put("max.block.ms", &value.write())
    }

    /// How often a batch of this topic is sent again at most.
    #[must_use]
    pub fn retries(self, value: u32) -> Self {
        self.put("retries", &value.write())
    }

    /// Who chooses the partition of a record of this topic that names none.
    #[must_use]
    #[doc(alias = "partitioner.class")]
    pub fn partitioner(self, partitioner: impl Into<Partitioning>) -> Self {
        match partitioner.into() {
            Partitioning::UniformSticky => self.put("partitioner.class", "uniform_sticky"),
            Partitioning::RoundRobin => self.put("partitioner.class", "round_robin"),
            Partitioning::Scheme(scheme) => self.put("partitioner.class", scheme.name()),
            Partitioning::Custom(plugin) => {
                let mut this = self.put("partitioner.class", FROM_CODE);
                this.partitioner = Some(plugin);
                this
            }
        }
    }

    /// How large a batch of this topic may grow, in bytes.
    #[must_use]
    #[doc(alias = "batch.size")]
    pub fn batch_size(self, value: usize) -> Self {
        self.put("batch.size", &value.write())
    }
}
