//! A consumer as other tasks and threads see it.

use super::commit::{ack, background, sync};
use super::{ConsumerState, Offsets, Position, RecordId, TopicPartition, partitions};
use crate::Result;
use crate::front::shelf::Shelf;
use crate::op::Op;
use std::sync::Arc;

/// A consumer for other tasks and threads: everything but polling and closing. After the consumer's end its calls fail with
/// `Closed`.
#[derive(Clone, Debug)]
pub struct ConsumerHandle {
    shelf: Arc<Shelf>,
}

impl ConsumerHandle {
    pub(super) fn new(shelf: Arc<Shelf>) -> Self {
        Self { shelf }
    }

    /// The running poll, `recv` or stream, or the next one, gives `None` once: its loop ends, with the batch in hand
    /// finished.
    pub fn wakeup(&self) {
        self.shelf.wakeup();
    }

    /// As [`Consumer::ack`](super::Consumer::ack).
    pub fn ack(&self, record: impl Into<RecordId>) -> bool {
        ack(&self.shelf, &record.into(), false)
    }

    /// As [`Consumer::ack_through`](super::Consumer::ack_through).
    pub fn ack_through(&self, record: impl Into<RecordId>) -> bool {
        ack(&self.shelf, &record.into(), true)
    }

    /// As [`Consumer::commit_sync_offsets`](super::Consumer::commit_sync_offsets).
    ///
    /// # Errors
    /// As there.
    #[must_use = "await it, or `.wait()`: else use commit_async_offsets"]
    pub fn commit_sync_offsets(&self, offsets: impl Into<Offsets>) -> Op<()> {
        sync(&self.shelf, offsets.into().entries())
    }

    /// As [`Consumer::commit_async_offsets`](super::Consumer::commit_async_offsets).
    pub fn commit_async_offsets(&self, offsets: impl Into<Offsets>) -> Op<()> {
        background(&self.shelf, offsets.into().entries())
    }

    /// As [`Consumer::pause`](super::Consumer::pause).
    ///
    /// # Errors
    /// As there.
    pub fn pause<T: Into<TopicPartition>>(&self, these: impl IntoIterator<Item = T>) -> Result<()> {
        self.shelf.pause(&partitions(these), true)
    }

    /// As [`Consumer::resume`](super::Consumer::resume).
    ///
    /// # Errors
    /// As there.
    pub fn resume<T: Into<TopicPartition>>(&self, these: impl IntoIterator<Item = T>) -> Result<()> {
        self.shelf.pause(&partitions(these), false)
    }

    /// As [`Consumer::seek`](super::Consumer::seek).
    ///
    /// # Errors
    /// As there.
    pub fn seek(&self, partition: impl Into<TopicPartition>, to: impl Into<Position>) -> Result<()> {
        self.shelf.seek(&[(partition.into(), to.into().target())])
    }

    /// The partitions that are read.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.shelf.assignment()
    }

    /// As [`Consumer::state`](super::Consumer::state).
    pub fn state(&self) -> ConsumerState {
        ConsumerState::new(&self.shelf.group(), self.shelf.report())
    }
}
