//! The versions of Apache Kafka that the suite runs on, and what differs between them.

use std::fmt;

/// One published version of Apache Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// 4.4.0: three nodes, each broker and controller at once.
    V4_4_0,
    /// 3.9.2: one KRaft node.
    V3_9_2,
    /// 2.1.1: ZooKeeper and one broker.
    V2_1_1,
}

/// Who keeps the cluster's metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The nodes themselves.
    KRaft,
    /// A ZooKeeper of one node beside them.
    ZooKeeper,
}

/// A published artifact: group, name, version.
pub(crate) type Artifact = (&'static str, &'static str, &'static str);

impl Version {
    /// All of them, newest first.
    pub const ALL: [Self; 3] = [Self::V4_4_0, Self::V3_9_2, Self::V2_1_1];

    /// As Kafka writes it.
    pub fn number(self) -> &'static str {
        match self {
            Self::V4_4_0 => "4.4.0",
            Self::V3_9_2 => "3.9.2",
            Self::V2_1_1 => "2.1.1",
        }
    }

    /// How many brokers its cluster has.
    pub fn nodes(self) -> usize {
        match self {
            Self::V4_4_0 => 3,
            Self::V3_9_2 | Self::V2_1_1 => 1,
        }
    }

    /// Who keeps its metadata.
    pub fn mode(self) -> Mode {
        match self {
            Self::V4_4_0 | Self::V3_9_2 => Mode::KRaft,
            Self::V2_1_1 => Mode::ZooKeeper,
        }
    }

    /// What its class path is resolved from: the broker and a log binding of its slf4j generation.
    pub(crate) fn artifacts(self) -> &'static [Artifact] {
        match self {
            Self::V4_4_0 => &[
                ("org.apache.kafka", "kafka_2.13", "4.4.0"),
                ("org.apache.logging.log4j", "log4j-core", "2.25.5"),
                ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.5"),
                ("org.apache.logging.log4j", "log4j-1.2-api", "2.25.5"),
            ],
            Self::V3_9_2 => &[("org.apache.kafka", "kafka_2.13", "3.9.2"), ("org.slf4j", "slf4j-reload4j", "1.7.36")],
            // ZooKeeper's own client before 3.5.8 cannot connect on Java 14 and later, so a newer one replaces it.
            Self::V2_1_1 => &[
                ("org.apache.kafka", "kafka_2.12", "2.1.1"),
                ("org.apache.zookeeper", "zookeeper", "3.5.10"),
                ("org.slf4j", "slf4j-log4j12", "1.7.25"),
            ],
        }
    }

    /// As a part of a test's name: `kafka_4_4_0`.
    pub fn name(self) -> String {
        format!("kafka_{}", self.number().replace('.', "_"))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kafka {}", self.number())
    }
}
