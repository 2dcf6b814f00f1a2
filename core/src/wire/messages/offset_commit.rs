//! OffsetCommit: keeping positions with a group.

use crate::error::ErrorCode;
use crate::wire::Uuid;

messages! {
    /// Request: keeping positions with a group.
    request OffsetCommitRequest(8 -> OffsetCommitResponse) versions 2..=10 flexible 8.. {
        /// The group.
        0.. => group_id: String;
        /// The generation (classic) or member epoch (KIP-848); -1 for commits outside of a group.
        1.. => generation_id_or_member_epoch: i32 = -1, ignorable;
        /// The member's id in the group, empty at first.
        1.. => member_id: String, ignorable;
        /// The member's `group.instance.id`, null for a dynamic member.
        7.. => group_instance_id: Option<String>;
        /// How many milliseconds to keep the offset, -1 for the broker's default.
        2..=4 => retention_time_ms: i64 = -1, ignorable;
        /// One entry per topic.
        0.. => topics: Vec<OffsetCommitRequestTopic>;
    }

    /// The positions of one topic.
    part OffsetCommitRequestTopic {
        /// The topic's name.
        0..=9 => name: String, ignorable;
        /// The topic's id, zero if unknown.
        10.. => topic_id: Uuid, ignorable;
        /// The partitions.
        0.. => partitions: Vec<OffsetCommitRequestPartition>;
    }

    /// The position of one partition.
    part OffsetCommitRequestPartition {
        /// The partition.
        0.. => partition_index: i32;
        /// The next offset to read; -1 in an answer if nothing is committed.
        0.. => committed_offset: i64;
        /// Leader epoch of the record before the committed offset, -1 if unknown.
        6.. => committed_leader_epoch: i32 = -1, ignorable;
        /// Text that was committed with the offset.
        0.. => committed_metadata: Option<String>;
    }

    /// Response: keeping positions with a group.
    response OffsetCommitResponse versions 2..=10 flexible 8.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        3.. => throttle_time_ms: i32, ignorable;
        /// One entry per topic.
        0.. => topics: Vec<OffsetCommitResponseTopic>;
    }

    /// The answers for one topic.
    part OffsetCommitResponseTopic {
        /// The topic's name.
        0..=9 => name: String, ignorable;
        /// The topic's id, zero if unknown.
        10.. => topic_id: Uuid, ignorable;
        /// The partitions.
        0.. => partitions: Vec<OffsetCommitResponsePartition>;
    }

    /// The answer for one partition.
    part OffsetCommitResponsePartition {
        /// The partition.
        0.. => partition_index: i32;
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
    }
}
