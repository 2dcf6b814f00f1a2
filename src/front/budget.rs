//! `buffer.memory`: granted per batch buffer, first come first served, returned by whoever drops the bytes last.

use super::slot::Slot;
use super::sync::atomic::{AtomicUsize, Ordering};
use super::sync::{Mutex, leaf};
use std::collections::VecDeque;
use std::sync::Arc;

#[derive(Debug)]
struct State {
    free: i64,
    /// Slots whose line waits for memory, each at most once.
    waiting: VecDeque<Arc<Slot>>,
    /// What the first of them could not get: less is no use to it.
    wanted: usize,
    /// Bytes of all waiting records.
    lined: usize,
}

/// The memory of one producer.
#[derive(Debug)]
pub(crate) struct Budget {
    total: usize,
    state: Mutex<State>,
    /// `queue.buffering.max.messages`; 0: no bound.
    most: usize,
    /// Records in batches without outcome; counted only if there is a bound.
    records: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(total: usize, most: usize) -> Self {
        let free = i64::try_from(total).unwrap_or(i64::MAX);
        let state = State { free, waiting: VecDeque::new(), wanted: 0, lined: 0 };
        Self { total, state: Mutex::new(state), most, records: AtomicUsize::new(0) }
    }

    /// Makes room for one more record in a batch.
    #[inline]
    pub(crate) fn reserve(&self) -> bool {
        self.most == 0 || self.reserve_bounded()
    }

    #[inline(never)]
    fn reserve_bounded(&self) -> bool {
        let fits = self.records.fetch_add(1, Ordering::AcqRel) < self.most;
        if !fits {
            self.records.fetch_sub(1, Ordering::AcqRel);
        }
        fits
    }

    /// Records have their outcome, or did not go into their batch; true if somebody in line may go on now.
    pub(crate) fn leave(&self, records: usize) -> bool {
        if self.most == 0 {
            return false;
        }
        self.records.fetch_sub(records, Ordering::AcqRel);
        self.is_open()
    }

    /// Whether there may be no more records.
    pub(crate) fn is_crowded(&self) -> bool {
        self.most > 0 && self.records.load(Ordering::Acquire) >= self.most
    }

    /// What there is no room in.
    pub(crate) fn bound(&self) -> String {
        match self.is_crowded() {
            true => format!("queue.buffering.max.messages ({})", self.most),
            false => format!("buffer.memory ({})", self.total),
        }
    }

    /// `buffer.memory`.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// Takes `bytes` for a newcomer: never past those who wait.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let mut state = leaf(&self.state);
        state.waiting.is_empty() && take(&mut state, bytes, self.total)
    }

    /// Takes `bytes` for the first in line.
    pub(crate) fn take_for_first(&self, bytes: usize) -> bool {
        let mut state = leaf(&self.state);
        let taken = take(&mut state, bytes, self.total);
        state.wanted = if taken { 0 } else { bytes };
        taken
    }

    /// Takes `bytes` that are in use already: what is free may fall below zero, and nobody gets memory until it is above.
    pub(crate) fn overdraw(&self, bytes: usize) {
        leaf(&self.state).free -= i64::try_from(bytes).unwrap_or(i64::MAX);
    }

    /// Returns `bytes`; true if the first in line can go on now.
    pub(crate) fn give(&self, bytes: usize) -> bool {
        let mut state = leaf(&self.state);
        state.free += i64::try_from(bytes).unwrap_or(i64::MAX);
        self.serves(&state)
    }

    fn serves(&self, state: &State) -> bool {
        !state.waiting.is_empty() && enough(state, state.wanted, self.total)
    }

    /// Makes room in the line for a waiting record: the line is bounded by one more `buffer.memory`.
    pub(crate) fn line(&self, bytes: usize) -> bool {
        let mut state = leaf(&self.state);
        let fits = state.lined == 0 || state.lined.saturating_add(bytes) <= self.total;
        if fits {
            state.lined = state.lined.saturating_add(bytes);
        }
        fits
    }

    /// A waiting record left the line.
    pub(crate) fn unline(&self, bytes: usize) {
        let mut state = leaf(&self.state);
        state.lined = state.lined.saturating_sub(bytes);
    }

    /// A slot begins to wait.
    pub(crate) fn wait(&self, slot: Arc<Slot>) {
        leaf(&self.state).waiting.push_back(slot);
    }

    /// The slot whose turn it is. It stays first.
    pub(crate) fn first(&self) -> Option<Arc<Slot>> {
        leaf(&self.state).waiting.front().cloned()
    }

    /// The first slot has got what it needs, or is served again after the others.
    pub(crate) fn pass(&self, again: bool) {
        let mut state = leaf(&self.state);
        state.wanted = 0;
        if let Some(first) = state.waiting.pop_front().filter(|_| again) {
            state.waiting.push_back(first);
        }
    }

    /// Whether somebody waits.
    pub(crate) fn is_short(&self) -> bool {
        !leaf(&self.state).waiting.is_empty()
    }

    /// Whether the first in line can go on: the driver has to look.
    pub(crate) fn is_open(&self) -> bool {
        !self.is_crowded() && self.serves(&leaf(&self.state))
    }

    /// Bytes in use, and bytes of records in line.
    pub(crate) fn used(&self) -> (usize, usize) {
        let state = leaf(&self.state);
        let used = i64::try_from(self.total).unwrap_or(i64::MAX) - state.free;
        (usize::try_from(used).unwrap_or(0), state.lined)
    }

    /// Everybody who waits, for a producer that is given up.
    pub(crate) fn clear(&self) -> Vec<Arc<Slot>> {
        std::mem::take(&mut leaf(&self.state).waiting).into()
    }
}

fn enough(state: &State, bytes: usize, total: usize) -> bool {
    let (wanted, all) = (i64::try_from(bytes).unwrap_or(i64::MAX), i64::try_from(total).unwrap_or(i64::MAX));
    // A buffer that is larger than all memory is granted once nothing else is in use: the record itself is not larger.
    state.free >= wanted.min(all)
}

fn take(state: &mut State, bytes: usize, total: usize) -> bool {
    let enough = enough(state, bytes, total);
    if enough {
        state.free -= i64::try_from(bytes).unwrap_or(i64::MAX);
    }
    enough
}

/// Memory that a buffer holds; returned when it is dropped, wherever that is (contracts B13).
#[derive(Debug)]
pub(crate) struct Grant {
    shared: Arc<super::producer::ProducerShared>,
    bytes: usize,
}

impl Grant {
    /// Takes over `bytes` that were taken from the budget.
    pub(crate) fn new(shared: Arc<super::producer::ProducerShared>, bytes: usize) -> Self {
        Self { shared, bytes }
    }

    /// Returns what is not needed any more.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        if bytes < self.bytes {
            let rest = self.bytes - bytes;
            self.bytes = bytes;
            self.shared.give(rest);
        }
    }

    /// Whose it is.
    pub(crate) fn shared(&self) -> &Arc<super::producer::ProducerShared> {
        &self.shared
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.shared.give(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_taken_while_there_is_some_and_comes_back() {
        let budget = Budget::new(100, 0);
        assert!(budget.take(60));
        assert!(!budget.take(60));
        assert!(!budget.give(60));
        assert!(budget.take(100));
        assert_eq!(budget.used(), (100, 0));
    }

    #[test]
    fn a_buffer_a_little_larger_than_all_memory_is_granted_alone() {
        let budget = Budget::new(100, 0);
        assert!(budget.take(1));
        assert!(!budget.take(164));
        budget.give(1);
        assert!(budget.take(164));
        assert!(!budget.take(1));
        budget.give(164);
        assert_eq!(budget.used(), (0, 0));
    }

    #[test]
    fn the_line_is_bounded_by_one_more_memory_but_never_refuses_the_only_one() {
        let budget = Budget::new(100, 0);
        assert!(budget.line(150));
        assert!(!budget.line(1));
        budget.unline(150);
        assert!(budget.line(60));
        assert!(!budget.line(60));
        assert!(budget.line(40));
    }

    #[test]
    fn what_is_overdrawn_is_worked_off_before_anybody_gets_memory() {
        let budget = Budget::new(100, 0);
        assert!(budget.take(80));
        budget.overdraw(90);
        assert_eq!(budget.used(), (170, 0));
        budget.give(80);
        assert!(!budget.take(20));
        budget.give(90);
        assert!(budget.take(100));
    }

    #[test]
    fn records_are_bounded_by_number_if_that_is_wanted() {
        let free = Budget::new(100, 0);
        assert!((0..1000).all(|_| free.reserve()) && !free.is_crowded());
        let budget = Budget::new(100, 2);
        assert!(budget.reserve() && budget.reserve() && !budget.reserve());
        assert!(budget.is_crowded());
        budget.leave(1);
        assert!(budget.reserve() && !budget.reserve());
    }
}
