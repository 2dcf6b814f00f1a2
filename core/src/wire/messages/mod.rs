//! The messages of the protocol, one file per API. Names and fields are those of Kafka's schemas, in Rust's spelling.

pub mod add_offsets_to_txn;
pub mod add_partitions_to_txn;
pub mod api_versions;
pub mod consumer_protocol_assignment;
pub mod consumer_protocol_subscription;
pub mod create_acls;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_acls;
pub mod delete_groups;
pub mod delete_records;
pub mod delete_topics;
pub mod describe_acls;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_groups;
pub mod describe_producers;
pub mod describe_topic_partitions;
pub mod describe_transactions;
pub mod end_txn;
pub mod fetch;
pub mod find_coordinator;
pub mod heartbeat;
pub mod incremental_alter_configs;
pub mod init_producer_id;
pub mod join_group;
pub mod leave_group;
pub mod list_groups;
pub mod list_offsets;
pub mod list_transactions;
pub mod metadata;
pub mod offset_commit;
pub mod offset_fetch;
pub mod offset_for_leader_epoch;
pub mod produce;
pub mod sasl_authenticate;
pub mod sasl_handshake;
pub mod sync_group;
pub mod txn_offset_commit;
pub mod write_txn_markers;

pub use add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
pub use add_partitions_to_txn::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};
pub use api_versions::{ApiVersionsRequest, ApiVersionsResponse};
pub use consumer_protocol_assignment::ConsumerProtocolAssignment;
pub use consumer_protocol_subscription::ConsumerProtocolSubscription;
pub use create_acls::{CreateAclsRequest, CreateAclsResponse};
pub use create_partitions::{CreatePartitionsRequest, CreatePartitionsResponse};
pub use create_topics::{CreateTopicsRequest, CreateTopicsResponse};
pub use delete_acls::{DeleteAclsRequest, DeleteAclsResponse};
pub use delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse};
pub use delete_records::{DeleteRecordsRequest, DeleteRecordsResponse};
pub use delete_topics::{DeleteTopicsRequest, DeleteTopicsResponse};
pub use describe_acls::{DescribeAclsRequest, DescribeAclsResponse};
pub use describe_cluster::{DescribeClusterRequest, DescribeClusterResponse};
pub use describe_configs::{DescribeConfigsRequest, DescribeConfigsResponse};
pub use describe_groups::{DescribeGroupsRequest, DescribeGroupsResponse};
pub use describe_producers::{DescribeProducersRequest, DescribeProducersResponse};
pub use describe_topic_partitions::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};
pub use describe_transactions::{DescribeTransactionsRequest, DescribeTransactionsResponse};
pub use end_txn::{EndTxnRequest, EndTxnResponse};
pub use fetch::{FetchRequest, FetchResponse};
pub use find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
pub use heartbeat::{HeartbeatRequest, HeartbeatResponse};
pub use incremental_alter_configs::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
pub use init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
pub use join_group::{JoinGroupRequest, JoinGroupResponse};
pub use leave_group::{LeaveGroupRequest, LeaveGroupResponse};
pub use list_groups::{ListGroupsRequest, ListGroupsResponse};
pub use list_offsets::{ListOffsetsRequest, ListOffsetsResponse};
pub use list_transactions::{ListTransactionsRequest, ListTransactionsResponse};
pub use metadata::{MetadataRequest, MetadataResponse};
pub use offset_commit::{OffsetCommitRequest, OffsetCommitResponse};
pub use offset_fetch::{OffsetFetchRequest, OffsetFetchResponse};
pub use offset_for_leader_epoch::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};
pub use produce::{ProduceRequest, ProduceResponse};
pub use sasl_authenticate::{SaslAuthenticateRequest, SaslAuthenticateResponse};
pub use sasl_handshake::{SaslHandshakeRequest, SaslHandshakeResponse};
pub use sync_group::{SyncGroupRequest, SyncGroupResponse};
pub use txn_offset_commit::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
pub use write_txn_markers::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};

/// Something to be done with every message type.
#[doc(hidden)]
pub trait Visit {
    /// Does it for one.
    fn message<M: super::Message + std::fmt::Debug + Clone + PartialEq>(&mut self, key: Option<super::ApiKey>);
}

/// Shows every message type to `visit`.
#[doc(hidden)]
pub fn visit_all(visit: &mut impl Visit) {
    fn api<R>(visit: &mut impl Visit)
    where
        R: super::Request<Response: std::fmt::Debug + Clone + PartialEq> + std::fmt::Debug + Clone + PartialEq,
    {
        visit.message::<R>(Some(R::KEY));
        visit.message::<R::Response>(Some(R::KEY));
    }
    api::<AddOffsetsToTxnRequest>(visit);
    api::<AddPartitionsToTxnRequest>(visit);
    api::<ApiVersionsRequest>(visit);
    api::<CreateAclsRequest>(visit);
    api::<CreatePartitionsRequest>(visit);
    api::<CreateTopicsRequest>(visit);
    api::<DeleteAclsRequest>(visit);
    api::<DeleteGroupsRequest>(visit);
    api::<DeleteRecordsRequest>(visit);
    api::<DeleteTopicsRequest>(visit);
    api::<DescribeAclsRequest>(visit);
    api::<DescribeClusterRequest>(visit);
    api::<DescribeConfigsRequest>(visit);
    api::<DescribeGroupsRequest>(visit);
    api::<DescribeProducersRequest>(visit);
    api::<DescribeTopicPartitionsRequest>(visit);
    api::<DescribeTransactionsRequest>(visit);
    api::<EndTxnRequest>(visit);
    api::<FetchRequest>(visit);
    api::<FindCoordinatorRequest>(visit);
    api::<HeartbeatRequest>(visit);
    api::<IncrementalAlterConfigsRequest>(visit);
    api::<InitProducerIdRequest>(visit);
    api::<JoinGroupRequest>(visit);
    api::<LeaveGroupRequest>(visit);
    api::<ListGroupsRequest>(visit);
    api::<ListOffsetsRequest>(visit);
    api::<ListTransactionsRequest>(visit);
    api::<MetadataRequest>(visit);
    api::<OffsetCommitRequest>(visit);
    api::<OffsetFetchRequest>(visit);
    api::<OffsetForLeaderEpochRequest>(visit);
    api::<ProduceRequest>(visit);
    api::<SaslAuthenticateRequest>(visit);
    api::<SaslHandshakeRequest>(visit);
    api::<SyncGroupRequest>(visit);
    api::<TxnOffsetCommitRequest>(visit);
    api::<WriteTxnMarkersRequest>(visit);
    visit.message::<ConsumerProtocolAssignment>(None);
    visit.message::<ConsumerProtocolSubscription>(None);
}
