//! What to do about a broker's error, and whether the record may be in the log: policy as data, per API.
//!
//! The two questions are apart on purpose (contracts A2): a refusal that calls for a retry may come before the append or
//! after it, and only what was certainly not appended may be sent again under another number.

use super::ErrorCode;

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Try again after a while.
    Retry,
    /// Fetch metadata, then try again.
    Refresh,
    /// Look for the coordinator or controller, then try again.
    Rediscover,
    /// Try again in smaller pieces.
    Split,
    /// The numbers of an idempotent producer are out of step: take a new epoch.
    Bump,
    /// Trying again does not help.
    Fatal,
}

/// Whether a batch is in the log, as far as one answer tells. An answer says nothing about earlier attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Certainly not.
    #[default]
    NotWritten,
    /// Perhaps.
    Unknown,
    /// Certainly.
    Written,
}

/// An error of a Produce request, for one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProduceClass {
    /// What to do; `Fatal`, there being nothing left to do, where the fate is `Written`.
    pub action: Action,
    /// Whether this attempt may be in the log. An answer that names a base offset was appended, whatever its code: the
    /// caller makes that `Unknown` at least.
    pub fate: Fate,
}

/// Produce: what a code means (`ReplicaManager`, `DelayedProduce`, `UnifiedLog` of Kafka 4.x). Whatever is not listed may
/// have been appended.
pub const fn produce_class(code: ErrorCode) -> ProduceClass {
    use {Action::*, Fate::*};
    let (action, fate) = match code {
        ErrorCode::NONE | ErrorCode::DUPLICATE_SEQUENCE_NUMBER => (Fatal, Written),
        // After the append: the wait for the replicas ended without them.
        ErrorCode::REQUEST_TIMED_OUT | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND => (Retry, Unknown),
        // Before the append, or while it waited for the replicas.
        ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::KAFKA_STORAGE_ERROR => {
            (Refresh, Unknown)
        }
        // Refused before the append.
        ErrorCode::UNKNOWN_TOPIC_ID => (Refresh, NotWritten),
        ErrorCode::NOT_ENOUGH_REPLICAS | ErrorCode::CONCURRENT_TRANSACTIONS => (Retry, NotWritten),
        // Bytes may have been damaged on the way: the next copy may arrive whole (`CorruptRecordException` is retriable).
        ErrorCode::CORRUPT_MESSAGE => (Retry, NotWritten),
        ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE => (Split, NotWritten),
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
        | ErrorCode::UNKNOWN_PRODUCER_ID
        | ErrorCode::INVALID_PRODUCER_EPOCH => (Bump, NotWritten),
        ErrorCode::INVALID_RECORD
        | ErrorCode::INVALID_TIMESTAMP
        | ErrorCode::INVALID_REQUIRED_ACKS
        | ErrorCode::INVALID_TOPIC_EXCEPTION
        | ErrorCode::UNSUPPORTED_COMPRESSION_TYPE
        | ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT
        | ErrorCode::TOPIC_AUTHORIZATION_FAILED
        | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
        | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        | ErrorCode::INVALID_TXN_STATE
        | ErrorCode::INVALID_PRODUCER_ID_MAPPING
        | ErrorCode::TRANSACTION_ABORTABLE
        | ErrorCode::PRODUCER_FENCED => (Fatal, NotWritten),
        other => (retry_class(other), Unknown),
    };
    ProduceClass { action, fate }
}

/// Codes that say that what we know of the cluster is old (Java's `InvalidMetadataException`).
pub const fn is_stale_metadata(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            | ErrorCode::LEADER_NOT_AVAILABLE
            | ErrorCode::NOT_LEADER_OR_FOLLOWER
            | ErrorCode::REPLICA_NOT_AVAILABLE
            | ErrorCode::NETWORK_EXCEPTION
            | ErrorCode::KAFKA_STORAGE_ERROR
            | ErrorCode::LISTENER_NOT_FOUND
            | ErrorCode::FENCED_LEADER_EPOCH
            | ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE
            | ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE
            | ErrorCode::ELECTION_NOT_NEEDED
            | ErrorCode::UNKNOWN_TOPIC_ID
            | ErrorCode::INCONSISTENT_TOPIC_ID
    )
}

const fn retry_class(code: ErrorCode) -> Action {
    if is_stale_metadata(code) {
        Action::Refresh
    } else if code.is_retriable() {
        Action::Retry
    } else {
        Action::Fatal
    }
}

/// What an error of a Fetch answer calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FetchAction {
    /// Ask again after a while.
    Retry,
    /// Fetch metadata, then ask again.
    Refresh,
    /// The offset is not in this replica's log: back to the leader if this is a follower, else `auto.offset.reset`.
    Reset,
    /// The fetch session is gone: begin a new one with a full request.
    NewSession,
    /// Tell the application.
    Fatal,
}

/// Fetch: what a code means, for the whole answer or one partition (Java's `FetchCollector.handleInitializeErrors`).
pub const fn fetch_class(code: ErrorCode) -> FetchAction {
    match code {
        ErrorCode::OFFSET_OUT_OF_RANGE => FetchAction::Reset,
        ErrorCode::FETCH_SESSION_ID_NOT_FOUND
        | ErrorCode::INVALID_FETCH_SESSION_EPOCH
        | ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR => FetchAction::NewSession,
        // The broker cannot tell what is wrong with itself: it may get over it.
        ErrorCode::UNKNOWN_SERVER_ERROR => FetchAction::Retry,
        // The bytes on the broker's disk do not change by asking again.
        ErrorCode::CORRUPT_MESSAGE => FetchAction::Fatal,
        other => match retry_class(other) {
            Action::Refresh => FetchAction::Refresh,
            Action::Retry => FetchAction::Retry,
            _ => FetchAction::Fatal,
        },
    }
}

/// ListOffsets and OffsetForLeaderEpoch: what a code means for one partition (Java's `OffsetFetcherUtils`).
pub const fn list_offsets_class(code: ErrorCode) -> Action {
    match code {
        // The leader is behind our metadata, or does not know its own end yet.
        ErrorCode::UNKNOWN_LEADER_EPOCH | ErrorCode::OFFSET_NOT_AVAILABLE => Action::Retry,
        other => retry_class(other),
    }
}

/// What an error of a group's coordinator calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupAction {
    /// Ask the same coordinator again after a while.
    Retry,
    /// Look for the coordinator, then ask again.
    Rediscover,
    /// Join again: the group rebalances, and this member still belongs to it.
    Rejoin,
    /// The generation is over: join again under the same member id.
    NewGeneration,
    /// The member id is worth nothing (any more): join again as a new member.
    NewMember,
    /// Join again with the member id that came with the answer (KIP-394).
    TakeId,
    /// Another member took this one's `group.instance.id`: this consumer is done.
    Fenced,
    /// Tell the application.
    Fatal,
}

/// JoinGroup, SyncGroup, Heartbeat, LeaveGroup, OffsetCommit, OffsetFetch: what a code means (Java's
/// `AbstractCoordinator`, `ConsumerCoordinator`). What is kept of the member's state is up to the request.
pub const fn group_class(code: ErrorCode) -> GroupAction {
    match code {
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
        | ErrorCode::UNSTABLE_OFFSET_COMMIT
        | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => GroupAction::Retry,
        ErrorCode::COORDINATOR_NOT_AVAILABLE
        | ErrorCode::NOT_COORDINATOR
        | ErrorCode::REQUEST_TIMED_OUT
        | ErrorCode::NETWORK_EXCEPTION => GroupAction::Rediscover,
        ErrorCode::REBALANCE_IN_PROGRESS => GroupAction::Rejoin,
        ErrorCode::ILLEGAL_GENERATION => GroupAction::NewGeneration,
        ErrorCode::UNKNOWN_MEMBER_ID => GroupAction::NewMember,
        ErrorCode::MEMBER_ID_REQUIRED => GroupAction::TakeId,
        ErrorCode::FENCED_INSTANCE_ID => GroupAction::Fenced,
        _ => GroupAction::Fatal,
    }
}

/// Administrative requests: what a code means for the operation (Java's `KafkaAdminClient`). A topic that does not exist is
/// an answer, not a reason to ask again.
pub const fn admin_class(code: ErrorCode) -> Action {
    match code {
        ErrorCode::NOT_CONTROLLER | ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::NOT_COORDINATOR => {
            Action::Rediscover
        }
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID | ErrorCode::ELECTION_NOT_NEEDED => {
            Action::Fatal
        }
        // A creation that timed out on the controller may have happened: the second attempt would find the topic there.
        ErrorCode::REQUEST_TIMED_OUT => Action::Fatal,
        other => retry_class(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use {Action::*, Fate::*};

    fn produce(code: i16) -> (Action, Fate) {
        let class = produce_class(ErrorCode(code));
        (class.action, class.fate)
    }

    #[test]
    fn every_code_that_a_broker_answers_to_produce_has_its_row() {
        // The order of the checks in the broker: those before the append, then those after it.
        for (code, action, fate) in [
            (2, Retry, NotWritten),
            (53, Fatal, NotWritten),
            (100, Refresh, NotWritten),
            (3, Refresh, Unknown),
            (87, Fatal, NotWritten),
            (76, Fatal, NotWritten),
            (49, Fatal, NotWritten),
            (47, Bump, NotWritten),
            (48, Fatal, NotWritten),
            (51, Retry, NotWritten),
            (120, Fatal, NotWritten),
            (19, Retry, NotWritten),
            (6, Refresh, Unknown),
            (21, Fatal, NotWritten),
            (17, Fatal, NotWritten),
            (56, Refresh, Unknown),
            (10, Split, NotWritten),
            (-1, Fatal, Unknown),
            (32, Fatal, NotWritten),
            (18, Split, NotWritten),
            (45, Bump, NotWritten),
            (59, Bump, NotWritten),
            (29, Fatal, NotWritten),
            (31, Fatal, NotWritten),
            (90, Fatal, NotWritten),
            (43, Fatal, NotWritten),
            (7, Retry, Unknown),
            (20, Retry, Unknown),
            (0, Fatal, Written),
            (46, Fatal, Written),
        ] {
            assert_eq!(produce(code), (action, fate), "code {code}");
        }
    }

    #[test]
    fn what_no_broker_should_answer_to_produce_may_have_been_appended() {
        let listed = [
            -1, 0, 2, 3, 6, 7, 10, 17, 18, 19, 20, 21, 29, 31, 32, 43, 45, 46, 47, 48, 49, 51, 53, 56, 59, 76, 87, 90,
            100, 120,
        ];
        for code in ErrorCode::ALL.iter().filter(|code| !listed.contains(&code.0)) {
            assert_eq!(produce_class(*code).fate, Unknown, "{code:?}");
        }
        assert_eq!(produce(9999), (Fatal, Unknown));
        assert_eq!(produce(5), (Refresh, Unknown));
        assert_eq!(produce(13), (Refresh, Unknown));
    }

    #[test]
    fn what_java_retries_is_retried_and_what_it_fails_is_not_but_for_the_rows_named_here() {
        // Sender.canRetry: a `RetriableException`; sequence errors by TransactionManager.canRetry; splits by completeBatch.
        for code in ErrorCode::ALL {
            let java = match code.0 {
                10 => Split,
                45 | 59 => Bump,
                _ if is_stale_metadata(*code) => Refresh,
                _ if code.is_retriable() => Retry,
                _ => Fatal,
            };
            let ours = match code.0 {
                // A batch beyond segment.bytes is halved too; Java fails it.
                18 => Split,
                // An old epoch of our own id: Java fails the batch and takes a new epoch, we send it under a new id (ID-12).
                47 => Bump,
                _ => java,
            };
            assert_eq!(produce_class(*code).action, ours, "{code:?}");
        }
    }

    #[test]
    fn what_java_calls_invalid_metadata_is_retriable_too() {
        for code in ErrorCode::ALL.iter().filter(|code| is_stale_metadata(**code)) {
            assert!(code.is_retriable(), "{code:?}");
        }
    }

    #[test]
    fn fetch_errors_lead_to_the_leader_the_reset_policy_or_a_new_session() {
        use FetchAction::*;
        for (code, action) in [
            (1, Reset),
            (70, NewSession),
            (71, NewSession),
            (106, NewSession),
            (3, Refresh),
            (6, Refresh),
            (56, Refresh),
            (74, Refresh),
            (100, Refresh),
            (103, Refresh),
            (75, Retry),
            (78, Retry),
            (-1, Retry),
            (2, FetchAction::Fatal),
            (29, FetchAction::Fatal),
            (76, FetchAction::Fatal),
            (9999, FetchAction::Fatal),
        ] {
            assert_eq!(fetch_class(ErrorCode(code)), action, "code {code}");
        }
    }

    #[test]
    fn looking_up_offsets_waits_for_a_leader_that_is_behind() {
        for (code, action) in
            [(75, Retry), (78, Retry), (6, Refresh), (74, Refresh), (3, Refresh), (29, Fatal), (43, Fatal)]
        {
            assert_eq!(list_offsets_class(ErrorCode(code)), action, "code {code}");
        }
    }

    #[test]
    fn group_errors_say_what_is_left_of_the_membership() {
        use GroupAction::*;
        for (code, action) in [
            (14, GroupAction::Retry),
            (88, GroupAction::Retry),
            (15, GroupAction::Rediscover),
            (16, GroupAction::Rediscover),
            (7, GroupAction::Rediscover),
            (27, Rejoin),
            (22, NewGeneration),
            (25, NewMember),
            (79, TakeId),
            (82, Fenced),
            (23, GroupAction::Fatal),
            (24, GroupAction::Fatal),
            (26, GroupAction::Fatal),
            (30, GroupAction::Fatal),
            (81, GroupAction::Fatal),
            (9999, GroupAction::Fatal),
        ] {
            assert_eq!(group_class(ErrorCode(code)), action, "code {code}");
        }
    }

    #[test]
    fn administration_goes_after_a_controller_that_moved_but_not_after_a_topic_that_is_not_there() {
        for (code, action) in
            [(41, Rediscover), (16, Rediscover), (14, Retry), (89, Retry), (3, Fatal), (7, Fatal), (36, Fatal)]
        {
            assert_eq!(admin_class(ErrorCode(code)), action, "code {code}");
        }
    }
}
