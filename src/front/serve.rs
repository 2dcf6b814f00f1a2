//! The line of one partition: records that wait for memory, placed by the driver in the order of their calls.

use super::ack::Wakers;
use super::budget::Grant;
use super::line::{Placed, Waiting};
use super::locked;
use super::pack::Sealed as ToPack;
use super::slot::{Empty, Slot, SlotState, told, wake};
use klamm_core::{ErrorKind, Now, Time};
use std::sync::Arc;

impl Slot {
    /// Puts a record at the end of the line; the driver will place it.
    pub(crate) fn enqueue(self: &Arc<Self>, waiting: Waiting) {
        let deadline = waiting.deadline;
        let (edge, join, dead) = {
            let mut state = locked(&self.state);
            match state.dead.clone() {
                Some(error) => (None, false, Some((waiting, error))),
                None => {
                    state.line.push_back(waiting);
                    (state.edge(told::LINE), !std::mem::replace(&mut state.in_budget_line, true), None)
                }
            }
        };
        if let Some((waiting, error)) = dead {
            let mut wakers = Wakers::new();
            waiting.fail(error, &mut wakers);
            wake(wakers);
            return;
        }
        if join {
            self.shared.budget.wait(self.clone());
            self.shared.forget_if_dead();
        }
        self.shared.deadline_at(deadline);
        self.tell(edge);
        self.shared.front.signal.notify();
    }

    /// Places records of the line as far as memory goes; true when the line is empty. Called by the driver, for the slot
    /// that stands first in the budget's line. Sealed batches on the way are packed by `pack`.
    pub(crate) fn serve(self: &Arc<Self>, now: Now, wakers: &mut Wakers, pack: &mut dyn FnMut(ToPack)) -> bool {
        loop {
            let (mut sealed, mut need) = (None, None);
            let (empty, crowded);
            let edge = {
                let mut state = locked(&self.state);
                self.place_line(&mut state, wakers);
                crowded = !state.line.is_empty() && self.shared.budget.is_crowded();
                let other = state.line.front().is_none_or(|head| Some(head.generation) != state.acc.open_generation());
                empty = if other { state.close_empty() } else { Empty::default() };
                if crowded {
                    // Outcomes make room, and what is open goes at once while somebody waits.
                } else if let Some(head) = state.line.front() {
                    if state.acc.open_count() > 0 {
                        sealed = state.seal(self);
                    } else {
                        let first = head.record.with(|parts| (parts.size(), parts.timestamp));
                        need = Some((self.buffer_for(first.0), first.1.unwrap_or(now.wall.0), head.generation));
                    }
                } else {
                    state.in_budget_line = false;
                }
                if state.acc.open_count() > 0 { state.edge(told::OPEN) } else { None }
            };
            self.let_go(empty);
            self.tell(edge);
            if crowded {
                return false;
            }
            if let Some(sealed) = sealed {
                let rolled = self.rolls();
                if rolled {
                    self.roll();
                }
                pack(sealed);
            } else if let Some((bytes, timestamp, generation)) = need {
                if !self.shared.budget.take_for_first(bytes) {
                    return false;
                }
                let grant = Grant::new(self.shared.clone(), bytes);
                let buffer = self.shared.pool.get(bytes);
                let refused = locked(&self.state).open(self, buffer, grant, now, timestamp, generation).err();
                if let Some((buffer, _grant)) = refused {
                    self.shared.pool.put(buffer);
                }
            } else {
                return true;
            }
        }
    }

    fn place_line(&self, state: &mut SlotState, wakers: &mut Wakers) {
        while let Some(head) = state.line.front() {
            if !self.shared.budget.reserve() {
                return;
            }
            let (entered, sticky, urgent, generation) = (head.entered, head.sticky, head.urgent, head.generation);
            let (index, timestamp) = head.record.with(|parts| {
                let timestamp = parts.timestamp.unwrap_or(0);
                (state.acc.append(generation, timestamp, parts.key, parts.value, parts.headers, sticky), timestamp)
            });
            let (Some(index), Some(ack)) = (index, state.open_ack.clone()) else {
                self.shared.budget.leave(1);
                return;
            };
            state.acc.entered(entered);
            if urgent {
                state.acc.hurry();
            }
            if let Some(waiting) = state.line.pop_front() {
                waiting.placed(Placed { delta: ack.delta(timestamp), ack, index }, wakers);
            }
        }
    }

    /// Fails the records whose time in line is up.
    pub(crate) fn expire(&self, now: Time, wakers: &mut Wakers) {
        let mut late = Vec::new();
        {
            let mut state = locked(&self.state);
            while state.line.front().is_some_and(|waiting| waiting.deadline <= now) {
                late.extend(state.line.pop_front());
            }
            if let Some(next) = state.line.front() {
                self.shared.deadline_at(next.deadline);
            }
        }
        self.shared.times.exhausted(late.len());
        for waiting in late {
            let (used, _) = self.shared.budget.used();
            let text = format!(
                "no room for a record for {:?} in {} within max.block.ms ({} ms): {used} bytes are in use",
                self.topic,
                self.shared.budget.bound(),
                self.settings.max_block.as_millis(),
            );
            waiting.fail(Waiting::timed_out(ErrorKind::BufferFull, &self.topic, text), wakers);
        }
    }
}
