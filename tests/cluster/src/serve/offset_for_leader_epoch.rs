//! OffsetForLeaderEpoch (broker-data 7, note 2).

use crate::answer::{Answer, Call, Respond, Serve};
use crate::state::State;
use klamm_core::ErrorCode;
use klamm_core::wire::messages::offset_for_leader_epoch::{EpochEndOffset, OffsetForLeaderTopicResult};
use klamm_core::wire::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

fn failed(partition: i32, error_code: ErrorCode) -> EpochEndOffset {
    EpochEndOffset { partition, error_code, ..Default::default() }
}

impl Serve for OffsetForLeaderEpochRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<OffsetForLeaderEpochResponse> {
        let topics = self.topics.iter().map(|topic| OffsetForLeaderTopicResult {
            topic: topic.topic.clone(),
            partitions: topic
                .partitions
                .iter()
                .map(|asked| {
                    let index = asked.partition;
                    match state.led_partition(&topic.topic, index, asked.current_leader_epoch, call.broker) {
                        Err(code) => failed(index, code),
                        Ok(partition) => {
                            let (leader_epoch, end_offset) =
                                partition.log.end_of_epoch(asked.leader_epoch, partition.now.epoch);
                            EpochEndOffset { error_code: ErrorCode::NONE, partition: index, leader_epoch, end_offset }
                        }
                    }
                })
                .collect(),
        });
        Answer::Now(OffsetForLeaderEpochResponse { topics: topics.collect(), ..Default::default() })
    }

    fn refuse(&self, code: ErrorCode) -> OffsetForLeaderEpochResponse {
        let topics = self.topics.iter().map(|topic| OffsetForLeaderTopicResult {
            topic: topic.topic.clone(),
            partitions: topic.partitions.iter().map(|p| failed(p.partition, code)).collect(),
        });
        OffsetForLeaderEpochResponse { topics: topics.collect(), ..Default::default() }
    }
}

impl Respond for OffsetForLeaderEpochResponse {
    fn fail(&mut self, code: ErrorCode) {
        for entry in self.topics.iter_mut().flat_map(|t| &mut t.partitions) {
            if entry.error_code.is_ok() {
                *entry = failed(entry.partition, code);
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
