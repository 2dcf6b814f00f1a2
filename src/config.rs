//! Configuration: Java's keys, as typed setters, as text, from a file or from the environment.

use crate::{Error, ErrorKind, Result};
pub use klamm_core::config::builder::{ConsumerConfig, ProducerConfig, TopicConfig};
pub use klamm_core::config::{
    Acks, Assignor, AutoCommit, Broker, BufferSize, Compression, DnsLookup, IsolationLevel, MetadataRecovery,
    OffsetReset, Origin, Secret, Section, Setting, StartOffset, TimestampPrecision, markdown,
};
use klamm_core::config::{Plugin as CorePlugin, builder};
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// How to reach a cluster, and one section for each role. What is not set takes Java's defaults; all problems are told
/// together, by [`validate`](Self::validate) or when a client connects. A producer or consumer that gets a section of its own
/// ([`Kafka::producer_with`](crate::Kafka::producer_with)) inherits from here whatever that section does not set.
///
/// ```
/// use klamm::{Config, config::{Acks, ProducerConfig}};
/// use std::time::Duration;
/// let config = Config::new("localhost:9092")
///     .client_id("billing")
///     .set("metadata.max.age.ms", 60_000)
///     .producer(ProducerConfig::new().acks(Acks::All).linger(Duration::from_millis(20)));
/// config.validate().unwrap();
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Config(builder::Config);

impl Config {
    /// A client of the cluster behind these servers (`host:port`, commas between them), with the defaults of Kafka 4.4.
    #[doc(alias = "bootstrap.servers")]
    pub fn new(bootstrap_servers: impl Into<String>) -> Self {
        Self(builder::Config::new(bootstrap_servers))
    }

    /// The same with the defaults of the Java client 2.5; but the order of records holds here too.
    pub fn kafka_2_5(bootstrap_servers: impl Into<String>) -> Self {
        Self(builder::Config::kafka_2_5(bootstrap_servers))
    }

    /// All settings of a file in the syntax of Java's `.properties`, as it is.
    ///
    /// # Errors
    /// If the file cannot be read. What is wrong in it is told by [`validate`](Self::validate), with its line.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::new(ErrorKind::Config, format!("cannot read {}: {error}", path.display())))?;
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Ok(Self(builder::Config::from_named_properties(&name, &text)))
    }

    /// All settings of a text in the syntax of Java's `.properties` files.
    pub fn from_properties(text: &str) -> Self {
        Self(builder::Config::from_properties(text))
    }

    /// Settings from environment variables: the prefix, then the key in capitals with `_` for each point
    /// (`KAFKA_BOOTSTRAP_SERVERS`).
    pub fn from_env(prefix: &str) -> Self {
        let vars =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self(builder::Config::from_vars(prefix, vars))
    }

    /// Sets a key by its Java name or librdkafka's, with a value in Java's unit: `.set("linger.ms", 5)`.
    #[must_use]
    pub fn set(self, key: &str, value: impl ToString) -> Self {
        Self(self.0.set(key, value))
    }

    /// Says which Rust value stands for a Java class that the configuration names.
    #[must_use]
    pub fn class(self, java_name: &str, plugin: impl Into<crate::Plugin>) -> Self {
        Self(self.0.class(java_name, CorePlugin::from(plugin.into())))
    }

    /// Has one of Kafka's codecs written and read by code of yours, by producers and consumers alike: see
    /// [`codec`](crate::codec).
    #[must_use]
    pub fn codec(self, codec: crate::codec::Codec, custom: impl crate::codec::CustomCodec) -> Self {
        Self(self.0.codec(codec, custom))
    }

    /// Dials what this function answers instead of the address that a broker advertises: tunnels, port-forwards.
    #[must_use]
    pub fn rewrite_address(self, rewrite: impl Fn(Broker<'_>) -> String + Send + Sync + 'static) -> Self {
        Self(self.0.rewrite_address(rewrite))
    }

    /// Adds settings of producers; they count where both set a key.
    #[must_use]
    pub fn producer(self, section: ProducerConfig) -> Self {
        Self(self.0.producer(section))
    }

    /// Adds settings of consumers; they count where both set a key.
    #[must_use]
    pub fn consumer(self, section: ConsumerConfig) -> Self {
        Self(self.0.consumer(section))
    }

    /// The settings of producers, to vary them.
    pub fn producer_section(&self) -> ProducerConfig {
        self.0.producer_section()
    }

    /// The settings of consumers, to vary them.
    pub fn consumer_section(&self) -> ConsumerConfig {
        self.0.consumer_section()
    }

    /// Checks everything, without a network.
    ///
    /// # Errors
    /// One error of kind `Config` that names all problems.
    pub fn validate(&self) -> Result<()> {
        self.0.validate()
    }

    /// Every supported key and every other that was set: its value as it takes effect (secrets as `***`), and where that
    /// comes from.
    pub fn settings(&self) -> impl Iterator<Item = Setting> {
        self.0.settings()
    }

    pub(crate) fn builder(&self) -> &builder::Config {
        &self.0
    }
}

/// Setters of the core's builder, under their names there.
macro_rules! setters {
    ($($key:literal $name:ident: $ty:ty;)*) => {
        impl Config {
            $(
                #[doc = concat!("Sets `", $key, "`, as Java documents it.")]
                #[doc(alias = $key)]
                #[must_use]
                pub fn $name(self, value: $ty) -> Self {
                    Self(self.0.$name(value))
                }
            )*
        }
    };
}

setters! {
    "client.id" client_id: impl Into<String>;
    "client.rack" client_rack: impl Into<String>;
    "client.dns.lookup" client_dns_lookup: DnsLookup;
    "request.timeout.ms" request_timeout: Duration;
    "default.api.timeout.ms" default_api_timeout: Duration;
    "retry.backoff.ms" retry_backoff: Duration;
    "retry.backoff.max.ms" retry_backoff_max: Duration;
    "reconnect.backoff.ms" reconnect_backoff: Duration;
    "reconnect.backoff.max.ms" reconnect_backoff_max: Duration;
    "socket.connection.setup.timeout.ms" socket_connection_setup_timeout: Duration;
    "socket.connection.setup.timeout.max.ms" socket_connection_setup_timeout_max: Duration;
    "connections.max.idle.ms" connections_max_idle: Option<Duration>;
    "metadata.max.age.ms" metadata_max_age: Duration;
    "metadata.recovery.strategy" metadata_recovery_strategy: MetadataRecovery;
    "metadata.recovery.rebootstrap.trigger.ms" metadata_recovery_rebootstrap_trigger: Duration;
    "send.buffer.bytes" send_buffer_bytes: BufferSize;
    "receive.buffer.bytes" receive_buffer_bytes: BufferSize;
    "socket.keepalive.enable" socket_keepalive_enable: bool;
    "response.max.bytes" response_max_bytes: usize;
}

impl From<&str> for Config {
    fn from(bootstrap_servers: &str) -> Self {
        Self::new(bootstrap_servers)
    }
}

impl From<String> for Config {
    fn from(bootstrap_servers: String) -> Self {
        Self::new(bootstrap_servers)
    }
}

impl From<&Config> for Config {
    fn from(config: &Config) -> Self {
        config.clone()
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for setting in self.settings() {
            writeln!(f, "{} = {} ({:?})", setting.key, setting.value, setting.origin)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_is_an_error_with_its_name() {
        let error = Config::from_file("/no/such/app.properties").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("app.properties"), "{error}");
    }

    #[test]
    fn all_problems_are_told_together() {
        let error = Config::new("a:1").set("linger.mss", 5).set("acks", "many").validate().unwrap_err().to_string();
        assert!(error.contains("linger.ms") && error.contains("acks"), "{error}");
    }
}
