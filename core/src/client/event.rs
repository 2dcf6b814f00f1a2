//! Everything that an application can be told, as data.

use super::command::{Role, Stamp, TopicPartition};
use crate::admin::AdminReply;
use crate::metadata::View;
use crate::{BatchNo, BrokerId, ConsumerIx, Error, FrameIx, OpId, PartitionIx, ProducerIx, Time, Timestamp, TopicIx};
use std::ops::Range;
use std::sync::Arc;

/// The answer to an operation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Reply {
    /// It is done.
    Unit,
    /// Answers `Committed`: `None` where the group has no offset for the partition.
    Committed(Vec<(TopicPartition, Option<super::CommitOffset>)>),
    /// Answers `Position`.
    Position(i64),
    /// Answers `ListOffsets`, one result per partition, in the order asked.
    Offsets(Vec<(TopicPartition, Result<ListedOffset, Error>)>),
    /// Answers `DescribePartitions` and `ListTopics` with the metadata of that moment.
    View(Arc<View>),
    /// Answers `Admin`.
    Admin(Box<AdminReply>),
    /// Answers `PrepareTransaction` and `KeepPrepared`.
    Prepared(Option<super::PreparedTxnState>),
    /// Answers `Raw`: the body behind the response header.
    Raw(bytes::Bytes),
}

/// One answer of ListOffsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedOffset {
    /// The offset; -1 if there is no such record.
    pub offset: i64,
    /// The record's timestamp; -1 if the answer has none.
    pub timestamp: Timestamp,
    /// The leader epoch of the record; -1 if not known.
    pub leader_epoch: i32,
}

/// What the front needs to place records of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicShape {
    /// The topic.
    pub topic: TopicIx,
    /// One more after each recreation.
    pub incarnation: u32,
    /// Its partitions, by number.
    pub partitions: Vec<PartitionShape>,
}

/// What the front needs to know of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionShape {
    /// Its index.
    pub ix: PartitionIx,
    /// Who leads it, if that is known: only then is it available.
    pub leader: Option<BrokerId>,
    /// Its leader is in the client's rack, and that is to count (`partitioner.rack.aware`).
    pub near: bool,
}

/// A part of a batch that was split: the records `first..first + count` of the parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitPart {
    /// The child's own number, from the upper half of the number space (contracts A22: order comes from the queue).
    pub no: BatchNo,
    /// Its first record within the parent.
    pub first: u32,
    /// How many records.
    pub count: u32,
}

/// The group that an assignment belongs to, as KIP-447 needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupMeta {
    /// The group's name.
    pub group: Arc<str>,
    /// Generation or member epoch; -1 outside a generation.
    pub generation: i32,
    /// The member's id; empty outside a generation.
    pub member: Arc<str>,
    /// The static member's name.
    pub instance: Option<Arc<str>>,
}

pub use crate::record::AbortedTransaction;

/// One partition's part of a fetch response, or an error at that place of the log (contracts A10: errors come in order).
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Which partition.
    pub partition: PartitionIx,
    /// Under which decision it was fetched.
    pub stamp: Stamp,
    /// The offset that was asked: records below it are not for the application.
    pub asked: i64,
    /// The offset behind the last complete batch; `asked` if there is none.
    pub next: i64,
    /// Where its batches lie in the frame.
    pub bytes: Range<usize>,
    /// The leader epoch of the last complete batch; -1 if there is none.
    pub leader_epoch: i32,
    /// Aborted transactions that overlap (read_committed only).
    pub aborted: Vec<AbortedTransaction>,
    /// The partition's high watermark; -1 if the response has none.
    pub high_watermark: i64,
    /// The partition's last stable offset; -1 if the response has none.
    pub last_stable: i64,
    /// The partition's first offset; -1 if the response has none.
    pub log_start: i64,
    /// What is wrong from `next` on.
    pub problem: Option<Error>,
}

/// Everything that an application can be told. One queue in one order: an assignment comes before its data.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// An operation ended.
    Done {
        /// Which, as the front named it.
        op: OpId,
        /// How.
        result: Result<Reply, Error>,
    },
    /// A topic that a producer asked for, or how it changed.
    Topic {
        /// Who asked.
        producer: ProducerIx,
        /// What was asked.
        name: Arc<str>,
        /// Its partitions; an error resolves what waits for this topic only (contracts B21).
        shape: Result<TopicShape, Error>,
    },
    /// A broker refused a codec for the topic of this partition, which has another: later batches are packed by that.
    CodecRefused {
        /// Whose.
        producer: ProducerIx,
        /// One of the topic's.
        partition: PartitionIx,
        /// What was refused.
        codec: crate::codec::Codec,
    },
    /// A batch is acknowledged.
    Delivered {
        /// Whose.
        producer: ProducerIx,
        /// Of which partition.
        partition: PartitionIx,
        /// Which.
        batch: BatchNo,
        /// Offset of its first record; `None` with acks=0 or for a duplicate whose offset the broker did not tell.
        base_offset: Option<i64>,
        /// The log's own time, if the topic uses it.
        append_time: Option<Timestamp>,
    },
    /// A batch failed for good.
    Failed {
        /// Whose.
        producer: ProducerIx,
        /// Of which partition.
        partition: PartitionIx,
        /// Which.
        batch: BatchNo,
        /// Why; it says whether the records may be in the log.
        error: Error,
        /// The records that the broker named as the cause, by their place in the batch (KIP-467).
        culprits: Vec<(u32, Error)>,
    },
    /// A batch was split; comes before any event of its parts.
    Split {
        /// Whose.
        producer: ProducerIx,
        /// Of which partition.
        partition: PartitionIx,
        /// Which.
        batch: BatchNo,
        /// Its parts, in order.
        into: Vec<SplitPart>,
    },
    /// The topics that a [`TopicChooser`](super::TopicChooser) chose, whenever they change.
    Chosen {
        /// Who.
        consumer: ConsumerIx,
        /// All of them.
        topics: Vec<Arc<str>>,
    },
    /// Something worth a line in a log.
    Note(super::Note),
    /// A consumer has an assignment.
    Assigned {
        /// Who.
        consumer: ConsumerIx,
        /// To answer with `Command::Applied`.
        token: u64,
        /// The whole assignment, with the stamps of this assignment; partitions kept from before keep theirs.
        partitions: Vec<(TopicPartition, PartitionIx, Stamp)>,
        /// The membership.
        group: GroupMeta,
    },
    /// Partitions are to be let go: finish, commit, answer `Command::Released` for each.
    Revoking {
        /// Who.
        consumer: ConsumerIx,
        /// To answer with.
        token: u64,
        /// Which.
        partitions: Vec<PartitionIx>,
        /// They come as `Lost` then.
        deadline: Time,
    },
    /// Partitions are gone, now and finally: their chunks are dropped, nothing of them may be committed. Ends a
    /// revocation too: after `Command::Released` and the commits that it led to, with `why: None`.
    Lost {
        /// Who.
        consumer: ConsumerIx,
        /// Which.
        partitions: Vec<PartitionIx>,
        /// Why; `None` if the application asked for it or let go of them.
        why: Option<Error>,
    },
    /// A partition has a position: it initialises both cursors and may be committed (contracts A13).
    Positioned {
        /// Who.
        consumer: ConsumerIx,
        /// Which.
        partition: PartitionIx,
        /// Under which decision; `seek` may be higher than the front's, which then adopts it.
        stamp: Stamp,
        /// The next offset to read.
        offset: i64,
        /// The leader epoch of the record before it; -1 if not known.
        leader_epoch: i32,
    },
    /// A fetch response. The front owns the bytes until it returns them by `handle_credits`.
    Fetched {
        /// Who.
        consumer: ConsumerIx,
        /// Names the bytes when they come home.
        frame: FrameIx,
        /// The whole response body.
        bytes: Vec<u8>,
        /// Its parts, in the order of the response.
        chunks: Vec<Chunk>,
    },
    /// The consumer cannot go on until the application decides: the next poll returns it.
    ConsumerFailed {
        /// Who.
        consumer: ConsumerIx,
        /// Why.
        error: Error,
    },
    /// The coordinator took these offsets, whoever asked for that; comes before the outcome of the commit. Only for consumers
    /// with interceptors.
    Committed {
        /// Who.
        consumer: ConsumerIx,
        /// What it committed.
        offsets: Vec<(TopicPartition, super::CommitOffset)>,
    },
    /// Offsets were committed without being asked for (auto-commit), or could not be.
    AutoCommitted {
        /// Who.
        consumer: ConsumerIx,
        /// How it went.
        result: Result<(), Error>,
    },
}

impl Event {
    /// Whom it concerns.
    pub fn role(&self) -> Role {
        match self {
            Self::Done { .. } | Self::Note(_) => Role::Kafka,
            Self::Topic { producer, .. }
            | Self::Delivered { producer, .. }
            | Self::Failed { producer, .. }
            | Self::Split { producer, .. }
            | Self::CodecRefused { producer, .. } => Role::Producer(*producer),
            Self::Chosen { consumer, .. }
            | Self::Assigned { consumer, .. }
            | Self::Revoking { consumer, .. }
            | Self::Lost { consumer, .. }
            | Self::Positioned { consumer, .. }
            | Self::Fetched { consumer, .. }
            | Self::ConsumerFailed { consumer, .. }
            | Self::Committed { consumer, .. }
            | Self::AutoCommitted { consumer, .. } => Role::Consumer(*consumer),
        }
    }
}
