//! Fetched chunks: record batches and old message sets, walked and read.

use crate::feed::Feed;
use klamm_core::codec::Decompressor;
use klamm_core::record::{
    AbortedTransaction, ChunkCursor, IsolationLevel, RawHeader, ReadLimits, RecordView, Records, VerifiedBatch,
    batches, crc32c, survey,
};

/// The most that a batch may decompress to.
const MAX_PLAIN: usize = 64 << 10;

/// Bytes of the smallest message of the old formats.
const SMALLEST: usize = 26;

/// The bytes in front say how to read, the rest is the chunk. What a cursor hands out is in order, within the batch, and the
/// same as an unverified reader sees.
pub fn chunks(data: &[u8]) {
    let mut feed = Feed::new(data);
    let asked = feed.number();
    let flags = feed.byte();
    let max_plain = feed.below(MAX_PLAIN);
    let aborted = (0..feed.below(4))
        .map(|_| AbortedTransaction { producer_id: feed.number(), first_offset: feed.number() })
        .collect();
    let mut chunk = feed.rest().to_vec();
    if flags & 1 != 0 {
        mend(&mut chunk);
    }
    let isolation = [IsolationLevel::ReadUncommitted, IsolationLevel::ReadCommitted][usize::from(flags >> 1 & 1)];
    let limits = ReadLimits { isolation, check_crcs: flags & 4 == 0, max_plain };
    let walked = walk(&chunk, asked);
    read(&chunk, asked, aborted, limits, walked);
}

/// Puts the right checksum into every batch: behind a wrong one nothing is looked at.
fn mend(chunk: &mut [u8]) {
    let found: Vec<_> = batches(chunk)
        .filter_map(Result::ok)
        .filter(|raw| matches!(raw.header, RawHeader::Batch(_)))
        .map(|raw| (raw.start + 17, crc32c(&raw.bytes[21..])))
        .collect();
    for (at, crc) in found {
        chunk[at..at + 4].copy_from_slice(&crc.to_be_bytes());
    }
}

/// The position behind the chunk as its headers tell, if they are all good and of the new format.
fn walk(chunk: &[u8], asked: i64) -> Option<i64> {
    let found = survey(chunk, asked);
    assert!(found.bytes <= chunk.len() && found.next_offset >= asked);
    assert!(found.batches as usize <= chunk.len() / SMALLEST);
    let all: Vec<_> = batches(chunk).collect();
    assert!(all.iter().rev().skip(1).all(Result::is_ok), "something behind an error");
    let mut at = 0;
    for raw in all.iter().flatten() {
        assert_eq!(raw.start, at);
        at += raw.bytes.len();
    }
    assert!(at >= found.bytes && at <= chunk.len());
    let new = all.iter().flatten().all(|raw| matches!(raw.header, RawHeader::Batch(_)));
    (new && found.problem.is_none()).then_some(found.next_offset)
}

fn read(chunk: &[u8], asked: i64, aborted: Vec<AbortedTransaction>, limits: ReadLimits, walked: Option<i64>) {
    let (mut decompressor, mut plain) = (Decompressor::default(), Vec::new());
    let mut cursor = ChunkCursor::new(asked, aborted, limits);
    let (mut position, mut steps) = (asked, 0);
    while let Some(batch) = cursor.next_batch(chunk, &mut decompressor, &mut plain) {
        steps += 1;
        assert!(steps <= chunk.len() / SMALLEST + 1, "a cursor without end");
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                assert_eq!(cursor.next_batch(chunk, &mut decompressor, &mut plain), Some(Err(error)), "an error stays");
                assert!(cursor.next_offset() >= position);
                return;
            }
        };
        let records = verified(&batch, batch.section(chunk, &plain), position);
        assert_eq!(records.len(), batch.count as usize, "fewer records than were verified");
        assert!(!records.is_empty());
        for record in &records {
            assert!(record.offset >= position && record.offset < batch.next_offset);
            position = record.offset + 1;
            assert_eq!(record.headers.iter().count(), record.headers.len());
        }
        assert!(batch.next_offset >= position);
        position = batch.next_offset;
        assert_eq!(cursor.next_offset(), position);
    }
    assert!(cursor.next_offset() >= position && cursor.position() <= chunk.len());
    if let Some(end) = walked {
        assert_eq!(cursor.next_offset(), end, "the core and the application stand at different places");
    }
    // Messages of the old formats are written anew, with a little more around them.
    assert!(plain.len() <= 2 * limits.max_plain.max(4 * chunk.len()), "{} bytes of plain records", plain.len());
}

/// The visible records of a batch, read both ways.
fn verified<'a>(batch: &VerifiedBatch, section: &'a [u8], from: i64) -> Vec<RecordView<'a>> {
    let checked: Vec<_> = batch.records(section).collect();
    let unchecked = Records::new(section, batch.info).take_while(Result::is_ok).flatten();
    let unchecked: Vec<_> = unchecked.skip_while(|r| r.offset < from).collect();
    assert_eq!(checked, unchecked, "verified and unverified reading differ");
    checked
}
