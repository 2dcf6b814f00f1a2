//! Fetch (broker-data 6).

use super::spoil;
use crate::answer::{Answer, Call, Respond, Serve, Ticket};
use crate::fault::After;
use crate::fetch_session::{Context, Item, Told};
use crate::log::Partition;
use crate::log::transaction::Aborted;
use crate::state::State;
use bytes::{Bytes, BytesMut};
use klamm_core::wire::Uuid;
use klamm_core::wire::messages::fetch::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};
use klamm_core::wire::messages::{FetchRequest, FetchResponse};
use klamm_core::{BrokerId, ErrorCode, Time};
use std::time::Duration;

/// A fetch that waits for data.
#[derive(Debug)]
pub(crate) struct ParkedFetch {
    pub(crate) deadline: Time,
    broker: i32,
    version: i16,
    min_bytes: usize,
    max_bytes: usize,
    committed_only: bool,
    context: Context,
    items: Vec<Item>,
    /// Which items could be read when it was parked: an unknown topic of then does not wake it later.
    readable: Vec<bool>,
}

/// The end of a log that never ends.
const ENDLESS: i64 = 1 << 62;

/// Why a partition is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Miss {
    /// The broker knows nothing of it: does not end the wait of the others (6.16).
    Outer(ErrorCode),
    /// Ends the wait.
    Inner(ErrorCode),
}

/// What may be read of a partition.
struct Readable<'a> {
    partition: &'a Partition,
    /// The first offset that is not shown.
    bound: i64,
    high_watermark: i64,
    last_stable: i64,
    diverging: Option<(i32, i64)>,
}

impl State {
    /// 6.1 to 6.8.
    fn readable(&self, item: &Item, fetch: &ParkedFetch) -> Result<Readable<'_>, Miss> {
        let uses_ids = fetch.version >= 13;
        let Some(name) = &item.topic else { return Err(Miss::Outer(ErrorCode::UNKNOWN_TOPIC_ID)) };
        let unknown = Miss::Outer(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        let topic = self.topics.get(name).ok_or(unknown)?;
        let partition = topic.partition(item.index).ok_or(unknown)?;
        let inner = |code| Err(Miss::Inner(code));
        let Some((end, high_watermark)) = partition.bounds(fetch.broker) else {
            return inner(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        };
        if uses_ids && topic.id != item.id {
            return inner(ErrorCode::INCONSISTENT_TOPIC_ID);
        }
        // 6.6: the epoch comes before leadership; from version 11 on any replica serves consumers.
        if item.leader_epoch >= 0 && item.leader_epoch < partition.now.epoch {
            return inner(ErrorCode::FENCED_LEADER_EPOCH);
        }
        if item.leader_epoch > partition.now.epoch {
            return inner(ErrorCode::UNKNOWN_LEADER_EPOCH);
        }
        if fetch.version <= 10 && !partition.is_led_by(fetch.broker) {
            return inner(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        let mut diverging = None;
        if item.last_fetched_epoch >= 0 {
            let (epoch, end) = partition.log.end_of_epoch(item.last_fetched_epoch, partition.now.epoch);
            if epoch < 0 || item.offset < partition.log.start {
                return inner(ErrorCode::OFFSET_OUT_OF_RANGE);
            }
            if epoch < item.last_fetched_epoch || end < item.offset {
                diverging = Some((epoch, end));
            }
        }
        if self.settings.prepared.is_some() && item.offset >= 0 {
            return Ok(Readable {
                partition,
                bound: ENDLESS,
                high_watermark: ENDLESS,
                last_stable: ENDLESS,
                diverging,
            });
        }
        if diverging.is_none() && (item.offset < partition.log.start || item.offset > end) {
            return inner(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        // 6.20.
        let last_stable = partition.last_stable(fetch.broker);
        let bound = if fetch.committed_only { last_stable } else { high_watermark };
        Ok(Readable { partition, bound, high_watermark, last_stable, diverging })
    }

    /// Reads every partition in order; the flag says whether the answer must not wait (6.15).
    fn read_all(&self, fetch: &ParkedFetch) -> (Vec<PartitionData>, bool) {
        let mut at_once = fetch.items.is_empty();
        let mut any_readable = false;
        let mut left = fetch.max_bytes;
        let mut total = 0;
        let mut out = Vec::with_capacity(fetch.items.len());
        for item in &fetch.items {
            let data = match self.readable(item, fetch) {
                Err(miss) => {
                    at_once |= matches!(miss, Miss::Inner(_));
                    missing(item.index, miss)
                }
                Ok(found) => {
                    any_readable = true;
                    let limit = left.min(usize::try_from(item.max_bytes).unwrap_or(0));
                    let (records, end) = match (found.diverging, &self.settings.prepared) {
                        (Some(_), _) => (Bytes::new(), item.offset),
                        (None, Some(batch)) => (repeat(batch, item.offset, limit), item.offset),
                        (None, None) => {
                            // 6.11: the first partition that yields anything may exceed the limits by its first batch.
                            let slice = found.partition.read(item.offset, found.bound, limit, total == 0);
                            (slice.records, slice.end)
                        }
                    };
                    let aborted_transactions = fetch.committed_only.then(|| match records.is_empty() {
                        true => Vec::new(),
                        false => named(found.partition.aborted(item.offset, end, fetch.broker)),
                    });
                    // 6.19: a start beyond what is committed is not waited for.
                    at_once |= found.diverging.is_some() || item.offset > found.bound;
                    total += records.len();
                    left = left.saturating_sub(records.len());
                    let (epoch, end_offset) = found.diverging.unwrap_or((-1, -1));
                    PartitionData {
                        partition_index: item.index,
                        high_watermark: found.high_watermark,
                        last_stable_offset: found.last_stable,
                        log_start_offset: found.partition.log.start,
                        aborted_transactions,
                        records: Some(records),
                        diverging_epoch: EpochEndOffset { epoch, end_offset },
                        ..Default::default()
                    }
                }
            };
            out.push(data);
        }
        (out, at_once || !any_readable || total >= fetch.min_bytes)
    }

    /// 6.17: whether a parked fetch is woken.
    fn is_woken(&self, fetch: &ParkedFetch) -> bool {
        let mut bytes = 0;
        for (item, readable) in fetch.items.iter().zip(&fetch.readable) {
            match self.readable(item, fetch) {
                // A start that was deleted meanwhile does not wake.
                Err(Miss::Inner(ErrorCode::OFFSET_OUT_OF_RANGE)) => {
                    let end = item
                        .topic
                        .as_ref()
                        .and_then(|t| self.topics.get(t)?.partition(item.index)?.bounds(fetch.broker));
                    if end.is_none_or(|(end, _)| item.offset > end) {
                        return true;
                    }
                }
                Err(Miss::Inner(_)) => return true,
                Err(Miss::Outer(_)) if *readable => return true,
                Err(Miss::Outer(_)) => {}
                Ok(found) if found.diverging.is_some() || found.bound < item.offset => return true,
                Ok(found) => {
                    let (n, rolled) = found.partition.available(item.offset, found.bound, fetch.min_bytes);
                    if rolled {
                        return true;
                    }
                    bytes += n.min(usize::try_from(item.max_bytes).unwrap_or(0));
                }
            }
        }
        bytes >= fetch.min_bytes
    }

    pub(crate) fn look_at_fetch(&mut self, ticket: Ticket) {
        let Some(fetch) = self.parked.fetches.get(&ticket) else { return };
        if self.mono < fetch.deadline && !self.is_woken(fetch) {
            return;
        }
        if let Some(fetch) = self.parked.fetches.remove(&ticket) {
            let (data, _) = self.read_all(&fetch);
            self.answer_fetch(ticket, &fetch, data);
        }
    }

    fn answer_fetch(&mut self, ticket: Ticket, fetch: &ParkedFetch, data: Vec<PartitionData>) {
        let mut response = FetchResponse { session_id: fetch.context.session(), ..Default::default() };
        // 6.30: over quota nothing is read; a full request then gets no session.
        let throttled = self.inflight.get(&ticket).is_some_and(|i| matches!(i.after, Some(After::Throttle(_))));
        if throttled {
            if matches!(fetch.context, Context::Full(_)) {
                response.session_id = 0;
            }
            return self.finish(ticket, response);
        }
        for (item, mut data) in fetch.items.iter().zip(data) {
            self.hint(fetch, item, &mut data, &mut response);
            let told = Told {
                high_watermark: data.high_watermark,
                log_start: data.log_start_offset,
                failed: !data.error_code.is_ok(),
            };
            let has_records = data.records.as_ref().is_some_and(|r| !r.is_empty());
            // 6.24.
            let news = has_records || told.failed || data.diverging_epoch.epoch >= 0 || item.told != Some(told);
            if news || !matches!(fetch.context, Context::Incremental(_)) {
                put(&mut response, item, data, fetch.version);
                if let Some(session) = self.session(fetch.broker, fetch.context) {
                    session.told(item, told, has_records);
                }
            }
        }
        self.finish(ticket, response);
    }

    fn session(&mut self, broker: i32, context: Context) -> Option<&mut crate::fetch_session::Session> {
        self.nodes.get_mut(&broker)?.sessions.get_mut(context.session())
    }

    /// From version 16 on, codes 6 and 74 come with the leader and where it is.
    fn hint(&self, fetch: &ParkedFetch, item: &Item, data: &mut PartitionData, response: &mut FetchResponse) {
        let moved = matches!(data.error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::FENCED_LEADER_EPOCH);
        if fetch.version < 16 || !moved {
            return;
        }
        let partition = item.topic.as_ref().and_then(|t| self.topics.get(t)?.partition(item.index));
        let Some(known) = partition.map(|p| p.leadership(fetch.broker, self.mono)) else { return };
        let leader_id = BrokerId(known.leader.unwrap_or(-1));
        data.current_leader = LeaderIdAndEpoch { leader_id, leader_epoch: known.epoch };
        if let Some((host, port, rack)) = known.leader.and_then(|b| self.endpoint(b)) {
            if !response.node_endpoints.iter().any(|n| n.node_id == leader_id) {
                response.node_endpoints.push(NodeEndpoint { node_id: leader_id, host, port, rack });
            }
        }
    }
}

fn named(aborted: Vec<Aborted>) -> Vec<AbortedTransaction> {
    aborted.into_iter().map(|a| AbortedTransaction { producer_id: a.producer, first_offset: a.first }).collect()
}

fn missing(partition_index: i32, miss: Miss) -> PartitionData {
    let (error_code, aborted_transactions) = match miss {
        Miss::Outer(code) => (code, Some(Vec::new())),
        Miss::Inner(code) => (code, None),
    };
    PartitionData {
        partition_index,
        error_code,
        high_watermark: -1,
        aborted_transactions,
        records: Some(Bytes::new()),
        ..Default::default()
    }
}

/// Copies of a batch with rising offsets, as many as fit, at least one.
fn repeat(batch: &[u8], mut offset: i64, limit: usize) -> Bytes {
    let Some((raw, _)) = crate::log::batch::Raw::split(batch) else { return Bytes::new() };
    let times = (limit / batch.len()).max(1);
    let mut out = BytesMut::with_capacity(times * batch.len());
    for _ in 0..times {
        out.extend_from_slice(&offset.to_be_bytes());
        out.extend_from_slice(&batch[8..]);
        offset += i64::from(raw.last_offset_delta()) + 1;
    }
    out.freeze()
}

fn put(response: &mut FetchResponse, item: &Item, data: PartitionData, version: i16) {
    let (topic, topic_id) =
        if version >= 13 { (String::new(), item.id) } else { (item.topic.clone().unwrap_or_default(), Uuid::ZERO) };
    match response.responses.iter_mut().find(|t| t.topic == topic && t.topic_id == topic_id) {
        Some(found) => found.partitions.push(data),
        None => response.responses.push(FetchableTopicResponse { topic, topic_id, partitions: vec![data] }),
    }
}

impl Serve for FetchRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<FetchResponse> {
        let State { nodes, topics, rng, .. } = state;
        let Some(node) = nodes.get_mut(&call.broker) else { return Answer::Close };
        let name_of = |id| topics.name(id).map(str::to_owned);
        let new_id = || (rng.u64() & 0x7fff_ffff) as i32;
        let opened = node.sessions.open(&self, call.version, call.now.mono, name_of, new_id);
        let (context, items) = match opened {
            Ok(opened) => opened,
            Err(error_code) => return Answer::Now(FetchResponse { error_code, ..Default::default() }),
        };
        let size = |n: i32| usize::try_from(n).unwrap_or(0);
        // 6.10.
        let max_bytes = size(self.max_bytes.min(state.settings.fetch_max_bytes));
        let wait = Duration::from_millis(u64::try_from(self.max_wait_ms).unwrap_or(0));
        let mut fetch = ParkedFetch {
            deadline: call.now.mono + wait,
            broker: call.broker,
            version: call.version,
            min_bytes: size(self.min_bytes).min(max_bytes),
            max_bytes,
            committed_only: self.isolation_level == 1,
            context,
            items,
            readable: Vec::new(),
        };
        let (data, at_once) = state.read_all(&fetch);
        if at_once || wait.is_zero() {
            state.answer_fetch(call.ticket, &fetch, data);
        } else {
            fetch.readable = data.iter().map(|d| d.error_code.is_ok()).collect();
            state.parked.fetches.insert(call.ticket, fetch);
        }
        Answer::Parked
    }

    fn refuse(&self, code: ErrorCode) -> FetchResponse {
        // Session codes stand at the top, alone.
        if matches!(code.0, 70 | 71 | 106) {
            return FetchResponse { error_code: code, ..Default::default() };
        }
        FetchResponse {
            responses: self
                .topics
                .iter()
                .map(|topic| FetchableTopicResponse {
                    topic: topic.topic.clone(),
                    topic_id: topic.topic_id,
                    partitions: topic.partitions.iter().map(|p| missing(p.partition, Miss::Inner(code))).collect(),
                })
                .collect(),
            ..Default::default()
        }
    }

    fn names(&self, topic: &str, id: Option<Uuid>) -> bool {
        self.topics.iter().any(|t| t.topic == topic || Some(t.topic_id) == id)
    }
}

impl Respond for FetchResponse {
    fn fail(&mut self, code: ErrorCode) {
        if matches!(code.0, 70 | 71 | 106) {
            *self = Self { error_code: code, ..Default::default() };
            return;
        }
        for partition in self.responses.iter_mut().flat_map(|t| &mut t.partitions) {
            if partition.error_code.is_ok() {
                spoil(&mut partition.error_code, code);
                *partition = missing(partition.partition_index, Miss::Inner(code));
            }
        }
    }
    fn omit(&mut self) {
        if let Some(topic) = self.responses.last_mut() {
            topic.partitions.pop();
            if topic.partitions.is_empty() {
                self.responses.pop();
            }
        }
    }
    fn corrupt(&mut self) {
        for partition in self.responses.iter_mut().flat_map(|t| &mut t.partitions) {
            if let Some(records) = partition.records.take_if(|r| r.len() > crate::log::batch::HEADER) {
                let mut bytes = records.to_vec();
                // A bit of the first batch's records: its checksum fails.
                bytes[crate::log::batch::HEADER] ^= 1;
                partition.records = Some(bytes.into());
            }
        }
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
