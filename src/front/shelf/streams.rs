//! One reader per partition: partitions that wait for one, that have one, and the end of all.

use super::lane::{Lane, Ownership, Reader};
use super::portion::Asking;
use super::wait::Waiter;
use super::{Shelf, State};
use crate::Result;
use crate::front::inbox::Input;
use crate::front::op::OpSetter;
use klamm_core::client::{CloseConsumer, SeekTo, TopicPartition};
use klamm_core::{PartitionIx, Time};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Context;

/// A close that waits for streams.
#[derive(Debug)]
pub(super) struct Closing {
    setter: Option<OpSetter>,
    how: CloseConsumer,
    /// Who is not gone by then is not waited for.
    streams: Time,
    deadline: Time,
}

/// The streams of a consumer that gives its partitions out one by one.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// Streams end.
    pub(super) ending: bool,
    alive: usize,
    closing: Option<Closing>,
}

impl Streams {
    pub(super) fn deadline(&self, lanes: &BTreeMap<PartitionIx, Lane>) -> Option<Time> {
        let until = |lane: &Lane| match &lane.reader {
            Reader::Stream(waiter) => waiter.until,
            Reader::Main | Reader::Waiting(_) => None,
        };
        let closing = self.closing.as_ref().map(|closing| closing.streams);
        lanes.values().filter_map(until).chain(closing).min()
    }

    pub(super) fn overdue(&mut self, now: Time) -> Option<Closing> {
        self.closing.take_if(|closing| closing.streams <= now)
    }
}

/// A partition for a new stream.
pub(crate) type Given = (PartitionIx, u64, Arc<TopicPartition>);

impl Shelf {
    /// From now on each partition has a reader of its own.
    pub(crate) fn split(&self) {
        self.with(|state, trash| {
            state.silent = true;
            state.came_back(self);
            state.streams = Some(Streams::default());
            state.line.clear();
            for lane in state.lanes.values_mut() {
                lane.queued = false;
                lane.reader = Reader::Waiting(Time::ZERO);
            }
            state.apply(self);
            trash.wakers.extend(state.main.wake());
        });
    }

    /// The next partition without a reader; `Ok(None)` inside: woken up, or closed.
    pub(crate) fn next_stream(&self, asking: &mut Asking, cx: &mut Context<'_>) -> Option<Result<Option<Given>>> {
        self.with(|state, _| {
            if !std::mem::replace(&mut asking.begun, true) {
                state.begin(self, asking);
            }
            let now = self.front.clock.now().mono;
            let found = match state.before_records(self, asking, cx) {
                Some(Ok(_)) => Some(Ok(None)),
                Some(Err(error)) => Some(Err(error)),
                None => state.give_out(now).map(|given| Ok(Some(given))),
            };
            if found.is_some() {
                state.main.end(now);
                return found;
            }
            let due = |lane: &Lane| match lane.reader {
                Reader::Waiting(at) if at > now && lane.ownership == Ownership::Ours => Some(at),
                _ => None,
            };
            let until = state.lanes.values().filter_map(due).min();
            state.main.wait(cx.waker(), until);
            None
        })
    }

    /// A stream is gone. Its partition is given out again, unless it goes.
    pub(crate) fn stream_gone(&self, ix: PartitionIx, tenure: u64) {
        let now = self.front.clock.now().mono;
        let closing = self.with(|state, trash| {
            let streams = state.streams.as_mut()?;
            streams.alive -= 1;
            let closing = if streams.alive == 0 { streams.closing.take() } else { None };
            let ending = streams.ending;
            let commits = self.settings.commits;
            let Some(lane) = state.lanes.get_mut(&ix).filter(|lane| lane.tenure == tenure) else { return closing };
            lane.reader = Reader::Waiting(now + self.config.retry_backoff);
            lane.came_back();
            if lane.ownership == Ownership::Ours && !ending {
                // Another worker begins where this one is known to have been.
                let to = match lane.done() {
                    Some((offset, leader_epoch)) if commits => SeekTo::Offset { offset, leader_epoch },
                    _ => SeekTo::Committed,
                };
                let tp = lane.tp.clone();
                state.seek(self, &tp, to, trash);
                trash.wakers.extend(state.main.wake());
            }
            state.release(self, ix);
            closing
        });
        if let Some(closing) = closing {
            self.push_close(closing);
        }
    }

    /// Ends the streams, then the consumer; `setter` is answered at its end.
    pub(crate) fn close_streams(&self, setter: Option<OpSetter>, how: CloseConsumer, streams: Time, deadline: Time) {
        let closing = Closing { setter, how, streams, deadline };
        let closing = self.with(|state, trash| {
            let Some(all) = &mut state.streams else { return Some(closing) };
            all.ending = true;
            let now = if all.alive == 0 {
                Some(closing)
            } else {
                all.closing = Some(closing);
                None
            };
            state.wake_all(trash);
            now
        });
        if let Some(closing) = closing {
            self.push_close(closing);
        }
    }

    /// A close has less time.
    pub(crate) fn hurry(&self, at: Time) {
        // A refusal means that the driver is gone: then it is closed.
        let _ = self.front.push(Input::HurryConsumer(self.ix, at));
    }

    /// The streams of a close have less time.
    pub(crate) fn hurry_streams(&self, at: Time) {
        let waits = self.with(|state, _| {
            let closing = state.streams.as_mut().and_then(|streams| streams.closing.as_mut());
            closing.map(|closing| {
                closing.streams = closing.streams.min(at);
                closing.deadline = closing.deadline.min(at);
            })
        });
        if waits.is_none() {
            self.hurry(at);
        }
    }

    pub(super) fn push_close(&self, closing: Closing) {
        self.close();
        // A refusal answers the setter: then the driver is gone.
        let _ = self.front.push(Input::CloseConsumer(self.ix, closing.setter, closing.how, closing.deadline));
    }
}

impl State {
    fn give_out(&mut self, now: Time) -> Option<Given> {
        let free = |lane: &&mut Lane| {
            lane.ownership == Ownership::Ours && matches!(lane.reader, Reader::Waiting(at) if at <= now)
        };
        let streams = self.streams.as_mut().filter(|streams| !streams.ending)?;
        let lane = self.lanes.values_mut().find(free)?;
        lane.reader = Reader::Stream(Waiter::since(now));
        streams.alive += 1;
        Some((lane.ix, lane.tenure, lane.tp.clone()))
    }
}
