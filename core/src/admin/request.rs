//! What administration can be asked for, and what it answers.

use super::types::*;
use crate::Error;
use crate::client::{TopicName, TopicPartition};
use std::sync::Arc;
use std::time::Duration;

/// An administrative operation. Its reply has one result per item, in this order.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AdminRequest {
    /// Creates topics: [`Value::Created`].
    CreateTopics {
        /// The items.
        topics: Vec<NewTopic>,
        /// Only checks whether it could.
        validate_only: bool,
    },
    /// Deletes topics: [`Value::Unit`].
    DeleteTopics(Vec<TopicName>),
    /// Adds partitions: [`Value::Unit`].
    CreatePartitions {
        /// The items.
        topics: Vec<(Arc<str>, NewPartitions)>,
        /// Only checks whether it could.
        validate_only: bool,
    },
    /// Describes topics: [`Value::Topic`].
    DescribeTopics {
        /// The items.
        topics: Vec<TopicName>,
        /// Also says what this user may do with them.
        authorized_operations: bool,
    },
    /// Describes the cluster, one item: [`Value::Cluster`].
    DescribeCluster {
        /// Also says what this user may do with it.
        authorized_operations: bool,
        /// Also lists brokers that are registered but do not serve.
        fenced_brokers: bool,
    },
    /// Lists groups, one item per broker: [`Value::Groups`].
    ListGroups {
        /// Only those in one of these states; all if empty.
        states: Vec<Arc<str>>,
        /// Only those of one of these types; all if empty.
        types: Vec<Arc<str>>,
    },
    /// Describes groups: [`Value::Group`].
    DescribeGroups {
        /// The items.
        groups: Vec<Arc<str>>,
        /// Also says what this user may do with them.
        authorized_operations: bool,
    },
    /// Creates ACLs: [`Value::Unit`].
    CreateAcls(Vec<AclBinding>),
    /// Lists ACLs, one item: [`Value::Acls`].
    DescribeAcls(AclFilter),
    /// Deletes the ACLs that each filter matches: [`Value::Acls`].
    DeleteAcls(Vec<AclFilter>),
    /// Reads configurations: [`Value::Configs`].
    DescribeConfigs {
        /// The items.
        resources: Vec<ConfigResource>,
        /// Also lists the values behind the values.
        synonyms: bool,
        /// Also explains them.
        documentation: bool,
    },
    /// Changes configurations: [`Value::Unit`].
    AlterConfigs {
        /// The items.
        changes: Vec<(ConfigResource, Vec<ConfigChange>)>,
        /// Only checks whether it could.
        validate_only: bool,
    },
    /// Describes the producers that partitions know: [`Value::Producers`].
    DescribeProducers {
        /// The items.
        partitions: Vec<TopicPartition>,
        /// Asks this replica; each partition's leader if `None`.
        broker: Option<i32>,
    },
    /// Describes transactional ids: [`Value::Transaction`].
    DescribeTransactions(Vec<Arc<str>>),
    /// Lists transactional ids, one item per broker: [`Value::Transactions`].
    ListTransactions {
        /// Only those in one of these states; all if empty.
        states: Vec<Arc<str>>,
        /// Only those with one of these producer ids; all if empty.
        producer_ids: Vec<i64>,
        /// Only those whose transaction has been open for longer (KIP-994).
        open_for: Option<Duration>,
        /// Only those that this regular expression matches as a whole (KIP-1152).
        pattern: Option<Arc<str>>,
    },
    /// Aborts what a transaction wrote to one partition, past its coordinator: [`Value::Unit`].
    AbortTransaction(AbortTransactionSpec),
    /// Fences the producers of transactional ids: [`Value::Fenced`].
    FenceProducers(Vec<Arc<str>>),
}

/// What one item came to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Value {
    /// It is done.
    Unit,
    /// A created topic.
    Created(CreatedTopic),
    /// A described topic.
    Topic(TopicDescription),
    /// The cluster.
    Cluster(ClusterDescription),
    /// One broker's groups.
    Groups(Vec<GroupListing>),
    /// A described group.
    Group(GroupDescription),
    /// Access control lists.
    Acls(Vec<AclBinding>),
    /// A configuration.
    Configs(Vec<ConfigEntry>),
    /// The producers that a partition knows.
    Producers(Vec<ProducerState>),
    /// A described transactional id.
    Transaction(TransactionDescription),
    /// One broker's transactional ids.
    Transactions(Vec<TransactionListing>),
    /// The id and epoch that fence all earlier ones.
    Fenced(FencedProducer),
}

/// The results of an operation, one per item.
#[derive(Clone, Debug)]
pub struct AdminReply {
    /// In the order of the request's items; of `ListGroups` and `ListTransactions` one per broker.
    pub items: Vec<Result<Value, Error>>,
}

impl AdminRequest {
    /// Whether every broker is asked.
    pub(super) fn asks_all(&self) -> bool {
        matches!(self, Self::ListGroups { .. } | Self::ListTransactions { .. })
    }

    /// Whether doing it twice is the same as doing it once, seen from the answer too.
    pub(super) fn is_repeatable(&self) -> bool {
        match self {
            Self::CreateTopics { validate_only, .. } | Self::CreatePartitions { validate_only, .. } => *validate_only,
            // Its second answer would say that the topic is unknown, or that the ACLs matched nothing.
            Self::DeleteTopics(_) | Self::DeleteAcls(_) => false,
            // The second marker would end what the same producer may have begun behind the first.
            Self::AbortTransaction(_) => false,
            // Appending twice is not appending once.
            Self::AlterConfigs { changes, validate_only } => {
                let sets = |c: &ConfigChange| matches!(c.change, ConfigOperation::Set | ConfigOperation::Delete);
                *validate_only || changes.iter().all(|(_, changes)| changes.iter().all(sets))
            }
            _ => true,
        }
    }

    pub(super) fn api(&self) -> &'static str {
        match self {
            Self::CreateTopics { .. } => "CreateTopics",
            Self::DeleteTopics(_) => "DeleteTopics",
            Self::CreatePartitions { .. } => "CreatePartitions",
            Self::DescribeTopics { .. } => "Metadata",
            Self::DescribeCluster { .. } => "DescribeCluster",
            Self::ListGroups { .. } => "ListGroups",
            Self::DescribeGroups { .. } => "DescribeGroups",
            Self::CreateAcls(_) => "CreateAcls",
            Self::DescribeAcls(_) => "DescribeAcls",
            Self::DeleteAcls(_) => "DeleteAcls",
            Self::DescribeConfigs { .. } => "DescribeConfigs",
            Self::AlterConfigs { .. } => "IncrementalAlterConfigs",
            Self::DescribeProducers { .. } => "DescribeProducers",
            Self::DescribeTransactions(_) => "DescribeTransactions",
            Self::ListTransactions { .. } => "ListTransactions",
            Self::AbortTransaction(_) => "WriteTxnMarkers",
            Self::FenceProducers(_) => "InitProducerId",
        }
    }
}
