//! Topics: creating, deleting, growing, listing and describing them.

use super::{Results, once, unexpected, unit};
use crate::metadata::PartitionInfo;
use klamm_core::admin::types::{
    AclOperation, CreatedTopic, NewPartitions, NewTopic, TopicDescription as CoreDescription,
};
use klamm_core::admin::{AdminRequest, Value};
use klamm_core::client::{Command, Reply, TopicName};
use klamm_core::wire::Uuid;
use std::sync::Arc;

/// A topic in a list.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicListing {
    /// Its name.
    pub name: Arc<str>,
    /// Its id (Kafka 2.8 and later).
    pub id: Option<Uuid>,
    /// Kafka's own.
    pub internal: bool,
    /// How many partitions it has.
    pub partitions: usize,
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
    pub partitions: Vec<PartitionInfo>,
    /// What this user may do with it, if that was asked for.
    pub authorized_operations: Option<Vec<AclOperation>>,
}

impl From<CoreDescription> for TopicDescription {
    fn from(topic: CoreDescription) -> Self {
        let partitions = topic.partitions.iter().map(|p| PartitionInfo::new(&topic.name, p, &topic.nodes)).collect();
        Self {
            name: topic.name,
            id: topic.id,
            internal: topic.internal,
            partitions,
            authorized_operations: topic.authorized_operations,
        }
    }
}

fn by_name(name: &TopicName) -> String {
    match name {
        TopicName::Name(name) => format!("topic {name:?}"),
        TopicName::Id(id) => format!("topic id {id}"),
    }
}

fn named(name: &String) -> String {
    format!("topic {name:?}")
}

op! {
    /// Creates topics; each result has the configuration that the topic got (Kafka 2.4 and later).
    ///
    /// ```no_run
    /// # async fn doc(admin: klamm::admin::Admin) -> klamm::Result<()> {
    /// use klamm::admin::NewTopic;
    /// let orders = NewTopic::new("orders", 12, 3).config("cleanup.policy", "compact");
    /// admin.create_topics([orders, NewTopic::broker_defaults("audit")]).await?.all()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Per topic: the broker's (`TOPIC_ALREADY_EXISTS`, `INVALID_REPLICATION_FACTOR` ...). If the connection broke after
    /// the request was sent, [`is_outcome_unknown`](crate::Error::is_outcome_unknown): it is not repeated by itself.
    #[doc(alias = "createTopics")]
    create_topics(topics: Vec<NewTopic> = |topics: impl IntoIterator<Item = NewTopic>| topics.into_iter().collect())
        -> Results<String, CreatedTopic>;
    CreateTopics {
        flags {
            /// Only checks whether they could be created. Default false.
            #[doc(alias = "validateOnly")]
            validate_only,
        }
        lists {}
    }
    |op| {
        let keys = op.topics.iter().map(|topic| topic.name().to_string()).collect();
        let request = AdminRequest::CreateTopics { topics: op.topics, validate_only: op.validate_only };
        op.admin.each(op.limit, request, keys, named, |value| match value {
            Value::Created(created) => Some(created),
            _ => None,
        })
    }
}

op! {
    /// Deletes topics, by name or by id (ids: Kafka 2.8 and later), with all that is in them.
    ///
    /// ```no_run
    /// # async fn doc(admin: klamm::admin::Admin) -> klamm::Result<()> {
    /// admin.delete_topics(["orders", "audit"]).await?.all()?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "deleteTopics")]
    delete_topics(topics: Vec<TopicName> =
        |topics: impl IntoIterator<Item = impl Into<TopicName>>| once(topics.into_iter().map(Into::into)))
        -> Results<TopicName, ()>;
    DeleteTopics { flags {} lists {} }
    |op| op.admin.each(op.limit, AdminRequest::DeleteTopics(op.topics.clone()), op.topics, by_name, unit)
}

op! {
    /// Adds partitions to topics. Keys that the default partitioner placed go elsewhere from then on.
    ///
    /// ```no_run
    /// # async fn doc(admin: klamm::admin::Admin) -> klamm::Result<()> {
    /// use klamm::admin::NewPartitions;
    /// admin.create_partitions([("orders", NewPartitions::increase_to(24))]).await?.all()?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "createPartitions")]
    create_partitions(topics: Vec<(Arc<str>, NewPartitions)> =
        |counts: impl IntoIterator<Item = (impl Into<String>, NewPartitions)>|
            counts.into_iter().map(|(name, new)| (name.into().into(), new)).collect())
        -> Results<String, ()>;
    CreatePartitions {
        flags {
            /// Only checks whether they could be added. Default false.
            #[doc(alias = "validateOnly")]
            validate_only,
        }
        lists {}
    }
    |op| {
        let keys = op.topics.iter().map(|(name, _)| name.to_string()).collect();
        let request = AdminRequest::CreatePartitions { topics: op.topics, validate_only: op.validate_only };
        op.admin.each(op.limit, request, keys, named, unit)
    }
}

op! {
    /// All topics that this user may describe, by name.
    ///
    /// ```no_run
    /// # async fn doc(admin: klamm::admin::Admin) -> klamm::Result<()> {
    /// for topic in admin.list_topics().include_internal(true).await? {
    ///     println!("{} with {} partitions", topic.name, topic.partitions);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "listTopics")]
    list_topics() -> Vec<TopicListing>;
    ListTopics {
        flags {
            /// Also Kafka's own, such as `__consumer_offsets`. Default false.
            #[doc(alias = "listInternal")]
            include_internal,
        }
        lists {}
    }
    |op| op.admin.ask(op.limit, Command::ListTopics, move |reply| {
        let Reply::View(view) = reply else { return Err(unexpected(&reply)) };
        let shown = view.topics.values().filter(|topic| topic.doubt.is_none() && (op.include_internal || !topic.internal));
        let mut topics: Vec<TopicListing> = shown
            .map(|topic| TopicListing {
                name: topic.name.clone(),
                id: (!topic.id.is_zero()).then_some(topic.id),
                internal: topic.internal,
                partitions: topic.partitions.len(),
            })
            .collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    })
}

op! {
    /// Describes topics, by name or by id (ids: Kafka 3.1 and later). Never creates one.
    ///
    /// ```no_run
    /// # async fn doc(admin: klamm::admin::Admin) -> klamm::Result<()> {
    /// for (_, topic) in admin.describe_topics(["orders"]).await?.all()? {
    ///     for partition in &topic.partitions {
    ///         println!("{}: {:?}", partition.partition(), partition.leader().map(|node| node.id()));
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "describeTopics")]
    describe_topics(topics: Vec<TopicName> =
        |topics: impl IntoIterator<Item = impl Into<TopicName>>| once(topics.into_iter().map(Into::into)))
        -> Results<TopicName, TopicDescription>;
    DescribeTopics {
        flags {
            /// Also says what this user may do with them (Kafka 2.3 and later). Default false.
            #[doc(alias = "includeAuthorizedOperations")]
            include_authorized_operations,
        }
        lists {}
    }
    |op| {
        let request = AdminRequest::DescribeTopics {
            topics: op.topics.clone(),
            authorized_operations: op.include_authorized_operations,
        };
        op.admin.each(op.limit, request, op.topics, by_name, |value| match value {
            Value::Topic(topic) => Some(topic.into()),
            _ => None,
        })
    }
}
