//! The configuration files of a node: small, and quick to notice a fault.

use std::fs;
use std::path::Path;

use crate::version::{Mode, Version};

/// Where one node listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    /// The clients' port. Listeners with TLS and SASL will stand beside it.
    pub(crate) clients: u16,
    /// The controller's port; ZooKeeper's where ZooKeeper keeps the metadata.
    pub(crate) quorum: u16,
}

/// The user that a connection without a login has; the suite's clients must not be shut out by their own ACLs.
const SUPER_USER: &str = "User:ANONYMOUS";

/// `server.properties` of node `id` (from 1) in a cluster with these ports.
pub(crate) fn server(version: Version, id: usize, ports: &[Ports], data: &Path) -> String {
    let nodes = ports.len();
    let replicas = nodes.min(3);
    let in_sync = if replicas == 3 { 2 } else { 1 };
    let mut lines = Lines::default();
    lines.set("log.dirs", data.display());
    lines.set("num.network.threads", 2).set("num.io.threads", 2).set("background.threads", 2);
    lines.set("num.replica.fetchers", 1);
    // Else a node reserves 128 MB for the log cleaner.
    lines.set("log.cleaner.dedupe.buffer.size", 4_194_304).set("log.index.size.max.bytes", 1_048_576);
    lines.set("log.retention.check.interval.ms", 2000);
    // Behaviours write records of years ago, which must stay.
    lines.set("log.retention.ms", -1);
    lines.set("num.partitions", 3).set("default.replication.factor", replicas).set("min.insync.replicas", in_sync);
    lines.set("auto.create.topics.enable", true).set("delete.topic.enable", true);
    lines.set("offsets.topic.num.partitions", 3).set("offsets.topic.replication.factor", replicas);
    lines.set("transaction.state.log.num.partitions", 3).set("transaction.state.log.replication.factor", replicas);
    lines.set("transaction.state.log.min.isr", in_sync);
    lines.set("transaction.abort.timed.out.transaction.cleanup.interval.ms", 1000);
    lines.set("group.initial.rebalance.delay.ms", 0).set("group.min.session.timeout.ms", 1000);
    lines.set("replica.lag.time.max.ms", 4000);
    let own = ports[id - 1];
    match version.mode() {
        Mode::ZooKeeper => {
            lines.set("broker.id", id).set("listeners", format!("PLAINTEXT://127.0.0.1:{}", own.clients));
            lines.set("zookeeper.connect", format!("127.0.0.1:{}", own.quorum));
            // Four of ZooKeeper's ticks: a killed broker must be known as gone before it can come back.
            lines.set("zookeeper.session.timeout.ms", 2000);
        }
        Mode::KRaft => kraft(&mut lines, id, ports),
    }
    match version {
        Version::V4_4_0 => {
            new_groups(&mut lines, replicas, in_sync);
            // KIP-939. Nobody sends an unstable version who is not told to.
            lines.set("unstable.api.versions.enable", true).set("transaction.two.phase.commit.enable", true);
        }
        // The preview of KIP-848.
        Version::V3_9_2 => _ = lines.set("group.coordinator.rebalance.protocols", "classic,consumer"),
        Version::V2_1_1 => {}
    }
    lines.0
}

fn kraft(lines: &mut Lines, id: usize, ports: &[Ports]) {
    let voter = |(index, node): (usize, &Ports)| format!("{}@127.0.0.1:{}", index + 1, node.quorum);
    let voters: Vec<String> = ports.iter().enumerate().map(voter).collect();
    let own = ports[id - 1];
    lines.set("process.roles", "broker,controller").set("node.id", id).set("broker.rack", format!("rack-{id}"));
    lines.set("controller.quorum.voters", voters.join(",")).set("controller.listener.names", "CONTROLLER");
    lines.set("inter.broker.listener.name", "PLAINTEXT");
    lines.set("listeners", format!("PLAINTEXT://127.0.0.1:{},CONTROLLER://127.0.0.1:{}", own.clients, own.quorum));
    lines.set("advertised.listeners", format!("PLAINTEXT://127.0.0.1:{}", own.clients));
    lines.set("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT");
    lines.set("controller.quorum.election.timeout.ms", 500).set("controller.quorum.fetch.timeout.ms", 1500);
    lines.set("broker.session.timeout.ms", 4000).set("broker.heartbeat.interval.ms", 1000);
    lines.set("replica.selector.class", "org.apache.kafka.common.replica.RackAwareReplicaSelector");
    lines.set("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer");
    lines.set("super.users", SUPER_USER).set("allow.everyone.if.no.acl.found", false);
}

fn new_groups(lines: &mut Lines, replicas: usize, in_sync: usize) {
    for kind in ["consumer", "share"] {
        lines.set(&format!("group.{kind}.min.session.timeout.ms"), 1000);
        lines.set(&format!("group.{kind}.session.timeout.ms"), 6000);
        lines.set(&format!("group.{kind}.min.heartbeat.interval.ms"), 200);
        lines.set(&format!("group.{kind}.heartbeat.interval.ms"), 500);
    }
    lines.set("group.share.min.record.lock.duration.ms", 1000).set("group.share.record.lock.duration.ms", 5000);
    lines.set("share.coordinator.state.topic.num.partitions", 3);
    lines.set("share.coordinator.state.topic.replication.factor", replicas);
    lines.set("share.coordinator.state.topic.min.isr", in_sync);
}

/// `zoo.cfg` of the ZooKeeper at `port`.
pub(crate) fn zookeeper(port: u16, data: &Path) -> String {
    let mut lines = Lines::default();
    lines.set("dataDir", data.display()).set("clientPort", port).set("clientPortAddress", "127.0.0.1");
    lines.set("tickTime", 500).set("admin.enableServer", false);
    lines.0
}

/// Writes what [`java_options`] points at.
pub(crate) fn write_logging(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("log4j2.properties"), LOG4J_2)?;
    fs::write(folder.join("log4j.properties"), LOG4J_1)
}

/// Warnings and worse to stderr, for Kafka 4 (log4j 2).
const LOG4J_2: &str = "\
rootLogger.level=warn
rootLogger.appenderRef.c.ref=c
appender.c.type=Console
appender.c.name=c
appender.c.target=SYSTEM_ERR
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=[%d] %p %m (%c)%n
";

/// The same for Kafka 2 and 3 (log4j 1 and its heir).
const LOG4J_1: &str = "\
log4j.rootLogger=WARN, c
log4j.appender.c=org.apache.log4j.ConsoleAppender
log4j.appender.c.target=System.err
log4j.appender.c.layout=org.apache.log4j.PatternLayout
log4j.appender.c.layout.ConversionPattern=[%d] %p %m (%c)%n
";

/// Options of every Java process: a small heap, one garbage collector thread, the quick compiler only.
pub(crate) fn java_options(logging: &Path, heap: &str) -> Vec<String> {
    let fixed = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xss512k", "-XX:-UsePerfData"];
    let mut options: Vec<String> = fixed.into_iter().map(String::from).collect();
    options.push(format!("-Xmx{heap}"));
    options.push(format!("-Dlog4j2.configurationFile=file:{}", logging.join("log4j2.properties").display()));
    options.push(format!("-Dlog4j.configuration=file:{}", logging.join("log4j.properties").display()));
    options
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    fn set(&mut self, key: &str, value: impl std::fmt::Display) -> &mut Self {
        self.0.push_str(&format!("{key}={value}\n"));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(nodes: u16) -> Vec<Ports> {
        (0..nodes).map(|n| Ports { clients: 1000 + n, quorum: 2000 + n }).collect()
    }

    #[test]
    fn three_nodes_replicate_thrice_and_name_each_other() {
        let text = server(Version::V4_4_0, 2, &ports(3), Path::new("/data"));
        assert!(text.contains("\nnode.id=2\n"));
        assert!(text.contains("controller.quorum.voters=1@127.0.0.1:2000,2@127.0.0.1:2001,3@127.0.0.1:2002\n"));
        assert!(text.contains("listeners=PLAINTEXT://127.0.0.1:1001,CONTROLLER://127.0.0.1:2001\n"));
        assert!(text.contains("\nmin.insync.replicas=2\n"));
        assert!(text.contains("\nsuper.users=User:ANONYMOUS\n"));
    }

    #[test]
    fn one_node_is_its_own_replica() {
        let text = server(Version::V2_1_1, 1, &ports(1), Path::new("/data"));
        assert!(text.contains("\nmin.insync.replicas=1\n"));
        assert!(text.contains("\noffsets.topic.replication.factor=1\n"));
        assert!(text.contains("\nzookeeper.connect=127.0.0.1:2000\n"));
        assert!(!text.contains("process.roles"));
    }
}
