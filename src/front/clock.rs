//! The clocks of the front: the driver's own, and a cheap one for the timestamps of records.

use klamm_core::Now;
use klamm_core::driver::Clock;

/// Reads the time for the front.
#[derive(Clone, Debug)]
pub(crate) struct FrontClock {
    clock: Clock,
    real: bool,
}

impl FrontClock {
    /// `real`: the clock shows the system's time. The simulator's does not, so the kernel's coarse clock is none of its.
    pub(crate) fn new(clock: Clock, real: bool) -> Self {
        Self { clock, real }
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

#[cfg(test)]
mod tests {
    use super::*;
    use klamm_core::{Time, Timestamp};
    use std::time::SystemTime;

    #[test]
    fn the_coarse_clock_shows_the_systems_time() {
        let clock =
            FrontClock::new(Clock::new(|| Now { mono: Time::ZERO, wall: Timestamp::from(SystemTime::now()) }), true);
        let (exact, coarse) = (clock.wall_millis(false), clock.wall_millis(true));
        assert!((exact - coarse).abs() < 1_000, "{exact} {coarse}");
    }

    #[test]
    fn a_virtual_clock_is_never_mixed_with_the_kernels() {
        let clock = FrontClock::new(Clock::new(|| Now { mono: Time::ZERO, wall: Timestamp(5) }), false);
        assert_eq!(clock.wall_millis(true), 5);
    }
}
