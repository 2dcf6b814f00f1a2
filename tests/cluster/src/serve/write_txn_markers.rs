//! WriteTxnMarkers, as a tool sends it to end a transaction that hangs (broker-data 4.15, KIP-664).

use super::spoil;
use crate::answer::{Answer, Call, Respond, Serve};
use crate::log::producer::Marker;
use crate::state::State;
use crate::topics::OFFSETS;
use klamm_core::ErrorCode;
use klamm_core::wire::messages::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use klamm_core::wire::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};

fn told(asked: &WritableTxnMarker, mut code: impl FnMut(&str, i32) -> ErrorCode) -> WritableTxnMarkerResult {
    let topics = asked.topics.iter().map(|topic| {
        let partitions = topic.partition_indexes.iter().map(|index| WritableTxnMarkerPartitionResult {
            partition_index: *index,
            error_code: code(&topic.name, *index),
        });
        WritableTxnMarkerTopicResult { name: topic.name.clone(), partitions: partitions.collect() }
    });
    WritableTxnMarkerResult { producer_id: asked.producer_id, topics: topics.collect() }
}

impl State {
    fn take_marker(&mut self, topic: &str, index: i32, marker: Marker, v2: bool, broker: i32) -> ErrorCode {
        let Some(partition) = self.topics.get(topic).and_then(|t| t.partition(index)) else {
            return ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        };
        if !partition.is_led_by(broker) {
            return ErrorCode::NOT_LEADER_OR_FOLLOWER;
        }
        let written = match topic {
            OFFSETS => self.end_offsets(index, marker, v2),
            _ => self.write_marker(&(topic.to_owned(), index), marker, v2, broker).map(drop),
        };
        written.err().unwrap_or(ErrorCode::NONE)
    }
}

impl Serve for WriteTxnMarkersRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<WriteTxnMarkersResponse> {
        let mut markers = Vec::with_capacity(self.markers.len());
        for asked in &self.markers {
            let marker = Marker {
                id: asked.producer_id,
                epoch: asked.producer_epoch,
                commit: asked.transaction_result,
                coordinator_epoch: asked.coordinator_epoch,
            };
            let v2 = asked.transaction_version >= 2;
            markers.push(told(asked, |topic, index| state.take_marker(topic, index, marker, v2, call.broker)));
        }
        Answer::Now(WriteTxnMarkersResponse { markers })
    }

    fn refuse(&self, code: ErrorCode) -> WriteTxnMarkersResponse {
        WriteTxnMarkersResponse { markers: self.markers.iter().map(|m| told(m, |_, _| code)).collect() }
    }
}

impl Respond for WriteTxnMarkersResponse {
    fn fail(&mut self, code: ErrorCode) {
        let topics = self.markers.iter_mut().flat_map(|m| &mut m.topics);
        for partition in topics.flat_map(|t| &mut t.partitions) {
            spoil(&mut partition.error_code, code);
        }
    }
    fn omit(&mut self) {
        self.markers.pop();
    }
    // Brokers do not throttle each other.
    fn throttle(&mut self, _ms: i32) {}
}
