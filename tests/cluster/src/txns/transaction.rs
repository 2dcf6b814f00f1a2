//! What a coordinator knows of one transactional id, and how it changes (broker-coord 5.2 to 5.5).
//!
//! Everything here is a question about one value: which value comes next, or which error is answered.

use klamm_core::{ErrorCode, Time};
use std::collections::BTreeSet;
use std::time::Duration;

/// The last epoch that a producer id is used with; behind it comes another id.
pub(crate) const LAST_EPOCH: i16 = i16::MAX - 1;

/// The states of a transactional id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Empty,
    Ongoing,
    PrepareCommit,
    PrepareAbort,
    CompleteCommit,
    CompleteAbort,
}

impl Phase {
    /// Every state by the name that DescribeTransactions and ListTransactions give it. `Dead` and `PrepareEpochFence`
    /// are known to a real broker's filters as well and never seen.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
        }
    }

    /// Whether markers are being written.
    pub(crate) fn is_preparing(self) -> bool {
        matches!(self, Self::PrepareCommit | Self::PrepareAbort)
    }
}

/// A topic and the number of a partition of it.
pub(crate) type Place = (String, i32);

/// A producer id and its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

/// A moment on both clocks: transactions time out by the one and are described by the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) mono: Time,
    pub(crate) wall: i64,
}

/// One transactional id as its coordinator's log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub(crate) identity: Identity,
    /// The epoch before the last bump that its owner asked for, -1 if another took over.
    pub(crate) last_epoch: i16,
    /// The producer id before the present one, -1 if none.
    pub(crate) previous_id: i64,
    /// The producer id that follows when the transaction is complete, -1 if it stays.
    pub(crate) next_id: i64,
    /// The epoch that follows with it.
    pub(crate) next_epoch: i16,
    /// Who may end the open transaction, if that is not who began it: the producer that asked to keep it (KIP-939).
    pub(crate) client: Option<Identity>,
    pub(crate) timeout: Duration,
    pub(crate) phase: Phase,
    pub(crate) partitions: BTreeSet<Place>,
    /// When its open transaction began.
    pub(crate) start: Option<Moment>,
    pub(crate) updated: Time,
    /// Whether the last transaction ended by version 2: its epoch was bumped by that.
    pub(crate) v2: bool,
}

/// What comes of InitProducerId.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Init {
    /// This is written, and its identity answered.
    Ready(Transaction),
    /// The open transaction is aborted first; the caller is told to come again.
    Abort(Transaction),
}

/// What comes of EndTxn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// This is written; the identity is the one to go on with.
    Begin(Transaction, Identity),
    /// It was done before.
    Done(Identity),
}

impl Transaction {
    /// 5.2: a transactional id that nobody knew; what the caller believes to have is not looked at.
    pub(crate) fn new(identity: Identity, timeout: Duration, now: Time) -> Self {
        Self {
            identity,
            last_epoch: -1,
            previous_id: -1,
            next_id: -1,
            next_epoch: 0,
            client: None,
            timeout,
            phase: Phase::Empty,
            partitions: BTreeSet::new(),
            start: None,
            updated: now,
            v2: false,
        }
    }

    /// 5.3, for an id that is known and has no change pending. `given` is the identity that the caller has, `fresh` makes
    /// a producer id, `v2` is the cluster's transaction version.
    pub(crate) fn init(
        &self,
        given: Option<Identity>,
        timeout: Duration,
        fresh: impl FnOnce() -> i64,
        v2: bool,
        now: Time,
    ) -> Result<Init, ErrorCode> {
        if let Some(given) = given {
            let former = given.id == self.previous_id && given.epoch >= LAST_EPOCH;
            if given.id != self.identity.id && !former {
                return Err(ErrorCode::PRODUCER_FENCED);
            }
        }
        match self.phase {
            Phase::PrepareCommit | Phase::PrepareAbort => return Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            Phase::Ongoing => return Ok(Init::Abort(self.fenced(v2, now))),
            Phase::Empty | Phase::CompleteCommit | Phase::CompleteAbort => {}
        }
        let Identity { id, epoch } = self.identity;
        let mut next = self.clone();
        next.phase = Phase::Empty;
        next.partitions.clear();
        next.start = None;
        next.updated = now;
        next.timeout = timeout;
        match given {
            Some(given) if given.epoch != epoch && given.epoch == self.last_epoch => {}
            Some(given) if given.epoch != epoch => return Err(ErrorCode::PRODUCER_FENCED),
            _ => {
                next.last_epoch = given.map_or(-1, |_| epoch);
                if epoch >= LAST_EPOCH {
                    next.previous_id = id;
                    next.identity = Identity { id: fresh(), epoch: 0 };
                } else {
                    next.identity.epoch = epoch + 1;
                }
            }
        }
        Ok(Init::Ready(next))
    }

    /// KIP-939: InitProducerId that keeps the open transaction. It goes on under its own id and epoch, and only who asked may
    /// end it.
    pub(crate) fn kept_for(
        &self,
        given: Option<Identity>,
        timeout: Duration,
        fresh: impl FnOnce() -> i64,
        now: Time,
    ) -> Result<Init, ErrorCode> {
        let before = self.client.unwrap_or(self.identity);
        if given.is_some_and(|given| given != before) {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        let mut next = self.clone();
        next.client = Some(after(before, fresh));
        next.timeout = timeout;
        next.updated = now;
        Ok(Init::Ready(next))
    }

    /// 5.4, for an id that has no change pending; `None` if it has these partitions already.
    pub(crate) fn add(&self, by: Identity, places: &[Place], now: Moment) -> Result<Option<Self>, ErrorCode> {
        if let Some(client) = self.client {
            return Err(if by == client { ErrorCode::INVALID_TXN_STATE } else { ErrorCode::PRODUCER_FENCED });
        }
        if by.id != self.identity.id {
            return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        }
        if by.epoch != self.identity.epoch {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        if self.phase.is_preparing() {
            return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
        }
        let ongoing = self.phase == Phase::Ongoing;
        if ongoing && places.iter().all(|p| self.partitions.contains(p)) {
            return Ok(None);
        }
        let mut next = self.clone();
        if !ongoing {
            next.partitions.clear();
            next.start = Some(now);
        }
        next.phase = Phase::Ongoing;
        next.updated = now.mono;
        next.partitions.extend(places.iter().cloned());
        Ok(Some(next))
    }

    /// 5.6, broker-data 4.20: whether these partitions belong to the transaction, asked by their leader; one answer each.
    pub(crate) fn verify(&self, by: Identity, places: &[Place]) -> Result<Vec<ErrorCode>, ErrorCode> {
        if by.id != self.identity.id {
            return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        }
        if by.epoch != self.identity.epoch {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        if self.phase.is_preparing() {
            return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
        }
        let ongoing = self.phase == Phase::Ongoing;
        let one = |place: &Place| match ongoing && self.partitions.contains(place) {
            true => ErrorCode::NONE,
            false => ErrorCode::TRANSACTION_ABORTABLE,
        };
        Ok(places.iter().map(one).collect())
    }

    /// 5.5 TV1, the identity already compared and nothing pending.
    pub(crate) fn end_v1(&self, commit: bool, now: Time) -> Result<End, ErrorCode> {
        let done = Ok(End::Done(self.identity));
        match (self.phase, commit) {
            (Phase::Ongoing, _) => {
                let next = self.prepared(commit, now);
                let identity = next.identity;
                Ok(End::Begin(next, identity))
            }
            (Phase::CompleteCommit, true) | (Phase::CompleteAbort, false) => done,
            (Phase::PrepareCommit, true) | (Phase::PrepareAbort, false) => Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            _ => Err(ErrorCode::INVALID_TXN_STATE),
        }
    }

    /// KIP-939: the end of a transaction that another producer keeps.
    fn end_kept(
        &self,
        by: Identity,
        client: Identity,
        commit: bool,
        fresh: impl FnOnce() -> i64,
        now: Time,
    ) -> Result<End, ErrorCode> {
        match (self.phase, commit) {
            _ if by != client => Err(ErrorCode::PRODUCER_FENCED),
            (Phase::Ongoing, _) => {
                let mut next = self.prepared(commit, now);
                let follows = after(client, fresh);
                next.v2 = true;
                next.last_epoch = client.epoch;
                next.identity.epoch = self.identity.epoch.saturating_add(1);
                (next.next_id, next.next_epoch) = (follows.id, follows.epoch);
                Ok(End::Begin(next, follows))
            }
            (Phase::PrepareCommit, true) | (Phase::PrepareAbort, false) => Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            _ => Err(ErrorCode::INVALID_TXN_STATE),
        }
    }

    /// 5.5 TV2, for an id that has no change pending.
    pub(crate) fn end_v2(
        &self,
        by: Identity,
        commit: bool,
        fresh: impl FnOnce() -> i64,
        now: Time,
    ) -> Result<End, ErrorCode> {
        if let Some(client) = self.client {
            return self.end_kept(by, client, commit, fresh, now);
        }
        let Identity { id, epoch } = self.identity;
        let rotated = self.v2 && by.id == self.previous_id && by.epoch == LAST_EPOCH && epoch == 0;
        if by.id != id && !rotated {
            return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        }
        let current = by == self.identity;
        let repeated = rotated || (self.v2 && by.epoch.checked_add(1) == Some(epoch));
        match (self.phase, commit) {
            (Phase::Ongoing, _) | (Phase::Empty | Phase::CompleteCommit | Phase::CompleteAbort, false) if current => {
                let mut next = self.prepared(commit, now);
                next.v2 = true;
                next.last_epoch = epoch;
                next.identity.epoch = epoch.saturating_add(1);
                let mut identity = next.identity;
                if epoch >= LAST_EPOCH {
                    next.next_id = fresh();
                    identity = Identity { id: next.next_id, epoch: 0 };
                }
                Ok(End::Begin(next, identity))
            }
            (Phase::Empty | Phase::CompleteCommit | Phase::CompleteAbort, true) if current => {
                Err(ErrorCode::INVALID_TXN_STATE)
            }
            (Phase::CompleteCommit, true) | (Phase::CompleteAbort, false) if repeated => Ok(End::Done(self.identity)),
            (Phase::CompleteCommit, false) | (Phase::CompleteAbort, true) if repeated => {
                Err(ErrorCode::INVALID_TXN_STATE)
            }
            (Phase::PrepareCommit, true) | (Phase::PrepareAbort, false) if repeated => {
                Err(ErrorCode::CONCURRENT_TRANSACTIONS)
            }
            (Phase::PrepareCommit, false) | (Phase::PrepareAbort, true) if repeated => {
                Err(ErrorCode::INVALID_TXN_STATE)
            }
            _ => Err(ErrorCode::PRODUCER_FENCED),
        }
    }

    fn prepared(&self, commit: bool, now: Time) -> Self {
        let mut next = self.clone();
        // What an earlier transaction wrote to has its markers.
        if self.phase != Phase::Ongoing {
            next.partitions.clear();
        }
        next.phase = if commit { Phase::PrepareCommit } else { Phase::PrepareAbort };
        next.updated = now;
        next.v2 = false;
        next
    }

    /// 5.6: the abort that the coordinator decides on; the producer's epoch ends with it.
    pub(crate) fn fenced(&self, v2: bool, now: Time) -> Self {
        let mut next = self.prepared(false, now);
        let Identity { epoch, .. } = self.identity;
        next.identity.epoch = epoch.saturating_add(1);
        // By version 2 the owner may still learn of the bump; by version 1 it is out.
        next.last_epoch = if v2 { epoch } else { -1 };
        next.v2 = v2;
        if let Some(client) = self.client {
            (next.next_id, next.next_epoch) = (client.id, client.epoch);
        }
        next
    }

    /// What follows when every marker is written.
    pub(crate) fn completed(&self, now: Time) -> Self {
        let mut next = self.clone();
        next.phase = if self.phase == Phase::PrepareCommit { Phase::CompleteCommit } else { Phase::CompleteAbort };
        next.partitions.clear();
        next.start = None;
        next.updated = now;
        next.client = None;
        if next.next_id >= 0 {
            next.previous_id = next.identity.id;
            next.identity = Identity { id: next.next_id, epoch: next.next_epoch };
            (next.next_id, next.next_epoch) = (-1, 0);
        }
        next
    }

    /// Whether its open transaction has lasted too long (5.6).
    pub(crate) fn is_overdue(&self, now: Time) -> bool {
        self.phase == Phase::Ongoing && self.start.is_some_and(|start| start.mono + self.timeout < now)
    }
}

/// The id and epoch behind these.
fn after(Identity { id, epoch }: Identity, fresh: impl FnOnce() -> i64) -> Identity {
    if epoch >= LAST_EPOCH { Identity { id: fresh(), epoch: 0 } } else { Identity { id, epoch: epoch + 1 } }
}

#[cfg(test)]
#[path = "transaction_tests.rs"]
mod tests;
