//! Reads primitives from bytes of which nothing is believed.

use super::{DecodeError, DecodeErrorKind, Uuid, Version};
use bytes::Bytes;

/// The longest string of the protocol (Java: `MessageUtil`, 0x7fff).
pub(super) const MAX_STRING: usize = i16::MAX as usize;

/// A bounded view of the bytes of one frame. It never reads past its end and never allocates more than is present.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
    backing: Option<&'a Bytes>,
}

macro_rules! fixed {
    ($( $(#[$m:meta])* $name:ident: $t:ty; )*) => { $(
        $(#[$m])*
        #[inline]
        pub fn $name(&mut self) -> Result<$t, DecodeError> {
            Ok(<$t>::from_be_bytes(self.array()?))
        }
    )* };
}

impl<'a> Reader<'a> {
    /// Reads `bytes`; byte fields are copied out of it.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, end: bytes.len(), backing: None }
    }

    /// Reads `bytes`; byte fields become slices that share its memory.
    pub fn shared(bytes: &'a Bytes) -> Self {
        Self { bytes, at: 0, end: bytes.len(), backing: Some(bytes) }
    }

    /// How many bytes were read so far.
    #[inline]
    pub fn offset(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.end - self.at
    }

    /// Whether nothing is left.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.at == self.end
    }

    /// An error of this kind at this place.
    #[cold]
    pub fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError::new(kind, self.at)
    }

    /// The next `n` bytes.
    #[inline]
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        if n > self.remaining() {
            return Err(self.error(DecodeErrorKind::Truncated));
        }
        let taken = &self.bytes[self.at..self.at + n];
        self.at += n;
        Ok(taken)
    }

    /// The next `n` bytes: shared if the reader was made by [`shared`](Self::shared), else copied.
    pub fn take_bytes(&mut self, n: usize) -> Result<Bytes, DecodeError> {
        let start = self.at;
        let taken = self.take(n)?;
        Ok(match self.backing {
            Some(bytes) => bytes.slice(start..start + n),
            None => Bytes::copy_from_slice(taken),
        })
    }

    /// What is left, as a reader of its own that knows the same offsets; `self` is empty afterwards.
    pub fn split(&mut self, n: usize) -> Result<Self, DecodeError> {
        let start = self.at;
        self.take(n)?;
        Ok(Self { bytes: self.bytes, at: start, end: start + n, backing: self.backing })
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.bytes[self.at..self.end].first_chunk() {
            Some(chunk) => {
                self.at += N;
                Ok(*chunk)
            }
            None => Err(self.error(DecodeErrorKind::Truncated)),
        }
    }

    fixed! {
        /// A signed byte.
        i8: i8;
        /// A byte.
        u8: u8;
        /// Two bytes, big endian.
        i16: i16;
        /// Two bytes, big endian, without sign.
        u16: u16;
        /// Four bytes, big endian.
        i32: i32;
        /// Four bytes, big endian, without sign.
        u32: u32;
        /// Eight bytes, big endian.
        i64: i64;
        /// Eight bytes, an IEEE 754 double.
        f64: f64;
    }

    /// One byte; everything but zero is true, as in Java.
    #[inline]
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.u8()? != 0)
    }

    /// Sixteen bytes.
    pub fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        Ok(Uuid(self.array()?))
    }

    /// A 32-bit varint without sign: at most five bytes, no bit above the 32nd.
    #[inline]
    pub fn uvarint(&mut self) -> Result<u32, DecodeError> {
        match self.bytes[self.at..self.end].first() {
            Some(&b) if b < 0x80 => {
                self.at += 1;
                Ok(u32::from(b))
            }
            // At most five bytes are read, and bit 32 and above must be clear.
            _ => self.long_varint(5, 0x0f).map(|n| n as u32),
        }
    }

    /// A 64-bit varint without sign: at most ten bytes, no bit above the 64th.
    pub fn uvarlong(&mut self) -> Result<u64, DecodeError> {
        self.long_varint(10, 0x01)
    }

    /// A zigzag-coded varint of 32 bits.
    #[inline]
    pub fn varint(&mut self) -> Result<i32, DecodeError> {
        let n = self.uvarint()?;
        Ok((n >> 1) as i32 ^ -((n & 1) as i32))
    }

    /// A zigzag-coded varint of 64 bits.
    pub fn varlong(&mut self) -> Result<i64, DecodeError> {
        let n = self.uvarlong()?;
        Ok((n >> 1) as i64 ^ -((n & 1) as i64))
    }

    #[inline(never)]
    fn long_varint(&mut self, most: usize, last: u8) -> Result<u64, DecodeError> {
        let mut value = 0;
        for i in 0..most {
            let Some(&b) = self.bytes[..self.end].get(self.at + i) else {
                return Err(self.error(DecodeErrorKind::Truncated));
            };
            if i == most - 1 && b > last {
                return Err(self.error(DecodeErrorKind::Varint));
            }
            value |= u64::from(b & 0x7f) << (7 * i);
            if b < 0x80 {
                self.at += i + 1;
                return Ok(value);
            }
        }
        Err(self.error(DecodeErrorKind::Varint))
    }

    /// A compact length: one more than the length, 0 for null.
    #[inline]
    fn compact_len(&mut self) -> Result<Option<usize>, DecodeError> {
        Ok(self.uvarint()?.checked_sub(1).map(|n| n as usize))
    }

    #[cold]
    fn length_error(&self, start: usize) -> DecodeError {
        DecodeError::new(DecodeErrorKind::Length, start)
    }

    /// The length of a string, `None` for null, checked against the bytes present.
    #[inline(never)]
    pub fn string_len(&mut self, v: Version) -> Result<Option<usize>, DecodeError> {
        let start = self.at;
        let n = if v.flexible { self.compact_len()? } else { self.signed_len(start, |r| r.i16().map(i32::from))? };
        match n {
            Some(n) if n > self.remaining() || n > MAX_STRING => Err(self.length_error(start)),
            n => Ok(n),
        }
    }

    /// The length of a byte field, `None` for null, checked against the bytes present.
    #[inline(never)]
    pub fn bytes_len(&mut self, v: Version) -> Result<Option<usize>, DecodeError> {
        let start = self.at;
        let n = if v.flexible { self.compact_len()? } else { self.signed_len(start, Self::i32)? };
        match n {
            Some(n) if n > self.remaining() => Err(self.length_error(start)),
            n => Ok(n),
        }
    }

    /// The number of elements of an array, `None` for null; never more than elements of `smallest` bytes would fit.
    #[inline(never)]
    pub fn array_len(&mut self, v: Version, smallest: usize) -> Result<Option<usize>, DecodeError> {
        let start = self.at;
        let n = if v.flexible { self.compact_len()? } else { self.signed_len(start, Self::i32)? };
        match n {
            Some(n) if n > self.remaining() / smallest.max(1) => Err(self.length_error(start)),
            n => Ok(n),
        }
    }

    fn signed_len(
        &mut self,
        start: usize,
        read: fn(&mut Self) -> Result<i32, DecodeError>,
    ) -> Result<Option<usize>, DecodeError> {
        match read(self)? {
            -1 => Ok(None),
            n => usize::try_from(n).map(Some).map_err(|_| self.length_error(start)),
        }
    }

    /// A string inside the frame, `None` for null.
    #[inline(never)]
    pub fn str(&mut self, v: Version) -> Result<Option<&'a str>, DecodeError> {
        let Some(n) = self.string_len(v)? else { return Ok(None) };
        let start = self.at;
        match std::str::from_utf8(self.take(n)?) {
            Ok(text) => Ok(Some(text)),
            Err(e) => Err(DecodeError::new(DecodeErrorKind::Utf8, start + e.valid_up_to())),
        }
    }

    /// The tagged fields at the end of a structure of a flexible version. `known` reads those it knows and says so;
    /// the others are skipped, not kept.
    pub fn tags(
        &mut self,
        mut known: impl FnMut(u32, &mut Reader<'a>) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        let count = self.uvarint()?;
        let mut before = None;
        for _ in 0..count {
            let start = self.at;
            let tag = self.uvarint()?;
            if before.is_some_and(|b| tag <= b) {
                return Err(DecodeError::new(DecodeErrorKind::Tag, start));
            }
            before = Some(tag);
            let size = self.uvarint()? as usize;
            let mut body = self.split(size)?;
            if known(tag, &mut body)? && !body.is_empty() {
                return Err(body.error(DecodeErrorKind::Tag));
            }
        }
        Ok(())
    }
}
