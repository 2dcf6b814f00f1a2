//! Rules between settings. Those of Java are cited by the class that has them.

use super::reader::Reader;
use super::{Acks, AutoCommit, ClientConfig, ConsumerConfig, Origin, ProducerConfig, Section, Status, keys};
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
    for (name, topic) in &config.topics {
        if config.enable_idempotence && topic.acks != Acks::All {
            let text = format!("acks of topic {name} contradicts enable.idempotence=true, which needs acks=all");
            reader.report.error(text, &Origin::Code);
        }
    }
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

/// Rules of a consumer. A section that may still get its group is not asked for one.
pub(super) fn consumer(config: &mut ConsumerConfig, reader: &mut Reader<'_>, complete: bool) {
    config.retry_backoff_max = config.retry_backoff_max.max(config.retry_backoff);
    // Heartbeat's constructor
    if config.heartbeat_interval >= config.session_timeout {
        let text =
            format!("{} is not less than {}", reader.pair("heartbeat.interval.ms"), reader.pair("session.timeout.ms"));
        reader.report.error(text, &reader.origin("heartbeat.interval.ms"));
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
    let interval: Duration = reader.get("auto.commit.interval.ms");
    if config.auto_commit != AutoCommit::Off && interval.is_zero() {
        reader
            .report
            .note("auto.commit.interval.ms=0 commits at every poll", &reader.origin("auto.commit.interval.ms"));
    }
    debug_assert_eq!(reader.section, Section::Consumer);
}
