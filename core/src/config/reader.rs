//! Reads a section's settings into typed values and gathers what is wrong with them.

use super::entries::{Entries, Entry};
use super::value::{self, Value};
use super::{
    Address, Assignor, AutoCommit, Defaults, Key, Origin, Partitioning, Plugin, Report, Section, Serde, classes, keys,
};
use crate::codec::{Codec, Codecs, Compression};
use std::collections::BTreeMap;
use std::time::Duration;

/// One section over the settings that all sections share.
pub(super) struct Reader<'a> {
    pub(super) section: Section,
    layers: Vec<&'a Entries>,
    classes: Option<&'a BTreeMap<String, Plugin>>,
    pub(super) codecs: Codecs,
    defaults: Defaults,
    pub(super) report: Report,
}

impl<'a> Reader<'a> {
    pub(super) fn new(section: Section, layers: Vec<&'a Entries>, classes: &'a BTreeMap<String, Plugin>) -> Self {
        let mut reader = Self { layers, classes: Some(classes), ..Self::of_defaults(section) };
        reader.defaults = reader.get("defaults");
        reader
    }

    /// A reader that finds nothing set.
    pub(super) fn of_defaults(section: Section) -> Self {
        Self {
            section,
            layers: vec![],
            classes: None,
            codecs: Codecs::default(),
            defaults: Defaults::default(),
            report: Report::default(),
        }
    }

    /// The same with the application's codecs.
    pub(super) fn with_codecs(self, codecs: &Codecs) -> Self {
        Self { codecs: codecs.clone(), ..self }
    }

    pub(super) fn defaults(&self) -> Defaults {
        self.defaults
    }

    /// What was set for a key, by the innermost layer.
    pub(super) fn entry(&self, name: &str) -> Option<&'a Entry> {
        self.layers.iter().find_map(|layer| layer.get(name))
    }

    /// Whether a key was set, under its default or another value.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.entry(name).is_some()
    }

    /// Where a key was set.
    pub(super) fn origin(&self, name: &str) -> Origin {
        self.entry(name).map_or(Origin::Default, |entry| entry.origin.clone())
    }

    /// The value of a key; its default if the value is none, which becomes a problem.
    pub(super) fn get<T: Value>(&mut self, name: &str) -> T {
        let key = keys::named(name);
        if let Some(entry) = self.entry(name) {
            match value::check(key, entry.text()).map(|()| T::read(entry.text())) {
                Ok(Some(value)) => return value,
                Ok(None) => self.report.error(format!("{}: not a value of this key", entry.pair()), &entry.origin),
                Err(why) => self.report.error(format!("{} {why}", entry.pair()), &entry.origin),
            }
        }
        let default = key.default_in(self.defaults).unwrap_or_default();
        T::read(default).expect("the default of a key is a value of it")
    }

    /// The text of a key, if it was set and is of the key's kind.
    pub(super) fn text(&mut self, name: &str) -> Option<&'a str> {
        let entry = self.entry(name)?;
        match value::check(keys::named(name), entry.text()) {
            Ok(()) => Some(entry.text()),
            Err(why) => {
                self.report.error(format!("{} {why}", entry.pair()), &entry.origin);
                None
            }
        }
    }

    /// Changes a value by a rule; `settings` shows it with the reason.
    pub(super) fn rule(&mut self, name: &'static str, value: &impl Value, why: String) {
        self.report.note(format!("{name} becomes {} because {why}", value.write()), &Origin::Default);
        self.report.ruled.push((self.section, name, value.write(), why.into()));
    }

    fn plugin(&self, name: &str) -> Option<&'a Plugin> {
        self.classes?.get(name)
    }

    /// The serializer or deserializer that a key names.
    pub(super) fn serde(&mut self, name: &str) -> Option<Serde> {
        let class = self.text(name).filter(|class| !class.is_empty())?;
        if self.plugin(class).is_some() {
            return Some(Serde::Registered(class.into()));
        }
        let known = classes::serde(class);
        if known.is_none() {
            self.report.error(classes::unknown(class, name), &self.origin(name));
        }
        known
    }

    /// The application's values for the classes that a key lists.
    pub(super) fn plugins(&mut self, name: &str) -> Vec<Plugin> {
        let mut found = vec![];
        for class in self.text(name).into_iter().flat_map(value::list) {
            match self.plugin(class) {
                Some(plugin) if plugin.is_for(self.section) => found.push(plugin.clone()),
                Some(_) => {}
                None => self.report.error(classes::unknown(class, name), &self.origin(name)),
            }
        }
        found
    }

    /// Looks at every setting by itself: its kind, its range, how far klamm has it.
    pub(super) fn check_each(&mut self) {
        for entries in self.layers.clone() {
            self.report.extend(&entries.early);
            for (name, entry) in entries.iter() {
                self.check(keys::named(name), entry);
            }
        }
    }

    fn check(&mut self, key: &Key, entry: &Entry) {
        use super::Status::{Accepted, Refused, Security, Supported, Unsupported};
        if let Err(why) = value::check(key, entry.text()) {
            return self.report.error(format!("{} {why}", entry.pair()), &entry.origin);
        }
        let usual = entry.text().eq_ignore_ascii_case(key.default.unwrap_or_default());
        match key.status {
            Refused(why) if !usual => self.report.error(format!("{}: {why}", entry.pair()), &entry.origin),
            Unsupported(why) if !usual => {
                self.report.warning(format!("{} has no effect: {why}", entry.pair()), &entry.origin);
            }
            // Rules between the settings, in `security`, decide about those.
            Supported | Accepted(_) | Refused(_) | Unsupported(_) | Security => {}
        }
    }
}

/// `bootstrap.servers`, each address read by itself so that all wrong ones are told.
pub(super) fn bootstrap_servers(reader: &mut Reader<'_>) -> Vec<Address> {
    let Some(entry) = reader.entry("bootstrap.servers") else {
        if reader.classes.is_some() {
            reader.report.error("bootstrap.servers is not set: say where a broker is, as host:port", &Origin::Default);
        }
        return vec![];
    };
    for part in value::list(entry.text()) {
        if let Err(why) = Address::parse(part) {
            reader.report.error(format!("{}: {why}", entry.given), &entry.origin);
        }
    }
    let found: Vec<Address> = Value::read(entry.text()).unwrap_or_default();
    if found.is_empty() && value::list(entry.text()).next().is_none() {
        reader.report.error(format!("{} names no server", entry.given), &entry.origin);
    }
    found
}

/// `compression.type` and the level that goes with it.
pub(super) fn compression(reader: &mut Reader<'_>) -> Compression {
    let name = reader.text("compression.type").unwrap_or("none");
    let Some(codec) = Codec::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name)) else {
        return Compression::NONE;
    };
    level(reader, codec, "compression.type")
}

/// `compression.fallbacks`, each with the level that goes with it.
pub(super) fn fallbacks(reader: &mut Reader<'_>) -> Vec<Compression> {
    let key = "compression.fallbacks";
    let mut all = vec![];
    for name in reader.text(key).into_iter().flat_map(value::list) {
        match Codec::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name)) {
            Some(codec) => all.push(level(reader, codec, key)),
            None => {
                let text = format!("{}: {name} is not one of none, gzip, snappy, lz4, zstd", reader.pair(key));
                reader.report.error(text, &reader.origin(key));
            }
        }
    }
    all
}

/// A codec that `named` names, at its level.
fn level(reader: &mut Reader<'_>, codec: Codec, named: &'static str) -> Compression {
    let own = match codec {
        Codec::Gzip => "compression.gzip.level",
        Codec::Lz4 => "compression.lz4.level",
        Codec::Zstd => "compression.zstd.level",
        Codec::None | Codec::Snappy => "",
    };
    let shared = Some("compression.level").filter(|key| reader.text(key).is_some_and(|level| level != "-1"));
    let level = match (own, shared) {
        ("", _) => None,
        (own, Some(shared)) if !reader.is_set(own) => Some((shared, reader.get(shared))),
        (own, _) => Some((own, reader.get::<i32>(own))),
    };
    let made = reader.codecs.compression(codec, level.map(|(_, level)| level));
    made.unwrap_or_else(|error| {
        let key = match level {
            Some((key, _)) if codec.is_built_in() => key,
            _ => named,
        };
        reader.report.error(format!("{}: {error}", reader.pair(key)), &reader.origin(key));
        Compression::NONE
    })
}

/// The value of `partitioner.class` while a partitioner from code is in its slot.
pub(super) const FROM_CODE: &str = "(a partitioner given in code)";

/// `partitioner.class`; a value given in code is taken from its slot by the section.
pub(super) fn partitioning(reader: &mut Reader<'_>) -> Partitioning {
    let key = "partitioner.class";
    let Some(class) = reader.text(key).filter(|class| !class.is_empty()) else {
        return Partitioning::default();
    };
    if class == FROM_CODE {
        return Partitioning::default();
    }
    if let Some(plugin) = reader.plugin(class) {
        return Partitioning::Custom(plugin.clone());
    }
    match classes::partitioner(class) {
        Some(classes::KnownPartitioner::RoundRobin) => Partitioning::RoundRobin,
        Some(classes::KnownPartitioner::UniformSticky) => Partitioning::UniformSticky,
        Some(classes::KnownPartitioner::Scheme(scheme)) => Partitioning::Scheme(scheme),
        Some(classes::KnownPartitioner::Removed) => {
            let text = format!(
                "{key}={}: removed in Kafka 4.0; its successor is taken, the default (KIP-794)",
                classes::short(class)
            );
            reader.report.warning(text, &reader.origin(key));
            Partitioning::UniformSticky
        }
        None if reader.entry(key).is_some_and(|entry| entry.given.as_ref() == "partitioner") => {
            let text =
                format!("partitioner={class} is not available: murmur2_random, round_robin and Config::class are");
            reader.report.error(text, &reader.origin(key));
            Partitioning::default()
        }
        None => {
            reader.report.error(classes::unknown(class, key), &reader.origin(key));
            Partitioning::default()
        }
    }
}

/// `enable.auto.commit`, how often and what; without a group there is nothing to commit to.
pub(super) fn auto_commit(reader: &mut Reader<'_>) -> AutoCommit {
    let enabled: bool = reader.get("enable.auto.commit");
    let every: Duration = reader.get("auto.commit.interval.ms");
    let acked = reader.text("auto.commit.mode").is_some_and(|mode| mode.eq_ignore_ascii_case("acked"));
    match (enabled, acked) {
        (false, _) => AutoCommit::Off,
        (true, false) => AutoCommit::Polled(every),
        (true, true) => AutoCommit::Acked(every),
    }
}

/// Assignors that this version has.
const ASSIGNORS: &[Assignor] = &[Assignor::Range];

/// `partition.assignment.strategy`, as far as klamm has it.
pub(super) fn assignors(reader: &mut Reader<'_>) -> Vec<Assignor> {
    let key = "partition.assignment.strategy";
    let wanted: Vec<Assignor> = reader.get(key);
    let have = || ASSIGNORS.iter().map(Assignor::name).collect::<Vec<_>>().join(", ");
    let mut found: Vec<Assignor> = vec![];
    for one in &wanted {
        match one {
            Assignor::Custom(class) if class.contains('.') => {
                reader
                    .report
                    .error(format!("{}; available: {}", classes::unknown(class, key), have()), &reader.origin(key));
            }
            other if !ASSIGNORS.contains(other) => {
                // A list that has an assignor of ours too still works: the group votes for what all members have.
                let text =
                    format!("{key}: {} is not yet available in this version; available: {}", other.name(), have());
                if wanted.iter().any(|w| ASSIGNORS.contains(w)) {
                    reader.report.warning(text, &reader.origin(key));
                } else {
                    reader.report.error(text, &reader.origin(key));
                }
            }
            ours if !found.contains(ours) => found.push(ours.clone()),
            _ => {}
        }
    }
    if wanted.is_empty() {
        reader.report.error(format!("{key} is empty; available: {}", have()), &reader.origin(key));
    }
    if found.is_empty() {
        found.push(Assignor::Range);
    }
    found
}

impl Reader<'_> {
    /// `key=value` as it was set, or as it is by default.
    pub(super) fn pair(&self, name: &str) -> String {
        match self.entry(name) {
            Some(entry) => entry.pair(),
            None => format!("{name}={}", keys::named(name).default_in(self.defaults).unwrap_or_default()),
        }
    }
}
