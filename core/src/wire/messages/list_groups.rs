//! ListGroups: the groups that a broker coordinates.

use crate::error::ErrorCode;

messages! {
    /// Request: the groups that a broker coordinates.
    request ListGroupsRequest(16 -> ListGroupsResponse) versions 0..=5 flexible 3.. {
        /// Only groups in these states; empty for all.
        4.. => states_filter: Vec<String>;
        /// Only groups of these types; empty for all.
        5.. => types_filter: Vec<String>;
    }

    /// Response: the groups that a broker coordinates.
    response ListGroupsResponse versions 0..=5 flexible 3.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        1.. => throttle_time_ms: i32, ignorable;
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// One entry per group.
        0.. => groups: Vec<ListedGroup>;
    }

    /// A group.
    part ListedGroup {
        /// The group.
        0.. => group_id: String;
        /// What kind of protocol the group speaks, `consumer` for consumer groups.
        0.. => protocol_type: String;
        /// The group's state, by name.
        4.. => group_state: String, ignorable;
        /// The group's protocol, by name.
        5.. => group_type: String, ignorable;
    }
}
