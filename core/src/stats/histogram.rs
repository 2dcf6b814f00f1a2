//! How long something took, as counts.

use std::time::Duration;

/// Parts of each power of two: a value is known to within an eighth.
const PARTS: u32 = 8;
const PLACES: usize = 240;

/// Counts of durations in buckets that grow with them, from 1 µs to more than half an hour; a value is known to within an
/// eighth. Plain data: adding one costs a few instructions and no memory.
#[derive(Debug)]
pub struct Histogram {
    counts: [u64; PLACES],
    /// Counts before and behind these are 0: they need not be copied.
    used: (usize, usize),
    count: u64,
    /// In microseconds.
    sum: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; PLACES], used: (PLACES, 0), count: 0, sum: 0, max: 0 }
    }
}

impl Clone for Histogram {
    fn clone(&self) -> Self {
        Self { ..*self }
    }

    /// Copies what is in use: the driver does so with all of its histograms before it sleeps.
    fn clone_from(&mut self, other: &Self) {
        let (from, to) = other.used;
        if self.used.0 < from || self.used.1 > to {
            *self = other.clone();
            return;
        }
        if let (Some(own), Some(new)) = (self.counts.get_mut(from..to), other.counts.get(from..to)) {
            own.copy_from_slice(new);
        }
        (self.used, self.count, self.sum, self.max) = (other.used, other.count, other.sum, other.max);
    }
}

impl PartialEq for Histogram {
    fn eq(&self, other: &Self) -> bool {
        (self.count, self.sum, self.max, self.counts) == (other.count, other.sum, other.max, other.counts)
    }
}

impl Eq for Histogram {}

fn place(us: u64) -> usize {
    if us < u64::from(PARTS) {
        return us as usize;
    }
    let power = us.ilog2();
    let part = (us >> (power - PARTS.ilog2())) & u64::from(PARTS - 1);
    (((power - PARTS.ilog2() + 1) * PARTS) as usize + part as usize).min(PLACES - 1)
}

/// The largest value of a place.
fn top(place: usize) -> u64 {
    let (place, parts) = (place as u64, u64::from(PARTS));
    if place < parts {
        return place;
    }
    let (power, part) = (place / parts - 1, place % parts);
    ((parts + part + 1) << power) - 1
}

impl Histogram {
    /// One more.
    pub fn add(&mut self, took: Duration) {
        self.add_value(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// One more that is no time: bytes, say.
    pub fn add_value(&mut self, us: u64) {
        let at = place(us);
        self.counts[at] += 1;
        self.used = (self.used.0.min(at), self.used.1.max(at + 1));
        self.count += 1;
        self.sum = self.sum.saturating_add(us);
        self.max = self.max.max(us);
    }

    /// Takes in another.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.used = (self.used.0.min(other.used.0), self.used.1.max(other.used.1));
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }

    /// What was added since this one was like `before`. The largest value is known to within an eighth then.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        if before.count == 0 {
            return self.clone();
        }
        let mut new = self.clone();
        for (count, old) in new.counts.iter_mut().zip(&before.counts) {
            *count = count.saturating_sub(*old);
        }
        new.count = self.count.saturating_sub(before.count);
        new.sum = self.sum.saturating_sub(before.sum);
        let largest = new.counts.iter().rposition(|count| *count > 0).map_or(0, top);
        new.max = largest.min(self.max);
        new
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean, of values that are no times; `None` without any.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }

    /// The largest, of values that are no times; `None` without any.
    pub fn max(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max)
    }

    /// Their sum, in milliseconds.
    pub fn sum_ms(&self) -> f64 {
        self.sum as f64 / 1e3
    }

    /// Their mean in milliseconds; `None` without any.
    pub fn mean_ms(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum_ms() / self.count as f64)
    }

    /// The largest in milliseconds; `None` without any.
    pub fn max_ms(&self) -> Option<f64> {
        (self.count > 0).then_some(self.max as f64 / 1e3)
    }

    /// What this share of them (0 to 1) does not exceed, in milliseconds; `None` without any.
    pub fn quantile_ms(&self, share: f64) -> Option<f64> {
        let rank = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut below = 0;
        let place = self.counts.iter().position(|count| {
            below += count;
            below >= rank
        })?;
        Some(top(place).min(self.max) as f64 / 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_a_place_that_is_an_eighth_wide_at_most() {
        let mut last = 0;
        for us in (0..100_000u64).chain([1 << 30, (1 << 31) - 1]) {
            let at = place(us);
            assert!(at >= last && at < PLACES, "{us}");
            assert!(top(at) >= us && top(at) - us <= us / 8, "{us}: {}", top(at));
            last = at;
        }
        assert_eq!(place(u64::MAX), PLACES - 1);
    }

    #[test]
    fn what_was_added_since_is_told_apart_from_what_was_there() {
        let mut histogram = Histogram::default();
        (0..50).for_each(|_| histogram.add(Duration::from_secs(9)));
        let before = histogram.clone();
        assert_eq!(histogram.since(&before).max_ms(), None);
        (1..=100).for_each(|ms| histogram.add(Duration::from_millis(ms)));
        let new = histogram.since(&before);
        assert_eq!((new.count(), new.mean_ms()), (100, Some(50.5)));
        let most = new.max_ms().unwrap();
        assert!((100.0..113.0).contains(&most), "{most}");
        assert!(new.quantile_ms(0.5).unwrap() < 57.0);
        assert_eq!(histogram.since(&Histogram::default()), histogram);
    }

    #[test]
    fn a_copy_in_place_is_like_a_new_one_whatever_was_there() {
        let of = |values: &[u64]| {
            let mut histogram = Histogram::default();
            values.iter().for_each(|us| histogram.add_value(*us));
            histogram
        };
        let all = [of(&[]), of(&[3]), of(&[900, 1_000]), of(&[0, u64::MAX]), of(&[3, 3, 900])];
        for (before, new) in all.iter().flat_map(|before| all.iter().map(move |new| (before, new))) {
            let mut copy = before.clone();
            copy.clone_from(new);
            assert_eq!(copy, *new);
            copy.add_value(7);
            assert!(copy != *new);
            copy.clone_from(new);
            assert_eq!(copy, *new);
            copy.merge(before);
            let mut both = Histogram::default();
            both.clone_from(&copy);
            assert_eq!(both, copy);
        }
    }

    #[test]
    fn quantiles_are_of_what_was_added() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.quantile_ms(0.5), histogram.mean_ms()), (None, None));
        (1..=1000).for_each(|ms| histogram.add(Duration::from_millis(ms)));
        for (share, ms) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let told = histogram.quantile_ms(share).unwrap();
            assert!(told >= ms && told <= ms * 1.13, "{share}: {told}");
        }
        assert_eq!((histogram.count(), histogram.max_ms(), histogram.mean_ms()), (1000, Some(1000.0), Some(500.5)));
        assert_eq!(histogram.quantile_ms(1.0), Some(1000.0));
    }
}
