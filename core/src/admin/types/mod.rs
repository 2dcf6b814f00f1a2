//! What administration speaks of: topics, configurations, ACLs, groups, the cluster.
//!
//! What goes in is built by constructors and setters, what comes out has public fields and may grow more.

mod acl;
mod config;
mod numbered;
mod transaction;

pub use acl::{AclBinding, AclFilter, Resource};
pub use config::{ConfigChange, ConfigEntry, ConfigResource, ConfigSynonym};
pub use numbered::{
    AclOperation, AclPermission, ConfigOperation, ConfigResourceType, ConfigSource, PatternType, ResourceType,
};
pub use transaction::{
    AbortTransactionSpec, FencedProducer, ProducerState, TransactionDescription, TransactionListing,
};

use crate::BrokerId;
use crate::client::TopicPartition;
use crate::metadata::{Node, PartitionView};
use crate::wire::Uuid;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    pub(in crate::admin) name: Arc<str>,
    pub(in crate::admin) partitions: i32,
    pub(in crate::admin) replication_factor: i16,
    pub(in crate::admin) assignments: Vec<Vec<i32>>,
    pub(in crate::admin) configs: Vec<(Arc<str>, Arc<str>)>,
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
    pub(in crate::admin) total: i32,
    pub(in crate::admin) assignments: Vec<Vec<i32>>,
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
    pub coordinator: i32,
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

/// The operations in a broker's bit field; `None` if it was not asked for.
pub(in crate::admin) fn operations(bits: i32) -> Option<Vec<AclOperation>> {
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
