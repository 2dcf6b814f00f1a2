//! What a producer's handles, its slots and the driver share.

use super::ack::Unseen;
use super::budget::Budget;
use super::pack::{Offload, Packers};
use super::pool::Pool;
use super::slot::Slot;
use super::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use super::sync::{Mutex, RwLock, read, write, yield_point};
use super::times::Times;
use super::topics::TopicSlot;
use super::transaction::Transactions;
use super::{Front, locked};
use crate::interceptor::Interceptors;
use crate::partitioning::Choice;
use klamm_core::codec::{Codecs, Preference};
use klamm_core::config::{ProducerConfig, TimestampPrecision};
use klamm_core::producer::Memory;
use klamm_core::record::{HEADER_LEN, SLACK};
use klamm_core::stats::ProducerStats;
use klamm_core::{Error, ErrorKind, ProducerIx, Time};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Sends are taken. Else the gate says why not.
pub(crate) const OPEN: u64 = 0;
/// `close` was called, or the last handle is gone.
pub(crate) const CLOSED: u64 = 1;
/// The driver is gone.
pub(crate) const DEAD: u64 = 2;

/// What the front needs of a producer's configuration.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) batch_size: usize,
    pub(crate) linger: Duration,
    pub(crate) buffer_memory: usize,
    /// `queue.buffering.max.messages`.
    pub(crate) max_records: usize,
    pub(crate) max_block: Duration,
    pub(crate) delivery_timeout: Duration,
    pub(crate) max_request_size: usize,
    pub(crate) compression: Preference,
    /// The application's own codecs.
    pub(crate) codecs: Codecs,
    pub(crate) coarse: bool,
    pub(crate) choice: Choice,
    /// `partitioner.adaptive.partitioning.enable`.
    pub(crate) adaptive: bool,
    /// `partitioner.availability.timeout.ms`.
    pub(crate) availability_timeout: Duration,
    /// `manual.flushing`.
    pub(crate) manual: bool,
    /// What topics with a partitioner of their own choose by.
    pub(crate) choices: BTreeMap<Arc<str>, Choice>,
}

impl Settings {
    pub(crate) fn new(config: &ProducerConfig, choice: Choice) -> Self {
        Self {
            batch_size: config.batch_size,
            linger: config.linger,
            buffer_memory: config.buffer_memory,
            max_records: config.queue_buffering_max_messages,
            max_block: config.max_block,
            delivery_timeout: config.delivery_timeout,
            max_request_size: config.max_request_size,
            compression: config.preference(),
            codecs: config.codecs.clone(),
            coarse: config.timestamp_precision == TimestampPrecision::Coarse,
            choice,
            adaptive: config.partitioner_adaptive_partitioning_enable,
            availability_timeout: config.partitioner_availability_timeout,
            manual: config.manual_flushing,
            choices: BTreeMap::new(),
        }
    }

    /// The same with what single topics choose by.
    ///
    /// # Errors
    /// If a topic's partitioner is none.
    pub(crate) fn with_choices(mut self, config: &ProducerConfig) -> Result<Self, Error> {
        for (name, own) in &config.topics {
            let choice = Choice::new(&own.partitioning, config.partitioner_ignore_keys)?;
            self.choices.insert(name.clone(), choice);
        }
        Ok(self)
    }

    /// What a topic has otherwise.
    fn of_topic(&self, config: &ProducerConfig, topic: &str) -> Option<Self> {
        let own = config.topic(topic)?;
        Some(Self {
            batch_size: own.batch_size,
            delivery_timeout: own.delivery_timeout,
            compression: own.preference(),
            linger: own.linger,
            max_block: own.max_block,
            choice: self.choices.get(topic).unwrap_or(&self.choice).clone(),
            ..self.clone()
        })
    }

    /// A record of fewer bytes in key and value cannot be too large.
    pub(crate) fn small(&self) -> usize {
        self.max_request_size.min(self.buffer_memory) / 2
    }

    /// How many bytes of records a batch of the usual size takes.
    pub(crate) fn body_limit(&self) -> usize {
        self.batch_size.saturating_sub(HEADER_LEN)
    }
}

/// The part that slots, tickets and memory grants hold.
#[derive(Debug)]
pub(crate) struct ProducerShared {
    pub(crate) ix: ProducerIx,
    pub(crate) settings: Arc<Settings>,
    pub(crate) front: Arc<Front>,
    pub(crate) budget: Budget,
    pub(crate) pool: Pool,
    pub(crate) packers: Packers,
    pub(crate) unseen: Unseen,
    pub(crate) offloads: Mutex<Vec<Offload>>,
    /// `None`: the producer has no transactional id.
    pub(crate) transactions: Option<Transactions>,
    /// What callers waited for.
    pub(crate) times: Times,
    /// What was counted of it, once it has ended.
    last: Mutex<Option<Box<ProducerStats>>>,
    dirty: Mutex<Vec<Arc<Slot>>>,
    gate: AtomicU64,
    /// The driver has a linger timer that is early enough for any batch opened from now on.
    armed: AtomicBool,
    /// Bytes of sealed batches that the core has not taken.
    unsent: AtomicUsize,
    /// Batches and tickets that are not resolved.
    pending: AtomicUsize,
    /// The earliest deadline of a ticket, in ns; `u64::MAX` without.
    deadline: AtomicU64,
}

impl ProducerShared {
    fn new(ix: ProducerIx, settings: Settings, transactional: bool, front: Arc<Front>) -> Self {
        let buffer = settings.body_limit() + SLACK;
        let most = settings.buffer_memory / buffer.max(1) + 1;
        Self {
            ix,
            budget: Budget::new(settings.buffer_memory, settings.max_records),
            pool: Pool::new(buffer, most),
            packers: Packers::new(buffer),
            settings: Arc::new(settings),
            front,
            unseen: Unseen::default(),
            offloads: Mutex::default(),
            transactions: transactional.then(Transactions::default),
            times: Times::default(),
            last: Mutex::default(),
            dirty: Mutex::default(),
            gate: AtomicU64::new(OPEN),
            armed: AtomicBool::new(false),
            unsent: AtomicUsize::new(0),
            pending: AtomicUsize::new(0),
            deadline: AtomicU64::new(u64::MAX),
        }
    }

    /// The core forgets what it counted of a producer that has ended.
    pub(crate) fn keep_last(&self, stats: ProducerStats) {
        *locked(&self.last) = Some(Box::new(stats));
    }

    /// What was counted of it when it ended.
    pub(crate) fn last(&self) -> Option<ProducerStats> {
        locked(&self.last).as_deref().cloned()
    }

    /// The gate as it is now: read inside the slot's lock by every append (contracts A8).
    #[inline]
    pub(crate) fn gate(&self) -> u64 {
        self.gate.load(Ordering::Acquire)
    }

    /// Closes the gate; stored by the calling thread before it tells the driver. A dead producer stays dead.
    pub(crate) fn close_gate(&self, kind: u64) {
        self.gate.fetch_max(kind, Ordering::AcqRel);
    }

    /// Why the gate is closed.
    pub(crate) fn refusal(&self) -> Error {
        match self.front.inbox.dead() {
            Some(error) => error,
            None => Error::new(ErrorKind::Closed, "the producer was closed"),
        }
    }

    /// A batch was sealed and packed.
    pub(crate) fn packed(&self, bytes: usize) {
        self.unsent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Sealed batches went to the core, or were dropped.
    pub(crate) fn taken(&self, bytes: usize) {
        self.unsent.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes of sealed batches that the core has not taken.
    pub(crate) fn unsent(&self) -> usize {
        self.unsent.load(Ordering::Relaxed)
    }

    /// The transaction that records belong to now; 0 without.
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.transactions.as_ref().map_or(0, Transactions::generation)
    }

    /// A batch or ticket of this generation came into being.
    pub(crate) fn admitted(&self, generation: u64) {
        self.pending.fetch_add(1, Ordering::AcqRel);
        if let Some(transactions) = &self.transactions {
            transactions.admitted(generation);
        }
    }

    /// A batch or ticket is resolved.
    pub(crate) fn resolved(&self, generation: u64) {
        let last = self.transactions.as_ref().is_some_and(|transactions| transactions.resolved(generation));
        if self.pending.fetch_sub(1, Ordering::AcqRel) == 1 && self.gate() != OPEN || last {
            self.front.signal.notify();
        }
    }

    /// Records failed, and nobody looked at that. A transaction's end tells of its own.
    pub(crate) fn unseen(&self, count: u64, error: Error) {
        if self.transactions.is_none() {
            self.unseen.add(count, error);
        }
    }

    /// A record of this generation failed: its transaction cannot be committed any more.
    pub(crate) fn poison(&self, generation: u64, error: &Error) {
        if let Some(transactions) = &self.transactions {
            transactions.poison(generation, error);
        }
    }

    /// Whether every batch and ticket is resolved.
    pub(crate) fn is_settled(&self) -> bool {
        self.pending.load(Ordering::Acquire) == 0
    }

    /// The error of a record for which there is no room even in line.
    pub(crate) fn line_full(&self) -> Error {
        self.times.exhausted(1);
        let (used, lined) = self.budget.used();
        Error::new(
            ErrorKind::BufferFull,
            format!(
                "no room in buffer.memory ({}): {used} bytes in use, {lined} bytes of records in line",
                self.budget.total()
            ),
        )
        .with_phase(klamm_core::error::Phase::Waiting)
        .with_hint("await `.queued()`, or raise buffer.memory; the record was not written")
    }

    /// The error of a record that no request can carry.
    pub(crate) fn too_large(&self, topic: &str, size: usize) -> Error {
        let (key, limit) = match (self.settings.max_request_size, self.settings.buffer_memory) {
            (request, memory) if request <= memory => ("max.request.size", request),
            (_, memory) => ("buffer.memory", memory),
        };
        Error::new(ErrorKind::RecordTooLarge, format!("record of {size} bytes for {topic:?} exceeds {key} ({limit})"))
            .with_topic(topic)
            .with_phase(klamm_core::error::Phase::Waiting)
            .with_hint("raise it, and the topic's max.message.bytes")
    }

    /// Memory comes back.
    pub(crate) fn give(&self, bytes: usize) {
        if self.budget.give(bytes) {
            self.front.signal.notify();
        }
    }

    /// Records of a batch have their outcome.
    pub(crate) fn leave(&self, records: usize) {
        if self.budget.leave(records) {
            self.front.signal.notify();
        }
    }

    /// A waiting record left the line.
    pub(crate) fn unline(&self, bytes: usize) {
        self.budget.unline(bytes);
    }

    /// A ticket fails at `at`.
    pub(crate) fn deadline_at(&self, at: Time) {
        self.deadline.fetch_min(at.0, Ordering::AcqRel);
    }

    /// The earliest deadline of a ticket.
    pub(crate) fn deadline(&self) -> Option<Time> {
        Some(self.deadline.load(Ordering::Acquire)).filter(|at| *at != u64::MAX).map(Time)
    }

    /// Forgets the deadline; the driver looks at every ticket and tells again.
    pub(crate) fn clear_deadline(&self) {
        self.deadline.store(u64::MAX, Ordering::Release);
    }

    /// Puts a slot on the list of those that the driver has to look at, and wakes it if that cannot wait for linger.
    pub(crate) fn dirty(&self, slot: Option<Arc<Slot>>, opened_only: bool) {
        if let Some(slot) = slot {
            locked(&self.dirty).push(slot);
            self.forget_if_dead();
        }
        yield_point();
        let early = !self.settings.linger.is_zero() && opened_only;
        if !early || !self.armed.swap(true, Ordering::AcqRel) {
            self.front.signal.notify();
        }
    }

    /// To be called by who left something for the driver: it may have gone meanwhile.
    pub(crate) fn forget_if_dead(&self) {
        if self.gate() == DEAD {
            self.forget();
        }
    }

    /// Nobody looks any more: what lies here would keep the slots, and they keep this.
    pub(crate) fn forget(&self) {
        drop(self.budget.clear());
        let dirty = std::mem::take(&mut *locked(&self.dirty));
        let offloads = std::mem::take(&mut *locked(&self.offloads));
        // What they hold on to comes home without a lock.
        drop((dirty, offloads));
    }

    /// Swaps the dirty list out.
    pub(crate) fn swap_dirty(&self, into: &mut Vec<Arc<Slot>>) {
        debug_assert!(into.is_empty());
        std::mem::swap(&mut *locked(&self.dirty), into);
    }

    /// The driver is about to sleep, with or without a timer that comes within linger.
    pub(crate) fn arm(&self, armed: bool) {
        self.armed.store(armed, Ordering::Release);
    }

    /// Whether the driver has to look at this producer.
    pub(crate) fn is_dirty(&self) -> bool {
        !locked(&self.dirty).is_empty() || self.budget.is_open() || !locked(&self.offloads).is_empty()
    }
}

impl Memory for ProducerShared {
    fn take(&self, bytes: usize) {
        self.budget.overdraw(bytes);
    }

    fn give(&self, bytes: usize) {
        Self::give(self, bytes);
    }
}

/// One producer: its topics, and what they share.
#[derive(Debug)]
pub(crate) struct ProducerFront {
    pub(crate) shared: Arc<ProducerShared>,
    pub(crate) config: Arc<ProducerConfig>,
    /// `None`: there are none, and they cost nothing.
    pub(crate) interceptors: Option<Arc<Interceptors>>,
    topics: RwLock<HashMap<Arc<str>, Arc<TopicSlot>>>,
}

impl ProducerFront {
    pub(crate) fn new(
        front: Arc<Front>,
        config: Arc<ProducerConfig>,
        settings: Settings,
        interceptors: Option<Arc<Interceptors>>,
    ) -> Self {
        let shared =
            Arc::new(ProducerShared::new(front.producer_ix(), settings, config.transactional_id.is_some(), front));
        Self { shared, config, interceptors, topics: RwLock::default() }
    }

    /// The topic of this name; the first call asks the core for it.
    pub(crate) fn topic(&self, name: &str) -> Arc<TopicSlot> {
        if let Some(topic) = self.find(name) {
            return topic;
        }
        let name: Arc<str> = name.into();
        let (topic, new) = {
            let mut topics = write(&self.topics);
            match topics.get(&name) {
                Some(topic) => (topic.clone(), false),
                None => {
                    let number = topics.len() as u64;
                    let settings = self.shared.settings.of_topic(&self.config, &name);
                    let settings = settings.map_or_else(|| self.shared.settings.clone(), Arc::new);
                    let topic = Arc::new(TopicSlot::new(name.clone(), self.shared.clone(), settings, number));
                    topics.insert(name.clone(), topic.clone());
                    (topic, true)
                }
            }
        };
        if new {
            topic.look_for();
        }
        topic
    }

    /// The topic of this name, if it was asked for.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<TopicSlot>> {
        read(&self.topics).get(name).cloned()
    }

    /// All topics, in the order of their names.
    pub(crate) fn all(&self) -> Vec<Arc<TopicSlot>> {
        let mut all: Vec<_> = read(&self.topics).values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}
