//! DescribeAcls: finding access control entries.

use crate::error::ErrorCode;

messages! {
    /// Request: finding access control entries.
    request DescribeAclsRequest(29 -> DescribeAclsResponse) versions 1..=3 flexible 2.. {
        /// The kind of the resource, by number.
        0.. => resource_type_filter: i8;
        /// The resource's name, null for any.
        0.. => resource_name_filter: Option<String>;
        /// How the resource's name is meant, by number.
        1.. => pattern_type_filter: i8 = 3;
        /// Whom the entry is about, null for anyone.
        0.. => principal_filter: Option<String>;
        /// The address to match, null for any.
        0.. => host_filter: Option<String>;
        /// The operation, by number.
        0.. => operation: i8;
        /// Allow or deny, by number.
        0.. => permission_type: i8;
    }

    /// Response: finding access control entries.
    response DescribeAclsResponse versions 1..=3 flexible 2.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        0.. => throttle_time_ms: i32;
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// What went wrong, in words.
        0.. => error_message: Option<String>;
        /// The resources.
        0.. => resources: Vec<DescribeAclsResource>;
    }

    /// The entries of one resource.
    part DescribeAclsResource {
        /// The kind of the resource, by number.
        0.. => resource_type: i8;
        /// The resource's name.
        0.. => resource_name: String;
        /// How the resource's name is meant, by number.
        1.. => pattern_type: i8 = 3;
        /// The entries.
        0.. => acls: Vec<AclDescription>;
    }

    /// An entry.
    part AclDescription {
        /// Whom the entry is about.
        0.. => principal: String;
        /// The address that the entry is about, `*` for any.
        0.. => host: String;
        /// The operation, by number.
        0.. => operation: i8;
        /// Allow or deny, by number.
        0.. => permission_type: i8;
    }
}
