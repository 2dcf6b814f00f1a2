//! Offsets to commit and positions to seek to.

use super::batch::{Batch, PartitionBatch};
use super::record::RecordId;
use crate::Timestamp;
use crate::front::shelf::Entry;
use klamm_core::client::{CommitOffset, SeekTo, Stamp, TopicPartition};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// One place in a partition: the next offset to read, and the leader epoch of the record before it, by which a truncated
/// log is noticed (KIP-320).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "OffsetAndMetadata")]
pub struct Position {
    offset: i64,
    leader_epoch: i32,
}

impl Position {
    /// The record at this offset is the next one.
    pub fn new(offset: i64) -> Self {
        Self { offset, leader_epoch: -1 }
    }

    /// The record before has this leader epoch.
    #[must_use]
    pub fn leader_epoch(self, epoch: i32) -> Self {
        Self { leader_epoch: epoch, ..self }
    }

    /// The next offset to read.
    pub fn offset(&self) -> i64 {
        self.offset
    }

    pub(crate) fn target(self) -> SeekTo {
        SeekTo::Offset { offset: self.offset, leader_epoch: self.leader_epoch }
    }
}

impl From<i64> for Position {
    fn from(offset: i64) -> Self {
        Self::new(offset)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct At {
    position: Position,
    metadata: Arc<str>,
    stamp: Option<Stamp>,
}

/// The next offset to read, for any number of partitions: what is committed. Whatever comes from a batch or a record
/// already says "behind it": nobody adds one.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Offsets(BTreeMap<TopicPartition, At>);

impl Offsets {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Behind this record.
    pub fn after(record: impl Into<RecordId>) -> Self {
        let id = record.into();
        let position = Position { offset: id.offset.saturating_add(1), leader_epoch: id.leader_epoch };
        let at = At { position, metadata: "".into(), stamp: Some(id.stamp) };
        Self([((*id.tp).clone(), at)].into())
    }

    /// The same with one more partition, or with another position for it.
    #[must_use]
    pub fn with(mut self, partition: impl Into<TopicPartition>, position: impl Into<Position>) -> Self {
        self.0.insert(partition.into(), At { position: position.into(), metadata: "".into(), stamp: None });
        self
    }

    /// The same with a text that is stored beside all of them.
    #[must_use]
    pub fn metadata(mut self, text: &str) -> Self {
        let text: Arc<str> = text.into();
        self.0.values_mut().for_each(|at| at.metadata = text.clone());
        self
    }

    /// The next offset to read of a partition.
    pub fn get(&self, partition: impl Into<TopicPartition>) -> Option<i64> {
        self.0.get(&partition.into()).map(|at| at.position.offset)
    }

    /// The position in a partition, for a seek.
    pub fn position(&self, partition: impl Into<TopicPartition>) -> Option<Position> {
        self.0.get(&partition.into()).map(|at| at.position)
    }

    /// The text that is stored beside a partition's offset.
    pub fn metadata_of(&self, partition: impl Into<TopicPartition>) -> Option<&str> {
        self.0.get(&partition.into()).map(|at| &*at.metadata)
    }

    /// Each partition with its next offset.
    pub fn iter(&self) -> impl Iterator<Item = (&TopicPartition, i64)> {
        self.0.iter().map(|(tp, at)| (tp, at.position.offset))
    }

    /// How many partitions there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the other's partitions too; where both have one, the higher offset counts.
    pub fn merge(&mut self, other: impl Into<Self>) {
        for (tp, at) in other.into().0 {
            match self.0.entry(tp) {
                std::collections::btree_map::Entry::Vacant(place) => drop(place.insert(at)),
                std::collections::btree_map::Entry::Occupied(mut place) => {
                    if at.position.offset >= place.get().position.offset {
                        place.insert(at);
                    }
                }
            }
        }
    }

    pub(crate) fn entries(self) -> Vec<Entry> {
        let entry = |(tp, at): (TopicPartition, At)| {
            let Position { offset, leader_epoch } = at.position;
            (tp, at.stamp, CommitOffset { offset, leader_epoch, metadata: at.metadata })
        };
        self.0.into_iter().map(entry).collect()
    }

    pub(crate) fn committed(answer: Vec<(TopicPartition, Option<CommitOffset>)>) -> Self {
        let at = |(tp, commit): (TopicPartition, Option<CommitOffset>)| {
            let CommitOffset { offset, leader_epoch, metadata } = commit?;
            Some((tp, At { position: Position { offset, leader_epoch }, metadata, stamp: None }))
        };
        Self(answer.into_iter().filter_map(at).collect())
    }

    fn add(&mut self, part: &PartitionBatch) {
        let (offset, leader_epoch) = part.next();
        if part.is_empty() {
            return;
        }
        let position = Position { offset, leader_epoch };
        let origin = part.origin();
        let at = At { position, metadata: "".into(), stamp: Some(origin.stamp) };
        self.0.insert((*origin.tp).clone(), at);
    }
}

impl From<&Batch> for Offsets {
    fn from(batch: &Batch) -> Self {
        let mut all = Self::default();
        batch.partitions().for_each(|part| all.add(part));
        all
    }
}

impl From<&PartitionBatch> for Offsets {
    fn from(part: &PartitionBatch) -> Self {
        let mut all = Self::default();
        all.add(part);
        all
    }
}

impl From<&Offsets> for Offsets {
    fn from(offsets: &Offsets) -> Self {
        offsets.clone()
    }
}

impl<T: Into<TopicPartition>, P: Into<Position>> FromIterator<(T, P)> for Offsets {
    fn from_iter<I: IntoIterator<Item = (T, P)>>(all: I) -> Self {
        all.into_iter().fold(Self::new(), |offsets, (tp, position)| offsets.with(tp, position))
    }
}

impl fmt::Debug for Offsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = |(tp, offset): (&TopicPartition, i64)| (tp.to_string(), offset);
        f.debug_map().entries(self.iter().map(entry)).finish()
    }
}

/// The first record that is not older than some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetAndTimestamp {
    offset: i64,
    timestamp: Timestamp,
    leader_epoch: i32,
}

impl OffsetAndTimestamp {
    pub(crate) fn new(offset: i64, timestamp: Timestamp, leader_epoch: i32) -> Self {
        Self { offset, timestamp, leader_epoch }
    }
    /// Its offset.
    pub fn offset(&self) -> i64 {
        self.offset
    }
    /// Its timestamp.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }
    /// Its place, for a seek.
    pub fn position(&self) -> Position {
        // A record's own epoch is no proof of what comes before it.
        Position::new(self.offset)
    }
    /// The epoch of its leader, if the broker told it.
    pub fn leader_epoch(&self) -> Option<i32> {
        (self.leader_epoch >= 0).then_some(self.leader_epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_offsets_of_a_partition_the_higher_one_counts() {
        let mut offsets = Offsets::new().with(("t", 0), 5).with(("t", 1), 5);
        offsets.merge(Offsets::new().with(("t", 0), 4).with(("t", 1), Position::new(6).leader_epoch(2)));
        assert_eq!((offsets.get(("t", 0)), offsets.get(("t", 1)), offsets.get(("t", 2))), (Some(5), Some(6), None));
    }
}
