//! FindCoordinator: which broker coordinates a group or a transactional id.

use crate::error::ErrorCode;
use crate::ids::BrokerId;

messages! {
    /// Request: which broker coordinates a group or a transactional id.
    request FindCoordinatorRequest(10 -> FindCoordinatorResponse) versions 0..=6 flexible 3.. {
        /// The group or transactional id.
        0..=3 => key: String;
        /// What the keys are: 0 groups, 1 transactional ids, 2 share group partitions.
        1.. => key_type: i8;
        /// The groups or transactional ids to find coordinators for.
        4.. => coordinator_keys: Vec<String>;
    }

    /// Response: which broker coordinates a group or a transactional id.
    response FindCoordinatorResponse versions 0..=6 flexible 3.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        1.. => throttle_time_ms: i32, ignorable;
        /// What went wrong, 0 if nothing.
        0..=3 => error_code: ErrorCode;
        /// What went wrong, in words.
        1..=3 => error_message: Option<String>, ignorable;
        /// The broker's id.
        0..=3 => node_id: BrokerId;
        /// The host to connect to.
        0..=3 => host: String;
        /// The port to connect to.
        0..=3 => port: i32;
        /// One answer per key.
        4.. => coordinators: Vec<Coordinator>;
    }

    /// The coordinator of one key.
    part Coordinator {
        /// The group or transactional id.
        4.. => key: String;
        /// The broker's id.
        4.. => node_id: BrokerId;
        /// The host to connect to.
        4.. => host: String;
        /// The port to connect to.
        4.. => port: i32;
        /// What went wrong, 0 if nothing.
        4.. => error_code: ErrorCode;
        /// What went wrong, in words.
        4.. => error_message: Option<String>, ignorable;
    }
}
