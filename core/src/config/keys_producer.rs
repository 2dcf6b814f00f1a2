//! Keys of producers.

use super::{
    Acks, Alias, Partitioning, Plugin, Range, Serde, Status::Unsupported, TimestampPrecision, TopicConfig, reader,
};
use crate::codec::{Codecs, Compression};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

section! {
    /// What a producer goes by; validated.
    ProducerConfig built by ProducerConfig in Producer;
    keys {
        /// How many replicas must have a record before it counts as written.
        same acks: Acks = "acks" Text "all" [.words(&["all", "-1", "0", "1"]).kafka_2_5("1")
            .aliases(&[Alias::of("request.required.acks")])];
        /// How long a batch waits for more records. A lone `send` that is awaited does not wait.
        plain linger: Duration = "linger.ms" Long "5" [.min(0).kafka_2_5("0")
            .aliases(&[Alias::of("queue.buffering.max.ms")])];
        /// How large a batch may grow, in bytes as sent: how well a topic compresses is learned, as Java does it, and a batch takes
        /// at most eight times as many plain bytes. A larger record gets a batch of its own.
        plain batch_size: usize = "batch.size" Int "16384" [.min(0).bytes()];
        /// Memory for records that are not acknowledged yet.
        plain buffer_memory: usize = "buffer.memory" Long "33554432" [.min(0).bytes()
            .aliases(&[Alias::of("queue.buffering.max.kbytes").scale(1024)])];
        /// How many records may be in batches without outcome; more wait in line, as for memory. 0: no bound but memory's.
        plain queue_buffering_max_messages: usize = "queue.buffering.max.messages" Int "0" [.min(0).librdkafka()];
        /// How long a record may wait in line for memory or for its topic's metadata.
        plain max_block: Duration = "max.block.ms" Long "60000" [.min(0)];
        /// How large a Produce request, and so a record, may be, in bytes.
        plain max_request_size: usize = "max.request.size" Int "1048576" [.min(0).bytes()
            .aliases(&[Alias::of("message.max.bytes")])];
        /// How many requests may wait for their answers on one connection; at most 5 with idempotence. Without
        /// idempotence and with retries klamm sends one batch at a time per partition, so that a retry cannot overtake:
        /// the order of records holds in every mode, whatever this number.
        plain max_in_flight_requests_per_connection: u32 = "max.in.flight.requests.per.connection" Int "5" [.min(1)
            .aliases(&[Alias::of("max.in.flight")])];
        /// How often a batch is sent again at most; `delivery.timeout.ms` is the better limit.
        same retries: u32 = "retries" Int "2147483647" [.min(0)
            .aliases(&[Alias::of("message.send.max.retries")])];
        /// How long a record may take in all, from the call of `send` to its acknowledgement.
        plain delivery_timeout: Duration = "delivery.timeout.ms" Int "120000" [.min(0)
            .aliases(&[Alias::of("message.timeout.ms").values(&[("0", "2147483647")])])];
        /// Whether brokers recognise a batch that was sent twice, so that it is written once and in order (KIP-98).
        plain enable_idempotence: bool = "enable.idempotence" Bool "true" [.kafka_2_5("false")];
        /// Whether keys are ignored when a partition is chosen (KIP-794).
        plain partitioner_ignore_keys: bool = "partitioner.ignore.keys" Bool "false";
        /// Whether records without a key go rather to partitions with fewer waiting batches (KIP-794); only with
        /// `uniform_sticky`.
        plain partitioner_adaptive_partitioning_enable: bool = "partitioner.adaptive.partitioning.enable" Bool "true";
        /// A broker that leaves batches waiting for longer gets no more records without a key until it takes some; 0: brokers
        /// are not judged (KIP-794).
        plain partitioner_availability_timeout: Duration = "partitioner.availability.timeout.ms" Long "0" [.min(0)];
        /// Whether records without a key go to leaders in the rack that `client.rack` names, as long as there are any (KIP-1123).
        plain partitioner_rack_aware: bool = "partitioner.rack.aware" Bool "false";
        /// After how long a topic that is not written to is forgotten.
        plain metadata_max_idle: Duration = "metadata.max.idle.ms" Long "300000" [.min(5000)];
        /// The name that makes a producer's transactions outlive it, and fences older producers of the same name (KIP-98).
        text transactional_id: Option<Arc<str>> = "transactional.id" Text none [.range(Range::NonEmpty)];
        /// How long a transaction may stay open before its coordinator aborts it; the broker has a limit for it.
        plain transaction_timeout: Duration = "transaction.timeout.ms" Int "60000" [.min(1)];
        /// Whether an outside coordinator decides how transactions end (KIP-939): they can be prepared, and never time out. Needs
        /// klamm's Cargo feature `unstable-protocol`.
        plain transaction_two_phase_commit_enable: bool = "transaction.two.phase.commit.enable" Bool "false";
        /// Whether nothing is sent but by `flush`, a commit or the close of the producer, however full its batches are. Records
        /// count against `buffer.memory` and their `delivery.timeout.ms` all the while; without room they wait for
        /// `max.block.ms`, so flush in time.
        plain manual_flushing: bool = "manual.flushing" Bool "false" [.klamm()];
        /// Whether the producer stops when a batch fails, for whatever reason, so that nothing follows it in the log: all later
        /// records fail with the fatal error that says so. librdkafka leaves out what fails by `delivery.timeout.ms`; klamm does
        /// not. Records that never reached a batch (too large, no room, no topic) are not covered, nor transactions, which fail
        /// as a whole. Needs `enable.idempotence`.
        plain enable_gapless_guarantee: bool = "enable.gapless.guarantee" Bool "false" [.librdkafka()];
        /// How exact the default timestamp of a record is.
        plain timestamp_precision: TimestampPrecision = "timestamp.precision" Text "coarse" [.words(&["coarse", "exact"]).klamm()];
    }
    read {
        /// The codec and its level.
        compression: Compression = reader::compression;
        /// What comes after it if a broker refuses it, the best first.
        compression_fallbacks: Vec<Compression> = reader::fallbacks;
        /// The application's own codecs.
        codecs: Codecs = |r: &mut reader::Reader<'_>| r.codecs.clone();
        /// Who chooses partitions.
        partitioning: Partitioning = reader::partitioning;
        /// How long to wait for the answer to a Produce request; the broker is told the same limit.
        request_timeout: Duration = |r: &mut reader::Reader<'_>| r.get("request.timeout.ms");
        /// How long to wait before a batch is sent again, the first time.
        retry_backoff: Duration = |r: &mut reader::Reader<'_>| r.get("retry.backoff.ms");
        /// How long that wait becomes at most.
        retry_backoff_max: Duration = |r: &mut reader::Reader<'_>| r.get("retry.backoff.max.ms");
        /// Whether asking for a topic that does not exist may create it. One key for both roles, as librdkafka has it; Java's
        /// producer always asks.
        allow_auto_create_topics: bool = |r: &mut reader::Reader<'_>| r.get("allow.auto.create.topics");
        /// Where this client is.
        client_rack: Option<Arc<str>> = |r: &mut reader::Reader<'_>| r.get("client.rack");
        /// The class that the configuration names for keys; the facade compares it with a typed topic's.
        key_serializer: Option<Serde> = |r: &mut reader::Reader<'_>| r.serde("key.serializer");
        /// The class that the configuration names for values.
        value_serializer: Option<Serde> = |r: &mut reader::Reader<'_>| r.serde("value.serializer");
        /// The application's interceptors, in order.
        interceptors: Vec<Plugin> = |r: &mut reader::Reader<'_>| r.plugins("interceptor.classes");
        /// What single topics have otherwise.
        topics: BTreeMap<Arc<str>, TopicConfig> = |_: &mut reader::Reader<'_>| BTreeMap::new();
    }
    rows {
        "How batches are compressed."
            "compression.type" Text "none" [.field("compression").words(&["none", "gzip", "snappy", "lz4", "zstd"])
                .aliases(&[Alias::of("compression.codec")])];
        "Codecs to go on with if a broker refuses that one for a topic (UNSUPPORTED_COMPRESSION_TYPE), the best first, each at its \
         own level: refused batches are compressed anew and keep their places, later ones follow. Kafka itself takes all codecs \
         since 2.1; brokers of other makes may not. Where none is left, records fail."
            "compression.fallbacks" List "" [.field("compression_fallbacks").klamm()];
        "The level of gzip; -1: its own choice."
            "compression.gzip.level" Int "-1" [.field("compression").range(Range::WholeOr(1, 9, -1))];
        "The level of lz4. Taken for the sake of copied files: klamm's lz4 has one level, the fast one; a codec of your own may heed it."
            "compression.lz4.level" Int "9" [.field("compression").range(Range::Whole(1, 17))];
        "The level of Zstandard."
            "compression.zstd.level" Int "3" [.field("compression").range(Range::Whole(-131_072, 22))];
        "The level of whichever codec is chosen; -1: its default."
            "compression.level" Int "-1" [.field("compression").librdkafka().range(Range::Whole(-131_072, 22))];
        "Who chooses the partition of a record that names none: Java's class, `uniform_sticky` (the default) or `round_robin`; \
         librdkafka's `random`, `consistent`, `consistent_random`, `murmur2`, `murmur2_random`, `fnv1a`, `fnv1a_random`; Sarama's \
         `sarama_hash`, `sarama_reference_hash`, `sarama_crc`, `sarama_random`, `sarama_round_robin`; `manual`: none."
            "partitioner.class" Class none [.field("partitioning").aliases(&[Alias::of("partitioner")])];
        "The class that turns keys into bytes."
            "key.serializer" Class none [.field("key_serializer")];
        "The class that turns values into bytes."
            "value.serializer" Class none [.field("value_serializer")];
        "Whether buffers take their whole size at once."
            "buffer.memory.allocation.strategy" Text "full" [.words(&["full", "incremental"])
                .status(Unsupported("an open batch has its whole buffer"))];
    }
}
