//! AddPartitionsToTxn: versions 0 to 3 of producers, 4 and 5 of brokers (broker-coord 5.4).

use super::init_producer_id::named_since;
use super::spoil;
use crate::answer::{Answer, Call, Respond, Serve};
use crate::state::State;
use crate::topics::is_internal;
use crate::txns::Reply;
use crate::txns::transaction::{Identity, Place};
use klamm_core::ErrorCode;
use klamm_core::wire::Uuid;
use klamm_core::wire::messages::add_partitions_to_txn::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopic,
    AddPartitionsToTxnTopicResult, AddPartitionsToTxnTransaction,
};
use klamm_core::wire::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};

type Topics = [AddPartitionsToTxnTopic];

/// An answer with a code of its own for each partition.
fn told(topics: &Topics, mut code: impl FnMut(&str, i32) -> ErrorCode) -> Vec<AddPartitionsToTxnTopicResult> {
    let mut out = Vec::with_capacity(topics.len());
    for topic in topics {
        let partition = |index: &i32| AddPartitionsToTxnPartitionResult {
            partition_index: *index,
            partition_error_code: code(&topic.name, *index),
        };
        let results_by_partition = topic.partitions.iter().map(partition).collect();
        out.push(AddPartitionsToTxnTopicResult { name: topic.name.clone(), results_by_partition });
    }
    out
}

fn old_form(results: Vec<AddPartitionsToTxnTopicResult>) -> AddPartitionsToTxnResponse {
    AddPartitionsToTxnResponse { results_by_topic_v3_and_below: results, ..Default::default() }
}

fn places(topics: &Topics) -> Vec<Place> {
    topics.iter().flat_map(|t| t.partitions.iter().map(|p| (t.name.clone(), *p))).collect()
}

impl State {
    /// Why a partition cannot belong to a transaction.
    fn reason(&self, topic: &str, index: i32) -> ErrorCode {
        if is_internal(topic) {
            return ErrorCode::TOPIC_AUTHORIZATION_FAILED;
        }
        match self.topics.get(topic).and_then(|t| t.partition(index)) {
            Some(_) => ErrorCode::NONE,
            None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        }
    }

    /// Versions 4 and 5: one transaction of several.
    fn join_one(&mut self, asked: &AddPartitionsToTxnTransaction, call: &Call) -> AddPartitionsToTxnResult {
        let by = Identity { id: asked.producer_id, epoch: asked.producer_epoch };
        let places = places(&asked.topics);
        let id = &asked.transactional_id;
        let codes = match self.coordinates_transaction(call.broker, id) {
            Err(code) => Err(code),
            Ok(()) if id.is_empty() => Err(ErrorCode::INVALID_REQUEST),
            Ok(()) if asked.verify_only => match self.txns.get(id) {
                None => Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING),
                Some(is) => is.verify(by, &places),
            },
            // Answered when it is decided: only brokers ask this way, and those of this cluster do not ask by wire.
            Ok(()) => self.add_to_transaction(id, by, &places, None).map(|_| vec![ErrorCode::NONE; places.len()]),
        };
        let mut at = 0;
        let topic_results = told(&asked.topics, |_, _| {
            at += 1;
            // Before version 5 there was no abortable error.
            let code = codes.as_ref().map_or_else(|code| *code, |codes| codes[at - 1]);
            if code == ErrorCode::TRANSACTION_ABORTABLE && call.version < 5 {
                ErrorCode::INVALID_TXN_STATE
            } else {
                code
            }
        });
        AddPartitionsToTxnResult { transactional_id: id.clone(), topic_results }
    }
}

impl Serve for AddPartitionsToTxnRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<AddPartitionsToTxnResponse> {
        if call.version >= 4 {
            let results_by_transaction = self.transactions.iter().map(|t| state.join_one(t, call)).collect();
            return Answer::Now(AddPartitionsToTxnResponse { results_by_transaction, ..Default::default() });
        }
        let topics = &self.v3_and_below_topics;
        let places = places(topics);
        // One that is refused keeps all of them out.
        if places.iter().any(|(topic, index)| !state.reason(topic, *index).is_ok()) {
            return Answer::Now(old_form(told(topics, |topic, index| match state.reason(topic, index) {
                ErrorCode::NONE => ErrorCode::OPERATION_NOT_ATTEMPTED,
                code => code,
            })));
        }
        let id = &self.v3_and_below_transactional_id;
        let by = Identity { id: self.v3_and_below_producer_id, epoch: self.v3_and_below_producer_epoch };
        let reply = (call.ticket, Reply::AddPartitions(old_form(told(topics, |_, _| ErrorCode::NONE))));
        let added = match id.is_empty() {
            true => Err(ErrorCode::INVALID_REQUEST),
            false => state
                .coordinates_transaction(call.broker, id)
                .and_then(|()| state.add_to_transaction(id, by, &places, Some(reply))),
        };
        match added {
            Ok(_) => Answer::Parked,
            Err(code) => Answer::Now(old_form(told(topics, |_, _| named_since(2, call.version, code)))),
        }
    }

    fn refuse(&self, code: ErrorCode) -> AddPartitionsToTxnResponse {
        let all = |topics: &Topics| told(topics, |_, _| code);
        let one = |t: &AddPartitionsToTxnTransaction| AddPartitionsToTxnResult {
            transactional_id: t.transactional_id.clone(),
            topic_results: all(&t.topics),
        };
        AddPartitionsToTxnResponse {
            results_by_transaction: self.transactions.iter().map(one).collect(),
            ..old_form(all(&self.v3_and_below_topics))
        }
    }

    fn names(&self, topic: &str, _id: Option<Uuid>) -> bool {
        self.v3_and_below_topics.iter().any(|t| t.name == topic)
    }
}

impl Respond for AddPartitionsToTxnResponse {
    fn fail(&mut self, code: ErrorCode) {
        let new = self.results_by_transaction.iter_mut().flat_map(|t| &mut t.topic_results);
        for topic in new.chain(&mut self.results_by_topic_v3_and_below) {
            for partition in &mut topic.results_by_partition {
                spoil(&mut partition.partition_error_code, code);
            }
        }
    }
    fn omit(&mut self) {
        self.results_by_transaction.pop();
        if let Some(topic) = self.results_by_topic_v3_and_below.last_mut() {
            topic.results_by_partition.pop();
        }
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
