//! What one topic of a producer has otherwise.

use super::producer::put_compression;
use super::unknown;
use crate::config::entries::Entries;
use crate::config::value::Value;
use crate::config::{Acks, Compression, Origin, keys, topic};
use std::time::Duration;

/// What one topic of a producer has otherwise than the others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopicConfig {
    pub(super) entries: Entries,
}

impl TopicConfig {
    /// Nothing otherwise.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key by its name: `acks`, `compression.*`, `delivery.timeout.ms` or `batch.size`.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "so that literals need no reference")]
    pub fn set(self, key: &str, value: impl ToString) -> Self {
        self.put(key, &value.to_string())
    }

    fn put(mut self, given: &str, value: &str) -> Self {
        match keys::find(given) {
            Some(key) if topic::KEYS.contains(&key.name) => self.entries.put(key, given, value, Origin::Code),
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
        Self { entries: put_compression(self.entries, compression) }
    }

    /// How long a record of this topic may take in all.
    #[must_use]
    #[doc(alias = "delivery.timeout.ms")]
    pub fn delivery_timeout(self, value: Duration) -> Self {
        self.put("delivery.timeout.ms", &value.write())
    }

    /// How large a batch of this topic may grow, in bytes.
    #[must_use]
    #[doc(alias = "batch.size")]
    pub fn batch_size(self, value: usize) -> Self {
        self.put("batch.size", &value.write())
    }
}
