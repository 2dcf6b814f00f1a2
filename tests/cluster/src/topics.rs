//! The topics of the cluster, as the controller knows them.

use crate::configs::Policy;
use crate::log::Partition;
use klamm_core::wire::Uuid;
use std::collections::BTreeMap;

/// The topic that holds committed offsets and groups.
pub(crate) const OFFSETS: &str = "__consumer_offsets";
/// The topic that holds transactions.
pub(crate) const TRANSACTIONS: &str = "__transaction_state";
/// The topic that holds share groups.
const SHARES: &str = "__share_group_state";

/// One topic.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    pub(crate) id: Uuid,
    pub(crate) partitions: Vec<Partition>,
    pub(crate) configs: BTreeMap<String, String>,
    pub(crate) policy: Policy,
}

impl Topic {
    pub(crate) fn partition(&self, index: i32) -> Option<&Partition> {
        self.partitions.get(usize::try_from(index).ok()?)
    }

    pub(crate) fn partition_mut(&mut self, index: i32) -> Option<&mut Partition> {
        self.partitions.get_mut(usize::try_from(index).ok()?)
    }

    /// The index of each partition with the partition.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (i32, &Partition)> {
        (0..).zip(&self.partitions)
    }
}

/// All topics.
#[derive(Clone, Debug, Default)]
pub(crate) struct Topics {
    by_name: BTreeMap<String, Topic>,
    names: BTreeMap<Uuid, String>,
}

impl Topics {
    pub(crate) fn get(&self, name: &str) -> Option<&Topic> {
        self.by_name.get(name)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Topic> {
        self.by_name.get_mut(name)
    }

    /// The name of the living topic with that id.
    pub(crate) fn name(&self, id: Uuid) -> Option<&str> {
        self.names.get(&id).map(String::as_str)
    }

    pub(crate) fn insert(&mut self, name: &str, topic: Topic) {
        self.names.insert(topic.id, name.to_owned());
        self.by_name.insert(name.to_owned(), topic);
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<Topic> {
        let topic = self.by_name.remove(name)?;
        self.names.remove(&topic.id);
        Some(topic)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Topic)> {
        self.by_name.iter().map(|(name, topic)| (name.as_str(), topic))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Topic)> {
        self.by_name.iter_mut().map(|(name, topic)| (name.as_str(), topic))
    }

    /// The topic that `name` collides with under `.` = `_` (6.2).
    pub(crate) fn collision(&self, name: &str) -> Option<&str> {
        let plain = |name: &str| name.replace('.', "_");
        let mine = plain(name);
        self.by_name.keys().map(String::as_str).find(|other| *other != name && plain(other) == mine)
    }
}

/// Whether the brokers keep it for themselves.
pub(crate) fn is_internal(name: &str) -> bool {
    matches!(name, OFFSETS | TRANSACTIONS | SHARES)
}

/// Whether a topic may have that name (broker-data 2.6).
pub(crate) fn is_valid_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !name.is_empty() && name != "." && name != ".." && name.len() <= 249 && name.chars().all(legal)
}
