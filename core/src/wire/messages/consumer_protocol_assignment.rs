//! ConsumerProtocolAssignment: what a member of a consumer group gets, inside SyncGroup.

use bytes::Bytes;

messages! {
    /// Data: what a member of a consumer group gets, inside SyncGroup.
    data ConsumerProtocolAssignment versions 0..=3 {
        /// The partitions that the member shall read.
        0.. => assigned_partitions: Vec<TopicPartition>;
        /// Bytes of the assignor's own.
        0.. => user_data: Option<Bytes>;
    }

    /// Partitions of one topic.
    part TopicPartition {
        /// The topic's name.
        0.. => topic: String;
        /// The partitions.
        0.. => partitions: Vec<i32>;
    }
}
