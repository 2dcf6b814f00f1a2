//! The section of consumers.

use super::{merge_interceptors, put_in};
use crate::config::entries::Entries;
use crate::config::plugin::Plugin;
use crate::config::value::Value;
use crate::config::{Assignor, AutoCommit, Section, keys};
use std::time::Duration;

/// What a consumer has otherwise than its client's configuration says, and that otherwise than by default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConsumerConfig {
    pub(in crate::config) entries: Entries,
    /// Without a group, whatever the client's configuration says.
    pub(super) groupless: bool,
    pub(super) interceptors: Vec<Plugin>,
}

impl ConsumerConfig {
    /// A member of a group.
    pub fn group(id: impl Into<String>) -> Self {
        Self::default().put("group.id", &id.into())
    }

    /// A consumer without a group.
    pub fn standalone() -> Self {
        Self::default().without_group()
    }

    /// The same in another group.
    #[must_use]
    pub fn with_group(self, id: impl Into<String>) -> Self {
        self.put("group.id", &id.into())
    }

    /// The same without a group.
    #[must_use]
    pub fn without_group(mut self) -> Self {
        self.entries.remove("group.id");
        self.groupless = true;
        self
    }

    /// Sets a key by its Java name or librdkafka's, with a value in Java's unit: `.set("max.poll.records", 500)`.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "so that literals need no reference")]
    pub fn set(self, key: &str, value: impl ToString) -> Self {
        self.put(key, &value.to_string())
    }

    pub(in crate::config) fn put(mut self, key: &str, value: &str) -> Self {
        if keys::find(key).is_some_and(|key| key.name == "group.id") {
            self.groupless = false;
        }
        put_in(&mut self.entries, Section::Consumer, key, value);
        self
    }

    /// What both say, `other` counting where both do.
    pub(super) fn merge(&mut self, other: &Self) {
        if other.groupless {
            self.entries.remove("group.id");
        }
        self.groupless = other.groupless || (self.groupless && other.entries.get("group.id").is_none());
        self.entries.merge(&other.entries);
        merge_interceptors(&mut self.interceptors, &other.interceptors);
    }

    /// Who commits offsets, and which; by default klamm, what earlier polls returned, every 5 s.
    #[must_use]
    #[doc(alias = "enable.auto.commit")]
    #[doc(alias = "auto.commit.interval.ms")]
    pub fn auto_commit(self, mode: AutoCommit) -> Self {
        let (enabled, mode, every) = match mode {
            AutoCommit::Off => return self.put("enable.auto.commit", "false"),
            AutoCommit::Polled(every) => ("true", "polled", every),
            AutoCommit::Acked(every) => ("true", "acked", every),
        };
        self.put("enable.auto.commit", enabled)
            .put("auto.commit.mode", mode)
            .put("auto.commit.interval.ms", &every.write())
    }

    /// How the group may share its partitions, the best first; by default `Range`.
    #[must_use]
    #[doc(alias = "partition.assignment.strategy")]
    pub fn assignors(self, assignors: impl IntoIterator<Item = Assignor>) -> Self {
        self.put("partition.assignment.strategy", &assignors.into_iter().collect::<Vec<_>>().write())
    }

    /// Adds an interceptor, behind those that are there.
    #[must_use]
    #[doc(alias = "interceptor.classes")]
    pub fn interceptor(mut self, interceptor: impl Into<Plugin>) -> Self {
        self.interceptors.push(interceptor.into());
        self
    }

    /// Where this consumer is, if not where its connection says: it reads from a replica in the same rack (KIP-392).
    #[must_use]
    #[doc(alias = "client.rack")]
    pub fn client_rack(self, rack: impl Into<String>) -> Self {
        self.put("client.rack", &rack.into())
    }

    /// How long to wait for the answer to a request; by default as the connection's.
    #[must_use]
    #[doc(alias = "request.timeout.ms")]
    pub fn request_timeout(self, value: Duration) -> Self {
        self.put("request.timeout.ms", &value.write())
    }

    /// How long a call may take that has no time limit of its own; by default as the connection's.
    #[must_use]
    #[doc(alias = "default.api.timeout.ms")]
    pub fn default_api_timeout(self, value: Duration) -> Self {
        self.put("default.api.timeout.ms", &value.write())
    }
}
