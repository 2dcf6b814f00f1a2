//! How a consumer stands: levels for the core, facts for people.

use super::lane::{Lane, Ownership, Reader};
use super::{Shelf, State};
use crate::front::sync::atomic::Ordering;
use klamm_core::client::{GroupMeta, TopicPartition};
use klamm_core::consumer::{Freed, Progress};
use klamm_core::{Now, Time};
use std::task::Waker;

/// How one partition stands.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) tp: TopicPartition,
    pub(crate) position: Option<i64>,
    pub(crate) lag: Option<i64>,
    pub(crate) buffered: u64,
    pub(crate) paused: bool,
    pub(crate) revoking: bool,
    pub(crate) released: bool,
    pub(crate) seeking: bool,
    pub(crate) batches: usize,
    pub(crate) unseen: bool,
}

impl Shelf {
    /// Whether the driver was told to look here since the last time.
    pub(crate) fn take_dirty(&self) -> bool {
        self.dirty.swap(false, Ordering::AcqRel)
    }

    /// What the application asked for since the last time, and whether the core is to hear the levels unasked.
    pub(crate) fn take_outgoing(&self, into: &mut Vec<super::Outgoing>) -> bool {
        debug_assert!(into.is_empty());
        let mut state = super::locked(&self.state);
        std::mem::swap(&mut state.outgoing, into);
        std::mem::take(&mut state.report)
    }

    /// The memory that came home since the last time.
    pub(crate) fn take_freed(&self, into: &mut Vec<Freed>) {
        self.home.swap(into);
    }

    /// The levels.
    pub(crate) fn progress(&self) -> Progress {
        let state = super::locked(&self.state);
        let (polling, last_return) = state.presence(Time(self.handed.load(Ordering::Relaxed)));
        let mut progress = Progress { polling, last_return, ..Progress::default() };
        for lane in state.lanes.values() {
            let cursor =
                |place: Option<super::Place>| place.map(|(offset, epoch)| (lane.ix, lane.stamp, offset, epoch));
            progress.done.extend(cursor(lane.done()));
            progress.delivered.extend(cursor(lane.delivered()));
        }
        progress
    }

    /// Wakes the polls whose time is over.
    pub(crate) fn expire(&self, now: Now, wakers: &mut Vec<Waker>) {
        if self.deadline.load(Ordering::Acquire) > now.mono.0 {
            return;
        }
        let closing = {
            let mut state = super::locked(&self.state);
            let over = |until: Option<Time>| until.is_some_and(|until| until <= now.mono);
            if over(state.main.until) {
                state.main.until = None;
                wakers.extend(state.main.wake());
            }
            for lane in state.lanes.values_mut() {
                if let Reader::Stream(waiter) = &mut lane.reader {
                    if over(waiter.until) {
                        waiter.until = None;
                        wakers.extend(waiter.wake());
                    }
                }
            }
            let closing = state.streams.as_mut().and_then(|streams| streams.overdue(now.mono));
            self.deadline.store(state.deadline(), Ordering::Release);
            closing
        };
        if let Some(closing) = closing {
            self.push_close(closing);
        }
    }

    /// How many records a partition is behind.
    pub(crate) fn lag(&self, tp: &TopicPartition) -> Option<i64> {
        self.with(|state, _| state.lane_of(tp)?.lag(self.settings.committed_only))
    }

    /// The membership as of the last assignment.
    pub(crate) fn group(&self) -> GroupMeta {
        self.with(|state, _| state.group.clone())
    }

    /// How all partitions stand.
    pub(crate) fn report(&self) -> Vec<Report> {
        self.with(|state, _| {
            let unseen = state.unapplied.is_some();
            let one = |lane: &Lane| Report {
                tp: (*lane.tp).clone(),
                position: lane.delivered().map(|(offset, _)| offset),
                lag: lane.lag(self.settings.committed_only),
                buffered: lane.buffered(),
                paused: lane.paused,
                revoking: matches!(lane.ownership, Ownership::Revoking { .. }),
                released: matches!(lane.ownership, Ownership::Revoking { released: true, .. }),
                seeking: lane.seeking.is_some(),
                batches: lane.held(),
                unseen,
            };
            state.lanes.values().filter(|lane| lane.is_assigned()).map(one).collect()
        })
    }
}

impl State {
    /// Whether the application is there, and since when it is away.
    fn presence(&self, handed: Time) -> (bool, Time) {
        let last_return = self.main.last_return.max(handed);
        if self.streams.is_none() {
            return (self.main.polling, last_return);
        }
        let away = |lane: &Lane| match &lane.reader {
            Reader::Stream(waiter) if !waiter.polling && (lane.has_data() || lane.held() > 0) => {
                Some(waiter.last_return)
            }
            _ => None,
        };
        match self.lanes.values().filter_map(away).min() {
            Some(since) => (false, since),
            None => (true, last_return),
        }
    }
}
