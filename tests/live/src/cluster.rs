//! A cluster of real Apache Kafka on loopback.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

use crate::folders::{self, Lock};
use crate::ports;
use crate::probe::{self, Probe};
use crate::process::{self, Process, Watchdog};
use crate::settings::{self, Ports};
use crate::version::{Mode, Version};
use crate::{jars, need};

/// Any base64 of 16 bytes; every cluster of the suite may have the same, for each has its own folder.
const CLUSTER_ID: &str = "MkU3OEVBNTcwNTJENDM2Qg";

/// What a broker says when it ends because ZooKeeper still lists it.
const STILL_KNOWN: &str = "NodeExistsException";

/// How long a start may take on a machine that does other things too; 5 s is usual.
const START_LIMIT: Duration = Duration::from_secs(150);

/// Running brokers of one version. Stopped, and their data deleted, when dropped.
#[derive(Debug)]
pub struct Cluster {
    version: Version,
    jars: PathBuf,
    run: PathBuf,
    ports: Vec<Ports>,
    nodes: Vec<Mutex<Option<Process>>>,
    zookeeper: Option<Process>,
    /// After the processes: it must not end before them.
    _watchdog: Watchdog,
    _owner: Lock,
}

impl Cluster {
    /// Resolves the jars if need be, formats, starts, and waits until the cluster is whole.
    ///
    /// # Errors
    /// [`need::Missing`] where the machine cannot run it.
    pub fn start(version: Version) -> Result<Self> {
        need::java()?;
        let jars = jars::of(version)?;
        sweep()?;
        let mut attempts = 0;
        loop {
            attempts += 1;
            match Self::start_in(version, &jars, &fresh_run(version)) {
                // Between the look for free ports and the start another process may have taken one.
                Err(error) if attempts < 3 && format!("{error:#}").contains("Address already in use") => {}
                outcome => return outcome,
            }
        }
    }

    fn start_in(version: Version, jars: &Path, run: &Path) -> Result<Self> {
        let no_sweep = Lock::wait(&folders::home().join(SWEEP))?;
        let owner = Lock::now(&run.join(OWNER))?.context("another process has this run's folder")?;
        drop(no_sweep);
        let watchdog = Watchdog::start(run)?;
        let free = ports::free(2 * version.nodes())?;
        let ports: Vec<Ports> = free.chunks(2).map(|pair| Ports { clients: pair[0], quorum: pair[1] }).collect();
        let mut cluster = Self {
            version,
            jars: jars.to_path_buf(),
            run: run.to_path_buf(),
            nodes: ports.iter().map(|_| Mutex::new(None)).collect(),
            ports,
            zookeeper: None,
            _watchdog: watchdog,
            _owner: owner,
        };
        cluster.configure()?;
        if version.mode() == Mode::ZooKeeper {
            cluster.start_zookeeper()?;
        }
        for node in cluster.node_ids() {
            cluster.start_node(node)?;
        }
        cluster.wait_until_up()?;
        Ok(cluster)
    }

    /// What runs here.
    pub fn version(&self) -> Version {
        self.version
    }

    /// `host:port` of every node, separated by commas.
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<String> = self.client_ports().iter().map(|port| format!("127.0.0.1:{port}")).collect();
        addresses.join(",")
    }

    /// Where its data, logs and pid files lie while it runs.
    pub fn folder(&self) -> &Path {
        &self.run
    }

    /// The numbers of the nodes, from 1: the same as the broker ids.
    pub fn node_ids(&self) -> std::ops::RangeInclusive<usize> {
        1..=self.nodes.len()
    }

    /// A raw connection to one node.
    pub fn probe(&self, node: usize) -> Result<Probe> {
        Probe::connect(self.ports[node - 1].clients)
    }

    /// The process id of a running node.
    pub fn pid(&self, node: usize) -> Option<u32> {
        self.slot(node).as_ref().map(Process::pid)
    }

    /// SIGKILL: the node is gone at once, without a word to anyone.
    pub fn kill(&self, node: usize) -> Result<()> {
        self.slot(node).take().context("the node is not running")?.kill()
    }

    /// SIGTERM: the node hands its leaderships over and ends.
    pub fn stop(&self, node: usize) -> Result<()> {
        let mut process = self.slot(node).take().context("the node is not running")?;
        process.ask_to_end();
        process.wait_for_end()
    }

    /// SIGSTOP: the node keeps its connections and says nothing.
    pub fn pause(&self, node: usize) -> Result<()> {
        let slot = self.slot(node);
        let process = slot.as_ref().context("the node is not running")?;
        process.signal(Signal::STOP)?;
        process.wait_until_stopped()
    }

    /// SIGCONT: a paused node goes on.
    pub fn resume(&self, node: usize) -> Result<()> {
        self.slot(node).as_ref().context("the node is not running")?.signal(Signal::CONT)
    }

    /// Starts a node that was killed or stopped, and waits until it answers.
    pub fn restart(&self, node: usize) -> Result<()> {
        ensure!(self.slot(node).is_none(), "node {node} is running");
        self.start_node(node)?;
        self.wait_for(node, Instant::now() + START_LIMIT)
    }

    /// Brings back what a test took away, and waits until every node is up and every replica in sync.
    pub fn heal(&self) -> Result<()> {
        for node in self.node_ids() {
            let running = match self.slot(node).as_mut() {
                Some(process) => process.ended().is_none() && process.signal(Signal::CONT).is_ok(),
                None => false,
            };
            if !running {
                self.slot(node).take();
                self.start_node(node)?;
            }
        }
        self.wait_until_up()
    }

    /// Gives every partition back to its first replica, for who asks about what depends on it.
    pub fn lead_as_at_first(&self) -> Result<()> {
        match self.version.nodes() {
            1 => Ok(()),
            _ => probe::lead_as_at_first(&self.client_ports(), START_LIMIT),
        }
    }

    /// Where the nodes listen for clients, in the order of their ids.
    pub fn client_ports(&self) -> Vec<u16> {
        self.ports.iter().map(|ports| ports.clients).collect()
    }

    fn slot(&self, node: usize) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.nodes[node - 1].lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn configure(&self) -> Result<()> {
        settings::write_logging(&self.run)?;
        for node in self.node_ids() {
            let data = self.run.join(format!("data-{node}"));
            fs::write(self.properties(node), settings::server(self.version, node, &self.ports, &data))?;
        }
        match self.version.mode() {
            Mode::ZooKeeper => {
                let text = settings::zookeeper(self.ports[0].quorum, &self.run.join("data-zookeeper"));
                Ok(fs::write(self.run.join("zoo.cfg"), text)?)
            }
            Mode::KRaft => self.format(),
        }
    }

    /// Formats all nodes at once: each takes a second, most of it the start of its Java.
    fn format(&self) -> Result<()> {
        let format = |node: usize| {
            let mut command = self.java("256m", "kafka.tools.StorageTool");
            command.args(["format", "-t", CLUSTER_ID, "-c"]).arg(self.properties(node));
            process::run(command, String::new(), "the storage tool", START_LIMIT)
        };
        thread::scope(|scope| {
            let running: Vec<_> = self.node_ids().map(|node| scope.spawn(move || format(node))).collect();
            running.into_iter().try_for_each(|thread| match thread.join() {
                Ok(outcome) => outcome.map(drop),
                Err(_) => bail!("a thread that formats a node panicked"),
            })
        })
    }

    fn start_node(&self, node: usize) -> Result<()> {
        let mut command = self.java("512m", "kafka.Kafka");
        command.arg(self.properties(node));
        *self.slot(node) = Some(Process::start(&self.run, &format!("node-{node}"), command)?);
        Ok(())
    }

    fn start_zookeeper(&mut self) -> Result<()> {
        let mut command = self.java("256m", "org.apache.zookeeper.server.quorum.QuorumPeerMain");
        command.arg(self.run.join("zoo.cfg"));
        self.zookeeper = Some(Process::start(&self.run, "zookeeper", command)?);
        let deadline = Instant::now() + START_LIMIT;
        while Probe::connect(self.ports[0].quorum).is_err() {
            ensure!(Instant::now() < deadline, "ZooKeeper does not listen");
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn wait_until_up(&self) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        for node in self.node_ids() {
            self.wait_for(node, deadline)?;
        }
        probe::wait_until_whole(&self.client_ports(), deadline.saturating_duration_since(Instant::now()))
            .with_context(|| format!("{} is not ready:\n{}", self.version, self.last_words()))
    }

    fn wait_for(&self, node: usize, deadline: Instant) -> Result<()> {
        loop {
            if self.probe(node).and_then(|mut probe| probe.api_versions()).is_ok() {
                return Ok(());
            }
            let ended = self.slot(node).as_mut().context("the node is not running")?.ended();
            let words = || self.slot(node).as_ref().map_or_else(String::new, Process::last_words);
            ensure!(Instant::now() < deadline, "node {node} of {} does not answer:\n{}", self.version, words());
            if let Some(status) = ended {
                let words = words();
                // ZooKeeper believes in the session of a killed broker for two more seconds.
                ensure!(words.contains(STILL_KNOWN), "node {node} of {} ended ({status}):\n{words}", self.version);
                thread::sleep(Duration::from_millis(500));
                self.start_node(node)?;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn last_words(&self) -> String {
        let words = |node| self.slot(node).as_ref().map_or_else(String::new, Process::last_words);
        self.node_ids().map(words).collect::<Vec<_>>().join("\n")
    }

    fn java(&self, heap: &str, class: &str) -> Command {
        let mut command = Command::new("java");
        command.args(settings::java_options(&self.run, heap)).arg("-cp").arg(jars::class_path(&self.jars)).arg(class);
        command
    }

    fn properties(&self, node: usize) -> PathBuf {
        self.run.join(format!("node-{node}.properties"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Killed: nobody needs their data any more, and the last nodes of a quorum take long to say good-bye to nobody.
        let nodes: Vec<Process> = self.node_ids().filter_map(|node| self.slot(node).take()).collect();
        drop((nodes, self.zookeeper.take()));
        let _ = fs::remove_dir_all(&self.run);
    }
}

/// The file in a run's folder that its owner keeps locked.
const OWNER: &str = "owner.lock";

/// Held while folders of crashed runs are removed, so that a new one is not taken for one of them.
const SWEEP: &str = "sweep.lock";

fn fresh_run(version: Version) -> PathBuf {
    let name = format!("{}-{}-{:04x}", version.name(), std::process::id(), fastrand::u16(..));
    folders::runs().join(name)
}

/// Ends what crashed runs left behind and deletes their folders. Runs that are alive are let be.
pub fn sweep() -> Result<()> {
    let _one_at_a_time = Lock::wait(&folders::home().join(SWEEP))?;
    let runs = folders::runs();
    fs::create_dir_all(&runs)?;
    for entry in fs::read_dir(&runs)? {
        let run = entry?.path();
        let Ok(Some(_owner)) = Lock::now(&run.join(OWNER)) else { continue };
        let left = process::end_leftovers(&run, process::PATIENCE)?;
        if left > 0 {
            eprintln!("stopped {left} processes that a former run left in {}", run.display());
        }
        let _ = fs::remove_dir_all(&run);
    }
    Ok(())
}
