//! Two-phase commit (KIP-939): a transaction is prepared, somebody outside decides, and only then it ends. Whoever decided
//! may find another producer in place of the one that prepared.
//!
//! A producer that comes after a crash asks to keep what is prepared. A coordinator that knows how (InitProducerId 6 with
//! `keepPreparedTxn`) fences the old producer and names the transaction. One that does not, as all of Kafka up to 4.4,
//! answers UNSUPPORTED_VERSION: the producer then takes no id yet but waits for the decision. To commit it asks for just the
//! end of just the transaction that was named, under its own id and epoch: by the second protocol these are those of one
//! transaction only. Then, or to abort, a plain InitProducerId fences the old producer and aborts what is open.

use super::{End, Protocol, State, Transaction};
use crate::client::role::Cx;
use crate::client::{Decision, PreparedTxnState, Reply};
use crate::producer::machine::Producer;
use crate::producer::sequence::Identity;
use crate::wire::messages::InitProducerIdResponse;
use crate::{Error, ErrorCode, ErrorKind, OpId};

impl Transaction {
    /// The application asks to prepare the open transaction. It is prepared when everything in it has its outcome.
    ///
    /// # Errors
    /// There is nothing to prepare.
    pub(crate) fn prepare(&mut self, op: OpId, generation: u64) -> Result<(), Error> {
        let how = crate::client::EndTransaction { generation, commit: true, trouble: None };
        self.finish(op, &how)?;
        if let Some(end) = &mut self.end {
            end.prepare = true;
        }
        Ok(())
    }

    /// Whether all is done that comes before the state `Prepared`.
    fn is_prepared(&self, busy: bool) -> bool {
        let asked = self.end.as_ref().is_some_and(|end| end.prepare && end.commit);
        let settled = !busy && self.call.is_none() && self.waiting.is_empty() && self.first_offsets().is_none();
        self.state == State::Open && asked && settled && self.trouble.is_none()
    }

    /// From here on the transaction only waits for the decision. Gives whom to tell.
    fn rest(&mut self, who: Identity) -> Option<OpId> {
        self.state = State::Prepared;
        self.prepared = Some(who);
        self.end.take().map(|end| end.op)
    }

    /// What was prepared before this producer came, as its coordinator names it.
    fn found(&mut self, who: Identity) {
        self.state = State::Prepared;
        self.prepared = Some(who);
        self.protocol = Protocol::V2;
        self.touched = true;
    }

    /// The coordinator keeps nothing, or cannot: no producer id is taken before the decision.
    fn await_decision(&mut self) {
        self.state = State::Kept;
        self.protocol = Protocol::V2;
        self.keep = false;
        self.asked();
    }

    /// What to ask after the decision.
    pub(super) fn next_after_decision(&self) -> Option<super::Ask> {
        let end = self.end.as_ref()?;
        match self.state {
            State::Prepared => self.touched.then_some(super::Ask::End),
            State::Kept if end.commit => Some(super::Ask::End),
            State::Kept => Some(super::Ask::Init),
            _ => None,
        }
    }

    /// The decision. `false`: there is nothing that it could be about.
    ///
    /// # Errors
    /// It cannot be carried out now.
    fn complete(&mut self, op: OpId, decision: Decision) -> Result<bool, Error> {
        let misuse = |text: &str| Err(Error::new(ErrorKind::Misuse, text));
        let named = |state: PreparedTxnState| state.has_transaction().then(|| Identity::of(state));
        let commit = match (self.state, decision) {
            (State::Prepared | State::Kept, _) if self.end.is_some() => {
                return misuse("the prepared transaction is being ended already");
            }
            (State::Prepared, Decision::Commit) => true,
            (State::Prepared, Decision::Complete(state)) => self.prepared.is_some() && named(state) == self.prepared,
            (State::Kept, Decision::Commit) => {
                return misuse("the broker cannot tell which transaction is prepared: complete it by its state");
            }
            (State::Kept, Decision::Complete(state)) => {
                self.prepared = named(state);
                self.prepared.is_some()
            }
            (State::Prepared | State::Kept, Decision::Abort) => false,
            (State::Ready, _) if self.generation == 0 => return Ok(false),
            _ => return misuse("no transaction is prepared"),
        };
        self.end = Some(End { op, commit, asked: false, unknown: false, verdict: None, prepare: false });
        Ok(true)
    }

    /// Under which id and epoch the transaction is ended.
    pub(super) fn ends_as(&self, current: Option<Identity>) -> Option<Identity> {
        if self.state == State::Kept { self.prepared } else { current }
    }
}

impl Identity {
    fn of(state: PreparedTxnState) -> Self {
        Self { id: state.producer_id(), epoch: state.epoch() }
    }

    fn state(self) -> PreparedTxnState {
        PreparedTxnState::new(self.id, self.epoch)
    }
}

impl Producer {
    /// The first producer id, without aborting what is prepared.
    pub(crate) fn keep_prepared(&mut self, cx: &mut Cx<'_>, op: OpId) {
        if let Some(txn) = self.transaction.as_mut().filter(|txn| txn.state == State::Starting && txn.two_phase) {
            txn.keep = true;
        }
        self.init_transactions(cx, op);
    }

    /// The application asks to prepare the open transaction.
    pub(crate) fn prepare_transaction(&mut self, cx: &mut Cx<'_>, op: OpId, generation: u64) {
        let asked = match self.transaction.as_mut().filter(|txn| txn.two_phase) {
            Some(txn) => txn.prepare(op, generation).map(|()| true),
            None => Err(Error::new(ErrorKind::Misuse, "the producer has no two-phase commit")),
        };
        self.take_wish(cx, op, asked);
    }

    /// Somebody outside has decided.
    pub(crate) fn complete_transaction(&mut self, cx: &mut Cx<'_>, op: OpId, decision: Decision) {
        let asked = match &mut self.transaction {
            Some(txn) => txn.complete(op, decision),
            None => Err(Error::new(ErrorKind::Misuse, "the producer has no transactional.id")),
        };
        self.take_wish(cx, op, asked);
    }

    fn take_wish(&mut self, cx: &mut Cx<'_>, op: OpId, asked: Result<bool, Error>) {
        match (asked, &self.doomed) {
            (Ok(true), _) => self.go_on(cx),
            (Ok(false), _) => cx.done(op, Ok(Reply::Unit)),
            (Err(_), Some(doom)) => cx.done(op, Err(doom.clone())),
            (Err(error), None) => cx.done(op, Err(error)),
        }
    }

    /// Prepares the transaction if all before it is done.
    pub(super) fn prepare_if_done(&mut self, cx: &mut Cx<'_>, busy: bool) {
        let Some(who) = self.identities.current() else { return };
        let Some(txn) = self.transaction.as_mut().filter(|txn| txn.is_prepared(busy)) else { return };
        if txn.protocol == Protocol::V1 {
            // Its epoch is that of many transactions: the state would not name this one.
            let text = "a transaction is prepared by the second protocol only";
            let hint = "set the cluster's feature transaction.version to 2";
            return txn.fail(&Error::new(ErrorKind::Unsupported, text).with_hint(hint));
        }
        if let Some(op) = txn.rest(who) {
            cx.done(op, Ok(Reply::Prepared(Some(who.state()))));
        }
    }

    /// What the first answer to a producer that keeps what is prepared tells it.
    pub(super) fn take_kept(&mut self, answer: &InitProducerIdResponse) -> Option<Reply> {
        let txn = self.transaction.as_mut().filter(|txn| txn.keep)?;
        txn.keep = false;
        let (id, epoch) = (answer.ongoing_txn_producer_id, answer.ongoing_txn_producer_epoch);
        let ongoing = PreparedTxnState::new(id, epoch);
        if ongoing.has_transaction() {
            txn.found(Identity::of(ongoing));
        }
        Some(Reply::Prepared(ongoing.has_transaction().then_some(ongoing)))
    }

    /// The coordinator cannot keep a transaction: the decision is waited for.
    pub(super) fn cannot_keep(&mut self, cx: &mut Cx<'_>, code: ErrorCode) -> bool {
        let Some(txn) = self.transaction.as_mut().filter(|txn| txn.keep) else { return false };
        if code != ErrorCode::UNSUPPORTED_VERSION {
            return false;
        }
        txn.await_decision();
        for op in std::mem::take(&mut txn.starters) {
            cx.done(op, Ok(Reply::Prepared(None)));
        }
        true
    }

    /// Whether the answer to the end of a kept transaction says that it is over, or was not the open one: what is open now
    /// is aborted with the next producer id.
    pub(super) fn kept_is_over(&mut self, code: ErrorCode) -> bool {
        let Some(txn) = self.transaction.as_mut().filter(|txn| txn.state == State::Kept) else { return false };
        let over = [
            ErrorCode::NONE,
            ErrorCode::PRODUCER_FENCED,
            ErrorCode::INVALID_PRODUCER_EPOCH,
            ErrorCode::INVALID_PRODUCER_ID_MAPPING,
            ErrorCode::INVALID_TXN_STATE,
        ];
        if !over.contains(&code) {
            return false;
        }
        if let Some(end) = &mut txn.end {
            (end.commit, end.unknown) = (false, false);
        }
        txn.asked();
        true
    }
}

#[cfg(test)]
#[path = "prepare_tests.rs"]
mod tests;
