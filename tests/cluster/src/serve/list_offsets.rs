//! ListOffsets (broker-data 7).

use crate::answer::{Answer, Call, Respond, Serve};
use crate::log::Partition;
use crate::state::State;
use klamm_core::ErrorCode;
use klamm_core::wire::Uuid;
use klamm_core::wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use klamm_core::wire::messages::{ListOffsetsRequest, ListOffsetsResponse};

impl State {
    /// The partition, if `broker` leads it in that epoch: the checks that leader-only APIs share, in their order.
    pub(crate) fn led_partition(
        &self,
        topic: &str,
        index: i32,
        epoch: i32,
        broker: i32,
    ) -> Result<&Partition, ErrorCode> {
        let partition = self.topics.get(topic).and_then(|t| t.partition(index));
        let partition = partition.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        if epoch >= 0 && epoch < partition.now.epoch {
            return Err(ErrorCode::FENCED_LEADER_EPOCH);
        }
        if epoch > partition.now.epoch {
            return Err(ErrorCode::UNKNOWN_LEADER_EPOCH);
        }
        if partition.is_led_by(broker) { Ok(partition) } else { Err(ErrorCode::NOT_LEADER_OR_FOLLOWER) }
    }
}

/// Each partition once, however often it is asked about.
fn asked_once(all: &[ListOffsetsPartition]) -> impl Iterator<Item = &ListOffsetsPartition> {
    all.iter()
        .enumerate()
        .filter(|(n, p)| all[..*n].iter().all(|b| b.partition_index != p.partition_index))
        .map(|(_, p)| p)
}

fn failed(partition_index: i32, error_code: ErrorCode) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse { partition_index, error_code, ..Default::default() }
}

impl Serve for ListOffsetsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<ListOffsetsResponse> {
        let answer = |topic: &str, asked: &ListOffsetsPartition, twice: bool| {
            if twice {
                return failed(asked.partition_index, ErrorCode::INVALID_REQUEST);
            }
            let found = state
                .led_partition(topic, asked.partition_index, asked.current_leader_epoch, call.broker)
                .and_then(|p| p.find(asked.timestamp, call.version, self.isolation_level == 1));
            match found {
                Err(code) => failed(asked.partition_index, code),
                Ok(found) => ListOffsetsPartitionResponse {
                    partition_index: asked.partition_index,
                    error_code: ErrorCode::NONE,
                    timestamp: found.timestamp,
                    offset: found.offset,
                    // Version 4 brought the epoch.
                    leader_epoch: if call.version >= 4 { found.epoch } else { -1 },
                },
            }
        };
        let topics = self.topics.iter().map(|topic| {
            let count = |index| {
                let named = self.topics.iter().filter(|t| t.name == topic.name).flat_map(|t| &t.partitions);
                named.filter(|p| p.partition_index == index).count()
            };
            ListOffsetsTopicResponse {
                name: topic.name.clone(),
                partitions: asked_once(&topic.partitions)
                    .map(|p| answer(&topic.name, p, count(p.partition_index) > 1))
                    .collect(),
            }
        });
        Answer::Now(ListOffsetsResponse { topics: topics.collect(), ..Default::default() })
    }

    fn refuse(&self, code: ErrorCode) -> ListOffsetsResponse {
        let topics = self.topics.iter().map(|topic| ListOffsetsTopicResponse {
            name: topic.name.clone(),
            partitions: topic.partitions.iter().map(|p| failed(p.partition_index, code)).collect(),
        });
        ListOffsetsResponse { topics: topics.collect(), ..Default::default() }
    }

    fn names(&self, topic: &str, _id: Option<Uuid>) -> bool {
        self.topics.iter().any(|t| t.name == topic)
    }
}

impl Respond for ListOffsetsResponse {
    fn fail(&mut self, code: ErrorCode) {
        for partition in self.topics.iter_mut().flat_map(|t| &mut t.partitions) {
            if partition.error_code.is_ok() {
                *partition = failed(partition.partition_index, code);
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
