//! AddPartitionsToTxn: which partitions a transaction writes to.

use crate::error::ErrorCode;

messages! {
    /// Request: which partitions a transaction writes to. Clients send 0 to 3, brokers among themselves 4 and up.
    request AddPartitionsToTxnRequest(24 -> AddPartitionsToTxnResponse) versions 0..=5 flexible 3.. {
        /// One entry per transaction.
        4.. => transactions: Vec<AddPartitionsToTxnTransaction>;
        /// The transactional id.
        0..=3 => v3_and_below_transactional_id: String;
        /// The producer id.
        0..=3 => v3_and_below_producer_id: i64;
        /// The epoch of the producer id.
        0..=3 => v3_and_below_producer_epoch: i16;
        /// One entry per topic.
        0..=3 => v3_and_below_topics: Vec<AddPartitionsToTxnTopic>;
    }

    /// What one transaction wants.
    part AddPartitionsToTxnTransaction {
        /// The transactional id.
        4.. => transactional_id: String;
        /// The producer id.
        4.. => producer_id: i64;
        /// The epoch of the producer id.
        4.. => producer_epoch: i16;
        /// Whether only to ask if the partitions belong to the transaction, not to add them.
        4.. => verify_only: bool;
        /// One entry per topic.
        4.. => topics: Vec<AddPartitionsToTxnTopic>;
    }

    /// The partitions of one topic.
    part AddPartitionsToTxnTopic {
        /// The topic's name.
        0.. => name: String;
        /// The partitions.
        0.. => partitions: Vec<i32>;
    }

    /// Response: which partitions a transaction writes to.
    response AddPartitionsToTxnResponse versions 0..=5 flexible 3.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        0.. => throttle_time_ms: i32;
        /// What went wrong with the whole request, 0 if nothing.
        4.. => error_code: ErrorCode, ignorable;
        /// One entry per transaction.
        4.. => results_by_transaction: Vec<AddPartitionsToTxnResult>;
        /// One entry per topic.
        0..=3 => results_by_topic_v3_and_below: Vec<AddPartitionsToTxnTopicResult>;
    }

    /// The answers for one transaction.
    part AddPartitionsToTxnResult {
        /// The transactional id.
        4.. => transactional_id: String;
        /// One entry per topic.
        4.. => topic_results: Vec<AddPartitionsToTxnTopicResult>;
    }

    /// The answers for one topic.
    part AddPartitionsToTxnTopicResult {
        /// The topic's name.
        0.. => name: String;
        /// One entry per partition.
        0.. => results_by_partition: Vec<AddPartitionsToTxnPartitionResult>;
    }

    /// The answer for one partition.
    part AddPartitionsToTxnPartitionResult {
        /// The partition.
        0.. => partition_index: i32;
        /// What went wrong, 0 if nothing.
        0.. => partition_error_code: ErrorCode;
    }
}
