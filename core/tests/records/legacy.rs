//! Message sets of magic 0 and 1: captured ones, Sarama's, and some made by hand.

use klamm_core::codec::{Codec, CodecError, Decompressor};
use klamm_core::record::{ChunkCursor, Fault, ReadLimits, RecordError, TimestampType, survey};

use super::build::{make, rec, unhex};
use super::vectors::{LIMITS, Seen, consume, seen};

const CAPTURED_1: &str = "\
    000000000000000000000019478628c201000000015e1867abaeffffffff00000003313233000000000000000100000016ef\
    98c92001000000015e1867afc0ffffffff000000000000000000000002000000165faffb5e01000000015e1867b072ffffff\
    ff00000000000000000000000300000019a812572001000000015e1867b803ffffffff00000003313233";

const CAPTURED_0: &str = "\
    000000000000000000000011feb01dbf0000ffffffff0000000331323300000000000000010000000e795748e00000ffffff\
    ff0000000000000000000000020000000e795748e00000ffffffff00000000000000000000000300000011feb01dbf0000ff\
    ffffff00000003313233";

const EMPTY_MESSAGE: &str = "\
    a7ec68030000ffffffffffffffff";

const EMPTY_V1_MESSAGE: &str = "\
    cc2f79d901000000000000000000ffffffffffffffff";

const EMPTY_GZIP_MESSAGE: &str = "\
    c42e5cb10001ffffffff000000141f8b080000096e8800ff03000000000000000000";

const EMPTY_LZ4_MESSAGE: &str = "\
    882af5be0103000001588dcd5938ffffffff0000000f04224d186440a700000000055dcc02";

const EMPTY_ZSTD_MESSAGE: &str = "\
    b4ac54b30104000001588dcd5938ffffffff0000000928b52ffd2000010000";

const EMPTY_BULK_SNAPPY_MESSAGE: &str = "\
    b42f35d10002ffffffff0000002a82534e41505059000000000100000001000000163400001901100ee38a6876190f0d0108\
    0100003e1a00";

const EMPTY_BULK_GZIP_MESSAGE: &str = "\
    8ba03f8d0001ffffffff000000271f8b080000000000000063608003beca708f070c0cff810021c8c088290300c7e29b4634\
    000000";

const EMPTY_BULK_LZ4_MESSAGE: &str = "\
    f60cbc810103fffff9d1d4b549c9ffffffff0000004704224d186470b93400008000000000000000000000000e795748e000\
    00ffffffff0000000000000000000000010000000e795748e00000ffffffff00000000000000004781176f";

const EMPTY_BULK_ZSTD_MESSAGE: &str = "\
    cb97851c0104fffff9d1d4b549c9ffffffff0000002628b52ffd2434cd00007800000e795748e00000ffffffff000103003d\
    bd003b15000bd234c178";

/// A message as it lies in a log: offset and length before what Sarama's vectors hold.
fn at(offset: i64, message: &[u8]) -> Vec<u8> {
    let length = i32::try_from(message.len()).unwrap();
    [&offset.to_be_bytes()[..], &length.to_be_bytes(), message].concat()
}

fn message(magic: u8, attributes: u8, time: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> Vec<u8> {
    let mut checked = vec![magic, attributes];
    if magic == 1 {
        checked.extend(time.to_be_bytes());
    }
    for field in [key, value] {
        checked.extend(field.map_or(-1, |f| f.len() as i32).to_be_bytes());
        checked.extend(field.unwrap_or_default());
    }
    [&crc32fast::hash(&checked).to_be_bytes()[..], &checked].concat()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let len = klamm_core::codec::Compression::new(Codec::Gzip, None).unwrap().compress(plain, &mut out).unwrap();
    out.truncate(len);
    out
}

fn fails(chunk: &[u8], limits: ReadLimits) -> RecordError {
    let mut cursor = ChunkCursor::new(0, Vec::new(), limits);
    cursor.next_batch(chunk, &mut Decompressor::default(), &mut Vec::new()).unwrap().unwrap_err()
}

fn text(s: &str) -> Option<Vec<u8>> {
    Some(s.as_bytes().to_vec())
}

fn values(all: &[Seen]) -> Vec<(i64, Option<Vec<u8>>)> {
    all.iter().map(|(offset, _, _, value)| (*offset, value.clone())).collect()
}

#[test]
fn captured_message_sets_are_read() {
    let expected = [(0, text("123")), (1, text("")), (2, text("")), (3, text("123"))];
    for (hex, times) in [
        (CAPTURED_0, [-1; 4]),
        (CAPTURED_1, [1_503_648_000_942, 1_503_648_001_984, 1_503_648_002_162, 1_503_648_004_099]),
    ] {
        let chunk = unhex(hex);
        let (all, next) = consume(&chunk, 0);
        assert_eq!((values(&all), next), (expected.to_vec(), 4));
        assert_eq!(all.iter().map(|r| r.1).collect::<Vec<_>>(), times);
        assert!(all.iter().all(|r| r.2.is_none()));
        assert_eq!(values(&consume(&chunk, 2).0), expected[2..]);
        let found = survey(&chunk, 0);
        assert_eq!((found.batches, found.next_offset, found.bytes, found.problem), (4, 4, chunk.len(), None));
        for cut in 1..chunk.len() {
            let (all, next) = consume(&chunk[..cut], 0);
            assert_eq!(all.len() as i64, next, "a cut tail ends silently");
        }
    }
}

#[test]
fn saramas_messages_are_read() {
    for (hex, value) in [(EMPTY_MESSAGE, None), (EMPTY_V1_MESSAGE, None)] {
        assert_eq!(values(&consume(&at(5, &unhex(hex)), 5).0), [(5, value)]);
    }
}

#[test]
fn saramas_compressed_sets_are_read_under_every_codec() {
    for hex in [EMPTY_BULK_SNAPPY_MESSAGE, EMPTY_BULK_GZIP_MESSAGE] {
        // Two empty messages at 0 and 0 or 1 of magic 0; the wrapper is of magic 0.
        let chunk = at(1, &unhex(hex));
        let mut cursor = ChunkCursor::new(0, Vec::new(), LIMITS);
        let mut plain = Vec::new();
        let batch = cursor.next_batch(&chunk, &mut Decompressor::default(), &mut plain).unwrap().unwrap();
        assert_eq!((batch.count, batch.next_offset), (2, 2));
    }
    // Sarama put messages of magic 0 into wrappers of magic 1, which brokers never do.
    for hex in [EMPTY_BULK_LZ4_MESSAGE, EMPTY_BULK_ZSTD_MESSAGE] {
        assert_eq!(fails(&at(1, &unhex(hex)), LIMITS).fault, Fault::Nested);
    }
    for hex in [EMPTY_GZIP_MESSAGE, EMPTY_LZ4_MESSAGE, EMPTY_ZSTD_MESSAGE] {
        assert_eq!(fails(&at(1, &unhex(hex)), LIMITS).fault, Fault::Truncated, "nothing inside");
    }
}

#[test]
fn offsets_in_a_compressed_set_of_magic_1_count_back_from_its_last() {
    // Compaction has removed the message at 1.
    let inner =
        [at(0, &message(1, 0, 100, None, Some(b"a"))), at(2, &message(1, 0, 300, Some(b"k"), Some(b"c")))].concat();
    let chunk = [
        at(12, &message(1, 1, 999, None, Some(&gzip(&inner)))),
        at(13, &message(1, 0, 400, None, Some(b"d"))),
        make(14, &[rec(0, "e")]).bytes(),
    ]
    .concat();
    let (all, next) = consume(&chunk, 10);
    assert_eq!(values(&all), [(10, text("a")), (12, text("c")), (13, text("d")), (14, text("e"))]);
    assert_eq!(all.iter().map(|r| r.1).collect::<Vec<_>>(), [100, 300, 400, 0]);
    assert_eq!((all[1].2.clone(), next), (text("k"), 15));
    assert_eq!(values(&consume(&chunk, 11).0)[0], (12, text("c")));
}

#[test]
fn a_wrapper_that_the_broker_stamped_gives_its_timestamp_to_all() {
    let inner = [at(0, &message(1, 0, 100, None, Some(b"a"))), at(1, &message(1, 0, 300, None, Some(b"b")))].concat();
    let chunk = at(1, &message(1, 1 | 8, 999, None, Some(&gzip(&inner))));
    let (mut cursor, mut plain) = (ChunkCursor::new(0, Vec::new(), LIMITS), Vec::new());
    let batch = cursor.next_batch(&chunk, &mut Decompressor::default(), &mut plain).unwrap().unwrap();
    assert_eq!((batch.timestamp_type, batch.codec), (TimestampType::LogAppend, Codec::Gzip));
    let all: Vec<_> = batch.records(batch.section(&chunk, &plain)).map(|r| seen(&r)).collect();
    assert_eq!(all.iter().map(|r| (r.0, r.1)).collect::<Vec<_>>(), [(0, 999), (1, 999)]);
}

#[test]
fn offsets_in_a_compressed_set_of_magic_0_are_absolute() {
    let inner = [at(40, &message(0, 0, 0, None, Some(b"a"))), at(42, &message(0, 0, 0, None, None))].concat();
    let chunk = at(42, &message(0, 1, 0, None, Some(&gzip(&inner))));
    let (all, next) = consume(&chunk, 40);
    assert_eq!((values(&all), next), (vec![(40, text("a")), (42, None)], 43));
    assert_eq!(all[0].1, -1);
}

#[test]
fn lz4_of_magic_0_is_read_though_its_header_checksum_is_wrong() {
    let inner = at(3, &message(0, 0, 0, None, Some(b"old")));
    let mut packed = Vec::new();
    let len = klamm_core::codec::Compression::new(Codec::Lz4, None).unwrap().compress(&inner, &mut packed).unwrap();
    packed.truncate(len);
    packed[6] ^= 0x5a;
    assert_eq!(values(&consume(&at(3, &message(0, 3, 0, None, Some(&packed))), 0).0), [(3, text("old"))]);
    let fault = fails(&at(3, &message(1, 3, 0, None, Some(&packed))), LIMITS).fault;
    assert!(matches!(fault, Fault::Codec(CodecError::Corrupt { codec: Codec::Lz4, .. })));
}

#[test]
fn what_is_wrong_in_a_message_set_is_said() {
    let mut bad = at(7, &message(1, 0, 5, None, Some(b"value")));
    let last = bad.len() - 1;
    bad[last] ^= 1;
    assert!(matches!(fails(&bad, LIMITS).fault, Fault::Crc { .. }));
    assert_eq!(consume_unchecked(&bad), 1);
    let good = at(6, &message(1, 0, 5, None, Some(b"value")));
    let chunk = [&good[..], &bad].concat();
    let mut cursor = ChunkCursor::new(0, Vec::new(), LIMITS);
    let (mut decompressor, mut plain) = (Decompressor::default(), Vec::new());
    assert_eq!(cursor.next_batch(&chunk, &mut decompressor, &mut plain).unwrap().unwrap().count, 1);
    let error = cursor.next_batch(&chunk, &mut decompressor, &mut plain).unwrap().unwrap_err();
    assert!(matches!(error.fault, Fault::Crc { .. }));
    assert_eq!((error.offset, cursor.next_offset(), cursor.behind_failure()), (7, 7, Some(8)));
    let wrapped = |inner: &[u8]| fails(&at(9, &message(1, 1, 5, None, Some(&gzip(inner)))), LIMITS).fault;
    let inner = at(0, &message(1, 0, 5, None, Some(b"x")));
    assert_eq!(wrapped(&inner[..inner.len() - 1]), Fault::Truncated);
    assert_eq!(wrapped(&[&inner[..], &inner[..5]].concat()), Fault::Trailing(5));
    assert_eq!(wrapped(&[&inner[..], &inner].concat()), Fault::OffsetDelta(0));
    assert_eq!(wrapped(&at(0, &message(1, 1, 5, None, Some(&gzip(&inner))))), Fault::Nested);
    assert_eq!(wrapped(&make(0, &[rec(0, "new")]).bytes()), Fault::Nested);
    assert_eq!(wrapped(&at(20, &message(1, 0, 5, None, None))), Fault::Overflow);
    assert_eq!(fails(&at(9, &message(1, 1, 5, None, None)), LIMITS).fault, Fault::Truncated);
    assert_eq!(
        fails(&at(9, &[&message(1, 0, 5, None, None)[..], b"?"].concat()), ReadLimits { check_crcs: false, ..LIMITS })
            .fault,
        Fault::Trailing(1)
    );
    assert_eq!(fails(&at(-1, &message(1, 0, 5, None, None)), LIMITS).fault, Fault::Overflow);
}

fn consume_unchecked(chunk: &[u8]) -> u32 {
    let mut cursor = ChunkCursor::new(0, Vec::new(), ReadLimits { check_crcs: false, ..LIMITS });
    cursor.next_batch(chunk, &mut Decompressor::default(), &mut Vec::new()).unwrap().unwrap().count
}
