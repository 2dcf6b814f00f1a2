//! The control plane of the model: a classic group with our member and another one, and its offsets.

use crate::wire::messages::consumer_protocol_assignment::TopicPartition;
use crate::wire::messages::join_group::JoinGroupResponseMember;
use crate::wire::messages::offset_commit::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use crate::wire::messages::offset_fetch::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use crate::wire::messages::*;
use crate::wire::{decode_embedded, encode_embedded};
use crate::{ErrorCode, Time};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;

/// The id of the other member, which the model plays itself.
pub(super) const OTHER: &str = "other";

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Phase {
    Empty,
    Preparing,
    Completing,
    Stable,
}

#[derive(Debug)]
pub(super) struct Seat {
    pub(super) metadata: Bytes,
    joined: bool,
    pub(super) alive: Time,
    session: Duration,
    rebalance: Duration,
    assignment: Bytes,
}

/// The group.
pub(super) struct Group {
    pub(super) phase: Phase,
    pub(super) generation: i32,
    pub(super) seats: BTreeMap<String, Seat>,
    leader: String,
    since: Time,
    ids: u32,
    pub(super) committed: BTreeMap<i32, i64>,
    pub(super) joins: u32,
    pub(super) leaves: u32,
}

impl Group {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Empty,
            generation: 0,
            seats: BTreeMap::new(),
            leader: String::new(),
            since: Time::ZERO,
            ids: 0,
            committed: BTreeMap::new(),
            joins: 0,
            leaves: 0,
        }
    }

    pub(super) fn prepare(&mut self, now: Time) {
        self.phase = if self.seats.is_empty() { Phase::Empty } else { Phase::Preparing };
        self.since = now;
        for seat in self.seats.values_mut() {
            seat.joined = false;
        }
    }

    /// The other member comes or goes.
    pub(super) fn toggle_other(&mut self, now: Time) {
        if self.seats.remove(OTHER).is_none() {
            let subscription = ConsumerProtocolSubscription { topics: vec!["t".into()], ..Default::default() };
            let seat = Seat {
                metadata: encode_embedded(&subscription, 1).unwrap(),
                joined: false,
                alive: now,
                session: Duration::from_secs(1_000_000),
                rebalance: Duration::from_secs(10),
                assignment: Bytes::new(),
            };
            self.seats.insert(OTHER.into(), seat);
        }
        self.prepare(now);
    }

    pub(super) fn tick(&mut self, now: Time) {
        let before = self.seats.len();
        let parked = self.phase == Phase::Preparing;
        self.seats.retain(|id, s| id == OTHER || (parked && s.joined) || s.alive + s.session > now);
        if self.seats.len() != before {
            self.prepare_keeping(now);
        }
        if let Some(other) = self.seats.get_mut(OTHER) {
            other.joined = true;
        }
        let patience = self.seats.values().map(|s| s.rebalance).max().unwrap_or_default();
        if self.phase == Phase::Preparing {
            let late = self.since + patience <= now;
            if late {
                self.seats.retain(|_, s| s.joined);
            }
            if self.seats.is_empty() {
                self.phase = Phase::Empty;
            } else if self.seats.values().all(|s| s.joined) {
                self.phase = Phase::Completing;
                self.generation += 1;
                if !self.seats.contains_key(&self.leader) {
                    self.leader = self.seats.keys().next().unwrap().clone();
                }
                for seat in self.seats.values_mut() {
                    seat.alive = now;
                }
                self.since = now;
                if self.leader == OTHER {
                    self.assign_as_other();
                }
            }
        } else if self.phase == Phase::Completing && self.since + patience <= now {
            // The leader never synced.
            let leader = self.leader.clone();
            self.seats.remove(&leader);
            self.prepare(now);
        }
    }

    fn prepare_keeping(&mut self, now: Time) {
        if self.phase != Phase::Preparing {
            self.prepare(now);
        }
    }

    fn assign_as_other(&mut self) {
        let n = self.seats.len() as i32;
        for (place, seat) in (0..).zip(self.seats.values_mut()) {
            let partitions = (0..super::world::PARTITIONS).filter(|p| p % n == place).collect();
            let assignment = ConsumerProtocolAssignment {
                assigned_partitions: vec![TopicPartition { topic: "t".into(), partitions }],
                ..Default::default()
            };
            seat.assignment = encode_embedded(&assignment, 0).unwrap();
        }
        self.phase = Phase::Stable;
    }

    /// What the other member owns.
    pub(super) fn others(&self) -> Vec<i32> {
        let seat = self.seats.get(OTHER).filter(|_| self.phase == Phase::Stable);
        let assignment = seat.map(|s| &s.assignment).filter(|a| !a.is_empty());
        let assignment = assignment.map(|a| decode_embedded::<ConsumerProtocolAssignment>(a).unwrap().1);
        assignment.into_iter().flat_map(|a| a.assigned_partitions).flat_map(|t| t.partitions).collect()
    }

    /// `None`: parked.
    pub(super) fn join(&mut self, now: Time, request: &JoinGroupRequest, first: bool) -> Option<JoinGroupResponse> {
        let error = |code: i16, id: &str| {
            let (error_code, member_id) = (ErrorCode(code), id.to_owned());
            Some(JoinGroupResponse { error_code, member_id, generation_id: -1, ..Default::default() })
        };
        if first {
            self.joins += 1;
            if request.member_id.is_empty() {
                self.ids += 1;
                return error(79, &format!("c-{}", self.ids));
            }
            let known = self.seats.contains_key(&request.member_id);
            let pending = request.member_id == format!("c-{}", self.ids);
            if !known && !pending {
                return error(25, "");
            }
            let seat = Seat {
                metadata: request.protocols[0].metadata.clone(),
                joined: true,
                alive: now,
                session: Duration::from_millis(request.session_timeout_ms as u64),
                rebalance: Duration::from_millis(request.rebalance_timeout_ms as u64),
                assignment: Bytes::new(),
            };
            self.seats.insert(request.member_id.clone(), seat);
            if self.phase != Phase::Preparing {
                self.prepare(now);
            }
            self.seats.get_mut(&request.member_id).unwrap().joined = true;
            return None;
        }
        if !self.seats.contains_key(&request.member_id) {
            return error(25, "");
        }
        if self.phase == Phase::Preparing {
            return None;
        }
        let leads = self.leader == request.member_id;
        let member = |(id, s): (&String, &Seat)| JoinGroupResponseMember {
            member_id: id.clone(),
            metadata: s.metadata.clone(),
            ..Default::default()
        };
        Some(JoinGroupResponse {
            generation_id: self.generation,
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            leader: self.leader.clone(),
            member_id: request.member_id.clone(),
            members: if leads { self.seats.iter().map(member).collect() } else { Vec::new() },
            ..Default::default()
        })
    }

    fn check(&self, member: &str, generation: i32) -> ErrorCode {
        match () {
            () if !self.seats.contains_key(member) || self.phase == Phase::Empty => ErrorCode(25),
            () if generation != self.generation => ErrorCode(22),
            () => ErrorCode::NONE,
        }
    }

    /// `None`: parked.
    pub(super) fn sync(&mut self, now: Time, request: &SyncGroupRequest) -> Option<SyncGroupResponse> {
        let mut code = self.check(&request.member_id, request.generation_id);
        if code.is_ok() && self.phase == Phase::Preparing {
            code = ErrorCode(27);
        }
        if !code.is_ok() {
            return Some(SyncGroupResponse { error_code: code, ..Default::default() });
        }
        if self.phase == Phase::Completing && self.leader == request.member_id {
            for one in &request.assignments {
                if let Some(seat) = self.seats.get_mut(&one.member_id) {
                    seat.assignment = one.assignment.clone();
                }
            }
            self.phase = Phase::Stable;
        }
        if self.phase == Phase::Completing {
            return None;
        }
        let seat = self.seats.get_mut(&request.member_id).unwrap();
        seat.alive = now;
        Some(SyncGroupResponse { assignment: seat.assignment.clone(), ..Default::default() })
    }

    pub(super) fn heartbeat(&mut self, now: Time, request: &HeartbeatRequest) -> HeartbeatResponse {
        let mut code = self.check(&request.member_id, request.generation_id);
        if code.is_ok() {
            self.seats.get_mut(&request.member_id).unwrap().alive = now;
            if self.phase == Phase::Preparing {
                code = ErrorCode(27);
            }
        }
        HeartbeatResponse { error_code: code, ..Default::default() }
    }

    pub(super) fn leave(&mut self, now: Time, request: &LeaveGroupRequest) -> LeaveGroupResponse {
        for member in &request.members {
            if self.seats.remove(&member.member_id).is_some() {
                self.leaves += 1;
                self.prepare_keeping(now);
            }
        }
        LeaveGroupResponse::default()
    }

    /// The answer, and the offsets that were taken.
    pub(super) fn commit(
        &mut self,
        now: Time,
        request: &OffsetCommitRequest,
        fault: Option<ErrorCode>,
    ) -> (OffsetCommitResponse, Vec<(i32, i64)>) {
        let mut code = self.check(&request.member_id, request.generation_id_or_member_epoch);
        if request.generation_id_or_member_epoch < 0 {
            code = if self.seats.is_empty() { ErrorCode::NONE } else { ErrorCode(25) };
        } else {
            // Who names this generation has heard of it by its join, and of its share by nothing yet.
            assert!(!code.is_ok() || self.phase != Phase::Completing, "a commit between join and sync");
        }
        if code.is_ok() {
            code = fault.unwrap_or(code);
        }
        let mut taken = Vec::new();
        let mut answer = OffsetCommitResponse::default();
        for topic in &request.topics {
            let one = |p: &offset_commit::OffsetCommitRequestPartition| {
                if code.is_ok() {
                    taken.push((p.partition_index, p.committed_offset));
                }
                OffsetCommitResponsePartition { partition_index: p.partition_index, error_code: code }
            };
            let partitions = topic.partitions.iter().map(one).collect();
            answer.topics.push(OffsetCommitResponseTopic {
                name: topic.name.clone(),
                partitions,
                ..Default::default()
            });
        }
        if let Some(seat) = self.seats.get_mut(&request.member_id).filter(|_| code.is_ok()) {
            seat.alive = now;
        }
        self.committed.extend(taken.iter().copied());
        (answer, taken)
    }

    pub(super) fn fetch(&self, request: &OffsetFetchRequest, fault: Option<ErrorCode>) -> OffsetFetchResponse {
        assert!(request.require_stable);
        let (mut group, code) = (OffsetFetchResponseGroup::default(), fault.unwrap_or(ErrorCode::NONE));
        let unstable = code == ErrorCode::UNSTABLE_OFFSET_COMMIT;
        group.error_code = if unstable { ErrorCode::NONE } else { code };
        for topic in request.groups[0].topics.iter().flatten() {
            let one = |n: &i32| OffsetFetchResponsePartitions {
                partition_index: *n,
                committed_offset: if code.is_ok() { self.committed.get(n).copied().unwrap_or(-1) } else { -1 },
                committed_leader_epoch: -1,
                error_code: if unstable { code } else { ErrorCode::NONE },
                ..Default::default()
            };
            let partitions =
                if code.is_ok() || unstable { topic.partition_indexes.iter().map(one).collect() } else { Vec::new() };
            group.topics.push(OffsetFetchResponseTopics { name: topic.name.clone(), partitions, ..Default::default() });
        }
        OffsetFetchResponse { groups: vec![group], ..Default::default() }
    }
}
