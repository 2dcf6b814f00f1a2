//! DeleteRecords (broker-data 7, note 3).

use crate::answer::{Answer, Call, Respond, Serve};
use crate::state::State;
use crate::topics::is_internal;
use klamm_core::ErrorCode;
use klamm_core::wire::messages::delete_records::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use klamm_core::wire::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

impl State {
    /// Moves the start of a partition's log; gives the new start.
    pub(crate) fn delete_records(
        &mut self,
        topic: &str,
        index: i32,
        offset: i64,
        broker: i32,
    ) -> Result<i64, ErrorCode> {
        let found = self.topics.get_mut(topic).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        let deletes = found.policy.deletes;
        let partition = found.partition_mut(index).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        if is_internal(topic) {
            return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
        }
        if !partition.is_led_by(broker) {
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        if !deletes {
            return Err(ErrorCode::POLICY_VIOLATION);
        }
        let high_watermark = partition.high_watermark();
        let offset = if offset == -1 { high_watermark } else { offset };
        if !(0..=high_watermark).contains(&offset) {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        partition.log.delete_before(offset);
        Ok(partition.log.start)
    }
}

fn failed(partition_index: i32, error_code: ErrorCode) -> DeleteRecordsPartitionResult {
    DeleteRecordsPartitionResult { partition_index, error_code, low_watermark: -1 }
}

impl Serve for DeleteRecordsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<DeleteRecordsResponse> {
        let mut response = DeleteRecordsResponse::default();
        for topic in self.topics {
            let mut partitions = Vec::new();
            for p in &topic.partitions {
                partitions.push(match state.delete_records(&topic.name, p.partition_index, p.offset, call.broker) {
                    Err(code) => failed(p.partition_index, code),
                    Ok(low_watermark) => DeleteRecordsPartitionResult {
                        partition_index: p.partition_index,
                        error_code: ErrorCode::NONE,
                        low_watermark,
                    },
                });
            }
            response.topics.push(DeleteRecordsTopicResult { name: topic.name, partitions });
        }
        Answer::Now(response)
    }

    fn refuse(&self, code: ErrorCode) -> DeleteRecordsResponse {
        let topics = self.topics.iter().map(|topic| DeleteRecordsTopicResult {
            name: topic.name.clone(),
            partitions: topic.partitions.iter().map(|p| failed(p.partition_index, code)).collect(),
        });
        DeleteRecordsResponse { topics: topics.collect(), ..Default::default() }
    }
}

impl Respond for DeleteRecordsResponse {
    fn fail(&mut self, code: ErrorCode) {
        for entry in self.topics.iter_mut().flat_map(|t| &mut t.partitions) {
            if entry.error_code.is_ok() {
                *entry = failed(entry.partition_index, code);
            }
        }
    }
    fn omit(&mut self) {
        if let Some(topic) = self.topics.last_mut() {
            topic.partitions.pop();
        }
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
