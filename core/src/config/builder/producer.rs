//! The section of producers.

use super::{TopicConfig, merge_interceptors, put_in};
use crate::config::entries::Entries;
use crate::config::plugin::Plugin;
use crate::config::{Key, Origin, Section, keys};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What a producer has otherwise than its client's configuration says, and that otherwise than by default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProducerConfig {
    pub(in crate::config) entries: Entries,
    pub(super) partitioner: Option<Plugin>,
    pub(super) interceptors: Vec<Plugin>,
    pub(super) topics: BTreeMap<Arc<str>, TopicConfig>,
}

impl ProducerConfig {
    /// Nothing otherwise.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key by its Java name or librdkafka's, with a value in Java's unit: `.set("linger.ms", 5)`.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "so that literals need no reference")]
    pub fn set(self, key: &str, value: impl ToString) -> Self {
        self.put(key, &value.to_string())
    }

    pub(in crate::config) fn put(mut self, key: &str, value: &str) -> Self {
        if keys::find(key).is_some_and(|key| key.name == "partitioner.class") {
            self.partitioner = None;
        }
        put_in(&mut self.entries, Section::Producer, key, value);
        self
    }

    pub(super) fn insert(&mut self, key: &'static Key, given: &str, value: &str, origin: Origin) {
        if key.name == "partitioner.class" {
            self.partitioner = None;
        }
        self.entries.put(key, given, value, origin);
    }

    pub(super) fn merge(&mut self, other: Self) {
        if other.entries.get("partitioner.class").is_some() {
            self.partitioner = other.partitioner;
        }
        self.entries.merge(&other.entries);
        merge_interceptors(&mut self.interceptors, &other.interceptors);
        self.topics.extend(other.topics);
    }

    /// Adds an interceptor, behind those that are there.
    #[must_use]
    #[doc(alias = "interceptor.classes")]
    pub fn interceptor(mut self, interceptor: impl Into<Plugin>) -> Self {
        self.interceptors.push(interceptor.into());
        self
    }

    /// What one topic has otherwise.
    #[must_use]
    pub fn topic(mut self, name: &str, overrides: TopicConfig) -> Self {
        self.topics.insert(name.into(), overrides);
        self
    }
}

shared_setters!(ProducerConfig, "");

plain_setters! { ProducerConfig {
    /// Whether asking for a topic that does not exist may create it, if brokers create topics at all.
    #[doc(alias = "allow.auto.create.topics")]
    allow_auto_create_topics: bool = "allow.auto.create.topics";
    /// How long to wait for the answer to a Produce request; by default as the connection's.
    #[doc(alias = "request.timeout.ms")]
    request_timeout: Duration = "request.timeout.ms";
    /// How long to wait before a batch is sent again, the first time; by default as the connection's.
    #[doc(alias = "retry.backoff.ms")]
    retry_backoff: Duration = "retry.backoff.ms";
    /// How long that wait becomes at most; by default as the connection's.
    #[doc(alias = "retry.backoff.max.ms")]
    retry_backoff_max: Duration = "retry.backoff.max.ms";
} }
