//! CreateTopics: creating topics.

use crate::error::ErrorCode;
use crate::ids::BrokerId;
use crate::wire::Uuid;

messages! {
    /// Request: creating topics.
    request CreateTopicsRequest(19 -> CreateTopicsResponse) versions 2..=7 flexible 5.. {
        /// One entry per topic.
        0.. => topics: Vec<CreatableTopic>;
        /// How many milliseconds the broker may take.
        0.. => timeout_ms: i32 = 60000;
        /// Whether to check the request without carrying it out.
        1.. => validate_only: bool;
    }

    /// A topic to create.
    part CreatableTopic {
        /// The topic's name.
        0.. => name: String;
        /// How many partitions; -1 for the broker's default.
        0.. => num_partitions: i32;
        /// How many replicas per partition; -1 for the broker's default.
        0.. => replication_factor: i16;
        /// Brokers chosen by hand; empty lets the controller choose.
        0.. => assignments: Vec<CreatableReplicaAssignment>;
        /// The configuration entries.
        0.. => configs: Vec<CreatableTopicConfig>;
    }

    /// The brokers of one partition.
    part CreatableReplicaAssignment {
        /// The partition.
        0.. => partition_index: i32;
        /// Ids of the brokers, the preferred leader first.
        0.. => broker_ids: Vec<BrokerId>;
    }

    /// A configuration entry of a new topic.
    part CreatableTopicConfig {
        /// The key.
        0.. => name: String;
        /// The value, null if it has none or is secret.
        0.. => value: Option<String>;
    }

    /// Response: creating topics.
    response CreateTopicsResponse versions 2..=7 flexible 5.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        2.. => throttle_time_ms: i32, ignorable;
        /// One entry per topic.
        0.. => topics: Vec<CreatableTopicResult>;
    }

    /// The answer for one topic.
    part CreatableTopicResult {
        /// The topic's name.
        0.. => name: String;
        /// The topic's id, zero if unknown.
        7.. => topic_id: Uuid, ignorable;
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// What went wrong, in words.
        1.. => error_message: Option<String>, ignorable;
        /// How many partitions were made, -1 if the caller may not know.
        5.. => num_partitions: i32 = -1, ignorable;
        /// How many replicas per partition there are, -1 if the caller may not know.
        5.. => replication_factor: i16 = -1, ignorable;
        /// The configuration of the new topic, null if the caller may not see it.
        5.. => configs: Option<Vec<CreatableTopicConfigs>>, ignorable;
    }, tagged {
            /// Why the configuration could not be told, 0 if it was.
            0: 5.. => topic_config_error_code: ErrorCode, ignorable;
    }

    /// A configuration entry of a new topic, as it is in force.
    part CreatableTopicConfigs {
        /// The key.
        5.. => name: String;
        /// The value, null if it has none or is secret.
        5.. => value: Option<String>;
        /// Whether the value cannot be changed.
        5.. => read_only: bool;
        /// Where the value comes from, by number.
        5.. => config_source: i8 = -1, ignorable;
        /// Whether the value is kept secret.
        5.. => is_sensitive: bool;
    }
}
