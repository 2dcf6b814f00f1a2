//! One partition of one producer: the accumulator behind its lock, and the batches that are not resolved.

use super::ack::{AckSetter, BatchAck, Wakers};
use super::budget::Grant;
use super::line::{Ticket, Waiting};
use super::locked;
use super::pack::{Packing, Sealed as ToPack};
use super::producer::{ProducerShared, Settings};
use super::sticky::{Load, Sticky};
use super::sync::Mutex;
use klamm_core::codec::{Codec, Compression};
use klamm_core::error::Phase;
use klamm_core::producer::{Accumulator, Batch, Head, Left, Sealed};
use klamm_core::record::BodyBuf;
use klamm_core::{BatchNo, Error, Now, PartitionIx, Time};
use std::collections::VecDeque;
use std::sync::Arc;

/// What the core was told of, or will be at the driver's next look.
pub(crate) mod told {
    /// There is an open batch with records.
    pub(crate) const OPEN: u8 = 1;
    /// There is a batch to take.
    pub(crate) const PACKED: u8 = 2;
    /// Records wait in line.
    pub(crate) const LINE: u8 = 4;
    /// The open batch must not linger.
    pub(crate) const URGENT: u8 = 8;
}

/// One partition. Aligned so that two never share a cache line.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Slot {
    pub(super) state: Mutex<SlotState>,
    pub(crate) shared: Arc<ProducerShared>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) topic: Arc<str>,
    pub(crate) number: u32,
    pub(crate) ix: PartitionIx,
    pub(super) sticky: Arc<Sticky>,
    /// What the sticky choice knows of it.
    pub(super) load: Arc<Load>,
}

#[derive(Debug, Default)]
pub(super) struct SlotState {
    pub(super) acc: Accumulator,
    pub(super) open_ack: Option<Arc<BatchAck>>,
    pub(super) open_grant: Option<Grant>,
    /// One for each batch that is not resolved, the open one last.
    pub(super) acks: VecDeque<(BatchNo, AckSetter)>,
    pub(super) line: VecDeque<Waiting>,
    pub(super) in_budget_line: bool,
    told: u8,
    notified: bool,
    pub(super) dead: Option<Error>,
}

/// How a slot went on the dirty list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    push: bool,
    opened_only: bool,
}

impl SlotState {
    /// Notes that something appeared; `None` if the driver knows or will see it anyway.
    pub(super) fn edge(&mut self, bit: u8) -> Option<Edge> {
        if self.told & bit != 0 {
            return None;
        }
        self.told |= bit;
        let push = !std::mem::replace(&mut self.notified, true);
        Some(Edge { push, opened_only: bit == told::OPEN })
    }

    fn left(&mut self) -> Left {
        let line = u32::try_from(self.line.len()).unwrap_or(u32::MAX);
        let left = self.acc.left(line, self.line.front().map(|waiting| waiting.entered));
        let bit = |bit: u8, on: bool| if on { bit } else { 0 };
        self.told = bit(told::OPEN, left.open_since.is_some())
            | bit(told::PACKED, left.packed > 0)
            | bit(told::LINE, line > 0)
            | bit(told::URGENT, left.urgent);
        left
    }

    /// Seals the open batch: from now on its place is fixed.
    pub(super) fn seal(&mut self, slot: &Arc<Slot>) -> Option<ToPack> {
        let plain = self.acc.seal()?;
        if let Some(ack) = self.open_ack.take() {
            ack.set_count(plain.facts.count);
        }
        let grant = self.open_grant.take();
        Some(ToPack { slot: slot.clone(), plain, grant })
    }

    /// Opens a batch whose first record has `timestamp`.
    ///
    /// # Errors
    /// Buffer and grant, if there is an open batch already.
    pub(super) fn open(
        &mut self,
        slot: &Arc<Slot>,
        buffer: Vec<u8>,
        grant: Grant,
        now: Now,
        timestamp: i64,
        generation: u64,
    ) -> Result<(), (Vec<u8>, Grant)> {
        match self.acc.open(BodyBuf::new(buffer), now.mono, now.mono, generation) {
            Ok(no) => {
                let ack = BatchAck::new(slot.clone(), timestamp, generation);
                self.acks.push_back((no, AckSetter::new(ack.clone())));
                self.open_ack = Some(ack);
                self.open_grant = Some(grant);
                slot.note(&self.acc, false);
                Ok(())
            }
            Err(body) => Err((body.into_parts().0, grant)),
        }
    }
}

/// What an open batch that took no record held on to.
#[derive(Debug, Default)]
pub(super) struct Empty {
    body: Option<BodyBuf>,
    grant: Option<Grant>,
    setter: Option<AckSetter>,
}

impl SlotState {
    /// Takes an open batch that took no record away: it is of no use.
    pub(super) fn close_empty(&mut self) -> Empty {
        let Some(body) = self.acc.close_empty() else { return Empty::default() };
        let own = self.open_ack.take();
        // Behind it may stand the parts of a batch that was split.
        let at = self.acks.iter().rposition(|(_, setter)| match (setter.ack(), &own) {
            (Some(ack), Some(own)) => Arc::ptr_eq(ack, own),
            _ => false,
        });
        let setter = at.and_then(|at| self.acks.remove(at)).map(|(_, setter)| setter);
        Empty { body: Some(body), grant: self.open_grant.take(), setter }
    }
}

impl Slot {
    /// Gives back what an empty batch held on to. Hold no lock.
    pub(super) fn let_go(&self, empty: Empty) {
        if let Some(body) = empty.body {
            self.shared.pool.put(body.into_parts().0);
        }
        if let Some(setter) = empty.setter {
            setter.dismiss();
        }
        drop(empty.grant);
    }

    pub(crate) fn new(
        shared: Arc<ProducerShared>,
        settings: Arc<Settings>,
        topic: Arc<str>,
        number: u32,
        ix: PartitionIx,
        sticky: Arc<Sticky>,
    ) -> Self {
        let mut state = SlotState::default();
        if settings.manual {
            state.acc.flush_manually();
        }
        Self { state: Mutex::new(state), shared, settings, topic, number, ix, sticky, load: Arc::default() }
    }

    /// Tells the driver of an edge. Hold no lock.
    pub(super) fn tell(self: &Arc<Self>, edge: Option<Edge>) {
        if let Some(edge) = edge {
            // A timer that is early enough for the producer's linger may be too late for a shorter one of a topic's own.
            let opened_only = edge.opened_only && self.settings.linger >= self.shared.settings.linger;
            self.shared.dirty(edge.push.then(|| self.clone()), opened_only);
        }
    }

    /// The driver looks: what it learns here it is not told again.
    pub(crate) fn visit(&self) -> Left {
        let mut state = locked(&self.state);
        state.notified = false;
        state.left()
    }

    /// What is left, without a visit.
    pub(crate) fn level(&self) -> Left {
        locked(&self.state).left()
    }

    /// Whether the sticky choice shall move on, now that a batch was sealed.
    pub(super) fn rolls(&self) -> bool {
        locked(&self.state).acc.roll(self.settings.batch_size)
    }

    /// Moves the sticky choice on, away from here.
    pub(super) fn roll(&self) {
        self.sticky.roll(self.number, &self.settings, &self.shared.front.clock);
    }

    /// What its topic's batches are compressed by.
    pub(super) fn compression(&self) -> Compression {
        let preference = &self.settings.compression;
        preference.but(self.sticky.refused()).unwrap_or(preference.first())
    }

    /// A broker refused a codec for its topic.
    pub(crate) fn refuse(&self, codec: Codec) {
        self.sticky.refuse(codec);
    }

    /// A batch was too large for its broker.
    pub(crate) fn was_split(&self) {
        self.sticky.was_split();
    }

    /// Batches came or went. A batch was `taken`, or not.
    pub(super) fn note(&self, acc: &Accumulator, taken: bool) {
        let judged = !self.settings.availability_timeout.is_zero();
        let now = || self.shared.front.clock.now().mono;
        self.load.queued(acc.queued(), || judged.then(|| now() + self.settings.linger));
        if taken && judged {
            self.load.taken(now());
        }
    }

    /// How long a batch buffer must be so that a record of at most `size` bytes fits.
    pub(super) fn buffer_for(&self, size: usize) -> usize {
        let (settings, usual) = (&self.settings, self.settings.body_limit());
        let slack = klamm_core::record::SLACK;
        if size > usual || settings.compression.first().codec() == Codec::None {
            return size.max(usual) + slack;
        }
        // What the estimate allows, but no more than a request takes if it fails, nor a large part of all memory.
        let most = settings.max_request_size.min((settings.buffer_memory / 32).max(usual));
        let wanted = self.sticky.ratio().plain(usual).min(most);
        // Topics with a `batch.size` of their own have buffers of their own size.
        if usual == self.shared.settings.body_limit() {
            self.shared.pool.fitting(wanted + slack)
        } else {
            wanted + slack
        }
    }

    /// Puts a packed batch into its place; what has none any more is dropped.
    pub(crate) fn put_back(self: &Arc<Self>, no: BatchNo, packed: Result<Batch, Error>) {
        let bytes = packed.as_ref().map_or(0, |batch| batch.body.len());
        let (edge, late) = {
            let mut state = locked(&self.state);
            let late = state.acc.put_back(no, packed).err();
            if late.is_none() {
                self.shared.packed(bytes);
            }
            (state.edge(told::PACKED), late)
        };
        drop(late);
        self.tell(edge);
    }

    /// Takes a batch for the core: the packed head, else the open batch if it is due, packed at once or, if that takes
    /// long, on its way to be packed.
    pub(crate) fn take(self: &Arc<Self>, now: Time, pressure: bool, out: &mut Wakers) -> (Option<Packing>, Left) {
        self.take_if(out, |acc| acc.is_due(now, self.settings.linger, pressure), Accumulator::take)
    }

    /// Takes a batch whose oldest record entered before `time`.
    pub(crate) fn take_expired(self: &Arc<Self>, time: Time, out: &mut Wakers) -> (Option<Packing>, Left) {
        self.take_if(out, |acc| acc.is_expired(time), |acc| acc.take_expired(time))
    }

    /// Takes the packed head.
    pub(crate) fn take_packed(self: &Arc<Self>, out: &mut Wakers) -> (Option<Packing>, Left) {
        self.take_if(out, |_| false, Accumulator::take)
    }

    fn take_if(
        self: &Arc<Self>,
        wakers: &mut Wakers,
        due: impl Fn(&Accumulator) -> bool,
        take: impl Fn(&mut Accumulator) -> Head,
    ) -> (Option<Packing>, Left) {
        let mut broken = Vec::new();
        let found = {
            let mut state = locked(&self.state);
            let found = loop {
                match take(&mut state.acc) {
                    Head::Batch(batch) => {
                        state.hand_over(batch.no);
                        self.shared.taken(batch.body.len());
                        break Some(Packing::Done(batch));
                    }
                    Head::Broken(no, error) => broken.push((state.resolve(no), error)),
                    Head::Nothing => break due(&state.acc).then(|| state.seal(self)).flatten().map(Packing::ToDo),
                }
            };
            self.note(&state.acc, matches!(found, Some(Packing::Done(_))));
            (found, state.left())
        };
        for (setter, error) in broken {
            if let Some(setter) = setter {
                setter.fail(self.placed(&error, Phase::Buffered), Vec::new(), wakers);
            }
        }
        if matches!(found.0, Some(Packing::ToDo(_))) && self.rolls() {
            self.roll();
        }
        found
    }

    /// The setter of a batch that is resolved now.
    pub(crate) fn resolve(&self, no: BatchNo) -> Option<AckSetter> {
        locked(&self.state).resolve(no)
    }

    /// A batch was split: its parts are resolved by their own numbers.
    pub(crate) fn add_parts(&self, parts: impl IntoIterator<Item = (BatchNo, AckSetter)>) {
        locked(&self.state).acks.extend(parts);
    }

    /// A lone awaited record on an idle partition need not linger.
    pub(crate) fn hurry_lone(self: &Arc<Self>, ack: &Arc<BatchAck>) {
        if self.settings.linger.is_zero() || self.settings.manual {
            return;
        }
        let edge = {
            let mut state = locked(&self.state);
            let lone = state.acks.len() == 1
                && state.acc.open_count() == 1
                && state.open_ack.as_ref().is_some_and(|open| Arc::ptr_eq(open, ack));
            if !lone {
                return;
            }
            state.acc.hurry();
            state.edge(told::URGENT)
        };
        self.tell(edge);
    }

    /// All that was admitted before this call, for a flush: none of it lingers.
    pub(crate) fn fence(self: &Arc<Self>, batches: &mut Vec<Arc<BatchAck>>, tickets: &mut Vec<Arc<Ticket>>) {
        let edge = {
            let mut state = locked(&self.state);
            batches.extend(state.acks.iter().filter_map(|(_, setter)| setter.ack().cloned()));
            for waiting in &mut state.line {
                waiting.urgent = true;
                tickets.extend(waiting.ticket().cloned());
            }
            let open = state.acc.open_count() > 0;
            state.acc.hurry();
            match open {
                true => state.edge(told::URGENT),
                false if self.settings.manual && state.acc.queued() > 0 => state.edge(told::PACKED),
                false => None,
            }
        };
        self.tell(edge);
    }

    /// Records and bytes in batches, and records in line.
    pub(crate) fn held(&self) -> (u64, u64, u64) {
        let state = locked(&self.state);
        let (records, bytes) = state.acc.held();
        (records, bytes, state.line.len() as u64)
    }

    /// The error as the records of this partition are told it. What the core has may be written.
    fn placed(&self, error: &Error, phase: Phase) -> Error {
        let number = i32::try_from(self.number).unwrap_or(i32::MAX);
        let error = error.clone().with_topic(self.topic.clone()).with_partition(number);
        error.with_phase(phase).with_possibly_written(phase == Phase::Sent)
    }

    /// Fails what the core does not have of the transactions up to `generation`.
    pub(crate) fn discard(&self, generation: u64, error: &Error, wakers: &mut Wakers) {
        let (acks, line, sealed, open, grant) = {
            let mut state = locked(&self.state);
            state.count_open();
            let (sealed, open) = state.acc.discard(generation);
            self.note(&state.acc, false);
            let grant = if open.is_some() { state.open_grant.take() } else { None };
            if open.is_some() {
                state.open_ack = None;
            }
            let goes = |setter: &AckSetter| {
                !setter.handed_over && setter.ack().is_some_and(|ack| ack.generation <= generation)
            };
            let (acks, keep) = std::mem::take(&mut state.acks).into_iter().partition(|(_, setter)| goes(setter));
            state.acks = keep;
            let (line, keep): (VecDeque<_>, _) =
                std::mem::take(&mut state.line).into_iter().partition(|waiting| waiting.generation <= generation);
            state.line = keep;
            let acks: VecDeque<(BatchNo, AckSetter)> = acks;
            (acks, line, sealed, open, grant)
        };
        for (_, setter) in acks {
            setter.fail(self.placed(error, Phase::Buffered), Vec::new(), wakers);
        }
        for waiting in line {
            waiting.fail(self.placed(error, Phase::Waiting), wakers);
        }
        for sealed in sealed {
            if let Sealed::Packed(batch) = sealed {
                self.shared.taken(batch.body.len());
            }
        }
        if let Some(open) = open {
            self.shared.pool.put(open.into_parts().0);
        }
        drop(grant);
    }

    /// Fails everything: batches that are with the core too, and whatever comes later.
    pub(crate) fn abandon(&self, error: &Error, wakers: &mut Wakers) {
        let (batches, acks, line, grant) = {
            let mut state = locked(&self.state);
            state.dead.get_or_insert(error.clone());
            state.count_open();
            state.open_ack = None;
            let batches = state.acc.clear();
            self.note(&state.acc, false);
            (batches, std::mem::take(&mut state.acks), std::mem::take(&mut state.line), state.open_grant.take())
        };
        for (_, setter) in acks {
            let phase = if setter.handed_over { Phase::Sent } else { Phase::Buffered };
            setter.fail(self.placed(error, phase), Vec::new(), wakers);
        }
        for waiting in line {
            waiting.fail(self.placed(error, Phase::Waiting), wakers);
        }
        let (sealed, open) = batches;
        for sealed in sealed {
            if let Sealed::Packed(batch) = sealed {
                self.shared.taken(batch.body.len());
            }
        }
        if let Some(open) = open {
            self.shared.pool.put(open.into_parts().0);
        }
        drop(grant);
    }
}

impl SlotState {
    /// Says how many records the open batch has: it may end as it is.
    fn count_open(&self) {
        if let Some(ack) = &self.open_ack {
            ack.set_count(self.acc.open_count());
        }
    }

    fn resolve(&mut self, no: BatchNo) -> Option<AckSetter> {
        let at = self.acks.iter().position(|(kept, _)| *kept == no)?;
        self.acks.remove(at).map(|(_, setter)| setter)
    }

    fn hand_over(&mut self, no: BatchNo) {
        if let Some((_, setter)) = self.acks.iter_mut().find(|(kept, _)| *kept == no) {
            setter.handed_over = true;
        }
    }

    /// Whether appends are refused because the driver is gone.
    pub(super) fn dead(&self) -> Option<&Error> {
        self.dead.as_ref()
    }
}

/// Wakes tasks. Hold no lock: wakers are the application's.
pub(crate) fn wake(wakers: Wakers) {
    super::sync::outside();
    for waker in wakers {
        waker.wake();
    }
}
