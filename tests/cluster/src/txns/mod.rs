//! The transaction coordinator (broker-coord 5).
//!
//! Every change of a transactional id goes through its coordinator's log: it is decided, written, and only when the write
//! is replicated does it count, is its caller answered, and does what follows begin. Until then the id has a change
//! pending. A coordinator that loses its partition loses what was not replicated, or does not: both happen.

pub(crate) mod guard;
pub(crate) mod join;
pub(crate) mod markers;
pub(crate) mod transaction;

use crate::answer::{Respond, Ticket};
use crate::state::{State, partition_of};
use crate::topics::TRANSACTIONS;
use klamm_core::wire::messages::{
    AddOffsetsToTxnResponse, AddPartitionsToTxnResponse, EndTxnResponse, InitProducerIdResponse,
};
use klamm_core::{ErrorCode, Time};
use markers::Progress;
use std::collections::BTreeMap;
use transaction::{Moment, Phase, Place, Transaction};

/// The answer that waits for a change to be replicated.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Init(InitProducerIdResponse),
    AddPartitions(AddPartitionsToTxnResponse),
    AddOffsets(AddOffsetsToTxnResponse),
    End(EndTxnResponse),
}

/// A change that is written and not replicated yet.
#[derive(Clone, Debug)]
struct Change {
    to: Transaction,
    at: Time,
    reply: Option<(Ticket, Reply)>,
}

/// A transactional id in its coordinator's hands. It is `None` while its first record is being written.
#[derive(Clone, Debug, Default)]
struct Entry {
    is: Option<Transaction>,
    change: Option<Change>,
    /// The markers that are still to be written, while it prepares.
    markers: BTreeMap<Place, Progress>,
}

impl Entry {
    /// 5.2: whether it is in the middle of something: a write, or from Prepare to Complete.
    fn is_pending(&self) -> bool {
        self.change.is_some() || self.is.as_ref().is_some_and(|t| t.phase.is_preparing())
    }
}

/// All transactional ids, and which partitions of their topic are being loaded.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    by_id: BTreeMap<String, Entry>,
    loading: BTreeMap<i32, Time>,
    /// When transactions that last too long are looked for next.
    scan_at: Option<Time>,
    /// When ids that nobody uses are looked for next.
    expire_at: Option<Time>,
}

impl Transactions {
    /// What the log has of an id.
    pub(crate) fn get(&self, id: &str) -> Option<&Transaction> {
        self.by_id.get(id)?.is.as_ref()
    }

    /// Every id that the log has.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Transaction)> {
        self.by_id.iter().filter_map(|(id, entry)| Some((id.as_str(), entry.is.as_ref()?)))
    }

    /// Whether an id is in the middle of something.
    pub(crate) fn is_pending(&self, id: &str) -> bool {
        self.by_id.get(id).is_some_and(Entry::is_pending)
    }

    /// The markers that an id still has to write; `None` while it writes none.
    pub(crate) fn owed(&self, id: &str) -> Option<impl Iterator<Item = &Place>> {
        let entry = self.by_id.get(id)?;
        entry.is.as_ref().filter(|t| t.phase.is_preparing())?;
        Some(entry.markers.keys())
    }
}

impl State {
    /// The partition of its topic that a transactional id lives in (0.4).
    pub(crate) fn transaction_partition(&self, id: &str) -> i32 {
        partition_of(id, self.settings.transaction_partitions)
    }

    /// Whether the topic of transactions exists; if not it is created now, for the next who asks (1.1).
    pub(crate) fn need_transaction_topic(&mut self) -> bool {
        if self.topics.get(TRANSACTIONS).is_some() {
            return true;
        }
        self.create_default(TRANSACTIONS, self.settings.transaction_partitions);
        false
    }

    /// Whether `broker` coordinates the transactional id (1.4).
    pub(crate) fn coordinates_transaction(&self, broker: i32, id: &str) -> Result<(), ErrorCode> {
        let index = self.transaction_partition(id);
        let led = self.topics.get(TRANSACTIONS).and_then(|t| t.partition(index)).is_some_and(|p| p.is_led_by(broker));
        if !led {
            return Err(ErrorCode::NOT_COORDINATOR);
        }
        if self.transactions_load(index) {
            return Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
        }
        Ok(())
    }

    /// Whether the coordinator of that partition still reads its log.
    pub(crate) fn transactions_load(&self, partition: i32) -> bool {
        self.txns.loading.get(&partition).is_some_and(|until| self.mono < *until)
    }

    /// The broker that works on a transactional id now, with its epoch; `None` while nobody does.
    fn transaction_coordinator(&self, id: &str) -> Option<(i32, i32)> {
        let index = self.transaction_partition(id);
        let now = self.topics.get(TRANSACTIONS)?.partition(index)?.now;
        let broker = now.leader.filter(|b| self.nodes.get(b).is_some_and(|node| node.up))?;
        (!self.transactions_load(index)).then_some((broker, now.epoch))
    }

    /// This moment on both clocks.
    pub(crate) fn moment(&self) -> Moment {
        Moment { mono: self.mono, wall: self.wall }
    }

    /// Writes a change; its caller is answered, and what follows begins, when it is replicated. Gives when that will be,
    /// `None` if it is already.
    pub(crate) fn change_transaction(
        &mut self,
        id: &str,
        to: Transaction,
        reply: Option<(Ticket, Reply)>,
    ) -> Option<Time> {
        let at = self.mono + self.settings.transaction_write;
        let expiry = self.mono + self.settings.transactional_id_expiration_check;
        self.txns.expire_at.get_or_insert(expiry);
        let entry = self.txns.by_id.entry(id.to_owned()).or_default();
        entry.change = Some(Change { to, at, reply });
        if self.settings.transaction_write.is_zero() {
            self.replicate_change(id);
            return None;
        }
        Some(at)
    }

    /// A change counts from now on.
    fn replicate_change(&mut self, id: &str) {
        let Some(entry) = self.txns.by_id.get_mut(id) else { return };
        let Some(Change { to, reply, .. }) = entry.change.take() else { return };
        let phase = to.phase;
        entry.is = Some(to);
        entry.markers.clear();
        if let Some((ticket, reply)) = reply {
            self.reply_transaction(ticket, reply);
        }
        if phase == Phase::Ongoing {
            let scan = self.mono + self.settings.transaction_check;
            self.txns.scan_at.get_or_insert(scan);
        }
        if phase.is_preparing() {
            self.begin_markers(id, self.mono);
        }
    }

    fn reply_transaction(&mut self, ticket: Ticket, reply: Reply) {
        match reply {
            Reply::Init(response) => self.finish(ticket, response),
            Reply::AddPartitions(response) => self.finish(ticket, response),
            Reply::AddOffsets(response) => self.finish(ticket, response),
            Reply::End(response) => self.finish(ticket, response),
        }
    }

    /// The coordinator of the ids in that partition changed (1.8).
    pub(crate) fn move_transactions(&mut self, partition: i32) {
        let until = self.mono + self.settings.coordinator_load;
        self.txns.loading.insert(partition, until);
        let moved: Vec<String> =
            self.txns.by_id.keys().filter(|id| self.transaction_partition(id) == partition).cloned().collect();
        for id in moved {
            let Some(entry) = self.txns.by_id.get_mut(&id) else { continue };
            let change = entry.change.take();
            if let Some((ticket, mut reply)) = change.as_ref().and_then(|c| c.reply.clone()) {
                let code = ErrorCode::NOT_COORDINATOR;
                match &mut reply {
                    Reply::Init(response) => response.fail(code),
                    Reply::AddPartitions(response) => response.fail(code),
                    Reply::AddOffsets(response) => response.fail(code),
                    Reply::End(response) => response.fail(code),
                }
                self.reply_transaction(ticket, reply);
            }
            // What was written and not replicated is in the next coordinator's log, or it is not.
            let survives = self.rng.below(2) == 0;
            let Some(entry) = self.txns.by_id.get_mut(&id) else { continue };
            if let Some(change) = change.filter(|_| survives) {
                entry.is = Some(change.to);
            }
            let Some(is) = &entry.is else {
                self.txns.by_id.remove(&id);
                continue;
            };
            let phase = is.phase;
            entry.markers.clear();
            if phase.is_preparing() {
                self.begin_markers(&id, until);
            } else if phase == Phase::Ongoing {
                let scan = self.mono + self.settings.transaction_check;
                self.txns.scan_at.get_or_insert(scan);
            }
        }
    }

    /// Lets time pass for every transactional id.
    pub(crate) fn elapse_transactions(&mut self) {
        let now = self.mono;
        let due = |entry: &Entry| entry.change.as_ref().is_some_and(|change| change.at <= now);
        let ids: Vec<String> = self.txns.by_id.iter().filter(|(_, e)| due(e)).map(|(id, _)| id.clone()).collect();
        for id in ids {
            if self.transaction_coordinator(&id).is_some() {
                self.replicate_change(&id);
            }
        }
        self.elapse_markers();
        if self.txns.scan_at.is_some_and(|at| at <= now) {
            self.abort_overdue();
        }
        if self.txns.expire_at.is_some_and(|at| at <= now) {
            self.expire_transactional_ids();
        }
    }

    /// When something happens by itself; nothing does where no coordinator is at work.
    pub(crate) fn next_transaction_deadline(&self) -> Option<Time> {
        let at_work = |id: &str| self.transaction_coordinator(id).is_some();
        let one = |(id, entry): (&String, &Entry)| {
            let change = entry.change.as_ref().map(|change| change.at);
            let markers = entry.markers.values().filter_map(Progress::due).min();
            [change, markers].into_iter().flatten().min().filter(|_| at_work(id))
        };
        let ids = self.txns.by_id.iter().filter_map(one).min();
        let loading = self.txns.loading.values().copied().filter(|until| *until > self.mono).min();
        [ids, loading, self.txns.scan_at, self.txns.expire_at].into_iter().flatten().min()
    }

    /// 5.6: aborts transactions that last too long.
    fn abort_overdue(&mut self) {
        let now = self.mono;
        let v2 = self.settings.transaction_version >= 2;
        let overdue: Vec<(String, Transaction)> = self
            .txns
            .by_id
            .iter()
            .filter(|(_, entry)| !entry.is_pending())
            .filter_map(|(id, entry)| Some((id.clone(), entry.is.as_ref()?)))
            .filter(|(id, is)| is.is_overdue(now) && self.transaction_coordinator(id).is_some())
            .map(|(id, is)| (id, is.fenced(v2, now)))
            .collect();
        for (id, to) in overdue {
            self.change_transaction(&id, to, None);
        }
        let open = self.txns.iter().any(|(_, is)| is.phase == Phase::Ongoing);
        self.txns.scan_at = open.then(|| now + self.settings.transaction_check);
    }

    /// 5.2: forgets ids that were not used for long.
    fn expire_transactional_ids(&mut self) {
        let (now, age) = (self.mono, self.settings.transactional_id_expiration);
        self.txns.by_id.retain(|_, entry| {
            let resting = entry.is.as_ref().is_some_and(|t| t.phase != Phase::Ongoing && now.since(t.updated) >= age);
            entry.is_pending() || !resting
        });
        let more = !self.txns.by_id.is_empty();
        self.txns.expire_at = more.then(|| now + self.settings.transactional_id_expiration_check);
    }

    /// A producer id that was never used (broker-data 8.3): every broker has blocks of its own, so ids of different brokers
    /// do not rise together.
    pub(crate) fn new_producer_id(&mut self, broker: i32) -> i64 {
        let next = self.producer_ids;
        self.producer_ids += 1;
        i64::from(broker) * 1000 + (next / 1000) * 1_000_000 + next % 1000
    }
}
