//! Batches that other clients and brokers wrote.
//!
//! From the tests of kafka-python (captured from a broker) and of Sarama.

use klamm_core::codec::{Codec, CodecError, Decompressor};
use klamm_core::record::{
    BatchHeader, ChunkCursor, ControlMarker, Fault, HEADER_LEN, IsolationLevel, ReadLimits, RecordError, RecordView,
    Records, RecordsInfo, TimestampType, batches, survey,
};

use super::build::unhex;

pub(crate) const LIMITS: ReadLimits =
    ReadLimits { isolation: IsolationLevel::ReadUncommitted, check_crcs: true, max_plain: 1 << 20 };

const CAPTURED_0: &str = "\
    00000000000000000000003b00000001020318a2700000000000000000015dff7b063c0000015dff7b063cffffffffffffff\
    ffffffffffffff0000000112000000010631323300";
const CAPTURED_1: &str = "\
    0000000000000001000000400000000202c85cbd230000000000010000015dff7cdd6c0000015dff7cde14ffffffffffffff\
    ffffffffffffff000000020c0000000100000e00d00202010000";
const CAPTURED_2: &str = "\
    00000000000000030000003b00000002022e0b85b70000000000000000015dff7ce79d0000015dff7ce79dffffffffffffff\
    ffffffffffffff0000000112000000010631323300";
const CAPTURED_3: &str = "\
    00000000000000000000004500000000025cd8ef520000000000000000016585b6f3c10000016585b6f3c1ffffffffffffff\
    ffffffffffffff000000012600000001066864720208686b6579086876616c";
const CONTROL: &str = "\
    00000000000000000000005200000000026597ffd0002000000000000000000098967f000000000098967fffffffffffffff\
    ffffffffffffff000000014000000008000000002c6f70617175652d636f6e74726f6c2d6d65737361676500";
const EMPTY: &str = "\
    0000000000000000000000310000000002595fb7dd0000000000000000000000000000000000000000000000000000000000\
    0000000000000000000000";
const EMPTY_CONTROL: &str = "\
    0000000000000000000000310000000002512e43d90020000000000000000000000000000000000000000000000000000000\
    0000000000000000000000";
const PLAIN: &str = "\
    0000000000000000000000460000000002547961fd000000000000000001588dcd5938000000000000000000000000000000\
    000000000000000000000128000a00080102030406050607020608090a040b0c";
const GZIP: &str = "\
    00000000000000000000005f0000000002e74acea5000100000000000001588dcd5938000000000000000000000000000000\
    00000000000000000000011f8b080000096e8800ff001500eaff28000a00080102030406050607020608090a040b0c0300ad\
    c9586715000000";
const SNAPPY: &str = "\
    00000000000000000000005c00000000028564b224000200000000000001588dcd5938000000000000000000000000000000\
    000000000000000000000182534e4150505900000000010000000100000017155028000a0008010203040605060702060809\
    0a040b0c";
const LZ4: &str = "\
    00000000000000000000005900000000029d1291f8000300000000000001588dcd5938000000000000000000000000000000\
    000000000000000000000104224d186440a71500008028000a00080102030406050607020608090a040b0c000000000c3bef\
    92";

fn only(bytes: &[u8]) -> BatchHeader {
    let header = BatchHeader::parse(bytes).unwrap();
    assert_eq!(header.len(), bytes.len());
    header.check_crc(bytes).unwrap();
    header
}

/// Everything a consumer gets from `chunk`: offset, timestamp, key, value.
pub(crate) type Seen = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>);

pub(crate) fn seen(r: &RecordView<'_>) -> Seen {
    (r.offset, r.timestamp, r.key.map(<[u8]>::to_vec), r.value.map(<[u8]>::to_vec))
}

pub(crate) fn consume(chunk: &[u8], asked: i64) -> (Vec<Seen>, i64) {
    let mut cursor = ChunkCursor::new(asked, Vec::new(), LIMITS);
    let (mut decompressor, mut plain, mut all) = (Decompressor::default(), Vec::new(), Vec::new());
    while let Some(batch) = cursor.next_batch(chunk, &mut decompressor, &mut plain) {
        let batch = batch.unwrap();
        all.extend(batch.records(batch.section(chunk, &plain)).map(|r| seen(&r)));
    }
    (all, cursor.next_offset())
}

#[test]
fn batches_captured_from_a_broker_are_read() {
    let chunk = [unhex(CAPTURED_0), unhex(CAPTURED_1), unhex(CAPTURED_2)].concat();
    let (all, next) = consume(&chunk, 0);
    let values: Vec<_> = all.iter().map(|(offset, _, key, value)| (*offset, key.clone(), value.clone())).collect();
    let text = |s: &str| Some(s.as_bytes().to_vec());
    assert_eq!(values, [(0, None, text("123")), (1, None, text("")), (2, None, text("")), (3, None, text("123"))]);
    assert_eq!(all[0].1, 1_503_229_838_908);
    assert_eq!(next, 4);
    let facts = survey(&chunk, 0);
    assert_eq!(
        (facts.next_offset, facts.bytes, facts.batches, facts.cut, facts.problem),
        (4, chunk.len(), 3, None, None)
    );
}

#[test]
fn a_captured_header_keeps_its_key_and_value() {
    let batch = unhex(CAPTURED_3);
    let header = only(&batch);
    let records: Vec<_> =
        Records::new(&batch[HEADER_LEN..], RecordsInfo::from(&header)).collect::<Result<_, _>>().unwrap();
    let headers: Vec<_> = records[0].headers.iter().collect();
    assert_eq!(headers.len(), 1);
    assert_eq!((headers[0].name(), headers[0].value), (Some("hkey"), Some(&b"hval"[..])));
    assert_eq!(records[0].headers.last("hkey"), Some(headers[0]));
    assert_eq!(records[0].headers.last("other"), None);
}

#[test]
fn a_control_batch_is_recognised_and_never_seen() {
    let batch = unhex(CONTROL);
    // kafka-python left the checksum of an earlier form there.
    let mut header = BatchHeader::parse(&batch).unwrap();
    let Err(RecordError { fault: Fault::Crc { stored, computed }, .. }) = header.check_crc(&batch) else { panic!() };
    assert_eq!((stored, computed), (0x6597_ffd0, 3_580_583_860));
    header.crc = computed;
    let batch = [&header.write()[..], &batch[HEADER_LEN..]].concat();
    assert!(only(&batch).attributes.is_control());
    assert_eq!(consume(&batch, 0), (Vec::new(), 1));
    let empty = unhex(EMPTY_CONTROL);
    assert!(only(&empty).attributes.is_control());
    assert_eq!(consume(&empty, 0), (Vec::new(), 1));
}

#[test]
fn control_records_tell_their_type() {
    assert_eq!(ControlMarker::parse(&unhex("00000000")), Some(ControlMarker::Abort));
    assert_eq!(ControlMarker::parse(&unhex("00000001")), Some(ControlMarker::Commit));
    assert_eq!(ControlMarker::parse(&unhex("00000080")), Some(ControlMarker::Other(128)));
    assert_eq!(ControlMarker::parse(&unhex("000000")), None);
    assert_eq!(ControlMarker::parse(&unhex("ffff0000")), None);
}

#[test]
fn a_header_is_written_as_it_was_read() {
    for hex in [CAPTURED_0, CAPTURED_1, CAPTURED_3, EMPTY, EMPTY_CONTROL, PLAIN, GZIP, SNAPPY, LZ4] {
        let bytes = unhex(hex);
        assert_eq!(only(&bytes).write(), bytes[..HEADER_LEN]);
    }
}

#[test]
fn saramas_record_is_the_same_under_every_codec() {
    for (hex, codec) in [(PLAIN, Codec::None), (GZIP, Codec::Gzip), (SNAPPY, Codec::Snappy), (LZ4, Codec::Lz4)] {
        let chunk = unhex(hex);
        assert_eq!(only(&chunk).attributes.codec(), Ok(codec));
        let mut plain = Vec::new();
        let mut cursor = ChunkCursor::new(0, Vec::new(), LIMITS);
        let batch = cursor.next_batch(&chunk, &mut Decompressor::default(), &mut plain).unwrap().unwrap();
        assert_eq!((batch.codec, batch.timestamp_type, batch.count), (codec, TimestampType::Create, 1));
        let record = batch.records(batch.section(&chunk, &plain)).next().unwrap();
        assert_eq!(record.key, Some(&[1, 2, 3, 4][..]));
        assert_eq!(record.value, Some(&[5, 6, 7][..]));
        assert_eq!(record.timestamp, 1_479_847_795_000 + 5);
        let headers: Vec<_> = record.headers.iter().map(|h| (h.key.to_vec(), h.value.map(<[u8]>::to_vec))).collect();
        assert_eq!(headers, [(vec![8, 9, 10], Some(vec![11, 12]))]);
    }
}

#[test]
fn an_empty_batch_moves_the_position() {
    assert_eq!(consume(&unhex(EMPTY), 0), (Vec::new(), 1));
}

#[test]
fn each_field_that_the_header_checks_is_checked() {
    let good = unhex(PLAIN);
    let set = |at: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        BatchHeader::parse(&bad).map_err(|e| e.fault)
    };
    assert!(set(0, &[]).is_ok());
    assert_eq!(set(16, &[3]), Err(Fault::Magic(3)));
    assert_eq!(set(8, &48i32.to_be_bytes()), Err(Fault::Length(48)));
    assert_eq!(set(8, &(-1i32).to_be_bytes()), Err(Fault::Length(-1)));
    assert_eq!(set(0, &(-1i64).to_be_bytes()), Err(Fault::Overflow));
    assert_eq!(set(0, &i64::MAX.to_be_bytes()), Err(Fault::Overflow));
    assert_eq!(set(23, &(-1i32).to_be_bytes()), Err(Fault::LastDelta(-1)));
    assert_eq!(set(57, &(-1i32).to_be_bytes()), Err(Fault::Count(-1)));
    assert_eq!(set(57, &4i32.to_be_bytes()), Err(Fault::Count(4)));
    assert_eq!(BatchHeader::parse(&good[..60]).map_err(|e| e.fault), Err(Fault::Truncated));
}

#[test]
fn a_walk_stops_at_an_unknown_format_and_at_a_cut() {
    let good = unhex(PLAIN);
    for cut in 0..good.len() {
        let chunk = [&good[..], &good[..cut]].concat();
        assert_eq!(batches(&chunk).count(), 1);
        assert!(batches(&chunk).all(|b| b.is_ok()));
        assert_eq!(survey(&chunk, 0).cut.is_some(), cut > 0);
    }
    assert_eq!(survey(&good[..20], 5).cut, Some(good.len()));
    let mut bad = good.clone();
    bad[16] = 3;
    let chunk = [&good[..], &bad, &good].concat();
    let all: Vec<_> = batches(&chunk).collect();
    assert_eq!(all.len(), 2);
    let error = all[1].unwrap_err();
    assert_eq!((error.fault, error.at), (Fault::Magic(3), good.len()));
    let found = survey(&chunk, 0);
    assert_eq!((found.next_offset, found.bytes, found.problem), (1, good.len(), Some(error)));
}

#[test]
fn a_codec_that_nobody_knows_is_an_error_at_its_offset() {
    let mut chunk = unhex(PLAIN);
    chunk[22] = 6;
    let mut cursor = ChunkCursor::new(0, Vec::new(), ReadLimits { check_crcs: false, ..LIMITS });
    for _ in 0..2 {
        let error = cursor.next_batch(&chunk, &mut Decompressor::default(), &mut Vec::new()).unwrap().unwrap_err();
        assert_eq!((error.fault, error.offset), (Fault::Codec(CodecError::Unknown(6)), 0));
    }
    assert_eq!((cursor.next_offset(), cursor.behind_failure()), (0, Some(1)));
}
