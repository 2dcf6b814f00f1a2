//! Interceptors: code of the application that sees every record of a producer on its way out, and what became of it.

use crate::delivery::{At, Delivery, metadata};
use crate::front::ack::{BatchAck, Standing};
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

    /// A record is acknowledged or has failed: told before its `Delivery`, a flush or a close sees that. On the driver's thread, so it must be quick and must not wait; on the sender's if
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
    pending: Mutex<BTreeMap<Key, Group>>,
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

/// The records that wait for one outcome.
#[derive(Default)]
struct Group {
    waiting: Vec<Pending>,
    /// Somebody has the records in hand.
    taken: bool,
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
            group.waiting.push(one);
            group.waiting.len() == 1 && !group.taken
        };
        if first {
            self.look(key);
        }
    }

    /// Tells the outcomes of a batch's records if they are known, and then lets everybody see them; else its waker comes back
    /// here. Who finds the records taken leaves them, and what comes meanwhile, to the one who took them.
    fn look(self: &Arc<Self>, key: Key) {
        let waker = Waker::from(Arc::new(Nudge { interceptors: self.clone(), key }));
        let mut told = Vec::new();
        loop {
            let group = {
                let mut pending = locked(&self.pending);
                let Some(group) = pending.get_mut(&key).filter(|group| !group.taken) else { return };
                group.taken = true;
                std::mem::take(&mut group.waiting)
            };
            let Some(at) = group.first().map(|first| first.at.clone()) else { return };
            match at.standing(&waker) {
                Standing::Pending => {
                    self.put_back(key, group);
                    // Nobody found the records while they were taken; what came then is seen here.
                    if at.standing(&waker) == Standing::Pending {
                        return;
                    }
                }
                Standing::Split => {
                    for one in self.leave(key, group) {
                        let Pending { topic, partition, headers, at } = one;
                        match at.further() {
                            Ok(at) => self.add(Pending { topic, partition, headers, at }),
                            Err(at) => self.tell(&Pending { topic, partition, headers, at }),
                        }
                    }
                    return;
                }
                Standing::Known => {
                    for one in &group {
                        self.tell(one);
                    }
                    told.extend(group.into_iter().map(|one| one.at));
                    if self.is_done(key) {
                        at.publish();
                        drop(at);
                        told.into_iter().for_each(At::unwatch);
                        return;
                    }
                }
            }
        }
    }

    fn put_back(&self, key: Key, mut group: Vec<Pending>) {
        let mut pending = locked(&self.pending);
        let kept = pending.entry(key).or_default();
        group.append(&mut kept.waiting);
        *kept = Group { waiting: group, taken: false };
    }

    /// Everything of a batch that waits under other names from now on.
    fn leave(&self, key: Key, mut group: Vec<Pending>) -> Vec<Pending> {
        let rest = locked(&self.pending).remove(&key);
        group.extend(rest.into_iter().flat_map(|rest| rest.waiting));
        group
    }

    /// Whether all who wait for a batch were told; else they are to be taken again.
    fn is_done(&self, key: Key) -> bool {
        let mut pending = locked(&self.pending);
        let Some(group) = pending.get_mut(&key) else { return true };
        group.taken = false;
        let done = group.waiting.is_empty();
        if done {
            pending.remove(&key);
        }
        done
    }

    fn tell(&self, one: &Pending) {
        let (partition, result) = one.at.peek(one.partition);
        for interceptor in &self.all {
            let told = Acknowledgement { topic: &one.topic, partition, headers: &one.headers, result: result.as_ref() };
            self.guard(|| interceptor.0.on_acknowledgement(&told));
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

    fn standing(&self, teller: &Waker) -> Standing {
        match self {
            Self::Batch(ack, ..) => ack.intercept(teller),
            Self::Line(ticket) => match ticket.intercept(teller) {
                None => Standing::Pending,
                Some(None) => Standing::Known,
                Some(Some(_)) => Standing::Split,
            },
        }
    }

    /// Where a record is now: in its batch, or in the part of it. Where it was, if it is nowhere.
    fn further(self) -> Result<Self, Self> {
        let next = match &self {
            Self::Batch(ack, index, delta) => ack.part(*index).map(|(part, index)| (part, index, *delta)),
            Self::Line(ticket) => {
                let placed = ticket.intercept(Waker::noop()).flatten();
                placed.map(|placed| (placed.ack, placed.index, placed.delta))
            }
        };
        let Some((ack, index, delta)) = next else { return Err(self) };
        ack.watch();
        self.unwatch();
        Ok(Self::Batch(ack, index, delta))
    }

    fn publish(&self) {
        match self {
            Self::Batch(ack, ..) => ack.publish(),
            Self::Line(ticket) => ticket.publish(),
        }
    }

    fn unwatch(self) {
        if let Self::Batch(ack, ..) = self {
            ack.unwatch();
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
