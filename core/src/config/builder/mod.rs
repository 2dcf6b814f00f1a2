//! The builders that an application fills: nothing fails here, all problems are told together when a handle is made
//! from them (or by [`Config::validate`]).

#[macro_use]
mod shared;
mod consumer;
mod producer;
mod resolve;
mod topic;

pub use consumer::ConsumerConfig;
pub use producer::ProducerConfig;
pub use topic::TopicConfig;

use super::entries::Entries;
use super::plugin::{Broker, Plugin, RewriteAddress};
use super::{Origin, Section, keys};
use crate::codec::{Codec, Codecs, CustomCodec};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// How to reach a cluster, and one section for each role. What is not set takes the chosen defaults.
#[derive(Clone, Default, PartialEq)]
pub struct Config {
    pub(in crate::config) entries: Entries,
    producer: ProducerConfig,
    consumer: ConsumerConfig,
    classes: BTreeMap<String, Plugin>,
    rewrite: Option<RewriteAddress>,
    codecs: Codecs,
}

impl Config {
    /// A client of the cluster behind these servers (`host:port`, commas between them), with the defaults of Kafka 4.4.
    pub fn new(bootstrap_servers: impl Into<String>) -> Self {
        Self::default().put("bootstrap.servers", &bootstrap_servers.into())
    }

    /// The same with the defaults of the Java client 2.5: `acks=1`, no idempotence, `linger.ms=0`,
    /// `session.timeout.ms=10000`, waits between retries that do not grow.
    ///
    /// One thing is not as it was: a 2.5 client has up to five requests in flight without idempotence, so that a retry
    /// may land behind its successors. klamm keeps the order: without idempotence it sends one batch at a time per
    /// partition, unless `retries=0`.
    pub fn kafka_2_5(bootstrap_servers: impl Into<String>) -> Self {
        Self::new(bootstrap_servers).put("defaults", "2.5")
    }

    /// Takes all settings of a text in the syntax of Java's `.properties` files; problems name their line.
    pub fn from_properties(text: &str) -> Self {
        Self::from_named_properties("", text)
    }

    /// The same; problems name this file and their line.
    pub fn from_named_properties(file: &str, text: &str) -> Self {
        let name: Arc<str> = file.into();
        let mut config = Self::default();
        let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
        let lines = super::properties::parse(text);
        for line in &lines {
            let origin = Origin::File { name: name.clone(), line: line.number };
            match &line.pair {
                Ok((key, value)) => {
                    if let Some(first) = seen.insert(key, line.number) {
                        let text = format!("{key} was set on line {first} already; this line counts");
                        config.entries.early.warning(text, &origin);
                    }
                    config.insert(key, value, origin);
                }
                Err(why) => config.entries.early.error(*why, &origin),
            }
        }
        config
    }

    /// Takes settings from variables of an environment: `PREFIX` + the key in capitals, `_` for each point
    /// (`KAFKA_BOOTSTRAP_SERVERS`). A variable that is no key is only warned about: others use the prefix too.
    pub fn from_vars<N: AsRef<str>, V: AsRef<str>>(prefix: &str, vars: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut config = Self::default();
        for (name, value) in vars {
            let Some(rest) = name.as_ref().strip_prefix(prefix) else { continue };
            let origin = Origin::Env(name.as_ref().into());
            let key = rest.to_ascii_lowercase().replace('_', ".");
            match keys::find(&key) {
                Some(_) => config.insert(&key, value.as_ref(), origin),
                None => {
                    let text = match keys::suggest(&key) {
                        Some(like) => format!("{key} is no key, did you mean {like:?}?"),
                        None => format!("{key} is no key"),
                    };
                    config.entries.early.warning(text, &origin);
                }
            }
        }
        config
    }

    /// Sets a key by its Java name or librdkafka's, with a value in Java's unit: `.set("linger.ms", 5)`.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "so that literals need no reference")]
    pub fn set(self, key: &str, value: impl ToString) -> Self {
        self.put(key, &value.to_string())
    }

    pub(in crate::config) fn put(mut self, key: &str, value: &str) -> Self {
        self.insert(key, value, Origin::Code);
        self
    }

    fn insert(&mut self, given: &str, value: &str, origin: Origin) {
        let Some(key) = keys::find(given) else {
            return self.entries.early.error(unknown(given), &origin);
        };
        match key.section {
            Section::Client => self.entries.put(key, given, value, origin),
            Section::Producer => self.producer.insert(key, given, value, origin),
            Section::Consumer => {
                self.consumer.groupless &= key.name != "group.id";
                if key.is_of(Section::Producer) {
                    self.producer.insert(key, given, value, origin.clone());
                }
                self.consumer.entries.put(key, given, value, origin);
            }
        }
    }

    /// Says which Rust value stands for a Java class that the configuration names.
    #[must_use]
    pub fn class(mut self, java_name: &str, plugin: impl Into<Plugin>) -> Self {
        self.classes.insert(java_name.into(), plugin.into());
        self
    }

    /// Has one of Kafka's codecs written and read by the application's own code, by producers and consumers alike.
    /// `Codec::None` cannot be replaced.
    #[must_use]
    pub fn codec(mut self, codec: Codec, custom: impl CustomCodec) -> Self {
        if codec == Codec::None {
            self.entries.early.error("a codec cannot be given for none: it stands for no compression", &Origin::Code);
        }
        self.codecs = self.codecs.with(codec, Arc::new(custom));
        self
    }

    /// Dials what this function answers instead of the address that a broker advertises: tunnels, port-forwards.
    #[must_use]
    pub fn rewrite_address(mut self, rewrite: impl Fn(Broker<'_>) -> String + Send + Sync + 'static) -> Self {
        self.rewrite = Some(RewriteAddress::new(rewrite));
        self
    }

    /// Adds settings of producers; they count where both set a key.
    #[must_use]
    pub fn producer(mut self, section: ProducerConfig) -> Self {
        self.producer.merge(section);
        self
    }

    /// Adds settings of consumers; they count where both set a key.
    #[must_use]
    pub fn consumer(mut self, section: ConsumerConfig) -> Self {
        self.consumer.merge(&section);
        self
    }

    /// The settings of producers, to vary them.
    pub fn producer_section(&self) -> ProducerConfig {
        self.producer.clone()
    }

    /// The settings of consumers, to vary them.
    pub fn consumer_section(&self) -> ConsumerConfig {
        self.consumer.clone()
    }
}

impl fmt::Display for Config {
    /// What was set, secrets as `***`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sections = [&self.entries, &self.producer.entries, &self.consumer.entries];
        let all = sections.into_iter().flat_map(Entries::iter);
        for (at, (key, entry)) in all.enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{key}={}", entry.shown())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Config({self})")
    }
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

fn unknown(given: &str) -> String {
    match keys::suggest(given) {
        Some(like) => format!("unknown key {given:?}, did you mean {like:?}?"),
        None => format!("unknown key {given:?}"),
    }
}

/// Puts a key into a section's settings, if it belongs there.
fn merge_interceptors(all: &mut Vec<Plugin>, others: &[Plugin]) {
    for interceptor in others {
        // One that came out of this section is in it.
        if !all.contains(interceptor) {
            all.push(interceptor.clone());
        }
    }
}

fn put_in(entries: &mut Entries, section: Section, given: &str, value: &str) {
    let Some(key) = keys::find(given) else {
        return entries.early.error(unknown(given), &Origin::Code);
    };
    if key.is_of(section) {
        entries.put(key, given, value, Origin::Code);
    } else if key.section == Section::Client {
        let text = format!("{given} belongs to the connection, which all roles share: set it on Config");
        entries.early.error(text, &Origin::Code);
    } else {
        let text = format!("{given} is ignored: it is a key of the {}", key.section.name());
        entries.early.note(text, &Origin::Code);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Acks, AutoCommit, Compression, Defaults, OffsetReset};
    use super::*;
    use crate::codec::Codec;
    use std::time::Duration;

    fn errors(config: &Config) -> Vec<String> {
        config.report().errors.iter().map(ToString::to_string).collect()
    }
    fn warnings(config: &Config) -> Vec<String> {
        config.report().warnings.iter().map(ToString::to_string).collect()
    }
    fn setting(config: &Config, key: &str) -> String {
        config.settings().find(|s| s.key == key).unwrap_or_else(|| panic!("no {key}")).to_string()
    }

    #[test]
    fn a_configuration_may_go_to_any_thread() {
        fn any<T: Clone + Send + Sync + 'static>(_: &T) {}
        any(&Config::new("a"));
        any(&ProducerConfig::new());
        any(&ConsumerConfig::standalone());
    }

    #[test]
    fn an_address_is_enough_and_the_rest_is_javas_default() {
        let config = Config::from("a:9092,[::1]:9093");
        let client = config.resolve().unwrap();
        assert_eq!(
            client.bootstrap_servers.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["a:9092", "[::1]:9093"]
        );
        assert_eq!(client.request_timeout, Duration::from_secs(30));
        assert_eq!(client.connections_max_idle, Some(Duration::from_secs(540)));
        let producer = config.resolve_producer(&config.producer_section()).unwrap();
        assert_eq!((producer.acks, producer.enable_idempotence), (Acks::All, true));
        assert_eq!(producer.linger, Duration::from_millis(5));
        let consumer = config.resolve_consumer(&ConsumerConfig::group("g")).unwrap();
        assert_eq!(consumer.group_id.as_deref(), Some("g"));
        assert_eq!(consumer.auto_commit, AutoCommit::Polled(Duration::from_secs(5)));
        assert_eq!(consumer.auto_offset_reset, OffsetReset::Latest);
    }

    #[test]
    fn the_preset_for_2_5_has_the_defaults_of_2_5_in_code_and_as_a_string() {
        for config in [Config::kafka_2_5("a"), Config::new("a").set("defaults", "2.5")] {
            assert_eq!(config.resolve().unwrap().defaults, Defaults::Kafka25);
            let producer = config.resolve_producer(&ProducerConfig::new()).unwrap();
            assert_eq!((producer.acks, producer.enable_idempotence), (Acks::One, false));
            assert_eq!((producer.linger, producer.max_in_flight_requests_per_connection), (Duration::ZERO, 5));
            let consumer = config.resolve_consumer(&ConsumerConfig::group("g")).unwrap();
            assert_eq!(consumer.session_timeout, Duration::from_secs(10));
        }
    }

    #[test]
    fn all_problems_are_told_together_each_with_its_line() {
        let text = "bootstrap.servers=a:1\nlinger.mss=5\nacks=1\nenable.idempotence=true\nbatch.size = many\n";
        let config = Config::from_named_properties("app.properties", text);
        let error = config.validate().unwrap_err();
        assert_eq!(
            error.to_string(),
            "3 problems: unknown key \"linger.mss\", did you mean \"linger.ms\"? (app.properties:2); \
             batch.size=many is not a whole number (app.properties:5); \
             acks=1 contradicts enable.idempotence=true (app.properties:3)"
        );
        assert_eq!(error.kind(), crate::ErrorKind::Config);
        assert!(config.resolve().is_err());
    }

    #[test]
    fn setters_keys_and_aliases_reach_the_same_field() {
        let by_setter = ProducerConfig::new()
            .linger(Duration::from_micros(500))
            .acks(Acks::One)
            .compression(Compression::zstd(7))
            .batch_size(1 << 20)
            .buffer_memory(1 << 26)
            .delivery_timeout(Duration::from_secs(60))
            .request_timeout(Duration::from_secs(5));
        let by_key = ProducerConfig::new()
            .set("linger.ms", 0.5)
            .set("acks", 1)
            .set("compression.type", "zstd")
            .set("compression.zstd.level", 7)
            .set("batch.size", 1 << 20)
            .set("buffer.memory", 1 << 26)
            .set("delivery.timeout.ms", 60_000)
            .set("request.timeout.ms", 5_000);
        let by_alias = ProducerConfig::new()
            .set("queue.buffering.max.ms", "0.5")
            .set("request.required.acks", 1)
            .set("compression.codec", "ZSTD")
            .set("compression.level", 7)
            .set("batch.size", 1 << 20)
            .set("queue.buffering.max.kbytes", 1 << 16)
            .set("message.timeout.ms", 60_000)
            .set("socket.timeout.ms", 5_000);
        let config = Config::new("a");
        let [a, b, c] = [by_setter, by_key, by_alias].map(|s| config.resolve_producer(&s).unwrap());
        assert_eq!(a, b);
        assert_eq!(a, c);
        assert_eq!(
            (a.linger, a.compression.codec(), a.compression.level()),
            (Duration::from_micros(500), Codec::Zstd, Some(7))
        );
    }

    #[test]
    fn one_file_serves_all_roles_and_each_takes_its_keys() {
        let text = "bootstrap.servers: a:1\nlinger.ms 3\nmax.poll.records=7\ngroup.id=g\nretry.backoff.ms=50";
        let config = Config::from_properties(text);
        assert_eq!(errors(&config), [""; 0]);
        let producer = config.resolve_producer(&config.producer_section()).unwrap();
        assert_eq!((producer.linger, producer.retry_backoff), (Duration::from_millis(3), Duration::from_millis(50)));
        let consumer = config.resolve_consumer(&config.consumer_section()).unwrap();
        assert_eq!((consumer.max_poll_records, consumer.group_id.as_deref()), (7, Some("g")));
        assert_eq!(setting(&config, "linger.ms"), "linger.ms=3 (producer, line 2)");
    }

    #[test]
    fn a_section_knows_its_own_keys_and_says_where_others_belong() {
        let config = Config::new("a").producer(
            ProducerConfig::new().set("bootstrap.servers", "b").set("max.poll.records", 1).set("nonsense", 1),
        );
        assert_eq!(
            errors(&config),
            [
                "bootstrap.servers belongs to the connection, which all roles share: set it on Config",
                "unknown key \"nonsense\""
            ]
        );
        let notes = config.report().notes;
        assert!(notes.iter().any(|n| n.text.starts_with("max.poll.records is ignored")), "{notes:?}");
    }

    #[test]
    fn a_section_given_later_wins_key_by_key() {
        let config = Config::from_properties("bootstrap.servers=a\nlinger.ms=1\nbatch.size=100")
            .producer(ProducerConfig::new().linger(Duration::from_millis(9)));
        let producer = config.resolve_producer(&config.producer_section()).unwrap();
        assert_eq!((producer.linger, producer.batch_size), (Duration::from_millis(9), 100));
        assert_eq!(setting(&config, "linger.ms"), "linger.ms=9 (producer, code)");
    }

    #[test]
    fn the_environment_gives_settings_and_strangers_with_the_prefix_are_only_warned_about() {
        let vars =
            [("KAFKA_BOOTSTRAP_SERVERS", "a:1"), ("KAFKA_LINGER_MS", "8"), ("KAFKA_HOME", "/opt"), ("HOME", "/root")];
        let config = Config::from_vars("KAFKA_", vars);
        assert_eq!(errors(&config), [""; 0]);
        assert_eq!(warnings(&config).len(), 1);
        assert_eq!(setting(&config, "linger.ms"), "linger.ms=8 (producer, env KAFKA_LINGER_MS)");
    }

    #[test]
    fn lines_that_cannot_be_read_or_count_twice_are_told() {
        let config = Config::from_properties("bootstrap.servers=a\nclient.id=\\u00g0\nlinger.ms=1\nlinger.ms=2");
        assert_eq!(errors(&config), ["\\u is not followed by four hexadecimal digits (line 2)"]);
        assert_eq!(warnings(&config), ["linger.ms was set on line 3 already; this line counts (line 4)"]);
    }

    #[test]
    fn without_servers_there_is_nothing_to_connect_to() {
        assert_eq!(errors(&Config::default()), ["bootstrap.servers is not set: say where a broker is, as host:port"]);
        assert_eq!(errors(&Config::new("")), ["bootstrap.servers names no server"]);
        assert_eq!(errors(&Config::new("a:x,b:1,:2")).len(), 2);
    }
}
