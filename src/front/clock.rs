//! The clocks of the front: the driver's own, and a cheap one for the timestamps of records.

use klamm_core::driver::Clock;
use klamm_core::{Now, Time};

/// Reads the time for the front.
#[derive(Clone, Debug)]
pub(crate) struct FrontClock {
    clock: Clock,
    real: bool,
    /// What the kernel's coarse clock is behind `clock`, in ns.
    #[cfg(target_os = "linux")]
    behind: i64,
}

impl FrontClock {
    /// `real`: the clock shows the system's time. The simulator's does not, so the kernel's coarse clock is none of its.
    pub(crate) fn new(clock: Clock, real: bool) -> Self {
        Self {
            #[cfg(target_os = "linux")]
            behind: if real { (clock.now().mono.0 as i64).saturating_sub(coarse_nanos()) } else { 0 },
            clock,
            real,
        }
    }

    /// The monotonic clock as of the kernel's last tick: at most a few milliseconds ago, for a tenth of the cost.
    #[inline]
    pub(crate) fn coarse(&self) -> Time {
        #[cfg(target_os = "linux")]
        if self.real {
            return Time(u64::try_from(coarse_nanos().saturating_add(self.behind)).unwrap_or(0));
        }
        self.clock.now().mono
    }

    /// Both clocks, really read (contracts A19).
    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    /// Wall time for a record's timestamp, in ms. With `coarse`, on Linux, a kernel clock that moves every few
    /// milliseconds and costs a tenth: the caller takes the maximum with the exact base of the batch.
    #[inline]
    pub(crate) fn wall_millis(&self, coarse: bool) -> i64 {
        #[cfg(target_os = "linux")]
        if coarse && self.real {
            let at = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
            return at.tv_sec * 1000 + at.tv_nsec / 1_000_000;
        }
        let _ = coarse;
        self.clock.now().wall.0
    }
}

#[cfg(target_os = "linux")]
#[inline]
fn coarse_nanos() -> i64 {
    let at = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    at.tv_sec * 1_000_000_000 + at.tv_nsec
}

#[cfg(test)]
mod tests {
    use super::*;
    use klamm_core::Timestamp;
    use std::time::SystemTime;

    #[test]
    fn the_coarse_clock_shows_the_systems_time() {
        let clock =
            FrontClock::new(Clock::new(|| Now { mono: Time::ZERO, wall: Timestamp::from(SystemTime::now()) }), true);
        let (exact, coarse) = (clock.wall_millis(false), clock.wall_millis(true));
        assert!((exact - coarse).abs() < 1_000, "{exact} {coarse}");
    }

    #[test]
    fn the_coarse_monotonic_clock_keeps_within_a_few_ticks_of_the_exact_one() {
        let begin = std::time::Instant::now();
        let mono = move || Time(u64::try_from(begin.elapsed().as_nanos()).unwrap());
        let clock = FrontClock::new(Clock::new(move || Now { mono: mono(), wall: Timestamp(0) }), true);
        std::thread::sleep(std::time::Duration::from_millis(30));
        let (coarse, exact) = (clock.coarse(), clock.now().mono);
        assert!(coarse.0.abs_diff(exact.0) < 1_000_000_000 && coarse > Time::ZERO, "{coarse:?} {exact:?}");
    }

    #[test]
    fn a_virtual_clock_is_never_mixed_with_the_kernels() {
        let clock = FrontClock::new(Clock::new(|| Now { mono: Time::ZERO, wall: Timestamp(5) }), false);
        assert_eq!(clock.wall_millis(true), 5);
    }
}
