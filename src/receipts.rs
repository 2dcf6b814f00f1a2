//! The outcomes of many records, kept per batch: no reference count per record.

use crate::delivery::{self, YIELD_AT};
use crate::front::ack::BatchAck;
use crate::front::append::{At, Sent};
use crate::front::line::Ticket;
use crate::front::park;
use crate::producer::{Producer, failed};
use crate::record::Record;
use crate::{Error, Result};
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Collects the outcomes of records sent by [`Producer::send_to`], for loops that send millions and look at all of them.
///
/// Records are numbered in the order in which they were sent into it, from 0. Keep one per thread, and [`drain`](Self::drain) it now and then, or it grows.
#[derive(Default)]
pub struct Receipts {
    /// For each partition the batch that its records go to now: its place in `batches`, counted from `gone`.
    current: Vec<Option<u64>>,
    batches: VecDeque<Entry>,
    gone: u64,
    lined: VecDeque<(u64, Arc<Ticket>)>,
    next: u64,
    spare: Vec<Vec<Segment>>,
    /// The run that the last record belongs to: it is not yet among its batch's segments.
    hot: Option<Hot>,
}

/// A run that may grow, and the place of its batch in `batches`, counted from `gone`.
#[derive(Clone, Copy, Debug)]
struct Hot {
    segment: Segment,
    at: u64,
    /// The address of its batch, which its entry keeps.
    ack: usize,
}

struct Entry {
    ack: Arc<BatchAck>,
    segments: Vec<Segment>,
    done: bool,
}

/// Records that follow each other by number and in their batch.
#[derive(Clone, Copy, Debug)]
struct Segment {
    number: u64,
    index: u32,
    count: u32,
}

/// Records with one outcome: they follow each other by number, by place in their batch, and so by offset.
#[derive(Clone, Debug)]
pub struct Receipt {
    numbers: Range<u64>,
    result: Result<RunMetadata>,
}

impl Receipt {
    /// The numbers of the records, as they were sent into the [`Receipts`].
    pub fn numbers(&self) -> Range<u64> {
        self.numbers.clone()
    }

    /// Where they are, or why they are not.
    pub fn result(&self) -> Result<&RunMetadata, &Error> {
        self.result.as_ref()
    }
}

/// Where records that follow each other are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunMetadata {
    topic: Arc<str>,
    partition: i32,
    offset: Option<i64>,
}

impl RunMetadata {
    /// Their topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }
    /// Their partition.
    pub fn partition(&self) -> i32 {
        self.partition
    }
    /// The offset of the first of them; the others follow. `None` with `acks=0`, or for a duplicate whose offset the
    /// broker did not tell.
    pub fn offset(&self) -> Option<i64> {
        self.offset
    }
}

impl Receipts {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many records were sent into it so far.
    pub fn sent(&self) -> u64 {
        self.next
    }

    /// How many batches and waiting records it keeps.
    pub fn pending(&self) -> usize {
        self.batches.iter().filter(|entry| !entry.done).count() + self.lined.len()
    }

    #[inline(always)]
    fn push(&mut self, (ack, index, _): At<'_>) {
        if let Some(Hot { segment, ack: own, .. }) = &mut self.hot {
            if *own == Arc::as_ptr(ack).addr() && segment.index.wrapping_add(segment.count) == index {
                segment.count += 1;
                self.next += 1;
                return;
            }
        }
        self.begin(ack, index);
    }

    /// A record that is in no batch.
    fn line(&mut self, ticket: Arc<Ticket>) {
        // The numbers of a run follow each other.
        self.cool();
        self.lined.push_back((self.next, ticket));
        self.next += 1;
    }

    /// Begins a run: of another batch, or behind records that went elsewhere.
    #[inline(never)]
    fn begin(&mut self, ack: &Arc<BatchAck>, index: u32) {
        self.cool();
        let segment = Segment { number: self.next, index, count: 1 };
        self.next += 1;
        let partition = ack.slot.ix.0 as usize;
        if self.current.len() <= partition {
            self.current.resize(partition + 1, None);
        }
        let known = self.current.get(partition).copied().flatten();
        let known = known.filter(|at| self.entry(*at).is_some_and(|entry| Arc::ptr_eq(&entry.ack, ack)));
        let at = known.unwrap_or(self.gone + self.batches.len() as u64);
        if known.is_none() {
            let segments = self.spare.pop().unwrap_or_default();
            self.batches.push_back(Entry { ack: ack.clone(), segments, done: false });
            if let Some(current) = self.current.get_mut(partition) {
                *current = Some(at);
            }
        }
        self.hot = Some(Hot { segment, at, ack: Arc::as_ptr(ack).addr() });
    }

    /// Puts the run of the last record among its batch's segments.
    fn cool(&mut self) {
        if let Some(Hot { segment, at, .. }) = self.hot.take() {
            if let Some(entry) = self.entry(at) {
                entry.segments.push(segment);
            }
        }
    }

    fn entry(&mut self, at: u64) -> Option<&mut Entry> {
        self.batches.get_mut(usize::try_from(at.checked_sub(self.gone)?).ok()?)
    }

    /// Whether the record sent last is in the buffer, or failed before it got there: then back-pressure need not be waited
    /// for.
    #[inline]
    pub fn is_queued(&self) -> bool {
        self.lined.back().is_none_or(|(_, ticket)| ticket.is_ready())
    }

    /// Resolves when the record sent last is in the buffer: the back-pressure of a loop of
    /// [`send_to`](Producer::send_to).
    #[inline]
    pub fn queued(&mut self) -> Room<'_> {
        Room { receipts: self, yielded: false }
    }

    #[inline]
    fn unsent(&self) -> usize {
        self.batches.back().map_or(0, |entry| entry.ack.slot.shared.unsent())
    }

    /// Takes every outcome that is known by now. Grouped by batch; within a partition in the order of sending.
    pub fn drain(&mut self) -> impl Iterator<Item = Receipt> + use<> {
        let mut out = Vec::new();
        self.cool();
        self.take_lined(&mut out);
        for entry in self.batches.iter_mut().filter(|entry| !entry.done) {
            entry.take(&mut out);
        }
        while self.batches.front().is_some_and(|entry| entry.done) {
            let Some(mut entry) = self.batches.pop_front() else { break };
            self.gone += 1;
            if self.spare.len() < 64 {
                entry.segments.clear();
                self.spare.push(entry.segments);
            }
        }
        out.into_iter()
    }

    fn take_lined(&mut self, out: &mut Vec<Receipt>) {
        let mut still = VecDeque::new();
        for (number, ticket) in self.lined.drain(..) {
            match ticket.placed() {
                None => still.push_back((number, ticket)),
                Some(Err(error)) => out.push(Receipt { numbers: number..number + 1, result: Err(error) }),
                Some(Ok(placed)) => {
                    // A lined record has an entry of its own: it is drained like the others.
                    let segments = vec![Segment { number, index: placed.index, count: 1 }];
                    self.batches.push_back(Entry { ack: placed.ack, segments, done: false });
                }
            }
        }
        self.lined = still;
    }

    /// Done when every outcome is known; then [`drain`](Self::drain) gives them all.
    pub fn settled(&mut self) -> Settled<'_> {
        Settled { receipts: self, looked: 0 }
    }

    /// Parks this thread until every outcome is known.
    ///
    /// # Errors
    /// `ErrorKind::Misuse` on the thread that runs the driver.
    pub fn wait(&mut self) -> Result<()> {
        self.check_thread()?;
        park::block_on(self.settled(), None).ok_or_else(park::misuse)
    }

    fn check_thread(&self) -> Result<()> {
        let front = match (self.batches.back(), self.lined.back()) {
            (Some(entry), _) => &entry.ack.slot.shared.front,
            (None, Some((_, ticket))) => &ticket.shared.front,
            (None, None) => return Ok(()),
        };
        if park::would_deadlock(front) { Err(park::misuse()) } else { Ok(()) }
    }
}

impl Entry {
    fn take(&mut self, out: &mut Vec<Receipt>) {
        let Some(_) = self.segments.first().filter(|first| self.ack.is_ready(first.index)) else { return };
        if !self.ack.is_settled() {
            return;
        }
        self.done = true;
        for segment in &self.segments {
            let mut from = 0;
            while from < segment.count {
                let run = self.ack.run(segment.index + from, segment.count - from);
                let (landed, count) = run.unwrap_or_else(|| (Err(park::misuse()), segment.count - from));
                let numbers = segment.number + u64::from(from)..segment.number + u64::from(from + count);
                out.push(Receipt { numbers, result: landed.map(|landed| self.metadata(landed.offset)) });
                from += count;
            }
        }
    }

    fn metadata(&self, offset: Option<i64>) -> RunMetadata {
        let slot = &self.ack.slot;
        let partition = i32::try_from(slot.number).unwrap_or(i32::MAX);
        RunMetadata { topic: slot.topic.clone(), partition, offset }
    }
}

/// Done when every outcome of a [`Receipts`] is known.
///
/// # Cancel safety
/// Dropping it loses nothing.
#[must_use = "await it"]
pub struct Settled<'a> {
    receipts: &'a mut Receipts,
    looked: usize,
}

impl Future for Settled<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut lined = std::mem::take(&mut this.receipts.lined);
        let mut waits = false;
        for (_, ticket) in &mut lined {
            waits |= ticket.watch(cx.waker()).is_none();
        }
        this.receipts.lined = lined;
        if waits {
            return Poll::Pending;
        }
        for (_, ticket) in &this.receipts.lined {
            if let Some(Some(placed)) = ticket.watch(cx.waker()) {
                if !placed.ack.settled(cx.waker()) {
                    return Poll::Pending;
                }
            }
        }
        while let Some(entry) = this.receipts.batches.get(this.looked) {
            if !entry.done && !entry.ack.settled(cx.waker()) {
                return Poll::Pending;
            }
            this.looked += 1;
        }
        Poll::Ready(())
    }
}

/// Resolves when the record sent last is in the buffer. See [`Receipts::queued`].
///
/// # Cancel safety
/// Dropping it changes nothing: the record keeps its place in line.
#[must_use = "await it: that is the back-pressure"]
#[derive(Debug)]
pub struct Room<'a> {
    receipts: &'a mut Receipts,
    yielded: bool,
}

impl Room<'_> {
    /// Parks this thread until the record sent last is in the buffer.
    ///
    /// # Errors
    /// `ErrorKind::Misuse` on the thread that runs the driver.
    pub fn wait(mut self) -> Result<()> {
        if self.receipts.is_queued() {
            return Ok(());
        }
        self.receipts.check_thread()?;
        self.yielded = true;
        park::block_on(self, None).unwrap_or_else(|| Err(park::misuse()))
    }
}

impl Future for Room<'_> {
    type Output = Result<()>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some((_, ticket)) = self.receipts.lined.back() {
            if ticket.watch(cx.waker()).is_none() {
                return Poll::Pending;
            }
        }
        // On a runtime of one thread the driver needs its turn before memory is full and caches are cold.
        if !self.yielded && self.receipts.unsent() >= YIELD_AT {
            self.yielded = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for Settled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Settled")
    }
}

impl fmt::Debug for Receipts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipts").field("sent", &self.next).field("pending", &self.pending()).finish()
    }
}

impl Producer {
    /// As [`send`](Self::send), with the outcome kept in `receipts`: no reference count per record.
    pub fn send_to(&self, receipts: &mut Receipts, record: Record<'_>) {
        if self.send_at_once(&record, |at| receipts.push(at)).is_none() {
            self.send_to_looking(receipts, &record);
        }
    }

    #[inline(never)]
    fn send_to_looking(&self, receipts: &mut Receipts, record: &Record<'_>) {
        if let Some(interceptors) = self.interceptors() {
            match self.send_intercepted(interceptors, record).0 {
                delivery::At::Batch(ack, index, delta) => receipts.push((&ack, index, delta)),
                delivery::At::Line(ticket) => receipts.line(ticket),
            }
            return;
        }
        let parts = record.parts();
        self.with_topic(&record.target, |topic| match topic.send(&parts, true, |at: At<'_>| receipts.push(at)) {
            Ok(Sent::Placed(())) => {}
            Ok(Sent::Waiting(ticket)) => receipts.line(ticket),
            Err(refusal) => receipts.line(failed(topic, refusal)),
        });
    }
}
