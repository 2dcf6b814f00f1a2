//! Requests as they come over the wire, carried out by the brokers of the model, and their answers.

use super::brokers::{Brokers, Seen, Who};
use crate::ErrorCode;
use crate::client::role::Request;
use crate::metadata::Names;
use crate::record::{BatchHeader, HEADER_LEN, Records, RecordsInfo};
use crate::wire::messages::add_partitions_to_txn::{AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult};
use crate::wire::messages::produce::{PartitionProduceResponse, TopicProduceResponse};
use crate::wire::messages::txn_offset_commit::{TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic};
use crate::wire::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    EndTxnRequest, EndTxnResponse, InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse,
    TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use crate::wire::{ApiKey, Message, Reader, Writer};

/// From here on Produce adds partitions, TxnOffsetCommit its group, and EndTxn brings an epoch.
const PRODUCE_ADDS: i16 = 12;
const OFFSETS_ADD: i16 = 5;
const END_BUMPS: i16 = 5;

/// A request, read.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    Init(Option<Who>),
    Add(Who, Vec<usize>),
    Group(Who),
    Offset(Who, i64),
    End(Who, bool),
    Produce(Vec<(usize, Seen)>),
}

/// How the brokers' answer is spoilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoil {
    Nothing,
    /// Refused.
    Before(ErrorCode),
    /// Done, and refused.
    After(ErrorCode),
}

fn who(id: i64, epoch: i16) -> Option<Who> {
    (id >= 0).then_some((id, epoch))
}

/// Reads a request.
pub(super) fn read(request: &Request, names: &Names) -> Asked {
    let body = request.body.concat();
    let (mut body, version) = (Reader::new(&body), request.version);
    let place = |name: &str, n: i32| names.place(names.find(name, n).expect("a known partition")).1 as usize;
    match request.api {
        ApiKey::INIT_PRODUCER_ID => {
            let it = InitProducerIdRequest::decode(&mut body, version).unwrap();
            Asked::Init(who(it.producer_id, it.producer_epoch))
        }
        ApiKey::ADD_PARTITIONS_TO_TXN => {
            let it = AddPartitionsToTxnRequest::decode(&mut body, version).unwrap();
            let topics = &it.v3_and_below_topics;
            let all = topics.iter().flat_map(|t| t.partitions.iter().map(|n| place(&t.name, *n)));
            Asked::Add((it.v3_and_below_producer_id, it.v3_and_below_producer_epoch), all.collect())
        }
        ApiKey::ADD_OFFSETS_TO_TXN => {
            let it = AddOffsetsToTxnRequest::decode(&mut body, version).unwrap();
            Asked::Group((it.producer_id, it.producer_epoch))
        }
        ApiKey::TXN_OFFSET_COMMIT => {
            let it = TxnOffsetCommitRequest::decode(&mut body, version).unwrap();
            assert_eq!((it.generation_id_or_member_epoch, it.member_id.as_str()), (3, "m"), "KIP-447");
            Asked::Offset((it.producer_id, it.producer_epoch), it.topics[0].partitions[0].committed_offset)
        }
        ApiKey::END_TXN => {
            let it = EndTxnRequest::decode(&mut body, version).unwrap();
            Asked::End((it.producer_id, it.producer_epoch), it.committed)
        }
        ApiKey::PRODUCE => {
            let it = ProduceRequest::decode(&mut body, version).unwrap();
            assert_eq!(it.transactional_id.as_deref(), Some("tx"));
            let parts = it.topic_data.iter().flat_map(|t| t.partition_data.iter().map(|p| (&t.name, p)));
            let seen = |(name, part): (&String, &crate::wire::messages::produce::PartitionProduceData)| {
                (place(name, part.index), batch(part.records.as_ref().unwrap()))
            };
            Asked::Produce(parts.map(seen).collect())
        }
        other => panic!("{other:?} is none of a transaction's"),
    }
}

fn batch(bytes: &[u8]) -> Seen {
    let header = BatchHeader::parse(bytes).expect("a batch header");
    header.check_crc(bytes).expect("a checksum");
    assert!(header.attributes.is_transactional());
    let first = Records::new(&bytes[HEADER_LEN..], RecordsInfo::from(&header)).next().unwrap().unwrap();
    let text = std::str::from_utf8(first.value.unwrap()).unwrap();
    Seen {
        who: (header.stamp.producer_id, header.stamp.epoch),
        base: header.stamp.base_sequence,
        count: header.count,
        no: text.split_once('.').unwrap().0.parse().unwrap(),
    }
}

fn write(message: &impl Message, version: i16) -> Vec<u8> {
    let mut w = Writer::new();
    message.encode(&mut w, version).expect("an answer");
    w.into_vec()
}

fn code<T>(spoil: Spoil, call: impl FnOnce() -> Result<T, ErrorCode>) -> Result<T, ErrorCode> {
    match spoil {
        Spoil::Nothing => call(),
        Spoil::Before(code) => Err(code),
        Spoil::After(code) => call().and(Err(code)),
    }
}

/// Carries a request out and gives the answer. `led`: whether this broker leads a partition.
pub(super) fn serve(
    brokers: &mut Brokers,
    asked: &Asked,
    version: i16,
    spoil: Spoil,
    late: bool,
    led: impl Fn(usize) -> bool,
) -> Vec<u8> {
    let of = |result: Result<(), ErrorCode>| result.err().unwrap_or(ErrorCode::NONE);
    match asked {
        Asked::Init(from) => {
            let said = code(spoil, || brokers.init(*from));
            let (error_code, (id, epoch)) = said.map_or_else(|code| (code, (-1, -1)), |who| (ErrorCode::NONE, who));
            let answer =
                InitProducerIdResponse { error_code, producer_id: id, producer_epoch: epoch, ..Default::default() };
            write(&answer, version)
        }
        Asked::Add(who, partitions) => {
            let error = of(code(spoil, || brokers.add(*who, partitions)));
            // A code that is one partition's leaves the others unattempted.
            let each = |at: &usize| AddPartitionsToTxnPartitionResult {
                partition_index: i32::try_from(*at).unwrap(),
                partition_error_code: match error {
                    ErrorCode::TOPIC_AUTHORIZATION_FAILED if *at != partitions[0] => ErrorCode::OPERATION_NOT_ATTEMPTED,
                    other => other,
                },
            };
            let topic = AddPartitionsToTxnTopicResult {
                name: "t".into(),
                results_by_partition: partitions.iter().map(each).collect(),
            };
            let answer =
                AddPartitionsToTxnResponse { results_by_topic_v3_and_below: vec![topic], ..Default::default() };
            write(&answer, version)
        }
        Asked::Group(who) => {
            let error_code = of(code(spoil, || brokers.add_group(*who)));
            write(&AddOffsetsToTxnResponse { error_code, ..Default::default() }, version)
        }
        Asked::Offset(who, offset) => {
            let error_code = of(code(spoil, || brokers.commit_offset(*who, *offset, version >= OFFSETS_ADD)));
            let part = TxnOffsetCommitResponsePartition { partition_index: 0, error_code };
            let topic = TxnOffsetCommitResponseTopic { name: "t".into(), partitions: vec![part], ..Default::default() };
            write(&TxnOffsetCommitResponse { topics: vec![topic], ..Default::default() }, version)
        }
        Asked::End(who, commit) => {
            let said = code(spoil, || brokers.end(*who, *commit, version >= END_BUMPS));
            let error_code = said.err().unwrap_or(ErrorCode::NONE);
            let mut answer = EndTxnResponse { error_code, ..Default::default() };
            if version >= END_BUMPS {
                (answer.producer_id, answer.producer_epoch) = said.ok().flatten().unwrap_or((-1, -1));
            }
            write(&answer, version)
        }
        Asked::Produce(parts) => {
            let mut each = Vec::new();
            for (at, seen) in parts {
                let said = match led(*at) {
                    true => code(spoil, || brokers.produce(*at, seen, version >= PRODUCE_ADDS, late)),
                    false => Err(ErrorCode::NOT_LEADER_OR_FOLLOWER),
                };
                let base_offset = if said.is_ok() { 0 } else { -1 };
                each.push(PartitionProduceResponse {
                    index: i32::try_from(*at).unwrap(),
                    error_code: of(said),
                    base_offset,
                    ..Default::default()
                });
            }
            let topic = TopicProduceResponse { name: "t".into(), partition_responses: each, ..Default::default() };
            write(&ProduceResponse { responses: vec![topic], ..Default::default() }, version)
        }
    }
}
