//! OffsetCommit (broker-coord 3.1, 3.2).

use super::spoil;
use crate::answer::{Answer, Call, Respond, Serve};
use crate::groups::offsets::Committed;
use crate::state::State;
use klamm_core::ErrorCode;
use klamm_core::wire::Uuid;
use klamm_core::wire::messages::offset_commit::{
    OffsetCommitRequestPartition, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use klamm_core::wire::messages::{OffsetCommitRequest, OffsetCommitResponse};

/// `offset.metadata.max.bytes`.
const MOST_METADATA: usize = 4096;

/// What a commit keeps of a partition (3.2).
pub(super) fn to_keep(offset: i64, leader_epoch: i32, metadata: Option<&str>) -> Result<Committed, ErrorCode> {
    let metadata = metadata.unwrap_or_default();
    if metadata.encode_utf16().count() > MOST_METADATA {
        return Err(ErrorCode::OFFSET_METADATA_TOO_LARGE);
    }
    Ok(Committed { offset, leader_epoch, metadata: metadata.to_owned(), position: 0 })
}

fn told(partition_index: i32, error_code: ErrorCode) -> OffsetCommitResponsePartition {
    OffsetCommitResponsePartition { partition_index, error_code }
}

impl State {
    /// The name of the topic that a commit means (3.1).
    pub(super) fn committed_topic(&self, name: &str, id: Uuid, uses_ids: bool) -> Result<String, ErrorCode> {
        if uses_ids {
            return self.topics.name(id).map(str::to_owned).ok_or(ErrorCode::UNKNOWN_TOPIC_ID);
        }
        self.topics.get(name).map(|_| name.to_owned()).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    }

    /// The name of the topic, if it is known and has that partition.
    pub(super) fn committed_partition(
        &self,
        topic: &Result<String, ErrorCode>,
        index: i32,
    ) -> Result<String, ErrorCode> {
        let name = topic.as_ref().map_err(|code| *code)?;
        let known = self.topics.get(name).and_then(|topic| topic.partition(index));
        known.map(|_| name.clone()).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    }

    /// 3.2, up to the partitions: whether the group takes commits from that caller.
    fn check_commit(&mut self, request: &OffsetCommitRequest, call: &Call) -> Result<(), ErrorCode> {
        self.check_group_for_offsets(call.broker, &request.group_id)?;
        let generation = request.generation_id_or_member_epoch;
        let now = self.mono;
        match self.groups.get_mut(&request.group_id) {
            Some(group) => {
                group.check_commit(generation, &request.member_id, request.group_instance_id.as_deref(), now)
            }
            None if generation < 0 => {
                self.groups.make(&request.group_id, now);
                Ok(())
            }
            None if call.version >= 9 => Err(ErrorCode::GROUP_ID_NOT_FOUND),
            None => Err(ErrorCode::ILLEGAL_GENERATION),
        }
    }

    /// Offsets may be kept under the empty group id.
    pub(crate) fn check_group_for_offsets(&self, broker: i32, group: &str) -> Result<(), ErrorCode> {
        self.coordinates(broker, group)
    }

    fn commit(&mut self, group: &str, topic: &str, asked: &OffsetCommitRequestPartition) -> ErrorCode {
        match to_keep(asked.committed_offset, asked.committed_leader_epoch, asked.committed_metadata.as_deref()) {
            Ok(committed) => {
                self.groups.commit(group, (topic.to_owned(), asked.partition_index), committed);
                ErrorCode::NONE
            }
            Err(code) => code,
        }
    }
}

impl Serve for OffsetCommitRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<OffsetCommitResponse> {
        let mut topics: Vec<OffsetCommitResponseTopic> = Vec::new();
        let mut good: Vec<(usize, String, &OffsetCommitRequestPartition)> = Vec::new();
        for (at, topic) in self.topics.iter().enumerate() {
            let named = state.committed_topic(&topic.name, topic.topic_id, call.version >= 10);
            let mut partitions = Vec::new();
            for p in &topic.partitions {
                match state.committed_partition(&named, p.partition_index) {
                    Ok(name) => good.push((at, name, p)),
                    Err(code) => partitions.push(told(p.partition_index, code)),
                }
            }
            topics.push(OffsetCommitResponseTopic { name: topic.name.clone(), topic_id: topic.topic_id, partitions });
        }
        // 3.1: with nothing left the coordinator is not asked, and nobody is fenced.
        if !good.is_empty() {
            let checked = state.check_commit(&self, call);
            for (at, name, p) in good {
                let code = match checked {
                    Ok(()) => state.commit(&self.group_id, &name, p),
                    Err(code) => code,
                };
                topics[at].partitions.push(told(p.partition_index, code));
            }
        }
        Answer::Now(OffsetCommitResponse { topics, ..Default::default() })
    }

    fn refuse(&self, code: ErrorCode) -> OffsetCommitResponse {
        let topics = self.topics.iter().map(|topic| OffsetCommitResponseTopic {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: topic.partitions.iter().map(|p| told(p.partition_index, code)).collect(),
        });
        OffsetCommitResponse { topics: topics.collect(), ..Default::default() }
    }

    fn names(&self, topic: &str, id: Option<Uuid>) -> bool {
        self.topics.iter().any(|t| t.name == topic || Some(t.topic_id) == id)
    }
}

impl Respond for OffsetCommitResponse {
    fn fail(&mut self, code: ErrorCode) {
        for partition in self.topics.iter_mut().flat_map(|t| &mut t.partitions) {
            spoil(&mut partition.error_code, code);
        }
    }
    fn omit(&mut self) {
        if let Some(topic) = self.topics.last_mut() {
            topic.partitions.pop();
        }
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
