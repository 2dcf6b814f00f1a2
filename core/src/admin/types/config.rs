//! Configurations: whose, what, and how they change.

use super::{ConfigOperation, ConfigResourceType, ConfigSource};
use crate::BrokerId;
use std::sync::Arc;

/// Whose configuration is read or changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigResource {
    pub(in crate::admin) kind: ConfigResourceType,
    pub(in crate::admin) name: Arc<str>,
}

impl ConfigResource {
    /// A resource by name.
    pub fn new(kind: ConfigResourceType, name: impl Into<Arc<str>>) -> Self {
        Self { kind, name: name.into() }
    }
    /// A topic.
    pub fn topic(name: impl Into<Arc<str>>) -> Self {
        Self::new(ConfigResourceType::Topic, name)
    }
    /// A broker.
    pub fn broker(id: i32) -> Self {
        Self::new(ConfigResourceType::Broker, id.to_string())
    }
    /// What holds for every broker that has nothing of its own.
    pub fn broker_defaults() -> Self {
        Self::new(ConfigResourceType::Broker, "")
    }
    /// A group.
    pub fn group(name: impl Into<Arc<str>>) -> Self {
        Self::new(ConfigResourceType::Group, name)
    }
    /// Its kind.
    pub fn kind(&self) -> ConfigResourceType {
        self.kind
    }
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// The one broker that can answer for it.
    pub(in crate::admin) fn only_broker(&self) -> Option<BrokerId> {
        let own = matches!(self.kind, ConfigResourceType::Broker | ConfigResourceType::BrokerLogger);
        own.then(|| self.name.parse().ok().map(BrokerId)).flatten()
    }
}

/// One configuration value.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Its key.
    pub name: Arc<str>,
    /// Its value; `None` for secrets, and where there is none.
    pub value: Option<Arc<str>>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// It cannot be changed while the broker runs.
    pub read_only: bool,
    /// It is a secret.
    pub sensitive: bool,
    /// The values that would count if the ones before them were not set, if that was asked for.
    pub synonyms: Vec<ConfigSynonym>,
    /// What it means, if that was asked for (Kafka 2.6 and later).
    pub documentation: Option<Arc<str>>,
}

/// A value that stands behind another.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// Its key.
    pub name: Arc<str>,
    /// Its value.
    pub value: Option<Arc<str>>,
    /// Where it comes from.
    pub source: ConfigSource,
}

/// One change of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    pub(in crate::admin) name: Arc<str>,
    pub(in crate::admin) change: ConfigOperation,
    pub(in crate::admin) value: Option<Arc<str>>,
}

impl ConfigChange {
    /// Sets a value.
    pub fn set(name: impl Into<Arc<str>>, value: impl ToString) -> Self {
        Self { name: name.into(), change: ConfigOperation::Set, value: Some(value.to_string().into()) }
    }
    /// Goes back to the default.
    pub fn delete(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), change: ConfigOperation::Delete, value: None }
    }
    /// Adds to a list.
    pub fn append(name: impl Into<Arc<str>>, value: impl ToString) -> Self {
        Self { change: ConfigOperation::Append, ..Self::set(name, value) }
    }
    /// Takes out of a list.
    pub fn subtract(name: impl Into<Arc<str>>, value: impl ToString) -> Self {
        Self { change: ConfigOperation::Subtract, ..Self::set(name, value) }
    }
}
