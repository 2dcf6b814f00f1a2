//! The consumer.

mod batch;
mod commit;
mod handle;
pub(crate) mod interceptor;
mod lookup;
mod offsets;
mod partitions;
mod pattern;
mod poll;
mod position;
mod record;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod single_tests;
mod state;
#[cfg(test)]
mod tests;
mod told;

pub(crate) use batch::Stamped;
pub use batch::{Batch, PartitionBatch, Records};
pub use handle::ConsumerHandle;
pub use interceptor::{Consumed, ConsumerInterceptor};
pub use klamm_core::client::TopicPartition;
pub use offsets::{OffsetAndTimestamp, Offsets, Position};
pub use partitions::{NextPartition, PartitionStream, Partitions, PollingPartition};
pub use pattern::Pattern;
pub(crate) use poll::{Attempt, wait};
pub use poll::{Polling, Receiving, RecordIter, RecordStream};
pub use record::{ConsumerRecord, Headers, OwnedRecord, RecordId, TimestampType};
pub use state::{CloseOptions, ConsumerState, GroupMetadata, PartitionState};

use crate::Result;
use crate::front::inbox::Input;
use crate::front::op::op_slot;
use crate::front::shelf::{Shelf, Tools};
use crate::kafka::Handle;
use crate::metrics::Metrics;
use crate::op::Op;
use klamm_core::ProducerIx;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long a close takes at most, unless [`Op::within`] says otherwise.
const CLOSE: Duration = Duration::from_secs(30);

/// Reads records: partitions that it is given, or its share of topics as a member of a group.
///
/// One consumer, one poller: polls take `&mut self`, so that two at once do not compile; everything else takes `&self`,
/// and [`handle`](Self::handle) serves other tasks and threads. Records are fetched ahead in the background; a member's
/// heartbeats need no poll, but one that does not poll for `max.poll.interval.ms` leaves its group.
///
/// Dropped without [`close`](Self::close), it commits (if automatic commits are on) and leaves in the background.
///
/// ```no_run
/// # async fn doc(kafka: klamm::Kafka) -> klamm::Result<()> {
/// use std::time::Duration;
/// let mut consumer = kafka.consumer("billing")?;
/// consumer.subscribe(["orders"])?;
/// while let Some(batch) = consumer.poll(Duration::from_secs(1)).await? {
///     for record in &batch {
///         println!("{record}");
///     }
/// }
/// # Ok(()) }
/// ```
#[doc(alias = "KafkaConsumer")]
pub struct Consumer {
    shelf: Arc<Shelf>,
    tools: Tools,
    kafka: Arc<Handle>,
    /// Somebody else ends it.
    handed_on: bool,
}

fn partitions<I: IntoIterator<Item = T>, T: Into<TopicPartition>>(all: I) -> Vec<TopicPartition> {
    all.into_iter().map(Into::into).collect()
}

impl Consumer {
    pub(crate) fn new(shelf: Arc<Shelf>, kafka: Arc<Handle>) -> Self {
        Self { tools: Tools::new(&shelf.config.codecs), shelf, kafka, handed_on: false }
    }

    /// Reads these topics: in a group its share of their partitions, else all of them, later ones too. Replaces what was
    /// read before; takes effect at the next poll, which joins the group.
    ///
    /// # Errors
    /// `Closed` after the client was closed.
    pub fn subscribe<T: AsRef<str>>(&self, topics: impl IntoIterator<Item = T>) -> Result<()> {
        let mut all: Vec<Arc<str>> = topics.into_iter().map(|topic| topic.as_ref().into()).collect();
        all.sort_unstable();
        all.dedup();
        self.shelf.subscribe(all)
    }

    /// Reads all topics whose names the pattern fits, as [`subscribe`](Self::subscribe) does: those that are there, and those
    /// that come later, once the metadata are refreshed (`metadata.max.age.ms`). Kafka's own topics only with
    /// `exclude.internal.topics=false`.
    ///
    /// # Errors
    /// `Closed` after the client was closed.
    #[doc(alias = "subscribe")]
    pub fn subscribe_pattern(&self, pattern: Pattern) -> Result<()> {
        self.shelf.subscribe_chosen(pattern.chooser())
    }

    /// Reads nothing any more; leaves the group. Done when the core took note of it.
    ///
    /// # Cancel safety
    /// Dropping it ends the waiting only.
    #[must_use = "await it, or `.wait()`"]
    pub fn unsubscribe(&self) -> Op<()> {
        told::limited(&self.shelf, self.shelf.unsubscribe(), told::done)
    }

    /// Reads these partitions, without sharing. With a group id too: then the group is for commits only. Replaces what
    /// was read before; partitions that stay keep their position.
    ///
    /// # Errors
    /// `Closed` after the client was closed.
    pub fn assign<T: Into<TopicPartition>>(&self, all: impl IntoIterator<Item = T>) -> Result<()> {
        self.shelf.assign(partitions(all))
    }

    /// Reads these partitions too.
    ///
    /// # Errors
    /// `Misuse` if the consumer is subscribed to topics.
    #[doc(alias = "incrementalAssign")]
    pub fn incremental_assign<T: Into<TopicPartition>>(&self, more: impl IntoIterator<Item = T>) -> Result<()> {
        self.shelf.change(partitions(more), true)
    }

    /// Reads these partitions no longer.
    ///
    /// # Errors
    /// `Misuse` if the consumer is subscribed to topics.
    #[doc(alias = "incrementalUnassign")]
    pub fn incremental_unassign<T: Into<TopicPartition>>(&self, less: impl IntoIterator<Item = T>) -> Result<()> {
        self.shelf.change(partitions(less), false)
    }

    /// The partitions that are read.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.shelf.assignment()
    }

    /// The topics that are subscribed.
    pub fn subscription(&self) -> Vec<String> {
        self.shelf.subscription().iter().map(ToString::to_string).collect()
    }

    /// The next records: at most `max.poll.records`, as soon as there is one; none when the time is over, and none with
    /// news of a rebalance. `None` after [`ConsumerHandle::wakeup`] or when the client is closed. The positions move when
    /// it returns; automatic commits cover earlier polls only.
    ///
    /// The poll verifies checksums and structure and decompresses, so that reading the batch cannot fail.
    ///
    /// # Errors
    /// What keeps the consumer from going on, after all good records before it: `Corrupt` with the place of an unreadable
    /// batch, again and again until [`skip_past`](Self::skip_past) or a seek; `NoOffset`; `Authorization`; `Fenced`; `Closed`
    /// if the runtime is gone.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, it has taken nothing and no position moved: the next poll returns it.
    pub fn poll(&mut self, timeout: Duration) -> Polling<'_> {
        Polling::new(self, timeout)
    }

    /// The next record, as a value of its own; the position moves record by record. `None` as [`poll`](Self::poll). A
    /// rebalance does not wait for records that were received: a partition goes when the next one is asked for.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    ///
    /// # Cancel safety
    /// Dropped before it is ready, it has taken nothing: the next call returns it.
    pub fn recv(&mut self) -> Receiving<'_> {
        Receiving::new(self)
    }

    /// The records as a stream, one by one as [`recv`](Self::recv); ends after [`ConsumerHandle::wakeup`].
    pub fn stream(&mut self) -> RecordStream<'_> {
        RecordStream::new(self)
    }

    /// The records as an iterator for a thread of yours, one by one as [`recv`](Self::recv); ends after
    /// [`ConsumerHandle::wakeup`].
    pub fn iter(&mut self) -> RecordIter<'_> {
        RecordIter::new(self)
    }

    /// One stream per assigned partition, for one worker each.
    pub fn into_partitions(self) -> Partitions {
        Partitions::new(self)
    }

    /// The membership in the group as of the last assignment; `None` without a group.
    #[doc(alias = "groupMetadata")]
    pub fn group_metadata(&self) -> Option<GroupMetadata> {
        GroupMetadata::new(&self.shelf.group())
    }

    /// Asks for a rebalance at the next chance (KIP-568); the reason appears in the broker's log.
    #[doc(alias = "enforceRebalance")]
    pub fn enforce_rebalance(&self, reason: &str) {
        // Its answer says only that it was asked.
        let _ = self.shelf.start(klamm_core::client::Command::Rejoin(self.shelf.ix, reason.into()));
    }

    /// What the client has counted, and how far this consumer is behind the ends of its partitions.
    pub fn metrics(&self) -> Metrics {
        let mut metrics = Metrics::of_client(&self.shelf.front);
        let state = self.state();
        let group = "consumer-fetch-manager-metrics";
        for partition in state.partitions() {
            let place = partition.topic_partition();
            let tags = [("topic", place.topic.clone()), ("partition", place.partition.to_string().into())];
            if let Some(lag) = partition.lag() {
                metrics.add(group, "records-lag", &tags, lag as f64);
            }
            if let Some(position) = partition.position() {
                metrics.add(group, "position", &tags, position as f64);
            }
        }
        if let Some(most) = state.partitions().iter().filter_map(PartitionState::lag).max() {
            metrics.add(group, "records-lag-max", &[], most as f64);
        }
        let assigned = state.partitions().len() as f64;
        metrics.add("consumer-coordinator-metrics", "assigned-partitions", &[], assigned);
        metrics
    }

    /// How the consumer stands; its text says why each partition moves or does not.
    pub fn state(&self) -> ConsumerState {
        ConsumerState::new(&self.shelf.group(), self.shelf.report())
    }

    /// A handle for other tasks and threads.
    pub fn handle(&self) -> ConsumerHandle {
        ConsumerHandle::new(self.shelf.clone())
    }

    /// Commits as configured, leaves the group, ends. Takes 30 s at most, unless [`within`](Op::within) says otherwise.
    /// Batches that are still in use are not waited for, and automatic commits do not cover them.
    ///
    /// # Errors
    /// Why the last commit failed, or an earlier `commit_async` whose outcome nobody looked at.
    ///
    /// # Cancel safety
    /// Dropping it ends the waiting; the consumer closes all the same.
    #[must_use = "await it, or `.wait()`"]
    pub fn close(self) -> Op<()> {
        self.close_with(CloseOptions::default())
    }

    /// As [`close`](Self::close), in another way.
    #[must_use = "await it, or `.wait()`"]
    #[doc(alias = "close")]
    pub fn close_with(self, options: CloseOptions) -> Op<()> {
        self.end(options, None)
    }

    /// As [`close`](Self::close), when the transactions of a producer have ended: they may carry its positions.
    pub(crate) fn close_after(self, producer: ProducerIx) -> Op<()> {
        self.end(CloseOptions::default(), Some(producer))
    }

    fn end(mut self, options: CloseOptions, after: Option<ProducerIx>) -> Op<()> {
        self.handed_on = true;
        let shelf = self.shelf.clone();
        shelf.bring_back(&mut self.tools);
        shelf.close();
        let (setter, slot) = op_slot();
        let deadline = shelf.front.clock.now().mono + CLOSE;
        let how = options.apply(shelf.usual_close());
        let input = match after {
            None => Input::CloseConsumer(shelf.ix, Some(setter), how, deadline),
            Some(producer) => Input::CloseAfter(producer, shelf.ix, Some(setter), how, deadline),
        };
        // A refusal answers the slot.
        let _ = shelf.front.push(input);
        Op::new(shelf.front.clone(), told::Ending { shelf, slot, hurry: Shelf::hurry })
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        if !self.handed_on {
            self.shelf.bring_back(&mut self.tools);
            self.shelf.close();
            let deadline = self.shelf.front.clock.now().mono + CLOSE;
            let how = self.shelf.usual_close();
            // A refusal means that the driver is gone already.
            let _ = self.shelf.front.push(Input::CloseConsumer(self.shelf.ix, None, how, deadline));
        }
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("group", &self.shelf.config.group_id).finish_non_exhaustive()
    }
}
