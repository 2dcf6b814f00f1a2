//! The outcome of a batch: set once by the driver, seen by all who sent a record of it.

use super::slot::Slot;
use super::sync::Mutex;
use super::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, Ordering};
use super::{locked, yield_point};
use klamm_core::{Error, ErrorKind, Timestamp};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

const PENDING: u8 = 0;
const DELIVERED: u8 = 1;
const FAILED: u8 = 2;
const SPLIT: u8 = 3;

const NO_OFFSET: i64 = -1;
const NO_TIME: i64 = i64::MIN;

/// One per batch, shared by the slot and the handles of its records.
#[derive(Debug)]
pub(crate) struct BatchAck {
    state: AtomicU8,
    /// Somebody looked at the failure, or it is counted.
    seen: AtomicBool,
    hurried: AtomicBool,
    base_offset: AtomicI64,
    append_time: AtomicI64,
    count: AtomicU32,
    /// What the deltas of handles count from.
    base_timestamp: i64,
    /// The transaction that its records belong to; 0 without.
    pub(crate) generation: u64,
    pub(crate) slot: Arc<Slot>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    wakers: Vec<Waker>,
    failure: Option<(Error, Vec<(u32, Error)>)>,
    parts: Vec<(u32, u32, Arc<BatchAck>)>,
    /// Fences that hold the batch without being its sender.
    watchers: usize,
    /// Interceptors are to be told before anybody sees the outcome: wakes whoever tells them.
    teller: Option<Waker>,
    /// The outcome's state, until they are told.
    coming: Option<u8>,
}

/// What there is to tell interceptors of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing yet.
    Pending,
    /// The outcome.
    Known,
    /// Its parts have outcomes of their own.
    Split,
}

/// Where a record of a batch ended.
#[derive(Clone, Debug)]
pub(crate) struct Landed {
    pub(crate) offset: Option<i64>,
    pub(crate) append_time: Option<Timestamp>,
}

/// Resolves a batch; dropped without, it says that the client is gone (contracts B6).
#[derive(Debug)]
pub(crate) struct AckSetter {
    ack: Option<Arc<BatchAck>>,
    /// The core has it: the broker may have it too.
    pub(crate) handed_over: bool,
}

/// Tasks to wake once no lock is held.
pub(crate) type Wakers = Vec<Waker>;

impl BatchAck {
    pub(crate) fn new(slot: Arc<Slot>, base_timestamp: i64, generation: u64) -> Arc<Self> {
        Arc::new(Self {
            state: AtomicU8::new(PENDING),
            seen: AtomicBool::new(false),
            hurried: AtomicBool::new(false),
            base_offset: AtomicI64::new(NO_OFFSET),
            append_time: AtomicI64::new(NO_TIME),
            count: AtomicU32::new(0),
            base_timestamp,
            generation,
            slot,
            inner: Mutex::default(),
        })
    }

    /// How far a record's timestamp is from the batch's, in ms; `i32::MIN` if that does not fit.
    #[inline]
    pub(crate) fn delta(&self, timestamp: i64) -> i32 {
        timestamp.checked_sub(self.base_timestamp).and_then(|delta| i32::try_from(delta).ok()).unwrap_or(i32::MIN)
    }

    /// The timestamp of a record `delta` away.
    pub(crate) fn timestamp(&self, delta: i32) -> Option<Timestamp> {
        (delta != i32::MIN).then(|| Timestamp(self.base_timestamp.saturating_add(i64::from(delta))))
    }

    /// How many records the batch has; 0 while it is open.
    pub(crate) fn set_count(&self, count: u32) {
        self.count.store(count, Ordering::Relaxed);
    }

    /// Whether the outcome of the record is known.
    #[inline]
    pub(crate) fn is_ready(&self, index: u32) -> bool {
        match self.state.load(Ordering::Acquire) {
            PENDING => false,
            SPLIT => self.part(index).is_some_and(|(part, index)| part.is_ready(index)),
            _ => true,
        }
    }

    /// The outcome of one record of a batch without parts, if it is known to whoever tells interceptors of it.
    pub(crate) fn peek(&self, index: u32) -> Option<Result<Landed, Error>> {
        let coming = locked(&self.inner).coming;
        match coming.unwrap_or_else(|| self.state.load(Ordering::Acquire)) {
            PENDING | SPLIT => None,
            DELIVERED => Some(Ok(self.landed(index))),
            _ => Some(Err(self.error(index))),
        }
    }

    /// How it stands; if there is nothing to tell yet, `teller` is woken before anybody sees the outcome, and whoever it wakes
    /// has to [`publish`](Self::publish) that.
    pub(crate) fn intercept(&self, teller: &Waker) -> Standing {
        let mut inner = locked(&self.inner);
        match self.state.load(Ordering::Acquire) {
            PENDING if inner.coming.is_none() => {
                inner.teller = Some(teller.clone());
                Standing::Pending
            }
            SPLIT => Standing::Split,
            _ => Standing::Known,
        }
    }

    /// Interceptors are told: everybody may see the outcome. Hold no lock.
    pub(crate) fn publish(&self) {
        let wakers = {
            let mut inner = locked(&self.inner);
            let Some(state) = inner.coming.take() else { return };
            self.state.store(state, Ordering::Release);
            std::mem::take(&mut inner.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The outcome of one record, if it is known. Looking at a failure makes it seen.
    pub(crate) fn outcome(&self, index: u32) -> Option<Result<Landed, Error>> {
        match self.state.load(Ordering::Acquire) {
            PENDING => None,
            DELIVERED => Some(Ok(self.landed(index))),
            SPLIT => {
                let (part, index) = self.part(index)?;
                part.outcome(index)
            }
            _ => {
                self.seen.store(true, Ordering::Relaxed);
                Some(Err(self.error(index)))
            }
        }
    }

    /// The outcome of the record `index`, if it is known, and how many of the `count` records from there on share it: they
    /// follow each other in the log, or failed alike.
    pub(crate) fn run(&self, index: u32, count: u32) -> Option<(Result<Landed, Error>, u32)> {
        match self.state.load(Ordering::Acquire) {
            PENDING => None,
            DELIVERED => Some((Ok(self.landed(index)), count)),
            SPLIT => {
                let (part, at) = self.part(index)?;
                let rest = part.count.load(Ordering::Relaxed).saturating_sub(at);
                part.run(at, count.min(rest.max(1)))
            }
            _ => {
                self.seen.store(true, Ordering::Relaxed);
                let error = self.error(index);
                let whole = locked(&self.inner).failure.as_ref().is_none_or(|(_, culprits)| culprits.is_empty());
                let alike = || (1..count).find(|ahead| self.error(index + ahead) != error).unwrap_or(count);
                let alike = if whole { count } else { alike() };
                Some((Err(error), alike))
            }
        }
    }

    /// Whether the outcomes of these records are known.
    pub(crate) fn are_ready(&self, index: u32, count: u32) -> bool {
        match self.state.load(Ordering::Acquire) {
            PENDING => false,
            SPLIT => (index..index + count).all(|index| self.is_ready(index)),
            _ => true,
        }
    }

    fn landed(&self, index: u32) -> Landed {
        let base = self.base_offset.load(Ordering::Relaxed);
        let time = self.append_time.load(Ordering::Relaxed);
        Landed {
            offset: (base >= 0).then(|| base.saturating_add(i64::from(index))),
            append_time: (time != NO_TIME).then_some(Timestamp(time)),
        }
    }

    fn error(&self, index: u32) -> Error {
        let inner = locked(&self.inner);
        let Some((error, culprits)) = &inner.failure else {
            return Error::new(ErrorKind::NotDelivered, "the batch failed");
        };
        culprits.iter().find(|(at, _)| *at == index).map_or(error, |(_, own)| own).clone()
    }

    /// The part that a record of a split batch is in, and its place there.
    pub(crate) fn part(&self, index: u32) -> Option<(Arc<Self>, u32)> {
        let inner = locked(&self.inner);
        let (first, _, part) = inner.parts.iter().find(|(first, count, _)| (*first..first + count).contains(&index))?;
        Some((part.clone(), index - first))
    }

    /// The outcome of one record, or the task's waker is kept: once per task and batch.
    pub(crate) fn poll(self: &Arc<Self>, index: u32, cx: &mut Context<'_>) -> Poll<Result<Landed, Error>> {
        if let Some(outcome) = self.outcome(index) {
            return Poll::Ready(outcome);
        }
        if !self.hurried.swap(true, Ordering::Relaxed) {
            // A lone awaited send on an idle partition skips linger.
            self.slot.hurry_lone(self);
        }
        self.register(index, cx);
        yield_point();
        match self.outcome(index) {
            Some(outcome) => Poll::Ready(outcome),
            None => Poll::Pending,
        }
    }

    fn register(&self, index: u32, cx: &mut Context<'_>) {
        let mut inner = locked(&self.inner);
        match self.state.load(Ordering::Acquire) {
            PENDING if !inner.wakers.iter().any(|kept| kept.will_wake(cx.waker())) => {
                inner.wakers.push(cx.waker().clone());
            }
            SPLIT => {
                drop(inner);
                if let Some((part, index)) = self.part(index) {
                    part.register(index, cx);
                }
            }
            _ => {}
        }
    }

    /// A fence begins to hold this batch.
    pub(crate) fn watch(&self) {
        locked(&self.inner).watchers += 1;
    }

    /// Whether every record of the batch is resolved, its parts included; else the waker is kept.
    pub(crate) fn settled(&self, waker: &Waker) -> bool {
        let parts: Vec<_> = {
            let mut inner = locked(&self.inner);
            if self.state.load(Ordering::Acquire) == PENDING {
                if !inner.wakers.iter().any(|kept| kept.will_wake(waker)) {
                    inner.wakers.push(waker.clone());
                }
                return false;
            }
            inner.parts.iter().map(|(_, _, part)| part.clone()).collect()
        };
        parts.iter().all(|part| part.settled(waker))
    }

    /// Whether the batch, its parts included, is resolved.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled(Waker::noop())
    }

    /// A fence lets go of a settled batch: if it failed and no sender holds it any more, the failure counts as unseen.
    pub(crate) fn unwatch(self: Arc<Self>) {
        let (others, failed, parts) = {
            let mut inner = locked(&self.inner);
            inner.watchers = inner.watchers.saturating_sub(1);
            let parts: Vec<_> = inner.parts.iter().map(|(_, _, part)| part.clone()).collect();
            (Arc::strong_count(&self) > 1 + inner.watchers, self.state.load(Ordering::Acquire) == FAILED, parts)
        };
        if failed && !others {
            self.count_unseen();
        }
        for part in parts {
            // This clone stands for no sender either.
            let lone = Arc::strong_count(&part) <= 2;
            if !others && lone && part.state.load(Ordering::Acquire) == FAILED {
                part.count_unseen();
            }
        }
    }

    fn count_unseen(&self) {
        if !self.seen.swap(true, Ordering::AcqRel) {
            let count = self.count.load(Ordering::Relaxed).max(1);
            self.slot.shared.unseen(u64::from(count), self.error(0));
        }
    }
}

impl Drop for BatchAck {
    fn drop(&mut self) {
        // What the reference count orders a model does not see.
        #[cfg(all(loom, test))]
        drop(locked(&self.inner));
        if self.state.load(Ordering::Acquire) == FAILED {
            self.count_unseen();
        }
    }
}

impl AckSetter {
    pub(crate) fn new(ack: Arc<BatchAck>) -> Self {
        ack.slot.shared.admitted(ack.generation);
        Self { ack: Some(ack), handed_over: false }
    }

    /// The batch's ack.
    pub(crate) fn ack(&self) -> Option<&Arc<BatchAck>> {
        self.ack.as_ref()
    }

    /// The batch is in the log.
    pub(crate) fn deliver(self, base_offset: Option<i64>, append_time: Option<Timestamp>, wakers: &mut Wakers) {
        self.resolve(wakers, |ack, _| {
            ack.base_offset.store(base_offset.filter(|at| *at >= 0).unwrap_or(NO_OFFSET), Ordering::Relaxed);
            ack.append_time.store(append_time.map_or(NO_TIME, |at| at.0), Ordering::Relaxed);
            DELIVERED
        });
    }

    /// The batch failed.
    pub(crate) fn fail(self, error: Error, culprits: Vec<(u32, Error)>, wakers: &mut Wakers) {
        if let Some(ack) = &self.ack {
            ack.slot.shared.poison(ack.generation, &error);
        }
        self.resolve(wakers, |_, inner| {
            inner.failure = Some((error, culprits));
            FAILED
        });
    }

    /// The batch goes on in parts `(first, count)`, for each of which this gives a setter.
    pub(crate) fn split(self, parts: &[(u32, u32)], wakers: &mut Wakers) -> Vec<Self> {
        let Some(own) = self.ack.clone() else { return Vec::new() };
        let teller = locked(&own.inner).teller.clone();
        let acks: Vec<_> = parts
            .iter()
            .map(|(first, count)| {
                let ack = BatchAck::new(own.slot.clone(), own.base_timestamp, own.generation);
                ack.set_count(*count);
                locked(&ack.inner).teller.clone_from(&teller);
                (*first, *count, ack)
            })
            .collect();
        drop(own);
        let mut setters: Vec<_> = acks.iter().map(|(_, _, ack)| Self::new(ack.clone())).collect();
        for setter in &mut setters {
            setter.handed_over = true;
        }
        self.resolve(wakers, |_, inner| {
            inner.parts = acks;
            SPLIT
        });
        setters
    }

    fn resolve(mut self, wakers: &mut Wakers, set: impl FnOnce(&BatchAck, &mut Inner) -> u8) {
        if let Some(ack) = self.ack.take() {
            resolve(&ack, wakers, set);
            ack.slot.shared.resolved(ack.generation);
        }
    }

    /// Its batch never got a record: there is nothing to tell.
    pub(crate) fn dismiss(mut self) {
        if let Some(ack) = self.ack.take() {
            ack.slot.shared.resolved(ack.generation);
        }
    }
}

fn resolve(ack: &Arc<BatchAck>, wakers: &mut Wakers, set: impl FnOnce(&BatchAck, &mut Inner) -> u8) {
    let (state, unseen) = {
        let mut inner = locked(&ack.inner);
        let state = set(ack, &mut inner);
        let told_first = inner.teller.take().map(|teller| wakers.push(teller)).is_some();
        if told_first && state != SPLIT {
            // Who tells the interceptors lets the others see it, and counts it if it is a failure that nobody sees.
            inner.coming = Some(state);
            (state, false)
        } else {
            wakers.append(&mut inner.wakers);
            ack.state.store(state, Ordering::Release);
            // Decided under the lock that fences take: what they find failed is counted, or some sender still holds it.
            let alone = || Arc::strong_count(ack) <= 1 + inner.watchers;
            (state, state == FAILED && alone() && !ack.seen.swap(true, Ordering::AcqRel))
        }
    };
    if state != SPLIT {
        ack.slot.shared.leave(ack.count.load(Ordering::Relaxed) as usize);
    }
    if unseen {
        let count = ack.count.load(Ordering::Relaxed).max(1);
        ack.slot.shared.unseen(u64::from(count), ack.error(0));
    }
}

impl Drop for AckSetter {
    fn drop(&mut self) {
        let Some(ack) = self.ack.take() else { return };
        let mut wakers = Wakers::new();
        let error = super::closed(self.handed_over);
        ack.slot.shared.poison(ack.generation, &error);
        resolve(&ack, &mut wakers, |_, inner| {
            inner.failure = Some((error, Vec::new()));
            FAILED
        });
        ack.slot.shared.resolved(ack.generation);
        drop(ack);
        for waker in wakers {
            waker.wake();
        }
    }
}

/// Failures that nobody looked at, until the next flush or close tells of them.
#[derive(Debug, Default)]
pub(crate) struct Unseen(Mutex<(u64, Option<Error>)>);

impl Unseen {
    /// More of them.
    pub(crate) fn add(&self, count: u64, error: Error) {
        let mut kept = locked(&self.0);
        kept.0 = kept.0.saturating_add(count);
        kept.1.get_or_insert(error);
    }

    /// Tells of them, once.
    pub(crate) fn take(&self) -> Result<(), Error> {
        let (count, first) = std::mem::take(&mut *locked(&self.0));
        let Some(first) = first else { return Ok(()) };
        let possibly = first.possibly_written();
        Err(Error::new(
            ErrorKind::Undelivered,
            format!("{count} records failed whose Delivery nobody looked at; the first"),
        )
        .with_possibly_written(possibly)
        .with_source(first))
    }
}
