//! What can go wrong, said once: what happened, where, whether to retry, whether the record may be in the log.

mod chain;
mod class;
mod code;

pub use class::{
    Action, Fate, FetchAction, GroupAction, ProduceClass, admin_class, fetch_class, group_class, is_stale_metadata,
    list_offsets_class, produce_class,
};
pub use code::ErrorCode;

use chain::Cause;
use std::fmt;
use std::sync::Arc;

/// An error of klamm: one pointer wide, cheap to clone, made once per batch or call and shared by all who wait.
///
/// `{error}` is one whole line: what happened, why, whether the record may be written, what to do. As with
/// [`std::io::Error`], what the text says already is not said again by `source()`, which begins behind the last cause told:
/// `{:#}` of anyhow prints every cause once. [`cause`](Self::cause) gives the causes themselves.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

/// What kind of thing went wrong. Texts may change, kinds do not.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The configuration contradicts itself, names an unknown key or holds a value out of range.
    Config,
    /// No broker could be reached, or a connection broke.
    Connect,
    /// The TLS handshake or a certificate failed.
    Tls,
    /// The broker refused who we say we are.
    Authentication,
    /// The broker refused what we want to do.
    Authorization,
    /// The topic or partition does not exist.
    UnknownTopic,
    /// A time limit passed.
    Timeout,
    /// There was no room in `buffer.memory` in time.
    BufferFull,
    /// The record is larger than the producer or the topic allows.
    RecordTooLarge,
    /// The record was not acknowledged.
    NotDelivered,
    /// Records failed whose outcome nobody looked at.
    Undelivered,
    /// Offsets could not be committed.
    CommitFailed,
    /// The group went on without this member.
    GroupLost,
    /// There is no committed offset and `auto.offset.reset` is `none`, or the offset is out of range.
    NoOffset,
    /// Records that were read or acknowledged before are gone from the log.
    DataLoss,
    /// Bytes of a broker or of a record batch make no sense.
    Corrupt,
    /// A serializer failed.
    Serialize,
    /// A deserializer failed.
    Deserialize,
    /// A newer producer or member took this one's place.
    Fenced,
    /// The batch was given up before it was sent, or its transaction was aborted.
    Aborted,
    /// The broker or this build does not know the feature.
    Unsupported,
    /// Any other error that a broker answered; see [`Error::code`].
    Broker,
    /// The call could not have worked at this point of the program.
    Misuse,
    /// The client was closed.
    Closed,
}

/// Where in its life a record was when it failed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It waited for metadata or memory.
    Waiting,
    /// It lay in a batch that was never sent.
    Buffered,
    /// Its batch was sent at least once.
    Sent,
}

#[derive(Clone, Debug)]
struct Inner {
    kind: ErrorKind,
    text: Box<str>,
    code: Option<ErrorCode>,
    topic: Option<Arc<str>>,
    partition: Option<i32>,
    offset: Option<i64>,
    broker: Option<i32>,
    api: Option<&'static str>,
    attempts: u32,
    phase: Option<Phase>,
    hint: Option<Box<str>>,
    possibly_written: bool,
    outcome_unknown: bool,
    retriable: bool,
    fatal: bool,
    abort: bool,
    cause: Option<Cause>,
}

impl Error {
    /// An error of this kind; `text` says what happened and where, in one line, without a final stop.
    pub fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        let retriable = matches!(kind, ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::BufferFull);
        Self(Arc::new(Inner {
            kind,
            text: text.into().into_boxed_str(),
            code: None,
            topic: None,
            partition: None,
            offset: None,
            broker: None,
            api: None,
            attempts: 0,
            phase: None,
            hint: None,
            possibly_written: false,
            outcome_unknown: false,
            retriable,
            fatal: matches!(kind, ErrorKind::Fenced | ErrorKind::Authentication),
            abort: false,
            cause: None,
        }))
    }

    /// The error that a broker answered with `code`, in the class that the code belongs to.
    pub fn from_code(code: ErrorCode) -> Self {
        let text = match code.describe() {
            Some(meaning) => format!("{code}: {meaning}"),
            None => code.to_string(),
        };
        Self::new(code.kind(), text).edit(|e| {
            e.code = Some(code);
            e.retriable = code.is_retriable();
        })
    }

    fn edit(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Says in front what it is about: `topic "orders": ...`.
    pub fn with_subject(self, what: impl fmt::Display) -> Self {
        self.edit(|e| e.text = format!("{what}: {}", e.text).into_boxed_str())
    }
    /// Adds the broker's error code.
    pub fn with_code(self, code: ErrorCode) -> Self {
        self.edit(|e| e.code = Some(code))
    }
    /// Adds the topic that it is about.
    pub fn with_topic(self, topic: impl Into<Arc<str>>) -> Self {
        self.edit(|e| e.topic = Some(topic.into()))
    }
    /// Adds the partition that it is about.
    pub fn with_partition(self, partition: i32) -> Self {
        self.edit(|e| e.partition = Some(partition))
    }
    /// Adds the offset that it is about.
    pub fn with_offset(self, offset: i64) -> Self {
        self.edit(|e| e.offset = Some(offset))
    }
    /// Adds the broker that answered or did not.
    pub fn with_broker(self, broker: i32) -> Self {
        self.edit(|e| e.broker = Some(broker))
    }
    /// Adds the request that was made.
    pub fn with_api(self, api: &'static str) -> Self {
        self.edit(|e| e.api = Some(api))
    }
    /// Adds how often it was tried.
    pub fn with_attempts(self, attempts: u32) -> Self {
        self.edit(|e| e.attempts = attempts)
    }
    /// Adds where in its life the record was.
    pub fn with_phase(self, phase: Phase) -> Self {
        self.edit(|e| e.phase = Some(phase))
    }
    /// Adds what the reader of the error can do.
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        self.edit(|e| e.hint = Some(hint.into().into_boxed_str()))
    }
    /// Says whether the record may be in the log although its send failed.
    pub fn with_possibly_written(self, possibly: bool) -> Self {
        self.edit(|e| e.possibly_written = possibly)
    }
    /// Says that nobody knows whether the operation took effect.
    pub fn with_outcome_unknown(self) -> Self {
        self.edit(|e| e.outcome_unknown = true)
    }
    /// Overrides whether trying again may help.
    pub fn with_retriable(self, retriable: bool) -> Self {
        self.edit(|e| e.retriable = retriable)
    }
    /// Says that the handle which gave this error is of no further use.
    pub fn with_fatal(self) -> Self {
        self.edit(|e| e.fatal = true)
    }
    /// Says that the open transaction must be aborted, and that the producer goes on after that.
    pub fn with_abort(self) -> Self {
        self.edit(|e| (e.abort, e.fatal) = (true, false))
    }
    /// Adds what caused it.
    pub fn with_source(self, source: Error) -> Self {
        self.edit(|e| e.cause = Some(Cause::Own(source)))
    }
    /// Adds the error of somebody else that caused it: a serializer's, say.
    pub fn with_foreign_source(self, source: Box<dyn std::error::Error + Send + Sync>) -> Self {
        self.edit(|e| e.cause = Some(Cause::Foreign(source.into())))
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
    /// Whether the same call may succeed later. What klamm could retry within the call's limits, it has retried.
    pub fn is_retriable(&self) -> bool {
        self.0.retriable
    }
    /// Whether the handle that gave this error is of no further use.
    pub fn is_fatal(&self) -> bool {
        self.0.fatal
    }
    /// Whether the open transaction must be aborted (the guards do it for you).
    pub fn requires_abort(&self) -> bool {
        self.0.abort
    }
    /// Whether nobody knows if the operation took effect.
    pub fn is_outcome_unknown(&self) -> bool {
        self.0.outcome_unknown || self.0.possibly_written
    }
    /// Whether the record may be in the log although its send failed.
    pub fn possibly_written(&self) -> bool {
        self.0.possibly_written
    }
    /// The broker's error code.
    pub fn code(&self) -> Option<ErrorCode> {
        self.0.code
    }
    /// The topic that it is about.
    pub fn topic(&self) -> Option<&str> {
        self.0.topic.as_deref()
    }
    /// The partition that it is about.
    pub fn partition(&self) -> Option<i32> {
        self.0.partition
    }
    /// The offset that it is about.
    pub fn offset(&self) -> Option<i64> {
        self.0.offset
    }
    /// The broker that answered or did not.
    pub fn broker(&self) -> Option<i32> {
        self.0.broker
    }
    /// The request that was made, by its name in the protocol guide.
    pub fn api(&self) -> Option<&str> {
        self.0.api
    }
    /// How often it was tried.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }
    /// Where in its life the record was.
    pub fn phase(&self) -> Option<Phase> {
        self.0.phase
    }
    /// What the reader of the error can do.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
    /// What happened, without place, cause and advice.
    pub fn text(&self) -> &str {
        &self.0.text
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl PartialEq for Error {
    /// Two errors are equal if their kind, code, place and text are.
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&*self.0, &*other.0);
        (a.kind, a.code, &a.topic, a.partition, &a.text) == (b.kind, b.code, &b.topic, b.partition, &b.text)
    }
}

impl Eq for Error {}

const _: () = assert!(size_of::<Error>() == size_of::<usize>());
