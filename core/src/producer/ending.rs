//! How a partition's batches end otherwise than one by one: a closed window, a split, a deadline, the producer's end.

use super::entry::Entry;
use super::handover::Batch;
use super::queue::Queue;
use super::sequence::{Stamp, advance};
use super::state::State;
use crate::error::Fate;
use crate::{BatchNo, Time};
use std::collections::VecDeque;

impl Queue {
    /// Rule 11 (contracts A3): a stamped batch ended otherwise than written, so its successors' numbers can never follow.
    /// Nothing more goes out under this identity; what is on the wire comes back first.
    pub(crate) fn close_window(&mut self) {
        if self.window.who().is_some() {
            self.state = State::Settling;
        }
    }

    /// What the state becomes when the last answer is in. True: the window is closed and empty, [`reset`](Self::reset) it.
    pub(crate) fn settle(&mut self) -> bool {
        if self.in_flight > 0 {
            return false;
        }
        self.at = None;
        match self.state {
            State::Moving => self.state = State::Probing,
            State::Settling => return true,
            State::Probing | State::Streaming | State::Backoff(_) | State::Resetting => {}
        }
        false
    }

    /// Ends the closed window. Batches that are certainly not written lose their stamps and wait for new ones, in their order;
    /// those that may be written cannot go on and are returned (rules 6 and 11: never under two stamps).
    pub(crate) fn reset(&mut self) -> Vec<Entry> {
        self.state = State::Resetting;
        let (keep, lost): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.entries)
            .into_iter()
            .partition(|e| e.stamp.is_none() || e.fate == Fate::NotWritten);
        self.entries = keep;
        for entry in &mut self.entries {
            entry.stamp = None;
        }
        lost.into()
    }

    /// There is an identity to go on with.
    pub(crate) fn resume(&mut self) {
        if self.state == State::Resetting {
            self.state = self.pause.take().map_or(State::Probing, State::Backoff);
        }
    }

    /// Puts the parts of a batch in its place, in the same step in which it leaves (contracts A24, PR-25). They inherit its
    /// numbers, so the stamps behind stay right (rule 8).
    pub(crate) fn replace(&mut self, at: usize, parts: Vec<Batch>) {
        let Some(parent) = self.entries.remove(at) else { return };
        let more = (parts.len() as u64).saturating_sub(1);
        if parent.stamp.is_some() {
            self.window.insert(more);
            self.entries.range_mut(at..).for_each(|later| later.nth += more);
        }
        let (mut stamp, mut nth) = (parent.stamp, parent.nth);
        for (i, batch) in parts.into_iter().enumerate() {
            let count = batch.count;
            self.entries.insert(at + i, Entry { batch, stamp, nth, sent: None, ..parent.clone() });
            stamp = stamp.map(|s| Stamp { base: advance(s.base, count), ..s });
            nth += 1;
        }
        self.again(None);
    }

    /// A number for a part of a split batch.
    pub(crate) fn child(&mut self) -> BatchNo {
        let no = BatchNo(self.next_child);
        self.next_child += 1;
        no
    }

    /// When the oldest record here or in the front reaches its deadline.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let here = self.entries.iter().map(|e| e.batch.entered).min();
        let oldest = [here, self.left.oldest_entry].into_iter().flatten().min()?;
        Some(oldest + self.terms.delivery_timeout)
    }

    /// Takes out what has reached its deadline. A stamped one closes the window.
    pub(crate) fn expire(&mut self, now: Time) -> Vec<Entry> {
        let timeout = self.terms.delivery_timeout;
        if !self.entries.iter().any(|e| e.batch.entered + timeout <= now) {
            return Vec::new();
        }
        let (gone, keep): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.entries).into_iter().partition(|e| e.batch.entered + timeout <= now);
        self.entries = keep;
        if gone.iter().any(|e| e.stamp.is_some()) {
            self.close_window();
        }
        gone.into()
    }

    /// Takes out what is not under way of the transactions up to `generation`. A stamped one closes the window.
    pub(crate) fn take_unsent(&mut self, generation: u64) -> Vec<Entry> {
        let goes = |e: &Entry| e.sent.is_none() && e.batch.generation <= generation;
        if !self.entries.iter().any(goes) {
            return Vec::new();
        }
        let (gone, keep): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.entries).into_iter().partition(goes);
        self.entries = keep;
        if gone.iter().any(|e| e.stamp.is_some()) {
            self.close_window();
        }
        gone.into()
    }

    /// Takes out everything: the producer ends.
    pub(crate) fn clear(&mut self) -> Vec<Entry> {
        let gone: Vec<_> = std::mem::take(&mut self.entries).into();
        if gone.iter().any(|e| e.stamp.is_some()) {
            self.close_window();
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::batch;
    use super::super::queue::CHILDREN;
    use super::super::queue::tests::{NEXT, UNDER, send, streaming, succeed};
    use super::super::state::Minting;
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_failed_stamped_batch_closes_the_window_and_its_numbers_are_not_used_again() {
        let mut queue = streaming(4);
        for request in 0..3 {
            send(&mut queue, request, UNDER);
        }
        let failed = queue.returned(0, BatchNo(1)).unwrap();
        queue.resolve(failed);
        queue.close_window();
        assert!(!queue.settle(), "two are still on the wire");
        assert_eq!(queue.ready(UNDER), None);
        let doubtful = queue.returned(1, BatchNo(2)).unwrap();
        queue.entry_mut(doubtful).unwrap().fate = Fate::Unknown;
        queue.settle();
        queue.returned(2, BatchNo(3)).unwrap();
        assert!(queue.settle());
        let lost: Vec<u64> = queue.reset().iter().map(|e| e.batch.no.0).collect();
        assert_eq!(lost, [2], "what may be written cannot have two stamps");
        assert_eq!(queue.ready(Minting::Under(NEXT)), None, "until there is an identity");
        queue.resume();
        assert_eq!(send(&mut queue, 5, Minting::Under(NEXT)), Some((3, 0)));
    }

    #[test]
    fn an_expired_batch_on_the_wire_may_be_written_and_holds_the_partition_until_it_is_back() {
        let mut queue = streaming(2);
        send(&mut queue, 0, UNDER);
        let gone = queue.expire(Time(0) + Duration::from_secs(120));
        assert_eq!(gone.iter().map(Entry::possibly_written).collect::<Vec<_>>(), [true, false]);
        assert!(!queue.settle());
        assert_eq!(queue.returned(0, BatchNo(1)), None);
        assert!(queue.settle());
    }

    #[test]
    fn a_batch_that_was_never_stamped_expires_without_consequence() {
        let mut queue = streaming(1);
        queue.expire(Time(0) + Duration::from_secs(120));
        assert!(!queue.settle());
        assert_eq!(queue.state, State::Streaming);
    }

    #[test]
    fn what_is_purged_on_the_wire_holds_the_partition_until_it_is_back_and_ends_the_epoch() {
        let mut queue = streaming(2);
        send(&mut queue, 0, UNDER);
        assert_eq!(queue.clear().iter().map(Entry::possibly_written).collect::<Vec<_>>(), [true, false]);
        assert!(!queue.settle());
        assert_eq!(queue.returned(0, BatchNo(1)), None);
        assert!(queue.settle());
        let mut waits = streaming(1);
        waits.clear();
        assert!(!waits.settle());
        assert_eq!(waits.state, State::Streaming, "nothing of it was ever stamped");
    }

    #[test]
    fn the_parts_of_a_split_batch_stand_in_its_place_with_its_numbers() {
        let mut queue = streaming(2);
        send(&mut queue, 0, UNDER);
        send(&mut queue, 1, UNDER);
        let at = queue.returned(0, BatchNo(1)).unwrap();
        let parts = vec![batch(CHILDREN, 1), batch(CHILDREN + 1, 1)];
        queue.replace(at, parts);
        queue.returned(1, BatchNo(2)).unwrap();
        queue.again(None);
        queue.settle();
        assert_eq!(send(&mut queue, 2, UNDER), Some((CHILDREN, 2)));
        succeed(&mut queue, 2, CHILDREN);
        assert_eq!(send(&mut queue, 3, UNDER), Some((CHILDREN + 1, 3)));
        assert_eq!(send(&mut queue, 4, UNDER), Some((2, 4)));
    }
}
