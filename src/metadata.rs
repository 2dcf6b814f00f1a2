//! What a client tells of the cluster.

use crate::{Error, ErrorKind, Result};
use klamm_core::BrokerId;
use klamm_core::metadata::{Node as NodeView, PartitionView, View};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    id: i32,
    host: Arc<str>,
    port: u16,
    rack: Option<Arc<str>>,
}

impl Node {
    /// Its `node.id`.
    pub fn id(&self) -> i32 {
        self.id
    }
    /// The host that it advertises; empty if it is not known.
    pub fn host(&self) -> &str {
        &self.host
    }
    /// The port that it advertises; 0 if it is not known.
    pub fn port(&self) -> u16 {
        self.port
    }
    /// Its rack.
    pub fn rack(&self) -> Option<&str> {
        self.rack.as_deref()
    }
}

/// One partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionInfo {
    topic: Arc<str>,
    partition: i32,
    leader: Option<Node>,
    replicas: Vec<Node>,
    in_sync: Vec<Node>,
    offline: Vec<Node>,
}

impl PartitionInfo {
    /// The topic's name.
    pub fn topic(&self) -> &str {
        &self.topic
    }
    /// The partition's number.
    pub fn partition(&self) -> i32 {
        self.partition
    }
    /// Who leads it; `None` during an election.
    pub fn leader(&self) -> Option<&Node> {
        self.leader.as_ref()
    }
    /// All replicas, the preferred one first.
    pub fn replicas(&self) -> &[Node] {
        &self.replicas
    }
    /// The replicas in sync.
    #[doc(alias = "inSyncReplicas")]
    pub fn in_sync_replicas(&self) -> &[Node] {
        &self.in_sync
    }
    /// The replicas that are offline.
    #[doc(alias = "offlineReplicas")]
    pub fn offline_replicas(&self) -> &[Node] {
        &self.offline
    }
}

impl From<&NodeView> for Node {
    fn from(node: &NodeView) -> Self {
        Self { id: node.id.0, host: node.host.clone(), port: node.port, rack: node.rack.clone() }
    }
}

impl PartitionInfo {
    pub(crate) fn new(topic: &Arc<str>, partition: &PartitionView, brokers: &BTreeMap<BrokerId, NodeView>) -> Self {
        let node = |id: &BrokerId| match brokers.get(id) {
            Some(node) => Node::from(node),
            None => Node { id: id.0, host: "".into(), port: 0, rack: None },
        };
        Self {
            topic: topic.clone(),
            partition: partition.number,
            leader: partition.leader.as_ref().map(node),
            replicas: partition.replicas.iter().map(node).collect(),
            in_sync: partition.isr.iter().map(node).collect(),
            offline: partition.offline.iter().map(node).collect(),
        }
    }
}

/// The partitions of a topic, by number.
pub(crate) fn partitions(view: &View, name: &str) -> Result<Vec<PartitionInfo>> {
    let topic = view.topics.values().find(|topic| *topic.name == *name);
    let Some(topic) = topic else {
        return Err(Error::new(ErrorKind::UnknownTopic, format!("topic {name:?} does not exist")).with_topic(name));
    };
    Ok(topic.partitions.iter().map(|partition| PartitionInfo::new(&topic.name, partition, &view.brokers)).collect())
}
