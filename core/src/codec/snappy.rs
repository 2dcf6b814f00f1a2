//! Snappy by `snap`: written in the framing of Java's xerial library, which Kafka's own clients need; read with that
//! framing or raw, as librdkafka and others write it.

use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::{Codec, CodecError, grow};

/// What xerial's streams begin with; two version numbers of four bytes follow.
const MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
const HEADER: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

/// The block size of Java's SnappyOutputStream.
const BLOCK: usize = 32 * 1024;

/// No element of a snappy stream gives more bytes than this times its own.
const MOST_RATIO: usize = 32;

const fn corrupt(what: &'static str) -> CodecError {
    CodecError::Corrupt { codec: Codec::Snappy, what }
}

pub(super) fn compress(encoder: &mut Encoder, plain: &[u8], out: &mut Vec<u8>) -> Result<usize, CodecError> {
    grow(out, HEADER.len());
    out[..HEADER.len()].copy_from_slice(&HEADER);
    let mut at = HEADER.len();
    for block in plain.chunks(BLOCK) {
        grow(out, at + 4 + max_compress_len(block.len()));
        let size = encoder.compress(block, &mut out[at + 4..]).map_err(|_| corrupt("the encoder failed"))?;
        let length = u32::try_from(size).map_err(|_| corrupt("the encoder failed"))?;
        out[at..at + 4].copy_from_slice(&length.to_be_bytes());
        at += 4 + size;
    }
    Ok(at)
}

pub(super) fn decompress(bytes: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<usize, CodecError> {
    let Some(mut rest) = bytes.strip_prefix(&MAGIC) else {
        return block(bytes, out, 0, limit);
    };
    // The version numbers are not looked at: Java's readers ask for no more either, and Redpanda wrote them reversed.
    rest = rest.get(8..).ok_or(corrupt("cut header"))?;
    let mut at = 0;
    while !rest.is_empty() {
        // Streams one after another are one text, as in Java's SnappyInputStream.
        if let Some(again) = rest.strip_prefix(&MAGIC) {
            rest = again.get(8..).ok_or(corrupt("cut header"))?;
            continue;
        }
        let (length, behind) = rest.split_first_chunk().ok_or(corrupt("cut block length"))?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| corrupt("block length"))?;
        let (data, behind) = behind.split_at_checked(length).ok_or(corrupt("cut block"))?;
        at = block(data, out, at, limit)?;
        rest = behind;
    }
    Ok(at)
}

/// Decompresses one raw block behind the first `at` bytes of `out`; gives the new end.
fn block(data: &[u8], out: &mut Vec<u8>, at: usize, limit: usize) -> Result<usize, CodecError> {
    let declared = decompress_len(data).map_err(|_| corrupt("block header"))?;
    let end = at.checked_add(declared).filter(|end| *end <= limit);
    let end = end.ok_or(CodecError::TooLarge { codec: Codec::Snappy, limit })?;
    if declared > data.len().saturating_mul(MOST_RATIO) {
        return Err(corrupt("a block declares more than it can hold"));
    }
    grow(out, end);
    match Decoder::new().decompress(data, &mut out[at..end]) {
        Ok(size) if size == declared => Ok(end),
        _ => Err(corrupt("bad block")),
    }
}
