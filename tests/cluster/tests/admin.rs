//! Topics, configurations and ACLs (broker-coord 6).

mod raw;

use klamm_cluster::Peer;
use klamm_core::wire::messages::create_acls::AclCreation;
use klamm_core::wire::messages::create_partitions::CreatePartitionsTopic;
use klamm_core::wire::messages::create_topics::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig};
use klamm_core::wire::messages::delete_acls::DeleteAclsFilter;
use klamm_core::wire::messages::delete_topics::DeleteTopicState;
use klamm_core::wire::messages::describe_configs::DescribeConfigsResource;
use klamm_core::wire::messages::incremental_alter_configs::{AlterConfigsResource, AlterableConfig};
use klamm_core::wire::messages::*;
use klamm_core::{BrokerId, ErrorCode};
use raw::{Batch, Lab, produce, produced};

fn lab() -> (Lab, Peer) {
    let mut lab = Lab::new(3);
    let peer = lab.connect(2);
    (lab, peer)
}

fn topic(name: &str, partitions: i32, factor: i16) -> CreatableTopic {
    CreatableTopic {
        name: name.to_owned(),
        num_partitions: partitions,
        replication_factor: factor,
        ..Default::default()
    }
}

fn create(lab: &mut Lab, peer: Peer, topics: Vec<CreatableTopic>) -> Vec<ErrorCode> {
    let request = CreateTopicsRequest { topics, ..Default::default() };
    lab.ask(peer, &request, 7).topics.iter().map(|t| t.error_code).collect()
}

#[test]
fn a_created_topic_is_told_with_its_configuration_6_2() {
    let (mut lab, peer) = lab();
    let mut wanted = topic("t", -1, -1);
    wanted.configs = vec![CreatableTopicConfig { name: "retention.ms".to_owned(), value: Some("5".to_owned()) }];
    let request = CreateTopicsRequest { topics: vec![wanted], ..Default::default() };
    let created = lab.ask(peer, &request, 7).topics.remove(0);
    assert_eq!((created.num_partitions, created.replication_factor), (1, 3));
    assert_eq!(Some(created.topic_id), lab.brokers.topic_id("t"));
    let configs = created.configs.expect("told");
    assert!(configs.is_sorted_by_key(|c| c.name.clone()));
    let retention = configs.iter().find(|c| c.name == "retention.ms").expect("there");
    assert_eq!((retention.value.as_deref(), retention.config_source), (Some("5"), 1));
}

#[test]
fn validation_creates_nothing_6_2() {
    let (mut lab, peer) = lab();
    let request = CreateTopicsRequest { topics: vec![topic("t", 1, 1)], validate_only: true, ..Default::default() };
    assert_eq!(lab.ask(peer, &request, 7).topics[0].error_code, ErrorCode::NONE);
    assert_eq!(lab.brokers.topic_id("t"), None);
}

#[test]
fn topics_are_checked_in_order_6_2() {
    let (mut lab, peer) = lab();
    lab.brokers.create_topic(lab.now, "a.b", 1);
    let mut bad_config = topic("x", 0, 0);
    bad_config.configs = vec![CreatableTopicConfig { name: "nonsense".to_owned(), value: Some("5".to_owned()) }];
    let mut null_config = topic("y", 1, 1);
    null_config.configs = vec![CreatableTopicConfig { name: "retention.ms".to_owned(), value: None }];
    let asked = vec![
        topic("twice", 1, 1),
        topic("twice", 1, 1),
        topic("__cluster_metadata", 1, 1),
        topic("no good", 1, 1),
        topic("a_b", 1, 1),
        topic("a.b", 0, 0),
        bad_config,
        null_config,
        topic("f", 0, 0),
        topic("p", 0, 1),
        topic("many", 1, 4),
        topic("fine", 2, 3),
    ];
    let codes = create(&mut lab, peer, asked);
    use ErrorCode as E;
    let expected = [
        E::INVALID_REQUEST,
        E::INVALID_TOPIC_EXCEPTION,
        E::INVALID_TOPIC_EXCEPTION,
        E::TOPIC_ALREADY_EXISTS,
        E::INVALID_CONFIG,
        E::INVALID_CONFIG,
        E::INVALID_REPLICATION_FACTOR,
        E::INVALID_PARTITIONS,
        E::INVALID_REPLICATION_FACTOR,
        E::NONE,
        // Repeated names come last, once.
        E::INVALID_REQUEST,
    ];
    assert_eq!(codes, expected);
}

#[test]
fn assignments_are_checked_6_2() {
    let (mut lab, peer) = lab();
    let assigned = |partitions: &[(i32, &[i32])]| CreatableTopic {
        assignments: partitions
            .iter()
            .map(|(index, brokers)| CreatableReplicaAssignment {
                partition_index: *index,
                broker_ids: brokers.iter().copied().map(BrokerId).collect(),
            })
            .collect(),
        ..topic("t", -1, -1)
    };
    let bad: [&[(i32, &[i32])]; 5] =
        [&[(0, &[1]), (0, &[2])], &[(1, &[1])], &[(0, &[])], &[(0, &[9])], &[(0, &[1, 2]), (1, &[3])]];
    for partitions in bad {
        assert_eq!(create(&mut lab, peer, vec![assigned(partitions)]), [ErrorCode::INVALID_REPLICA_ASSIGNMENT]);
    }
    let both = CreatableTopic { num_partitions: 1, ..assigned(&[(0, &[1])]) };
    assert_eq!(create(&mut lab, peer, vec![both]), [ErrorCode::INVALID_REQUEST]);
    assert_eq!(create(&mut lab, peer, vec![assigned(&[(0, &[3, 1]), (1, &[2, 3])])]), [ErrorCode::NONE]);
    assert_eq!(lab.brokers.leader("t", 0), Some((Some(3), 0)));
}

#[test]
fn too_many_partitions_and_no_time_are_refused_whole_6_2() {
    let (mut lab, peer) = lab();
    let codes = create(&mut lab, peer, vec![topic("a", 9_000, 1), topic("b", 2_000, 1)]);
    assert_eq!(codes, [ErrorCode::POLICY_VIOLATION; 2]);
    let request = CreateTopicsRequest { topics: vec![topic("c", 1, 1)], timeout_ms: 0, ..Default::default() };
    assert_eq!(lab.ask(peer, &request, 7).topics[0].error_code, ErrorCode::REQUEST_TIMED_OUT);
    assert_eq!(lab.brokers.topic_names().len(), 0);
}

#[test]
fn topics_are_deleted_by_name_or_id_but_not_by_both_6_3() {
    let (mut lab, peer) = lab();
    for name in ["a", "b", "c"] {
        lab.brokers.create_topic(lab.now, name, 1);
    }
    let id = |lab: &Lab, name: &str| lab.brokers.topic_id(name).expect("exists");
    let by_name = |name: &str| DeleteTopicState { name: Some(name.to_owned()), ..Default::default() };
    let topics = vec![
        by_name("a"),
        DeleteTopicState { name: None, topic_id: id(&lab, "b") },
        by_name("nothing"),
        DeleteTopicState::default(),
        by_name("c"),
        DeleteTopicState { name: None, topic_id: id(&lab, "c") },
    ];
    let request = DeleteTopicsRequest { topics, timeout_ms: 1000, ..Default::default() };
    let mut codes: Vec<i16> = lab.ask(peer, &request, 6).responses.iter().map(|t| t.error_code.0).collect();
    codes.sort_unstable();
    assert_eq!(codes, [0, 0, 3, 42, 42, 42]);
    assert_eq!(lab.brokers.topic_names(), ["c"]);
    let old = DeleteTopicsRequest { topic_names: vec!["c".to_owned()], timeout_ms: 1000, ..Default::default() };
    assert_eq!(lab.ask(peer, &old, 5).responses[0].error_code, ErrorCode::NONE);
}

#[test]
fn partitions_only_grow_6_3() {
    let (mut lab, peer) = lab();
    lab.brokers.create_topic(lab.now, "t", 2);
    let grow = |lab: &mut Lab, name: &str, count| {
        let topics = vec![CreatePartitionsTopic { name: name.to_owned(), count, assignments: None }];
        let request = CreatePartitionsRequest { topics, timeout_ms: 1000, ..Default::default() };
        lab.ask(peer, &request, 3).results[0].error_code
    };
    assert_eq!(grow(&mut lab, "t", 2), ErrorCode::INVALID_PARTITIONS);
    assert_eq!(grow(&mut lab, "nothing", 2), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(grow(&mut lab, "t", 4), ErrorCode::NONE);
    assert_eq!(lab.brokers.leader("t", 3), Some((Some(1), 0)));
}

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;

fn alter(lab: &mut Lab, peer: Peer, kind: i8, name: &str, changes: &[(&str, i8, Option<&str>)]) -> ErrorCode {
    let configs = changes.iter().map(|(name, config_operation, value)| AlterableConfig {
        name: (*name).to_owned(),
        config_operation: *config_operation,
        value: value.map(str::to_owned),
    });
    let resource =
        AlterConfigsResource { resource_type: kind, resource_name: name.to_owned(), configs: configs.collect() };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    lab.ask(peer, &request, 1).responses[0].error_code
}

fn config(lab: &mut Lab, peer: Peer, kind: i8, name: &str, key: &str) -> Option<(Option<String>, i8, Vec<i8>)> {
    let asked = DescribeConfigsResource {
        resource_type: kind,
        resource_name: name.to_owned(),
        configuration_keys: Some(vec![key.to_owned()]),
    };
    let request = DescribeConfigsRequest { resources: vec![asked], include_synonyms: true, ..Default::default() };
    let result = lab.ask(peer, &request, 4).results.remove(0);
    assert_eq!(result.error_code, ErrorCode::NONE);
    let found = result.configs.into_iter().next()?;
    Some((found.value, found.config_source, found.synonyms.iter().map(|s| s.source).collect()))
}

#[test]
fn configurations_come_from_the_topic_the_broker_or_the_default_6_4() {
    let (mut lab, peer) = lab();
    lab.brokers.create_topic(lab.now, "t", 1);
    let get = |lab: &mut Lab| config(lab, peer, TOPIC, "t", "retention.ms").expect("known");
    assert_eq!(get(&mut lab), (Some("604800000".to_owned()), 5, vec![5]));
    assert_eq!(alter(&mut lab, peer, BROKER, "", &[("log.retention.ms", SET, Some("7"))]), ErrorCode::NONE);
    assert_eq!(get(&mut lab), (Some("7".to_owned()), 3, vec![3, 5]));
    assert_eq!(alter(&mut lab, peer, TOPIC, "t", &[("retention.ms", SET, Some("9"))]), ErrorCode::NONE);
    assert_eq!(get(&mut lab), (Some("9".to_owned()), 1, vec![1, 3, 5]));
    assert_eq!(alter(&mut lab, peer, TOPIC, "t", &[("retention.ms", DELETE, None)]), ErrorCode::NONE);
    assert_eq!(get(&mut lab).1, 3);
    assert_eq!(config(&mut lab, peer, TOPIC, "t", "nonsense"), None);
    assert_eq!(config(&mut lab, peer, BROKER, "2", "node.id").expect("known").0.as_deref(), Some("2"));
}

#[test]
fn changes_are_checked_6_4() {
    let (mut lab, peer) = lab();
    lab.brokers.create_topic(lab.now, "t", 1);
    let mut change =
        |kind, name: &str, changes: &[(&str, i8, Option<&str>)]| alter(&mut lab, peer, kind, name, changes);
    assert_eq!(change(TOPIC, "t", &[("nonsense", SET, Some("1"))]), ErrorCode::INVALID_CONFIG);
    assert_eq!(change(TOPIC, "t", &[("retention.ms", SET, Some("x"))]), ErrorCode::INVALID_CONFIG);
    assert_eq!(change(TOPIC, "t", &[("retention.ms", SET, None)]), ErrorCode::INVALID_REQUEST);
    assert_eq!(change(TOPIC, "t", &[("retention.ms", APPEND, Some("1"))]), ErrorCode::INVALID_CONFIG);
    assert_eq!(change(TOPIC, "t", &[("cleanup.policy", APPEND, Some("compact"))]), ErrorCode::NONE);
    assert_eq!(change(TOPIC, "no", &[("retention.ms", SET, Some("x"))]), ErrorCode::INVALID_CONFIG);
    assert_eq!(change(TOPIC, "no", &[("retention.ms", SET, Some("1"))]), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(change(BROKER, "1", &[("log.retention.ms", SET, Some("1"))]), ErrorCode::INVALID_REQUEST);
    assert_eq!(change(99, "x", &[]), ErrorCode::INVALID_REQUEST);
    let policy = config(&mut lab, peer, TOPIC, "t", "cleanup.policy").expect("known").0;
    assert_eq!(policy.as_deref(), Some("delete,compact"));
}

#[test]
fn a_change_counts_at_once() {
    let mut lab = Lab::new(1);
    lab.brokers.create_topic(lab.now, "t", 1);
    let peer = lab.connect(1);
    alter(&mut lab, peer, TOPIC, "t", &[("max.message.bytes", SET, Some("10"))]);
    let answer = lab.ask(peer, &produce("t", Batch::of(&["a"]).bytes(), -1), 9);
    assert_eq!(produced(&answer).0, ErrorCode::MESSAGE_TOO_LARGE);
}

#[test]
fn configurations_of_strangers_are_refused_6_4() {
    let (mut lab, peer) = lab();
    let mut ask = |kind, name: &str| {
        let asked =
            DescribeConfigsResource { resource_type: kind, resource_name: name.to_owned(), configuration_keys: None };
        let request = DescribeConfigsRequest { resources: vec![asked], ..Default::default() };
        lab.ask(peer, &request, 4).results[0].error_code
    };
    assert_eq!(ask(TOPIC, "no"), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(ask(TOPIC, "no good"), ErrorCode::INVALID_TOPIC_EXCEPTION);
    assert_eq!(ask(BROKER, "1"), ErrorCode::INVALID_REQUEST);
    assert_eq!(ask(77, "x"), ErrorCode::INVALID_REQUEST);
    assert_eq!(ask(32, "any group"), ErrorCode::NONE);
}

fn acl(name: &str, pattern: i8) -> AclCreation {
    AclCreation {
        resource_type: 2,
        resource_name: name.to_owned(),
        resource_pattern_type: pattern,
        principal: "User:a".to_owned(),
        host: "*".to_owned(),
        operation: 3,
        permission_type: 3,
    }
}

fn found(lab: &mut Lab, peer: Peer, name: Option<&str>, pattern: i8) -> Vec<String> {
    let request = DescribeAclsRequest {
        resource_type_filter: 2,
        resource_name_filter: name.map(str::to_owned),
        pattern_type_filter: pattern,
        operation: 1,
        permission_type: 1,
        ..Default::default()
    };
    lab.ask(peer, &request, 3).resources.into_iter().map(|r| r.resource_name).collect()
}

#[test]
fn acls_are_stored_once_found_by_filters_and_deleted_6_5() {
    let (mut lab, peer) = lab();
    let creations = vec![acl("x", 3), acl("x", 3), acl("*", 3), acl("x", 4), acl("xy", 4), acl("", 3)];
    let codes: Vec<_> =
        lab.ask(peer, &CreateAclsRequest { creations }, 3).results.iter().map(|r| r.error_code.0).collect();
    assert_eq!(codes, [0, 0, 0, 0, 0, 42]);
    assert_eq!(found(&mut lab, peer, None, 1).len(), 4);
    assert_eq!(found(&mut lab, peer, Some("x"), 3), ["x"], "a literal does not match *");
    assert_eq!(found(&mut lab, peer, Some("x"), 1), ["x", "x"]);
    assert_eq!(found(&mut lab, peer, Some("xyz"), 2), ["*", "x", "xy"], "all that would apply");
    let vague = CreateAclsRequest { creations: vec![acl("z", 1), acl("w", 3)] };
    let codes: Vec<_> = lab.ask(peer, &vague, 3).results.iter().map(|r| r.error_code.0).collect();
    assert_eq!(codes, [-1, -1]);
    let filter = DeleteAclsFilter {
        resource_type_filter: 2,
        resource_name_filter: Some("x".to_owned()),
        pattern_type_filter: 4,
        operation: 1,
        permission_type: 1,
        ..Default::default()
    };
    let none = DeleteAclsFilter { resource_name_filter: Some("q".to_owned()), ..filter.clone() };
    let request = DeleteAclsRequest { filters: vec![filter, none] };
    let counts: Vec<_> =
        lab.ask(peer, &request, 3).filter_results.iter().map(|r| (r.error_code.0, r.matching_acls.len())).collect();
    assert_eq!(counts, [(0, 1), (0, 0)]);
    assert_eq!(found(&mut lab, peer, None, 1).len(), 3);
}

#[test]
fn without_an_authorizer_security_is_disabled_6_5() {
    let mut lab = Lab::with(|s| s.acls = false);
    let peer = lab.connect(1);
    let answer = lab.ask(peer, &CreateAclsRequest { creations: vec![acl("x", 3)] }, 3);
    assert_eq!(answer.results[0].error_code, ErrorCode::SECURITY_DISABLED);
    assert_eq!(lab.ask(peer, &DescribeAclsRequest::default(), 3).error_code, ErrorCode::SECURITY_DISABLED);
}
