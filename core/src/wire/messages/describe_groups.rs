//! DescribeGroups: state and members of classic groups.

use crate::error::ErrorCode;
use bytes::Bytes;

messages! {
    /// Request: state and members of classic groups.
    request DescribeGroupsRequest(15 -> DescribeGroupsResponse) versions 0..=6 flexible 5.. {
        /// One entry per group.
        0.. => groups: Vec<String>;
        /// Whether to answer with the operations that the caller may do.
        3.. => include_authorized_operations: bool;
    }

    /// Response: state and members of classic groups.
    response DescribeGroupsResponse versions 0..=6 flexible 5.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        1.. => throttle_time_ms: i32, ignorable;
        /// One entry per group.
        0.. => groups: Vec<DescribedGroup>;
    }

    /// A group.
    part DescribedGroup {
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// What went wrong, in words.
        6.. => error_message: Option<String>;
        /// The group.
        0.. => group_id: String;
        /// The group's state, by name.
        0.. => group_state: String;
        /// What kind of protocol the group speaks, `consumer` for consumer groups.
        0.. => protocol_type: String;
        /// The group's protocol, by name.
        0.. => protocol_data: String;
        /// The members.
        0.. => members: Vec<DescribedGroupMember>;
        /// Bit set of the operations that the caller may do, `i32::MIN` if not asked for.
        3.. => authorized_operations: i32 = i32::MIN;
    }

    /// A member.
    part DescribedGroupMember {
        /// The member's id in the group, empty at first.
        0.. => member_id: String;
        /// The member's `group.instance.id`, null for a dynamic member.
        4.. => group_instance_id: Option<String>, ignorable;
        /// The member's `client.id`.
        0.. => client_id: String;
        /// The address that the member speaks from.
        0.. => client_host: String;
        /// The member's subscription, in the form of the group's protocol.
        0.. => member_metadata: Bytes;
        /// The member's assignment, in the form of the group's protocol.
        0.. => member_assignment: Bytes;
    }
}
