//! The APIs that the cluster serves.

use klamm_core::wire::ApiKey;

macro_rules! apis {
    ($( $name:ident $constant:ident )*) => {
        /// An API of the protocol, for [`Cluster::fault`](crate::Cluster::fault).
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Api {
            $( #[doc = concat!("`", stringify!($name), "`.")] $name, )*
        }

        impl Api {
            /// Every API that the cluster serves, in the order of their keys.
            pub const ALL: &'static [Self] = &[ $( Self::$name, )* ];

            /// Its number in the protocol.
            pub fn key(self) -> ApiKey {
                match self { $( Self::$name => ApiKey::$constant, )* }
            }
        }
    };
}

apis! {
    Produce PRODUCE
    Fetch FETCH
    ListOffsets LIST_OFFSETS
    Metadata METADATA
    OffsetCommit OFFSET_COMMIT
    OffsetFetch OFFSET_FETCH
    FindCoordinator FIND_COORDINATOR
    JoinGroup JOIN_GROUP
    Heartbeat HEARTBEAT
    LeaveGroup LEAVE_GROUP
    SyncGroup SYNC_GROUP
    DescribeGroups DESCRIBE_GROUPS
    ListGroups LIST_GROUPS
    ApiVersions API_VERSIONS
    CreateTopics CREATE_TOPICS
    DeleteTopics DELETE_TOPICS
    DeleteRecords DELETE_RECORDS
    InitProducerId INIT_PRODUCER_ID
    OffsetForLeaderEpoch OFFSET_FOR_LEADER_EPOCH
    AddPartitionsToTxn ADD_PARTITIONS_TO_TXN
    AddOffsetsToTxn ADD_OFFSETS_TO_TXN
    EndTxn END_TXN
    WriteTxnMarkers WRITE_TXN_MARKERS
    TxnOffsetCommit TXN_OFFSET_COMMIT
    DescribeAcls DESCRIBE_ACLS
    CreateAcls CREATE_ACLS
    DeleteAcls DELETE_ACLS
    DescribeConfigs DESCRIBE_CONFIGS
    CreatePartitions CREATE_PARTITIONS
    DeleteGroups DELETE_GROUPS
    IncrementalAlterConfigs INCREMENTAL_ALTER_CONFIGS
    DescribeCluster DESCRIBE_CLUSTER
    DescribeProducers DESCRIBE_PRODUCERS
    DescribeTransactions DESCRIBE_TRANSACTIONS
    ListTransactions LIST_TRANSACTIONS
    DescribeTopicPartitions DESCRIBE_TOPIC_PARTITIONS
}

impl Api {
    /// The API with that number.
    pub fn from_key(key: ApiKey) -> Option<Self> {
        Self::ALL.iter().copied().find(|api| api.key() == key)
    }

    /// The versions that the cluster serves: those of Kafka 4.4.
    pub fn versions(self) -> (i16, i16) {
        self.key().client_range().unwrap_or((0, -1))
    }

    /// The same, with those that Kafka marks as unstable if they are let out.
    pub(crate) fn served(self, unstable: bool) -> (i16, i16) {
        match self.key().declared().filter(|_| unstable) {
            Some(declared) => (declared.min, declared.max),
            None => self.versions(),
        }
    }
}
