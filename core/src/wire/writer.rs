//! Writes primitives into a growing buffer; errors stick to it until the message ends.

use super::{EncodeError, EncodeErrorKind, Uuid, Version, reader::MAX_STRING};

/// A buffer that messages are written into. It can be used for any number of messages.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    field: &'static str,
    error: Option<EncodeError>,
}

macro_rules! fixed {
    ($( $(#[$m:meta])* $name:ident: $t:ty; )*) => { $(
        $(#[$m])*
        #[inline]
        pub fn $name(&mut self, value: $t) {
            self.bytes.extend_from_slice(&value.to_be_bytes());
        }
    )* };
}

impl Writer {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty buffer with room for `n` bytes.
    pub fn with_capacity(n: usize) -> Self {
        Self::from(Vec::with_capacity(n))
    }

    /// What was written so far.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes were written so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Forgets what was written and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.error = None;
    }

    /// Forgets what was written behind the first `n` bytes.
    pub fn truncate(&mut self, n: usize) {
        self.bytes.truncate(n);
    }

    /// The buffer.
    pub fn into_vec(self) -> Vec<u8> {
        self.bytes
    }

    /// Names the field that the next values belong to, for errors.
    #[inline]
    pub fn field(&mut self, name: &'static str) {
        self.field = name;
    }

    /// Remembers an error about the field named last; the first one stays.
    #[cold]
    pub fn fail(&mut self, kind: EncodeErrorKind) {
        self.error.get_or_insert(EncodeError { kind, message: "", field: self.field });
    }

    /// Takes the error that occurred since the last call, if any, and names the message it happened in.
    pub fn take_error(&mut self, message: &'static str) -> Result<(), EncodeError> {
        self.field = "";
        match self.error.take() {
            None => Ok(()),
            Some(e) => Err(EncodeError { message, ..e }),
        }
    }

    /// Bytes as they are.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Overwrites four bytes that were written before, as a length that is known only now.
    /// Nothing happens if they were not.
    pub fn patch_i32(&mut self, at: usize, value: i32) {
        if let Some(place) = self.bytes.get_mut(at..).and_then(|b| b.first_chunk_mut()) {
            *place = value.to_be_bytes();
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

    /// One byte, 0 or 1.
    pub fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    /// Sixteen bytes.
    pub fn uuid(&mut self, value: Uuid) {
        self.raw(&value.0);
    }

    /// A varint without sign.
    #[inline]
    pub fn uvarint(&mut self, value: u32) {
        self.uvarlong(u64::from(value));
    }

    /// A varint of up to 64 bits without sign.
    #[inline(never)]
    pub fn uvarlong(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// A zigzag-coded varint of 32 bits.
    pub fn varint(&mut self, value: i32) {
        self.uvarint(((value << 1) ^ (value >> 31)) as u32);
    }

    /// A zigzag-coded varint of 64 bits.
    pub fn varlong(&mut self, value: i64) {
        self.uvarlong(((value << 1) ^ (value >> 63)) as u64);
    }

    /// The length in front of an array, `None` for null.
    #[inline(never)]
    pub fn array_len(&mut self, n: Option<usize>, v: Version) {
        let n = match n {
            None => -1,
            // The compact form has room for one less than `u32::MAX`, Java reads no more than `i32::MAX`.
            Some(n) => i32::try_from(n).unwrap_or_else(|_| {
                self.fail(EncodeErrorKind::TooLong);
                0
            }),
        };
        if v.flexible { self.uvarint(n.wrapping_add(1) as u32) } else { self.i32(n) }
    }

    /// A string with its length, `None` for null.
    #[inline(never)]
    pub fn str(&mut self, text: Option<&str>, v: Version) {
        let n = match text {
            None => -1,
            Some(text) if text.len() > MAX_STRING => return self.fail(EncodeErrorKind::TooLong),
            Some(text) => text.len() as i16,
        };
        if v.flexible {
            self.uvarint((i32::from(n) + 1) as u32)
        } else {
            self.i16(n)
        }
        self.raw(text.unwrap_or_default().as_bytes());
    }

    /// A byte field with its length, `None` for null.
    #[inline(never)]
    pub fn byte_field(&mut self, bytes: Option<&[u8]>, v: Version) {
        self.array_len(bytes.map(<[u8]>::len), v);
        self.raw(bytes.unwrap_or_default());
    }

    /// A tagged field: its number, the size of what `body` writes, and that.
    pub fn tag(&mut self, tag: u32, body: impl FnOnce(&mut Self)) {
        self.uvarint(tag);
        let start = self.bytes.len();
        body(self);
        // Sizes are small: writing the body first and moving it costs less than measuring it first.
        let end = self.bytes.len();
        match i32::try_from(end - start) {
            Ok(size) => self.uvarint(size as u32),
            Err(_) => self.fail(EncodeErrorKind::TooLong),
        }
        let moved = self.bytes.len() - end;
        self.bytes[start..].rotate_right(moved);
    }
}

impl From<Vec<u8>> for Writer {
    /// Goes on behind what `bytes` holds.
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, field: "", error: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLEXIBLE: Version = Version { number: 0, flexible: true };

    #[test]
    fn a_long_tag_is_moved_behind_its_size() {
        let mut w = Writer::new();
        w.u8(9);
        w.tag(3, |w| w.raw(&[7; 200]));
        assert_eq!(w.as_slice()[..5], [9, 3, 200, 1, 7]);
        assert_eq!(w.len(), 4 + 200);
        assert_eq!(w.as_slice()[203], 7);
    }

    #[test]
    fn the_first_error_is_told_once() {
        let mut w = Writer::new();
        w.field("first");
        w.str(Some(&"x".repeat(MAX_STRING + 1)), FLEXIBLE);
        w.field("second");
        w.fail(EncodeErrorKind::Null);
        let e = w.take_error("M").expect_err("too long");
        assert_eq!((e.kind, e.message, e.field), (EncodeErrorKind::TooLong, "M", "first"));
        assert_eq!(w.take_error("M"), Ok(()));
        w.str(Some(&"x".repeat(MAX_STRING)), FLEXIBLE);
        assert_eq!(w.take_error("M"), Ok(()));
    }

    #[test]
    fn a_patch_outside_does_nothing() {
        let mut w = Writer::from(vec![0; 4]);
        w.patch_i32(1, -1);
        assert_eq!(w.as_slice(), [0; 4]);
        w.patch_i32(0, -1);
        assert_eq!(w.as_slice(), [0xff; 4]);
    }
}
