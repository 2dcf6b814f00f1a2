//! The broker's error table: number, name, meaning, class.

use super::ErrorKind;
use std::fmt;

/// An error code as a broker sends it. Numbers that this table does not know are kept.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub i16);

macro_rules! codes {
    ($( $number:literal $name:ident $kind:ident $retriable:literal $meaning:literal; )*) => {
        impl ErrorCode {
            $( #[doc = concat!($meaning, ".")] pub const $name: Self = Self($number); )*

            /// Its name in the protocol guide.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 { $( $number => Some(stringify!($name)), )* _ => None }
            }
            /// What it means.
            pub const fn describe(self) -> Option<&'static str> {
                match self.0 { $( $number => Some($meaning), )* _ => None }
            }
            /// The kind of error that it becomes.
            pub const fn kind(self) -> ErrorKind {
                match self.0 { $( $number => ErrorKind::$kind, )* _ => ErrorKind::Broker }
            }
            /// Whether the Java client treats it as retriable (`RetriableException`); unknown codes are not.
            pub const fn is_retriable(self) -> bool {
                match self.0 { $( $number => $retriable, )* _ => false }
            }
            /// Every code of the table.
            pub const ALL: &'static [Self] = &[ $( Self($number), )* ];
        }
    };
}

codes! {
    -1 UNKNOWN_SERVER_ERROR Broker false "the broker failed in a way it has no code for";
    0 NONE Broker false "no error";
    1 OFFSET_OUT_OF_RANGE NoOffset false "the offset is outside the partition's log";
    2 CORRUPT_MESSAGE Corrupt true "a record batch failed its checksum or is malformed";
    3 UNKNOWN_TOPIC_OR_PARTITION UnknownTopic true "this broker does not host the topic or partition";
    4 INVALID_FETCH_SIZE Broker false "the fetch asks for an impossible size";
    5 LEADER_NOT_AVAILABLE Broker true "the partition has no leader at the moment";
    6 NOT_LEADER_OR_FOLLOWER Broker true "this broker is not the leader, or holds no replica, of the partition";
    7 REQUEST_TIMED_OUT Timeout true "the broker could not finish within the time limit of the request";
    8 BROKER_NOT_AVAILABLE Broker false "the broker is not available";
    9 REPLICA_NOT_AVAILABLE Broker true "the replica is not available on this broker";
    10 MESSAGE_TOO_LARGE RecordTooLarge false "a batch is larger than the topic's max.message.bytes";
    11 STALE_CONTROLLER_EPOCH Broker false "the controller has moved to another node";
    12 OFFSET_METADATA_TOO_LARGE CommitFailed false "the text committed with an offset is longer than the broker allows";
    13 NETWORK_EXCEPTION Connect true "the broker lost a connection before it had its answer";
    14 COORDINATOR_LOAD_IN_PROGRESS Broker true "the coordinator is still loading its state";
    15 COORDINATOR_NOT_AVAILABLE Broker true "the group or transaction has no coordinator at the moment";
    16 NOT_COORDINATOR Broker true "this broker does not coordinate the group or transaction";
    17 INVALID_TOPIC_EXCEPTION UnknownTopic false "the topic's name is invalid or reserved for the broker";
    18 RECORD_LIST_TOO_LARGE RecordTooLarge false "a batch is larger than the topic's segment.bytes";
    19 NOT_ENOUGH_REPLICAS Broker true "fewer replicas are in sync than min.insync.replicas demands; nothing was appended";
    20 NOT_ENOUGH_REPLICAS_AFTER_APPEND Broker true "the batch was appended, but fewer replicas than min.insync.replicas have it";
    21 INVALID_REQUIRED_ACKS Broker false "acks is not 0, 1 or -1";
    22 ILLEGAL_GENERATION GroupLost false "the group has moved on to another generation";
    23 INCONSISTENT_GROUP_PROTOCOL Broker false "the group's members use another protocol type, or share no assignor with this one";
    24 INVALID_GROUP_ID Broker false "the group id is invalid";
    25 UNKNOWN_MEMBER_ID GroupLost false "the coordinator does not know this member (any more)";
    26 INVALID_SESSION_TIMEOUT Broker false "session.timeout.ms is outside the limits that the broker sets (group.min/max.session.timeout.ms)";
    27 REBALANCE_IN_PROGRESS GroupLost false "the group rebalances: its members must join again";
    28 INVALID_COMMIT_OFFSET_SIZE CommitFailed false "the commit is larger than the broker can store";
    29 TOPIC_AUTHORIZATION_FAILED Authorization false "not allowed on this topic";
    30 GROUP_AUTHORIZATION_FAILED Authorization false "not allowed on this group";
    31 CLUSTER_AUTHORIZATION_FAILED Authorization false "not allowed on this cluster";
    32 INVALID_TIMESTAMP Broker false "a record's timestamp is outside the range that the topic accepts";
    33 UNSUPPORTED_SASL_MECHANISM Authentication false "the broker does not offer this SASL mechanism";
    34 ILLEGAL_SASL_STATE Authentication false "the request does not fit the state of the SASL exchange";
    35 UNSUPPORTED_VERSION Unsupported false "the broker does not speak this version of the request";
    36 TOPIC_ALREADY_EXISTS Broker false "a topic of this name exists already";
    37 INVALID_PARTITIONS Broker false "the number of partitions is invalid";
    38 INVALID_REPLICATION_FACTOR Broker false "the replication factor is below 1 or above the number of usable brokers";
    39 INVALID_REPLICA_ASSIGNMENT Broker false "the replica assignment is invalid";
    40 INVALID_CONFIG Broker false "the broker refuses a configuration key or value";
    41 NOT_CONTROLLER Broker true "this node is not the active controller";
    42 INVALID_REQUEST Broker false "the broker cannot make sense of the request; its log says more";
    43 UNSUPPORTED_FOR_MESSAGE_FORMAT Unsupported false "the topic's message format is too old for the request";
    44 POLICY_VIOLATION Broker false "a policy of the cluster forbids it";
    45 OUT_OF_ORDER_SEQUENCE_NUMBER Broker false "a batch came out of sequence";
    46 DUPLICATE_SEQUENCE_NUMBER Broker false "the batch is in the log already, too far back to tell its offset";
    47 INVALID_PRODUCER_EPOCH Fenced false "a newer epoch of this producer id is in use";
    48 INVALID_TXN_STATE Broker false "the transaction is in a state that does not allow the request";
    49 INVALID_PRODUCER_ID_MAPPING Broker false "the producer id does not belong to the transactional id (any more)";
    50 INVALID_TRANSACTION_TIMEOUT Broker false "transaction.timeout.ms is above the broker's transaction.max.timeout.ms";
    51 CONCURRENT_TRANSACTIONS Broker true "another operation on this transaction is still running";
    52 TRANSACTION_COORDINATOR_FENCED Fenced false "a broker that no longer coordinates the transaction wrote its marker";
    53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED Authorization false "not allowed to use this transactional id";
    54 SECURITY_DISABLED Unsupported false "the cluster has no authorizer";
    55 OPERATION_NOT_ATTEMPTED Broker false "not tried, because another part of the same request failed";
    56 KAFKA_STORAGE_ERROR Broker true "the broker's disk failed";
    57 LOG_DIR_NOT_FOUND Broker false "the broker has no such log directory";
    58 SASL_AUTHENTICATION_FAILED Authentication false "the broker refused the credentials";
    59 UNKNOWN_PRODUCER_ID Broker false "the broker has forgotten this producer's sequence, its records are deleted";
    60 REASSIGNMENT_IN_PROGRESS Broker false "partitions of the topic are being moved";
    61 DELEGATION_TOKEN_AUTH_DISABLED Unsupported false "delegation tokens are switched off";
    62 DELEGATION_TOKEN_NOT_FOUND Broker false "no such delegation token";
    63 DELEGATION_TOKEN_OWNER_MISMATCH Authorization false "the principal may neither own nor renew this delegation token";
    64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED Authorization false "delegation tokens are not handed out over this kind of connection";
    65 DELEGATION_TOKEN_AUTHORIZATION_FAILED Authorization false "not allowed on this delegation token";
    66 DELEGATION_TOKEN_EXPIRED Authentication false "the delegation token has expired";
    67 INVALID_PRINCIPAL_TYPE Broker false "the type of principal is not supported";
    68 NON_EMPTY_GROUP Broker false "the group still has members";
    69 GROUP_ID_NOT_FOUND Broker false "no such group";
    70 FETCH_SESSION_ID_NOT_FOUND Broker true "the broker has dropped the fetch session";
    71 INVALID_FETCH_SESSION_EPOCH Broker true "the fetch session's epoch is not the expected one";
    72 LISTENER_NOT_FOUND Broker true "the leader has no listener like the one of this connection";
    73 TOPIC_DELETION_DISABLED Unsupported false "the cluster does not delete topics (delete.topic.enable)";
    74 FENCED_LEADER_EPOCH Broker true "the request names an older leader epoch than the broker knows";
    75 UNKNOWN_LEADER_EPOCH Broker true "the request names a newer leader epoch than the broker knows";
    76 UNSUPPORTED_COMPRESSION_TYPE Unsupported false "the codec is not supported in this version of the request";
    77 STALE_BROKER_EPOCH Broker false "the broker's epoch has changed";
    78 OFFSET_NOT_AVAILABLE Broker true "the new leader does not know its high watermark yet";
    79 MEMBER_ID_REQUIRED Broker false "the member must join again with the id that the coordinator gave it";
    80 PREFERRED_LEADER_NOT_AVAILABLE Broker true "the preferred leader is not available";
    81 GROUP_MAX_SIZE_REACHED Broker false "the group is full (group.max.size)";
    82 FENCED_INSTANCE_ID Fenced false "another consumer with the same group.instance.id took this one's place";
    83 ELIGIBLE_LEADERS_NOT_AVAILABLE Broker true "no replica may become leader at the moment";
    84 ELECTION_NOT_NEEDED Broker true "the partition needs no election";
    85 NO_REASSIGNMENT_IN_PROGRESS Broker false "no partition is being moved";
    86 GROUP_SUBSCRIBED_TO_TOPIC Broker false "the group is subscribed to the topic, so its offsets stay";
    87 INVALID_RECORD Corrupt false "the broker refuses a record of the batch";
    88 UNSTABLE_OFFSET_COMMIT Broker true "a transaction with offsets of this group is still open";
    89 THROTTLING_QUOTA_EXCEEDED Broker true "the quota for changes is used up; try later";
    90 PRODUCER_FENCED Fenced false "a newer producer with the same transactional id took this one's place";
    91 RESOURCE_NOT_FOUND Broker false "no such resource";
    92 DUPLICATE_RESOURCE Broker false "the request names a resource twice";
    93 UNACCEPTABLE_CREDENTIAL Broker false "the credential does not meet the broker's demands";
    94 INCONSISTENT_VOTER_SET Broker false "the sender or receiver is not one of the expected voters";
    95 INVALID_UPDATE_VERSION Broker false "the feature version is invalid";
    96 FEATURE_UPDATE_FAILED Broker false "the features could not be updated";
    97 PRINCIPAL_DESERIALIZATION_FAILURE Authentication false "a node of the cluster could not read the principal of a forwarded request";
    98 SNAPSHOT_NOT_FOUND Broker false "no such snapshot";
    99 POSITION_OUT_OF_RANGE Broker false "the position is outside the snapshot";
    100 UNKNOWN_TOPIC_ID UnknownTopic true "this broker does not host the topic id";
    101 DUPLICATE_BROKER_REGISTRATION Broker false "the broker id is in use";
    102 BROKER_ID_NOT_REGISTERED Broker false "no broker of this id is registered";
    103 INCONSISTENT_TOPIC_ID UnknownTopic true "the log belongs to another topic id: the topic was recreated";
    104 INCONSISTENT_CLUSTER_ID Broker false "the request was meant for another cluster";
    105 TRANSACTIONAL_ID_NOT_FOUND Broker false "no such transactional id";
    106 FETCH_SESSION_TOPIC_ID_ERROR Broker true "the fetch session mixes topic names and topic ids";
    107 INELIGIBLE_REPLICA Broker false "a replica may not join the in-sync set";
    108 NEW_LEADER_ELECTED Broker false "the partition changed, and its leader with it";
    109 OFFSET_MOVED_TO_TIERED_STORAGE Broker false "the offset is in tiered storage only";
    110 FENCED_MEMBER_EPOCH GroupLost false "the coordinator fenced this member: it must give up its partitions and join again";
    111 UNRELEASED_INSTANCE_ID Broker false "another member still holds this group.instance.id";
    112 UNSUPPORTED_ASSIGNOR Unsupported false "the coordinator does not have this assignor";
    113 STALE_MEMBER_EPOCH Broker false "the member's epoch is old: the next heartbeat brings the new one";
    114 MISMATCHED_ENDPOINT_TYPE Broker false "the request belongs on the other kind of endpoint (broker or controller)";
    115 UNSUPPORTED_ENDPOINT_TYPE Unsupported false "the kind of endpoint is not supported";
    116 UNKNOWN_CONTROLLER_ID Broker false "no controller of this id";
    117 UNKNOWN_SUBSCRIPTION_ID Broker false "the telemetry subscription is unknown or has changed";
    118 TELEMETRY_TOO_LARGE Broker false "the telemetry is larger than the broker accepts";
    119 INVALID_REGISTRATION Broker false "the controller refuses the broker's registration";
    120 TRANSACTION_ABORTABLE Aborted false "the transaction must be aborted; the producer may go on";
    121 INVALID_RECORD_STATE Broker false "the record is no longer this consumer's to acknowledge";
    122 SHARE_SESSION_NOT_FOUND Broker true "the broker has dropped the share session";
    123 INVALID_SHARE_SESSION_EPOCH Broker true "the share session's epoch is not the expected one";
    124 FENCED_STATE_EPOCH Broker false "the share state has a newer epoch";
    125 INVALID_VOTER_KEY Broker false "the voter's key is not the expected one";
    126 DUPLICATE_VOTER Broker false "the voter is in the set already";
    127 VOTER_NOT_FOUND Broker false "the voter is not in the set";
    128 INVALID_REGULAR_EXPRESSION Broker false "the broker cannot read the regular expression (RE2J syntax)";
    129 REBOOTSTRAP_REQUIRED Connect false "what the client knows about the cluster is stale: it must start from the bootstrap servers again";
    130 STREAMS_INVALID_TOPOLOGY Broker false "the topology is invalid";
    131 STREAMS_INVALID_TOPOLOGY_EPOCH Broker false "the topology's epoch is invalid";
    132 STREAMS_TOPOLOGY_FENCED Broker false "a newer topology is in use";
    133 SHARE_SESSION_LIMIT_REACHED Broker true "the broker has no room for another share session";
    134 GROUP_DELETION_FAILED Broker false "the group could not be deleted";
    135 STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED Broker false "the topology's description could not be stored";
    136 CONTROLLER_ID_NOT_REGISTERED Broker false "no controller of this id is registered";
}

impl ErrorCode {
    /// Whether it stands for success.
    pub fn is_ok(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "error code {}", self.0),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({})", self.0)
    }
}
