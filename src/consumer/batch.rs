//! What one poll brought.

use super::offsets::Offsets;
use super::record::ConsumerRecord;
use super::state::GroupMetadata;
use crate::Error;
use crate::front::shelf::{Hold, News, Origin, Piece, Portion, Shelf};
use klamm_core::client::{GroupMeta, Stamp, TopicPartition};
use klamm_core::record::VerifiedRecords;
use std::fmt;
use std::iter::FusedIterator;
use std::sync::Arc;

/// What one poll brought: at most `max.poll.records` records, grouped by partition, and how the assignment changed before
/// them. Owned: it may go to another thread, and its memory returns when it is dropped.
///
/// In a group a batch holds its partitions: while it lives, none of them is assigned to another member, at most until the
/// rebalance's time is over. The plain loop needs no thought about that, since its batch ends with the turn; who keeps
/// batches for long calls [`PartitionBatch::detach`], or sets `klamm.rebalance.waits.for.batches` to false.
#[doc(alias = "ConsumerRecords")]
pub struct Batch {
    parts: Vec<PartitionBatch>,
    len: usize,
    news: News,
    group: GroupMeta,
}

impl Batch {
    pub(crate) fn new(shelf: &Arc<Shelf>, portions: Vec<Portion>, news: News, group: GroupMeta) -> Self {
        let parts: Vec<_> = portions.into_iter().map(|portion| PartitionBatch::new(shelf, portion)).collect();
        Self { len: parts.iter().map(PartitionBatch::len).sum(), parts, news, group }
    }

    /// How many records there are.
    #[doc(alias = "count")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none: the poll's time was over, or it brought news only.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All records, partition by partition, in order within each. Cannot fail: the poll verified them.
    pub fn iter(&self) -> Records<'_> {
        Records { parts: self.parts.iter(), now: None, left: self.len }
    }

    /// The records of each partition.
    pub fn partitions(&self) -> std::slice::Iter<'_, PartitionBatch> {
        self.parts.iter()
    }

    /// The records of each partition, for workers.
    pub fn into_partitions(self) -> std::vec::IntoIter<PartitionBatch> {
        self.parts.into_iter()
    }

    /// For each partition the offset behind its records: what to commit once they are done.
    #[doc(alias = "nextOffsets")]
    pub fn next_offsets(&self) -> Offsets {
        self.into()
    }

    /// Partitions that are new to this consumer. With `klamm.rebalance.assigned.first` nothing of them was handed out yet,
    /// so that it is time to seek or pause; else their first records may be in this very batch.
    #[doc(alias = "onPartitionsAssigned")]
    pub fn assigned(&self) -> &[TopicPartition] {
        &self.news.assigned
    }

    /// Partitions that the group takes away: finish what is in hand, commit, drop their batches. They are let go when all
    /// batches with their records are dropped and the next poll begins.
    #[doc(alias = "onPartitionsRevoked")]
    pub fn revoking(&self) -> &[TopicPartition] {
        &self.news.revoking
    }

    /// Partitions that are gone: nothing of them can be committed any more, another member may have them.
    #[doc(alias = "onPartitionsLost")]
    pub fn lost(&self) -> &[TopicPartition] {
        &self.news.lost
    }

    /// Why partitions in [`lost`](Self::lost) are: `GroupLost` with what to do about it, or `Fenced`.
    pub fn lost_because(&self) -> Option<&Error> {
        self.news.why.as_ref().filter(|_| !self.news.lost.is_empty())
    }

    /// The membership under which the records were read, as transactions need it (KIP-447); `None` without a group.
    #[doc(alias = "groupMetadata")]
    pub fn group_metadata(&self) -> Option<GroupMetadata> {
        GroupMetadata::new(&self.group)
    }
}

/// A place in a partition under one assignment and position.
pub(crate) type Stamped = (Arc<TopicPartition>, Stamp, i64);

impl Batch {
    /// Where its partitions' records begin.
    pub(crate) fn beginnings(&self) -> Vec<Stamped> {
        let begin = |part: &PartitionBatch| {
            let first = part.iter().next()?;
            Some((part.origin.tp.clone(), part.origin.stamp, first.offset()))
        };
        self.parts.iter().filter_map(begin).collect()
    }
}

impl<'b> IntoIterator for &'b Batch {
    type Item = ConsumerRecord<'b>;
    type IntoIter = Records<'b>;
    fn into_iter(self) -> Records<'b> {
        self.iter()
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("len", &self.len)
            .field("partitions", &self.parts)
            .field("news", &self.news)
            .finish()
    }
}

/// The records of one partition in a [`Batch`].
pub struct PartitionBatch {
    origin: Origin,
    pieces: Vec<Piece>,
    next: (i64, i32),
    high_watermark: i64,
    len: usize,
    hold: Option<Hold>,
}

impl PartitionBatch {
    pub(crate) fn new(shelf: &Arc<Shelf>, portion: Portion) -> Self {
        let hold = portion.hold.map(|id| Hold::new(shelf.clone(), portion.ix, portion.tenure, id));
        Self {
            len: portion.pieces.iter().map(|piece| piece.count as usize).sum(),
            origin: Origin { tp: portion.tp, stamp: portion.stamp },
            pieces: portion.pieces,
            next: portion.next,
            high_watermark: portion.high_watermark,
            hold,
        }
    }

    /// One without records.
    pub(crate) fn empty(tp: &Arc<TopicPartition>, position: Option<i64>) -> Self {
        let origin = Origin { tp: tp.clone(), stamp: klamm_core::client::Stamp::default() };
        let next = (position.unwrap_or(-1), -1);
        Self { origin, pieces: Vec::new(), next, high_watermark: -1, len: 0, hold: None }
    }

    /// Of which partition.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.origin.tp
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its records, in order.
    pub fn iter(&self) -> Records<'_> {
        let now = Some(Walk::new(self.pieces.iter()));
        Records { parts: [].iter(), now, left: self.len }
    }

    /// The offset behind its records: what to commit once they are done.
    pub fn next_offset(&self) -> i64 {
        self.next.0
    }

    /// The end of the partition as of the last answer; `None` if the answer did not tell.
    pub fn high_watermark(&self) -> Option<i64> {
        (self.high_watermark >= 0).then_some(self.high_watermark)
    }

    /// Keeps the records and lets the partition go: a rebalance does not wait for this batch any more, and automatic
    /// commits take it for done with the next poll.
    pub fn detach(&mut self) {
        self.hold = None;
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(crate) fn next(&self) -> (i64, i32) {
        self.next
    }
}

impl<'b> IntoIterator for &'b PartitionBatch {
    type Item = ConsumerRecord<'b>;
    type IntoIter = Records<'b>;
    fn into_iter(self) -> Records<'b> {
        self.iter()
    }
}

impl fmt::Debug for PartitionBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tp = &self.origin.tp;
        f.debug_struct("PartitionBatch")
            .field("partition", &format_args!("{tp}"))
            .field("len", &self.len)
            .field("next_offset", &self.next.0)
            .finish_non_exhaustive()
    }
}

/// The way through one partition's pieces.
#[derive(Clone, Debug)]
pub(super) struct Walk<'b> {
    pieces: std::slice::Iter<'b, Piece>,
    now: Option<(&'b Piece, VerifiedRecords<'b>)>,
}

impl<'b> Walk<'b> {
    pub(super) fn new(pieces: std::slice::Iter<'b, Piece>) -> Self {
        Self { pieces, now: None }
    }

    #[inline]
    fn next(&mut self) -> Option<ConsumerRecord<'b>> {
        loop {
            if let Some((piece, records)) = &mut self.now {
                let at = VerifiedRecords::position(records);
                if let Some(view) = records.next() {
                    return Some(ConsumerRecord::new(view, at, &piece.source));
                }
            }
            let piece = self.pieces.next()?;
            self.now = Some((piece, piece.records()));
        }
    }
}

impl<'b> Iterator for Walk<'b> {
    type Item = ConsumerRecord<'b>;

    #[inline]
    fn next(&mut self) -> Option<ConsumerRecord<'b>> {
        Walk::next(self)
    }
}

/// The records of a batch, one after the other.
#[derive(Clone, Debug)]
pub struct Records<'b> {
    parts: std::slice::Iter<'b, PartitionBatch>,
    now: Option<Walk<'b>>,
    left: usize,
}

impl<'b> Iterator for Records<'b> {
    type Item = ConsumerRecord<'b>;

    #[inline]
    fn next(&mut self) -> Option<ConsumerRecord<'b>> {
        loop {
            if let Some(record) = self.now.as_mut().and_then(Walk::next) {
                self.left = self.left.saturating_sub(1);
                return Some(record);
            }
            let part = self.parts.next()?;
            self.now = Some(Walk::new(part.pieces.iter()));
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Records<'_> {}
impl FusedIterator for Records<'_> {}
