//! Codecs: round trips, other writers and readers, hostile inputs.

use std::io::{Read, Write};

use proptest::prelude::*;

use klamm_core::codec::{Codec, CodecError, Compression, Compressor, Decompressor};

use super::build::unhex;

const PACKED: [Codec; 4] = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

fn pack(codec: Codec, level: Option<i32>, plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let len = Compression::new(codec, level).unwrap().compress(plain, &mut out).unwrap();
    out.truncate(len);
    out
}

fn unpack(codec: Codec, bytes: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    let len = Decompressor::default().decompress(codec, bytes, &mut out, limit)?;
    out.truncate(len);
    Ok(out)
}

/// Text with repeats near and far, and stretches that do not compress.
fn text(seed: u64, len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut out = Vec::with_capacity(len + 300);
    while out.len() < len {
        match random.u8(..4) {
            0 => out.extend((0..random.usize(1..300)).map(|_| random.u8(..))),
            1 => out.resize(out.len() + random.usize(1..300), random.u8(..)),
            _ if !out.is_empty() => {
                let from = random.usize(..out.len());
                let to = out.len().min(from + random.usize(1..300));
                out.extend_from_within(from..to);
            }
            _ => out.push(1),
        }
    }
    out.truncate(len);
    out
}

#[test]
fn every_size_around_block_borders_survives() {
    let all = text(1, 400_000);
    let sizes = [0, 1, 2, 13, 100, 32_767, 32_768, 32_769, 65_534, 65_535, 65_536, 65_537, 131_072, 400_000];
    for codec in PACKED {
        let mut compressor = Compressor::new(Compression::new(codec, None).unwrap());
        let (mut decompressor, mut packed, mut plain) = (Decompressor::default(), Vec::new(), Vec::new());
        for size in sizes {
            let len = compressor.compress(&all[..size], &mut packed).unwrap();
            let len = decompressor.decompress(codec, &packed[..len], &mut plain, size).unwrap();
            assert!(plain[..len] == all[..size], "{codec} {size}");
        }
    }
}

#[test]
fn every_level_that_kafka_allows_works_and_the_next_one_is_refused() {
    let plain = text(2, 10_000);
    for (codec, levels, refused) in [
        (Codec::Gzip, vec![-1, 1, 5, 9], vec![-2, 0, 10]),
        (Codec::Lz4, vec![1, 9, 17], vec![0, 18, -1]),
        (Codec::Zstd, vec![-131_072, -5, 0, 1, 3, 22], vec![-131_073, 23]),
        (Codec::Snappy, vec![], vec![1]),
        (Codec::None, vec![], vec![0]),
    ] {
        for level in levels {
            assert_eq!(unpack(codec, &pack(codec, Some(level), &plain), 10_000).unwrap(), plain, "{codec} {level}");
        }
        for level in refused {
            let error = Compression::new(codec, Some(level)).unwrap_err();
            assert_eq!(error.kind(), klamm_core::ErrorKind::Config, "{codec} {level}");
        }
    }
}

#[test]
fn a_higher_level_makes_less_of_it() {
    let plain = text(3, 200_000);
    assert!(pack(Codec::Gzip, Some(9), &plain).len() < pack(Codec::Gzip, Some(1), &plain).len());
    assert!(pack(Codec::Zstd, Some(19), &plain).len() < pack(Codec::Zstd, Some(-50), &plain).len());
}

#[test]
fn the_reference_implementations_read_what_we_write() {
    for size in [0, 1, 1000, 65_536, 300_000] {
        let plain = text(4, size);
        let mut out = Vec::new();
        flate2::read::GzDecoder::new(&pack(Codec::Gzip, None, &plain)[..]).read_to_end(&mut out).unwrap();
        assert!(out == plain);
        out.clear();
        lz4_flex::frame::FrameDecoder::new(&pack(Codec::Lz4, None, &plain)[..]).read_to_end(&mut out).unwrap();
        assert!(out == plain);
        assert!(zstd::stream::decode_all(&pack(Codec::Zstd, None, &plain)[..]).unwrap() == plain);
        // The framing of xerial, spelled out.
        let packed = pack(Codec::Snappy, None, &plain);
        assert_eq!(packed[..16], unhex("82534e41505059000000000100000001"));
        let (mut at, mut out) = (16, Vec::new());
        while at < packed.len() {
            let len = u32::from_be_bytes(packed[at..at + 4].try_into().unwrap()) as usize;
            out.extend(snap::raw::Decoder::new().decompress_vec(&packed[at + 4..at + 4 + len]).unwrap());
            at += 4 + len;
        }
        assert!(out == plain);
    }
}

#[test]
fn the_lz4_header_is_the_one_that_java_writes() {
    assert_eq!(pack(Codec::Lz4, None, b"x")[..7], unhex("04224d18604082"));
}

#[test]
fn frames_of_the_reference_encoder_are_read_with_every_option() {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    for size in [0, 1, 5000, 65_536, 70_000, 600_000] {
        let plain = text(5, size);
        for mode in [BlockMode::Independent, BlockMode::Linked] {
            for block in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB] {
                for (blocks, content, sized) in [(false, false, false), (true, true, true), (true, false, true)] {
                    let info = FrameInfo::new()
                        .block_mode(mode)
                        .block_size(block)
                        .block_checksums(blocks)
                        .content_checksum(content)
                        .content_size(sized.then_some(size as u64));
                    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
                    encoder.write_all(&plain).unwrap();
                    let frame = encoder.finish().unwrap();
                    assert!(unpack(Codec::Lz4, &frame, size).unwrap() == plain, "{mode:?} {block:?} {size}");
                }
            }
        }
    }
}

#[test]
fn several_frames_one_after_another_are_one_text() {
    let (a, b) = (text(6, 50_000), text(7, 100_000));
    let both = [&a[..], &b].concat();
    for codec in PACKED {
        let joined = [pack(codec, None, &a), pack(codec, None, &b)].concat();
        assert!(unpack(codec, &joined, both.len()).unwrap() == both, "{codec}");
        assert_eq!(unpack(codec, &joined, both.len() - 1), Err(CodecError::TooLarge { codec, limit: both.len() - 1 }));
    }
    let skipped = [unhex("502a4d1803000000ffffff"), pack(Codec::Lz4, None, &a)].concat();
    assert!(unpack(Codec::Lz4, &skipped, a.len()).unwrap() == a);
}

#[test]
fn zstd_frames_without_a_size_are_read() {
    let plain = text(8, 3_000_000);
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_contentsize(false).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(&plain).unwrap();
    let frame = encoder.finish().unwrap();
    assert!(unpack(Codec::Zstd, &frame, plain.len()).unwrap() == plain);
    assert_eq!(
        unpack(Codec::Zstd, &frame, plain.len() - 1),
        Err(CodecError::TooLarge { codec: Codec::Zstd, limit: plain.len() - 1 })
    );
}

#[test]
fn snappy_is_read_framed_raw_and_with_redpandas_header() {
    let framed = unhex(
        "82534e4150505900000000010000000100000018ac0214534e41505059fe0600fe0600fe0600fe0600960600\
         00000018ac021458455249414cfe0600fe0600fe0600fe0600960600",
    );
    let plain = [b"SNAPPY".repeat(50), b"XERIAL".repeat(50)].concat();
    assert_eq!(unpack(Codec::Snappy, &framed, 600).unwrap(), plain);
    let mut redpanda = framed.clone();
    redpanda[8..16].copy_from_slice(&unhex("0100000001000000"));
    assert_eq!(unpack(Codec::Snappy, &redpanda, 600).unwrap(), plain);
    let raw = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
    assert_eq!(unpack(Codec::Snappy, &raw, 600).unwrap(), plain);
}

#[test]
fn bombs_stop_at_the_limit() {
    let zeros = vec![0; 64 << 20];
    for codec in PACKED {
        let bomb = pack(codec, None, &zeros);
        let mut out = Vec::new();
        let limit = 1 << 20;
        let result = Decompressor::default().decompress(codec, &bomb, &mut out, limit);
        assert_eq!(result, Err(CodecError::TooLarge { codec, limit }), "{codec}");
        assert!(out.len() <= limit, "{codec} grew to {}", out.len());
    }
}

#[test]
fn declared_sizes_are_not_trusted() {
    // Raw and framed snappy that declare 4 GiB; a zstd frame that declares 2^60; an LZ4 frame with blocks of 4 MiB.
    let cases = [
        (Codec::Snappy, unhex("ffffffff0f00")),
        (Codec::Snappy, [unhex("82534e4150505900000000010000000100000006"), unhex("ffffffff0f00")].concat()),
        (Codec::Zstd, unhex("28b52ffde000000000000000100100000041")),
        (Codec::Lz4, unhex("04224d1860707300000010")),
    ];
    for (codec, bytes) in cases {
        let mut out = Vec::new();
        Decompressor::default().decompress(codec, &bytes, &mut out, usize::MAX).unwrap_err();
        assert!(out.len() <= 64 * bytes.len() + 1024, "{codec} grew to {}", out.len());
    }
}

#[test]
fn broken_lz4_frames_say_what_is_wrong() {
    use lz4_flex::frame::{FrameEncoder, FrameInfo};
    let info = FrameInfo::new().block_checksums(true).content_checksum(true).content_size(Some(1000));
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(&text(9, 1000)).unwrap();
    let good = encoder.finish().unwrap();
    for cut in 1..good.len() {
        unpack(Codec::Lz4, &good[..cut], 1000).unwrap_err();
    }
    let what = |at: usize, flip: u8| {
        let mut bad = good.clone();
        bad[at] ^= flip;
        match unpack(Codec::Lz4, &bad, 1000) {
            Err(CodecError::Corrupt { what, .. }) => what,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(what(0, 1), "not a frame");
    assert_eq!(what(4, 0x40), "unknown frame version");
    assert_eq!(what(4, 0b10), "reserved bits in the frame header");
    assert_eq!(what(4, 0b1), "the frame needs a dictionary");
    assert_eq!(what(5, 0b1), "reserved bits in the frame header");
    assert_eq!(what(6, 1), "checksum of the frame header");
    assert_eq!(what(14, 1), "checksum of the frame header");
    assert_eq!(what(40, 1), "checksum of a block");
    assert_eq!(what(good.len() - 1, 1), "checksum of the content");
}

#[test]
fn mutated_and_random_input_never_panics_and_never_exceeds_the_limit() {
    let mut random = fastrand::Rng::with_seed(11);
    let limit = 100_000;
    for codec in PACKED {
        let mut decompressor = Decompressor::default();
        let mut out = Vec::new();
        let good = pack(codec, None, &text(12, 5000));
        for round in 0..3000 {
            let mut bad = good.clone();
            for _ in 0..random.usize(1..6) {
                let at = random.usize(..bad.len().min(if round % 2 == 0 { 40 } else { usize::MAX }));
                bad[at] = random.u8(..);
            }
            bad.truncate(random.usize(bad.len() / 2..=bad.len()));
            if let Ok(len) = decompressor.decompress(codec, &bad, &mut out, limit) {
                assert!(len <= limit);
            }
            let noise: Vec<u8> = (0..random.usize(..60)).map(|_| random.u8(..)).collect();
            if let Ok(len) = decompressor.decompress(codec, &noise, &mut out, limit) {
                assert!(len <= limit);
            }
        }
        assert!(out.len() <= limit);
        let len = decompressor.decompress(codec, &good, &mut out, limit).unwrap();
        assert!(out[..len] == text(12, 5000), "{codec} reads well after all that");
    }
}

proptest! {
    #[test]
    fn whatever_goes_in_comes_out(plain in proptest::collection::vec(any::<u8>(), 0..3000), repeat in 1usize..40) {
        let plain = plain.repeat(repeat);
        for codec in PACKED {
            let packed = pack(codec, None, &plain);
            prop_assert!(unpack(codec, &packed, plain.len()).unwrap() == plain);
        }
    }
}
