//! Configuration: one table of keys ([`keys`]), builders that never fail ([`builder`]), and what the machines read,
//! validated and complete ([`ClientConfig`], [`ProducerConfig`], [`ConsumerConfig`]).
//!
//! A setter, a line of a file and an alias all put a text under a key; the text is read once, when a handle is made.
//! So there is one way to every value, and all problems are told together.

#[macro_use]
mod section;
mod address;
pub mod builder;
mod check;
mod classes;
mod entries;
mod iso8601;
mod key;
pub mod keys;
mod keys_client;
mod keys_consumer;
mod keys_librdkafka;
mod keys_producer;
mod keys_security;
mod markdown;
mod plugin;
pub mod properties;
mod reader;
mod secret;
mod topic;
mod value;
mod values;

pub use address::Address;
pub use classes::Serde;
pub use entries::{Origin, Problem, Report, Setting};
pub use key::{Alias, Key, Kind, Range, Section, Source, Status};
pub use keys_client::ClientConfig;
pub use keys_consumer::ConsumerConfig;
pub use keys_producer::ProducerConfig;
pub use markdown::markdown;
pub use plugin::{Broker, Partitioning, Plugin, RewriteAddress};
pub use secret::Secret;
pub use topic::TopicConfig;
pub use values::{
    Acks, Assignor, AutoCommit, BufferSize, Compression, Defaults, DnsLookup, IsolationLevel, MetadataRecovery,
    OffsetReset, StartOffset, TimestampPrecision,
};

impl ProducerConfig {
    /// What the producer does for a topic, if that is otherwise than for the rest.
    pub fn topic(&self, name: &str) -> Option<&TopicConfig> {
        self.topics.get(name)
    }
}
