//! ListOffsets: offsets by time, and the ends of partitions.

use crate::error::ErrorCode;
use crate::ids::BrokerId;

messages! {
    /// Request: offsets by time, and the ends of partitions.
    request ListOffsetsRequest(2 -> ListOffsetsResponse) versions 1..=11 flexible 6.. {
        /// The follower that asks, -1 for consumers.
        0.. => replica_id: BrokerId;
        /// 0 reads all records, 1 only those of committed transactions.
        2.. => isolation_level: i8;
        /// One entry per topic.
        0.. => topics: Vec<ListOffsetsTopic>;
        /// How many milliseconds the broker may take.
        10.. => timeout_ms: i32, ignorable;
    }

    /// The partitions of one topic to look up.
    part ListOffsetsTopic {
        /// The topic's name.
        0.. => name: String;
        /// The partitions.
        0.. => partitions: Vec<ListOffsetsPartition>;
    }

    /// A partition to look up.
    part ListOffsetsPartition {
        /// The partition.
        0.. => partition_index: i32;
        /// The leader epoch that the client knows of, -1 if none; the broker refuses an outdated one.
        4.. => current_leader_epoch: i32 = -1, ignorable;
        /// The time to look up in milliseconds, or a special value: -1 the end, -2 the start, -3 the largest timestamp,
        /// -4 and -5 tiers.
        0.. => timestamp: i64;
    }

    /// Response: offsets by time, and the ends of partitions.
    response ListOffsetsResponse versions 1..=11 flexible 6.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        2.. => throttle_time_ms: i32, ignorable;
        /// One entry per topic.
        0.. => topics: Vec<ListOffsetsTopicResponse>;
    }

    /// The answers for one topic.
    part ListOffsetsTopicResponse {
        /// The topic's name.
        0.. => name: String;
        /// The partitions.
        0.. => partitions: Vec<ListOffsetsPartitionResponse>;
    }

    /// The answer for one partition.
    part ListOffsetsPartitionResponse {
        /// The partition.
        0.. => partition_index: i32;
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// The timestamp of the record found, -1 if there is none.
        1.. => timestamp: i64 = -1;
        /// The offset, -1 if there is none.
        1.. => offset: i64 = -1;
        /// The leader epoch, -1 if unknown.
        4.. => leader_epoch: i32 = -1;
    }
}
