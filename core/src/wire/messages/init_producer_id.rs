//! InitProducerId: a producer id and epoch, for idempotence and transactions.

use crate::error::ErrorCode;

messages! {
    /// Request: a producer id and epoch, for idempotence and transactions.
    request InitProducerIdRequest(22 -> InitProducerIdResponse) versions 0..=6 flexible 2.. {
        /// The transactional id, null if there is none.
        0.. => transactional_id: Option<String>;
        /// After how many milliseconds the coordinator aborts a transaction that is still open.
        0.. => transaction_timeout_ms: i32;
        /// The producer id, -1 if none.
        3.. => producer_id: i64 = -1;
        /// The epoch of the producer id, -1 if none.
        3.. => producer_epoch: i16 = -1;
        /// Whether the transaction may take part in a two-phase commit (KIP-939).
        6.. => enable2_pc: bool;
        /// Whether to keep a prepared transaction instead of aborting it (KIP-939).
        6.. => keep_prepared_txn: bool;
    }

    /// Response: a producer id and epoch, for idempotence and transactions.
    response InitProducerIdResponse versions 0..=6 flexible 2.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        0.. => throttle_time_ms: i32, ignorable;
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// The producer id, -1 if none.
        0.. => producer_id: i64 = -1;
        /// The epoch of the producer id, -1 if none.
        0.. => producer_epoch: i16;
        /// The producer id of the transaction that was kept, -1 if none.
        6.. => ongoing_txn_producer_id: i64 = -1;
        /// The epoch of the transaction that was kept, -1 if none.
        6.. => ongoing_txn_producer_epoch: i16 = -1;
    }
}
