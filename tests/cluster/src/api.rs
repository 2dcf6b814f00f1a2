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
    ApiVersions API_VERSIONS
    DeleteRecords DELETE_RECORDS
    InitProducerId INIT_PRODUCER_ID
    OffsetForLeaderEpoch OFFSET_FOR_LEADER_EPOCH
    DescribeCluster DESCRIBE_CLUSTER
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
}
