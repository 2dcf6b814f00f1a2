//! Zstandard by the reference library.
//!
//! Whole bodies at a time into one buffer: so no window is allocated by what a frame's header declares.

use zstd::bulk::Compressor;
use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd::zstd_safe::{self, DCtx};

use super::{Codec, CodecError, grow};

/// Bytes of output that one byte of input may ask for at first; beyond that a frame must show that it has them.
const MOST_DECLARED: usize = 64;

/// The first guess where a frame does not declare its size, and the step by which a guess grows.
const STEP: usize = 4;

const fn corrupt(what: &'static str) -> CodecError {
    CodecError::Corrupt { codec: Codec::Zstd, what }
}

pub(super) fn compress(
    context: &mut Option<Compressor<'static>>,
    level: Option<i32>,
    plain: &[u8],
    out: &mut Vec<u8>,
) -> Result<usize, CodecError> {
    let failed = corrupt("the encoder failed");
    if context.is_none() {
        *context = Some(Compressor::new(level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL)).map_err(|_| failed)?);
    }
    let Some(compressor) = context else { return Err(failed) };
    grow(out, zstd_safe::compress_bound(plain.len()));
    compressor.compress_to_buffer(plain, &mut out[..]).map_err(|_| failed)
}

pub(super) fn decompress(
    context: &mut Option<DCtx<'static>>,
    bytes: &[u8],
    out: &mut Vec<u8>,
    limit: usize,
) -> Result<usize, CodecError> {
    if context.is_none() {
        *context = DCtx::try_create();
    }
    let Some(context) = context else { return Err(corrupt("no memory for the decoder")) };
    let declared = zstd_safe::get_frame_content_size(bytes).map_err(|_| corrupt("frame header"))?;
    let declared = declared.map_or(0, |n| usize::try_from(n).unwrap_or(usize::MAX));
    let first = match declared {
        0 => bytes.len().saturating_mul(STEP).max(1024),
        _ => declared.min(bytes.len().saturating_mul(MOST_DECLARED)),
    };
    grow(out, first.min(limit));
    loop {
        let room = out.len().min(limit);
        // Several frames one after another are one text: the library goes on by itself.
        match context.decompress(&mut out[..room], bytes) {
            Ok(size) => return Ok(size),
            Err(code) if !zstd_safe::is_error_kind(code, ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall) => {
                return Err(corrupt("bad frame"));
            }
            Err(_) if room == limit => return Err(CodecError::TooLarge { codec: Codec::Zstd, limit }),
            Err(_) => grow(out, room.saturating_mul(STEP).max(1024).min(limit)),
        }
    }
}
