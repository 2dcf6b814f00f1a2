//! Keys of the connection: shared by all roles of one client.

use super::{
    Address, Alias, BufferSize, Defaults, DnsLookup, MetadataRecovery, Range, RewriteAddress,
    Status::{Accepted, Refused, Unsupported},
    reader,
};
use std::sync::Arc;
use std::time::Duration;

section! {
    /// What the connections of a client go by; validated.
    ClientConfig built by Config in Client;
    keys {
        /// The name that brokers see: in their logs, quotas and metrics. Java's default is empty, and becomes
        /// `producer-1` or the like.
        text client_id: Arc<str> = "client.id" Text "klamm";
        /// How host names become addresses.
        plain client_dns_lookup: DnsLookup = "client.dns.lookup" Text "use_all_dns_ips" [
            .words(&["use_all_dns_ips", "resolve_canonical_bootstrap_servers_only"]).synonyms(&[("default", "use_all_dns_ips")])];
        /// Where this client is: consumers read from a replica in the same rack (KIP-392).
        text client_rack: Option<Arc<str>> = "client.rack" Text "";
        /// How long to wait for the answer to a request.
        plain request_timeout: Duration = "request.timeout.ms" Int "30000" [.min(0)
            .aliases(&[Alias::of("socket.timeout.ms")])];
        /// How long a call may take that has no time limit of its own, with all its retries.
        plain default_api_timeout: Duration = "default.api.timeout.ms" Int "60000" [.min(0)];
        /// How long to wait before a failed request is tried again, the first time; later waits grow (KIP-580).
        plain retry_backoff: Duration = "retry.backoff.ms" Long "100" [.min(0)];
        /// How long that wait becomes at most.
        plain retry_backoff_max: Duration = "retry.backoff.max.ms" Long "1000" [.min(0).kafka_2_5("100")];
        /// How long to wait before a broker is dialled again, the first time; later waits grow. Set alone, it does not
        /// grow.
        plain reconnect_backoff: Duration = "reconnect.backoff.ms" Long "50" [.min(0)];
        /// How long that wait becomes at most.
        plain reconnect_backoff_max: Duration = "reconnect.backoff.max.ms" Long "1000" [.min(0)];
        /// How long one connection may take to come up, and then its greeting, the first time; later limits grow (KIP-601).
        plain socket_connection_setup_timeout: Duration = "socket.connection.setup.timeout.ms" Long "10000" [.min(1)];
        /// How long that limit becomes at most.
        plain socket_connection_setup_timeout_max: Duration = "socket.connection.setup.timeout.max.ms" Long "30000" [.min(1)];
        /// When a connection that carries nothing is closed; -1: never.
        plain connections_max_idle: Option<Duration> = "connections.max.idle.ms" Long "540000" [.min(-1)];
        /// When metadata is fetched anew though nothing seems to have changed.
        plain metadata_max_age: Duration = "metadata.max.age.ms" Long "300000" [.min(0)
            .aliases(&[Alias::of("topic.metadata.refresh.interval.ms")])];
        /// What happens when no known broker can be reached (KIP-899).
        plain metadata_recovery_strategy: MetadataRecovery = "metadata.recovery.strategy" Text "rebootstrap" [
            .words(&["rebootstrap", "none"]).kafka_2_5("none")];
        /// How long metadata may fail before the client starts again from the bootstrap servers (KIP-1102).
        plain metadata_recovery_rebootstrap_trigger: Duration = "metadata.recovery.rebootstrap.trigger.ms" Long "300000" [.min(0)];
        /// Buffer of the operating system for what is sent; -1: as it chooses.
        plain send_buffer_bytes: BufferSize = "send.buffer.bytes" Int "131072" [.min(-1)
            .aliases(&[Alias::of("socket.send.buffer.bytes").values(&[("0", "-1")])])];
        /// Buffer of the operating system for what is received; -1: it grows as it needs to. Java's consumer has 65536 and
        /// its producer 32768, which cuts answers of megabytes into dozens of reads and bounds a link to one such window
        /// per round trip.
        plain receive_buffer_bytes: BufferSize = "receive.buffer.bytes" Int "-1" [.min(-1)
            .aliases(&[Alias::of("socket.receive.buffer.bytes").values(&[("0", "-1")])])];
        /// Whether TCP looks after idle connections. Java always does.
        plain socket_keepalive_enable: bool = "socket.keepalive.enable" Bool "true" [.librdkafka()];
        /// How long one window of the metrics is: rates, averages, largest values and percentiles are of the last
        /// `metrics.num.samples` windows.
        plain metrics_sample_window: Duration = "metrics.sample.window.ms" Long "30000" [.min(0)];
        /// How many windows the metrics cover, the one under way included.
        plain metrics_num_samples: u32 = "metrics.num.samples" Int "2" [.min(1)];
        /// The largest answer of a broker that is believed; a connection that announces more is closed.
        plain response_max_bytes: usize = "response.max.bytes" Int "100000000" [.min(1000).klamm()
            .aliases(&[Alias::of("receive.message.max.bytes")])];
    }
    read {
        /// Where to find the first broker; every one is tried.
        bootstrap_servers: Vec<Address> = reader::bootstrap_servers;
        /// Whose defaults applied.
        defaults: Defaults = |reader: &mut reader::Reader<'_>| reader.defaults();
        /// What turns advertised addresses into reachable ones.
        rewrite_address: Option<RewriteAddress> = |_: &mut reader::Reader<'_>| None;
    }
    rows {
        "Where to find the first broker, as `host:port,host:port`; IPv6 addresses in brackets; without a port, 9092."
            "bootstrap.servers" List none [.field("bootstrap_servers").aliases(&[Alias::of("metadata.broker.list")])];
        "Whose defaults apply to what is not set: `4.4` or `2.5` (`acks=1`, no idempotence, `linger.ms=0`, ...)."
            "defaults" Text "4.4" [.field("defaults").klamm().words(&["4.4", "2.5"])];
        "How long to go on resolving the bootstrap servers' names."
            "bootstrap.resolve.timeout.ms" Long "0"
            [.min(0).status(Unsupported("names are resolved for as long as the call that needs them may take"))];
        "Whether metadata of another cluster is noticed."
            "metadata.cluster.check.enable" Bool "true" [.status(Unsupported("this version does not ask for the check"))];
        "Where to find the first controller, for administration without brokers (KIP-919)."
            "bootstrap.controllers" List "" [.status(Refused("klamm talks to brokers only: use bootstrap.servers"))];
        "Whether metrics are pushed to the brokers (KIP-714). Java's default: true, for Admin false."
            "enable.metrics.push" Bool "false" [.status(Unsupported("this version does not push metrics to brokers"))];
        "Which metrics are recorded."
            "metrics.recording.level" Text "INFO" [.words(&["info", "debug", "trace"]).status(Accepted("all are recorded: they are plain counters"))];
        "Classes that export metrics. Java's default is its JMX reporter."
            "metric.reporters" List "" [.status(Unsupported("read the metrics from the handle: klamm loads no reporters"))];
        "Classes that look up `${provider:path:key}` in values."
            "config.providers" List "" [.status(Refused("klamm loads no config providers: put the value in its place, or set it from code"))];
        "Security providers of the JVM."
            "security.providers" Text none [.status(Unsupported("there is no JVM here"))];
        "How the connection is secured and who says who they are."
            "security.protocol" Text "PLAINTEXT" [.range(Range::Words(&["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]))
                .status(super::Status::Security)];
    }
}
