//! The builders that an application fills: nothing fails here, all problems are told together when a handle is made
//! from them (or by [`Config::validate`]).

use super::entries::Entries;
use super::plugin::{Partitioning, Plugin, RewriteAddress};
use super::reader::Reader;
use super::value::Value;
use super::{
    Acks, Assignor, AutoCommit, Broker, ClientConfig, Compression, Key, Origin, Report, Section, Setting, Status,
    check, keys, topic,
};
use crate::Error;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How to reach a cluster, and one section for each role. What is not set takes the chosen defaults.
#[derive(Clone, Default, PartialEq)]
pub struct Config {
    pub(super) entries: Entries,
    pub(super) producer: ProducerConfig,
    pub(super) consumer: ConsumerConfig,
    pub(super) classes: BTreeMap<String, Plugin>,
    rewrite: Option<RewriteAddress>,
}

/// What a producer has otherwise than by default.
#[derive(Clone, Default, PartialEq)]
pub struct ProducerConfig {
    pub(super) entries: Entries,
    partitioner: Option<Plugin>,
    interceptors: Vec<Plugin>,
    topics: BTreeMap<Arc<str>, TopicConfig>,
}

/// What a consumer has otherwise than by default.
#[derive(Clone, Default, PartialEq)]
pub struct ConsumerConfig {
    pub(super) entries: Entries,
}

/// What one topic of a producer has otherwise than the others.
#[derive(Clone, Default, PartialEq)]
pub struct TopicConfig {
    entries: Entries,
}

/// The value of `partitioner.class` while a partitioner from code is in its slot.
const FROM_CODE: &str = "(a partitioner given in code)";

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

    pub(super) fn put(mut self, key: &str, value: &str) -> Self {
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
            Section::Consumer => self.consumer.entries.put(key, given, value, origin),
        }
    }

    /// Says which Rust value stands for a Java class that the configuration names.
    #[must_use]
    pub fn class(mut self, java_name: &str, plugin: impl Into<Plugin>) -> Self {
        self.classes.insert(java_name.into(), plugin.into());
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
        self.consumer.entries.merge(&section.entries);
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

    /// Checks everything, without a network.
    ///
    /// # Errors
    /// One error of kind `Config` that names all problems.
    pub fn validate(&self) -> Result<(), Error> {
        self.report().into_result()
    }

    /// Errors, warnings and notes about all sections.
    pub fn report(&self) -> Report {
        let mut report = self.read_client().1;
        report.extend(&self.read_producer(&self.producer).1);
        report.extend(&self.read_consumer(&self.consumer, false).1);
        report
    }

    /// What the connections go by.
    ///
    /// # Errors
    /// If there is anything wrong with any section.
    pub fn resolve(&self) -> Result<ClientConfig, Error> {
        self.validate()?;
        Ok(self.read_client().0)
    }

    /// What a producer of this section goes by, on this configuration's connections and defaults.
    ///
    /// # Errors
    /// If there is anything wrong with it.
    pub fn resolve_producer(&self, section: &ProducerConfig) -> Result<super::ProducerConfig, Error> {
        let (config, report) = self.read_producer(section);
        report.into_result().map(|()| config)
    }

    /// What a consumer of this section goes by, on this configuration's connections and defaults.
    ///
    /// # Errors
    /// If there is anything wrong with it.
    pub fn resolve_consumer(&self, section: &ConsumerConfig) -> Result<super::ConsumerConfig, Error> {
        let (config, report) = self.read_consumer(section, true);
        report.into_result().map(|()| config)
    }

    fn read_client(&self) -> (ClientConfig, Report) {
        let mut reader = Reader::new(Section::Client, vec![&self.entries], &self.classes);
        reader.check_each();
        let mut config = ClientConfig::read(&mut reader);
        config.rewrite_address.clone_from(&self.rewrite);
        check::client(&mut config, &mut reader);
        (config, reader.report)
    }

    fn read_producer(&self, section: &ProducerConfig) -> (super::ProducerConfig, Report) {
        // What is wrong with the connection's keys is told once, by `read_client`; the reader only looks values up there.
        let mut reader = Reader::new(Section::Producer, vec![&section.entries, &self.entries], &self.classes);
        reader.check_each();
        let mut config = super::ProducerConfig::read(&mut reader);
        if let Some(plugin) = &section.partitioner {
            config.partitioning = Partitioning::Custom(plugin.clone());
        }
        config.interceptors.extend(section.interceptors.iter().cloned());
        for (name, overrides) in &section.topics {
            let layers = vec![&overrides.entries, &section.entries, &self.entries];
            let mut inner = Reader::new(Section::Producer, layers, &self.classes);
            inner.check_each();
            config.topics.insert(name.clone(), super::TopicConfig::read(&mut inner));
            reader.report.extend(&inner.report);
        }
        check::producer(&mut config, &mut reader);
        (config, reader.report)
    }

    fn read_consumer(&self, section: &ConsumerConfig, complete: bool) -> (super::ConsumerConfig, Report) {
        let mut reader = Reader::new(Section::Consumer, vec![&section.entries, &self.entries], &self.classes);
        reader.check_each();
        let mut config = super::ConsumerConfig::read(&mut reader);
        check::consumer(&mut config, &mut reader, complete);
        (config, reader.report)
    }

    /// Every supported key and every other that was set: its value as it takes effect, and where that comes from.
    pub fn settings(&self) -> impl Iterator<Item = Setting> {
        let report = self.report();
        let defaults = Reader::new(Section::Client, vec![&self.entries], &self.classes).defaults();
        let mut all = vec![];
        for key in keys::all() {
            let entry = match key.section {
                Section::Client => self.entries.get(key.name),
                Section::Producer => self.producer.entries.get(key.name),
                Section::Consumer => self.consumer.entries.get(key.name),
            };
            let ruled = report.ruled.iter().rev().find(|rule| rule.0 == key.section && rule.1 == key.name);
            let (value, origin) = match (ruled, entry) {
                (Some((_, _, value, why)), _) => (value.clone(), Origin::Rule(why.clone())),
                (None, Some(entry)) => (entry.shown().into(), entry.origin.clone()),
                (None, None) if key.status != Status::Supported => continue,
                (None, None) => (key.default_in(defaults).unwrap_or_default().into(), Origin::Default),
            };
            all.push(Setting { section: key.section, key: key.name, value, origin });
        }
        for (section, entries) in
            [(Section::Producer, &self.producer.entries), (Section::Consumer, &self.consumer.entries)]
        {
            let shared = entries.iter().filter(|(name, _)| keys::named(name).section != section);
            all.extend(shared.map(|(key, entry)| Setting {
                section,
                key,
                value: entry.shown().into(),
                origin: entry.origin.clone(),
            }));
        }
        all.into_iter()
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

impl ProducerConfig {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key by its Java name or librdkafka's, with a value in Java's unit: `.set("linger.ms", 5)`.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "so that literals need no reference")]
    pub fn set(self, key: &str, value: impl ToString) -> Self {
        self.put(key, &value.to_string())
    }

    pub(super) fn put(mut self, key: &str, value: &str) -> Self {
        if keys::find(key).is_some_and(|key| key.name == "partitioner.class") {
            self.partitioner = None;
        }
        put_in(&mut self.entries, Section::Producer, key, value);
        self
    }

    fn insert(&mut self, key: &'static Key, given: &str, value: &str, origin: Origin) {
        if key.name == "partitioner.class" {
            self.partitioner = None;
        }
        self.entries.put(key, given, value, origin);
    }

    fn merge(&mut self, other: Self) {
        if other.entries.get("partitioner.class").is_some() {
            self.partitioner = other.partitioner;
        }
        self.entries.merge(&other.entries);
        self.interceptors.extend(other.interceptors);
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

fn put_compression(mut entries: Entries, compression: Compression) -> Entries {
    let mut put = |name: &str, value: &str| entries.put(keys::named(name), name, value, Origin::Code);
    put("compression.type", compression.name());
    if let Some(level) = compression.level() {
        put(&format!("compression.{}.level", compression.name()), &level.to_string());
    }
    entries
}

impl ConsumerConfig {
    /// A member of a group.
    pub fn group(id: impl Into<String>) -> Self {
        Self::default().put("group.id", &id.into())
    }

    /// A consumer without a group.
    pub fn standalone() -> Self {
        Self::default()
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
        self
    }

    /// Sets a key by its Java name or librdkafka's, with a value in Java's unit: `.set("max.poll.records", 500)`.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "so that literals need no reference")]
    pub fn set(self, key: &str, value: impl ToString) -> Self {
        self.put(key, &value.to_string())
    }

    pub(super) fn put(mut self, key: &str, value: &str) -> Self {
        put_in(&mut self.entries, Section::Consumer, key, value);
        self
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
