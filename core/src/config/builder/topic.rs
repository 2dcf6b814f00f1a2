//! What one topic of a producer has otherwise.

use super::unknown;
use crate::config::entries::Entries;
use crate::config::plugin::Plugin;
use crate::config::{Acks, Origin, keys, topic};
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
}

shared_setters!(TopicConfig, " of this topic");

plain_setters! { TopicConfig {
    /// How many replicas must have a record of this topic.
    acks: Acks = "acks";
    /// How long a record of this topic may take in all.
    #[doc(alias = "delivery.timeout.ms")]
    delivery_timeout: Duration = "delivery.timeout.ms";
    /// How long a batch of this topic waits for more records.
    #[doc(alias = "linger.ms")]
    linger: Duration = "linger.ms";
    /// How long to wait for the answer to a Produce request with records of this topic; the broker is told the same limit.
    #[doc(alias = "request.timeout.ms")]
    request_timeout: Duration = "request.timeout.ms";
    /// How long a record of this topic may wait in line for memory or for the topic's metadata.
    #[doc(alias = "max.block.ms")]
    max_block: Duration = "max.block.ms";
    /// How often a batch of this topic is sent again at most.
    retries: u32 = "retries";
    /// How large a batch of this topic may grow, in bytes.
    #[doc(alias = "batch.size")]
    batch_size: usize = "batch.size";
} }
