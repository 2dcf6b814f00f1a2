//! What the loop knows of one connection.

use super::NetError;
use super::ready::Signal;
use crate::Time;
use std::sync::Arc;
use std::task::Waker;

/// One connection of the driver.
pub(super) struct Conn<S> {
    /// `None` while it is being opened.
    pub(super) stream: Option<S>,
    pub(super) signal: Arc<Signal>,
    /// Made of `signal`, kept so that a poll clones nothing.
    pub(super) waker: Waker,
    pub(super) reading: Reading,
    pub(super) writing: Writing,
    /// Set by a graceful close: the outbox may leave until then, what arrives is thrown away.
    pub(super) closing: Option<Time>,
    /// A failed write, kept while the last answers are read.
    pub(super) broken: Option<NetError>,
}

/// Where reading stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Its id is in the list of this or the next round.
    Due,
    /// The net keeps the waker.
    Armed,
    /// The machine lent no buffer, or there is no stream yet.
    Stopped,
}

/// Where writing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writing {
    /// Nothing to send.
    Idle,
    /// Its id is in the list of this or the next round.
    Due,
    /// The net keeps the waker.
    Armed,
    /// It failed.
    Broken,
}

impl<S> Conn<S> {
    pub(super) fn new(signal: Arc<Signal>) -> Self {
        let waker = Waker::from(Arc::clone(&signal));
        Self {
            stream: None,
            signal,
            waker,
            reading: Reading::Stopped,
            writing: Writing::Idle,
            closing: None,
            broken: None,
        }
    }
}
