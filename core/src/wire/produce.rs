//! Produce requests, written for `writev`: what surrounds the batches is one buffer, the batches' bodies are never
//! copied.

use super::frame::{begin_frame, end_frame, put_request_header};
use super::messages::ProduceRequest;
use super::{EncodeError, EncodeErrorKind, Message, Uuid, Writer};
use bytes::Bytes;

/// What a produce request says once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProduceHead<'a> {
    /// The version, 3 to 13.
    pub version: i16,
    /// The number that the answer will repeat.
    pub correlation: i32,
    /// The `client.id`.
    pub client_id: Option<&'a str>,
    /// The producer's transactional id.
    pub transactional_id: Option<&'a str>,
    /// 0: nobody answers, 1: the leader has the records, -1: all in sync have them.
    pub acks: i16,
    /// How many milliseconds the broker may wait for replicas.
    pub timeout_ms: i32,
}

/// A batch on its way to one partition.
#[derive(Clone, Copy, Debug)]
pub struct ProduceEntry<'a> {
    /// The topic's name: what versions up to 12 send.
    pub topic: &'a str,
    /// The topic's id: what versions from 13 on send.
    pub topic_id: Uuid,
    /// The partition.
    pub partition: i32,
    /// The batch's header, copied.
    pub header: &'a [u8],
    /// The batch's records, shared.
    pub body: &'a Bytes,
}

impl ProduceEntry<'_> {
    fn same_topic(&self, other: &Self) -> bool {
        self.topic_id == other.topic_id && self.topic == other.topic
    }
}

/// Appends a whole request to `out` as pieces to be sent one after the other, and tells how many bytes they are.
/// Entries of one topic must stand side by side, and no partition may occur twice (the broker would drop all but the
/// last). After an error `out` is as it was before.
pub fn encode_produce(
    head: &ProduceHead<'_>,
    entries: &[ProduceEntry<'_>],
    out: &mut impl Extend<Bytes>,
) -> Result<usize, EncodeError> {
    let mut w = Writer::with_capacity(128 + glue_len(entries));
    let start = begin_frame(&mut w);
    put_request_header::<ProduceRequest>(&mut w, head.version, head.correlation, head.client_id)?;
    let body = put_body(&mut w, head, entries)?;
    end_frame(&mut w, start, body.beyond)?;
    Ok(body.weave(w, entries, out))
}

/// As [`encode_produce`], without frame and header: whoever sends it puts them in front. `correlation` and `client_id` are
/// not looked at.
pub fn encode_produce_body(
    head: &ProduceHead<'_>,
    entries: &[ProduceEntry<'_>],
    out: &mut impl Extend<Bytes>,
) -> Result<usize, EncodeError> {
    let mut w = Writer::with_capacity(64 + glue_len(entries));
    let body = put_body(&mut w, head, entries)?;
    Ok(body.weave(w, entries, out))
}

/// Around an entry stand at most: topic length, name or id, two counts, partition, record length, three tag counts.
fn glue_len(entries: &[ProduceEntry<'_>]) -> usize {
    entries.iter().map(|e| 64 + e.topic.len() + e.header.len()).sum()
}

/// What was written, and where the records belong in it.
struct Glue {
    cuts: Vec<usize>,
    beyond: usize,
}

impl Glue {
    fn weave(self, w: Writer, entries: &[ProduceEntry<'_>], out: &mut impl Extend<Bytes>) -> usize {
        let total = w.len() + self.beyond;
        let glue = Bytes::from(w.into_vec());
        let mut from = 0;
        for (entry, cut) in entries.iter().zip(self.cuts) {
            out.extend([glue.slice(from..cut), entry.body.clone()]);
            from = cut;
        }
        out.extend(Some(glue.slice(from..)).filter(|rest| !rest.is_empty()));
        total
    }
}

fn put_body(w: &mut Writer, head: &ProduceHead<'_>, entries: &[ProduceEntry<'_>]) -> Result<Glue, EncodeError> {
    const NAME: &str = ProduceRequest::NAME;
    if !(ProduceRequest::MIN..=ProduceRequest::MAX).contains(&head.version) {
        return Err(EncodeError { kind: EncodeErrorKind::Version, message: NAME, field: "" });
    }
    let v = ProduceRequest::version(head.version);
    let mut cuts = Vec::with_capacity(entries.len());
    let mut beyond = 0usize;
    w.field("transactional_id");
    w.str(head.transactional_id, v);
    w.i16(head.acks);
    w.i32(head.timeout_ms);
    w.field("topic_data");
    w.array_len(Some(entries.chunk_by(ProduceEntry::same_topic).count()), v);
    for topic in entries.chunk_by(ProduceEntry::same_topic) {
        let first = &topic[0];
        if v.number <= 12 {
            w.field("name");
            w.str(Some(first.topic), v);
        } else {
            w.field("topic_id");
            if first.topic_id.is_zero() {
                w.fail(EncodeErrorKind::Null);
            }
            w.uuid(first.topic_id);
        }
        w.field("partition_data");
        w.array_len(Some(topic.len()), v);
        for entry in topic {
            w.i32(entry.partition);
            w.field("records");
            w.array_len(Some(entry.header.len().saturating_add(entry.body.len())), v);
            w.raw(entry.header);
            cuts.push(w.len());
            beyond = beyond.saturating_add(entry.body.len());
            if v.flexible {
                w.uvarint(0);
            }
        }
        if v.flexible {
            w.uvarint(0);
        }
    }
    if v.flexible {
        w.uvarint(0);
    }
    w.take_error(NAME)?;
    Ok(Glue { cuts, beyond })
}

#[cfg(test)]
mod tests {
    use super::super::frame::encode_request;
    use super::super::messages::produce::{PartitionProduceData, TopicProduceData};
    use super::*;
    use proptest::prelude::*;

    fn batch() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
        (prop::collection::vec(any::<u8>(), 0..80), prop::collection::vec(any::<u8>(), 0..300))
    }

    proptest! {
        #[test]
        fn it_writes_what_the_declared_message_writes(
            version in 3..=13i16,
            batches in prop::collection::vec(prop::collection::vec(batch(), 1..4), 0..4),
            client_id in prop::option::of("[a-z]{0,9}"),
            transactional_id in prop::option::of("[a-z]{0,9}"),
            acks in -1..=1i16,
            timeout_ms: i32,
        ) {
            let topic_data: Vec<_> = batches.iter().enumerate().map(|(t, partitions)| TopicProduceData {
                name: if version <= 12 { format!("topic-{t}") } else { String::new() },
                topic_id: if version <= 12 { Uuid::ZERO } else { Uuid([t as u8 + 1; 16]) },
                partition_data: partitions.iter().enumerate().map(|(p, (header, body))| PartitionProduceData {
                    index: p as i32,
                    records: Some([&header[..], body].concat().into()),
                }).collect(),
            }).collect();
            let bodies: Vec<Bytes> = batches.iter().flatten().map(|(_, body)| body.clone().into()).collect();
            let mut entries = Vec::new();
            for (t, partitions) in batches.iter().enumerate() {
                for (p, (header, _)) in partitions.iter().enumerate() {
                    entries.push(ProduceEntry {
                        topic: &topic_data[t].name,
                        topic_id: topic_data[t].topic_id,
                        partition: p as i32,
                        header,
                        body: &bodies[entries.len()],
                    });
                }
            }
            let mut pieces = Vec::new();
            let head = ProduceHead {
                version,
                correlation: 5,
                client_id: client_id.as_deref(),
                transactional_id: transactional_id.as_deref(),
                acks,
                timeout_ms,
            };
            let total = encode_produce(&head, &entries, &mut pieces).expect("by hand");

            let mut bare = Vec::new();
            let body = encode_produce_body(&head, &entries, &mut bare).expect("the body alone");
            prop_assert!(bare.concat().len() == body && pieces.concat().ends_with(&bare.concat()));

            let mut w = Writer::new();
            let request = ProduceRequest { transactional_id: transactional_id.clone(), acks, timeout_ms, topic_data };
            encode_request(&mut w, &request, version, 5, client_id.as_deref()).expect("declared");
            let by_hand = pieces.concat();
            prop_assert_eq!(by_hand.len(), total);
            prop_assert_eq!(by_hand, w.as_slice());
            for body in bodies.iter().filter(|b| !b.is_empty()) {
                prop_assert!(pieces.iter().any(|p| p.as_ptr() == body.as_ptr()), "a body was copied");
            }
        }
    }

    fn refused(version: i16, topic: &str, topic_id: Uuid) -> String {
        let head =
            ProduceHead { version, correlation: 0, client_id: None, transactional_id: None, acks: 1, timeout_ms: 0 };
        let entry = ProduceEntry { topic, topic_id, partition: 0, header: &[], body: &Bytes::new() };
        let mut pieces = Vec::new();
        let e = encode_produce(&head, &[entry], &mut pieces).expect_err("refused");
        assert!(pieces.is_empty());
        e.to_string()
    }

    #[test]
    fn what_has_no_form_is_refused() {
        assert_eq!(refused(2, "t", Uuid::ZERO), "ProduceRequest: the message has no such version");
        assert_eq!(refused(14, "t", Uuid::ZERO), "ProduceRequest: the message has no such version");
        let e = refused(13, "t", Uuid::ZERO);
        assert_eq!(e, "ProduceRequest.topic_id: a field is null that this version cannot send as null");
        let e = refused(12, &"x".repeat(40_000), Uuid::ZERO);
        assert_eq!(e, "ProduceRequest.name: a value is too long for the protocol");
    }
}
