//! The classic group protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup (Java: `AbstractCoordinator`).
//!
//! This machine knows the member id, the generation and what is under way. Which partitions are owned, and whether it is
//! time to join, is `membership`'s; what answers do to it is `generation`'s, what an error leaves is `verdict`'s.

use super::assign::Member;
use super::heartbeat::Heartbeat;
use crate::client::role::{Cx, LinkFacts, Owner, Request, Tag};
use crate::config::ConsumerConfig;
use crate::wire::encode_embedded;
use crate::wire::messages::join_group::JoinGroupRequestProtocol;
use crate::wire::messages::leave_group::MemberIdentity;
use crate::wire::messages::sync_group::SyncGroupRequestAssignment;
use crate::wire::messages::{
    ConsumerProtocolSubscription, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest,
};
use crate::{ConsumerIx, Error, ErrorCode, Time, TopicIx};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

const PROTOCOL_TYPE: &str = "consumer";
/// As Java writes it.
const SUBSCRIPTION_VERSION: i16 = 3;
const FIRST_WITH_INSTANCE: i16 = 5;
const FIRST_LEAVE_BY_LIST: i16 = 3;
const FIRST_SYNC_WITH_INSTANCE: i16 = 3;
/// A parked join may take as long as the group's rebalance, and the answer its way.
const JOIN_SLACK: Duration = Duration::from_secs(5);
/// A leader waits no longer than this for metadata of the topics that members want.
pub(super) const ELECTION_PATIENCE: Duration = Duration::from_secs(5);
/// Java cuts reasons here, for the broker's log.
const REASON_MAX: usize = 255;

/// Where the protocol stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    /// No member, and does not want to be.
    Out,
    /// JoinGroup is to be sent.
    Ready,
    /// It is under way, perhaps for minutes.
    Joining(u64),
    /// Leads this generation: the assignment is to be made as soon as the topics are known.
    Electing { members: Vec<Member>, unknown: BTreeSet<TopicIx>, deadline: Time },
    /// SyncGroup is to be sent, by a leader with what each member gets.
    ToSync(Vec<(String, Bytes)>),
    /// It is under way.
    Syncing(u64),
    /// In the group.
    Stable,
}

/// What an answer calls for outside of the protocol.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    Nothing,
    /// A new generation, and our part of it.
    Assigned(Vec<(String, i32)>),
    /// The group rebalances: let go of what is owned, then join.
    Rebalance,
    /// The ownership is over; it joins again.
    Lost(ErrorCode),
    /// The application has to know; it joins again after a while.
    Failed(Error),
    /// Another process took this static member's place.
    Fenced(Error),
}

/// The membership of one consumer.
#[derive(Debug)]
pub(super) struct Classic {
    ix: ConsumerIx,
    pub(super) config: Arc<ConsumerConfig>,
    pub(super) group: Arc<str>,
    pub(super) member: Arc<str>,
    pub(super) generation: i32,
    /// As whom partitions were given to the application that it was not asked to let go of. What it does with them still
    /// counts for that member and generation, so never again may we own anything as the same.
    pub(super) held: Option<(Arc<str>, i32)>,
    pub(super) state: State,
    pub(super) heartbeat: Heartbeat,
    pub(super) protocol: Option<String>,
    reason: String,
    pub(super) due: Option<Time>,
    pub(super) attempts: u32,
    /// The leader's: how many partitions the topics of the group had when it assigned them.
    pub(super) watched: BTreeMap<TopicIx, usize>,
    /// Joins that nobody waits for any more: the member that they made has to leave.
    pub(super) abandoned: BTreeSet<u64>,
    /// Members to be taken out of the group, and why.
    pub(super) leaving: VecDeque<(Arc<str>, String)>,
    leave_sent: Option<u64>,
}

impl Classic {
    pub(super) fn new(ix: ConsumerIx, config: Arc<ConsumerConfig>, group: Arc<str>) -> Self {
        Self {
            ix,
            heartbeat: Heartbeat::new(config.heartbeat_interval, config.session_timeout),
            config,
            group,
            member: "".into(),
            generation: -1,
            held: None,
            state: State::Out,
            protocol: None,
            reason: String::new(),
            due: None,
            attempts: 0,
            watched: BTreeMap::new(),
            abandoned: BTreeSet::new(),
            leaving: VecDeque::new(),
            leave_sent: None,
        }
    }

    fn instance(&self) -> Option<String> {
        self.config.group_instance_id.as_ref().map(ToString::to_string)
    }

    fn tag(&self, token: u64) -> Tag {
        Tag { owner: Owner::Consumer(self.ix), token }
    }

    /// Whether commits may be made under this generation (contracts A15).
    pub(super) fn may_commit(&self) -> bool {
        self.generation >= 0 && matches!(self.state, State::Stable | State::Ready)
    }

    /// Whether nothing of a join is under way.
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.state, State::Out | State::Ready | State::Stable)
    }

    pub(super) fn wants_join_link(&self) -> bool {
        matches!(self.state, State::Ready | State::Joining(_) | State::ToSync(_) | State::Syncing(_))
    }

    /// Whether a member has to leave, or might have to.
    pub(super) fn is_leaving(&self) -> bool {
        !self.leaving.is_empty() || self.leave_sent.is_some() || !self.abandoned.is_empty()
    }

    pub(super) fn join(&mut self, reason: &str) {
        self.reason = reason.chars().take(REASON_MAX).collect();
        self.state = State::Ready;
        self.watched.clear();
    }

    /// What was under way without a request is begun anew.
    pub(super) fn restart(&mut self) {
        if matches!(self.state, State::Electing { .. } | State::ToSync(_) | State::Stable) {
            self.state = State::Ready;
        }
    }

    /// Ends the membership. `tell`: the coordinator is told, so that the others need not wait for the session's end.
    pub(super) fn leave(&mut self, reason: &str, tell: bool) {
        if let State::Joining(token) = self.state {
            if tell && self.member.is_empty() {
                self.abandoned.insert(token);
            }
        }
        if tell && !self.member.is_empty() {
            self.leaving.push_back((self.member.clone(), reason.chars().take(REASON_MAX).collect()));
        }
        self.forget(false);
        self.state = State::Out;
        self.due = None;
    }

    /// The generation is over.
    pub(super) fn forget(&mut self, keep_member: bool) {
        self.generation = -1;
        self.watched.clear();
        self.heartbeat.stop();
        if !keep_member {
            self.member = "".into();
        }
    }

    pub(super) fn poll_join(
        &mut self,
        link: &LinkFacts<'_>,
        cx: &mut Cx<'_>,
        topics: &BTreeSet<TopicIx>,
        token: u64,
    ) -> Option<Request> {
        match &self.state {
            State::Ready if self.due.is_none() => self.join_request(link, cx, topics, token),
            State::ToSync(_) => self.sync_request(link, token),
            _ => None,
        }
    }

    fn join_request(
        &mut self,
        link: &LinkFacts<'_>,
        cx: &mut Cx<'_>,
        topics: &BTreeSet<TopicIx>,
        token: u64,
    ) -> Option<Request> {
        let version = link.version::<JoinGroupRequest>()?;
        let subscription = ConsumerProtocolSubscription {
            topics: topics.iter().map(|ix| cx.names.topic_name(*ix).to_string()).collect(),
            generation_id: self.generation,
            rack_id: self.config.client_rack.as_ref().map(ToString::to_string),
            ..Default::default()
        };
        let metadata = encode_embedded(&subscription, SUBSCRIPTION_VERSION).ok()?;
        let protocol = |a: &crate::config::Assignor| JoinGroupRequestProtocol {
            name: a.name().to_owned(),
            metadata: metadata.clone(),
        };
        let request = JoinGroupRequest {
            group_id: self.group.to_string(),
            session_timeout_ms: millis(self.config.session_timeout),
            rebalance_timeout_ms: millis(self.config.max_poll_interval),
            member_id: self.member.to_string(),
            // Before that version there are no static members: it is an ordinary one then.
            group_instance_id: self.instance().filter(|_| version >= FIRST_WITH_INSTANCE),
            protocol_type: PROTOCOL_TYPE.to_owned(),
            protocols: self.config.assignors.iter().map(protocol).collect(),
            reason: Some(self.reason.clone()),
        };
        let timeout = self.config.max_poll_interval.saturating_add(JOIN_SLACK).max(self.config.request_timeout);
        let request = Request::versioned(self.tag(token), &request, version, timeout).ok()?;
        self.state = State::Joining(token);
        self.heartbeat.pause();
        cx.stats.rebalances += 1;
        Some(request)
    }

    fn sync_request(&mut self, link: &LinkFacts<'_>, token: u64) -> Option<Request> {
        let version = link.version::<SyncGroupRequest>()?;
        let State::ToSync(assignments) = &self.state else { return None };
        let request = SyncGroupRequest {
            group_id: self.group.to_string(),
            generation_id: self.generation,
            member_id: self.member.to_string(),
            group_instance_id: self.instance().filter(|_| version >= FIRST_SYNC_WITH_INSTANCE),
            protocol_type: Some(PROTOCOL_TYPE.to_owned()),
            protocol_name: self.protocol.clone(),
            assignments: assignments
                .iter()
                .map(|(member_id, assignment)| SyncGroupRequestAssignment {
                    member_id: member_id.clone(),
                    assignment: assignment.clone(),
                })
                .collect(),
        };
        let timeout = self.config.max_poll_interval.saturating_add(JOIN_SLACK).max(self.config.request_timeout);
        let request = Request::versioned(self.tag(token), &request, version, timeout).ok()?;
        self.state = State::Syncing(token);
        Some(request)
    }

    /// Heartbeats and leaves.
    pub(super) fn poll_group(&mut self, link: &LinkFacts<'_>, now: Time, token: u64) -> Option<Request> {
        if self.leave_sent.is_none() {
            if let Some((member, reason)) = self.leaving.front().cloned() {
                return self.leave_request(link, &member, reason, token);
            }
        }
        if self.generation < 0 || !self.heartbeat.is_wanted() {
            return None;
        }
        let version = link.version::<HeartbeatRequest>()?;
        let request = HeartbeatRequest {
            group_id: self.group.to_string(),
            generation_id: self.generation,
            member_id: self.member.to_string(),
            group_instance_id: self.instance().filter(|_| version >= FIRST_SYNC_WITH_INSTANCE),
        };
        let request = Request::versioned(self.tag(token), &request, version, self.config.request_timeout).ok()?;
        self.heartbeat.sent(now, token);
        Some(request)
    }

    fn leave_request(&mut self, link: &LinkFacts<'_>, member: &str, reason: String, token: u64) -> Option<Request> {
        let version = link.version::<LeaveGroupRequest>()?;
        let mut request = LeaveGroupRequest { group_id: self.group.to_string(), ..Default::default() };
        if version >= FIRST_LEAVE_BY_LIST {
            request.members = vec![MemberIdentity {
                member_id: member.to_owned(),
                group_instance_id: self.instance(),
                reason: Some(reason),
            }];
        } else {
            request.member_id = member.to_owned();
        }
        let request = Request::versioned(self.tag(token), &request, version, self.config.request_timeout).ok()?;
        self.leave_sent = Some(token);
        Some(request)
    }

    pub(super) fn is_leave(&self, token: u64) -> bool {
        self.leave_sent == Some(token)
    }

    /// A leave was answered, or was lost with its connection: then the session's end does it.
    pub(super) fn left(&mut self, token: u64) {
        if self.leave_sent.take_if(|sent| *sent == token).is_some() {
            self.leaving.pop_front();
        }
    }
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_made_in_a_generation_whose_share_is_known_or_not_yet_left() {
        let config = Arc::new(ConsumerConfig::default());
        let mut classic = Classic::new(ConsumerIx(0), config, "g".into());
        let electing = State::Electing { members: Vec::new(), unknown: BTreeSet::new(), deadline: Time(1) };
        for (state, may) in [
            (State::Out, false),
            (State::Ready, true),
            (State::Joining(1), false),
            (electing, false),
            (State::ToSync(Vec::new()), false),
            (State::Syncing(1), false),
            (State::Stable, true),
        ] {
            classic.state = state;
            classic.generation = 3;
            assert_eq!(classic.may_commit(), may, "{:?}", classic.state);
            classic.generation = -1;
            assert!(!classic.may_commit(), "{:?} without a generation", classic.state);
        }
    }
}
