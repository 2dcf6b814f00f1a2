//! DescribeTopicPartitions (broker-data 2.11).

use super::metadata::{TOPIC_OPERATIONS, ids};
use super::spoil;
use crate::answer::{Answer, Call, Respond, Serve};
use crate::log::Partition;
use crate::state::State;
use crate::topics::{is_internal, is_valid_name};
use klamm_core::wire::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use klamm_core::wire::messages::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};
use klamm_core::{BrokerId, ErrorCode};
use std::collections::BTreeSet;

/// `max.request.partition.size.limit`.
const MOST: i32 = 2000;

fn describe(state: &State, index: i32, partition: &Partition, call: &Call) -> DescribeTopicPartitionsResponsePartition {
    let known = partition.leadership(call.broker, call.now.mono);
    DescribeTopicPartitionsResponsePartition {
        // A partition without a leader is no error here.
        error_code: ErrorCode::NONE,
        partition_index: index,
        leader_id: BrokerId(known.leader.unwrap_or(-1)),
        leader_epoch: known.epoch,
        replica_nodes: ids(&partition.replicas),
        isr_nodes: ids(&partition.isr),
        eligible_leader_replicas: Some(ids(&partition.eligible)),
        last_known_elr: Some(Vec::new()),
        offline_replicas: ids(&state.offline(partition)),
    }
}

impl Serve for DescribeTopicPartitionsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<DescribeTopicPartitionsResponse> {
        let all = self.topics.is_empty();
        let names: BTreeSet<String> = if all {
            state.topics.iter().map(|(name, _)| name.to_owned()).collect()
        } else {
            self.topics.iter().map(|t| t.name.clone()).collect()
        };
        if let Some(cursor) = &self.cursor {
            if cursor.partition_index < 0 || (!all && !names.contains(&cursor.topic_name)) {
                return Answer::Now(self.refuse(ErrorCode::INVALID_REQUEST));
            }
        }
        let mut budget = usize::try_from(self.response_partition_limit.min(MOST)).unwrap_or(0).max(1);
        let mut response = DescribeTopicPartitionsResponse::default();
        for name in names {
            let from = match &self.cursor {
                Some(cursor) if name < cursor.topic_name => continue,
                Some(cursor) if name == cursor.topic_name => cursor.partition_index,
                _ => 0,
            };
            let Some(topic) = state.topics.get(&name) else {
                let valid = is_valid_name(&name);
                let code =
                    if valid { ErrorCode::UNKNOWN_TOPIC_OR_PARTITION } else { ErrorCode::INVALID_TOPIC_EXCEPTION };
                response.topics.push(DescribeTopicPartitionsResponseTopic {
                    error_code: code,
                    name: Some(name),
                    topic_authorized_operations: TOPIC_OPERATIONS,
                    ..Default::default()
                });
                continue;
            };
            if budget == 0 {
                response.next_cursor = Some(Cursor { topic_name: name, partition_index: 0 });
                break;
            }
            let rest: Vec<_> = topic.numbered().filter(|(index, _)| *index >= from).collect();
            let shown = rest.len().min(budget);
            budget -= shown;
            response.topics.push(DescribeTopicPartitionsResponseTopic {
                error_code: ErrorCode::NONE,
                name: Some(name.clone()),
                topic_id: topic.id,
                is_internal: is_internal(&name),
                partitions: rest[..shown].iter().map(|(i, p)| describe(state, *i, p, call)).collect(),
                topic_authorized_operations: TOPIC_OPERATIONS,
            });
            if let Some((index, _)) = rest.get(shown) {
                response.next_cursor = Some(Cursor { topic_name: name, partition_index: *index });
                break;
            }
        }
        Answer::Now(response)
    }

    fn refuse(&self, error_code: ErrorCode) -> DescribeTopicPartitionsResponse {
        let topics = self.topics.iter().map(|t| DescribeTopicPartitionsResponseTopic {
            error_code,
            name: Some(t.name.clone()),
            ..Default::default()
        });
        DescribeTopicPartitionsResponse { topics: topics.collect(), ..Default::default() }
    }
}

impl Respond for DescribeTopicPartitionsResponse {
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
