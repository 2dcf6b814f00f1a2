//! DeleteRecords: deleting records from the start of partitions.

use crate::error::ErrorCode;

messages! {
    /// Request: deleting records from the start of partitions.
    request DeleteRecordsRequest(21 -> DeleteRecordsResponse) versions 0..=2 flexible 2.. {
        /// One entry per topic.
        0.. => topics: Vec<DeleteRecordsTopic>;
        /// How many milliseconds the broker may take.
        0.. => timeout_ms: i32;
    }

    /// The partitions of one topic.
    part DeleteRecordsTopic {
        /// The topic's name.
        0.. => name: String;
        /// The partitions.
        0.. => partitions: Vec<DeleteRecordsPartition>;
    }

    /// A partition and the offset up to which records go.
    part DeleteRecordsPartition {
        /// The partition.
        0.. => partition_index: i32;
        /// Records before this offset go; -1 for all up to the high watermark.
        0.. => offset: i64;
    }

    /// Response: deleting records from the start of partitions.
    response DeleteRecordsResponse versions 0..=2 flexible 2.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        0.. => throttle_time_ms: i32;
        /// One entry per topic.
        0.. => topics: Vec<DeleteRecordsTopicResult>;
    }

    /// The answers for one topic.
    part DeleteRecordsTopicResult {
        /// The topic's name.
        0.. => name: String;
        /// The partitions.
        0.. => partitions: Vec<DeleteRecordsPartitionResult>;
    }

    /// The answer for one partition.
    part DeleteRecordsPartitionResult {
        /// The partition.
        0.. => partition_index: i32;
        /// The first offset that is left, -1 with an error.
        0.. => low_watermark: i64;
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
    }
}
