//! Whether the application still polls: `max.poll.interval.ms` as a level (contracts B7).

use super::handover::Progress;
use crate::Time;
use std::time::Duration;

/// How often a member that was put out looks whether its application polls again, if nobody says so.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What is known of the application's polls.
#[derive(Debug)]
pub(super) struct Presence {
    interval: Duration,
    /// Nothing before this counts: the membership began then.
    since: Time,
    /// Look then.
    due: Option<Time>,
    /// Since when it has been away: out of the group until it polls.
    pub(super) away: Option<Time>,
    /// The levels are asked for.
    pub(super) asked: bool,
}

/// What a look showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Nothing,
    /// It has not polled for this long, which is too long.
    Away(Duration),
    /// It polls again.
    Back,
}

impl Presence {
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, since: Time::ZERO, due: None, away: None, asked: false }
    }

    pub(super) fn start(&mut self, now: Time) {
        if self.due.is_none() && self.away.is_none() && !self.asked {
            self.due = Some(now + self.interval);
            self.since = now;
        }
    }

    pub(super) fn stop(&mut self) {
        self.due = None;
        self.away = None;
        self.asked = false;
    }

    pub(super) fn handle_timeout(&mut self, now: Time) {
        self.asked |= self.due.take_if(|at| *at <= now).is_some();
    }

    pub(super) fn look(&mut self, now: Time, progress: &Progress) -> Seen {
        let was_asked = std::mem::take(&mut self.asked);
        if let Some(since) = self.away {
            if progress.polling || progress.last_return > since {
                self.away = None;
                self.since = now;
                self.due = Some(now + self.interval);
                return Seen::Back;
            }
            self.due = Some(now + LOOK_AGAIN);
            return Seen::Nothing;
        }
        if !was_asked && self.due.is_none() {
            return Seen::Nothing;
        }
        let last = if progress.polling { now } else { progress.last_return.max(self.since) };
        if last + self.interval <= now {
            self.away = Some(now);
            self.due = Some(now + LOOK_AGAIN);
            return Seen::Away(now.since(last));
        }
        self.due = Some(last + self.interval);
        Seen::Nothing
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn at(polling: bool, last: u64) -> Progress {
        Progress { polling, last_return: Time(last * S), ..Progress::default() }
    }

    #[test]
    fn only_the_time_between_two_polls_counts() {
        let mut p = Presence::new(Duration::from_secs(300));
        p.start(Time(0));
        p.handle_timeout(Time(300 * S));
        assert!(p.asked);
        assert_eq!(p.look(Time(300 * S), &at(true, 0)), Seen::Nothing, "it waits in a poll");
        p.handle_timeout(Time(600 * S));
        assert_eq!(p.look(Time(600 * S), &at(false, 301)), Seen::Nothing, "299 s ago");
        assert_eq!(p.poll_timeout(), Some(Time(601 * S)));
        p.handle_timeout(Time(601 * S));
        assert_eq!(p.look(Time(601 * S), &at(false, 301)), Seen::Away(Duration::from_secs(300)));
    }

    #[test]
    fn a_membership_that_has_just_begun_is_not_judged_by_polls_before_it() {
        let mut p = Presence::new(Duration::from_secs(300));
        p.start(Time(1000 * S));
        assert_eq!(p.look(Time(1005 * S), &at(false, 0)), Seen::Nothing, "levels that auto-commit asked for");
        p.handle_timeout(Time(1300 * S));
        assert!(matches!(p.look(Time(1300 * S), &at(false, 0)), Seen::Away(_)));
    }

    #[test]
    fn who_is_away_comes_back_with_the_next_poll_and_not_before() {
        let mut p = Presence::new(Duration::from_secs(300));
        p.start(Time(0));
        p.handle_timeout(Time(300 * S));
        assert!(matches!(p.look(Time(300 * S), &at(false, 0)), Seen::Away(_)));
        p.handle_timeout(Time(301 * S));
        assert_eq!(p.look(Time(301 * S), &at(false, 0)), Seen::Nothing);
        assert_eq!(p.look(Time(302 * S), &at(true, 0)), Seen::Back, "though nobody asked");
        assert_eq!(p.away, None);
    }
}
