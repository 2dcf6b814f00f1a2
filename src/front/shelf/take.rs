//! Handing out: what a poll takes off the shelf. Everything happens within one call, so a poll that is given up while it
//! waits has taken nothing.

use super::chunk::{Left, Piece, Shelved, Tools, is_sticky, with_place};
use super::lane::{Lane, Ownership, Place, Reader};
use super::portion::{Asking, News, Portion, Taken};
use super::{Shelf, State, Trash};
use crate::{Error, Result};
use klamm_core::{PartitionIx, Time};
use std::task::Context;
use std::time::Duration;

/// A chunk in a reader's hands.
#[derive(Debug)]
pub(super) struct CheckedOut {
    pub(super) ix: PartitionIx,
    pub(super) tenure: u64,
    pub(super) chunk: Box<Shelved>,
}

enum Step {
    Read(CheckedOut),
    Over(Result<Taken>),
}

impl Shelf {
    /// One step of a poll; `asking` is the same in each.
    pub(crate) fn take(&self, asking: &mut Asking, tools: &mut Tools, cx: &mut Context<'_>) -> Result<Taken> {
        let mut portions = Vec::new();
        let mut left = asking.max;
        let mut read: Option<(CheckedOut, Place, Vec<Piece>, Left)> = None;
        loop {
            let step = self.with(|state, trash| {
                if !std::mem::replace(&mut asking.begun, true) {
                    if let Some(lent) = tools.lent.take() {
                        state.take_back(self, lent, trash);
                    }
                    state.begin(self, asking);
                }
                let same = match read.take() {
                    Some(read) => match state.check_in(self, asking, read, &mut left, &mut portions, trash) {
                        Ok(same) => same,
                        Err(error) => return state.over(self, asking, Err(error)),
                    },
                    None => match state.before_records(self, asking, cx) {
                        Some(result) => return state.over(self, asking, result),
                        None => None,
                    },
                };
                let single = asking.silent && asking.lane.is_none();
                let step = state.go_on(self, asking, same, &mut left, &mut portions, tools, cx, trash);
                if let (true, Step::Over(Ok(Taken::Some { portions, .. }))) = (single, &step) {
                    // Every record has to pass the interceptors.
                    let lendable = portions.last().filter(|_| self.interceptors.is_none());
                    tools.lent = lendable.and_then(|portion| state.lend(self, portion.ix));
                }
                step
            });
            match step {
                Step::Over(result) => return result,
                Step::Read(mut next) => {
                    let (from, mut pieces) = (next.chunk.position, Vec::new());
                    let stands = next.chunk.read(left, tools, &mut pieces);
                    left -= pieces.iter().map(|piece| piece.count).sum::<u32>();
                    read = Some((next, from, pieces, stands));
                }
            }
        }
    }

    /// A poll is given up.
    pub(crate) fn give_up(&self, asking: &Asking) {
        if asking.begun {
            let now = self.front.clock.now().mono;
            self.with(|state, _| {
                if let Some(waiter) = state.waiter(asking.lane) {
                    waiter.end(now);
                }
            });
        }
    }

    /// The driver looks at this shelf again no later than it says here.
    pub(crate) fn arm(&self) -> Option<Time> {
        use crate::front::sync::atomic::Ordering::SeqCst;
        loop {
            let deadline = self.deadline.load(SeqCst);
            self.armed.store(deadline, SeqCst);
            // Either a poll that begins to wait sees what is armed, or its deadline is seen here.
            if self.deadline.load(SeqCst) == deadline {
                return (deadline != u64::MAX).then_some(Time(deadline));
            }
        }
    }
}

impl State {
    pub(super) fn begin(&mut self, shelf: &Shelf, asking: &Asking) {
        match asking.lane {
            None => {
                self.main.begin();
                self.silent = asking.silent;
                self.came_back(shelf);
                self.tell_wish(shelf);
                self.apply(shelf);
            }
            Some((ix, tenure)) => {
                if let Some(lane) = self.lanes.get_mut(&ix).filter(|lane| lane.tenure == tenure) {
                    lane.came_back();
                    if let Reader::Stream(waiter) = &mut lane.reader {
                        waiter.begin();
                    }
                }
            }
        }
        if std::mem::take(&mut self.fallen) {
            self.report = true;
        }
    }

    /// What comes before any record.
    pub(super) fn before_records(
        &mut self,
        shelf: &Shelf,
        asking: &Asking,
        cx: &mut Context<'_>,
    ) -> Option<Result<Taken>> {
        if let Some((ix, tenure)) = asking.lane {
            let lane = self.lanes.get(&ix).filter(|lane| lane.tenure == tenure);
            let goes_on = lane.is_some_and(|lane| lane.ownership == Ownership::Ours);
            if let Some(error) = self.dead.as_ref().filter(|_| !self.closed) {
                return Some(Err(error.clone()));
            }
            let ending = self.closed || self.streams.as_ref().is_none_or(|streams| streams.ending);
            return (ending || !goes_on).then_some(Ok(Taken::End));
        }
        if std::mem::take(&mut self.wakeup) {
            return Some(Ok(Taken::End));
        }
        if self.closed {
            return Some(Ok(Taken::End));
        }
        if let Some(error) = &self.dead {
            return Some(Err(error.clone()));
        }
        if let Some(error) = self.errors.pop_front().or_else(|| self.watched_failure(cx)) {
            return Some(Err(error));
        }
        if !asking.silent && self.news.is_urgent(shelf.settings.assigned_first) {
            return Some(Ok(self.give(Vec::new())));
        }
        None
    }

    fn watched_failure(&mut self, cx: &mut Context<'_>) -> Option<Error> {
        let mut failure = None;
        self.watched.retain(|slot| match slot.poll(cx) {
            std::task::Poll::Ready(Ok(_)) => false,
            std::task::Poll::Ready(Err(error)) => {
                failure.get_or_insert(error);
                false
            }
            std::task::Poll::Pending => true,
        });
        failure
    }

    /// The next chunk in line.
    fn check_out(&mut self, asking: &Asking) -> Option<CheckedOut> {
        if let Some((ix, tenure)) = asking.lane {
            let lane = self.lanes.get_mut(&ix).filter(|lane| lane.tenure == tenure && lane.is_open())?;
            return lane.check_out();
        }
        loop {
            let ix = self.line.pop_front()?;
            let Some(lane) = self.lanes.get_mut(&ix) else { continue };
            lane.queued = false;
            if lane.is_ready() {
                return lane.check_out();
            }
        }
    }

    /// Takes a chunk back and counts what was read. Gives the partition's next chunk, which goes on where this one ends.
    fn check_in(
        &mut self,
        shelf: &Shelf,
        asking: &Asking,
        (CheckedOut { ix, tenure, chunk }, from, pieces, stands): (CheckedOut, Place, Vec<Piece>, Left),
        left: &mut u32,
        portions: &mut Vec<Portion>,
        trash: &mut Trash,
    ) -> Result<Option<CheckedOut>> {
        let Some(lane) = self.lanes.get_mut(&ix).filter(|lane| lane.tenure == tenure) else {
            trash.chunks.push([chunk].into());
            trash.pieces.extend(pieces);
            return Ok(None);
        };
        lane.out = false;
        if lane.stamp != chunk.origin.stamp || lane.ownership != Ownership::Ours {
            // The application sought meanwhile, or the partition goes: nothing was taken.
            trash.chunks.push([chunk].into());
            trash.pieces.extend(pieces);
            self.offer(ix, trash);
            self.release(shelf, ix);
            return Ok(None);
        }
        let place = chunk.position;
        if place != from || !pieces.is_empty() {
            self.ids += 1;
            let (holds, id) = (shelf.settings.holds && !asking.silent, self.ids);
            lane.count(portions, from, place, pieces, holds.then_some(id));
            if asking.lane.is_none() {
                self.moved.push(ix);
            }
        }
        let mut failure = None;
        match stands {
            Left::More => lane.queue.push_front(chunk),
            Left::Nothing => trash.chunks.push([chunk].into()),
            Left::Problem(error) if portions.is_empty() => {
                let stays = is_sticky(&error);
                failure = Some(with_place(error, &lane.tp.topic, lane.tp.partition));
                if stays {
                    lane.queue.push_front(chunk);
                } else {
                    trash.chunks.push([chunk].into());
                }
            }
            Left::Problem(_) => {
                // The good records in front of it are handed out first; it is met again by the next poll.
                *left = 0;
                lane.queue.push_front(chunk);
                if asking.lane.is_none() && !std::mem::replace(&mut lane.queued, true) {
                    self.line.push_front(ix);
                }
                return Ok(None);
            }
        }
        if let Some(failure) = failure {
            self.offer(ix, trash);
            return Err(failure);
        }
        if *left > 0 && lane.is_open() && (asking.lane.is_some() || lane.is_ready()) {
            return Ok(lane.check_out());
        }
        self.offer(ix, trash);
        Ok(None)
    }

    /// The next chunk to read, or the end of the poll. A single record that is verified already is taken here.
    #[expect(clippy::too_many_arguments, reason = "one step of a loop that leaves the lock in between")]
    fn go_on(
        &mut self,
        shelf: &Shelf,
        asking: &mut Asking,
        mut same: Option<CheckedOut>,
        left: &mut u32,
        portions: &mut Vec<Portion>,
        tools: &mut Tools,
        cx: &mut Context<'_>,
        trash: &mut Trash,
    ) -> Step {
        while *left > 0 {
            let Some(mut next) = same.take().or_else(|| self.check_out(asking)) else { break };
            if *left > 1 || !next.chunk.has_verified() {
                return Step::Read(next);
            }
            let (from, mut pieces) = (next.chunk.position, Vec::with_capacity(1));
            let stands = next.chunk.read(1, tools, &mut pieces);
            *left = 0;
            if let Err(error) = self.check_in(shelf, asking, (next, from, pieces, stands), left, portions, trash) {
                return self.over(shelf, asking, Err(error));
            }
        }
        self.nothing_more(shelf, asking, portions, cx)
    }

    fn nothing_more(
        &mut self,
        shelf: &Shelf,
        asking: &mut Asking,
        portions: &mut Vec<Portion>,
        cx: &mut Context<'_>,
    ) -> Step {
        if !portions.is_empty() {
            let taken = self.give(std::mem::take(portions));
            return self.over(shelf, asking, Ok(taken));
        }
        let now = shelf.front.clock.now().mono;
        let until = *asking.until.get_or_insert_with(|| now + asking.timeout);
        if until <= now {
            let taken = self.give(Vec::new());
            return self.over(shelf, asking, Ok(taken));
        }
        let until = (asking.timeout < FOREVER).then_some(until);
        if let Some(waiter) = self.waiter(asking.lane) {
            waiter.wait(cx.waker(), until);
        }
        Step::Over(Ok(Taken::Pending))
    }

    fn give(&mut self, portions: Vec<Portion>) -> Taken {
        let news = if self.silent { News::default() } else { std::mem::take(&mut self.news) };
        if !news.revoking.is_empty() {
            self.told_revocations();
        }
        Taken::Some { portions, news, group: self.group.clone() }
    }

    fn over(&mut self, shelf: &Shelf, asking: &Asking, result: Result<Taken>) -> Step {
        // Counts towards `max.poll.interval.ms`, which is minutes.
        let now = shelf.front.clock.coarse();
        if let Some(waiter) = self.waiter(asking.lane) {
            waiter.end(now);
        }
        Step::Over(result)
    }

    fn waiter(&mut self, lane: Option<(PartitionIx, u64)>) -> Option<&mut super::wait::Waiter> {
        let Some((ix, tenure)) = lane else { return Some(&mut self.main) };
        match &mut self.lanes.get_mut(&ix).filter(|lane| lane.tenure == tenure)?.reader {
            Reader::Stream(waiter) => Some(waiter),
            Reader::Main | Reader::Waiting(_) => None,
        }
    }
}

/// A longer timeout has no end: nobody would see it.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

impl Lane {
    fn check_out(&mut self) -> Option<CheckedOut> {
        if self.out {
            return None;
        }
        let chunk = self.queue.pop_front()?;
        self.out = true;
        Some(CheckedOut { ix: self.ix, tenure: self.tenure, chunk })
    }

    /// Counts records that are handed out, into the portion that the poll has of this partition already.
    fn count(&mut self, portions: &mut Vec<Portion>, from: Place, place: Place, pieces: Vec<Piece>, id: Option<u64>) {
        let from = self.delivered().unwrap_or(from);
        if let Some(acks) = &mut self.acks {
            acks.hand_out(&pieces);
            acks.skip_to(place);
        }
        let known = portions.last_mut().filter(|portion| portion.ix == self.ix && portion.stamp == self.stamp);
        match known {
            Some(portion) => {
                self.hand_out(from, place, None);
                portion.pieces.extend(pieces);
                portion.next = place;
            }
            None if pieces.is_empty() => self.hand_out(from, place, None),
            None => {
                self.hand_out(from, place, id);
                portions.push(Portion {
                    ix: self.ix,
                    tenure: self.tenure,
                    tp: self.tp.clone(),
                    stamp: self.stamp,
                    pieces,
                    next: place,
                    hold: id,
                    high_watermark: self.high_watermark,
                });
            }
        }
    }
}
