//! FindCoordinator (broker-coord 1).

use super::spoil;
use crate::answer::{Answer, Call, Respond, Serve};
use crate::state::State;
use crate::topics::{OFFSETS, TRANSACTIONS};
use klamm_core::wire::messages::find_coordinator::Coordinator;
use klamm_core::wire::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use klamm_core::{BrokerId, ErrorCode};

/// KIP-932.
const FIRST_WITH_SHARE_GROUPS: i16 = 6;

fn failed(key: &str, error_code: ErrorCode, text: &str) -> Coordinator {
    Coordinator {
        key: key.to_owned(),
        node_id: BrokerId(-1),
        host: String::new(),
        port: -1,
        error_code,
        error_message: Some(text.to_owned()),
    }
}

impl State {
    fn find_coordinator(&mut self, key: &str, key_type: i8, call: &Call) -> Coordinator {
        let unavailable = failed(key, ErrorCode::COORDINATOR_NOT_AVAILABLE, "");
        // 1.1: the topic is asked for, the next try succeeds.
        let (topic, index, there) = match key_type {
            0 => (OFFSETS, self.group_partition(key), self.need_offsets_topic()),
            1 => (TRANSACTIONS, self.transaction_partition(key), self.need_transaction_topic()),
            2 if call.version < FIRST_WITH_SHARE_GROUPS => return failed(key, ErrorCode::INVALID_REQUEST, ""),
            // Said plainly, and fatal to a client: there are no share groups here.
            2 => return failed(key, ErrorCode::UNSUPPORTED_VERSION, "this cluster has no share groups"),
            _ => return failed(key, ErrorCode::INVALID_REQUEST, &ErrorCode::INVALID_REQUEST.to_string()),
        };
        if !there {
            return unavailable;
        }
        let known = self.topics.get(topic).and_then(|t| t.partition(index));
        // 1.3: the answer is this broker's view.
        let leader = known.and_then(|p| p.leadership(call.broker, call.now.mono).leader);
        match leader.and_then(|b| Some((b, self.endpoint(b)?))) {
            None => unavailable,
            Some((broker, (host, port, _))) => Coordinator {
                key: key.to_owned(),
                node_id: BrokerId(broker),
                host,
                port,
                error_code: ErrorCode::NONE,
                error_message: Some(String::new()),
            },
        }
    }
}

fn response(coordinators: Vec<Coordinator>, version: i16) -> FindCoordinatorResponse {
    if version >= 4 {
        return FindCoordinatorResponse { coordinators, ..Default::default() };
    }
    let Some(only) = coordinators.into_iter().next() else { return FindCoordinatorResponse::default() };
    FindCoordinatorResponse {
        error_code: only.error_code,
        // The form from before version 4 names the code, a success too.
        error_message: only.error_message.map(|text| if text.is_empty() { only.error_code.to_string() } else { text }),
        node_id: only.node_id,
        host: only.host,
        port: only.port,
        ..Default::default()
    }
}

impl Serve for FindCoordinatorRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<FindCoordinatorResponse> {
        let keys = if call.version >= 4 { self.coordinator_keys } else { vec![self.key] };
        let found = keys.iter().map(|key| state.find_coordinator(key, self.key_type, call)).collect();
        Answer::Now(response(found, call.version))
    }

    fn refuse(&self, code: ErrorCode) -> FindCoordinatorResponse {
        self.refuse_in(if self.coordinator_keys.is_empty() { 3 } else { 4 }, code)
    }

    fn refuse_in(&self, version: i16, code: ErrorCode) -> FindCoordinatorResponse {
        // Before version 4 there is one key, outside of the list, and one answer, at the top.
        let keys = if version >= 4 { &self.coordinator_keys[..] } else { std::slice::from_ref(&self.key) };
        response(keys.iter().map(|key| failed(key, code, "")).collect(), version)
    }
}

impl Respond for FindCoordinatorResponse {
    fn fail(&mut self, code: ErrorCode) {
        // The single answer of versions below 4.
        if !self.host.is_empty() {
            spoil(&mut self.error_code, code);
        }
        for found in &mut self.coordinators {
            if found.error_code.is_ok() {
                *found = failed(&found.key, code, "");
            }
        }
    }
    fn omit(&mut self) {
        self.coordinators.pop();
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
