//! DescribeProducers: what a partition's leader knows of its producers.

use crate::error::ErrorCode;

messages! {
    /// Request: what a partition's leader knows of its producers.
    request DescribeProducersRequest(61 -> DescribeProducersResponse) versions 0..=0 flexible 0.. {
        /// One entry per topic.
        0.. => topics: Vec<DescribeProducersRequestTopic>;
    }

    /// The partitions of one topic.
    part DescribeProducersRequestTopic {
        /// The topic's name.
        0.. => name: String;
        /// The partitions.
        0.. => partition_indexes: Vec<i32>;
    }

    /// Response: what a partition's leader knows of its producers.
    response DescribeProducersResponse versions 0..=0 flexible 0.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        0.. => throttle_time_ms: i32;
        /// One entry per topic.
        0.. => topics: Vec<DescribeProducersResponseTopic>;
    }

    /// The answers for one topic.
    part DescribeProducersResponseTopic {
        /// The topic's name.
        0.. => name: String;
        /// One entry per partition.
        0.. => partitions: Vec<DescribeProducersResponsePartition>;
    }

    /// The producers of one partition.
    part DescribeProducersResponsePartition {
        /// The partition.
        0.. => partition_index: i32;
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// What went wrong, in words.
        0.. => error_message: Option<String>;
        /// One entry per producer id.
        0.. => active_producers: Vec<DescribedProducer>;
    }

    /// A producer as a partition's leader knows it.
    part DescribedProducer {
        /// The producer id.
        0.. => producer_id: i64;
        /// The epoch of the producer id.
        0.. => producer_epoch: i32;
        /// The sequence number of its last record, -1 if it has none.
        0.. => last_sequence: i32 = -1;
        /// The timestamp of its last batch, -1 if it has none.
        0.. => last_timestamp: i64 = -1;
        /// The coordinator's epoch in its last marker, -1 if there is none.
        0.. => coordinator_epoch: i32;
        /// The offset at which its open transaction begins, -1 if there is none.
        0.. => current_txn_start_offset: i64 = -1;
    }
}
