//! What passes between the front (open and sealed batches, one slot per partition) and the core (queues, sequences,
//! requests): levels, never edges (contracts A1, B1, 4.1).

use crate::codec::Codec;
use crate::record::BodyCrc;
use crate::{BatchNo, CollectId, PartitionIx, ProducerIx, Time, Timestamp};
use bytes::Bytes;
use std::fmt;

/// What is left in a slot of the front: the core knows a slot only by its last `Left`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Sealed and packed batches, ready to be taken from the head on.
    pub packed: u32,
    /// Sealed batches that some thread is packing; a collect stops at the first.
    pub packing: u32,
    /// Batches that only a flush sends, the open one included: with `manual.flushing`, until one comes.
    pub parked: u32,
    /// Bytes in packed batches and the open one.
    pub bytes: u64,
    /// Records that wait in line behind the slot.
    pub line: u32,
    /// When the open batch got its first record; `None` if there is no open batch or it is empty.
    pub open_since: Option<Time>,
    /// When the oldest record entered `send`: what `delivery.timeout.ms` counts from.
    pub oldest_entry: Option<Time>,
    /// The open batch must not linger: a flush, a close or a lone awaited send waits for it.
    pub urgent: bool,
}

impl Left {
    /// Whether a `Take::Send` would bring a batch now.
    pub fn is_ready(&self, now: Time, linger: std::time::Duration, pressure: bool) -> bool {
        if self.packed > 0 {
            return true;
        }
        match self.open_since {
            Some(since) if self.packing == 0 => self.urgent || pressure || since + linger <= now,
            _ => false,
        }
    }
}

/// What a collect is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Take {
    /// At most one batch per partition: the packed head, else the open batch, sealed now.
    #[default]
    Send,
    /// Whole batches whose oldest record entered before this time: they will be failed (contracts B11).
    Expire {
        /// Exclusive.
        entered_before: Time,
    },
}

/// One request of the core for batches. The buffer is reused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collect {
    /// Names the answer.
    pub id: CollectId,
    /// Whose slots.
    pub producer: ProducerIx,
    /// What for.
    pub take: Take,
    /// Enough bytes; the first batch may exceed it.
    pub max_bytes: usize,
    /// From which partitions, in this order.
    pub from: Vec<PartitionIx>,
}

/// What bytes that the core makes itself, the parts of split batches, are charged to: the producer's `buffer.memory`
/// (contracts A24, B13). The core cannot wait for memory, so it may be overdrawn.
pub trait Memory: fmt::Debug + Send + Sync {
    /// Takes so many bytes, whether they are there or not.
    fn take(&self, bytes: usize);
    /// Returns them.
    fn give(&self, bytes: usize);
}

/// A sealed and packed batch: immutable. Its header is built when it is stamped.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Its number within the producer's partition, given at seal: the only order that counts (contracts A22).
    pub no: BatchNo,
    /// The records section, compressed as `codec` says. The front's memory grant lives in its owner (contracts B13).
    pub body: Bytes,
    /// Checksum of `body`, ready to be joined with a header's.
    pub crc: BodyCrc,
    /// How `body` is compressed.
    pub codec: Codec,
    /// How many records.
    pub count: u32,
    /// Bytes of the records section before compression.
    pub plain_bytes: u32,
    /// The first record's timestamp: what the deltas count from.
    pub base_timestamp: Timestamp,
    /// The largest timestamp.
    pub max_timestamp: Timestamp,
    /// When its oldest record entered `send`.
    pub entered: Time,
    /// The gate's generation under which its records were admitted (transactions; 0 without).
    pub generation: u64,
}

/// One answer to a [`Collect`].
#[derive(Clone, Debug)]
pub struct Taken {
    /// From which partition.
    pub partition: PartitionIx,
    /// The batch; the core is responsible for its outcome from now on, whatever it asked for.
    pub batch: Option<Batch>,
    /// What is left there.
    pub left: Left,
}
