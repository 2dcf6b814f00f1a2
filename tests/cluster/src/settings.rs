//! What a cluster is made of before it starts.

use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;

/// How a cluster behaves. The defaults are Kafka's where nothing else is said, but waits are short.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// How many brokers there are; their ids are 1, 2, ... Default 1.
    pub brokers: i32,
    /// Everything random is drawn from it. Default 0.
    pub seed: u64,
    /// `auto.create.topics.enable`. Default true.
    pub auto_create: bool,
    /// `num.partitions`. Default 1.
    pub default_partitions: i32,
    /// `default.replication.factor`; `None` (the default) is 3 or the number of brokers, if that is less.
    pub default_replication: Option<i16>,
    /// `min.insync.replicas` of topics that do not set it. Default 1.
    pub min_insync_replicas: i32,
    /// `offsets.topic.num.partitions`. Default 50.
    pub offsets_partitions: i32,
    /// `transaction.state.log.num.partitions`. Default 50.
    pub transaction_partitions: i32,
    /// The finalized level of `transaction.version`: 2 (KIP-890, the default), 1, or 0: not finalized.
    pub transaction_version: i16,
    /// `unstable.api.versions.enable`: InitProducerId 6 is served (KIP-939). Default false.
    pub unstable_versions: bool,
    /// `transaction.two.phase.commit.enable`: transactions without a time-out are let in (KIP-939). Default false.
    pub two_phase_commit: bool,
    /// Whether InitProducerId keeps a prepared transaction on demand, as KIP-939 has it. Default false: UNSUPPORTED_VERSION, as
    /// Kafka up to 4.4 answers.
    pub keep_prepared: bool,
    /// The epoch that a new producer id begins with; what follows the last epoch begins with 0. Default 0, as Kafka.
    pub first_epoch: i16,
    /// `transaction.max.timeout.ms`. Default 15 min.
    pub transaction_max_timeout: Duration,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`. Default 100 ms (Kafka: 10 s).
    pub transaction_check: Duration,
    /// `transactional.id.expiration.ms`. Default 7 days.
    pub transactional_id_expiration: Duration,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`. Default 1 h.
    pub transactional_id_expiration_check: Duration,
    /// How long a transaction coordinator's writes take to be replicated; till then what they are about is answered
    /// CONCURRENT_TRANSACTIONS. Default 0.
    pub transaction_write: Duration,
    /// How long after the decision the markers of a transaction are written, each after a time of its own between half of
    /// this and this. Default 5 ms.
    pub marker_delay: Duration,
    /// `group.initial.rebalance.delay.ms`. Default 50 ms (Kafka: 3 s).
    pub group_initial_delay: Duration,
    /// `group.min.session.timeout.ms`. Default 100 ms (Kafka: 6 s).
    pub group_min_session: Duration,
    /// `group.max.session.timeout.ms`. Default 30 min.
    pub group_max_session: Duration,
    /// `group.max.size`. Default no limit.
    pub group_max_size: usize,
    /// How long a coordinator answers COORDINATOR_LOAD_IN_PROGRESS after it took over. Default 0.
    pub coordinator_load: Duration,
    /// `broker.session.timeout.ms`: how long a crashed broker stays listed and stays leader. Default 500 ms (Kafka: 9 s).
    pub broker_session: Duration,
    /// How long after an append the followers copy it. Default 0: before the append is answered.
    pub replication_lag: Duration,
    /// How long brokers that are not concerned go on naming the old leader after a change. Default 0.
    pub metadata_lag: Duration,
    /// Codecs that Produce answers with UNSUPPORTED_COMPRESSION_TYPE, as brokers of other makes do; Kafka itself takes all of
    /// them. Default none.
    pub refused_codecs: Vec<klamm_core::codec::Codec>,
    /// `socket.request.max.bytes`. Default 100 MiB.
    pub max_request_bytes: usize,
    /// `fetch.max.bytes`. Default 55 MiB.
    pub fetch_max_bytes: i32,
    /// `connections.max.idle.ms`. Default 10 min.
    pub max_idle: Duration,
    /// `producer.id.expiration.ms`: how long an idle producer is remembered, by its records' timestamps. Default 24 h.
    pub producer_expiration: Duration,
    /// `producer.id.expiration.check.interval.ms`. Default 10 min.
    pub producer_expiration_check: Duration,
    /// Whether there are ACLs to ask about and change; they are stored, never enforced. Default true.
    pub acls: bool,
    /// Cluster-wide defaults of topic keys, by the broker's name of the key (`log.retention.ms` ...).
    pub broker_configs: BTreeMap<String, String>,
    /// Acknowledges produce requests without storing or checking records: for measuring a client. Default false.
    pub sink: bool,
    /// A batch (magic 2) that every partition serves for ever, at any offset: for measuring a client. Default none.
    pub prepared: Option<Bytes>,
    /// What the cluster calls itself.
    pub cluster_id: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            brokers: 1,
            seed: 0,
            auto_create: true,
            default_partitions: 1,
            default_replication: None,
            min_insync_replicas: 1,
            offsets_partitions: 50,
            transaction_partitions: 50,
            transaction_version: 2,
            unstable_versions: false,
            two_phase_commit: false,
            keep_prepared: false,
            first_epoch: 0,
            transaction_max_timeout: Duration::from_secs(900),
            transaction_check: Duration::from_millis(100),
            transactional_id_expiration: Duration::from_secs(7 * 24 * 3600),
            transactional_id_expiration_check: Duration::from_secs(3600),
            transaction_write: Duration::ZERO,
            marker_delay: Duration::from_millis(5),
            group_initial_delay: Duration::from_millis(50),
            group_min_session: Duration::from_millis(100),
            group_max_session: Duration::from_secs(1800),
            group_max_size: usize::MAX,
            coordinator_load: Duration::ZERO,
            broker_session: Duration::from_millis(500),
            replication_lag: Duration::ZERO,
            metadata_lag: Duration::ZERO,
            refused_codecs: Vec::new(),
            max_request_bytes: 100 << 20,
            fetch_max_bytes: 55 << 20,
            max_idle: Duration::from_secs(600),
            producer_expiration: Duration::from_secs(24 * 3600),
            producer_expiration_check: Duration::from_secs(600),
            acls: true,
            broker_configs: BTreeMap::new(),
            sink: false,
            prepared: None,
            cluster_id: "klamm-in-memory-cluster".to_owned(),
        }
    }
}

impl Settings {
    /// The replication factor that -1 stands for.
    pub(crate) fn replication(&self) -> i16 {
        self.default_replication.unwrap_or_else(|| i16::try_from(self.brokers.min(3)).unwrap_or(3))
    }
}
