//! How well a topic's batches compress, so that they are filled to `batch.size` as sent (Java's `CompressionRatioEstimator`).

/// How fast the estimate falls when a batch compresses better.
const BETTER: f32 = 0.005;

/// How fast it rises at least when one compresses worse.
const WORSE: f32 = 0.05;

/// Java fills a batch a little less than the estimate allows (`COMPRESSION_RATE_ESTIMATION_FACTOR`).
const CAUTION: f32 = 1.05;

/// The estimate for one topic and codec: compressed bytes for each plain one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio(f32);

impl Default for Ratio {
    fn default() -> Self {
        Self(1.0)
    }
}

impl Ratio {
    /// The estimate after a batch of `plain` bytes became `packed` ones: it falls slowly and rises at once.
    #[must_use]
    pub fn observed(self, plain: usize, packed: usize) -> Self {
        if plain == 0 {
            return self;
        }
        let seen = packed as f32 / plain as f32;
        Self(if seen > self.0 { seen.max(self.0 + WORSE) } else { seen.max(self.0 - BETTER) })
    }

    /// How many plain bytes become `bytes` by this estimate; never fewer than `bytes`.
    pub fn plain(self, bytes: usize) -> usize {
        ((bytes as f32 / (self.0 * CAUTION)) as usize).max(bytes)
    }

    /// As a number that fits an atomic.
    pub fn to_bits(self) -> u32 {
        self.0.to_bits()
    }

    /// The estimate with these bits; what is no sensible ratio is none.
    pub fn from_bits(bits: u32) -> Self {
        let ratio = f32::from_bits(bits);
        if ratio.is_finite() && ratio > 0.0 { Self(ratio) } else { Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_falls_by_small_steps_and_rises_at_once_as_javas_does() {
        // CompressionRatioEstimatorTest.testUpdateEstimation: each row by Java's arithmetic.
        for (current, seen, next) in
            [(0.8, 0.84, 0.85), (0.6, 0.7, 0.7), (0.6, 0.4, 0.595), (0.004, 0.001, 0.001), (0.5, 0.5, 0.5)]
        {
            let got = Ratio(current).observed(100_000, (seen * 100_000.0) as usize).0;
            assert!((got - next).abs() < 1e-4, "{current} {seen}: {got}");
        }
    }

    #[test]
    fn a_batch_takes_as_many_plain_bytes_as_fill_it_and_never_fewer_than_its_size() {
        assert_eq!(Ratio::default().plain(16_384), 16_384);
        assert_eq!(Ratio(2.0).plain(16_384), 16_384);
        assert_eq!(Ratio(0.5).plain(1050), 2000);
        assert_eq!(Ratio::from_bits(Ratio(0.25).to_bits()), Ratio(0.25));
        for bits in [f32::NAN.to_bits(), 0, f32::INFINITY.to_bits(), (-1.0f32).to_bits()] {
            assert_eq!(Ratio::from_bits(bits), Ratio::default());
        }
        assert_eq!(Ratio::default().observed(0, 0), Ratio::default());
    }
}
