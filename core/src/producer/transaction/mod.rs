//! The transactions of one producer: which state they are in, and what to ask a coordinator next. Pure data; the requests
//! lie in `requests`, what ties it to batches and links in `drive`.
//!
//! Two protocols (KIP-890). In the first a partition is added by AddPartitionsToTxn before its first batch goes, a group by
//! AddOffsetsToTxn before its offsets. In the second Produce and TxnOffsetCommit do that by themselves, and every EndTxn
//! brings a new epoch, so that nothing late can land in a later transaction.

mod answers;
mod class;
mod drive;
mod prepare;
mod requests;

pub(crate) use class::dooms;

use crate::client::{EndTransaction, GroupMeta};
use crate::error::{Error, ErrorKind};
use crate::wire::Uuid;
use crate::{OpId, PartitionIx, Time, TopicIx};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// The finalized feature that says which protocol to speak, and its level from which on it is the second.
pub(crate) const FEATURE: &str = "transaction.version";
const SECOND: i16 = 2;

/// How transactions are talked about (KIP-890); frozen for a transaction when it begins (contracts A26).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Partitions and groups are added by requests of their own.
    #[default]
    V1,
    /// Produce and TxnOffsetCommit add them; EndTxn brings the next epoch.
    V2,
}

impl Protocol {
    /// The one that the cluster has finalized.
    pub(crate) fn of(features: &crate::metadata::Features) -> Self {
        if features.levels.get(FEATURE).is_some_and(|level| *level >= SECOND) { Self::V2 } else { Self::V1 }
    }
}

/// Where a transactional producer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It has no producer id yet.
    Starting,
    /// Between two transactions.
    Ready,
    /// In a transaction, also while that ends.
    Open,
    /// Between two transactions, and its epoch cannot be used any more: InitProducerId gives another (KIP-360, contracts A21).
    Bumping,
    /// Its transaction is prepared, and waits for a decision (KIP-939).
    Prepared,
    /// It has no producer id yet: the coordinator cannot tell what is prepared, so the decision comes first.
    Kept,
    /// It can do nothing more.
    Dead,
}

/// One thing to be asked of a coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// InitProducerId.
    Init,
    /// AddPartitionsToTxn.
    AddPartitions,
    /// AddOffsetsToTxn.
    AddOffsets,
    /// TxnOffsetCommit, of the group's coordinator.
    CommitOffsets,
    /// EndTxn.
    End,
}

/// A request under way; there is one at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) token: u64,
    pub(crate) ask: Ask,
    /// The partitions that it adds.
    pub(crate) partitions: Vec<PartitionIx>,
    /// The offsets that it is about, and their group: by its answer others may be first in line.
    pub(crate) offsets: Option<(OpId, Arc<str>)>,
}

/// The offset of one partition of a group, as it goes over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupOffset {
    pub(crate) place: (TopicIx, i32),
    /// The topic's id when the offset was handed in, zero if nobody knew it (KIP-1319): a topic of the same name that comes
    /// later is not meant.
    pub(crate) topic_id: Uuid,
    pub(crate) offset: crate::client::CommitOffset,
}

/// Offsets that become a group's with the transaction (KIP-447).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupOffsets {
    pub(crate) op: OpId,
    /// The transaction.
    pub(crate) generation: u64,
    pub(crate) group: GroupMeta,
    /// What no coordinator has taken yet.
    pub(crate) left: Vec<GroupOffset>,
}

/// The end that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    op: OpId,
    /// What EndTxn says; a commit that cannot be becomes an abort, as long as none was sent.
    pub(crate) commit: bool,
    /// An EndTxn went out: whatever fails now is none of this transaction, all of which has its outcome.
    pub(crate) asked: bool,
    /// An EndTxn was lost: only the same may be asked again, until there is an answer.
    pub(crate) unknown: bool,
    /// What the application is told although the coordinator said yes: its commit became an abort.
    verdict: Option<Error>,
    /// No end yet: the transaction is to be prepared.
    prepare: bool,
}

/// The transactions of a producer.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) id: Arc<str>,
    pub(crate) timeout: Duration,
    /// Every InitProducerId says so: its transactions never time out (KIP-939).
    pub(crate) two_phase: bool,
    /// The first InitProducerId is to keep what is prepared.
    pub(crate) keep: bool,
    /// The id and epoch of the transaction that is prepared.
    pub(crate) prepared: Option<crate::producer::sequence::Identity>,
    pub(crate) state: State,
    /// The front's number of the transaction that is open; 0 if none is.
    pub(crate) generation: u64,
    pub(crate) protocol: Protocol,
    /// Why the open transaction can only be aborted.
    pub(crate) trouble: Option<Error>,
    /// A batch with a number ended otherwise than written: under this epoch there is a gap.
    pub(crate) tainted: bool,
    /// The coordinator may know of the open transaction: it needs an EndTxn.
    pub(crate) touched: bool,
    /// Partitions that have batches and are not added yet.
    pub(crate) waiting: BTreeSet<PartitionIx>,
    /// Groups that were added.
    pub(crate) groups: BTreeSet<Arc<str>>,
    pub(crate) offsets: VecDeque<GroupOffsets>,
    pub(crate) end: Option<End>,
    pub(crate) call: Option<Call>,
    /// Not to be asked before.
    pub(crate) retry_at: Option<Time>,
    pub(crate) attempts: u32,
    /// What went wrong last.
    pub(crate) last: Option<Error>,
    /// Begun by the application, and the one before is not over.
    next: Option<u64>,
    /// How the last transaction was talked about under this epoch.
    spoken: Option<Protocol>,
    /// Who waits for the first producer id.
    pub(crate) starters: Vec<OpId>,
}

impl Transaction {
    pub(crate) fn new(id: Arc<str>, timeout: Duration) -> Self {
        Self {
            id,
            timeout,
            two_phase: false,
            keep: false,
            prepared: None,
            state: State::Starting,
            generation: 0,
            protocol: Protocol::V1,
            trouble: None,
            tainted: false,
            touched: false,
            waiting: BTreeSet::new(),
            groups: BTreeSet::new(),
            offsets: VecDeque::new(),
            end: None,
            call: None,
            retry_at: None,
            attempts: 0,
            last: None,
            next: None,
            spoken: None,
            starters: Vec::new(),
        }
    }

    /// Whether batches of the open transaction may leave.
    pub(crate) fn is_sending(&self) -> bool {
        self.state == State::Open && self.trouble.is_none() && self.end.as_ref().is_none_or(|end| end.commit)
    }

    /// Whether the open transaction can only be aborted.
    pub(crate) fn is_lost(&self) -> bool {
        self.state == State::Open && self.trouble.is_some()
    }

    /// Whether batches of this generation can only fail.
    pub(crate) fn refuses(&self, generation: u64) -> bool {
        match self.state {
            State::Dead => true,
            State::Open if generation == self.generation => !self.is_sending(),
            _ => generation <= self.generation,
        }
    }

    /// What to ask next. `busy`: batches of it have no outcome (contracts A21: EndTxn comes after all of them).
    pub(crate) fn next(&self, busy: bool) -> Option<Ask> {
        if self.call.is_some() {
            return None;
        }
        match self.state {
            State::Starting | State::Bumping => Some(Ask::Init),
            State::Ready | State::Dead => None,
            State::Prepared | State::Kept => self.next_after_decision(),
            State::Open => match &self.end {
                Some(end) if !end.commit => (!busy && self.touched).then_some(Ask::End),
                _ if self.trouble.is_some() => None,
                _ if !self.waiting.is_empty() => Some(Ask::AddPartitions),
                _ if self.first_offsets().is_some() => Some(self.for_offsets()),
                Some(end) => (!busy && self.touched && !end.prepare).then_some(Ask::End),
                None => None,
            },
        }
    }

    /// The offsets that the open transaction is to carry next.
    pub(crate) fn first_offsets(&self) -> Option<&GroupOffsets> {
        self.offsets.front().filter(|offsets| offsets.generation == self.generation)
    }

    fn for_offsets(&self) -> Ask {
        let added = self.first_offsets().is_none_or(|o| self.groups.contains(&o.group.group));
        if self.protocol == Protocol::V2 || added { Ask::CommitOffsets } else { Ask::AddOffsets }
    }

    /// Whether the end that was asked for needs no EndTxn: the coordinator has never heard of the transaction.
    pub(crate) fn ends_unheard(&self, busy: bool) -> bool {
        let open = matches!(self.state, State::Open | State::Prepared);
        let idle = self.call.is_none() && !busy && !self.touched && open;
        let settled =
            |end: &End| !end.commit || (!end.prepare && self.waiting.is_empty() && self.first_offsets().is_none());
        idle && self.end.as_ref().is_some_and(settled)
    }

    /// The application began a transaction. It opens now, or when the one before is over.
    pub(crate) fn begin(&mut self, generation: u64) {
        if self.state != State::Dead {
            self.next = Some(generation);
        }
    }

    /// Opens the transaction that waits, if it can be now.
    pub(crate) fn open(&mut self, protocol: Protocol) -> bool {
        if self.state != State::Ready {
            return false;
        }
        if self.next.is_some() && self.spoken == Some(Protocol::V1) && protocol == Protocol::V2 {
            // TX-16: the cluster was upgraded meanwhile. Numbers of the first protocol do not go on in the second.
            self.state = State::Bumping;
            return false;
        }
        let Some(generation) = self.next.take() else { return false };
        self.spoken = Some(protocol);
        self.state = State::Open;
        self.generation = generation;
        self.protocol = protocol;
        true
    }

    /// The open transaction can only be aborted. The first cause counts.
    pub(crate) fn fail(&mut self, error: &Error) {
        let decided = self.end.as_ref().is_some_and(|end| end.commit && end.asked);
        if self.state != State::Open || self.trouble.is_some() || decided {
            return;
        }
        self.trouble = Some(error.clone());
        self.waiting.clear();
        if let Some(end) = self.end.as_mut().filter(|end| end.commit) {
            end.commit = false;
            end.verdict.get_or_insert_with(|| instead(error));
        }
    }

    /// The application asks for the end.
    ///
    /// # Errors
    /// There is nothing to end.
    pub(crate) fn finish(&mut self, op: OpId, how: &EndTransaction) -> Result<(), Error> {
        let ours = |generation| generation == how.generation;
        let open = self.state == State::Open && ours(self.generation) || self.next.is_some_and(ours);
        if self.state == State::Dead || !open || self.end.is_some() {
            return Err(Error::new(ErrorKind::Misuse, "no such transaction is open"));
        }
        let cause = how.trouble.as_ref().or(self.trouble.as_ref().filter(|_| ours(self.generation)));
        let commit = how.commit && cause.is_none();
        let verdict = cause.filter(|_| how.commit).map(instead);
        self.end = Some(End { op, commit, asked: false, unknown: false, verdict, prepare: false });
        if !commit {
            self.waiting.clear();
        }
        Ok(())
    }

    /// The coordinator has no such transaction open, which was to be committed: it was timed out and aborted. An abort makes
    /// sure of it, and brings the epoch to go on with.
    pub(crate) fn was_aborted(&mut self, error: &Error) {
        if let Some(end) = &mut self.end {
            end.commit = false;
            end.asked = false;
            end.unknown = false;
            end.verdict.get_or_insert_with(|| instead(error));
        }
    }

    /// The transaction is over. Gives whom to tell what. `renew`: the epoch cannot be used any more.
    pub(crate) fn over(&mut self, renew: bool) -> Option<(OpId, Result<(), Error>)> {
        self.state = if renew { State::Bumping } else { State::Ready };
        self.trouble = None;
        self.prepared = None;
        self.touched = false;
        self.waiting.clear();
        self.groups.clear();
        self.asked();
        self.end.take().map(|end| (end.op, end.verdict.map_or(Ok(()), Err)))
    }

    /// Something was answered: the next question need not wait.
    pub(crate) fn asked(&mut self) {
        self.retry_at = None;
        self.attempts = 0;
    }

    /// There is a producer id to begin transactions under.
    pub(crate) fn renewed(&mut self) {
        self.tainted = false;
        self.spoken = None;
        if matches!(self.state, State::Starting | State::Bumping | State::Kept) {
            self.state = State::Ready;
        }
        self.asked();
    }

    /// It can do nothing more. Gives everyone who waits for anything.
    pub(crate) fn die(&mut self, error: &Error) -> Vec<(OpId, Error)> {
        self.state = State::Dead;
        self.waiting.clear();
        self.retry_at = None;
        let unknown = self.end.as_ref().is_some_and(|end| end.commit && end.unknown);
        let ends = self.end.take().map(|end| {
            let error = error.clone();
            (end.op, if unknown { error.with_outcome_unknown() } else { error })
        });
        let offsets = self.offsets.drain(..).map(|offsets| offsets.op);
        let others = offsets.chain(self.starters.drain(..)).map(|op| (op, error.clone()));
        ends.into_iter().chain(others).collect()
    }
}

/// What whoever commits is told of a transaction that had to be aborted.
fn instead(cause: &Error) -> Error {
    Error::new(ErrorKind::Aborted, "the transaction was aborted instead of committed")
        .with_source(cause.clone())
        .with_retriable(cause.kind() != ErrorKind::Unsupported)
        .with_hint("nothing of it is visible to read_committed readers: run it again")
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
