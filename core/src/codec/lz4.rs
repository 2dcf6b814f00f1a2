//! LZ4 frames by hand over `lz4_flex`'s blocks.
//!
//! Blocks are decompressed straight into the buffer that keeps the records, and compressed straight behind their length:
//! the library's own frame type copies both.

use lz4_flex::block::{self, CompressTable};
use twox_hash::XxHash32;

use super::{Codec, CodecError, grow};

/// What a frame begins with.
const MAGIC: u32 = 0x184D_2204;

/// Frames of this kind (in any of 16 variants) hold something for others.
const SKIPPABLE: u32 = 0x184D_2A50;

/// Magic, independent blocks of at most 64 KiB, neither checksums nor content size, and the checksum of all that: what
/// Java's producer writes.
const HEADER: [u8; 7] = [0x04, 0x22, 0x4D, 0x18, 0x60, 0x40, 0x82];

/// The block size that this header names.
const BLOCK: usize = 64 * 1024;

/// How far back a block may refer into the blocks before it.
const WINDOW: usize = 64 * 1024;

/// In a block's length: its data is not compressed.
const STORED: u32 = 1 << 31;

/// No byte of a compressed block gives more bytes than this.
const MOST_RATIO: usize = 255;

/// Whether the checksum in the header of a frame can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderChecksum {
    /// It is verified.
    Right,
    /// It is not looked at.
    PerhapsWrong,
}

const fn corrupt(what: &'static str) -> CodecError {
    CodecError::Corrupt { codec: Codec::Lz4, what }
}

pub(super) fn compress(table: &mut CompressTable, plain: &[u8], out: &mut Vec<u8>) -> Result<usize, CodecError> {
    grow(out, HEADER.len());
    out[..HEADER.len()].copy_from_slice(&HEADER);
    let mut at = HEADER.len();
    for data in plain.chunks(BLOCK) {
        let start = at + 4;
        grow(out, start + block::get_maximum_output_size(data.len()));
        let size = block::compress_into_with_table(data, &mut out[start..], table);
        let (size, flag) = match size {
            Ok(size) if size < data.len() => (size, 0),
            Ok(_) => {
                out[start..start + data.len()].copy_from_slice(data);
                (data.len(), STORED)
            }
            Err(_) => return Err(corrupt("the encoder failed")),
        };
        let length = u32::try_from(size).map_err(|_| corrupt("the encoder failed"))? | flag;
        out[at..start].copy_from_slice(&length.to_le_bytes());
        at = start + size;
    }
    grow(out, at + 4);
    out[at..at + 4].fill(0);
    Ok(at + 4)
}

pub(super) fn decompress(
    bytes: &[u8],
    out: &mut Vec<u8>,
    limit: usize,
    header: HeaderChecksum,
) -> Result<usize, CodecError> {
    let mut rest = Input(bytes);
    let mut at = 0;
    while !rest.0.is_empty() {
        match rest.u32()? {
            MAGIC => at = frame(&mut rest, out, at, limit, header)?,
            other if other & !0xf == SKIPPABLE => {
                let length = rest.u32()?;
                rest.take(length as usize)?;
            }
            _ => return Err(corrupt("not a frame")),
        }
    }
    Ok(at)
}

/// What the header of a frame says.
struct Frame {
    independent: bool,
    block_checksums: bool,
    content_checksum: bool,
    content_size: Option<u64>,
    block_max: usize,
}

impl Frame {
    fn read(rest: &mut Input<'_>, checksum: HeaderChecksum) -> Result<Self, CodecError> {
        let descriptor = rest.0;
        let [flags, sizes] = rest.array()?;
        if flags >> 6 != 1 {
            return Err(corrupt("unknown frame version"));
        }
        if flags & 0b10 != 0 || sizes & 0b1000_1111 != 0 {
            return Err(corrupt("reserved bits in the frame header"));
        }
        if flags & 0b1 != 0 {
            return Err(corrupt("the frame needs a dictionary"));
        }
        let block_max = match sizes >> 4 {
            n @ 4..=7 => 1 << (8 + 2 * n),
            _ => return Err(corrupt("block size in the frame header")),
        };
        let content_size = if flags & 0b1000 != 0 { Some(u64::from_le_bytes(rest.array()?)) } else { None };
        let described = &descriptor[..descriptor.len() - rest.0.len()];
        let [stored] = rest.array()?;
        let computed = (XxHash32::oneshot(0, described) >> 8) as u8;
        if checksum == HeaderChecksum::Right && stored != computed {
            return Err(corrupt("checksum of the frame header"));
        }
        Ok(Self {
            independent: flags & 0b10_0000 != 0,
            block_checksums: flags & 0b1_0000 != 0,
            content_checksum: flags & 0b100 != 0,
            content_size,
            block_max,
        })
    }
}

/// Decompresses one frame behind the first `start` bytes of `out`; gives the new end.
fn frame(
    rest: &mut Input<'_>,
    out: &mut Vec<u8>,
    start: usize,
    limit: usize,
    checksum: HeaderChecksum,
) -> Result<usize, CodecError> {
    let frame = Frame::read(rest, checksum)?;
    let mut at = start;
    loop {
        let length = rest.u32()?;
        if length == 0 {
            break;
        }
        let data = rest.take((length & !STORED) as usize)?;
        if data.len() > frame.block_max {
            return Err(corrupt("a block above the frame's block size"));
        }
        if frame.block_checksums && rest.u32()? != XxHash32::oneshot(0, data) {
            return Err(corrupt("checksum of a block"));
        }
        at = if length & STORED != 0 {
            let end = at + data.len();
            if end > limit {
                return Err(CodecError::TooLarge { codec: Codec::Lz4, limit });
            }
            grow(out, end);
            out[at..end].copy_from_slice(data);
            end
        } else {
            let history = if frame.independent { at } else { at.saturating_sub(WINDOW).max(start) };
            packed(data, out, history, at, limit, frame.block_max)?
        };
    }
    if frame.content_checksum && rest.u32()? != XxHash32::oneshot(0, &out[start..at]) {
        return Err(corrupt("checksum of the content"));
    }
    if frame.content_size.is_some_and(|size| size != (at - start) as u64) {
        return Err(corrupt("the content is not as long as the frame says"));
    }
    Ok(at)
}

/// Decompresses one block to `at`; it may refer back as far as `history`. Gives the new end.
fn packed(
    data: &[u8],
    out: &mut Vec<u8>,
    history: usize,
    at: usize,
    limit: usize,
    block_max: usize,
) -> Result<usize, CodecError> {
    let most = block_max.min(data.len().saturating_mul(MOST_RATIO));
    let end = at.saturating_add(most).min(limit);
    grow(out, end);
    let (before, behind) = out.split_at_mut(at);
    let space = &mut behind[..end - at];
    let dictionary = &before[history..];
    let size = if dictionary.is_empty() {
        block::decompress_into(data, space)
    } else {
        block::decompress_into_with_dict(data, space, dictionary)
    };
    match size {
        Ok(size) => Ok(at + size),
        Err(block::DecompressError::OutputTooSmall { .. }) if end == limit => {
            Err(CodecError::TooLarge { codec: Codec::Lz4, limit })
        }
        Err(_) => Err(corrupt("bad block")),
    }
}

/// Bytes not read yet.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], CodecError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(corrupt("cut frame"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(corrupt("cut frame"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u32(&mut self) -> Result<u32, CodecError> {
        self.array().map(u32::from_le_bytes)
    }
}
