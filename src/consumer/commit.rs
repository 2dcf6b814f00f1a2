//! Commits and acknowledgements.

use super::told::{Committing, ask, done};
use super::{Consumer, Offsets, RecordId, TopicPartition, partitions};
use crate::Result;
use crate::front::shelf::{Entry, Shelf};
use crate::op::Op;
use crate::producer::unexpected;
use klamm_core::client::{Command, Reply};
use std::sync::Arc;

/// Commits, and the answer is wanted.
pub(super) fn sync(shelf: &Arc<Shelf>, entries: Vec<Entry>) -> Op<()> {
    match command(shelf, entries) {
        Some(command) => ask(shelf, command, done),
        None => Op::ready(Ok(())),
    }
}

/// Commits; nobody has to look at the answer.
pub(super) fn background(shelf: &Arc<Shelf>, entries: Vec<Entry>) -> Op<()> {
    match command(shelf, entries) {
        Some(command) => Committing::start(shelf, command),
        None => Op::ready(Ok(())),
    }
}

fn command(shelf: &Arc<Shelf>, mut entries: Vec<Entry>) -> Option<Command> {
    if entries.is_empty() {
        return None;
    }
    shelf.stamp(&mut entries);
    Some(Command::Commit(shelf.ix, entries))
}

pub(super) fn ack(shelf: &Shelf, record: &RecordId, through: bool) -> bool {
    shelf.ack(&record.tp, record.stamp, record.offset, through)
}

/// Both kinds begin at the call, leave one at a time in the order of the calls, and retry within their limit; a commit
/// never brings an older offset back. `commit_sync` does not block: its name says that you want the answer.
impl Consumer {
    /// Commits what was consumed: the positions of the batches that were returned, or with `AutoCommit::Acked` what was
    /// acknowledged without a gap. Copied at the call.
    ///
    /// # Errors
    /// `CommitFailed` and the group's own errors: partitions that went meanwhile are not committed.
    ///
    /// # Cancel safety
    /// Dropping it ends the waiting; the commit goes on.
    #[must_use = "await it, or `.wait()`: else use commit_async"]
    #[doc(alias = "commit")]
    #[doc(alias = "commitSync")]
    pub fn commit_sync(&self) -> Op<()> {
        sync(&self.shelf, self.shelf.consumed(None))
    }

    /// As [`commit_sync`](Self::commit_sync), for those who go on at once. The answer may be awaited; a failure that
    /// nobody looked at is returned by [`close`](Self::close).
    #[doc(alias = "commit")]
    #[doc(alias = "commitAsync")]
    pub fn commit_async(&self) -> Op<()> {
        background(&self.shelf, self.shelf.consumed(None))
    }

    /// Commits these offsets: `&batch`, `&partition_batch`, [`Offsets::after`]`(&record)`.
    ///
    /// # Errors
    /// As [`commit_sync`](Self::commit_sync).
    #[must_use = "await it, or `.wait()`: else use commit_async_offsets"]
    #[doc(alias = "commitSync")]
    pub fn commit_sync_offsets(&self, offsets: impl Into<Offsets>) -> Op<()> {
        sync(&self.shelf, offsets.into().entries())
    }

    /// As [`commit_sync_offsets`](Self::commit_sync_offsets), for those who go on at once.
    #[doc(alias = "commitAsync")]
    pub fn commit_async_offsets(&self, offsets: impl Into<Offsets>) -> Op<()> {
        background(&self.shelf, offsets.into().entries())
    }

    /// This record is done, in any order; with `AutoCommit::Acked` what is done without a gap is committed. False if the
    /// record is no longer ours: its partition went to another member, or the application sought elsewhere.
    pub fn ack(&self, record: impl Into<RecordId>) -> bool {
        ack(&self.shelf, &record.into(), false)
    }

    /// This record is done and all before it in its partition: librdkafka's `store_offset` without adding one.
    #[doc(alias = "store_offset")]
    pub fn ack_through(&self, record: impl Into<RecordId>) -> bool {
        ack(&self.shelf, &record.into(), true)
    }

    /// What the group has committed for these partitions; those without a commit are left out.
    ///
    /// # Errors
    /// What the group's coordinator answers; `Timeout`.
    #[must_use = "await it, or `.wait()`"]
    pub fn committed<T: Into<TopicPartition>>(&self, of: impl IntoIterator<Item = T>) -> Op<Offsets> {
        ask(&self.shelf, Command::Committed(self.shelf.ix, partitions(of)), committed)
    }
}

fn committed(reply: Reply) -> Result<Offsets> {
    match reply {
        Reply::Committed(answer) => Ok(Offsets::committed(answer)),
        other => Err(unexpected(&other)),
    }
}
