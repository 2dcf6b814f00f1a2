//! SyncGroup and Heartbeat (broker-coord 2.5, 2.6).

use super::group::{Group, Phase};
use super::{Env, Reply};
use crate::answer::Ticket;
use bytes::Bytes;
use klamm_core::ErrorCode;
use std::collections::BTreeMap;

/// A SyncGroup request.
#[derive(Clone, Debug)]
pub(crate) struct Sync {
    pub(crate) ticket: Ticket,
    pub(crate) member: String,
    pub(crate) instance: Option<String>,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) assignments: BTreeMap<String, Bytes>,
}

/// The answer to SyncGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Synced {
    pub(crate) code: ErrorCode,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) assignment: Bytes,
}

impl Synced {
    pub(crate) fn failed(code: ErrorCode) -> Self {
        Self { code, protocol_type: None, protocol: None, assignment: Bytes::new() }
    }
}

impl Group {
    /// Takes a sync; `None`: it is answered later.
    pub(crate) fn sync(&mut self, sync: Sync, env: &mut Env) -> Option<Synced> {
        if let Err(code) = self.check_sync(&sync) {
            return Some(Synced::failed(code));
        }
        match self.phase {
            Phase::Preparing => Some(Synced::failed(ErrorCode::REBALANCE_IN_PROGRESS)),
            Phase::Empty => Some(Synced::failed(ErrorCode::UNKNOWN_MEMBER_ID)),
            Phase::Stable => {
                self.synced(&sync.member);
                if let Some(member) = self.member_mut(&sync.member) {
                    member.touch(env.now);
                }
                Some(self.assignment_of(&sync.member))
            }
            Phase::Completing => {
                self.synced(&sync.member);
                if let Some(member) = self.member_mut(&sync.member) {
                    member.sync = Some(sync.ticket);
                }
                if self.leader.as_deref() == Some(&sync.member) {
                    self.assign(sync.assignments, env);
                }
                None
            }
        }
    }

    fn check_sync(&self, sync: &Sync) -> Result<(), ErrorCode> {
        if self.phase == Phase::Empty {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        self.validate(&sync.member, sync.instance.as_deref())?;
        if sync.generation != self.generation {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        let differs = |given: &Option<String>, own: &Option<String>| given.is_some() && given != own;
        if differs(&sync.protocol_type, &self.protocol_type) || differs(&sync.protocol, &self.protocol) {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        Ok(())
    }

    /// A member has synced: when all have, the sync timer ends.
    fn synced(&mut self, id: &str) {
        if let Some(member) = self.member_mut(id) {
            member.owes_sync = false;
        }
        if self.members.iter().all(|m| !m.owes_sync) {
            self.sync_deadline = None;
        }
    }

    /// The leader's assignment: whoever waits is answered, and the group is stable.
    fn assign(&mut self, mut assignments: BTreeMap<String, Bytes>, env: &mut Env) {
        for member in &mut self.members {
            member.assignment = assignments.remove(&member.id).unwrap_or_default();
        }
        self.phase = Phase::Stable;
        for at in 0..self.members.len() {
            let id = self.members[at].id.clone();
            if let Some(ticket) = self.members[at].sync.take() {
                env.out.push((ticket, Reply::Sync(self.assignment_of(&id))));
                self.members[at].touch(env.now);
            }
        }
        self.write();
    }

    fn assignment_of(&self, id: &str) -> Synced {
        Synced {
            code: ErrorCode::NONE,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment: self.member(id).map(|m| m.assignment.clone()).unwrap_or_default(),
        }
    }

    /// The sync timer fired: members that never synced are removed (2.5).
    pub(super) fn sync_timeout(&mut self, env: &mut Env) {
        self.sync_deadline = None;
        let gone: Vec<String> = self.members.iter().filter(|m| m.owes_sync).map(|m| m.id.clone()).collect();
        if gone.is_empty() || !matches!(self.phase, Phase::Completing | Phase::Stable) {
            return;
        }
        for id in gone {
            self.remove(&id);
        }
        self.prepare(env);
    }

    /// 2.6: a heartbeat is fine in Completing, too.
    pub(crate) fn heartbeat(&mut self, id: &str, instance: Option<&str>, generation: i32, env: &Env) -> ErrorCode {
        if self.phase == Phase::Empty {
            return ErrorCode::UNKNOWN_MEMBER_ID;
        }
        if let Err(code) = self.validate(id, instance) {
            return code;
        }
        if generation != self.generation {
            return ErrorCode::ILLEGAL_GENERATION;
        }
        if let Some(member) = self.member_mut(id) {
            member.touch(env.now);
        }
        if self.phase == Phase::Preparing { ErrorCode::REBALANCE_IN_PROGRESS } else { ErrorCode::NONE }
    }
}
