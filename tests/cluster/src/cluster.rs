//! A cluster that a test holds in its hand.

use crate::api::Api;
use crate::brokers::{Brokers, EventError};
use crate::fault::Fault;
use crate::log::stored::StoredRecord;
use crate::server::{self, Server};
use crate::settings::Settings;
use klamm_core::{Now, Time, Timestamp};
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime};

/// What the cluster's owner and its server thread share.
pub(crate) struct Shared {
    brokers: Mutex<Brokers>,
    clock: Box<dyn Fn() -> Now + Send + Sync>,
    changed: Box<dyn Fn() + Send + Sync>,
    pub(crate) stop: AtomicBool,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Brokers> {
        // A test that panicked while it held the lock has failed already; the others go on.
        self.brokers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Now {
        (self.clock)()
    }
}

/// An in-memory Kafka cluster. Clones are handles of the same one, which ends with the last of them.
#[derive(Clone)]
pub struct Cluster {
    shared: Arc<Shared>,
    /// Ends the server thread when the last handle is dropped.
    _server: Option<Arc<ServerThread>>,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("bootstrap", &self.bootstrap()).finish_non_exhaustive()
    }
}

struct ServerThread {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for ServerThread {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        (self.shared.changed)();
        if let Some(thread) = self.thread.take() {
            // A panic of the server thread has been printed; there is nothing to add.
            let _ = thread.join();
        }
    }
}

/// Sets up a [`Cluster`] that listens on loopback.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    settings: Settings,
    port: u16,
}

impl Builder {
    /// How many brokers; their ids are 1, 2, ... Default 1.
    pub fn brokers(mut self, n: i32) -> Self {
        self.settings.brokers = n.max(1);
        self
    }

    /// The port of the first broker, the next has the one behind it; 0 (the default) lets the system choose each.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// What everything random is drawn from. Default 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = seed;
        self
    }

    /// Whether asking for an unknown topic creates it. Default true.
    pub fn auto_create(mut self, on: bool) -> Self {
        self.settings.auto_create = on;
        self
    }

    /// How many partitions a topic gets that is created without saying so. Default 1.
    pub fn default_partitions(mut self, n: i32) -> Self {
        self.settings.default_partitions = n.max(1);
        self
    }

    /// How long the first rebalance of a group waits for more members. Default 50 ms.
    pub fn group_initial_delay(mut self, delay: std::time::Duration) -> Self {
        self.settings.group_initial_delay = delay;
        self
    }

    /// The finalized level of `transaction.version`: 2 (KIP-890), 1, or 0: not finalized. Default 2.
    pub fn transaction_version(mut self, level: i16) -> Self {
        self.settings.transaction_version = level.clamp(0, 2);
        self
    }

    /// Two-phase commit (KIP-939), and whether a prepared transaction is kept on demand; Kafka up to 4.4 refuses that. Default
    /// neither.
    pub fn two_phase_commit(mut self, keep_prepared: bool) -> Self {
        self.settings.unstable_versions = true;
        self.settings.two_phase_commit = true;
        self.settings.keep_prepared = keep_prepared;
        self
    }

    /// The epoch that a new producer id begins with, to see what comes behind the last one. Default 0.
    pub fn first_epoch(mut self, epoch: i16) -> Self {
        self.settings.first_epoch = epoch.max(0);
        self
    }

    /// Acknowledges produce requests without checking or storing records: for measuring producers.
    pub fn sink(mut self) -> Self {
        self.settings.sink = true;
        self
    }

    /// Serves this batch (magic 2) from every partition, at any offset, without end: for measuring consumers.
    pub fn prepared(mut self, batch: bytes::Bytes) -> Self {
        self.settings.prepared = Some(batch);
        self
    }

    /// Changes what has no method here.
    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Starts the brokers on a thread of their own.
    ///
    /// # Errors
    /// A port that cannot be bound, or a system without a free thread.
    pub fn start(self) -> io::Result<Cluster> {
        let mut brokers = Brokers::new(self.settings);
        let bound = server::bind_all(&brokers.broker_ids(), self.port)?;
        for (id, (addr, _)) in &bound {
            brokers.set_address(*id, &addr.ip().to_string(), addr.port());
        }
        let (poll, waker) = server::new_poll()?;
        let origin = Instant::now();
        let clock = move || Now { mono: Time::ZERO + origin.elapsed(), wall: Timestamp::from(SystemTime::now()) };
        // A wake-up that fails means that the poll is gone, and with it whom to wake.
        let changed = move || drop(waker.wake());
        let shared = Arc::new(Shared {
            brokers: Mutex::new(brokers),
            clock: Box::new(clock),
            changed: Box::new(changed),
            stop: AtomicBool::new(false),
        });
        let server = Server::new(poll, Arc::clone(&shared), bound)?;
        let thread = std::thread::Builder::new().name("klamm-cluster".to_owned()).spawn(move || server.run())?;
        let thread = ServerThread { shared: Arc::clone(&shared), thread: Some(thread) };
        Ok(Cluster { shared, _server: Some(Arc::new(thread)) })
    }
}

impl Cluster {
    /// One broker on loopback, on its own thread; it ends on drop.
    ///
    /// # Errors
    /// See [`Builder::start`].
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// `n` brokers on loopback.
    ///
    /// # Errors
    /// See [`Builder::start`].
    pub fn with_brokers(n: i32) -> io::Result<Self> {
        Self::builder().brokers(n).start()
    }

    /// Sets up a cluster that is not the default one.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A cluster without sockets and threads, for a simulator that drives [`Brokers`] itself through
    /// [`with`](Self::with): `clock` tells the time, `changed` is called whenever a handle changed something.
    pub fn in_process(
        settings: Settings,
        clock: impl Fn() -> Now + Send + Sync + 'static,
        changed: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let shared = Shared {
            brokers: Mutex::new(Brokers::new(settings)),
            clock: Box::new(clock),
            changed: Box::new(changed),
            stop: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared), _server: None }
    }

    /// Does something with the brokers themselves, at the cluster's time.
    pub fn with<R>(&self, act: impl FnOnce(&mut Brokers, Now) -> R) -> R {
        let result = act(&mut self.shared.lock(), self.shared.now());
        (self.shared.changed)();
        result
    }

    /// `host:port` of every broker, separated by commas: what clients call `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        self.shared.lock().bootstrap()
    }

    /// Creates a topic; if there is one of that name nothing happens.
    pub fn create_topic(&self, name: &str, partitions: i32) {
        self.with(|brokers, now| brokers.create_topic(now, name, partitions));
    }

    /// Creates a topic with a replication factor and configuration of its own.
    pub fn create_topic_with(&self, name: &str, partitions: i32, replication: i16, configs: &[(&str, &str)]) {
        self.with(|brokers, now| brokers.create_topic_with(now, name, partitions, replication, configs));
    }

    /// Deletes a topic. False if there was none.
    pub fn delete_topic(&self, name: &str) -> bool {
        self.with(|brokers, now| brokers.delete_topic(now, name))
    }

    /// Deletes a topic and creates it again, with another id and empty.
    pub fn recreate_topic(&self, name: &str) {
        self.with(|brokers, now| brokers.recreate_topic(now, name));
    }

    /// Every record of a topic in the leaders' logs, partition after partition, in offset order.
    pub fn records(&self, topic: &str) -> Vec<StoredRecord> {
        self.shared.lock().records(topic)
    }

    /// The records of a topic that a reader of committed records sees, partition after partition, in offset order.
    pub fn committed_records(&self, topic: &str) -> Vec<StoredRecord> {
        self.shared.lock().committed_records(topic)
    }

    /// The offset that a group committed for a partition.
    pub fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        self.shared.lock().committed(group, topic, partition)
    }

    /// The leader of a partition, if it has one.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        self.shared.lock().leader(topic, partition).and_then(|(leader, _)| leader)
    }

    /// Begins to describe a fault of one API; see [`Fault`].
    pub fn fault(&self, api: Api) -> Fault<'_> {
        Fault::new(Some(api), |plan| self.shared.lock().install(plan))
    }

    /// Begins to describe a fault of every API.
    pub fn fault_any(&self) -> Fault<'_> {
        Fault::new(None, |plan| self.shared.lock().install(plan))
    }

    /// Forgets all faults.
    pub fn clear_faults(&self) {
        self.shared.lock().clear_faults();
    }

    /// Kills a broker: its connections break, its port refuses. Its partitions get other leaders when its session expires.
    pub fn kill_broker(&self, broker: i32) {
        self.with(|brokers, now| brokers.kill_broker(now, broker));
    }

    /// Starts a killed broker again, on its old port and with its old data.
    pub fn start_broker(&self, broker: i32) {
        self.with(|brokers, now| brokers.start_broker(now, broker));
    }

    /// Makes a broker the leader of a partition.
    ///
    /// # Errors
    /// No such broker or partition.
    pub fn move_leader(&self, topic: &str, partition: i32, leader: i32) -> Result<(), EventError> {
        self.with(|brokers, now| brokers.move_leader(now, topic, partition, leader))
    }

    /// Has brokers refuse a codec from now on, as those of other makes do: see [`Settings::refused_codecs`].
    pub fn refuse_codec(&self, codec: klamm_core::codec::Codec) {
        self.with(|brokers, _| brokers.refuse_codec(codec));
    }

    /// Makes a broker the coordinator of a group.
    ///
    /// # Errors
    /// No such broker.
    pub fn move_coordinator(&self, group: &str, broker: i32) -> Result<(), EventError> {
        self.with(|brokers, now| brokers.move_coordinator(now, group, broker))
    }

    /// Makes a broker the coordinator of a transactional id.
    ///
    /// # Errors
    /// No such broker.
    pub fn move_transaction_coordinator(&self, id: &str, broker: i32) -> Result<(), EventError> {
        self.with(|brokers, now| brokers.move_transaction_coordinator(now, id, broker))
    }
}
