//! ConsumerProtocolSubscription: what a member of a consumer group wants, inside JoinGroup.

use bytes::Bytes;

messages! {
    /// Data: what a member of a consumer group wants, inside JoinGroup.
    data ConsumerProtocolSubscription versions 0..=3 {
        /// The topics that the member wants to read.
        0.. => topics: Vec<String>;
        /// Bytes of the assignor's own.
        0.. => user_data: Option<Bytes>;
        /// The partitions that the member holds.
        1.. => owned_partitions: Vec<TopicPartition>, ignorable;
        /// The generation in which the owned partitions were assigned, -1 if unknown.
        2.. => generation_id: i32 = -1, ignorable;
        /// The rack of the client.
        3.. => rack_id: Option<String>, ignorable;
    }

    /// Partitions of one topic.
    part TopicPartition {
        /// The topic's name.
        1.. => topic: String;
        /// The partitions.
        1.. => partitions: Vec<i32>;
    }
}
