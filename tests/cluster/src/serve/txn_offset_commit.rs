//! TxnOffsetCommit (broker-coord 3.4).

use super::offset_commit::to_keep;
use super::spoil;
use crate::answer::{Answer, Call, Respond, Serve};
use crate::parked::{Held, Write};
use crate::state::State;
use crate::topics::OFFSETS;
use crate::txns::join::{Question, Told};
use crate::txns::transaction::Identity;
use klamm_core::wire::Uuid;
use klamm_core::wire::messages::txn_offset_commit::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use klamm_core::wire::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use klamm_core::{ErrorCode, Time};

fn told(partition_index: i32, error_code: ErrorCode) -> TxnOffsetCommitResponsePartition {
    TxnOffsetCommitResponsePartition { partition_index, error_code }
}

/// How the group coordinator names what it was told by the transaction coordinator, and what older versions do not know.
fn named(code: ErrorCode, version: i16) -> ErrorCode {
    match code {
        ErrorCode::PRODUCER_FENCED => ErrorCode::INVALID_PRODUCER_EPOCH,
        ErrorCode::TRANSACTION_ABORTABLE if version < 4 => ErrorCode::INVALID_TXN_STATE,
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS if version < 2 => ErrorCode::COORDINATOR_NOT_AVAILABLE,
        code => code,
    }
}

impl State {
    /// The checks in front of the partitions: the transaction first, then the group. `Ok(Some)`: come again then.
    fn check_in_transaction(
        &mut self,
        request: &TxnOffsetCommitRequest,
        call: &Call,
    ) -> Result<Option<Time>, ErrorCode> {
        let group = &request.group_id;
        self.check_group_for_offsets(call.broker, group)?;
        let partition = self.group_partition(group);
        let by = Identity { id: request.producer_id, epoch: request.producer_epoch };
        if self.groups.writer_epoch(partition, by.id).is_some_and(|epoch| by.epoch < epoch) {
            return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        if !self.groups.has_transaction(partition, by.id, by.epoch) {
            let places = [(OFFSETS.to_owned(), partition)];
            let question = Question { id: &request.transactional_id, by, places: &places, add: call.version >= 5 };
            match self.ask_coordinator(&question)? {
                Told::Later(at) => return Ok(Some(at)),
                Told::Now(codes) => {
                    if let Some(code) = codes.into_iter().find(|code| !code.is_ok()) {
                        return Err(code);
                    }
                }
            }
        }
        let generation = request.generation_id_or_member_epoch;
        let now = self.mono;
        match self.groups.get(group) {
            Some(known) => known.check_pending(generation, &request.member_id, request.group_instance_id.as_deref())?,
            None if generation < 0 => {
                self.groups.make(group, now);
            }
            None if call.version >= 6 => return Err(ErrorCode::GROUP_ID_NOT_FOUND),
            None => return Err(ErrorCode::ILLEGAL_GENERATION),
        }
        Ok(None)
    }

    fn keep_pending(
        &mut self,
        request: &TxnOffsetCommitRequest,
        name: &str,
        p: &TxnOffsetCommitRequestPartition,
    ) -> ErrorCode {
        let committed = match to_keep(p.committed_offset, p.committed_leader_epoch, p.committed_metadata.as_deref()) {
            Ok(committed) => committed,
            Err(code) => return code,
        };
        let partition = self.group_partition(&request.group_id);
        let by = (request.producer_id, request.producer_epoch);
        let place = (name.to_owned(), p.partition_index);
        self.groups.commit_pending((&request.group_id, partition), by, place, committed);
        ErrorCode::NONE
    }

    /// The request, as often as it takes until the transaction coordinator has answered.
    pub(crate) fn commit_in_transaction(
        &mut self,
        request: TxnOffsetCommitRequest,
        call: &Call,
        since: Time,
    ) -> Answer<TxnOffsetCommitResponse> {
        let mut topics: Vec<TxnOffsetCommitResponseTopic> = Vec::new();
        let mut good: Vec<(usize, String, &TxnOffsetCommitRequestPartition)> = Vec::new();
        for (at, topic) in request.topics.iter().enumerate() {
            let found = self.committed_topic(&topic.name, topic.topic_id, call.version >= 6);
            let mut partitions = Vec::new();
            for p in &topic.partitions {
                match self.committed_partition(&found, p.partition_index) {
                    Ok(name) => good.push((at, name, p)),
                    Err(code) => partitions.push(told(p.partition_index, code)),
                }
            }
            topics.push(TxnOffsetCommitResponseTopic {
                name: topic.name.clone(),
                topic_id: topic.topic_id,
                partitions,
            });
        }
        if !good.is_empty() {
            let checked = match self.check_in_transaction(&request, call) {
                Ok(Some(at)) => {
                    drop(good);
                    let held = Held { at, since, call: call.clone(), what: Write::Offsets(request) };
                    self.parked.held.insert(call.ticket, held);
                    return Answer::Parked;
                }
                Ok(None) => Ok(()),
                Err(code) => Err(named(code, call.version)),
            };
            for (at, name, p) in good {
                let code = match checked {
                    Ok(()) => self.keep_pending(&request, &name, p),
                    Err(code) => code,
                };
                topics[at].partitions.push(told(p.partition_index, code));
            }
        }
        Answer::Now(TxnOffsetCommitResponse { topics, ..Default::default() })
    }
}

impl Serve for TxnOffsetCommitRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<TxnOffsetCommitResponse> {
        state.commit_in_transaction(self, call, call.now.mono)
    }

    fn refuse(&self, code: ErrorCode) -> TxnOffsetCommitResponse {
        let topics = self.topics.iter().map(|topic| TxnOffsetCommitResponseTopic {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: topic.partitions.iter().map(|p| told(p.partition_index, code)).collect(),
        });
        TxnOffsetCommitResponse { topics: topics.collect(), ..Default::default() }
    }

    fn names(&self, topic: &str, id: Option<Uuid>) -> bool {
        self.topics.iter().any(|t| t.name == topic || Some(t.topic_id) == id)
    }
}

impl Respond for TxnOffsetCommitResponse {
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
