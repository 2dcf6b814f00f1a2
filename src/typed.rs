//! What the bytes of one topic mean: for writers and readers alike.

use crate::consumer::ConsumerRecord;
use crate::delivery::Delivery;
use crate::producer::Producer;
use crate::record::Record;
use crate::serdes::{BoxError, DeserializeContext, Deserializer, Raw, SerializeContext, Serializer};
use crate::{Error, ErrorKind, Result};
use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

/// A topic with the types of its keys and values: a constant that writers and readers share. Producers and consumers
/// stay untyped, so one producer writes to topics of any types.
///
/// ```
/// use klamm::{TypedTopic, serdes::{I64, Utf8}};
/// const VISITS: TypedTopic<Utf8, I64> = TypedTopic::new("visits", Utf8, I64);
/// assert_eq!(VISITS.name(), "visits");
/// ```
#[derive(Clone)]
pub struct TypedTopic<K = Raw, V = Raw> {
    name: Cow<'static, str>,
    key: K,
    value: V,
}

/// The bytes of one record, kept so that the next one allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct EncodeBuf {
    /// The topic's name too, so that a record borrows from here only: `TypedTopic`s are constants.
    topic: String,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl EncodeBuf {
    /// Empty.
    pub const fn new() -> Self {
        Self { topic: String::new(), key: Vec::new(), value: Vec::new() }
    }
}

impl<K, V> TypedTopic<K, V> {
    /// A topic whose name is known when the program is written.
    pub const fn new(name: &'static str, key: K, value: V) -> Self {
        Self { name: Cow::Borrowed(name), key, value }
    }

    /// A topic whose name is known when the program runs.
    pub const fn named(name: String, key: K, value: V) -> Self {
        Self { name: Cow::Owned(name), key, value }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An ordinary record of these values, whose bytes are in `buf`: add headers, put it into a batch or a transaction.
    ///
    /// # Errors
    /// `Serialize` with what the serializer says.
    pub fn record<'b, A: ?Sized, B: ?Sized>(
        &self,
        buf: &'b mut EncodeBuf,
        key: Option<&A>,
        value: Option<&B>,
    ) -> Result<Record<'b>>
    where
        K: Serializer<A>,
        V: Serializer<B>,
    {
        self.encode(buf, key, value)?;
        let mut record = Record::to(&buf.topic);
        record.key = key.is_some().then_some(&buf.key);
        record.value = value.is_some().then_some(&buf.value);
        Ok(record)
    }

    fn encode<A: ?Sized, B: ?Sized>(&self, buf: &mut EncodeBuf, key: Option<&A>, value: Option<&B>) -> Result<()>
    where
        K: Serializer<A>,
        V: Serializer<B>,
    {
        buf.topic.clear();
        buf.topic.push_str(&self.name);
        buf.key.clear();
        buf.value.clear();
        if let Some(key) = key {
            let cx = &mut SerializeContext::new(&self.name, true);
            self.key.serialize(cx, key, &mut buf.key).map_err(|error| self.refused("key", error))?;
        }
        if let Some(value) = value {
            let cx = &mut SerializeContext::new(&self.name, false);
            self.value.serialize(cx, value, &mut buf.value).map_err(|error| self.refused("value", error))?;
        }
        Ok(())
    }

    fn refused(&self, what: &str, error: BoxError) -> Error {
        Error::new(ErrorKind::Serialize, format!("the {what} of a record for {:?} has no bytes", self.name))
            .with_foreign_source(error)
            .with_topic(&*self.name)
            .with_hint("the record was not written")
    }

    /// The key of these bytes.
    ///
    /// # Errors
    /// `Deserialize` with what the deserializer says.
    pub fn decode_key<'b>(&self, bytes: Option<&'b [u8]>) -> Result<Option<K::Value<'b>>>
    where
        K: Deserializer,
    {
        let Some(bytes) = bytes else { return Ok(None) };
        let cx = DeserializeContext::new(&self.name, true);
        self.key.deserialize(&cx, bytes).map(Some).map_err(|error| self.unreadable("key", bytes, error))
    }

    /// The value of these bytes.
    ///
    /// # Errors
    /// `Deserialize` with what the deserializer says.
    pub fn decode_value<'b>(&self, bytes: Option<&'b [u8]>) -> Result<Option<V::Value<'b>>>
    where
        V: Deserializer,
    {
        let Some(bytes) = bytes else { return Ok(None) };
        let cx = DeserializeContext::new(&self.name, false);
        self.value.deserialize(&cx, bytes).map(Some).map_err(|error| self.unreadable("value", bytes, error))
    }

    /// The key of a record that was read; `None` is null.
    ///
    /// # Errors
    /// `Deserialize` with the record's place and what the deserializer says.
    pub fn key<'b>(&self, record: &ConsumerRecord<'b>) -> Result<Option<K::Value<'b>>>
    where
        K: Deserializer,
    {
        self.decode_key(record.key()).map_err(|error| placed(error, record))
    }

    /// The value of a record that was read; `None` is null, a tombstone.
    ///
    /// # Errors
    /// `Deserialize` with the record's place and what the deserializer says.
    pub fn value<'b>(&self, record: &ConsumerRecord<'b>) -> Result<Option<V::Value<'b>>>
    where
        V: Deserializer,
    {
        self.decode_value(record.value()).map_err(|error| placed(error, record))
    }

    fn unreadable(&self, what: &str, bytes: &[u8], error: BoxError) -> Error {
        let text = format!("the {what} of {} bytes in {:?} cannot be read", bytes.len(), self.name);
        Error::new(ErrorKind::Deserialize, text).with_topic(&*self.name).with_foreign_source(error)
    }
}

/// Where the record is that could not be read.
fn placed(error: Error, record: &ConsumerRecord<'_>) -> Error {
    let (partition, offset) = (record.partition(), record.offset());
    let place = format!("{}-{partition}, offset {offset}", record.topic());
    error.with_subject(place).with_topic(record.topic()).with_partition(partition).with_offset(offset)
}

impl<'b> ConsumerRecord<'b> {
    /// The key, read by a deserializer; `None` is null.
    ///
    /// # Errors
    /// `Deserialize` with the record's place and what the deserializer says.
    pub fn key_as<D: Deserializer>(&self, serde: &D) -> Result<Option<D::Value<'b>>> {
        self.read("key", self.key(), serde, DeserializeContext::new(self.topic(), true))
    }

    /// The value, read by a deserializer; `None` is null, a tombstone.
    ///
    /// # Errors
    /// `Deserialize` with the record's place and what the deserializer says.
    pub fn value_as<D: Deserializer>(&self, serde: &D) -> Result<Option<D::Value<'b>>> {
        self.read("value", self.value(), serde, DeserializeContext::new(self.topic(), false))
    }

    fn read<D: Deserializer>(
        &self,
        what: &str,
        bytes: Option<&'b [u8]>,
        serde: &D,
        cx: DeserializeContext<'_>,
    ) -> Result<Option<D::Value<'b>>> {
        let Some(bytes) = bytes else { return Ok(None) };
        serde.deserialize(&cx, bytes).map(Some).map_err(|error| {
            let text = format!("the {what} of {} bytes cannot be read", bytes.len());
            placed(Error::new(ErrorKind::Deserialize, text).with_foreign_source(error), self)
        })
    }
}

impl<K, V> fmt::Debug for TypedTopic<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedTopic").field(&self.name).finish()
    }
}

thread_local!(static BUF: RefCell<EncodeBuf> = const { RefCell::new(EncodeBuf::new()) });

impl Producer {
    /// Sends a record of a typed topic; `None` is null. A serializer's error is a failed [`Delivery`].
    #[must_use = "await the acknowledgement, or `.queued()` for back-pressure; the record is on its way either way"]
    pub fn send_typed<K, V, A: ?Sized, B: ?Sized>(
        &self,
        topic: &TypedTopic<K, V>,
        key: Option<&A>,
        value: Option<&B>,
    ) -> Delivery
    where
        K: Serializer<A>,
        V: Serializer<B>,
    {
        // Taken out while the serializers run: one of them may send.
        let mut buf = BUF.with(RefCell::take);
        let delivery = match topic.record(&mut buf, key, value) {
            Ok(record) => self.send(record),
            Err(error) => self.refuse(error),
        };
        BUF.with(|kept| kept.replace(buf));
        delivery
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serdes::{I64, Null, Utf8};

    const VISITS: TypedTopic<Utf8, I64> = TypedTopic::new("visits", Utf8, I64);

    #[test]
    fn a_record_and_back() {
        let mut buf = EncodeBuf::new();
        let record = VISITS.record(&mut buf, Some("home"), Some(&7)).unwrap();
        assert_eq!((record.topic_name(), record.key_bytes()), ("visits", Some(&b"home"[..])));
        assert_eq!(VISITS.decode_key(record.key_bytes()).unwrap(), Some("home"));
        assert_eq!(VISITS.decode_value(record.value_bytes()).unwrap(), Some(7));
    }

    #[test]
    fn null_never_meets_a_serializer() {
        let topic = TypedTopic::new("t", Null, Null);
        let mut buf = EncodeBuf::new();
        let record = topic.record::<(), ()>(&mut buf, None, None).unwrap();
        assert_eq!((record.key_bytes(), record.value_bytes()), (None, None));
        let error = topic.record(&mut buf, Some(&()), None::<&()>).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Serialize);
        assert!(topic.decode_value(Some(b"x")).is_err());
    }

    #[test]
    fn what_cannot_be_read_says_where() {
        let error = VISITS.decode_value(Some(b"abc")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Deserialize);
        assert!(error.to_string().contains("visits"), "{error}");
    }
}
