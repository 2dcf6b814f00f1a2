//! LeaveGroup (broker-coord 2.7).

use super::spoil;
use crate::answer::{Answer, Call, Respond, Serve};
use crate::state::State;
use klamm_core::ErrorCode;
use klamm_core::wire::messages::leave_group::{MemberIdentity, MemberResponse};
use klamm_core::wire::messages::{LeaveGroupRequest, LeaveGroupResponse};

fn told(member: &MemberIdentity, error_code: ErrorCode) -> MemberResponse {
    MemberResponse {
        member_id: member.member_id.clone(),
        group_instance_id: member.group_instance_id.clone(),
        error_code,
    }
}

impl Serve for LeaveGroupRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<LeaveGroupResponse> {
        if let Err(code) = state.check_group(call.broker, &self.group_id) {
            return Answer::Now(self.refuse(code));
        }
        let single = MemberIdentity { member_id: self.member_id.clone(), ..Default::default() };
        let leavers = if call.version >= 3 { self.members } else { vec![single] };
        let mut env = state.env();
        let mut members = Vec::new();
        match state.groups.get_mut(&self.group_id) {
            None => members.extend(leavers.iter().map(|m| told(m, ErrorCode::UNKNOWN_MEMBER_ID))),
            Some(group) => {
                for leaver in &leavers {
                    let code = group.leave(&leaver.member_id, leaver.group_instance_id.as_deref(), &mut env);
                    members.push(told(leaver, code));
                }
                if members.iter().any(|m| m.error_code.is_ok()) {
                    group.after_leaving(&mut env);
                }
            }
        }
        state.deliver(env);
        // Errors stand at the member from version 3 on, at the top before.
        if call.version >= 3 {
            return Answer::Now(LeaveGroupResponse { members, ..Default::default() });
        }
        let error_code = members.first().map_or(ErrorCode::NONE, |m| m.error_code);
        Answer::Now(LeaveGroupResponse { error_code, ..Default::default() })
    }

    fn refuse(&self, error_code: ErrorCode) -> LeaveGroupResponse {
        LeaveGroupResponse { error_code, ..Default::default() }
    }
}

impl Respond for LeaveGroupResponse {
    fn fail(&mut self, code: ErrorCode) {
        spoil(&mut self.error_code, code);
    }
    fn omit(&mut self) {
        self.members.pop();
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
