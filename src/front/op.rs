//! The place where the answer to one operation appears.

use super::sync::atomic::{AtomicBool, Ordering};
use super::sync::{Mutex, leaf};
use klamm_core::client::Reply;
use klamm_core::{Error, ErrorKind};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

#[derive(Debug, Default)]
struct State {
    answer: Option<Result<Reply, Error>>,
    waker: Option<Waker>,
}

/// Where one future waits.
#[derive(Debug, Default)]
pub(crate) struct OpSlot {
    ready: AtomicBool,
    state: Mutex<State>,
}

/// Sets the answer; dropped without one, it says that the client is gone (contracts B6).
#[derive(Debug)]
pub(crate) struct OpSetter(Option<Arc<OpSlot>>);

/// A slot and its only setter.
pub(crate) fn op_slot() -> (OpSetter, Arc<OpSlot>) {
    let slot = Arc::new(OpSlot::default());
    (OpSetter(Some(slot.clone())), slot)
}

impl OpSlot {
    /// The answer, or the waker is kept.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<Reply, Error>> {
        let mut state = leaf(&self.state);
        if let Some(answer) = state.answer.take() {
            return Poll::Ready(answer);
        }
        if !state.waker.as_ref().is_some_and(|kept| kept.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Whether the answer has come.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Takes the answer, if it has come.
    pub(crate) fn answer(&self) -> Option<Result<Reply, Error>> {
        leaf(&self.state).answer.take()
    }

    #[cfg(test)]
    pub(crate) fn take(&self) -> Option<Result<Reply, Error>> {
        leaf(&self.state).answer.take()
    }
}

impl OpSetter {
    /// Answers and wakes. Hold no lock: the waker is the application's.
    pub(crate) fn set(mut self, answer: Result<Reply, Error>) {
        self.answer(answer);
    }

    fn answer(&mut self, answer: Result<Reply, Error>) {
        let Some(slot) = self.0.take() else { return };
        let waker = {
            let mut state = leaf(&slot.state);
            state.answer = Some(answer);
            slot.ready.store(true, Ordering::Release);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for OpSetter {
    fn drop(&mut self) {
        if self.0.is_some() {
            self.answer(Err(
                Error::new(ErrorKind::Closed, "the client ended before it answered").with_outcome_unknown()
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setter_that_dies_answers_closed() {
        let (setter, slot) = op_slot();
        assert!(!slot.is_ready());
        drop(setter);
        assert!(slot.is_ready());
        assert_eq!(slot.take().unwrap().unwrap_err().kind(), ErrorKind::Closed);
    }

    #[test]
    fn the_task_that_polled_last_is_woken() {
        let (setter, slot) = op_slot();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(slot.poll(&mut cx).is_pending());
        setter.set(Ok(Reply::Unit));
        assert!(matches!(slot.poll(&mut cx), Poll::Ready(Ok(Reply::Unit))));
    }
}
