//! The way of a record into its batch. In steady state: one uncontended lock, no allocation, one copy.

use super::ack::BatchAck;
use super::budget::Grant;
use super::line::{Kept, Parts, Placed, Ticket, Waiting};
use super::locked;
use super::producer::OPEN;
use super::slot::{Slot, SlotState, told};
use super::topics::TopicSlot;
use klamm_core::Error;
use std::sync::{Arc, MutexGuard};

/// What became of a record that was taken.
#[derive(Debug)]
pub(crate) enum Sent {
    /// It is in a batch.
    Placed(Placed),
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

enum Put<'a> {
    Placed(u32, Placed),
    Cold(MutexGuard<'a, SlotState>),
}

impl TopicSlot {
    /// Takes a record: into its batch, or into the line behind those that wait already.
    ///
    /// # Errors
    /// Why it cannot be taken; without `wait` also that it would have to wait.
    #[inline]
    pub(crate) fn send(&self, parts: &Parts<'_>, wait: bool) -> Result<Sent, Refusal> {
        let settings = &*self.settings;
        let bytes = parts.key.map_or(0, <[u8]>::len) + parts.value.map_or(0, <[u8]>::len);
        if bytes > settings.max_request_size.min(settings.buffer_memory) >> 1 || !parts.headers.is_empty() {
            self.check_size(parts)?;
        }
        let wall = if parts.timestamp.is_some() { 0 } else { self.shared.front.clock.wall_millis(settings.coarse) };
        let mut chosen = None;
        loop {
            let count = self.count();
            if count == 0 {
                match self.wait(parts, wait)? {
                    Some(sent) => return Ok(sent),
                    None => continue,
                }
            }
            let partition = match chosen {
                Some(chosen) => chosen,
                None => *chosen.insert(self.choose(parts, count).map_err(Refusal::Error)?),
            };
            let way = Way { sticky: partition.is_none(), wait, wall };
            let slot = self.slot(partition.unwrap_or_else(|| self.sticky())).ok_or(Refusal::NotReady)?;
            match slot.put(parts, way)? {
                Some(Put::Placed(_, placed)) => return Ok(Sent::Placed(placed)),
                Some(Put::Cold(state)) => {
                    if let Some(sent) = slot.cold(state, parts, way)? {
                        return Ok(sent);
                    }
                }
                None => {}
            }
        }
    }

    #[inline(never)]
    fn wait(&self, parts: &Parts<'_>, wait: bool) -> Result<Option<Sent>, Refusal> {
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

    /// Takes records that go to one partition, in order, under one lock as far as they fit. Gives how many it took.
    ///
    /// # Errors
    /// As [`send`](Self::send), for the first record that was not taken.
    pub(crate) fn send_run<'r>(
        &self,
        run: &mut dyn Iterator<Item = Parts<'r>>,
        placed: &mut dyn FnMut(Placed),
    ) -> usize {
        let count = self.count();
        let mut taken = 0;
        if count == 0 || self.shared.gate() != OPEN {
            return 0;
        }
        let wall = self.shared.front.clock.wall_millis(self.settings.coarse);
        let sticky = self.sticky();
        let Some(slot) = self.slot(sticky) else { return 0 };
        let mut state = locked(&slot.state);
        for parts in run {
            let way = Way { sticky: true, wait: false, wall };
            match slot.append(&mut state, &parts, way) {
                Some((_, at)) => {
                    placed(at);
                    taken += 1;
                }
                None => break,
            }
        }
        taken
    }
}

impl Slot {
    /// Tries the open batch. `None`: the sticky choice has moved on.
    #[inline]
    fn put(self: &Arc<Self>, parts: &Parts<'_>, way: Way) -> Result<Option<Put<'_>>, Refusal> {
        let mut state = locked(&self.state);
        if way.sticky && self.sticky.current() != self.number {
            return Ok(None);
        }
        if self.shared.gate() != OPEN || state.dead().is_some() {
            return Err(Refusal::Closed(self.shared.refusal()));
        }
        Ok(Some(match self.append(&mut state, parts, way) {
            Some((index, placed)) => Put::Placed(index, placed),
            None => Put::Cold(state),
        }))
    }

    /// Appends to the open batch, if nobody waits in line before it.
    #[inline]
    fn append(&self, state: &mut SlotState, parts: &Parts<'_>, way: Way) -> Option<(u32, Placed)> {
        if !state.line.is_empty() {
            return None;
        }
        let ack: &Arc<BatchAck> = state.open_ack.as_ref()?;
        // The coarse clock lags: it is never before the batch's own exact base.
        let timestamp = parts.timestamp.unwrap_or_else(|| way.wall.max(state.acc.base_timestamp().unwrap_or(i64::MIN)));
        let index = state.acc.append(0, timestamp, parts.key, parts.value, parts.headers, way.sticky)?;
        Some((index, Placed { delta: ack.delta(timestamp), ack: ack.clone(), index }))
    }

    /// Seals a full batch, or opens a new one, or puts the record in line. `None`: try again.
    #[cold]
    #[inline(never)]
    fn cold(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, SlotState>,
        parts: &Parts<'_>,
        way: Way,
    ) -> Result<Option<Sent>, Refusal> {
        if !state.line.is_empty() {
            drop(state);
            return self.queue(parts, way);
        }
        if let Some(sealed) = state.seal(self) {
            let rolled = state.acc.roll(self.settings.batch_size);
            drop(state);
            if rolled {
                self.sticky.roll(self.number);
            }
            sealed.pack_or_offload();
            return Ok(None);
        }
        // An open batch that is empty took no record, not even the one it was opened for: it is of no use.
        let (empty, grant) = (state.acc.close_empty(), state.open_grant.take());
        drop(state);
        if let Some(empty) = empty {
            self.shared.pool.put(empty.into_parts().0);
        }
        drop(grant);
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
        self.open_and_append(buffer, grant, parts, way)
    }

    fn open_and_append(
        self: &Arc<Self>,
        buffer: Vec<u8>,
        grant: Grant,
        parts: &Parts<'_>,
        way: Way,
    ) -> Result<Option<Sent>, Refusal> {
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
                unused = state.open(self, buffer, grant, now, timestamp).err();
                let exact = Way { wall: timestamp, ..way };
                let placed = self.append(&mut state, parts, exact).map(|(_, placed)| Sent::Placed(placed));
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
    fn queue(self: &Arc<Self>, parts: &Parts<'_>, way: Way) -> Result<Option<Sent>, Refusal> {
        if !way.wait {
            return Err(Refusal::Full);
        }
        let shared = &self.shared;
        let now = shared.front.clock.now();
        let record = Kept::new(parts, parts.timestamp.unwrap_or(now.wall.0));
        if !shared.budget.line(record.held()) {
            return Err(Refusal::Error(shared.line_full()));
        }
        let deadline = now.mono + self.settings.max_block.min(self.settings.delivery_timeout);
        let (mut waiting, ticket) = Waiting::new(shared, &self.topic, record, now.mono, deadline);
        waiting.sticky = way.sticky;
        self.enqueue(waiting);
        Ok(Some(Sent::Waiting(ticket)))
    }
}
