//! Produce requests and their answers: built late, with the header of each batch stamped on the way out.

use super::handover::Batch;
use super::sequence::Stamp;
use crate::client::role::{LinkFacts, Request, Response, Tag};
use crate::config::Acks;
use crate::error::{Error, ErrorCode};
use crate::metadata::{Names, Node};
use crate::record::{self, BodyFacts, HEADER_LEN};
use crate::wire::messages::ProduceRequest;
use crate::wire::messages::produce::{PartitionProduceResponse, TopicProduceResponse};
use crate::wire::produce::{ProduceEntry, ProduceHead, encode_produce_body};
use crate::wire::{ApiKey, Message, Uuid};
use crate::{BatchNo, BrokerId, PartitionIx, TopicIx};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::time::Duration;

/// Topics are named by their ids from here on (KIP-1072).
const FIRST_WITH_IDS: i16 = 13;

/// Answers name a few bytes per partition, and the broken records of refused batches.
const LARGEST_ANSWER: usize = 16 << 20;

/// One batch of a request that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) partition: PartitionIx,
    pub(crate) place: (TopicIx, i32),
    pub(crate) topic_id: Uuid,
    pub(crate) no: BatchNo,
}

/// A batch that is to be put into a request.
pub(crate) struct Part {
    pub(crate) item: Item,
    pub(crate) stamp: Option<Stamp>,
    pub(crate) batch: Batch,
}

/// The version to speak with a broker; ids only if all topics have one.
pub(crate) fn version(link: &LinkFacts<'_>, all_ids: bool, highest: i16) -> Option<i16> {
    let max = if all_ids { ProduceRequest::MAX } else { FIRST_WITH_IDS - 1 };
    link.versions.pick(ApiKey::PRODUCE, ProduceRequest::MIN, max.min(highest))
}

/// Builds the request; `transaction` is the transactional id. Batches of one topic stand side by side in `parts`. Bodies are shared, never copied.
pub(crate) fn build(
    tag: Tag,
    version: i16,
    acks: Acks,
    timeout: Duration,
    transaction: Option<&str>,
    parts: &[Part],
    names: &Names,
) -> Result<Request, Error> {
    let headers: SmallVec<[[u8; HEADER_LEN]; 4]> =
        parts.iter().map(|part| header(part, transaction.is_some())).collect();
    let entries: SmallVec<[ProduceEntry<'_>; 4]> = parts
        .iter()
        .zip(&headers)
        .map(|(part, header)| ProduceEntry {
            topic: names.topic_name(part.item.place.0),
            topic_id: part.item.topic_id,
            partition: part.item.place.1,
            header,
            body: &part.batch.body,
        })
        .collect();
    let head = ProduceHead {
        version,
        correlation: 0,
        client_id: None,
        transactional_id: transaction,
        acks: acks.wire(),
        timeout_ms: i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
    };
    let mut body = SmallVec::with_capacity(2 * parts.len() + 1);
    encode_produce_body(&head, &entries, &mut body)
        .map_err(|e| Error::new(crate::ErrorKind::Unsupported, format!("a Produce request has no form: {e}")))?;
    let silent = acks == Acks::Zero;
    Ok(Request { tag, api: ApiKey::PRODUCE, version, body, timeout, silent, max_response: LARGEST_ANSWER })
}

/// The 61 bytes in front of a batch's records, with the stamp that it goes under.
fn header(part: &Part, transactional: bool) -> [u8; HEADER_LEN] {
    let batch = &part.batch;
    let facts = BodyFacts {
        crc: batch.crc,
        codec: batch.codec,
        count: batch.count,
        base_timestamp: batch.base_timestamp.0,
        max_timestamp: batch.max_timestamp.0,
    };
    let stamp = part.stamp.map_or(record::Stamp::NONE, |stamp| record::Stamp {
        producer_id: stamp.who.id,
        epoch: stamp.who.epoch,
        base_sequence: stamp.base,
    });
    facts.header(stamp, transactional)
}

/// What a broker said of one batch.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) code: ErrorCode,
    pub(crate) base_offset: i64,
    /// -1 if the records kept their own.
    pub(crate) append_time: i64,
    pub(crate) message: Option<String>,
    pub(crate) culprits: Vec<(u32, Option<String>)>,
    /// Who leads now, if the broker knows (KIP-951).
    pub(crate) leader: Option<(BrokerId, i32)>,
}

/// A whole answer: per batch of the request, in its order, what was said, if anything.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) said: Vec<Option<Said>>,
    pub(crate) throttle_ms: i32,
    pub(crate) endpoints: Vec<Node>,
}

/// Where a partition stands among the items of a request. Brokers mostly answer in the order in which they were asked, so the
/// place behind the last one is looked at first.
struct Places<'a> {
    items: &'a [Item],
    next: usize,
    all: Option<BTreeMap<(TopicIx, i32), usize>>,
}

impl Places<'_> {
    fn find(&mut self, place: (TopicIx, i32)) -> Option<usize> {
        let at = match self.items.get(self.next) {
            Some(item) if item.place == place => self.next,
            _ => {
                let items = self.items;
                let all = || items.iter().enumerate().map(|(i, item)| (item.place, i)).collect();
                *self.all.get_or_insert_with(all).get(&place)?
            }
        };
        self.next = at + 1;
        Some(at)
    }
}

/// Reads an answer. Brokers name the partitions in any order; parts that nobody asked for are no harm.
pub(crate) fn parse(response: &Response, items: &[Item], names: &Names) -> Result<Parsed, Error> {
    let answer = response.decode_whole::<ProduceRequest>()?;
    let mut places = Places { items, next: 0, all: None };
    let mut said: Vec<Option<Said>> = vec![None; items.len()];
    for topic in answer.responses {
        let Some(ix) = topic_ix(&topic, items, names) else { continue };
        for part in topic.partition_responses {
            let slot = places.find((ix, part.index)).and_then(|i| said.get_mut(i));
            if let Some(slot @ None) = slot {
                *slot = Some(read(part));
            }
        }
    }
    let endpoints = answer.node_endpoints.into_iter().filter_map(|node| {
        let port = u16::try_from(node.port).ok().filter(|port| *port > 0)?;
        Some(Node { id: node.node_id, host: node.host.into(), port, rack: node.rack.map(Into::into) })
    });
    Ok(Parsed { said, throttle_ms: answer.throttle_time_ms, endpoints: endpoints.collect() })
}

fn topic_ix(topic: &TopicProduceResponse, items: &[Item], names: &Names) -> Option<TopicIx> {
    if topic.topic_id.is_zero() {
        return names.find_topic(&topic.name);
    }
    items.iter().find(|item| item.topic_id == topic.topic_id).map(|item| item.place.0)
}

fn read(part: PartitionProduceResponse) -> Said {
    let leader = part.current_leader;
    Said {
        code: part.error_code,
        base_offset: part.base_offset,
        append_time: part.log_append_time_ms,
        message: part.error_message,
        culprits: part
            .record_errors
            .into_iter()
            .filter_map(|e| Some((u32::try_from(e.batch_index).ok()?, e.batch_index_error_message)))
            .collect(),
        leader: (leader.leader_id.0 >= 0 && leader.leader_epoch >= 0)
            .then_some((leader.leader_id, leader.leader_epoch)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::batch;
    use super::super::sequence::Identity;
    use super::*;
    use crate::ProducerIx;
    use crate::client::role::Owner;
    use crate::record::BatchHeader;
    use crate::wire::messages::ProduceResponse;
    use crate::wire::messages::produce::LeaderIdAndEpoch;
    use crate::wire::{Reader, Writer};

    const TAG: Tag = Tag { owner: Owner::Producer(ProducerIx(0)), token: 3 };

    fn items(names: &mut Names, places: &[(&str, i32)]) -> Vec<Item> {
        let item = |(no, (topic, number)): (u64, &(&str, i32))| {
            let place = (names.topic(topic), *number);
            let topic_id = Uuid([topic.as_bytes()[0]; 16]);
            Item { partition: names.partition(place.0, place.1), place, topic_id, no: BatchNo(no) }
        };
        (0..).zip(places).map(item).collect()
    }

    fn part(index: i32, code: i16) -> PartitionProduceResponse {
        PartitionProduceResponse { index, error_code: ErrorCode(code), base_offset: 7, ..Default::default() }
    }

    fn answer(version: i16, topics: Vec<TopicProduceResponse>) -> Response {
        let mut w = Writer::new();
        ProduceResponse { responses: topics, throttle_time_ms: 9, ..Default::default() }
            .encode(&mut w, version)
            .unwrap();
        Response { version, frame: w.into_vec(), at: 0 }
    }

    fn named(name: &str, parts: Vec<PartitionProduceResponse>) -> TopicProduceResponse {
        TopicProduceResponse { name: name.into(), partition_responses: parts, ..Default::default() }
    }

    #[test]
    fn the_header_is_stamped_when_the_request_is_built_and_the_body_is_shared() {
        let mut names = Names::default();
        let item = items(&mut names, &[("a", 4)])[0];
        let (stamp, batch) = (Stamp { who: Identity { id: 8, epoch: 2 }, base: 40 }, batch(1, 3));
        let body = batch.body.clone();
        let parts = [Part { item, stamp: Some(stamp), batch }];
        for version in [3, 9, 12, 13] {
            let timeout = Duration::from_secs(30);
            let request = build(TAG, version, Acks::All, timeout, None, &parts, &names).unwrap();
            assert!(request.body.iter().any(|piece| piece.as_ptr() == body.as_ptr()), "copied");
            let bytes = request.body.concat();
            let message = ProduceRequest::decode(&mut Reader::new(&bytes), version).unwrap();
            assert_eq!((message.acks, message.timeout_ms, request.silent), (-1, 30_000, false));
            let topic = &message.topic_data[0];
            assert_eq!(topic.name, if version < 13 { "a" } else { "" });
            assert_eq!(topic.topic_id, if version < 13 { Uuid::ZERO } else { item.topic_id });
            assert_eq!(topic.partition_data[0].index, 4);
            let records = topic.partition_data[0].records.clone().unwrap();
            let header = BatchHeader::parse(&records).unwrap();
            header.check_crc(&records).unwrap();
            let want = record::Stamp { producer_id: 8, epoch: 2, base_sequence: 40 };
            assert_eq!((header.stamp, header.count), (want, 3));
        }
        let bare = [Part { stamp: None, item, batch: parts[0].batch.clone() }];
        assert!(build(TAG, 9, Acks::Zero, Duration::ZERO, None, &bare, &names).unwrap().silent);
    }

    #[test]
    fn answers_find_their_batches_in_any_order_and_what_is_missing_is_missing() {
        let mut names = Names::default();
        let items = items(&mut names, &[("a", 0), ("a", 1), ("b", 0)]);
        let topics = vec![
            named("b", vec![part(0, 6), part(5, 0)]),
            named("?", vec![part(0, 0)]),
            named("a", vec![part(1, 0), part(1, 3)]),
        ];
        let parsed = parse(&answer(9, topics), &items, &names).unwrap();
        let codes: Vec<_> = parsed.said.iter().map(|said| said.as_ref().map(|s| s.code.0)).collect();
        assert_eq!((codes, parsed.throttle_ms), (vec![None, Some(0), Some(6)], 9));
    }

    #[test]
    fn answers_by_id_name_the_leader_if_the_broker_knows_it() {
        let mut names = Names::default();
        let items = items(&mut names, &[("a", 0), ("b", 0)]);
        let current_leader = LeaderIdAndEpoch { leader_id: BrokerId(4), leader_epoch: 8 };
        let by_id =
            |topic_id, part| TopicProduceResponse { topic_id, partition_responses: vec![part], ..Default::default() };
        let topics = vec![
            by_id(Uuid([b'b'; 16]), PartitionProduceResponse { current_leader, ..part(0, 6) }),
            by_id(Uuid([b'a'; 16]), part(0, 6)),
        ];
        let parsed = parse(&answer(13, topics), &items, &names).unwrap();
        let leaders: Vec<_> = parsed.said.iter().map(|said| said.as_ref().unwrap().leader).collect();
        assert_eq!(leaders, [None, Some((BrokerId(4), 8))]);
    }

    #[test]
    fn an_answer_that_is_cut_or_too_long_is_no_answer() {
        let mut names = Names::default();
        let items = items(&mut names, &[("a", 0)]);
        let whole = answer(9, vec![named("a", vec![part(0, 0)])]);
        for cut in 0..whole.frame.len() {
            let cut = Response { frame: whole.frame[..cut].to_vec(), ..whole };
            assert!(parse(&cut, &items, &names).is_err());
        }
        let long = Response { frame: [&whole.frame[..], &[0]].concat(), ..whole };
        assert!(parse(&long, &items, &names).is_err());
    }
}
