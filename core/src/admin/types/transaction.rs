//! Transactions, as their coordinators and the partitions that they wrote to tell of them.

use crate::Timestamp;
use crate::client::TopicPartition;
use std::sync::Arc;
use std::time::Duration;

/// A producer as a partition's replica knows it.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerState {
    /// Its producer id.
    pub producer_id: i64,
    /// The epoch of that id.
    pub producer_epoch: i32,
    /// The sequence number of its last record; `None` if it has none.
    pub last_sequence: Option<i32>,
    /// The timestamp of its last batch; `None` if it has none.
    pub last_timestamp: Option<Timestamp>,
    /// The epoch of the coordinator that ended its last transaction here; `None` if none ended yet.
    pub coordinator_epoch: Option<i32>,
    /// The offset at which its open transaction begins; `None` if it has none here.
    #[doc(alias = "currentTransactionStartOffset")]
    pub current_transaction_start: Option<i64>,
}

/// A transactional id in full.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionDescription {
    /// The transactional id.
    pub transactional_id: Arc<str>,
    /// The broker that coordinates it.
    pub coordinator: i32,
    /// `Empty`, `Ongoing`, `PrepareCommit`, `PrepareAbort`, `CompleteCommit`, `CompleteAbort` ...
    pub state: Arc<str>,
    /// The producer id that has it.
    pub producer_id: i64,
    /// The epoch of that id.
    pub producer_epoch: i16,
    /// After how long its coordinator aborts a transaction that is still open.
    #[doc(alias = "transactionTimeoutMs")]
    pub timeout: Duration,
    /// When its transaction began; `None` if none is open.
    #[doc(alias = "transactionStartTimeMs")]
    pub start: Option<Timestamp>,
    /// The partitions of its transaction; while it ends, those that have not been told yet.
    #[doc(alias = "topicPartitions")]
    pub partitions: Vec<TopicPartition>,
}

/// A transactional id, in short.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionListing {
    /// The transactional id.
    pub transactional_id: Arc<str>,
    /// The producer id that has it.
    pub producer_id: i64,
    /// `Empty`, `Ongoing`, `PrepareCommit`, `PrepareAbort`, `CompleteCommit`, `CompleteAbort` ...
    pub state: Arc<str>,
    /// The broker that told of it: its coordinator.
    pub coordinator: i32,
}

/// The producer id and epoch that a transactional id has now: whoever has an earlier epoch is fenced.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "ProducerIdAndEpoch")]
pub struct FencedProducer {
    /// The producer id.
    pub producer_id: i64,
    /// Its epoch.
    #[doc(alias = "epochId")]
    pub producer_epoch: i16,
}

/// Which transaction is to be aborted in which partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbortTransactionSpec {
    pub(in crate::admin) partition: TopicPartition,
    pub(in crate::admin) producer_id: i64,
    pub(in crate::admin) producer_epoch: i16,
    pub(in crate::admin) coordinator_epoch: i32,
}

impl AbortTransactionSpec {
    /// The transaction of this producer id and epoch. `coordinator_epoch` is the one that the partition knows of it, 0 if
    /// it knows none; a lower one is refused.
    pub fn new(
        partition: impl Into<TopicPartition>,
        producer_id: i64,
        producer_epoch: i16,
        coordinator_epoch: i32,
    ) -> Self {
        Self { partition: partition.into(), producer_id, producer_epoch, coordinator_epoch }
    }

    /// The open transaction of a producer as its partition describes it; `None` if it has none there.
    pub fn of(partition: impl Into<TopicPartition>, producer: &ProducerState) -> Option<Self> {
        producer.current_transaction_start?;
        let epoch = i16::try_from(producer.producer_epoch).ok()?;
        Some(Self::new(partition, producer.producer_id, epoch, producer.coordinator_epoch.unwrap_or(0)))
    }

    /// The partition.
    pub fn partition(&self) -> &TopicPartition {
        &self.partition
    }
}
