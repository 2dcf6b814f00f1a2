//! Metadata: which brokers there are and which of them lead which partitions.

use crate::error::ErrorCode;
use crate::ids::BrokerId;
use crate::wire::Uuid;

messages! {
    /// Request: which brokers there are and which of them lead which partitions.
    request MetadataRequest(3 -> MetadataResponse) versions 0..=13 flexible 9.. {
        /// The topics to ask for: null for all, empty for none (in version 0 empty is all).
        0.., null in 1.. => topics: Option<Vec<MetadataRequestTopic>>;
        /// Whether the broker may create topics that do not exist.
        4.. => allow_auto_topic_creation: bool = true;
        /// Whether to answer with the operations that the caller may do on the cluster.
        8..=10 => include_cluster_authorized_operations: bool;
        /// Whether to answer with the operations that the caller may do on each topic.
        8.. => include_topic_authorized_operations: bool;
    }

    /// A topic to ask for, by name or by id.
    part MetadataRequestTopic {
        /// The topic's id, zero if unknown.
        10.. => topic_id: Uuid, ignorable;
        /// The topic's name.
        0.., null in 10.. => name: Option<String>;
    }

    /// Response: which brokers there are and which of them lead which partitions.
    response MetadataResponse versions 0..=13 flexible 9.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        3.. => throttle_time_ms: i32, ignorable;
        /// The brokers that are alive.
        0.. => brokers: Vec<MetadataResponseBroker>;
        /// The cluster's id.
        2.. => cluster_id: Option<String>, ignorable;
        /// The broker to send controller requests to; -1 if unknown. In KRaft clusters any broker, drawn anew each
        /// time.
        1.. => controller_id: BrokerId = BrokerId(-1), ignorable;
        /// One entry per topic.
        0.. => topics: Vec<MetadataResponseTopic>;
        /// Bit set of the operations that the caller may do on the cluster, `i32::MIN` if not asked for.
        8..=10 => cluster_authorized_operations: i32 = i32::MIN;
        /// What went wrong, 0 if nothing.
        13.. => error_code: ErrorCode, ignorable;
    }

    /// A broker.
    part MetadataResponseBroker {
        /// The broker's id.
        0.. => node_id: BrokerId;
        /// The host to connect to.
        0.. => host: String;
        /// The port to connect to.
        0.. => port: i32;
        /// The broker's rack, null if it has none.
        1.. => rack: Option<String>, ignorable;
    }

    /// A topic.
    part MetadataResponseTopic {
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// The topic's name.
        0.., null in 12.. => name: Option<String>;
        /// The topic's id, zero if unknown.
        10.. => topic_id: Uuid, ignorable;
        /// Whether it is a topic of Kafka's own.
        1.. => is_internal: bool, ignorable;
        /// The partitions.
        0.. => partitions: Vec<MetadataResponsePartition>;
        /// Bit set of the operations that the caller may do on the topic, `i32::MIN` if not asked for.
        8.. => topic_authorized_operations: i32 = i32::MIN;
    }

    /// A partition.
    part MetadataResponsePartition {
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// The partition.
        0.. => partition_index: i32;
        /// The broker that leads the partition, -1 if there is none.
        0.. => leader_id: BrokerId;
        /// The leader epoch, -1 if unknown.
        7.. => leader_epoch: i32 = -1, ignorable;
        /// All replicas, the preferred leader first.
        0.. => replica_nodes: Vec<BrokerId>;
        /// Replicas in sync with the leader.
        0.. => isr_nodes: Vec<BrokerId>;
        /// Replicas that are offline.
        5.. => offline_replicas: Vec<BrokerId>, ignorable;
    }
}
