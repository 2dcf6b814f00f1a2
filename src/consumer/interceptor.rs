//! Interceptors: code of the application that sees what a consumer hands out, and what was committed.

use super::batch::Walk;
use super::{ConsumerRecord, Offsets};
use crate::front::shelf::Portion;
use crate::{Error, ErrorKind, Result};
use klamm_core::client::{CommitOffset, TopicPartition};
use klamm_core::config;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Sees the records of a consumer on their way to the application, and the offsets that were committed. Given by
/// [`ConsumerConfig::interceptor`](crate::ConsumerConfig::interceptor) as a
/// [`Plugin::consumer_interceptor`](crate::Plugin::consumer_interceptor); several are asked in their order.
///
/// Records are shown, not changed: what Java's `onConsume` returns has no counterpart here. A panic is caught and
/// [counted](crate::Consumer::interceptor_panics); the consumer goes on as if that interceptor had not been asked. A consumer
/// without interceptors pays nothing for them; with some, single records (`recv`, streams) take a longer way.
#[doc(alias = "org.apache.kafka.clients.consumer.ConsumerInterceptor")]
pub trait ConsumerInterceptor: Send + Sync + 'static {
    /// These records are about to be returned: by `poll`, or one at a time by `recv`, a stream or an iterator; on the thread
    /// that polls. Not called where there are none.
    #[doc(alias = "onConsume")]
    fn on_consume(&self, records: &Consumed<'_>) {
        let _ = records;
    }

    /// These offsets were committed, whoever asked for it; before the commit's own outcome is seen. On the driver's thread, so
    /// it must be quick and must not wait. Offsets that a transaction commits are not told.
    #[doc(alias = "onCommit")]
    fn on_commit(&self, offsets: &Offsets) {
        let _ = offsets;
    }

    /// The consumer has ended: nothing is told any more. On the driver's thread.
    #[doc(alias = "close")]
    fn on_close(&self) {}
}

/// Records that are about to be handed out.
#[derive(Clone, Copy)]
pub struct Consumed<'a>(&'a [Portion]);

impl<'a> Consumed<'a> {
    /// Partition by partition, in order within each.
    pub fn records(&self) -> impl Iterator<Item = ConsumerRecord<'a>> + use<'a> {
        self.0.iter().flat_map(|portion| Walk::new(portion.pieces.iter()))
    }

    /// The partitions that they are of.
    pub fn partitions(&self) -> impl Iterator<Item = &'a TopicPartition> + use<'a> {
        self.0.iter().map(|portion| &*portion.tp)
    }
}

impl fmt::Debug for Consumed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.partitions()).finish()
    }
}

/// The application's interceptor, as it travels through the configuration.
#[derive(Clone)]
pub(crate) struct Shared(pub(crate) Arc<dyn ConsumerInterceptor>);

/// The interceptors of a consumer.
pub(crate) struct Interceptors {
    all: Vec<Shared>,
    panics: AtomicU64,
}

impl Interceptors {
    /// `None` if there are none.
    pub(crate) fn new(plugins: &[config::Plugin]) -> Result<Option<Box<Self>>> {
        let all: Option<Vec<Shared>> = plugins.iter().map(|plugin| plugin.get::<Shared>().cloned()).collect();
        let Some(all) = all else {
            let text = "a value given for interceptor.classes is no interceptor of consumers";
            return Err(Error::new(ErrorKind::Config, text).with_hint("use Plugin::consumer_interceptor(..)"));
        };
        Ok((!all.is_empty()).then(|| Box::new(Self { all, panics: AtomicU64::new(0) })))
    }

    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    fn each(&self, call: impl Fn(&dyn ConsumerInterceptor)) {
        for interceptor in &self.all {
            if catch_unwind(AssertUnwindSafe(|| call(&*interceptor.0))).is_err() {
                self.panics.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Hold no lock.
    pub(crate) fn consumed(&self, portions: &[Portion]) {
        if portions.iter().any(|portion| !portion.pieces.is_empty()) {
            self.each(|interceptor| interceptor.on_consume(&Consumed(portions)));
        }
    }

    /// Hold no lock.
    pub(crate) fn committed(&self, offsets: Vec<(TopicPartition, CommitOffset)>) {
        let offsets = offsets.into_iter().map(|(tp, offset)| (tp, Some(offset))).collect();
        let offsets = Offsets::committed(offsets);
        self.each(|interceptor| interceptor.on_commit(&offsets));
    }

    /// Hold no lock.
    pub(crate) fn closed(&self) {
        self.each(|interceptor| interceptor.on_close());
    }
}

impl fmt::Debug for Interceptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interceptors").field("count", &self.all.len()).finish_non_exhaustive()
    }
}

impl super::Consumer {
    /// How often an interceptor panicked.
    pub fn interceptor_panics(&self) -> u64 {
        self.shelf.interceptors.as_ref().map_or(0, |interceptors| interceptors.panics())
    }
}
