//! One item of an operation: where it is sent, and how far it is.

use super::request::{AdminRequest, Value};
use super::types::ConfigResource;
use crate::client::TopicPartition;
use crate::client::role::{CoordinatorKind, Cx, Known};
use crate::cluster::Coordinator;
use crate::metadata::Names;
use crate::{BrokerId, Error, ErrorCode, ErrorKind, Time, TopicIx};
use std::sync::Arc;
use std::time::Duration;

/// Answers in a row that do not know a topic before the application is told.
const UNKNOWN_ANSWERS: u32 = 5;

/// Where an item is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Controller,
    Any,
    Broker(BrokerId),
    Coordinator(CoordinatorKind, Arc<str>),
    Leader(TopicIx, i32),
}

#[derive(Debug)]
pub(super) struct Item {
    pub(super) target: Target,
    pub(super) due: Time,
    attempts: u32,
    /// Answers in a row that did not know its topic.
    unknown: u32,
    pub(super) asked: bool,
    pub(super) last: Option<Error>,
    pub(super) result: Option<Result<Value, Error>>,
}

pub(super) fn targets(request: &AdminRequest, names: &mut Names) -> Vec<Target> {
    let controller = |n: usize| vec![Target::Controller; n];
    let coordinator = |kind: CoordinatorKind| move |key: &Arc<str>| Target::Coordinator(kind, key.clone());
    let mut leader = |p: &TopicPartition| Target::Leader(names.topic(&p.topic), p.partition);
    let configured = |r: &ConfigResource| r.only_broker().map_or(Target::Controller, Target::Broker);
    match request {
        AdminRequest::CreateTopics { topics, .. } => controller(topics.len()),
        AdminRequest::DeleteTopics(topics) => controller(topics.len()),
        AdminRequest::CreatePartitions { topics, .. } => controller(topics.len()),
        AdminRequest::DescribeTopics { topics, .. } => vec![Target::Any; topics.len()],
        AdminRequest::DescribeCluster { .. } | AdminRequest::DescribeAcls(_) => vec![Target::Any],
        AdminRequest::ListGroups { .. } | AdminRequest::ListTransactions { .. } => Vec::new(),
        AdminRequest::DescribeGroups { groups, .. } => groups.iter().map(coordinator(CoordinatorKind::Group)).collect(),
        AdminRequest::DescribeTransactions(ids) | AdminRequest::FenceProducers(ids) => {
            ids.iter().map(coordinator(CoordinatorKind::Transaction)).collect()
        }
        AdminRequest::DescribeProducers { partitions, broker: Some(broker) } => {
            vec![Target::Broker(BrokerId(*broker)); partitions.len()]
        }
        AdminRequest::DescribeProducers { partitions, broker: None } => partitions.iter().map(leader).collect(),
        AdminRequest::AbortTransaction(spec) => vec![leader(&spec.partition)],
        AdminRequest::CreateAcls(acls) => controller(acls.len()),
        AdminRequest::DeleteAcls(filters) => controller(filters.len()),
        AdminRequest::DescribeConfigs { resources, .. } => resources.iter().map(configured).collect(),
        AdminRequest::AlterConfigs { changes, .. } => changes.iter().map(|(r, _)| configured(r)).collect(),
    }
}

impl Item {
    pub(super) fn new(target: Target) -> Self {
        Self { target, due: Time::ZERO, attempts: 0, unknown: 0, asked: false, last: None, result: None }
    }

    pub(super) fn waits(&self) -> bool {
        self.result.is_none() && !self.asked
    }

    pub(super) fn retry(&mut self, cx: &mut Cx<'_>, backoff: (Duration, Duration)) {
        self.due = cx.now.mono + cx.rng.backoff(backoff.0, backoff.1, self.attempts);
        self.attempts = self.attempts.saturating_add(1);
    }

    /// Whether this broker is where it is to be sent.
    pub(super) fn goes_to(&self, broker: BrokerId, known: &Known<'_>) -> bool {
        match &self.target {
            Target::Any => true,
            Target::Controller => known.view.controller.is_none_or(|id| id == broker),
            Target::Broker(id) => *id == broker,
            Target::Coordinator(kind, key) => *known.coordinators.get(*kind, key) == Coordinator::Known(broker),
            Target::Leader(topic, number) => {
                known.view.leader((*topic, *number)).is_some_and(|(leader, _)| leader == broker)
            }
        }
    }

    /// Takes note of an answer that does not know its topic, or of one that does; brokers learn of a new topic one by one.
    pub(super) fn is_unknown(&mut self, unknown: bool) -> bool {
        self.unknown = if unknown { self.unknown + 1 } else { 0 };
        self.unknown >= UNKNOWN_ANSWERS
    }

    /// Why it will never find whom it is for, if that is so.
    pub(super) fn is_refused(&mut self, known: &Known<'_>, failed: &[(TopicIx, ErrorCode)]) -> Option<Error> {
        match self.target.clone() {
            Target::Coordinator(kind, key) => match known.coordinators.get(kind, &key) {
                Coordinator::Refused(error) => Some(error.clone()),
                _ => None,
            },
            Target::Leader(topic, number) => {
                if let Some((_, code)) = failed.iter().find(|(ix, _)| *ix == topic) {
                    let gone = self.is_unknown(*code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
                    let error = || Error::from_code(*code).with_topic(known.names.topic_name(topic).clone());
                    return (gone || !code.is_retriable()).then(|| error().with_partition(number));
                }
                // A number that the topic does not have will not come by waiting.
                let view = known.view.topic(topic).filter(|t| t.doubt.is_none() && !t.partitions.is_empty())?;
                let count = view.partitions.len();
                let text = || format!("topic \"{}\" has {count} partitions, there is no {number}", view.name);
                let error = || Error::new(ErrorKind::UnknownTopic, text()).with_topic(view.name.clone());
                view.partition(number).is_none().then(|| error().with_partition(number))
            }
            _ => None,
        }
    }
}
