//! Administration: topics, groups, transactions, ACLs, configurations, the cluster.
//!
//! Each operation of Java's `Admin` is a method of [`Admin`]. What it returns *is* the operation's options: chain them,
//! then `.await` it on any executor or `.wait()` for it on any thread of yours.
//!
//! ```no_run
//! # async fn doc(kafka: klamm::Kafka) -> klamm::Result<()> {
//! use klamm::admin::NewTopic;
//! let admin = kafka.admin();
//! let orders = NewTopic::new("orders", 12, 3).config("cleanup.policy", "compact");
//! for (name, created) in admin.create_topics([orders]).validate_only(true).await? {
//!     println!("{name}: {created:?}");
//! }
//! # Ok(())
//! # }
//! ```

#[macro_use]
mod op;
#[macro_use]
mod words;

mod acls;
mod cluster;
mod configs;
mod groups;
mod results;
mod topics;
mod transactions;

pub use acls::{CreateAcls, DeleteAcls, DescribeAcls};
pub use cluster::DescribeCluster;
pub use configs::{ConfigEntries, DescribeConfigs, IncrementalAlterConfigs};
pub use groups::{DescribeConsumerGroups, GroupState, GroupType, ListConsumerGroups};
pub use klamm_core::admin::types::{
    AbortTransactionSpec, AclBinding, AclFilter, AclOperation, AclPermission, ClusterDescription, ClusterNode,
    ConfigChange, ConfigEntry, ConfigOperation, ConfigResource, ConfigResourceType, ConfigSource, ConfigSynonym,
    CreatedTopic, FencedProducer, GroupDescription, GroupListing, GroupMember, NewPartitions, NewTopic, PatternType,
    ProducerState, Resource, ResourceType, TransactionDescription, TransactionListing,
};
pub use klamm_core::client::{TopicName, TopicPartition};
pub use klamm_core::wire::Uuid;
pub use results::Results;
pub use topics::{
    CreatePartitions, CreateTopics, DeleteTopics, DescribeTopics, ListTopics, TopicDescription, TopicListing,
};
pub use transactions::{
    AbortTransaction, DescribeProducers, DescribeTransactions, FenceProducers, ForceTerminateTransaction,
    ListTransactions, TransactionState,
};

use crate::kafka::Handle;
use crate::op::{Op, ask};
use crate::producer::unexpected;
use crate::{Error, ErrorKind, Result};
use klamm_core::admin::{AdminReply, AdminRequest, Value};
use klamm_core::client::{Command, Reply};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Administers a cluster, on the connections of the [`Kafka`](crate::Kafka) that it comes from. A clone is the same one.
///
/// Every operation starts when it is awaited (or waited for), takes at most `default.api.timeout.ms` unless `within`
/// says otherwise, and retries by itself what may be repeated. Where an operation is about several items, each has a
/// result of its own: see [`Results`].
///
/// # Cancel safety
/// Before it is awaited an operation has not begun. Afterwards, dropping it ends the waiting, never the work.
#[derive(Clone)]
#[doc(alias = "AdminClient")]
pub struct Admin {
    handle: Arc<Handle>,
}

impl Admin {
    pub(crate) fn new(handle: Arc<Handle>) -> Self {
        Self { handle }
    }

    /// Starts a command; `limit` instead of `default.api.timeout.ms`.
    fn ask<T>(
        &self,
        limit: Option<Duration>,
        command: Command,
        turn: impl FnMut(Reply) -> Result<T> + Send + Sync + 'static,
    ) -> Op<T> {
        let limit = limit.unwrap_or(self.handle.config.default_api_timeout);
        ask(&self.handle.front, Some(limit), command, turn)
    }

    /// Starts an administrative request.
    fn request<T>(
        &self,
        limit: Option<Duration>,
        request: AdminRequest,
        mut turn: impl FnMut(AdminReply) -> Result<T> + Send + Sync + 'static,
    ) -> Op<T> {
        self.ask(limit, Command::Admin(Box::new(request)), move |reply| match reply {
            Reply::Admin(reply) => turn(*reply),
            other => Err(unexpected(&other)),
        })
    }

    /// Starts a request with one result per item; `subject` names an item in errors.
    fn each<K: Send + Sync + 'static, V: 'static>(
        &self,
        limit: Option<Duration>,
        request: AdminRequest,
        keys: Vec<K>,
        subject: fn(&K) -> String,
        read: fn(Value) -> Option<V>,
    ) -> Op<Results<K, V>> {
        let mut keys = Some(keys);
        self.request(limit, request, move |reply| {
            let mut items = reply.items.into_iter();
            let result = |item: Option<Result<Value>>| match item {
                Some(value) => read(value?).ok_or_else(wrong),
                None => Err(wrong()),
            };
            let each = keys.take().unwrap_or_default().into_iter().map(|key| {
                let result = result(items.next()).map_err(|error| error.with_subject(subject(&key)));
                (key, result)
            });
            Ok(Results::new(each.collect()))
        })
    }

    /// Starts a request with a single result.
    fn one<V: 'static>(&self, limit: Option<Duration>, request: AdminRequest, read: fn(Value) -> Option<V>) -> Op<V> {
        self.request(limit, request, move |reply| match reply.items.into_iter().next() {
            Some(value) => read(value?).ok_or_else(wrong),
            None => Err(wrong()),
        })
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").finish_non_exhaustive()
    }
}

fn wrong() -> Error {
    Error::new(ErrorKind::Broker, "the core answered with something else than was asked: this is a bug in klamm")
}

/// What is done.
fn unit(value: Value) -> Option<()> {
    matches!(value, Value::Unit).then_some(())
}

/// Each once, in the order of their first mention: an item that is named twice has one answer.
fn once<K: Ord + Clone>(items: impl IntoIterator<Item = K>) -> Vec<K> {
    let mut seen = std::collections::BTreeSet::new();
    items.into_iter().filter(|item| seen.insert(item.clone())).collect()
}

const _: () = {
    const fn shared<T: Send + Sync + Unpin + 'static>() {}
    shared::<Admin>();
    shared::<CreateTopics>();
    shared::<ListTopics>();
    shared::<Results<String, CreatedTopic>>();
};
