//! DescribeTopicPartitions: topics in pages (KIP-966).

use crate::error::ErrorCode;
use crate::ids::BrokerId;
use crate::wire::Uuid;

messages! {
    /// Request: topics in pages (KIP-966).
    request DescribeTopicPartitionsRequest(75 -> DescribeTopicPartitionsResponse) versions 0..=0 flexible 0.. {
        /// One entry per topic.
        0.. => topics: Vec<TopicRequest>;
        /// The most partitions to answer with.
        0.. => response_partition_limit: i32 = 2000;
        /// Where to go on, null to start with the first topic.
        0.. => cursor: Option<Cursor>;
    }

    /// A topic to ask for.
    part TopicRequest {
        /// The topic's name.
        0.. => name: String;
    }

    /// A place in the list of all partitions.
    part Cursor {
        /// The topic's name.
        0.. => topic_name: String;
        /// The partition.
        0.. => partition_index: i32;
    }

    /// Response: topics in pages (KIP-966).
    response DescribeTopicPartitionsResponse versions 0..=0 flexible 0.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        0.. => throttle_time_ms: i32, ignorable;
        /// One entry per topic.
        0.. => topics: Vec<DescribeTopicPartitionsResponseTopic>;
        /// Where the next request must start, null if this was all.
        0.. => next_cursor: Option<Cursor>;
    }

    /// A topic.
    part DescribeTopicPartitionsResponseTopic {
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// The topic's name.
        0.. => name: Option<String>;
        /// The topic's id, zero if unknown.
        0.. => topic_id: Uuid, ignorable;
        /// Whether it is a topic of Kafka's own.
        0.. => is_internal: bool, ignorable;
        /// The partitions.
        0.. => partitions: Vec<DescribeTopicPartitionsResponsePartition>;
        /// Bit set of the operations that the caller may do on the topic, `i32::MIN` if not asked for.
        0.. => topic_authorized_operations: i32 = i32::MIN;
    }

    /// A partition.
    part DescribeTopicPartitionsResponsePartition {
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// The partition.
        0.. => partition_index: i32;
        /// The broker that leads the partition, -1 if there is none.
        0.. => leader_id: BrokerId;
        /// The leader epoch, -1 if unknown.
        0.. => leader_epoch: i32 = -1, ignorable;
        /// All replicas, the preferred leader first.
        0.. => replica_nodes: Vec<BrokerId>;
        /// Replicas in sync with the leader.
        0.. => isr_nodes: Vec<BrokerId>;
        /// Replicas that may be elected though they are not in sync (KIP-966).
        0.. => eligible_leader_replicas: Option<Vec<BrokerId>>;
        /// The replicas that were eligible last, as far as known.
        0.. => last_known_elr: Option<Vec<BrokerId>>;
        /// Replicas that are offline.
        0.. => offline_replicas: Vec<BrokerId>, ignorable;
    }
}
