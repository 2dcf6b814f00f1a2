//! What can be wrong with a message, in either direction, without an allocation.

use std::fmt;

/// Bytes that are not the message they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// What is wrong.
    pub kind: DecodeErrorKind,
    /// Where, counted from the first byte that the [`Reader`](super::Reader) was given.
    pub offset: usize,
    /// The message or header that was being read, empty while unknown.
    pub message: &'static str,
    /// The innermost field that was being read, empty while unknown.
    pub field: &'static str,
}

/// The ways in which bytes can fail to be a message.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DecodeErrorKind {
    /// The bytes end inside a value.
    Truncated,
    /// A length or count is negative or larger than the bytes that are left could hold.
    Length,
    /// A varint has more bytes, or more bits, than its type.
    Varint,
    /// Null where the protocol knows no null.
    Null,
    /// A string is not UTF-8.
    Utf8,
    /// Tags are out of order, or a tagged field is not as long as it says.
    Tag,
    /// Bytes are left behind the message.
    Trailing,
    /// The message does not exist in that version.
    Version,
    /// A value that the protocol rules out.
    Value,
}

impl DecodeError {
    /// An error at `offset`, in a message and field that the callers will name.
    #[cold]
    pub fn new(kind: DecodeErrorKind, offset: usize) -> Self {
        Self { kind, offset, message: "", field: "" }
    }

    /// Names the field, unless an inner one is named already.
    #[cold]
    pub fn within(mut self, field: &'static str) -> Self {
        if self.field.is_empty() {
            self.field = field;
        }
        self
    }

    /// Names the message, unless it is named already.
    #[cold]
    pub fn of(mut self, message: &'static str) -> Self {
        if self.message.is_empty() {
            self.message = message;
        }
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            DecodeErrorKind::Truncated => "the bytes end inside a value",
            DecodeErrorKind::Length => "a length is negative or exceeds the bytes present",
            DecodeErrorKind::Varint => "a varint is longer than its type",
            DecodeErrorKind::Null => "null where a value must be",
            DecodeErrorKind::Utf8 => "a string is not UTF-8",
            DecodeErrorKind::Tag => "tagged fields are out of order or of the wrong size",
            DecodeErrorKind::Trailing => "bytes are left behind the message",
            DecodeErrorKind::Version => "the message has no such version",
            DecodeErrorKind::Value => "a value is outside of what the protocol allows",
        };
        let message = if self.message.is_empty() { "message" } else { self.message };
        match self.field {
            "" => write!(f, "{message}: {what} (at byte {})", self.offset),
            field => write!(f, "{message}.{field}: {what} (at byte {})", self.offset),
        }
    }
}

impl std::error::Error for DecodeError {}

/// A message that has no form on the wire in the version asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeError {
    /// What is wrong.
    pub kind: EncodeErrorKind,
    /// The message, empty while unknown.
    pub message: &'static str,
    /// The field, empty where it is the message as a whole.
    pub field: &'static str,
}

/// The ways in which a value can fail to become a message.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EncodeErrorKind {
    /// A string, array, byte field or frame is longer than its length field can say.
    TooLong,
    /// A field is set that this version does not have, and leaving it out would change the meaning.
    Unrepresentable,
    /// A field is null that this version cannot send as null.
    Null,
    /// The message does not exist in that version.
    Version,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            EncodeErrorKind::TooLong => "a value is too long for the protocol",
            EncodeErrorKind::Unrepresentable => "a field is set that this version does not have",
            EncodeErrorKind::Null => "a field is null that this version cannot send as null",
            EncodeErrorKind::Version => "the message has no such version",
        };
        let message = if self.message.is_empty() { "message" } else { self.message };
        match self.field {
            "" => write!(f, "{message}: {what}"),
            field => write!(f, "{message}.{field}: {what}"),
        }
    }
}

impl std::error::Error for EncodeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_field_and_the_first_message_are_kept() {
        let e = DecodeError::new(DecodeErrorKind::Length, 7).within("host").within("brokers").of("A").of("B");
        assert_eq!(e.to_string(), "A.host: a length is negative or exceeds the bytes present (at byte 7)");
    }
}
