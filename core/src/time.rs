//! Time as data: the core never reads a clock, it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on the driver's monotonic clock, in nanoseconds since an origin of its choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// The origin of the clock.
    pub const ZERO: Self = Self(0);
    /// A point that is never reached.
    pub const MAX: Self = Self(u64::MAX);

    /// The time that passed since `earlier`; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;
    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;
    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Wall-clock time as Kafka writes it: milliseconds since 1970-01-01 UTC; negative before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }
}

#[expect(clippy::disallowed_types, reason = "converts a value that the caller read; no clock is read here")]
impl From<std::time::SystemTime> for Timestamp {
    fn from(at: std::time::SystemTime) -> Self {
        let millis = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        match at.duration_since(std::time::UNIX_EPOCH) {
            Ok(after) => Self(millis(after)),
            Err(before) => Self(-millis(before.duration())),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Both clocks, read together by the driver and passed to every `handle_*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Never goes back: deadlines are measured on it.
    pub mono: Time,
    /// May jump: only stamped into records and shown to people.
    pub wall: Timestamp,
}

/// Why the core wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Why {
    /// An open batch has lingered long enough.
    Linger,
    /// A record reached its delivery deadline.
    Delivery,
    /// The request at the head of a connection is late.
    Request,
    /// A connection attempt, or the next staggered one.
    Dial,
    /// A backoff ends.
    Backoff,
    /// Metadata is too old or asked for again.
    Metadata,
    /// A group member owes its coordinator a heartbeat.
    Heartbeat,
    /// A group membership would end.
    Session,
    /// The application has not polled for too long.
    PollInterval,
    /// Auto-commit is due.
    Commit,
    /// The broker asked for a pause.
    Throttle,
    /// An idle connection, topic or producer may go.
    Idle,
    /// An operation's own deadline.
    Operation,
}

/// The next moment at which the core wants [`handle_timeout`](crate::Client::handle_timeout).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wake {
    /// When.
    pub at: Time,
    /// What is due then.
    pub why: Why,
}

impl Wake {
    /// The earlier of two optional wake-ups.
    pub fn earliest(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

/// One deadline per key, ordered by time. Every machine owns its own.
#[derive(Clone, Debug)]
pub struct Timers<K> {
    due: BTreeSet<(Time, K)>,
    at: BTreeMap<K, Time>,
}

impl<K: Ord + Copy> Default for Timers<K> {
    fn default() -> Self {
        Self { due: BTreeSet::new(), at: BTreeMap::new() }
    }
}

impl<K: Ord + Copy> Timers<K> {
    /// Sets or moves the deadline of `key`.
    pub fn set(&mut self, key: K, at: Time) {
        if let Some(before) = self.at.insert(key, at) {
            if before == at {
                return;
            }
            self.due.remove(&(before, key));
        }
        self.due.insert((at, key));
    }

    /// Forgets the deadline of `key`.
    pub fn clear(&mut self, key: K) {
        if let Some(before) = self.at.remove(&key) {
            self.due.remove(&(before, key));
        }
    }

    /// The deadline of `key`.
    pub fn get(&self, key: K) -> Option<Time> {
        self.at.get(&key).copied()
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Time> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes one key whose deadline has come.
    pub fn pop(&mut self, now: Time) -> Option<K> {
        let (at, key) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.due.remove(&(at, key));
        self.at.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_deadline_fires_once_at_its_new_time() {
        let mut timers = Timers::default();
        timers.set('a', Time(10));
        timers.set('b', Time(5));
        timers.set('a', Time(3));
        assert_eq!(timers.next(), Some(Time(3)));
        assert_eq!(timers.pop(Time(4)), Some('a'));
        assert_eq!(timers.pop(Time(4)), None);
        assert_eq!(timers.pop(Time(9)), Some('b'));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_timestamp_before_1970_is_negative() {
        let at = std::time::UNIX_EPOCH - Duration::from_millis(1500);
        assert_eq!(Timestamp::from(at), Timestamp(-1500));
    }
}
