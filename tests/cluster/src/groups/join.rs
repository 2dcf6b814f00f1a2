//! JoinGroup (broker-coord 2.2, 2.4).

use super::group::{Group, Phase};
use super::member::Member;
use super::sync::Synced;
use super::{Env, Reply};
use crate::answer::Ticket;
use bytes::Bytes;
use klamm_core::ErrorCode;
use std::time::Duration;

/// How long a new member may wait for its first answer.
const NEW_MEMBER_LIMIT: Duration = Duration::from_secs(300);

/// A JoinGroup request.
#[derive(Clone, Debug)]
pub(crate) struct Join {
    pub(crate) ticket: Ticket,
    pub(crate) version: i16,
    pub(crate) client_id: String,
    pub(crate) member: String,
    pub(crate) instance: Option<String>,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) protocol_type: String,
    pub(crate) protocols: Vec<(String, Bytes)>,
    /// The random part of an id that may have to be handed out.
    pub(crate) fresh: String,
}

/// A member as the leader is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) id: String,
    pub(crate) instance: Option<String>,
    pub(crate) metadata: Bytes,
}

/// The answer to JoinGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) code: ErrorCode,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) leader: String,
    pub(crate) skip_assignment: bool,
    pub(crate) member: String,
    pub(crate) peers: Vec<Peer>,
}

impl Joined {
    pub(crate) fn failed(code: ErrorCode, member: &str) -> Self {
        Self {
            code,
            generation: -1,
            protocol_type: None,
            protocol: None,
            leader: String::new(),
            skip_assignment: false,
            member: member.to_owned(),
            peers: Vec::new(),
        }
    }
}

impl Group {
    /// Takes a join; `None`: it is answered later.
    pub(crate) fn join(&mut self, join: Join, env: &mut Env) -> Option<Joined> {
        if !self.has_room(&join.member, env.max_size) {
            self.remove(&join.member);
            return Some(Joined::failed(ErrorCode::GROUP_MAX_SIZE_REACHED, ""));
        }
        if !self.supports(&join.protocol_type, &join.protocols) {
            return Some(Joined::failed(ErrorCode::INCONSISTENT_GROUP_PROTOCOL, &join.member));
        }
        if join.member.is_empty() {
            return self.join_without_id(join, env);
        }
        if self.pending.contains_key(&join.member) {
            if join.instance.is_some() {
                return Some(Joined::failed(ErrorCode::UNKNOWN_MEMBER_ID, &join.member));
            }
            self.pending.remove(&join.member);
            let id = join.member.clone();
            self.add(id, join, env);
            return None;
        }
        if let Err(code) = self.validate(&join.member, join.instance.as_deref()) {
            return Some(Joined::failed(code, &join.member));
        }
        self.rejoin(join, env)
    }

    /// 2.2 #6.
    fn has_room(&self, member: &str, max: usize) -> bool {
        match self.phase {
            Phase::Empty => true,
            Phase::Preparing => {
                let waiting = self.members.iter().filter(|m| m.join.is_some()).count();
                self.member(member).is_some_and(|m| m.join.is_some()) || waiting < max
            }
            Phase::Completing | Phase::Stable => self.member(member).is_some() || self.members.len() < max,
        }
    }

    /// 2.2 #8a, #8b.
    fn join_without_id(&mut self, join: Join, env: &mut Env) -> Option<Joined> {
        if let Some(instance) = &join.instance {
            let id = format!("{instance}-{}", join.fresh);
            return match self.static_member(instance).map(str::to_owned) {
                Some(old) => self.replace(&old, id, join, env),
                None => {
                    self.add(id, join, env);
                    None
                }
            };
        }
        let id = format!("{}-{}", join.client_id, join.fresh);
        if join.version >= 4 {
            self.pending.insert(id.clone(), env.now + join.session_timeout);
            return Some(Joined::failed(ErrorCode::MEMBER_ID_REQUIRED, &id));
        }
        self.add(id, join, env);
        None
    }

    fn add(&mut self, id: String, join: Join, env: &mut Env) {
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type);
        }
        self.leader.get_or_insert_with(|| id.clone());
        self.members.push(Member {
            id,
            instance: join.instance,
            client_id: join.client_id,
            session_timeout: join.session_timeout,
            rebalance_timeout: join.rebalance_timeout,
            protocols: join.protocols,
            assignment: Bytes::new(),
            join: Some(join.ticket),
            sync: None,
            is_new: true,
            owes_sync: false,
            expires: Some(env.now + NEW_MEMBER_LIMIT),
        });
        if let Some(initial) = &mut self.initial {
            initial.added = true;
        }
        self.rebalance_or_complete(env);
    }

    /// 2.2 #9.
    fn rejoin(&mut self, join: Join, env: &mut Env) -> Option<Joined> {
        let is_leader = self.leader.as_deref() == Some(&join.member);
        let same = self.member(&join.member).is_some_and(|m| m.protocols == join.protocols);
        match self.phase {
            Phase::Empty => return Some(Joined::failed(ErrorCode::UNKNOWN_MEMBER_ID, &join.member)),
            Phase::Completing if same => return Some(self.current(&join.member, is_leader)),
            Phase::Stable if same && !is_leader => return Some(self.current(&join.member, false)),
            _ => {}
        }
        self.update(&join.member.clone(), join);
        self.rebalance_or_complete(env);
        None
    }

    /// A parked join that is replaced is never answered.
    fn update(&mut self, id: &str, join: Join) {
        if let Some(member) = self.member_mut(id) {
            member.protocols = join.protocols;
            member.session_timeout = join.session_timeout;
            member.rebalance_timeout = join.rebalance_timeout;
            member.join = Some(join.ticket);
        }
    }

    /// The present generation for one member.
    pub(crate) fn current(&self, id: &str, with_peers: bool) -> Joined {
        Joined {
            code: ErrorCode::NONE,
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment: false,
            member: id.to_owned(),
            peers: if with_peers { self.peers() } else { Vec::new() },
        }
    }

    fn peers(&self) -> Vec<Peer> {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let peer = |m: &Member| Peer { id: m.id.clone(), instance: m.instance.clone(), metadata: m.metadata(protocol) };
        self.members.iter().map(peer).collect()
    }

    /// 2.4: a static member came back under a new id.
    fn replace(&mut self, old: &str, id: String, join: Join, env: &mut Env) -> Option<Joined> {
        let (version, ticket) = (join.version, join.ticket);
        let was_leader = self.leader.as_deref() == Some(old);
        let before = self.member(old).map(|m| m.protocols.clone()).unwrap_or_default();
        if let Some(member) = self.member_mut(old) {
            if let Some(parked) = member.join.take() {
                env.out.push((parked, Reply::Join(Joined::failed(ErrorCode::FENCED_INSTANCE_ID, old))));
            }
            if let Some(parked) = member.sync.take() {
                env.out.push((parked, Reply::Sync(Synced::failed(ErrorCode::FENCED_INSTANCE_ID))));
            }
            member.id.clone_from(&id);
            member.client_id.clone_from(&join.client_id);
            member.is_new = false;
        }
        if was_leader {
            self.leader = Some(id.clone());
        }
        self.update(&id, join);
        if let Some(member) = self.member_mut(&id) {
            member.touch(env.now);
        }
        match self.phase {
            Phase::Stable if self.vote() == self.protocol => {
                if let Some(member) = self.member_mut(&id) {
                    member.join = None;
                }
                self.write();
                let mut joined = self.current(&id, false);
                if was_leader && version >= 9 {
                    joined.skip_assignment = true;
                    joined.peers = self.peers();
                } else if was_leader {
                    // Older versions name the old leader, so that the new one thinks it follows.
                    joined.leader = old.to_owned();
                }
                Some(joined)
            }
            Phase::Empty => {
                // A group with members is never empty; nothing was changed that matters.
                if let Some(member) = self.member_mut(&id) {
                    member.protocols = before;
                }
                env.out.push((ticket, Reply::Join(Joined::failed(ErrorCode::UNKNOWN_MEMBER_ID, &id))));
                None
            }
            _ => {
                self.rebalance_or_complete(env);
                None
            }
        }
    }
}
