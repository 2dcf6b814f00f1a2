//! DescribeCluster (broker-coord 6.6).

use super::metadata::CLUSTER_OPERATIONS;
use super::spoil;
use crate::answer::{Answer, Call, Respond, Serve};
use crate::state::State;
use klamm_core::wire::messages::describe_cluster::DescribeClusterBroker;
use klamm_core::wire::messages::{DescribeClusterRequest, DescribeClusterResponse};
use klamm_core::{BrokerId, ErrorCode};

impl Serve for DescribeClusterRequest {
    fn serve(self, state: &mut State, _: &Call) -> Answer<DescribeClusterResponse> {
        if self.endpoint_type != 1 {
            return Answer::Now(self.refuse(ErrorCode::MISMATCHED_ENDPOINT_TYPE));
        }
        let shown = state.nodes.iter().filter(|(_, node)| !node.fenced || self.include_fenced_brokers);
        let brokers = shown.map(|(id, node)| DescribeClusterBroker {
            broker_id: BrokerId(*id),
            host: node.host.clone(),
            port: i32::from(node.port),
            rack: node.rack.clone(),
            is_fenced: node.fenced,
        });
        Answer::Now(DescribeClusterResponse {
            cluster_id: state.settings.cluster_id.clone(),
            brokers: brokers.collect(),
            controller_id: BrokerId(state.any_controller()),
            cluster_authorized_operations: if self.include_cluster_authorized_operations {
                CLUSTER_OPERATIONS
            } else {
                i32::MIN
            },
            ..Default::default()
        })
    }

    fn refuse(&self, error_code: ErrorCode) -> DescribeClusterResponse {
        let error_message = Some(format!("{error_code}"));
        DescribeClusterResponse { error_code, error_message, ..Default::default() }
    }
}

impl Respond for DescribeClusterResponse {
    fn fail(&mut self, code: ErrorCode) {
        spoil(&mut self.error_code, code);
    }
    fn omit(&mut self) {
        self.brokers.pop();
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
