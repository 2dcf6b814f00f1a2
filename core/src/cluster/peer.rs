//! How a broker (or a bootstrap server) has behaved so far: when it may be dialled again.

use crate::rng::Rng;
use crate::{BrokerId, Error, Time};
use std::time::Duration;

/// Whom a link leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Peer {
    /// A broker that metadata named.
    Broker(BrokerId),
    /// A bootstrap server, by its place in the list.
    Seed(u32),
}

impl Peer {
    /// The broker's id; -1 for a bootstrap server, whose id is not known.
    pub(crate) fn broker(self) -> BrokerId {
        match self {
            Self::Broker(id) => id,
            Self::Seed(_) => BrokerId(-1),
        }
    }
}

/// What dialling taught.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Not to be dialled before.
    pub(super) until: Time,
    /// Failures in a row, refused greetings included.
    pub(super) failures: u32,
    /// The last failure.
    pub(super) error: Option<Error>,
}

impl Health {
    /// A dial or a greeting failed.
    pub(super) fn failed(&mut self, now: Time, rng: &mut Rng, backoff: (Duration, Duration), error: Error) {
        self.until = now + rng.backoff(backoff.0, backoff.1, self.failures);
        self.failures = self.failures.saturating_add(1);
        self.error = Some(error);
    }

    /// A working connection ended: the next one waits a little, but not ever longer.
    pub(super) fn ended(&mut self, now: Time, rng: &mut Rng, backoff: (Duration, Duration)) {
        self.until = now + rng.backoff(backoff.0, backoff.1, 0);
    }

    /// It greeted.
    pub(super) fn works(&mut self) {
        *self = Self::default();
    }

    /// How long one attempt may take: grows with failures (KIP-601).
    pub(super) fn setup_limit(&self, rng: &mut Rng, limit: (Duration, Duration)) -> Duration {
        rng.backoff(limit.0, limit.1, self.failures)
    }
}
