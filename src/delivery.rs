//! One record on its way.

use crate::front::Front;
use crate::front::ack::{BatchAck, Landed};
use crate::front::line::{Placed, Ticket};
use crate::front::park;
use crate::record::Record;
use crate::{Error, Result};
use klamm_core::Timestamp;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// One record on its way: 16 bytes.
///
/// Awaited, it is the acknowledgement of the brokers (as many as `acks` asks for); [`queued`](Self::queued) awaited is
/// back-pressure only. The record is on its way either way.
///
/// # Cancel safety
/// Dropping it changes nothing at any moment: the record is acknowledged, or fails within `max.block.ms` (in line) and
/// `delivery.timeout.ms` (in all). A failure that nobody looked at is told by the next
/// [`flush`](crate::Producer::flush) or [`close`](crate::Producer::close).
#[derive(Clone)]
pub struct Delivery(pub(crate) At);

/// Where the record is.
#[derive(Clone)]
pub(crate) enum At {
    Batch(Arc<BatchAck>, u32, i32),
    Line(Arc<Ticket>),
}

impl From<Placed> for Delivery {
    #[inline]
    fn from(placed: Placed) -> Self {
        Self(At::Batch(placed.ack, placed.index, placed.delta))
    }
}

impl From<Arc<Ticket>> for Delivery {
    fn from(ticket: Arc<Ticket>) -> Self {
        Self(At::Line(ticket))
    }
}

pub(crate) fn metadata(ack: &BatchAck, delta: i32, landed: &Landed) -> RecordMetadata {
    RecordMetadata {
        partition: i32::try_from(ack.slot.number).unwrap_or(i32::MAX),
        offset: landed.offset,
        timestamp: landed.append_time.or_else(|| ack.timestamp(delta)),
    }
}

impl Delivery {
    /// Resolves when the record is in the buffer: the point of back-pressure, like Java's `send`. Gives the `Delivery`
    /// back, to await the acknowledgement then or never.
    pub fn queued(self) -> Queued<Self> {
        Queued::new(self)
    }

    /// Whether the outcome is known: one load, no waker, no allocation.
    pub fn is_ready(&self) -> bool {
        match &self.0 {
            At::Batch(ack, index, _) => ack.is_ready(*index),
            At::Line(ticket) => ticket.outcome_known(),
        }
    }

    /// Whether the record is in the buffer, or failed before it got there.
    pub fn is_queued(&self) -> bool {
        match &self.0 {
            At::Batch(..) => true,
            At::Line(ticket) => ticket.is_ready(),
        }
    }

    /// The outcome, if it is known.
    pub fn try_result(&self) -> Option<Result<RecordMetadata>> {
        match &self.0 {
            At::Batch(ack, index, delta) => Some(ack.outcome(*index)?.map(|landed| metadata(ack, *delta, &landed))),
            At::Line(ticket) => {
                Some(ticket.outcome()?.map(|(placed, landed)| metadata(&placed.ack, placed.delta, &landed)))
            }
        }
    }

    /// The partition, once it is chosen.
    pub fn partition(&self) -> Option<i32> {
        let number = match &self.0 {
            At::Batch(ack, ..) => ack.slot.number,
            At::Line(ticket) => ticket.placed()?.ok()?.ack.slot.number,
        };
        i32::try_from(number).ok()
    }

    /// Parks this thread until the record is acknowledged or failed.
    ///
    /// # Errors
    /// Why the record was not acknowledged; `ErrorKind::Misuse` on the thread that runs the driver.
    pub fn wait(self) -> Result<RecordMetadata> {
        if let Some(known) = self.try_result() {
            return known;
        }
        let guard = self.guard();
        guard.and_then(|()| park::block_on(self, None).unwrap_or_else(|| Err(park::misuse())))
    }

    /// As [`wait`](Self::wait), for at most `limit`: `None` if nothing is known by then. Limits the wait, not the record.
    pub fn wait_for(&mut self, limit: Duration) -> Option<Result<RecordMetadata>> {
        if let Err(misuse) = self.guard() {
            return Some(Err(misuse));
        }
        park::block_on(self, Some(limit))
    }

    fn guard(&self) -> Result<()> {
        if !self.is_ready() && park::would_deadlock(self.front()) { Err(park::misuse()) } else { Ok(()) }
    }

    pub(crate) fn front(&self) -> &Arc<Front> {
        match &self.0 {
            At::Batch(ack, ..) => &ack.slot.shared.front,
            At::Line(ticket) => &ticket.shared.front,
        }
    }

    /// Moves on from the line to the batch; the error if it never got there.
    pub(crate) fn poll_queued(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let At::Line(ticket) = &self.0 else { return Poll::Ready(Ok(())) };
        match ticket.poll(cx) {
            Poll::Ready(Ok(placed)) => {
                *self = placed.into();
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Future for Delivery {
    type Output = Result<RecordMetadata>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.poll_queued(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return Poll::Pending,
        }
        let At::Batch(ack, index, delta) = &self.0 else { return Poll::Pending };
        ack.poll(*index, cx).map(|outcome| outcome.map(|landed| metadata(ack, *delta, &landed)))
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("queued", &self.is_queued()).field("ready", &self.is_ready()).finish()
    }
}

/// Sent bytes that may wait for the driver before a task that only awaits `queued` lets it run.
pub(crate) const YIELD_AT: usize = 256 * 1024;

/// Resolves when what was sent is in the buffer. See [`Delivery::queued`].
///
/// # Cancel safety
/// Dropping it changes nothing: the record keeps its place in line.
#[must_use = "await it: that is the back-pressure"]
#[derive(Debug)]
pub struct Queued<D> {
    sent: Option<D>,
    yielded: bool,
}

impl<D> Queued<D> {
    pub(crate) fn new(sent: D) -> Self {
        Self { sent: Some(sent), yielded: false }
    }
}

/// What can be awaited until it is buffered.
#[doc(hidden)]
pub trait Queueable: Unpin {
    #[doc(hidden)]
    fn poll_buffered(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>>;
    #[doc(hidden)]
    fn unsent(&self) -> usize;
    #[doc(hidden)]
    fn would_deadlock(&self) -> bool;
}

impl Queueable for Delivery {
    fn poll_buffered(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll_queued(cx)
    }
    fn unsent(&self) -> usize {
        match &self.0 {
            At::Batch(ack, ..) => ack.slot.shared.unsent(),
            At::Line(_) => 0,
        }
    }
    fn would_deadlock(&self) -> bool {
        !self.is_queued() && park::would_deadlock(self.front())
    }
}

impl<D: Queueable> Queued<D> {
    /// Parks this thread until what was sent is in the buffer.
    ///
    /// # Errors
    /// Why it never got there; `ErrorKind::Misuse` on the thread that runs the driver.
    pub fn wait(mut self) -> Result<D> {
        self.yielded = true;
        if self.sent.as_ref().is_some_and(Queueable::would_deadlock) {
            return Err(park::misuse());
        }
        park::block_on(self, None).unwrap_or_else(|| Err(park::misuse()))
    }
}

impl<D: Queueable> Future for Queued<D> {
    type Output = Result<D>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(sent) = &mut this.sent else { return Poll::Pending };
        match sent.poll_buffered(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return Poll::Pending,
        }
        // On a runtime of one thread the driver needs its turn before memory is full and caches are cold.
        if !std::mem::replace(&mut this.yielded, true) && sent.unsent() >= YIELD_AT {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        this.sent.take().map_or(Poll::Pending, |sent| Poll::Ready(Ok(sent)))
    }
}

/// Where an acknowledged record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordMetadata {
    partition: i32,
    offset: Option<i64>,
    timestamp: Option<Timestamp>,
}

impl RecordMetadata {
    /// Its partition.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// Its offset; `None` with `acks=0`, or for a duplicate whose offset the broker did not tell.
    pub fn offset(&self) -> Option<i64> {
        self.offset
    }

    /// Its timestamp: the log's own if the topic uses that, else the record's. `None` if the record's is more than 24
    /// days from its batch's.
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.timestamp
    }
}

/// Why a record could not be taken at once; it comes back in `record`.
#[non_exhaustive]
#[derive(Debug)]
pub struct TrySendError<'r> {
    /// Why.
    pub reason: TrySendReason,
    /// The record.
    pub record: Record<'r>,
}

/// Why [`try_send`](crate::Producer::try_send) did not take a record.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub enum TrySendReason {
    /// There is no room in `buffer.memory`, or others wait for it.
    Full,
    /// The topic's partitions are not known yet.
    NotReady,
    /// The producer is closed.
    Closed(Error),
    /// The record can never be sent.
    Invalid(Error),
}

impl fmt::Display for TrySendError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            TrySendReason::Full => f.write_str("no room in buffer.memory right now"),
            TrySendReason::NotReady => write!(f, "the partitions of {:?} are not known yet", self.record.topic_name()),
            TrySendReason::Closed(error) | TrySendReason::Invalid(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TrySendError<'_> {}

const _: () = assert!(size_of::<Delivery>() == 16);
