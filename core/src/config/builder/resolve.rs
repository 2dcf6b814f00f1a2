//! From what was set to what takes effect.

use super::{Config, ConsumerConfig, ProducerConfig};
use crate::Error;
use crate::config::plugin::Partitioning;
use crate::config::reader::Reader;
use crate::config::{self, ClientConfig, Origin, Report, Section, Setting, Status, check, keys};

impl Config {
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

    /// What a producer of this section goes by, on this configuration's connections: what the section does not set is as
    /// this configuration says, for the producer or for the connection.
    ///
    /// # Errors
    /// If there is anything wrong with it.
    pub fn resolve_producer(&self, section: &ProducerConfig) -> Result<config::ProducerConfig, Error> {
        let mut whole = self.producer.clone();
        whole.merge(section.clone());
        let (config, report) = self.read_producer(&whole);
        report.into_result().map(|()| config)
    }

    /// What a consumer of this section goes by, on this configuration's connections: what the section does not set is as
    /// this configuration says, for the consumer or for the connection.
    ///
    /// # Errors
    /// If there is anything wrong with it.
    pub fn resolve_consumer(&self, section: &ConsumerConfig) -> Result<config::ConsumerConfig, Error> {
        let mut whole = self.consumer.clone();
        whole.merge(section);
        let (config, report) = self.read_consumer(&whole, true);
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

    fn read_producer(&self, section: &ProducerConfig) -> (config::ProducerConfig, Report) {
        // What is wrong with the connection's keys is told once, by `read_client`; the reader only looks values up there.
        let mut reader = Reader::new(Section::Producer, vec![&section.entries, &self.entries], &self.classes)
            .with_codecs(&self.codecs);
        reader.check_each();
        let mut config = config::ProducerConfig::read(&mut reader);
        if let Some(plugin) = &section.partitioner {
            config.partitioning = Partitioning::Custom(plugin.clone());
        }
        config.interceptors.extend(section.interceptors.iter().cloned());
        for (name, overrides) in &section.topics {
            let layers = vec![&overrides.entries, &section.entries, &self.entries];
            let mut inner = Reader::new(Section::Producer, layers, &self.classes).with_codecs(&self.codecs);
            inner.check_each();
            let mut own = config::TopicConfig::read(&mut inner);
            // A partitioner from code is a value, which no layer of text can hand down.
            match (&overrides.partitioner, overrides.entries.get("partitioner.class")) {
                (Some(plugin), _) => own.partitioning = Partitioning::Custom(plugin.clone()),
                (None, Some(_)) => {}
                (None, None) => own.partitioning.clone_from(&config.partitioning),
            }
            let limited = overrides.entries.get("delivery.timeout.ms").is_some();
            check::topic(name, &mut own, limited, &mut inner);
            config.topics.insert(name.clone(), own);
            reader.report.extend(&inner.report);
        }
        check::producer(&mut config, &mut reader);
        (config, reader.report)
    }

    fn read_consumer(&self, section: &ConsumerConfig, complete: bool) -> (config::ConsumerConfig, Report) {
        let mut reader = Reader::new(Section::Consumer, vec![&section.entries, &self.entries], &self.classes)
            .with_codecs(&self.codecs);
        reader.check_each();
        let mut config = config::ConsumerConfig::read(&mut reader);
        config.interceptors.extend(section.interceptors.iter().cloned());
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

#[cfg(test)]
mod tests {
    use super::super::TopicConfig;
    use super::*;
    use crate::codec::Codec;
    use crate::config::{Acks, Assignor, Compression, OffsetReset, Plugin, Serde, StartOffset};
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
    fn nothing_goes_in_the_clear_without_having_been_told_to() {
        let secure = Config::new("a").set("security.protocol", "SASL_SSL").set("sasl.password", "hunter2");
        assert_eq!(errors(&secure), ["security.protocol=SASL_SSL: not yet supported in this version, PLAINTEXT is"]);
        for key in
            ["sasl.jaas.config", "ssl.truststore.location", "sasl.username", "ssl.ca.location", "sasl.mechanisms"]
        {
            let forgotten = errors(&Config::new("a").set(key, "x"));
            assert_eq!(forgotten.len(), 1, "{key}");
            assert!(forgotten[0].starts_with(&format!("{key} is set, but TLS and SASL are not yet supported")));
            let told = Config::new("a").set(key, "x").set("security.protocol", "plaintext");
            assert_eq!(errors(&told), [""; 0]);
            assert_eq!(warnings(&told), [format!("{key} has no effect with security.protocol=PLAINTEXT")]);
        }
    }

    #[test]
    fn secrets_are_shown_nowhere() {
        let config = Config::new("a")
            .set("sasl.password", "hunter2")
            .set("ssl.key.pem", "hunter2")
            .set("sasl.jaas.config", "hunter2");
        let all: String = config.settings().map(|s| s.to_string()).collect();
        for shown in [
            all,
            format!("{config:?} {config}"),
            format!("{:?}", config.report()),
            config.validate().unwrap_err().to_string(),
        ] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        assert_eq!(setting(&config, "sasl.password"), "sasl.password=*** (client, code)");
    }

    #[test]
    fn what_would_change_the_meaning_is_refused_and_what_would_not_is_a_warning() {
        let refused = Config::new("a")
            .set("transaction.two.phase.commit.enable", true)
            .set("transaction.timeout.ms", 1000)
            .set("group.protocol", "consumer")
            .set("config.providers", "file");
        let without = usize::from(!cfg!(feature = "unstable-protocol"));
        assert_eq!(errors(&refused).len(), 3 + without, "{:?}", errors(&refused));
        let harmless = Config::new("a")
            .set("group.protocol", "CLASSIC")
            .set("config.providers", "")
            .set("group.remote.assignor", "");
        assert_eq!(errors(&harmless), [""; 0]);
        let warned = Config::new("a").set("statistics.interval.ms", 1000).set("enable.metrics.push", true);
        assert_eq!(errors(&warned), [""; 0]);
        assert_eq!(warnings(&warned).len(), 2, "{:?}", warnings(&warned));
        assert_eq!(warnings(&Config::new("a").set("enable.metrics.push", false)), [""; 0]);
    }

    #[test]
    fn java_classes_have_their_counterpart_or_an_explanation() {
        let package = "org.apache.kafka.common.serialization";
        let config = Config::new("a")
            .set("key.serializer", format!("{package}.StringSerializer"))
            .set("value.deserializer", format!("{package}.LongDeserializer"))
            .set("partitioner.class", "org.apache.kafka.clients.producer.RoundRobinPartitioner")
            .set("partition.assignment.strategy", "org.apache.kafka.clients.consumer.RangeAssignor, sticky");
        let producer = config.resolve_producer(&config.producer_section()).unwrap();
        assert_eq!(producer.key_serializer, Some(Serde::String));
        assert_eq!(producer.partitioning, Partitioning::RoundRobin);
        let consumer = config.resolve_consumer(&config.consumer_section().with_group("g")).unwrap();
        assert_eq!((consumer.value_deserializer, consumer.assignors), (Some(Serde::Long), vec![Assignor::Range]));
        assert_eq!(
            warnings(&config),
            ["partition.assignment.strategy: sticky is not yet available in this version; available: range"]
        );
        let unknown = Config::new("a").set("partitioner.class", "com.acme.X");
        assert_eq!(
            errors(&unknown),
            [
                "klamm cannot load Java class com.acme.X (partitioner.class): give a Rust value with Config::class, or remove the line"
            ]
        );
        let known = unknown.class("com.acme.X", Plugin::new(7_u8));
        let producer = known.resolve_producer(&known.producer_section()).unwrap();
        let Partitioning::Custom(plugin) = producer.partitioning else { panic!("{producer:?}") };
        assert_eq!(plugin.get::<u8>(), Some(&7));
        let old =
            Config::new("a").set("partitioner.class", "org.apache.kafka.clients.producer.internals.DefaultPartitioner");
        assert_eq!(errors(&old), [""; 0]);
        assert!(warnings(&old)[0].contains("removed in Kafka 4.0"));
    }

    #[test]
    fn assignors_that_are_not_there_yet_are_refused_unless_one_is() {
        let strategy = |value: &str| errors(&Config::new("a").set("partition.assignment.strategy", value));
        assert_eq!(
            strategy("cooperative-sticky"),
            [
                "partition.assignment.strategy: cooperative-sticky is not yet available in this version; available: range"
            ]
        );
        assert_eq!(strategy("range"), [""; 0]);
        assert_eq!(strategy("").len(), 1);
        assert!(strategy("com.acme.A,range")[0].contains("cannot load Java class com.acme.A"));
    }

    #[test]
    fn a_partitioner_given_in_code_stays_until_a_name_replaces_it() {
        let config = Config::new("a");
        let custom = ProducerConfig::new().partitioner(Plugin::new("mine"));
        assert!(matches!(config.resolve_producer(&custom).unwrap().partitioning, Partitioning::Custom(_)));
        let merged = config.clone().producer(custom.clone());
        assert!(matches!(
            merged.resolve_producer(&merged.producer_section()).unwrap().partitioning,
            Partitioning::Custom(_)
        ));
        let replaced = custom.partitioner(Partitioning::round_robin());
        assert_eq!(config.resolve_producer(&replaced).unwrap().partitioning, Partitioning::RoundRobin);
    }

    #[test]
    fn a_section_inherits_what_the_client_says_and_changes_only_what_it_sets_itself() {
        let config =
            Config::from_properties("bootstrap.servers=a\nlinger.ms=7\nbatch.size=99\nrequest.timeout.ms=4000")
                .producer(ProducerConfig::new().partitioner(Plugin::new("mine")).interceptor(Plugin::new("seen")));
        let producer = config.resolve_producer(&ProducerConfig::new().batch_size(50)).unwrap();
        assert_eq!((producer.linger, producer.batch_size), (Duration::from_millis(7), 50));
        assert_eq!(producer.request_timeout, Duration::from_secs(4));
        assert!(matches!(producer.partitioning, Partitioning::Custom(_)));
        assert_eq!(producer.interceptors.len(), 1);
        // A section that was taken out, varied and given back says nothing twice.
        let varied = config.resolve_producer(&config.producer_section().batch_size(50)).unwrap();
        assert_eq!(varied, producer);
        let other = ProducerConfig::new().partitioner(Partitioning::round_robin()).interceptor(Plugin::new("too"));
        let other = config.resolve_producer(&other).unwrap();
        assert_eq!((other.partitioning, other.interceptors.len()), (Partitioning::RoundRobin, 2));
        // What both say must fit together.
        let contradiction =
            config.resolve_producer(&ProducerConfig::new().acks(Acks::One).set("enable.idempotence", true));
        assert!(contradiction.unwrap_err().to_string().contains("acks=1 contradicts"));
    }

    #[test]
    fn a_consumer_is_in_the_group_that_was_named_last_or_in_none() {
        let config = Config::from_properties("bootstrap.servers=a\ngroup.id=file\nmax.poll.records=7");
        let group = |section: &ConsumerConfig| {
            let consumer = config.resolve_consumer(section).unwrap();
            assert_eq!(consumer.max_poll_records, 7);
            consumer.group_id.map(|id| id.to_string())
        };
        assert_eq!(group(&ConsumerConfig::default()).as_deref(), Some("file"));
        assert_eq!(group(&ConsumerConfig::group("code")).as_deref(), Some("code"));
        assert_eq!(group(&ConsumerConfig::standalone()), None);
        assert_eq!(group(&ConsumerConfig::group("code").without_group()), None);
        assert_eq!(group(&ConsumerConfig::standalone().set("group.id", "late")).as_deref(), Some("late"));
        let alone = config.clone().consumer(ConsumerConfig::standalone());
        assert_eq!(alone.resolve_consumer(&ConsumerConfig::default()).unwrap().group_id, None);
        assert_eq!(alone.resolve_consumer(&ConsumerConfig::group("g")).unwrap().group_id.as_deref(), Some("g"));
    }

    #[test]
    fn a_topic_may_have_its_own_codec_but_not_weaker_acks_under_idempotence() {
        let topic = TopicConfig::new().compression(Compression::Lz4).delivery_timeout(Duration::from_secs(200));
        let config = Config::new("a");
        let producer = config.resolve_producer(&ProducerConfig::new().batch_size(99).topic("t", topic)).unwrap();
        let own = producer.topic("t").unwrap();
        assert_eq!((own.compression.codec(), own.batch_size, own.acks), (Codec::Lz4, 99, Acks::All));
        assert!(producer.topic("u").is_none());
        let weak = config.resolve_producer(&ProducerConfig::new().topic("t", TopicConfig::new().acks(Acks::One)));
        assert!(weak.unwrap_err().to_string().contains("acks of topic t contradicts enable.idempotence=true"));
        let wrong =
            config.resolve_producer(&ProducerConfig::new().topic("t", TopicConfig::new().set("buffer.memory", 1)));
        assert!(wrong.unwrap_err().to_string().contains("buffer.memory cannot be set for one topic"));
    }

    #[test]
    fn where_a_partition_begins_may_differ_from_what_a_lost_offset_does() {
        let section = ConsumerConfig::group("g")
            .auto_offset_reset(OffsetReset::None)
            .start(StartOffset::ByDuration(Duration::from_secs(3600)));
        let consumer = Config::new("a").resolve_consumer(&section).unwrap();
        assert_eq!(consumer.auto_offset_reset, OffsetReset::None);
        assert_eq!(consumer.start, StartOffset::ByDuration(Duration::from_secs(3600)));
        let by_key = ConsumerConfig::group("g").set("auto.offset.reset", "by_duration:PT1H");
        let consumer = Config::new("a").resolve_consumer(&by_key).unwrap();
        assert_eq!(consumer.auto_offset_reset, OffsetReset::ByDuration(Duration::from_secs(3600)));
        let wrong =
            Config::new("a").resolve_consumer(&ConsumerConfig::group("g").set("auto.offset.reset", "by_duration:1h"));
        assert!(wrong.unwrap_err().to_string().contains(
            "auto.offset.reset=by_duration:1h is not one of latest, earliest, none, by_duration:PnDTnHnMn.nS"
        ));
    }
}
