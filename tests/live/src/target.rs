//! What a behaviour runs on: a cluster that all behaviours of one version share.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::cluster::Cluster;
use crate::need::Missing;
use crate::peers::{Java, Kcat};
use crate::probe::{self, Probe};
use crate::version::{Mode, Version};

/// A cluster as a behaviour sees it.
#[derive(Clone)]
pub struct Target(Behind);

#[derive(Clone)]
enum Behind {
    Memory(klamm_cluster::Cluster),
    Real(Arc<Cluster>),
}

/// What sort of cluster it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Three brokers of the in-memory cluster, on loopback like the others.
    Memory,
    /// Apache Kafka of this version.
    Real(Version),
}

/// How many brokers the in-memory cluster has.
const MEMORY_NODES: usize = 3;

impl Kind {
    /// All of them.
    pub fn all() -> Vec<Self> {
        [Self::Memory].into_iter().chain(Version::ALL.map(Self::Real)).collect()
    }

    /// As a part of a test's name.
    pub fn name(self) -> String {
        match self {
            Self::Memory => "in_memory".to_owned(),
            Self::Real(version) => version.name(),
        }
    }

    /// Whether it is Apache Kafka.
    pub fn is_real(self) -> bool {
        matches!(self, Self::Real(_))
    }

    /// How many brokers it has; their ids are 1, 2, ...
    pub fn nodes(self) -> usize {
        match self {
            Self::Memory => MEMORY_NODES,
            Self::Real(version) => version.nodes(),
        }
    }

    /// Whether the cluster has three brokers: then one may be killed.
    pub fn survives_a_crash(self) -> bool {
        self.nodes() >= 3
    }

    /// Whether it has APIs that came after Kafka 2.1, and the ACLs that the harness gives to KRaft clusters only.
    pub fn is_modern(self) -> bool {
        !matches!(self, Self::Real(version) if version.mode() == Mode::ZooKeeper)
    }
}

impl Target {
    /// Starts one.
    fn start(kind: Kind) -> Result<Self> {
        match kind {
            Kind::Memory => {
                let cluster = klamm_cluster::Cluster::builder()
                    .brokers(MEMORY_NODES as i32)
                    .default_partitions(3)
                    .settings(|s| {
                        s.min_insync_replicas = 2;
                        s.offsets_partitions = 3;
                        s.transaction_partitions = 3;
                        s.unstable_versions = true;
                        s.two_phase_commit = true;
                        s.group_initial_delay = Duration::ZERO;
                    });
                let cluster = cluster.start().context("cannot start the in-memory cluster")?;
                for broker in 1..=MEMORY_NODES as i32 {
                    cluster.with(|brokers, _| brokers.set_rack(broker, &format!("rack-{broker}")));
                }
                Ok(Self(Behind::Memory(cluster)))
            }
            Kind::Real(version) => {
                let begin = Instant::now();
                let cluster = Cluster::start(version).with_context(|| format!("cannot start {version}"))?;
                eprintln!("{version} is up at {} after {:.1?}", cluster.bootstrap(), begin.elapsed());
                Ok(Self(Behind::Real(Arc::new(cluster))))
            }
        }
    }

    /// For who asks about what other behaviours change, such as who leads what: an in-memory cluster that nobody else has
    /// used. Apache Kafka is the shared one, brought back to its first leaders.
    pub fn of_its_own(&self) -> Result<Self> {
        match &self.0 {
            Behind::Memory(_) => Self::start(Kind::Memory),
            Behind::Real(cluster) => cluster.lead_as_at_first().map(|()| self.clone()),
        }
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        match &self.0 {
            Behind::Memory(_) => Kind::Memory,
            Behind::Real(cluster) => Kind::Real(cluster.version()),
        }
    }

    /// Where it listens: `host:port`, separated by commas.
    pub fn bootstrap(&self) -> String {
        match &self.0 {
            Behind::Memory(cluster) => cluster.bootstrap(),
            Behind::Real(cluster) => cluster.bootstrap(),
        }
    }

    /// The nodes' ports on loopback, in the order of their ids.
    pub fn ports(&self) -> Vec<u16> {
        self.bootstrap().split(',').filter_map(|address| address.rsplit(':').next()?.parse().ok()).collect()
    }

    /// The numbers of the nodes, from 1: the same as the broker ids.
    pub fn node_ids(&self) -> RangeInclusive<usize> {
        1..=self.kind().nodes()
    }

    /// The node is gone at once, without a word to anyone.
    pub fn kill(&self, node: usize) -> Result<()> {
        match &self.0 {
            Behind::Memory(cluster) => cluster.kill_broker(i32::try_from(node)?),
            Behind::Real(cluster) => cluster.kill(node)?,
        }
        // The in-memory cluster closes the port a turn of its thread later.
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.probe(node).is_ok() {
            ensure!(Instant::now() < deadline, "node {node} still listens");
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Starts what was killed, and waits until all nodes are up and every replica is in sync; on Apache Kafka also until
    /// the partitions of internal topics are led by the nodes that led them first.
    pub fn heal(&self) -> Result<()> {
        match &self.0 {
            Behind::Memory(cluster) => {
                for node in self.node_ids() {
                    cluster.start_broker(i32::try_from(node)?);
                }
                probe::wait_until_whole(&self.ports(), Duration::from_secs(20))
            }
            Behind::Real(cluster) => cluster.heal(),
        }
    }

    /// The processes behind it, where it is Apache Kafka.
    pub fn real(&self) -> Result<&Cluster> {
        match &self.0 {
            Behind::Memory(_) => bail!("the in-memory cluster has no processes"),
            Behind::Real(cluster) => Ok(cluster),
        }
    }

    /// A raw connection to a node.
    pub fn probe(&self, node: usize) -> Result<Probe> {
        Probe::connect(*self.ports().get(node - 1).context("no such node")?)
    }

    /// A raw connection to the leader of a partition.
    pub fn probe_leader(&self, topic: &str, partition: i32) -> Result<Probe> {
        probe::leader(&self.ports(), topic, partition)
    }

    /// How many partitions every node says that a topic has; 0 while they differ, or there is none.
    pub fn partitions(&self, topic: &str) -> Result<usize> {
        let mut counts = Vec::new();
        for port in self.ports() {
            let all = Probe::connect(port)?.metadata(None)?;
            counts.push(all.topics.iter().find(|known| known.name == topic).map_or(0, |known| known.partitions.len()));
        }
        Ok(if counts.windows(2).all(|pair| pair[0] == pair[1]) { counts[0] } else { 0 })
    }

    /// A topic name that no other behaviour uses.
    pub fn topic(&self, stem: &str) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        format!("{stem}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
    }

    /// The official client: of the brokers' own version, of the newest for the in-memory cluster.
    pub fn java(&self) -> Result<Java> {
        let version = match self.kind() {
            Kind::Memory => Version::V4_4_0,
            Kind::Real(version) => version,
        };
        Java::new(version, self.bootstrap())
    }

    /// kcat, if it is installed.
    pub fn kcat(&self) -> Result<Kcat> {
        Kcat::new(self.bootstrap())
    }
}

/// Starts a cluster when the first behaviour needs it, lends it to many at once or to one alone, and stops it when the
/// last behaviour that could need it is gone.
pub(crate) struct Stage {
    kind: Kind,
    state: Mutex<State>,
    gate: RwLock<()>,
    next: Mutex<Option<Arc<Stage>>>,
}

enum State {
    NotStarted,
    Up(Target),
    /// Starting it again would only fail again, after a minute.
    Missing(Missing),
    Failed(String),
}

/// Who else may use the cluster meanwhile.
#[derive(Debug)]
pub(crate) enum Hold<'a> {
    Shared(#[expect(dead_code, reason = "held for its lock")] RwLockReadGuard<'a, ()>),
    Alone(#[expect(dead_code, reason = "held for its lock")] RwLockWriteGuard<'a, ()>),
}

impl Stage {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, state: Mutex::new(State::NotStarted), gate: RwLock::new(()), next: Mutex::new(None) }
    }

    /// The stage that is needed behind this one.
    pub(crate) fn is_followed_by(&self, next: Arc<Self>) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
    }

    /// Somebody begins to use this one: the next one starts meanwhile, for most of what a behaviour does is waiting.
    pub(crate) fn is_used(&self) {
        if let Some(next) = self.next.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // What goes wrong is told to whoever uses it.
            thread::spawn(move || _ = next.target());
        }
    }

    /// Waits for its turn.
    pub(crate) fn hold(&self, alone: bool) -> Hold<'_> {
        match alone {
            true => Hold::Alone(self.gate.write().unwrap_or_else(PoisonError::into_inner)),
            false => Hold::Shared(self.gate.read().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// The running cluster.
    pub(crate) fn target(&self) -> Result<Target> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::NotStarted = *state {
            *state = match Target::start(self.kind) {
                Ok(target) => State::Up(target),
                Err(error) => match error.downcast::<Missing>() {
                    Ok(missing) => State::Missing(missing),
                    Err(error) => State::Failed(format!("{error:#}")),
                },
            };
        }
        match &*state {
            State::Up(target) => Ok(target.clone()),
            State::Missing(missing) => Err(missing.clone().into()),
            State::Failed(why) => Err(anyhow!("{why}")),
            State::NotStarted => Err(anyhow!("the cluster was not started")),
        }
    }
}
