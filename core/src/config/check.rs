//! Rules between settings. Those of Java are cited by the class that has them.

use super::reader::Reader;
use super::{
    Acks, AutoCommit, ClientConfig, ConsumerConfig, Origin, ProducerConfig, Section, Status, TopicConfig, keys,
};
use std::time::Duration;

/// Rules of the connection.
pub(super) fn client(config: &mut ClientConfig, reader: &mut Reader<'_>) {
    // CommonClientConfigs.postProcessReconnectBackoffConfigs: set alone, the wait does not grow.
    if reader.is_set("reconnect.backoff.ms") && !reader.is_set("reconnect.backoff.max.ms") {
        config.reconnect_backoff_max = config.reconnect_backoff;
        let why = "reconnect.backoff.ms is set and the maximum is not";
        reader.rule("reconnect.backoff.max.ms", &config.reconnect_backoff_max, why.into());
    }
    let longest = config.socket_connection_setup_timeout.max(config.socket_connection_setup_timeout_max);
    config.socket_connection_setup_timeout_max = longest;
    config.reconnect_backoff_max = config.reconnect_backoff_max.max(config.reconnect_backoff);
    config.retry_backoff_max = config.retry_backoff_max.max(config.retry_backoff);
    security(reader);
}

/// Never in the clear without having been told to: TLS and SASL are not here yet.
fn security(reader: &mut Reader<'_>) {
    let protocol = reader.entry("security.protocol");
    if let Some(protocol) = protocol {
        if !protocol.text().eq_ignore_ascii_case("PLAINTEXT") {
            let text = format!("{}: not yet supported in this version, PLAINTEXT is", protocol.pair());
            return reader.report.error(text, &protocol.origin);
        }
    }
    for key in keys::all().filter(|key| key.status == Status::Security && key.name != "security.protocol") {
        let Some(entry) = reader.entry(key.name) else { continue };
        let text = if protocol.is_some() {
            reader
                .report
                .warning(format!("{} has no effect with security.protocol=PLAINTEXT", entry.given), &entry.origin);
            continue;
        } else {
            format!(
                "{} is set, but TLS and SASL are not yet supported in this version; remove it, or say \
                 security.protocol=PLAINTEXT to connect in the clear",
                entry.given
            )
        };
        reader.report.error(text, &entry.origin);
    }
}

/// Rules of a producer.
pub(super) fn producer(config: &mut ProducerConfig, reader: &mut Reader<'_>) {
    config.retry_backoff_max = config.retry_backoff_max.max(config.retry_backoff);
    idempotence(config, reader);
    transactions(config, reader);
    if config.enable_gapless_guarantee && !config.enable_idempotence {
        let text = format!("{} needs enable.idempotence=true", reader.pair("enable.gapless.guarantee"));
        reader.report.error(text, &reader.origin("enable.gapless.guarantee"));
    }
    // KafkaProducer.configureDeliveryTimeout
    let least = config.linger.saturating_add(config.request_timeout);
    if config.delivery_timeout < least {
        if reader.is_set("delivery.timeout.ms") {
            let text = format!(
                "{} is less than linger.ms + request.timeout.ms ({} ms): no request could run its time",
                reader.pair("delivery.timeout.ms"),
                least.as_millis()
            );
            reader.report.error(text, &reader.origin("delivery.timeout.ms"));
        } else {
            config.delivery_timeout = least;
            reader.rule("delivery.timeout.ms", &least, "linger.ms + request.timeout.ms is more".into());
        }
    }
    // BufferPool.allocate: a batch that the memory cannot hold never gets any.
    if config.batch_size > config.buffer_memory {
        let text = format!("{} does not hold one batch: {}", reader.pair("buffer.memory"), reader.pair("batch.size"));
        reader.report.error(text, &reader.origin("buffer.memory"));
    }
    if config.batch_size > config.max_request_size {
        let text = format!("{} never fills: {}", reader.pair("batch.size"), reader.pair("max.request.size"));
        reader.report.warning(text, &reader.origin("batch.size"));
    }
    if config.partitioner_rack_aware && config.client_rack.is_none() {
        let text = format!("{} has no effect: client.rack is not set", reader.pair("partitioner.rack.aware"));
        reader.report.warning(text, &reader.origin("partitioner.rack.aware"));
    }
    for (name, topic) in &config.topics {
        if config.enable_idempotence && topic.retries == 0 {
            let text = format!("retries of topic {name} contradicts enable.idempotence=true, which needs some");
            reader.report.error(text, &Origin::Code);
        }
        if config.enable_idempotence && topic.acks != Acks::All {
            let text = format!("acks of topic {name} contradicts enable.idempotence=true, which needs acks=all");
            reader.report.error(text, &Origin::Code);
        }
    }
}

/// Rules of one topic; `own`: it has a `delivery.timeout.ms` of its own, else the producer's gives way.
pub(super) fn topic(name: &str, topic: &mut TopicConfig, own: bool, reader: &mut Reader<'_>) {
    let least = topic.linger.saturating_add(topic.request_timeout);
    if topic.delivery_timeout < least && own {
        let text = format!(
            "delivery.timeout.ms of topic {name} ({} ms) is less than linger.ms + request.timeout.ms ({} ms)",
            topic.delivery_timeout.as_millis(),
            least.as_millis()
        );
        reader.report.error(text, &Origin::Code);
    }
    topic.delivery_timeout = topic.delivery_timeout.max(least);
}

/// ProducerConfig.postProcessAndValidateIdempotenceConfigs: what is set contradicts; what is not set gives way.
fn idempotence(config: &mut ProducerConfig, reader: &mut Reader<'_>) {
    if !config.enable_idempotence {
        return;
    }
    let set = reader.is_set("enable.idempotence");
    let mut gives_way = None;
    for (key, contradicts) in [("retries", config.retries == 0), ("acks", config.acks != Acks::All)] {
        if !contradicts {
            continue;
        }
        if set {
            let text = format!("{} contradicts {}", reader.pair(key), reader.pair("enable.idempotence"));
            reader.report.error(text, &reader.origin(key));
        } else {
            gives_way = Some(reader.pair(key));
        }
    }
    let key = "max.in.flight.requests.per.connection";
    if config.max_in_flight_requests_per_connection > 5 {
        let text = format!("{} is more than 5, the most that enable.idempotence=true allows", reader.pair(key));
        reader.report.error(text, &reader.origin(key));
    }
    if let Some(why) = gives_way {
        config.enable_idempotence = false;
        reader.rule("enable.idempotence", &false, why);
    }
}

/// ProducerConfig.postProcessAndValidateIdempotenceConfigs: transactions stand on idempotence.
fn transactions(config: &ProducerConfig, reader: &mut Reader<'_>) {
    if config.transactional_id.is_some() && !config.enable_idempotence {
        let text = format!("{} needs enable.idempotence=true, acks=all and retries", reader.pair("transactional.id"));
        reader.report.error(text, &reader.origin("transactional.id"));
    }
    let two_phase = "transaction.two.phase.commit.enable";
    if config.transaction_two_phase_commit_enable {
        if !cfg!(feature = "unstable-protocol") {
            let text = format!("{} needs klamm's Cargo feature `unstable-protocol`", reader.pair(two_phase));
            reader.report.error(text, &reader.origin(two_phase));
        }
        // ProducerConfig.postProcessAndValidateIdempotenceConfigs: such a transaction never times out.
        if reader.is_set("transaction.timeout.ms") {
            let text =
                format!("{} has no meaning with {}", reader.pair("transaction.timeout.ms"), reader.pair(two_phase));
            reader.report.error(text, &reader.origin("transaction.timeout.ms"));
        }
    }
}

/// Rules of a consumer. A section that may still get its group is not asked for one.
pub(super) fn consumer(config: &mut ConsumerConfig, reader: &mut Reader<'_>, complete: bool) {
    config.retry_backoff_max = config.retry_backoff_max.max(config.retry_backoff);
    // Heartbeat's constructor
    if config.heartbeat_interval >= config.session_timeout {
        let text =
            format!("{} is not less than {}", reader.pair("heartbeat.interval.ms"), reader.pair("session.timeout.ms"));
        reader.report.error(text, &reader.origin("heartbeat.interval.ms"));
    }
    // KafkaConsumer's constructor
    if reader.is_set("group.id") && config.group_id.is_none() {
        reader.report.error("group.id is empty: name a group, or leave it out", &reader.origin("group.id"));
    }
    if complete && config.group_id.is_none() {
        // ConsumerConfig.maybeOverrideEnableAutoCommit
        if config.auto_commit != AutoCommit::Off {
            if reader.is_set("enable.auto.commit") {
                let text = format!("{} needs a group.id", reader.pair("enable.auto.commit"));
                reader.report.error(text, &reader.origin("enable.auto.commit"));
            }
            config.auto_commit = AutoCommit::Off;
            reader.rule("enable.auto.commit", &false, "there is no group.id".into());
        }
        if config.group_instance_id.is_some() {
            let text = format!("{} has no effect without group.id", reader.pair("group.instance.id"));
            reader.report.warning(text, &reader.origin("group.instance.id"));
        }
    }
    if config.fetch_max_wait >= config.request_timeout {
        let text = format!(
            "{} is not less than {}: a fetch that waits for data would be given up",
            reader.pair("fetch.max.wait.ms"),
            reader.pair("request.timeout.ms")
        );
        reader.report.warning(text, &reader.origin("fetch.max.wait.ms"));
    }
    if config.fetch_min_bytes > config.fetch_max_bytes {
        let text = format!("{} is never reached: {}", reader.pair("fetch.min.bytes"), reader.pair("fetch.max.bytes"));
        reader.report.warning(text, &reader.origin("fetch.min.bytes"));
    }
    let cap: usize = reader.get("response.max.bytes");
    if cap < config.fetch_max_bytes as usize {
        let text = format!("{} is less than {}", reader.pair("response.max.bytes"), reader.pair("fetch.max.bytes"));
        reader.report.error(text, &reader.origin("response.max.bytes"));
    }
    let interval: Duration = reader.get("auto.commit.interval.ms");
    if config.auto_commit != AutoCommit::Off && interval.is_zero() {
        reader
            .report
            .note("auto.commit.interval.ms=0 commits at every poll", &reader.origin("auto.commit.interval.ms"));
    }
    debug_assert_eq!(reader.section, Section::Consumer);
}

#[cfg(test)]
mod tests {
    use super::super::builder::{Config, ConsumerConfig as Consumer, ProducerConfig as Producer};
    use super::*;

    fn producer(section: Producer) -> Result<ProducerConfig, String> {
        Config::new("a").resolve_producer(&section).map_err(|e| e.to_string())
    }
    fn consumer(section: Consumer) -> Result<ConsumerConfig, String> {
        Config::new("a").resolve_consumer(&section).map_err(|e| e.to_string())
    }

    #[test]
    fn what_contradicts_idempotence_is_an_error_only_if_idempotence_was_asked_for() {
        for (key, value) in [("acks", "1"), ("acks", "0"), ("retries", "0")] {
            let implied = producer(Producer::new().set(key, value)).unwrap();
            assert!(!implied.enable_idempotence, "{key}={value}");
            let asked = producer(Producer::new().set(key, value).set("enable.idempotence", true));
            assert_eq!(asked.unwrap_err(), format!("{key}={value} contradicts enable.idempotence=true"));
            assert!(producer(Producer::new().set(key, value).set("enable.idempotence", false)).is_ok());
        }
        let key = "max.in.flight.requests.per.connection";
        assert!(producer(Producer::new().set(key, 6)).unwrap_err().contains("is more than 5"));
        assert!(producer(Producer::new().set(key, 6).set("enable.idempotence", false)).is_ok());
        assert!(producer(Producer::new().set(key, 5)).unwrap().enable_idempotence);
    }

    #[test]
    fn transactions_stand_on_idempotence() {
        let transactional = || Producer::new().set("transactional.id", "t");
        let config = producer(transactional()).unwrap();
        assert_eq!(
            (config.transactional_id.as_deref(), config.transaction_timeout),
            (Some("t"), Duration::from_secs(60))
        );
        for (key, value) in [("acks", "1"), ("retries", "0"), ("enable.idempotence", "false")] {
            let error = producer(transactional().set(key, value)).unwrap_err();
            assert_eq!(error, "transactional.id=t needs enable.idempotence=true, acks=all and retries", "{key}");
        }
        assert!(producer(Producer::new().set("transactional.id", "")).is_err());
    }

    #[test]
    fn two_phase_commit_is_refused_without_its_feature_and_knows_no_time_out() {
        let two_phase = || Producer::new().set("transaction.two.phase.commit.enable", true);
        match cfg!(feature = "unstable-protocol") {
            true => assert!(producer(two_phase()).unwrap().transaction_two_phase_commit_enable),
            false => assert!(producer(two_phase()).unwrap_err().contains("unstable-protocol")),
        }
        let error = producer(two_phase().set("transaction.timeout.ms", 60_000)).unwrap_err();
        assert!(error.contains("transaction.timeout.ms=60000 has no meaning"), "{error}");
    }

    #[test]
    fn what_a_rule_changed_is_shown_with_its_reason() {
        let config = Config::new("a").set("acks", 1).set("reconnect.backoff.ms", 70);
        let shown = |key: &str| config.settings().find(|s| s.key == key).map(|s| s.to_string()).unwrap_or_default();
        assert_eq!(shown("enable.idempotence"), "enable.idempotence=false (producer, because acks=1)");
        assert_eq!(
            shown("reconnect.backoff.max.ms"),
            "reconnect.backoff.max.ms=70 (client, because reconnect.backoff.ms is set and the maximum is not)"
        );
        assert_eq!(shown("acks"), "acks=1 (producer, code)");
    }

    #[test]
    fn the_delivery_timeout_covers_lingering_and_one_request() {
        let raised = producer(Producer::new().linger(Duration::from_secs(100))).unwrap();
        assert_eq!(raised.delivery_timeout, Duration::from_secs(130));
        let asked = producer(Producer::new().delivery_timeout(Duration::from_secs(10)));
        assert!(
            asked
                .unwrap_err()
                .starts_with("delivery.timeout.ms=10000 is less than linger.ms + request.timeout.ms (30005 ms)")
        );
    }

    #[test]
    fn memory_must_hold_a_batch() {
        let tiny = producer(Producer::new().buffer_memory(1000));
        assert_eq!(tiny.unwrap_err(), "buffer.memory=1000 does not hold one batch: batch.size=16384");
        assert!(producer(Producer::new().buffer_memory(1000).batch_size(500)).is_ok());
    }

    #[test]
    fn without_a_group_nothing_is_committed_unless_that_was_asked_for() {
        assert_eq!(consumer(Consumer::standalone()).unwrap().auto_commit, AutoCommit::Off);
        let asked = consumer(Consumer::standalone().set("enable.auto.commit", true));
        assert_eq!(asked.unwrap_err(), "enable.auto.commit=true needs a group.id");
        let section = Config::new("a").set("enable.auto.commit", true);
        assert!(section.validate().is_ok(), "the group may still come");
    }

    #[test]
    fn heartbeats_come_more_often_than_sessions_end() {
        let slow = consumer(Consumer::group("g").session_timeout(Duration::from_secs(3)));
        assert_eq!(slow.unwrap_err(), "heartbeat.interval.ms=3000 is not less than session.timeout.ms=3000");
    }

    #[test]
    fn an_empty_group_is_no_group_and_no_lack_of_one() {
        assert_eq!(consumer(Consumer::group(" ")).unwrap_err(), "group.id is empty: name a group, or leave it out");
    }

    #[test]
    fn a_fetch_may_bring_what_it_asks_for() {
        let narrow = Config::new("a").set("response.max.bytes", 1 << 20).resolve_consumer(&Consumer::group("g"));
        let text = "response.max.bytes=1048576 is less than fetch.max.bytes=52428800";
        assert_eq!(narrow.unwrap_err().to_string(), text);
    }

    #[test]
    fn waits_between_retries_never_shrink() {
        let config = Config::new("a").set("retry.backoff.ms", 5000).resolve().unwrap();
        assert_eq!(config.retry_backoff_max, Duration::from_secs(5));
        let section = Producer::new().retry_backoff(Duration::from_secs(3));
        assert_eq!(producer(section).unwrap().retry_backoff_max, Duration::from_secs(3));
    }
}
