//! Metadata (broker-data 2.1 to 2.9).

use super::spoil;
use crate::answer::{Answer, Call, Respond, Serve};
use crate::log::Partition;
use crate::state::State;
use crate::topics::{Topic, is_internal, is_valid_name};
use klamm_core::wire::Uuid;
use klamm_core::wire::messages::metadata::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic};
use klamm_core::wire::messages::{MetadataRequest, MetadataResponse};
use klamm_core::{BrokerId, ErrorCode};
use std::collections::BTreeSet;

/// All operations on a topic, as a bit set: 3 READ to 11 ALTER_CONFIGS without CREATE_TOKENS and their like.
pub(crate) const TOPIC_OPERATIONS: i32 = 0b0000_1101_1111_1000;
/// All operations on a cluster.
pub(crate) const CLUSTER_OPERATIONS: i32 = 0b0001_1111_1010_0000;

pub(crate) fn ids(brokers: &[i32]) -> Vec<BrokerId> {
    brokers.iter().copied().map(BrokerId).collect()
}

impl State {
    pub(crate) fn offline(&self, partition: &Partition) -> Vec<i32> {
        partition.replicas.iter().copied().filter(|b| !self.is_live(*b)).collect()
    }

    fn describe_partition(&self, index: i32, partition: &Partition, call: &Call) -> MetadataResponsePartition {
        let known = partition.leadership(call.broker, call.now.mono);
        MetadataResponsePartition {
            // 2.4: without a leader the epoch is still the real one.
            error_code: if known.leader.is_some() { ErrorCode::NONE } else { ErrorCode::LEADER_NOT_AVAILABLE },
            partition_index: index,
            leader_id: BrokerId(known.leader.unwrap_or(-1)),
            leader_epoch: known.epoch,
            replica_nodes: ids(&partition.replicas),
            isr_nodes: ids(&partition.isr),
            offline_replicas: ids(&self.offline(partition)),
        }
    }

    fn describe_topic(&self, name: &str, topic: &Topic, call: &Call, operations: bool) -> MetadataResponseTopic {
        MetadataResponseTopic {
            error_code: ErrorCode::NONE,
            name: Some(name.to_owned()),
            topic_id: topic.id,
            is_internal: is_internal(name),
            partitions: topic.numbered().map(|(i, p)| self.describe_partition(i, p, call)).collect(),
            topic_authorized_operations: if operations { TOPIC_OPERATIONS } else { i32::MIN },
        }
    }

    fn describe_name(&mut self, name: &str, call: &Call, request: &MetadataRequest) -> MetadataResponseTopic {
        if let Some(topic) = self.topics.get(name) {
            return self.describe_topic(name, topic, call, request.include_topic_authorized_operations);
        }
        let mut error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        if !is_valid_name(name) {
            error_code = ErrorCode::INVALID_TOPIC_EXCEPTION;
        } else if self.settings.auto_create && (call.version < 4 || request.allow_auto_topic_creation) {
            // 2.7: the answer is 3 at first; a creation that fails is never told.
            if self.topics.collision(name).is_none() && !is_internal(name) {
                self.create_default(name, self.settings.default_partitions);
            } else if name == crate::topics::OFFSETS {
                self.need_offsets_topic();
            }
        }
        missing(Some(name.to_owned()), Uuid::ZERO, error_code)
    }

    fn describe_id(&self, id: Uuid, call: &Call, request: &MetadataRequest) -> MetadataResponseTopic {
        match self.topics.name(id).and_then(|name| Some((name, self.topics.get(name)?))) {
            Some((name, topic)) => self.describe_topic(name, topic, call, request.include_topic_authorized_operations),
            None => missing(None, id, ErrorCode::UNKNOWN_TOPIC_ID),
        }
    }

    pub(crate) fn live_brokers(&self) -> Vec<MetadataResponseBroker> {
        let live = self.nodes.iter().filter(|(_, node)| !node.fenced);
        live.map(|(id, node)| MetadataResponseBroker {
            node_id: BrokerId(*id),
            host: node.host.clone(),
            port: i32::from(node.port),
            rack: node.rack.clone(),
        })
        .collect()
    }
}

fn missing(name: Option<String>, topic_id: Uuid, error_code: ErrorCode) -> MetadataResponseTopic {
    MetadataResponseTopic { error_code, name, topic_id, ..Default::default() }
}

impl Serve for MetadataRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<MetadataResponse> {
        let operations = self.include_topic_authorized_operations;
        let topics = match &self.topics {
            Some(asked) if !(asked.is_empty() && call.version == 0) => {
                let ids: BTreeSet<Uuid> = asked.iter().map(|t| t.topic_id).filter(|id| !id.is_zero()).collect();
                // 2.3: before version 12 an id is an error for all; from then on names beside ids are ignored.
                if !ids.is_empty() && call.version < 12 {
                    return Answer::Now(self.refuse(ErrorCode::INVALID_REQUEST));
                }
                if ids.is_empty() {
                    let names: BTreeSet<&str> = asked.iter().filter_map(|t| t.name.as_deref()).collect();
                    names.into_iter().map(|name| state.describe_name(name, call, &self)).collect()
                } else {
                    ids.into_iter().map(|id| state.describe_id(id, call, &self)).collect()
                }
            }
            _ => state.topics.iter().map(|(name, topic)| state.describe_topic(name, topic, call, operations)).collect(),
        };
        Answer::Now(MetadataResponse {
            throttle_time_ms: 0,
            brokers: state.live_brokers(),
            cluster_id: Some(state.settings.cluster_id.clone()),
            controller_id: BrokerId(state.any_controller()),
            topics,
            cluster_authorized_operations: if self.include_cluster_authorized_operations {
                CLUSTER_OPERATIONS
            } else {
                i32::MIN
            },
            error_code: ErrorCode::NONE,
        })
    }

    fn refuse(&self, code: ErrorCode) -> MetadataResponse {
        let asked = self.topics.iter().flatten();
        MetadataResponse {
            topics: asked
                .map(|t| {
                    // Null names exist from version 12 on only, and with an id.
                    let name =
                        if t.topic_id.is_zero() { Some(t.name.clone().unwrap_or_default()) } else { t.name.clone() };
                    missing(name.or(Some(String::new())), t.topic_id, code)
                })
                .collect(),
            ..Default::default()
        }
    }

    fn names(&self, topic: &str, id: Option<Uuid>) -> bool {
        let asked = self.topics.iter().flatten();
        asked.into_iter().any(|t| t.name.as_deref() == Some(topic) || Some(t.topic_id) == id)
    }
}

impl Respond for MetadataResponse {
    fn fail(&mut self, code: ErrorCode) {
        for topic in &mut self.topics {
            spoil(&mut topic.error_code, code);
        }
    }
    fn omit(&mut self) {
        self.topics.pop();
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
