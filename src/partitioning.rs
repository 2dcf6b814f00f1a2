//! Who chooses the partition of a record that names none.

use crate::record::{Headers, Record, Target};
use crate::{Error, ErrorKind};
use klamm_core::Timestamp;
use klamm_core::config;
pub use klamm_core::producer::{Placement, Scheme};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A partitioner of one's own.
///
/// Called once per record, on the thread that sends; for records that had to wait for their topic, on the driver's
/// thread: so it must not block. It must not send. A panic fails the record.
#[doc(alias = "org.apache.kafka.clients.producer.Partitioner")]
pub trait Partitioner: Send + Sync + 'static {
    /// Where this record goes: a partition below [`TopicView::partition_count`], or the sticky choice.
    fn partition(&self, record: &Record<'_>, topic: &TopicView<'_>) -> Placement;
}

/// What a partitioner may know of the topic.
pub struct TopicView<'a> {
    name: &'a str,
    count: u32,
    available: &'a dyn Fn(u32) -> bool,
}

impl TopicView<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        self.name
    }

    /// How many partitions it has; at least one.
    pub fn partition_count(&self) -> i32 {
        i32::try_from(self.count).unwrap_or(i32::MAX)
    }

    /// Whether the partition has a leader, as far as is known.
    pub fn is_available(&self, partition: i32) -> bool {
        u32::try_from(partition).is_ok_and(self.available)
    }

    /// Where Java's default partitioner puts a key: `murmur2(key) & 0x7fffffff % partitions`.
    pub fn partition_for_key(&self, key: &[u8]) -> i32 {
        i32::try_from(klamm_core::producer::partition_for_key(key, self.count)).unwrap_or(0)
    }
}

impl fmt::Debug for TopicView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicView").field("name", &self.name).field("partition_count", &self.count).finish()
    }
}

/// Who chooses partitions: built in, or your own [`Partitioner`] by `Partitioning::from(..)`.
#[derive(Clone, Debug, Default, PartialEq)]
#[doc(alias = "partitioner.class")]
pub struct Partitioning(config::Partitioning);

impl Partitioning {
    /// By murmur2 of the key as Java does it; records without a key stay with a partition for a batch's worth of bytes,
    /// then move on, evenly (KIP-794). The default.
    pub const fn uniform_sticky() -> Self {
        Self(config::Partitioning::UniformSticky)
    }

    /// One partition after the other, with and without keys.
    #[doc(alias = "RoundRobinPartitioner")]
    pub const fn round_robin() -> Self {
        Self(config::Partitioning::RoundRobin)
    }
}

impl From<Scheme> for Partitioning {
    /// As librdkafka or Sarama do it.
    fn from(scheme: Scheme) -> Self {
        Self(config::Partitioning::Scheme(scheme))
    }
}

impl<P: Partitioner> From<P> for Partitioning {
    fn from(partitioner: P) -> Self {
        Self(config::Partitioning::Custom(config::Plugin::new(Shared(Arc::new(partitioner)))))
    }
}

impl From<Partitioning> for config::Partitioning {
    fn from(partitioning: Partitioning) -> Self {
        partitioning.0
    }
}

/// Code of the application for a place that a configuration names: see [`Config::class`](crate::Config::class).
#[derive(Clone, Debug, PartialEq)]
pub struct Plugin(pub(crate) config::Plugin);

impl Plugin {
    /// A partitioner.
    pub fn partitioner(partitioner: impl Partitioner) -> Self {
        Self(config::Plugin::new(Shared(Arc::new(partitioner))))
    }
}

impl Plugin {
    /// An interceptor of producers: for [`ProducerConfig::interceptor`](crate::ProducerConfig::interceptor).
    pub fn interceptor(interceptor: impl crate::ProducerInterceptor) -> Self {
        let shared = crate::interceptor::Shared(Arc::new(interceptor));
        Self(config::Plugin::new(shared).of(config::Section::Producer))
    }
}

impl Plugin {
    /// An interceptor of consumers: for [`ConsumerConfig::interceptor`](crate::ConsumerConfig::interceptor).
    pub fn consumer_interceptor(interceptor: impl crate::ConsumerInterceptor) -> Self {
        let shared = crate::consumer::interceptor::Shared(Arc::new(interceptor));
        Self(config::Plugin::new(shared).of(config::Section::Consumer))
    }
}

impl From<Plugin> for config::Plugin {
    fn from(plugin: Plugin) -> Self {
        plugin.0
    }
}

/// The application's partitioner, as it travels through the configuration.
#[derive(Clone)]
pub(crate) struct Shared(Arc<dyn Partitioner>);

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Partitioner")
    }
}

impl Shared {
    /// Asks the application, whose panic fails the record only.
    pub(crate) fn place(
        &self,
        topic: &str,
        parts: &crate::front::line::Parts<'_>,
        count: u32,
        available: &dyn Fn(u32) -> bool,
    ) -> Result<Placement, Error> {
        let record = Record {
            target: Target::from(topic),
            partition: None,
            timestamp: parts.timestamp.map(Timestamp),
            key: parts.key,
            value: parts.value,
            headers: Headers::Lent(parts.headers),
        };
        let view = TopicView { name: topic, count, available };
        catch_unwind(AssertUnwindSafe(|| self.0.partition(&record, &view)))
            .map_err(|_| Error::new(ErrorKind::Misuse, "the application's partitioner panicked").with_topic(topic))
    }
}

/// The choice as the front makes it.
#[derive(Clone, Debug)]
pub(crate) enum Choice {
    Builtin,
    RoundRobin,
    Scheme(Scheme),
    Custom(Shared),
}

impl Choice {
    pub(crate) fn new(partitioning: &config::Partitioning, ignore_keys: bool) -> Result<Self, Error> {
        match partitioning {
            config::Partitioning::RoundRobin => Ok(Self::RoundRobin),
            config::Partitioning::Scheme(scheme) => Ok(Self::Scheme(*scheme)),
            config::Partitioning::Custom(plugin) => {
                plugin.get::<Shared>().cloned().map(Self::Custom).ok_or_else(|| {
                    Error::new(ErrorKind::Config, "the value given for partitioner.class is no partitioner")
                        .with_hint("use Plugin::partitioner(..) or Partitioning::from(..)")
                })
            }
            _ if ignore_keys => Ok(Self::Custom(Shared(Arc::new(IgnoreKeys)))),
            _ => Ok(Self::Builtin),
        }
    }
}

/// `partitioner.ignore.keys`.
struct IgnoreKeys;

impl Partitioner for IgnoreKeys {
    fn partition(&self, _: &Record<'_>, _: &TopicView<'_>) -> Placement {
        Placement::Sticky
    }
}
