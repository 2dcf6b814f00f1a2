//! API keys and the versions that client and broker have in common.

use super::messages::{self, ApiVersionsResponse};
use super::{DecodeError, Message, Reader, Request};
use crate::error::ErrorCode;
use std::fmt;

/// The number of an API in the protocol.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiKey(pub i16);

macro_rules! keys {
    ($( $number:literal $constant:ident $name:ident )*) => {
        impl ApiKey {
            $( #[doc = concat!(stringify!($name), ".")] pub const $constant: Self = Self($number); )*

            /// Its name in the protocol guide.
            pub fn name(self) -> Option<&'static str> {
                match self.0 { $( $number => Some(stringify!($name)), )* _ => None }
            }

            /// Every API of Kafka 4.4, in the order of their numbers.
            pub const ALL: &'static [Self] = &[ $( Self($number), )* ];
        }
    };
}

keys! {
    0 PRODUCE Produce
    1 FETCH Fetch
    2 LIST_OFFSETS ListOffsets
    3 METADATA Metadata
    8 OFFSET_COMMIT OffsetCommit
    9 OFFSET_FETCH OffsetFetch
    10 FIND_COORDINATOR FindCoordinator
    11 JOIN_GROUP JoinGroup
    12 HEARTBEAT Heartbeat
    13 LEAVE_GROUP LeaveGroup
    14 SYNC_GROUP SyncGroup
    15 DESCRIBE_GROUPS DescribeGroups
    16 LIST_GROUPS ListGroups
    17 SASL_HANDSHAKE SaslHandshake
    18 API_VERSIONS ApiVersions
    19 CREATE_TOPICS CreateTopics
    20 DELETE_TOPICS DeleteTopics
    21 DELETE_RECORDS DeleteRecords
    22 INIT_PRODUCER_ID InitProducerId
    23 OFFSET_FOR_LEADER_EPOCH OffsetForLeaderEpoch
    24 ADD_PARTITIONS_TO_TXN AddPartitionsToTxn
    25 ADD_OFFSETS_TO_TXN AddOffsetsToTxn
    26 END_TXN EndTxn
    27 WRITE_TXN_MARKERS WriteTxnMarkers
    28 TXN_OFFSET_COMMIT TxnOffsetCommit
    29 DESCRIBE_ACLS DescribeAcls
    30 CREATE_ACLS CreateAcls
    31 DELETE_ACLS DeleteAcls
    32 DESCRIBE_CONFIGS DescribeConfigs
    33 ALTER_CONFIGS AlterConfigs
    34 ALTER_REPLICA_LOG_DIRS AlterReplicaLogDirs
    35 DESCRIBE_LOG_DIRS DescribeLogDirs
    36 SASL_AUTHENTICATE SaslAuthenticate
    37 CREATE_PARTITIONS CreatePartitions
    38 CREATE_DELEGATION_TOKEN CreateDelegationToken
    39 RENEW_DELEGATION_TOKEN RenewDelegationToken
    40 EXPIRE_DELEGATION_TOKEN ExpireDelegationToken
    41 DESCRIBE_DELEGATION_TOKEN DescribeDelegationToken
    42 DELETE_GROUPS DeleteGroups
    43 ELECT_LEADERS ElectLeaders
    44 INCREMENTAL_ALTER_CONFIGS IncrementalAlterConfigs
    45 ALTER_PARTITION_REASSIGNMENTS AlterPartitionReassignments
    46 LIST_PARTITION_REASSIGNMENTS ListPartitionReassignments
    47 OFFSET_DELETE OffsetDelete
    48 DESCRIBE_CLIENT_QUOTAS DescribeClientQuotas
    49 ALTER_CLIENT_QUOTAS AlterClientQuotas
    50 DESCRIBE_USER_SCRAM_CREDENTIALS DescribeUserScramCredentials
    51 ALTER_USER_SCRAM_CREDENTIALS AlterUserScramCredentials
    52 VOTE Vote
    53 BEGIN_QUORUM_EPOCH BeginQuorumEpoch
    54 END_QUORUM_EPOCH EndQuorumEpoch
    55 DESCRIBE_QUORUM DescribeQuorum
    56 ALTER_PARTITION AlterPartition
    57 UPDATE_FEATURES UpdateFeatures
    58 ENVELOPE Envelope
    59 FETCH_SNAPSHOT FetchSnapshot
    60 DESCRIBE_CLUSTER DescribeCluster
    61 DESCRIBE_PRODUCERS DescribeProducers
    62 BROKER_REGISTRATION BrokerRegistration
    63 BROKER_HEARTBEAT BrokerHeartbeat
    64 UNREGISTER_BROKER UnregisterBroker
    65 DESCRIBE_TRANSACTIONS DescribeTransactions
    66 LIST_TRANSACTIONS ListTransactions
    67 ALLOCATE_PRODUCER_IDS AllocateProducerIds
    68 CONSUMER_GROUP_HEARTBEAT ConsumerGroupHeartbeat
    69 CONSUMER_GROUP_DESCRIBE ConsumerGroupDescribe
    70 CONTROLLER_REGISTRATION ControllerRegistration
    71 GET_TELEMETRY_SUBSCRIPTIONS GetTelemetrySubscriptions
    72 PUSH_TELEMETRY PushTelemetry
    73 ASSIGN_REPLICAS_TO_DIRS AssignReplicasToDirs
    74 LIST_CONFIG_RESOURCES ListConfigResources
    75 DESCRIBE_TOPIC_PARTITIONS DescribeTopicPartitions
    76 SHARE_GROUP_HEARTBEAT ShareGroupHeartbeat
    77 SHARE_GROUP_DESCRIBE ShareGroupDescribe
    78 SHARE_FETCH ShareFetch
    79 SHARE_ACKNOWLEDGE ShareAcknowledge
    80 ADD_RAFT_VOTER AddRaftVoter
    81 REMOVE_RAFT_VOTER RemoveRaftVoter
    82 UPDATE_RAFT_VOTER UpdateRaftVoter
    83 INITIALIZE_SHARE_GROUP_STATE InitializeShareGroupState
    84 READ_SHARE_GROUP_STATE ReadShareGroupState
    85 WRITE_SHARE_GROUP_STATE WriteShareGroupState
    86 DELETE_SHARE_GROUP_STATE DeleteShareGroupState
    87 READ_SHARE_GROUP_STATE_SUMMARY ReadShareGroupStateSummary
    88 STREAMS_GROUP_HEARTBEAT StreamsGroupHeartbeat
    89 STREAMS_GROUP_DESCRIBE StreamsGroupDescribe
    90 DESCRIBE_SHARE_GROUP_OFFSETS DescribeShareGroupOffsets
    91 ALTER_SHARE_GROUP_OFFSETS AlterShareGroupOffsets
    92 DELETE_SHARE_GROUP_OFFSETS DeleteShareGroupOffsets
    93 STREAMS_GROUP_TOPOLOGY_DESCRIPTION_UPDATE StreamsGroupTopologyDescriptionUpdate
    94 UNREGISTER_CONTROLLER UnregisterController
}

impl ApiKey {
    /// The first Kafka that knows it, of those APIs that came after 2.1.
    pub fn since(self) -> Option<&'static str> {
        Some(match self {
            Self::ELECT_LEADERS => "2.2",
            Self::INCREMENTAL_ALTER_CONFIGS => "2.3",
            Self::ALTER_PARTITION_REASSIGNMENTS | Self::LIST_PARTITION_REASSIGNMENTS | Self::OFFSET_DELETE => "2.4",
            Self::DESCRIBE_CLIENT_QUOTAS | Self::ALTER_CLIENT_QUOTAS => "2.6",
            Self::DESCRIBE_USER_SCRAM_CREDENTIALS | Self::ALTER_USER_SCRAM_CREDENTIALS | Self::UPDATE_FEATURES => "2.7",
            Self::DESCRIBE_CLUSTER | Self::DESCRIBE_PRODUCERS => "2.8",
            Self::DESCRIBE_TRANSACTIONS | Self::LIST_TRANSACTIONS => "3.0",
            Self::DESCRIBE_QUORUM => "3.3",
            Self::CONSUMER_GROUP_HEARTBEAT | Self::CONSUMER_GROUP_DESCRIBE => "4.0",
            _ => return None,
        })
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "API {}", self.0),
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The versions of an API that this crate declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The lowest.
    pub min: i16,
    /// The highest.
    pub max: i16,
    /// The first flexible one, `i16::MAX` if there is none.
    pub flexible: i16,
}

macro_rules! declared {
    ($( $request:ident )*) => {
        impl ApiKey {
            /// The versions of this API that this crate declares, `None` if it does not know the API.
            pub fn declared(self) -> Option<Declared> {
                use messages::*;
                match self {
                    $( <$request as Request>::KEY => Some(Declared {
                        min: <$request as Message>::MIN,
                        max: <$request as Message>::MAX,
                        flexible: <$request as Message>::FLEXIBLE,
                    }), )*
                    _ => None,
                }
            }
        }
    };
}

declared! {
    AddOffsetsToTxnRequest AddPartitionsToTxnRequest ApiVersionsRequest CreateAclsRequest CreatePartitionsRequest
    CreateTopicsRequest DeleteAclsRequest DeleteGroupsRequest DeleteRecordsRequest DeleteTopicsRequest
    DescribeAclsRequest DescribeClusterRequest DescribeConfigsRequest DescribeGroupsRequest DescribeProducersRequest
    DescribeTopicPartitionsRequest DescribeTransactionsRequest EndTxnRequest FetchRequest FindCoordinatorRequest
    HeartbeatRequest IncrementalAlterConfigsRequest InitProducerIdRequest JoinGroupRequest LeaveGroupRequest
    ListGroupsRequest ListOffsetsRequest ListTransactionsRequest MetadataRequest OffsetCommitRequest
    OffsetFetchRequest OffsetForLeaderEpochRequest ProduceRequest SaslAuthenticateRequest SaslHandshakeRequest
    SyncGroupRequest TxnOffsetCommitRequest WriteTxnMarkersRequest
}

impl ApiKey {
    /// The versions that klamm itself sends: the declared ones without those that Kafka marks as unstable.
    pub fn client_range(self) -> Option<(i16, i16)> {
        let declared = self.declared()?;
        // InitProducerId 6 (KIP-939, two-phase commit) is unstable in 4.4: brokers hide it unless told otherwise.
        let max = if self == Self::INIT_PRODUCER_ID { declared.max.min(5) } else { declared.max };
        Some((declared.min, max))
    }
}

/// What a broker speaks, from its answer to ApiVersions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiRanges(Box<[(ApiKey, i16, i16)]>);

impl ApiRanges {
    /// Takes the ranges out of a broker's answer. Entries that contradict themselves are left out.
    pub fn new(answer: &ApiVersionsResponse) -> Self {
        let mut ranges: Vec<_> = answer
            .api_keys
            .iter()
            .filter(|api| api.min_version <= api.max_version)
            .map(|api| (api.api_key, api.min_version, api.max_version))
            .collect();
        ranges.sort_unstable();
        ranges.dedup_by_key(|range| range.0);
        Self(ranges.into())
    }

    /// The lowest and highest version that the broker really serves.
    pub fn range(&self, key: ApiKey) -> Option<(i16, i16)> {
        let at = self.0.binary_search_by_key(&key, |range| range.0).ok()?;
        let (_, min, max) = self.0[at];
        // Brokers since 4.0 offer Produce 0 to 2 for an old librdkafka's sake and then close the connection
        // (KAFKA-18659, `ApiKeys.PRODUCE_API_VERSIONS_RESPONSE_MIN_VERSION`).
        let min = if key == ApiKey::PRODUCE { min.max(3) } else { min };
        (min <= max).then_some((min, max))
    }

    /// The highest version within `min..=max` that the broker serves as well, `None` if there is none.
    pub fn pick(&self, key: ApiKey, min: i16, max: i16) -> Option<i16> {
        let (low, high) = self.range(key)?;
        let version = high.min(max);
        (version >= low.max(min)).then_some(version)
    }

    /// The highest version that both this client and the broker speak.
    pub fn pick_for(&self, key: ApiKey) -> Option<i16> {
        let (min, max) = key.client_range()?;
        self.pick(key, min, max)
    }

    /// Every API that the broker offers, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (ApiKey, i16, i16)> {
        self.0.iter().copied()
    }
}

/// Reads the answer to an ApiVersions request that was sent in version `asked`. A broker that does not know that
/// version answers UNSUPPORTED_VERSION in version 0, with the range that it does know since Kafka 2.4 (KIP-511).
/// Returned with the version that the answer has.
pub fn decode_api_versions(r: &mut Reader<'_>, asked: i16) -> Result<(i16, ApiVersionsResponse), DecodeError> {
    let unsupported = r.clone().i16().is_ok_and(|code| code == ErrorCode::UNSUPPORTED_VERSION.0);
    let version = if unsupported { 0 } else { asked };
    ApiVersionsResponse::decode(r, version).map(|answer| (version, answer))
}

#[cfg(test)]
mod tests {
    use super::messages::api_versions::ApiVersion;
    use super::*;
    use crate::wire::Writer;

    fn answer(ranges: &[(i16, i16, i16)]) -> ApiVersionsResponse {
        let one = |&(key, min_version, max_version)| ApiVersion { api_key: ApiKey(key), min_version, max_version };
        ApiVersionsResponse { api_keys: ranges.iter().map(one).collect(), ..Default::default() }
    }

    #[test]
    fn the_highest_common_version_is_picked() {
        let ranges = ApiRanges::new(&answer(&[(3, 0, 7), (1, 4, 18), (18, 0, 2)]));
        assert_eq!(ranges.pick_for(ApiKey::METADATA), Some(7));
        assert_eq!(ranges.pick_for(ApiKey::FETCH), Some(18));
        assert_eq!(ranges.pick(ApiKey::METADATA, 8, 13), None);
        assert_eq!(ranges.pick(ApiKey::METADATA, 0, 4), Some(4));
        assert_eq!(ranges.pick_for(ApiKey::DESCRIBE_CLUSTER), None);
    }

    #[test]
    fn the_versions_of_produce_that_brokers_only_pretend_to_serve_are_not_picked() {
        let ranges = ApiRanges::new(&answer(&[(0, 0, 13)]));
        assert_eq!(ranges.range(ApiKey::PRODUCE), Some((3, 13)));
        assert_eq!(ranges.pick(ApiKey::PRODUCE, 0, 2), None);
        assert_eq!(ApiRanges::new(&answer(&[(0, 0, 2)])).pick_for(ApiKey::PRODUCE), None);
    }

    #[test]
    fn an_unstable_version_is_declared_but_not_sent() {
        let ranges = ApiRanges::new(&answer(&[(22, 0, 6)]));
        assert_eq!(ranges.pick_for(ApiKey::INIT_PRODUCER_ID), Some(5));
        assert_eq!(ApiKey::INIT_PRODUCER_ID.declared().map(|d| d.max), Some(6));
    }

    #[test]
    fn nonsense_in_the_list_is_left_out() {
        let ranges = ApiRanges::new(&answer(&[(3, 9, 2), (3, 0, 7), (3, 1, 2), (-5, 0, 0)]));
        assert_eq!(ranges.range(ApiKey::METADATA), Some((0, 7)));
        assert_eq!(ranges.range(ApiKey(99)), None);
    }

    #[test]
    fn a_broker_that_does_not_know_the_version_answers_in_version_0() {
        let mut w = Writer::new();
        let mut sent = answer(&[(18, 0, 2)]);
        sent.error_code = ErrorCode::UNSUPPORTED_VERSION;
        sent.encode(&mut w, 0).expect("encodes");
        let (version, read) = decode_api_versions(&mut Reader::new(w.as_slice()), 4).expect("decodes");
        assert_eq!((version, read), (0, sent));
    }

    #[test]
    fn every_key_has_a_name_and_its_place() {
        assert!(ApiKey::ALL.is_sorted());
        assert_eq!(ApiKey::PRODUCE.to_string(), "Produce");
        assert_eq!(ApiKey(999).to_string(), "API 999");
        assert_eq!(ApiKey::SASL_HANDSHAKE.declared().map(|d| d.flexible), Some(i16::MAX));
    }
}
