//! Two-phase commit (KIP-939): a transaction is prepared, an outside coordinator decides, the decision is carried out.

use super::{Transaction, TransactionalProducer, Way};
use crate::config::ProducerConfig;
use crate::front::inbox::Input;
use crate::front::op::{OpSlot, op_slot};
use crate::front::prepared::Completion;
use crate::front::producer::ProducerFront;
use crate::kafka::Kafka;
use crate::op::{Op, Work};
use crate::producer::unexpected;
use crate::{Error, ErrorKind, Result};
use klamm_core::client::{Command, Decision, PreparedTxnState, Reply};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

impl Transaction<'_> {
    /// Prepares the transaction: waits for every record and position, as a commit does, and leaves it open. From then on only
    /// [`complete`](TransactionalProducer::complete) and its like end it, here or, after a crash, in the producer that
    /// [`Kafka::keep_prepared`] gives. Store what it returns together with the outside coordinator's decision. Needs
    /// `transaction.two.phase.commit.enable`.
    ///
    /// # Errors
    /// `Aborted` if anything in it failed: the transaction is aborted then, and the next may begin. `Misuse` without two-phase
    /// commit, with the same effect. `Timeout` after `max.block.ms` (or [`within`](Op::within)): preparing goes on,
    /// [`prepared`](TransactionalProducer::prepared) tells when it is done. `is_fatal`: the producer is of no more use.
    ///
    /// # Cancel safety
    /// Dropping it ends the waiting; preparing goes on.
    #[doc(alias = "prepareTransaction")]
    #[must_use = "await it, or `.wait()`: what it returns names the transaction"]
    pub fn prepare(mut self) -> Op<PreparedTxnState> {
        let front = self.producer.front().clone();
        if !front.config.transaction_two_phase_commit_enable {
            let text = "a transaction is prepared only with transaction.two.phase.commit.enable: it is aborted";
            return Op::ready(Err(Error::new(ErrorKind::Misuse, text)));
        }
        self.ended = true;
        match self.producer.transactions() {
            Ok(transactions) => transactions.prepare(),
            Err(error) => return Op::ready(Err(error)),
        }
        front.hurry();
        let (setter, slot) = op_slot();
        // A refusal answers the slot.
        let _ =
            front.shared.front.push(Input::EndTransaction(front.clone(), self.generation, Way::Prepare, vec![setter]));
        let work = Waiting::new(&front, slot, self.producer.limit, "the transaction was not prepared");
        Op::new(front.shared.front.clone(), Preparing(work))
    }
}

impl TransactionalProducer {
    /// The transaction that is prepared and waits for a decision; `None` if none does, if it is being completed, or if the
    /// broker cannot tell.
    pub fn prepared(&self) -> Option<PreparedTxnState> {
        self.transactions().ok()?.prepared()
    }

    /// Commits the prepared transaction if `decided` names it, else aborts it. After [`Kafka::keep_prepared`] it is the first
    /// thing to do, also if nothing was found; what is over already costs nothing.
    ///
    /// # Errors
    /// `is_outcome_unknown` if the coordinator does not answer within `max.block.ms` (or [`within`](Op::within)): the
    /// transaction stays prepared, the client keeps asking, and the same call waits again. `Aborted` if it was to be committed
    /// and its coordinator had aborted it. `Misuse` if nothing is prepared, or something else was decided before.
    ///
    /// # Cancel safety
    /// Dropping it ends the waiting; the decision is carried out.
    #[doc(alias = "completeTransaction")]
    #[must_use = "await it, or `.wait()`"]
    pub fn complete(&mut self, decided: &PreparedTxnState) -> Op<()> {
        self.decide(Decision::Complete(*decided))
    }

    /// Commits the prepared transaction, whichever it is.
    ///
    /// # Errors
    /// As [`complete`](Self::complete); `Misuse` if the broker cannot tell which is prepared.
    #[must_use = "await it, or `.wait()`"]
    pub fn commit_prepared(&mut self) -> Op<()> {
        self.decide(Decision::Commit)
    }

    /// Aborts the prepared transaction, whichever it is.
    ///
    /// # Errors
    /// As [`complete`](Self::complete).
    #[must_use = "await it, or `.wait()`"]
    pub fn abort_prepared(&mut self) -> Op<()> {
        self.decide(Decision::Abort)
    }

    fn decide(&mut self, decision: Decision) -> Op<()> {
        let front = self.front();
        let slot = match self.transactions().and_then(|transactions| transactions.complete(decision)) {
            Ok(Completion::Begin(generation, setter, slot)) => {
                let input = Input::EndTransaction(front.clone(), generation, Way::Complete(decision), vec![setter]);
                // A refusal answers the slot.
                let _ = front.shared.front.push(input);
                slot
            }
            Ok(Completion::UnderWay(slot)) => slot,
            Ok(Completion::Nothing) => {
                return Op::ready(Err(Error::new(ErrorKind::Misuse, "no transaction is prepared")));
            }
            Err(error) => return Op::ready(Err(error)),
        };
        let work = Waiting::new(front, slot, self.limit, "the end of the prepared transaction was not answered");
        Op::new(front.shared.front.clone(), Completing(work))
    }
}

impl Kafka {
    /// As [`transactional_producer`](Self::transactional_producer), but what an older producer of this name has prepared is
    /// kept: it fences that producer and waits for [`complete`](TransactionalProducer::complete). Needs
    /// `transaction.two.phase.commit.enable` in the producer section given at `connect`.
    ///
    /// Kafka up to 4.4 refuses to keep transactions. There [`prepared`](TransactionalProducer::prepared) is `None`, the older
    /// producer is fenced by the completion, and `complete` asks for the end of the transaction under the very id and epoch
    /// that its state names, which is refused if that is not the open one.
    ///
    /// # Errors
    /// As there.
    #[doc(alias = "initTransactions")]
    #[must_use = "await it, or `.wait()`"]
    pub fn keep_prepared(&self, transactional_id: &str) -> Op<TransactionalProducer> {
        self.keep_prepared_with(self.config().producer_section().transactional_id(transactional_id))
    }

    /// As [`keep_prepared`](Self::keep_prepared) with a section of its own, which names the `transactional.id`.
    ///
    /// # Errors
    /// As there, and `Config` without a name or without two-phase commit.
    #[must_use = "await it, or `.wait()`"]
    pub fn keep_prepared_with(&self, config: ProducerConfig) -> Op<TransactionalProducer> {
        self.init_with(config, Command::KeepPrepared, |producer, reply| {
            let Reply::Prepared(state) = reply else {
                let text = "what is prepared is kept only with transaction.two.phase.commit.enable";
                return Err(Error::new(ErrorKind::Config, text));
            };
            producer.transactions()?.kept(*state);
            Ok(producer)
        })
    }
}

/// Waits for an answer, so long at most; the work goes on.
struct Waiting {
    front: Arc<ProducerFront>,
    slot: Arc<OpSlot>,
    timer: Arc<OpSlot>,
    limit: Duration,
    what: &'static str,
}

impl Waiting {
    fn new(front: &Arc<ProducerFront>, slot: Arc<OpSlot>, limit: Duration, what: &'static str) -> Self {
        Self { timer: front.shared.front.timer(limit), front: front.clone(), slot, limit, what }
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<Reply>> {
        if let Poll::Ready(answer) = self.slot.poll(cx) {
            return Poll::Ready(answer);
        }
        self.timer.poll(cx).map(|_| {
            let text = format!("{} within {} ms", self.what, self.limit.as_millis());
            Err(Error::new(ErrorKind::Timeout, text).with_hint("the client keeps trying"))
        })
    }

    fn is_ready(&self) -> bool {
        self.slot.is_ready() || self.timer.is_ready()
    }

    fn limit(&mut self, limit: Duration) {
        self.limit = limit;
        self.timer = self.front.shared.front.timer(limit);
    }
}

struct Preparing(Waiting);

impl Work<PreparedTxnState> for Preparing {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<PreparedTxnState>> {
        self.0.poll(cx).map(|answer| match answer? {
            Reply::Prepared(state) => Ok(state.unwrap_or_default()),
            other => Err(unexpected(&other)),
        })
    }
    fn is_ready(&self) -> bool {
        self.0.is_ready()
    }
    fn limit(&mut self, limit: Duration) {
        self.0.limit(limit);
    }
}

struct Completing(Waiting);

impl Work<()> for Completing {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let waited = self.0.slot.is_ready();
        self.0.poll(cx).map(|answer| match answer {
            Err(error) if !waited && error.kind() == ErrorKind::Timeout => {
                Err(error.with_outcome_unknown().with_hint("the client keeps asking: make the same call again"))
            }
            answer => {
                if let Some(transactions) = &self.0.front.shared.transactions {
                    transactions.seen(&self.0.slot);
                }
                answer.map(|_| ())
            }
        })
    }
    fn is_ready(&self) -> bool {
        self.0.is_ready()
    }
    fn limit(&mut self, limit: Duration) {
        self.0.limit(limit);
    }
}
