//! CreateAcls: creating access control entries.

use crate::error::ErrorCode;

messages! {
    /// Request: creating access control entries.
    request CreateAclsRequest(30 -> CreateAclsResponse) versions 1..=3 flexible 2.. {
        /// The entries to create.
        0.. => creations: Vec<AclCreation>;
    }

    /// An entry to create.
    part AclCreation {
        /// The kind of the resource, by number.
        0.. => resource_type: i8;
        /// The resource's name.
        0.. => resource_name: String;
        /// How the resource's name is meant, by number.
        1.. => resource_pattern_type: i8 = 3;
        /// Whom the entry is about.
        0.. => principal: String;
        /// The address that the entry is about, `*` for any.
        0.. => host: String;
        /// The operation, by number.
        0.. => operation: i8;
        /// Allow or deny, by number.
        0.. => permission_type: i8;
    }

    /// Response: creating access control entries.
    response CreateAclsResponse versions 1..=3 flexible 2.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        0.. => throttle_time_ms: i32;
        /// One answer per item of the request.
        0.. => results: Vec<AclCreationResult>;
    }

    /// The answer for one entry.
    part AclCreationResult {
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// What went wrong, in words.
        0.. => error_message: Option<String>;
    }
}
