//! DescribeTransactions: state and partitions of transactions.

use crate::error::ErrorCode;

messages! {
    /// Request: state and partitions of transactions.
    request DescribeTransactionsRequest(65 -> DescribeTransactionsResponse) versions 0..=0 flexible 0.. {
        /// The transactional ids; empty for none.
        0.. => transactional_ids: Vec<String>;
    }

    /// Response: state and partitions of transactions.
    response DescribeTransactionsResponse versions 0..=0 flexible 0.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        0.. => throttle_time_ms: i32;
        /// One entry per transactional id.
        0.. => transaction_states: Vec<DescribedTransaction>;
    }

    /// A transactional id.
    part DescribedTransaction {
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// The transactional id.
        0.. => transactional_id: String;
        /// The transaction's state, by name.
        0.. => transaction_state: String;
        /// After how many milliseconds the coordinator aborts a transaction that is still open.
        0.. => transaction_timeout_ms: i32;
        /// When the transaction began, in milliseconds since 1970; -1 if none is open.
        0.. => transaction_start_time_ms: i64;
        /// The producer id.
        0.. => producer_id: i64;
        /// The epoch of the producer id.
        0.. => producer_epoch: i16;
        /// The partitions of the transaction, while it ends those that have no marker yet.
        0.. => topics: Vec<DescribedTransactionTopic>;
    }

    /// The partitions of one topic.
    part DescribedTransactionTopic {
        /// The topic's name.
        0.. => topic: String;
        /// The partitions.
        0.. => partitions: Vec<i32>;
    }
}
