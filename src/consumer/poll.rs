//! The futures of a consumer's polls. Given up while they wait, they have taken nothing.

use super::Consumer;
use super::batch::{Batch, Stamped};
use super::record::OwnedRecord;
use crate::front::Front;
use crate::front::park;
use crate::front::shelf::{Asking, Shelf, Taken, Tools};
use crate::{Error, Result};
use futures_core::Stream;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Waits on this thread.
pub(crate) fn wait<T>(front: &Front, mut future: impl Future<Output = Result<T>> + Unpin) -> Result<T> {
    // What is there already needs no driver.
    if let Poll::Ready(result) = Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop())) {
        return result;
    }
    if park::would_deadlock(front) {
        return Err(park::misuse());
    }
    park::block_on(future, None).unwrap_or_else(|| Err(park::misuse()))
}

/// One poll of a shelf, from its first call to its end.
#[derive(Debug)]
pub(crate) struct Attempt {
    asking: Asking,
    over: bool,
}

impl Attempt {
    pub(super) fn new(asking: Asking) -> Self {
        Self { asking, over: false }
    }

    pub(super) fn poll(&mut self, shelf: &Shelf, tools: &mut Tools, cx: &mut Context<'_>) -> Poll<Result<Taken>> {
        match shelf.take(&mut self.asking, tools, cx) {
            Ok(Taken::Pending) => Poll::Pending,
            result => {
                self.over = true;
                if let (Some(interceptors), Ok(Taken::Some { portions, .. })) = (&shelf.interceptors, &result) {
                    interceptors.consumed(portions);
                }
                Poll::Ready(result)
            }
        }
    }

    pub(super) fn asking(&mut self) -> &mut Asking {
        &mut self.asking
    }

    pub(super) fn give_up(&mut self, shelf: &Shelf) {
        if !std::mem::replace(&mut self.over, true) {
            shelf.give_up(&self.asking);
        }
    }

    /// Ready for another turn.
    fn again(&mut self, asking: Asking) {
        *self = Self::new(asking);
    }
}

impl Consumer {
    /// A poll that has not begun.
    pub(crate) fn attempt(&self, timeout: Duration) -> Attempt {
        Attempt::new(Asking::new(None, self.shelf.settings.max_poll_records, false, timeout))
    }

    /// Goes on with a poll.
    pub(crate) fn poll_batch(&mut self, attempt: &mut Attempt, cx: &mut Context<'_>) -> Poll<Result<Option<Batch>>> {
        attempt.poll(&self.shelf, &mut self.tools, cx).map_ok(|taken| match taken {
            Taken::Some { portions, news, group } => Some(Batch::new(&self.shelf, portions, news, group)),
            Taken::End | Taken::Pending => None,
        })
    }

    /// Ends a poll that nobody waits for.
    pub(crate) fn give_up(&self, attempt: &mut Attempt) {
        attempt.give_up(&self.shelf);
    }

    /// Goes back to these records, where their partitions are still ours under the same assignment.
    pub(crate) fn rewind(&self, to: &[Stamped]) {
        self.shelf.rewind(to);
    }
}

/// A running [`Consumer::poll`].
///
/// # Cancel safety
/// Dropped before it is ready, it has taken nothing: the next poll returns it.
#[must_use = "await it, or `.wait()`"]
#[derive(Debug)]
pub struct Polling<'a> {
    consumer: &'a mut Consumer,
    attempt: Attempt,
}

impl<'a> Polling<'a> {
    pub(super) fn new(consumer: &'a mut Consumer, timeout: Duration) -> Self {
        let attempt = consumer.attempt(timeout);
        Self { consumer, attempt }
    }

    /// Parks this thread until the poll is over.
    ///
    /// # Errors
    /// The poll's own; `Misuse` on the thread that runs the client's driver, where it would never return.
    pub fn wait(self) -> Result<Option<Batch>> {
        let front = self.consumer.shelf.front.clone();
        wait(&front, self)
    }
}

impl Future for Polling<'_> {
    type Output = Result<Option<Batch>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.consumer.poll_batch(&mut this.attempt, cx)
    }
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        self.attempt.give_up(&self.consumer.shelf);
    }
}

/// The way of one record at a time.
fn one_record() -> Asking {
    Asking::new(None, 1, true, Duration::MAX)
}

fn first(taken: Taken) -> Option<OwnedRecord> {
    let Taken::Some { portions, .. } = taken else { return None };
    let piece = portions.into_iter().next()?.pieces.pop()?;
    let offset = piece.records().next()?.offset;
    let at = piece.position();
    Some(OwnedRecord::new(piece.source, at, offset))
}

/// The next record, if the last one's batch is at hand and nothing came between.
#[inline]
fn at_hand(consumer: &mut Consumer) -> Option<OwnedRecord> {
    consumer.tools.next(&consumer.shelf).map(|(source, at, offset)| OwnedRecord::new(source, at, offset))
}

/// A running [`Consumer::recv`].
///
/// # Cancel safety
/// Dropped before it is ready, it has taken nothing and no position moved.
#[must_use = "await it, or `.wait()`"]
#[derive(Debug)]
pub struct Receiving<'a> {
    consumer: &'a mut Consumer,
    attempt: Attempt,
}

impl<'a> Receiving<'a> {
    pub(super) fn new(consumer: &'a mut Consumer) -> Self {
        Self { consumer, attempt: Attempt::new(one_record()) }
    }

    #[inline]
    fn at_hand(&mut self) -> Option<OwnedRecord> {
        let record = if self.attempt.asking.begun { None } else { at_hand(self.consumer) };
        self.attempt.over |= record.is_some();
        record
    }

    /// Parks this thread until a record is there.
    ///
    /// # Errors
    /// As [`Polling::wait`].
    pub fn wait(mut self) -> Result<Option<OwnedRecord>> {
        if let Some(record) = self.at_hand() {
            return Ok(Some(record));
        }
        let front = self.consumer.shelf.front.clone();
        wait(&front, self)
    }
}

impl Future for Receiving<'_> {
    type Output = Result<Option<OwnedRecord>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(record) = this.at_hand() {
            return Poll::Ready(Ok(Some(record)));
        }
        let consumer = &mut *this.consumer;
        this.attempt.poll(&consumer.shelf, &mut consumer.tools, cx).map_ok(first)
    }
}

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        self.attempt.give_up(&self.consumer.shelf);
    }
}

/// The records of a consumer as a stream: see [`Consumer::stream`].
///
/// # Cancel safety
/// Dropped, it has taken nothing beyond what it returned.
#[must_use = "streams do nothing unless polled"]
#[derive(Debug)]
pub struct RecordStream<'a> {
    consumer: &'a mut Consumer,
    attempt: Attempt,
    ended: bool,
}

impl<'a> RecordStream<'a> {
    pub(super) fn new(consumer: &'a mut Consumer) -> Self {
        Self { consumer, attempt: Attempt::new(one_record()), ended: false }
    }
}

impl Stream for RecordStream<'_> {
    type Item = Result<OwnedRecord>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        let consumer = &mut *this.consumer;
        if !this.attempt.asking.begun {
            if let Some(record) = at_hand(consumer) {
                return Poll::Ready(Some(Ok(record)));
            }
        }
        let polled = this.attempt.poll(&consumer.shelf, &mut consumer.tools, cx);
        polled.map(|result| match result.map(first) {
            Ok(None) => {
                this.ended = true;
                None
            }
            Ok(Some(record)) => {
                this.attempt.again(one_record());
                Some(Ok(record))
            }
            Err(error) => {
                this.attempt.again(one_record());
                Some(Err(error))
            }
        })
    }
}

impl Drop for RecordStream<'_> {
    fn drop(&mut self) {
        self.attempt.give_up(&self.consumer.shelf);
    }
}

/// The records of a consumer as an iterator: see [`Consumer::iter`].
#[must_use = "iterators do nothing unless consumed"]
#[derive(Debug)]
pub struct RecordIter<'a> {
    consumer: &'a mut Consumer,
    ended: bool,
}

impl<'a> RecordIter<'a> {
    pub(super) fn new(consumer: &'a mut Consumer) -> Self {
        Self { consumer, ended: false }
    }
}

impl Iterator for RecordIter<'_> {
    type Item = Result<OwnedRecord, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        if let Some(record) = at_hand(self.consumer) {
            return Some(Ok(record));
        }
        let result = Receiving::new(self.consumer).wait().transpose();
        // A thread that can never get anything is not to spin.
        self.ended = match &result {
            None => true,
            Some(Err(error)) => matches!(error.kind(), crate::ErrorKind::Misuse | crate::ErrorKind::Closed),
            Some(Ok(_)) => false,
        };
        result
    }
}
