//! DescribeProducers: what a leader remembers of its producers (broker-data 4).

use super::spoil;
use crate::answer::{Answer, Call, Respond, Serve};
use crate::state::State;
use klamm_core::ErrorCode;
use klamm_core::wire::Uuid;
use klamm_core::wire::messages::describe_producers::{
    DescribeProducersResponsePartition, DescribeProducersResponseTopic, DescribedProducer,
};
use klamm_core::wire::messages::{DescribeProducersRequest, DescribeProducersResponse};

fn failed(partition_index: i32, error_code: ErrorCode) -> DescribeProducersResponsePartition {
    DescribeProducersResponsePartition { partition_index, error_code, ..Default::default() }
}

impl State {
    fn producers(&self, topic: &str, partition_index: i32, broker: i32) -> DescribeProducersResponsePartition {
        let partition = match self.led_partition(topic, partition_index, -1, broker) {
            Ok(partition) => partition,
            Err(code) => return failed(partition_index, code),
        };
        let known = partition.copies.get(&broker).into_iter().flat_map(|copy| copy.producers.iter());
        let active_producers = known.map(|(producer_id, p)| DescribedProducer {
            producer_id,
            producer_epoch: i32::from(p.epoch),
            last_sequence: p.last_sequence(),
            last_timestamp: p.last_timestamp,
            coordinator_epoch: p.coordinator_epoch,
            current_txn_start_offset: p.open.unwrap_or(-1),
        });
        DescribeProducersResponsePartition {
            partition_index,
            active_producers: active_producers.collect(),
            ..Default::default()
        }
    }
}

impl Serve for DescribeProducersRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<DescribeProducersResponse> {
        let topics = self.topics.iter().map(|topic| DescribeProducersResponseTopic {
            name: topic.name.clone(),
            partitions: topic.partition_indexes.iter().map(|i| state.producers(&topic.name, *i, call.broker)).collect(),
        });
        Answer::Now(DescribeProducersResponse { topics: topics.collect(), ..Default::default() })
    }

    fn refuse(&self, code: ErrorCode) -> DescribeProducersResponse {
        let topics = self.topics.iter().map(|topic| DescribeProducersResponseTopic {
            name: topic.name.clone(),
            partitions: topic.partition_indexes.iter().map(|i| failed(*i, code)).collect(),
        });
        DescribeProducersResponse { topics: topics.collect(), ..Default::default() }
    }

    fn names(&self, topic: &str, _id: Option<Uuid>) -> bool {
        self.topics.iter().any(|t| t.name == topic)
    }
}

impl Respond for DescribeProducersResponse {
    fn fail(&mut self, code: ErrorCode) {
        for partition in self.topics.iter_mut().flat_map(|t| &mut t.partitions) {
            spoil(&mut partition.error_code, code);
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
