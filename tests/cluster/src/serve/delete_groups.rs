//! DeleteGroups (broker-coord 3.5).

use super::spoil;
use crate::answer::{Answer, Call, Respond, Serve};
use crate::groups::group::Phase;
use crate::state::State;
use klamm_core::ErrorCode;
use klamm_core::wire::messages::delete_groups::DeletableGroupResult;
use klamm_core::wire::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

fn told(id: &str, error_code: ErrorCode) -> DeletableGroupResult {
    let error_message = (!error_code.is_ok()).then(|| error_code.to_string());
    DeletableGroupResult { group_id: id.to_owned(), error_code, error_message }
}

impl Serve for DeleteGroupsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<DeleteGroupsResponse> {
        let mut results = Vec::new();
        for id in &self.groups_names {
            let code = match (state.coordinates(call.broker, id), state.groups.get(id)) {
                (Err(code), _) => code,
                (Ok(()), None) => ErrorCode::GROUP_ID_NOT_FOUND,
                (Ok(()), Some(group)) if group.phase != Phase::Empty => ErrorCode::NON_EMPTY_GROUP,
                (Ok(()), Some(_)) => {
                    state.groups.remove(id);
                    ErrorCode::NONE
                }
            };
            results.push(told(id, code));
        }
        Answer::Now(DeleteGroupsResponse { results, ..Default::default() })
    }

    fn refuse(&self, code: ErrorCode) -> DeleteGroupsResponse {
        let results = self.groups_names.iter().map(|id| told(id, code)).collect();
        DeleteGroupsResponse { results, ..Default::default() }
    }
}

impl Respond for DeleteGroupsResponse {
    fn fail(&mut self, code: ErrorCode) {
        for result in &mut self.results {
            spoil(&mut result.error_code, code);
        }
    }
    fn omit(&mut self) {
        self.results.pop();
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
