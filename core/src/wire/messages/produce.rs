//! Produce: appending record batches.

use crate::error::ErrorCode;
use crate::ids::BrokerId;
use crate::wire::Uuid;
use bytes::Bytes;

messages! {
    /// Request: appending record batches.
    request ProduceRequest(0 -> ProduceResponse) versions 3..=13 flexible 9.. {
        /// The transactional id, null if there is none.
        3.. => transactional_id: Option<String>;
        /// How many replicas must have the records: 0 none (no answer comes), 1 the leader, -1 all in sync.
        0.. => acks: i16;
        /// How many milliseconds the broker may take.
        0.. => timeout_ms: i32;
        /// One entry per topic.
        0.. => topic_data: Vec<TopicProduceData>;
    }

    /// The batches for one topic.
    part TopicProduceData {
        /// The topic's name.
        0..=12 => name: String, ignorable;
        /// The topic's id, zero if unknown.
        13.. => topic_id: Uuid, ignorable;
        /// One entry per partition.
        0.. => partition_data: Vec<PartitionProduceData>;
    }

    /// The batch for one partition.
    part PartitionProduceData {
        /// The partition.
        0.. => index: i32;
        /// Record batches as they lie in the log.
        0.. => records: Option<Bytes>;
    }

    /// Response: appending record batches.
    response ProduceResponse versions 3..=13 flexible 9.. {
        /// One answer per item of the request.
        0.. => responses: Vec<TopicProduceResponse>;
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        1.. => throttle_time_ms: i32, ignorable;
    }, tagged {
            /// Where to reach the leaders that are named in this answer.
            0: 10.. => node_endpoints: Vec<NodeEndpoint>;
    }

    /// The answers for one topic.
    part TopicProduceResponse {
        /// The topic's name.
        0..=12 => name: String, ignorable;
        /// The topic's id, zero if unknown.
        13.. => topic_id: Uuid, ignorable;
        /// One answer per partition.
        0.. => partition_responses: Vec<PartitionProduceResponse>;
    }

    /// The answer for one partition.
    part PartitionProduceResponse {
        /// The partition.
        0.. => index: i32;
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// The offset of the first record; -1 if nothing was appended.
        0.. => base_offset: i64;
        /// The timestamp that the broker gave the records, -1 if they kept their own.
        2.. => log_append_time_ms: i64 = -1, ignorable;
        /// The first offset of the log, -1 if unknown.
        5.. => log_start_offset: i64 = -1, ignorable;
        /// The records that made the broker refuse the batch.
        8.. => record_errors: Vec<BatchIndexAndErrorMessage>, ignorable;
        /// What went wrong, in words.
        8.. => error_message: Option<String>, ignorable;
    }, tagged {
            /// The leader that the broker knows of, sent with errors about leadership (KIP-951).
            0: 10.. => current_leader: LeaderIdAndEpoch;
    }

    /// A record that the broker refused.
    part BatchIndexAndErrorMessage {
        /// Place of the record in its batch, from 0.
        8.. => batch_index: i32;
        /// What is wrong with the record.
        8.. => batch_index_error_message: Option<String>;
    }

    /// A leader and its epoch.
    part LeaderIdAndEpoch {
        /// The broker that leads the partition, -1 if there is none.
        10.. => leader_id: BrokerId = BrokerId(-1);
        /// The leader epoch, -1 if unknown.
        10.. => leader_epoch: i32 = -1;
    }

    /// Where to reach a broker.
    part NodeEndpoint {
        /// The broker's id.
        10.. => node_id: BrokerId;
        /// The host to connect to.
        10.. => host: String;
        /// The port to connect to.
        10.. => port: i32;
        /// The broker's rack, null if it has none.
        10.. => rack: Option<String>;
    }
}
