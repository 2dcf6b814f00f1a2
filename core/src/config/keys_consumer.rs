//! Keys of consumers.

use super::{
    Alias, Assignor, AutoCommit, IsolationLevel, OffsetReset, Plugin, Range, Serde, StartOffset,
    Status::{Refused, Unsupported},
    reader,
};
use crate::codec::Codecs;
use std::sync::Arc;
use std::time::Duration;

section! {
    /// What a consumer goes by; validated.
    ConsumerConfig built by ConsumerConfig in Consumer;
    keys {
        /// The group that shares the partitions of its topics; none: a consumer of its own.
        own group_id: Option<Arc<str>> = "group.id" Text none;
        /// A name by which a member that comes back within its session gets its partitions back (KIP-345).
        text group_instance_id: Option<Arc<str>> = "group.instance.id" Text none [.range(Range::NonEmpty)];
        /// When the group gives up a member that sends no heartbeat; the broker has limits for it.
        plain session_timeout: Duration = "session.timeout.ms" Int "45000" [.min(1).kafka_2_5("10000")];
        /// How often a member says that it is alive; a third of the session timeout at most is wise.
        plain heartbeat_interval: Duration = "heartbeat.interval.ms" Int "3000" [.min(1)];
        /// When a member that does not poll leaves its group; also how long a rebalance waits for it.
        plain max_poll_interval: Duration = "max.poll.interval.ms" Int "300000" [.min(1)];
        /// How many records one poll brings at most.
        plain max_poll_records: usize = "max.poll.records" Int "500" [.min(1)];
        /// Where to go if an offset is not in the log, or there is no committed one.
        plain auto_offset_reset: OffsetReset = "auto.offset.reset" Text "latest" [.range(Range::Reset)
            .synonyms(&[("smallest", "earliest"), ("beginning", "earliest"), ("largest", "latest"), ("end", "latest"), ("error", "none")])];
        /// Where a partition without a committed offset begins, if that shall differ from `auto.offset.reset`.
        plain start: StartOffset = "start.offset" Text "reset" [.klamm().range(Range::Start)];
        /// How many bytes a broker gathers before it answers a fetch, if `fetch.max.wait.ms` allows.
        plain fetch_min_bytes: u32 = "fetch.min.bytes" Int "1" [.min(0)];
        /// How many bytes one answer brings at most; a batch that is larger comes alone.
        plain fetch_max_bytes: u32 = "fetch.max.bytes" Int "52428800" [.min(0)];
        /// How long a broker waits for `fetch.min.bytes`.
        plain fetch_max_wait: Duration = "fetch.max.wait.ms" Int "500" [.min(0)
            .aliases(&[Alias::of("fetch.wait.max.ms")])];
        /// How many bytes of one partition an answer brings at most; a batch that is larger comes alone.
        plain max_partition_fetch_bytes: u32 = "max.partition.fetch.bytes" Int "1048576" [.min(0)
            .aliases(&[Alias::of("fetch.message.max.bytes")])];
        /// Which records of transactions are seen.
        plain isolation_level: IsolationLevel = "isolation.level" Text "read_uncommitted" [
            .words(&["read_uncommitted", "read_committed"])];
        /// Whether the checksums of batches are verified.
        plain check_crcs: bool = "check.crcs" Bool "true";
        /// One bound for all that is fetched and not let go yet: on its way, waiting, in batches that the application
        /// holds.
        plain prefetch_bytes: usize = "prefetch.bytes" Long "67108864" [.min(1).klamm()
            .aliases(&[Alias::of("queued.max.messages.kbytes").scale(1024)])];
        /// How large a batch may become when it is decompressed: a bound against bombs.
        plain decompressed_max_bytes: usize = "decompressed.max.bytes" Int "134217728" [.min(1).klamm()];
        /// Whether a partition that the group takes away is held until the batches with its records are dropped, or the
        /// rebalance's time is over; else until the next poll, as Java does.
        plain rebalance_waits_for_batches: bool = "klamm.rebalance.waits.for.batches" Bool "true" [.klamm()];
        /// Whether a poll that brings newly assigned partitions returns at once, before any record of them, so that the
        /// application can seek or pause first.
        plain rebalance_assigned_first: bool = "klamm.rebalance.assigned.first" Bool "false" [.klamm()];
        /// Whether asking for a topic that does not exist may create it (if brokers create topics at all).
        plain allow_auto_create_topics: bool = "allow.auto.create.topics" Bool "true";
        /// Whether a subscribed pattern leaves out Kafka's own topics.
        plain exclude_internal_topics: bool = "exclude.internal.topics" Bool "true";
    }
    read {
        /// Who commits offsets, and which.
        auto_commit: AutoCommit = reader::auto_commit;
        /// The application's own codecs.
        codecs: Codecs = |r: &mut reader::Reader<'_>| r.codecs.clone();
        /// How the group may share its partitions, the best first.
        assignors: Vec<Assignor> = reader::assignors;
        /// How long to wait for the answer to a request.
        request_timeout: Duration = |r: &mut reader::Reader<'_>| r.get("request.timeout.ms");
        /// How long a call may take that has no time limit of its own.
        default_api_timeout: Duration = |r: &mut reader::Reader<'_>| r.get("default.api.timeout.ms");
        /// How long to wait before a failed request is tried again, the first time.
        retry_backoff: Duration = |r: &mut reader::Reader<'_>| r.get("retry.backoff.ms");
        /// How long that wait becomes at most.
        retry_backoff_max: Duration = |r: &mut reader::Reader<'_>| r.get("retry.backoff.max.ms");
        /// The application's interceptors, in order.
        interceptors: Vec<Plugin> = |r: &mut reader::Reader<'_>| r.plugins("interceptor.classes");
        /// Where this consumer is: it reads from a replica in the same rack (KIP-392).
        client_rack: Option<Arc<str>> = |r: &mut reader::Reader<'_>| r.get("client.rack");
        /// The class that the configuration names for keys; the facade compares it with a typed topic's.
        key_deserializer: Option<Serde> = |r: &mut reader::Reader<'_>| r.serde("key.deserializer");
        /// The class that the configuration names for values.
        value_deserializer: Option<Serde> = |r: &mut reader::Reader<'_>| r.serde("value.deserializer");
    }
    rows {
        "Whether offsets are committed without being asked for; without a group they are not."
            "enable.auto.commit" Bool "true" [.field("auto_commit").aliases(&[Alias::of("auto.commit.enable")])];
        "How often offsets are committed without being asked for."
            "auto.commit.interval.ms" Int "5000" [.field("auto_commit").min(0)];
        "Which offsets are committed without being asked for: `polled` (what earlier polls returned) or `acked` (what the application acknowledged)."
            "auto.commit.mode" Text "polled" [.field("auto_commit").klamm().words(&["polled", "acked"])
                .aliases(&[Alias::of("enable.auto.offset.store").values(&[("true", "polled"), ("false", "acked")])])];
        "How the group may share its partitions, the best first: Java's classes or `range`. Java's default also offers cooperative-sticky."
            "partition.assignment.strategy" List "range" [.field("assignors")];
        "The class that makes keys of bytes."
            "key.deserializer" Class none [.field("key_deserializer")];
        "The class that makes values of bytes."
            "value.deserializer" Class none [.field("value_deserializer")];
        "Classes that see records on their way: of producers and consumers, each takes its own."
            "interceptor.classes" List "" [.field("interceptors")];
        "Which protocol the group speaks: `classic`, or `consumer` (KIP-848)."
            "group.protocol" Text "classic" [.words(&["classic", "consumer"])
                .status(Refused("the consumer protocol (KIP-848) is not yet supported in this version; classic is"))];
        "The assignor on the broker's side (KIP-848)."
            "group.remote.assignor" Text none [.status(Refused("the consumer protocol (KIP-848) is not yet supported in this version"))];
        "How share groups acknowledge records (KIP-932)."
            "share.acknowledgement.mode" Text "implicit" [.words(&["implicit", "explicit"])
                .status(Unsupported("share groups are not yet supported in this version"))];
        "How share groups acquire records (KIP-1206)."
            "share.acquire.mode" Text "batch_optimized" [.words(&["batch_optimized", "record_limit"])
                .status(Unsupported("share groups are not yet supported in this version"))];
        "Whether a broker that cannot tell stable offsets is an error; internal to Kafka Streams."
            "internal.throw.on.fetch.stable.offset.unsupported" Bool "false"
            [.status(Unsupported("it is internal to Kafka Streams"))];
    }
}
