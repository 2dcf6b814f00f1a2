//! DescribeGroups (broker-coord 6.6).

use super::spoil;
use crate::answer::{Answer, Call, Respond, Serve};
use crate::groups::group::{Group, Phase};
use crate::state::State;
use bytes::Bytes;
use klamm_core::ErrorCode;
use klamm_core::wire::messages::describe_groups::{DescribedGroup, DescribedGroupMember};
use klamm_core::wire::messages::{DescribeGroupsRequest, DescribeGroupsResponse};

/// READ, DELETE, DESCRIBE and the two of configurations, as a bit set.
const GROUP_OPERATIONS: i32 = 0b1101_0100_1000;

fn failed(group_id: &str, error_code: ErrorCode) -> DescribedGroup {
    DescribedGroup { error_code, group_id: group_id.to_owned(), ..Default::default() }
}

fn members(group: &Group) -> Vec<DescribedGroupMember> {
    let stable = group.phase == Phase::Stable;
    let protocol = group.protocol.as_deref().unwrap_or_default();
    let member = |m: &crate::groups::member::Member| DescribedGroupMember {
        member_id: m.id.clone(),
        group_instance_id: m.instance.clone(),
        client_id: m.client_id.clone(),
        client_host: "/127.0.0.1".to_owned(),
        member_metadata: if stable { m.metadata(protocol) } else { Bytes::new() },
        member_assignment: m.assignment.clone(),
    };
    group.members.iter().map(member).collect()
}

impl Serve for DescribeGroupsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<DescribeGroupsResponse> {
        let groups = self.groups.iter().map(|id| {
            if let Err(code) = state.coordinates(call.broker, id) {
                return failed(id, code);
            }
            let operations = if self.include_authorized_operations { GROUP_OPERATIONS } else { i32::MIN };
            match state.groups.get(id) {
                None if call.version >= 6 => DescribedGroup {
                    group_state: "Dead".to_owned(),
                    error_message: Some(format!("Group {id} not found.")),
                    ..failed(id, ErrorCode::GROUP_ID_NOT_FOUND)
                },
                None => DescribedGroup { group_state: "Dead".to_owned(), ..failed(id, ErrorCode::NONE) },
                Some(group) => DescribedGroup {
                    error_code: ErrorCode::NONE,
                    error_message: None,
                    group_id: id.clone(),
                    group_state: group.phase.name().to_owned(),
                    protocol_type: group.protocol_type.clone().unwrap_or_default(),
                    // Not stable: what the next generation will speak is open.
                    protocol_data: match group.phase {
                        Phase::Stable => group.protocol.clone().unwrap_or_default(),
                        _ => String::new(),
                    },
                    members: members(group),
                    authorized_operations: operations,
                },
            }
        });
        Answer::Now(DescribeGroupsResponse { groups: groups.collect(), ..Default::default() })
    }

    fn refuse(&self, code: ErrorCode) -> DescribeGroupsResponse {
        let groups = self.groups.iter().map(|id| failed(id, code)).collect();
        DescribeGroupsResponse { groups, ..Default::default() }
    }
}

impl Respond for DescribeGroupsResponse {
    fn fail(&mut self, code: ErrorCode) {
        for group in &mut self.groups {
            spoil(&mut group.error_code, code);
        }
    }
    fn omit(&mut self) {
        self.groups.pop();
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
