//! One assigned partition on the shelf: its chunks, its cursors, and what keeps it from being handed out.

use super::acks::Acks;
use super::chunk::Shelved;
use super::lent::Cursor;
use super::wait::Waiter;
use klamm_core::client::{SeekTo, Stamp, TopicPartition};
use klamm_core::{PartitionIx, Time};
use std::collections::VecDeque;
use std::sync::Arc;

/// A position: the next offset, and the leader epoch of the record before it (-1: not known).
pub(crate) type Place = (i64, i32);

/// Whose a partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// Ours.
    Ours,
    /// The group takes it away: nothing more is handed out.
    Revoking {
        /// To answer with.
        token: u64,
        /// A poll has told the application.
        told: bool,
        /// The application has come back since, or was never told: nothing of it is in hand but what batches hold.
        passed: bool,
        /// The core was told.
        released: bool,
    },
    /// The application dropped it; the core still has to hear its cursors.
    Dropped,
}

/// Who reads a partition.
#[derive(Debug)]
pub(crate) enum Reader {
    /// The consumer's own polls.
    Main,
    /// Nobody yet: `Partitions::next` gives it out, not before this time.
    Waiting(Time),
    /// A `PartitionStream`.
    Stream(Waiter),
}

/// A batch in the application's hands.
#[derive(Debug)]
struct InHand {
    id: u64,
    from: Place,
    alive: bool,
}

/// One assigned partition.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) ix: PartitionIx,
    pub(crate) tp: Arc<TopicPartition>,
    pub(crate) stamp: Stamp,
    /// The number of this ownership, by which batches and streams know it.
    pub(crate) tenure: u64,
    pub(crate) ownership: Ownership,
    pub(crate) paused: bool,
    pub(crate) reader: Reader,
    pub(crate) queue: VecDeque<Box<Shelved>>,
    /// A reader has the front chunk.
    pub(crate) out: bool,
    /// It stands in the line of lanes with something to hand out.
    pub(crate) queued: bool,
    delivered: Option<Place>,
    done: Option<Place>,
    /// A reader of single records moves these two on by itself.
    lent: Option<Arc<Cursor>>,
    /// Where a seek goes whose end the core has not told yet.
    pub(crate) seeking: Option<SeekTo>,
    pub(crate) acks: Option<Acks>,
    in_hand: VecDeque<InHand>,
    pub(crate) high_watermark: i64,
    pub(crate) last_stable: i64,
    pub(crate) log_start: i64,
}

impl Lane {
    pub(crate) fn new(ix: PartitionIx, tp: TopicPartition, stamp: Stamp, tenure: u64, acked: bool) -> Self {
        Self {
            ix,
            tp: Arc::new(tp),
            stamp,
            tenure,
            ownership: Ownership::Ours,
            paused: false,
            reader: Reader::Main,
            queue: VecDeque::new(),
            out: false,
            queued: false,
            delivered: None,
            done: None,
            lent: None,
            seeking: None,
            acks: acked.then(Acks::default),
            in_hand: VecDeque::new(),
            high_watermark: -1,
            last_stable: -1,
            log_start: -1,
        }
    }

    /// The position that the application sees.
    pub(crate) fn delivered(&self) -> Option<Place> {
        self.lent.as_ref().map_or(self.delivered, |cursor| Some(cursor.delivered()))
    }

    /// The position that may be committed without being asked for (contracts A13).
    pub(crate) fn done(&self) -> Option<Place> {
        self.lent.as_ref().and_then(|cursor| cursor.done()).or(self.done)
    }

    /// An acknowledgement moved the position that may be committed.
    pub(crate) fn acked(&mut self) {
        self.done = self.acks.as_ref().and_then(Acks::point).or(self.done);
    }

    /// Lends the batch in front to a reader of single records, if that changes nothing for anybody else.
    pub(super) fn lend(&mut self) -> Option<(Box<Shelved>, Arc<Cursor>)> {
        let worth = self.queue.front().is_some_and(|chunk| chunk.verified() > 1 && chunk.origin.stamp == self.stamp);
        if !worth || !self.is_ready() || self.acks.is_some() || !self.in_hand.is_empty() {
            return None;
        }
        let cursor = Cursor::at(self.delivered?);
        let chunk = self.queue.pop_front()?;
        self.out = true;
        self.lent = Some(cursor.clone());
        Some((chunk, cursor))
    }

    /// A lent batch comes back: how far it was read counts, unless the partition was placed elsewhere meanwhile.
    pub(super) fn settle(&mut self, cursor: &Arc<Cursor>) {
        if self.lent.as_ref().is_some_and(|lent| Arc::ptr_eq(lent, cursor)) {
            self.delivered = self.delivered();
            self.done = self.done();
            self.lent = None;
        }
    }

    /// Whether something of it may be handed out, if there is something.
    pub(crate) fn is_open(&self) -> bool {
        self.ownership == Ownership::Ours && !self.paused
    }

    /// Whether a reader finds something.
    pub(crate) fn has_data(&self) -> bool {
        !self.out && !self.queue.is_empty()
    }

    /// Whether a main poll finds something.
    pub(crate) fn is_ready(&self) -> bool {
        self.is_open() && self.has_data() && matches!(self.reader, Reader::Main)
    }

    /// Whether the application still counts it as assigned.
    pub(crate) fn is_assigned(&self) -> bool {
        self.ownership != Ownership::Dropped
    }

    /// The application moves it. What was fetched before is not for it any more: the caller drops it without a lock.
    pub(crate) fn seek(&mut self, to: SeekTo) -> VecDeque<Box<Shelved>> {
        self.stamp.seek = self.stamp.seek.wrapping_add(1);
        self.seeking = Some(to);
        match to {
            SeekTo::Offset { offset, leader_epoch } => self.place((offset, leader_epoch)),
            _ => {
                self.lent = None;
                self.delivered = None;
                self.done = None;
                self.restart((-1, -1));
            }
        }
        self.clear()
    }

    /// The application sought before the partition was assigned.
    pub(crate) fn sought(&mut self, seek: u32, to: SeekTo) {
        self.stamp.seek = seek;
        self.seeking = Some(to);
        if let SeekTo::Offset { offset, leader_epoch } = to {
            self.place((offset, leader_epoch));
        }
    }

    /// The core has a position, or another stamp. Gives what is no longer valid.
    pub(crate) fn positioned(&mut self, stamp: Stamp, place: Place) -> VecDeque<Box<Shelved>> {
        let renewed = stamp.assign != self.stamp.assign;
        self.stamp.assign = stamp.assign;
        if ahead(self.stamp.seek, stamp.seek) {
            // The application sought meanwhile; the answer to that comes.
            return if renewed { self.clear() } else { VecDeque::new() };
        }
        let same = !renewed && stamp.seek == self.stamp.seek;
        self.stamp.seek = stamp.seek;
        if same && self.seeking.is_none() && self.delivered.is_some() {
            return VecDeque::new();
        }
        self.seeking = None;
        self.place(place);
        if same { VecDeque::new() } else { self.clear() }
    }

    fn place(&mut self, place: Place) {
        self.lent = None;
        self.delivered = Some(place);
        self.done = Some(place);
        self.restart(place);
    }

    fn restart(&mut self, place: Place) {
        self.in_hand.clear();
        if let Some(acks) = &mut self.acks {
            acks.restart(place);
        }
    }

    /// Empties it.
    pub(crate) fn clear(&mut self) -> VecDeque<Box<Shelved>> {
        std::mem::take(&mut self.queue)
    }

    /// Records up to `place` were handed out, from `from` on; `id`: in a batch that holds the partition.
    pub(crate) fn hand_out(&mut self, from: Place, place: Place, id: Option<u64>) {
        self.delivered = Some(place);
        if let Some(id) = id {
            self.in_hand.push_back(InHand { id, from, alive: true });
        }
    }

    /// A batch was dropped.
    pub(crate) fn let_go(&mut self, id: u64) {
        if let Some(one) = self.in_hand.iter_mut().find(|one| one.id == id) {
            one.alive = false;
        }
        while self.in_hand.front().is_some_and(|one| !one.alive) {
            self.in_hand.pop_front();
        }
    }

    /// How many batches the application holds.
    pub(crate) fn held(&self) -> usize {
        self.in_hand.iter().filter(|one| one.alive).count()
    }

    /// The application came back for more: what it got before is done, but for batches that it still holds.
    pub(crate) fn came_back(&mut self) {
        self.done = match (&self.acks, self.in_hand.front()) {
            (Some(acks), _) => acks.point().or(self.done),
            (None, Some(first)) => Some(first.from),
            (None, None) => self.delivered(),
        };
        if let Ownership::Revoking { told: true, passed, .. } = &mut self.ownership {
            *passed = true;
        }
    }

    /// What a commit of everything consumed commits.
    pub(crate) fn consumed(&self) -> Option<Place> {
        match &self.acks {
            Some(acks) => acks.point().or(self.done),
            None => self.delivered(),
        }
    }

    /// The lag behind the end of what this consumer may see.
    pub(crate) fn lag(&self, committed_only: bool) -> Option<i64> {
        let end = if committed_only { self.last_stable } else { self.high_watermark };
        let (position, _) = self.delivered()?;
        (end >= 0).then(|| (end - position).max(0))
    }

    /// Bytes that wait here.
    pub(crate) fn buffered(&self) -> u64 {
        self.queue.iter().map(|chunk| chunk.bytes()).sum()
    }
}

/// Whether the count `a` was reached after `b`.
fn ahead(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) < u32::MAX / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane() -> Lane {
        let tp = TopicPartition { topic: "t".into(), partition: 0 };
        let mut lane = Lane::new(PartitionIx(1), tp, Stamp { assign: 1, seek: 0 }, 1, false);
        lane.positioned(Stamp { assign: 1, seek: 0 }, (10, -1));
        lane
    }

    #[test]
    fn done_follows_delivered_one_poll_behind() {
        let mut lane = lane();
        lane.hand_out((10, -1), (15, 3), None);
        assert_eq!((lane.delivered(), lane.done()), (Some((15, 3)), Some((10, -1))));
        lane.came_back();
        assert_eq!(lane.done, Some((15, 3)));
    }

    #[test]
    fn what_a_batch_still_holds_is_not_done() {
        let mut lane = lane();
        lane.hand_out((10, -1), (15, 1), Some(1));
        lane.hand_out((15, 1), (20, 1), Some(2));
        lane.let_go(2);
        lane.came_back();
        assert_eq!((lane.done, lane.held()), (Some((10, -1)), 1));
        lane.let_go(1);
        lane.came_back();
        assert_eq!((lane.done, lane.held()), (Some((20, 1)), 0));
    }

    #[test]
    fn a_late_position_does_not_undo_a_seek() {
        let mut lane = lane();
        lane.seek(SeekTo::Offset { offset: 99, leader_epoch: -1 });
        lane.positioned(Stamp { assign: 1, seek: 0 }, (11, -1));
        assert_eq!(lane.delivered, Some((99, -1)));
        lane.positioned(Stamp { assign: 2, seek: 0 }, (12, -1));
        assert_eq!((lane.delivered, lane.stamp), (Some((99, -1)), Stamp { assign: 2, seek: 1 }));
        lane.positioned(Stamp { assign: 2, seek: 1 }, (99, -1));
        assert_eq!(lane.seeking, None);
    }

    #[test]
    fn a_seek_of_the_core_is_adopted() {
        let mut lane = lane();
        lane.positioned(Stamp { assign: 1, seek: 7 }, (50, 2));
        assert_eq!((lane.stamp.seek, lane.delivered, lane.done), (7, Some((50, 2)), Some((50, 2))));
    }

    #[test]
    fn the_same_position_told_twice_moves_nothing() {
        let mut lane = lane();
        lane.hand_out((10, -1), (15, 3), None);
        lane.positioned(Stamp { assign: 1, seek: 0 }, (10, -1));
        assert_eq!(lane.delivered, Some((15, 3)));
    }
}
