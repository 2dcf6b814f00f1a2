//! ListGroups (broker-coord 6.6).

use super::spoil;
use crate::answer::{Answer, Call, Respond, Serve};
use crate::state::State;
use klamm_core::ErrorCode;
use klamm_core::wire::messages::list_groups::ListedGroup;
use klamm_core::wire::messages::{ListGroupsRequest, ListGroupsResponse};

fn passes(filter: &[String], value: &str) -> bool {
    filter.is_empty() || filter.iter().any(|word| word.eq_ignore_ascii_case(value))
}

impl Serve for ListGroupsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<ListGroupsResponse> {
        let mut groups = Vec::new();
        for (id, group) in state.groups.iter() {
            match state.coordinates(call.broker, id) {
                Ok(()) => {}
                // 1.5: it fails as a whole while any of its partitions is being loaded.
                Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS) => {
                    return Answer::Now(self.refuse(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS));
                }
                Err(_) => continue,
            }
            let phase = group.phase.name();
            if passes(&self.states_filter, phase) && passes(&self.types_filter, "classic") {
                groups.push(ListedGroup {
                    group_id: id.to_owned(),
                    protocol_type: group.protocol_type.clone().unwrap_or_default(),
                    group_state: phase.to_owned(),
                    group_type: "classic".to_owned(),
                });
            }
        }
        Answer::Now(ListGroupsResponse { groups, ..Default::default() })
    }

    fn refuse(&self, error_code: ErrorCode) -> ListGroupsResponse {
        ListGroupsResponse { error_code, ..Default::default() }
    }
}

impl Respond for ListGroupsResponse {
    fn fail(&mut self, code: ErrorCode) {
        spoil(&mut self.error_code, code);
    }
    fn omit(&mut self) {
        self.groups.pop();
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
