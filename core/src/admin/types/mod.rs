//! What administration speaks of: topics, configurations, ACLs, groups, the cluster.
//!
//! What goes in is built by constructors and setters, what comes out has public fields and may grow more.

use crate::BrokerId;
use crate::client::TopicPartition;
use crate::metadata::{Node, PartitionView};
use crate::wire::Uuid;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    pub(super) name: Arc<str>,
    pub(super) partitions: i32,
    pub(super) replication_factor: i16,
    pub(super) assignments: Vec<Vec<i32>>,
    pub(super) configs: Vec<(Arc<str>, Arc<str>)>,
}

impl NewTopic {
    /// A topic with so many partitions, each on so many brokers.
    pub fn new(name: impl Into<Arc<str>>, partitions: i32, replication_factor: i16) -> Self {
        Self { name: name.into(), partitions, replication_factor, assignments: Vec::new(), configs: Vec::new() }
    }

    /// A topic with the broker's `num.partitions` and `default.replication.factor` (KIP-464).
    pub fn broker_defaults(name: impl Into<Arc<str>>) -> Self {
        Self::new(name, -1, -1)
    }

    /// A topic whose partitions lie on these brokers: for each partition its replicas, the preferred leader first.
    pub fn with_assignments(name: impl Into<Arc<str>>, assignments: impl IntoIterator<Item = Vec<i32>>) -> Self {
        Self { assignments: assignments.into_iter().collect(), ..Self::new(name, -1, -1) }
    }

    /// Sets a topic configuration, such as `cleanup.policy`.
    #[must_use]
    pub fn config(mut self, key: impl Into<Arc<str>>, value: impl ToString) -> Self {
        self.configs.push((key.into(), value.to_string().into()));
        self
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }
}

/// A topic as it was created. What an old broker does not tell is `None`.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its id (Kafka 2.8 and later).
    pub id: Option<Uuid>,
    /// How many partitions it has (KIP-525, Kafka 2.4 and later, as the rest).
    pub partitions: Option<i32>,
    /// On how many brokers each lies.
    pub replication_factor: Option<i16>,
    /// Its whole configuration; `None` also where this user may not read it.
    pub configs: Option<Vec<ConfigEntry>>,
}

/// How many partitions a topic shall have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPartitions {
    pub(super) total: i32,
    pub(super) assignments: Vec<Vec<i32>>,
}

impl NewPartitions {
    /// So many in all, the present ones included.
    pub fn increase_to(total: i32) -> Self {
        Self { total, assignments: Vec::new() }
    }

    /// Where the added ones lie: for each its replicas, the preferred leader first.
    #[must_use]
    pub fn assignments(mut self, replicas: impl IntoIterator<Item = Vec<i32>>) -> Self {
        self.assignments = replicas.into_iter().collect();
        self
    }
}

/// A topic in full.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its name.
    pub name: Arc<str>,
    /// Its id (Kafka 2.8 and later).
    pub id: Option<Uuid>,
    /// Kafka's own.
    pub internal: bool,
    /// Its partitions, by number.
    pub partitions: Vec<PartitionView>,
    /// The brokers that they lie on.
    pub nodes: BTreeMap<BrokerId, Node>,
    /// What this user may do with it, if that was asked for.
    pub authorized_operations: Option<Vec<AclOperation>>,
}

/// The cluster.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterDescription {
    /// Its id.
    pub cluster_id: Option<Arc<str>>,
    /// The broker that clients take for the controller; with KRaft any broker.
    pub controller: Option<i32>,
    /// Its brokers.
    pub nodes: Vec<ClusterNode>,
    /// What this user may do with it, if that was asked for.
    pub authorized_operations: Option<Vec<AclOperation>>,
}

/// A broker.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterNode {
    /// Its `node.id`.
    pub id: i32,
    /// Its advertised host.
    pub host: Arc<str>,
    /// Its advertised port.
    pub port: i32,
    /// Its rack.
    pub rack: Option<Arc<str>>,
    /// Registered, but not serving (KIP-1073).
    pub fenced: bool,
}

/// A group, in short.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupListing {
    /// Its name.
    pub group: Arc<str>,
    /// `consumer`, `connect` ..., empty if it only has offsets.
    pub protocol_type: Arc<str>,
    /// `Stable`, `Empty` ... (Kafka 2.6 and later).
    pub state: Option<Arc<str>>,
    /// `Classic`, `Consumer`, `Share` ... (Kafka 3.8 and later).
    pub kind: Option<Arc<str>>,
}

/// A group in full.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its name.
    pub group: Arc<str>,
    /// `Stable`, `PreparingRebalance`, `CompletingRebalance`, `Empty`.
    pub state: Arc<str>,
    /// `consumer`, `connect` ..., empty if it only has offsets.
    pub protocol_type: Arc<str>,
    /// The assignor that it uses; empty outside a generation.
    pub protocol: Arc<str>,
    /// Its members.
    pub members: Vec<GroupMember>,
    /// The broker that coordinates it.
    pub coordinator: BrokerId,
    /// What this user may do with it, if that was asked for.
    pub authorized_operations: Option<Vec<AclOperation>>,
}

/// A member of a group.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// Its id.
    pub member: Arc<str>,
    /// Its `group.instance.id`.
    pub instance: Option<Arc<str>>,
    /// Its `client.id`.
    pub client: Arc<str>,
    /// Where it connects from.
    pub host: Arc<str>,
    /// Its partitions.
    pub assignment: Vec<TopicPartition>,
}

/// Declares an enumeration of the protocol: each variant with its number; numbers that are not known are kept.
macro_rules! numbered {
    ($( $(#[$m:meta])* $name:ident { $( $(#[$vm:meta])* $variant:ident = $number:literal $text:literal, )* } )*) => { $(
        $(#[$m])*
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $( $(#[$vm])* $variant, )*
            /// One that this version of klamm has no name for.
            Other(i8),
        }

        impl $name {
            pub(super) fn wire(self) -> i8 {
                match self { $( Self::$variant => $number, )* Self::Other(number) => number }
            }

            pub(super) fn from_wire(number: i8) -> Self {
                match number { $( $number => Self::$variant, )* other => Self::Other(other) }
            }

            /// Reads it as Kafka's tools write it, in any case, with or without `-` and `_`.
            pub fn parse(text: &str) -> Option<Self> {
                let plain = |s: &str| s.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
                let text = plain(text);
                $( if plain($text) == text { return Some(Self::$variant); } )*
                None
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $( Self::$variant => f.pad($text), )* Self::Other(number) => write!(f, "{number}") }
            }
        }
    )* };
}

numbered! {
    /// What an ACL is about.
    ResourceType {
        /// In a filter: any.
        Any = 1 "any",
        /// A topic.
        Topic = 2 "topic",
        /// A group.
        Group = 3 "group",
        /// The cluster as a whole.
        Cluster = 4 "cluster",
        /// A transactional id.
        TransactionalId = 5 "transactional-id",
        /// A delegation token.
        DelegationToken = 6 "delegation-token",
        /// A user.
        User = 7 "user",
    }
    /// How an ACL's resource name is meant.
    PatternType {
        /// In a filter: any.
        Any = 1 "any",
        /// In a filter: every pattern that covers the name.
        Match = 2 "match",
        /// The name itself, or `*` for all.
        Literal = 3 "literal",
        /// All names that begin with it (KIP-290).
        Prefixed = 4 "prefixed",
    }
    /// What may be done.
    AclOperation {
        /// In a filter: any.
        Any = 1 "any",
        /// Everything.
        All = 2 "all",
        /// Read.
        Read = 3 "read",
        /// Write.
        Write = 4 "write",
        /// Create.
        Create = 5 "create",
        /// Delete.
        Delete = 6 "delete",
        /// Alter.
        Alter = 7 "alter",
        /// Describe.
        Describe = 8 "describe",
        /// What brokers do.
        ClusterAction = 9 "cluster-action",
        /// Read configurations.
        DescribeConfigs = 10 "describe-configs",
        /// Change configurations.
        AlterConfigs = 11 "alter-configs",
        /// Produce idempotently (Kafka before 2.8).
        IdempotentWrite = 12 "idempotent-write",
        /// Create delegation tokens.
        CreateTokens = 13 "create-tokens",
        /// Describe delegation tokens.
        DescribeTokens = 14 "describe-tokens",
        /// Two-phase commit (KIP-939).
        TwoPhaseCommit = 15 "two-phase-commit",
    }
    /// Whether an ACL allows or forbids.
    AclPermission {
        /// In a filter: any.
        Any = 1 "any",
        /// It is forbidden.
        Deny = 2 "deny",
        /// It is allowed.
        Allow = 3 "allow",
    }
    /// Whose configuration.
    ConfigResourceType {
        /// A topic's.
        Topic = 2 "topic",
        /// A broker's; an empty name stands for the default of all.
        Broker = 4 "broker",
        /// A broker's log levels.
        BrokerLogger = 8 "broker-logger",
        /// A metrics subscription's (KIP-714).
        ClientMetrics = 16 "client-metrics",
        /// A group's (KIP-848).
        Group = 32 "group",
    }
    /// Where a configuration value comes from.
    ConfigSource {
        /// Set for the topic.
        Topic = 1 "topic",
        /// Set for this broker while it runs.
        DynamicBroker = 2 "dynamic-broker",
        /// Set for all brokers while they run.
        DynamicDefaultBroker = 3 "dynamic-default-broker",
        /// From the broker's file.
        StaticBroker = 4 "static-broker",
        /// Kafka's default.
        Default = 5 "default",
        /// Set for the broker's logger.
        DynamicBrokerLogger = 6 "dynamic-broker-logger",
        /// Set for the metrics subscription.
        ClientMetrics = 7 "client-metrics",
        /// Set for the group.
        Group = 8 "group",
    }
    /// How a configuration is to change (KIP-339).
    ConfigOperation {
        /// Takes this value.
        Set = 0 "set",
        /// Goes back to its default.
        Delete = 1 "delete",
        /// A list gets this too.
        Append = 2 "append",
        /// A list loses this.
        Subtract = 3 "subtract",
    }
}

/// What an ACL is about: a resource by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    pub(super) kind: ResourceType,
    pub(super) name: Arc<str>,
    pub(super) pattern: PatternType,
}

impl Resource {
    /// A resource by its literal name; `*` stands for all of the kind.
    pub fn new(kind: ResourceType, name: impl Into<Arc<str>>) -> Self {
        Self { kind, name: name.into(), pattern: PatternType::Literal }
    }
    /// A topic.
    pub fn topic(name: impl Into<Arc<str>>) -> Self {
        Self::new(ResourceType::Topic, name)
    }
    /// A group.
    pub fn group(name: impl Into<Arc<str>>) -> Self {
        Self::new(ResourceType::Group, name)
    }
    /// A transactional id.
    pub fn transactional_id(name: impl Into<Arc<str>>) -> Self {
        Self::new(ResourceType::TransactionalId, name)
    }
    /// The cluster.
    pub fn cluster() -> Self {
        Self::new(ResourceType::Cluster, "kafka-cluster")
    }
    /// The name is a prefix (KIP-290).
    #[must_use]
    pub fn prefixed(self) -> Self {
        Self { pattern: PatternType::Prefixed, ..self }
    }
    /// Its kind.
    pub fn kind(&self) -> ResourceType {
        self.kind
    }
    /// Its name or prefix.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// How its name is meant.
    pub fn pattern(&self) -> PatternType {
        self.pattern
    }

    pub(super) fn from_wire(kind: i8, name: &str, pattern: i8) -> Self {
        let (kind, pattern) = (ResourceType::from_wire(kind), PatternType::from_wire(pattern));
        Self { kind, name: name.into(), pattern }
    }
}

/// One rule: who may or may not do what, from where, with which resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AclBinding {
    pub(super) resource: Resource,
    pub(super) principal: Arc<str>,
    pub(super) host: Arc<str>,
    pub(super) operation: AclOperation,
    pub(super) permission: AclPermission,
}

impl AclBinding {
    /// Allows `principal` (such as `User:alice`) to do this, from any host.
    pub fn allow(principal: impl Into<Arc<str>>, operation: AclOperation, resource: Resource) -> Self {
        let (principal, host) = (principal.into(), "*".into());
        Self { resource, principal, host, operation, permission: AclPermission::Allow }
    }
    /// Forbids `principal` to do this, from any host. What is forbidden cannot be allowed by another rule.
    pub fn deny(principal: impl Into<Arc<str>>, operation: AclOperation, resource: Resource) -> Self {
        Self { permission: AclPermission::Deny, ..Self::allow(principal, operation, resource) }
    }
    /// Only from this host.
    #[must_use]
    pub fn host(self, host: impl Into<Arc<str>>) -> Self {
        Self { host: host.into(), ..self }
    }
    /// With what.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }
    /// Who.
    pub fn principal(&self) -> &str {
        &self.principal
    }
    /// From where; `*` stands for anywhere.
    pub fn from_host(&self) -> &str {
        &self.host
    }
    /// What.
    pub fn operation(&self) -> AclOperation {
        self.operation
    }
    /// Whether it allows or forbids.
    pub fn permission(&self) -> AclPermission {
        self.permission
    }

    pub(super) fn from_wire(resource: Resource, principal: &str, host: &str, operation: i8, permission: i8) -> Self {
        Self {
            resource,
            principal: principal.into(),
            host: host.into(),
            operation: AclOperation::from_wire(operation),
            permission: AclPermission::from_wire(permission),
        }
    }
}

/// Which rules: what is not said matches any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclFilter {
    pub(super) kind: ResourceType,
    pub(super) name: Option<Arc<str>>,
    pub(super) pattern: PatternType,
    pub(super) principal: Option<Arc<str>>,
    pub(super) host: Option<Arc<str>>,
    pub(super) operation: AclOperation,
    pub(super) permission: AclPermission,
}

impl AclFilter {
    /// Every rule.
    pub fn any() -> Self {
        Self {
            kind: ResourceType::Any,
            name: None,
            pattern: PatternType::Any,
            principal: None,
            host: None,
            operation: AclOperation::Any,
            permission: AclPermission::Any,
        }
    }
    /// Just this rule.
    pub fn exactly(binding: &AclBinding) -> Self {
        Self {
            kind: binding.resource.kind,
            name: Some(binding.resource.name.clone()),
            pattern: binding.resource.pattern,
            principal: Some(binding.principal.clone()),
            host: Some(binding.host.clone()),
            operation: binding.operation,
            permission: binding.permission,
        }
    }
    /// Rules about this resource, by its very pattern.
    #[must_use]
    pub fn resource(self, resource: Resource) -> Self {
        Self { kind: resource.kind, name: Some(resource.name), pattern: resource.pattern, ..self }
    }
    /// Rules about this kind of resource.
    #[must_use]
    pub fn kind(self, kind: ResourceType) -> Self {
        Self { kind, ..self }
    }
    /// How the resource's name is to be compared.
    #[must_use]
    pub fn pattern(self, pattern: PatternType) -> Self {
        Self { pattern, ..self }
    }
    /// Rules for this principal.
    #[must_use]
    pub fn principal(self, principal: impl Into<Arc<str>>) -> Self {
        Self { principal: Some(principal.into()), ..self }
    }
    /// Rules for this host.
    #[must_use]
    pub fn host(self, host: impl Into<Arc<str>>) -> Self {
        Self { host: Some(host.into()), ..self }
    }
    /// Rules for this operation.
    #[must_use]
    pub fn operation(self, operation: AclOperation) -> Self {
        Self { operation, ..self }
    }
    /// Rules that allow, or that forbid.
    #[must_use]
    pub fn permission(self, permission: AclPermission) -> Self {
        Self { permission, ..self }
    }
}

/// Whose configuration is read or changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigResource {
    pub(super) kind: ConfigResourceType,
    pub(super) name: Arc<str>,
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
    pub(super) fn only_broker(&self) -> Option<BrokerId> {
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
    pub(super) name: Arc<str>,
    pub(super) change: ConfigOperation,
    pub(super) value: Option<Arc<str>>,
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

/// The operations in a broker's bit field; `None` if it was not asked for.
pub(super) fn operations(bits: i32) -> Option<Vec<AclOperation>> {
    (bits != i32::MIN).then(|| (0..31i8).filter(|bit| bits & (1 << bit) != 0).map(AclOperation::from_wire).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_go_both_ways_and_unknown_numbers_are_kept() {
        for number in -1..20 {
            assert_eq!(AclOperation::from_wire(number).wire(), number);
            assert_eq!(ConfigSource::from_wire(number).wire(), number);
        }
        assert_eq!(AclOperation::parse("DescribeConfigs"), Some(AclOperation::DescribeConfigs));
        assert_eq!(AclOperation::parse("DESCRIBE_CONFIGS"), Some(AclOperation::DescribeConfigs));
        assert_eq!(ResourceType::parse("transactional-id"), Some(ResourceType::TransactionalId));
        assert_eq!(AclOperation::parse("fly"), None);
    }

    #[test]
    fn a_bit_field_names_its_operations_unless_it_was_not_asked_for() {
        assert_eq!(operations(i32::MIN), None);
        assert_eq!(operations(1 << 3 | 1 << 8), Some(vec![AclOperation::Read, AclOperation::Describe]));
    }

    #[test]
    fn only_a_numbered_broker_answers_for_itself_alone() {
        assert_eq!(ConfigResource::broker(2).only_broker(), Some(BrokerId(2)));
        assert_eq!(ConfigResource::broker_defaults().only_broker(), None);
        assert_eq!(ConfigResource::topic("2").only_broker(), None);
    }
}
