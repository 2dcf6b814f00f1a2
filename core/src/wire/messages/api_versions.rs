//! ApiVersions: which versions of each API the broker speaks.

use crate::error::ErrorCode;
use crate::wire::ApiKey;

messages! {
    /// Request: which versions of each API the broker speaks.
    request ApiVersionsRequest(18 -> ApiVersionsResponse) versions 0..=5 flexible 3.. {
        /// What the client is, letters, digits, `-` and `.` only.
        3.. => client_software_name: String, ignorable;
        /// Its version, letters, digits, `-` and `.` only.
        3.. => client_software_version: String, ignorable;
        /// The cluster that the client means to reach (KIP-1242); goes with `node_id`.
        5.. => cluster_id: Option<String>, ignorable;
        /// The broker that the client means to reach (KIP-1242), -1 if unknown.
        5.. => node_id: i32 = -1, ignorable;
    }

    /// Response: which versions of each API the broker speaks.
    response ApiVersionsResponse versions 0..=5 flexible 3.. {
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// The versions of each API.
        0.. => api_keys: Vec<ApiVersion>;
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        1.. => throttle_time_ms: i32, ignorable;
    }, tagged {
            /// The features that the broker knows.
            0: 3.. => supported_features: Vec<SupportedFeatureKey>, ignorable;
            /// Grows with each change of the finalized features, -1 if unknown.
            1: 3.. => finalized_features_epoch: i64 = -1, ignorable;
            /// The features that are in force in the cluster.
            2: 3.. => finalized_features: Vec<FinalizedFeatureKey>, ignorable;
            /// Whether a move from ZooKeeper is possible; never set since Kafka 4.0.
            3: 3.. => zk_migration_ready: bool, ignorable;
    }

    /// The versions of one API.
    part ApiVersion {
        /// The API.
        0.. => api_key: ApiKey;
        /// The lowest version.
        0.. => min_version: i16;
        /// The highest version.
        0.. => max_version: i16;
    }

    /// The versions of a feature that the broker knows.
    part SupportedFeatureKey {
        /// The feature's name.
        3.. => name: String;
        /// The lowest version.
        3.. => min_version: i16;
        /// The highest version.
        3.. => max_version: i16;
    }

    /// The versions of a feature that are in force.
    part FinalizedFeatureKey {
        /// The feature's name.
        3.. => name: String;
        /// The highest version in force.
        3.. => max_version_level: i16;
        /// The lowest version in force.
        3.. => min_version_level: i16;
    }
}
