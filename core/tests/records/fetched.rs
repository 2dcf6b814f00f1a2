//! What a consumer sees of a chunk: each clause of the contract (A27) and of scenarios RC-* and CX-*.

use klamm_core::codec::{Codec, CodecError, Decompressor};
use klamm_core::record::{
    AbortedTransaction, ChunkCursor, Fault, IsolationLevel, ReadLimits, RecordError, TimestampType, survey,
};

use super::build::{Make, Rec, make, marker, rec};
use super::vectors::LIMITS;

/// Values by offset, the position at the end, and the error that ended it.
type Read = (Vec<(i64, String)>, i64, Option<RecordError>);

fn read_with(chunk: &[u8], asked: i64, aborted: &[(i64, i64)], limits: ReadLimits) -> Read {
    let aborted =
        aborted.iter().map(|&(producer_id, first_offset)| AbortedTransaction { producer_id, first_offset }).collect();
    let mut cursor = ChunkCursor::new(asked, aborted, limits);
    let (mut decompressor, mut plain, mut all) = (Decompressor::default(), Vec::new(), Vec::new());
    while let Some(batch) = cursor.next_batch(chunk, &mut decompressor, &mut plain) {
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => {
                let again = cursor.next_batch(chunk, &mut decompressor, &mut plain);
                assert_eq!(again, Some(Err(error)), "an error stays");
                return (all, cursor.next_offset(), Some(error));
            }
        };
        assert!(batch.count > 0);
        let records = batch.records(batch.section(chunk, &plain));
        assert_eq!(records.len(), batch.count as usize);
        let before = all.len();
        all.extend(records.map(|r| (r.offset, String::from_utf8(r.value.unwrap_or_default().to_vec()).unwrap())));
        assert_eq!(all.len() - before, batch.count as usize, "iteration over what was verified gives all");
        assert_eq!(batch.next_offset, cursor.next_offset());
    }
    (all, cursor.next_offset(), None)
}

fn committed(chunk: &[u8], asked: i64, aborted: &[(i64, i64)]) -> Read {
    read_with(chunk, asked, aborted, ReadLimits { isolation: IsolationLevel::ReadCommitted, ..LIMITS })
}

fn all(chunk: &[u8], asked: i64) -> Read {
    read_with(chunk, asked, &[], LIMITS)
}

fn abc(base: i64) -> Make {
    make(base, &[rec(0, "a"), rec(1, "b"), rec(2, "c")])
}

fn said(offsets: &[i64], values: &str) -> Vec<(i64, String)> {
    offsets.iter().zip(values.chars()).map(|(o, v)| (*o, v.to_string())).collect()
}

#[test]
fn records_below_the_asked_offset_are_dropped_under_every_codec() {
    for codec in Codec::ALL {
        let chunk = [abc(10).packed(codec).bytes(), abc(13).packed(codec).bytes()].concat();
        assert_eq!(all(&chunk, 12), (said(&[12, 13, 14, 15], "cabc"), 16, None), "{codec}");
        assert_eq!(all(&chunk, 13), (said(&[13, 14, 15], "abc"), 16, None), "{codec}");
        assert_eq!(all(&chunk, 16), (vec![], 16, None), "{codec}");
        assert_eq!(all(&chunk, 20), (vec![], 20, None), "a position never goes back");
    }
}

#[test]
fn a_cut_tail_ends_silently_wherever_the_cut_falls() {
    let whole = abc(0).bytes();
    let next = abc(3).packed(Codec::Lz4).bytes();
    for cut in 0..next.len() {
        let chunk = [&whole[..], &next[..cut]].concat();
        assert_eq!(all(&chunk, 0), (said(&[0, 1, 2], "abc"), 3, None), "{cut}");
    }
    assert_eq!(all(&[], 7), (vec![], 7, None));
}

#[test]
fn gaps_of_compaction_and_empty_batches_move_the_position() {
    let compacted = make(10, &[rec(2, "c"), rec(7, "h")]).with(|h| h.last_offset_delta = 9);
    let empty = make(20, &[]).with(|h| h.last_offset_delta = 4);
    let chunk = [compacted.bytes(), empty.bytes(), abc(40).bytes()].concat();
    assert_eq!(all(&chunk, 10), (said(&[12, 17, 40, 41, 42], "chabc"), 43, None));
    assert_eq!(all(&compacted.bytes(), 18), (vec![], 20, None));
    assert_eq!(all(&empty.bytes(), 20), (vec![], 25, None));
    assert_eq!(survey(&chunk, 10).next_offset, 43);
}

#[test]
fn an_append_time_batch_reports_its_maximum_timestamp_for_every_record() {
    let records = [Rec { time: 1000, ..rec(0, "a") }, Rec { time: 2000, ..rec(1, "b") }];
    let append_time = make(0, &records).with(|h| {
        h.attributes = h.attributes.log_append(true);
        h.max_timestamp = 9999;
    });
    for (batch, kind, times) in [
        (append_time, TimestampType::LogAppend, [9999, 9999]),
        (make(0, &records), TimestampType::Create, [1000, 2000]),
    ] {
        let chunk = batch.bytes();
        let (mut cursor, mut plain) = (ChunkCursor::new(0, vec![], LIMITS), Vec::new());
        let batch = cursor.next_batch(&chunk, &mut Decompressor::default(), &mut plain).unwrap().unwrap();
        let seen: Vec<_> = batch.records(batch.section(&chunk, &plain)).map(|r| r.timestamp).collect();
        assert_eq!((batch.timestamp_type, &seen[..]), (kind, &times[..]));
        assert_eq!(batch.leader_epoch, 3);
    }
}

#[test]
fn timestamp_deltas_beyond_24_days_are_read() {
    let far = 40 * 365 * 86_400_000;
    let chunk = make(0, &[Rec { time: 5, ..rec(0, "a") }, Rec { time: 5 + far, ..rec(1, "b") }]).bytes();
    let (mut cursor, mut plain) = (ChunkCursor::new(0, vec![], LIMITS), Vec::new());
    let batch = cursor.next_batch(&chunk, &mut Decompressor::default(), &mut plain).unwrap().unwrap();
    assert_eq!(batch.records(batch.section(&chunk, &plain)).last().unwrap().timestamp, 5 + far);
}

#[test]
fn null_and_empty_stay_apart() {
    let record = Rec {
        key: Some(vec![]),
        value: None,
        headers: vec![(b"h".to_vec(), None), (b"h".to_vec(), Some(vec![])), (vec![0xff], Some(vec![1]))],
        ..Rec::default()
    };
    let chunk = make(0, &[record]).bytes();
    let (mut cursor, mut plain) = (ChunkCursor::new(0, vec![], LIMITS), Vec::new());
    let batch = cursor.next_batch(&chunk, &mut Decompressor::default(), &mut plain).unwrap().unwrap();
    let record = batch.records(batch.section(&chunk, &plain)).next().unwrap();
    assert_eq!((record.key, record.value), (Some(&[][..]), None));
    let headers: Vec<_> = record.headers.iter().map(|h| (h.key, h.value)).collect();
    assert_eq!(headers, [(&b"h"[..], None), (&b"h"[..], Some(&[][..])), (&[0xff][..], Some(&[1][..]))]);
}

// Transactions. Producer 7 aborts at 3, producer 8 commits.

fn aborted_then_committed() -> Vec<u8> {
    [
        abc(0).of_producer(7).bytes(),
        marker(3, 7, 0),
        abc(4).of_producer(8).packed(Codec::Zstd).bytes(),
        marker(7, 8, 1),
        abc(8).of_producer(7).bytes(),
        marker(11, 7, 1),
    ]
    .concat()
}

#[test]
fn aborted_records_are_hidden_and_markers_are_never_seen() {
    let chunk = aborted_then_committed();
    assert_eq!(committed(&chunk, 0, &[(7, 0)]), (said(&[4, 5, 6, 8, 9, 10], "abcabc"), 12, None));
    let (seen, next, error) = all(&chunk, 0);
    assert_eq!((seen.len(), next, error), (9, 12, None));
}

#[test]
fn the_aborted_list_is_ignored_at_read_uncommitted() {
    let (seen, ..) = read_with(&aborted_then_committed(), 0, &[(7, 0), (8, 0)], LIMITS);
    assert_eq!(seen.len(), 9);
}

#[test]
fn only_an_abort_marker_ends_an_abort() {
    // A marker of another producer, a commit and one of unknown type lie between.
    let chunk = [
        abc(0).of_producer(7).bytes(),
        marker(3, 8, 0),
        marker(4, 7, 1),
        marker(5, 7, 99),
        abc(6).of_producer(7).bytes(),
        marker(9, 7, 0),
        abc(10).of_producer(7).bytes(),
    ]
    .concat();
    assert_eq!(committed(&chunk, 0, &[(7, 0)]), (said(&[10, 11, 12], "abc"), 13, None));
}

#[test]
fn an_unsorted_list_with_several_transactions_of_one_producer_is_matched_by_offset() {
    let chunk = [
        abc(0).of_producer(7).bytes(),
        marker(3, 7, 0),
        abc(4).of_producer(7).bytes(),
        marker(7, 7, 1),
        abc(8).of_producer(7).bytes(),
        abc(11).of_producer(9).bytes(),
        marker(14, 7, 0),
        marker(15, 9, 0),
    ]
    .concat();
    let seen = committed(&chunk, 0, &[(7, 8), (9, 11), (5, 2), (7, 0), (6, 1000)]);
    assert_eq!(seen, (said(&[4, 5, 6], "abc"), 16, None));
}

#[test]
fn an_aborted_batch_is_skipped_at_its_header_even_if_it_cannot_be_decompressed() {
    let mut broken = abc(0).of_producer(7);
    broken.header.attributes.0 |= 4;
    broken.body = vec![0xff; 50];
    let chunk = [broken.bytes(), marker(3, 7, 0), abc(4).bytes()].concat();
    assert_eq!(committed(&chunk, 0, &[(7, 0)]), (said(&[4, 5, 6], "abc"), 7, None));
    let (.., error) = all(&chunk, 0);
    assert!(matches!(error.unwrap().fault, Fault::Codec(CodecError::Corrupt { codec: Codec::Zstd, .. })));
}

#[test]
fn a_chunk_of_aborted_data_alone_moves_the_position() {
    let chunk = [abc(0).of_producer(7).bytes(), abc(3).of_producer(7).bytes()].concat();
    assert_eq!(committed(&chunk, 0, &[(7, 0)]), (vec![], 6, None));
}

#[test]
fn a_batch_outside_transactions_is_visible_though_its_producer_aborts() {
    let chunk = [abc(0).of_producer(7).with(|h| h.attributes = h.attributes.transactional(false)).bytes()].concat();
    assert_eq!(committed(&chunk, 0, &[(7, 0)]).0.len(), 3);
}

#[test]
fn a_fetch_from_the_middle_of_an_aborted_transaction_hides_its_rest() {
    let chunk = [abc(6).of_producer(7).bytes(), marker(9, 7, 0), abc(10).of_producer(7).bytes()].concat();
    assert_eq!(committed(&chunk, 8, &[(7, 0)]), (said(&[10, 11, 12], "abc"), 13, None));
}

#[test]
fn an_abort_marker_may_be_compressed() {
    let plain = marker(3, 7, 0);
    let header = klamm_core::record::BatchHeader::parse(&plain).unwrap();
    let packed = Make { header, body: plain[61..].to_vec() }.packed(Codec::Gzip).bytes();
    let chunk = [abc(0).of_producer(7).bytes(), packed, abc(4).of_producer(7).bytes()].concat();
    assert_eq!(committed(&chunk, 0, &[(7, 0)]), (said(&[4, 5, 6], "abc"), 7, None));
}

// Errors.

#[test]
fn a_wrong_checksum_is_an_error_before_any_record_of_the_batch_and_switchable() {
    for flip in [21, 30, 45, 60, 65, 70] {
        let mut bad = abc(3).bytes();
        bad[flip] ^= 0x10;
        let chunk = [abc(0).bytes(), bad, abc(6).bytes()].concat();
        let (seen, next, error) = all(&chunk, 0);
        assert_eq!((seen, next), (said(&[0, 1, 2], "abc"), 3), "{flip}");
        let error = error.unwrap();
        assert_eq!(error.offset, 3);
        assert!(matches!(error.fault, Fault::Crc { .. } | Fault::Count(_)), "{error}");
    }
    let mut bad = abc(3).bytes();
    bad[17] ^= 1;
    assert_eq!(read_with(&bad, 0, &[], ReadLimits { check_crcs: false, ..LIMITS }).0.len(), 3);
}

#[test]
fn records_in_front_of_a_bad_one_are_handed_out_and_the_position_stays_on_it() {
    for codec in Codec::ALL {
        let mut bad = abc(10);
        let at = bad.body.len() - 1;
        bad.body[at] = 3; // A header count below 0.
        let chunk = [bad.packed(codec).bytes(), abc(13).bytes()].concat();
        let (seen, next, error) = all(&chunk, 11);
        assert_eq!((seen, next), (said(&[11], "b"), 12), "{codec}");
        let error = error.unwrap();
        assert_eq!((error.fault, error.offset), (Fault::HeaderCount(-2), 12));
        let (seen, next, error) = all(&chunk, 12);
        assert_eq!((seen.len(), next, error.unwrap().offset), (0, 12, 12));
    }
}

#[test]
fn a_batch_that_begins_before_its_predecessor_ends_is_an_error() {
    let chunk = [abc(5).bytes(), abc(7).bytes()].concat();
    let (seen, next, error) = all(&chunk, 0);
    assert_eq!((seen.len(), next), (3, 8));
    assert_eq!(error.unwrap().fault, Fault::OutOfOrder { base: 7, expected: 8 });
    assert_eq!(survey(&chunk, 0).problem.unwrap().fault, Fault::OutOfOrder { base: 7, expected: 8 });
    assert_eq!(survey(&chunk, 0).next_offset, 8);
}

fn fault(make: Make) -> Fault {
    all(&make.bytes(), 0).2.unwrap().fault
}

#[test]
fn each_rule_of_the_records_section_is_checked() {
    assert_eq!(fault(abc(0).with(|h| h.count = 2)), Fault::Trailing(8));
    let mut long = make(0, &[rec(0, "some text that is long enough for a second record")]);
    long.header.count = 2;
    long.header.last_offset_delta = 1;
    assert_eq!(fault(long), Fault::Truncated);
    assert_eq!(fault(make(0, &[rec(0, "a"), rec(0, "b")]).with(|h| h.last_offset_delta = 1)), Fault::OffsetDelta(0));
    assert_eq!(fault(make(0, &[rec(1, "a"), rec(0, "b")]).with(|h| h.last_offset_delta = 1)), Fault::OffsetDelta(0));
    assert_eq!(fault(make(0, &[rec(-1, "a")]).with(|h| h.last_offset_delta = 0)), Fault::OffsetDelta(-1));
    assert_eq!(fault(make(0, &[rec(5, "a")]).with(|h| h.last_offset_delta = 4)), Fault::OffsetDelta(5));
    let far = make(0, &[Rec { time: 1, ..rec(0, "a") }, Rec { time: 9, ..rec(1, "b") }]);
    assert_eq!(fault(far.with(|h| h.base_timestamp = i64::MAX - 3)), Fault::Overflow);
    let raw = |body: &[u8]| {
        let mut made = make(0, &[rec(0, "a")]);
        made.body = body.to_vec();
        fault(made)
    };
    // length, attributes, time, offset, key length, value length, header count
    assert_eq!(raw(&[12, 0, 0, 0, 3, 1, 0]), Fault::FieldLength(-2));
    assert_eq!(raw(&[12, 0, 0, 0, 1, 2, 0]), Fault::Truncated);
    assert_eq!(raw(&[12, 0, 0, 0, 1, 4, 0]), Fault::FieldLength(2));
    assert_eq!(raw(&[12, 0, 0, 0, 1, 1, 2]), Fault::HeaderCount(1));
    assert_eq!(raw(&[14, 0, 0, 0, 1, 1, 0, 9]), Fault::Trailing(1));
    assert_eq!(raw(&[16, 0, 0, 0, 1, 1, 2, 1, 1]), Fault::FieldLength(-1));
    assert_eq!(raw(&[18, 0, 0, 0, 1, 1, 2, 0, 1, 1]), Fault::Trailing(1));
    assert_eq!(raw(&[10, 0, 0, 0, 1, 1, 0]), Fault::Truncated);
    assert_eq!(raw(&[13, 0, 0, 0, 1, 1, 0]), Fault::FieldLength(-7));
    assert_eq!(raw(&[12, 0, 0, 0x80, 0x80, 0x80, 0x80]), Fault::Truncated);
}

#[test]
fn a_batch_may_decompress_to_the_limit_and_not_beyond() {
    let value = "x".repeat(100_000);
    for codec in Codec::ALL.into_iter().skip(1) {
        let made = make(0, &[rec(0, &value)]);
        let size = made.body.len();
        let chunk = made.packed(codec).bytes();
        let exact = ReadLimits { max_plain: size, ..LIMITS };
        assert_eq!(read_with(&chunk, 0, &[], exact).0.len(), 1, "{codec}");
        let (seen, next, error) = read_with(&chunk, 0, &[], ReadLimits { max_plain: size - 1, ..LIMITS });
        assert_eq!((seen.len(), next), (0, 0));
        assert_eq!(error.unwrap().fault, Fault::Codec(CodecError::TooLarge { codec, limit: size - 1 }));
    }
}
