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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Writer;

    const OLD: Version = Version { number: 0, flexible: false };
    const FLEXIBLE: Version = Version { number: 0, flexible: true };

    fn bytes_of(hex: &str) -> Vec<u8> {
        (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hex")).collect()
    }

    #[test]
    fn varints_are_those_of_kafka_and_librdkafka() {
        let mut count = 0;
        for line in include_str!("varints.txt").lines().filter(|l| !l.starts_with('#')) {
            let [kind, value, hex] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let bytes = bytes_of(hex);
            let (mut r, mut w) = (Reader::new(&bytes), Writer::new());
            let read = match kind {
                // Java has no unsigned type: its vectors are the same bits with a sign.
                "uvarint" => r.uvarint().map(|n| i64::from(n as i32)),
                "varint" => r.varint().map(i64::from),
                _ => r.varlong(),
            };
            if value == "-" {
                assert_eq!(read.map_err(|e| e.kind), Err(DecodeErrorKind::Varint), "{line}");
                assert_eq!(r.offset(), 0, "an error consumes nothing");
            } else {
                let value: i64 = value.parse().expect("a number");
                assert_eq!(read, Ok(value), "{line}");
                assert!(r.is_empty(), "{line}");
                match kind {
                    "uvarint" => w.uvarint(value as i32 as u32),
                    "varint" => w.varint(value as i32),
                    _ => w.varlong(value),
                }
                assert_eq!(w.as_slice(), bytes, "{line}");
            }
            count += 1;
        }
        assert_eq!(count, 85);
    }

    #[test]
    fn no_length_is_believed() {
        type Read = fn(&mut Reader<'_>) -> Result<(), DecodeError>;
        let old_string: Read = |r| r.str(OLD).map(drop);
        let compact_string: Read = |r| r.str(FLEXIBLE).map(drop);
        let old_bytes: Read = |r| r.bytes_len(OLD).map(drop);
        let compact_bytes: Read = |r| r.bytes_len(FLEXIBLE).map(drop);
        let old_array: Read = |r| r.array_len(OLD, 4).map(drop);
        let compact_array: Read = |r| r.array_len(FLEXIBLE, 4).map(drop);
        let empty_elements: Read = |r| r.array_len(OLD, 0).map(drop);
        let tags: Read = |r| r.tags(|_, _| Ok(false));
        let known_tag: Read = |r| r.tags(|_, body| body.i8().map(|_| true));
        use DecodeErrorKind::{Length, Tag, Truncated, Utf8, Varint};
        let table = [
            ("a string of negative length", old_string, "fffe00", Length),
            ("a string longer than the frame", old_string, "000361", Length),
            ("a string without its length", old_string, "00", Truncated),
            ("a string that is not UTF-8", old_string, "0002c328", Utf8),
            ("a compact string longer than the frame", compact_string, "0461", Length),
            ("a compact string of 4 GiB", compact_string, "ffffffff0f", Length),
            ("a compact string without its length", compact_string, "", Truncated),
            ("a compact length of 36 bits", compact_string, "ffffffff1f", Varint),
            ("a compact length of six bytes", compact_string, "808080808001", Varint),
            ("a compact length that ends early", compact_string, "8080", Truncated),
            ("bytes of negative length", old_bytes, "80000000", Length),
            ("bytes longer than the frame", old_bytes, "0000000201", Length),
            ("compact bytes longer than the frame", compact_bytes, "0301", Length),
            ("compact bytes of 4 GiB", compact_bytes, "ffffffff0f", Length),
            ("an array of negative length", old_array, "fffffffe", Length),
            ("an array of 2^31 - 1 elements", old_array, "7fffffff00000000", Length),
            ("an array of one element too many", old_array, "0000000200000000000000", Length),
            ("a compact array of 2^32 - 2 elements", compact_array, "ffffffff0f", Length),
            ("a compact array of one element too many", compact_array, "0300000000000000", Length),
            ("more elements without size than bytes", empty_elements, "0000000200", Length),
            ("2^32 - 1 tags", tags, "ffffffff0f", Truncated),
            ("a tag that is longer than the frame", tags, "01000500", Truncated),
            ("a tag of 4 GiB", tags, "0100ffffffff0f", Truncated),
            ("a tag twice", tags, "0200000000", Tag),
            ("tags that fall", tags, "0201000000", Tag),
            ("a known tag that is too long", known_tag, "0100020000", Tag),
            ("a known tag that is too short", known_tag, "01000000", Truncated),
        ];
        for (what, read, hex, kind) in table {
            let bytes = bytes_of(hex);
            let mut r = Reader::new(&bytes);
            assert_eq!(read(&mut r).map_err(|e| e.kind), Err(kind), "{what}");
            assert!(r.offset() <= bytes.len(), "{what}");
        }
    }

    #[test]
    fn a_tag_cannot_read_beyond_its_end() {
        // The size says 1, the value has 4: the bytes of the next field are not its own.
        let mut r = Reader::new(&[1, 0, 1, 0, 0, 0, 7]);
        let e = r.tags(|_, body| body.i32().map(|_| true)).expect_err("too short");
        assert_eq!((e.kind, e.offset), (DecodeErrorKind::Truncated, 3));
    }

    #[test]
    fn unknown_tags_are_skipped() {
        let mut seen = Vec::new();
        let mut r = Reader::new(&[3, 1, 1, 9, 5, 2, 8, 8, 6, 0, 42]);
        r.tags(|tag, body| {
            seen.push(tag);
            if tag == 1 { body.u8().map(|b| b == 9) } else { Ok(false) }
        })
        .expect("tags");
        assert_eq!((seen, r.u8()), (vec![1, 5, 6], Ok(42)));
    }

    #[test]
    fn null_and_empty_differ() {
        assert_eq!(Reader::new(&[0xff, 0xff]).str(OLD), Ok(None));
        assert_eq!(Reader::new(&[0, 0]).str(OLD), Ok(Some("")));
        assert_eq!(Reader::new(&[0]).str(FLEXIBLE), Ok(None));
        assert_eq!(Reader::new(&[1]).str(FLEXIBLE), Ok(Some("")));
        assert_eq!(Reader::new(&[0xff; 4]).array_len(OLD, 1), Ok(None));
        assert_eq!(Reader::new(&[0]).bytes_len(FLEXIBLE), Ok(None));
    }

    #[test]
    fn bytes_of_a_shared_frame_are_not_copied() {
        let frame = Bytes::from(vec![1, 2, 3, 4]);
        let mut r = Reader::shared(&frame);
        r.u8().expect("a byte");
        assert_eq!(r.take_bytes(2).expect("two").as_ptr(), frame[1..].as_ptr());
        assert!(r.take_bytes(2).is_err());
    }

    #[test]
    fn what_is_split_off_knows_where_it_is() {
        let mut r = Reader::new(&[1, 2, 3, 4]);
        r.u8().expect("a byte");
        let mut part = r.split(2).expect("two");
        assert_eq!((part.remaining(), r.remaining()), (2, 1));
        let e = part.i32().expect_err("two bytes only");
        assert_eq!(e.offset, 1);
    }
}
