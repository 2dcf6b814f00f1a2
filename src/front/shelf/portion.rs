//! What a poll asks for and what it gets.

use super::chunk::Piece;
use super::lane::Place;
use klamm_core::client::{GroupMeta, Stamp, TopicPartition};
use klamm_core::{Error, PartitionIx, Time};
use std::sync::Arc;
use std::time::Duration;

/// How the assignment changed since the last poll that told.
#[derive(Clone, Debug, Default)]
pub(crate) struct News {
    pub(crate) assigned: Vec<TopicPartition>,
    pub(crate) revoking: Vec<TopicPartition>,
    pub(crate) lost: Vec<TopicPartition>,
    /// Why the last of them are.
    pub(crate) why: Option<Error>,
}

impl News {
    pub(super) fn is_urgent(&self, assigned_first: bool) -> bool {
        !self.revoking.is_empty() || !self.lost.is_empty() || (assigned_first && !self.assigned.is_empty())
    }
}

/// What one partition gives to one poll.
#[derive(Debug)]
pub(crate) struct Portion {
    pub(crate) ix: PartitionIx,
    pub(crate) tenure: u64,
    pub(crate) tp: Arc<TopicPartition>,
    pub(crate) stamp: Stamp,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) next: Place,
    /// The batch by which the partition is held.
    pub(crate) hold: Option<u64>,
    pub(crate) high_watermark: i64,
}

/// What a poll gives.
#[derive(Debug)]
pub(crate) enum Taken {
    /// It goes on waiting.
    Pending,
    /// Woken up, closed, or the partition is gone.
    End,
    /// Records and news; both may be empty.
    Some { portions: Vec<Portion>, news: News, group: GroupMeta },
}

/// A poll, between its first call and its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking {
    /// A stream's partition and tenure; `None`: the consumer itself.
    pub(crate) lane: Option<(PartitionIx, u64)>,
    pub(crate) max: u32,
    /// It cannot tell news, and what it gives holds nothing.
    pub(crate) silent: bool,
    pub(crate) timeout: Duration,
    pub(crate) begun: bool,
    pub(super) until: Option<Time>,
}

impl Asking {
    pub(crate) fn new(lane: Option<(PartitionIx, u64)>, max: u32, silent: bool, timeout: Duration) -> Self {
        Self { lane, max, silent, timeout, begun: false, until: None }
    }
}
