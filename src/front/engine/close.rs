//! The end of producers and of the client.

use super::Engine;
use crate::front::op::OpSetter;
use crate::front::producer::{CLOSED, ProducerFront};
use klamm_core::client::{Command, Reply};
use klamm_core::{Error, ErrorKind, Now, OpId, Time};
use std::sync::Arc;
use std::time::Duration;

/// How long the core may take to end what the front has finished.
const GRACE: Duration = Duration::from_secs(30);

/// A producer that is to end.
#[derive(Debug, Default)]
pub(super) struct ProducerClosing {
    setters: Vec<OpSetter>,
    deadline: Option<Time>,
    hurried: bool,
    asked: Option<Asked>,
}

/// What the core was told: it is told again when the deadline changes.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// The answer to this one counts.
    op: OpId,
    deadline: Time,
}

impl Asked {
    /// The deadline to tell the core, if it knows another or none.
    fn news(asked: Option<Self>, deadline: Option<Time>, now: Now) -> Option<Time> {
        match asked {
            None => Some(deadline.unwrap_or(now.mono + GRACE)),
            Some(asked) => deadline.filter(|deadline| *deadline != asked.deadline),
        }
    }
}

impl ProducerClosing {
    pub(super) fn deadline(&self) -> Option<Time> {
        self.deadline.filter(|_| self.asked.is_none())
    }

    pub(super) fn answer(self, result: &Result<(), Error>) {
        for setter in self.setters {
            setter.set(result.clone().map(|()| Reply::Unit));
        }
    }
}

/// The client that is to end.
#[derive(Debug, Default)]
pub(super) struct Closing {
    setters: Vec<OpSetter>,
    deadline: Option<Time>,
    asked: Option<Asked>,
    undelivered: Option<Error>,
}

impl Closing {
    pub(super) fn deadline(&self) -> Option<Time> {
        self.deadline.filter(|_| self.asked.is_none())
    }
}

impl Engine {
    pub(super) fn close_producer(
        &mut self,
        front: &Arc<ProducerFront>,
        setter: Option<OpSetter>,
        deadline: Option<Time>,
    ) {
        let Some(producer) = self.producers.get_mut(&front.shared.ix) else {
            if let Some(setter) = setter {
                setter.set(Ok(Reply::Unit));
            }
            return;
        };
        Self::abort_open(producer);
        let closing = producer.closing.get_or_insert_default();
        closing.setters.extend(setter);
        closing.deadline = deadline.or(closing.deadline);
    }

    pub(super) fn close(&mut self, now: Now, setter: Option<OpSetter>, deadline: Option<Time>) {
        let closing = self.closing.get_or_insert_default();
        closing.setters.extend(setter);
        closing.deadline = deadline.or(closing.deadline);
        let deadline = closing.deadline;
        self.close_consumers(now, deadline.unwrap_or(now.mono + GRACE));
        for producer in self.producers.values_mut() {
            producer.front.shared.close_gate(CLOSED);
            Self::abort_open(producer);
            let closing = producer.closing.get_or_insert_default();
            closing.deadline = closing.deadline.into_iter().chain(deadline).min();
        }
    }

    /// Looks whether what has to be finished before an end is finished.
    pub(super) fn go_on_closing(&mut self, now: Now) {
        for (ix, producer) in &mut self.producers {
            let Some(closing) = &mut producer.closing else { continue };
            let Some(until) = Asked::news(closing.asked, closing.deadline, now) else { continue };
            if !std::mem::replace(&mut closing.hurried, true) {
                let (mut batches, mut tickets) = (Vec::new(), Vec::new());
                for topic in producer.front.all() {
                    topic.fence(&mut tickets);
                    topic.slots().for_each(|slot| slot.fence(&mut batches, &mut tickets));
                }
            }
            let late = closing.deadline.is_some_and(|at| at <= now.mono);
            let handed_over = producer.front.shared.is_settled() && (producer.ends.is_empty() || late);
            if handed_over || closing.asked.is_some() {
                let op = self.front.op();
                closing.asked = Some(Asked { op: closing.asked.map_or(op, |asked| asked.op), deadline: until });
                self.client.handle_command(now, op, Command::CloseProducer(*ix, until));
            }
        }
        let Some(closing) = &mut self.closing else { return };
        let Some(deadline) = Asked::news(closing.asked, closing.deadline, now) else { return };
        if self.producers.is_empty() && self.consumers.is_empty() {
            let op = self.front.op();
            closing.asked = Some(Asked { op: closing.asked.map_or(op, |asked| asked.op), deadline });
            self.client.handle_command(now, op, Command::Shutdown { deadline });
        }
    }

    pub(super) fn expire_closing(&mut self, now: Now) {
        let error = Error::new(ErrorKind::Closed, "the producer was closed before the record was acknowledged")
            .with_hint("give close more time with .within(..)");
        for producer in self.producers.values() {
            if producer.closing.as_ref().and_then(ProducerClosing::deadline).is_some_and(|at| at <= now.mono) {
                producer.give_up(&error, &mut self.wakers);
            }
        }
        self.go_on_closing(now);
    }

    /// The core ended a producer, or itself.
    pub(super) fn closed(&mut self, op: OpId) {
        let ended = self
            .producers
            .iter()
            .find(|(_, p)| p.closing.as_ref().is_some_and(|c| c.asked.is_some_and(|asked| asked.op == op)));
        if let Some(ix) = ended.map(|(ix, _)| *ix) {
            let Some(producer) = self.producers.remove(&ix) else { return };
            if let Some(closing) = &mut self.closing {
                // Whoever closed the producer itself is told there.
                let alone = producer.closing.as_ref().is_some_and(|own| own.setters.is_empty());
                if alone && closing.undelivered.is_none() {
                    closing.undelivered = producer.front.shared.unseen.take().err();
                }
            }
            let closed = Error::new(ErrorKind::Closed, "the producer was closed");
            producer.abandon(&closed, &mut self.wakers);
            self.front.signal.notify();
        } else if self.closing.as_ref().is_some_and(|closing| closing.asked.is_some_and(|asked| asked.op == op)) {
            self.end(&Error::new(ErrorKind::Closed, "the client was closed"));
        }
    }

    /// Answers those who closed the client.
    pub(super) fn end_closing(&mut self, _why: &Error) {
        let Some(closing) = self.closing.take() else { return };
        let result = closing.undelivered.map_or(Ok(()), Err);
        for setter in closing.setters {
            setter.set(result.clone().map(|()| Reply::Unit));
        }
    }
}
