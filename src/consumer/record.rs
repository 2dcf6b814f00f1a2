//! A record that was read: a view into fetched bytes, or a value of its own.

use crate::Timestamp;
use crate::front::shelf::Source;
use crate::record::{Headers as RecordHeaders, Record, Target};
use bytes::Bytes;
use klamm_core::client::{Stamp, TopicPartition};
use klamm_core::record::RecordView;
pub use klamm_core::record::{Headers, TimestampType};
use std::fmt;
use std::sync::Arc;

/// A record in the bytes that were fetched: a copyable view, decoded as it is reached, without an allocation.
#[derive(Clone, Copy)]
pub struct ConsumerRecord<'b> {
    view: RecordView<'b>,
    at: usize,
    source: &'b Arc<Source>,
}

impl<'b> ConsumerRecord<'b> {
    #[inline]
    pub(crate) fn new(view: RecordView<'b>, at: usize, source: &'b Arc<Source>) -> Self {
        Self { view, at, source }
    }

    /// Its topic.
    pub fn topic(&self) -> &'b str {
        &self.source.origin.tp.topic
    }
    /// Its partition, from 0.
    pub fn partition(&self) -> i32 {
        self.source.origin.tp.partition
    }
    /// Its topic and partition.
    pub fn topic_partition(&self) -> &'b TopicPartition {
        &self.source.origin.tp
    }
    /// Its offset in the partition.
    pub fn offset(&self) -> i64 {
        self.view.offset
    }
    /// The epoch of the leader that appended it; `None` in logs older than Kafka 0.11.
    pub fn leader_epoch(&self) -> Option<i32> {
        (self.source.leader_epoch >= 0).then_some(self.source.leader_epoch)
    }
    /// Its timestamp; -1 where the format has none.
    pub fn timestamp(&self) -> Timestamp {
        Timestamp(self.view.timestamp)
    }
    /// Whether the producer or the broker set the timestamp.
    pub fn timestamp_type(&self) -> TimestampType {
        self.source.timestamp_type
    }
    /// Its key; null is not the same as empty.
    pub fn key(&self) -> Option<&'b [u8]> {
        self.view.key
    }
    /// Its value; null, a tombstone, is not the same as empty.
    pub fn value(&self) -> Option<&'b [u8]> {
        self.view.value
    }
    /// Its headers, in order, repeated names included.
    pub fn headers(&self) -> Headers<'b> {
        self.view.headers
    }

    /// A record to send with this one's key, value, headers and timestamp. The partition is chosen anew.
    pub fn forward_to(&self, topic: impl Into<Target<'b>>) -> Record<'b> {
        let mut record = Record::to(topic);
        record.key = self.view.key;
        record.value = self.view.value;
        record.timestamp = (self.view.timestamp >= 0).then_some(Timestamp(self.view.timestamp));
        if !self.view.headers.is_empty() {
            record.headers = RecordHeaders::Own(self.view.headers.iter().collect());
        }
        record
    }

    /// The record as a value of its own, for one more reference to the fetched bytes, which it keeps in memory as long as
    /// it lives: see [`OwnedRecord::compact`].
    pub fn into_owned(self) -> OwnedRecord {
        OwnedRecord { source: self.source.clone(), at: self.at, offset: self.view.offset }
    }
}

impl fmt::Display for ConsumerRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{} {} = {}", self.topic_partition(), self.view.offset, Text(self.view.key), Text(self.view.value))
    }
}

impl fmt::Debug for ConsumerRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerRecord")
            .field("topic", &self.topic())
            .field("partition", &self.partition())
            .field("offset", &self.offset())
            .field("timestamp", &self.view.timestamp)
            .field("key", &format_args!("{}", Text(self.view.key)))
            .field("value", &format_args!("{}", Text(self.view.value)))
            .field("headers", &self.view.headers.len())
            .finish()
    }
}

/// Bytes for people.
struct Text<'a>(Option<&'a [u8]>);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(bytes) => bytes.escape_ascii().fmt(f),
            None => f.write_str("null"),
        }
    }
}

/// A record that lives as long as you like: `'static`, `Send`, `Sync`, cheap to clone.
///
/// It shares the bytes of the answer that it was fetched with and keeps them in memory; whoever keeps single records for
/// long calls [`compact`](Self::compact). It does not keep its partition from being assigned elsewhere.
#[derive(Clone)]
pub struct OwnedRecord {
    source: Arc<Source>,
    at: usize,
    offset: i64,
}

impl OwnedRecord {
    #[inline]
    pub(crate) fn new(source: Arc<Source>, at: usize, offset: i64) -> Self {
        Self { source, at, offset }
    }

    /// The record as a view, with all accessors.
    #[inline]
    pub fn view(&self) -> ConsumerRecord<'_> {
        let offset = self.offset;
        let nothing = || RecordView { offset, timestamp: -1, key: None, value: None, headers: Headers::default() };
        // The batch was verified: it has its record.
        ConsumerRecord::new(self.source.record(self.at).unwrap_or_else(nothing), self.at, &self.source)
    }

    /// Its topic.
    pub fn topic(&self) -> &str {
        &self.source.origin.tp.topic
    }
    /// Its partition, from 0.
    pub fn partition(&self) -> i32 {
        self.source.origin.tp.partition
    }
    /// Its topic and partition.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.source.origin.tp
    }
    /// Its offset in the partition.
    pub fn offset(&self) -> i64 {
        self.offset
    }
    /// The epoch of the leader that appended it.
    pub fn leader_epoch(&self) -> Option<i32> {
        self.view().leader_epoch()
    }
    /// Its timestamp; -1 where the format has none.
    pub fn timestamp(&self) -> Timestamp {
        self.view().timestamp()
    }
    /// Whether the producer or the broker set the timestamp.
    pub fn timestamp_type(&self) -> TimestampType {
        self.source.timestamp_type
    }
    /// Its key.
    pub fn key(&self) -> Option<&[u8]> {
        self.view().key()
    }
    /// Its value.
    pub fn value(&self) -> Option<&[u8]> {
        self.view().value()
    }
    /// Its headers.
    pub fn headers(&self) -> Headers<'_> {
        self.view().headers()
    }
    /// Its key, sharing the record's memory.
    pub fn key_bytes(&self) -> Option<Bytes> {
        self.key().map(|key| self.share(key))
    }
    /// Its value, sharing the record's memory.
    pub fn value_bytes(&self) -> Option<Bytes> {
        self.value().map(|value| self.share(value))
    }

    fn share(&self, part: &[u8]) -> Bytes {
        struct Whole(Arc<Source>);
        impl AsRef<[u8]> for Whole {
            fn as_ref(&self) -> &[u8] {
                self.0.whole()
            }
        }
        Bytes::from_owner(Whole(self.source.clone())).slice_ref(part)
    }

    /// Copies the record out of the fetched bytes, so that it keeps nothing in memory but itself.
    #[must_use]
    pub fn compact(self) -> Self {
        Self { source: self.source.compact(self.at), at: 0, offset: self.offset }
    }
}

impl fmt::Display for OwnedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

impl fmt::Debug for OwnedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.view(), f)
    }
}

/// Names one record that was read, and the ownership under which it was.
#[derive(Clone, Debug)]
pub struct RecordId {
    pub(crate) tp: Arc<TopicPartition>,
    pub(crate) stamp: Stamp,
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
}

impl RecordId {
    /// The record's topic and partition.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.tp
    }
    /// The record's offset.
    pub fn offset(&self) -> i64 {
        self.offset
    }
}

impl From<ConsumerRecord<'_>> for RecordId {
    fn from(record: ConsumerRecord<'_>) -> Self {
        Self {
            tp: record.source.origin.tp.clone(),
            stamp: record.source.origin.stamp,
            offset: record.offset(),
            leader_epoch: record.source.leader_epoch,
        }
    }
}

impl From<&ConsumerRecord<'_>> for RecordId {
    fn from(record: &ConsumerRecord<'_>) -> Self {
        (*record).into()
    }
}

impl From<&OwnedRecord> for RecordId {
    fn from(record: &OwnedRecord) -> Self {
        record.view().into()
    }
}
