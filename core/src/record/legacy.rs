//! Message sets of magic 0 and 1 (Kafka before 0.11), which may still lie in old logs.
//!
//! What is read is written anew as records of a batch, so that nothing behind this file knows the old formats.

use super::batch::TimestampType;
use super::decode::RecordsInfo;
use super::encode::append_any;
use super::error::{Fault, RecordError};
use super::walk::{self, RawBatch, RawHeader};
use crate::codec::{Codec, CodecError, Decompressor};
use crate::record::ReadLimits;

/// Where the checksummed part of a message begins: at its magic.
const CHECKED_FROM: usize = 16;

/// Single messages in a row are read together up to about so many bytes.
const RUN: usize = 256 * 1024;

/// The most bytes that a record takes beside key and value.
const OVERHEAD: usize = 36;

/// The header of a message of magic 0 or 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageHeader {
    /// Its offset; that of the last message inside, if it is a compressed set.
    pub offset: i64,
    /// Bytes of the message behind this field.
    pub length: i32,
    /// CRC-32 (the zlib one) from the magic to the end.
    pub crc: u32,
    /// 0 or 1.
    pub magic: i8,
    /// Codec in the lowest three bits; in magic 1, bit 3 says that the broker set the timestamp.
    pub attributes: i8,
    /// In ms; -1 in magic 0.
    pub timestamp: i64,
}

impl MessageHeader {
    /// The smallest value of the length field: magic 0, key and value null.
    pub(super) const MIN_LENGTH: usize = 14;

    /// Reads a header; `bytes` is the whole message. Checks magic, length and offset.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        let short = Fault::Truncated.at(-1, bytes.len());
        let Some(head) = bytes.first_chunk::<18>() else { return Err(short) };
        let word = |at: usize| [head[at], head[at + 1], head[at + 2], head[at + 3]];
        let offset = i64::from_be_bytes(*bytes.first_chunk().ok_or(short)?);
        let magic = head[16] as i8;
        let length = i32::from_be_bytes(word(8));
        let timestamp = match magic {
            0 => -1,
            1 => {
                let at_18 = bytes.get(18..).and_then(<[u8]>::first_chunk);
                i64::from_be_bytes(*at_18.ok_or(Fault::Length(length).at(offset, 0))?)
            }
            _ => return Err(Fault::Magic(magic).at(offset, 0)),
        };
        if !(0..i64::MAX).contains(&offset) {
            return Err(Fault::Overflow.at(offset, 0));
        }
        let crc = u32::from_be_bytes(word(12));
        Ok(Self { offset, length, crc, magic, attributes: head[17] as i8, timestamp })
    }

    fn codec(&self) -> Result<Codec, Fault> {
        let id = self.attributes as u8 & 0b111;
        Codec::from_id(id).ok_or(Fault::Codec(CodecError::Unknown(id)))
    }

    fn timestamp_type(&self) -> TimestampType {
        match (self.magic, self.attributes & 0b1000) {
            (0, _) => TimestampType::None,
            (_, 0) => TimestampType::Create,
            _ => TimestampType::LogAppend,
        }
    }

    fn fields<'a>(&self, bytes: &'a [u8], check_crc: bool) -> Result<Fields<'a>, Fault> {
        if check_crc {
            let computed = crc32fast::hash(bytes.get(CHECKED_FROM..).unwrap_or_default());
            if computed != self.crc {
                return Err(Fault::Crc { stored: self.crc, computed });
            }
        }
        let mut rest = bytes.get(if self.magic == 0 { 18 } else { 26 }..).ok_or(Fault::Truncated)?;
        let fields = Fields { key: field(&mut rest)?, value: field(&mut rest)? };
        if rest.is_empty() { Ok(fields) } else { Err(Fault::Trailing(rest.len())) }
    }
}

/// What a message holds.
struct Fields<'a> {
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
}

fn field<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Fault> {
    let (length, behind) = rest.split_first_chunk().ok_or(Fault::Truncated)?;
    let length = i32::from_be_bytes(*length);
    if length == -1 {
        *rest = behind;
        return Ok(None);
    }
    let fault = Fault::FieldLength(i64::from(length));
    let size = usize::try_from(length).map_err(|_| fault)?;
    let (field, behind) = behind.split_at_checked(size).ok_or(fault)?;
    *rest = behind;
    Ok(Some(field))
}

/// Messages that were written anew as records of one batch.
pub(super) struct Set {
    /// Where the next batch or message begins in the chunk.
    pub(super) end: usize,
    /// The offset behind the messages.
    pub(super) next_offset: i64,
    /// How many bytes the records take in the front of the buffer.
    pub(super) len: usize,
    /// What they are read by; counts only records that are visible.
    pub(super) info: RecordsInfo,
    pub(super) timestamp_type: TimestampType,
    pub(super) codec: Codec,
}

/// Reads the compressed set that `first` is, or `first` and the single messages behind it, into `plain`. Messages below
/// `from` are left out.
pub(super) fn read(
    chunk: &[u8],
    first: &RawBatch<'_>,
    from: i64,
    limits: &ReadLimits,
    decompressor: &mut Decompressor,
    plain: &mut Vec<u8>,
) -> Result<Set, RecordError> {
    let RawHeader::Message(header) = first.header else {
        return Err(Fault::Magic(2).at(first.base_offset(), 0));
    };
    let fail = |fault: Fault| fault.at(header.offset, 0);
    let codec = header.codec().map_err(fail)?;
    let mut out = Writer::new(plain, from);
    let (end, last) = if codec == Codec::None {
        singles(chunk, first, &header, limits.check_crcs, &mut out).map_err(fail)?
    } else {
        let value = header.fields(first.bytes, limits.check_crcs).map_err(fail)?.value.ok_or(fail(Fault::Truncated))?;
        let mut inner = Vec::new();
        let len = match header.magic {
            0 => decompressor.decompress_magic_0(codec, value, &mut inner, limits.max_plain),
            _ => decompressor.decompress(codec, value, &mut inner, limits.max_plain),
        };
        inner.truncate(len.map_err(|error| fail(error.into()))?);
        let last = set(&inner, &header, limits.check_crcs, &mut out).map_err(fail)?;
        (first.start + first.bytes.len(), last)
    };
    let (len, info) = out.finish();
    let next_offset = last.max(header.offset).saturating_add(1);
    Ok(Set { end, next_offset, len, info, timestamp_type: header.timestamp_type(), codec })
}

/// Reads single messages from `first` on, as long as they belong together; an error in a later one is left for later.
fn singles(
    chunk: &[u8],
    first: &RawBatch<'_>,
    header: &MessageHeader,
    check_crcs: bool,
    out: &mut Writer<'_>,
) -> Result<(usize, i64), Fault> {
    out.push(header.offset, header.timestamp, header.fields(first.bytes, check_crcs)?)?;
    let mut end = first.start + first.bytes.len();
    let mut last = header.offset;
    while out.at < RUN {
        let Some(Ok(RawBatch { bytes, header: RawHeader::Message(next), .. })) = walk::read(chunk, end) else { break };
        let alike = next.codec() == Ok(Codec::None) && next.timestamp_type() == header.timestamp_type();
        if !alike || next.offset <= last {
            break;
        }
        let Ok(fields) = next.fields(bytes, check_crcs) else { break };
        if out.push(next.offset, next.timestamp, fields).is_err() {
            break;
        }
        end += bytes.len();
        last = next.offset;
    }
    Ok((end, last))
}

/// Reads the messages inside a compressed one; gives the offset of the last.
fn set(inner: &[u8], wrapper: &MessageHeader, check_crcs: bool, out: &mut Writer<'_>) -> Result<i64, Fault> {
    // Magic 1 counts offsets inside from 0 and writes the last one on the wrapper. Some librdkafka left 0 there.
    let mut last_inside = None;
    for message in walk::batches(inner) {
        last_inside = Some(message.map_err(|e| e.fault)?.base_offset());
    }
    let last_inside = last_inside.ok_or(Fault::Truncated)?;
    let base = match wrapper.magic {
        1 if wrapper.offset != 0 => {
            wrapper.offset.checked_sub(last_inside).filter(|b| *b >= 0).ok_or(Fault::Overflow)?
        }
        _ => 0,
    };
    let mut last = -1;
    let mut messages = walk::batches(inner);
    for message in &mut messages {
        let message = message.map_err(|e| e.fault)?;
        let RawHeader::Message(header) = message.header else { return Err(Fault::Nested) };
        if header.magic != wrapper.magic || header.codec()? != Codec::None {
            return Err(Fault::Nested);
        }
        let offset = base.checked_add(header.offset).ok_or(Fault::Overflow)?;
        if offset <= last {
            return Err(Fault::OffsetDelta(header.offset));
        }
        last = offset;
        let append_time = wrapper.timestamp_type() == TimestampType::LogAppend;
        let timestamp = if append_time { wrapper.timestamp } else { header.timestamp };
        out.push(offset, timestamp, header.fields(message.bytes, check_crcs)?)?;
    }
    let rest = inner.len() - messages.position();
    if rest == 0 { Ok(last) } else { Err(Fault::Trailing(rest)) }
}

/// Writes messages as records of one batch.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    at: usize,
    from: i64,
    info: RecordsInfo,
}

impl<'a> Writer<'a> {
    fn new(out: &'a mut Vec<u8>, from: i64) -> Self {
        let info = RecordsInfo { base_offset: 0, last_offset_delta: 0, base_timestamp: 0, append_time: None, count: 0 };
        Self { out, at: 0, from, info }
    }

    fn push(&mut self, offset: i64, timestamp: i64, fields: Fields<'_>) -> Result<(), Fault> {
        if offset < self.from {
            return Ok(());
        }
        if self.info.count == 0 {
            (self.info.base_offset, self.info.base_timestamp) = (offset, timestamp);
        }
        let delta = offset.checked_sub(self.info.base_offset).and_then(|d| i32::try_from(d).ok());
        let delta = delta.filter(|d| *d >= 0).ok_or(Fault::Overflow)?;
        let later = timestamp.checked_sub(self.info.base_timestamp).ok_or(Fault::Overflow)?;
        let (key, value) = (fields.key, fields.value);
        let limit = self.at + OVERHEAD + key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
        if self.out.len() < limit {
            self.out.resize(limit, 0);
        }
        let end = append_any(self.out, self.at, limit, later, delta.unsigned_abs(), key, value, &[]);
        self.at = end.ok_or(Fault::Overflow)?;
        self.info.last_offset_delta = delta;
        self.info.count += 1;
        Ok(())
    }

    fn finish(self) -> (usize, RecordsInfo) {
        (self.at, self.info)
    }
}
