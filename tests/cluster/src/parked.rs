//! Requests that wait for something: writes for their replicas, fetches for data.

use crate::answer::{Call, Ticket};
use crate::serve::fetch::ParkedFetch;
use crate::serve::produce::ParkedProduce;
use crate::state::State;
use klamm_core::wire::messages::{ProduceRequest, TxnOffsetCommitRequest};
use klamm_core::{Now, Time, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;

/// See the module. Joins and syncs of groups wait in their groups.
#[derive(Debug, Default)]
pub(crate) struct Parked {
    pub(crate) produces: BTreeMap<Ticket, ParkedProduce>,
    pub(crate) fetches: BTreeMap<Ticket, ParkedFetch>,
    /// Writes that wait for a transaction coordinator; they are done even when nobody waits for their answer any more.
    pub(crate) held: BTreeMap<Ticket, Held>,
    /// Something changed since the parked requests were looked at.
    pub(crate) stale: bool,
}

/// A write that waits for a transaction coordinator.
#[derive(Debug)]
pub(crate) struct Held {
    /// When it is tried again.
    pub(crate) at: Time,
    /// When it came.
    pub(crate) since: Time,
    pub(crate) call: Call,
    pub(crate) what: Write,
}

/// What is written.
#[derive(Debug)]
pub(crate) enum Write {
    Records(ProduceRequest),
    Offsets(TxnOffsetCommitRequest),
}

impl Parked {
    pub(crate) fn forget(&mut self, ticket: Ticket) {
        self.produces.remove(&ticket);
        self.fetches.remove(&ticket);
    }

    fn next_deadline(&self) -> Option<Time> {
        let produces = self.produces.values().map(|p| p.deadline);
        produces.chain(self.fetches.values().map(|f| f.deadline)).min()
    }

    fn next_try(&self) -> Option<Time> {
        self.held.values().map(|held| held.at).min()
    }
}

impl State {
    /// Answers what need not wait any longer.
    pub(crate) fn settle(&mut self) {
        if !std::mem::take(&mut self.parked.stale) {
            return;
        }
        for ticket in self.parked.produces.keys().copied().collect::<Vec<_>>() {
            self.look_at_produce(ticket);
        }
        for ticket in self.parked.fetches.keys().copied().collect::<Vec<_>>() {
            self.look_at_fetch(ticket);
        }
        self.settle_markers();
    }

    /// Tries again the writes that waited for a transaction coordinator.
    fn elapse_held(&mut self) {
        let now = self.mono;
        let due: Vec<Ticket> = self.parked.held.iter().filter(|(_, h)| h.at <= now).map(|(t, _)| *t).collect();
        for ticket in due {
            let Some(Held { since, mut call, what, .. }) = self.parked.held.remove(&ticket) else { continue };
            call.now = Now { mono: now, wall: Timestamp(self.wall) };
            match what {
                Write::Records(request) => {
                    let answer = self.produce(request, &call, since);
                    self.give(ticket, answer);
                }
                Write::Offsets(request) => {
                    let answer = self.commit_in_transaction(request, &call, since);
                    self.give(ticket, answer);
                }
            }
        }
    }

    /// The next time at which something happens by itself.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let later = self.later.keys().next().map(|(at, _)| *at);
        let sessions = self.nodes.values().filter_map(|node| node.expires).min();
        let copies = self.topics.iter().flat_map(|(_, t)| &t.partitions).filter_map(|p| p.copy_at).min();
        let groups = self.groups.next_deadline();
        let held = self.parked.next_try();
        let transactions = self.next_transaction_deadline();
        let all = [later, sessions, copies, self.expiry_check, self.parked.next_deadline(), groups, held, transactions];
        all.into_iter().flatten().min()
    }

    /// Does what is due at `self.mono`.
    pub(crate) fn elapse(&mut self) {
        let now = self.mono;
        let lag = self.settings.replication_lag;
        for (_, topic) in self.topics.iter_mut() {
            let policy = topic.policy.clone();
            for partition in &mut topic.partitions {
                if partition.copy_at.is_some_and(|at| at <= now) {
                    partition.copy(&policy);
                    // A second round tells the followers the high watermark.
                    if !partition.is_settled() {
                        // Never at once: who cannot catch up would be asked for ever.
                        partition.copy_at = Some(now + lag.max(Duration::from_millis(1)));
                    }
                    self.parked.stale = true;
                }
            }
        }
        let expired = |node: &crate::state::Node| node.expires.is_some_and(|at| at <= now);
        for broker in self.nodes.iter().filter(|(_, node)| expired(node)).map(|(id, _)| *id).collect::<Vec<_>>() {
            self.fence(broker);
        }
        self.elapse_groups();
        self.elapse_transactions();
        self.elapse_held();
        if self.expiry_check.is_some_and(|at| at <= now) {
            self.expire_producers();
        }
        if self.parked.next_deadline().is_some_and(|at| at <= now) {
            self.parked.stale = true;
        }
    }

    /// 4.14: by the timestamps of their records, which clients choose.
    fn expire_producers(&mut self) {
        let age = i64::try_from(self.settings.producer_expiration.as_millis()).unwrap_or(i64::MAX);
        let before = self.wall.saturating_sub(age);
        for (_, topic) in self.topics.iter_mut() {
            for copy in topic.partitions.iter_mut().flat_map(|p| p.copies.values_mut()) {
                copy.producers.expire(before);
            }
        }
        self.expiry_check = Some(self.mono + self.settings.producer_expiration_check);
    }
}
