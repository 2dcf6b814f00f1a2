//! How long callers of one producer waited, and for what: Kafka's `*-time-ns-total`. Nothing here is touched by a send that
//! does not wait.

use klamm_core::Time;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A sum of times, in ns.
#[derive(Debug, Default)]
pub(crate) struct Sum(AtomicU64);

impl Sum {
    pub(crate) fn add(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a producer's callers waited for.
#[derive(Debug, Default)]
pub(crate) struct Times {
    pub(crate) flush: Sum,
    pub(crate) metadata_wait: Sum,
    pub(crate) txn_init: Sum,
    pub(crate) txn_begin: Sum,
    pub(crate) txn_send_offsets: Sum,
    pub(crate) txn_commit: Sum,
    pub(crate) txn_abort: Sum,
    /// Time in which somebody stood in line for memory, up to the last change.
    short: Sum,
    /// Since when somebody does, in ns; 0: nobody.
    short_since: AtomicU64,
    /// Records that found no room.
    exhausted: AtomicU64,
}

impl Times {
    /// The driver saw that somebody waits for memory, or nobody any more.
    pub(crate) fn short(&self, now: Time, short: bool) {
        let since = self.short_since.swap(if short { now.0.max(1) } else { 0 }, Ordering::Relaxed);
        if since > 0 {
            self.short.add(now.since(Time(since)));
        }
    }

    /// In ns, up to now.
    pub(crate) fn short_total(&self, now: Time) -> u64 {
        let since = self.short_since.load(Ordering::Relaxed);
        let running = if since > 0 { now.since(Time(since)) } else { Duration::ZERO };
        self.short.get().saturating_add(u64::try_from(running.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Records found no room.
    pub(crate) fn exhausted(&self, records: usize) {
        self.exhausted.fetch_add(records as u64, Ordering::Relaxed);
    }

    /// How many.
    pub(crate) fn exhausted_total(&self) -> u64 {
        self.exhausted.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_in_which_memory_is_short_is_summed_up_while_it_runs() {
        let times = Times::default();
        times.short(Time(100), true);
        assert_eq!(times.short_total(Time(130)), 30);
        times.short(Time(150), false);
        assert_eq!((times.short_total(Time(900)), times.exhausted_total()), (50, 0));
        times.short(Time(1000), true);
        times.short(Time(1001), true);
        times.short(Time(1010), false);
        assert_eq!(times.short_total(Time(2000)), 60);
    }
}
