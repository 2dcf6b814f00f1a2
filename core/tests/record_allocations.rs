//! Writing and reading records allocates nothing: counted.

use allocation_counter::measure;

use klamm_core::codec::{Codec, Compression, Compressor, Decompressor};
use klamm_core::record::{BodyBuf, ChunkCursor, Header, IsolationLevel, ReadLimits, Stamp};

const LIMITS: ReadLimits =
    ReadLimits { isolation: IsolationLevel::ReadCommitted, check_crcs: true, max_plain: 1 << 20 };

fn fill(body: &mut BodyBuf) {
    let value = [7; 100];
    let headers = [Header::new("trace", b"abc"), Header::null("none")];
    body.reset();
    for i in 0..500 {
        body.append(1000 + i, None, Some(&value), &[]).unwrap();
        body.append(2_000_000 + i, Some(b"key"), Some(&value), &headers).unwrap();
    }
}

#[test]
fn appending_sealing_and_stamping_allocate_nothing() {
    let mut body = BodyBuf::with_limit(1 << 20);
    let mut sum = 0u64;
    let counted = measure(|| {
        fill(&mut body);
        let facts = body.facts();
        sum += facts.header(Stamp::NONE, false).iter().map(|b| u64::from(*b)).sum::<u64>();
    });
    assert!(sum > 0 && body.count() == 1000);
    assert_eq!(counted.count_total, 0);
}

#[test]
fn walking_verifying_and_reading_plain_records_allocate_nothing() {
    let mut body = BodyBuf::with_limit(1 << 20);
    fill(&mut body);
    let mut chunk = body.facts().header(Stamp::NONE, false).to_vec();
    chunk.extend(body.plain());
    let (mut decompressor, mut plain, mut seen) = (Decompressor::default(), Vec::new(), 0);
    let counted = measure(|| {
        let mut cursor = ChunkCursor::new(0, Vec::new(), LIMITS);
        while let Some(batch) = cursor.next_batch(&chunk, &mut decompressor, &mut plain) {
            let batch = batch.unwrap();
            for record in batch.records(batch.section(&chunk, &plain)) {
                seen += record.value.unwrap().len() + record.headers.iter().map(|h| h.key.len()).sum::<usize>();
            }
        }
    });
    assert_eq!(seen, 1000 * 100 + 500 * 9);
    assert_eq!(counted.count_total, 0);
}

#[test]
fn kept_codecs_and_buffers_stop_allocating() {
    let mut body = BodyBuf::with_limit(1 << 20);
    fill(&mut body);
    for codec in [Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut compressor = Compressor::new(Compression::new(codec, None).unwrap());
        let (mut decompressor, mut packed, mut plain) = (Decompressor::default(), Vec::new(), Vec::new());
        let mut turn = || {
            let len = compressor.compress(body.plain(), &mut packed).unwrap();
            decompressor.decompress(codec, &packed[..len], &mut plain, 1 << 20).unwrap()
        };
        assert_eq!(turn(), body.len());
        let counted = measure(|| assert_eq!(turn(), body.len()));
        assert_eq!(counted.count_total, 0, "{codec}");
    }
}
