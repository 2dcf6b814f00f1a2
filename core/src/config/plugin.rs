//! Places for what is the application's own code: the core stores it and hands it back, it never looks inside.

use super::Section;
use crate::producer::Scheme;
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// A value of the application (a partitioner, an interceptor), opaque to the core.
#[derive(Clone)]
pub struct Plugin(Arc<dyn Any + Send + Sync>, Option<Section>);

impl Plugin {
    /// Wraps a value.
    pub fn new<T: Any + Send + Sync>(value: T) -> Self {
        Self(Arc::new(value), None)
    }

    /// The same for one role only: a list that both roles read has it for that one.
    #[must_use]
    pub fn of(self, section: Section) -> Self {
        Self(self.0, Some(section))
    }

    pub(super) fn is_for(&self, section: Section) -> bool {
        self.1.is_none_or(|own| own == section)
    }

    /// The value, if it has this type.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }

    fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plugin")
    }
}

impl PartialEq for Plugin {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other)
    }
}

/// Who chooses the partition of a record that names none (`partitioner.class`).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Partitioning {
    /// By murmur2 of the key; records without one stay with a partition for a batch, then move on, evenly in bytes
    /// (KIP-794). The default, and what Java does.
    #[default]
    UniformSticky,
    /// One partition after the other, with and without keys (Java's `RoundRobinPartitioner`).
    RoundRobin,
    /// As another client does it.
    Scheme(Scheme),
    /// The application's own.
    Custom(Plugin),
}

impl Partitioning {
    /// Murmur2 of the key, else uniformly sticky (KIP-794).
    pub const fn uniform_sticky() -> Self {
        Self::UniformSticky
    }
    /// One partition after the other.
    pub const fn round_robin() -> Self {
        Self::RoundRobin
    }
}

impl From<Scheme> for Partitioning {
    fn from(scheme: Scheme) -> Self {
        Self::Scheme(scheme)
    }
}

impl From<Plugin> for Partitioning {
    fn from(plugin: Plugin) -> Self {
        Self::Custom(plugin)
    }
}

/// A broker's address as the cluster advertises it; what [`RewriteAddress`] is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Broker<'a> {
    /// Its id; `None` for a bootstrap server.
    pub id: Option<i32>,
    /// Its host as told, unresolved.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
}

impl<'a> Broker<'a> {
    /// A broker at an address.
    pub const fn new(id: Option<i32>, host: &'a str, port: u16) -> Self {
        Self { id, host, port }
    }
}

/// Turns the address that a broker advertises into one that can be reached from here: tunnels, port-forwards.
#[derive(Clone)]
pub struct RewriteAddress(Arc<dyn Fn(Broker<'_>) -> String + Send + Sync>);

impl RewriteAddress {
    /// Wraps a function that answers `host:port`.
    pub fn new(rewrite: impl Fn(Broker<'_>) -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(rewrite))
    }

    /// The address to dial, as `host:port`. Runs the application's code.
    pub fn rewrite(&self, broker: Broker<'_>) -> String {
        (self.0)(broker)
    }
}

impl fmt::Debug for RewriteAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RewriteAddress")
    }
}

impl PartialEq for RewriteAddress {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
