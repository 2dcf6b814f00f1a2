//! One record batch (magic 2) as a broker sees it: fields at fixed places, checked one by one.
//!
//! This reader is the broker's own and not the client's: a fault in the client's must not hide in the model.

use klamm_core::codec::{Codec, Decompressor};
use std::borrow::Cow;
use std::cell::RefCell;

/// Bytes in front of what the length field counts.
pub(crate) const OVERHEAD: usize = 12;
/// Bytes of the header.
pub(crate) const HEADER: usize = 61;
/// No batch is unpacked beyond this: a bomb is an undecodable payload (3.19).
const UNPACK_LIMIT: usize = 64 << 20;

// Its tables are dear to make: a fifth of a simulated run went there.
thread_local!(static DECOMPRESSOR: RefCell<Decompressor> = RefCell::default());

/// A view of a batch whose length was checked.
#[derive(Clone, Copy)]
pub(crate) struct Raw<'a>(&'a [u8]);

impl<'a> Raw<'a> {
    /// The first complete batch of `bytes` and what stands behind it.
    pub(crate) fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let size = announced(bytes)?;
        if size < HEADER || bytes.len() < size {
            return None;
        }
        let (batch, rest) = bytes.split_at(size);
        Some((Self(batch), rest))
    }

    /// A batch that this log stored.
    pub(crate) fn stored(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn array<const N: usize>(self, at: usize) -> [u8; N] {
        let mut out = [0; N];
        out.copy_from_slice(&self.0[at..at + N]);
        out
    }

    pub(crate) fn bytes(self) -> &'a [u8] {
        self.0
    }
    pub(crate) fn base_offset(self) -> i64 {
        i64::from_be_bytes(self.array(0))
    }
    pub(crate) fn crc(self) -> u32 {
        u32::from_be_bytes(self.array(17))
    }
    pub(crate) fn attributes(self) -> i16 {
        i16::from_be_bytes(self.array(21))
    }
    pub(crate) fn codec(self) -> u8 {
        (self.attributes() & 7) as u8
    }
    pub(crate) fn is_log_append_time(self) -> bool {
        self.attributes() & 8 != 0
    }
    pub(crate) fn is_transactional(self) -> bool {
        self.attributes() & 16 != 0
    }
    pub(crate) fn is_control(self) -> bool {
        self.attributes() & 32 != 0
    }
    pub(crate) fn last_offset_delta(self) -> i32 {
        i32::from_be_bytes(self.array(23))
    }
    pub(crate) fn base_timestamp(self) -> i64 {
        i64::from_be_bytes(self.array(27))
    }
    pub(crate) fn max_timestamp(self) -> i64 {
        i64::from_be_bytes(self.array(35))
    }
    pub(crate) fn producer_id(self) -> i64 {
        i64::from_be_bytes(self.array(43))
    }
    pub(crate) fn producer_epoch(self) -> i16 {
        i16::from_be_bytes(self.array(51))
    }
    pub(crate) fn base_sequence(self) -> i32 {
        i32::from_be_bytes(self.array(53))
    }
    pub(crate) fn count(self) -> i32 {
        i32::from_be_bytes(self.array(57))
    }
    pub(crate) fn crc_matches(self) -> bool {
        klamm_core::record::crc32c(&self.0[21..]) == self.crc()
    }

    /// The records in plain form; `Err` if the codec is unknown or the payload cannot be unpacked.
    pub(crate) fn unpack(self) -> Result<Cow<'a, [u8]>, Unreadable> {
        let codec = Codec::from_id(self.codec()).ok_or(Unreadable)?;
        let body = &self.0[HEADER..];
        if codec == Codec::None {
            return Ok(Cow::Borrowed(body));
        }
        let mut plain = Vec::new();
        let size = DECOMPRESSOR.with_borrow_mut(|tables| tables.decompress(codec, body, &mut plain, UNPACK_LIMIT));
        let size = size.map_err(|_| Unreadable)?;
        plain.truncate(size);
        Ok(plain.into())
    }
}

/// A payload that is no list of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// The size of the batch at the front of `bytes`, as it says itself. `None`: not even the length is there, or it is absurd.
pub(crate) fn announced(bytes: &[u8]) -> Option<usize> {
    let length = i32::from_be_bytes(*bytes.get(8..OVERHEAD)?.first_chunk()?);
    usize::try_from(length).ok()?.checked_add(OVERHEAD)
}

/// One record of a batch, as slices of the plain records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) timestamp_delta: i64,
    pub(crate) offset_delta: i32,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    headers: &'a [u8],
    header_count: usize,
}

impl<'a> Record<'a> {
    /// Name and value of each header; they were checked when the record was read.
    pub(crate) fn headers(&self) -> Vec<(&'a str, Option<&'a [u8]>)> {
        let mut fields = Fields { bytes: self.headers, at: 0 };
        (0..self.header_count).map_while(|_| fields.header().ok()).collect()
    }
}

struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    fn varlong(&mut self) -> Result<i64, Unreadable> {
        let mut value = 0u64;
        for i in 0..10 {
            let byte = *self.bytes.get(self.at).ok_or(Unreadable)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err(Unreadable)
    }

    fn varint(&mut self) -> Result<i32, Unreadable> {
        i32::try_from(self.varlong()?).map_err(|_| Unreadable)
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Unreadable> {
        let taken = self.at.checked_add(n).and_then(|end| self.bytes.get(self.at..end)).ok_or(Unreadable)?;
        self.at += n;
        Ok(taken)
    }

    fn field(&mut self) -> Result<Option<&'a [u8]>, Unreadable> {
        match usize::try_from(self.varint()?) {
            Ok(size) => self.take(size).map(Some),
            Err(_) => Ok(None),
        }
    }

    fn header(&mut self) -> Result<(&'a str, Option<&'a [u8]>), Unreadable> {
        let name = std::str::from_utf8(self.field()?.ok_or(Unreadable)?).map_err(|_| Unreadable)?;
        Ok((name, self.field()?))
    }

    fn record(&mut self) -> Result<Record<'a>, Unreadable> {
        self.take(1)?;
        let timestamp_delta = self.varlong()?;
        let offset_delta = self.varint()?;
        let (key, value) = (self.field()?, self.field()?);
        let header_count = usize::try_from(self.varint()?).map_err(|_| Unreadable)?;
        let headers = &self.bytes[self.at..];
        for _ in 0..header_count {
            self.header()?;
        }
        if self.at < self.bytes.len() {
            return Err(Unreadable);
        }
        Ok(Record { timestamp_delta, offset_delta, key, value, headers, header_count })
    }
}

/// The records of a batch in plain form, until the bytes end.
pub(crate) fn records(plain: &[u8]) -> impl Iterator<Item = Result<Record<'_>, Unreadable>> {
    let mut fields = Fields { bytes: plain, at: 0 };
    std::iter::from_fn(move || {
        if fields.at >= fields.bytes.len() {
            return None;
        }
        let size = fields.varint().and_then(|n| usize::try_from(n).map_err(|_| Unreadable));
        let record = size.and_then(|n| fields.take(n)).and_then(|bytes| Fields { bytes, at: 0 }.record());
        if record.is_err() {
            fields.at = fields.bytes.len();
        }
        Some(record)
    })
}
