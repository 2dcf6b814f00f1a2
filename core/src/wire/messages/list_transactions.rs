//! ListTransactions: the transactional ids that a broker coordinates.

use crate::error::ErrorCode;

messages! {
    /// Request: the transactional ids that a broker coordinates.
    request ListTransactionsRequest(66 -> ListTransactionsResponse) versions 0..=2 flexible 0.. {
        /// Only those in these states; empty for all.
        0.. => state_filters: Vec<String>;
        /// Only those with these producer ids; empty for all.
        0.. => producer_id_filters: Vec<i64>;
        /// Only transactions that have been open for longer than so many milliseconds; negative for all (KIP-994).
        1.. => duration_filter: i64 = -1;
        /// Only transactional ids that this regular expression matches; null or empty for all (KIP-1152).
        2.. => transactional_id_pattern: Option<String>;
    }

    /// Response: the transactional ids that a broker coordinates.
    response ListTransactionsResponse versions 0..=2 flexible 0.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        0.. => throttle_time_ms: i32;
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// The states asked for that the broker does not know.
        0.. => unknown_state_filters: Vec<String>;
        /// One entry per transactional id.
        0.. => transaction_states: Vec<ListedTransaction>;
    }

    /// A transactional id.
    part ListedTransaction {
        /// The transactional id.
        0.. => transactional_id: String;
        /// The producer id.
        0.. => producer_id: i64;
        /// The transaction's state, by name.
        0.. => transaction_state: String;
    }
}
