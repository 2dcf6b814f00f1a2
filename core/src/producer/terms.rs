//! What a topic's batches go by: the producer's configuration with the topic's own settings over it.

use super::outcome::Mode;
use crate::config::{Acks, ProducerConfig};
use std::time::Duration;

/// Brokers remember five batches of a producer (broker-side `ProducerStateEntry`), so more must not be unresolved at once.
const REMEMBERED: usize = 5;

/// Settings of one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) acks: Acks,
    pub(crate) mode: Mode,
    /// How many batches of a partition may be under way at once while all goes well.
    pub(crate) in_flight: usize,
    pub(crate) delivery_timeout: Duration,
    pub(crate) linger: Duration,
}

impl Terms {
    pub(crate) fn of(config: &ProducerConfig, topic: &str) -> Self {
        let own = config.topics.get(topic);
        let acks = own.map_or(config.acks, |t| t.acks);
        // Brokers refuse stamps without acks=all, so a topic that asks for less goes without.
        let idempotent = config.enable_idempotence && acks == Acks::All;
        let mode = Mode { idempotent, retries: config.retries };
        let most = usize::try_from(config.max_in_flight_requests_per_connection).unwrap_or(usize::MAX).max(1);
        Self {
            acks,
            mode,
            // Contracts A6, PR-26: without stamps a retry must not land behind its successor.
            in_flight: match () {
                () if idempotent => most.min(REMEMBERED),
                () if acks == Acks::Zero => usize::MAX,
                () if config.retries == 0 => most,
                () => 1,
            },
            delivery_timeout: own.map_or(config.delivery_timeout, |t| t.delivery_timeout),
            linger: config.linger,
        }
    }
}
