//! DeleteAcls (broker-coord 6.5).

use super::spoil;
use crate::acls::{Binding, Filter};
use crate::answer::{Answer, Call, Respond, Serve};
use crate::state::State;
use klamm_core::ErrorCode;
use klamm_core::wire::messages::delete_acls::{DeleteAclsFilter, DeleteAclsFilterResult, DeleteAclsMatchingAcl};
use klamm_core::wire::messages::{DeleteAclsRequest, DeleteAclsResponse};

fn filter(asked: &DeleteAclsFilter) -> Filter {
    Filter {
        kind: asked.resource_type_filter,
        name: asked.resource_name_filter.clone(),
        pattern: asked.pattern_type_filter,
        principal: asked.principal_filter.clone(),
        host: asked.host_filter.clone(),
        operation: asked.operation,
        permission: asked.permission_type,
    }
}

fn removed(binding: Binding) -> DeleteAclsMatchingAcl {
    DeleteAclsMatchingAcl {
        error_code: ErrorCode::NONE,
        error_message: None,
        resource_type: binding.resource.kind,
        resource_name: binding.resource.name,
        pattern_type: binding.resource.pattern,
        principal: binding.principal,
        host: binding.host,
        operation: binding.operation,
        permission_type: binding.permission,
    }
}

fn failed(error_code: ErrorCode) -> DeleteAclsFilterResult {
    DeleteAclsFilterResult { error_code, error_message: Some(error_code.to_string()), matching_acls: Vec::new() }
}

impl Serve for DeleteAclsRequest {
    fn serve(self, state: &mut State, _: &Call) -> Answer<DeleteAclsResponse> {
        if !state.settings.acls {
            return Answer::Now(self.refuse(ErrorCode::SECURITY_DISABLED));
        }
        let filters: Vec<Filter> = self.filters.iter().map(filter).collect();
        // Every filter looks at what was there before any of them deleted.
        let found: Vec<Vec<Binding>> = filters.iter().map(|filter| state.acls.find(filter)).collect();
        let mut filter_results = Vec::new();
        for (filter, bindings) in filters.iter().zip(found) {
            if filter.is_unknown() {
                filter_results.push(failed(ErrorCode::INVALID_REQUEST));
                continue;
            }
            for binding in &bindings {
                state.acls.remove(binding);
            }
            let matching_acls = bindings.into_iter().map(removed).collect();
            filter_results.push(DeleteAclsFilterResult { matching_acls, ..Default::default() });
        }
        Answer::Now(DeleteAclsResponse { filter_results, ..Default::default() })
    }

    fn refuse(&self, code: ErrorCode) -> DeleteAclsResponse {
        let filter_results = self.filters.iter().map(|_| failed(code)).collect();
        DeleteAclsResponse { filter_results, ..Default::default() }
    }
}

impl Respond for DeleteAclsResponse {
    fn fail(&mut self, code: ErrorCode) {
        for result in &mut self.filter_results {
            spoil(&mut result.error_code, code);
        }
    }
    fn omit(&mut self) {
        self.filter_results.pop();
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
