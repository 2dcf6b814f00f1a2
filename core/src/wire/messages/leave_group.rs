//! LeaveGroup: leaving a classic group.

use crate::error::ErrorCode;

messages! {
    /// Request: leaving a classic group.
    request LeaveGroupRequest(13 -> LeaveGroupResponse) versions 0..=5 flexible 4.. {
        /// The group.
        0.. => group_id: String;
        /// The member's id in the group, empty at first.
        0..=2 => member_id: String;
        /// The members.
        3.. => members: Vec<MemberIdentity>;
    }

    /// A member that leaves.
    part MemberIdentity {
        /// The member's id in the group, empty at first.
        3.. => member_id: String;
        /// The member's `group.instance.id`, null for a dynamic member.
        3.. => group_instance_id: Option<String>;
        /// Why, for the broker's log.
        5.. => reason: Option<String>, ignorable;
    }

    /// Response: leaving a classic group.
    response LeaveGroupResponse versions 0..=5 flexible 4.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        1.. => throttle_time_ms: i32, ignorable;
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// The members.
        3.. => members: Vec<MemberResponse>;
    }

    /// The answer for one member.
    part MemberResponse {
        /// The member's id in the group, empty at first.
        3.. => member_id: String;
        /// The member's `group.instance.id`, null for a dynamic member.
        3.. => group_instance_id: Option<String>;
        /// What went wrong, 0 if nothing.
        3.. => error_code: ErrorCode;
    }
}
