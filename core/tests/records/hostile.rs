//! Bytes that nobody wrote: no panic, no endless loop, bounded buffers. Runs with overflow checks, as all tests do.

use klamm_core::codec::{Codec, Decompressor};
use klamm_core::record::{
    AbortedTransaction, ChunkCursor, HEADER_LEN, IsolationLevel, ReadLimits, Records, RecordsInfo, batches, survey,
};

use super::build::{Rec, make, marker, rec};
use super::vectors::LIMITS;

const MAX_PLAIN: usize = 1 << 16;

/// Drives everything that reads over `chunk`.
fn read(chunk: &[u8], asked: i64, check_crcs: bool, decompressor: &mut Decompressor, plain: &mut Vec<u8>) {
    let found = survey(chunk, asked);
    assert!(found.bytes <= chunk.len() && found.next_offset >= asked);
    assert!(batches(chunk).count() <= chunk.len() / 26 + 1);
    for isolation in [IsolationLevel::ReadUncommitted, IsolationLevel::ReadCommitted] {
        let aborted = vec![
            AbortedTransaction { producer_id: 7, first_offset: 0 },
            AbortedTransaction { producer_id: -1, first_offset: i64::MIN },
        ];
        let mut cursor = ChunkCursor::new(asked, aborted, ReadLimits { isolation, check_crcs, max_plain: MAX_PLAIN });
        let (mut steps, mut position) = (0, asked);
        while let Some(batch) = cursor.next_batch(chunk, decompressor, plain) {
            let Ok(batch) = batch else { break };
            let section = batch.section(chunk, plain);
            let records: Vec<_> = batch.records(section).collect();
            assert_eq!(records.len(), batch.count as usize);
            for record in &records {
                assert!(record.offset >= position && record.offset < batch.next_offset);
                position = record.offset + 1;
                assert_eq!(record.headers.iter().count(), record.headers.len());
            }
            position = batch.next_offset;
            steps += 1;
            assert!(steps <= chunk.len());
        }
        assert!(cursor.next_offset() >= asked);
    }
    // Copies of uncompressed messages may be there too: a little more than the chunk.
    assert!(plain.len() <= 2 * MAX_PLAIN.max(chunk.len() * 2), "{}", plain.len());
}

fn seeds() -> Vec<Vec<u8>> {
    let header = (b"name".to_vec(), Some(b"value".to_vec()));
    let rich = [
        Rec { key: Some(b"key".to_vec()), headers: vec![header.clone(), (b"n".to_vec(), None)], ..rec(0, "one") },
        Rec { time: -5, headers: vec![header], ..rec(1, "") },
        Rec { value: None, ..rec(5, "") },
    ];
    let mut all = vec![marker(0, 7, 0)];
    for codec in Codec::ALL {
        let batch = make(0, &rich).packed(codec).of_producer(7).bytes();
        all.push([batch, marker(6, 7, 0), make(7, &rich).packed(codec).bytes()].concat());
    }
    let message = |magic: u8, attributes: u8, value: &[u8]| {
        let mut checked = vec![magic, attributes];
        checked.extend(vec![0; if magic == 1 { 8 } else { 0 }]);
        checked.extend([0xff; 4]);
        checked.extend((value.len() as i32).to_be_bytes());
        checked.extend(value);
        let mut whole = 5i64.to_be_bytes().to_vec();
        whole.extend((checked.len() as i32 + 4).to_be_bytes());
        whole.extend(crc32fast::hash(&checked).to_be_bytes());
        whole.extend(checked);
        whole
    };
    for magic in [0, 1] {
        let inner = message(magic, 0, b"inside");
        all.push(inner.clone());
        for codec in Codec::ALL.into_iter().skip(1) {
            let mut packed = Vec::new();
            let compression = klamm_core::codec::Compression::new(codec, None).unwrap();
            let len = compression.compress(&inner, &mut packed).unwrap();
            all.push(message(magic, codec.id(), &packed[..len]));
        }
    }
    all
}

#[test]
fn mutated_chunks_never_panic() {
    let mut random = fastrand::Rng::with_seed(77);
    let (mut decompressor, mut plain) = (Decompressor::default(), Vec::new());
    for seed in seeds() {
        read(&seed, 0, true, &mut decompressor, &mut plain);
        for _ in 0..1500 {
            let mut bad = seed.clone();
            for _ in 0..random.usize(1..5) {
                let at = random.usize(..bad.len());
                match random.u8(..4) {
                    0 => bad[at] = random.u8(..),
                    1 => bad[at] ^= 1 << random.u8(..8),
                    2 => bad[at] = [0, 1, 0x7f, 0x80, 0xff][random.usize(..5)],
                    _ => {
                        let end = bad.len().min(at + random.usize(1..9));
                        bad[at..end].fill(*[0u8, 0xff, 0x7f, 0x80].get(random.usize(..4)).unwrap());
                    }
                }
            }
            if random.u8(..4) == 0 {
                bad.truncate(random.usize(..=bad.len()));
            }
            let asked = [0, 1, 5, i64::MAX - 1, i64::MAX][random.usize(..5)];
            read(&bad, asked, random.bool(), &mut decompressor, &mut plain);
        }
    }
}

#[test]
fn random_bytes_never_panic() {
    let mut random = fastrand::Rng::with_seed(5);
    let (mut decompressor, mut plain) = (Decompressor::default(), Vec::new());
    for _ in 0..20_000 {
        let mut noise: Vec<u8> = (0..random.usize(..200)).map(|_| random.u8(..)).collect();
        if let Some(magic) = noise.get_mut(16) {
            *magic = random.u8(..3);
        }
        if let Some(length) = noise.get_mut(8..12) {
            length.copy_from_slice(&[0, 0, 0, random.u8(..)]);
        }
        read(&noise, 0, false, &mut decompressor, &mut plain);
    }
}

#[test]
fn random_record_sections_never_panic() {
    let mut random = fastrand::Rng::with_seed(6);
    for _ in 0..50_000 {
        let bytes: Vec<u8> = (0..random.usize(..60)).map(|_| random.u8(..) >> random.u8(..8)).collect();
        let info = RecordsInfo {
            base_offset: [0, i64::MAX - 3][random.usize(..2)],
            last_offset_delta: random.i32(..),
            base_timestamp: random.i64(..),
            append_time: random.bool().then_some(1),
            count: random.u32(..5),
        };
        let mut records = Records::new(&bytes, info);
        let good = records.by_ref().take_while(|r| r.is_ok()).count();
        assert!(good <= info.count as usize && records.next().is_none());
    }
}

#[test]
fn counts_from_the_wire_allocate_nothing() {
    // A header of 61 bytes alone that claims i32::MAX records, plain and compressed.
    for attributes in [0, 4] {
        let made = make(0, &[]).with(|h| {
            h.count = i32::MAX;
            h.last_offset_delta = i32::MAX;
            h.attributes.0 = attributes;
        });
        let chunk = made.bytes();
        assert_eq!(chunk.len(), HEADER_LEN);
        let mut plain = Vec::new();
        let mut cursor = ChunkCursor::new(0, Vec::new(), LIMITS);
        cursor.next_batch(&chunk, &mut Decompressor::default(), &mut plain).unwrap().unwrap_err();
        assert!(plain.is_empty());
    }
}
