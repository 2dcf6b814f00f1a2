//! CreateAcls (broker-coord 6.5).

use super::spoil;
use crate::acls::{Binding, Resource, code};
use crate::answer::{Answer, Call, Respond, Serve};
use crate::state::State;
use klamm_core::ErrorCode;
use klamm_core::wire::messages::create_acls::{AclCreation, AclCreationResult};
use klamm_core::wire::messages::{CreateAclsRequest, CreateAclsResponse};

fn binding(asked: &AclCreation) -> Binding {
    Binding {
        resource: Resource {
            kind: asked.resource_type,
            name: asked.resource_name.clone(),
            pattern: asked.resource_pattern_type,
        },
        principal: asked.principal.clone(),
        host: asked.host.clone(),
        operation: asked.operation,
        permission: asked.permission_type,
    }
}

fn fault(asked: &AclCreation) -> Option<&'static str> {
    if asked.resource_name.is_empty() {
        return Some("Resource name should not be empty");
    }
    if asked.resource_type == code::CLUSTER && asked.resource_name != "kafka-cluster" {
        return Some("The only valid name for the CLUSTER resource is kafka-cluster");
    }
    if !asked.principal.contains(':') {
        return Some("Could not parse principal: a type and a name separated by a colon are expected");
    }
    None
}

/// An entry that no ACL can be.
fn is_nonsense(asked: &AclCreation) -> bool {
    let vague = |n: i8| n == code::UNKNOWN || n == code::ANY;
    !matches!(asked.resource_pattern_type, code::LITERAL | code::PREFIXED)
        || vague(asked.operation)
        || vague(asked.permission_type)
        || vague(asked.resource_type)
}

impl Serve for CreateAclsRequest {
    fn serve(self, state: &mut State, _: &Call) -> Answer<CreateAclsResponse> {
        if !state.settings.acls {
            return Answer::Now(self.refuse(ErrorCode::SECURITY_DISABLED));
        }
        // One such entry fails the whole request, in an unexpected place of the broker.
        if self.creations.iter().any(is_nonsense) {
            let failed = AclCreationResult { error_code: ErrorCode::UNKNOWN_SERVER_ERROR, error_message: None };
            return Answer::Now(CreateAclsResponse {
                results: vec![failed; self.creations.len()],
                ..Default::default()
            });
        }
        let results = self.creations.iter().map(|asked| match fault(asked) {
            Some(text) => {
                AclCreationResult { error_code: ErrorCode::INVALID_REQUEST, error_message: Some(text.to_owned()) }
            }
            None => {
                state.acls.add(binding(asked));
                // A success has a text too, an empty one. Hosts are not looked at.
                AclCreationResult { error_message: Some(String::new()), ..Default::default() }
            }
        });
        Answer::Now(CreateAclsResponse { results: results.collect(), ..Default::default() })
    }

    fn refuse(&self, error_code: ErrorCode) -> CreateAclsResponse {
        let failed = AclCreationResult { error_code, error_message: Some(error_code.to_string()) };
        CreateAclsResponse { results: vec![failed; self.creations.len()], ..Default::default() }
    }
}

impl Respond for CreateAclsResponse {
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
