//! ACLs, which groups there are (broker-coord 6.5, 6.6).

use super::script::Script;
use crate::transactions::wire::Sort;
use anyhow::{Context, Result};
use klamm_core::ErrorCode;
use klamm_core::wire::messages::create_acls::AclCreation;
use klamm_core::wire::messages::delete_acls::{DeleteAclsFilter, DeleteAclsMatchingAcl};
use klamm_core::wire::messages::{
    CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest, DescribeAclsResponse, ListGroupsRequest,
};
use std::collections::BTreeSet;

/// Nobody else's ACLs are about it, so every filter names it.
const WHO: &str = "User:conformance";
const TOPIC: i8 = 2;
/// In filters: of operations, permissions, patterns, kinds.
const ANY: i8 = 1;
/// Patterns.
const MATCH: i8 = 2;
const LITERAL: i8 = 3;
const PREFIXED: i8 = 4;
/// Operations.
const READ: i8 = 3;
const WRITE: i8 = 4;
/// Permissions.
const DENY: i8 = 2;
const ALLOW: i8 = 3;

fn creation(name: &str, pattern: i8) -> AclCreation {
    AclCreation {
        resource_type: TOPIC,
        resource_name: name.to_owned(),
        resource_pattern_type: pattern,
        principal: WHO.to_owned(),
        host: "*".to_owned(),
        operation: READ,
        permission_type: ALLOW,
    }
}

fn describe(name: Option<&str>, pattern: i8) -> DescribeAclsRequest {
    DescribeAclsRequest {
        resource_type_filter: TOPIC,
        resource_name_filter: name.map(str::to_owned),
        pattern_type_filter: pattern,
        principal_filter: Some(WHO.to_owned()),
        host_filter: None,
        operation: ANY,
        permission_type: ANY,
    }
}

fn delete(name: Option<&str>, pattern: i8) -> DeleteAclsFilter {
    DeleteAclsFilter {
        resource_type_filter: TOPIC,
        resource_name_filter: name.map(str::to_owned),
        pattern_type_filter: pattern,
        principal_filter: Some(WHO.to_owned()),
        host_filter: None,
        operation: ANY,
        permission_type: ANY,
    }
}

pub(super) fn play(s: &mut Script) -> Result<()> {
    let there = created(s)?;
    described(s)?;
    deleted(s, there)?;
    listed(s)
}

/// Waits until a broker has heard of the change that leaves so many entries, or of more than are expected; how many there are.
fn heard(s: &mut Script, is: impl Fn(usize) -> bool) -> Result<usize> {
    let mut found = 0;
    let waited = s.until(
        |s| {
            let told = s.wire.ask(1, &describe(None, ANY), 3)?;
            found = told.resources.iter().map(|resource| resource.acls.len()).sum();
            Ok(is(found).then_some(found))
        },
        "ACLs at the broker",
    );
    waited.with_context(|| format!("{found} entries"))
}

fn created(s: &mut Script) -> Result<usize> {
    let request = |creations: Vec<AclCreation>| CreateAclsRequest { creations };
    let good = || creation("conformance-acl", LITERAL);
    for (what, asked) in [
        ("no name", AclCreation { resource_name: String::new(), ..good() }),
        ("a cluster of another name", AclCreation { resource_type: 4, ..good() }),
        ("a principal without a colon", AclCreation { principal: "conformance".to_owned(), ..good() }),
        ("a bad host", AclCreation { host: "not a host".to_owned(), ..good() }),
        ("any pattern", creation("conformance-acl", ANY)),
        ("a pattern for filters", creation("conformance-acl", MATCH)),
        ("any operation", AclCreation { operation: ANY, ..good() }),
        ("any permission", AclCreation { permission_type: ANY, ..good() }),
    ] {
        s.ask(("C 6.5", &format!("creation: {what}")), 1, &request(vec![asked]), 3)?;
    }
    let bad = AclCreation { resource_name: String::new(), ..good() };
    s.ask(("C 6.5", "creation: one good, one bad"), 1, &request(vec![good(), bad]), 3)?;
    s.ask(("C 6.5", "creation: the same again, twice"), 1, &request(vec![good(), good()]), 3)?;
    for version in [1, 2, 3] {
        let asked = AclCreation { operation: WRITE, permission_type: DENY, ..good() };
        s.ask(("C 6.5", &format!("creation: version {version}")), 1, &request(vec![asked]), version)?;
    }
    let more = vec![creation("conformance-", PREFIXED), creation("*", LITERAL), creation("other-acl", LITERAL)];
    s.ask(("C 6.5", "creation: three"), 1, &request(more), 3)?;
    heard(s, |found| found >= 5)
}

/// In the order of their names.
fn sorted(mut told: DescribeAclsResponse) -> DescribeAclsResponse {
    told.resources
        .iter_mut()
        .for_each(|r| r.acls.sort_by_key(|acl| (acl.operation, acl.permission_type, acl.host.clone())));
    told.resources.sort_by(|a, b| (&a.resource_name, a.pattern_type).cmp(&(&b.resource_name, b.pattern_type)));
    told
}

fn described(s: &mut Script) -> Result<()> {
    let name = Some("conformance-acl");
    for (what, request) in [
        ("any name and pattern", describe(None, ANY)),
        ("any name that matches", describe(None, MATCH)),
        ("any name, literal", describe(None, LITERAL)),
        ("any name, prefixed", describe(None, PREFIXED)),
        ("a name of any pattern", describe(name, ANY)),
        ("what matches a name", describe(name, MATCH)),
        ("a name, literal", describe(name, LITERAL)),
        ("a name, prefixed", describe(name, PREFIXED)),
        ("the wildcard", describe(Some("*"), LITERAL)),
        ("an unknown name", describe(Some("nowhere"), LITERAL)),
        ("what matches an unknown name", describe(Some("conformance-x"), MATCH)),
        ("a host", DescribeAclsRequest { host_filter: Some("10.0.0.1".to_owned()), ..describe(None, ANY) }),
        ("an operation", DescribeAclsRequest { operation: WRITE, ..describe(None, ANY) }),
        ("a permission", DescribeAclsRequest { permission_type: DENY, ..describe(None, ANY) }),
        ("another kind", DescribeAclsRequest { resource_type_filter: 3, ..describe(None, ANY) }),
        ("any kind", DescribeAclsRequest { resource_type_filter: ANY, ..describe(None, ANY) }),
    ] {
        let told = s.wire.ask(1, &request, 3)?;
        s.note(("C 6.5", &format!("description: {what}")), &sorted(told));
    }
    for version in [1, 2] {
        let told = s.wire.ask(1, &describe(name, LITERAL), version)?;
        s.note(("C 6.5", &format!("description: version {version}")), &sorted(told));
    }
    Ok(())
}

fn deleted(s: &mut Script, mut left: usize) -> Result<()> {
    for (what, filters) in [
        ("an unknown name", vec![delete(Some("nowhere"), LITERAL)]),
        ("a name, prefixed", vec![delete(Some("conformance-acl"), PREFIXED)]),
        ("two filters for the same", vec![delete(Some("other-acl"), LITERAL), delete(Some("other-acl"), ANY)]),
        ("what matches a name", vec![delete(Some("conformance-acl"), MATCH)]),
        ("what is gone", vec![delete(None, ANY)]),
    ] {
        let mut told = s.wire.ask(1, &DeleteAclsRequest { filters }, 3)?;
        let mut gone = BTreeSet::new();
        for filter in &mut told.filter_results {
            let place = |acl: &DeleteAclsMatchingAcl| {
                (acl.resource_name.clone(), acl.pattern_type, acl.operation, acl.permission_type, acl.host.clone())
            };
            filter.matching_acls.sort_by_key(place);
            gone.extend(filter.matching_acls.iter().map(place));
        }
        s.note(("C 6.5", &format!("deletion: {what}")), &told);
        left -= gone.len();
        heard(s, |found| found == left)?;
    }
    Ok(())
}

/// The groups that the conversations before left behind.
fn listed(s: &mut Script) -> Result<()> {
    let name = "conformance-commits";
    let at = s.wire.coordinator(name, Sort::Group)?;
    let request = |states: &[&str], types: &[&str]| ListGroupsRequest {
        states_filter: states.iter().map(|s| (*s).to_owned()).collect(),
        types_filter: types.iter().map(|t| (*t).to_owned()).collect(),
    };
    let ask = |s: &mut Script, what: &str, broker: i32, request: &ListGroupsRequest, version: i16| -> Result<()> {
        let told = s.until(
            |s| {
                let told = s.wire.ask(broker, request, version)?;
                Ok((told.error_code != ErrorCode::COORDINATOR_LOAD_IN_PROGRESS).then_some(told))
            },
            "list of groups",
        )?;
        let mut told = told;
        told.groups.retain(|group| group.group_id == name);
        s.note(("C 6.6", &format!("list: {what}")), &told);
        Ok(())
    };
    for version in 0..=5 {
        ask(s, &format!("version {version}"), at, &request(&[], &[]), version)?;
    }
    ask(s, "another broker", at % 3 + 1, &request(&[], &[]), 5)?;
    for (what, states) in [("empty", "Empty"), ("in capitals", "EMPTY"), ("stable", "Stable"), ("unknown", "Nonsense")]
    {
        ask(s, &format!("a state, {what}"), at, &request(&[states], &[]), 4)?;
    }
    for (what, sort) in [("classic", "classic"), ("in capitals", "CLASSIC"), ("consumer", "consumer"), ("unknown", "x")]
    {
        ask(s, &format!("a type, {what}"), at, &request(&[], &[sort]), 5)?;
    }
    Ok(())
}
