//! The connection, ApiVersions, Metadata and FindCoordinator (broker-data 1 and 2, broker-coord 1).

use super::script::Script;
use crate::transactions::wire::Sort;
use anyhow::Result;
use klamm_core::wire::Uuid;
use klamm_core::wire::messages::describe_topic_partitions::{Cursor, TopicRequest};
use klamm_core::wire::messages::metadata::MetadataRequestTopic;
use klamm_core::wire::messages::{
    ApiVersionsRequest, DescribeClusterRequest, DescribeTopicPartitionsRequest, FindCoordinatorRequest,
    MetadataRequest, MetadataResponse,
};

const TOPIC: &str = "conformance-cluster";
const OTHER: &str = "conformance-cluster-other";
/// The APIs that the in-memory cluster serves, and all clients of the classic protocol speak.
const KEYS: [i16; 30] =
    [0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19, 20, 21, 22, 23, 24, 25, 26, 28, 32, 37, 42, 44, 61, 65, 66];

pub(super) fn play(s: &mut Script) -> Result<()> {
    s.topic(TOPIC, &[&[1, 2, 3], &[2, 3, 1], &[3, 1, 2]], &[])?;
    s.topic(OTHER, &[&[3, 2]], &[])?;
    connection(s)?;
    versions(s)?;
    metadata(s)?;
    partitions(s)?;
    coordinators(s)
}

fn connection(s: &mut Script) -> Result<()> {
    const ID: &[u8] = &[0, 1, b'x'];
    let body = |rest: &[u8]| [ID, rest].concat();
    for (rule, what, api, bytes) in [
        ("D 1.3", "an unknown API", (999, 0), body(&[])),
        ("D 1.3", "Metadata of a version too high", (3, 99), body(&[0, 0])),
        ("D 1.3", "Produce before version 3", (0, 2), body(&[0, 1, 0, 0, 0, 0, 0, 0, 0, 0])),
        ("D 1.3", "Fetch before version 4", (1, 3), body(&[0; 20])),
        ("D 1.3", "a body that ends too early", (3, 1), body(&[0, 0, 0, 5, 0])),
        ("D 1.3", "a body of nonsense", (3, 1), body(&[0x7f, 0xff, 0xff, 0xff, 1])),
        ("D 1.4", "bytes behind a request", (12, 0), body(&[0, 1, b'g', 0, 0, 0, 1, 0, 1, b'm', 9, 9, 9])),
    ] {
        let told = s.wire.raw(1, api, &bytes)?.map(|_| "answered");
        s.note((rule, what), &told);
    }
    for version in [6, 99, -1] {
        let told = s.wire.raw(1, (18, version), ID)?;
        s.note(("D 1.5", &format!("version {version}")), &told);
    }
    Ok(())
}

fn versions(s: &mut Script) -> Result<()> {
    let named = |name: &str, version: &str| ApiVersionsRequest {
        client_software_name: name.to_owned(),
        client_software_version: version.to_owned(),
        ..Default::default()
    };
    for version in 0..=4 {
        let mut told = s.wire.ask(1, &named("by-hand", "1.0"), version)?;
        told.api_keys.retain(|api| KEYS.contains(&api.api_key.0));
        told.api_keys.sort_by_key(|api| api.api_key);
        told.supported_features.retain(|f| f.name.starts_with("transaction"));
        told.finalized_features.retain(|f| f.name.starts_with("transaction"));
        told.finalized_features_epoch = told.finalized_features_epoch.signum();
        s.note(("D 1.5", &format!("version {version}")), &told);
    }
    for (name, version) in [("", "1"), ("a", ""), ("a b", "1"), ("-a", "1"), ("a", "1-"), ("a_b", "1"), ("é", "1")] {
        s.ask(("D 1.7", &format!("{name:?} {version:?}")), 1, &named(name, version), 3)
            .map(|told| told.api_keys.len())?;
    }
    let of = |cluster: Option<&str>, node_id: i32| ApiVersionsRequest {
        cluster_id: cluster.map(str::to_owned),
        node_id,
        ..named("by-hand", "1.0")
    };
    for (what, request) in [
        ("only a broker", of(None, 1)),
        ("only a cluster", of(Some("another"), -1)),
        ("another cluster", of(Some("another"), 1)),
    ] {
        s.ask(("D 1.8", what), 1, &request, 5)?;
    }
    Ok(())
}

/// In the order of their names and numbers.
fn sorted(mut told: MetadataResponse) -> MetadataResponse {
    told.brokers.sort_by_key(|b| b.node_id);
    told.topics.sort_by(|a, b| (&a.name, a.error_code.0).cmp(&(&b.name, b.error_code.0)));
    told.topics.iter_mut().for_each(|t| t.partitions.sort_by_key(|p| p.partition_index));
    told
}

fn metadata(s: &mut Script) -> Result<()> {
    let named = |name: &str| MetadataRequestTopic { name: Some(name.to_owned()), ..Default::default() };
    let of = |names: &[&str]| MetadataRequest {
        topics: Some(names.iter().map(|n| named(n)).collect()),
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    let note = |s: &mut Script, rule: (&str, &str), request: &MetadataRequest, version: i16| -> Result<()> {
        let told = s.wire.ask(1, request, version)?;
        s.note(rule, &sorted(told));
        Ok(())
    };
    note(s, ("D 2.2", "no topics"), &of(&[]), 9)?;
    for version in 1..=13 {
        let request = MetadataRequest { allow_auto_topic_creation: version < 4, ..of(&[TOPIC]) };
        note(s, ("D 2.3", &format!("version {version}")), &request, version)?;
    }
    note(s, ("D 2.3", "a name twice"), &of(&[TOPIC, TOPIC]), 9)?;
    let id = s.wire.ask(1, &of(&[TOPIC]), 12)?.topics.remove(0).topic_id;
    let by_id = |topic_id: Uuid| MetadataRequestTopic { topic_id, name: None };
    let ids = |topics: Vec<MetadataRequestTopic>| MetadataRequest { topics: Some(topics), ..of(&[]) };
    note(s, ("D 2.3", "by its id"), &ids(vec![by_id(id)]), 12)?;
    note(s, ("D 2.3", "by its id and another's name"), &ids(vec![by_id(id), named(OTHER)]), 12)?;
    note(s, ("D 2.6", "an unknown id"), &ids(vec![by_id(Uuid([7; 16]))]), 12)?;
    let long = "x".repeat(250);
    for name in ["conformance-nowhere", "", ".", "..", "a b", "a/b", &long] {
        let what = format!("{:?}", &name[..name.len().min(20)]);
        note(s, ("D 2.6", &what), &of(&[name]), 9)?;
    }
    for (what, name) in [("a bad name", "a/b"), ("a new name", "conformance-made-by-asking")] {
        let request = MetadataRequest { allow_auto_topic_creation: true, ..of(&[name]) };
        note(s, ("D 2.7", what), &request, 9)?;
    }
    let allowed = MetadataRequest { include_topic_authorized_operations: true, ..of(&[TOPIC]) };
    note(s, ("D 2.3", "with what is allowed"), &allowed, 9)?;
    for version in [0, 1, 2] {
        let mut told = s.wire.ask(1, &DescribeClusterRequest::default(), version)?;
        told.brokers.sort_by_key(|b| b.broker_id);
        s.note(("D 2.2", &format!("DescribeCluster {version}")), &told);
    }
    let controllers = DescribeClusterRequest { endpoint_type: 2, ..Default::default() };
    s.ask(("D 2.2", "DescribeCluster of controllers"), 1, &controllers, 1)?;
    Ok(())
}

fn partitions(s: &mut Script) -> Result<()> {
    let of = |names: &[&str], limit: i32, cursor: Option<(&str, i32)>| DescribeTopicPartitionsRequest {
        topics: names.iter().map(|n| TopicRequest { name: (*n).to_owned() }).collect(),
        response_partition_limit: limit,
        cursor: cursor.map(|(topic, partition_index)| Cursor { topic_name: topic.to_owned(), partition_index }),
    };
    for (what, request) in [
        ("sorted", of(&[OTHER, TOPIC], 2000, None)),
        ("a limit inside of a topic", of(&[OTHER, TOPIC], 2, None)),
        ("a limit between topics", of(&[OTHER, TOPIC], 3, None)),
        ("from a cursor on", of(&[OTHER, TOPIC], 2000, Some((TOPIC, 1)))),
        ("a cursor at the second", of(&[OTHER, TOPIC], 2000, Some((OTHER, 0)))),
        ("a cursor that is not asked for", of(&[OTHER], 2000, Some((TOPIC, 0)))),
        ("a negative cursor", of(&[TOPIC], 2000, Some((TOPIC, -1)))),
        ("unknown topics", of(&["conformance-nowhere", "a/b"], 2000, None)),
    ] {
        s.ask(("D 2.11", what), 1, &request, 0)?;
    }
    Ok(())
}

fn coordinators(s: &mut Script) -> Result<()> {
    let old = |key: &str, key_type: i8| FindCoordinatorRequest { key: key.to_owned(), key_type, ..Default::default() };
    let new = |keys: &[&str], key_type: i8| FindCoordinatorRequest {
        coordinator_keys: keys.iter().map(|k| (*k).to_owned()).collect(),
        key_type,
        ..Default::default()
    };
    for sort in [Sort::Group, Sort::Transaction] {
        s.wire.coordinator("any", sort)?;
    }
    // Brokers lead different partitions in each cluster: names with one coordinator there have one here.
    let names: Vec<String> = (0..12).map(|n| format!("conformance-{n}-name")).collect();
    for (what, sort) in [("groups", 0), ("transactional ids", 1)] {
        let keys: Vec<&str> = names.iter().map(String::as_str).collect();
        let told = s.wire.ask(1, &new(&keys, sort), 4)?;
        let nodes: Vec<i32> = told.coordinators.iter().map(|c| c.node_id.0).collect();
        let same: Vec<usize> = nodes.iter().map(|n| nodes.iter().position(|m| m == n).unwrap_or(0)).collect();
        s.note(("C 0.4", &format!("who shares its coordinator, {what}")), &same);
    }
    let unnumbered =
        |s: &mut Script, rule: (&str, &str), request: &FindCoordinatorRequest, version: i16| -> Result<()> {
            let mut told = s.wire.ask(1, request, version)?;
            told.node_id.0 = told.node_id.0.signum();
            told.coordinators.iter_mut().for_each(|c| c.node_id.0 = c.node_id.0.signum());
            s.note(rule, &told);
            Ok(())
        };
    for version in 0..=3 {
        unnumbered(s, ("C 1.1", &format!("version {version}")), &old("any", 0), version)?;
    }
    for version in 4..=6 {
        unnumbered(s, ("C 1.1", &format!("version {version}")), &new(&["any", "other"], 0), version)?;
    }
    unnumbered(s, ("C 1.1", "a transactional id"), &new(&["any"], 1), 4)?;
    unnumbered(s, ("C 1.2", "a group without a name"), &new(&[""], 0), 4)?;
    unnumbered(s, ("C 1.2", "no name"), &new(&[], 0), 4)?;
    unnumbered(s, ("C 1.2", "an unknown type"), &new(&["any", "other"], 7), 4)?;
    unnumbered(s, ("C 1.2", "an unknown type, version 3"), &old("any", 7), 3)?;
    unnumbered(s, ("C 1.2", "a share group too early"), &new(&["any"], 2), 5)?;
    Ok(())
}
