//! From batch to batch through the bytes of one partition, reading headers only.

use super::batch::{BatchHeader, HEADER_LEN};
use super::error::{Fault, RecordError};
use super::legacy::MessageHeader;

/// Bytes of a batch or message in front of what its length field counts: base offset and length.
pub(super) const BATCH_OVERHEAD: usize = 12;

/// Up to here every format looks alike: offset, length, four bytes, magic.
const MAGIC_AT: usize = 16;

/// One whole batch, or one message of a message set, as it lies in the bytes of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawBatch<'a> {
    /// Where it begins in the bytes that were walked.
    pub start: usize,
    /// All of it.
    pub bytes: &'a [u8],
    /// What its header says.
    pub header: RawHeader,
}

/// The header of a batch or message, by format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawHeader {
    /// A record batch: Kafka 0.11 and later.
    Batch(BatchHeader),
    /// A message of a message set (magic 0 or 1), perhaps a compressed set of messages.
    Message(MessageHeader),
}

impl RawBatch<'_> {
    /// The lowest offset that is known without decompressing (a compressed message set knows only its last).
    pub fn base_offset(&self) -> i64 {
        match self.header {
            RawHeader::Batch(header) => header.base_offset,
            RawHeader::Message(header) => header.offset,
        }
    }

    /// The offset behind it: where to go on.
    pub fn next_offset(&self) -> i64 {
        match self.header {
            RawHeader::Batch(header) => header.next_offset(),
            RawHeader::Message(header) => header.offset.saturating_add(1),
        }
    }

    /// The epoch of the leader that appended it; -1 in old formats.
    pub fn leader_epoch(&self) -> i32 {
        match self.header {
            RawHeader::Batch(header) => header.leader_epoch,
            RawHeader::Message(_) => -1,
        }
    }
}

/// The batches in the bytes of one partition, in order. A batch that is cut off at the end is not given, without an
/// error: a broker cuts where its size limit falls. After an error there is nothing more.
pub fn batches(bytes: &[u8]) -> Batches<'_> {
    Batches { bytes, at: 0, failed: false }
}

/// See [`batches`].
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    bytes: &'a [u8],
    at: usize,
    failed: bool,
}

impl Batches<'_> {
    /// How many bytes the whole batches given so far take.
    pub fn position(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<RawBatch<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = read(self.bytes, self.at)?;
        match &next {
            Ok(batch) => self.at += batch.bytes.len(),
            Err(_) => self.failed = true,
        }
        Some(next)
    }
}

/// The batch at `at`; `None` if the bytes end before it does.
pub(super) fn read(bytes: &[u8], at: usize) -> Option<Result<RawBatch<'_>, RecordError>> {
    let rest = bytes.get(at..)?;
    let head = rest.first_chunk::<{ MAGIC_AT + 1 }>()?;
    let offset = i64::from_be_bytes(*head.first_chunk()?);
    let magic = head[MAGIC_AT] as i8;
    let length = announced(rest)?;
    let min = match magic {
        2 => HEADER_LEN - BATCH_OVERHEAD,
        0 | 1 => MessageHeader::MIN_LENGTH,
        _ => return Some(Err(Fault::Magic(magic).at(offset, at))),
    };
    let Some(size) = usize::try_from(length).ok().filter(|n| *n >= min) else {
        return Some(Err(Fault::Length(length).at(offset, at)));
    };
    let bytes = rest.get(..size.checked_add(BATCH_OVERHEAD)?)?;
    let header = match magic {
        2 => BatchHeader::parse(bytes).map(RawHeader::Batch),
        _ => MessageHeader::parse(bytes).map(RawHeader::Message),
    };
    Some(match header {
        Ok(header) => Ok(RawBatch { start: at, bytes, header }),
        Err(error) => Err(RecordError { at: at + error.at, ..error }),
    })
}

fn announced(rest: &[u8]) -> Option<i32> {
    rest.get(8..BATCH_OVERHEAD)?.first_chunk().map(|n| i32::from_be_bytes(*n))
}

/// What a walk over the headers of a fetched chunk finds: all that the core needs to place its next fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The offset behind the last good batch, at least the asked one: where to fetch next.
    pub next_offset: i64,
    /// How many bytes the good batches take, from the start.
    pub bytes: usize,
    /// How many good batches (or messages of old formats) there are.
    pub batches: u32,
    /// The leader epoch of the last good batch; -1 if there is none or its format has none.
    pub leader_epoch: i32,
    /// How many bytes the batch that is cut off at the end has in all, as far as it says.
    pub cut: Option<usize>,
    /// The first bad header. What stands behind it is not looked at.
    pub problem: Option<RecordError>,
}

/// Walks over the headers of the chunk that answers a fetch from `asked`, checking that each batch follows the one
/// before it. The first batch may begin before `asked` (brokers send whole batches), but not end before it unless a
/// later one goes on.
pub fn survey(chunk: &[u8], asked: i64) -> Survey {
    let mut found = Survey { next_offset: asked, bytes: 0, batches: 0, leader_epoch: -1, cut: None, problem: None };
    let mut expected = 0;
    let mut walk = batches(chunk);
    for batch in &mut walk {
        match batch.and_then(|b| follows(&b, expected).map(|()| b)) {
            Ok(batch) => {
                expected = batch.next_offset();
                found.next_offset = found.next_offset.max(expected);
                found.bytes = batch.start + batch.bytes.len();
                found.batches += 1;
                found.leader_epoch = batch.leader_epoch();
            }
            Err(problem) => {
                found.problem = Some(problem);
                return found;
            }
        }
    }
    let rest = chunk.get(found.bytes..).unwrap_or_default();
    if !rest.is_empty() {
        let length = announced(rest).and_then(|n| usize::try_from(n).ok());
        found.cut = Some(length.map_or(HEADER_LEN, |n| n.saturating_add(BATCH_OVERHEAD)));
    }
    found
}

/// Checks that `batch` begins at `expected` or later.
pub(super) fn follows(batch: &RawBatch<'_>, expected: i64) -> Result<(), RecordError> {
    let base = batch.base_offset();
    if base >= expected { Ok(()) } else { Err(Fault::OutOfOrder { base, expected }.at(expected, batch.start)) }
}
