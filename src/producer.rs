//! The producer.

use crate::delivery::{Delivery, TrySendError, TrySendReason};
use crate::front::ack::BatchAck;
use crate::front::append::{At, Refusal, Sent, place};
use crate::front::inbox::Input;
use crate::front::line::Placed;
use crate::front::line::Ticket;
use crate::front::op::{OpSlot, op_slot};
use crate::front::producer::{CLOSED, ProducerFront};
use crate::front::topics::TopicSlot;
use crate::interceptor::Interceptors;
use crate::kafka::Handle;
use crate::metadata::{PartitionInfo, partitions};
use crate::metrics::Metrics;
use crate::op::{Op, Watch, Work, ask, until};
use crate::record::{Record, Target, To};
use crate::{Error, ErrorKind, Result};
use klamm_core::client::{Command, Reply};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Writes records. Shared by all threads and tasks; a clone is the same producer.
///
/// Dropped without [`close`](Self::close), buffered records still go out in the background.
#[derive(Clone)]
#[doc(alias = "KafkaProducer")]
pub struct Producer {
    handle: Arc<ProducerHandle>,
}

/// Lives as long as any clone of the producer.
pub(crate) struct ProducerHandle {
    pub(crate) front: Arc<ProducerFront>,
    /// Keeps the client running.
    pub(crate) kafka: Arc<Handle>,
}

impl Drop for ProducerHandle {
    fn drop(&mut self) {
        let shared = &self.front.shared;
        shared.close_gate(CLOSED);
        // A refusal means that the driver is gone: then everything is resolved already.
        let _ = shared.front.push(Input::CloseProducer(self.front.clone(), None, None));
    }
}

thread_local! {
    /// The topic that this thread wrote to last, so that a loop over one topic looks it up once.
    static LAST: RefCell<Option<Arc<TopicSlot>>> = const { RefCell::new(None) };
}

impl Producer {
    pub(crate) fn new(front: Arc<ProducerFront>, kafka: Arc<Handle>) -> Self {
        Self { handle: Arc::new(ProducerHandle { front, kafka }) }
    }

    /// Sends a record: it is copied into its batch at the call, which fixes the order. Never waits, so it may be called
    /// from anywhere, synchronous code and `Drop` included; what goes wrong is told by the [`Delivery`].
    ///
    /// Without room in `buffer.memory`, or while the topic is unknown, the record waits in a line of the client, for at
    /// most `max.block.ms`; the line is bounded by one more `buffer.memory`, beyond which the `Delivery` has failed with
    /// `BufferFull` already: await [`queued`](Delivery::queued) for back-pressure.
    #[must_use = "await the acknowledgement, or `.queued()` for back-pressure; the record is on its way either way"]
    pub fn send(&self, record: Record<'_>) -> Delivery {
        match self.send_at_once(&record, place) {
            Some(placed) => placed.into(),
            None => self.send_looking(record),
        }
    }

    #[inline(never)]
    fn send_looking(&self, record: Record<'_>) -> Delivery {
        match &self.handle.front.interceptors {
            None => self.send_plain(record),
            Some(interceptors) => self.send_intercepted(interceptors, &record),
        }
    }

    /// Sends a record to a topic that was looked up, if nothing stands in its way; `None`: nothing has changed.
    #[inline(always)]
    pub(crate) fn send_at_once<R>(&self, record: &Record<'_>, done: impl FnOnce(At<'_>) -> R) -> Option<R> {
        let front = &*self.handle.front;
        match record.target.0 {
            To::Topic(Topic { slot }) if Arc::ptr_eq(&slot.shared, &front.shared) && front.interceptors.is_none() => {
                slot.send_at_once(&record.parts(), done)
            }
            _ => None,
        }
    }

    /// How often interceptors panicked.
    pub fn interceptor_panics(&self) -> u64 {
        self.handle.front.interceptors.as_ref().map_or(0, |interceptors| interceptors.panics())
    }

    pub(crate) fn interceptors(&self) -> Option<&Arc<Interceptors>> {
        self.handle.front.interceptors.as_ref()
    }

    #[inline]
    #[expect(clippy::needless_pass_by_value, reason = "it is the body of `send`")]
    pub(crate) fn send_plain(&self, record: Record<'_>) -> Delivery {
        let parts = record.parts();
        self.with_topic(&record.target, |topic| deliver(topic, topic.send(&parts, true, place)))
    }

    /// As [`send`](Self::send), if the record can be buffered now.
    ///
    /// # Errors
    /// The record comes back, with the reason; also while others wait for memory.
    pub fn try_send<'r>(&self, record: Record<'r>) -> Result<Delivery, TrySendError<'r>> {
        let put = |record: &Record<'_>| -> Result<Delivery, Refusal> {
            let parts = record.parts();
            match self.with_topic(&record.target, |topic| topic.send(&parts, false, place))? {
                Sent::Placed(placed) => Ok(placed.into()),
                Sent::Waiting(ticket) => Ok(ticket.into()),
            }
        };
        let sent = match self.interceptors() {
            None => put(&record),
            Some(interceptors) => interceptors.send(&record, |record| {
                let sent = put(&record);
                let delivery = sent.as_ref().ok().cloned();
                (sent, delivery)
            }),
        };
        let reason = match sent {
            Ok(delivery) => return Ok(delivery),
            Err(Refusal::Full) => TrySendReason::Full,
            Err(Refusal::NotReady) => TrySendReason::NotReady,
            Err(Refusal::Closed(error)) => TrySendReason::Closed(error),
            Err(Refusal::Error(error)) => TrySendReason::Invalid(error),
        };
        Err(TrySendError { reason, record })
    }

    /// Looks a topic up once: [`Record::to`]`(&topic)` then skips that. The client begins to fetch its metadata.
    pub fn topic(&self, name: &str) -> Topic {
        Topic { slot: self.handle.front.topic(name) }
    }

    /// Done when everything that was sent before this call is acknowledged or failed; nothing of it lingers.
    ///
    /// # Errors
    /// `Undelivered` if records failed whose `Delivery` nobody looked at, with their number and the first cause.
    ///
    /// # Cancel safety
    /// Dropping it ends the waiting; the records go out at once all the same.
    #[must_use = "await it, or `.wait()`"]
    pub fn flush(&self) -> Op<()> {
        let front = &self.handle.front;
        let begun = front.shared.front.clock.now().mono;
        until(&front.shared.front, "the flush", Flushing { fence: Fence::new(front), begun })
    }

    /// Fails records instead of sending them, with `Aborted`: those that are not on their way, and with [`Purge::All`] those
    /// that are, which may have been written all the same (`Error::possibly_written`). The producer goes on; a record sent
    /// meanwhile may or may not be among them. In a transaction the purged records must be aborted.
    #[doc(alias = "rd_kafka_purge")]
    #[doc(alias = "AbortBufferedRecords")]
    #[must_use = "await it, or `.wait()`"]
    pub fn purge(&self, what: Purge) -> Op<()> {
        let command = Command::Purge(self.handle.front.shared.ix, what == Purge::All);
        ask(self.front(), None, command, |reply| match reply {
            Reply::Unit => Ok(()),
            other => Err(unexpected(&other)),
        })
    }

    /// The partitions of a topic as the client knows them; a broker is asked if it knows none.
    #[doc(alias = "partitionsFor")]
    #[must_use = "await it, or `.wait()`"]
    pub fn partitions_for(&self, topic: &str) -> Op<Vec<PartitionInfo>> {
        let name: Arc<str> = topic.into();
        let limit = self.handle.kafka.config.default_api_timeout;
        ask(self.front(), Some(limit), Command::DescribePartitions(name.clone()), move |reply| match reply {
            Reply::View(view) => partitions(&view, &name),
            other => Err(unexpected(&other)),
        })
    }

    /// What this producer has counted, how full its buffer is, and what its client's connections have counted.
    pub fn metrics(&self) -> Metrics {
        Metrics::of_producer(&self.handle.front.shared, &self.buffered())
    }

    /// What is in the buffer now.
    pub fn buffered(&self) -> Buffered {
        let mut all = Buffered::default();
        for topic in self.handle.front.all() {
            all.waiting += topic.waiting() as u64;
            for slot in topic.slots() {
                let (records, bytes, line) = slot.held();
                all.records += records;
                all.bytes += bytes;
                all.waiting += line;
            }
        }
        all.memory = self.handle.front.shared.budget.used().0;
        all
    }

    /// Refuses new records, sends what is buffered, and ends. [`within`](Op::within) limits that: what is not
    /// acknowledged by then fails with `Closed`. Clones of the producer are closed too.
    ///
    /// # Errors
    /// `Undelivered` if records failed whose `Delivery` nobody looked at.
    #[must_use = "await it, or `.wait()`"]
    pub fn close(&self) -> Op<()> {
        let front = &self.handle.front;
        // The gate first: whoever calls `send` after this call is refused (contracts A8).
        front.shared.close_gate(CLOSED);
        let (setter, slot) = op_slot();
        let _ = front.shared.front.push(Input::CloseProducer(front.clone(), Some(setter), None));
        Op::new(self.front().clone(), Closing { slot, front: front.clone() })
    }

    pub(crate) fn inner(&self) -> &Arc<ProducerFront> {
        &self.handle.front
    }

    pub(crate) fn front(&self) -> &Arc<crate::front::Front> {
        &self.handle.front.shared.front
    }

    #[inline]
    pub(crate) fn with_topic<R>(&self, target: &Target<'_>, f: impl FnOnce(&Arc<TopicSlot>) -> R) -> R {
        let front = &self.handle.front;
        match target.0 {
            To::Topic(topic) if Arc::ptr_eq(&topic.slot.shared, &front.shared) => f(&topic.slot),
            To::Topic(topic) => f(&front.topic(&topic.slot.name)),
            To::Name(name) => self.by_name(name, f),
        }
    }

    fn by_name<R>(&self, name: &str, f: impl FnOnce(&Arc<TopicSlot>) -> R) -> R {
        let front = &self.handle.front;
        // Borrowed while `f` runs, which may call a partitioner of the application that sends: that one looks it up anew.
        LAST.with(|last| match last.try_borrow_mut() {
            Ok(mut last) => match &mut *last {
                Some(topic) if *topic.name == *name && Arc::ptr_eq(&topic.shared, &front.shared) => f(topic),
                other => f(other.insert(front.topic(name))),
            },
            Err(_) => f(&front.topic(name)),
        })
    }

    /// The delivery of a record that could not be made.
    pub(crate) fn refuse(&self, error: Error) -> Delivery {
        Ticket::failed(self.handle.front.shared.clone(), error).into()
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("buffered", &self.buffered()).finish()
    }
}

#[inline]
pub(crate) fn deliver(topic: &TopicSlot, sent: Result<Sent<Placed>, Refusal>) -> Delivery {
    match sent {
        Ok(Sent::Placed(placed)) => placed.into(),
        Ok(Sent::Waiting(ticket)) => ticket.into(),
        Err(refusal) => failed(topic, refusal).into(),
    }
}

/// The ticket of a record that was refused.
#[cold]
pub(crate) fn failed(topic: &TopicSlot, refusal: Refusal) -> Arc<Ticket> {
    let error = match refusal {
        Refusal::Closed(error) | Refusal::Error(error) => error,
        Refusal::Full | Refusal::NotReady => topic.shared.line_full().with_topic(topic.name.clone()),
    };
    Ticket::failed(topic.shared.clone(), error)
}

pub(crate) fn unexpected(reply: &Reply) -> Error {
    Error::new(ErrorKind::Misuse, format!("the client answered with {reply:?}, which was not asked for"))
}

/// A topic that was looked up once.
#[derive(Clone)]
pub struct Topic {
    pub(crate) slot: Arc<TopicSlot>,
}

impl Topic {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.slot.name
    }

    /// How many partitions it has, once that is known.
    pub fn partition_count(&self) -> Option<i32> {
        i32::try_from(self.slot.count()).ok().filter(|count| *count > 0)
    }

    /// Done when its partitions are known: the first `send` then waits for nothing.
    ///
    /// # Errors
    /// Why the topic cannot be had.
    #[must_use = "await it, or `.wait()`"]
    pub fn ready(&self) -> Op<()> {
        self.slot.look_for();
        until(&self.slot.shared.front, "fetching the topic's metadata", Ready(self.slot.clone()))
            .within(self.slot.settings.max_block)
    }

    /// Opens a connection to each leader of its partitions, so that the first record pays for no handshake. Done when all of
    /// them can take requests.
    ///
    /// # Errors
    /// `Timeout` after `max.block.ms`, with what kept the first of those that are missing.
    #[doc(alias = "EnsureProduceConnectionIsOpen")]
    #[must_use = "await it, or `.wait()`"]
    pub fn warm_up(&self) -> Op<()> {
        let (front, limit) = (&self.slot.shared.front, self.slot.settings.max_block);
        let until = front.clock.now().mono + limit;
        ask(front, Some(limit), Command::WarmUp(self.slot.shared.ix, self.name().into(), until), |reply| match reply {
            Reply::Unit => Ok(()),
            other => Err(unexpected(&other)),
        })
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topic").field("name", &self.name()).field("partition_count", &self.partition_count()).finish()
    }
}

struct Ready(Arc<TopicSlot>);

impl Watch<()> for Ready {
    fn check(&mut self, waker: &Waker) -> Option<Result<()>> {
        self.0.poll_ready(Some(waker))
    }
    fn is_ready(&self) -> bool {
        self.0.poll_ready(None).is_some()
    }
}

/// A flush that somebody waits for.
struct Flushing {
    fence: Fence,
    begun: klamm_core::Time,
}

impl Watch<()> for Flushing {
    fn check(&mut self, waker: &Waker) -> Option<Result<()>> {
        self.fence.check(waker)
    }
    fn is_ready(&self) -> bool {
        self.fence.is_ready()
    }
}

impl Drop for Flushing {
    fn drop(&mut self) {
        let shared = &self.fence.front.shared;
        shared.times.flush.add(shared.front.clock.now().mono.since(self.begun));
    }
}

/// Everything that was admitted before a flush.
pub(crate) struct Fence {
    front: Arc<ProducerFront>,
    tickets: VecDeque<Arc<Ticket>>,
    batches: VecDeque<Arc<BatchAck>>,
}

impl Fence {
    pub(crate) fn front(&self) -> &Arc<ProducerFront> {
        &self.front
    }

    pub(crate) fn new(front: &Arc<ProducerFront>) -> Self {
        let (mut tickets, mut batches) = (Vec::new(), Vec::new());
        for topic in front.all() {
            topic.fence(&mut tickets);
            for slot in topic.slots() {
                slot.fence(&mut batches, &mut tickets);
            }
        }
        for batch in &batches {
            batch.watch();
        }
        Self { front: front.clone(), tickets: tickets.into(), batches: batches.into() }
    }
}

impl Watch<()> for Fence {
    fn check(&mut self, waker: &Waker) -> Option<Result<()>> {
        while let Some(ticket) = self.tickets.front() {
            let placed = ticket.watch(waker)?;
            self.tickets.pop_front();
            if let Some(placed) = placed {
                placed.ack.watch();
                self.batches.push_back(placed.ack);
            }
        }
        while let Some(batch) = self.batches.front() {
            if !batch.settled(waker) {
                return None;
            }
            if let Some(batch) = self.batches.pop_front() {
                batch.unwatch();
            }
        }
        Some(self.front.shared.unseen.take())
    }

    fn is_ready(&self) -> bool {
        self.tickets.iter().all(|ticket| ticket.outcome_known()) && self.batches.iter().all(|batch| batch.is_settled())
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        for batch in self.batches.drain(..) {
            batch.unwatch();
        }
    }
}

/// Waits until a producer has ended.
struct Closing {
    slot: Arc<OpSlot>,
    front: Arc<ProducerFront>,
}

impl Work<()> for Closing {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.slot.poll(cx).map(|reply| reply.and_then(|_| self.front.shared.unseen.take()))
    }
    fn is_ready(&self) -> bool {
        self.slot.is_ready()
    }
    fn limit(&mut self, limit: Duration) {
        let front = &self.front.shared.front;
        let at = front.clock.now().mono + limit;
        let _ = front.push(Input::CloseProducer(self.front.clone(), None, Some(at)));
    }
}

/// Which records a [`purge`](Producer::purge) fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purge {
    /// Those that no request carries at this moment: in line, in batches, waiting to be sent again.
    Queued,
    /// Those and what is on its way to a broker.
    All,
}

/// What a producer holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Buffered {
    records: u64,
    bytes: u64,
    waiting: u64,
    memory: usize,
}

impl Buffered {
    /// Records in batches that were not sent yet.
    pub fn records(&self) -> u64 {
        self.records
    }
    /// Their bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
    /// Records in line: for memory, or for their topic.
    pub fn waiting(&self) -> u64 {
        self.waiting
    }
    /// How much of `buffer.memory` is in use, batches on their way included, in bytes.
    pub fn memory(&self) -> usize {
        self.memory
    }
}
