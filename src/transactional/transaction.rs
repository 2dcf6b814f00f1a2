//! An open transaction.

use super::TransactionalProducer;
use super::ending::Ending;
use crate::consumer::{GroupMetadata, Offsets};
use crate::deliveries::Deliveries;
use crate::delivery::{Delivery, TrySendError};
use crate::front::op::OpSetter;
use crate::op::{Op, Watch, ask, until};
use crate::producer::{Fence, unexpected};
use crate::record::Record;
use crate::serdes::Serializer;
use crate::typed::TypedTopic;
use crate::{ErrorKind, Result};
use klamm_core::client::{Command, Reply, SendOffsets};
use std::fmt;
use std::task::Waker;

/// An open transaction. Share `&txn` among the tasks or threads of a scope. Dropped, it is aborted in the background.
///
/// ```no_run
/// # async fn doc(kafka: klamm::Kafka) -> klamm::Result<()> {
/// use klamm::Record;
/// let mut producer = kafka.transactional_producer("billing-0").await?;
/// let txn = producer.begin_transaction()?;
/// txn.send(Record::to("debits").key("a").value("10")).queued().await?;
/// txn.send(Record::to("credits").key("b").value("10")).queued().await?;
/// txn.commit().await
/// # }
/// ```
#[must_use = "commit() or abort(): a dropped transaction is aborted"]
pub struct Transaction<'p> {
    pub(super) producer: &'p TransactionalProducer,
    pub(super) generation: u64,
    pub(super) ended: bool,
}

impl<'p> Transaction<'p> {
    pub(super) fn new(producer: &'p TransactionalProducer, generation: u64) -> Self {
        Self { producer, generation, ended: false }
    }

    /// Sends a record as part of the transaction, as [`Producer::send`](crate::Producer::send) does. If it fails, seen or not,
    /// the transaction cannot be committed any more.
    #[must_use = "await the acknowledgement, or `.queued()` for back-pressure; the record is on its way either way"]
    pub fn send(&self, record: Record<'_>) -> Delivery {
        self.producer.producer.send(record)
    }

    /// As [`send`](Self::send), if the record can be buffered now. What comes back was no part of the transaction.
    ///
    /// # Errors
    /// The record comes back, with the reason.
    pub fn try_send<'r>(&self, record: Record<'r>) -> Result<Delivery, TrySendError<'r>> {
        self.producer.producer.try_send(record)
    }

    /// Sends records in the order of the iterator, as [`send`](Self::send) for each of them.
    #[must_use = "await the acknowledgements, or `.queued()` for back-pressure; the records are on their way either way"]
    pub fn send_batch<'r>(&self, records: impl IntoIterator<Item = Record<'r>>) -> Deliveries {
        self.producer.producer.send_batch(records)
    }

    /// Sends a record of a typed topic; `None` is null. A serializer's error is a failed [`Delivery`].
    #[must_use = "await the acknowledgement, or `.queued()` for back-pressure; the record is on its way either way"]
    pub fn send_typed<K, V, A: ?Sized, B: ?Sized>(
        &self,
        topic: &TypedTopic<K, V>,
        key: Option<&A>,
        value: Option<&B>,
    ) -> Delivery
    where
        K: Serializer<A>,
        V: Serializer<B>,
    {
        self.producer.producer.send_typed(topic, key, value)
    }

    /// Done when everything that was sent before this call is acknowledged or failed; nothing of it lingers. A commit flushes
    /// by itself.
    ///
    /// # Errors
    /// Why the transaction cannot be committed any more.
    #[must_use = "await it, or `.wait()`"]
    pub fn flush(&self) -> Op<()> {
        let front = self.producer.front();
        let fence = Flush { fence: Fence::new(front), generation: self.generation };
        until(&front.shared.front, "the flush", fence)
    }

    /// Makes the transaction carry positions of a group: they are committed with it (KIP-447). `group` is the membership
    /// under which the records were read ([`Batch::group_metadata`](crate::Batch::group_metadata)): if the group has gone on
    /// without it, this fails and the transaction cannot be committed.
    ///
    /// Done when the group's coordinator has them; a commit waits for that by itself.
    ///
    /// # Errors
    /// `GroupLost` if the group went on, else what the coordinators say. The transaction can only be aborted then.
    #[doc(alias = "sendOffsetsToTransaction")]
    #[must_use = "await it, or `.wait()`, or go on to `commit`, which waits for it"]
    pub fn send_offsets(&self, offsets: impl Into<Offsets>, group: &GroupMetadata) -> Op<()> {
        let front = self.producer.front();
        let entries = offsets.into().entries().into_iter().map(|(tp, _, offset)| (tp, offset)).collect();
        let asked = SendOffsets { generation: self.generation, group: group.meta(), offsets: entries };
        let command = Command::SendOffsets(front.shared.ix, asked);
        let (shared, begun) = (front.shared.clone(), front.shared.front.clock.now().mono);
        ask(&front.shared.front, Some(self.producer.limit), command, move |reply| {
            shared.times.txn_send_offsets.add(shared.front.clock.now().mono.since(begun));
            match reply {
                Reply::Unit => Ok(()),
                other => Err(unexpected(&other)),
            }
        })
    }

    /// Commits: waits for every record and position, then for the coordinator's word. `Ok` means that it is committed.
    ///
    /// # Errors
    /// `Aborted` if anything in it failed, seen or not: the transaction is aborted then, and the next may begin.
    /// `is_outcome_unknown` if the coordinator did not answer within `max.block.ms` (or [`within`](Op::within)): the client
    /// keeps asking, and [`resume_commit`](TransactionalProducer::resume_commit) tells. `is_fatal`: the producer is of no more
    /// use, a newer one of its name took its place.
    ///
    /// # Cancel safety
    /// Dropping it ends the waiting; the commit goes on. Its error is told by the first
    /// `begin_transaction` after it is known.
    #[doc(alias = "commitTransaction")]
    #[must_use = "await it, or `.wait()`"]
    pub fn commit(mut self) -> Op<()> {
        self.ended = true;
        self.producer.end(self.generation, true)
    }

    /// Commits; `other` hears of the end too.
    pub(super) fn commit_for(mut self, other: OpSetter) -> Ending {
        self.ended = true;
        self.producer.commit_for(self.generation, other)
    }

    /// Aborts: what was not sent fails with `Aborted`, what was sent is seen by no read_committed reader.
    ///
    /// # Errors
    /// `is_fatal`: the producer is of no more use. Else the coordinator did not answer in time; it goes on.
    ///
    /// # Cancel safety
    /// Dropping it ends the waiting; the abort goes on.
    #[doc(alias = "abortTransaction")]
    #[must_use = "await it, or `.wait()`"]
    pub fn abort(mut self) -> Op<()> {
        self.ended = true;
        self.producer.end(self.generation, false)
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.producer.abandon(self.generation);
        }
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("transactional_id", &self.producer.id).finish_non_exhaustive()
    }
}

/// A flush that tells what poisons the transaction.
struct Flush {
    fence: Fence,
    generation: u64,
}

impl Watch<()> for Flush {
    fn check(&mut self, waker: &Waker) -> Option<Result<()>> {
        let _seen_elsewhere = self.fence.check(waker)?;
        let transactions = self.fence.front().shared.transactions.as_ref();
        let trouble = transactions.and_then(|transactions| transactions.trouble(self.generation));
        Some(trouble.map_or(Ok(()), |cause| {
            let text = "something in the transaction failed: it cannot be committed";
            Err(crate::Error::new(ErrorKind::Aborted, text).with_source(cause).with_abort())
        }))
    }
    fn is_ready(&self) -> bool {
        self.fence.is_ready()
    }
}
