//! The way of a record into its batch. In steady state: one uncontended lock, no allocation, one copy.

use super::ack::BatchAck;
use super::budget::Grant;
use super::line::{Kept, Parts, Placed, Ticket, Waiting};
use super::producer::OPEN;
use super::slot::{Slot, SlotState, told};
use super::sync::{Locked, locked};
use super::topics::TopicSlot;
use klamm_core::Error;
use klamm_core::producer::partition_for_key;
use std::sync::Arc;

/// What became of a record that was taken.
#[derive(Debug)]
pub(crate) enum Sent<R> {
    /// It is in a batch; what the caller made of its place.
    Placed(R),
    /// It waits, its place in line is fixed.
    Waiting(Arc<Ticket>),
}

/// Why a record was not taken.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// There is no room now, or others wait for it.
    Full,
    /// The topic is not known yet.
    NotReady,
    /// The producer is closed.
    Closed(Error),
    /// The record cannot be taken, or only by one who waits could it be.
    Error(Error),
}

/// Where a record goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    sticky: bool,
    /// Whether the record may wait in line.
    wait: bool,
    /// Wall time for the timestamp, if the record has none.
    wall: i64,
}

/// A batch, the index of a record in it, and how far its timestamp is from the batch's.
pub(crate) type At<'a> = (&'a Arc<BatchAck>, u32, i32);

/// Makes the handle that the caller asked for. Runs under the slot's lock: O(1), no foreign code.
pub(crate) trait Done<R>: FnMut(At<'_>) -> R {}
impl<R, F: FnMut(At<'_>) -> R> Done<R> for F {}

/// The handle of one record: a reference to its batch.
#[inline]
pub(crate) fn place((ack, index, delta): At<'_>) -> Placed {
    Placed { ack: ack.clone(), index, delta }
}

enum Put<'a, R> {
    Placed(R),
    Cold(Locked<'a, SlotState>),
}

/// The kernel's coarse clock is behind the exact one by less than this, in ms.
const LAG: i64 = 100;

/// The coarse clock lags: a record is not before its batch's own exact base for that. A base that is further ahead is one that
/// the application set.
#[inline]
fn not_before(wall: i64, base: Option<i64>) -> i64 {
    match base {
        Some(base) if base > wall && base < wall.saturating_add(LAG) => base,
        _ => wall,
    }
}

impl TopicSlot {
    /// Takes a record into the open batch of its partition, if it is of the usual kind and nothing at all stands in its way. Else
    /// nothing has changed, and [`send`](Self::send) looks into it.
    #[inline(always)]
    pub(crate) fn send_at_once<R>(&self, parts: &Parts<'_>, done: impl FnOnce(At<'_>) -> R) -> Option<R> {
        let value = parts.value?;
        let bytes = parts.key.map_or(0, <[u8]>::len) + value.len();
        let count = self.count();
        if count == 0 || !parts.headers.is_empty() || bytes >= self.at_once {
            return None;
        }
        let (number, sticky) = match (parts.partition, parts.key) {
            (Some(set), _) => (u32::try_from(set).ok().filter(|number| *number < count)?, false),
            (None, Some(key)) => (partition_for_key(key, count), false),
            (None, None) => (self.sticky(), true),
        };
        let slot = self.slot(number)?;
        let wall = match parts.timestamp {
            Some(set) => set,
            None => self.shared.front.clock.wall_millis(self.settings.coarse),
        };
        let mut state = locked(&slot.state);
        let state = &mut *state;
        if sticky && slot.sticky.current() != number {
            return None;
        }
        let shut = slot.shared.gate() != OPEN || state.dead().is_some() || !state.line.is_empty();
        if shut || state.acc.open_generation() != Some(slot.shared.generation()) {
            return None;
        }
        let ack = state.open_ack.as_ref()?;
        let timestamp = match parts.timestamp {
            Some(set) => set,
            None => not_before(wall, state.acc.base_timestamp()),
        };
        let index = state.acc.append_short(timestamp, parts.key, value, sticky)?;
        Some(done((ack, index, ack.delta(timestamp))))
    }

    /// Takes a record: into its batch, or into the line behind those that wait already.
    ///
    /// # Errors
    /// Why it cannot be taken; without `wait` also that it would have to wait.
    #[inline]
    pub(crate) fn send<R>(&self, parts: &Parts<'_>, wait: bool, mut done: impl Done<R>) -> Result<Sent<R>, Refusal> {
        if let Some(placed) = self.send_at_once(parts, &mut done) {
            return Ok(Sent::Placed(placed));
        }
        let settings = &*self.settings;
        let bytes = parts.key.map_or(0, <[u8]>::len) + parts.value.map_or(0, <[u8]>::len);
        if bytes >= self.small() || !parts.headers.is_empty() {
            self.check_size(parts)?;
        }
        let wall = if parts.timestamp.is_some() { 0 } else { self.shared.front.clock.wall_millis(settings.coarse) };
        let mut chosen = None;
        loop {
            let count = self.count();
            if count == 0 {
                match self.wait(parts, wait)? {
                    Some(ticket) => return Ok(Sent::Waiting(ticket)),
                    None => continue,
                }
            }
            let partition = match chosen {
                Some(chosen) => chosen,
                None => *chosen.insert(self.choose(parts, count).map_err(Refusal::Error)?),
            };
            let way = Way { sticky: partition.is_none(), wait, wall };
            let slot = self.slot(partition.unwrap_or_else(|| self.sticky())).ok_or(Refusal::NotReady)?;
            match slot.put(parts, way, &mut done)? {
                Some(Put::Placed(placed)) => return Ok(Sent::Placed(placed)),
                Some(Put::Cold(state)) => {
                    if let Some(sent) = slot.cold(state, parts, way, &mut done)? {
                        return Ok(sent);
                    }
                }
                None => {}
            }
        }
    }

    #[inline(never)]
    fn wait(&self, parts: &Parts<'_>, wait: bool) -> Result<Option<Arc<Ticket>>, Refusal> {
        if self.shared.gate() != OPEN {
            return Err(Refusal::Closed(self.shared.refusal()));
        }
        if let Some(partition) = parts.partition.filter(|p| *p < 0) {
            return Err(Refusal::Error(self.out_of_range(partition, self.count())));
        }
        if !wait {
            return Err(Refusal::NotReady);
        }
        self.wait_for_topic(parts)
    }

    #[inline(never)]
    fn check_size(&self, parts: &Parts<'_>) -> Result<(), Refusal> {
        let size = parts.size().saturating_add(klamm_core::record::HEADER_LEN);
        if size > self.settings.max_request_size || size > self.settings.buffer_memory {
            return Err(Refusal::Error(self.shared.too_large(&self.name, size)));
        }
        Ok(())
    }

    /// Takes records that all go to `partition`, or all to the sticky choice, under one lock as far as they fit into the
    /// open batch. Gives how many it took; the next one goes by [`send`](Self::send).
    pub(crate) fn send_run<'r, R>(
        &self,
        partition: Option<i32>,
        run: impl Iterator<Item = Parts<'r>>,
        done: &mut impl Done<R>,
    ) -> usize {
        let count = self.count();
        let number = match partition {
            None => Some(self.sticky()),
            Some(number) => u32::try_from(number).ok().filter(|n| *n < count),
        };
        let Some(slot) = number.filter(|_| count > 0).and_then(|number| self.slot(number)) else { return 0 };
        let wall = self.shared.front.clock.wall_millis(self.settings.coarse);
        let way = Way { sticky: partition.is_none(), wait: false, wall };
        let mut state = locked(&slot.state);
        if self.shared.gate() != OPEN || state.dead().is_some() {
            return 0;
        }
        let SlotState { acc, open_ack, line, .. } = &mut *state;
        let plain = self.at_once > 0 && line.is_empty() && acc.open_generation() == Some(self.shared.generation());
        let Some(ack) = open_ack.as_ref().filter(|_| plain) else {
            return run.take_while(|parts| slot.append(&mut state, parts, way, done).is_some()).count();
        };
        let wall = not_before(wall, acc.base_timestamp());
        let mut put = |parts: &Parts<'_>| {
            let timestamp = parts.timestamp.unwrap_or(wall);
            let index = acc.append_short(timestamp, parts.key, parts.value?, way.sticky)?;
            done((ack, index, ack.delta(timestamp)));
            Some(())
        };
        run.take_while(|parts| put(parts).is_some()).count()
    }
}

impl Slot {
    /// Tries the open batch. `None`: the sticky choice has moved on.
    #[inline]
    fn put<R>(
        self: &Arc<Self>,
        parts: &Parts<'_>,
        way: Way,
        done: &mut impl Done<R>,
    ) -> Result<Option<Put<'_, R>>, Refusal> {
        let mut state = locked(&self.state);
        if way.sticky && self.sticky.current() != self.number {
            return Ok(None);
        }
        if self.shared.gate() != OPEN || state.dead().is_some() {
            return Err(Refusal::Closed(self.shared.refusal()));
        }
        Ok(Some(match self.append(&mut state, parts, way, done) {
            Some(placed) => Put::Placed(placed),
            None => Put::Cold(state),
        }))
    }

    /// Appends to the open batch, if nobody waits in line before it.
    #[inline]
    fn append<R>(&self, state: &mut SlotState, parts: &Parts<'_>, way: Way, done: &mut impl Done<R>) -> Option<R> {
        // batch.size=0: a record is a batch (AK-14303).
        if !state.line.is_empty() || (self.settings.batch_size == 0 && state.acc.open_count() > 0) {
            return None;
        }
        let ack: &Arc<BatchAck> = state.open_ack.as_ref()?;
        let timestamp = parts.timestamp.unwrap_or_else(|| not_before(way.wall, state.acc.base_timestamp()));
        if !self.shared.budget.reserve() {
            return None;
        }
        let generation = self.shared.generation();
        let index = state.acc.append(generation, timestamp, parts.key, parts.value, parts.headers, way.sticky);
        let Some(index) = index else {
            self.shared.budget.leave(1);
            return None;
        };
        Some(done((ack, index, ack.delta(timestamp))))
    }

    /// Seals a full batch, or opens a new one, or puts the record in line. `None`: try again.
    #[cold]
    #[inline(never)]
    fn cold<R>(
        self: &Arc<Self>,
        mut state: Locked<'_, SlotState>,
        parts: &Parts<'_>,
        way: Way,
        done: &mut impl Done<R>,
    ) -> Result<Option<Sent<R>>, Refusal> {
        if !state.line.is_empty() || self.shared.budget.is_crowded() {
            drop(state);
            return self.queue(parts, way);
        }
        if let Some(sealed) = state.seal(self) {
            let rolled = state.acc.roll(self.settings.batch_size);
            drop(state);
            if rolled {
                self.roll();
            }
            sealed.pack_or_offload();
            return Ok(None);
        }
        // An open batch that is empty took no record, not even the one it was opened for: it is of no use.
        let empty = state.close_empty();
        self.note(&state.acc, false);
        drop(state);
        self.let_go(empty);
        let size = parts.size().saturating_add(klamm_core::record::HEADER_LEN);
        if size > self.settings.max_request_size || size > self.settings.buffer_memory {
            return Err(Refusal::Error(self.shared.too_large(&self.topic, size)));
        }
        let bytes = self.buffer_for(parts.size());
        if !self.shared.budget.take(bytes) {
            return self.queue(parts, way);
        }
        let grant = Grant::new(self.shared.clone(), bytes);
        let buffer = self.shared.pool.get(bytes);
        self.open_and_append(buffer, grant, parts, way, done)
    }

    fn open_and_append<R>(
        self: &Arc<Self>,
        buffer: Vec<u8>,
        grant: Grant,
        parts: &Parts<'_>,
        way: Way,
        done: &mut impl Done<R>,
    ) -> Result<Option<Sent<R>>, Refusal> {
        let now = self.shared.front.clock.now();
        let timestamp = parts.timestamp.unwrap_or(now.wall.0);
        let unused;
        let (result, edge) = {
            let mut state = locked(&self.state);
            if self.shared.gate() != OPEN || state.dead().is_some() {
                unused = Some((buffer, grant));
                (Err(Refusal::Closed(self.shared.refusal())), None)
            } else if !state.line.is_empty() || state.acc.is_open() {
                // Another thread was quicker.
                unused = Some((buffer, grant));
                (Ok(None), None)
            } else {
                unused = state.open(self, buffer, grant, now, timestamp, self.shared.generation()).err();
                let exact = Way { wall: timestamp, ..way };
                let placed = self.append(&mut state, parts, exact, done).map(Sent::Placed);
                (Ok(placed), state.edge(told::OPEN))
            }
        };
        if let Some((buffer, grant)) = unused {
            self.shared.pool.put(buffer);
            drop(grant);
        }
        self.tell(edge);
        result
    }

    /// Puts the record in line: it is copied, its place is fixed.
    fn queue<R>(self: &Arc<Self>, parts: &Parts<'_>, way: Way) -> Result<Option<Sent<R>>, Refusal> {
        if !way.wait {
            return Err(Refusal::Full);
        }
        let shared = &self.shared;
        let now = shared.front.clock.now();
        let record = Kept::new(parts, parts.timestamp.unwrap_or(now.wall.0));
        if !shared.budget.line(record.held()) {
            return Err(Refusal::Error(shared.line_full().with_topic(self.topic.clone())));
        }
        let deadline = now.mono + self.settings.max_block.min(self.settings.delivery_timeout);
        let (mut waiting, ticket) = Waiting::new(shared, record, now.mono, deadline);
        waiting.sticky = way.sticky;
        let held = waiting.record.held();
        self.enqueue(waiting);
        if way.sticky {
            self.sticky.line(self.number, held, &self.settings, &shared.front.clock);
        }
        Ok(Some(Sent::Waiting(ticket)))
    }
}

#[cfg(test)]
mod tests {
    use super::not_before;

    #[test]
    fn a_lagging_clock_is_lifted_to_the_base_of_the_batch_but_not_to_one_that_was_set_ahead() {
        assert_eq!(not_before(1_000, Some(1_004)), 1_004);
        assert_eq!(not_before(1_000, Some(3_600_000)), 1_000);
        assert_eq!(not_before(1_000, Some(990)), 1_000);
        assert_eq!(not_before(1_000, None), 1_000);
        assert_eq!(not_before(i64::MIN, Some(i64::MAX)), i64::MIN);
    }
}
