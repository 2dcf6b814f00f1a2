//! When a member says that it is alive, and when it must take itself for dead.

use crate::Time;
use std::time::Duration;

/// The heartbeats of one membership.
#[derive(Debug)]
pub(super) struct Heartbeat {
    interval: Duration,
    session: Duration,
    due: Option<Time>,
    wanted: bool,
    sent: Option<(u64, Time)>,
    /// When the last heartbeat was sent that was answered: the coordinator counts from no earlier moment.
    alive: Option<Time>,
}

impl Heartbeat {
    pub(super) fn new(interval: Duration, session: Duration) -> Self {
        Self { interval, session, due: None, wanted: false, sent: None, alive: None }
    }

    /// The coordinator has just answered: a session begins.
    pub(super) fn start(&mut self, now: Time) {
        self.alive = Some(now);
        self.due = Some(now + self.interval);
        self.wanted = false;
        self.sent = None;
    }

    /// None for a while: a parked join is a sign of life.
    pub(super) fn pause(&mut self) {
        self.due = None;
        self.wanted = false;
        self.sent = None;
        self.alive = None;
    }

    pub(super) fn stop(&mut self) {
        self.pause();
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.wanted && self.sent.is_none()
    }

    pub(super) fn sent(&mut self, now: Time, token: u64) {
        self.sent = Some((token, now));
        self.wanted = false;
        self.due = None;
    }

    /// False if nobody waits for this answer any more.
    pub(super) fn answered(&mut self, now: Time, token: u64, alive: bool, backoff: Duration) -> bool {
        let Some((_, at)) = self.sent.take_if(|(sent, _)| *sent == token) else { return false };
        if alive {
            self.alive = Some(at);
            self.due = Some((at + self.interval).max(now));
        } else {
            self.due = Some(now + backoff.min(self.interval));
        }
        true
    }

    pub(super) fn handle_timeout(&mut self, now: Time) {
        if self.due.take_if(|at| *at <= now).is_some() {
            self.wanted = true;
        }
    }

    /// Whether the coordinator has given this member up by now.
    pub(super) fn is_over(&self, now: Time) -> bool {
        self.alive.is_some_and(|at| at + self.session <= now)
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        [self.due, self.alive.map(|at| at + self.session)].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn the_session_counts_from_the_sending_of_the_last_heartbeat_that_was_answered() {
        let mut h = Heartbeat::new(Duration::from_secs(3), Duration::from_secs(10));
        h.start(Time(0));
        h.handle_timeout(Time(3 * S));
        assert!(h.is_wanted());
        h.sent(Time(3 * S), 1);
        assert!(!h.is_wanted(), "one at a time");
        assert!(h.answered(Time(8 * S), 1, true, Duration::ZERO));
        assert!(!h.is_over(Time(13 * S - 1)));
        assert!(h.is_over(Time(13 * S)));
    }

    #[test]
    fn a_lost_heartbeat_is_sent_again_but_does_not_prolong_the_session() {
        let mut h = Heartbeat::new(Duration::from_secs(3), Duration::from_secs(10));
        h.start(Time(0));
        h.handle_timeout(Time(3 * S));
        h.sent(Time(3 * S), 1);
        assert!(h.answered(Time(4 * S), 1, false, Duration::from_millis(100)));
        assert_eq!(h.poll_timeout(), Some(Time(4 * S + S / 10)));
        assert!(h.is_over(Time(10 * S)));
        assert!(!h.answered(Time(5 * S), 1, true, Duration::ZERO), "an old answer");
    }

    #[test]
    fn a_paused_member_neither_speaks_nor_dies() {
        let mut h = Heartbeat::new(Duration::from_secs(3), Duration::from_secs(10));
        h.start(Time(0));
        h.pause();
        assert_eq!(h.poll_timeout(), None);
        assert!(!h.is_over(Time(1000 * S)));
    }
}
