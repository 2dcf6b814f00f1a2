//! Groups of the classic protocol: who may join, sync, beat and leave, and what they are told (broker-coord 2).

use super::script::Script;
use crate::transactions::wire::Sort;
use anyhow::Result;
use bytes::Bytes;
use klamm_core::ErrorCode;
use klamm_core::wire::messages::join_group::JoinGroupRequestProtocol;
use klamm_core::wire::messages::leave_group::MemberIdentity;
use klamm_core::wire::messages::sync_group::SyncGroupRequestAssignment;
use klamm_core::wire::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest,
};

const GROUP: &str = "conformance-group";
/// A group that nobody makes, in the same partition of the offsets, by the hash of its name.
const NOBODY: &str = "conformance-nobody-2";

fn join(member: &str) -> JoinGroupRequest {
    let protocol =
        |name: &str| JoinGroupRequestProtocol { name: name.to_owned(), metadata: Bytes::from_static(b"metadata") };
    JoinGroupRequest {
        group_id: GROUP.to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        member_id: member.to_owned(),
        group_instance_id: None,
        protocol_type: "consumer".to_owned(),
        protocols: vec![protocol("range"), protocol("roundrobin")],
        reason: None,
    }
}

fn sync(member: &str, generation: i32) -> SyncGroupRequest {
    SyncGroupRequest {
        group_id: GROUP.to_owned(),
        generation_id: generation,
        member_id: member.to_owned(),
        group_instance_id: None,
        protocol_type: Some("consumer".to_owned()),
        protocol_name: Some("range".to_owned()),
        assignments: vec![SyncGroupRequestAssignment {
            member_id: member.to_owned(),
            assignment: Bytes::from_static(b"assignment"),
        }],
    }
}

fn beat(member: &str, generation: i32) -> HeartbeatRequest {
    HeartbeatRequest {
        group_id: GROUP.to_owned(),
        generation_id: generation,
        member_id: member.to_owned(),
        group_instance_id: None,
    }
}

fn leave(members: &[(&str, Option<&str>)]) -> LeaveGroupRequest {
    let one = |(member, instance): &(&str, Option<&str>)| MemberIdentity {
        member_id: (*member).to_owned(),
        group_instance_id: instance.map(str::to_owned),
        ..Default::default()
    };
    LeaveGroupRequest { group_id: GROUP.to_owned(), members: members.iter().map(one).collect(), ..Default::default() }
}

fn describe(group: &str) -> DescribeGroupsRequest {
    DescribeGroupsRequest { groups: vec![group.to_owned()], include_authorized_operations: false }
}

pub(super) fn play(s: &mut Script) -> Result<()> {
    let at = s.wire.coordinator(GROUP, Sort::Group)?;
    let loads = |s: &mut Script| {
        let code = s.wire.ask(at, &describe(GROUP), 5)?.groups[0].error_code;
        Ok((code == ErrorCode::NONE).then_some(()))
    };
    s.until(loads, "coordinator that has loaded")?;
    strangers(s, at)?;
    let (member, generation) = member(s, at)?;
    static_member(s, at, &member, generation)
}

/// What is told to those who are no members.
fn strangers(s: &mut Script, at: i32) -> Result<()> {
    s.ask(("C 2.2", "an unknown member of an unknown group"), at, &join("nobody"), 7)?;
    s.ask(("C 2.2", "a group without a name"), at, &JoinGroupRequest { group_id: String::new(), ..join("") }, 7)?;
    for ms in [10, 2_000_000_000] {
        let what = format!("a session of {ms} ms");
        s.ask(("C 2.2", &what), at, &JoinGroupRequest { session_timeout_ms: ms, ..join("") }, 7)?;
    }
    s.ask(("C 2.2", "no protocol"), at, &JoinGroupRequest { protocols: Vec::new(), ..join("") }, 7)?;
    s.ask(("C 2.2", "no type of protocol"), at, &JoinGroupRequest { protocol_type: String::new(), ..join("") }, 7)?;
    s.ask(("C 2.2", "another broker"), at % 3 + 1, &join(""), 7)?;
    s.ask(("C 2.5", "an empty group"), at, &sync("nobody", 1), 5)?;
    s.ask(("C 2.5", "no type of protocol"), at, &SyncGroupRequest { protocol_type: None, ..sync("nobody", 1) }, 5)?;
    s.ask(("C 2.5", "a group without a name"), at, &SyncGroupRequest { group_id: String::new(), ..sync("x", 1) }, 5)?;
    s.ask(("C 2.6", "an empty group"), at, &beat("nobody", 1), 4)?;
    s.ask(("C 2.6", "an unknown group"), at, &HeartbeatRequest { group_id: NOBODY.to_owned(), ..beat("x", 1) }, 4)?;
    s.ask(("C 2.6", "another broker"), at % 3 + 1, &beat("nobody", 1), 4)?;
    s.ask(("C 2.7", "an unknown member"), at, &leave(&[("nobody", None)]), 4)?;
    s.ask(("C 2.7", "an unknown instance"), at, &leave(&[("", Some("nobody"))]), 4)?;
    let old = LeaveGroupRequest { member_id: "nobody".to_owned(), ..leave(&[]) };
    s.ask(("C 2.7", "an unknown member, version 2"), at, &old, 2)?;
    for version in [5, 6] {
        s.ask(("C 6.6", &format!("an unknown group, version {version}")), at, &describe(NOBODY), version)?;
        s.ask(("C 6.6", &format!("another broker, version {version}")), at % 3 + 1, &describe(GROUP), version)?;
    }
    let delete = |name: &str| DeleteGroupsRequest { groups_names: vec![name.to_owned()] };
    s.ask(("C 3.5", "an unknown group"), at, &delete(NOBODY), 2)?;
    Ok(())
}

/// One member from its first request to its second generation.
fn member(s: &mut Script, at: i32) -> Result<(String, i32)> {
    let pending = s.ask(("C 2.2", "a member without an id"), at, &join(""), 7)?.member_id;
    s.ask(("C 2.6", "a pending member"), at, &beat(&pending, 0), 4)?;
    let joined = s.ask(("C 2.3", "the first member leads"), at, &join(&pending), 7)?;
    let (member, generation) = (joined.member_id, joined.generation_id);
    let who = member.as_str();
    s.ask(("C 2.6", "before the sync"), at, &beat(who, generation), 4)?;
    s.ask(("C 2.6", "before the sync, an old generation"), at, &beat(who, generation - 1), 4)?;
    s.ask(("C 6.6", "before the sync"), at, &describe(GROUP), 5)?;
    s.ask(("C 2.2", "the same again before the sync"), at, &join(who), 7)?;
    s.ask(("C 2.5", "another generation"), at, &sync(who, generation + 1), 5)?;
    s.ask(
        ("C 2.5", "another protocol"),
        at,
        &SyncGroupRequest { protocol_name: Some("x".to_owned()), ..sync(who, generation) },
        5,
    )?;
    s.ask(("C 2.5", "a stranger"), at, &sync("nobody", generation), 5)?;
    for version in [5, 3] {
        s.ask(("C 2.5", &format!("the assignment, version {version}")), at, &sync(who, generation), version)?;
    }
    s.ask(("C 2.6", "stable"), at, &beat(who, generation), 4)?;
    s.ask(("C 2.6", "stable, a generation too high"), at, &beat(who, generation + 1), 4)?;
    s.ask(("C 2.6", "stable, a stranger"), at, &beat("nobody", generation), 4)?;
    s.ask(("C 6.6", "stable"), at, &describe(GROUP), 5)?;
    let other = JoinGroupRequest { protocol_type: "connect".to_owned(), ..join("") };
    s.ask(("C 2.2", "another type of protocol"), at, &other, 7)?;
    let mut other = join("");
    other.protocols.iter_mut().for_each(|p| p.name.push('x'));
    s.ask(("C 2.2", "no protocol in common"), at, &other, 7)?;
    s.ask(
        ("C 2.2", "an instance nobody has, with an id"),
        at,
        &JoinGroupRequest { group_instance_id: Some("i".to_owned()), ..join(who) },
        7,
    )?;
    let delete = DeleteGroupsRequest { groups_names: vec![GROUP.to_owned()] };
    s.ask(("C 3.5", "a group with members"), at, &delete, 2)?;
    let again = s.ask(("C 2.2", "the leader joins again"), at, &join(who), 7)?;
    s.ask(("C 2.5", "its assignment"), at, &sync(who, again.generation_id), 5)?;
    s.ask(("C 2.7", "one of two members is unknown"), at, &leave(&[(who, None), ("nobody", None)]), 4)?;
    s.ask(("C 2.6", "who left"), at, &beat(who, again.generation_id), 4)?;
    s.ask(("C 6.6", "empty"), at, &describe(GROUP), 5)?;
    s.ask(("C 2.2", "who left joins again"), at, &join(who), 7)?;
    Ok((member, again.generation_id))
}

/// A static member (KIP-345, KIP-814).
fn static_member(s: &mut Script, at: i32, gone: &str, before: i32) -> Result<()> {
    let named = |member: &str| JoinGroupRequest { group_instance_id: Some("i".to_owned()), ..join(member) };
    s.ask(("C 2.4", "an instance nobody has, with an id that left"), at, &named(gone), 7)?;
    let first = s.ask(("C 2.4", "a new instance"), at, &named(""), 7)?;
    s.note(("C 2.1", "the generation grows on the way to empty too"), &(first.generation_id - before));
    let (who, generation) = (first.member_id.as_str(), first.generation_id);
    let synced =
        |member: &str| SyncGroupRequest { group_instance_id: Some("i".to_owned()), ..sync(member, generation) };
    s.ask(("C 2.4", "its assignment"), at, &synced(who), 5)?;
    for version in [7, 9] {
        let what = format!("it returns without an id, version {version}");
        let next = s.ask(("C 2.4", &what), at, &named(""), version)?;
        let fresh = next.member_id.clone();
        s.ask(
            ("C 2.4", &format!("and takes its assignment, version {version}")),
            at,
            &SyncGroupRequest { assignments: Vec::new(), ..synced(&fresh) },
            5,
        )?;
    }
    let old = |request: HeartbeatRequest| HeartbeatRequest { group_instance_id: Some("i".to_owned()), ..request };
    s.ask(("C 2.4", "the one before, by its instance"), at, &old(beat(who, generation)), 4)?;
    s.ask(("C 2.4", "the one before, by its id"), at, &beat(who, generation), 4)?;
    s.ask(("C 2.4", "the one before joins"), at, &named(who), 7)?;
    s.ask(("C 2.4", "the one before syncs"), at, &synced(who), 5)?;
    s.ask(("C 2.4", "the one before leaves"), at, &leave(&[(who, Some("i"))]), 4)?;
    s.ask(("C 2.4", "it leaves by its instance"), at, &leave(&[("", Some("i"))]), 4)?;
    let delete = DeleteGroupsRequest { groups_names: vec![GROUP.to_owned()] };
    s.ask(("C 3.5", "an empty group"), at, &delete, 2)?;
    s.ask(("C 6.6", "a deleted group"), at, &describe(GROUP), 6)?;
    Ok(())
}
