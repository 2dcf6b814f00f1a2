//! The section of producers.

use super::{TopicConfig, put_in};
use crate::config::entries::Entries;
use crate::config::plugin::{Partitioning, Plugin};
use crate::config::reader::FROM_CODE;
use crate::config::value::Value;
use crate::config::{Compression, Key, Origin, Section, keys};
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
        for interceptor in other.interceptors {
            // One that came out of this section is in it.
            if !self.interceptors.contains(&interceptor) {
                self.interceptors.push(interceptor);
            }
        }
        self.topics.extend(other.topics);
    }

    /// How batches are compressed: a codec, or a codec and its level.
    #[must_use]
    #[doc(alias = "compression.type")]
    pub fn compression(self, compression: Compression) -> Self {
        Self { entries: put_compression(self.entries, compression), ..self }
    }

    /// Who chooses the partition of a record that names none.
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

    /// Whether asking for a topic that does not exist may create it, if brokers create topics at all.
    #[must_use]
    #[doc(alias = "allow.auto.create.topics")]
    pub fn allow_auto_create_topics(self, value: bool) -> Self {
        self.put("allow.auto.create.topics", &value.write())
    }

    /// How long to wait for the answer to a Produce request; by default as the connection's.
    #[must_use]
    #[doc(alias = "request.timeout.ms")]
    pub fn request_timeout(self, value: Duration) -> Self {
        self.put("request.timeout.ms", &value.write())
    }

    /// How long to wait before a batch is sent again, the first time; by default as the connection's.
    #[must_use]
    #[doc(alias = "retry.backoff.ms")]
    pub fn retry_backoff(self, value: Duration) -> Self {
        self.put("retry.backoff.ms", &value.write())
    }

    /// How long that wait becomes at most; by default as the connection's.
    #[must_use]
    #[doc(alias = "retry.backoff.max.ms")]
    pub fn retry_backoff_max(self, value: Duration) -> Self {
        self.put("retry.backoff.max.ms", &value.write())
    }
}

pub(super) fn put_compression(mut entries: Entries, compression: Compression) -> Entries {
    let mut put = |name: &str, value: &str| entries.put(keys::named(name), name, value, Origin::Code);
    put("compression.type", compression.name());
    if let Some(level) = compression.level() {
        put(&format!("compression.{}.level", compression.name()), &level.to_string());
    }
    entries
}
