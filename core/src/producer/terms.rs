//! What a topic's batches go by: the producer's configuration with the topic's own settings over it.

use super::outcome::Mode;
use super::sequence::REMEMBERED;
use crate::codec::Preference;
use crate::config::{Acks, ProducerConfig};
use std::time::Duration;

/// Settings of one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) acks: Acks,
    pub(crate) mode: Mode,
    /// How many batches of a partition may be under way at once while all goes well.
    pub(crate) in_flight: usize,
    pub(crate) delivery_timeout: Duration,
    pub(crate) linger: Duration,
    /// One request has one time limit, so topics with another go in another.
    pub(crate) request_timeout: Duration,
    pub(crate) compression: Preference,
}

impl Terms {
    pub(crate) fn of(config: &ProducerConfig, topic: &str) -> Self {
        let own = config.topics.get(topic);
        let acks = own.map_or(config.acks, |t| t.acks);
        // Brokers refuse stamps without acks=all, so a topic that asks for less goes without.
        let idempotent = config.enable_idempotence && acks == Acks::All;
        let retries = own.map_or(config.retries, |t| t.retries);
        let mode = Mode { idempotent, retries };
        let most = usize::try_from(config.max_in_flight_requests_per_connection).unwrap_or(usize::MAX).max(1);
        Self {
            acks,
            mode,
            // Contracts A6, PR-26: without stamps a retry must not land behind its successor.
            in_flight: match () {
                () if idempotent => most.min(REMEMBERED),
                () if acks == Acks::Zero => usize::MAX,
                () if retries == 0 => most,
                () => 1,
            },
            delivery_timeout: own.map_or(config.delivery_timeout, |t| t.delivery_timeout),
            linger: own.map_or(config.linger, |t| t.linger),
            request_timeout: own.map_or(config.request_timeout, |t| t.request_timeout),
            compression: own.map_or_else(|| config.preference(), crate::config::TopicConfig::preference),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TopicConfig;

    fn in_flight(change: impl FnOnce(&mut ProducerConfig)) -> usize {
        let mut config = ProducerConfig::default();
        change(&mut config);
        Terms::of(&config, "t").in_flight
    }

    #[test]
    fn only_stamps_or_the_absence_of_retries_allow_more_than_one_batch_in_flight() {
        assert_eq!(in_flight(|_| ()), 5);
        assert_eq!(in_flight(|c| c.max_in_flight_requests_per_connection = 2), 2);
        assert_eq!(in_flight(|c| c.max_in_flight_requests_per_connection = 9), 5, "brokers remember five");
        assert_eq!(in_flight(|c| c.enable_idempotence = false), 1);
        assert_eq!(in_flight(|c| (c.enable_idempotence, c.retries) = (false, 0)), 5);
        assert_eq!(in_flight(|c| (c.enable_idempotence, c.acks) = (false, Acks::Zero)), usize::MAX);
    }

    #[test]
    fn a_topic_with_fewer_acks_goes_without_stamps() {
        let mut config = ProducerConfig::default();
        let delivery_timeout = Duration::from_secs(3);
        let own = TopicConfig {
            acks: Acks::One,
            compression: config.compression,
            compression_fallbacks: vec![],
            delivery_timeout,
            batch_size: 1,
            linger: Duration::from_secs(1),
            request_timeout: Duration::from_secs(2),
            retries: 7,
            max_block: Duration::ZERO,
            partitioning: crate::config::Partitioning::RoundRobin,
        };
        config.topics.insert("metrics".into(), own);
        let terms = Terms::of(&config, "metrics");
        assert_eq!((terms.acks, terms.mode.idempotent, terms.in_flight), (Acks::One, false, 1));
        assert_eq!((terms.delivery_timeout, terms.mode.retries), (delivery_timeout, 7));
        assert_eq!((terms.linger, terms.request_timeout), (Duration::from_secs(1), Duration::from_secs(2)));
        assert!(Terms::of(&config, "orders").mode.idempotent);
    }
}
