//! Access control lists: bindings and filters (KIP-140, KIP-290), and their requests.

use super::types::{AclBinding, AclFilter, Resource};
use super::{Answer, Value};
use crate::client::role::Response;
use crate::wire::messages::create_acls::AclCreation;
use crate::wire::messages::delete_acls::DeleteAclsFilter;
use crate::wire::messages::{CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest};
use crate::{Error, ErrorCode};

pub(super) fn create(acls: &[AclBinding], which: &[usize]) -> CreateAclsRequest {
    let one = |acl: &AclBinding| AclCreation {
        resource_type: acl.resource.kind.wire(),
        resource_name: acl.resource.name.to_string(),
        resource_pattern_type: acl.resource.pattern.wire(),
        principal: acl.principal.to_string(),
        host: acl.host.to_string(),
        operation: acl.operation.wire(),
        permission_type: acl.permission.wire(),
    };
    CreateAclsRequest { creations: which.iter().filter_map(|n| acls.get(*n)).map(one).collect() }
}

pub(super) fn created(response: &Response, which: &[usize]) -> Result<Vec<Answer>, Error> {
    let results = response.decode::<CreateAclsRequest>()?.results;
    let answer = |(n, r): (&usize, crate::wire::messages::create_acls::AclCreationResult)| {
        Answer::new(*n, r.error_code, r.error_message, Value::Unit)
    };
    Ok(which.iter().zip(results).map(answer).collect())
}

pub(super) fn describe(filter: &AclFilter) -> DescribeAclsRequest {
    DescribeAclsRequest {
        resource_type_filter: filter.kind.wire(),
        resource_name_filter: filter.name.as_deref().map(Into::into),
        pattern_type_filter: filter.pattern.wire(),
        principal_filter: filter.principal.as_deref().map(Into::into),
        host_filter: filter.host.as_deref().map(Into::into),
        operation: filter.operation.wire(),
        permission_type: filter.permission.wire(),
    }
}

pub(super) fn described(response: &Response) -> Result<Vec<Answer>, Error> {
    let answer = response.decode::<DescribeAclsRequest>()?;
    let mut acls = Vec::new();
    for r in answer.resources {
        let resource = Resource::from_wire(r.resource_type, &r.resource_name, r.pattern_type);
        for a in r.acls {
            acls.push(AclBinding::from_wire(resource.clone(), &a.principal, &a.host, a.operation, a.permission_type));
        }
    }
    Ok(vec![Answer::new(0, answer.error_code, answer.error_message, Value::Acls(acls))])
}

pub(super) fn delete(filters: &[AclFilter], which: &[usize]) -> DeleteAclsRequest {
    let one = |f: &AclFilter| {
        let d = describe(f);
        DeleteAclsFilter {
            resource_type_filter: d.resource_type_filter,
            resource_name_filter: d.resource_name_filter,
            pattern_type_filter: d.pattern_type_filter,
            principal_filter: d.principal_filter,
            host_filter: d.host_filter,
            operation: d.operation,
            permission_type: d.permission_type,
        }
    };
    DeleteAclsRequest { filters: which.iter().filter_map(|n| filters.get(*n)).map(one).collect() }
}

pub(super) fn deleted(response: &Response, which: &[usize]) -> Result<Vec<Answer>, Error> {
    let results = response.decode::<DeleteAclsRequest>()?.filter_results;
    let mut answers = Vec::with_capacity(results.len());
    for (n, r) in which.iter().zip(results) {
        let mut acls = Vec::with_capacity(r.matching_acls.len());
        let mut code = (r.error_code, r.error_message);
        for m in r.matching_acls {
            if m.error_code.is_ok() {
                let resource = Resource::from_wire(m.resource_type, &m.resource_name, m.pattern_type);
                acls.push(AclBinding::from_wire(resource, &m.principal, &m.host, m.operation, m.permission_type));
            } else if code.0 == ErrorCode::NONE {
                // What could not be removed makes the filter's result an error, or it would look removed.
                code = (m.error_code, m.error_message);
            }
        }
        answers.push(Answer::new(*n, code.0, code.1, Value::Acls(acls)));
    }
    Ok(answers)
}
