//! The coordinator's answers to a classic member: a new generation, its leader's work, what an error leaves.

use super::assign::Member;
use super::classic::{Classic, ELECTION_PATIENCE, Outcome, State};
use super::verdict::{Asked, Next, verdict};
use crate::client::role::{Cx, News, RequestError, Response};
use crate::wire::messages::consumer_protocol_assignment::TopicPartition;
use crate::wire::messages::join_group::JoinGroupResponse;
use crate::wire::messages::sync_group::SyncGroupResponse;
use crate::wire::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, HeartbeatRequest, JoinGroupRequest, SyncGroupRequest,
};
use crate::wire::{decode_embedded, encode_embedded};
use crate::{Error, ErrorCode, ErrorKind, TopicIx};
use std::collections::{BTreeMap, BTreeSet};

/// As Java writes it.
const ASSIGNMENT_VERSION: i16 = 3;

impl Classic {
    pub(super) fn joined(
        &mut self,
        cx: &mut Cx<'_>,
        token: u64,
        result: Result<Response, RequestError>,
    ) -> (Outcome, ErrorCode) {
        let answer = result.map(|r| r.decode::<JoinGroupRequest>());
        if self.abandoned.remove(&token) {
            if let Ok(Ok(answer)) = answer {
                if !answer.member_id.is_empty() {
                    self.leaving.push_back((answer.member_id.into(), "the consumer went while it joined".into()));
                }
            }
            return (Outcome::Nothing, ErrorCode::NONE);
        }
        if self.state != State::Joining(token) {
            return (Outcome::Nothing, ErrorCode::NONE);
        }
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                cx.news.push(News::Undecodable { error });
                return self.again(cx, Asked::Join, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, "");
            }
            Err(_) => return self.again(cx, Asked::Join, ErrorCode::COORDINATOR_NOT_AVAILABLE, ""),
        };
        if !answer.error_code.is_ok() {
            return self.again(cx, Asked::Join, answer.error_code, &answer.member_id);
        }
        self.attempts = 0;
        let member = answer.member_id.as_str().into();
        if self.held.as_ref().is_some_and(|(held, generation)| *held == member && *generation == answer.generation_id) {
            // The coordinator never missed us. The offsets that are committed now may be older than those in a transaction
            // that the application has still open as this very member: only another one keeps them apart.
            self.member = member;
            self.leave("the session timed out", self.config.group_instance_id.is_none());
            self.held = None;
            self.state = State::Ready;
            return (Outcome::Nothing, ErrorCode::NONE);
        }
        self.member = member;
        self.generation = answer.generation_id;
        self.protocol = answer.protocol_name.clone();
        self.heartbeat.start(cx.now.mono);
        let leads = answer.leader == answer.member_id;
        self.state = State::ToSync(Vec::new());
        if leads {
            if let Err(error) = self.elect(cx, answer) {
                return (Outcome::Failed(error), ErrorCode::NONE);
            }
        }
        (Outcome::Nothing, ErrorCode::NONE)
    }

    /// The leader gets to know the members.
    fn elect(&mut self, cx: &mut Cx<'_>, answer: JoinGroupResponse) -> Result<(), Error> {
        let mut members = Vec::new();
        for m in answer.members {
            let (_, subscription) = decode_embedded::<ConsumerProtocolSubscription>(&m.metadata).map_err(|e| {
                let text = format!("the subscription of member {} makes no sense: {e}", m.member_id);
                Error::new(ErrorKind::Corrupt, text).with_api("JoinGroup")
            })?;
            let topics = subscription.topics.into_iter().collect();
            members.push(Member { id: m.member_id, instance: m.group_instance_id, topics });
        }
        let topics: BTreeSet<TopicIx> = members.iter().flat_map(|m| &m.topics).map(|t| cx.names.topic(t)).collect();
        let count = |ix: &TopicIx| cx.view.topic(*ix).map_or(0, |t| t.partitions.len());
        self.watched = topics.iter().map(|ix| (*ix, count(ix))).collect();
        if answer.skip_assignment {
            // KIP-814: what the group has stays; only new partitions make the leader ask for a rebalance.
            return Ok(());
        }
        let unknown = topics.into_iter().filter(|ix| cx.view.topic(*ix).is_none()).collect();
        let deadline = cx.now.mono + ELECTION_PATIENCE;
        self.state = State::Electing { members, unknown, deadline };
        Ok(())
    }

    /// Makes the assignment as soon as every topic is known, or known not to be there.
    pub(super) fn try_assign(&mut self, cx: &Cx<'_>) -> Result<(), Error> {
        let State::Electing { members, unknown, deadline } = &mut self.state else { return Ok(()) };
        unknown.retain(|ix| cx.view.topic(*ix).is_none());
        if !unknown.is_empty() && *deadline > cx.now.mono {
            return Ok(());
        }
        let mut counts = BTreeMap::new();
        for (ix, count) in &mut self.watched {
            *count = cx.view.topic(*ix).map_or(0, |t| t.partitions.len());
            counts.insert(cx.names.topic_name(*ix).to_string(), *count);
        }
        // The group chose among what all members can do, so among what this one can: that is range.
        let shares = super::assign::range(members, &counts);
        let mut out = Vec::with_capacity(shares.len());
        for (member, topics) in shares {
            let assigned = topics.into_iter().map(|(topic, partitions)| TopicPartition { topic, partitions });
            let assignment =
                ConsumerProtocolAssignment { assigned_partitions: assigned.collect(), ..Default::default() };
            let bytes = encode_embedded(&assignment, ASSIGNMENT_VERSION)
                .map_err(|e| Error::new(ErrorKind::Unsupported, format!("the assignment cannot be written: {e}")))?;
            out.push((member, bytes));
        }
        self.state = State::ToSync(out);
        Ok(())
    }

    /// Topics that a leader has to know.
    pub(super) fn failed_topics(&mut self, failed: &[(TopicIx, ErrorCode)]) {
        if let State::Electing { unknown, .. } = &mut self.state {
            unknown.retain(|ix| failed.iter().all(|(f, _)| f != ix));
        }
    }

    pub(super) fn synced(
        &mut self,
        cx: &mut Cx<'_>,
        token: u64,
        result: Result<Response, RequestError>,
    ) -> (Outcome, ErrorCode) {
        if self.state != State::Syncing(token) {
            return (Outcome::Nothing, ErrorCode::NONE);
        }
        let answer = match result.map(|r| r.decode::<SyncGroupRequest>()) {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                cx.news.push(News::Undecodable { error });
                return self.again(cx, Asked::Sync, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, "");
            }
            Err(_) => return self.again(cx, Asked::Sync, ErrorCode::COORDINATOR_NOT_AVAILABLE, ""),
        };
        if !answer.error_code.is_ok() {
            return self.again(cx, Asked::Sync, answer.error_code, "");
        }
        if self.generation < 0 {
            // The session ended, as far as we could know, while this was on its way.
            return self.again(cx, Asked::Sync, ErrorCode::ILLEGAL_GENERATION, "");
        }
        match read_assignment(&answer) {
            Ok(partitions) => {
                self.attempts = 0;
                self.held = (!partitions.is_empty()).then(|| (self.member.clone(), self.generation));
                self.state = State::Stable;
                self.heartbeat.start(cx.now.mono);
                (Outcome::Assigned(partitions), ErrorCode::NONE)
            }
            // Perhaps the leader's mistake: another rebalance may mend it, in its time.
            Err(_) => self.again(cx, Asked::Sync, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, ""),
        }
    }

    pub(super) fn beaten(
        &mut self,
        cx: &mut Cx<'_>,
        token: u64,
        result: Result<Response, RequestError>,
    ) -> (Outcome, ErrorCode) {
        let code = match result.map(|r| r.decode::<HeartbeatRequest>()) {
            Ok(Ok(answer)) => answer.error_code,
            Ok(Err(error)) => {
                cx.news.push(News::Undecodable { error });
                ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
            }
            Err(_) => ErrorCode::COORDINATOR_NOT_AVAILABLE,
        };
        let alive = code.is_ok() || code == ErrorCode::REBALANCE_IN_PROGRESS;
        if !self.heartbeat.answered(cx.now.mono, token, alive, self.config.retry_backoff) {
            return (Outcome::Nothing, ErrorCode::NONE);
        }
        cx.stats.heartbeats += u64::from(alive);
        if code.is_ok() {
            return (Outcome::Nothing, code);
        }
        // Between join and sync the sync itself will say it (GR-06).
        if code == ErrorCode::REBALANCE_IN_PROGRESS && self.state != State::Stable {
            return (Outcome::Nothing, code);
        }
        self.verdict_of(cx, Asked::Heartbeat, code, "")
    }

    /// The same again, or from the start, as the table says.
    fn again(&mut self, cx: &mut Cx<'_>, asked: Asked, code: ErrorCode, id: &str) -> (Outcome, ErrorCode) {
        self.state = State::Ready;
        let next = verdict(asked, code).next;
        let at_once = next == Next::JoinAs || (next == Next::Join && code == ErrorCode::UNKNOWN_MEMBER_ID);
        if !at_once {
            let (first, max) = (self.config.retry_backoff, self.config.retry_backoff_max);
            self.due = Some(cx.now.mono + cx.rng.backoff(first, max, self.attempts));
            self.attempts = self.attempts.saturating_add(1);
        }
        self.verdict_of(cx, asked, code, id)
    }

    pub(super) fn verdict_of(
        &mut self,
        cx: &mut Cx<'_>,
        asked: Asked,
        code: ErrorCode,
        id: &str,
    ) -> (Outcome, ErrorCode) {
        let v = verdict(asked, code);
        let had = self.generation >= 0;
        if !v.generation {
            self.forget(v.member);
        }
        let outcome = match v.next {
            Next::Retry | Next::Rediscover | Next::Report => Outcome::Nothing,
            Next::JoinAs => {
                self.member = id.into();
                Outcome::Nothing
            }
            Next::Join if v.owned => Outcome::Rebalance,
            Next::Join if had => Outcome::Lost(code),
            Next::Join => Outcome::Nothing,
            Next::Tell => {
                self.due = Some(cx.now.mono + super::arrival::hopeless(self.attempts));
                self.attempts = self.attempts.saturating_add(1);
                Outcome::Failed(Error::from_code(code).with_api(match asked {
                    Asked::Join => "JoinGroup",
                    Asked::Sync => "SyncGroup",
                    Asked::Heartbeat => "Heartbeat",
                    Asked::Commit => "OffsetCommit",
                }))
            }
            Next::Fenced => {
                self.state = State::Out;
                let text = format!("another consumer with the same group.instance.id joined group \"{}\"", self.group);
                let error = Error::new(ErrorKind::Fenced, text).with_source(Error::from_code(code));
                Outcome::Fenced(error.with_hint("give every instance a group.instance.id of its own").with_fatal())
            }
        };
        (outcome, code)
    }
}

fn read_assignment(answer: &SyncGroupResponse) -> Result<Vec<(String, i32)>, crate::wire::DecodeError> {
    // No bytes: the leader did not know of this member, so there is nothing for it.
    if answer.assignment.is_empty() {
        return Ok(Vec::new());
    }
    let (_, assignment) = decode_embedded::<ConsumerProtocolAssignment>(&answer.assignment)?;
    let partitions = assignment.assigned_partitions.into_iter();
    Ok(partitions.flat_map(|t| t.partitions.into_iter().map(move |n| (t.topic.clone(), n))).collect())
}
