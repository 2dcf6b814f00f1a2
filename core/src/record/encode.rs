//! Records written in place, in wire form, into a buffer that was zeroed once.

use super::batch::BodyFacts;
use super::crc::BodyCrc;
use super::varint::{put, size, zigzag};
use crate::codec::Codec;

/// Bytes that a body buffer has behind its limit: whole words are stored there while a short record is written.
pub const SLACK: usize = 64;

/// Lengths below this take the fast path: their record's length then fits the four bytes it packs lengths into.
const SHORT: usize = 1 << 25;

/// Deltas below this take the fast path: three bytes each.
const NEAR: u64 = 1 << 20;

/// One header of a record. Keys are text by Kafka's protocol, but nobody checks: so they are bytes here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header<'a> {
    /// Its key; may repeat within a record.
    pub key: &'a [u8],
    /// Its value; null is not the same as empty.
    pub value: Option<&'a [u8]>,
}

impl<'a> Header<'a> {
    /// A header with a value.
    pub const fn new(name: &'a str, value: &'a [u8]) -> Self {
        Self { key: name.as_bytes(), value: Some(value) }
    }

    /// A header whose value is null.
    pub const fn null(name: &'a str) -> Self {
        Self { key: name.as_bytes(), value: None }
    }

    /// The key as text; `None` if it is not UTF-8.
    pub const fn name(&self) -> Option<&'a str> {
        match std::str::from_utf8(self.key) {
            Ok(name) => Some(name),
            Err(_) => None,
        }
    }
}

/// The most bytes that a record of these parts can take in a body. Add [`HEADER_LEN`](super::HEADER_LEN) for the batch.
pub fn size_of_record(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header<'_>]) -> usize {
    // Length 5, attributes 1, timestamp delta 10, offset delta 5, lengths of key and value 5 each, header count 5.
    let fields = 36usize.saturating_add(key.map_or(0, <[u8]>::len)).saturating_add(value.map_or(0, <[u8]>::len));
    headers.iter().fold(fields, |sum, h| {
        sum.saturating_add(10).saturating_add(h.key.len()).saturating_add(h.value.map_or(0, <[u8]>::len))
    })
}

/// Appends one record to `buf` at `at`. `limit` is where records must end; `buf` is [`SLACK`] longer. Gives the end of
/// the record, or `None` if it does not fit: then nothing but bytes behind `at` changed. Nothing is allocated.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "the fields of a record, kept in registers")]
fn append(
    buf: &mut [u8],
    at: usize,
    limit: usize,
    timestamp_delta: i64,
    offset_delta: u32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[Header<'_>],
) -> Option<usize> {
    let lengths = key.map_or(0, <[u8]>::len) | value.map_or(0, <[u8]>::len);
    let deltas = timestamp_delta as u64 | u64::from(offset_delta);
    match (key, value) {
        (None, Some(value)) if lengths < SHORT && deltas < NEAR && headers.is_empty() => {
            append_value(buf, at, limit, timestamp_delta, offset_delta, value)
        }
        (Some(key), Some(value)) if lengths < SHORT && deltas < NEAR && headers.is_empty() => {
            append_pair(buf, at, limit, timestamp_delta, offset_delta, key, value)
        }
        _ => append_any(buf, at, limit, timestamp_delta, offset_delta, key, value, headers),
    }
}

/// The most bytes in front of a short record's key, or of its value if it has no key.
const HEAD: usize = 16;

/// A short record without a key: two words in front of the value.
#[inline(always)]
fn append_value(
    buf: &mut [u8],
    at: usize,
    limit: usize,
    timestamp_delta: i64,
    offset_delta: u32,
    value: &[u8],
) -> Option<usize> {
    let (t, t_len) = word((timestamp_delta as u64) << 1);
    let (o, o_len) = word(u64::from(offset_delta) << 1);
    let (v, v_len) = word((value.len() as u64) << 1);
    // Attributes, the null key, the count of headers.
    let size = 3 + t_len + o_len + v_len + value.len();
    let (l, l_len) = word((size as u64) << 1);
    let end = at + l_len + size;
    if end > limit {
        return None;
    }
    // The real bounds check; what follows stays inside by at most `SLACK`.
    let w = buf.get_mut(at..end + SLACK)?;
    let head = w.first_chunk_mut::<{ HEAD + 8 }>()?;
    put_word(head, 0, l | t << (8 * l_len + 8));
    put_word(head, l_len + 1 + t_len, o | 1 << (8 * o_len) | v << (8 * o_len + 8));
    let (copy, rest) = w.get_mut(l_len + 2 + t_len + o_len + v_len..)?.split_at_mut_checked(value.len())?;
    copy.copy_from_slice(value);
    *rest.first_mut()? = 0;
    Some(end)
}

/// A short record with a key: two words in front of the key, one between key and value.
#[inline(always)]
fn append_pair(
    buf: &mut [u8],
    at: usize,
    limit: usize,
    timestamp_delta: i64,
    offset_delta: u32,
    key: &[u8],
    value: &[u8],
) -> Option<usize> {
    let (t, t_len) = word((timestamp_delta as u64) << 1);
    let (o, o_len) = word(u64::from(offset_delta) << 1);
    let (k, k_len) = word((key.len() as u64) << 1);
    let (v, v_len) = word((value.len() as u64) << 1);
    // Attributes and the count of headers.
    let size = 2 + t_len + o_len + k_len + key.len() + v_len + value.len();
    let (l, l_len) = word((size as u64) << 1);
    let end = at + l_len + size;
    if end > limit {
        return None;
    }
    let w = buf.get_mut(at..end + SLACK)?;
    let head = w.first_chunk_mut::<{ HEAD + 8 }>()?;
    put_word(head, 0, l | t << (8 * l_len + 8));
    put_word(head, l_len + 1 + t_len, o | k << (8 * o_len));
    let (copy, rest) = w.get_mut(l_len + 1 + t_len + o_len + k_len..)?.split_at_mut_checked(key.len())?;
    copy.copy_from_slice(key);
    *rest.first_chunk_mut()? = (v as u32).to_le_bytes();
    let (copy, rest) = rest.get_mut(v_len..)?.split_at_mut_checked(value.len())?;
    copy.copy_from_slice(value);
    *rest.first_mut()? = 0;
    Some(end)
}

/// Stores a word at a place below [`HEAD`].
#[inline(always)]
fn put_word(head: &mut [u8; HEAD + 8], at: usize, word: u64) {
    let at = at & (HEAD - 1);
    head[at..at + 8].copy_from_slice(&word.to_le_bytes());
}

/// A variable-length integer below 2^28 as a word, and how many bytes of it count.
#[inline(always)]
fn word(raw: u64) -> (u64, usize) {
    if raw < 1 << 7 {
        (raw, 1)
    } else if raw < 1 << 14 {
        (raw & 0x7f | 0x80 | raw >> 7 << 8, 2)
    } else {
        let spread = raw & 0x7f | (raw << 1 & 0x7f00) | (raw << 2 & 0x7f_0000) | (raw << 3 & 0x7f00_0000);
        if raw < 1 << 21 { (spread | 0x8080, 3) } else { (spread | 0x80_8080, 4) }
    }
}

/// The generic form: any lengths and deltas, headers.
#[inline(never)]
#[expect(clippy::too_many_arguments, reason = "as `append`")]
pub(super) fn append_any(
    buf: &mut [u8],
    at: usize,
    limit: usize,
    timestamp_delta: i64,
    offset_delta: u32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[Header<'_>],
) -> Option<usize> {
    let room = limit.checked_sub(at)?;
    let deltas = [zigzag(timestamp_delta), zigzag(i64::from(offset_delta))];
    let mut body = 1 + size(deltas[0]) + size(deltas[1]) + size((headers.len() as u64) << 1);
    body = body.checked_add(field_size(key)?)?.checked_add(field_size(value)?)?;
    for header in headers {
        body = body.checked_add(field_size(Some(header.key))?)?.checked_add(field_size(header.value)?)?;
    }
    // A record's length is a 32-bit integer on the wire, whatever the buffer could hold.
    i32::try_from(body).ok()?;
    let length = (body as u64) << 1;
    if size(length).checked_add(body)? > room {
        return None;
    }
    let out = buf.get_mut(at..at + size(length) + body)?;
    let mut p = put(out, 0, length);
    out[p] = 0;
    p = put(out, p + 1, deltas[0]);
    p = put(out, p, deltas[1]);
    p = put_field(out, p, key);
    p = put_field(out, p, value);
    p = put(out, p, (headers.len() as u64) << 1);
    for header in headers {
        p = put_field(out, p, Some(header.key));
        p = put_field(out, p, header.value);
    }
    debug_assert_eq!(p, out.len());
    Some(at + p)
}

#[inline]
fn field_size(field: Option<&[u8]>) -> Option<usize> {
    let Some(bytes) = field else { return Some(1) };
    size((bytes.len() as u64) << 1).checked_add(bytes.len())
}

#[inline]
fn put_field(out: &mut [u8], at: usize, field: Option<&[u8]>) -> usize {
    let Some(bytes) = field else { return put(out, at, 1) };
    let at = put(out, at, (bytes.len() as u64) << 1);
    out[at..at + bytes.len()].copy_from_slice(bytes);
    at + bytes.len()
}

/// The records of one open batch, in wire form, in a buffer that is zeroed once and used again and again.
#[derive(Debug, Default)]
pub struct BodyBuf {
    buf: Vec<u8>,
    at: usize,
    count: u32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl BodyBuf {
    /// An empty body over `buf`, whose whole length is used: records may take all of it but [`SLACK`] bytes.
    pub fn new(buf: Vec<u8>) -> Self {
        Self { buf, ..Self::default() }
    }

    /// An empty body that takes up to `limit` bytes of records.
    pub fn with_limit(limit: usize) -> Self {
        Self::new(vec![0; limit.saturating_add(SLACK)])
    }

    /// Appends a record; gives its index in the batch, or `None` if it does not fit into this batch (too long, or its
    /// timestamp too far from the first one's) and nothing changed. Nothing is allocated, and a panic on the way leaves
    /// the body as it was.
    #[inline(always)]
    pub fn append(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) -> Option<u32> {
        let index = self.count;
        let base = if index == 0 { timestamp } else { self.base_timestamp };
        let delta = timestamp.checked_sub(base)?;
        let limit = self.limit();
        let end = append(&mut self.buf, self.at, limit, delta, index, key, value, headers)?;
        // The last offset delta is a 32-bit integer; a record takes seven bytes, so a buffer of 14 GiB gets here.
        if index >= i32::MAX as u32 {
            return None;
        }
        self.max_timestamp = if index == 0 { timestamp } else { self.max_timestamp.max(timestamp) };
        self.base_timestamp = base;
        self.at = end;
        self.count = index + 1;
        Some(index)
    }

    /// The records so far, in wire form.
    pub fn plain(&self) -> &[u8] {
        self.buf.get(..self.at).unwrap_or_default()
    }

    /// How many records there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many bytes the records take.
    pub fn len(&self) -> usize {
        self.at
    }

    /// How many bytes they may take; 0 without a buffer.
    #[inline]
    pub fn limit(&self) -> usize {
        self.buf.len().saturating_sub(SLACK)
    }

    /// The timestamp of the first record, in ms.
    pub fn base_timestamp(&self) -> i64 {
        self.base_timestamp
    }

    /// The highest timestamp so far, in ms.
    pub fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    /// Forgets all records, keeps the buffer.
    pub fn reset(&mut self) {
        *self = Self::new(std::mem::take(&mut self.buf));
    }

    /// What a later [`truncate`](Self::truncate) goes back to.
    pub fn mark(&self) -> Mark {
        Mark { at: self.at, count: self.count, base_timestamp: self.base_timestamp, max_timestamp: self.max_timestamp }
    }

    /// Forgets the records that were appended after `mark` was taken of this body. A mark that lies ahead is ignored.
    pub fn truncate(&mut self, mark: Mark) {
        if mark.at <= self.at && mark.count <= self.count {
            self.at = mark.at;
            self.count = mark.count;
            self.base_timestamp = mark.base_timestamp;
            self.max_timestamp = mark.max_timestamp;
        }
    }

    /// The facts for the header of these records, if they go on the wire as they are.
    pub fn facts(&self) -> BodyFacts {
        self.facts_as(Codec::None, self.plain())
    }

    /// The facts for the header of these records, if they go on the wire as `packed`, compressed by `codec`.
    pub fn facts_as(&self, codec: Codec, packed: &[u8]) -> BodyFacts {
        BodyFacts {
            crc: BodyCrc::of(packed),
            codec,
            count: self.count,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
        }
    }

    /// The buffer, at its full length, and how many bytes in front are records.
    pub fn into_parts(self) -> (Vec<u8>, usize) {
        (self.buf, self.at)
    }
}

/// A point in the life of a [`BodyBuf`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    at: usize,
    count: u32,
    base_timestamp: i64,
    max_timestamp: i64,
}
