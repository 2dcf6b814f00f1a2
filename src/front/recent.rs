//! What the driver last told of its counters, and what they were a window or two ago: rates are made from the difference by
//! whoever reads them, so that counting costs no more than counting.

use klamm_core::stats::Stats;
use klamm_core::{ProducerIx, Time};
use std::collections::VecDeque;
use std::time::Duration;

/// What is counted: by the core, and how long somebody stood in line for memory of each producer, in ns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counted {
    pub(crate) stats: Stats,
    waits: Vec<(ProducerIx, u64)>,
}

impl Counted {
    /// The time in which somebody stood in line for memory of this producer, in ns.
    pub(crate) fn waited(&self, producer: ProducerIx) -> u64 {
        self.waits.iter().find(|(ix, _)| *ix == producer).map_or(0, |(_, wait)| *wait)
    }
}

/// The counters as they were published, with earlier samples of them.
#[derive(Debug)]
pub(crate) struct Recent {
    window: Duration,
    /// How many windows a rate covers, the one under way included.
    count: u32,
    /// Oldest first, a window apart; never empty.
    samples: VecDeque<(Time, Counted)>,
    current: Counted,
    /// When `current` was published: it is true until the next publication.
    at: Time,
}

impl Recent {
    pub(crate) fn new(window: Duration, count: u32, begun: Time) -> Self {
        Self {
            window: window.max(Duration::from_millis(1)),
            count: count.max(1),
            samples: VecDeque::from([(begun, Counted::default())]),
            current: Counted::default(),
            at: begun,
        }
    }

    /// Takes in the counters as they are now.
    pub(crate) fn publish(&mut self, now: Time, stats: &Stats, waits: impl Iterator<Item = (ProducerIx, u64)>) {
        self.roll(now);
        self.current.stats.clone_from(stats);
        self.current.waits.clear();
        self.current.waits.extend(waits);
        self.at = now;
    }

    /// Keeps a sample if the last is a window old. After a silence it is of its end: nothing has changed in between.
    fn roll(&mut self, now: Time) {
        let last = self.samples.back().map_or(Time::ZERO, |(at, _)| *at);
        if now.since(last) < self.window {
            return;
        }
        let at = self.at.max(now - self.window);
        if at.since(last) >= self.window {
            self.samples.push_back((at, self.current.clone()));
        }
        let covered = self.window * (self.count - 1);
        while self.samples.get(1).is_some_and(|(at, _)| now.since(*at) >= covered) {
            self.samples.pop_front();
        }
    }

    /// The counters, and those that rates count from.
    pub(crate) fn read(&mut self, now: Time) -> Reading {
        self.roll(now);
        let (from, base) = self.samples.front().cloned().unwrap_or_default();
        Reading { now, stats: self.current.stats.clone(), base, over: now.since(from) }
    }
}

/// Counters at a moment, and earlier ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    pub(crate) now: Time,
    pub(crate) stats: Stats,
    pub(crate) base: Counted,
    /// How far apart they are.
    pub(crate) over: Duration,
}

impl Reading {
    /// Per second; the first second of a client counts as a whole one.
    pub(crate) fn rate(&self, now: u64, before: u64) -> f64 {
        now.saturating_sub(before) as f64 / self.over.as_secs_f64().max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Time {
        Time::ZERO + Duration::from_secs(secs)
    }

    fn counted(n: u64) -> Stats {
        let mut stats = Stats::default();
        stats.bytes_out = n;
        stats
    }

    /// Publishes each second how much was sent: ten bytes in each of these seconds.
    fn busy(recent: &mut Recent, seconds: std::ops::RangeInclusive<u64>) {
        for second in seconds {
            recent.publish(at(second), &counted(second * 10), std::iter::empty());
        }
    }

    fn rate(recent: &mut Recent, now: u64) -> f64 {
        let reading = recent.read(at(now));
        reading.rate(reading.stats.bytes_out, reading.base.stats.bytes_out)
    }

    #[test]
    fn a_rate_is_over_one_to_two_windows_and_from_the_start_before_that() {
        let mut recent = Recent::new(Duration::from_secs(30), 2, Time::ZERO);
        busy(&mut recent, 1..=10);
        assert_eq!((rate(&mut recent, 10), recent.read(at(10)).over.as_secs()), (10.0, 10));
        busy(&mut recent, 11..=200);
        for now in 200..=240 {
            busy(&mut recent, now..=now);
            let reading = recent.read(at(now));
            assert!((30..=61).contains(&reading.over.as_secs()), "{:?}", reading.over);
            assert!((rate(&mut recent, now) - 10.0).abs() < 0.01);
        }
        assert!(recent.samples.len() <= 3);
    }

    #[test]
    fn a_silence_ends_the_rate_and_what_comes_after_it_is_not_spread_over_it() {
        let mut recent = Recent::new(Duration::from_secs(30), 2, Time::ZERO);
        busy(&mut recent, 1..=100);
        assert!(rate(&mut recent, 115) > 5.0);
        assert_eq!(rate(&mut recent, 1000), 0.0);
        recent.publish(at(1001), &counted(1310), std::iter::empty());
        let told = rate(&mut recent, 1001);
        assert!((9.0..=11.0).contains(&told), "310 bytes over one window: {told}");
    }

    #[test]
    fn one_window_is_enough() {
        let mut recent = Recent::new(Duration::from_secs(1), 1, Time::ZERO);
        busy(&mut recent, 1..=20);
        assert!(recent.read(at(20)).over <= Duration::from_secs(1));
    }
}
