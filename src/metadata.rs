//! What a client tells of the cluster.

use crate::{Error, ErrorKind, Result};
use klamm_core::BrokerId;
use klamm_core::metadata::View;
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

fn node(view: &View, id: BrokerId) -> Node {
    match view.brokers.get(&id) {
        Some(node) => Node { id: id.0, host: node.host.clone(), port: node.port, rack: node.rack.clone() },
        None => Node { id: id.0, host: "".into(), port: 0, rack: None },
    }
}

/// The partitions of a topic, by number.
pub(crate) fn partitions(view: &View, name: &str) -> Result<Vec<PartitionInfo>> {
    let topic = view.topics.values().find(|topic| *topic.name == *name);
    let Some(topic) = topic else {
        return Err(Error::new(ErrorKind::UnknownTopic, format!("topic {name:?} does not exist")).with_topic(name));
    };
    let nodes = |ids: &[BrokerId]| ids.iter().map(|id| node(view, *id)).collect();
    Ok(topic
        .partitions
        .iter()
        .map(|partition| PartitionInfo {
            topic: topic.name.clone(),
            partition: partition.number,
            leader: partition.leader.map(|id| node(view, id)),
            replicas: nodes(&partition.replicas),
            in_sync: nodes(&partition.isr),
            offline: nodes(&partition.offline),
        })
        .collect())
}
