//! JoinGroup: entering a classic group.

use crate::error::ErrorCode;
use bytes::Bytes;

messages! {
    /// Request: entering a classic group.
    request JoinGroupRequest(11 -> JoinGroupResponse) versions 0..=9 flexible 6.. {
        /// The group.
        0.. => group_id: String;
        /// After how many milliseconds without a heartbeat the member is out.
        0.. => session_timeout_ms: i32;
        /// How many milliseconds members have to join again.
        1.. => rebalance_timeout_ms: i32 = -1, ignorable;
        /// The member's id in the group, empty at first.
        0.. => member_id: String;
        /// The member's `group.instance.id`, null for a dynamic member.
        5.. => group_instance_id: Option<String>;
        /// What kind of protocol the group speaks, `consumer` for consumer groups.
        0.. => protocol_type: String;
        /// The protocols that the member can use, best first.
        0.. => protocols: Vec<JoinGroupRequestProtocol>;
        /// Why, for the broker's log.
        8.. => reason: Option<String>, ignorable;
    }

    /// A protocol that the member can use.
    part JoinGroupRequestProtocol {
        /// The protocol's name; in consumer groups the name of an assignor.
        0.. => name: String;
        /// The member's subscription in the form of this protocol.
        0.. => metadata: Bytes;
    }

    /// Response: entering a classic group.
    response JoinGroupResponse versions 0..=9 flexible 6.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        2.. => throttle_time_ms: i32, ignorable;
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// The generation that this join made, -1 with an error.
        0.. => generation_id: i32 = -1;
        /// What kind of protocol the group speaks, `consumer` for consumer groups.
        7.. => protocol_type: Option<String>, ignorable;
        /// The protocol that the group uses; in consumer groups the name of an assignor.
        0.., null in 7.. => protocol_name: Option<String>;
        /// The member id of the group's leader.
        0.. => leader: String;
        /// Whether the leader must keep the assignment as it is (KIP-814).
        9.. => skip_assignment: bool;
        /// The member's id in the group, empty at first.
        0.. => member_id: String;
        /// The members and their subscriptions; only the leader gets any.
        0.. => members: Vec<JoinGroupResponseMember>;
    }

    /// A member, as the leader sees it.
    part JoinGroupResponseMember {
        /// The member's id in the group, empty at first.
        0.. => member_id: String;
        /// The member's `group.instance.id`, null for a dynamic member.
        5.. => group_instance_id: Option<String>, ignorable;
        /// The member's subscription in the form of the chosen protocol.
        0.. => metadata: Bytes;
    }
}
