//! SyncGroup: handing out and getting the assignment of a classic group.

use crate::error::ErrorCode;
use bytes::Bytes;

messages! {
    /// Request: handing out and getting the assignment of a classic group.
    request SyncGroupRequest(14 -> SyncGroupResponse) versions 0..=5 flexible 4.. {
        /// The group.
        0.. => group_id: String;
        /// The generation of the group.
        0.. => generation_id: i32;
        /// The member's id in the group, empty at first.
        0.. => member_id: String;
        /// The member's `group.instance.id`, null for a dynamic member.
        3.. => group_instance_id: Option<String>;
        /// What kind of protocol the group speaks, `consumer` for consumer groups.
        5.. => protocol_type: Option<String>, ignorable;
        /// The protocol that the group uses; in consumer groups the name of an assignor.
        5.. => protocol_name: Option<String>, ignorable;
        /// One entry per member; only the leader sends any.
        0.. => assignments: Vec<SyncGroupRequestAssignment>;
    }

    /// What the leader assigns to one member.
    part SyncGroupRequestAssignment {
        /// The member's id in the group, empty at first.
        0.. => member_id: String;
        /// What the member is to do, in the form of the group's protocol.
        0.. => assignment: Bytes;
    }

    /// Response: handing out and getting the assignment of a classic group.
    response SyncGroupResponse versions 0..=5 flexible 4.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        1.. => throttle_time_ms: i32, ignorable;
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// What kind of protocol the group speaks, `consumer` for consumer groups.
        5.. => protocol_type: Option<String>, ignorable;
        /// The protocol that the group uses; in consumer groups the name of an assignor.
        5.. => protocol_name: Option<String>, ignorable;
        /// What the member is to do, in the form of the group's protocol.
        0.. => assignment: Bytes;
    }
}
