//! AddOffsetsToTxn: which group's positions a transaction carries.

use crate::error::ErrorCode;

messages! {
    /// Request: which group's positions a transaction carries.
    request AddOffsetsToTxnRequest(25 -> AddOffsetsToTxnResponse) versions 0..=4 flexible 3.. {
        /// The transactional id.
        0.. => transactional_id: String;
        /// The producer id.
        0.. => producer_id: i64;
        /// The epoch of the producer id.
        0.. => producer_epoch: i16;
        /// The group.
        0.. => group_id: String;
    }

    /// Response: which group's positions a transaction carries.
    response AddOffsetsToTxnResponse versions 0..=4 flexible 3.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        0.. => throttle_time_ms: i32;
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
    }
}
