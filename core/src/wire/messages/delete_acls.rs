//! DeleteAcls: deleting access control entries by filter.

use crate::error::ErrorCode;

messages! {
    /// Request: deleting access control entries by filter.
    request DeleteAclsRequest(31 -> DeleteAclsResponse) versions 1..=3 flexible 2.. {
        /// The filters; every entry that one of them matches goes.
        0.. => filters: Vec<DeleteAclsFilter>;
    }

    /// What the entries to delete have in common.
    part DeleteAclsFilter {
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

    /// Response: deleting access control entries by filter.
    response DeleteAclsResponse versions 1..=3 flexible 2.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        0.. => throttle_time_ms: i32;
        /// One answer per filter.
        0.. => filter_results: Vec<DeleteAclsFilterResult>;
    }

    /// The answer for one filter.
    part DeleteAclsFilterResult {
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// What went wrong, in words.
        0.. => error_message: Option<String>;
        /// The entries that the filter matched.
        0.. => matching_acls: Vec<DeleteAclsMatchingAcl>;
    }

    /// An entry that the filter matched, and what became of it.
    part DeleteAclsMatchingAcl {
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// What went wrong, in words.
        0.. => error_message: Option<String>;
        /// The kind of the resource, by number.
        0.. => resource_type: i8;
        /// The resource's name.
        0.. => resource_name: String;
        /// How the resource's name is meant, by number.
        1.. => pattern_type: i8 = 3;
        /// Whom the entry is about.
        0.. => principal: String;
        /// The address that the entry was about, `*` for any.
        0.. => host: String;
        /// The operation, by number.
        0.. => operation: i8;
        /// Allow or deny, by number.
        0.. => permission_type: i8;
    }
}
