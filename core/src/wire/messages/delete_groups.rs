//! DeleteGroups: deleting empty groups.

use crate::error::ErrorCode;

messages! {
    /// Request: deleting empty groups.
    request DeleteGroupsRequest(42 -> DeleteGroupsResponse) versions 0..=3 flexible 2.. {
        /// The groups to delete.
        0.. => groups_names: Vec<String>;
    }

    /// Response: deleting empty groups.
    response DeleteGroupsResponse versions 0..=3 flexible 2.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        0.. => throttle_time_ms: i32;
        /// One answer per item of the request.
        0.. => results: Vec<DeletableGroupResult>;
    }

    /// The answer for one group.
    part DeletableGroupResult {
        /// The group.
        0.. => group_id: String;
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// What went wrong, in words.
        3.. => error_message: Option<String>, ignorable;
    }
}
