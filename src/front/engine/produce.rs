//! Between the slots of producers and the core.

use super::{Engine, OWN_WORK};
use crate::front::ack::Wakers;
use crate::front::locked;
use crate::front::pack::{Packing, Sealed};
use crate::front::producer::{DEAD, ProducerFront};
use crate::front::slot::Slot;
use klamm_core::client::TopicShape;
use klamm_core::driver::{Action, Work};
use klamm_core::producer::{Batch, Left, Take, Taken};
use klamm_core::{Error, ErrorKind, Now, PartitionIx, ProducerIx, Time, WorkId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The driver packs at most this many bytes itself per turn (contracts B17).
const INLINE: usize = 64 * 1024;

/// One producer as the engine sees it.
pub(super) struct Producer {
    pub(super) front: Arc<ProducerFront>,
    pub(super) closing: Option<super::close::ProducerClosing>,
    pub(super) ends: super::transaction::Ends,
    slots: BTreeMap<PartitionIx, Arc<Slot>>,
    pressure: bool,
}

impl Producer {
    pub(super) fn new(front: Arc<ProducerFront>) -> Self {
        Self {
            front,
            closing: None,
            ends: super::transaction::Ends::default(),
            slots: BTreeMap::new(),
            pressure: false,
        }
    }

    pub(super) fn slot(&self, partition: PartitionIx) -> Option<&Arc<Slot>> {
        self.slots.get(&partition)
    }

    /// The core tells of a topic.
    pub(super) fn topic(&mut self, name: &str, shape: Result<TopicShape, Error>, wakers: &mut Wakers) {
        let Some(topic) = self.front.find(name) else { return };
        match shape {
            Ok(shape) => {
                for slot in topic.publish(&shape, wakers) {
                    self.slots.entry(slot.ix).or_insert(slot);
                }
            }
            // It may pass: who waits goes on waiting, at most max.block.ms (PR-11).
            Err(error) if error.is_retriable() => topic.doubt(error),
            Err(error) => topic.fail_waiting(&error, wakers),
        }
    }

    /// The earliest end of a wait in line or of a close.
    pub(super) fn deadline(&self) -> Option<Time> {
        let closing = self.closing.as_ref().and_then(super::close::ProducerClosing::deadline);
        self.front.shared.deadline().into_iter().chain(closing).min()
    }

    pub(super) fn expire(&mut self, now: Now, wakers: &mut Wakers) {
        if self.front.shared.deadline().is_none_or(|at| at > now.mono) {
            return;
        }
        self.front.shared.clear_deadline();
        for topic in self.front.all() {
            topic.expire(now.mono, wakers);
        }
        for slot in self.slots.values() {
            slot.expire(now.mono, wakers);
        }
    }

    pub(super) fn arm(&self, due: Option<Time>, now: Time) {
        let shared = &self.front.shared;
        shared.arm(due.is_some_and(|at| at <= now + shared.settings.linger));
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.front.shared.is_dirty()
    }

    /// Everything of it fails.
    pub(super) fn abandon(mut self, error: &Error, wakers: &mut Wakers) {
        self.front.shared.close_gate(DEAD);
        self.ends.abandon(error);
        self.give_up(error, wakers);
        if let Some(closing) = self.closing {
            closing.answer(&Ok(()));
        }
    }

    /// Fails what the core does not have of the transactions up to `generation`; the levels that changed.
    pub(super) fn discard<'a>(
        &'a self,
        generation: u64,
        cause: Option<&Error>,
        wakers: &'a mut Wakers,
    ) -> impl Iterator<Item = (PartitionIx, Left)> + 'a {
        let error = Error::new(ErrorKind::Aborted, "its transaction is aborted");
        let error = cause.map_or(error.clone(), |cause| error.with_source(cause.clone()));
        self.drop_unsent(generation, error, wakers)
    }

    /// Fails what the core does not have, whatever its transaction; the levels that changed.
    fn purge<'a>(&'a self, wakers: &'a mut Wakers) -> impl Iterator<Item = (PartitionIx, Left)> + 'a {
        let error = Error::new(ErrorKind::Aborted, "the producer was purged before the record was sent");
        self.drop_unsent(u64::MAX, error.with_hint("send it again if it is still wanted"), wakers)
    }

    fn drop_unsent<'a>(
        &'a self,
        generation: u64,
        error: Error,
        wakers: &'a mut Wakers,
    ) -> impl Iterator<Item = (PartitionIx, Left)> + 'a {
        for topic in self.front.all() {
            topic.discard(generation, &error, wakers);
        }
        self.slots.values().map(move |slot| {
            slot.discard(generation, &error, wakers);
            (slot.ix, slot.visit())
        })
    }

    /// Fails what is left, in line, in batches, and with the core.
    pub(super) fn give_up(&self, error: &Error, wakers: &mut Wakers) {
        let shared = &self.front.shared;
        for topic in self.front.all() {
            topic.refuse(error.clone());
            for slot in topic.slots() {
                slot.abandon(error, wakers);
            }
        }
        shared.forget();
        shared.pool.clear();
    }
}

impl Engine {
    /// Tells the core the levels of all slots that changed.
    pub(super) fn take_slots(&mut self, now: Now) {
        for (ix, producer) in &self.producers {
            producer.front.shared.swap_dirty(&mut self.dirty);
            for slot in self.dirty.drain(..) {
                self.lefts.push((*ix, slot.ix, slot.visit()));
            }
        }
        if !self.lefts.is_empty() {
            self.client.handle_slots(now, &self.lefts);
            self.lefts.clear();
        }
    }

    /// A producer's records that the core does not have are to fail.
    pub(super) fn purge(&mut self, now: Now, ix: ProducerIx) {
        if let Some(producer) = self.producers.get(&ix) {
            self.lefts.extend(producer.purge(&mut self.wakers).map(|(partition, left)| (ix, partition, left)));
        }
        self.client.handle_slots(now, &self.lefts);
        self.lefts.clear();
    }

    /// Grants memory to those who wait for it, first come first served.
    pub(super) fn serve(&mut self, now: Now) {
        for (ix, producer) in &mut self.producers {
            let shared = &producer.front.shared;
            while shared.budget.is_open() {
                let Some(slot) = shared.budget.first() else { break };
                let mut packed = 0;
                let done = slot.serve(now, &mut self.wakers, &mut |sealed: Sealed| {
                    packed += 1;
                    sealed.pack_or_offload();
                });
                if done {
                    shared.budget.pass(false);
                } else if packed == 0 {
                    break;
                }
            }
            let short = shared.budget.is_short();
            if short != producer.pressure {
                producer.pressure = short;
                shared.times.short(now.mono, short);
                self.client.handle_pressure(now, *ix, short);
            }
        }
        // What was placed changes levels.
        self.take_slots(now);
    }

    /// Hands batches whose packing takes long to the runtime.
    pub(super) fn offload(&mut self) {
        for producer in self.producers.values() {
            let offloads = std::mem::take(&mut *locked(&producer.front.shared.offloads));
            for sealed in offloads {
                let id = WorkId(OWN_WORK | self.next);
                self.next += 1;
                let (work, underway) = sealed.offload();
                self.works.insert(id, underway);
                self.actions.push_back(Action::Work { id, work: Work::Pack(work) });
            }
        }
    }

    /// Gives the core the batches that it asks for.
    pub(super) fn answer_collects(&mut self, now: Now) -> bool {
        let mut any = false;
        let (mut inline, mut everything) = (INLINE, usize::MAX);
        while self.client.poll_collect(&mut self.collect) {
            any = true;
            let Some(producer) = self.producers.get(&self.collect.producer) else {
                let (ix, id) = (self.collect.producer, self.collect.id);
                self.client.handle_taken(now, ix, id, &mut self.taken);
                continue;
            };
            let mut room = self.collect.max_bytes;
            for partition in &self.collect.from {
                let Some(slot) = producer.slot(*partition) else {
                    self.taken.push(Taken { partition: *partition, batch: None, left: Left::default() });
                    continue;
                };
                let taken = match self.collect.take {
                    Take::Send if room == 0 => (None, slot.level()),
                    Take::Send => {
                        let found = slot.take(now.mono, producer.pressure, &mut self.wakers);
                        finish(slot, found, &mut inline, &mut self.wakers)
                    }
                    Take::Expire { entered_before } => loop {
                        let found = slot.take_expired(entered_before, &mut self.wakers);
                        let (batch, left) = finish(slot, found, &mut everything, &mut self.wakers);
                        match batch {
                            Some(batch) => {
                                self.taken.push(Taken { partition: *partition, batch: Some(batch), left });
                            }
                            None => break (None, left),
                        }
                    },
                };
                let (batch, left) = taken;
                room = room.saturating_sub(batch.as_ref().map_or(0, |batch| batch.body.len()));
                self.taken.push(Taken { partition: *partition, batch, left });
            }
            let (ix, id) = (self.collect.producer, self.collect.id);
            self.client.handle_taken(now, ix, id, &mut self.taken);
        }
        any
    }
}

/// Packs what the take sealed, unless that takes too long here: then it comes with a later take.
fn finish(
    slot: &Arc<Slot>,
    (found, left): (Option<Packing>, Left),
    inline: &mut usize,
    wakers: &mut Wakers,
) -> (Option<Batch>, Left) {
    match found {
        None => (None, left),
        Some(Packing::Done(batch)) => (Some(batch), left),
        Some(Packing::ToDo(sealed)) => {
            let bytes = sealed.plain.body.len();
            if sealed.is_slow() && bytes > *inline {
                sealed.offload_later();
                return (None, slot.level());
            }
            *inline = if sealed.is_slow() { inline.saturating_sub(bytes) } else { *inline };
            sealed.pack();
            match slot.take_packed(wakers) {
                (Some(Packing::Done(batch)), left) => (Some(batch), left),
                (_, left) => (None, left),
            }
        }
    }
}
