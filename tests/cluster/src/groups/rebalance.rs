//! The two phases of a rebalance (broker-coord 2.1, 2.3).

use super::group::{Group, Initial, Phase};
use super::member::Member;
use super::sync::Synced;
use super::{Env, Reply};
use bytes::Bytes;
use klamm_core::ErrorCode;
use std::time::Duration;

impl Group {
    /// A rebalance begins, or, if there is one, perhaps its join phase ends.
    pub(super) fn rebalance_or_complete(&mut self, env: &mut Env) {
        if self.phase == Phase::Preparing {
            self.maybe_complete_join(env);
        } else {
            self.prepare(env);
        }
    }

    /// Begins a rebalance.
    pub(super) fn prepare(&mut self, env: &mut Env) {
        if self.phase == Phase::Completing {
            // Waiting syncs are answered, assignments of before are void.
            for member in &mut self.members {
                member.assignment = Bytes::new();
                if let Some(ticket) = member.sync.take() {
                    env.out.push((ticket, Reply::Sync(Synced::failed(ErrorCode::REBALANCE_IN_PROGRESS))));
                    member.touch(env.now);
                }
            }
        }
        self.sync_deadline = None;
        let first = self.phase == Phase::Empty;
        self.phase = Phase::Preparing;
        if first {
            let delay = env.initial_delay;
            let remaining = self.rebalance_timeout().saturating_sub(delay);
            self.initial = Some(Initial { remaining, delay, added: false });
            self.join_deadline = Some(env.now + delay);
        } else {
            self.complete_or_schedule(env);
        }
    }

    fn complete_or_schedule(&mut self, env: &mut Env) {
        if self.all_joined() {
            self.complete_join(env);
        } else {
            self.join_deadline = Some(env.now + self.rebalance_timeout());
        }
    }

    /// Ends the join phase if nobody is missing; the initial delay is not cut short.
    pub(super) fn maybe_complete_join(&mut self, env: &mut Env) {
        if self.phase == Phase::Preparing && self.initial.is_none() && self.all_joined() {
            self.complete_join(env);
        }
    }

    /// The join timer fired.
    pub(super) fn join_timeout(&mut self, env: &mut Env) {
        self.join_deadline = None;
        match self.initial {
            Some(initial) if initial.added && !initial.remaining.is_zero() => {
                let delay = env.initial_delay.min(initial.remaining);
                let remaining = initial.remaining.saturating_sub(initial.delay);
                self.initial = Some(Initial { remaining, delay, added: false });
                self.join_deadline = Some(env.now + delay);
            }
            _ => self.complete_join(env),
        }
    }

    /// Ends the join phase with those who are there.
    pub(super) fn complete_join(&mut self, env: &mut Env) {
        self.initial = None;
        self.join_deadline = None;
        // Dynamic members that did not rejoin are gone, static ones stay.
        let gone: Vec<String> =
            self.members.iter().filter(|m| m.join.is_none() && m.instance.is_none()).map(|m| m.id.clone()).collect();
        for id in gone {
            self.remove(&id);
        }
        if !self.members.is_empty() && !self.elect_joined_leader() {
            self.join_deadline = Some(env.now + self.rebalance_timeout().max(Duration::from_millis(1)));
            return;
        }
        self.generation = self.generation.wrapping_add(1);
        if self.members.is_empty() {
            self.protocol = None;
            self.phase = Phase::Empty;
            self.since = env.now;
            self.write();
            return;
        }
        self.protocol = self.vote();
        self.phase = Phase::Completing;
        for at in 0..self.members.len() {
            let id = self.members[at].id.clone();
            let is_leader = self.leader.as_deref() == Some(&id);
            let joined = self.current(&id, is_leader);
            let member: &mut Member = &mut self.members[at];
            if let Some(ticket) = member.join.take() {
                env.out.push((ticket, Reply::Join(joined)));
            }
            member.touch(env.now);
            member.is_new = false;
            member.owes_sync = true;
        }
        self.sync_deadline = Some(env.now + self.rebalance_timeout().max(Duration::from_millis(1)));
    }

    /// 2.3: a leader that did not rejoin is succeeded by any member that did; false if none did.
    fn elect_joined_leader(&mut self) -> bool {
        let joined = |m: &&Member| m.join.is_some();
        let leader_joined = self.members.iter().any(|m| Some(&m.id) == self.leader.as_ref() && m.join.is_some());
        if leader_joined {
            return true;
        }
        match self.members.iter().find(joined) {
            Some(member) => {
                self.leader = Some(member.id.clone());
                true
            }
            None => false,
        }
    }

    /// Takes a member out; what it waited for stays unanswered.
    pub(super) fn remove(&mut self, id: &str) -> Option<Member> {
        let at = self.members.iter().position(|m| m.id == id)?;
        let member = self.members.remove(at);
        if self.leader.as_deref() == Some(id) {
            self.leader = self.members.first().map(|m| m.id.clone());
        }
        Some(member)
    }
}
