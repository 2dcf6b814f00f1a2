//! Topics: creating, deleting, growing and describing them.

use super::types::{ConfigEntry, ConfigSource, CreatedTopic, NewPartitions, NewTopic, TopicDescription, operations};
use super::{Answer, Value};
use crate::client::TopicName;
use crate::client::role::Response;
use crate::metadata::{Node, PartitionView};
use crate::wire::Uuid;
use crate::wire::messages::create_partitions::{CreatePartitionsAssignment, CreatePartitionsTopic};
use crate::wire::messages::create_topics::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig};
use crate::wire::messages::delete_topics::DeleteTopicState;
use crate::wire::messages::metadata::MetadataRequestTopic;
use crate::wire::messages::{CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, MetadataRequest};
use crate::{BrokerId, Error, PartitionIx};
use std::collections::BTreeMap;

pub(super) const FIRST_DELETE_BY_ID: i16 = 6;
pub(super) const FIRST_DESCRIBE_BY_ID: i16 = 12;
const FIRST_WITH_OPERATIONS: i16 = 8;

pub(super) fn create(topics: &[NewTopic], which: &[usize], validate_only: bool, timeout: i32) -> CreateTopicsRequest {
    let one = |t: &NewTopic| CreatableTopic {
        name: t.name.to_string(),
        num_partitions: t.partitions,
        replication_factor: t.replication_factor,
        assignments: (0i32..)
            .zip(&t.assignments)
            .map(|(n, brokers)| CreatableReplicaAssignment {
                partition_index: n,
                broker_ids: brokers.iter().map(|id| BrokerId(*id)).collect(),
            })
            .collect(),
        configs: t
            .configs
            .iter()
            .map(|(name, value)| CreatableTopicConfig { name: name.to_string(), value: Some(value.to_string()) })
            .collect(),
    };
    let topics = which.iter().filter_map(|n| topics.get(*n)).map(one).collect();
    CreateTopicsRequest { topics, timeout_ms: timeout, validate_only }
}

pub(super) fn created(response: &Response, topics: &[NewTopic], which: &[usize]) -> Result<Vec<Answer>, Error> {
    let mut answers = Vec::new();
    for t in response.decode::<CreateTopicsRequest>()?.topics {
        let matching = which.iter().filter(|n| topics.get(**n).is_some_and(|w| *w.name == *t.name));
        let configs = t.configs.map(|configs| {
            let entry = |c: crate::wire::messages::create_topics::CreatableTopicConfigs| ConfigEntry {
                name: c.name.into(),
                value: c.value.map(Into::into),
                source: ConfigSource::from_wire(c.config_source),
                read_only: c.read_only,
                sensitive: c.is_sensitive,
                synonyms: Vec::new(),
                documentation: None,
            };
            configs.into_iter().map(entry).collect()
        });
        let made = CreatedTopic {
            id: (!t.topic_id.is_zero()).then_some(t.topic_id),
            partitions: (t.num_partitions >= 0).then_some(t.num_partitions),
            replication_factor: (t.replication_factor >= 0).then_some(t.replication_factor),
            configs,
        };
        for n in matching {
            answers.push(Answer::new(*n, t.error_code, t.error_message.clone(), Value::Created(made.clone())));
        }
    }
    Ok(answers)
}

pub(super) fn delete(topics: &[TopicName], which: &[usize], version: i16, timeout: i32) -> DeleteTopicsRequest {
    let mut request = DeleteTopicsRequest { timeout_ms: timeout, ..Default::default() };
    for topic in which.iter().filter_map(|n| topics.get(*n)) {
        match topic {
            TopicName::Name(name) if version < FIRST_DELETE_BY_ID => request.topic_names.push(name.to_string()),
            TopicName::Name(name) => {
                request.topics.push(DeleteTopicState { name: Some(name.to_string()), topic_id: Uuid::ZERO });
            }
            TopicName::Id(id) => request.topics.push(DeleteTopicState { name: None, topic_id: *id }),
        }
    }
    request
}

pub(super) fn deleted(response: &Response, topics: &[TopicName], which: &[usize]) -> Result<Vec<Answer>, Error> {
    let mut answers = Vec::new();
    for t in response.decode::<DeleteTopicsRequest>()?.responses {
        let matches = |n: &&usize| match topics.get(**n) {
            Some(TopicName::Name(name)) => t.name.as_deref() == Some(name),
            Some(TopicName::Id(id)) => t.topic_id == *id,
            None => false,
        };
        for n in which.iter().filter(matches) {
            answers.push(Answer::new(*n, t.error_code, t.error_message.clone(), Value::Unit));
        }
    }
    Ok(answers)
}

pub(super) fn grow(
    topics: &[(std::sync::Arc<str>, NewPartitions)],
    which: &[usize],
    validate_only: bool,
    timeout: i32,
) -> CreatePartitionsRequest {
    let assignment = |brokers: &Vec<i32>| CreatePartitionsAssignment {
        broker_ids: brokers.iter().map(|id| BrokerId(*id)).collect(),
    };
    let one = |(name, new): &(std::sync::Arc<str>, NewPartitions)| CreatePartitionsTopic {
        name: name.to_string(),
        count: new.total,
        assignments: (!new.assignments.is_empty()).then(|| new.assignments.iter().map(assignment).collect()),
    };
    let topics = which.iter().filter_map(|n| topics.get(*n)).map(one).collect();
    CreatePartitionsRequest { topics, timeout_ms: timeout, validate_only }
}

pub(super) fn grown(
    response: &Response,
    topics: &[(std::sync::Arc<str>, NewPartitions)],
    which: &[usize],
) -> Result<Vec<Answer>, Error> {
    let mut answers = Vec::new();
    for t in response.decode::<CreatePartitionsRequest>()?.results {
        for n in which.iter().filter(|n| topics.get(**n).is_some_and(|(name, _)| **name == *t.name)) {
            answers.push(Answer::new(*n, t.error_code, t.error_message.clone(), Value::Unit));
        }
    }
    Ok(answers)
}

/// Names and ids cannot be asked for together: `which` holds one kind only.
pub(super) fn describe(topics: &[TopicName], which: &[usize], version: i16, operations: bool) -> MetadataRequest {
    let one = |t: &TopicName| match t {
        TopicName::Name(name) => MetadataRequestTopic { name: Some(name.to_string()), ..Default::default() },
        TopicName::Id(id) => MetadataRequestTopic { topic_id: *id, name: None },
    };
    MetadataRequest {
        topics: Some(which.iter().filter_map(|n| topics.get(*n)).map(one).collect()),
        allow_auto_topic_creation: false,
        include_topic_authorized_operations: operations && version >= FIRST_WITH_OPERATIONS,
        ..Default::default()
    }
}

pub(super) fn described(response: &Response, topics: &[TopicName], which: &[usize]) -> Result<Vec<Answer>, Error> {
    let answer = response.decode::<MetadataRequest>()?;
    let nodes: BTreeMap<BrokerId, Node> = answer
        .brokers
        .iter()
        .filter_map(|b| crate::metadata::node(b.node_id.0, &b.host, b.port, b.rack.as_deref()))
        .collect();
    let mut answers = Vec::new();
    for t in answer.topics {
        let matches = |n: &&usize| match topics.get(**n) {
            Some(TopicName::Name(name)) => t.name.as_deref() == Some(name),
            Some(TopicName::Id(id)) => t.topic_id == *id,
            None => false,
        };
        let Some(n) = which.iter().find(matches) else { continue };
        let mut partitions: Vec<PartitionView> = t
            .partitions
            .into_iter()
            .map(|p| PartitionView {
                ix: PartitionIx(u32::MAX),
                number: p.partition_index,
                leader: (p.leader_id.0 >= 0).then_some(p.leader_id),
                leader_epoch: p.leader_epoch,
                replicas: p.replica_nodes,
                isr: p.isr_nodes,
                offline: p.offline_replicas,
                error: p.error_code,
            })
            .collect();
        partitions.sort_by_key(|p| p.number);
        let description = TopicDescription {
            name: t.name.unwrap_or_default().into(),
            id: (!t.topic_id.is_zero()).then_some(t.topic_id),
            internal: t.is_internal,
            partitions,
            nodes: nodes.clone(),
            authorized_operations: operations(t.topic_authorized_operations),
        };
        answers.push(Answer::new(*n, t.error_code, None, Value::Topic(description)));
    }
    Ok(answers)
}
