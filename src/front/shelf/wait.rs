//! A poll that waits.

use klamm_core::Time;
use std::task::Waker;

/// The place of one poller: its task while it waits, and its presence (contracts B7).
#[derive(Debug, Default)]
pub(crate) struct Waiter {
    waker: Option<Waker>,
    /// When the waiting ends at the latest.
    pub(crate) until: Option<Time>,
    /// A poll is under way.
    pub(crate) polling: bool,
    /// When the last one returned.
    pub(crate) last_return: Time,
}

impl Waiter {
    /// Of a poller that comes into being now.
    pub(crate) fn since(now: Time) -> Self {
        Self { last_return: now, ..Self::default() }
    }

    /// Keeps the task.
    pub(crate) fn wait(&mut self, waker: &Waker, until: Option<Time>) {
        if !self.waker.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
        self.until = until;
    }

    /// The poll begins.
    pub(crate) fn begin(&mut self) {
        self.polling = true;
    }

    /// The poll is over, or was given up.
    pub(crate) fn end(&mut self, now: Time) {
        self.polling = false;
        self.last_return = now;
        self.waker = None;
        self.until = None;
    }

    /// The task to wake, once.
    pub(crate) fn wake(&mut self) -> Option<Waker> {
        self.waker.take()
    }
}
