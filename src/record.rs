//! A record to send.

use crate::producer::Topic;
use bytes::Bytes;
use klamm_core::Timestamp;
pub use klamm_core::record::Header;
use std::fmt;

/// Where a record goes: a topic's name, or a [`Topic`] that was looked up once.
#[derive(Clone, Copy)]
pub struct Target<'a>(pub(crate) To<'a>);

#[derive(Clone, Copy)]
pub(crate) enum To<'a> {
    Name(&'a str),
    Topic(&'a Topic),
}

impl<'a> Target<'a> {
    /// The topic's name.
    pub fn name(&self) -> &'a str {
        match self.0 {
            To::Name(name) => name,
            To::Topic(topic) => topic.name(),
        }
    }
}

impl fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name().fmt(f)
    }
}

impl<'a> From<&'a str> for Target<'a> {
    fn from(name: &'a str) -> Self {
        Self(To::Name(name))
    }
}

impl<'a> From<&'a String> for Target<'a> {
    fn from(name: &'a String) -> Self {
        Self(To::Name(name))
    }
}

impl<'a> From<&'a Topic> for Target<'a> {
    fn from(topic: &'a Topic) -> Self {
        Self(To::Topic(topic))
    }
}

/// The headers of a record: lent by the caller, or collected one by one.
#[derive(Clone)]
pub(crate) enum Headers<'a> {
    Lent(&'a [Header<'a>]),
    Own(Vec<Header<'a>>),
}

/// A record to send: borrowed, because [`send`](crate::Producer::send) copies it into the batch at the call.
///
/// A key that is not set is null, and so is a value: a *tombstone*, which deletes the key from a compacted topic. An
/// empty value is not null.
///
/// ```
/// use klamm::Record;
/// let record = Record::to("orders").key("o-1").value("hello").header("source", "web");
/// ```
#[derive(Clone)]
#[doc(alias = "ProducerRecord")]
pub struct Record<'a> {
    pub(crate) target: Target<'a>,
    pub(crate) partition: Option<i32>,
    pub(crate) timestamp: Option<Timestamp>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: Headers<'a>,
}

impl<'a> Record<'a> {
    /// A record for a topic: its name, or a [`Topic`], which saves the look-up.
    pub fn to(topic: impl Into<Target<'a>>) -> Self {
        Self {
            target: topic.into(),
            partition: None,
            timestamp: None,
            key: None,
            value: None,
            headers: Headers::Lent(&[]),
        }
    }

    /// Its key: records of one key go to one partition, in order. Not called: null.
    #[must_use]
    pub fn key(mut self, key: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.key = Some(key.as_ref());
        self
    }

    /// Its value. Not called: null, a tombstone.
    #[must_use]
    pub fn value(mut self, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.value = Some(value.as_ref());
        self
    }

    /// Its partition, counted from 0; the partitioner is not asked then.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Its timestamp; by default the time of the call, as exact as `timestamp.precision` says. A topic with
    /// `message.timestamp.type=LogAppendTime` overwrites it.
    #[must_use]
    pub fn timestamp(mut self, timestamp: impl Into<Timestamp>) -> Self {
        self.timestamp = Some(timestamp.into());
        self
    }

    /// Adds a header, behind those that are there; names may repeat. The first one allocates.
    #[must_use]
    pub fn header(self, name: &'a str, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.push(Header::new(name, value.as_ref()))
    }

    /// Adds a header whose value is null.
    #[must_use]
    pub fn null_header(self, name: &'a str) -> Self {
        self.push(Header::null(name))
    }

    /// Its headers, without an allocation; replaces those that were added.
    #[must_use]
    pub fn headers(mut self, headers: &'a [Header<'a>]) -> Self {
        self.headers = Headers::Lent(headers);
        self
    }

    /// Adds the W3C trace context (`traceparent`), so that a consumer can join the trace.
    #[must_use]
    pub fn trace_context(self, traceparent: &'a str) -> Self {
        self.header("traceparent", traceparent)
    }

    fn push(mut self, header: Header<'a>) -> Self {
        match &mut self.headers {
            Headers::Own(own) => own.push(header),
            Headers::Lent(lent) => {
                let mut own = Vec::with_capacity(lent.len() + 4);
                own.extend_from_slice(lent);
                own.push(header);
                self.headers = Headers::Own(own);
            }
        }
        self
    }

    /// The topic's name.
    pub fn topic_name(&self) -> &'a str {
        self.target.name()
    }

    /// The key's bytes; `None` is null.
    pub fn key_bytes(&self) -> Option<&'a [u8]> {
        self.key
    }

    /// The value's bytes; `None` is null.
    pub fn value_bytes(&self) -> Option<&'a [u8]> {
        self.value
    }

    /// The partition that was set.
    pub fn partition_number(&self) -> Option<i32> {
        self.partition
    }

    /// The timestamp that was set.
    pub fn timestamp_set(&self) -> Option<Timestamp> {
        self.timestamp
    }

    /// The headers, in order.
    pub fn header_list(&self) -> &[Header<'a>] {
        match &self.headers {
            Headers::Lent(lent) => lent,
            Headers::Own(own) => own,
        }
    }

    #[inline]
    pub(crate) fn parts(&self) -> crate::front::line::Parts<'_> {
        crate::front::line::Parts {
            partition: self.partition,
            timestamp: self.timestamp.map(Timestamp::as_millis),
            key: self.key,
            value: self.value,
            headers: self.header_list(),
        }
    }
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = |b: Option<&[u8]>| b.map(Bytes::copy_from_slice);
        f.debug_struct("Record")
            .field("topic", &self.target)
            .field("partition", &self.partition)
            .field("timestamp", &self.timestamp)
            .field("key", &bytes(self.key))
            .field("value", &bytes(self.value))
            .field("headers", &self.header_list().len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_empty_are_two_things() {
        assert_eq!(Record::to("t").value_bytes(), None);
        assert_eq!(Record::to("t").value("").value_bytes(), Some(&b""[..]));
    }

    #[test]
    fn headers_keep_their_order_and_may_repeat() {
        let lent = [Header::new("a", b"1")];
        let record = Record::to("t").headers(&lent).header("a", "2").null_header("b");
        let list = record.header_list();
        assert_eq!(list.len(), 3);
        assert_eq!((list[0].value, list[1].value, list[2].value), (Some(&b"1"[..]), Some(&b"2"[..]), None));
    }

    #[test]
    fn keys_and_values_may_be_anything_that_is_bytes() {
        let (owned, bytes) = (vec![1u8], Bytes::from_static(b"x"));
        let record = Record::to("t").key(&owned).value(&bytes);
        assert_eq!((record.key_bytes(), record.value_bytes()), (Some(&[1u8][..]), Some(&b"x"[..])));
        let _ = Record::to("t").key(b"k").value("v");
    }
}
