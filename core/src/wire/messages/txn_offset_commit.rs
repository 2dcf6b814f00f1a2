//! TxnOffsetCommit: positions that a group keeps if the transaction commits.

use crate::error::ErrorCode;
use crate::wire::Uuid;

messages! {
    /// Request: positions that a group keeps if the transaction commits. From version 5 on it adds the group to the
    /// transaction by itself (KIP-890), from version 6 on topics go by their ids (KIP-1319).
    request TxnOffsetCommitRequest(28 -> TxnOffsetCommitResponse) versions 0..=6 flexible 3.. {
        /// The transactional id.
        0.. => transactional_id: String;
        /// The group.
        0.. => group_id: String;
        /// The producer id.
        0.. => producer_id: i64;
        /// The epoch of the producer id.
        0.. => producer_epoch: i16;
        /// The generation (classic) or member epoch (KIP-848); -1 for commits outside of a group.
        3.. => generation_id_or_member_epoch: i32 = -1;
        /// The member's id in the group, empty for commits outside of a group.
        3.. => member_id: String;
        /// The member's `group.instance.id`, null for a dynamic member.
        3.. => group_instance_id: Option<String>;
        /// One entry per topic.
        0.. => topics: Vec<TxnOffsetCommitRequestTopic>;
    }

    /// The positions of one topic.
    part TxnOffsetCommitRequestTopic {
        /// The topic's name.
        0..=5 => name: String, ignorable;
        /// The topic's id, zero if unknown.
        6.. => topic_id: Uuid, ignorable;
        /// The partitions.
        0.. => partitions: Vec<TxnOffsetCommitRequestPartition>;
    }

    /// The position of one partition.
    part TxnOffsetCommitRequestPartition {
        /// The partition.
        0.. => partition_index: i32;
        /// The next offset to read.
        0.. => committed_offset: i64;
        /// Leader epoch of the record before the committed offset, -1 if unknown.
        2.. => committed_leader_epoch: i32 = -1, ignorable;
        /// Text that is committed with the offset.
        0.. => committed_metadata: Option<String>;
    }

    /// Response: positions that a group keeps if the transaction commits.
    response TxnOffsetCommitResponse versions 0..=6 flexible 3.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        0.. => throttle_time_ms: i32;
        /// One entry per topic.
        0.. => topics: Vec<TxnOffsetCommitResponseTopic>;
    }

    /// The answers for one topic.
    part TxnOffsetCommitResponseTopic {
        /// The topic's name.
        0..=5 => name: String, ignorable;
        /// The topic's id, zero if unknown.
        6.. => topic_id: Uuid, ignorable;
        /// The partitions.
        0.. => partitions: Vec<TxnOffsetCommitResponsePartition>;
    }

    /// The answer for one partition.
    part TxnOffsetCommitResponsePartition {
        /// The partition.
        0.. => partition_index: i32;
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
    }
}
