//! Records that wait: for their topic, or for memory. A ticket owns its record; the driver places it, the sender only
//! watches (contracts A7). So a dropped or unpolled future never holds up another.

use super::ack::{BatchAck, Landed, Wakers};
use super::producer::ProducerShared;
use super::sync::atomic::{AtomicBool, Ordering};
use super::sync::{Mutex, leaf};
use klamm_core::record::Header;
use klamm_core::{Error, ErrorKind, Time};
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// The parts of a record, borrowed from whoever has them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) partition: Option<i32>,
    pub(crate) timestamp: Option<i64>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: &'a [Header<'a>],
}

impl Parts<'_> {
    /// The most bytes that it takes in a batch.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        klamm_core::record::size_of_record(self.key, self.value, self.headers)
    }
}

/// A record that was copied because it has to wait: one block of bytes, and where its parts lie.
#[derive(Debug)]
pub(crate) struct Kept {
    bytes: Box<[u8]>,
    partition: Option<i32>,
    timestamp: Option<i64>,
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    headers: Vec<(Range<usize>, Option<Range<usize>>)>,
}

impl Kept {
    pub(crate) fn new(parts: &Parts<'_>, timestamp: i64) -> Self {
        let mut bytes = Vec::with_capacity(parts.size());
        let mut keep = |part: &[u8]| {
            let from = bytes.len();
            bytes.extend_from_slice(part);
            from..bytes.len()
        };
        let key = parts.key.map(&mut keep);
        let value = parts.value.map(&mut keep);
        let headers = parts.headers.iter().map(|h| (keep(h.key), h.value.map(&mut keep))).collect();
        Self { bytes: bytes.into(), partition: parts.partition, timestamp: Some(timestamp), key, value, headers }
    }

    /// Calls `f` with the borrowed parts.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&Parts<'_>) -> R) -> R {
        let at = |range: &Range<usize>| self.bytes.get(range.clone()).unwrap_or_default();
        let headers: Vec<Header<'_>> =
            self.headers.iter().map(|(key, value)| Header { key: at(key), value: value.as_ref().map(at) }).collect();
        f(&Parts {
            partition: self.partition,
            timestamp: self.timestamp,
            key: self.key.as_ref().map(at),
            value: self.value.as_ref().map(at),
            headers: &headers,
        })
    }

    /// Bytes that it holds on to.
    pub(crate) fn held(&self) -> usize {
        self.bytes.len() + 64
    }

    /// It was placed for good.
    pub(crate) fn set_partition(&mut self, partition: i32) {
        self.partition = Some(partition);
    }
}

/// Where a record was placed: its batch, its index there, how far its timestamp is from the batch's.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) ack: Arc<BatchAck>,
    pub(crate) index: u32,
    pub(crate) delta: i32,
}

#[derive(Debug, Default)]
struct State {
    outcome: Option<Result<Placed, Error>>,
    wakers: Vec<Waker>,
    /// Interceptors are to be told before anybody sees a failure: wakes whoever tells them.
    teller: Option<Waker>,
    /// The failure, until they are told.
    coming: Option<Error>,
}

/// What the sender of a waiting record sees of it.
#[derive(Debug)]
pub(crate) struct Ticket {
    ready: AtomicBool,
    seen: AtomicBool,
    pub(crate) shared: Arc<ProducerShared>,
    state: Mutex<State>,
}

impl Ticket {
    fn new(shared: Arc<ProducerShared>) -> Arc<Self> {
        Arc::new(Self { ready: AtomicBool::new(false), seen: AtomicBool::new(false), shared, state: Mutex::default() })
    }

    /// A ticket that has failed already.
    pub(crate) fn failed(shared: Arc<ProducerShared>, error: Error) -> Arc<Self> {
        shared.poison(shared.generation(), &error);
        let ticket = Self::new(shared);
        leaf(&ticket.state).outcome = Some(Err(error));
        ticket.ready.store(true, Ordering::Release);
        ticket
    }

    /// Whether it is placed or failed.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Where its record is now.
    pub(crate) fn placed(&self) -> Option<Result<Placed, Error>> {
        if !self.is_ready() {
            return None;
        }
        let outcome = leaf(&self.state).outcome.clone();
        if matches!(outcome, Some(Err(_))) {
            self.seen.store(true, Ordering::Relaxed);
        }
        outcome
    }

    /// Whether the outcome of its record is known.
    pub(crate) fn outcome_known(&self) -> bool {
        if !self.is_ready() {
            return false;
        }
        // A batch that was split has a lock of its own to take.
        let placed = leaf(&self.state).outcome.clone().and_then(Result::ok);
        placed.is_none_or(|placed| placed.ack.is_ready(placed.index))
    }

    /// As [`placed`](Self::placed); else the waker is kept.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<Placed, Error>> {
        {
            let mut state = leaf(&self.state);
            if state.outcome.is_none() {
                if !state.wakers.iter().any(|kept| kept.will_wake(cx.waker())) {
                    state.wakers.push(cx.waker().clone());
                }
                return Poll::Pending;
            }
        }
        self.placed().map_or(Poll::Pending, Poll::Ready)
    }

    /// The outcome of its record, if it is known.
    pub(crate) fn outcome(&self) -> Option<Result<(Placed, Landed), Error>> {
        match self.placed()? {
            Ok(placed) => Some(placed.ack.outcome(placed.index)?.map(|landed| (placed, landed))),
            Err(error) => Some(Err(error)),
        }
    }

    /// Why it failed before it was placed, without looking at it as its sender does.
    pub(crate) fn failure(&self) -> Option<Error> {
        let state = leaf(&self.state);
        state.coming.clone().or_else(|| state.outcome.as_ref()?.as_ref().err().cloned())
    }

    /// As [`watch`](Self::watch) for interceptors: `teller` is woken before anybody sees a failure, and whoever it wakes has to
    /// [`publish`](Self::publish) that.
    pub(crate) fn intercept(&self, teller: &Waker) -> Option<Option<Placed>> {
        let mut state = leaf(&self.state);
        match &state.outcome {
            Some(outcome) => Some(outcome.as_ref().ok().cloned()),
            None if state.coming.is_some() => Some(None),
            None => {
                state.teller = Some(teller.clone());
                None
            }
        }
    }

    /// Interceptors are told: everybody may see the failure. Hold no lock.
    pub(crate) fn publish(&self) {
        let mut wakers = Wakers::new();
        let coming = leaf(&self.state).coming.take();
        if let Some(error) = coming {
            self.set(Err(error), &mut wakers);
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    /// As [`poll`](Self::poll), without counting as a look at the failure: `Some(None)` is one.
    pub(crate) fn watch(&self, waker: &Waker) -> Option<Option<Placed>> {
        let mut state = leaf(&self.state);
        match &state.outcome {
            Some(outcome) => Some(outcome.as_ref().ok().cloned()),
            None => {
                if !state.wakers.iter().any(|kept| kept.will_wake(waker)) {
                    state.wakers.push(waker.clone());
                }
                None
            }
        }
    }

    /// Without a yield point: a ticket is placed under its slot's lock.
    fn set(&self, outcome: Result<Placed, Error>, wakers: &mut Wakers) {
        let mut state = leaf(&self.state);
        let told_first = state.teller.take().map(|teller| wakers.push(teller)).is_some();
        if state.outcome.is_none() {
            if let (true, Err(error)) = (told_first, &outcome) {
                state.coming = Some(error.clone());
                return;
            }
            state.outcome = Some(outcome);
            self.ready.store(true, Ordering::Release);
            wakers.append(&mut state.wakers);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.seen.load(Ordering::Acquire) {
            return;
        }
        let outcome = self.state.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner).outcome.take();
        if let Some(Err(error)) = outcome {
            self.shared.unseen(1, error);
        }
    }
}

/// A waiting record with the only means to end its wait; dropped without, it says that the client is gone.
#[derive(Debug)]
pub(crate) struct Waiting {
    ticket: Option<Arc<Ticket>>,
    pub(crate) record: Kept,
    /// The transaction that it belongs to; 0 without.
    pub(crate) generation: u64,
    /// When it entered `send`.
    pub(crate) entered: Time,
    /// It fails then.
    pub(crate) deadline: Time,
    /// A flush waits for it.
    pub(crate) urgent: bool,
    /// Its partition was chosen by the sticky choice.
    pub(crate) sticky: bool,
}

impl Waiting {
    pub(crate) fn new(
        shared: &Arc<ProducerShared>,
        record: Kept,
        entered: Time,
        deadline: Time,
    ) -> (Self, Arc<Ticket>) {
        let ticket = Ticket::new(shared.clone());
        let generation = shared.generation();
        shared.admitted(generation);
        let waiting =
            Self { ticket: Some(ticket.clone()), record, generation, entered, deadline, urgent: false, sticky: false };
        (waiting, ticket)
    }

    /// Who watches.
    pub(crate) fn ticket(&self) -> Option<&Arc<Ticket>> {
        self.ticket.as_ref()
    }

    /// It is in a batch now.
    pub(crate) fn placed(mut self, placed: Placed, wakers: &mut Wakers) {
        self.end(Ok(placed), wakers);
    }

    /// It was never admitted: nobody else holds its ticket.
    pub(crate) fn withdraw(mut self) {
        if let Some(ticket) = self.ticket.take() {
            ticket.shared.unline(self.record.held());
            ticket.shared.resolved(self.generation);
        }
    }

    /// It failed.
    pub(crate) fn fail(mut self, error: Error, wakers: &mut Wakers) {
        self.end(Err(error), wakers);
    }

    fn end(&mut self, outcome: Result<Placed, Error>, wakers: &mut Wakers) {
        if let Some(ticket) = self.ticket.take() {
            if let Err(error) = &outcome {
                ticket.shared.poison(self.generation, error);
            }
            ticket.set(outcome, wakers);
            ticket.shared.unline(self.record.held());
            ticket.shared.resolved(self.generation);
        }
    }

    /// The error of a record whose time in line is up.
    pub(crate) fn timed_out(kind: ErrorKind, topic: &str, text: String) -> Error {
        Error::new(kind, text)
            .with_topic(topic)
            .with_phase(klamm_core::error::Phase::Waiting)
            .with_retriable(true)
            .with_hint("the record was not written; see max.block.ms")
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut wakers = Wakers::new();
        self.end(Err(super::closed(false)), &mut wakers);
        for waker in wakers {
            waker.wake();
        }
    }
}
