//! DescribeAcls (broker-coord 6.5).

use super::spoil;
use crate::acls::{Filter, Resource};
use crate::answer::{Answer, Call, Respond, Serve};
use crate::state::State;
use klamm_core::ErrorCode;
use klamm_core::wire::messages::describe_acls::{AclDescription, DescribeAclsResource};
use klamm_core::wire::messages::{DescribeAclsRequest, DescribeAclsResponse};
use std::collections::BTreeMap;

impl Serve for DescribeAclsRequest {
    fn serve(self, state: &mut State, _: &Call) -> Answer<DescribeAclsResponse> {
        if !state.settings.acls {
            return Answer::Now(self.refuse(ErrorCode::SECURITY_DISABLED));
        }
        let filter = Filter {
            kind: self.resource_type_filter,
            name: self.resource_name_filter.clone(),
            pattern: self.pattern_type_filter,
            principal: self.principal_filter.clone(),
            host: self.host_filter.clone(),
            operation: self.operation,
            permission: self.permission_type,
        };
        if filter.is_unknown() {
            return Answer::Now(self.refuse(ErrorCode::INVALID_REQUEST));
        }
        let mut by_resource: BTreeMap<Resource, Vec<AclDescription>> = BTreeMap::new();
        for binding in state.acls.find(&filter) {
            by_resource.entry(binding.resource).or_default().push(AclDescription {
                principal: binding.principal,
                host: binding.host,
                operation: binding.operation,
                permission_type: binding.permission,
            });
        }
        let resources = by_resource.into_iter().map(|(resource, acls)| DescribeAclsResource {
            resource_type: resource.kind,
            resource_name: resource.name,
            pattern_type: resource.pattern,
            acls,
        });
        // A success has a text too, an empty one.
        let error_message = Some(String::new());
        Answer::Now(DescribeAclsResponse { error_message, resources: resources.collect(), ..Default::default() })
    }

    fn refuse(&self, error_code: ErrorCode) -> DescribeAclsResponse {
        let error_message = Some(error_code.to_string());
        DescribeAclsResponse { error_code, error_message, ..Default::default() }
    }
}

impl Respond for DescribeAclsResponse {
    fn fail(&mut self, code: ErrorCode) {
        spoil(&mut self.error_code, code);
    }
    fn omit(&mut self) {
        self.resources.pop();
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
