//! Answers of tasks, one for each even if the task panics or is dropped.

use klamm_core::driver::NetEvent;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Answers that came and were not taken yet.
#[derive(Debug)]
pub(crate) struct Answers<S>(Arc<Mutex<Inner<S>>>);

#[derive(Debug)]
struct Inner<S> {
    came: VecDeque<NetEvent<S>>,
    waker: Option<Waker>,
}

impl<S> Default for Answers<S> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Inner { came: VecDeque::new(), waker: None })))
    }
}

impl<S> Answers<S> {
    fn lock(&self) -> MutexGuard<'_, Inner<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An answer that will be `lost` unless its holder gives another.
    pub(crate) fn owe(&self, lost: NetEvent<S>) -> Owed<S> {
        Owed { answers: Self(Arc::clone(&self.0)), answer: Some(lost) }
    }

    /// The next answer.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<NetEvent<S>> {
        let mut inner = self.lock();
        if let Some(event) = inner.came.pop_front() {
            return Poll::Ready(event);
        }
        inner.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Gives exactly one answer, at the latest when it is dropped.
#[derive(Debug)]
pub(crate) struct Owed<S> {
    answers: Answers<S>,
    answer: Option<NetEvent<S>>,
}

impl<S> Owed<S> {
    pub(crate) fn give(mut self, event: NetEvent<S>) {
        self.answer = Some(event);
    }
}

impl<S> Drop for Owed<S> {
    fn drop(&mut self) {
        let waker = {
            let mut inner = self.answers.lock();
            inner.came.extend(self.answer.take());
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use klamm_core::WorkId;
    use klamm_core::driver::WorkLost;

    fn answers(answers: &Answers<()>) -> Vec<u64> {
        let mut cx = Context::from_waker(Waker::noop());
        let mut all = Vec::new();
        while let Poll::Ready(NetEvent::Worked(id, _)) = answers.poll(&mut cx) {
            all.push(id.0);
        }
        all
    }

    #[test]
    fn what_is_owed_is_answered_once_however_its_holder_ends() {
        let came = Answers::default();
        let event = |n| NetEvent::Worked(WorkId(n), Err(WorkLost));
        came.owe(event(1)).give(event(2));
        assert_eq!(answers(&came), [2]);
        let dropped = came.owe(event(3));
        assert_eq!(answers(&came), [0; 0]);
        drop(dropped);
        assert_eq!(answers(&came), [3]);
        let panics = came.owe(event(4));
        let thread = std::thread::spawn(move || {
            let _panics = panics;
            panic!("as a test");
        });
        assert!(thread.join().is_err());
        assert_eq!(answers(&came), [4]);
    }
}
