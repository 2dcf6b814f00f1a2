//! A hand-driven transactional producer.

use super::{Batch, Lab, fetch, fetched, produce};
use bytes::Bytes;
use klamm_cluster::Peer;
use klamm_core::ErrorCode;
use klamm_core::wire::messages::add_partitions_to_txn::AddPartitionsToTxnTopic;
use klamm_core::wire::messages::txn_offset_commit::{TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic};
use klamm_core::wire::messages::*;

/// The transactional bit of a batch.
pub(crate) const TRANSACTIONAL: i16 = 16;

/// A transactional id with the identity that its owner holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) id: String,
    pub(crate) producer: i64,
    pub(crate) epoch: i16,
}

/// Who holds these, under the id `x`.
pub(crate) fn owner(producer: i64, epoch: i16) -> Owner {
    Owner { id: "x".to_owned(), producer, epoch }
}

impl Owner {
    /// The same with another epoch.
    pub(crate) fn at(&self, epoch: i16) -> Self {
        Self { epoch, ..self.clone() }
    }
}

/// Brokers with topic `t` (two partitions) and the topics of coordinators; on one broker everything is at broker 1.
pub(crate) fn lab(change: impl FnOnce(&mut klamm_cluster::Settings)) -> (Lab, Peer) {
    let mut lab = Lab::with(|s| {
        s.marker_delay = std::time::Duration::from_millis(10);
        change(s);
    });
    lab.brokers.create_topic(lab.now, "t", 2);
    let peer = lab.connect(1);
    for key_type in [0, 1] {
        let find = FindCoordinatorRequest { coordinator_keys: vec!["x".to_owned()], key_type, ..Default::default() };
        lab.ask(peer, &find, 4);
    }
    (lab, peer)
}

pub(crate) fn init(id: &str, producer: i64, epoch: i16) -> InitProducerIdRequest {
    InitProducerIdRequest {
        transactional_id: Some(id.to_owned()),
        transaction_timeout_ms: 60_000,
        producer_id: producer,
        producer_epoch: epoch,
        ..Default::default()
    }
}

/// Code, producer id and epoch of an InitProducerId.
pub(crate) fn identity(answer: &InitProducerIdResponse) -> (ErrorCode, i64, i16) {
    (answer.error_code, answer.producer_id, answer.producer_epoch)
}

impl Lab {
    /// A new owner of `x`.
    pub(crate) fn own(&mut self, peer: Peer) -> Owner {
        let answer = self.ask(peer, &init("x", -1, -1), 5);
        assert_eq!(answer.error_code, ErrorCode::NONE);
        owner(answer.producer_id, answer.producer_epoch)
    }

    /// AddPartitionsToTxn for partitions of `t`; the codes in their order.
    pub(crate) fn add(&mut self, peer: Peer, who: &Owner, partitions: &[i32], version: i16) -> Vec<ErrorCode> {
        let answer = self.ask(peer, &adds(who, "t", partitions), version);
        let results = answer.results_by_topic_v3_and_below.into_iter().flat_map(|t| t.results_by_partition);
        results.map(|p| p.partition_error_code).collect()
    }

    /// A record into a partition of `t` within a transaction.
    pub(crate) fn write(
        &mut self,
        peer: Peer,
        who: &Owner,
        partition: i32,
        sequence: i32,
        value: &str,
        version: i16,
    ) -> ErrorCode {
        let answer = self.ask(peer, &writes(who, partition, sequence, value), version);
        answer.responses[0].partition_responses[0].error_code
    }

    /// EndTxn: code, producer id and epoch.
    pub(crate) fn end(&mut self, peer: Peer, who: &Owner, commit: bool, version: i16) -> (ErrorCode, i64, i16) {
        let answer = self.ask(peer, &ends(who, commit), version);
        (answer.error_code, answer.producer_id, answer.producer_epoch)
    }

    /// What a reader of committed records gets of partition 0 of `t` from `offset` on: the raw records, the last stable
    /// offset, and the aborted transactions with their first offsets.
    pub(crate) fn read_committed(&mut self, peer: Peer, offset: i64) -> (Bytes, i64, Vec<(i64, i64)>) {
        let answer = self.ask(peer, &FetchRequest { isolation_level: 1, ..fetch("t", offset) }, 11);
        let (code, _, records) = fetched(&answer);
        assert_eq!(code, ErrorCode::NONE);
        let p = &answer.responses[0].partitions[0];
        let aborted = p.aborted_transactions.as_ref().expect("a list");
        (records, p.last_stable_offset, aborted.iter().map(|a| (a.producer_id, a.first_offset)).collect())
    }

    /// The values that readers of committed records see in `t`.
    pub(crate) fn values(&self) -> Vec<String> {
        let records = self.brokers.committed_records("t");
        let text = |v: bytes::Bytes| String::from_utf8(v.to_vec()).expect("text");
        records.into_iter().filter_map(|r| r.value).map(text).collect()
    }

    /// The state of `x` by name.
    pub(crate) fn state(&self) -> &'static str {
        self.brokers.transaction("x").map_or("", |(state, ..)| state)
    }
}

pub(crate) fn adds(who: &Owner, topic: &str, partitions: &[i32]) -> AddPartitionsToTxnRequest {
    AddPartitionsToTxnRequest {
        v3_and_below_transactional_id: who.id.clone(),
        v3_and_below_producer_id: who.producer,
        v3_and_below_producer_epoch: who.epoch,
        v3_and_below_topics: vec![AddPartitionsToTxnTopic { name: topic.to_owned(), partitions: partitions.to_vec() }],
        ..Default::default()
    }
}

pub(crate) fn ends(who: &Owner, committed: bool) -> EndTxnRequest {
    EndTxnRequest { transactional_id: who.id.clone(), producer_id: who.producer, producer_epoch: who.epoch, committed }
}

pub(crate) fn writes(who: &Owner, partition: i32, sequence: i32, value: &str) -> ProduceRequest {
    let mut batch = Batch::of(&[value]).by(who.producer, who.epoch, sequence);
    batch.attributes = TRANSACTIONAL;
    let mut request = produce("t", batch.bytes(), -1);
    request.transactional_id = Some(who.id.clone());
    request.topic_data[0].partition_data[0].index = partition;
    request
}

pub(crate) fn commits(who: &Owner, group: &str, offset: i64) -> TxnOffsetCommitRequest {
    TxnOffsetCommitRequest {
        transactional_id: who.id.clone(),
        group_id: group.to_owned(),
        producer_id: who.producer,
        producer_epoch: who.epoch,
        topics: vec![TxnOffsetCommitRequestTopic {
            name: "t".to_owned(),
            partitions: vec![TxnOffsetCommitRequestPartition { committed_offset: offset, ..Default::default() }],
            ..Default::default()
        }],
        ..Default::default()
    }
}
