//! The requests of a transaction, and what their answers say of each part.

use super::{GroupOffset, GroupOffsets, Protocol, Transaction};
use crate::client::GroupMeta;
use crate::client::role::{LinkFacts, Request, Response, Tag};
use crate::metadata::Names;
use crate::producer::sequence::Identity;
use crate::wire::messages::add_partitions_to_txn::AddPartitionsToTxnTopic;
use crate::wire::messages::txn_offset_commit::{TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic};
use crate::wire::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest, InitProducerIdRequest, TxnOffsetCommitRequest,
};
use crate::wire::{self, Request as _, Uuid};
use crate::{Error, ErrorCode, PartitionIx, TopicIx};
use std::collections::BTreeMap;
use std::time::Duration;

/// From here on InitProducerId takes the id and epoch to go on from (KIP-360).
const FIRST_WITH_EPOCH: i16 = 3;
/// InitProducerId 6 is for two-phase commit (KIP-939), and unstable.
const LAST_INIT: i16 = 5;
const TWO_PHASE_INIT: i16 = 6;
/// Later versions of AddPartitionsToTxn are for brokers among themselves.
const LAST_ADD: i16 = 3;
/// From here on EndTxn brings the next epoch.
const FIRST_END_V2: i16 = 5;
/// From here on TxnOffsetCommit adds the group by itself.
const FIRST_OFFSETS_V2: i16 = 5;
/// From here on it names topics by their ids only (KIP-1319).
const FIRST_OFFSETS_BY_ID: i16 = 6;
/// From here on it names the member (KIP-447).
const FIRST_WITH_MEMBER: i16 = 3;

/// Versions of Produce up to here leave partitions to AddPartitionsToTxn.
pub(crate) const LAST_PRODUCE_V1: i16 = 11;

/// How a request is addressed: its name among our own, the link it goes over, how long its answer may take.
pub(super) struct Address<'a> {
    pub(super) tag: Tag,
    pub(super) link: &'a LinkFacts<'a>,
    pub(super) timeout: Duration,
}

impl Address<'_> {
    fn request<R: wire::Request>(&self, message: &R, min: i16, max: i16) -> Result<Request, Error> {
        let version = self.link.versions.pick(R::KEY, R::MIN.max(min), R::MAX.min(max));
        let version = version.ok_or_else(|| self.link.unsupported::<R>())?;
        Request::versioned(self.tag, message, version, self.timeout)
    }

    /// Whether the broker can give a new epoch for one that cannot be used any more.
    pub(super) fn can_bump(&self) -> bool {
        self.link.version::<InitProducerIdRequest>().is_some_and(|version| version >= FIRST_WITH_EPOCH)
    }
}

/// A producer id for this transactional id, or the next epoch for `from`.
pub(super) fn init(to: &Address<'_>, txn: &Transaction, from: Option<Identity>) -> Result<Request, Error> {
    let message = InitProducerIdRequest {
        transactional_id: Some(txn.id.to_string()),
        transaction_timeout_ms: i32::try_from(txn.timeout.as_millis()).unwrap_or(i32::MAX),
        producer_id: from.map_or(-1, |who| who.id),
        producer_epoch: from.map_or(-1, |who| who.epoch),
        // With each: one without it would give the transactions a time-out.
        enable2_pc: txn.two_phase,
        keep_prepared_txn: txn.keep,
    };
    if !txn.two_phase {
        return to.request(&message, 0, LAST_INIT);
    }
    to.request(&message, TWO_PHASE_INIT, TWO_PHASE_INIT).map_err(|error| {
        error.with_hint(
            "transaction.two.phase.commit.enable needs brokers that offer InitProducerId 6: Kafka 4 with              unstable.api.versions.enable=true",
        )
    })
}

/// Adds partitions.
pub(super) fn add_partitions(
    to: &Address<'_>,
    txn: &Transaction,
    who: Identity,
    partitions: &[PartitionIx],
    names: &Names,
) -> Result<Request, Error> {
    let mut topics: BTreeMap<TopicIx, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        let (topic, number) = names.place(*partition);
        topics.entry(topic).or_default().push(number);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        let name = names.topic_name(topic).to_string();
        AddPartitionsToTxnTopic { name, partitions }
    });
    let message = AddPartitionsToTxnRequest {
        v3_and_below_transactional_id: txn.id.to_string(),
        v3_and_below_producer_id: who.id,
        v3_and_below_producer_epoch: who.epoch,
        v3_and_below_topics: topics.collect(),
        ..Default::default()
    };
    to.request(&message, 0, LAST_ADD)
}

/// What AddPartitionsToTxn says of each partition; what it leaves out has no entry.
pub(super) fn added(response: &Response, names: &Names) -> Result<Codes<PartitionIx>, Error> {
    let answer = response.decode::<AddPartitionsToTxnRequest>()?;
    let mut codes = BTreeMap::new();
    for topic in &answer.results_by_topic_v3_and_below {
        for part in &topic.results_by_partition {
            if let Some(ix) = names.find(&topic.name, part.partition_index) {
                codes.insert(ix, part.partition_error_code);
            }
        }
    }
    Ok((codes, answer.throttle_time_ms))
}

/// Adds a group.
pub(super) fn add_offsets(to: &Address<'_>, txn: &Transaction, who: Identity, group: &str) -> Result<Request, Error> {
    let message = AddOffsetsToTxnRequest {
        transactional_id: txn.id.to_string(),
        producer_id: who.id,
        producer_epoch: who.epoch,
        group_id: group.to_owned(),
    };
    to.request(&message, 0, i16::MAX)
}

/// Hands a group's offsets to its coordinator.
pub(super) fn commit_offsets(
    to: &Address<'_>,
    txn: &Transaction,
    who: Identity,
    offsets: &GroupOffsets,
    names: &Names,
) -> Result<Request, Error> {
    let mut topics: BTreeMap<(TopicIx, Uuid), Vec<TxnOffsetCommitRequestPartition>> = BTreeMap::new();
    for GroupOffset { place, topic_id, offset } in &offsets.left {
        topics.entry((place.0, *topic_id)).or_default().push(TxnOffsetCommitRequestPartition {
            partition_index: place.1,
            committed_offset: offset.offset,
            committed_leader_epoch: offset.leader_epoch,
            committed_metadata: Some(offset.metadata.to_string()),
        });
    }
    let by_id = topics.keys().all(|(_, id)| !id.is_zero());
    let topics = topics.into_iter().map(|((topic, topic_id), partitions)| {
        let name = names.topic_name(topic).to_string();
        TxnOffsetCommitRequestTopic { name, topic_id, partitions }
    });
    let mut message = TxnOffsetCommitRequest {
        transactional_id: txn.id.to_string(),
        group_id: offsets.group.group.to_string(),
        producer_id: who.id,
        producer_epoch: who.epoch,
        topics: topics.collect(),
        ..Default::default()
    };
    let (min, max) = match txn.protocol {
        Protocol::V1 => (0, FIRST_OFFSETS_V2 - 1),
        // One topic without an id, and all go by their names.
        Protocol::V2 if by_id => (FIRST_OFFSETS_V2, FIRST_OFFSETS_BY_ID),
        Protocol::V2 => (FIRST_OFFSETS_V2, FIRST_OFFSETS_BY_ID - 1),
    };
    let GroupMeta { generation, member, instance, .. } = &offsets.group;
    if to.link.versions.pick(TxnOffsetCommitRequest::KEY, FIRST_WITH_MEMBER, max).is_some() {
        message.generation_id_or_member_epoch = *generation;
        message.member_id = member.to_string();
        message.group_instance_id = instance.as_ref().map(ToString::to_string);
    } else if *generation >= 0 {
        // As Java (TxnOffsetCommitRequest.Builder): a member that has lost its partitions would not be fenced.
        let text = format!("broker {} does not fence members of groups out of transactions", to.link.broker);
        let hint = "brokers from 2.5 on do (KIP-447); with older ones assign partitions by hand and commit their offsets as \
                    from outside of the group";
        return Err(to.link.unsupported::<TxnOffsetCommitRequest>().with_subject(text).with_hint(hint));
    }
    to.request(&message, min, max)
}

/// What an answer says of each place, and for how long to hold back.
type Codes<P> = (BTreeMap<P, ErrorCode>, i32);

/// What TxnOffsetCommit says of each partition of those that were `asked`.
pub(super) fn committed(
    response: &Response,
    asked: &[GroupOffset],
    names: &Names,
) -> Result<Codes<(TopicIx, i32)>, Error> {
    let answer = response.decode::<TxnOffsetCommitRequest>()?;
    let mut codes = BTreeMap::new();
    for topic in &answer.topics {
        let by_id = || asked.iter().find(|o| o.topic_id == topic.topic_id).map(|o| o.place.0);
        let ix = if topic.topic_id.is_zero() { names.find_topic(&topic.name) } else { by_id() };
        let Some(ix) = ix else { continue };
        codes.extend(topic.partitions.iter().map(|part| ((ix, part.partition_index), part.error_code)));
    }
    Ok((codes, answer.throttle_time_ms))
}

/// Ends the transaction.
pub(super) fn end(to: &Address<'_>, txn: &Transaction, who: Identity, commit: bool) -> Result<Request, Error> {
    let message = EndTxnRequest {
        transactional_id: txn.id.to_string(),
        producer_id: who.id,
        producer_epoch: who.epoch,
        committed: commit,
    };
    match txn.protocol {
        Protocol::V1 => to.request(&message, 0, FIRST_END_V2 - 1),
        Protocol::V2 => to.request(&message, FIRST_END_V2, i16::MAX),
    }
}
