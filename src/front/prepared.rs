//! What the handles and the driver share of a transaction that is prepared (KIP-939).

use super::locked;
use super::op::{OpSetter, OpSlot, op_slot};
use super::transaction::{Status, Step, Transactions};
use klamm_core::client::{Decision, PreparedTxnState, Reply};
use klamm_core::{Error, ErrorKind};
use std::sync::Arc;

/// How far the transaction is that waits for a decision, or is to.
#[derive(Debug)]
pub(crate) enum Prepared {
    /// It is being prepared.
    Preparing,
    /// It waits; its state, if anybody could tell.
    Waiting(u64, Option<PreparedTxnState>),
    /// The decision is being carried out.
    Completing(Decision, Arc<OpSlot>),
}

/// How a decision is carried out.
pub(crate) enum Completion {
    /// It is to be handed to the driver, with the transaction's number.
    Begin(u64, OpSetter, Arc<OpSlot>),
    /// It was already.
    UnderWay(Arc<OpSlot>),
    /// Nothing is prepared.
    Nothing,
}

impl Status {
    /// Whether a transaction can begin as far as prepared ones go.
    ///
    /// # Errors
    /// One is prepared, or how it ended nobody has seen.
    pub(super) fn settle_prepared(&mut self) -> Result<(), Error> {
        let text = match self.prepared.take() {
            None => return Ok(()),
            Some(Prepared::Completing(_, slot)) if slot.is_ready() => {
                return slot.answer().map_or(Ok(()), |answer| answer.map(|_| ()));
            }
            Some(other) => {
                let text = match &other {
                    Prepared::Preparing => "a transaction is being prepared",
                    Prepared::Waiting(..) => "a prepared transaction waits for its decision",
                    Prepared::Completing(..) => "a prepared transaction is being completed",
                };
                self.prepared = Some(other);
                text
            }
        };
        Err(Error::new(ErrorKind::Misuse, text).with_hint("await complete() first"))
    }
}

impl Transactions {
    /// A transaction is to be prepared.
    pub(crate) fn prepare(&self) {
        locked(&self.status).prepared = Some(Prepared::Preparing);
    }

    /// What an older producer has prepared, if anything, is to be completed first.
    pub(crate) fn kept(&self, state: Option<PreparedTxnState>) {
        locked(&self.status).prepared = Some(Prepared::Waiting(0, state));
    }

    /// The driver has taken a step.
    pub(crate) fn stepped(&self, generation: u64, step: Step, result: &Result<Reply, Error>) {
        if step == Step::Prepare {
            locked(&self.status).prepared = match result {
                Ok(Reply::Prepared(state)) => Some(Prepared::Waiting(generation, *state)),
                _ => None,
            };
        }
    }

    /// The transaction that waits for a decision.
    pub(crate) fn prepared(&self) -> Option<PreparedTxnState> {
        match &locked(&self.status).prepared {
            Some(Prepared::Waiting(_, state)) => *state,
            _ => None,
        }
    }

    /// Somebody outside has decided.
    ///
    /// # Errors
    /// Something else was decided before, or nothing is prepared yet.
    pub(crate) fn complete(&self, decision: Decision) -> Result<Completion, Error> {
        let mut status = locked(&self.status);
        match &status.prepared {
            None => Ok(Completion::Nothing),
            Some(Prepared::Preparing) => {
                let text = "the transaction is not prepared yet";
                Err(Error::new(ErrorKind::Misuse, text).with_hint("await prepare() first"))
            }
            Some(Prepared::Completing(before, slot)) if *before == decision => Ok(Completion::UnderWay(slot.clone())),
            Some(Prepared::Completing(..)) => {
                Err(Error::new(ErrorKind::Misuse, "the prepared transaction is being ended by another decision"))
            }
            Some(Prepared::Waiting(generation, _)) => {
                let generation = *generation;
                let (setter, slot) = op_slot();
                status.prepared = Some(Prepared::Completing(decision, slot.clone()));
                Ok(Completion::Begin(generation, setter, slot))
            }
        }
    }

    /// Whoever waited has seen how the completion ended.
    pub(crate) fn seen(&self, slot: &Arc<OpSlot>) {
        let mut status = locked(&self.status);
        if matches!(&status.prepared, Some(Prepared::Completing(_, kept)) if Arc::ptr_eq(kept, slot)) {
            status.prepared = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: PreparedTxnState = PreparedTxnState::NONE;

    fn waiting() -> Transactions {
        let all = Transactions::default();
        let one = all.begin().unwrap();
        all.prepare();
        assert!(all.complete(Decision::Commit).is_err(), "not yet");
        all.stepped(one, Step::Prepare, &Ok(Reply::Prepared(Some(STATE))));
        all
    }

    #[test]
    fn nothing_begins_while_a_transaction_is_prepared() {
        let all = waiting();
        assert_eq!(all.begin().unwrap_err().kind(), ErrorKind::Misuse);
        assert_eq!(all.begin().unwrap_err().kind(), ErrorKind::Misuse, "and asking does not change that");
        let Ok(Completion::Begin(1, setter, slot)) = all.complete(Decision::Commit) else { panic!() };
        assert!(all.begin().is_err());
        setter.set(Ok(Reply::Unit));
        all.seen(&slot);
        assert_eq!(all.begin().unwrap(), 2);
    }

    #[test]
    fn tx_04_the_same_decision_may_be_awaited_again_and_no_other_is_taken() {
        let all = waiting();
        let Ok(Completion::Begin(..)) = all.complete(Decision::Abort) else { panic!() };
        assert!(matches!(all.complete(Decision::Abort), Ok(Completion::UnderWay(_))));
        assert!(all.complete(Decision::Commit).is_err());
        assert!(all.begin().is_err());
    }

    #[test]
    fn a_failed_completion_that_nobody_saw_is_told_to_whoever_begins() {
        let all = waiting();
        let Ok(Completion::Begin(_, setter, _)) = all.complete(Decision::Commit) else { panic!() };
        setter.set(Err(Error::new(ErrorKind::Aborted, "aborted")));
        assert_eq!(all.begin().unwrap_err().kind(), ErrorKind::Aborted);
        assert_eq!(all.begin().unwrap(), 2);
    }

    #[test]
    fn what_could_not_be_prepared_is_over() {
        let all = Transactions::default();
        all.begin().unwrap();
        all.prepare();
        all.stepped(1, Step::Prepare, &Err(Error::new(ErrorKind::Aborted, "aborted")));
        assert!(all.begin().is_ok());
        assert!(matches!(all.complete(Decision::Commit), Ok(Completion::Nothing)));
    }
}
