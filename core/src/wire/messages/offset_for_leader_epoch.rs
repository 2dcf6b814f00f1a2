//! OffsetForLeaderEpoch: where a leader epoch ended, to find out whether the log was truncated.

use crate::error::ErrorCode;
use crate::ids::BrokerId;

messages! {
    /// Request: where a leader epoch ended, to find out whether the log was truncated.
    request OffsetForLeaderEpochRequest(23 -> OffsetForLeaderEpochResponse) versions 2..=4 flexible 4.. {
        /// The follower that asks, -1 for consumers.
        3.. => replica_id: BrokerId = BrokerId(-2), ignorable;
        /// One entry per topic.
        0.. => topics: Vec<OffsetForLeaderTopic>;
    }

    /// The partitions of one topic to look up.
    part OffsetForLeaderTopic {
        /// The topic's name.
        0.. => topic: String;
        /// The partitions.
        0.. => partitions: Vec<OffsetForLeaderPartition>;
    }

    /// A partition and the epoch to look up.
    part OffsetForLeaderPartition {
        /// The partition.
        0.. => partition: i32;
        /// The leader epoch that the client knows of, -1 if none; the broker refuses an outdated one.
        2.. => current_leader_epoch: i32 = -1, ignorable;
        /// The leader epoch, -1 if unknown.
        0.. => leader_epoch: i32;
    }

    /// Response: where a leader epoch ended, to find out whether the log was truncated.
    response OffsetForLeaderEpochResponse versions 2..=4 flexible 4.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        2.. => throttle_time_ms: i32, ignorable;
        /// One entry per topic.
        0.. => topics: Vec<OffsetForLeaderTopicResult>;
    }

    /// The answers for one topic.
    part OffsetForLeaderTopicResult {
        /// The topic's name.
        0.. => topic: String;
        /// The partitions.
        0.. => partitions: Vec<EpochEndOffset>;
    }

    /// An epoch and where it ends.
    part EpochEndOffset {
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// The partition.
        0.. => partition: i32;
        /// The leader epoch, -1 if unknown.
        1.. => leader_epoch: i32 = -1, ignorable;
        /// The end offset of the epoch.
        0.. => end_offset: i64 = -1;
    }
}
