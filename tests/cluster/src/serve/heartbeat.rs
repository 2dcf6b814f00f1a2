//! Heartbeat (broker-coord 2.6).

use super::spoil;
use crate::answer::{Answer, Call, Respond, Serve};
use crate::state::State;
use klamm_core::ErrorCode;
use klamm_core::wire::messages::{HeartbeatRequest, HeartbeatResponse};

impl Serve for HeartbeatRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<HeartbeatResponse> {
        let error_code = match state.check_group(call.broker, &self.group_id) {
            // 1.5: while the group is being loaded a heartbeat is fine.
            Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS) => ErrorCode::NONE,
            Err(code) => code,
            Ok(()) => {
                let env = state.env();
                match state.groups.get_mut(&self.group_id) {
                    None => ErrorCode::UNKNOWN_MEMBER_ID,
                    Some(group) => {
                        group.heartbeat(&self.member_id, self.group_instance_id.as_deref(), self.generation_id, &env)
                    }
                }
            }
        };
        Answer::Now(self.refuse(error_code))
    }

    fn refuse(&self, error_code: ErrorCode) -> HeartbeatResponse {
        HeartbeatResponse { error_code, ..Default::default() }
    }
}

impl Respond for HeartbeatResponse {
    fn fail(&mut self, code: ErrorCode) {
        spoil(&mut self.error_code, code);
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
