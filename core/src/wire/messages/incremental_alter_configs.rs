//! IncrementalAlterConfigs: changing single keys of configurations.

use crate::error::ErrorCode;

messages! {
    /// Request: changing single keys of configurations.
    request IncrementalAlterConfigsRequest(44 -> IncrementalAlterConfigsResponse) versions 0..=1 flexible 1.. {
        /// The resources.
        0.. => resources: Vec<AlterConfigsResource>;
        /// Whether to check the request without carrying it out.
        0.. => validate_only: bool;
    }

    /// A resource to change.
    part AlterConfigsResource {
        /// The kind of the resource, by number.
        0.. => resource_type: i8;
        /// The resource's name.
        0.. => resource_name: String;
        /// The configuration entries.
        0.. => configs: Vec<AlterableConfig>;
    }

    /// A key to change.
    part AlterableConfig {
        /// The key.
        0.. => name: String;
        /// 0 sets, 1 deletes, 2 appends to a list, 3 takes from a list.
        0.. => config_operation: i8;
        /// The value, null if it has none or is secret.
        0.. => value: Option<String>;
    }

    /// Response: changing single keys of configurations.
    response IncrementalAlterConfigsResponse versions 0..=1 flexible 1.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        0.. => throttle_time_ms: i32;
        /// One answer per item of the request.
        0.. => responses: Vec<AlterConfigsResourceResponse>;
    }

    /// The answer for one resource.
    part AlterConfigsResourceResponse {
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// What went wrong, in words.
        0.. => error_message: Option<String>;
        /// The kind of the resource, by number.
        0.. => resource_type: i8;
        /// The resource's name.
        0.. => resource_name: String;
    }
}
