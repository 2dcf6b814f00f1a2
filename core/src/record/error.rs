//! What can be wrong with the records of a log.

use std::fmt;

use crate::codec::CodecError;
use crate::error::{Error, ErrorKind};

/// Bytes of a log that are not what they must be. Copy, without allocation: a decoder may meet millions of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordError {
    /// What is wrong.
    pub fault: Fault,
    /// The offset in the log from which it is unreadable; -1 if not even that can be told.
    pub offset: i64,
    /// Where: the byte in the bytes that were walked (of a chunk for headers, of the records section for records).
    pub at: usize,
}

/// The ways in which the records of a log can be wrong.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A format version that no Kafka writes.
    Magic(i8),
    /// A batch or message length below its own header, or not matching its content.
    Length(i32),
    /// A batch begins before the end of the batch in front of it.
    OutOfOrder {
        /// Where the batch says that it begins.
        base: i64,
        /// The lowest offset that it may begin at.
        expected: i64,
    },
    /// A base offset below 0, or an offset or timestamp beyond 64 bits.
    Overflow,
    /// The checksum does not match the bytes.
    Crc {
        /// The checksum in the header.
        stored: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// A last offset delta below 0.
    LastDelta(i32),
    /// A record count below 0, above what the bytes can hold, or not the number of records present.
    Count(i32),
    /// The bytes end inside a record.
    Truncated,
    /// A variable-length integer with too many bytes or bits.
    Varint,
    /// A length inside a record below -1, or one that leaves the record.
    FieldLength(i64),
    /// A record's offset outside its batch, or not above that of the record before it.
    OffsetDelta(i64),
    /// A header count below 0 or above what the record can hold.
    HeaderCount(i64),
    /// Bytes left over at the end of a record or of a batch.
    Trailing(usize),
    /// A compressed message inside a compressed message, or one of another format version.
    Nested,
    /// The records could not be decompressed.
    Codec(CodecError),
}

impl Fault {
    pub(super) fn at(self, offset: i64, at: usize) -> RecordError {
        RecordError { fault: self, offset, at }
    }
}

impl From<CodecError> for Fault {
    fn from(error: CodecError) -> Self {
        Self::Codec(error)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Magic(magic) => write!(f, "unknown record format {magic}"),
            Self::Length(length) => write!(f, "impossible batch length {length}"),
            Self::OutOfOrder { base, expected } => write!(f, "a batch at {base} follows one that ends at {expected}"),
            Self::Overflow => f.write_str("an offset or timestamp out of range"),
            Self::Crc { stored, computed } => {
                write!(f, "checksum {computed:#010x} of the bytes is not the stored {stored:#010x}")
            }
            Self::LastDelta(delta) => write!(f, "last offset delta {delta}"),
            Self::Count(count) => write!(f, "record count {count} does not fit the bytes"),
            Self::Truncated => f.write_str("a record is cut short"),
            Self::Varint => f.write_str("an overlong variable-length integer"),
            Self::FieldLength(length) => write!(f, "field length {length} leaves its record"),
            Self::OffsetDelta(delta) => write!(f, "offset delta {delta} is out of order"),
            Self::HeaderCount(count) => write!(f, "header count {count} does not fit the record"),
            Self::Trailing(count) => write!(f, "{count} bytes too many"),
            Self::Nested => f.write_str("a compressed message set inside another"),
            Self::Codec(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "records from offset {} on are unreadable: {} (byte {})", self.offset, self.fault, self.at)
    }
}

impl std::error::Error for RecordError {}

impl From<RecordError> for Error {
    fn from(error: RecordError) -> Self {
        let place = |e: Error| if error.offset < 0 { e } else { e.with_offset(error.offset) };
        match error.fault {
            Fault::Codec(codec) if codec.is_unsupported() => {
                place(Error::from(codec).with_hint("build klamm with that codec's feature, or seek past the batch"))
            }
            Fault::Codec(codec @ CodecError::TooLarge { .. }) => place(Error::from(codec)),
            _ => place(Error::new(ErrorKind::Corrupt, error.to_string()))
                .with_hint("seek past the offset to go on without these records"),
        }
    }
}
