//! The hot paths of records, each beside a copy of the same bytes. Run: `cargo bench -p klamm-core --bench record`.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};

use klamm_core::codec::{Codec, Compression, Compressor, Decompressor};
use klamm_core::record::{
    BatchHeader, BodyBuf, BodyCrc, ChunkCursor, HEADER_LEN, Header, IsolationLevel, ReadLimits, RecordView, Records,
    RecordsInfo, Stamp, VerifiedRecords,
};

fn main() {
    divan::main();
}

/// About one default fetch answer: 256 KiB of records.
const BODY: usize = 256 * 1024;

const SIZES: [usize; 2] = [100, 1024];

const PACKED: [Codec; 4] = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

const LIMITS: ReadLimits =
    ReadLimits { isolation: IsolationLevel::ReadUncommitted, check_crcs: true, max_plain: 1 << 24 };

/// Values like short JSON texts, so that codecs have something to do.
fn values(size: usize) -> Vec<Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(1);
    let one = |_| {
        let mut text = String::new();
        while text.len() < size {
            text += &format!("{{\"user\":{},\"action\":\"{}\",", random.u32(..100_000), random.u8(..20));
            text += &format!("\"price\":{}.{:02},\"ok\":{}}}", random.u16(..500), random.u8(..100), random.bool());
        }
        text.truncate(size);
        text.into_bytes()
    };
    (0..BODY / (size + 12)).map(one).collect()
}

fn full(size: usize) -> BodyBuf {
    let mut body = BodyBuf::with_limit(BODY);
    for (i, value) in values(size).iter().enumerate() {
        body.append(1_700_000_000_000 + i as i64 / 10, None, Some(value), &[]).unwrap();
    }
    body
}

/// What an application looks at, at the least.
fn seen(record: &RecordView<'_>) -> usize {
    let last = record.value.and_then(|v| v.last().copied()).map_or(0, usize::from);
    last + record.offset as usize + record.timestamp as usize + record.headers.len() + usize::from(record.key.is_some())
}

fn batch(size: usize) -> Vec<u8> {
    let body = full(size);
    [&body.facts().header(Stamp::NONE, false)[..], body.plain()].concat()
}

#[divan::bench(args = SIZES)]
fn append(bencher: Bencher<'_, '_>, size: usize) {
    let (values, mut body) = (values(size), BodyBuf::with_limit(BODY));
    let bencher = bencher.counter(ItemsCount::new(values.len()));
    bencher.bench_local(|| {
        body.reset();
        for (i, value) in values.iter().enumerate() {
            black_box(body.append(1_700_000_000_000 + i as i64 / 10, None, Some(value), &[]));
        }
    });
}

#[divan::bench(args = SIZES)]
fn append_keyed(bencher: Bencher<'_, '_>, size: usize) {
    let (values, mut body) = (values(size), BodyBuf::with_limit(BODY + BODY / 8));
    let bencher = bencher.counter(ItemsCount::new(values.len()));
    bencher.bench_local(|| {
        body.reset();
        for (i, value) in values.iter().enumerate() {
            black_box(body.append(1_700_000_000_000 + i as i64 / 10, Some(b"key-0001"), Some(value), &[]));
        }
    });
}

#[divan::bench(args = SIZES)]
fn append_three_headers(bencher: Bencher<'_, '_>, size: usize) {
    let (values, mut body) = (values(size), BodyBuf::with_limit(2 * BODY));
    let headers = [Header::new("trace", b"0123456789abcdef"), Header::new("type", b"order"), Header::null("none")];
    let bencher = bencher.counter(ItemsCount::new(values.len()));
    bencher.bench_local(|| {
        body.reset();
        for (i, value) in values.iter().enumerate() {
            black_box(body.append(1_700_000_000_000 + i as i64 / 10, None, Some(value), &headers));
        }
    });
}

/// What `append` cannot do without: one copy per value, at the same places.
#[divan::bench(args = SIZES)]
fn append_floor_copies(bencher: Bencher<'_, '_>, size: usize) {
    let (values, mut out) = (values(size), vec![0; BODY]);
    let bencher = bencher.counter(ItemsCount::new(values.len()));
    bencher.bench_local(|| {
        let mut at = 0;
        for value in &values {
            out[at..at + value.len()].copy_from_slice(black_box(value));
            at += value.len() + 10;
        }
        black_box(&mut out);
    });
}

#[divan::bench(args = [16 * 1024, BODY, 1 << 20])]
fn seal_crc(bencher: Bencher<'_, '_>, size: usize) {
    let body = vec![7; size];
    bencher.counter(BytesCount::new(size)).bench_local(|| BodyCrc::of(black_box(&body)));
}

#[divan::bench(args = [16 * 1024, BODY, 1 << 20])]
fn seal_floor_copy(bencher: Bencher<'_, '_>, size: usize) {
    let (body, mut out) = (vec![7; size], vec![0; size]);
    bencher.counter(BytesCount::new(size)).bench_local(|| black_box(&mut out).copy_from_slice(black_box(&body)));
}

#[divan::bench]
fn stamp(bencher: Bencher<'_, '_>) {
    let facts = full(100).facts();
    bencher.bench_local(|| black_box(&facts).header(black_box(Stamp::NONE), false));
}

#[divan::bench(args = SIZES)]
fn decode_checked(bencher: Bencher<'_, '_>, size: usize) {
    let batch = batch(size);
    let header = BatchHeader::parse(&batch).unwrap();
    let bencher = bencher.counter(ItemsCount::new(header.count as usize));
    bencher.bench_local(|| {
        let records = Records::new(black_box(&batch[HEADER_LEN..]), RecordsInfo::from(&header));
        records.map(|r| seen(&r.unwrap())).fold(0, usize::wrapping_add)
    });
}

/// The same after a check of the whole, without the check.
#[divan::bench(args = SIZES)]
fn decode_verified(bencher: Bencher<'_, '_>, size: usize) {
    let batch = batch(size);
    let header = BatchHeader::parse(&batch).unwrap();
    let bencher = bencher.counter(ItemsCount::new(header.count as usize));
    bencher.bench_local(|| {
        let bytes = black_box(&batch[HEADER_LEN..]);
        let records = VerifiedRecords::new(bytes, RecordsInfo::from(&header), 0, header.count as u32);
        records.map(|r| seen(&r)).fold(0, usize::wrapping_add)
    });
}

/// All of a consumer's work on a chunk: checksum, check, iterate.
#[divan::bench(args = SIZES)]
fn consume(bencher: Bencher<'_, '_>, size: usize) {
    let batch = batch(size);
    let count = BatchHeader::parse(&batch).unwrap().count as usize;
    let (mut decompressor, mut plain) = (Decompressor::default(), Vec::new());
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        let mut cursor = ChunkCursor::new(0, Vec::new(), LIMITS);
        let mut sum = 0;
        while let Some(found) = cursor.next_batch(black_box(&batch), &mut decompressor, &mut plain) {
            let found = found.unwrap();
            let records = found.records(found.section(&batch, &plain));
            sum = records.map(|r| seen(&r)).fold(sum, usize::wrapping_add);
        }
        sum
    });
}

#[divan::bench(args = PACKED, consts = SIZES)]
fn compress<const SIZE: usize>(bencher: Bencher<'_, '_>, codec: Codec) {
    let (body, mut out) = (full(SIZE), Vec::new());
    let mut compressor = Compressor::new(Compression::new(codec, None).unwrap());
    let len = compressor.compress(body.plain(), &mut out).unwrap();
    eprintln!("{codec} {SIZE}: {:.3} of the size", len as f64 / body.len() as f64);
    let bencher = bencher.counter(BytesCount::new(body.len())).counter(ItemsCount::new(body.count()));
    bencher.bench_local(|| compressor.compress(black_box(body.plain()), &mut out));
}

#[divan::bench(args = PACKED, consts = SIZES)]
fn decompress<const SIZE: usize>(bencher: Bencher<'_, '_>, codec: Codec) {
    let (body, mut packed, mut plain) = (full(SIZE), Vec::new(), Vec::new());
    let len = Compression::new(codec, None).unwrap().compress(body.plain(), &mut packed).unwrap();
    let mut decompressor = Decompressor::default();
    let bencher = bencher.counter(BytesCount::new(body.len())).counter(ItemsCount::new(body.count()));
    bencher.bench_local(|| decompressor.decompress(codec, black_box(&packed[..len]), &mut plain, BODY));
}

/// The frame type of the library, for comparison with our own frames over its blocks.
#[divan::bench(consts = SIZES)]
fn compress_lz4_by_the_library<const SIZE: usize>(bencher: Bencher<'_, '_>) {
    let body = full(SIZE);
    let bencher = bencher.counter(BytesCount::new(body.len()));
    bencher.bench_local(|| {
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        std::io::Write::write_all(&mut encoder, black_box(body.plain())).unwrap();
        encoder.finish().unwrap().len()
    });
}
