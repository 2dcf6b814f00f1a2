//! The wait for the end of a transaction.

use crate::front::Front;
use crate::front::op::OpSlot;
use crate::front::producer::ProducerFront;
use crate::op::{Op, Work};
use crate::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// The coordinator is asked until it answers; only the waiting has an end.
pub(super) struct Ending {
    front: Arc<ProducerFront>,
    slot: Arc<OpSlot>,
    commit: bool,
    timer: Arc<OpSlot>,
    limit: Duration,
    over: bool,
    /// Somebody was told that the outcome is unknown: that stays so until it is known.
    unknown: bool,
    /// Somebody else looks after the outcome.
    watched: bool,
    begun: klamm_core::Time,
}

impl Ending {
    pub(super) fn new(front: Arc<ProducerFront>, slot: Arc<OpSlot>, commit: bool, limit: Duration) -> Self {
        let timer = front.shared.front.timer(limit);
        let begun = front.shared.front.clock.now().mono;
        Self { front, slot, commit, timer, limit, over: false, unknown: false, watched: false, begun }
    }

    pub(super) fn doubtful(mut self, unknown: bool) -> Self {
        self.unknown = unknown;
        self
    }

    pub(super) fn watched(mut self) -> Self {
        self.watched = true;
        self
    }

    pub(super) fn into_op(self) -> Op<()> {
        Op::new(self.front(), self)
    }

    pub(super) fn front(&self) -> Arc<Front> {
        self.front.shared.front.clone()
    }

    fn note_time(&self) {
        let shared = &self.front.shared;
        let sum = if self.commit { &shared.times.txn_commit } else { &shared.times.txn_abort };
        sum.add(shared.front.clock.now().mono.since(self.begun));
    }

    fn keep(&self, unknown: bool) {
        if let Some(transactions) = self.front.shared.transactions.as_ref().filter(|_| self.commit && !self.watched) {
            transactions.keep(&self.slot, unknown);
        }
    }
}

impl Work<()> for Ending {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if let Poll::Ready(answer) = self.slot.poll(cx) {
            self.over = true;
            self.note_time();
            return Poll::Ready(answer.map(|_| ()));
        }
        if self.over || self.timer.poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.over = true;
        self.note_time();
        self.keep(true);
        let what = if self.commit { "commit" } else { "abort" };
        let text = format!("the {what} of the transaction was not answered within {} ms", self.limit.as_millis());
        let error = Error::new(ErrorKind::Timeout, text);
        Poll::Ready(Err(match self.commit {
            true => error.with_outcome_unknown().with_hint("the client keeps asking: await resume_commit()"),
            false => error.with_hint("the client keeps asking"),
        }))
    }

    fn is_ready(&self) -> bool {
        self.slot.is_ready() || self.timer.is_ready()
    }

    fn limit(&mut self, limit: Duration) {
        self.limit = limit;
        self.timer = self.front.shared.front.timer(limit);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if !self.over {
            self.keep(self.unknown);
        }
    }
}
