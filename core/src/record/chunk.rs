//! From a fetched chunk to what an application may see: verified, decompressed, filtered by isolation level.
//!
//! All that a fetch brings for one partition is one chunk. Its batches are checked whole before any record is handed
//! out, so that iteration over the records cannot fail. Position and filter follow contract A27.

use std::collections::BTreeSet;

use super::batch::{BatchHeader, HEADER_LEN, Stamp, TimestampType};
use super::decode::{Records, RecordsInfo, VerifiedRecords};
use super::error::{Fault, RecordError};
use super::legacy;
use super::walk::{self, RawBatch, RawHeader};
use crate::codec::{Codec, CodecError, Decompressor};

/// Which records of transactions are visible (`isolation.level`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IsolationLevel {
    /// All of them, aborted ones included. Kafka's default.
    #[default]
    ReadUncommitted,
    /// Those of committed transactions only.
    ReadCommitted,
}

/// A transaction that was aborted, as a fetch response lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Whose transaction it was.
    pub producer_id: i64,
    /// The offset of its first record in the partition.
    pub first_offset: i64,
}

/// What a control record says to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlMarker {
    /// The producer's transaction was aborted.
    Abort,
    /// The producer's transaction was committed.
    Commit,
    /// Something that only brokers need to know.
    Other(i16),
}

impl ControlMarker {
    /// Reads the key of a control record: a version, then a type. `None` if it is none.
    pub fn parse(key: &[u8]) -> Option<Self> {
        let [v0, v1, t0, t1, ..] = *key else { return None };
        if i16::from_be_bytes([v0, v1]) < 0 {
            return None;
        }
        Some(match i16::from_be_bytes([t0, t1]) {
            0 => Self::Abort,
            1 => Self::Commit,
            other => Self::Other(other),
        })
    }
}

/// How to read chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimits {
    /// Which records are visible.
    pub isolation: IsolationLevel,
    /// Whether checksums are verified (`check.crcs`).
    pub check_crcs: bool,
    /// The most bytes that one batch may decompress to.
    pub max_plain: usize,
}

/// Where the decompressed records of a batch lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// They were not compressed: in the chunk, from here to there.
    Chunk {
        /// First byte.
        start: usize,
        /// Behind the last byte.
        end: usize,
    },
    /// In the front of the buffer that was given for them.
    Plain {
        /// How many bytes.
        len: usize,
    },
}

/// A batch with at least one visible record, all checked. Plain data: it goes with the bytes it was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedBatch {
    /// Where its records lie.
    pub section: Section,
    /// What its records are read by.
    pub info: RecordsInfo,
    /// Where the first visible record begins in the section.
    pub first: usize,
    /// How many visible records there are.
    pub count: u32,
    /// The position once all of them were handed out.
    pub next_offset: i64,
    /// What the timestamps mean.
    pub timestamp_type: TimestampType,
    /// How it was compressed.
    pub codec: Codec,
    /// The epoch of the leader that appended it; -1 in old formats.
    pub leader_epoch: i32,
    /// Who produced it.
    pub stamp: Stamp,
    /// Whether it belongs to a transaction.
    pub transactional: bool,
}

impl VerifiedBatch {
    /// The bytes of its records, out of the two places where they can be.
    pub fn section<'a>(&self, chunk: &'a [u8], plain: &'a [u8]) -> &'a [u8] {
        match self.section {
            Section::Chunk { start, end } => chunk.get(start..end),
            Section::Plain { len } => plain.get(..len),
        }
        .unwrap_or_default()
    }

    /// Its visible records, over the bytes that [`section`](Self::section) gives.
    pub fn records<'a>(&self, section: &'a [u8]) -> VerifiedRecords<'a> {
        VerifiedRecords::new(section, self.info, self.first, self.count)
    }
}

/// The way of one application through one chunk.
///
/// Records below the asked offset are dropped, control batches and aborted transactions are skipped (their offsets
/// count), a batch that is cut off at the end is left out without an error. An error stays until the cursor is dropped:
/// the position is then that of the first record that cannot be read.
#[derive(Debug)]
pub struct ChunkCursor {
    limits: ReadLimits,
    at: usize,
    next: i64,
    expected: i64,
    aborted: Vec<AbortedTransaction>,
    opened: usize,
    aborting: BTreeSet<i64>,
    failed: Option<RecordError>,
    behind: Option<i64>,
}

impl ChunkCursor {
    /// A cursor over the chunk that answers a fetch from `asked`. `aborted` is the list that came with this very chunk,
    /// in any order.
    pub fn new(asked: i64, mut aborted: Vec<AbortedTransaction>, limits: ReadLimits) -> Self {
        if limits.isolation == IsolationLevel::ReadUncommitted {
            aborted.clear();
        }
        aborted.sort_unstable_by_key(|txn| txn.first_offset);
        Self {
            limits,
            at: 0,
            next: asked,
            expected: 0,
            aborted,
            opened: 0,
            aborting: BTreeSet::new(),
            failed: None,
            behind: None,
        }
    }

    /// The position: behind everything handed out or skipped so far.
    pub fn next_offset(&self) -> i64 {
        self.next
    }

    /// After an error: the offset behind the batch that cannot be read, if its header tells.
    pub fn behind_failure(&self) -> Option<i64> {
        self.behind
    }

    /// How many bytes of the chunk are behind the cursor.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The next batch with a visible record. `chunk` must be the same bytes in every call. Compressed records are put
    /// into the front of `plain`, which grows as needed and never shrinks; what the last call put there is overwritten.
    ///
    /// `None` at the end of the chunk; [`next_offset`](Self::next_offset) is then where to go on.
    pub fn next_batch(
        &mut self,
        chunk: &[u8],
        decompressor: &mut Decompressor,
        plain: &mut Vec<u8>,
    ) -> Option<Result<VerifiedBatch, RecordError>> {
        loop {
            if let Some(error) = self.failed {
                return Some(Err(error));
            }
            let (at, found) = (self.at, walk::read(chunk, self.at)?);
            let raw = match found.and_then(|raw| walk::follows(&raw, self.expected).map(|()| raw)) {
                Ok(raw) => raw,
                Err(error) => return Some(Err(self.fail(error))),
            };
            let read = match raw.header {
                RawHeader::Batch(header) => self.read_batch(&raw, &header, decompressor, plain),
                RawHeader::Message(_) => self.read_messages(chunk, &raw, decompressor, plain),
            };
            match read {
                Ok(Some(batch)) => return Some(Ok(batch)),
                Ok(None) => {}
                Err(error) => {
                    self.behind = Some(raw.next_offset());
                    return Some(Err(self.fail(RecordError { at: at + error.at, ..error })));
                }
            }
        }
    }

    fn fail(&mut self, error: RecordError) -> RecordError {
        // What the header says about its offset may be what is wrong: the position is what the application knows.
        let error = RecordError { offset: self.next, ..error };
        self.failed = Some(error);
        error
    }

    fn pass(&mut self, raw: &RawBatch<'_>, next: i64) {
        self.at = raw.start + raw.bytes.len();
        self.expected = next;
        self.next = self.next.max(next);
    }

    fn read_batch(
        &mut self,
        raw: &RawBatch<'_>,
        header: &BatchHeader,
        decompressor: &mut Decompressor,
        plain: &mut Vec<u8>,
    ) -> Result<Option<VerifiedBatch>, RecordError> {
        if self.limits.check_crcs {
            header.check_crc(raw.bytes)?;
        }
        let mut visible = header.next_offset() > self.next;
        if self.limits.isolation == IsolationLevel::ReadCommitted {
            self.open_aborted(header.base_offset);
            let id = header.stamp.producer_id;
            if header.attributes.is_control() {
                // Only an abort marker ends an abort: the commit of a later transaction must not.
                if self.aborting.contains(&id) && self.is_abort(raw, header, decompressor, plain)? {
                    self.aborting.remove(&id);
                }
            } else if header.attributes.is_transactional() {
                visible &= !self.aborting.contains(&id);
            }
        }
        let body = raw.bytes.get(HEADER_LEN..).unwrap_or_default();
        let codec = codec_of(header)?;
        if !visible
            || header.attributes.is_control()
            || (header.count == 0 && (codec != Codec::None || body.is_empty()))
        {
            self.pass(raw, header.next_offset());
            return Ok(None);
        }
        let section = if codec == Codec::None {
            Section::Chunk { start: raw.start + HEADER_LEN, end: raw.start + raw.bytes.len() }
        } else {
            Section::Plain { len: self.decompress(header, codec, body, decompressor, plain)? }
        };
        let bytes = match section {
            Section::Chunk { .. } => body,
            Section::Plain { len } => &plain[..len],
        };
        let info = RecordsInfo::from(header);
        let records = Records::new(bytes, info);
        records.check_count()?;
        let checked = records.check(self.next);
        let asked = self.next;
        self.pass(raw, header.next_offset());
        if let Some(error) = checked.error {
            // The good records in front are handed out first; the position then stands at the bad one.
            self.next = asked.max(error.offset);
            self.behind = Some(header.next_offset());
            self.fail(error);
        }
        Ok((checked.count > 0).then(|| VerifiedBatch {
            section,
            info,
            first: checked.first,
            count: checked.count,
            next_offset: self.next,
            timestamp_type: header.attributes.timestamp_type(),
            codec,
            leader_epoch: header.leader_epoch,
            stamp: header.stamp,
            transactional: header.attributes.is_transactional(),
        }))
    }

    fn read_messages(
        &mut self,
        chunk: &[u8],
        raw: &RawBatch<'_>,
        decompressor: &mut Decompressor,
        plain: &mut Vec<u8>,
    ) -> Result<Option<VerifiedBatch>, RecordError> {
        let set = legacy::read(chunk, raw, self.next, &self.limits, decompressor, plain)?;
        self.at = set.end;
        self.expected = set.next_offset;
        self.next = self.next.max(set.next_offset);
        Ok((set.info.count > 0).then_some(VerifiedBatch {
            section: Section::Plain { len: set.len },
            info: set.info,
            first: 0,
            count: set.info.count,
            next_offset: self.next,
            timestamp_type: set.timestamp_type,
            codec: set.codec,
            leader_epoch: -1,
            stamp: Stamp::NONE,
            transactional: false,
        }))
    }

    /// Lets the aborted transactions begin that have their first record at `base` or before.
    fn open_aborted(&mut self, base: i64) {
        while let Some(txn) = self.aborted.get(self.opened).filter(|txn| txn.first_offset <= base) {
            self.aborting.insert(txn.producer_id);
            self.opened += 1;
        }
    }

    fn is_abort(
        &self,
        raw: &RawBatch<'_>,
        header: &BatchHeader,
        decompressor: &mut Decompressor,
        plain: &mut Vec<u8>,
    ) -> Result<bool, RecordError> {
        let body = raw.bytes.get(HEADER_LEN..).unwrap_or_default();
        let bytes = match codec_of(header)? {
            Codec::None => body,
            codec => {
                let len = self.decompress(header, codec, body, decompressor, plain)?;
                &plain[..len]
            }
        };
        let first = Records::new(bytes, RecordsInfo::from(header)).next().transpose()?;
        let marker = first.and_then(|record| record.key).and_then(ControlMarker::parse);
        Ok(marker == Some(ControlMarker::Abort))
    }

    fn decompress(
        &self,
        header: &BatchHeader,
        codec: Codec,
        body: &[u8],
        decompressor: &mut Decompressor,
        plain: &mut Vec<u8>,
    ) -> Result<usize, RecordError> {
        decompressor
            .decompress(codec, body, plain, self.limits.max_plain)
            .map_err(|error| Fault::Codec(error).at(header.base_offset, HEADER_LEN))
    }
}

fn codec_of(header: &BatchHeader) -> Result<Codec, RecordError> {
    header.attributes.codec().map_err(|id| Fault::Codec(CodecError::Unknown(id)).at(header.base_offset, 0))
}
