//! The ends of transactions: each waits for what belongs to it, one after the other.

use super::Engine;
use super::produce::Producer;
use crate::front::op::OpSetter;
use crate::front::producer::ProducerFront;
use crate::front::transaction::Step;
use klamm_core::client::{Command, EndTransaction, Reply};
use klamm_core::{Error, ErrorKind, Now, OpId, ProducerIx};
use std::collections::VecDeque;
use std::sync::Arc;

/// The transactions of one producer as the engine sees them.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// The last that the application began.
    latest: u64,
    /// The last that the core knows of.
    begun: u64,
    /// The last whose end was asked for.
    asked: u64,
    ends: VecDeque<End>,
}

/// An end that was asked for.
#[derive(Debug)]
struct End {
    generation: u64,
    step: Step,
    setters: Vec<OpSetter>,
    /// The core works on it.
    op: Option<OpId>,
}

/// What the core is to be told next.
enum Next {
    Begin(u64),
    End(EndTransaction),
    #[cfg(feature = "unstable-protocol")]
    Prepare(u64),
    #[cfg(feature = "unstable-protocol")]
    Complete(klamm_core::client::Decision),
}

impl Ends {
    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn push(&mut self, generation: u64, step: Step, setters: Vec<OpSetter>) {
        if generation <= self.asked && !step.is_decision() {
            for setter in setters {
                let text = "the transaction was aborted when its producer was closed";
                setter.set(Err(Error::new(ErrorKind::Closed, text)));
            }
            return;
        }
        self.asked = self.asked.max(generation);
        self.latest = self.latest.max(generation);
        self.ends.push_back(End { generation, step, setters, op: None });
    }

    fn next(&mut self, front: &ProducerFront) -> Option<Next> {
        let Some(transactions) = &front.shared.transactions else { return None };
        let wanted = self.ends.front().map_or(self.latest, |end| end.generation);
        if self.begun < wanted {
            self.begun = wanted;
            return Some(Next::Begin(wanted));
        }
        let end = self.ends.front().filter(|end| end.op.is_none())?;
        let trouble = transactions.trouble(end.generation);
        let ready = !end.step.flushes() || trouble.is_some() || transactions.is_settled(end.generation);
        let generation = end.generation;
        ready.then_some(match end.step {
            #[cfg(feature = "unstable-protocol")]
            Step::Prepare if trouble.is_none() => Next::Prepare(generation),
            #[cfg(feature = "unstable-protocol")]
            Step::Complete(decision) => Next::Complete(decision),
            step => Next::End(EndTransaction { generation, commit: step.flushes(), trouble }),
        })
    }

    /// Everybody who waits is told this.
    pub(super) fn abandon(&mut self, error: &Error) {
        for end in self.ends.drain(..) {
            let doubtful = end.step != Step::Abort;
            let error = if doubtful { error.clone().with_outcome_unknown() } else { error.clone() };
            for setter in end.setters {
                setter.set(Err(error.clone()));
            }
        }
    }
}

impl Engine {
    pub(super) fn begin_transaction(&mut self, front: &Arc<ProducerFront>, generation: u64) {
        if let Some(producer) = self.producers.get_mut(&front.shared.ix) {
            producer.ends.latest = producer.ends.latest.max(generation);
        }
    }

    pub(super) fn end_transaction(
        &mut self,
        front: &Arc<ProducerFront>,
        generation: u64,
        step: Step,
        setters: Vec<OpSetter>,
    ) {
        match self.producers.get_mut(&front.shared.ix) {
            Some(producer) => producer.ends.push(generation, step, setters),
            None => {
                for setter in setters {
                    setter.set(Err(Error::new(ErrorKind::Closed, "the producer was closed")));
                }
            }
        }
    }

    /// The producer is to close: what is open is aborted.
    pub(super) fn abort_open(producer: &mut Producer) {
        let ends = &mut producer.ends;
        if ends.latest > ends.asked {
            ends.push(ends.latest, Step::Abort, Vec::new());
        }
    }

    /// Looks what can begin or end now.
    pub(super) fn go_on_ending(&mut self, now: Now) {
        let all: Vec<ProducerIx> =
            self.producers.iter().filter(|(_, p)| p.front.shared.transactions.is_some()).map(|(ix, _)| *ix).collect();
        for ix in all {
            while let Some(next) = self.producers.get_mut(&ix).and_then(|p| p.ends.next(&p.front)) {
                let op = self.front.op();
                match next {
                    Next::Begin(generation) => {
                        self.client.handle_command(now, op, Command::BeginTransaction(ix, generation));
                    }
                    #[cfg(feature = "unstable-protocol")]
                    Next::Prepare(generation) => {
                        self.works_on(ix, op);
                        self.client.handle_command(now, op, Command::PrepareTransaction(ix, generation));
                    }
                    #[cfg(feature = "unstable-protocol")]
                    Next::Complete(decision) => {
                        self.works_on(ix, op);
                        self.client.handle_command(now, op, Command::CompleteTransaction(ix, decision));
                    }
                    Next::End(how) => {
                        self.works_on(ix, op);
                        if let Some(producer) = self.producers.get_mut(&ix) {
                            if !how.commit || how.trouble.is_some() {
                                self.lefts.extend(
                                    producer
                                        .discard(how.generation, how.trouble.as_ref(), &mut self.wakers)
                                        .map(|(partition, left)| (ix, partition, left)),
                                );
                            }
                        }
                        self.client.handle_slots(now, &self.lefts);
                        self.lefts.clear();
                        self.client.handle_command(now, op, Command::EndTransaction(ix, how));
                    }
                }
            }
        }
    }

    fn works_on(&mut self, ix: ProducerIx, op: OpId) {
        if let Some(end) = self.producers.get_mut(&ix).and_then(|producer| producer.ends.ends.front_mut()) {
            end.op = Some(op);
        }
    }

    /// The core ended a transaction; false if `op` is none of its ends.
    pub(super) fn ended(&mut self, op: OpId, result: &Result<Reply, Error>) -> bool {
        let found = self.producers.values_mut().find_map(|producer| {
            let ends = &mut producer.ends.ends;
            let end = if ends.front()?.op == Some(op) { ends.pop_front()? } else { return None };
            Some((end, producer.front.clone()))
        });
        let Some((end, front)) = found else { return false };
        if let Some(transactions) = &front.shared.transactions {
            #[cfg(feature = "unstable-protocol")]
            transactions.stepped(end.generation, end.step, result);
            if !matches!(result, Ok(Reply::Prepared(_))) {
                transactions.end(end.generation, &result.clone().map(|_| ()));
            }
        }
        for setter in end.setters {
            setter.set(result.clone());
        }
        // The next one may begin.
        self.front.signal.notify();
        true
    }
}
