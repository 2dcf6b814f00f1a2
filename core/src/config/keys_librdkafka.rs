//! Keys that only librdkafka has and klamm needs no counterpart for. The others are aliases of Java's keys.

use super::{Key, Kind, Section, Status};

macro_rules! keys {
    ($( $name:literal $kind:ident $why:literal; )*) => {
        &[ $(
            Key::new($name, Kind::$kind)
                .placed(Section::Client, "")
                .librdkafka()
                .status(Status::Unsupported($why)),
        )* ]
    };
}

pub(super) const KEYS: &[Key] = keys! {
    "api.version.request" Bool "every broker since 0.10 can be asked for its versions, and is";
    "api.version.request.timeout.ms" Int "request.timeout.ms counts";
    "api.version.fallback.ms" Int "every broker since 0.10 can be asked for its versions, and is";
    "broker.version.fallback" Text "every broker since 0.10 can be asked for its versions, and is";
    "broker.address.family" Text "addresses of both families are tried, side by side";
    "broker.address.ttl" Int "names are resolved anew for each connection";
    "socket.nagle.disable" Bool "klamm never lets small packets wait";
    "socket.max.fails" Int "a connection with a request past its time is closed";
    "socket.blocking.max.ms" Int "no socket of klamm's blocks";
    "topic.metadata.refresh.fast.interval.ms" Int "retry.backoff.ms counts";
    "topic.metadata.refresh.sparse" Bool "only topics in use are ever asked for";
    "topic.metadata.propagation.max.ms" Int "max.block.ms counts";
    "topic.blacklist" List "leave topics out of what is subscribed to";
    "metadata.request.timeout.ms" Int "request.timeout.ms counts";
    "log_level" Int "this version of klamm writes no log";
    "debug" List "this version of klamm writes no log";
    "log.queue" Bool "this version of klamm writes no log";
    "log.thread.name" Bool "this version of klamm writes no log";
    "log.connection.close" Bool "this version of klamm writes no log";
    "statistics.interval.ms" Int "read the metrics from the handle whenever you like";
    "enable.random.seed" Bool "klamm seeds its own generator";
    "internal.termination.signal" Int "klamm ends without signals";
    "builtin.features" List "what is built in is chosen by cargo features";
    "plugin.library.paths" Text "klamm loads no libraries";
    "client.software.name" Text "klamm says that it is klamm";
    "client.software.version" Text "klamm says that it is klamm";
    "test.mock.num.brokers" Int "the in-memory cluster is a crate of its own: klamm-cluster";
    "queue.buffering.backpressure.threshold" Int "a batch is cut when a connection has room for it, so none is cut while requests wait";
    "batch.num.messages" Int "batches are bounded in bytes: batch.size";
    "queuing.strategy" Text "records of a partition go out in the order of their sends";
    "delivery.report.only.error" Bool "every send has its Delivery, which may be dropped";
    "produce.offset.report" Bool "every Delivery knows its offset";
    "sticky.partitioning.linger.ms" Int "the sticky partitioner moves on by bytes (KIP-794)";
    "message.copy.max.bytes" Int "every record is copied once, into its batch";
    "msg.order.cmp" Text "records of a partition go out in the order of their sends";
    "group.protocol.type" Text "consumers are of type \"consumer\"";
    "coordinator.query.interval.ms" Int "the coordinator is asked for when it is needed";
    "queued.min.messages" Int "what is fetched ahead is bounded in bytes: prefetch.bytes";
    "fetch.queue.backoff.ms" Int "fetching goes on when prefetch.bytes has room";
    "fetch.error.backoff.ms" Int "retry.backoff.ms counts";
    "offset.store.method" Text "offsets are stored by the broker";
    "offset.store.path" Text "offsets are stored by the broker";
    "offset.store.sync.interval.ms" Int "offsets are stored by the broker";
    "consume.callback.max.messages" Int "max.poll.records bounds a poll";
    "enable.partition.eof" Bool "compare a position with end_offsets, or ask for the lag";
};
