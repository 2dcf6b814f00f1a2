//! How much one answer may bring: no more than the line needs, so that the memory that it is read into stays in the
//! processor's caches.
//!
//! An answer of four megabytes is copied out of the kernel into memory that no cache holds, and read from there again:
//! that costs more than all else that reading does. So a broker is asked for a megabyte at a time, while the next answer is
//! under way. Where the way is long that would bound the rate, so a broker whose fastest answers are slow is asked for more,
//! up to what is configured.

use std::time::Duration;

/// What a broker is asked for at first, and at least.
const LEAST: u64 = 1 << 20;
/// What a partition is asked for at least, however many there are: batches that are larger come alone.
const LEAST_SHARE: u64 = 1 << 18;
/// Below this many bytes in a microsecond more at a time may be faster.
const SLOW: u64 = 800;
/// Above this many less at a time is fast enough.
const FAST: u64 = 1600;
/// Answers of which the fastest counts: what else the machine does makes any of them slow.
const ANSWERS: u32 = 4;

/// The pace of the fetches from one broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    bytes: u64,
    /// The highest rate among the answers of now, in bytes per microsecond.
    best: u64,
    answers: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { bytes: LEAST, best: 0, answers: 0 }
    }
}

impl Pace {
    /// What an answer may bring. The broker gathers at least `min` (`fetch.min.bytes`), so that is asked for in any case.
    pub(super) fn bytes(self, min: u32) -> u64 {
        self.bytes.max(u64::from(min))
    }

    /// What it may bring of one of `partitions` partitions.
    pub(super) fn share(self, min: u32, partitions: usize) -> u64 {
        (self.bytes(min) / (partitions as u64).max(1)).max(LEAST_SHARE)
    }

    /// An answer of `got` bytes came `took` after it was asked for; `asked` could have come, `most` may ever be asked for.
    pub(super) fn answered(&mut self, asked: u64, got: u64, took: Duration, most: u64) {
        // What the broker did not have says nothing about the way.
        if got < asked / 2 || got < LEAST_SHARE / 2 {
            return;
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        self.best = self.best.max(got / micros);
        self.answers += 1;
        if self.answers < ANSWERS {
            return;
        }
        let bytes = match self.best {
            best if best < SLOW => self.bytes.saturating_mul(2).min(most.max(LEAST)),
            best if best > FAST => (self.bytes / 2).max(LEAST),
            _ => self.bytes,
        };
        *self = Self { bytes, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u64 = 50 << 20;

    /// Asks `times` times over a line with this delay and rate (bytes per microsecond).
    fn over(pace: &mut Pace, times: u32, delay: Duration, rate: u64) {
        for _ in 0..times {
            let asked = pace.bytes(1);
            pace.answered(asked, asked, delay + Duration::from_micros(asked / rate), MOST);
        }
    }

    #[test]
    fn a_broker_next_door_is_asked_for_a_megabyte_at_a_time() {
        let mut pace = Pace::default();
        over(&mut pace, 100, Duration::from_micros(50), 3000);
        assert_eq!(pace.bytes(1), LEAST);
        assert_eq!((pace.share(1, 1), pace.share(1, 4), pace.share(1, 1000)), (LEAST, LEAST_SHARE, LEAST_SHARE));
    }

    #[test]
    fn one_answer_in_four_that_is_fast_is_enough() {
        let mut pace = Pace::default();
        for n in 0..100 {
            over(&mut pace, 1, Duration::from_millis(if n % 4 == 0 { 0 } else { 20 }), 2000);
        }
        assert_eq!(pace.bytes(1), LEAST);
    }

    #[test]
    fn a_long_way_is_asked_for_more_until_it_is_fast_or_at_the_limit() {
        let mut pace = Pace::default();
        over(&mut pace, 100, Duration::from_millis(1), 1200);
        assert_eq!(pace.bytes(1), 4 * LEAST);
        over(&mut pace, 100, Duration::from_millis(50), 1200);
        assert_eq!(pace.bytes(1), MOST);
        over(&mut pace, 100, Duration::ZERO, 3000);
        assert_eq!(pace.bytes(1), LEAST, "and less again where that is enough");
    }

    #[test]
    fn answers_that_bring_little_say_nothing() {
        let mut pace = Pace::default();
        for _ in 0..100 {
            pace.answered(LEAST, LEAST / 3, Duration::from_millis(500), MOST);
            pace.answered(100, 100, Duration::from_millis(500), MOST);
        }
        assert_eq!(pace, Pace::default());
    }

    #[test]
    fn what_the_broker_is_to_gather_is_asked_for() {
        assert_eq!(Pace::default().bytes(5 << 20), 5 << 20);
        assert_eq!(Pace::default().share(8 << 20, 4), 2 << 20);
    }
}
