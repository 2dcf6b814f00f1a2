//! The header of a record batch (magic 2): written late, read and checked without touching the records.

use super::crc::BodyCrc;
use super::error::{Fault, RecordError};
use super::walk::BATCH_OVERHEAD;
use crate::codec::Codec;

/// Bytes of a batch in front of its records.
pub const HEADER_LEN: usize = 61;

/// Where the checksummed part of a batch begins: at its attributes.
const CHECKED_FROM: usize = 21;

/// The smallest record: seven one-byte fields.
pub(super) const RECORD_MIN: usize = 7;

/// The bits of a batch that say how to read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub i16);

/// What the timestamp of a record means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The format (magic 0) has no timestamps.
    None,
    /// The producer set it.
    Create,
    /// The broker set it when it appended the batch: one for all records of the batch.
    LogAppend,
}

impl Attributes {
    const CODEC: i16 = 0b111;
    const LOG_APPEND: i16 = 1 << 3;
    const TRANSACTIONAL: i16 = 1 << 4;
    const CONTROL: i16 = 1 << 5;

    /// The attributes of a batch whose records are compressed by `codec`; create time, neither transactional nor control.
    pub const fn new(codec: Codec) -> Self {
        Self(codec.id() as i16)
    }

    const fn set(self, bit: i16, on: bool) -> Self {
        Self(if on { self.0 | bit } else { self.0 & !bit })
    }

    /// With or without the mark of a transactional batch.
    #[must_use]
    pub const fn transactional(self, on: bool) -> Self {
        self.set(Self::TRANSACTIONAL, on)
    }

    /// With or without the mark of a control batch.
    #[must_use]
    pub const fn control(self, on: bool) -> Self {
        self.set(Self::CONTROL, on)
    }

    /// With or without the mark that the broker set the timestamp.
    #[must_use]
    pub const fn log_append(self, on: bool) -> Self {
        self.set(Self::LOG_APPEND, on)
    }

    /// How the records are compressed; `Err` is a codec that no Kafka knows.
    pub const fn codec(self) -> Result<Codec, u8> {
        let id = (self.0 & Self::CODEC) as u8;
        match Codec::from_id(id) {
            Some(codec) => Ok(codec),
            None => Err(id),
        }
    }

    /// What the timestamps mean.
    pub const fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::LOG_APPEND != 0 { TimestampType::LogAppend } else { TimestampType::Create }
    }

    /// Whether the batch belongs to a transaction.
    pub const fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    /// Whether the records are markers for clients and brokers, not for applications.
    pub const fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }
}

/// Who produced a batch and as which of its batches: what a broker finds duplicates and gaps by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The producer id, -1 without idempotence.
    pub producer_id: i64,
    /// The producer epoch, -1 without idempotence.
    pub epoch: i16,
    /// The sequence number of the first record, -1 without idempotence.
    pub base_sequence: i32,
}

impl Stamp {
    /// The stamp of a producer that is not idempotent.
    pub const NONE: Self = Self { producer_id: -1, epoch: -1, base_sequence: -1 };
}

/// The header of a batch of magic 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// The offset that deltas of records count from. Not under the checksum: the broker sets it.
    pub base_offset: i64,
    /// Bytes of the batch behind this field (49 of the header, then the records).
    pub length: i32,
    /// The epoch of the leader that appended it. Not under the checksum.
    pub leader_epoch: i32,
    /// CRC-32C from the attributes to the end of the batch.
    pub crc: u32,
    /// How to read it.
    pub attributes: Attributes,
    /// Offset of the last record minus the base offset; survives compaction.
    pub last_offset_delta: i32,
    /// What timestamp deltas count from, in ms.
    pub base_timestamp: i64,
    /// The highest timestamp, in ms; the only one if the broker set it.
    pub max_timestamp: i64,
    /// Who produced it and as which batch.
    pub stamp: Stamp,
    /// How many records there are; fewer than offsets after compaction.
    pub count: i32,
}

impl BatchHeader {
    /// Reads a header and checks what can be checked without the records: magic, length, base offset, last offset and
    /// count. Whether the whole batch is there, whether it follows its predecessor and its checksum are the caller's.
    ///
    /// # Errors
    /// The first check that fails; also when there are fewer than 61 bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        let Some(head) = bytes.first_chunk::<HEADER_LEN>() else {
            return Err(Fault::Truncated.at(-1, bytes.len()));
        };
        let header = Self::read(head);
        let magic = head[16] as i8;
        let check = |ok: bool, fault: Fault| if ok { Ok(()) } else { Err(fault.at(header.base_offset, 0)) };
        check(magic == 2, Fault::Magic(magic))?;
        check(header.length >= (HEADER_LEN - BATCH_OVERHEAD) as i32, Fault::Length(header.length))?;
        check(header.base_offset >= 0, Fault::Overflow)?;
        check(header.last_offset_delta >= 0, Fault::LastDelta(header.last_offset_delta))?;
        // The offset behind the batch must exist as well: it is the next position.
        let next = header.base_offset.checked_add(i64::from(header.last_offset_delta) + 1);
        check(next.is_some(), Fault::Overflow)?;
        let room = header.len() - HEADER_LEN;
        let fits = match header.attributes.codec() {
            Ok(Codec::None) => usize::try_from(header.count).is_ok_and(|n| n <= room / RECORD_MIN),
            _ => header.count >= 0,
        };
        check(fits && i64::from(header.count) <= i64::from(header.last_offset_delta) + 1, Fault::Count(header.count))?;
        Ok(header)
    }

    fn read(head: &[u8; HEADER_LEN]) -> Self {
        Self {
            base_offset: i64::from_be_bytes(field(head, 0)),
            length: i32::from_be_bytes(field(head, 8)),
            leader_epoch: i32::from_be_bytes(field(head, 12)),
            crc: u32::from_be_bytes(field(head, 17)),
            attributes: Attributes(i16::from_be_bytes(field(head, 21))),
            last_offset_delta: i32::from_be_bytes(field(head, 23)),
            base_timestamp: i64::from_be_bytes(field(head, 27)),
            max_timestamp: i64::from_be_bytes(field(head, 35)),
            stamp: Stamp {
                producer_id: i64::from_be_bytes(field(head, 43)),
                epoch: i16::from_be_bytes(field(head, 51)),
                base_sequence: i32::from_be_bytes(field(head, 53)),
            },
            count: i32::from_be_bytes(field(head, 57)),
        }
    }

    /// The header as it stands on the wire, with the checksum that the field `crc` holds.
    pub fn write(&self) -> [u8; HEADER_LEN] {
        let mut head = [0; HEADER_LEN];
        put(&mut head, 0, self.base_offset.to_be_bytes());
        put(&mut head, 8, self.length.to_be_bytes());
        put(&mut head, 12, self.leader_epoch.to_be_bytes());
        head[16] = 2;
        put(&mut head, 17, self.crc.to_be_bytes());
        put(&mut head, 21, self.attributes.0.to_be_bytes());
        put(&mut head, 23, self.last_offset_delta.to_be_bytes());
        put(&mut head, 27, self.base_timestamp.to_be_bytes());
        put(&mut head, 35, self.max_timestamp.to_be_bytes());
        put(&mut head, 43, self.stamp.producer_id.to_be_bytes());
        put(&mut head, 51, self.stamp.epoch.to_be_bytes());
        put(&mut head, 53, self.stamp.base_sequence.to_be_bytes());
        put(&mut head, 57, self.count.to_be_bytes());
        head
    }

    /// The header as it stands on the wire in front of `body`: length and checksum are computed, in constant time.
    #[inline]
    pub fn write_before(&self, body: &BodyCrc) -> [u8; HEADER_LEN] {
        let length = HEADER_LEN - BATCH_OVERHEAD + body.body_len();
        let length = i32::try_from(length).unwrap_or(i32::MAX);
        let mut head = Self { length, ..*self }.write();
        let crc = body.join(&head[CHECKED_FROM..]);
        put(&mut head, 17, crc.to_be_bytes());
        head
    }

    /// Bytes of the whole batch, header included.
    #[expect(clippy::len_without_is_empty, reason = "a batch is at least its header")]
    pub fn len(&self) -> usize {
        BATCH_OVERHEAD + usize::try_from(self.length).unwrap_or(0)
    }

    /// The offset of the last record that was in the batch when it was appended.
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// The offset behind the batch: where to go on.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// The timestamp of every record if the broker set it, else `None`: deltas count from the base timestamp.
    pub fn append_time(&self) -> Option<i64> {
        (self.attributes.timestamp_type() == TimestampType::LogAppend).then_some(self.max_timestamp)
    }

    /// Compares the checksum of a whole batch with the one in its header.
    ///
    /// # Errors
    /// [`Fault::Crc`] if they differ, [`Fault::Truncated`] if `batch` ends before its checksummed part.
    pub fn check_crc(&self, batch: &[u8]) -> Result<(), RecordError> {
        let Some(checked) = batch.get(CHECKED_FROM..) else {
            return Err(Fault::Truncated.at(self.base_offset, batch.len()));
        };
        let computed = super::crc::crc32c(checked);
        if computed == self.crc {
            Ok(())
        } else {
            Err(Fault::Crc { stored: self.crc, computed }.at(self.base_offset, 0))
        }
    }
}

/// The facts of a sealed body that its header needs: all but who sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyFacts {
    /// Checksum and length of the body as it goes on the wire (compressed, if it is).
    pub crc: BodyCrc,
    /// How it is compressed.
    pub codec: Codec,
    /// How many records are in it; at least one.
    pub count: u32,
    /// What its timestamp deltas count from, in ms.
    pub base_timestamp: i64,
    /// The highest timestamp in it, in ms.
    pub max_timestamp: i64,
}

impl BodyFacts {
    /// The 61 bytes to send in front of the body. Any stamp may be put before the same body: the body stays untouched.
    #[inline]
    pub fn header(&self, stamp: Stamp, transactional: bool) -> [u8; HEADER_LEN] {
        let count = i32::try_from(self.count).unwrap_or(i32::MAX);
        BatchHeader {
            base_offset: 0,
            length: 0,
            leader_epoch: -1,
            crc: 0,
            attributes: Attributes::new(self.codec).transactional(transactional),
            last_offset_delta: (count - 1).max(0),
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            stamp,
            count,
        }
        .write_before(&self.crc)
    }

    /// Bytes of the whole batch on the wire.
    pub fn batch_len(&self) -> usize {
        HEADER_LEN + self.crc.body_len()
    }
}

pub(super) fn field<const N: usize>(head: &[u8; HEADER_LEN], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&head[at..at + N]);
    out
}

fn put<const N: usize>(head: &mut [u8; HEADER_LEN], at: usize, bytes: [u8; N]) {
    head[at..at + N].copy_from_slice(&bytes);
}
