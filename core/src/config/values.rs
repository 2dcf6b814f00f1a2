//! Values that a setting can have, with their spelling in Java's properties.

use std::time::Duration;

/// How many replicas must have a record before it counts as written (`acks`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Acks {
    /// `0`: none; the broker does not even answer, so nothing is known about the record's fate or offset.
    Zero,
    /// `1`: the leader. What it acknowledged is lost if it fails before the others copied it.
    One,
    /// `all`, `-1`: every replica in sync, and at least `min.insync.replicas` of them.
    #[default]
    All,
}

impl Acks {
    /// As a Produce request carries it.
    pub const fn wire(self) -> i16 {
        match self {
            Self::Zero => 0,
            Self::One => 1,
            Self::All => -1,
        }
    }
}

/// How batches are compressed (`compression.type` and the codec's level).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip, at the level of `compression.gzip.level`.
    Gzip,
    /// snappy, which has no levels.
    Snappy,
    /// lz4, at the level of `compression.lz4.level`.
    Lz4,
    /// Zstandard, at the level of `compression.zstd.level`.
    Zstd,
    /// gzip at this level: 1 to 9, or -1 for the codec's own choice.
    GzipAt(i32),
    /// lz4 at this level: 1 to 17.
    Lz4At(i32),
    /// Zstandard at this level: -131072 to 22.
    ZstdAt(i32),
}

impl Compression {
    /// gzip at this level: 1 to 9, or -1 for the codec's own choice.
    pub const fn gzip(level: i32) -> Self {
        Self::GzipAt(level)
    }
    /// lz4 at this level: 1 to 17.
    pub const fn lz4(level: i32) -> Self {
        Self::Lz4At(level)
    }
    /// Zstandard at this level: -131072 to 22.
    pub const fn zstd(level: i32) -> Self {
        Self::ZstdAt(level)
    }

    /// The codec's name in `compression.type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip | Self::GzipAt(_) => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 | Self::Lz4At(_) => "lz4",
            Self::Zstd | Self::ZstdAt(_) => "zstd",
        }
    }

    /// The level that was asked for.
    pub const fn level(self) -> Option<i32> {
        match self {
            Self::GzipAt(level) | Self::Lz4At(level) | Self::ZstdAt(level) => Some(level),
            _ => None,
        }
    }
}

/// What happens at an offset that the log does not have, and where a partition without a commit begins
/// (`auto.offset.reset`; KIP-1106 for durations).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OffsetReset {
    /// Go to the first record that is still there.
    Earliest,
    /// Go behind the last record: read only what comes from now on.
    #[default]
    Latest,
    /// Report an error (`ErrorKind::NoOffset`) and let the application decide.
    None,
    /// Go to the first record that is at most this old.
    ByDuration(Duration),
}

/// Where a partition without a committed offset begins, when that shall differ from [`OffsetReset`]
/// (`start.offset`; a key of klamm's).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StartOffset {
    /// As `auto.offset.reset` says, like Java.
    #[default]
    AsReset,
    /// At the first record.
    Earliest,
    /// Behind the last record.
    Latest,
    /// At the first record that is at most this old.
    ByDuration(Duration),
    /// At the first record with this timestamp or a later one.
    Timestamp(crate::Timestamp),
}

/// Who commits offsets, and which (`enable.auto.commit`, `auto.commit.interval.ms`, `auto.commit.mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AutoCommit {
    /// Only the application.
    Off,
    /// Every so often, what earlier polls returned, as Java does.
    Polled(Duration),
    /// Every so often, what the application acknowledged with `ack`, as librdkafka does with stored offsets.
    Acked(Duration),
}

/// How a consumer group shares its partitions (`partition.assignment.strategy`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Assignor {
    /// Neighbouring partitions of each topic, so that equal partitions of several topics meet at one member.
    Range,
    /// All partitions in turn.
    RoundRobin,
    /// Even, moving as little as possible; stops the group while it rebalances (KIP-54).
    Sticky,
    /// Even, moving as little as possible, without stopping the group (KIP-429).
    CooperativeSticky,
    /// One that the application brings, by the name that goes over the wire.
    Custom(String),
}

impl Assignor {
    /// The name under which members offer it to the group.
    pub fn name(&self) -> &str {
        match self {
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
            Self::Sticky => "sticky",
            Self::CooperativeSticky => "cooperative-sticky",
            Self::Custom(name) => name,
        }
    }
}

/// Which records of transactions a consumer sees (`isolation.level`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IsolationLevel {
    /// All, also of open and aborted transactions.
    #[default]
    ReadUncommitted,
    /// Those of committed transactions and those outside of any.
    ReadCommitted,
}

impl IsolationLevel {
    /// As Fetch and ListOffsets requests carry it.
    pub const fn wire(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}

/// How host names become addresses (`client.dns.lookup`, KIP-235, KIP-302).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DnsLookup {
    /// Every address of a name is tried.
    #[default]
    UseAllDnsIps,
    /// Bootstrap servers are replaced by the canonical names of their addresses, for Kerberos behind an alias.
    ResolveCanonicalBootstrapServersOnly,
}

/// What happens when no known broker can be reached (`metadata.recovery.strategy`, KIP-899).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MetadataRecovery {
    /// Start again from the bootstrap servers.
    #[default]
    Rebootstrap,
    /// Go on trying the known brokers.
    None,
}

/// A buffer of the operating system for one direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BufferSize {
    /// As the operating system chooses (-1).
    Os,
    /// This many bytes.
    Bytes(u32),
}

impl BufferSize {
    /// The number of bytes to ask the operating system for; `None` leaves it its choice.
    pub fn bytes(self) -> Option<usize> {
        match self {
            Self::Os => None,
            Self::Bytes(bytes) => usize::try_from(bytes).ok(),
        }
    }
}

/// How exact a record's default timestamp is (`timestamp.precision`; a key of klamm's).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TimestampPrecision {
    /// From a kernel clock that moves every few milliseconds: cheaper.
    #[default]
    Coarse,
    /// To the millisecond.
    Exact,
}

/// Whose defaults apply to keys that are not set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Defaults {
    /// Those of the Java client 4.4.
    #[default]
    Kafka44,
    /// Those of the Java client 2.5: `acks=1`, no idempotence, `linger.ms=0`, sessions of 10 s, ...
    Kafka25,
}
