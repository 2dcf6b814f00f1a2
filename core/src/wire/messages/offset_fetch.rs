//! OffsetFetch: the positions kept with a group.

use crate::error::ErrorCode;
use crate::wire::Uuid;

messages! {
    /// Request: the positions kept with a group.
    request OffsetFetchRequest(9 -> OffsetFetchResponse) versions 1..=10 flexible 6.. {
        /// The group.
        0..=7 => group_id: String;
        /// The partitions to ask for, null for all.
        0..=7, null in 2..=7 => topics: Option<Vec<OffsetFetchRequestTopic>>;
        /// One entry per group.
        8.. => groups: Vec<OffsetFetchRequestGroup>;
        /// Whether to wait for undecided transactional commits.
        7.. => require_stable: bool;
    }

    /// The partitions of one topic to ask for.
    part OffsetFetchRequestTopic {
        /// The topic's name.
        0..=7 => name: String;
        /// The partitions.
        0..=7 => partition_indexes: Vec<i32>;
    }

    /// A group to ask for.
    part OffsetFetchRequestGroup {
        /// The group.
        8.. => group_id: String;
        /// The member's id in the group, empty at first.
        9.. => member_id: Option<String>, ignorable;
        /// The member's epoch (KIP-848), -1 in classic groups.
        9.. => member_epoch: i32 = -1, ignorable;
        /// The partitions to ask for, null for all.
        8.. => topics: Option<Vec<OffsetFetchRequestTopics>>;
    }

    /// The partitions of one topic to ask for.
    part OffsetFetchRequestTopics {
        /// The topic's name.
        8..=9 => name: String, ignorable;
        /// The topic's id, zero if unknown.
        10.. => topic_id: Uuid, ignorable;
        /// The partitions.
        8.. => partition_indexes: Vec<i32>;
    }

    /// Response: the positions kept with a group.
    response OffsetFetchResponse versions 1..=10 flexible 6.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        3.. => throttle_time_ms: i32, ignorable;
        /// One entry per topic.
        0..=7 => topics: Vec<OffsetFetchResponseTopic>;
        /// What went wrong, 0 if nothing.
        2..=7 => error_code: ErrorCode, ignorable;
        /// One entry per group.
        8.. => groups: Vec<OffsetFetchResponseGroup>;
    }

    /// The positions of one topic.
    part OffsetFetchResponseTopic {
        /// The topic's name.
        0..=7 => name: String;
        /// The partitions.
        0..=7 => partitions: Vec<OffsetFetchResponsePartition>;
    }

    /// The position of one partition.
    part OffsetFetchResponsePartition {
        /// The partition.
        0..=7 => partition_index: i32;
        /// The next offset to read; -1 in an answer if nothing is committed.
        0..=7 => committed_offset: i64;
        /// Leader epoch of the record before the committed offset, -1 if unknown.
        5..=7 => committed_leader_epoch: i32 = -1, ignorable;
        /// Text kept with the offset.
        0..=7 => metadata: Option<String>;
        /// What went wrong, 0 if nothing.
        0..=7 => error_code: ErrorCode;
    }

    /// The answer for one group.
    part OffsetFetchResponseGroup {
        /// The group.
        8.. => group_id: String;
        /// One entry per topic.
        8.. => topics: Vec<OffsetFetchResponseTopics>;
        /// What went wrong, 0 if nothing.
        8.. => error_code: ErrorCode;
    }

    /// The positions of one topic.
    part OffsetFetchResponseTopics {
        /// The topic's name.
        8..=9 => name: String, ignorable;
        /// The topic's id, zero if unknown.
        10.. => topic_id: Uuid, ignorable;
        /// The partitions.
        8.. => partitions: Vec<OffsetFetchResponsePartitions>;
    }

    /// The position of one partition.
    part OffsetFetchResponsePartitions {
        /// The partition.
        8.. => partition_index: i32;
        /// The next offset to read; -1 in an answer if nothing is committed.
        8.. => committed_offset: i64;
        /// Leader epoch of the record before the committed offset, -1 if unknown.
        8.. => committed_leader_epoch: i32 = -1, ignorable;
        /// Text kept with the offset.
        8.. => metadata: Option<String>;
        /// What went wrong, 0 if nothing.
        8.. => error_code: ErrorCode;
    }
}
