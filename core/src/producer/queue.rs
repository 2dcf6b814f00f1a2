//! One partition behind the hand-over: what waits, what is under way, and what may be sent next.
//!
//! All batches that have no outcome yet lie in one queue in the order in which they were sealed; "under way" is a mark on a
//! batch, not another place. So a batch that comes back is where it belongs already (rule 2), and order never depends on
//! sequence numbers, which wrap and change (contracts A22).

use super::entry::Entry;
use super::handover::{Batch, Left};
use super::index::Filed;
use super::sequence::{REMEMBERED, Stamp, Window};
use super::state::{Minting, State};
use super::terms::Terms;
use crate::{BatchNo, BrokerId, ConnId, PartitionIx, Time, TopicIx};
use std::collections::VecDeque;
use std::time::Duration;

/// After so long without an outcome a broker may have dropped what it knew of this producer (contracts A23).
const LAPSE: Duration = Duration::from_secs(60);

/// Children of split batches are numbered from here on: the front numbers batches from 0.
pub(super) const CHILDREN: u64 = 1 << 63;

/// A partition.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) partition: PartitionIx,
    pub(crate) place: (TopicIx, i32),
    pub(crate) terms: Terms,
    pub(crate) left: Left,
    /// The front brought nothing although `left` says that there is something: not asked again before its next word.
    pub(crate) stalled: bool,
    /// A collect names it and is not answered.
    pub(crate) collecting: bool,
    pub(crate) state: State,
    pub(crate) window: Window,
    pub(crate) leader: Option<(BrokerId, i32)>,
    /// Which log of this name; 0 until the view knows one.
    pub(crate) incarnation: u32,
    pub(crate) failures: u32,
    /// The log was replaced by another of this name, and the window of the old one is not yet empty.
    pub(crate) recreated: bool,
    /// The transaction that it is part of; 0 without.
    pub(crate) enrolled: u64,
    /// What a new identity waits for: a broker that refuses each one is not asked in a tight loop.
    pub(crate) pause: Option<Time>,
    pub(crate) filed: Filed,
    pub(super) entries: VecDeque<Entry>,
    pub(super) in_flight: usize,
    /// Who owes the answers.
    pub(super) at: Option<BrokerId>,
    /// The connection that a batch went over last.
    conn: Option<ConnId>,
    last_success: Time,
    pub(super) next_child: u64,
}

impl Queue {
    pub(crate) fn new(partition: PartitionIx, place: (TopicIx, i32), terms: Terms) -> Self {
        Self {
            partition,
            place,
            terms,
            left: Left::default(),
            stalled: false,
            collecting: false,
            state: State::Probing,
            window: Window::default(),
            leader: None,
            incarnation: 0,
            failures: 0,
            recreated: false,
            enrolled: 0,
            pause: None,
            filed: Filed::default(),
            entries: VecDeque::new(),
            in_flight: 0,
            at: None,
            conn: None,
            last_success: Time::ZERO,
            next_child: CHILDREN,
        }
    }

    /// Takes a batch over, at its place.
    pub(crate) fn push(&mut self, batch: Batch) {
        let entry = Entry::new(batch);
        let at = self.entries.iter().rposition(|e| e.order <= entry.order).map_or(0, |i| i + 1);
        self.entries.insert(at, entry);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(crate) fn entry(&self, at: usize) -> Option<&Entry> {
        self.entries.get(at)
    }

    pub(crate) fn entry_mut(&mut self, at: usize) -> Option<&mut Entry> {
        self.entries.get_mut(at)
    }

    /// The broker that owes answers.
    pub(crate) fn owing(&self) -> Option<BrokerId> {
        self.at.filter(|_| self.in_flight > 0)
    }

    /// Whether anything of this partition is not done: here or in the front.
    pub(crate) fn is_active(&self) -> bool {
        !self.entries.is_empty() || self.in_flight > 0 || self.collecting || self.has_left()
    }

    /// Whether the front could hand a batch over, lingering or not.
    pub(crate) fn left_to_take(&self) -> bool {
        self.left.packed > 0 || self.left.open_since.is_some() || self.left.parked > 0
    }

    /// Whether the front has something.
    pub(crate) fn has_left(&self) -> bool {
        let left = &self.left;
        left.packed > 0 || left.packing > 0 || left.line > 0 || left.open_since.is_some() || left.parked > 0
    }

    /// Whether a batch without a stamp may go: its window has taken the identity, or can, because nothing under the old one
    /// is unresolved (rule 7, contracts A5).
    fn may_mint(&self, minting: Minting) -> bool {
        match minting {
            Minting::Unstamped => true,
            Minting::Waiting => false,
            Minting::Under(who) if self.window.who() == Some(who) => self.is_remembered(self.window.minted()),
            Minting::Under(_) => self.entries.iter().all(|e| e.stamp.is_none()),
        }
    }

    /// Whether the broker still knew the oldest unresolved batch if this one, the `nth` of its window, were written. What a
    /// broker has forgotten it cannot tell from a gap, so no batch is sent that far ahead.
    fn is_remembered(&self, nth: u64) -> bool {
        let oldest = self.entries.iter().find(|e| e.stamp.is_some()).map_or(nth, |e| e.nth);
        nth.saturating_sub(oldest) < REMEMBERED as u64
    }

    fn has_room(&self) -> bool {
        match self.state {
            State::Probing => self.in_flight == 0,
            State::Streaming => self.in_flight < self.terms.in_flight,
            State::Moving | State::Backoff(_) | State::Settling | State::Resetting => false,
        }
    }

    /// The batch to send next, if one may be sent now. Always the first that is not under way, so nothing overtakes.
    pub(crate) fn ready(&self, minting: Minting) -> Option<usize> {
        if !self.has_room() {
            return None;
        }
        let at = self.entries.iter().position(|e| e.sent.is_none())?;
        let may = match self.entries[at] {
            Entry { stamp: Some(_), nth, .. } => self.is_remembered(nth),
            // A batch of the next transaction waits for that one.
            Entry { ref batch, .. } => batch.generation == self.enrolled && self.may_mint(minting),
        };
        may.then_some(at)
    }

    /// Whether a batch from the front could leave at once; only then is one collected (contracts 4.1).
    pub(crate) fn wants(&self, minting: Minting) -> bool {
        let may = !self.collecting && !self.stalled && self.has_room();
        may && self.entries.iter().all(|e| e.sent.is_some()) && self.may_mint(minting)
    }

    /// The next batch goes over this connection. One that broke while nothing was under way lost nothing, but who is behind
    /// the next may have forgotten this producer (contracts A23).
    pub(crate) fn over(&mut self, conn: ConnId) {
        let another = self.conn.replace(conn).is_some_and(|before| before != conn);
        if another && self.state == State::Streaming && self.in_flight == 0 {
            self.state = State::Probing;
        }
    }

    /// Marks the batch `at` as under way and gives the stamp that it carries: its own if it has one (rule 1).
    pub(crate) fn send(&mut self, at: usize, request: u64, to: BrokerId, minting: Minting, now: Time) -> Option<Stamp> {
        let fresh = self.entries.get(at)?.stamp.is_none();
        if self.state == State::Streaming && self.in_flight == 0 && now.since(self.last_success) > LAPSE {
            self.state = State::Probing;
        }
        if let (true, Minting::Under(who)) = (fresh, minting) {
            if self.window.who() != Some(who) {
                self.window.adopt(who);
                self.state = State::Probing;
            }
            let entry = &mut self.entries[at];
            entry.nth = self.window.minted();
            entry.stamp = self.window.mint(entry.batch.count);
        }
        let entry = &mut self.entries[at];
        entry.sent = Some(request);
        entry.attempts = entry.attempts.saturating_add(1);
        self.in_flight += 1;
        self.at = Some(to);
        entry.stamp
    }

    /// A request that carried a batch of this partition is over. Gives the batch's place if it is still here; the caller
    /// decides about it and then calls [`settle`](Self::settle).
    pub(crate) fn returned(&mut self, request: u64, no: BatchNo) -> Option<usize> {
        self.in_flight = self.in_flight.saturating_sub(1);
        let at = self.entries.iter().position(|e| e.sent == Some(request) && e.batch.no == no)?;
        self.entries[at].sent = None;
        Some(at)
    }

    /// Takes a batch out: it has its outcome.
    pub(crate) fn resolve(&mut self, at: usize) -> Option<Entry> {
        self.entries.remove(at)
    }

    /// The batch `at` was acknowledged. Only the oldest opens the way for more: while one before it has no outcome, every
    /// further batch would push that one out of what the broker remembers.
    pub(crate) fn succeeded(&mut self, at: usize, now: Time) {
        self.last_success = now;
        self.failures = 0;
        if self.state == State::Probing && at == 0 {
            self.state = State::Streaming;
        }
    }

    /// A batch goes again: not before `until`, and then alone.
    pub(crate) fn again(&mut self, until: Option<Time>) {
        self.state = match (self.state, until) {
            (State::Probing | State::Streaming, None) => State::Probing,
            (State::Probing | State::Streaming, Some(until)) => State::Backoff(until),
            (State::Backoff(before), Some(until)) => State::Backoff(before.max(until)),
            (other, _) => other,
        };
    }

    /// The pause is over.
    pub(crate) fn wake(&mut self, now: Time) {
        if matches!(self.state, State::Backoff(until) if until <= now) {
            self.state = State::Probing;
        }
    }

    /// Who leads now. A new leader ends a pause that the old one caused (contracts B20).
    pub(crate) fn lead(&mut self, leader: Option<(BrokerId, i32)>) {
        if self.leader == leader {
            return;
        }
        self.leader = leader;
        self.state = match self.state {
            State::Settling | State::Resetting => self.state,
            _ if self.in_flight > 0 && self.at != leader.map(|(broker, _)| broker) => State::Moving,
            _ => State::Probing,
        };
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::model::batch;
    use super::super::outcome::Mode;
    use super::super::sequence::Identity;
    use super::*;
    use crate::config::Acks;
    use crate::error::Fate;

    const WHO: Identity = Identity { id: 9, epoch: 0 };
    pub(in super::super) const NEXT: Identity = Identity { id: 9, epoch: 1 };
    pub(in super::super) const UNDER: Minting = Minting::Under(WHO);
    const ONE: BrokerId = BrokerId(1);
    const TWO: BrokerId = BrokerId(2);

    fn queue(batches: u64) -> Queue {
        let terms = Terms {
            acks: Acks::All,
            mode: Mode { idempotent: true, retries: u32::MAX },
            in_flight: 5,
            delivery_timeout: Duration::from_secs(120),
            linger: Duration::ZERO,
            request_timeout: Duration::from_secs(30),
            compression: crate::codec::Compression::NONE.into(),
        };
        let mut queue = Queue::new(PartitionIx(0), (TopicIx(0), 0), terms);
        queue.lead(Some((ONE, 3)));
        (0..batches).for_each(|no| queue.push(batch(no, 2)));
        queue
    }

    /// Sends what may be sent; the batch's number and base sequence.
    pub(in super::super) fn send(queue: &mut Queue, request: u64, minting: Minting) -> Option<(u64, i32)> {
        let at = queue.ready(minting)?;
        let stamp = queue.send(at, request, ONE, minting, Time(0))?;
        Some((queue.entry(at)?.batch.no.0, stamp.base))
    }

    pub(in super::super) fn succeed(queue: &mut Queue, request: u64, no: u64) {
        let at = queue.returned(request, BatchNo(no)).unwrap();
        queue.succeeded(at, Time(0));
        queue.resolve(at).unwrap();
        assert!(!queue.settle());
    }

    pub(in super::super) fn streaming(batches: u64) -> Queue {
        let mut queue = queue(batches + 1);
        assert_eq!(send(&mut queue, 100, UNDER), Some((0, 0)));
        succeed(&mut queue, 100, 0);
        queue
    }

    #[test]
    fn nothing_is_sent_without_a_producer_id() {
        let queue = queue(1);
        assert_eq!(queue.ready(Minting::Waiting), None);
        assert!(!queue.wants(Minting::Waiting));
        assert_eq!(queue.ready(UNDER), Some(0));
        assert_eq!(queue.ready(Minting::Unstamped), Some(0));
    }

    #[test]
    fn only_one_batch_is_under_way_until_one_was_acknowledged_then_five() {
        let mut queue = queue(9);
        assert_eq!(send(&mut queue, 0, UNDER), Some((0, 0)));
        assert_eq!(send(&mut queue, 1, UNDER), None);
        succeed(&mut queue, 0, 0);
        let sent: Vec<_> = (1..9).map_while(|request| send(&mut queue, request, UNDER)).collect();
        assert_eq!(sent, [(1, 2), (2, 4), (3, 6), (4, 8), (5, 10)]);
    }

    #[test]
    fn a_batch_that_comes_back_goes_first_and_with_its_own_stamp() {
        let mut queue = streaming(3);
        for request in 0..3 {
            send(&mut queue, request, UNDER);
        }
        for (request, no) in [(1, 2), (0, 1), (2, 3)] {
            let at = queue.returned(request, BatchNo(no)).unwrap();
            queue.entry_mut(at).unwrap().fate = Fate::Unknown;
            queue.again(None);
            queue.settle();
        }
        assert_eq!(send(&mut queue, 5, UNDER), Some((1, 2)));
        assert_eq!(send(&mut queue, 6, UNDER), None, "the oldest alone");
        succeed(&mut queue, 5, 1);
        assert_eq!(send(&mut queue, 7, UNDER), Some((2, 4)));
        assert_eq!(send(&mut queue, 8, UNDER), Some((3, 6)));
    }

    #[test]
    fn a_later_batchs_success_does_not_open_the_way_past_one_that_waits() {
        let mut queue = streaming(3);
        send(&mut queue, 0, UNDER);
        send(&mut queue, 1, UNDER);
        let at = queue.returned(0, BatchNo(1)).unwrap();
        queue.entry_mut(at).unwrap().fate = Fate::Unknown;
        queue.again(None);
        succeed(&mut queue, 1, 2);
        assert_eq!(queue.state, State::Probing);
        assert_eq!(send(&mut queue, 2, UNDER), Some((1, 2)));
        assert_eq!(send(&mut queue, 3, UNDER), None);
    }

    #[test]
    fn nothing_is_sent_that_would_make_the_broker_forget_a_batch_without_outcome() {
        let mut queue = streaming(9);
        for request in 0..5 {
            send(&mut queue, request, UNDER);
        }
        for (request, no) in [(0, 1), (1, 2)] {
            let at = queue.returned(request, BatchNo(no)).unwrap();
            queue.entry_mut(at).unwrap().fate = Fate::Unknown;
            queue.again(None);
        }
        (2..5).for_each(|request| succeed(&mut queue, request, request + 1));
        assert_eq!(send(&mut queue, 5, UNDER), Some((1, 2)));
        succeed(&mut queue, 5, 1);
        assert_eq!(send(&mut queue, 6, UNDER), Some((2, 4)));
        assert_eq!(send(&mut queue, 7, UNDER), Some((6, 12)), "the broker then knows batches 2 to 6");
        assert_eq!(send(&mut queue, 8, UNDER), None);
        assert!(!queue.wants(UNDER));
        succeed(&mut queue, 6, 2);
        assert_eq!(send(&mut queue, 8, UNDER), Some((7, 14)));
    }

    #[test]
    fn a_new_epoch_is_taken_only_when_nothing_under_the_old_one_is_unresolved() {
        let mut queue = streaming(3);
        send(&mut queue, 0, UNDER);
        send(&mut queue, 1, UNDER);
        let next = Minting::Under(NEXT);
        assert_eq!(queue.ready(next), None, "mints nothing");
        let at = queue.returned(1, BatchNo(2)).unwrap();
        queue.entry_mut(at).unwrap().fate = Fate::Unknown;
        queue.again(None);
        succeed(&mut queue, 0, 1);
        assert_eq!(send(&mut queue, 2, next), Some((2, 4)), "but what is stamped goes again as it is");
        assert_eq!(queue.window.who(), Some(WHO));
        succeed(&mut queue, 2, 2);
        assert_eq!(send(&mut queue, 3, next), Some((3, 0)));
        assert_eq!((queue.window.who(), queue.state), (Some(NEXT), State::Probing));
    }

    #[test]
    fn nothing_goes_to_a_new_leader_while_the_old_one_owes_answers() {
        let mut queue = streaming(2);
        send(&mut queue, 0, UNDER);
        queue.lead(Some((TWO, 4)));
        assert_eq!((queue.state, queue.ready(UNDER)), (State::Moving, None));
        queue.returned(0, BatchNo(1)).unwrap();
        queue.settle();
        assert_eq!((queue.state, queue.ready(UNDER)), (State::Probing, Some(0)));
    }

    #[test]
    fn a_new_leader_ends_the_pause_and_the_same_one_does_not() {
        let mut queue = streaming(1);
        queue.again(Some(Time(50)));
        queue.lead(Some((ONE, 3)));
        assert_eq!(queue.state, State::Backoff(Time(50)));
        queue.wake(Time(49));
        assert_eq!(queue.ready(UNDER), None);
        queue.lead(Some((TWO, 4)));
        assert_eq!(queue.ready(UNDER), Some(0));
    }

    #[test]
    fn a_partition_keeps_its_numbers_while_metadata_does_not_know_it() {
        let mut queue = streaming(2);
        send(&mut queue, 0, UNDER);
        succeed(&mut queue, 0, 1);
        queue.lead(None);
        queue.lead(Some((TWO, 4)));
        assert_eq!(send(&mut queue, 1, UNDER), Some((2, 4)));
    }

    #[test]
    fn after_a_long_silence_one_batch_goes_alone_again() {
        let mut queue = streaming(2);
        let late = Time(0) + LAPSE + Duration::from_nanos(1);
        let at = queue.ready(UNDER).unwrap();
        queue.send(at, 0, ONE, UNDER, late);
        assert_eq!((queue.state, queue.ready(UNDER)), (State::Probing, None));
    }

    #[test]
    fn after_a_reconnect_in_silence_one_batch_goes_alone_again() {
        let conn = |generation| ConnId { index: 1, generation };
        let mut queue = streaming(3);
        queue.over(conn(0));
        assert_eq!(queue.state, State::Streaming, "the first that it knows");
        queue.over(conn(0));
        assert_eq!(queue.state, State::Streaming);
        queue.over(conn(1));
        assert_eq!(send(&mut queue, 0, UNDER), Some((1, 2)));
        assert_eq!(send(&mut queue, 1, UNDER), None);
        succeed(&mut queue, 0, 1);
        queue.over(conn(1));
        assert_eq!(queue.state, State::Streaming);
    }

    #[test]
    fn a_batch_is_wanted_from_the_front_only_when_it_could_leave_at_once() {
        let mut queue = streaming(1);
        assert!(!queue.wants(UNDER), "one lies here unsent");
        send(&mut queue, 0, UNDER);
        assert!(queue.wants(UNDER));
        queue.collecting = true;
        assert!(!queue.wants(UNDER));
        queue.collecting = false;
        queue.stalled = true;
        assert!(!queue.wants(UNDER));
    }
}
