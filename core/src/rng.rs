//! Seeded randomness: the same seed gives the same run.

use std::time::Duration;

/// The client's only source of randomness.
#[derive(Clone, Debug)]
pub struct Rng(fastrand::Rng);

impl Rng {
    /// A generator that always yields the same values for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// An independent generator, for a part that must not disturb the others' draws.
    pub fn fork(&mut self) -> Self {
        Self(self.0.fork())
    }

    /// A number below `end`; 0 if `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.0.u64(..end) }
    }

    /// Any number.
    pub fn u64(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// `base` changed by up to 20 % either way (KIP-580), so that many clients do not retry in step.
    pub fn jitter(&mut self, base: Duration) -> Duration {
        base.mul_f64(0.8 + 0.4 * self.0.f64())
    }

    /// Exponential backoff with jitter (KIP-580): `first`, doubled per earlier `attempt`, at most `max`.
    pub fn backoff(&mut self, first: Duration, max: Duration, attempt: u32) -> Duration {
        let grown = first.saturating_mul(1u32.checked_shl(attempt.min(30)).unwrap_or(u32::MAX));
        self.jitter(grown.min(max)).min(max.max(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_numbers() {
        let (mut a, mut b) = (Rng::new(7), Rng::new(7));
        for _ in 0..100 {
            assert_eq!(a.u64(), b.u64());
        }
    }

    #[test]
    fn backoff_doubles_and_stays_within_its_bounds() {
        let mut rng = Rng::new(1);
        let (first, max) = (Duration::from_millis(100), Duration::from_secs(1));
        for attempt in 0..40 {
            let wait = rng.backoff(first, max, attempt);
            assert!(wait >= Duration::from_millis(80) && wait <= max, "{attempt}: {wait:?}");
        }
        assert!(rng.backoff(first, max, 0) <= Duration::from_millis(120));
        assert!(rng.backoff(first, max, 9) >= Duration::from_millis(800));
    }
}
