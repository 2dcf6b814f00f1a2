//! EndTxn: the commit or abort of a transaction.

use crate::error::ErrorCode;

messages! {
    /// Request: the commit or abort of a transaction. From version 5 on the epoch is bumped with each (KIP-890).
    request EndTxnRequest(26 -> EndTxnResponse) versions 0..=5 flexible 3.. {
        /// The transactional id.
        0.. => transactional_id: String;
        /// The producer id.
        0.. => producer_id: i64;
        /// The epoch of the producer id.
        0.. => producer_epoch: i16;
        /// Whether it is committed; otherwise it is aborted.
        0.. => committed: bool;
    }

    /// Response: the commit or abort of a transaction.
    response EndTxnResponse versions 0..=5 flexible 3.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        0.. => throttle_time_ms: i32;
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// The producer id to go on with, -1 if none.
        5.. => producer_id: i64 = -1, ignorable;
        /// The epoch to go on with, -1 if none.
        5.. => producer_epoch: i16 = -1, ignorable;
    }
}
