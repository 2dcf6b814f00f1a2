//! Classic groups and committed offsets (broker-coord 1 to 3).

mod raw;

use bytes::Bytes;
use klamm_cluster::Peer;
use klamm_core::ErrorCode;
use klamm_core::wire::messages::join_group::JoinGroupRequestProtocol;
use klamm_core::wire::messages::leave_group::MemberIdentity;
use klamm_core::wire::messages::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use klamm_core::wire::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use klamm_core::wire::messages::sync_group::SyncGroupRequestAssignment;
use klamm_core::wire::messages::*;
use raw::Lab;
use std::time::Duration;

/// A lab whose broker 1 coordinates the group `g`.
fn lab() -> Lab {
    with_delay(0)
}

fn with_delay(ms: u64) -> Lab {
    let mut lab = Lab::with(|s| {
        s.brokers = 2;
        s.group_initial_delay = Duration::from_millis(ms);
    });
    lab.brokers.move_coordinator(lab.now, "g", 1).expect("moves");
    lab.brokers.create_topic(lab.now, "t", 2);
    lab
}

fn join(member: &str, protocols: &[&str]) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: "g".to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 2_000,
        member_id: member.to_owned(),
        protocol_type: "consumer".to_owned(),
        protocols: protocols
            .iter()
            .map(|name| JoinGroupRequestProtocol { name: (*name).to_owned(), metadata: Bytes::from_static(b"m") })
            .collect(),
        ..Default::default()
    }
}

fn named(instance: &str) -> JoinGroupRequest {
    JoinGroupRequest { group_instance_id: Some(instance.to_owned()), ..join("", &["range"]) }
}

fn sync(member: &str, generation: i32, assignments: &[(&str, &'static str)]) -> SyncGroupRequest {
    SyncGroupRequest {
        group_id: "g".to_owned(),
        generation_id: generation,
        member_id: member.to_owned(),
        protocol_type: Some("consumer".to_owned()),
        protocol_name: Some("range".to_owned()),
        assignments: assignments
            .iter()
            .map(|(id, bytes)| SyncGroupRequestAssignment {
                member_id: (*id).to_owned(),
                assignment: Bytes::from_static(bytes.as_bytes()),
            })
            .collect(),
        ..Default::default()
    }
}

fn beat(lab: &mut Lab, peer: Peer, member: &str, generation: i32) -> ErrorCode {
    let request = HeartbeatRequest {
        group_id: "g".to_owned(),
        generation_id: generation,
        member_id: member.to_owned(),
        ..Default::default()
    };
    lab.ask(peer, &request, 4).error_code
}

/// Asks for an id and sends the join with it.
fn begin(lab: &mut Lab, peer: Peer) -> String {
    let first = lab.ask(peer, &join("", &["range"]), 9);
    assert_eq!(first.error_code, ErrorCode::MEMBER_ID_REQUIRED);
    lab.send(peer, &join(&first.member_id, &["range"]), 9);
    first.member_id
}

fn joined(lab: &mut Lab, peer: Peer) -> JoinGroupResponse {
    lab.answer::<JoinGroupRequest>(peer, 9).expect("the join is answered")
}

/// A stable group of one member at generation 1.
fn stable(lab: &mut Lab) -> (Peer, String) {
    let peer = lab.connect(1);
    let id = begin(lab, peer);
    lab.pass(1);
    assert_eq!(joined(lab, peer).generation_id, 1);
    assert_eq!(lab.ask(peer, &sync(&id, 1, &[(&id, "mine")]), 5).error_code, ErrorCode::NONE);
    (peer, id)
}

/// A stable group of two members at generation 2; the first leads.
fn pair(lab: &mut Lab) -> ((Peer, String), (Peer, String)) {
    let (peer, id) = stable(lab);
    let other = lab.connect(1);
    let other_id = begin(lab, other);
    assert_eq!(beat(lab, peer, &id, 1), ErrorCode::REBALANCE_IN_PROGRESS);
    lab.send(peer, &join(&id, &["range"]), 9);
    assert_eq!(joined(lab, peer).members.len(), 2);
    assert_eq!(joined(lab, other).members.len(), 0, "followers are not told of the members");
    lab.send(other, &sync(&other_id, 2, &[]), 5);
    lab.ask(peer, &sync(&id, 2, &[(&id, "a"), (&other_id, "b")]), 5);
    let answer = lab.answer::<SyncGroupRequest>(other, 5).expect("synced by the leader");
    assert_eq!(&answer.assignment[..], b"b");
    ((peer, id), (other, other_id))
}

#[test]
fn the_first_who_asks_for_a_coordinator_is_told_to_come_back_1_1() {
    let mut lab = Lab::new(3);
    let peer = lab.connect(2);
    let ask = FindCoordinatorRequest { coordinator_keys: vec!["g".to_owned(), String::new()], ..Default::default() };
    let answer = lab.ask(peer, &ask, 6);
    let first = &answer.coordinators[0];
    assert_eq!((first.error_code, first.node_id.0, first.port), (ErrorCode::COORDINATOR_NOT_AVAILABLE, -1, -1));
    let answer = lab.ask(peer, &ask, 6);
    assert!(answer.coordinators.iter().all(|c| c.error_code == ErrorCode::NONE && c.node_id.0 > 0));
    let old = FindCoordinatorRequest { key: "g".to_owned(), ..Default::default() };
    assert_eq!(lab.ask(peer, &old, 0).node_id, answer.coordinators[0].node_id);
}

#[test]
fn the_wrong_broker_says_not_coordinator_1_4() {
    let mut lab = lab();
    let peer = lab.connect(2);
    assert_eq!(lab.ask(peer, &join("", &["range"]), 9).error_code, ErrorCode::NOT_COORDINATOR);
    assert_eq!(beat(&mut lab, peer, "x", 1), ErrorCode::NOT_COORDINATOR);
}

#[test]
fn joins_are_checked_in_order_2_2() {
    let mut lab = lab();
    let peer = lab.connect(1);
    let ask = |lab: &mut Lab, request: &JoinGroupRequest| lab.ask(peer, request, 9).error_code;
    let nameless = JoinGroupRequest { group_id: String::new(), session_timeout_ms: 1, ..join("", &[]) };
    assert_eq!(ask(&mut lab, &nameless), ErrorCode::INVALID_GROUP_ID);
    let hasty = JoinGroupRequest { session_timeout_ms: 1, ..join("x", &[]) };
    assert_eq!(ask(&mut lab, &hasty), ErrorCode::INVALID_SESSION_TIMEOUT);
    assert_eq!(ask(&mut lab, &join("x", &["range"])), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(ask(&mut lab, &join("", &[])), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let (_, _) = stable(&mut lab);
    assert_eq!(ask(&mut lab, &join("", &["other"])), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
}

#[test]
fn an_old_join_needs_no_second_round_and_names_no_null_protocol_2_2() {
    let mut lab = lab();
    let peer = lab.connect(1);
    let refused = lab.ask(peer, &join("x", &["range"]), 3);
    assert_eq!((refused.error_code, refused.protocol_name.as_deref()), (ErrorCode::UNKNOWN_MEMBER_ID, Some("")));
    lab.send(peer, &join("", &["range"]), 3);
    lab.pass(1);
    let answer = lab.answer::<JoinGroupRequest>(peer, 3).expect("joined");
    assert_eq!((answer.error_code, answer.generation_id), (ErrorCode::NONE, 1));
    assert_eq!(answer.leader, answer.member_id);
    assert!(answer.member_id.starts_with("raw-"));
}

#[test]
fn a_lone_member_waits_one_initial_delay_and_a_joiner_adds_a_whole_tick_2_3() {
    let mut lab = with_delay(1000);
    let (a, b) = (lab.connect(1), lab.connect(1));
    begin(&mut lab, a);
    lab.pass(600);
    begin(&mut lab, b);
    lab.pass(1399);
    assert!(lab.frame(a).is_none());
    lab.pass(1);
    assert_eq!((joined(&mut lab, a).generation_id, joined(&mut lab, b).generation_id), (1, 1));
    let mut lab = with_delay(1000);
    let a = lab.connect(1);
    begin(&mut lab, a);
    lab.pass(999);
    assert!(lab.frame(a).is_none());
    lab.pass(1);
    assert_eq!(joined(&mut lab, a).generation_id, 1);
}

#[test]
fn a_pending_id_blocks_the_rebalance_until_its_session_is_over_2_3() {
    let mut lab = lab();
    let (peer, id) = stable(&mut lab);
    let other = lab.connect(1);
    let pending = JoinGroupRequest { session_timeout_ms: 1500, ..join("", &["range"]) };
    assert_eq!(lab.ask(other, &pending, 9).error_code, ErrorCode::MEMBER_ID_REQUIRED);
    lab.send(peer, &join(&id, &["range"]), 9);
    lab.pass(1499);
    assert!(lab.frame(peer).is_none());
    lab.pass(1);
    assert_eq!(joined(&mut lab, peer).generation_id, 2);
}

#[test]
fn members_that_do_not_rejoin_in_time_are_removed_2_3() {
    let mut lab = lab();
    let ((first, first_id), (other, other_id)) = pair(&mut lab);
    lab.send(first, &join(&first_id, &["range"]), 9);
    lab.pass(1999);
    assert!(lab.frame(first).is_none());
    lab.pass(1);
    let answer = joined(&mut lab, first);
    assert_eq!((answer.generation_id, answer.members.len()), (3, 1));
    assert_eq!(beat(&mut lab, other, &other_id, 2), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn an_unchanged_follower_is_answered_at_once_and_a_leader_always_rebalances_2_2() {
    let mut lab = lab();
    let ((first, first_id), (other, other_id)) = pair(&mut lab);
    let answer = lab.ask(other, &join(&other_id, &["range"]), 9);
    assert_eq!((answer.error_code, answer.generation_id), (ErrorCode::NONE, 2));
    lab.send(first, &join(&first_id, &["range"]), 9);
    assert!(lab.frame(first).is_none());
    assert_eq!(beat(&mut lab, other, &other_id, 2), ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn a_heartbeat_is_fine_while_the_rebalance_completes_2_6() {
    let mut lab = lab();
    let peer = lab.connect(1);
    let id = begin(&mut lab, peer);
    lab.pass(1);
    joined(&mut lab, peer);
    assert_eq!(beat(&mut lab, peer, &id, 1), ErrorCode::NONE);
    assert_eq!(beat(&mut lab, peer, "other", 9), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(beat(&mut lab, peer, &id, 9), ErrorCode::ILLEGAL_GENERATION);
}

#[test]
fn syncs_are_checked_in_order_2_5() {
    let mut lab = lab();
    let (peer, id) = stable(&mut lab);
    let ask = |lab: &mut Lab, request: &SyncGroupRequest| lab.ask(peer, request, 5).error_code;
    let bare = SyncGroupRequest { protocol_name: None, ..sync(&id, 1, &[]) };
    assert_eq!(ask(&mut lab, &bare), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    assert_eq!(ask(&mut lab, &sync("other", 9, &[])), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(ask(&mut lab, &sync(&id, 9, &[])), ErrorCode::ILLEGAL_GENERATION);
    let other = SyncGroupRequest { protocol_name: Some("rr".to_owned()), ..sync(&id, 1, &[]) };
    assert_eq!(ask(&mut lab, &other), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    assert_eq!(&lab.ask(peer, &sync(&id, 1, &[]), 5).assignment[..], b"mine", "stored, as often as it is asked for");
}

#[test]
fn a_rebalance_answers_waiting_syncs_2_1() {
    let mut lab = lab();
    let ((first, first_id), (other, other_id)) = pair(&mut lab);
    lab.send(first, &join(&first_id, &["range"]), 9);
    lab.send(other, &join(&other_id, &["range"]), 9);
    assert_eq!((joined(&mut lab, first).generation_id, joined(&mut lab, other).generation_id), (3, 3));
    lab.send(other, &sync(&other_id, 3, &[]), 5);
    let third = lab.connect(1);
    begin(&mut lab, third);
    let answer = lab.answer::<SyncGroupRequest>(other, 5).expect("answered");
    assert_eq!(answer.error_code, ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn members_that_joined_but_never_synced_are_removed_after_one_rebalance_timeout_2_5() {
    let mut lab = lab();
    let ((first, first_id), (other, other_id)) = pair(&mut lab);
    lab.send(first, &join(&first_id, &["range"]), 9);
    lab.send(other, &join(&other_id, &["range"]), 9);
    joined(&mut lab, first);
    joined(&mut lab, other);
    lab.ask(first, &sync(&first_id, 3, &[]), 5);
    lab.pass(1999);
    assert_eq!(beat(&mut lab, other, &other_id, 3), ErrorCode::NONE);
    lab.pass(1);
    assert_eq!(beat(&mut lab, other, &other_id, 3), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(beat(&mut lab, first, &first_id, 3), ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn a_silent_member_loses_its_session_2_8() {
    let mut lab = lab();
    let ((first, first_id), (other, other_id)) = pair(&mut lab);
    lab.pass(9_000);
    assert_eq!(beat(&mut lab, first, &first_id, 2), ErrorCode::NONE);
    lab.pass(1_001);
    assert_eq!(beat(&mut lab, other, &other_id, 2), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(beat(&mut lab, first, &first_id, 2), ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn the_last_to_leave_leaves_an_empty_group_of_the_next_generation_2_7() {
    let mut lab = lab();
    let (peer, id) = stable(&mut lab);
    let leave = |id: &str| LeaveGroupRequest {
        group_id: "g".to_owned(),
        members: vec![MemberIdentity { member_id: id.to_owned(), ..Default::default() }],
        ..Default::default()
    };
    let stranger = lab.ask(peer, &leave("x"), 5);
    assert_eq!((stranger.error_code, stranger.members[0].error_code), (ErrorCode::NONE, ErrorCode::UNKNOWN_MEMBER_ID));
    assert_eq!(lab.ask(peer, &leave(&id), 5).members[0].error_code, ErrorCode::NONE);
    let ask = DescribeGroupsRequest { groups: vec!["g".to_owned()], ..Default::default() };
    let group = lab.ask(peer, &ask, 5).groups.remove(0);
    assert_eq!((group.group_state.as_str(), group.protocol_type.as_str()), ("Empty", "consumer"));
    assert_eq!(lab.ask(peer, &sync(&id, 2, &[]), 5).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
    let again = begin(&mut lab, peer);
    lab.pass(1);
    assert_eq!(joined(&mut lab, peer).generation_id, 3);
    assert_ne!(again, id);
}

#[test]
fn a_static_member_comes_back_into_the_same_generation_2_4() {
    let mut lab = lab();
    let peer = lab.connect(1);
    lab.send(peer, &named("i"), 9);
    lab.pass(1);
    let first = joined(&mut lab, peer);
    assert!(first.member_id.starts_with("i-"));
    let by = |id: &str, generation| SyncGroupRequest {
        group_instance_id: Some("i".to_owned()),
        ..sync(id, generation, &[(id, "mine")])
    };
    lab.ask(peer, &by(&first.member_id, 1), 5);
    let mut restart = named("i");
    restart.protocols[0].metadata = Bytes::from_static(b"changed");
    let second = lab.ask(peer, &restart, 9);
    assert_eq!((second.generation_id, second.skip_assignment), (1, true), "the metadata is not compared");
    assert_eq!((&second.leader, second.members.len()), (&second.member_id, 1));
    assert_ne!(second.member_id, first.member_id);
    let old = lab.ask(peer, &by(&first.member_id, 1), 5);
    assert_eq!(old.error_code, ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(beat(&mut lab, peer, &first.member_id, 1), ErrorCode::UNKNOWN_MEMBER_ID);
    let third = lab.ask(peer, &restart, 8);
    assert_eq!(third.leader, second.member_id, "version 8 names the old leader");
    assert_eq!(&lab.ask(peer, &by(&third.member_id, 1), 5).assignment[..], b"mine");
}

#[test]
fn a_replaced_static_member_that_waits_is_fenced_2_4() {
    let mut lab = with_delay(1000);
    let (a, b) = (lab.connect(1), lab.connect(1));
    lab.send(a, &named("i"), 9);
    lab.send(b, &named("i"), 9);
    assert_eq!(joined(&mut lab, a).error_code, ErrorCode::FENCED_INSTANCE_ID);
    lab.pass(1000);
    assert_eq!(joined(&mut lab, b).generation_id, 1);
}

#[test]
fn a_replaced_parked_join_is_never_answered_2_2() {
    let mut lab = with_delay(1000);
    let (a, b) = (lab.connect(1), lab.connect(1));
    let id = begin(&mut lab, a);
    lab.send(b, &join(&id, &["range"]), 9);
    lab.pass(20_000);
    assert!(lab.frame(a).is_none());
    assert!(lab.frame(b).is_some());
}

#[test]
fn a_moved_coordinator_has_the_last_synced_generation_1_6_and_1_7() {
    let mut lab = lab();
    let ((first, first_id), (_, other_id)) = pair(&mut lab);
    lab.send(first, &join(&first_id, &["range"]), 9);
    lab.brokers.move_coordinator(lab.now, "g", 2).expect("moves");
    let parked = joined(&mut lab, first);
    assert_eq!((parked.error_code, &parked.member_id), (ErrorCode::NOT_COORDINATOR, &first_id));
    let peer = lab.connect(2);
    assert_eq!(beat(&mut lab, peer, &first_id, 2), ErrorCode::NONE);
    assert_eq!(beat(&mut lab, peer, &other_id, 3), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(&lab.ask(peer, &sync(&other_id, 2, &[]), 5).assignment[..], b"b");
}

#[test]
fn a_loading_coordinator_says_so_but_not_to_heartbeats_1_5() {
    let mut lab = Lab::with(|s| s.coordinator_load = Duration::from_millis(100));
    lab.brokers.move_coordinator(lab.now, "g", 1).expect("moves");
    lab.brokers.move_leader(lab.now, "__consumer_offsets", 0, 1).expect("moves");
    let peer = lab.connect(1);
    lab.brokers.kill_broker(lab.now, 1);
    lab.pass(1000);
    lab.brokers.start_broker(lab.now, 1);
    assert!(!lab.brokers.is_up(7) && lab.is_closed(peer));
    let peer = lab.connect(1);
    let refused = lab.ask(peer, &join("", &["range"]), 9);
    assert_eq!(refused.error_code, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    assert_eq!(beat(&mut lab, peer, "x", 1), ErrorCode::NONE);
    lab.pass(100);
    assert_eq!(lab.ask(peer, &join("", &["range"]), 9).error_code, ErrorCode::MEMBER_ID_REQUIRED);
}

fn commit(member: &str, generation: i32, offset: i64) -> OffsetCommitRequest {
    OffsetCommitRequest {
        group_id: "g".to_owned(),
        generation_id_or_member_epoch: generation,
        member_id: member.to_owned(),
        topics: vec![OffsetCommitRequestTopic {
            name: "t".to_owned(),
            partitions: vec![OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn committed(lab: &mut Lab, peer: Peer, request: &OffsetCommitRequest, version: i16) -> ErrorCode {
    lab.ask(peer, request, version).topics[0].partitions[0].error_code
}

#[test]
fn commits_are_checked_against_the_group_3_2() {
    let mut lab = lab();
    let peer = lab.connect(1);
    assert_eq!(committed(&mut lab, peer, &commit("x", 3, 1), 9), ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(committed(&mut lab, peer, &commit("x", 3, 1), 8), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(committed(&mut lab, peer, &commit("", -1, 1), 9), ErrorCode::NONE, "a simple group");
    let (peer, id) = stable(&mut lab);
    assert_eq!(committed(&mut lab, peer, &commit("", -1, 1), 9), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(committed(&mut lab, peer, &commit(&id, 7, 1), 9), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(committed(&mut lab, peer, &commit(&id, 1, 5), 9), ErrorCode::NONE);
    lab.send(peer, &join(&id, &["range"]), 9);
    joined(&mut lab, peer);
    assert_eq!(committed(&mut lab, peer, &commit(&id, 2, 6), 9), ErrorCode::REBALANCE_IN_PROGRESS, "completing");
    assert_eq!(lab.brokers.committed("g", "t", 0), Some(5));
}

#[test]
fn a_commit_is_taken_while_a_rebalance_is_prepared_3_2() {
    let mut lab = lab();
    let ((first, first_id), (other, other_id)) = pair(&mut lab);
    lab.send(first, &join(&first_id, &["range"]), 9);
    assert_eq!(committed(&mut lab, other, &commit(&other_id, 2, 6), 9), ErrorCode::NONE);
}

#[test]
fn a_commit_without_a_good_partition_never_reaches_the_coordinator_3_1() {
    let mut lab = lab();
    let peer = lab.connect(2);
    let mut unknown = commit("x", 3, 1);
    unknown.topics[0].name = "nothing".to_owned();
    assert_eq!(committed(&mut lab, peer, &unknown, 9), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(committed(&mut lab, peer, &unknown, 10), ErrorCode::UNKNOWN_TOPIC_ID);
    assert_eq!(committed(&mut lab, peer, &commit("x", 3, 1), 9), ErrorCode::NOT_COORDINATOR);
}

#[test]
fn what_was_never_committed_is_minus_1_without_an_error_3_3() {
    let mut lab = lab();
    let peer = lab.connect(1);
    let mut request = commit("", -1, 7);
    request.topics[0].partitions[0].committed_metadata = None;
    request.topics[0].partitions[0].committed_leader_epoch = 4;
    committed(&mut lab, peer, &request, 9);
    let ask = |topics| OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup { group_id: "g".to_owned(), topics, ..Default::default() }],
        ..Default::default()
    };
    let both = |name: &str| {
        Some(vec![OffsetFetchRequestTopics {
            name: name.to_owned(),
            partition_indexes: vec![0, 1],
            ..Default::default()
        }])
    };
    let answer = lab.ask(peer, &ask(both("t")), 9);
    let found: Vec<_> = answer.groups[0].topics[0]
        .partitions
        .iter()
        .map(|p| (p.error_code, p.committed_offset, p.committed_leader_epoch, p.metadata.as_deref()))
        .collect();
    assert_eq!(found, [(ErrorCode::NONE, 7, 4, Some("")), (ErrorCode::NONE, -1, -1, Some(""))]);
    let answer = lab.ask(peer, &ask(both("nothing")), 9);
    assert_eq!(answer.groups[0].topics[0].partitions[0].error_code, ErrorCode::NONE);
    let all = lab.ask(peer, &ask(None), 9);
    assert_eq!((all.groups[0].topics.len(), all.groups[0].topics[0].partitions.len()), (1, 1));
    let by_id = lab.ask(peer, &ask(None), 10);
    assert_eq!(Some(by_id.groups[0].topics[0].topic_id), lab.brokers.topic_id("t"));
    lab.brokers.delete_topic(lab.now, "t");
    assert!(lab.ask(peer, &ask(None), 9).groups[0].topics.is_empty(), "offsets go with their topic (3.6)");
}

#[test]
fn groups_are_listed_described_and_deleted_6_6_and_3_5() {
    let mut lab = lab();
    let (peer, id) = stable(&mut lab);
    let listed =
        lab.ask(peer, &ListGroupsRequest { states_filter: vec!["stable".to_owned()], ..Default::default() }, 5);
    assert_eq!((listed.groups[0].group_id.as_str(), listed.groups[0].group_type.as_str()), ("g", "classic"));
    let none = lab.ask(peer, &ListGroupsRequest { states_filter: vec!["Empty".to_owned()], ..Default::default() }, 5);
    assert!(none.groups.is_empty());
    let ask = DescribeGroupsRequest { groups: vec!["g".to_owned()], ..Default::default() };
    let group = lab.ask(peer, &ask, 5).groups.remove(0);
    assert_eq!((group.members[0].member_id.as_str(), &group.members[0].member_assignment[..]), (&id[..], &b"mine"[..]));
    let delete = DeleteGroupsRequest { groups_names: vec!["g".to_owned()] };
    assert_eq!(lab.ask(peer, &delete, 2).results[0].error_code, ErrorCode::NON_EMPTY_GROUP);
    lab.pass(20_000);
    assert_eq!(lab.ask(peer, &delete, 2).results[0].error_code, ErrorCode::NONE);
    assert_eq!(lab.ask(peer, &delete, 2).results[0].error_code, ErrorCode::GROUP_ID_NOT_FOUND);
    let dead = lab.ask(peer, &ask, 5).groups.remove(0);
    assert_eq!((dead.error_code, dead.group_state.as_str()), (ErrorCode::NONE, "Dead"));
    assert_eq!(lab.ask(peer, &ask, 6).groups[0].error_code, ErrorCode::GROUP_ID_NOT_FOUND);
}
