//! The outcomes of many records, kept per batch: no reference count per record.

use crate::front::ack::BatchAck;
use crate::front::append::{At, Sent};
use crate::front::line::Ticket;
use crate::front::park;
use crate::producer::{Producer, failed};
use crate::record::Record;
use crate::{Error, Result};
use klamm_core::PartitionIx;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Collects the outcomes of records sent by [`Producer::send_to`], for loops that send millions and look at all of them.
///
/// Records are numbered in the order in which they were sent into it, from 0. Keep one per thread, and [`drain`]
/// (Self::drain) it now and then, or it grows.
#[derive(Default)]
pub struct Receipts {
    /// For each partition the batch that its records go to now: its place in `batches`, counted from `gone`.
    current: Vec<Option<u64>>,
    batches: VecDeque<Entry>,
    gone: u64,
    lined: VecDeque<(u64, Arc<Ticket>)>,
    next: u64,
    spare: Vec<Vec<Segment>>,
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

    #[inline]
    fn push(&mut self, (ack, index, _): At<'_>, partition: PartitionIx) {
        let number = self.next;
        self.next += 1;
        let entry = self.current.get(partition.0 as usize).copied().flatten();
        let entry = entry.and_then(|at| self.batches.get_mut(usize::try_from(at.checked_sub(self.gone)?).ok()?));
        if let Some(entry) = entry.filter(|entry| Arc::ptr_eq(&entry.ack, ack)) {
            entry.push(number, index);
        } else {
            self.open(ack, index, number, partition);
        }
    }

    #[cold]
    fn open(&mut self, ack: &Arc<BatchAck>, index: u32, number: u64, partition: PartitionIx) {
        let at = partition.0 as usize;
        if self.current.len() <= at {
            self.current.resize(at + 1, None);
        }
        if let Some(current) = self.current.get_mut(at) {
            *current = Some(self.gone + self.batches.len() as u64);
        }
        let mut segments = self.spare.pop().unwrap_or_default();
        segments.push(Segment { number, index, count: 1 });
        self.batches.push_back(Entry { ack: ack.clone(), segments, done: false });
    }

    /// Takes every outcome that is known by now. Grouped by batch; within a partition in the order of sending.
    pub fn drain(&mut self) -> impl Iterator<Item = Receipt> + use<> {
        let mut out = Vec::new();
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
        let front = match (self.batches.back(), self.lined.back()) {
            (Some(entry), _) => Some(entry.ack.slot.shared.front.clone()),
            (None, Some((_, ticket))) => Some(ticket.shared.front.clone()),
            (None, None) => None,
        };
        if front.is_some_and(|front| park::would_deadlock(&front)) {
            return Err(park::misuse());
        }
        park::block_on(self.settled(), None).ok_or_else(park::misuse)
    }
}

impl Entry {
    #[inline]
    fn push(&mut self, number: u64, index: u32) {
        if let Some(last) = self.segments.last_mut() {
            if last.number + u64::from(last.count) == number && last.index + last.count == index {
                last.count += 1;
                return;
            }
        }
        self.segments.push(Segment { number, index, count: 1 });
    }

    fn take(&mut self, out: &mut Vec<Receipt>) {
        let Some(_) = self.segments.first().filter(|first| self.ack.is_ready(first.index)) else { return };
        if !self.ack.is_settled() {
            return;
        }
        self.done = true;
        for segment in &self.segments {
            let mut from = 0;
            while from < segment.count {
                let first = self.outcome(segment.index + from);
                // Parts of a split batch and culprits of a failed one differ from their neighbours.
                let mut to = from + 1;
                while to < segment.count && follows(&first, to - from, &self.outcome(segment.index + to)) {
                    to += 1;
                }
                let numbers = segment.number + u64::from(from)..segment.number + u64::from(to);
                out.push(Receipt { numbers, result: first });
                from = to;
            }
        }
    }

    fn outcome(&self, index: u32) -> Result<RunMetadata> {
        let slot = &self.ack.slot;
        let landed = self.ack.outcome(index).unwrap_or_else(|| Err(park::misuse()))?;
        let partition = i32::try_from(slot.number).unwrap_or(i32::MAX);
        Ok(RunMetadata { topic: slot.topic.clone(), partition, offset: landed.offset })
    }
}

fn follows(first: &Result<RunMetadata>, ahead: u32, next: &Result<RunMetadata>) -> bool {
    match (first, next) {
        (Ok(first), Ok(next)) => first.offset.map(|at| at + i64::from(ahead)) == next.offset,
        (Err(first), Err(next)) => first == next,
        _ => false,
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
        let parts = record.parts();
        self.with_topic(&record.target, |topic| {
            let sent = topic.send(&parts, true, |at: At<'_>| receipts.push(at, at.0.slot.ix));
            let ticket = match sent {
                Ok(Sent::Placed(())) => return,
                Ok(Sent::Waiting(ticket)) => ticket,
                Err(refusal) => failed(topic, refusal),
            };
            receipts.lined.push_back((receipts.next, ticket));
            receipts.next += 1;
        });
    }
}
