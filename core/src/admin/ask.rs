//! Which request an operation makes of its items, and who reads the answer.

use super::request::AdminRequest;
use super::{Admin, Answer, acl, config, group, older, topic, transaction};
use crate::client::TopicName;
use crate::client::role::{LinkFacts, Request, Response};
use crate::wire::messages::*;
use crate::{BrokerId, Error, ErrorKind, OpId};

impl Admin {
    pub(super) fn build(
        &mut self,
        link: &LinkFacts<'_>,
        op: OpId,
        mut which: Vec<usize>,
    ) -> Result<Request, (Vec<usize>, Error)> {
        macro_rules! send {
            ($api:ty, |$v:ident| $make:expr) => {{
                let $v = link.version::<$api>().ok_or_else(|| (which.clone(), link.unsupported::<$api>()))?;
                let request = $make;
                self.send(link, op, which, $v, &request)
            }};
        }
        let millis = self.millis();
        let Some(request) = self.open.get(&op).map(|o| o.request.clone()) else {
            return Err((which, Error::new(ErrorKind::Closed, "the operation has ended")));
        };
        match &request {
            AdminRequest::CreateTopics { topics, validate_only } => {
                older::has_no_defaults(topics, &which, link)?;
                send!(CreateTopicsRequest, |v| topic::create(topics, &which, *validate_only, millis))
            }
            AdminRequest::DeleteTopics(topics) => {
                let version = link.version::<DeleteTopicsRequest>().unwrap_or(0);
                older::knows_names_only(topics, &which, version, topic::FIRST_DELETE_BY_ID)?;
                send!(DeleteTopicsRequest, |v| topic::delete(topics, &which, v, millis))
            }
            AdminRequest::CreatePartitions { topics, validate_only } => {
                send!(CreatePartitionsRequest, |v| topic::grow(topics, &which, *validate_only, millis))
            }
            AdminRequest::DescribeTopics { topics, authorized_operations } => {
                let version = link.version::<MetadataRequest>().unwrap_or(0);
                older::knows_names_only(topics, &which, version, topic::FIRST_DESCRIBE_BY_ID)?;
                let by_id = |n: &usize| matches!(topics.get(*n), Some(TopicName::Id(_)));
                let first = which.first().is_some_and(by_id);
                which.retain(|n| by_id(n) == first);
                send!(MetadataRequest, |v| topic::describe(topics, &which, v, *authorized_operations))
            }
            AdminRequest::DescribeCluster { authorized_operations, fenced_brokers } => {
                older::tells_no_fenced_brokers(*fenced_brokers, &which, link)?;
                let by_metadata = link.version::<DescribeClusterRequest>().is_none();
                if let Some(operation) = self.open.get_mut(&op) {
                    operation.by_metadata = by_metadata;
                }
                if by_metadata {
                    return send!(MetadataRequest, |v| group::cluster_metadata(v, *authorized_operations));
                }
                send!(DescribeClusterRequest, |v| group::cluster(*authorized_operations, *fenced_brokers))
            }
            AdminRequest::ListGroups { states, types } => {
                older::tells_no_states(states, types, &which, link)?;
                send!(ListGroupsRequest, |v| group::list(states, types, v))
            }
            AdminRequest::DescribeGroups { groups, authorized_operations } => {
                send!(DescribeGroupsRequest, |v| group::describe(groups, &which, v, *authorized_operations))
            }
            AdminRequest::CreateAcls(acls) => send!(CreateAclsRequest, |v| acl::create(acls, &which)),
            AdminRequest::DescribeAcls(filter) => send!(DescribeAclsRequest, |v| acl::describe(filter)),
            AdminRequest::DeleteAcls(filters) => send!(DeleteAclsRequest, |v| acl::delete(filters, &which)),
            AdminRequest::DescribeConfigs { resources, synonyms, documentation } => {
                send!(DescribeConfigsRequest, |v| config::describe(resources, &which, *synonyms, *documentation, v))
            }
            AdminRequest::AlterConfigs { changes, validate_only } => {
                send!(IncrementalAlterConfigsRequest, |v| config::alter(changes, &which, *validate_only))
            }
            AdminRequest::DescribeProducers { partitions, .. } => {
                send!(DescribeProducersRequest, |v| transaction::producers(partitions, &which))
            }
            AdminRequest::DescribeTransactions(ids) => {
                send!(DescribeTransactionsRequest, |v| transaction::describe(ids, &which))
            }
            AdminRequest::ListTransactions { states, producer_ids, open_for, pattern } => {
                older::filters_no_transactions(*open_for, pattern.as_deref(), &which, link)?;
                let filter = transaction::Filter { states, producer_ids, open_for: *open_for, pattern };
                send!(ListTransactionsRequest, |v| transaction::list(&filter, v))
            }
            AdminRequest::AbortTransaction(spec) => send!(WriteTxnMarkersRequest, |v| transaction::abort(spec)),
            AdminRequest::FenceProducers(ids) => {
                which.truncate(1);
                send!(InitProducerIdRequest, |v| transaction::fence(ids, &which, millis))
            }
        }
    }

    pub(super) fn read(&self, op: OpId, which: &[usize], broker: BrokerId, r: &Response) -> Result<Vec<Answer>, Error> {
        let Some(operation) = self.open.get(&op) else { return Ok(Vec::new()) };
        match &operation.request {
            AdminRequest::CreateTopics { topics, .. } => topic::created(r, topics, which),
            AdminRequest::DeleteTopics(topics) => topic::deleted(r, topics, which),
            AdminRequest::CreatePartitions { topics, .. } => topic::grown(r, topics, which),
            AdminRequest::DescribeTopics { topics, .. } => topic::described(r, topics, which),
            AdminRequest::DescribeCluster { .. } if operation.by_metadata => group::cluster_of_metadata(r),
            AdminRequest::DescribeCluster { .. } => group::cluster_described(r),
            AdminRequest::ListGroups { states, types } => group::listed(r, which, states, types),
            AdminRequest::DescribeGroups { groups, .. } => group::described(r, groups, which, broker),
            AdminRequest::CreateAcls(_) => acl::created(r, which),
            AdminRequest::DescribeAcls(_) => acl::described(r),
            AdminRequest::DeleteAcls(_) => acl::deleted(r, which),
            AdminRequest::DescribeConfigs { resources, .. } => config::described(r, resources, which),
            AdminRequest::AlterConfigs { changes, .. } => config::altered(r, changes, which),
            AdminRequest::DescribeProducers { partitions, .. } => {
                transaction::producers_described(r, partitions, which)
            }
            AdminRequest::DescribeTransactions(ids) => transaction::described(r, ids, which, broker),
            AdminRequest::ListTransactions { .. } => transaction::listed(r, which, broker),
            AdminRequest::AbortTransaction(spec) => transaction::aborted(r, spec, which),
            AdminRequest::FenceProducers(_) => transaction::fenced(r, which),
        }
    }
}
