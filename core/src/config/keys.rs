//! The table of all keys: the one place where key, alias, setter, field, default and range meet.

use super::{Alias, Key, keys_client, keys_consumer, keys_librdkafka, keys_producer, keys_security};
use crate::similar::closest;

/// Every key, section by section.
pub fn all() -> impl Iterator<Item = &'static Key> {
    [keys_client::KEYS, keys_producer::KEYS, keys_consumer::KEYS, keys_security::KEYS, keys_librdkafka::KEYS]
        .into_iter()
        .flatten()
}

/// The key of this name, Java's or another.
pub fn find(name: &str) -> Option<&'static Key> {
    all().find(|key| key.name == name).or_else(|| all().find(|key| alias(key, name).is_some()))
}

/// A key that the code names itself.
pub(super) fn named(name: &str) -> &'static Key {
    all().find(|key| key.name == name).expect("a key of the table")
}

fn alias(key: &Key, name: &str) -> Option<&'static Alias> {
    key.aliases.iter().find(|alias| alias.name == name)
}

/// What a value given under the name `given` is under the key's own name, in the key's own words.
pub(super) fn translate(key: &Key, given: &str, value: &str) -> String {
    // Java trims every value but passwords (ConfigDef.parseType).
    let mut value = if key.is_secret() { value } else { value.trim() };
    let same = |word: &str| word.eq_ignore_ascii_case(value);
    if let Some(alias) = alias(key, given) {
        if let Some((_, meant)) = alias.values.iter().find(|(word, _)| same(word)) {
            return (*meant).into();
        }
        if alias.scale != 1 {
            return value.parse::<i64>().map_or_else(|_| value.into(), |n| n.saturating_mul(alias.scale).to_string());
        }
    }
    if let Some((_, meant)) = key.synonyms.iter().find(|(word, _)| same(word)) {
        value = meant;
    }
    value.into()
}

/// The known name that is most like this one, if any is like it at all.
pub(super) fn suggest(unknown: &str) -> Option<&'static str> {
    let wanted = unknown.to_ascii_lowercase().replace(['_', '-'], ".");
    closest(&wanted, all().flat_map(|key| std::iter::once(key.name).chain(key.aliases.iter().map(|alias| alias.name))))
}

#[cfg(test)]
mod tests {
    use super::super::{ClientConfig, ConsumerConfig, Defaults, ProducerConfig, Section, Source, Status, value};
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_name_means_two_things() {
        let mut seen = BTreeSet::new();
        for key in all() {
            for name in std::iter::once(key.name).chain(key.aliases.iter().map(|alias| alias.name)) {
                assert!(seen.insert(name), "{name} is there twice");
            }
        }
    }

    #[test]
    fn every_default_is_a_value_of_its_key() {
        for key in all() {
            for text in [Defaults::Kafka44, Defaults::Kafka25].into_iter().filter_map(|d| key.default_in(d)) {
                assert_eq!(value::check(key, text), Ok(()), "{}={text}", key.name);
                assert_eq!(translate(key, key.name, text), text, "{}", key.name);
            }
        }
    }

    #[test]
    fn every_key_that_has_an_effect_or_could_have_one_is_described() {
        for key in all().filter(|key| key.status != Status::Security && key.source != Source::Librdkafka) {
            assert!(!key.doc.is_empty(), "{}", key.name);
        }
    }

    /// The fields of a struct, out of its `Debug` form.
    fn fields(shown: &str) -> BTreeSet<String> {
        let top = |line: &&str| line.starts_with("    ") && !line.starts_with("     ") && line.contains(": ");
        shown.lines().filter(top).filter_map(|line| Some(line.trim().split_once(": ")?.0.to_owned())).collect()
    }

    #[test]
    fn every_field_has_a_key_and_every_supported_key_a_field() {
        // Values of the application's own, which no text can say.
        let code_only = ["rewrite_address", "topics", "codecs"];
        // Read from the connection's keys, which a role may have for itself.
        let shared = [
            "request_timeout",
            "default_api_timeout",
            "retry_backoff",
            "retry_backoff_max",
            "client_rack",
            "allow_auto_create_topics",
            "interceptors",
        ];
        for (section, shown) in [
            (Section::Client, format!("{:#?}", ClientConfig::default())),
            (Section::Producer, format!("{:#?}", ProducerConfig::default())),
            (Section::Consumer, format!("{:#?}", ConsumerConfig::default())),
        ] {
            let fields = fields(&shown);
            assert!(fields.len() > 15, "{shown}");
            let own = |key: &&&Key| key.section == section && key.status == Status::Supported;
            let keyed: BTreeSet<_> =
                all().collect::<Vec<_>>().iter().filter(own).map(|key| key.field.to_owned()).collect();
            for field in &fields {
                let known = code_only.contains(&field.as_str())
                    || (section != Section::Client && shared.contains(&field.as_str()));
                assert!(known || keyed.contains(field), "{section:?}: field {field} has no key");
            }
            for field in &keyed {
                assert!(fields.contains(field), "{section:?}: a key is for the field {field:?}, which is not there");
            }
        }
    }

    #[test]
    fn other_names_are_translated_into_the_keys_own_words() {
        let translated = |given: &str, value: &str| {
            let key = find(given).expect(given);
            (key.name, translate(key, given, value))
        };
        for (given, value, name, meant) in [
            ("metadata.broker.list", "a:1", "bootstrap.servers", "a:1"),
            ("queue.buffering.max.ms", "0.5", "linger.ms", "0.5"),
            ("queue.buffering.max.kbytes", "1024", "buffer.memory", "1048576"),
            ("queued.max.messages.kbytes", "2", "prefetch.bytes", "2048"),
            ("message.timeout.ms", "0", "delivery.timeout.ms", "2147483647"),
            ("request.required.acks", "-1", "acks", "-1"),
            ("compression.codec", "lz4", "compression.type", "lz4"),
            ("auto.offset.reset", "smallest", "auto.offset.reset", "earliest"),
            ("auto.offset.reset", "END", "auto.offset.reset", "latest"),
            ("auto.offset.reset", "error", "auto.offset.reset", "none"),
            ("enable.auto.offset.store", "false", "auto.commit.mode", "acked"),
            ("socket.send.buffer.bytes", "0", "send.buffer.bytes", "-1"),
            ("send.buffer.bytes", "0", "send.buffer.bytes", "0"),
            ("linger.ms", "  7 ", "linger.ms", "7"),
            ("queue.buffering.max.kbytes", "9223372036854775807", "buffer.memory", "9223372036854775807"),
        ] {
            assert_eq!(translated(given, value), (name, meant.to_owned()), "{given}={value}");
        }
    }

    #[test]
    fn a_mistyped_key_is_recognised_and_nonsense_is_not() {
        for (typed, meant) in [
            ("linger.mss", "linger.ms"),
            ("lingerms", "linger.ms"),
            ("bootstrap.server", "bootstrap.servers"),
            ("group_id", "group.id"),
            ("BATCH_SIZE", "batch.size"),
            ("enable.idempotance", "enable.idempotence"),
            ("auto.ofset.reset", "auto.offset.reset"),
            ("max.pool.records", "max.poll.records"),
            ("akcs", "acks"),
        ] {
            assert_eq!(suggest(typed), Some(meant), "{typed}");
        }
        for typed in ["", "com.acme.setting", "xyzzy", "log4j.rootLogger"] {
            assert_eq!(suggest(typed), None, "{typed}");
        }
        assert_eq!(suggest(&"x".repeat(100_000)), None);
    }
}
