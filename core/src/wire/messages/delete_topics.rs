//! DeleteTopics: deleting topics.

use crate::error::ErrorCode;
use crate::wire::Uuid;

messages! {
    /// Request: deleting topics.
    request DeleteTopicsRequest(20 -> DeleteTopicsResponse) versions 1..=6 flexible 4.. {
        /// One entry per topic.
        6.. => topics: Vec<DeleteTopicState>;
        /// The topics, by name.
        0..=5 => topic_names: Vec<String>, ignorable;
        /// How many milliseconds the broker may take.
        0.. => timeout_ms: i32;
    }

    /// A topic to delete, by name or by id.
    part DeleteTopicState {
        /// The topic's name.
        6.. => name: Option<String>;
        /// The topic's id, zero if unknown.
        6.. => topic_id: Uuid;
    }

    /// Response: deleting topics.
    response DeleteTopicsResponse versions 1..=6 flexible 4.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        1.. => throttle_time_ms: i32, ignorable;
        /// One answer per item of the request.
        0.. => responses: Vec<DeletableTopicResult>;
    }

    /// The answer for one topic.
    part DeletableTopicResult {
        /// The topic's name.
        0.., null in 6.. => name: Option<String>;
        /// The topic's id, zero if unknown.
        6.. => topic_id: Uuid, ignorable;
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// What went wrong, in words.
        5.. => error_message: Option<String>, ignorable;
    }
}
