//! The bytes of a partition: batches in offset order, with the epochs in which they were written.

use super::batch::{Raw, records};
use super::transaction::Aborted;
use crate::configs::Policy;
use bytes::Bytes;
use klamm_core::codec::{Codec, Compression};
use std::collections::VecDeque;

/// One batch in the log.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) base: i64,
    pub(crate) last: i64,
    pub(crate) epoch: i32,
    pub(crate) max_timestamp: i64,
    pub(crate) segment: u32,
    pub(crate) bytes: Bytes,
}

impl Stored {
    pub(crate) fn raw(&self) -> Raw<'_> {
        Raw::stored(&self.bytes)
    }
}

/// The log that the leader writes; a follower has a prefix of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    batches: VecDeque<Stored>,
    /// The first offset that may be read.
    pub(crate) start: i64,
    /// The offset that the next record gets (LEO).
    pub(crate) end: i64,
    /// For each leader epoch its first offset (LeaderEpochFileCache).
    pub(crate) epochs: Vec<(i32, i64)>,
    /// The aborted transactions, in the order of their markers.
    pub(crate) aborted: Vec<Aborted>,
    segment: u32,
    segment_bytes: i64,
}

impl Log {
    /// Notes that a leader was elected with this epoch: its entry begins at the end of the log (5.8).
    pub(crate) fn begin_epoch(&mut self, epoch: i32) {
        // An epoch without writes leaves its entry, unless a later one begins at the same offset.
        while self.epochs.last().is_some_and(|(_, start)| *start >= self.end) {
            self.epochs.pop();
        }
        self.epochs.push((epoch, self.end));
    }

    /// Stores a batch that passed every check; gives its base offset.
    pub(crate) fn append(&mut self, raw: Raw<'_>, epoch: i32, policy: &Policy, wall: i64) -> i64 {
        let base = self.end;
        let mut bytes = recompress(raw, policy).unwrap_or_else(|| raw.bytes().to_vec());
        bytes[0..8].copy_from_slice(&base.to_be_bytes());
        bytes[12..16].copy_from_slice(&epoch.to_be_bytes());
        let mut max_timestamp = raw.max_timestamp();
        if policy.log_append_time {
            max_timestamp = wall;
            bytes[22] |= 8;
            bytes[35..43].copy_from_slice(&wall.to_be_bytes());
            seal(&mut bytes);
        }
        let size = bytes.len() as i64;
        if self.segment_bytes > 0 && self.segment_bytes + size > policy.segment_bytes {
            self.segment += 1;
            self.segment_bytes = 0;
        }
        self.segment_bytes += size;
        let last = base + i64::from(raw.last_offset_delta());
        let bytes = Bytes::from(bytes);
        self.batches.push_back(Stored { base, last, epoch, max_timestamp, segment: self.segment, bytes });
        self.end = last + 1;
        base
    }

    /// Drops everything from `end` on: no replica that counts has it.
    pub(crate) fn truncate(&mut self, end: i64) {
        while self.batches.back().is_some_and(|b| b.last >= end) {
            self.batches.pop_back();
        }
        self.end = self.batches.back().map_or(end.min(self.end), |b| b.last + 1).max(self.start);
        let end = self.end;
        self.epochs.retain(|(_, start)| *start <= end);
        self.aborted.retain(|a| a.marker < end);
    }

    /// DeleteRecords: moves the start; whole batches below it are freed.
    pub(crate) fn delete_before(&mut self, start: i64) {
        self.start = self.start.max(start.min(self.end));
        while self.batches.front().is_some_and(|b| b.last < self.start) {
            self.batches.pop_front();
        }
        self.aborted.retain(|a| a.marker >= self.start);
    }

    /// The batches from the one that contains `offset` on; in a gap, from the next (6.13).
    pub(crate) fn from(&self, offset: i64) -> impl Iterator<Item = &Stored> {
        let at = self.batches.partition_point(|b| b.last < offset);
        self.batches.range(at..)
    }

    /// Every batch.
    pub(crate) fn batches(&self) -> impl Iterator<Item = &Stored> {
        self.batches.iter()
    }

    /// 7.2: epoch and end offset that answer OffsetForLeaderEpoch, `latest` being the leader's.
    pub(crate) fn end_of_epoch(&self, asked: i32, latest: i32) -> (i32, i64) {
        if asked == latest {
            return (asked, self.end);
        }
        if asked < 0 || asked > latest {
            return (-1, -1);
        }
        let above = self.epochs.partition_point(|(epoch, _)| *epoch <= asked);
        match (above.checked_sub(1).and_then(|i| self.epochs.get(i)), self.epochs.get(above)) {
            (Some((epoch, _)), Some((_, start))) => (*epoch, *start),
            (Some((epoch, _)), None) => (*epoch, self.end),
            (None, Some((_, start))) => (asked, *start),
            (None, None) => (-1, -1),
        }
    }
}

/// Puts the checksum over what it covers.
pub(crate) fn seal(bytes: &mut [u8]) {
    let crc = klamm_core::record::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
}

/// 3, note 11: a topic whose `compression.type` is not `producer` stores batches in its own codec.
fn recompress(raw: Raw<'_>, policy: &Policy) -> Option<Vec<u8>> {
    let codec = policy.compression.filter(|codec| codec.id() != raw.codec() && !raw.is_control())?;
    let plain = raw.unpack().ok()?;
    let mut body = Vec::new();
    if codec == Codec::None {
        body.extend_from_slice(&plain);
    } else {
        let size = Compression::new(codec, None).ok()?.compress(&plain, &mut body).ok()?;
        body.truncate(size);
    }
    let mut bytes = raw.bytes()[..super::batch::HEADER].to_vec();
    bytes.extend_from_slice(&body);
    let length = i32::try_from(bytes.len() - super::batch::OVERHEAD).ok()?;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[22] = (bytes[22] & !7) | codec.id();
    seal(&mut bytes);
    Some(bytes)
}

/// A record as it lies in a log, read from outside by a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// The partition that holds it.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its timestamp in ms: the producer's, or the broker's on a `LogAppendTime` topic.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value.
    pub value: Option<Bytes>,
    /// Its headers in order; names may repeat.
    pub headers: Vec<(String, Option<Bytes>)>,
    /// The producer id in its batch; -1 without idempotence.
    pub producer_id: i64,
    /// The producer epoch in its batch; -1 without idempotence.
    pub producer_epoch: i16,
    /// Its sequence number; -1 without idempotence.
    pub sequence: i32,
    /// The epoch of the leader that appended it.
    pub leader_epoch: i32,
    /// Whether it was written within a transaction.
    pub transactional: bool,
}

/// The records of one batch, for a test that looks at the log.
pub(crate) fn open(batch: &Stored, partition: i32, out: &mut Vec<StoredRecord>) {
    let raw = batch.raw();
    // Markers are the log's own.
    if raw.is_control() {
        return;
    }
    let Ok(plain) = raw.unpack() else { return };
    let own = |field: Option<&[u8]>| field.map(Bytes::copy_from_slice);
    for record in records(&plain).map_while(Result::ok) {
        let delta = record.offset_delta;
        let sequence = i64::from(raw.base_sequence()) + i64::from(delta);
        out.push(StoredRecord {
            partition,
            offset: batch.base + i64::from(delta),
            timestamp: if raw.is_log_append_time() {
                raw.max_timestamp()
            } else {
                raw.base_timestamp().wrapping_add(record.timestamp_delta)
            },
            key: own(record.key),
            value: own(record.value),
            headers: record.headers().into_iter().map(|(name, value)| (name.to_owned(), own(value))).collect(),
            producer_id: raw.producer_id(),
            producer_epoch: raw.producer_epoch(),
            sequence: if raw.producer_id() < 0 { -1 } else { (sequence & i64::from(i32::MAX)) as i32 },
            leader_epoch: batch.epoch,
            transactional: raw.is_transactional(),
        });
    }
}
