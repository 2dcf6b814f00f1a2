//! gzip, by `flate2` over its pure Rust backend.

use std::io::{Read, Write};

use flate2::Compression as Level;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::{Codec, CodecError, grow};

const fn corrupt(what: &'static str) -> CodecError {
    CodecError::Corrupt { codec: Codec::Gzip, what }
}

pub(super) fn compress(level: Option<i32>, plain: &[u8], out: &mut Vec<u8>) -> Result<usize, CodecError> {
    let level = match level.and_then(|l| u32::try_from(l).ok()) {
        Some(level @ 1..=9) => Level::new(level),
        _ => Level::default(),
    };
    let mut encoder = GzEncoder::new(Front { out, at: 0 }, level);
    let written = encoder.write_all(plain).and_then(|()| encoder.finish());
    written.map(|front| front.at).map_err(|_| corrupt("the encoder failed"))
}

pub(super) fn decompress(bytes: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<usize, CodecError> {
    // Members one after another are one text, as in Java's GZIPInputStream.
    let mut decoder = MultiGzDecoder::new(bytes);
    let mut at = 0;
    loop {
        if at == out.len() {
            let room = out.len().max(bytes.len().saturating_mul(2)).max(512).saturating_mul(2);
            grow(out, room.min(limit));
        }
        let end = out.len().min(limit);
        if at >= end {
            // One more byte tells a text that ends at the limit from one that goes on.
            return match decoder.read(&mut [0]) {
                Ok(0) => Ok(at),
                Ok(_) => Err(CodecError::TooLarge { codec: Codec::Gzip, limit }),
                Err(_) => Err(corrupt("bad deflate data or checksum")),
            };
        }
        match decoder.read(&mut out[at..end]) {
            Ok(0) => return Ok(at),
            Ok(n) => at += n,
            Err(_) => return Err(corrupt("bad deflate data or checksum")),
        }
    }
}

/// Writes over the front of a buffer, which grows as needed.
struct Front<'a> {
    out: &'a mut Vec<u8>,
    at: usize,
}

impl Write for Front<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let end = self.at + bytes.len();
        grow(self.out, end);
        self.out[self.at..end].copy_from_slice(bytes);
        self.at = end;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
