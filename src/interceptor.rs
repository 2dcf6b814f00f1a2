//! Interceptors: code of the application that sees every record of a producer on its way out, and what became of it.

use crate::delivery::{At, Delivery, metadata};
use crate::front::ack::BatchAck;
use crate::front::line::Ticket;
use crate::front::locked;
use crate::front::sync::Mutex;
use crate::producer::Producer;
use crate::record::{Headers, Record};
use crate::{Error, ErrorKind, RecordMetadata, Result, Timestamp};
use klamm_core::config;
use klamm_core::record::Header;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Wake, Waker};

/// Sees the records of a producer: before they are placed, and once their outcome is known. Given by
/// [`ProducerConfig::interceptor`](crate::ProducerConfig::interceptor) as a [`Plugin::interceptor`](crate::Plugin::interceptor).
///
/// A panic in it is caught and [counted](crate::Producer::interceptor_panics): the record goes on as if that interceptor had
/// not been asked. A producer without interceptors pays nothing for them; with some, each record is copied once more.
#[doc(alias = "org.apache.kafka.clients.producer.ProducerInterceptor")]
pub trait ProducerInterceptor: Send + Sync + 'static {
    /// A record is about to be sent, on the thread that calls `send`; it may be changed. Interceptors are asked in their order.
    #[doc(alias = "onSend")]
    fn on_send(&self, record: &mut RecordEdit<'_>) {
        let _ = record;
    }

    /// A record is acknowledged or has failed. On the driver's thread, so it must be quick and must not wait; on the sender's if
    /// the record was refused at the call.
    #[doc(alias = "onAcknowledgement")]
    fn on_acknowledgement(&self, acknowledgement: &Acknowledgement<'_>) {
        let _ = acknowledgement;
    }
}

/// A record that an interceptor may change before it is sent.
#[derive(Clone)]
pub struct RecordEdit<'a> {
    topic: &'a str,
    partition: Option<i32>,
    timestamp: Option<Timestamp>,
    key: Option<Cow<'a, [u8]>>,
    value: Option<Cow<'a, [u8]>>,
    headers: Vec<EditedHeader<'a>>,
}

type EditedHeader<'a> = (Cow<'a, [u8]>, Option<Cow<'a, [u8]>>);

impl<'a> RecordEdit<'a> {
    fn new(record: &'a Record<'a>) -> Self {
        let header = |header: &Header<'a>| (Cow::Borrowed(header.key), header.value.map(Cow::Borrowed));
        Self {
            topic: record.topic_name(),
            partition: record.partition,
            timestamp: record.timestamp,
            key: record.key.map(Cow::Borrowed),
            value: record.value.map(Cow::Borrowed),
            headers: record.header_list().iter().map(header).collect(),
        }
    }

    /// The topic's name.
    pub fn topic(&self) -> &str {
        self.topic
    }
    /// The partition that the sender chose, if it did.
    pub fn partition(&self) -> Option<i32> {
        self.partition
    }
    /// The key; `None` is null.
    pub fn key(&self) -> Option<&[u8]> {
        self.key.as_deref()
    }
    /// The value; `None` is null, a tombstone.
    pub fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }
    /// The timestamp that the sender set, if it did.
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.timestamp
    }
    /// The headers, in order.
    pub fn headers(&self) -> impl Iterator<Item = Header<'_>> {
        self.headers.iter().map(|(key, value)| Header { key, value: value.as_deref() })
    }
    /// Replaces the key.
    pub fn set_key(&mut self, key: Option<Vec<u8>>) {
        self.key = key.map(Cow::Owned);
    }
    /// Replaces the value.
    pub fn set_value(&mut self, value: Option<Vec<u8>>) {
        self.value = value.map(Cow::Owned);
    }
    /// Replaces the partition; `None`: the partitioner chooses.
    pub fn set_partition(&mut self, partition: Option<i32>) {
        self.partition = partition;
    }
    /// Replaces the timestamp; `None`: the time of sending.
    pub fn set_timestamp(&mut self, timestamp: Option<Timestamp>) {
        self.timestamp = timestamp;
    }
    /// Adds a header behind those that are there.
    pub fn add_header(&mut self, name: &str, value: Option<Vec<u8>>) {
        self.headers.push((Cow::Owned(name.as_bytes().to_vec()), value.map(Cow::Owned)));
    }
    /// Takes out all headers of this name.
    pub fn remove_headers(&mut self, name: &str) {
        self.headers.retain(|(key, _)| **key != *name.as_bytes());
    }
}

impl fmt::Debug for RecordEdit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordEdit")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .finish_non_exhaustive()
    }
}

/// What became of a record.
pub struct Acknowledgement<'a> {
    topic: &'a str,
    partition: Option<i32>,
    headers: &'a [EditedHeader<'static>],
    result: Result<&'a RecordMetadata, &'a Error>,
}

impl Acknowledgement<'_> {
    /// The topic's name.
    pub fn topic(&self) -> &str {
        self.topic
    }
    /// The partition; `None` if the record failed before one was chosen.
    pub fn partition(&self) -> Option<i32> {
        self.partition
    }
    /// The headers as they were sent (KIP-512).
    pub fn headers(&self) -> impl Iterator<Item = Header<'_>> {
        self.headers.iter().map(|(key, value)| Header { key, value: value.as_deref() })
    }
    /// Where the record is, or why it failed.
    ///
    /// # Errors
    /// Why it failed.
    pub fn result(&self) -> Result<&RecordMetadata, &Error> {
        self.result
    }
}

/// The application's interceptor, as it travels through the configuration.
#[derive(Clone)]
pub(crate) struct Shared(pub(crate) Arc<dyn ProducerInterceptor>);

/// The interceptors of a producer, and the records whose outcome they wait for.
pub(crate) struct Interceptors {
    all: Vec<Shared>,
    /// By what decides about them, a batch or a place in line: each outcome looks at its own records only.
    pending: Mutex<BTreeMap<Key, Vec<Pending>>>,
    panics: AtomicU64,
}

/// The address of a batch's outcome, or of a ticket: each stays alive while records wait for it here.
type Key = usize;

/// Wakes the interceptors up for one batch, or one place in line.
struct Nudge {
    interceptors: Arc<Interceptors>,
    key: Key,
}

impl Wake for Nudge {
    fn wake(self: Arc<Self>) {
        self.interceptors.look(self.key);
    }
}

struct Pending {
    topic: Arc<str>,
    partition: Option<i32>,
    headers: Vec<EditedHeader<'static>>,
    at: At,
}

impl Interceptors {
    /// `None` if there are none.
    pub(crate) fn new(plugins: &[config::Plugin]) -> Result<Option<Arc<Self>>> {
        let all: Option<Vec<Shared>> = plugins.iter().map(|plugin| plugin.get::<Shared>().cloned()).collect();
        let Some(all) = all else {
            return Err(Error::new(ErrorKind::Config, "a value given for interceptor.classes is no interceptor")
                .with_hint("use Plugin::interceptor(..)"));
        };
        let made = Self { all, pending: Mutex::default(), panics: AtomicU64::new(0) };
        Ok((!made.all.is_empty()).then(|| Arc::new(made)))
    }

    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    fn guard(&self, call: impl FnOnce()) -> bool {
        let calm = catch_unwind(AssertUnwindSafe(call)).is_ok();
        if !calm {
            self.panics.fetch_add(1, Ordering::Relaxed);
        }
        calm
    }

    /// Asks all of them, then sends what they made of the record.
    pub(crate) fn send<T>(
        self: &Arc<Self>,
        record: &Record<'_>,
        send: impl FnOnce(Record<'_>) -> (T, Option<Delivery>),
    ) -> T {
        let mut edit = RecordEdit::new(record);
        for interceptor in &self.all {
            let before = edit.clone();
            if !self.guard(|| interceptor.0.on_send(&mut edit)) {
                edit = before;
            }
        }
        let headers: Vec<_> = edit.headers().collect();
        let edited = Record {
            target: record.target,
            partition: edit.partition,
            timestamp: edit.timestamp,
            key: edit.key(),
            value: edit.value(),
            headers: Headers::Lent(&headers),
        };
        let (given, delivery) = send(edited);
        if let Some(Delivery(at)) = delivery {
            let owned = |bytes: &Cow<'_, [u8]>| Cow::Owned(bytes.to_vec());
            let headers = edit.headers.iter().map(|(key, value)| (owned(key), value.as_ref().map(owned))).collect();
            let pending = Pending { topic: edit.topic.into(), partition: edit.partition, headers, at };
            if let At::Batch(ack, ..) = &pending.at {
                ack.watch();
            }
            self.add(pending);
        }
        given
    }

    /// A record waits for its outcome. Only the first of its batch has to look for it: its waker stands for all of them.
    fn add(self: &Arc<Self>, one: Pending) {
        let key = one.at.key();
        let first = {
            let mut pending = locked(&self.pending);
            let group = pending.entry(key).or_default();
            group.push(one);
            group.len() == 1
        };
        if first {
            self.look(key);
        }
    }

    /// Tells the outcomes of a batch's records if they are known; else its waker comes back here. Whoever finds no records
    /// leaves them to the one who took them, who looks once more when he has put them back.
    fn look(self: &Arc<Self>, key: Key) {
        let waker = Waker::from(Arc::new(Nudge { interceptors: self.clone(), key }));
        loop {
            let Some(mut group) = locked(&self.pending).remove(&key) else { return };
            let Some(first) = group.first_mut() else { return };
            let known = match &first.at {
                At::Batch(ack, ..) => ack.settled(&waker),
                At::Line(ticket) => match Ticket::watch(ticket, &waker) {
                    None => false,
                    Some(None) => true,
                    Some(Some(placed)) => {
                        placed.ack.watch();
                        first.at = At::Batch(placed.ack, placed.index, placed.delta);
                        for one in group {
                            self.add(one);
                        }
                        return;
                    }
                },
            };
            if known {
                for one in group {
                    self.tell(one);
                }
                return;
            }
            let watched = first.at.clone();
            {
                let mut pending = locked(&self.pending);
                let later = pending.insert(key, group).unwrap_or_default();
                pending.entry(key).or_default().extend(later);
            }
            // Nobody found the records while they were out; what came then is seen here.
            let come = match &watched {
                At::Batch(ack, ..) => ack.settled(&waker),
                At::Line(ticket) => ticket.is_ready(),
            };
            if !come {
                return;
            }
        }
    }

    fn tell(&self, one: Pending) {
        let Pending { topic, partition, headers, at } = one;
        let (partition, result) = at.peek(partition);
        for interceptor in &self.all {
            let told = Acknowledgement { topic: &topic, partition, headers: &headers, result: result.as_ref() };
            self.guard(|| interceptor.0.on_acknowledgement(&told));
        }
        if let At::Batch(ack, ..) = at {
            ack.unwatch();
        }
    }
}

impl fmt::Debug for Interceptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interceptors").field("count", &self.all.len()).finish_non_exhaustive()
    }
}

impl At {
    /// What decides about the record.
    fn key(&self) -> Key {
        match self {
            Self::Batch(ack, ..) => Arc::as_ptr(ack) as Key,
            Self::Line(ticket) => Arc::as_ptr(ticket) as Key,
        }
    }

    /// The outcome of a settled record, without looking at it as its sender would.
    fn peek(&self, partition: Option<i32>) -> (Option<i32>, Result<RecordMetadata>) {
        let unknown = || Error::new(ErrorKind::NotDelivered, "the record failed");
        match self {
            Self::Batch(ack, index, delta) => {
                let result = BatchAck::peek(ack, *index).unwrap_or_else(|| Err(unknown()));
                let number = i32::try_from(ack.slot.number).ok();
                (number, result.map(|landed| metadata(ack, *delta, &landed)))
            }
            Self::Line(ticket) => (partition, Err(ticket.failure().unwrap_or_else(unknown))),
        }
    }
}

impl Producer {
    /// Sends what the interceptors make of a record.
    #[cold]
    pub(crate) fn send_intercepted(&self, interceptors: &Arc<Interceptors>, record: &Record<'_>) -> Delivery {
        interceptors.send(record, |record| {
            let delivery = self.send_plain(record);
            (delivery.clone(), Some(delivery))
        })
    }
}
