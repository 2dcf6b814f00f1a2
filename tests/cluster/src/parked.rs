//! Requests that wait for something: writes for their replicas, fetches for data.

use crate::answer::Ticket;
use crate::serve::fetch::ParkedFetch;
use crate::serve::produce::ParkedProduce;
use crate::state::State;
use klamm_core::Time;
use std::collections::BTreeMap;

/// See the module. Joins and syncs of groups wait in their groups.
#[derive(Debug, Default)]
pub(crate) struct Parked {
    pub(crate) produces: BTreeMap<Ticket, ParkedProduce>,
    pub(crate) fetches: BTreeMap<Ticket, ParkedFetch>,
    /// Something changed since the parked requests were looked at.
    pub(crate) stale: bool,
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
    }

    /// The next time at which something happens by itself.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let later = self.later.keys().next().map(|(at, _)| *at);
        let sessions = self.nodes.values().filter_map(|node| node.expires).min();
        let copies = self.topics.iter().flat_map(|(_, t)| &t.partitions).filter_map(|p| p.copy_at).min();
        let groups = self.groups.next_deadline();
        let all = [later, sessions, copies, self.expiry_check, self.parked.next_deadline(), groups];
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
                        partition.copy_at = Some(now + lag);
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
