//! The cluster as this client knows it: an immutable snapshot that all roles share.

use crate::wire::Uuid;
use crate::{BrokerId, ErrorCode, PartitionIx, Timestamp, TopicIx};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where a broker listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub id: BrokerId,
    /// Its advertised host.
    pub host: Arc<str>,
    /// Its advertised port.
    pub port: u16,
    /// Its rack.
    pub rack: Option<Arc<str>>,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionView {
    /// Its index.
    pub ix: PartitionIx,
    /// Its number.
    pub number: i32,
    /// Who leads it; `None` during an election.
    pub leader: Option<BrokerId>,
    /// The leader's epoch; -1 if the broker does not tell (Metadata before v7) .
    pub leader_epoch: i32,
    /// All replicas, the preferred one first.
    pub replicas: Vec<BrokerId>,
    /// The replicas in sync.
    pub isr: Vec<BrokerId>,
    /// The replicas that are offline.
    pub offline: Vec<BrokerId>,
    /// What the broker says of it.
    pub error: ErrorCode,
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicView {
    /// Its index.
    pub ix: TopicIx,
    /// Its name.
    pub name: Arc<str>,
    /// Its id; zero if the broker does not tell (Metadata before v10).
    pub id: Uuid,
    /// One more after each recreation under this name.
    pub incarnation: u32,
    /// Kafka's own.
    pub internal: bool,
    /// The last answer named an error or left the topic out: what stands here is the last good state (contracts A17).
    pub doubt: Option<ErrorCode>,
    /// By number; a number without an entry is unknown.
    pub partitions: Vec<PartitionView>,
}

impl TopicView {
    /// A partition by its number.
    pub fn partition(&self, number: i32) -> Option<&PartitionView> {
        self.partitions.get(usize::try_from(number).ok()?)
    }
}

/// The snapshot.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// One more with every merge.
    pub version: u64,
    /// How many answers so far listed every topic of the cluster.
    pub listings: u64,
    /// The cluster's id.
    pub cluster_id: Option<Arc<str>>,
    /// Whom brokers name as controller (with KRaft: any broker that forwards).
    pub controller: Option<BrokerId>,
    /// The brokers.
    pub brokers: BTreeMap<BrokerId, Node>,
    /// The topics.
    pub topics: BTreeMap<TopicIx, Arc<TopicView>>,
    /// Finalized features (KIP-584) and their epoch.
    pub features: Features,
}

/// Finalized feature levels of the cluster, merged from every connection's ApiVersions answer by epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Features {
    /// -1: no broker told.
    pub epoch: i64,
    /// Level by name.
    pub levels: BTreeMap<Arc<str>, i16>,
}

impl Default for Features {
    fn default() -> Self {
        Self { epoch: -1, levels: BTreeMap::new() }
    }
}

impl View {
    /// A topic.
    pub fn topic(&self, ix: TopicIx) -> Option<&Arc<TopicView>> {
        self.topics.get(&ix)
    }

    /// A partition by its topic and number.
    pub fn partition(&self, (topic, number): (TopicIx, i32)) -> Option<&PartitionView> {
        self.topics.get(&topic)?.partition(number)
    }

    /// Who leads a partition, and its epoch.
    pub fn leader(&self, place: (TopicIx, i32)) -> Option<(BrokerId, i32)> {
        let partition = self.partition(place)?;
        Some((partition.leader?, partition.leader_epoch))
    }
}

/// What changed from one view to the next: handed to every role in the same turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// Topics with any change, new ones included.
    pub topics: Vec<TopicIx>,
    /// Partitions whose leader or leader epoch changed, new ones included.
    pub moved: Vec<PartitionIx>,
    /// Topics that exist anew under an old name.
    pub recreated: Vec<TopicIx>,
    /// Topics that the last answers named an error for.
    pub failed: Vec<(TopicIx, ErrorCode)>,
    /// The set of brokers or an address changed.
    pub brokers: bool,
}

/// Which offset to look up (ListOffsets).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OffsetSpec {
    /// The first.
    Earliest,
    /// Behind the last visible one.
    Latest,
    /// Of the record with the largest timestamp (KIP-734).
    MaxTimestamp,
    /// Of the first record that is not older.
    Timestamp(Timestamp),
}

impl OffsetSpec {
    /// The timestamp that stands for it in ListOffsets.
    pub(crate) fn timestamp(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::MaxTimestamp => -3,
            Self::Timestamp(at) => at.0,
        }
    }
}
