//! The configuration keys that the cluster knows, their types and defaults, and what a topic's mean for its log.

use klamm_core::codec::Codec;
use std::collections::BTreeMap;

/// The type of a configuration value, as DescribeConfigs numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean = 1,
    String = 2,
    Int = 3,
    Long = 5,
    Double = 6,
    List = 7,
}

/// One known key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) default: &'static str,
    /// The broker key that gives the default, for synonyms.
    pub(crate) broker: &'static str,
    /// The least number, or the words that are allowed, separated by `|`; empty allows all.
    allowed: &'static str,
}

const fn key(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    broker: &'static str,
    allowed: &'static str,
) -> Key {
    Key { name, kind, default, broker, allowed }
}

/// A topic's keys in Kafka 4.4, sorted.
pub(crate) const TOPIC: &[Key] = &[
    key("cleanup.policy", Kind::List, "delete", "log.cleanup.policy", "compact|delete"),
    key("compression.gzip.level", Kind::Int, "-1", "compression.gzip.level", "-1"),
    key("compression.lz4.level", Kind::Int, "9", "compression.lz4.level", "1"),
    key("compression.type", Kind::String, "producer", "compression.type", "uncompressed|zstd|lz4|snappy|gzip|producer"),
    key("compression.zstd.level", Kind::Int, "3", "compression.zstd.level", "-131072"),
    key("delete.retention.ms", Kind::Long, "86400000", "log.cleaner.delete.retention.ms", "0"),
    key("errors.deadletterqueue.group.enable", Kind::Boolean, "false", "", ""),
    key("file.delete.delay.ms", Kind::Long, "60000", "log.segment.delete.delay.ms", "0"),
    key("flush.messages", Kind::Long, "9223372036854775807", "log.flush.interval.messages", "1"),
    key("flush.ms", Kind::Long, "9223372036854775807", "log.flush.interval.ms", "0"),
    key("follower.replication.throttled.replicas", Kind::List, "", "", ""),
    key("index.interval.bytes", Kind::Int, "4096", "log.index.interval.bytes", "0"),
    key("leader.replication.throttled.replicas", Kind::List, "", "", ""),
    key("local.retention.bytes", Kind::Long, "-2", "log.local.retention.bytes", "-2"),
    key("local.retention.ms", Kind::Long, "-2", "log.local.retention.ms", "-2"),
    key("max.compaction.lag.ms", Kind::Long, "9223372036854775807", "log.cleaner.max.compaction.lag.ms", "1"),
    key("max.decompressed.message.bytes", Kind::Int, "2147483639", "", "0"),
    key("max.message.bytes", Kind::Int, "1048588", "message.max.bytes", "0"),
    key("message.timestamp.after.max.ms", Kind::Long, "3600000", "log.message.timestamp.after.max.ms", "0"),
    key(
        "message.timestamp.before.max.ms",
        Kind::Long,
        "9223372036854775807",
        "log.message.timestamp.before.max.ms",
        "0",
    ),
    key("message.timestamp.type", Kind::String, "CreateTime", "log.message.timestamp.type", "CreateTime|LogAppendTime"),
    key("min.cleanable.dirty.ratio", Kind::Double, "0.5", "log.cleaner.min.cleanable.ratio", "0"),
    key("min.compaction.lag.ms", Kind::Long, "0", "log.cleaner.min.compaction.lag.ms", "0"),
    key("min.insync.replicas", Kind::Int, "1", "min.insync.replicas", "1"),
    key("preallocate", Kind::Boolean, "false", "log.preallocate", ""),
    key("remote.copy.lag.bytes", Kind::Long, "-1", "", "-2"),
    key("remote.copy.lag.ms", Kind::Long, "0", "", "-2"),
    key("remote.log.copy.disable", Kind::Boolean, "false", "", ""),
    key("remote.log.delete.on.disable", Kind::Boolean, "false", "", ""),
    key("remote.storage.enable", Kind::Boolean, "false", "", ""),
    key("retention.bytes", Kind::Long, "-1", "log.retention.bytes", "-9223372036854775808"),
    key("retention.ms", Kind::Long, "604800000", "log.retention.ms", "-1"),
    key("segment.bytes", Kind::Int, "1073741824", "log.segment.bytes", "14"),
    key("segment.index.bytes", Kind::Int, "10485760", "log.index.size.max.bytes", "4"),
    key("segment.jitter.ms", Kind::Long, "0", "log.roll.jitter.ms", "0"),
    key("segment.ms", Kind::Long, "604800000", "log.roll.ms", "1"),
    key("unclean.leader.election.enable", Kind::Boolean, "false", "unclean.leader.election.enable", ""),
];

/// A broker's keys that tests look at, sorted; those that a running broker can change come from the topic table.
pub(crate) const BROKER: &[Key] = &[
    key("auto.create.topics.enable", Kind::Boolean, "true", "", ""),
    key("broker.id", Kind::Int, "-1", "", ""),
    key("default.replication.factor", Kind::Int, "1", "", ""),
    key("group.initial.rebalance.delay.ms", Kind::Int, "3000", "", ""),
    key("group.max.session.timeout.ms", Kind::Int, "1800000", "", ""),
    key("group.min.session.timeout.ms", Kind::Int, "6000", "", ""),
    key("node.id", Kind::Int, "-1", "", ""),
    key("num.partitions", Kind::Int, "1", "", ""),
    key("offsets.topic.num.partitions", Kind::Int, "50", "", ""),
];

/// Keys of a broker that have no topic's behind them and can be changed while it runs, sorted.
pub(crate) const DYNAMIC: &[Key] = &[key(VERIFICATION, Kind::Boolean, "true", "", "")];

/// Whether a leader asks the coordinator about a transaction that adds its partitions by itself, before it takes records of it.
pub(crate) const VERIFICATION: &str = "transaction.partition.verification.enable";

/// A group's keys, sorted.
pub(crate) const GROUP: &[Key] = &[
    key("consumer.heartbeat.interval.ms", Kind::Int, "5000", "group.consumer.heartbeat.interval.ms", "1"),
    key("consumer.session.timeout.ms", Kind::Int, "45000", "group.consumer.session.timeout.ms", "1"),
    key("share.auto.offset.reset", Kind::String, "latest", "", "latest|earliest"),
    key("share.heartbeat.interval.ms", Kind::Int, "5000", "group.share.heartbeat.interval.ms", "1"),
    key("share.isolation.level", Kind::String, "read_uncommitted", "", "read_uncommitted|read_committed"),
    key("share.record.lock.duration.ms", Kind::Int, "30000", "group.share.record.lock.duration.ms", "1"),
    key("share.session.timeout.ms", Kind::Int, "45000", "group.share.session.timeout.ms", "1"),
];

/// The key of that name in one of the tables.
pub(crate) fn find<'a>(table: &'a [Key], name: &str) -> Option<&'a Key> {
    table.iter().find(|key| key.name == name)
}

impl Key {
    /// Why a value is not allowed.
    pub(crate) fn check(&self, value: &str) -> Result<(), String> {
        let bad = |why: &str| Err(format!("Invalid value {value} for configuration {}: {why}", self.name));
        let words = |value: &str| self.allowed.is_empty() || self.allowed.split('|').any(|w| w == value);
        let least: f64 = self.allowed.parse().unwrap_or(f64::MIN);
        match self.kind {
            Kind::Boolean if !matches!(value, "true" | "false") => bad("Expected value to be either true or false"),
            Kind::String if !words(value) => bad("String must be one of the allowed words"),
            Kind::List if !value.split(',').all(|item| item.is_empty() || words(item.trim())) => {
                bad("List entries must be among the allowed words")
            }
            Kind::Int => match value.trim().parse::<i32>() {
                Ok(n) if f64::from(n) >= least => Ok(()),
                Ok(_) => bad("Value must be larger"),
                Err(_) => bad("Not a number of type INT"),
            },
            Kind::Long => match value.trim().parse::<i64>() {
                Ok(n) if n as f64 >= least => Ok(()),
                Ok(_) => bad("Value must be larger"),
                Err(_) => bad("Not a number of type LONG"),
            },
            Kind::Double => match value.trim().parse::<f64>() {
                Ok(n) if n >= least => Ok(()),
                _ => bad("Not a number of type DOUBLE in range"),
            },
            _ => Ok(()),
        }
    }
}

/// What a topic's configuration means for appending to it.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) max_message_bytes: i64,
    pub(crate) segment_bytes: i64,
    pub(crate) min_isr: i64,
    pub(crate) timestamp_before_max: i64,
    pub(crate) timestamp_after_max: i64,
    pub(crate) log_append_time: bool,
    pub(crate) compacted: bool,
    /// It may be cut by DeleteRecords.
    pub(crate) deletes: bool,
    /// The topic's own codec, unless it keeps the producer's.
    pub(crate) compression: Option<Codec>,
}

impl Policy {
    /// The meaning of what is set on the topic, over what is set for the cluster, over the defaults.
    pub(crate) fn of(topic: &BTreeMap<String, String>, cluster: &BTreeMap<String, String>) -> Self {
        let text = |name: &str| -> &str {
            let Some(key) = find(TOPIC, name) else { return "" };
            topic.get(name).or_else(|| cluster.get(key.broker)).map_or(key.default, String::as_str)
        };
        let number = |name: &str| text(name).trim().parse::<i64>().unwrap_or(i64::MAX);
        let cleanup = text("cleanup.policy");
        Self {
            max_message_bytes: number("max.message.bytes"),
            segment_bytes: number("segment.bytes"),
            min_isr: number("min.insync.replicas"),
            timestamp_before_max: number("message.timestamp.before.max.ms"),
            timestamp_after_max: number("message.timestamp.after.max.ms"),
            log_append_time: text("message.timestamp.type") == "LogAppendTime",
            compacted: cleanup.split(',').any(|item| item.trim() == "compact"),
            deletes: cleanup.split(',').any(|item| item.trim() == "delete"),
            compression: match text("compression.type") {
                "uncompressed" => Some(Codec::None),
                "gzip" => Some(Codec::Gzip),
                "snappy" => Some(Codec::Snappy),
                "lz4" => Some(Codec::Lz4),
                "zstd" => Some(Codec::Zstd),
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_allowed_and_the_tables_are_sorted() {
        for table in [TOPIC, BROKER, DYNAMIC, GROUP] {
            for key in table {
                assert_eq!(key.check(key.default), Ok(()), "{}", key.name);
            }
            assert!(table.is_sorted_by_key(|key| key.name));
        }
    }

    #[test]
    fn a_value_of_the_wrong_type_is_refused() {
        let key = find(TOPIC, "retention.ms").unwrap();
        assert!(key.check("soon").is_err());
        assert!(key.check("-2").is_err());
        assert!(find(TOPIC, "cleanup.policy").unwrap().check("compact,delete").is_ok());
        assert!(find(TOPIC, "cleanup.policy").unwrap().check("burn").is_err());
    }
}
