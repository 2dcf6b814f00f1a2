//! CreatePartitions: adding partitions to topics.

use crate::error::ErrorCode;
use crate::ids::BrokerId;

messages! {
    /// Request: adding partitions to topics.
    request CreatePartitionsRequest(37 -> CreatePartitionsResponse) versions 0..=3 flexible 2.. {
        /// One entry per topic.
        0.. => topics: Vec<CreatePartitionsTopic>;
        /// How many milliseconds the broker may take.
        0.. => timeout_ms: i32;
        /// Whether to check the request without carrying it out.
        0.. => validate_only: bool;
    }

    /// A topic that shall have more partitions.
    part CreatePartitionsTopic {
        /// The topic's name.
        0.. => name: String;
        /// How many partitions the topic shall have in all.
        0.. => count: i32;
        /// Brokers chosen by hand, one entry per new partition; null lets the controller choose.
        0.. => assignments: Option<Vec<CreatePartitionsAssignment>>;
    }

    /// The brokers of one new partition.
    part CreatePartitionsAssignment {
        /// Ids of the brokers, the preferred leader first.
        0.. => broker_ids: Vec<BrokerId>;
    }

    /// Response: adding partitions to topics.
    response CreatePartitionsResponse versions 0..=3 flexible 2.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        0.. => throttle_time_ms: i32;
        /// One answer per item of the request.
        0.. => results: Vec<CreatePartitionsTopicResult>;
    }

    /// The answer for one topic.
    part CreatePartitionsTopicResult {
        /// The topic's name.
        0.. => name: String;
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// What went wrong, in words.
        0.. => error_message: Option<String>;
    }
}
