//! Groups of two members: one waits for the other (broker-coord 2.3, 2.5, 2.7).

use super::script::Script;
use crate::transactions::wire::{Sort, Wire};
use anyhow::{Result, anyhow};
use bytes::Bytes;
use klamm_core::ErrorCode;
use klamm_core::wire::messages::join_group::JoinGroupRequestProtocol;
use klamm_core::wire::messages::leave_group::MemberIdentity;
use klamm_core::wire::messages::sync_group::SyncGroupRequestAssignment;
use klamm_core::wire::messages::{
    DescribeGroupsRequest, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, SyncGroupRequest,
};
use std::thread;

const GROUP: &str = "conformance-pair";

/// Version 3 lets a member in without an id.
fn join(member: &str, protocols: &[&str]) -> JoinGroupRequest {
    let protocol =
        |name: &&str| JoinGroupRequestProtocol { name: (*name).to_owned(), metadata: Bytes::from_static(b"m") };
    JoinGroupRequest {
        group_id: GROUP.to_owned(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 30_000,
        member_id: member.to_owned(),
        protocol_type: "consumer".to_owned(),
        protocols: protocols.iter().map(protocol).collect(),
        ..Default::default()
    }
}

fn sync(member: &str, generation: i32, assignments: &[(&str, &'static [u8])]) -> SyncGroupRequest {
    let one = |(member, assignment): &(&str, &'static [u8])| SyncGroupRequestAssignment {
        member_id: (*member).to_owned(),
        assignment: Bytes::from_static(assignment),
    };
    SyncGroupRequest {
        group_id: GROUP.to_owned(),
        generation_id: generation,
        member_id: member.to_owned(),
        assignments: assignments.iter().map(one).collect(),
        ..Default::default()
    }
}

fn beat(member: &str, generation_id: i32) -> HeartbeatRequest {
    HeartbeatRequest { group_id: GROUP.to_owned(), generation_id, member_id: member.to_owned(), ..Default::default() }
}

/// Whether the leader is the first member, and what each is told.
fn told(s: &mut Script, what: &str, leads: bool, mut answer: JoinGroupResponse) {
    answer.members.sort_by_key(|member| member.member_id != answer.leader);
    let is_leader = answer.leader == answer.member_id;
    s.note(("C 2.3", what), &(if is_leader == leads { "as it should" } else { "the other leads" }, answer));
}

pub(super) fn play(s: &mut Script) -> Result<()> {
    let at = s.wire.coordinator(GROUP, Sort::Group)?;
    let describe = DescribeGroupsRequest { groups: vec![GROUP.to_owned()], include_authorized_operations: false };
    let loads = |s: &mut Script| {
        let code = s.wire.ask(at, &describe, 5)?.groups[0].error_code;
        Ok((code == ErrorCode::NONE).then_some(()))
    };
    s.until(loads, "coordinator that has loaded")?;
    let mut second = s.wire.beside();
    let first = s.wire.ask(at, &join("", &["range", "roundrobin"]), 3)?;
    let (a, before) = (first.member_id, first.generation_id);
    s.wire.ask(at, &sync(&a, before, &[(&a, b"alone")]), 3)?;
    s.ask(("C 2.6", "a pair: before the second comes"), at, &beat(&a, before), 3)?;

    // The second waits until the first has joined again.
    let (mine, theirs) = both(s, at, &mut second, &join("", &["roundrobin", "sticky"]), |s, _| {
        called(s, at, &a, before)?;
        s.ask(("C 2.6", "a pair: the first is called"), at, &beat(&a, before), 3)?;
        s.wire.ask(at, &join(&a, &["range", "roundrobin"]), 3)
    })?;
    let (b, generation) = (theirs.member_id.clone(), mine.generation_id);
    s.note(("C 2.1", "a pair: the generation grows by one"), &(generation - before, theirs.generation_id - before));
    told(s, "a pair: the first leads, by the protocol that both have", true, mine);
    told(s, "a pair: the second follows", false, theirs);
    let mut described = s.wire.ask(at, &describe, 5)?;
    described.groups[0].members.sort_by_key(|member| member.member_id != a);
    s.note(("C 6.6", "a pair: before the assignment"), &described);

    // The follower's sync waits for that of the leader.
    let (mine, theirs) = thread::scope(|scope| -> Result<_> {
        let waiting = scope.spawn(|| second.ask(at, &sync(&b, generation, &[]), 3));
        let mine = s.wire.ask(at, &sync(&a, generation, &[(&a, b"for a"), (&b, b"for b")]), 3)?;
        Ok((mine, waiting.join().map_err(|_| anyhow!("the second member panicked"))??))
    })?;
    s.note(("C 2.5", "a pair: the leader"), &mine);
    s.note(("C 2.5", "a pair: the follower"), &theirs);
    let mut described = s.wire.ask(at, &describe, 5)?;
    described.groups[0].members.sort_by_key(|member| member.member_id != a);
    s.note(("C 6.6", "a pair: stable"), &described);
    s.ask(("C 2.6", "a pair: the follower, stable"), at, &beat(&b, generation), 3)?;
    s.ask(("C 2.2", "a pair: a third with no protocol in common"), at, &join("", &["sticky"]), 3)?;
    // A follower that changes nothing is told what it knows.
    let again = s.wire.ask(at, &join(&b, &["roundrobin", "sticky"]), 3)?;
    told(s, "a pair: the follower joins again and changes nothing", false, again);
    s.ask(("C 2.5", "a pair: and syncs again"), at, &sync(&b, generation, &[]), 3)?;

    // Another answer of the follower is a rebalance; the leader is called.
    let (mine, theirs) = both(s, at, &mut second, &join(&b, &["roundrobin"]), |s, _| {
        called(s, at, &a, generation)?;
        s.ask(("C 2.5", "a pair: a sync while others join"), at, &sync(&a, generation, &[]), 3)?;
        s.wire.ask(at, &join(&a, &["range", "roundrobin"]), 3)
    })?;
    let generation = mine.generation_id;
    told(s, "a pair: the leader again", true, mine);
    told(s, "a pair: the follower that changed", false, theirs);
    let leave = |who: &str| LeaveGroupRequest {
        group_id: GROUP.to_owned(),
        members: vec![MemberIdentity { member_id: who.to_owned(), ..Default::default() }],
        ..Default::default()
    };
    s.ask(("C 2.7", "a pair: the leader leaves before it assigns"), at, &leave(&a), 4)?;
    s.ask(("C 2.6", "a pair: who stays is called"), at, &beat(&b, generation), 3)?;
    let alone = s.wire.ask(at, &join(&b, &["roundrobin"]), 3)?;
    let generation = alone.generation_id;
    told(s, "a pair: who stays leads", true, alone);
    s.ask(("C 2.5", "a pair: alone"), at, &sync(&b, generation, &[(&b, b"all")]), 3)?;
    s.ask(("C 2.7", "a pair: the last leaves"), at, &leave(&b), 4)?;
    s.ask(("C 6.6", "a pair: empty"), at, &describe, 5)?;
    Ok(())
}

/// Waits until a member is told to join again.
fn called(s: &mut Script, at: i32, member: &str, generation: i32) -> Result<()> {
    let is_called = |s: &mut Script| {
        let code = s.wire.ask(at, &beat(member, generation), 3)?.error_code;
        Ok((code == ErrorCode::REBALANCE_IN_PROGRESS).then_some(()))
    };
    s.until(is_called, "call to join again")
}

/// The second member's join, and what the first does meanwhile.
fn both(
    s: &mut Script,
    at: i32,
    second: &mut Wire,
    request: &JoinGroupRequest,
    first: impl FnOnce(&mut Script, i32) -> Result<JoinGroupResponse>,
) -> Result<(JoinGroupResponse, JoinGroupResponse)> {
    thread::scope(|scope| {
        let waiting = scope.spawn(move || second.ask(at, request, 3));
        let mine = first(s, at)?;
        Ok((mine, waiting.join().map_err(|_| anyhow!("the second member panicked"))??))
    })
}
