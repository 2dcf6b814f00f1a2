//! Read, transform, write: output and input positions in one transaction.

use super::ending::Ending;
use super::{Transaction, TransactionalProducer};
use crate::consumer::{Attempt, Batch, Consumer, ConsumerHandle, Stamped};
use crate::delivery::Delivery;
use crate::front::op::{OpSlot, op_slot};
use crate::kafka::Kafka;
use crate::op::{Op, Work};
use crate::record::Record;
use crate::{Error, Result};
use klamm_core::config::{AutoCommit, IsolationLevel};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// A member of a group and a transactional producer as one. Each [`Step`] is what one poll brought; what it sends and how far
/// it read are committed together, or neither is and the records are read again. Reads committed records only, commits no
/// position by itself, and is fenced by the group's generation (KIP-447), so that after a rebalance no record is worked off
/// twice.
///
/// ```no_run
/// # async fn doc(kafka: klamm::Kafka) -> klamm::Result<()> {
/// use klamm::Outcome;
/// use std::time::Duration;
/// let mut eos = kafka.exactly_once("upper", "upper-0").await?;
/// eos.subscribe(["orders"])?;
/// while let Some(step) = eos.poll(Duration::from_secs(1)).await? {
///     for record in step.batch() {
///         step.send(record.forward_to("upper")).queued().await?; // `?` drops the step: aborted, read again
///     }
///     if let Outcome::Aborted(why) = step.commit().await? {
///         eprintln!("again: {why}");
///     }
/// }
/// eos.close().await
/// # }
/// ```
#[must_use = "dropped, it leaves its group and ends"]
pub struct ExactlyOnce {
    consumer: Consumer,
    producer: TransactionalProducer,
    previous: Option<Previous>,
}

/// A step whose commit was asked for.
struct Previous {
    slot: Arc<OpSlot>,
    from: Vec<Stamped>,
    /// Until the end is known its partitions are not let go.
    _batch: Batch,
}

impl ExactlyOnce {
    /// Reads these topics, shared with the group. Replaces what was read before; takes effect at the next poll, which joins
    /// the group.
    ///
    /// # Errors
    /// `Closed` after the client was closed.
    pub fn subscribe<T: AsRef<str>>(&self, topics: impl IntoIterator<Item = T>) -> Result<()> {
        self.consumer.subscribe(topics)
    }

    /// The next step: waits for the end of the one before, then for records as [`Consumer::poll`] does. Without records in
    /// time the step is empty; committing it costs nothing. `None` after [`ConsumerHandle::wakeup`] or when the client is
    /// closed.
    ///
    /// # Errors
    /// What keeps the consumer from going on, as there; `is_fatal` if the producer is of no more use.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, it has taken nothing: the next poll returns it.
    pub fn poll(&mut self, timeout: Duration) -> PollStep<'_> {
        PollStep { eos: Some(self), timeout, attempt: None }
    }

    /// A handle for other tasks and threads.
    pub fn handle(&self) -> ConsumerHandle {
        self.consumer.handle()
    }

    /// The membership and the assignment are the consumer's: look, do not poll.
    pub fn consumer(&self) -> &Consumer {
        &self.consumer
    }

    /// Leaves the group and ends, when the last step has ended. [`within`](Op::within) limits that.
    ///
    /// # Errors
    /// As [`Consumer::close`].
    #[must_use = "await it, or `.wait()`"]
    pub fn close(self) -> Op<()> {
        let Self { consumer, producer, previous } = self;
        drop(previous);
        let (front, after) = (producer.front().shared.front.clone(), producer.front().shared.ix);
        let producer = producer.close();
        let closing = Closing { producer: Some(producer), consumer: consumer.close_after(after), left: None };
        Op::new(front, closing)
    }
}

impl fmt::Debug for ExactlyOnce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExactlyOnce").field("producer", &self.producer).finish_non_exhaustive()
    }
}

/// What one poll brought, and the transaction that its results go into.
#[must_use = "commit() it: a dropped step is aborted and its records are read again"]
pub struct Step<'e> {
    // Dropped in this order: aborted first, then its records are asked for again.
    txn: Transaction<'e>,
    rewind: Rewind<'e>,
    batch: Batch,
    previous: &'e mut Option<Previous>,
}

/// Unless the step is committed, its records are read again.
struct Rewind<'e> {
    consumer: &'e Consumer,
    from: Vec<Stamped>,
}

impl Drop for Rewind<'_> {
    fn drop(&mut self) {
        self.consumer.rewind(&self.from);
    }
}

impl<'e> Step<'e> {
    /// The records.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Its transaction, for all that [`send`](Self::send) does not offer.
    pub fn transaction(&self) -> &Transaction<'e> {
        &self.txn
    }

    /// Sends a record as part of the step. If it fails, seen or not, the step cannot be committed.
    #[must_use = "await the acknowledgement, or `.queued()` for back-pressure; the record is on its way either way"]
    pub fn send(&self, record: Record<'_>) -> Delivery {
        self.txn.send(record)
    }

    /// Commits what was sent and how far was read: both or neither.
    ///
    /// # Errors
    /// `is_fatal`: the producer is of no more use. `is_outcome_unknown`: the coordinator did not answer within `max.block.ms`;
    /// the next poll waits for it. Whatever only costs this step is no error but [`Outcome::Aborted`].
    ///
    /// # Cancel safety
    /// Dropping it ends the waiting; the commit goes on, and the next poll waits for it.
    #[doc(alias = "commitTransaction")]
    #[must_use = "await it, or `.wait()`: the outcome tells whether the records come again"]
    pub fn commit(self) -> Op<Outcome> {
        let Self { txn, mut rewind, batch, previous } = self;
        if let Some(group) = batch.group_metadata().filter(|_| !batch.is_empty()) {
            // The commit waits for them, and fails with them.
            drop(txn.send_offsets(&batch, &group));
        }
        let (ours, slot) = op_slot();
        let ending = txn.commit_for(ours);
        *previous = Some(Previous { slot, from: std::mem::take(&mut rewind.from), _batch: batch });
        Op::new(ending.front(), Committing(ending))
    }
}

impl fmt::Debug for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step").field("batch", &self.batch).finish_non_exhaustive()
    }
}

/// How a [`Step`] ended.
#[non_exhaustive]
#[must_use = "after Aborted the records come again"]
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Output and positions are committed.
    Committed,
    /// Neither is, for this reason: a rebalance, a record that could not be written. The next poll brings the records again,
    /// unless another member of the group has their partitions now.
    Aborted(Error),
}

struct Committing(Ending);

impl Work<Outcome> for Committing {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Outcome>> {
        self.0.poll(cx).map(|answer| match answer {
            Ok(()) => Ok(Outcome::Committed),
            Err(error) if costs_one_step(&error) => Ok(Outcome::Aborted(error)),
            Err(error) => Err(error),
        })
    }
    fn is_ready(&self) -> bool {
        self.0.is_ready()
    }
    fn limit(&mut self, limit: Duration) {
        self.0.limit(limit);
    }
}

fn costs_one_step(error: &Error) -> bool {
    error.kind() == crate::ErrorKind::Aborted && !error.is_fatal() && !error.is_outcome_unknown()
}

/// A running [`ExactlyOnce::poll`].
///
/// # Cancel safety
/// Dropped before it is ready, it has taken nothing: the next poll returns it.
#[must_use = "await it, or `.wait()`"]
pub struct PollStep<'e> {
    eos: Option<&'e mut ExactlyOnce>,
    timeout: Duration,
    attempt: Option<Attempt>,
}

impl<'e> PollStep<'e> {
    /// Parks this thread until the poll is over.
    ///
    /// # Errors
    /// The poll's own; `Misuse` on the thread that runs the client's driver, where it would never return.
    pub fn wait(self) -> Result<Option<Step<'e>>> {
        match self.eos.as_ref().map(|eos| eos.producer.front().shared.front.clone()) {
            Some(front) => crate::consumer::wait(&front, self),
            None => Ok(None),
        }
    }
}

impl ExactlyOnce {
    /// Waits for the end of the step before; what was aborted is read again.
    fn poll_previous(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(previous) = &self.previous else { return Poll::Ready(Ok(())) };
        let Poll::Ready(answer) = previous.slot.poll(cx) else { return Poll::Pending };
        if let Some(previous) = self.previous.take().filter(|_| answer.is_err()) {
            self.consumer.rewind(&previous.from);
        }
        Poll::Ready(match answer {
            Err(error) if !costs_one_step(&error) => Err(error),
            _ => Ok(()),
        })
    }
}

impl<'e> Future for PollStep<'e> {
    type Output = Result<Option<Step<'e>>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(eos) = &mut this.eos else { return Poll::Pending };
        if this.attempt.is_none() {
            match eos.poll_previous(cx) {
                Poll::Ready(Ok(())) => this.attempt = Some(eos.consumer.attempt(this.timeout)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        let Some(attempt) = &mut this.attempt else { return Poll::Pending };
        let batch = match eos.consumer.poll_batch(attempt, cx) {
            Poll::Ready(Ok(Some(batch))) => batch,
            Poll::Ready(Ok(None)) => return Poll::Ready(Ok(None)),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return Poll::Pending,
        };
        let Some(ExactlyOnce { consumer, producer, previous }) = this.eos.take() else { return Poll::Pending };
        let from = batch.beginnings();
        let rewind = Rewind { consumer, from };
        Poll::Ready(producer.begin_transaction().map(|txn| Some(Step { txn, rewind, batch, previous })))
    }
}

impl Drop for PollStep<'_> {
    fn drop(&mut self) {
        if let (Some(eos), Some(attempt)) = (&mut self.eos, &mut self.attempt) {
            eos.consumer.give_up(attempt);
        }
    }
}

impl fmt::Debug for PollStep<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollStep").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// First the producer, whose last step may still end, then the consumer, which leaves its group: also if nobody waits.
struct Closing {
    producer: Option<Op<()>>,
    consumer: Op<()>,
    left: Option<Result<()>>,
}

impl Work<()> for Closing {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if let Some(producer) = &mut self.producer {
            match Pin::new(producer).poll(cx) {
                Poll::Ready(result) => {
                    self.left = Some(result);
                    self.producer = None;
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        Pin::new(&mut self.consumer).poll(cx).map(|result| result.and(self.left.take().unwrap_or(Ok(()))))
    }
    fn is_ready(&self) -> bool {
        self.producer.as_ref().is_none_or(Op::is_ready) && self.consumer.is_ready()
    }
    fn limit(&mut self, limit: Duration) {
        if let Some(producer) = &mut self.producer {
            producer.limit(limit);
        }
        self.consumer.limit(limit);
    }
}

impl Kafka {
    /// The consume-transform-produce loop of a member of `group`, writing under `transactional_id`: one id per member that
    /// lives at the same time. With the consumer and producer sections given at `connect`, but for what [`ExactlyOnce`] says.
    ///
    /// # Errors
    /// As [`transactional_producer`](Self::transactional_producer) and [`consumer`](Self::consumer).
    #[must_use = "await it, or `.wait()`"]
    pub fn exactly_once(&self, group: &str, transactional_id: &str) -> Op<ExactlyOnce> {
        let section = self.config().consumer_section().with_group(group);
        let section = section.isolation_level(IsolationLevel::ReadCommitted).auto_commit(AutoCommit::Off);
        let consumer = match self.consumer_with(section) {
            Ok(consumer) => consumer,
            Err(error) => return Op::ready(Err(error)),
        };
        let mut consumer = Some(consumer);
        let config = self.config().producer_section().transactional_id(transactional_id);
        self.init_transactions(config, move |producer| {
            let twice = || Error::new(crate::ErrorKind::Misuse, "it was given already");
            Ok(ExactlyOnce { consumer: consumer.take().ok_or_else(twice)?, producer, previous: None })
        })
    }
}
