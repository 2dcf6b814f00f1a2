//! What the handles, the slots and the driver share of a producer's transactions.
//!
//! Every batch and every waiting record carries the generation of its transaction, so the records of the next one can be
//! taken while the one before still ends (contracts A8).

use super::op::OpSlot;
use super::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use super::sync::{Mutex, locked};
use klamm_core::{Error, ErrorKind};
use std::sync::Arc;

/// So many transactions may be under way at once: one is open, the others end.
const MOST: usize = 8;

/// A step of a transaction towards its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Commit,
    Abort,
    /// It waits for an outside decision from then on (KIP-939).
    #[cfg(feature = "unstable-protocol")]
    Prepare,
    /// That decision.
    #[cfg(feature = "unstable-protocol")]
    Complete(klamm_core::client::Decision),
}

impl Step {
    /// Whether everything in the transaction has to have its outcome first.
    pub(crate) fn flushes(self) -> bool {
        match self {
            Self::Commit => true,
            #[cfg(feature = "unstable-protocol")]
            Self::Prepare => true,
            _ => false,
        }
    }

    /// Whether it comes behind another step of the same transaction.
    pub(crate) fn is_decision(self) -> bool {
        match self {
            #[cfg(feature = "unstable-protocol")]
            Self::Complete(_) => true,
            _ => false,
        }
    }
}

/// The transactions of one producer.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    /// The last that began; records are taken for it.
    generation: AtomicU64,
    /// The last that is over.
    over: AtomicU64,
    /// Batches and tickets without outcome, by generation.
    pending: [AtomicUsize; MOST],
    pub(super) status: Mutex<Status>,
}

#[derive(Debug, Default)]
pub(super) struct Status {
    /// The first failure in each transaction that is not over.
    troubles: Vec<(u64, Error)>,
    /// The producer is of no more use.
    fatal: Option<Error>,
    /// Commits whose answers nobody has seen yet, oldest first.
    unseen: Vec<Unseen>,
    #[cfg(feature = "unstable-protocol")]
    pub(super) prepared: Option<super::prepared::Prepared>,
}

#[derive(Debug)]
struct Unseen {
    slot: Arc<OpSlot>,
    /// Whoever waited for it was told that its outcome is unknown.
    unknown: bool,
}

impl Transactions {
    fn place(&self, generation: u64) -> Option<&AtomicUsize> {
        self.pending.get((generation % MOST as u64) as usize)
    }

    /// The transaction that records belong to now.
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn admitted(&self, generation: u64) {
        if let Some(pending) = self.place(generation) {
            pending.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Something of a transaction has its outcome; true if that was the last.
    pub(crate) fn resolved(&self, generation: u64) -> bool {
        self.place(generation).is_some_and(|pending| pending.fetch_sub(1, Ordering::AcqRel) == 1)
    }

    /// Whether everything of a transaction has its outcome.
    pub(crate) fn is_settled(&self, generation: u64) -> bool {
        self.place(generation).is_none_or(|pending| pending.load(Ordering::Acquire) == 0)
    }

    /// Something of a transaction failed: it cannot be committed any more.
    pub(crate) fn poison(&self, generation: u64, error: &Error) {
        let mut status = locked(&self.status);
        if generation > self.over.load(Ordering::Acquire) && !status.troubles.iter().any(|(g, _)| *g == generation) {
            status.troubles.push((generation, error.clone()));
        }
        if error.is_fatal() {
            // That record may be written; what is asked of the producer from now on never is.
            status.fatal.get_or_insert_with(|| error.clone().with_possibly_written(false));
        }
    }

    /// Why a transaction cannot be committed.
    pub(crate) fn trouble(&self, generation: u64) -> Option<Error> {
        locked(&self.status).troubles.iter().find(|(g, _)| *g == generation).map(|(_, error)| error.clone())
    }

    /// A transaction is over.
    pub(crate) fn end(&self, generation: u64, result: &Result<(), Error>) {
        let mut status = locked(&self.status);
        self.over.fetch_max(generation, Ordering::AcqRel);
        status.troubles.retain(|(g, _)| *g > generation);
        if let Err(error) = result {
            if error.is_fatal() {
                status.fatal.get_or_insert_with(|| error.clone());
            }
        }
    }

    /// The next transaction begins.
    ///
    /// # Errors
    /// Why none can.
    pub(crate) fn begin(&self) -> Result<u64, Error> {
        let mut status = locked(&self.status);
        if let Some(error) = &status.fatal {
            return Err(error.clone());
        }
        #[cfg(feature = "unstable-protocol")]
        status.settle_prepared()?;
        if status.unseen.iter().any(|unseen| unseen.unknown && !unseen.slot.is_ready()) {
            return Err(Error::new(ErrorKind::Misuse, "the outcome of the last commit is unknown")
                .with_outcome_unknown()
                .with_hint("await resume_commit() first"));
        }
        // Kept for whoever calls next (contracts A21); those that are still under way for whoever calls after that.
        while let Some(at) = status.unseen.iter().position(|unseen| unseen.slot.is_ready()) {
            let answer = status.unseen.remove(at).slot.answer();
            answer.map_or(Ok(()), |answer| answer.map(|_| ()))?;
        }
        let last = self.generation();
        if last - self.over.load(Ordering::Acquire) >= MOST as u64 {
            let text = format!("{MOST} transactions of this producer have not ended yet");
            return Err(Error::new(ErrorKind::BufferFull, text).with_hint("await commit() or abort()"));
        }
        self.generation.store(last + 1, Ordering::Release);
        Ok(last + 1)
    }

    /// Nobody waits for this commit any more; `unknown`: after having been told so.
    pub(crate) fn keep(&self, slot: &Arc<OpSlot>, unknown: bool) {
        locked(&self.status).unseen.push(Unseen { slot: slot.clone(), unknown });
    }

    /// The last commit that nobody waits for any more, and whether its outcome was told to be unknown.
    pub(crate) fn resume(&self) -> Option<(Arc<OpSlot>, bool)> {
        locked(&self.status).unseen.pop().map(|unseen| (unseen.slot, unseen.unknown))
    }
}

#[cfg(test)]
mod tests {
    use super::super::op::op_slot;
    use super::*;
    use klamm_core::client::Reply;

    #[test]
    fn the_first_failure_of_a_transaction_is_kept_until_it_is_over() {
        let all = Transactions::default();
        let one = all.begin().unwrap();
        let error = |text: &str| Error::new(ErrorKind::Timeout, text);
        all.poison(one, &error("first"));
        all.poison(one, &error("second"));
        assert_eq!(all.trouble(one).unwrap().text(), "first");
        all.end(one, &Ok(()));
        assert_eq!(all.trouble(one), None);
        all.poison(one, &error("late"));
        assert_eq!(all.trouble(one), None, "nothing is kept for what is over");
    }

    #[test]
    fn after_a_fatal_error_no_transaction_begins() {
        let all = Transactions::default();
        let one = all.begin().unwrap();
        all.end(one, &Err(Error::new(ErrorKind::Fenced, "fenced")));
        assert_eq!(all.begin().unwrap_err().kind(), ErrorKind::Fenced);
    }

    #[test]
    fn a_record_in_doubt_that_ends_its_producer_leaves_no_doubt_about_the_next_transaction() {
        let all = Transactions::default();
        let one = all.begin().unwrap();
        all.poison(one, &Error::new(ErrorKind::Fenced, "fenced").with_possibly_written(true));
        assert!(all.trouble(one).unwrap().possibly_written());
        let refused = all.begin().unwrap_err();
        assert_eq!((refused.kind(), refused.possibly_written()), (ErrorKind::Fenced, false));
    }

    #[test]
    fn a_commit_of_unknown_outcome_has_to_be_resumed_first() {
        let all = Transactions::default();
        all.begin().unwrap();
        let (setter, slot) = op_slot();
        all.keep(&slot, true);
        assert!(all.begin().unwrap_err().is_outcome_unknown());
        assert!(all.begin().is_err(), "and asking does not settle it");
        setter.set(Ok(Reply::Unit));
        assert_eq!(all.begin().unwrap(), 2, "it was committed meanwhile");
    }

    #[test]
    fn a_failed_commit_that_nobody_saw_is_told_once_to_whoever_begins_next() {
        let all = Transactions::default();
        all.begin().unwrap();
        let (setter, slot) = op_slot();
        all.keep(&slot, false);
        setter.set(Err(Error::new(ErrorKind::Aborted, "aborted")));
        assert_eq!(all.begin().unwrap_err().kind(), ErrorKind::Aborted);
        assert_eq!(all.begin().unwrap(), 2);
    }

    #[test]
    fn a_commit_that_is_still_under_way_when_the_next_begins_is_told_later() {
        let all = Transactions::default();
        all.begin().unwrap();
        let (setter, slot) = op_slot();
        all.keep(&slot, false);
        assert_eq!(all.begin().unwrap(), 2, "nobody knows yet");
        setter.set(Err(Error::new(ErrorKind::Aborted, "aborted")));
        assert_eq!(all.begin().unwrap_err().kind(), ErrorKind::Aborted);
        assert_eq!(all.begin().unwrap(), 3);
    }

    #[test]
    fn only_so_many_may_end_at_once() {
        let all = Transactions::default();
        for _ in 0..MOST {
            all.begin().unwrap();
        }
        assert_eq!(all.begin().unwrap_err().kind(), ErrorKind::BufferFull);
        all.end(1, &Ok(()));
        assert!(all.begin().is_ok());
    }
}
