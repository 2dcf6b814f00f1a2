//! Which kinds of things go wrong in a run, and until when.

use std::time::Duration;

/// Which faults are drawn from the seed. They stop after [`until`](Self::until), so that a run can heal and be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    pub(crate) short: bool,
    pub(crate) resets: bool,
    pub(crate) delays: bool,
    pub(crate) names: bool,
    pub(crate) moves: bool,
    pub(crate) crashes: bool,
    pub(crate) answers: bool,
    pub(crate) lags: bool,
    pub(crate) clocks: bool,
    pub(crate) growth: bool,
    pub(crate) recreations: bool,
    pub(crate) transactions: bool,
    pub(crate) until: Duration,
}

impl Faults {
    /// Nothing goes wrong; bytes arrive in one piece after a steady delay.
    pub fn none() -> Self {
        Self {
            short: false,
            resets: false,
            delays: false,
            names: false,
            moves: false,
            crashes: false,
            answers: false,
            lags: false,
            clocks: false,
            growth: false,
            recreations: false,
            transactions: false,
            until: Duration::ZERO,
        }
    }

    /// Everything below but [`recreations`](Self::recreations) and [`transactions`](Self::transactions), for ten seconds of virtual time.
    pub fn all() -> Self {
        Self { moves: true, crashes: true, answers: true, lags: true, clocks: true, growth: true, ..Self::network() }
    }

    /// Only a network that cuts bytes anywhere, delays them unevenly and resets connections.
    pub fn network() -> Self {
        Self { short: true, resets: true, delays: true, names: true, until: Duration::from_secs(10), ..Self::none() }
    }

    /// Slow answers only: nothing may break because of them.
    pub fn slowness() -> Self {
        Self { short: true, delays: true, until: Duration::from_secs(10), ..Self::none() }
    }

    /// Reads and writes take any part of what is there.
    #[must_use]
    pub fn short_reads_and_writes(self, on: bool) -> Self {
        Self { short: on, ..self }
    }
    /// Connections break, in the middle of anything.
    #[must_use]
    pub fn resets(self, on: bool) -> Self {
        Self { resets: on, ..self }
    }
    /// Bytes take anything from nothing to 200 ms.
    #[must_use]
    pub fn delays(self, on: bool) -> Self {
        Self { delays: on, ..self }
    }
    /// Names do not resolve now and then.
    #[must_use]
    pub fn names(self, on: bool) -> Self {
        Self { names: on, ..self }
    }
    /// Leaders and coordinators move, replicas fall out of sync and come back.
    #[must_use]
    pub fn moves(self, on: bool) -> Self {
        Self { moves: on, ..self }
    }
    /// Brokers die and come back.
    #[must_use]
    pub fn crashes(self, on: bool) -> Self {
        Self { crashes: on, ..self }
    }
    /// Requests are refused, applied but not answered, answered late, in part, or twice.
    #[must_use]
    pub fn answers(self, on: bool) -> Self {
        Self { answers: on, ..self }
    }
    /// Followers copy late, brokers learn late of new leaders and of dead ones, coordinators load for a while.
    #[must_use]
    pub fn lags(self, on: bool) -> Self {
        Self { lags: on, ..self }
    }
    /// The clients' wall clocks jump, by up to a day back and most of an hour ahead.
    #[must_use]
    pub fn clocks(self, on: bool) -> Self {
        Self { clocks: on, ..self }
    }
    /// Topics get more partitions.
    #[must_use]
    pub fn growth(self, on: bool) -> Self {
        Self { growth: on, ..self }
    }
    /// Topics are deleted and created anew. Not for groups: a commit names its topic by name only, so one that was on its way
    /// counts for the new topic, on every client of OffsetCommit below version 10.
    #[must_use]
    pub fn recreations(self, on: bool) -> Self {
        Self { recreations: on, ..self }
    }
    /// What goes wrong with answers and coordinators goes wrong with those of transactions as well.
    #[must_use]
    pub fn transactions(self, on: bool) -> Self {
        Self { transactions: on, ..self }
    }
    /// When the faults stop, counted from the start of the run.
    #[must_use]
    pub fn until(self, until: Duration) -> Self {
        Self { until, ..self }
    }
}
