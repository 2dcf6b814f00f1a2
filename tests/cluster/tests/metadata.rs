//! What clients are told of brokers, topics and leaders (broker-data 2 and 9).

mod raw;

use klamm_cluster::Peer;
use klamm_core::ErrorCode;
use klamm_core::wire::Uuid;
use klamm_core::wire::messages::describe_topic_partitions::{Cursor, TopicRequest};
use klamm_core::wire::messages::metadata::MetadataRequestTopic;
use klamm_core::wire::messages::*;
use raw::Lab;
use std::collections::BTreeSet;
use std::time::Duration;

fn about(names: &[&str]) -> MetadataRequest {
    let topic = |name: &&str| MetadataRequestTopic { name: Some((*name).to_owned()), ..Default::default() };
    MetadataRequest { topics: Some(names.iter().map(topic).collect()), ..Default::default() }
}

fn leader(lab: &mut Lab, peer: Peer) -> (ErrorCode, i32, i32) {
    let answer = lab.ask(peer, &about(&["t"]), 12);
    let p = &answer.topics[0].partitions[0];
    (p.error_code, p.leader_id.0, p.leader_epoch)
}

#[test]
fn the_controller_is_a_random_live_broker_2_1() {
    let mut lab = Lab::new(3);
    let peer = lab.connect(1);
    let seen: BTreeSet<i32> = (0..50).map(|_| lab.ask(peer, &about(&[]), 12).controller_id.0).collect();
    assert_eq!(seen, BTreeSet::from([1, 2, 3]));
}

#[test]
fn null_asks_for_all_and_an_empty_list_for_none_2_3() {
    let mut lab = Lab::new(1);
    lab.brokers.create_topic(lab.now, "a", 1);
    lab.brokers.create_topic(lab.now, "b", 1);
    let peer = lab.connect(1);
    let all = MetadataRequest { topics: None, ..Default::default() };
    assert_eq!(lab.ask(peer, &all, 12).topics.len(), 2);
    assert_eq!(lab.ask(peer, &about(&[]), 12).topics.len(), 0);
    assert_eq!(lab.ask(peer, &about(&[]), 0).topics.len(), 2);
    assert_eq!(lab.ask(peer, &about(&["a", "a"]), 12).topics.len(), 1);
}

#[test]
fn ids_make_names_ignored_and_are_refused_before_version_12_2_3_and_2_6() {
    let mut lab = Lab::new(1);
    lab.brokers.create_topic(lab.now, "t", 1);
    let id = lab.brokers.topic_id("t").expect("exists");
    let peer = lab.connect(1);
    let mut request = about(&["other"]);
    let by_id = |topic_id| MetadataRequestTopic { topic_id, name: None };
    request.topics.as_mut().expect("some").push(by_id(id));
    let answer = lab.ask(peer, &request, 12);
    assert_eq!((answer.topics.len(), answer.topics[0].name.as_deref()), (1, Some("t")));
    let unknown = MetadataRequest { topics: Some(vec![by_id(Uuid([7; 16]))]), ..Default::default() };
    let topic = lab.ask(peer, &unknown, 12).topics.remove(0);
    assert_eq!((topic.error_code, topic.name, topic.topic_id), (ErrorCode::UNKNOWN_TOPIC_ID, None, Uuid([7; 16])));
}

#[test]
fn an_auto_created_topic_is_unknown_at_first_2_7() {
    let mut lab = Lab::new(1);
    let peer = lab.connect(1);
    let code = |lab: &mut Lab, name| lab.ask(peer, &about(&[name]), 12).topics[0].error_code;
    assert_eq!(code(&mut lab, "new"), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(code(&mut lab, "new"), ErrorCode::NONE);
    assert_eq!(code(&mut lab, "a b"), ErrorCode::INVALID_TOPIC_EXCEPTION);
    let quiet = MetadataRequest { allow_auto_topic_creation: false, ..about(&["other"]) };
    for _ in 0..2 {
        assert_eq!(lab.ask(peer, &quiet, 12).topics[0].error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    }
    lab.brokers.create_topic(lab.now, "a.1", 1);
    for _ in 0..3 {
        assert_eq!(code(&mut lab, "a_1"), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "a failure is never told");
    }
}

#[test]
fn a_crashed_broker_leads_until_its_session_expires_2_2() {
    let mut lab = Lab::new(2);
    lab.brokers.create_topic(lab.now, "t", 1);
    let peer = lab.connect(2);
    lab.brokers.kill_broker(lab.now, 1);
    assert_eq!(leader(&mut lab, peer), (ErrorCode::NONE, 1, 0));
    lab.pass(499);
    assert_eq!(leader(&mut lab, peer), (ErrorCode::NONE, 1, 0));
    lab.pass(1);
    assert_eq!(leader(&mut lab, peer), (ErrorCode::NONE, 2, 1));
    let answer = lab.ask(peer, &about(&["t"]), 12);
    let p = &answer.topics[0].partitions[0];
    assert_eq!(answer.brokers.len(), 1);
    assert_eq!((p.isr_nodes.len(), p.offline_replicas[0].0), (1, 1));
    assert!(lab.brokers.accept(lab.now, 1).is_none());
    lab.brokers.start_broker(lab.now, 1);
    let p = &lab.ask(peer, &about(&["t"]), 12).topics[0].partitions[0];
    assert_eq!((p.leader_id.0, p.isr_nodes.len(), p.offline_replicas.len()), (2, 2, 0));
}

#[test]
fn a_partition_without_a_leader_is_5_with_its_real_epoch_2_5() {
    let mut lab = Lab::new(2);
    lab.brokers.create_topic_with(lab.now, "t", 1, 1, &[]);
    let peer = lab.connect(2);
    lab.brokers.kill_broker(lab.now, 1);
    lab.pass(500);
    let answer = lab.ask(peer, &about(&["t"]), 12);
    let p = &answer.topics[0].partitions[0];
    assert_eq!((p.error_code, p.leader_id.0, p.leader_epoch), (ErrorCode::LEADER_NOT_AVAILABLE, -1, 1));
    assert!(p.isr_nodes.is_empty());
    lab.brokers.start_broker(lab.now, 1);
    assert_eq!(leader(&mut lab, peer), (ErrorCode::NONE, 1, 2));
}

#[test]
fn other_brokers_hear_of_a_move_later_2_8() {
    let mut lab = Lab::with(|s| {
        s.brokers = 3;
        s.metadata_lag = Duration::from_millis(40);
    });
    lab.brokers.create_topic(lab.now, "t", 1);
    let (far, near) = (lab.connect(3), lab.connect(2));
    lab.brokers.move_leader(lab.now, "t", 0, 2).expect("moves");
    assert_eq!((leader(&mut lab, far).1, leader(&mut lab, near).1), (1, 2));
    lab.pass(40);
    assert_eq!(leader(&mut lab, far), (ErrorCode::NONE, 2, 1));
}

#[test]
fn partitions_are_described_in_pages_2_11() {
    let mut lab = Lab::new(1);
    lab.brokers.create_topic(lab.now, "a", 2);
    lab.brokers.create_topic(lab.now, "b", 3);
    let peer = lab.connect(1);
    let mut cursor = None;
    let mut pages = Vec::new();
    loop {
        let request = DescribeTopicPartitionsRequest { response_partition_limit: 2, cursor, ..Default::default() };
        let answer = lab.ask(peer, &request, 0);
        for topic in &answer.topics {
            pages.push((topic.name.clone().unwrap_or_default(), topic.partitions.len()));
        }
        cursor = answer.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(pages, [("a".to_owned(), 2), ("b".to_owned(), 2), ("b".to_owned(), 1)]);
    let lost = DescribeTopicPartitionsRequest {
        topics: vec![TopicRequest { name: "a".to_owned() }],
        cursor: Some(Cursor { topic_name: "z".to_owned(), partition_index: 0 }),
        ..Default::default()
    };
    assert_eq!(lab.ask(peer, &lost, 0).topics[0].error_code, ErrorCode::INVALID_REQUEST);
}

#[test]
fn the_cluster_is_described_but_not_its_controllers() {
    let mut lab = Lab::new(3);
    let peer = lab.connect(1);
    let answer = lab.ask(peer, &DescribeClusterRequest::default(), 1);
    assert_eq!((answer.error_code, answer.brokers.len()), (ErrorCode::NONE, 3));
    let controllers = DescribeClusterRequest { endpoint_type: 2, ..Default::default() };
    assert_eq!(lab.ask(peer, &controllers, 1).error_code, ErrorCode::MISMATCHED_ENDPOINT_TYPE);
}
