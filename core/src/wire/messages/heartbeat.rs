//! Heartbeat: staying in a classic group.

use crate::error::ErrorCode;

messages! {
    /// Request: staying in a classic group.
    request HeartbeatRequest(12 -> HeartbeatResponse) versions 0..=4 flexible 4.. {
        /// The group.
        0.. => group_id: String;
        /// The generation of the group.
        0.. => generation_id: i32;
        /// The member's id in the group, empty at first.
        0.. => member_id: String;
        /// The member's `group.instance.id`, null for a dynamic member.
        3.. => group_instance_id: Option<String>;
    }

    /// Response: staying in a classic group.
    response HeartbeatResponse versions 0..=4 flexible 4.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        1.. => throttle_time_ms: i32, ignorable;
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
    }
}
