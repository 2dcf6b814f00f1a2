//! SyncGroup (broker-coord 2.5).

use crate::answer::{Answer, Call, Respond, Serve};
use crate::groups::sync::{Sync, Synced};
use crate::state::State;
use klamm_core::ErrorCode;
use klamm_core::wire::messages::{SyncGroupRequest, SyncGroupResponse};

/// The answer on the wire.
pub(crate) fn response(synced: Synced) -> SyncGroupResponse {
    SyncGroupResponse {
        throttle_time_ms: 0,
        error_code: synced.code,
        protocol_type: synced.protocol_type,
        protocol_name: synced.protocol,
        assignment: synced.assignment,
    }
}

impl Serve for SyncGroupRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<SyncGroupResponse> {
        // 1: before everything else.
        if call.version >= 5 && (self.protocol_type.is_none() || self.protocol_name.is_none()) {
            return Answer::Now(self.refuse(ErrorCode::INCONSISTENT_GROUP_PROTOCOL));
        }
        if let Err(code) = state.check_group(call.broker, &self.group_id) {
            return Answer::Now(self.refuse(code));
        }
        let mut env = state.env();
        let Some(group) = state.groups.get_mut(&self.group_id) else {
            return Answer::Now(self.refuse(ErrorCode::UNKNOWN_MEMBER_ID));
        };
        let sync = Sync {
            ticket: call.ticket,
            member: self.member_id,
            instance: self.group_instance_id,
            generation: self.generation_id,
            protocol_type: self.protocol_type,
            protocol: self.protocol_name,
            assignments: self.assignments.into_iter().map(|a| (a.member_id, a.assignment)).collect(),
        };
        let synced = group.sync(sync, &mut env);
        state.deliver(env);
        match synced {
            Some(synced) => Answer::Now(response(synced)),
            None => Answer::Parked,
        }
    }

    fn refuse(&self, code: ErrorCode) -> SyncGroupResponse {
        response(Synced::failed(code))
    }
}

impl Respond for SyncGroupResponse {
    fn fail(&mut self, code: ErrorCode) {
        if self.error_code.is_ok() {
            *self = response(Synced::failed(code));
        }
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
