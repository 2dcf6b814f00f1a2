//! DescribeConfigs: the configuration of topics, brokers and other resources.

use crate::error::ErrorCode;

messages! {
    /// Request: the configuration of topics, brokers and other resources.
    request DescribeConfigsRequest(32 -> DescribeConfigsResponse) versions 1..=4 flexible 4.. {
        /// The resources.
        0.. => resources: Vec<DescribeConfigsResource>;
        /// Whether to answer with all places that a value could come from.
        1.. => include_synonyms: bool;
        /// Whether to answer with the documentation of keys.
        3.. => include_documentation: bool;
    }

    /// A resource to ask for.
    part DescribeConfigsResource {
        /// The kind of the resource, by number.
        0.. => resource_type: i8;
        /// The resource's name.
        0.. => resource_name: String;
        /// The keys to look up, null for all.
        0.. => configuration_keys: Option<Vec<String>>;
    }

    /// Response: the configuration of topics, brokers and other resources.
    response DescribeConfigsResponse versions 1..=4 flexible 4.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        0.. => throttle_time_ms: i32;
        /// One answer per item of the request.
        0.. => results: Vec<DescribeConfigsResult>;
    }

    /// The answer for one resource.
    part DescribeConfigsResult {
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// What went wrong, in words.
        0.. => error_message: Option<String>;
        /// The kind of the resource, by number.
        0.. => resource_type: i8;
        /// The resource's name.
        0.. => resource_name: String;
        /// The configuration entries.
        0.. => configs: Vec<DescribeConfigsResourceResult>;
    }

    /// A configuration entry.
    part DescribeConfigsResourceResult {
        /// The key.
        0.. => name: String;
        /// The value, null if it has none or is secret.
        0.. => value: Option<String>;
        /// Whether the value cannot be changed.
        0.. => read_only: bool;
        /// Where the value comes from, by number.
        1.. => config_source: i8 = -1, ignorable;
        /// Whether the value is kept secret.
        0.. => is_sensitive: bool;
        /// All places that the value could come from, the one in force first.
        1.. => synonyms: Vec<DescribeConfigsSynonym>, ignorable;
        /// The type of the value, by number.
        3.. => config_type: i8, ignorable;
        /// What the key is for.
        3.. => documentation: Option<String>, ignorable;
    }

    /// A place that a value could come from.
    part DescribeConfigsSynonym {
        /// The key.
        1.. => name: String;
        /// The value, null if it has none or is secret.
        1.. => value: Option<String>;
        /// Where the value comes from, by number.
        1.. => source: i8;
    }
}
