//! What a coordinator's error means for a transaction: a pure table, (request, code) to reaction, as Java's
//! `TransactionManager` has it in its handlers. Abortable and fatal errors are kept apart (KIP-1050).

use super::Ask;
use crate::ErrorCode;

/// What to do about a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reaction {
    /// It is done.
    Done,
    /// Ask again after a while.
    Retry,
    /// Ask again soon: the transaction before this one is still being written out.
    Soon,
    /// Look for the coordinator, then ask again.
    Rediscover,
    /// The transaction can only be aborted; the producer goes on.
    Abort,
    /// As `Abort`, and a new epoch is needed before the next transaction.
    Renew,
    /// The coordinator has no such transaction open.
    NotOpen,
    /// The producer is of no more use.
    Fatal,
}

/// The table.
pub(crate) fn reaction(ask: Ask, code: ErrorCode) -> Reaction {
    use Reaction::*;
    match code {
        ErrorCode::NONE => Done,
        ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE => Rediscover,
        ErrorCode::REQUEST_TIMED_OUT if ask == Ask::CommitOffsets => Rediscover,
        ErrorCode::CONCURRENT_TRANSACTIONS if matches!(ask, Ask::AddPartitions | Ask::AddOffsets) => Soon,
        ErrorCode::TRANSACTION_ABORTABLE => Abort,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED | ErrorCode::GROUP_AUTHORIZATION_FAILED if ask != Ask::Init => Abort,
        ErrorCode::OPERATION_NOT_ATTEMPTED if ask == Ask::AddPartitions => Abort,
        // KIP-447: the group went on without this member; its records go to another.
        ErrorCode::ILLEGAL_GENERATION
        | ErrorCode::UNKNOWN_MEMBER_ID
        | ErrorCode::FENCED_INSTANCE_ID
        | ErrorCode::STALE_MEMBER_EPOCH
        | ErrorCode::REBALANCE_IN_PROGRESS
        | ErrorCode::OFFSET_METADATA_TOO_LARGE
        | ErrorCode::INVALID_COMMIT_OFFSET_SIZE
        | ErrorCode::UNKNOWN_TOPIC_ID
        | ErrorCode::GROUP_ID_NOT_FOUND
            if ask == Ask::CommitOffsets =>
        {
            Abort
        }
        // The log of offsets knows a newer epoch: of a newer producer, or of a coordinator that timed the transaction out. The
        // end of the transaction tells which (KIP-588).
        ErrorCode::INVALID_PRODUCER_EPOCH if ask == Ask::CommitOffsets => Renew,
        ErrorCode::UNKNOWN_PRODUCER_ID if ask != Ask::Init => Renew,
        ErrorCode::INVALID_TXN_STATE if ask == Ask::End => NotOpen,
        // TX-15: it may have ended all the same; only the same question tells.
        ErrorCode::UNKNOWN_SERVER_ERROR if ask == Ask::End => Retry,
        code if code.is_retriable() => Retry,
        _ => Fatal,
    }
}

/// Whether a batch's error ends the producer, not only its transaction (`TransactionManager.handleFailedBatch`).
pub(crate) fn dooms(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::PRODUCER_FENCED
            | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
            | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
            | ErrorCode::INVALID_PRODUCER_ID_MAPPING
            | ErrorCode::UNSUPPORTED_VERSION
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Ask; 5] = [Ask::Init, Ask::AddPartitions, Ask::AddOffsets, Ask::CommitOffsets, Ask::End];

    #[test]
    fn a_fenced_producer_is_of_no_more_use_whoever_says_so() {
        for ask in ALL {
            assert_eq!(reaction(ask, ErrorCode::PRODUCER_FENCED), Reaction::Fatal, "{ask:?}");
            assert_eq!(reaction(ask, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED), Reaction::Fatal, "{ask:?}");
        }
    }

    #[test]
    fn an_old_epoch_is_final_at_the_coordinator_and_abortable_at_the_group() {
        for ask in [Ask::Init, Ask::AddPartitions, Ask::AddOffsets, Ask::End] {
            assert_eq!(reaction(ask, ErrorCode::INVALID_PRODUCER_EPOCH), Reaction::Fatal, "{ask:?}");
        }
        assert_eq!(reaction(Ask::CommitOffsets, ErrorCode::INVALID_PRODUCER_EPOCH), Reaction::Renew);
    }

    #[test]
    fn what_passes_is_asked_again() {
        for ask in ALL {
            assert_eq!(reaction(ask, ErrorCode::NOT_COORDINATOR), Reaction::Rediscover, "{ask:?}");
            assert_eq!(reaction(ask, ErrorCode::COORDINATOR_NOT_AVAILABLE), Reaction::Rediscover, "{ask:?}");
            assert_eq!(reaction(ask, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS), Reaction::Retry, "{ask:?}");
            assert_eq!(reaction(ask, ErrorCode::NONE), Reaction::Done, "{ask:?}");
            assert_eq!(reaction(ask, ErrorCode::TRANSACTION_ABORTABLE), Reaction::Abort, "{ask:?}");
        }
        assert_eq!(reaction(Ask::AddPartitions, ErrorCode::CONCURRENT_TRANSACTIONS), Reaction::Soon);
        assert_eq!(reaction(Ask::End, ErrorCode::CONCURRENT_TRANSACTIONS), Reaction::Retry);
        assert_eq!(reaction(Ask::AddPartitions, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION), Reaction::Retry);
    }

    #[test]
    fn a_group_that_went_on_costs_the_transaction_only() {
        let group = [
            ErrorCode::ILLEGAL_GENERATION,
            ErrorCode::UNKNOWN_MEMBER_ID,
            ErrorCode::FENCED_INSTANCE_ID,
            ErrorCode::REBALANCE_IN_PROGRESS,
            ErrorCode::GROUP_AUTHORIZATION_FAILED,
            // From version 6 on (KIP-1319).
            ErrorCode::GROUP_ID_NOT_FOUND,
            ErrorCode::STALE_MEMBER_EPOCH,
            ErrorCode::UNKNOWN_TOPIC_ID,
        ];
        for code in group {
            assert_eq!(reaction(Ask::CommitOffsets, code), Reaction::Abort, "{code}");
        }
        assert_eq!(reaction(Ask::AddOffsets, ErrorCode::GROUP_AUTHORIZATION_FAILED), Reaction::Abort);
        assert_eq!(reaction(Ask::AddPartitions, ErrorCode::TOPIC_AUTHORIZATION_FAILED), Reaction::Abort);
        assert_eq!(reaction(Ask::AddPartitions, ErrorCode::OPERATION_NOT_ATTEMPTED), Reaction::Abort);
    }

    #[test]
    fn what_no_table_knows_is_final() {
        for ask in ALL {
            assert_eq!(reaction(ask, ErrorCode(9999)), Reaction::Fatal, "{ask:?}");
            assert_eq!(reaction(ask, ErrorCode::INVALID_PRODUCER_ID_MAPPING), Reaction::Fatal, "{ask:?}");
        }
        assert_eq!(reaction(Ask::End, ErrorCode::INVALID_TXN_STATE), Reaction::NotOpen);
        assert_eq!(reaction(Ask::End, ErrorCode::UNKNOWN_SERVER_ERROR), Reaction::Retry);
        assert_eq!(reaction(Ask::AddPartitions, ErrorCode::UNKNOWN_SERVER_ERROR), Reaction::Fatal);
        assert_eq!(reaction(Ask::AddPartitions, ErrorCode::INVALID_TXN_STATE), Reaction::Fatal);
    }
}
