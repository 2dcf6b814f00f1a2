//! The data plane of the model: logs, leaders, Fetch with sessions, ListOffsets, OffsetForLeaderEpoch.

use super::batch;
use crate::wire::messages::fetch::{FetchPartition, FetchableTopicResponse, PartitionData};
use crate::wire::messages::list_offsets::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use crate::wire::messages::offset_for_leader_epoch::{EpochEndOffset, OffsetForLeaderTopicResult};
use crate::wire::messages::{
    FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse, OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
};
use crate::{BrokerId, ErrorCode};
use std::collections::BTreeMap;

pub(super) struct Log {
    pub(super) leader: BrokerId,
    pub(super) epoch: i32,
    pub(super) end: i64,
    batches: Vec<(i64, Vec<u8>)>,
}

impl Log {
    pub(super) fn new(leader: BrokerId) -> Self {
        Self { leader, epoch: 0, end: 0, batches: Vec::new() }
    }

    pub(super) fn append(&mut self, count: u32) {
        self.batches.push((self.end, batch(self.end, count, self.epoch)));
        self.end += i64::from(count);
    }

    fn read(&self, offset: i64, most: usize) -> Vec<u8> {
        let first = self.batches.partition_point(|(base, _)| *base <= offset).saturating_sub(1);
        let mut out = Vec::new();
        if offset >= self.end {
            return out;
        }
        for (_, bytes) in &self.batches[first..] {
            out.extend_from_slice(bytes);
            if out.len() >= most {
                let whole = bytes.len() == out.len();
                out.truncate(if whole { out.len() } else { most });
                break;
            }
        }
        out
    }
}

#[derive(Default)]
struct Session {
    epoch: i32,
    partitions: BTreeMap<i32, FetchPartition>,
}

#[derive(Default)]
pub(super) struct Sessions {
    next: i32,
    all: BTreeMap<i32, Session>,
}

impl Sessions {
    pub(super) fn evict(&mut self) {
        self.all.clear();
    }

    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// `None`: nothing to tell yet.
    pub(super) fn fetch(
        &mut self,
        broker: BrokerId,
        logs: &BTreeMap<i32, Log>,
        request: &FetchRequest,
        first: bool,
        over: bool,
        fault: Option<ErrorCode>,
    ) -> Option<FetchResponse> {
        let mut id = request.session_id;
        if first {
            let error = |code| Some(FetchResponse { error_code: code, ..Default::default() });
            match request.session_epoch {
                -1 => {
                    self.all.remove(&request.session_id);
                    if request.topics.is_empty() {
                        return error(ErrorCode::NONE);
                    }
                    panic!("sessionless fetches are for old brokers");
                }
                0 => {
                    self.all.remove(&request.session_id);
                    self.next += 1;
                    id = self.next;
                    self.all.insert(id, Session { epoch: 1, partitions: BTreeMap::new() });
                }
                n => {
                    let Some(session) = self.all.get_mut(&id) else { return error(ErrorCode(70)) };
                    if session.epoch != n {
                        return error(ErrorCode(71));
                    }
                    session.epoch += 1;
                }
            }
            let session = self.all.get_mut(&id).unwrap();
            for topic in &request.forgotten_topics_data {
                for n in &topic.partitions {
                    assert!(session.partitions.remove(n).is_some(), "forgot what was not there");
                }
            }
            for p in request.topics.iter().flat_map(|t| &t.partitions) {
                session.partitions.insert(p.partition, p.clone());
            }
        } else if request.session_epoch == 0 {
            id = self.next;
        }
        let Some(session) = self.all.get(&id) else {
            return Some(FetchResponse { error_code: ErrorCode(70), ..Default::default() });
        };
        let mut partitions = Vec::new();
        let mut left = request.max_bytes.max(0) as usize;
        for (n, asked) in &session.partitions {
            let log = &logs[n];
            let code = match () {
                () if fault.is_some() => fault.unwrap(),
                () if asked.current_leader_epoch >= 0 && asked.current_leader_epoch < log.epoch => ErrorCode(74),
                () if asked.current_leader_epoch > log.epoch => ErrorCode(75),
                () if log.leader != broker => ErrorCode(6),
                () if asked.fetch_offset > log.end || asked.fetch_offset < 0 => ErrorCode(1),
                () => ErrorCode::NONE,
            };
            let most = left.min(asked.partition_max_bytes as usize);
            let fits = most > 0 || partitions.is_empty();
            let records = if code.is_ok() && fits { log.read(asked.fetch_offset, most.max(1)) } else { Vec::new() };
            left = left.saturating_sub(records.len());
            if code.is_ok() && records.is_empty() {
                continue;
            }
            partitions.push(PartitionData {
                partition_index: *n,
                error_code: code,
                high_watermark: if code.is_ok() { log.end } else { -1 },
                last_stable_offset: -1,
                records: Some(records.into()),
                ..Default::default()
            });
        }
        if partitions.is_empty() && !over {
            return None;
        }
        let responses = match partitions.is_empty() {
            true => Vec::new(),
            false => vec![FetchableTopicResponse { topic: "t".into(), partitions, ..Default::default() }],
        };
        Some(FetchResponse { session_id: id, responses, ..Default::default() })
    }
}

pub(super) fn list(
    broker: BrokerId,
    logs: &BTreeMap<i32, Log>,
    request: &ListOffsetsRequest,
    fault: Option<ErrorCode>,
) -> ListOffsetsResponse {
    let one = |p: &crate::wire::messages::list_offsets::ListOffsetsPartition| {
        let log = &logs[&p.partition_index];
        let code = if log.leader == broker { fault.unwrap_or(ErrorCode::NONE) } else { ErrorCode(6) };
        ListOffsetsPartitionResponse {
            partition_index: p.partition_index,
            error_code: code,
            offset: if code.is_ok() { if p.timestamp == -2 { 0 } else { log.end } } else { -1 },
            leader_epoch: log.epoch,
            ..Default::default()
        }
    };
    let topics = request
        .topics
        .iter()
        .map(|t| ListOffsetsTopicResponse { name: t.name.clone(), partitions: t.partitions.iter().map(one).collect() });
    ListOffsetsResponse { topics: topics.collect(), ..Default::default() }
}

pub(super) fn epochs(
    broker: BrokerId,
    logs: &BTreeMap<i32, Log>,
    request: &OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let one = |p: &crate::wire::messages::offset_for_leader_epoch::OffsetForLeaderPartition| {
        let log = &logs[&p.partition];
        let code = if log.leader == broker { ErrorCode::NONE } else { ErrorCode(6) };
        EpochEndOffset { error_code: code, partition: p.partition, leader_epoch: p.leader_epoch, end_offset: log.end }
    };
    let topics = request.topics.iter().map(|t| OffsetForLeaderTopicResult {
        topic: t.topic.clone(),
        partitions: t.partitions.iter().map(one).collect(),
    });
    OffsetForLeaderEpochResponse { topics: topics.collect(), ..Default::default() }
}
