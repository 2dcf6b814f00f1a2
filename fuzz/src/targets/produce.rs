//! The hand-written writer of produce requests against the declared message.

use crate::feed::Feed;
use bytes::Bytes;
use klamm_core::wire::frame::{LENGTH_PREFIX, decode_request_header};
use klamm_core::wire::messages::ProduceRequest;
use klamm_core::wire::produce::{ProduceEntry, ProduceHead, encode_produce, encode_produce_body};
use klamm_core::wire::{ApiKey, Message, Reader, Uuid};

/// The bytes describe a request: what is written piece by piece must be read as that request.
pub fn produce(data: &[u8]) {
    let mut feed = Feed::new(data);
    let version = feed.below(16) as i16;
    let client_id = text(&mut feed);
    let transactional_id = text(&mut feed);
    let head = ProduceHead {
        version,
        correlation: feed.number() as i32,
        client_id: client_id.as_deref(),
        transactional_id: transactional_id.as_deref(),
        acks: feed.number() as i16,
        timeout_ms: feed.number() as i32,
    };
    let mut parts = Vec::new();
    while !feed.is_empty() && parts.len() < 64 {
        let topic = ["", "t", "orders", "été"][feed.below(4)];
        let id = Uuid([feed.byte() % 4; 16]);
        let header = feed.take(70);
        parts.push((topic, id, feed.number() as i32, header, Bytes::copy_from_slice(feed.take(300))));
    }
    let entries: Vec<_> = parts
        .iter()
        .map(|(topic, topic_id, partition, header, body)| ProduceEntry {
            topic,
            topic_id: *topic_id,
            partition: *partition,
            header,
            body,
        })
        .collect();
    check(&head, &entries);
}

fn text(feed: &mut Feed<'_>) -> Option<String> {
    feed.flag().then(|| String::from_utf8_lossy(feed.take(40)).into_owned())
}

fn check(head: &ProduceHead<'_>, entries: &[ProduceEntry<'_>]) {
    let known = (ProduceRequest::MIN..=ProduceRequest::MAX).contains(&head.version);
    let named = head.version < 13 || entries.iter().all(|e| !e.topic_id.is_zero());
    let mut pieces: Vec<Bytes> = Vec::new();
    let Ok(total) = encode_produce(head, entries, &mut pieces) else {
        assert!(!known || !named, "refused: {head:?} {entries:?}");
        assert!(pieces.is_empty());
        return;
    };
    assert!(known && named, "written: {head:?} {entries:?}");
    let whole: Bytes = pieces.concat().into();
    assert_eq!(whole.len(), total);
    let (prefix, frame) = whole.split_at(LENGTH_PREFIX);
    assert_eq!(i32::from_be_bytes(prefix.try_into().expect("four bytes")) as usize, frame.len());
    let mut r = Reader::new(frame);
    let header = decode_request_header(&mut r).expect("header");
    assert_eq!((header.key, header.version, header.correlation), (ApiKey::PRODUCE, head.version, head.correlation));
    assert_eq!(header.client_id.as_deref(), head.client_id);
    let from = r.offset();
    let request = ProduceRequest::decode(&mut r, head.version).unwrap_or_else(|e| panic!("{e}: {head:?} {entries:?}"));
    assert_eq!(
        (request.transactional_id.as_deref(), request.acks, request.timeout_ms),
        (head.transactional_id, head.acks, head.timeout_ms)
    );
    let read: Vec<_> = request
        .topic_data
        .iter()
        .flat_map(|t| t.partition_data.iter().map(move |p| (t.name.as_str(), t.topic_id, p.index, p.records.clone())))
        .collect();
    let meant: Vec<_> = entries
        .iter()
        .map(|e| {
            let (name, id) = if head.version < 13 { (e.topic, Uuid::ZERO) } else { ("", e.topic_id) };
            (name, id, e.partition, Some(Bytes::from([e.header, e.body].concat())))
        })
        .collect();
    assert_eq!(read, meant);
    let mut body: Vec<Bytes> = Vec::new();
    encode_produce_body(head, entries, &mut body).expect("the body alone");
    assert_eq!(body.concat(), frame[from..]);
}
