//! What a consumer tells about itself.

use crate::front::shelf::Report;
use klamm_core::client::{CloseConsumer, GroupMeta, TopicPartition};
use std::fmt;
use std::sync::Arc;

/// The membership in a group, as transactions need it (KIP-447).
#[derive(Clone, Debug, PartialEq, Eq)]
#[doc(alias = "ConsumerGroupMetadata")]
pub struct GroupMetadata {
    group: Arc<str>,
    generation: i32,
    member: Arc<str>,
    instance: Option<Arc<str>>,
}

impl GroupMetadata {
    pub(crate) fn new(meta: &GroupMeta) -> Option<Self> {
        if meta.group.is_empty() {
            return None;
        }
        let GroupMeta { group, generation, member, instance } = meta.clone();
        Some(Self { group, generation, member, instance })
    }
    /// A group that this program is no member of, as for offsets of partitions that were assigned by hand. Nothing is
    /// fenced then.
    pub fn outside(group: &str) -> Self {
        Self { group: group.into(), generation: -1, member: "".into(), instance: None }
    }

    pub(crate) fn meta(&self) -> GroupMeta {
        let Self { group, generation, member, instance } = self.clone();
        GroupMeta { group, generation, member, instance }
    }

    /// The group's id.
    pub fn group_id(&self) -> &str {
        &self.group
    }
    /// The generation; -1 outside of one.
    pub fn generation_id(&self) -> i32 {
        self.generation
    }
    /// The member's id; empty outside of a generation.
    pub fn member_id(&self) -> &str {
        &self.member
    }
    /// The name of a static member (KIP-345).
    pub fn group_instance_id(&self) -> Option<&str> {
        self.instance.as_deref()
    }
}

/// How a consumer ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CloseOptions {
    leave: Option<bool>,
    no_commit: bool,
}

impl CloseOptions {
    /// As [`Consumer::close`](crate::Consumer::close) does: commits as configured; a dynamic member leaves, a static one
    /// stays.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stays in the group until the session ends, so that a restart finds its partitions again (KIP-1092).
    #[must_use]
    pub fn remain_in_group(self) -> Self {
        Self { leave: Some(false), ..self }
    }

    /// Leaves the group at once, as a static member too.
    #[must_use]
    pub fn leave_group(self) -> Self {
        Self { leave: Some(true), ..self }
    }

    /// Commits nothing.
    #[must_use]
    pub fn without_commit(self) -> Self {
        Self { no_commit: true, ..self }
    }

    pub(crate) fn apply(self, usual: CloseConsumer) -> CloseConsumer {
        CloseConsumer { commit: usual.commit && !self.no_commit, leave: self.leave.or(usual.leave) }
    }
}

/// How one partition of a consumer stands. Its text says why it moves or does not.
#[derive(Clone, Debug)]
pub struct PartitionState(Report);

impl PartitionState {
    /// Which.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.0.tp
    }
    /// The next offset that the application gets; `None` while it is looked up.
    pub fn position(&self) -> Option<i64> {
        self.0.position
    }
    /// How many records it is behind, as of the last answer.
    pub fn lag(&self) -> Option<i64> {
        self.0.lag
    }
    /// Bytes that were fetched and wait for a poll.
    pub fn buffered_bytes(&self) -> u64 {
        self.0.buffered
    }
    /// Whether the application paused it.
    pub fn is_paused(&self) -> bool {
        self.0.paused
    }
    /// Whether the group takes it away.
    pub fn is_revoking(&self) -> bool {
        self.0.revoking
    }
    /// How many batches of it the application holds.
    pub fn held_batches(&self) -> usize {
        self.0.batches
    }
}

impl fmt::Display for PartitionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { tp, position, lag, buffered, .. } = &self.0;
        write!(f, "{tp}: ")?;
        match position {
            Some(offset) => write!(f, "at {offset}")?,
            None if self.0.seeking => f.write_str("seeking")?,
            None => f.write_str("looking for its position")?,
        }
        if let Some(lag) = lag {
            write!(f, ", {lag} behind")?;
        }
        if *buffered > 0 {
            write!(f, ", {buffered} bytes wait for a poll")?;
        }
        if self.0.paused {
            f.write_str(", paused")?;
        }
        if self.0.unseen {
            f.write_str(", not fetched before the next poll begins")?;
        }
        match (self.0.revoking, self.0.released, self.0.batches) {
            (false, ..) => Ok(()),
            (true, true, _) => f.write_str(", let go"),
            (true, false, 0) => f.write_str(", being revoked: waits for the next poll"),
            (true, false, n) => write!(f, ", being revoked: waits until {n} batches are dropped"),
        }
    }
}

/// How a consumer stands, partition by partition. Its text says why each does or does not move.
#[derive(Clone, Debug)]
pub struct ConsumerState {
    group: Option<GroupMetadata>,
    partitions: Vec<PartitionState>,
}

impl ConsumerState {
    pub(crate) fn new(group: &GroupMeta, reports: Vec<Report>) -> Self {
        Self { group: GroupMetadata::new(group), partitions: reports.into_iter().map(PartitionState).collect() }
    }
    /// The membership.
    pub fn group(&self) -> Option<&GroupMetadata> {
        self.group.as_ref()
    }
    /// The partitions.
    pub fn partitions(&self) -> &[PartitionState] {
        &self.partitions
    }
}

impl fmt::Display for ConsumerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.group {
            Some(group) if group.generation >= 0 => {
                writeln!(f, "group {}, generation {}, member {}", group.group, group.generation, group.member)?;
            }
            Some(group) => writeln!(f, "group {}, outside of a generation", group.group)?,
            None => writeln!(f, "without a group")?,
        }
        if self.partitions.is_empty() {
            return f.write_str("no partitions");
        }
        for (n, partition) in self.partitions.iter().enumerate() {
            write!(f, "{}{partition}", if n == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}
