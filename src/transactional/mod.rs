//! Transactions: records to any number of partitions, and positions of groups, that become visible together or not at all.

mod ending;
mod exactly_once;
#[cfg(feature = "unstable-protocol")]
mod prepared;
mod transaction;

pub use exactly_once::{ExactlyOnce, Outcome, PollStep, Step};
pub use transaction::Transaction;

use crate::config::ProducerConfig;
use crate::front::inbox::Input;
use crate::front::op::{OpSetter, op_slot};
use crate::front::producer::{OPEN, ProducerFront};
use crate::front::transaction::{Step as Way, Transactions};
use crate::kafka::Kafka;
use crate::metadata::PartitionInfo;
use crate::metrics::Metrics;
use crate::op::{Op, ask};
use crate::producer::{Buffered, Producer, Topic};
use crate::{Error, ErrorKind, Result};
use ending::Ending;
use klamm_core::ProducerIx;
use klamm_core::client::{Command, Reply};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Writes records in transactions. Readers with `isolation.level=read_committed` see all of one or nothing.
///
/// Sending outside a transaction, beginning two at once, or using one after its end does not compile:
///
/// ```compile_fail
/// # fn doc(producer: &mut klamm::TransactionalProducer) -> klamm::Result<()> {
/// let one = producer.begin_transaction()?;
/// let two = producer.begin_transaction()?; // the first is still open
/// drop((one, two));
/// # Ok(())
/// # }
/// ```
///
/// Of all producers with one `transactional.id` only the newest may write: it fences those before it, and what they left
/// open is aborted. Dropped without [`close`](Self::close), it ends in the background.
#[must_use = "a transactional producer that is dropped ends"]
pub struct TransactionalProducer {
    producer: Producer,
    id: Arc<str>,
    limit: Duration,
}

impl TransactionalProducer {
    /// Begins a transaction, at once and without a word to any broker: while the one before still ends, records wait.
    ///
    /// # Errors
    /// `Fenced` or whatever else made the producer useless (`is_fatal`); `Misuse` while the outcome of the last commit is
    /// unknown: [`resume_commit`](Self::resume_commit) is the next step then. Else the error of a commit that nobody waited
    /// for: that transaction was aborted, and the next call begins one.
    #[doc(alias = "beginTransaction")]
    pub fn begin_transaction(&mut self) -> Result<Transaction<'_>> {
        let front = self.front();
        if front.shared.gate() != OPEN {
            return Err(front.shared.refusal());
        }
        let begun = front.shared.front.clock.now().mono;
        let generation = self.transactions()?.begin()?;
        front.shared.front.push(Input::BeginTransaction(front.clone(), generation))?;
        front.shared.times.txn_begin.add(front.shared.front.clock.now().mono.since(begun));
        Ok(Transaction::new(self, generation))
    }

    /// Waits again for a commit whose outcome is unknown, or that nobody waited for: the client keeps asking the broker all
    /// the while. It is the one legal step after a [`commit`](Transaction::commit) whose error is `is_outcome_unknown`.
    ///
    /// # Errors
    /// As [`Transaction::commit`]; `Misuse` if no commit is unresolved.
    #[must_use = "await it, or `.wait()`"]
    pub fn resume_commit(&mut self) -> Op<()> {
        match self.transactions().map(Transactions::resume) {
            Ok(Some((slot, unknown))) => {
                Ending::new(self.front().clone(), slot, true, self.limit).doubtful(unknown).into_op()
            }
            Ok(None) => Op::ready(Err(Error::new(ErrorKind::Misuse, "no commit is unresolved"))),
            Err(error) => Op::ready(Err(error)),
        }
    }

    /// Looks a topic up once: `Record::to(&topic)` then skips that. The client begins to fetch its metadata.
    pub fn topic(&self, name: &str) -> Topic {
        self.producer.topic(name)
    }

    /// The partitions of a topic as the client knows them; a broker is asked if it knows none.
    #[doc(alias = "partitionsFor")]
    #[must_use = "await it, or `.wait()`"]
    pub fn partitions_for(&self, topic: &str) -> Op<Vec<PartitionInfo>> {
        self.producer.partitions_for(topic)
    }

    /// What this producer has counted, how full its buffer is, and how long its transactions took.
    pub fn metrics(&self) -> Metrics {
        self.producer.metrics()
    }

    /// What is in the buffer now.
    pub fn buffered(&self) -> Buffered {
        self.producer.buffered()
    }

    /// The name under which it writes.
    #[doc(alias = "transactional.id")]
    pub fn transactional_id(&self) -> &str {
        &self.id
    }

    /// Ends, when the transactions that were begun have ended, after `max.block.ms` at the latest, or what
    /// [`within`](Op::within) says instead: a coordinator that is gone holds nobody up for ever (Java's `close()` waits
    /// without end). What has not ended by then is left to its coordinator: the next producer of this name, or the time-out,
    /// ends it; a commit among it is of unknown outcome.
    ///
    /// # Errors
    /// If the client is gone. What became of records is told by the transactions, not here.
    #[must_use = "await it, or `.wait()`"]
    pub fn close(self) -> Op<()> {
        self.producer.close().within(self.limit)
    }

    pub(crate) fn front(&self) -> &Arc<ProducerFront> {
        self.producer.inner()
    }

    fn transactions(&self) -> Result<&Transactions> {
        let none = || Error::new(ErrorKind::Misuse, "the producer has no transactional.id");
        self.front().shared.transactions.as_ref().ok_or_else(none)
    }

    /// Ends a transaction; the answer is what the coordinator said.
    fn end(&self, generation: u64, commit: bool) -> Op<()> {
        let front = self.front();
        front.hurry();
        let (setter, slot) = op_slot();
        let way = if commit { Way::Commit } else { Way::Abort };
        // A refusal answers the slot.
        let _ = front.shared.front.push(Input::EndTransaction(front.clone(), generation, way, vec![setter]));
        Ending::new(front.clone(), slot, commit, self.limit).into_op()
    }

    /// Commits; `other` hears of the end, and is who tells it.
    fn commit_for(&self, generation: u64, other: OpSetter) -> Ending {
        let front = self.front();
        front.hurry();
        let (setter, slot) = op_slot();
        // A refusal answers the slots.
        let _ =
            front.shared.front.push(Input::EndTransaction(front.clone(), generation, Way::Commit, vec![setter, other]));
        Ending::new(front.clone(), slot, true, self.limit).watched()
    }

    fn abandon(&self, generation: u64) {
        let front = self.front();
        // A refusal means that the driver is gone: the coordinator aborts the transaction when its time is up.
        let _ = front.shared.front.push(Input::EndTransaction(front.clone(), generation, Way::Abort, Vec::new()));
    }
}

impl fmt::Debug for TransactionalProducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransactionalProducer").field("transactional_id", &self.id).finish_non_exhaustive()
    }
}

impl Kafka {
    /// A producer of transactions under this name, with the producer section given at `connect`, else with defaults. Done
    /// when the coordinator has given it its producer id: from then on older producers of this name are fenced, and what they
    /// left open is aborted.
    ///
    /// # Errors
    /// `Config` if the section contradicts itself; `Authorization` if the name may not be used; `Timeout` after
    /// `max.block.ms`.
    #[doc(alias = "initTransactions")]
    #[must_use = "await it, or `.wait()`"]
    pub fn transactional_producer(&self, transactional_id: &str) -> Op<TransactionalProducer> {
        self.transactional_producer_with(self.config().producer_section().transactional_id(transactional_id))
    }

    /// As [`transactional_producer`](Self::transactional_producer) with a section of its own, which names the
    /// `transactional.id`.
    ///
    /// # Errors
    /// As there, and `Config` without a name.
    #[must_use = "await it, or `.wait()`"]
    pub fn transactional_producer_with(&self, config: ProducerConfig) -> Op<TransactionalProducer> {
        self.init_transactions(config, Ok)
    }

    fn init_transactions<T: Send + Sync + 'static>(
        &self,
        config: ProducerConfig,
        mut turn: impl FnMut(TransactionalProducer) -> Result<T> + Send + Sync + 'static,
    ) -> Op<T> {
        self.init_with(config, Command::InitTransactions, move |producer, _| turn(producer))
    }

    fn init_with<T: Send + Sync + 'static>(
        &self,
        config: ProducerConfig,
        how: fn(ProducerIx) -> Command,
        mut turn: impl FnMut(TransactionalProducer, &Reply) -> Result<T> + Send + Sync + 'static,
    ) -> Op<T> {
        let producer = match self.any_producer_with(config) {
            Ok(producer) => producer,
            Err(error) => return Op::ready(Err(error)),
        };
        let config = producer.inner().config.clone();
        let Some(id) = config.transactional_id.clone() else {
            let error = Error::new(ErrorKind::Config, "a transactional producer needs a transactional.id");
            return Op::ready(Err(error));
        };
        let (front, ix) = (producer.front().clone(), producer.inner().shared.ix);
        let (shared, begun) = (producer.inner().shared.clone(), front.clock.now().mono);
        let mut made = Some(TransactionalProducer { producer, id, limit: config.max_block });
        ask(&front, Some(config.max_block), how(ix), move |reply| {
            shared.times.txn_init.add(shared.front.clock.now().mono.since(begun));
            let twice = || Error::new(ErrorKind::Misuse, "the producer was given already");
            turn(made.take().ok_or_else(twice)?, &reply)
        })
    }
}

impl ProducerFront {
    /// Nothing that was sent before this call lingers.
    pub(crate) fn hurry(&self) {
        let (mut batches, mut tickets) = (Vec::new(), Vec::new());
        for topic in self.all() {
            topic.fence(&mut tickets);
            topic.slots().for_each(|slot| slot.fence(&mut batches, &mut tickets));
        }
    }
}
