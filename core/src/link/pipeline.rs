//! Requests on one connection, in order: bytes not yet taken at the back, answers awaited at the front.
//!
//! Kafka answers in the order of the requests. The deadline therefore belongs to the oldest one, and those behind it do not
//! expire (contracts B5); what cannot be written in time expires on its own and was never sent.

use crate::client::role::Tag;
use crate::wire::ApiKey;
use crate::{Now, Time};
use bytes::Bytes;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::time::Duration;

/// A broker that answers a request which asked for no answer (Event Hubs does) says little.
const LATE_ANSWER: usize = 64 * 1024;

/// One request.
#[derive(Debug)]
pub(super) struct Entry {
    /// `None`: the link's own, part of its greeting.
    pub(super) tag: Option<Tag>,
    pub(super) api: ApiKey,
    pub(super) version: i16,
    pub(super) correlation: i32,
    pub(super) timeout: Duration,
    pub(super) silent: bool,
    pub(super) max_response: usize,
    /// The frame; released once it is written.
    pub(super) chunks: SmallVec<[Bytes; 3]>,
    pub(super) size: usize,
    /// Bytes of it that the socket took.
    pub(super) taken: usize,
    /// When it was queued, its first byte was taken, its last byte was taken: whichever came last.
    pub(super) since: Time,
}

impl Entry {
    fn is_written(&self) -> bool {
        self.taken == self.size
    }

    /// At most this much later than the moment from which the broker could have worked on it.
    fn limit(&self) -> Duration {
        self.timeout + (self.timeout / 10).max(Duration::from_secs(1))
    }
}

/// What an answer belongs to.
#[derive(Debug)]
pub(super) enum Answer {
    /// The oldest request.
    Head(Entry),
    /// A request that wanted none.
    Late,
    /// None: the connection is out of step.
    Unknown,
}

#[derive(Debug, Default)]
pub(super) struct Pipeline {
    entries: VecDeque<Entry>,
    /// So many of them, from the front, are written.
    written: usize,
    /// Bytes not yet taken.
    queued: usize,
    next_correlation: i32,
    /// The number of the last answer.
    answered: i32,
    /// A request without an answer was written since the beginning.
    was_silent: bool,
    /// The head is not late before this plus its limit: the last answer, the end of a throttle or of back-pressure.
    quiet_since: Time,
}

impl Pipeline {
    pub(super) fn new() -> Self {
        Self { answered: -1, ..Self::default() }
    }

    /// The number of the next request.
    pub(super) fn correlation(&mut self) -> i32 {
        let n = self.next_correlation;
        self.next_correlation = n.wrapping_add(1);
        n
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.queued += entry.size;
        self.entries.push_back(entry);
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes not yet taken.
    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    pub(super) fn transmit<'a>(&'a self, iov: &mut [IoSlice<'a>]) -> usize {
        let mut skip = self.entries.get(self.written).map_or(0, |e| e.taken);
        let mut slices = iov.iter_mut();
        let mut n = 0;
        for chunk in self.entries.range(self.written..).flat_map(|e| &e.chunks) {
            let rest = chunk.get(skip..).unwrap_or_default();
            skip = skip.saturating_sub(chunk.len());
            if rest.is_empty() {
                continue;
            }
            let Some(slice) = slices.next() else { break };
            *slice = IoSlice::new(rest);
            n += 1;
        }
        n
    }

    /// `n` bytes of `transmit` were taken; gives the requests that are thereby complete because nobody answers them.
    pub(super) fn sent(&mut self, now: Now, mut n: usize) -> SmallVec<[Entry; 2]> {
        let mut complete = SmallVec::new();
        while let Some(entry) = self.entries.get_mut(self.written).filter(|_| n > 0) {
            let part = n.min(entry.size - entry.taken);
            if entry.taken == 0 {
                entry.since = now.mono;
            }
            entry.taken += part;
            n -= part;
            self.queued -= part;
            if !entry.is_written() {
                break;
            }
            entry.since = now.mono;
            entry.chunks = SmallVec::new();
            if entry.silent {
                self.was_silent = true;
                complete.extend(self.entries.remove(self.written));
            } else {
                self.written += 1;
            }
        }
        complete
    }

    /// The largest answer that may come now, `None` if none may.
    pub(super) fn max_answer(&self) -> Option<usize> {
        match self.entries.front().filter(|_| self.written > 0) {
            Some(head) => Some(head.max_response),
            None => self.was_silent.then_some(LATE_ANSWER),
        }
    }

    /// An answer with this number came.
    pub(super) fn answer(&mut self, now: Now, correlation: i32) -> Answer {
        let head = self.entries.front().filter(|_| self.written > 0);
        if head.is_some_and(|head| head.correlation == correlation) {
            self.answered = correlation;
            self.quiet_since = now.mono;
            self.written -= 1;
            return self.entries.pop_front().map_or(Answer::Unknown, Answer::Head);
        }
        // Between the last answer and the head stood only requests that wanted none.
        let bound = head.map_or(self.next_correlation, |head| head.correlation);
        let ahead = correlation.wrapping_sub(self.answered);
        if self.was_silent && ahead > 0 && ahead < bound.wrapping_sub(self.answered) {
            self.answered = correlation;
            return Answer::Late;
        }
        Answer::Unknown
    }

    /// The head is given its full time from here on.
    pub(super) fn restart(&mut self, at: Time) {
        self.quiet_since = self.quiet_since.max(at);
    }

    /// When the connection is to be given up because of its oldest request.
    pub(super) fn deadline(&self) -> Option<Time> {
        let head = self.entries.front().filter(|e| e.taken > 0)?;
        Some(head.since.max(self.quiet_since) + head.limit())
    }

    /// When the next request will have waited too long to be written.
    pub(super) fn queue_deadline(&self) -> Option<Time> {
        self.entries.range(self.written..).filter(|e| e.taken == 0).map(|e| e.since + e.timeout).min()
    }

    /// Takes out a request that has waited too long to be written; not a byte of it was taken.
    pub(super) fn expire_queued(&mut self, now: Time) -> Option<Entry> {
        let late = |e: &Entry| e.taken == 0 && e.since + e.timeout <= now;
        let at = self.entries.range(self.written..).position(late)? + self.written;
        let entry = self.entries.remove(at)?;
        self.queued -= entry.size;
        Some(entry)
    }

    /// The oldest request.
    pub(super) fn head(&self) -> Option<&Entry> {
        self.entries.front()
    }

    /// Everything, in order: the connection ended.
    pub(super) fn take_all(&mut self) -> VecDeque<Entry> {
        self.written = 0;
        self.queued = 0;
        std::mem::take(&mut self.entries)
    }
}
