//! Groups and the cluster: listing and describing them.

use super::types::{ClusterDescription, ClusterNode, GroupDescription, GroupListing, GroupMember, operations};
use super::{Answer, Value};
use crate::client::TopicPartition;
use crate::client::role::Response;
use crate::wire::decode_embedded;
use crate::wire::messages::describe_groups::DescribedGroupMember;
use crate::wire::messages::{
    ConsumerProtocolAssignment, DescribeClusterRequest, DescribeGroupsRequest, ListGroupsRequest, MetadataRequest,
};
use crate::{BrokerId, Error, ErrorCode};
use std::sync::Arc;

const FIRST_WITH_STATES: i16 = 4;
const FIRST_WITH_TYPES: i16 = 5;
const FIRST_WITH_OPERATIONS: i16 = 3;
const METADATA_WITH_OPERATIONS: std::ops::RangeInclusive<i16> = 8..=10;

/// The state that a broker names for a group it does not know.
const DEAD: &str = "Dead";

pub(super) fn list(states: &[Arc<str>], types: &[Arc<str>], version: i16) -> ListGroupsRequest {
    let texts = |all: &[Arc<str>], from: i16| match version >= from {
        true => all.iter().map(|s| s.to_string()).collect(),
        false => Vec::new(),
    };
    ListGroupsRequest { states_filter: texts(states, FIRST_WITH_STATES), types_filter: texts(types, FIRST_WITH_TYPES) }
}

/// Brokers filter by what they know; the type that an old one does not tell is "classic".
pub(super) fn listed(
    response: &Response,
    which: &[usize],
    states: &[Arc<str>],
    types: &[Arc<str>],
) -> Result<Vec<Answer>, Error> {
    let answer = response.decode::<ListGroupsRequest>()?;
    let kept = |wanted: &[Arc<str>], has: &str| {
        wanted.is_empty() || has.is_empty() || wanted.iter().any(|w| w.eq_ignore_ascii_case(has))
    };
    let groups = answer
        .groups
        .into_iter()
        .filter(|g| kept(states, &g.group_state) && kept(types, &g.group_type))
        .map(|g| GroupListing {
            group: g.group_id.into(),
            protocol_type: g.protocol_type.into(),
            state: some(g.group_state),
            kind: some(g.group_type),
        })
        .collect();
    let n = which.first().copied().unwrap_or(0);
    Ok(vec![Answer::new(n, answer.error_code, None, Value::Groups(groups))])
}

pub(super) fn describe(groups: &[Arc<str>], which: &[usize], version: i16, operations: bool) -> DescribeGroupsRequest {
    DescribeGroupsRequest {
        groups: which.iter().filter_map(|n| groups.get(*n)).map(|g| g.to_string()).collect(),
        include_authorized_operations: operations && version >= FIRST_WITH_OPERATIONS,
    }
}

pub(super) fn described(
    response: &Response,
    groups: &[Arc<str>],
    which: &[usize],
    coordinator: BrokerId,
) -> Result<Vec<Answer>, Error> {
    let mut answers = Vec::new();
    for g in response.decode::<DescribeGroupsRequest>()?.groups {
        let Some(n) = which.iter().find(|n| groups.get(**n).is_some_and(|name| **name == *g.group_id)) else {
            continue;
        };
        // Before v6 an unknown group is "Dead" without an error: to the caller both are the same.
        let unknown = g.error_code.is_ok() && g.group_state == DEAD;
        let code = if unknown { ErrorCode::GROUP_ID_NOT_FOUND } else { g.error_code };
        let description = GroupDescription {
            group: g.group_id.into(),
            state: g.group_state.into(),
            protocol_type: g.protocol_type.into(),
            protocol: g.protocol_data.into(),
            members: g.members.into_iter().map(member).collect(),
            coordinator: coordinator.0,
            authorized_operations: operations(g.authorized_operations),
        };
        answers.push(Answer::new(*n, code, g.error_message, Value::Group(description)));
    }
    Ok(answers)
}

fn member(m: DescribedGroupMember) -> GroupMember {
    // Only consumers speak this embedded protocol; what does not decode has no partitions to show.
    let assignment = match m.member_assignment.is_empty() {
        true => Vec::new(),
        false => decode_embedded::<ConsumerProtocolAssignment>(&m.member_assignment)
            .map(|(_, a)| a.assigned_partitions)
            .unwrap_or_default()
            .into_iter()
            .flat_map(|t| {
                let topic: Arc<str> = t.topic.into();
                t.partitions.into_iter().map(move |partition| TopicPartition { topic: topic.clone(), partition })
            })
            .collect(),
    };
    GroupMember {
        member: m.member_id.into(),
        instance: m.group_instance_id.map(Into::into),
        client: m.client_id.into(),
        host: m.client_host.into(),
        assignment,
    }
}

pub(super) fn cluster(operations: bool, fenced: bool) -> DescribeClusterRequest {
    DescribeClusterRequest {
        include_cluster_authorized_operations: operations,
        include_fenced_brokers: fenced,
        ..Default::default()
    }
}

pub(super) fn cluster_described(response: &Response) -> Result<Vec<Answer>, Error> {
    let answer = response.decode::<DescribeClusterRequest>()?;
    let node = |b: crate::wire::messages::describe_cluster::DescribeClusterBroker| ClusterNode {
        id: b.broker_id.0,
        host: b.host.into(),
        port: b.port,
        rack: b.rack.map(Into::into),
        fenced: b.is_fenced,
    };
    let description = ClusterDescription {
        cluster_id: some(answer.cluster_id),
        controller: (answer.controller_id.0 >= 0).then_some(answer.controller_id.0),
        nodes: answer.brokers.into_iter().map(node).collect(),
        authorized_operations: super::types::operations(answer.cluster_authorized_operations),
    };
    Ok(vec![Answer::new(0, answer.error_code, answer.error_message, Value::Cluster(description))])
}

/// The same question to a broker before Kafka 2.8, as Java's `Admin` asks it: metadata of no topic.
pub(super) fn cluster_metadata(version: i16, operations: bool) -> MetadataRequest {
    MetadataRequest {
        topics: Some(Vec::new()),
        allow_auto_topic_creation: false,
        include_cluster_authorized_operations: operations && METADATA_WITH_OPERATIONS.contains(&version),
        ..Default::default()
    }
}

pub(super) fn cluster_of_metadata(response: &Response) -> Result<Vec<Answer>, Error> {
    let answer = response.decode::<MetadataRequest>()?;
    let node = |b: crate::wire::messages::metadata::MetadataResponseBroker| ClusterNode {
        id: b.node_id.0,
        host: b.host.into(),
        port: b.port,
        rack: b.rack.map(Into::into),
        fenced: false,
    };
    let description = ClusterDescription {
        cluster_id: answer.cluster_id.and_then(some),
        controller: (answer.controller_id.0 >= 0).then_some(answer.controller_id.0),
        nodes: answer.brokers.into_iter().map(node).collect(),
        authorized_operations: super::types::operations(answer.cluster_authorized_operations),
    };
    Ok(vec![Answer::new(0, answer.error_code, None, Value::Cluster(description))])
}

fn some(text: String) -> Option<Arc<str>> {
    (!text.is_empty()).then(|| text.into())
}
