//! One stream per assigned partition.

use super::commit::{ack, background, sync};
use super::poll::{Attempt, wait};
use super::told::Ending;
use super::{CLOSE, CloseOptions, Consumer, ConsumerHandle, Position, RecordId, TopicPartition};
use crate::Result;
use crate::consumer::batch::PartitionBatch;
use crate::front::op::op_slot;
use crate::front::shelf::{Asking, Given, Shelf, Taken, Tools};
use crate::kafka::Handle;
use crate::op::Op;
use futures_core::Stream;
use klamm_core::PartitionIx;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// The partitions of a consumer, one by one as they are assigned: see [`Consumer::into_partitions`]. The assignment goes
/// on by itself whether or not [`next`](Self::next) is called.
///
/// A partition whose stream was dropped while it is still ours comes again, after `retry.backoff.ms`, from its last commit:
/// a worker that failed is replaced.
///
/// Dropped without [`close`](Self::close), it ends in the background as [`close`](Self::close) does.
pub struct Partitions {
    shelf: Arc<Shelf>,
    kafka: Arc<Handle>,
    attempt: Attempt,
    closed: bool,
}

/// The way of the next stream.
fn next_one() -> Asking {
    Asking::new(None, 0, true, Duration::MAX)
}

impl Partitions {
    pub(super) fn new(mut consumer: Consumer) -> Self {
        consumer.handed_on = true;
        consumer.shelf.bring_back(&mut consumer.tools);
        consumer.shelf.split();
        let (shelf, kafka) = (consumer.shelf.clone(), consumer.kafka.clone());
        Self { shelf, kafka, attempt: Attempt::new(next_one()), closed: false }
    }

    /// The next partition that needs a worker. `None` after [`ConsumerHandle::wakeup`], or when the client is closed.
    ///
    /// # Errors
    /// What keeps the whole consumer from going on.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, nothing was taken.
    #[expect(clippy::should_implement_trait, reason = "it is the asynchronous twin of an iterator's")]
    pub fn next(&mut self) -> NextPartition<'_> {
        NextPartition { partitions: self }
    }

    /// A handle for other tasks and threads.
    pub fn handle(&self) -> ConsumerHandle {
        ConsumerHandle::new(self.shelf.clone())
    }

    /// Streams end after the batch in hand; when all of them are dropped, 30 s later at most or as
    /// [`within`](Op::within) says, the consumer commits as configured and leaves.
    ///
    /// # Errors
    /// As [`Consumer::close`].
    ///
    /// # Cancel safety
    /// Dropping it ends the waiting; the consumer closes all the same.
    #[must_use = "await it, or `.wait()`"]
    pub fn close(self) -> Op<()> {
        self.close_with(CloseOptions::default())
    }

    /// As [`close`](Self::close), in another way.
    #[must_use = "await it, or `.wait()`"]
    pub fn close_with(mut self, options: CloseOptions) -> Op<()> {
        self.closed = true;
        let (setter, slot) = op_slot();
        let how = options.apply(self.shelf.usual_close());
        let streams = self.shelf.front.clock.now().mono + CLOSE;
        self.shelf.close_streams(Some(setter), how, streams, streams + CLOSE);
        let shelf = self.shelf.clone();
        Op::new(shelf.front.clone(), Ending { shelf, slot, hurry: Shelf::hurry_streams })
    }

    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<PartitionStream>>> {
        let Some(result) = self.shelf.next_stream(self.attempt.asking(), cx) else { return Poll::Pending };
        self.attempt = Attempt::new(next_one());
        Poll::Ready(result.map(|given| {
            given.map(|(ix, tenure, tp): Given| PartitionStream {
                shelf: self.shelf.clone(),
                tools: Tools::new(&self.shelf.config.codecs),
                _kafka: self.kafka.clone(),
                ix,
                tenure,
                tp,
            })
        }))
    }
}

impl Stream for Partitions {
    type Item = Result<PartitionStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_stream(cx).map(Result::transpose)
    }
}

impl Drop for Partitions {
    fn drop(&mut self) {
        self.attempt.give_up(&self.shelf);
        if !self.closed {
            let streams = self.shelf.front.clock.now().mono + CLOSE;
            self.shelf.close_streams(None, self.shelf.usual_close(), streams, streams + CLOSE);
        }
    }
}

impl fmt::Debug for Partitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partitions").finish_non_exhaustive()
    }
}

/// A running [`Partitions::next`].
#[must_use = "await it, or `.wait()`"]
#[derive(Debug)]
pub struct NextPartition<'a> {
    partitions: &'a mut Partitions,
}

impl NextPartition<'_> {
    /// Parks this thread until there is a partition.
    ///
    /// # Errors
    /// As [`Partitions::next`]; `Misuse` on the thread that runs the client's driver.
    pub fn wait(self) -> Result<Option<PartitionStream>> {
        let front = self.partitions.shelf.front.clone();
        wait(&front, self)
    }
}

impl Future for NextPartition<'_> {
    type Output = Result<Option<PartitionStream>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.partitions.poll_stream(cx)
    }
}

impl Drop for NextPartition<'_> {
    fn drop(&mut self) {
        let Partitions { attempt, shelf, .. } = &mut *self.partitions;
        attempt.give_up(shelf);
        *attempt = Attempt::new(next_one());
    }
}

/// One assigned partition, for one worker. It ends when the partition goes; dropping it then finishes that.
pub struct PartitionStream {
    shelf: Arc<Shelf>,
    tools: Tools,
    _kafka: Arc<Handle>,
    ix: PartitionIx,
    tenure: u64,
    tp: Arc<TopicPartition>,
}

impl PartitionStream {
    /// Which partition.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.tp
    }

    /// The next records, at most `max.poll.records`; none when the time is over. `None`: the partition is revoked or
    /// lost, or the consumer closes; finish and drop the stream.
    ///
    /// # Errors
    /// As [`Consumer::poll`], for this partition.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, it has taken nothing and the position did not move.
    pub fn poll(&mut self, timeout: Duration) -> PollingPartition<'_> {
        let lane = Some((self.ix, self.tenure));
        let asking = Asking::new(lane, self.shelf.settings.max_poll_records, false, timeout);
        PollingPartition { stream: self, attempt: Attempt::new(asking) }
    }

    /// Commits what was consumed of this partition.
    ///
    /// # Errors
    /// As [`Consumer::commit_sync`].
    #[must_use = "await it, or `.wait()`: else use commit_async"]
    pub fn commit_sync(&self) -> Op<()> {
        sync(&self.shelf, self.shelf.consumed(Some(&self.tp)))
    }

    /// As [`commit_sync`](Self::commit_sync), for those who go on at once.
    pub fn commit_async(&self) -> Op<()> {
        background(&self.shelf, self.shelf.consumed(Some(&self.tp)))
    }

    /// As [`Consumer::ack`].
    pub fn ack(&self, record: impl Into<RecordId>) -> bool {
        ack(&self.shelf, &record.into(), false)
    }

    /// As [`Consumer::ack_through`].
    pub fn ack_through(&self, record: impl Into<RecordId>) -> bool {
        ack(&self.shelf, &record.into(), true)
    }

    /// As [`Consumer::seek`].
    ///
    /// # Errors
    /// `Misuse` if the partition is gone.
    pub fn seek(&self, to: impl Into<Position>) -> Result<()> {
        self.shelf.seek(&[((*self.tp).clone(), to.into().target())])
    }

    /// Holds the partition back.
    ///
    /// # Errors
    /// `Misuse` if the partition is gone.
    pub fn pause(&self) -> Result<()> {
        self.shelf.pause(&[(*self.tp).clone()], true)
    }

    /// Goes on with the partition.
    ///
    /// # Errors
    /// `Misuse` if the partition is gone.
    pub fn resume(&self) -> Result<()> {
        self.shelf.pause(&[(*self.tp).clone()], false)
    }
}

impl Drop for PartitionStream {
    fn drop(&mut self) {
        self.shelf.stream_gone(self.ix, self.tenure);
    }
}

impl fmt::Debug for PartitionStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionStream").field("partition", &format_args!("{}", self.tp)).finish_non_exhaustive()
    }
}

/// A running [`PartitionStream::poll`].
#[must_use = "await it, or `.wait()`"]
#[derive(Debug)]
pub struct PollingPartition<'a> {
    stream: &'a mut PartitionStream,
    attempt: Attempt,
}

impl PollingPartition<'_> {
    /// Parks this thread until the poll is over.
    ///
    /// # Errors
    /// As [`PartitionStream::poll`]; `Misuse` on the thread that runs the client's driver.
    pub fn wait(self) -> Result<Option<PartitionBatch>> {
        let front = self.stream.shelf.front.clone();
        wait(&front, self)
    }
}

impl Future for PollingPartition<'_> {
    type Output = Result<Option<PartitionBatch>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let stream = &mut *this.stream;
        let (shelf, tp) = (&stream.shelf, &stream.tp);
        this.attempt.poll(shelf, &mut stream.tools, cx).map_ok(|taken| match taken {
            Taken::Some { portions, .. } => {
                let empty = || PartitionBatch::empty(tp, shelf.position(tp).ok().flatten());
                Some(portions.into_iter().next().map_or_else(empty, |portion| PartitionBatch::new(shelf, portion)))
            }
            Taken::End | Taken::Pending => None,
        })
    }
}

impl Drop for PollingPartition<'_> {
    fn drop(&mut self) {
        self.attempt.give_up(&self.stream.shelf);
    }
}
