//! Between the shelves of consumers and the core.

use super::Engine;
use crate::front::op::OpSetter;
use klamm_core::client::{CloseConsumer, Command};
use klamm_core::{ConsumerIx, Now, ProducerIx, Time};

/// The close of a consumer that waits for the end of a producer's transactions.
pub(super) struct Held {
    pub(super) after: ProducerIx,
    pub(super) ix: ConsumerIx,
    pub(super) setter: Option<OpSetter>,
    pub(super) how: CloseConsumer,
    pub(super) deadline: Time,
    pub(super) begun: Time,
}

impl Held {
    /// Transactions that have not ended by then are not waited for: the consumer itself needs some of the time, to leave.
    pub(super) fn until(&self) -> Time {
        self.begun + self.deadline.since(self.begun) / 4 * 3
    }
}

impl Engine {
    /// Closes the consumers whose last transactions have ended.
    pub(super) fn close_held(&mut self, now: Now) {
        let open = |ix: &ProducerIx| self.producers.get(ix).is_some_and(|producer| !producer.ends.is_empty());
        let waits = |held: &Held| open(&held.after) && held.until() > now.mono;
        let (waiting, free): (Vec<_>, Vec<_>) = self.held.drain(..).partition(waits);
        self.held = waiting;
        for Held { ix, setter, how, deadline, .. } in free {
            self.close_consumer(now, ix, setter, how, deadline);
        }
    }

    /// Hands the core what the applications asked of their consumers, the memory that they gave back, and the levels that
    /// it wants.
    pub(super) fn serve_consumers(&mut self, now: Now) {
        if self.consumers.is_empty() {
            return;
        }
        let mut reports = Vec::new();
        for shelf in self.consumers.shelves() {
            if shelf.take_dirty() {
                if shelf.take_outgoing(&mut self.outgoing) {
                    reports.push(shelf.ix);
                }
                for one in self.outgoing.drain(..) {
                    if let Some(setter) = one.setter {
                        self.ops.insert(one.op, setter);
                    }
                    self.client.handle_command(now, one.op, one.command);
                }
            }
            shelf.take_freed(&mut self.freed);
            if !self.freed.is_empty() {
                self.client.handle_credits(now, shelf.ix, &mut self.freed);
                self.freed.clear();
            }
        }
        for ix in reports {
            self.report(now, ix);
        }
        self.answer_progress(now);
    }

    /// Answers the core's questions for levels; true if there was one.
    pub(super) fn answer_progress(&mut self, now: Now) -> bool {
        let mut any = false;
        // Each of them at most twice: the turn is not to be spent here.
        for _ in 0..2 * self.consumers.len() {
            let Some(ix) = self.client.poll_want_progress() else { break };
            any = true;
            self.report(now, ix);
        }
        any
    }

    fn report(&mut self, now: Now, ix: ConsumerIx) {
        if let Some(shelf) = self.consumers.shelf(ix) {
            self.client.handle_progress(now, ix, &shelf.progress());
        }
    }

    pub(super) fn close_consumer(
        &mut self,
        now: Now,
        ix: ConsumerIx,
        setter: Option<OpSetter>,
        how: CloseConsumer,
        deadline: Time,
    ) {
        let op = self.front.op();
        if self.consumers.close(ix, op, setter) {
            // Commits that were asked for before go first.
            self.serve_consumers(now);
            self.client.handle_command(now, op, Command::CloseConsumer(ix, how, deadline));
        }
    }

    /// The client ends: so do its consumers.
    pub(super) fn close_consumers(&mut self, now: Now, deadline: Time) {
        let all: Vec<_> = self.consumers.shelves().cloned().collect();
        for shelf in all {
            if let Some(held) = self.held.iter_mut().find(|held| held.ix == shelf.ix) {
                held.deadline = held.deadline.min(deadline);
                continue;
            }
            shelf.close();
            match self.consumers.closing(shelf.ix) {
                // It ends already, perhaps with more time than there is now.
                Some(op) => self.client.handle_command(now, op, Command::Deadline(deadline)),
                None => self.close_consumer(now, shelf.ix, None, shelf.usual_close(), deadline),
            }
        }
    }
}
