//! Transactions: who writes to a partition, which ids are known, and the end of what nobody else ends.

use super::types::{AbortTransactionSpec, FencedProducer, ProducerState, TransactionDescription, TransactionListing};
use super::{Answer, Value};
use crate::client::TopicPartition;
use crate::client::role::Response;
use crate::wire::messages::describe_producers::{DescribeProducersRequestTopic, DescribedProducer};
use crate::wire::messages::describe_transactions::DescribedTransaction;
use crate::wire::messages::write_txn_markers::{WritableTxnMarker, WritableTxnMarkerTopic};
use crate::wire::messages::{
    DescribeProducersRequest, DescribeTransactionsRequest, InitProducerIdRequest, ListTransactionsRequest,
    WriteTxnMarkersRequest,
};
use crate::{BrokerId, Error, Timestamp};
use std::sync::Arc;
use std::time::Duration;

const FIRST_WITH_DURATION: i16 = 1;
const FIRST_WITH_PATTERN: i16 = 2;

pub(super) fn producers(partitions: &[TopicPartition], which: &[usize]) -> DescribeProducersRequest {
    let mut topics: Vec<DescribeProducersRequestTopic> = Vec::new();
    for place in which.iter().filter_map(|n| partitions.get(*n)) {
        match topics.iter_mut().find(|t| *t.name == *place.topic) {
            Some(topic) => topic.partition_indexes.push(place.partition),
            None => topics.push(DescribeProducersRequestTopic {
                name: place.topic.to_string(),
                partition_indexes: vec![place.partition],
            }),
        }
    }
    DescribeProducersRequest { topics }
}

pub(super) fn producers_described(
    response: &Response,
    partitions: &[TopicPartition],
    which: &[usize],
) -> Result<Vec<Answer>, Error> {
    let mut answers = Vec::new();
    for topic in response.decode::<DescribeProducersRequest>()?.topics {
        for told in topic.partitions {
            let is = |p: &TopicPartition| *p.topic == *topic.name && p.partition == told.partition_index;
            let Some(n) = which.iter().find(|n| partitions.get(**n).is_some_and(is)) else { continue };
            let producers = told.active_producers.iter().map(producer).collect();
            answers.push(Answer::new(*n, told.error_code, told.error_message, Value::Producers(producers)));
        }
    }
    Ok(answers)
}

fn producer(told: &DescribedProducer) -> ProducerState {
    ProducerState {
        producer_id: told.producer_id,
        producer_epoch: told.producer_epoch,
        last_sequence: Some(told.last_sequence).filter(|n| *n >= 0),
        last_timestamp: Some(Timestamp(told.last_timestamp)).filter(|t| t.0 >= 0),
        coordinator_epoch: Some(told.coordinator_epoch).filter(|n| *n >= 0),
        current_transaction_start: Some(told.current_txn_start_offset).filter(|n| *n >= 0),
    }
}

pub(super) fn describe(ids: &[Arc<str>], which: &[usize]) -> DescribeTransactionsRequest {
    let transactional_ids = which.iter().filter_map(|n| ids.get(*n)).map(|id| id.to_string()).collect();
    DescribeTransactionsRequest { transactional_ids }
}

pub(super) fn described(
    response: &Response,
    ids: &[Arc<str>],
    which: &[usize],
    coordinator: BrokerId,
) -> Result<Vec<Answer>, Error> {
    let mut answers = Vec::new();
    for told in response.decode::<DescribeTransactionsRequest>()?.transaction_states {
        let Some(n) = which.iter().find(|n| ids.get(**n).is_some_and(|id| **id == *told.transactional_id)) else {
            continue;
        };
        answers.push(Answer::new(*n, told.error_code, None, Value::Transaction(description(told, coordinator))));
    }
    Ok(answers)
}

fn description(told: DescribedTransaction, coordinator: BrokerId) -> TransactionDescription {
    let partitions = told.topics.into_iter().flat_map(|t| {
        let topic: Arc<str> = t.topic.into();
        t.partitions.into_iter().map(move |partition| TopicPartition { topic: topic.clone(), partition })
    });
    TransactionDescription {
        transactional_id: told.transactional_id.into(),
        coordinator: coordinator.0,
        state: told.transaction_state.into(),
        producer_id: told.producer_id,
        producer_epoch: told.producer_epoch,
        timeout: Duration::from_millis(u64::try_from(told.transaction_timeout_ms).unwrap_or(0)),
        start: Some(Timestamp(told.transaction_start_time_ms)).filter(|t| t.0 >= 0),
        partitions: partitions.collect(),
    }
}

/// Which transactional ids are to be listed.
pub(super) struct Filter<'a> {
    pub(super) states: &'a [Arc<str>],
    pub(super) producer_ids: &'a [i64],
    pub(super) open_for: Option<Duration>,
    pub(super) pattern: &'a Option<Arc<str>>,
}

pub(super) fn list(filter: &Filter<'_>, version: i16) -> ListTransactionsRequest {
    let millis = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
    let mut request = ListTransactionsRequest {
        state_filters: filter.states.iter().map(|s| s.to_string()).collect(),
        producer_id_filters: filter.producer_ids.to_vec(),
        ..Default::default()
    };
    if version >= FIRST_WITH_DURATION {
        request.duration_filter = filter.open_for.map_or(-1, millis);
    }
    if version >= FIRST_WITH_PATTERN {
        request.transactional_id_pattern = filter.pattern.as_ref().map(|p| p.to_string());
    }
    request
}

pub(super) fn listed(response: &Response, which: &[usize], broker: BrokerId) -> Result<Vec<Answer>, Error> {
    let answer = response.decode::<ListTransactionsRequest>()?;
    let listings = answer.transaction_states.into_iter().map(|told| TransactionListing {
        transactional_id: told.transactional_id.into(),
        producer_id: told.producer_id,
        state: told.transaction_state.into(),
        coordinator: broker.0,
    });
    let n = which.first().copied().unwrap_or(0);
    Ok(vec![Answer::new(n, answer.error_code, None, Value::Transactions(listings.collect()))])
}

pub(super) fn abort(spec: &AbortTransactionSpec) -> WriteTxnMarkersRequest {
    let topic = WritableTxnMarkerTopic {
        name: spec.partition.topic.to_string(),
        partition_indexes: vec![spec.partition.partition],
    };
    let marker = WritableTxnMarker {
        producer_id: spec.producer_id,
        producer_epoch: spec.producer_epoch,
        transaction_result: false,
        topics: vec![topic],
        coordinator_epoch: spec.coordinator_epoch,
        // By version 2 a marker has an epoch above the producer's, which only a coordinator can give it (KIP-1228).
        transaction_version: 0,
    };
    WriteTxnMarkersRequest { markers: vec![marker] }
}

pub(super) fn aborted(response: &Response, spec: &AbortTransactionSpec, which: &[usize]) -> Result<Vec<Answer>, Error> {
    let answer = response.decode_whole::<WriteTxnMarkersRequest>()?;
    let markers = answer.markers.into_iter().filter(|m| m.producer_id == spec.producer_id);
    let topics = markers.flat_map(|m| m.topics).filter(|t| *t.name == *spec.partition.topic);
    let told = topics.flat_map(|t| t.partitions).find(|p| p.partition_index == spec.partition.partition);
    let n = which.first().copied().unwrap_or(0);
    Ok(told.map(|p| Answer::new(n, p.error_code, None, Value::Unit)).into_iter().collect())
}

pub(super) fn fence(ids: &[Arc<str>], which: &[usize], millis: i32) -> InitProducerIdRequest {
    let id = which.first().and_then(|n| ids.get(*n));
    InitProducerIdRequest {
        transactional_id: id.map(|id| id.to_string()),
        // It is the timeout of a transaction that nobody begins, but brokers want one.
        transaction_timeout_ms: millis,
        ..Default::default()
    }
}

pub(super) fn fenced(response: &Response, which: &[usize]) -> Result<Vec<Answer>, Error> {
    let answer = response.decode::<InitProducerIdRequest>()?;
    let fenced = FencedProducer { producer_id: answer.producer_id, producer_epoch: answer.producer_epoch };
    let n = which.first().copied().unwrap_or(0);
    Ok(vec![Answer::new(n, answer.error_code, None, Value::Fenced(fenced))])
}
