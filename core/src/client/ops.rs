//! Operations of the application: which are open, until when, and those that need no role.

use super::{Client, Command, Event, Reply};
use crate::{Error, ErrorKind, OpId, Time, Timers, Wake, Why};
use std::collections::BTreeMap;

/// The open operations. Each gets exactly one answer.
#[derive(Debug, Default)]
pub(super) struct Ops {
    open: BTreeMap<OpId, &'static str>,
    deadlines: Timers<OpId>,
    /// Wait for a metadata answer that was asked for after them: the version of the view that is too old.
    greeted: Vec<(OpId, u64)>,
}

impl Ops {
    pub(super) fn begin(&mut self, op: OpId, what: &'static str) {
        self.open.insert(op, what);
    }

    /// Ends an operation; false if it has ended before.
    pub(super) fn finish(&mut self, op: OpId) -> bool {
        self.deadlines.clear(op);
        self.open.remove(&op).is_some()
    }

    pub(super) fn deadline(&mut self, op: OpId, at: Time) {
        if self.open.contains_key(&op) {
            self.deadlines.set(op, at);
        }
    }

    pub(super) fn await_view(&mut self, op: OpId, version: u64) {
        self.greeted.push((op, version));
    }

    pub(super) fn awaits_view(&self) -> bool {
        !self.greeted.is_empty()
    }

    /// The operations that a view of this version answers.
    pub(super) fn answered_by(&mut self, version: u64) -> Vec<OpId> {
        let (done, open) = self.greeted.iter().partition(|(_, old)| *old < version);
        self.greeted = open;
        done.into_iter().map(|(op, _)| op).collect()
    }

    pub(super) fn poll_timeout(&self) -> Option<Wake> {
        Some(Wake { at: self.deadlines.next()?, why: Why::Operation })
    }
}

impl Command {
    /// What a timeout says was not done in time.
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::Connect => "reaching the cluster",
            Self::Commit(..) => "the commit",
            Self::Committed(..) => "reading committed offsets",
            Self::Position(..) => "finding the position",
            Self::ListOffsets(..) => "looking up offsets",
            Self::DescribePartitions(..) | Self::ListTopics => "reading metadata",
            Self::Raw { .. } => "the raw request",
            Self::InitTransactions(_) => "the producer's first transactional request",
            Self::SendOffsets(..) => "sending offsets to the transaction",
            Self::KeepPrepared(_) => "the producer's first transactional request",
            Self::PrepareTransaction(..) => "preparing the transaction",
            Self::EndTransaction(..) | Self::CompleteTransaction(..) => "ending the transaction",
            Self::Admin(_) => "the administrative operation",
            Self::Purge(..) => "the purge",
            Self::WarmUp(..) => "opening connections to the topic's leaders",
            Self::CloseProducer(..) | Self::CloseConsumer(..) | Self::Shutdown { .. } => "closing",
            _ => "the operation",
        }
    }
}

impl Client {
    /// Answers the operations whose time is over. What they started goes on.
    pub(super) fn expire_ops(&mut self) {
        while let Some(op) = self.ops.deadlines.pop(self.now.mono) {
            let what = self.ops.open.get(&op).copied().unwrap_or("the operation");
            let mut error = Error::new(ErrorKind::Timeout, format!("{what} took longer than its time limit"));
            if let Some(cause) = self.cluster.trouble() {
                error = error.with_source(cause);
            }
            self.lookups.forget(op);
            self.ops.greeted.retain(|(waiting, _)| *waiting != op);
            self.shared.events.push_back(Event::Done { op, result: Err(error) });
        }
    }

    pub(super) fn answer_views(&mut self) {
        for op in self.ops.answered_by(self.metadata.view().version) {
            self.shared.events.push_back(Event::Done { op, result: Ok(Reply::Unit) });
        }
    }
}
