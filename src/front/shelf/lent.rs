//! A verified batch that a reader of single records has for itself: it takes one after the other without the lock.
//!
//! Its chunk is checked out as during a poll, and the lane shows how far it was read. As soon as anybody else works on the
//! shelf (an answer arrives, a seek, a pause, a rebalance, a commit), the next call goes the long way: it brings the chunk
//! back first, so whatever counts there counts before any further record.

use super::chunk::{Source, Tools};
use super::lane::{Ownership, Place};
use super::take::CheckedOut;
use super::{Shelf, State, Trash};
use crate::front::sync::atomic::{AtomicI64, Ordering};
use crate::front::yield_point;
use klamm_core::PartitionIx;
use std::sync::Arc;

/// No record of the lent batch was handed out.
const UNMOVED: i64 = i64::MIN;

/// How far a lent batch was read; its reader writes, the driver reads.
#[derive(Debug)]
pub(super) struct Cursor {
    delivered: AtomicI64,
    /// Behind the records before the last one, or [`UNMOVED`].
    done: AtomicI64,
    leader_epoch: i32,
}

impl Cursor {
    /// Of a batch of which the application has records up to `place`.
    pub(super) fn at((offset, leader_epoch): Place) -> Arc<Self> {
        Arc::new(Self { delivered: AtomicI64::new(offset), done: AtomicI64::new(UNMOVED), leader_epoch })
    }

    /// The application asked for the record in front of `next`: with those before it is done.
    #[inline]
    fn move_to(&self, next: i64) {
        self.done.store(self.delivered.load(Ordering::Relaxed), Ordering::Relaxed);
        self.delivered.store(next, Ordering::Release);
    }

    /// The position that the application sees.
    pub(super) fn delivered(&self) -> Place {
        (self.delivered.load(Ordering::Acquire), self.leader_epoch)
    }

    /// The position that may be committed; `None`: where it was when the batch was lent.
    pub(super) fn done(&self) -> Option<Place> {
        Some(self.done.load(Ordering::Relaxed)).filter(|at| *at != UNMOVED).map(|at| (at, self.leader_epoch))
    }
}

/// The reader's side.
#[derive(Debug)]
pub(super) struct Lent {
    out: CheckedOut,
    cursor: Arc<Cursor>,
    touched: u64,
}

impl Tools {
    /// The next record of the lent batch: what it is read from, where it begins, its offset. `None`: take the long way.
    #[inline]
    pub(crate) fn next(&mut self, shelf: &Shelf) -> Option<(Arc<Source>, usize, i64)> {
        let lent = self.lent.as_mut()?;
        if shelf.touched.load(Ordering::Acquire) != lent.touched {
            return None;
        }
        yield_point();
        let record = lent.out.chunk.next_but_last()?;
        lent.cursor.move_to(record.2.saturating_add(1));
        // Counts towards `max.poll.interval.ms`, which is minutes.
        shelf.handed.store(shelf.front.clock.coarse().0, Ordering::Relaxed);
        Some(record)
    }
}

impl Shelf {
    /// Its reader goes, or reads otherwise.
    pub(crate) fn bring_back(&self, tools: &mut Tools) {
        if let Some(lent) = tools.lent.take() {
            self.with(|state, trash| state.take_back(self, lent, trash));
        }
    }
}

impl State {
    /// Lends the batch that a poll of one record took from, if what comes before any record leaves that open.
    pub(super) fn lend(&mut self, shelf: &Shelf, ix: PartitionIx) -> Option<Lent> {
        if !self.watched.is_empty() || !self.errors.is_empty() || self.wakeup || self.closed || self.dead.is_some() {
            return None;
        }
        let lane = self.lanes.get_mut(&ix)?;
        let (chunk, cursor) = lane.lend()?;
        let out = CheckedOut { ix, tenure: lane.tenure, chunk };
        self.moved.push(ix);
        Some(Lent { out, cursor, touched: shelf.touched.load(Ordering::Relaxed) })
    }

    /// Takes a lent batch back.
    pub(super) fn take_back(&mut self, shelf: &Shelf, lent: Lent, trash: &mut Trash) {
        let Lent { out: CheckedOut { ix, tenure, chunk }, cursor, .. } = lent;
        let Some(lane) = self.lanes.get_mut(&ix).filter(|lane| lane.tenure == tenure) else {
            trash.chunks.push([chunk].into());
            return;
        };
        lane.out = false;
        lane.settle(&cursor);
        if lane.stamp == chunk.origin.stamp && lane.ownership == Ownership::Ours {
            lane.queue.push_front(chunk);
        } else {
            trash.chunks.push([chunk].into());
        }
        self.moved.push(ix);
        self.offer(ix, trash);
        self.release(shelf, ix);
    }
}
