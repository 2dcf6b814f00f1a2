//! When offsets are committed without being asked for.

use crate::Time;
use crate::config::AutoCommit;
use std::time::Duration;

/// The clock of automatic commits.
#[derive(Debug)]
pub(super) struct AutoTimer {
    interval: Option<Duration>,
    due: Option<Time>,
    pub(super) asked: bool,
}

impl AutoTimer {
    pub(super) fn new(config: AutoCommit, group: bool) -> Self {
        let interval = match config {
            AutoCommit::Polled(interval) | AutoCommit::Acked(interval) if group => Some(interval),
            _ => None,
        };
        Self { interval: interval.map(|i| i.max(Duration::from_millis(1))), due: None, asked: false }
    }

    /// Runs while there is something that could be committed.
    pub(super) fn run(&mut self, now: Time, something: bool) {
        if !something {
            self.due = None;
            self.asked = false;
        } else if self.due.is_none() && !self.asked {
            self.due = self.interval.map(|interval| now + interval);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Time) {
        self.asked |= self.due.take_if(|at| *at <= now).is_some();
    }

    /// The front's levels came: whether they were asked for.
    pub(super) fn take_asked(&mut self, now: Time) -> bool {
        let asked = std::mem::take(&mut self.asked);
        if asked {
            self.due = self.interval.map(|interval| now + interval);
        }
        asked
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.due
    }
}
