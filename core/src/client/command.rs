//! Everything that an application can ask, as data.

use super::{GroupMeta, PreparedTxnState};
use crate::config::{ConsumerConfig, ProducerConfig};
use crate::metadata::OffsetSpec;
use crate::producer::Memory;
use crate::wire::Uuid;
use crate::{ConsumerIx, Error, PartitionIx, ProducerIx, Time, Timestamp};
use std::sync::Arc;

/// Whom a command or an event concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The cluster connection itself.
    Kafka,
    /// One producer.
    Producer(ProducerIx),
    /// One consumer.
    Consumer(ConsumerIx),
    /// The administration.
    Admin,
}

/// A topic's name and a partition's number: the words of the application.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition, from 0.
    pub partition: i32,
}

impl<T: Into<Arc<str>>> From<(T, i32)> for TopicPartition {
    fn from((topic, partition): (T, i32)) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl From<&TopicPartition> for TopicPartition {
    fn from(tp: &TopicPartition) -> Self {
        tp.clone()
    }
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// Under which decision something was asked, fetched or reported (contracts A9). Unequal stamps are dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// Counted by the core: one more for each assignment, reset, recreated topic, truncation and eviction.
    pub assign: u32,
    /// Counted by the front: one more for each seek of the application.
    pub seek: u32,
}

/// Where a consumer shall go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SeekTo {
    /// At this offset, whose record has this leader epoch (-1: not known).
    Offset {
        /// The next offset to read.
        offset: i64,
        /// Leader epoch of the record before it, for truncation detection (KIP-320).
        leader_epoch: i32,
    },
    /// At the first record.
    Beginning,
    /// Behind the last record.
    End,
    /// At the first record that is not older.
    Timestamp(Timestamp),
    /// At the group's committed offset; where there is none, as the configuration says.
    Committed,
}

/// An offset to commit: the next one to read, with what is stored beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitOffset {
    /// The next offset to read.
    pub offset: i64,
    /// Leader epoch of the record before it; -1 if not known.
    pub leader_epoch: i32,
    /// Free text kept with the offset.
    pub metadata: Arc<str>,
}

/// What a consumer reads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subscription {
    /// Nothing: leaves the group.
    None,
    /// These topics, shared within the group; without a group all their partitions.
    Topics(Vec<Arc<str>>),
    /// All topics that this chooses, now and later, as `Topics`.
    Chosen(TopicChooser),
    /// These partitions, as a manual assignment (with a group id too: then the group is for commits only).
    Partitions(Vec<TopicPartition>),
}

/// Chooses topics by their names, for the application; opaque to the core.
#[derive(Clone)]
pub struct TopicChooser(Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl TopicChooser {
    /// Wraps a function of the name alone.
    pub fn new(chooses: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(chooses))
    }

    /// Whether a topic of this name is chosen.
    pub fn chooses(&self, name: &str) -> bool {
        (self.0)(name)
    }
}

impl std::fmt::Debug for TopicChooser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TopicChooser")
    }
}

impl PartialEq for TopicChooser {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for TopicChooser {}

/// Ends a [`Command::CloseConsumer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseConsumer {
    /// Whether the positions that the front reported are committed (auto-commit).
    pub commit: bool,
    /// Whether the member leaves the group, or stays until its session ends (KIP-1092). `None`: as is Kafka's custom, a
    /// dynamic member leaves, a static one (`group.instance.id`) stays.
    pub leave: Option<bool>,
}

/// Offsets that become a group's with a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendOffsets {
    /// The transaction.
    pub generation: u64,
    /// The group, as it was when the records were read: the coordinator refuses older generations.
    pub group: GroupMeta,
    /// The next offset to read of each partition.
    pub offsets: Vec<(TopicPartition, CommitOffset)>,
}

/// What an outside coordinator decided on a prepared transaction (KIP-939).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is committed.
    Commit,
    /// It is aborted.
    Abort,
    /// It is committed if it is this one, else it is aborted.
    Complete(PreparedTxnState),
}

/// How a transaction ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndTransaction {
    /// The transaction.
    pub generation: u64,
    /// Whether it is committed; otherwise it is aborted.
    pub commit: bool,
    /// Why it cannot be committed although that is asked for: a record failed before it reached the core. It is aborted then,
    /// and the answer says so.
    pub trouble: Option<Error>,
}

/// Everything that an application can ask. Answered by [`Event::Done`](super::Event::Done) with the command's `OpId`,
/// unless the variant says otherwise.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Command {
    /// Done when a broker answered and the login was accepted.
    Connect,
    /// Ends the operation with a timeout error at this time; the work itself goes on. No answer of its own.
    Deadline(Time),
    /// Flush, commit and leave were done by the front: drops the roles, closes the links, ends. Asked again, the later deadline
    /// counts for both.
    Shutdown {
        /// Links are aborted then.
        deadline: Time,
    },

    /// A new producer, whose index the front chose, and what the parts of split batches are charged to. No answer.
    OpenProducer(ProducerIx, Arc<ProducerConfig>, Option<Arc<dyn Memory>>),
    /// Asks for a topic on behalf of a producer: `Event::Topic` follows, now and at every change.
    Topic(ProducerIx, Arc<str>),
    /// The producer has handed over everything and goes. Answered when its queues are empty or the deadline came.
    /// Asked again, the later deadline counts for both.
    CloseProducer(ProducerIx, Time),
    /// Fails what the producer has taken over and not sent, and if true what is under way too. Answered at once.
    Purge(ProducerIx, bool),
    /// Opens a connection to each leader of a topic. Answered when all can take requests, at the latest at the time given.
    WarmUp(ProducerIx, Arc<str>, Time),

    /// A transactional producer's first producer id: answered when transactions can begin. Ends what an older producer of
    /// the same `transactional.id` left open, and fences it.
    InitTransactions(ProducerIx),
    /// Batches of this generation belong to a new transaction. It opens when the one before is over. No answer.
    BeginTransaction(ProducerIx, u64),
    /// Adds offsets of a group to a transaction (KIP-447). Answered when the group's coordinator has them.
    SendOffsets(ProducerIx, SendOffsets),
    /// Ends a transaction. Before a commit the front has the outcome of everything in it; an abort fails what has none.
    /// Answered `Ok` only if the coordinator said yes to what was asked. Not to be limited by a `Deadline`: asking goes on.
    EndTransaction(ProducerIx, EndTransaction),
    /// Prepares a transaction for an outside coordinator's decision (KIP-939). Before, the front has the outcome of everything
    /// in it. Answered `Reply::Prepared`, else the transaction is aborted.
    PrepareTransaction(ProducerIx, u64),
    /// As `InitTransactions`, but what an older producer has prepared stays (KIP-939). Answered `Reply::Prepared`, with
    /// `None` if there is none, or if the broker cannot tell.
    KeepPrepared(ProducerIx),
    /// Ends the prepared transaction. Answered as `EndTransaction`; where none is prepared there is nothing to do.
    CompleteTransaction(ProducerIx, Decision),

    /// A new consumer, whose index the front chose. No answer.
    OpenConsumer(ConsumerIx, Arc<ConsumerConfig>),
    /// Replaces what the consumer reads. Answered at once with an error or `Reply::Unit`.
    Subscribe(ConsumerIx, Subscription),
    /// Adds partitions to a manual assignment.
    Assign(ConsumerIx, Vec<TopicPartition>),
    /// Takes partitions out of a manual assignment.
    Unassign(ConsumerIx, Vec<TopicPartition>),
    /// The application has seen the assignment `token`: fetching of its new partitions may begin. No answer.
    Applied(ConsumerIx, u64),
    /// The application lets go of a partition of the revocation `token`: nothing of it is handed out any more, and its
    /// cursors in `Progress` are final. The front keeps reporting them until `Event::Lost` says that the partition is
    /// gone: the core commits them before. No answer.
    Released(ConsumerIx, u64, PartitionIx),
    /// Moves the position; the number is the front's new `Stamp::seek`. No answer, errors come with the next poll.
    Seek(ConsumerIx, TopicPartition, u32, SeekTo),
    /// Stops (true) and starts (false) fetching of partitions. No answer.
    Pause(ConsumerIx, Vec<TopicPartition>, bool),
    /// Commits offsets; `None` in place of a stamp for partitions that the consumer does not own.
    Commit(ConsumerIx, Vec<(TopicPartition, Option<Stamp>, CommitOffset)>),
    /// Reads committed offsets: `Reply::Committed`.
    Committed(ConsumerIx, Vec<TopicPartition>),
    /// Answers with `Reply::Position` once the partition has one.
    Position(ConsumerIx, TopicPartition),
    /// Asks for a new rebalance at the next chance (KIP-568).
    Rejoin(ConsumerIx, Arc<str>),
    /// Leaves and ends.
    CloseConsumer(ConsumerIx, CloseConsumer, Time),

    /// Looks offsets up: `Reply::Offsets`.
    ListOffsets(Vec<(TopicPartition, OffsetSpec)>, crate::config::IsolationLevel),
    /// The partitions of a topic: `Reply::Topic`.
    DescribePartitions(Arc<str>),
    /// All topics: `Reply::Topics`.
    ListTopics,
    /// An administrative operation.
    Admin(Box<crate::admin::AdminRequest>),
    /// A request in wire form to a place: `Reply::Raw`.
    Raw {
        /// Where to.
        to: Route,
        /// The API's key.
        api_key: i16,
        /// The version that `body` is written in.
        version: i16,
        /// The body behind the request header.
        body: bytes::Bytes,
    },
}

impl Command {
    /// The consumer that it is for.
    pub(crate) fn consumer(&self) -> Option<ConsumerIx> {
        match self {
            Self::Subscribe(ix, ..)
            | Self::Assign(ix, ..)
            | Self::Unassign(ix, ..)
            | Self::Applied(ix, ..)
            | Self::Released(ix, ..)
            | Self::Seek(ix, ..)
            | Self::Pause(ix, ..)
            | Self::Commit(ix, ..)
            | Self::Committed(ix, ..)
            | Self::Position(ix, ..)
            | Self::Rejoin(ix, ..)
            | Self::CloseConsumer(ix, ..) => Some(*ix),
            _ => None,
        }
    }
}

/// Where a raw request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Route {
    /// Any broker.
    Any,
    /// This broker.
    Broker(i32),
    /// The broker that metadata names as controller.
    Controller,
    /// The coordinator of a group.
    Group(Arc<str>),
    /// The coordinator of a transactional id.
    TransactionalId(Arc<str>),
    /// The leader of a partition.
    Leader(TopicPartition),
}

/// A topic by name or by id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TopicName {
    /// Its name.
    Name(Arc<str>),
    /// Its id (KIP-516).
    Id(Uuid),
}

impl std::fmt::Display for TopicName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.pad(name),
            Self::Id(id) => write!(f, "{id}"),
        }
    }
}

impl From<&str> for TopicName {
    fn from(name: &str) -> Self {
        Self::Name(name.into())
    }
}

impl From<&String> for TopicName {
    fn from(name: &String) -> Self {
        Self::Name(name.as_str().into())
    }
}

impl From<String> for TopicName {
    fn from(name: String) -> Self {
        Self::Name(name.into())
    }
}

impl From<Arc<str>> for TopicName {
    fn from(name: Arc<str>) -> Self {
        Self::Name(name)
    }
}

impl From<Uuid> for TopicName {
    fn from(id: Uuid) -> Self {
        Self::Id(id)
    }
}
