//! JoinGroup (broker-coord 2.2).

use crate::answer::{Answer, Call, Respond, Serve};
use crate::groups::join::{Join, Joined};
use crate::state::State;
use klamm_core::ErrorCode;
use klamm_core::wire::messages::join_group::JoinGroupResponseMember;
use klamm_core::wire::messages::{JoinGroupRequest, JoinGroupResponse};
use std::time::Duration;

/// The answer as that version has it.
pub(crate) fn response(joined: Joined, version: i16) -> JoinGroupResponse {
    let protocol_name = if version >= 7 { joined.protocol } else { Some(joined.protocol.unwrap_or_default()) };
    let members = joined.peers.into_iter().map(|peer| JoinGroupResponseMember {
        member_id: peer.id,
        group_instance_id: peer.instance,
        metadata: peer.metadata,
    });
    JoinGroupResponse {
        throttle_time_ms: 0,
        error_code: joined.code,
        generation_id: joined.generation,
        protocol_type: joined.protocol_type,
        protocol_name,
        leader: joined.leader,
        skip_assignment: joined.skip_assignment && version >= 9,
        member_id: joined.member,
        members: members.collect(),
    }
}

fn millis(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

impl Serve for JoinGroupRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<JoinGroupResponse> {
        let refuse = |code| Answer::Now(response(Joined::failed(code, &self.member_id), call.version));
        if self.group_id.is_empty() {
            return refuse(ErrorCode::INVALID_GROUP_ID);
        }
        let session = millis(self.session_timeout_ms);
        if !(state.settings.group_min_session..=state.settings.group_max_session).contains(&session) {
            return refuse(ErrorCode::INVALID_SESSION_TIMEOUT);
        }
        if let Err(code) = state.check_group(call.broker, &self.group_id) {
            return refuse(code);
        }
        // #5: a member id never creates a group.
        if !self.member_id.is_empty() && state.groups.get(&self.group_id).is_none() {
            return refuse(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        let join = Join {
            ticket: call.ticket,
            version: call.version,
            client_id: call.client_id.clone(),
            member: self.member_id.clone(),
            instance: self.group_instance_id.clone(),
            session_timeout: session,
            // Version 0 has no timeout of its own for rebalances.
            rebalance_timeout: if call.version == 0 { session } else { millis(self.rebalance_timeout_ms) },
            protocol_type: self.protocol_type.clone(),
            protocols: self.protocols.iter().map(|p| (p.name.clone(), p.metadata.clone())).collect(),
            fresh: state.new_uuid_text(),
        };
        let mut env = state.env();
        let joined = state.groups.make(&self.group_id, env.now).join(join, &mut env);
        state.deliver(env);
        match joined {
            Some(joined) => Answer::Now(response(joined, call.version)),
            None => Answer::Parked,
        }
    }

    fn refuse(&self, code: ErrorCode) -> JoinGroupResponse {
        let failed = Joined::failed(code, &self.member_id);
        // An empty name fits every version.
        JoinGroupResponse { protocol_name: Some(String::new()), ..response(failed, 9) }
    }
}

impl Respond for JoinGroupResponse {
    fn fail(&mut self, code: ErrorCode) {
        if self.error_code.is_ok() {
            let failed = Joined::failed(code, &self.member_id);
            *self = JoinGroupResponse { protocol_name: Some(String::new()), ..response(failed, 9) };
        }
    }
    fn omit(&mut self) {
        self.members.pop();
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
