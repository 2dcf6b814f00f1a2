//! What a behaviour runs on: a cluster that all behaviours of one version share.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use anyhow::{Context, Result, anyhow};

use crate::cluster::Cluster;
use crate::need::Missing;
use crate::peers::{Java, Kcat};
use crate::probe::{self, Probe};
use crate::version::Version;

/// A cluster as a behaviour sees it.
#[derive(Clone, Debug)]
pub struct Target {
    kind: Kind,
    cluster: Arc<Cluster>,
}

/// What sort of cluster it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Apache Kafka of this version.
    Real(Version),
}

impl Kind {
    /// All of them.
    pub fn all() -> Vec<Self> {
        Version::ALL.into_iter().map(Self::Real).collect()
    }

    /// As a part of a test's name.
    pub fn name(self) -> String {
        match self {
            Self::Real(version) => version.name(),
        }
    }

    /// Whether the cluster has three brokers: then one may be killed.
    pub fn survives_a_crash(self) -> bool {
        match self {
            Self::Real(version) => version.nodes() >= 3,
        }
    }
}

impl Target {
    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it listens: `host:port`, separated by commas.
    pub fn bootstrap(&self) -> String {
        self.cluster.bootstrap()
    }

    /// The nodes' ports on loopback.
    pub fn ports(&self) -> Vec<u16> {
        self.cluster.client_ports()
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

    /// The processes behind it.
    pub fn real(&self) -> Result<&Cluster> {
        Ok(&self.cluster)
    }

    /// A topic name that no other behaviour uses.
    pub fn topic(&self, stem: &str) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        format!("{stem}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
    }

    /// The official client of the cluster's own version.
    pub fn java(&self) -> Result<Java> {
        match self.kind {
            Kind::Real(version) => Java::new(version, self.bootstrap()),
        }
    }

    /// kcat, if it is installed.
    pub fn kcat(&self) -> Result<Kcat> {
        Kcat::new(self.bootstrap())
    }
}

/// Starts a cluster when the first behaviour needs it, lends it to many at once or to one alone, and stops it when the
/// last behaviour that could need it is gone.
#[derive(Debug)]
pub(crate) struct Stage {
    kind: Kind,
    state: Mutex<State>,
    gate: RwLock<()>,
}

#[derive(Debug)]
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
        Self { kind, state: Mutex::new(State::NotStarted), gate: RwLock::new(()) }
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
            *state = match start(self.kind) {
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

fn start(kind: Kind) -> Result<Target> {
    match kind {
        Kind::Real(version) => {
            let begin = Instant::now();
            let cluster = Cluster::start(version).with_context(|| format!("cannot start {version}"))?;
            eprintln!("{version} is up at {} after {:.1?}", cluster.bootstrap(), begin.elapsed());
            Ok(Target { kind, cluster: Arc::new(cluster) })
        }
    }
}
