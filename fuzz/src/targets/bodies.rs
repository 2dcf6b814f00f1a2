//! Records into a batch and out of it.

use crate::feed::Feed;
use klamm_core::codec::{Codec, Compression, Decompressor};
use klamm_core::record::{
    BodyBuf, ChunkCursor, HEADER_LEN, Header, IsolationLevel, Mark, ReadLimits, Stamp, TimestampType, size_of_record,
};

/// One record as it was appended.
type Appended<'a> = (i64, Option<&'a [u8]>, Option<&'a [u8]>, Vec<Header<'a>>);

/// The bytes are records and marks: what was appended and not taken back is what the sealed and stamped batch holds.
pub fn bodies(data: &[u8]) {
    let mut feed = Feed::new(data);
    let codec = Codec::ALL[feed.below(Codec::ALL.len())];
    let stamp = Stamp { producer_id: feed.number(), epoch: feed.number() as i16, base_sequence: feed.number() as i32 };
    let transactional = feed.flag();
    let mut body = BodyBuf::with_limit(feed.below(1 << 16));
    let records = fill(&mut feed, &mut body);
    assert_eq!(body.count() as usize, records.len());
    if records.is_empty() {
        return assert!(body.is_empty() && body.plain().is_empty());
    }
    let mut packed = Vec::new();
    let compression = Compression::new(codec, None).expect("all codecs are built in");
    let size = compression.compress(body.plain(), &mut packed).expect("compresses");
    let facts = body.facts_as(codec, &packed[..size]);
    let mut chunk = facts.header(stamp, transactional).to_vec();
    chunk.extend(&packed[..size]);
    assert_eq!((chunk.len(), chunk.len()), (HEADER_LEN + size, facts.batch_len()));
    let limits = ReadLimits { isolation: IsolationLevel::ReadCommitted, check_crcs: true, max_plain: body.len() };
    let mut cursor = ChunkCursor::new(0, Vec::new(), limits);
    let (mut decompressor, mut plain) = (Decompressor::default(), Vec::new());
    let batch = cursor.next_batch(&chunk, &mut decompressor, &mut plain).expect("a batch").expect("a good one");
    assert_eq!((batch.stamp, batch.transactional, batch.codec), (stamp, transactional, codec));
    assert_eq!((batch.count, batch.timestamp_type), (body.count(), TimestampType::Create));
    let mut read = batch.records(batch.section(&chunk, &plain));
    for (offset, (timestamp, key, value, headers)) in records.iter().enumerate() {
        let record = read.next().expect("as many records as were appended");
        assert_eq!((record.offset, record.timestamp), (offset as i64, *timestamp));
        assert_eq!((record.key, record.value), (*key, *value));
        assert_eq!(record.headers.iter().collect::<Vec<_>>(), *headers);
    }
    assert!(read.next().is_none());
    assert!(cursor.next_batch(&chunk, &mut decompressor, &mut plain).is_none());
    assert_eq!(cursor.next_offset(), records.len() as i64);
}

fn fill<'a>(feed: &mut Feed<'a>, body: &mut BodyBuf) -> Vec<Appended<'a>> {
    let mut records: Vec<Appended<'a>> = Vec::new();
    let mut marks: Vec<(Mark, usize)> = Vec::new();
    while !feed.is_empty() {
        match feed.byte() {
            250..=252 => marks.push((body.mark(), records.len())),
            253..=254 => {
                if let Some((mark, count)) = marks.pop() {
                    body.truncate(mark);
                    records.truncate(count);
                }
            }
            255 => {
                body.reset();
                records.clear();
                marks.clear();
            }
            _ => append(feed, body, &mut records),
        }
        assert!(body.len() <= body.limit() && body.plain().len() == body.len());
    }
    records
}

fn append<'a>(feed: &mut Feed<'a>, body: &mut BodyBuf, records: &mut Vec<Appended<'a>>) {
    let timestamp = feed.number();
    let key = feed.flag().then(|| feed.take(300));
    let value = feed.flag().then(|| feed.take(3000));
    let headers: Vec<_> =
        (0..feed.below(4)).map(|_| Header { key: feed.take(20), value: feed.flag().then(|| feed.take(200)) }).collect();
    let (before, copy) = ((body.len(), body.count(), body.max_timestamp()), body.plain().to_vec());
    let room = body.limit() - body.len();
    match body.append(timestamp, key, value, &headers) {
        Some(index) => {
            assert_eq!(index as usize, records.len());
            assert!(body.len() - before.0 <= size_of_record(key, value, &headers));
            assert!(body.max_timestamp() >= timestamp);
            records.push((timestamp, key, value, headers));
        }
        None => {
            let far = !body.is_empty() && timestamp.checked_sub(body.base_timestamp()).is_none();
            assert!(far || room < size_of_record(key, value, &headers), "there was room");
            assert_eq!(before, (body.len(), body.count(), body.max_timestamp()));
        }
    }
    assert_eq!(body.plain()[..copy.len()], copy, "records in front of it changed");
}
