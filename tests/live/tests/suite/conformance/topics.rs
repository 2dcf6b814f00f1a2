//! Topics and configurations, as the controller sees to them (broker-coord 6.2 to 6.4).

use super::script::Script;
use anyhow::Result;
use klamm_core::BrokerId;
use klamm_core::wire::Uuid;
use klamm_core::wire::messages::create_partitions::{CreatePartitionsAssignment, CreatePartitionsTopic};
use klamm_core::wire::messages::create_topics::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig};
use klamm_core::wire::messages::delete_topics::DeleteTopicState;
use klamm_core::wire::messages::describe_configs::DescribeConfigsResource;
use klamm_core::wire::messages::incremental_alter_configs::{AlterConfigsResource, AlterableConfig};
use klamm_core::wire::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest,
    IncrementalAlterConfigsRequest,
};

const TOPIC: &str = "conformance-topics";

fn new(name: &str, partitions: i32, replicas: i16) -> CreatableTopic {
    CreatableTopic {
        name: name.to_owned(),
        num_partitions: partitions,
        replication_factor: replicas,
        ..Default::default()
    }
}

fn laid(name: &str, assignments: &[(i32, &[i32])]) -> CreatableTopic {
    let one = |(index, brokers): &(i32, &[i32])| CreatableReplicaAssignment {
        partition_index: *index,
        broker_ids: brokers.iter().map(|id| BrokerId(*id)).collect(),
    };
    CreatableTopic { assignments: assignments.iter().map(one).collect(), ..new(name, -1, -1) }
}

fn configured(name: &str, key: &str, value: Option<&str>) -> CreatableTopic {
    let config = CreatableTopicConfig { name: key.to_owned(), value: value.map(str::to_owned) };
    CreatableTopic { configs: vec![config], ..new(name, 1, 1) }
}

fn create(topics: Vec<CreatableTopic>, validate_only: bool) -> CreateTopicsRequest {
    CreateTopicsRequest { topics, timeout_ms: 10_000, validate_only }
}

pub(super) fn play(s: &mut Script) -> Result<()> {
    s.topic(TOPIC, &[&[1, 2, 3], &[2, 3, 1]], &[])?;
    s.topic("conformance_alike", &[&[1, 2, 3]], &[])?;
    created(s)?;
    grown_and_deleted(s)?;
    configs(s)
}

fn created(s: &mut Script) -> Result<()> {
    let name = "conformance-topics-new";
    let long = "x".repeat(250);
    let cases: Vec<(&str, CreatableTopic)> = vec![
        ("one that is there", new(TOPIC, 1, 1)),
        ("one that is there, with bad counts", new(TOPIC, 0, 0)),
        ("a bad name", new("a/b", 1, 1)),
        ("a name too long", new(&long, 1, 1)),
        ("no name", new("", 1, 1)),
        ("two points", new("..", 1, 1)),
        ("a name like another", new("conformance.alike", 1, 1)),
        ("no partition", new(name, 0, 1)),
        ("a negative number of partitions", new(name, -2, 1)),
        ("no replica", new(name, 1, 0)),
        ("no partition and no replica", new(name, 0, 0)),
        ("more replicas than brokers", new(name, 1, 4)),
        ("an unknown key", configured(name, "no.such.key", Some("1"))),
        ("a bad value", configured(name, "retention.ms", Some("soon"))),
        ("a null value", configured(name, "retention.ms", None)),
        ("assignments and a number", CreatableTopic { num_partitions: 1, ..laid(name, &[(0, &[1])]) }),
        ("assignments and replicas", CreatableTopic { replication_factor: 1, ..laid(name, &[(0, &[1])]) }),
        ("assignments with a hole", laid(name, &[(0, &[1]), (2, &[1])])),
        ("assignments with one twice", laid(name, &[(0, &[1]), (0, &[1])])),
        ("assignments to an unknown broker", laid(name, &[(0, &[1, 9])])),
        ("assignments to a broker twice", laid(name, &[(0, &[1, 1])])),
        ("assignments to nobody", laid(name, &[(0, &[])])),
        ("assignments of two lengths", laid(name, &[(0, &[1, 2]), (1, &[1])])),
    ];
    for (what, topic) in cases {
        s.ask(("C 6.2", what), 1, &create(vec![topic], false), 7)?;
    }
    for version in [2, 4, 5, 7] {
        let mut told = s.wire.ask(1, &create(vec![new(name, 2, 3)], true), version)?;
        for topic in &mut told.topics {
            // Keys that one of the two does not have are no concern of clients; these are.
            let wanted = ["cleanup.policy", "max.message.bytes", "message.timestamp.type", "segment.bytes"];
            topic.configs.iter_mut().for_each(|all| all.retain(|c| wanted.contains(&c.name.as_str())));
        }
        s.note(("C 6.2", &format!("only checked, version {version}")), &told);
    }
    let twice = vec![new(name, 1, 1), new(TOPIC, 1, 1), new(name, 2, 1)];
    s.ask(("C 6.2", "one twice, one that is there"), 1, &create(twice, true), 4)?;
    Ok(())
}

fn grown_and_deleted(s: &mut Script) -> Result<()> {
    let grow = |name: &str, count: i32, assignments: Option<&[&[i32]]>| CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic {
            name: name.to_owned(),
            count,
            assignments: assignments.map(|all| {
                let one = |brokers: &&[i32]| CreatePartitionsAssignment {
                    broker_ids: brokers.iter().map(|id| BrokerId(*id)).collect(),
                };
                all.iter().map(one).collect()
            }),
        }],
        timeout_ms: 10_000,
        validate_only: true,
    };
    let odd: &[&[i32]] = &[&[1, 2, 3], &[1, 2, 3]];
    let unknown: &[&[i32]] = &[&[1, 2, 9]];
    let good: &[&[i32]] = &[&[3, 2, 1]];
    for (what, request) in [
        ("as many as there are", grow(TOPIC, 2, None)),
        ("fewer", grow(TOPIC, 1, None)),
        ("none", grow(TOPIC, 0, None)),
        ("an unknown topic", grow("conformance-nowhere", 5, None)),
        ("one more", grow(TOPIC, 3, None)),
        ("one more, laid out", grow(TOPIC, 3, Some(good))),
        ("two laid out for one", grow(TOPIC, 3, Some(odd))),
        ("an unknown broker", grow(TOPIC, 3, Some(unknown))),
    ] {
        s.ask(("C 6.3", &format!("partitions: {what}")), 1, &request, 3)?;
    }
    let mut twice = grow(TOPIC, 3, None);
    twice.topics.push(twice.topics[0].clone());
    s.ask(("C 6.3", "partitions: one twice"), 1, &twice, 3)?;

    let delete = |names: &[&str]| DeleteTopicsRequest {
        topic_names: names.iter().map(|n| (*n).to_owned()).collect(),
        timeout_ms: 10_000,
        ..Default::default()
    };
    let state = |name: Option<&str>, topic_id: Uuid| DeleteTopicState { name: name.map(str::to_owned), topic_id };
    let by_state = |topics: Vec<DeleteTopicState>| DeleteTopicsRequest { topics, ..delete(&[]) };
    for version in [1, 3, 5] {
        let what = format!("deletion: an unknown topic, version {version}");
        s.ask(("C 6.3", &what), 1, &delete(&["conformance-nowhere"]), version)?;
    }
    let zero = Uuid([0; 16]);
    for (what, topics) in [
        ("an unknown name", vec![state(Some("conformance-nowhere"), zero)]),
        ("an unknown id", vec![state(None, Uuid([7; 16]))]),
        ("neither name nor id", vec![state(None, zero)]),
        ("both name and id", vec![state(Some(TOPIC), Uuid([7; 16]))]),
        ("a name twice", vec![state(Some(TOPIC), zero), state(Some(TOPIC), zero)]),
    ] {
        s.ask(("C 6.3", &format!("deletion: {what}")), 1, &by_state(topics), 6)?;
    }
    s.topic("conformance-topics-gone", &[&[1, 2, 3]], &[])?;
    s.ask(("C 6.3", "deletion: one that is there"), 1, &delete(&["conformance-topics-gone"]), 5)?;
    Ok(())
}

fn configs(s: &mut Script) -> Result<()> {
    const KEYS: &[&str] =
        &["cleanup.policy", "max.message.bytes", "delete.retention.ms", "message.timestamp.type", "no.such.key"];
    let describe = |resource_type: i8, name: &str| DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type,
            resource_name: name.to_owned(),
            configuration_keys: Some(KEYS.iter().map(|k| (*k).to_owned()).collect()),
        }],
        include_synonyms: true,
        include_documentation: false,
    };
    // The order of the keys is nobody's.
    let ask = |s: &mut Script, what: &str, request: &DescribeConfigsRequest, version: i16| -> Result<()> {
        let mut told = s.wire.ask(1, request, version)?;
        told.results.iter_mut().for_each(|r| r.configs.sort_by(|a, b| a.name.cmp(&b.name)));
        s.note(("C 6.4", what), &told);
        Ok(())
    };
    for version in [1, 3, 4] {
        ask(s, &format!("a topic, version {version}"), &describe(2, TOPIC), version)?;
    }
    for (what, resource_type, name) in [
        ("an unknown topic", 2, "conformance-nowhere"),
        ("a bad name", 2, "a/b"),
        ("another broker", 4, "2"),
        ("no broker", 4, "nine"),
        ("an unknown type", 77, "x"),
        ("an unknown group", 32, "nobody"),
    ] {
        ask(s, what, &describe(resource_type, name), 4)?;
    }
    let mut spoilt = describe(2, TOPIC);
    spoilt.resources.extend(describe(77, "x").resources);
    ask(s, "a topic beside an unknown type", &spoilt, 4)?;

    let alter = |resource_type: i8, name: &str, changes: &[(&str, i8, Option<&str>)]| {
        let change = |(key, config_operation, value): &(&str, i8, Option<&str>)| AlterableConfig {
            name: (*key).to_owned(),
            config_operation: *config_operation,
            value: value.map(str::to_owned),
        };
        let configs = changes.iter().map(change).collect();
        IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource { resource_type, resource_name: name.to_owned(), configs }],
            validate_only: false,
        }
    };
    for (what, request) in [
        ("an unknown key", alter(2, TOPIC, &[("no.such.key", 0, Some("1"))])),
        ("a bad value", alter(2, TOPIC, &[("retention.ms", 0, Some("soon"))])),
        ("a null value", alter(2, TOPIC, &[("retention.ms", 0, None)])),
        ("a key twice", alter(2, TOPIC, &[("retention.ms", 0, Some("1")), ("retention.ms", 1, None)])),
        ("an unknown operation", alter(2, TOPIC, &[("retention.ms", 9, Some("1"))])),
        ("append to no list", alter(2, TOPIC, &[("retention.ms", 2, Some("1"))])),
        ("append a bad item", alter(2, TOPIC, &[("cleanup.policy", 2, Some("burn"))])),
        ("delete what is not set", alter(2, TOPIC, &[("segment.ms", 1, None)])),
        ("an unknown topic", alter(2, "conformance-nowhere", &[("retention.ms", 0, Some("1"))])),
        ("an unknown topic and a bad value", alter(2, "conformance-nowhere", &[("retention.ms", 0, Some("x"))])),
        ("another broker", alter(4, "2", &[("log.retention.ms", 0, Some("1"))])),
        ("an unknown type", alter(77, "x", &[("a", 0, Some("1"))])),
        ("a group that nobody made", alter(32, "conformance-g", &[("consumer.session.timeout.ms", 0, Some("9000"))])),
        ("append to a list", alter(2, TOPIC, &[("cleanup.policy", 2, Some("compact"))])),
        (
            "two keys",
            alter(2, TOPIC, &[("max.message.bytes", 0, Some("9999")), ("delete.retention.ms", 0, Some("5000"))]),
        ),
    ] {
        s.ask(("C 6.4", &format!("change: {what}")), 1, &request, 1)?;
    }
    let mut twice = alter(2, TOPIC, &[("retention.ms", 0, Some("1"))]);
    twice.resources.push(twice.resources[0].clone());
    s.ask(("C 6.4", "change: a topic twice"), 1, &twice, 1)?;
    // A broker answers by what it has heard of.
    let request = describe(2, TOPIC);
    let heard = |s: &mut Script| {
        let told = s.wire.ask(1, &request, 4)?;
        let mut configs = told.results.iter().flat_map(|r| &r.configs);
        Ok(configs.any(|c| c.name == "delete.retention.ms" && c.value.as_deref() == Some("5000")).then_some(()))
    };
    s.until(heard, "change of the topic")?;
    ask(s, "a changed topic", &describe(2, TOPIC), 4)?;
    Ok(())
}
