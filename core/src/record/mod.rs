//! Record batches: encoded in place, decoded lazily.
//!
//! Writing: a [`BodyBuf`] takes records in wire form; sealing gives [`BodyFacts`] (with the checksum of the body); a
//! header is stamped in constant time when the request is built ([`BodyFacts::header`]).
//!
//! Reading: [`survey`] walks over headers for the core; [`ChunkCursor`] verifies and filters batches for the
//! application, whose iteration over [`VerifiedBatch::records`] then cannot fail.

mod batch;
mod chunk;
mod crc;
mod decode;
mod encode;
mod error;
mod legacy;
mod varint;
mod view;
mod walk;

pub use batch::{Attributes, BatchHeader, BodyFacts, HEADER_LEN, Stamp, TimestampType};
pub use chunk::{AbortedTransaction, ChunkCursor, ControlMarker, IsolationLevel, ReadLimits, Section, VerifiedBatch};
pub use crc::{BodyCrc, crc32c};
pub use decode::{Records, RecordsInfo, VerifiedRecords};
pub use encode::{BodyBuf, Header, Mark, SLACK, size_of_record};
pub use error::{Fault, RecordError};
pub use legacy::MessageHeader;
pub use view::{Headers, HeadersIter, RecordView};
pub use walk::{Batches, RawBatch, RawHeader, Survey, batches, survey};
