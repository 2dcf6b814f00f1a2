//! Produce (broker-data 3).

use super::spoil;
use crate::answer::{Answer, Call, Respond, Serve, Ticket};
use crate::log::batch::Raw;
use crate::log::partition::Append;
use crate::log::validate::{Refusal, is_malformed, only_batch};
use crate::parked::{Held, Write};
use crate::state::State;
use crate::topics::is_internal;
use crate::txns::guard::{Guards, Verdict};
use klamm_core::wire::Uuid;
use klamm_core::wire::messages::produce::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceData, PartitionProduceResponse,
    TopicProduceResponse,
};
use klamm_core::wire::messages::{ProduceRequest, ProduceResponse};
use klamm_core::{BrokerId, ErrorCode, Time};
use std::time::Duration;

/// One partition of a request on its way to an answer.
#[derive(Debug)]
struct Part {
    topic: String,
    id: Uuid,
    /// The last offset that must be committed before the answer.
    wait: Option<i64>,
    response: PartitionProduceResponse,
}

/// A write that waits for its replicas.
#[derive(Debug)]
pub(crate) struct ParkedProduce {
    pub(crate) deadline: Time,
    broker: i32,
    version: i16,
    parts: Vec<Part>,
}

fn failed(index: i32, refusal: Refusal, start: i64) -> PartitionProduceResponse {
    let errors = refusal
        .records
        .into_iter()
        .map(|(batch_index, text)| BatchIndexAndErrorMessage { batch_index, batch_index_error_message: Some(text) });
    PartitionProduceResponse {
        index,
        error_code: refusal.code,
        base_offset: -1,
        log_start_offset: if refusal.tells_start { start } else { -1 },
        record_errors: errors.collect(),
        error_message: refusal.message,
        ..Default::default()
    }
}

impl State {
    /// 3.3 to 3.25 and the append for one partition.
    fn produce_to(
        &mut self,
        part: &mut Part,
        data: &PartitionProduceData,
        request: &ProduceRequest,
        call: &Call,
        guards: &Guards,
    ) {
        let index = data.index;
        let bare = |code| failed(index, Refusal::bare(code), -1);
        let named = if call.version >= 13 {
            match self.topics.name(part.id) {
                Some(name) => name.to_owned(),
                None => return part.response = bare(ErrorCode::UNKNOWN_TOPIC_ID),
            }
        } else {
            part.topic.clone()
        };
        let sink = self.settings.sink;
        let refused = self.settings.refused_codecs.clone();
        let lag = self.settings.replication_lag;
        let Some(topic) = self.topics.get_mut(&named) else {
            return part.response = bare(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        };
        part.id = topic.id;
        let policy = topic.policy.clone();
        let Some(partition) = topic.partition_mut(index) else {
            return part.response = bare(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        };
        part.topic = named;
        let records = data.records.as_deref().unwrap_or_default();
        let raw: Raw<'_> = match only_batch(records, call.version) {
            Ok(raw) => raw,
            Err(refusal) => return part.response = failed(index, refusal, -1),
        };
        if refused.iter().any(|codec| codec.id() == raw.codec()) {
            return part.response = bare(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
        }
        // 3.8.
        let guard = guards.get(&(part.topic.clone(), index)).cloned().unwrap_or(Ok(false));
        let verified = match guard {
            Ok(verified) => verified,
            Err(refusal) => return part.response = failed(index, refusal, -1),
        };
        if !matches!(request.acks, -1..=1) {
            return part.response = bare(ErrorCode::INVALID_REQUIRED_ACKS);
        }
        if is_internal(&part.topic) && call.client_id != "__admin_client" {
            return part.response = bare(ErrorCode::INVALID_TOPIC_EXCEPTION);
        }
        let start = partition.log.start;
        if sink && partition.is_led_by(call.broker) {
            let base_offset = partition.sink(raw.count());
            part.response =
                PartitionProduceResponse { index, base_offset, log_start_offset: start, ..Default::default() };
            return;
        }
        let how = Append {
            broker: call.broker,
            acks: request.acks,
            policy: &policy,
            mono: call.now.mono,
            wall: call.now.wall.as_millis(),
            lag,
            verified,
            v2: call.version >= 12,
        };
        match partition.append(raw, &how) {
            Err(refusal) => part.response = failed(index, refusal, start),
            Ok(appended) => {
                if raw.producer_id() >= 0 {
                    let check = call.now.mono + self.settings.producer_expiration_check;
                    self.expiry_check.get_or_insert(check);
                }
                part.wait = (request.acks == -1).then_some(appended.last_offset);
                part.response = PartitionProduceResponse {
                    index,
                    base_offset: appended.base_offset,
                    log_append_time_ms: appended.log_append_time,
                    log_start_offset: start,
                    ..Default::default()
                };
            }
        }
        self.parked.stale = true;
    }

    /// The request, as often as it takes until the transaction coordinator has answered.
    pub(crate) fn produce(&mut self, request: ProduceRequest, call: &Call, since: Time) -> Answer<ProduceResponse> {
        let all = || request.topic_data.iter().flat_map(|t| &t.partition_data);
        let records = |p: &PartitionProduceData| p.records.clone().unwrap_or_default();
        let transactional =
            |p: &PartitionProduceData| Raw::split(&records(p)).is_some_and(|(b, _)| b.is_transactional());
        let mut refusal = None;
        if all().any(|p| is_malformed(&records(p))) {
            refusal = Some(ErrorCode::CORRUPT_MESSAGE);
        } else if request.transactional_id.is_none() && all().any(transactional) {
            refusal = Some(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
        }
        if let Some(code) = refusal {
            return if request.acks == 0 { Answer::Close } else { Answer::Now(request.refuse(code)) };
        }
        let guards = match self.guard(&request, call, since) {
            Verdict::Go(guards) => guards,
            Verdict::Hold(at) => {
                let held = Held { at, since, call: call.clone(), what: Write::Records(request) };
                self.parked.held.insert(call.ticket, held);
                return Answer::Parked;
            }
            Verdict::Refuse if request.acks == 0 => return Answer::Close,
            Verdict::Refuse => {
                let text = "transactional records of more than one producer id";
                return Answer::Now(refuse_all(&request, ErrorCode::INVALID_PRODUCER_ID_MAPPING, Some(text)));
            }
        };
        let mut parts = Vec::new();
        for topic in &request.topic_data {
            for (at, data) in topic.partition_data.iter().enumerate() {
                // The same partition twice: only the last one counts.
                if topic.partition_data[at + 1..].iter().any(|later| later.index == data.index) {
                    continue;
                }
                let (topic, id) = (topic.name.clone(), topic.topic_id);
                let mut part = Part { topic, id, wait: None, response: PartitionProduceResponse::default() };
                self.produce_to(&mut part, data, &request, call, &guards);
                parts.push(part);
            }
        }
        if request.acks == 0 {
            // 1.14.
            let failed = parts.iter().any(|p| !p.response.error_code.is_ok());
            return if failed { Answer::Close } else { Answer::Quiet };
        }
        let wait = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
        let parked =
            ParkedProduce { deadline: call.now.mono + wait, broker: call.broker, version: call.version, parts };
        self.parked.produces.insert(call.ticket, parked);
        self.look_at_produce(call.ticket);
        Answer::Parked
    }

    /// 3.26 to 3.30: whether the answer can be given; gives it.
    pub(crate) fn look_at_produce(&mut self, ticket: Ticket) {
        let Some(mut parked) = self.parked.produces.remove(&ticket) else { return };
        let expired = self.mono >= parked.deadline;
        for part in parked.parts.iter_mut().filter(|p| p.wait.is_some()) {
            if let Some(code) = self.commit_state(part, parked.broker, expired) {
                part.wait = None;
                part.response.error_code = code;
                if !code.is_ok() {
                    // The base offset stays: the batch was appended (3, note 1).
                    part.response.log_append_time_ms = -1;
                }
            }
        }
        if parked.parts.iter().any(|p| p.wait.is_some()) {
            self.parked.produces.insert(ticket, parked);
        } else {
            let response = self.produced(parked.parts, parked.broker, parked.version);
            self.finish(ticket, response);
        }
    }

    fn commit_state(&self, part: &Part, broker: i32, expired: bool) -> Option<ErrorCode> {
        let last = part.wait?;
        let topic = self.topics.get(&part.topic).filter(|t| t.id == part.id);
        let Some((topic, partition)) = topic.and_then(|t| Some((t, t.partition(part.response.index)?))) else {
            return Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        };
        if !partition.is_led_by(broker) {
            return Some(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        if partition.high_watermark() > last {
            let min = topic.policy.min_isr.min(partition.replicas.len() as i64);
            let enough = partition.isr.len() as i64 >= min;
            return Some(if enough { ErrorCode::NONE } else { ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND });
        }
        expired.then_some(ErrorCode::REQUEST_TIMED_OUT)
    }

    fn produced(&self, parts: Vec<Part>, broker: i32, version: i16) -> ProduceResponse {
        let mut response = ProduceResponse::default();
        for mut part in parts {
            // 3, note 10: hints come with error 6 only.
            if version >= 10 && part.response.error_code == ErrorCode::NOT_LEADER_OR_FOLLOWER {
                let known = self.topics.get(&part.topic).and_then(|t| t.partition(part.response.index));
                if let Some(known) = known.map(|p| p.leadership(broker, self.mono)) {
                    let leader_id = BrokerId(known.leader.unwrap_or(-1));
                    part.response.current_leader = LeaderIdAndEpoch { leader_id, leader_epoch: known.epoch };
                    if let Some((host, port, rack)) = known.leader.and_then(|b| self.endpoint(b)) {
                        if !response.node_endpoints.iter().any(|n| n.node_id == leader_id) {
                            response.node_endpoints.push(NodeEndpoint { node_id: leader_id, host, port, rack });
                        }
                    }
                }
            }
            let (name, topic_id) = if version >= 13 { (String::new(), part.id) } else { (part.topic, Uuid::ZERO) };
            match response.responses.iter_mut().find(|t| t.name == name && t.topic_id == topic_id) {
                Some(topic) => topic.partition_responses.push(part.response),
                None => response.responses.push(TopicProduceResponse {
                    name,
                    topic_id,
                    partition_responses: vec![part.response],
                }),
            }
        }
        response
    }

    /// Where a live broker is found.
    pub(crate) fn endpoint(&self, broker: i32) -> Option<(String, i32, Option<String>)> {
        let node = self.nodes.get(&broker).filter(|node| !node.fenced)?;
        Some((node.host.clone(), i32::from(node.port), node.rack.clone()))
    }
}

/// The same answer for every partition of a request.
fn refuse_all(request: &ProduceRequest, error_code: ErrorCode, message: Option<&str>) -> ProduceResponse {
    ProduceResponse {
        responses: request
            .topic_data
            .iter()
            .map(|topic| TopicProduceResponse {
                name: topic.name.clone(),
                topic_id: topic.topic_id,
                partition_responses: topic
                    .partition_data
                    .iter()
                    .map(|p| {
                        let refusal = Refusal { message: message.map(str::to_owned), ..Refusal::bare(error_code) };
                        failed(p.index, refusal, -1)
                    })
                    .collect(),
            })
            .collect(),
        ..Default::default()
    }
}

impl Serve for ProduceRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<ProduceResponse> {
        let all = || self.topic_data.iter().flat_map(|t| &t.partition_data);
        // 1.15: a broker never gets over null records.
        if all().any(|p| p.records.is_none()) {
            return Answer::Stuck;
        }
        state.produce(self, call, call.now.mono)
    }

    fn refuse(&self, error_code: ErrorCode) -> ProduceResponse {
        let message = (error_code == ErrorCode::CORRUPT_MESSAGE).then(|| "the batch is malformed".to_owned());
        refuse_all(self, error_code, message.as_deref())
    }

    fn names(&self, topic: &str, id: Option<Uuid>) -> bool {
        self.topic_data.iter().any(|t| t.name == topic || Some(t.topic_id) == id)
    }
}

impl Respond for ProduceResponse {
    fn fail(&mut self, code: ErrorCode) {
        for partition in self.responses.iter_mut().flat_map(|t| &mut t.partition_responses) {
            if partition.error_code.is_ok() {
                spoil(&mut partition.error_code, code);
                partition.log_append_time_ms = -1;
                // Codes of a broker that appended tell where; a handler that failed afterwards does not (1.13).
                if !matches!(code.0, 3 | 6 | 7 | 20 | 56) {
                    partition.base_offset = -1;
                    partition.log_start_offset = -1;
                }
            }
        }
    }
    fn omit(&mut self) {
        if let Some(topic) = self.responses.last_mut() {
            topic.partition_responses.pop();
            if topic.partition_responses.is_empty() {
                self.responses.pop();
            }
        }
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
