//! The machine that the driver turns: the core, and the hand-over between it and the application's threads.

mod close;
mod consume;
mod machine;
mod produce;
mod transaction;

use super::ack::Wakers;
use super::clock::FrontClock;
use super::consumers::Consumers;
use super::inbox::Input;
use super::op::OpSetter;
use super::pack::Underway;
use super::slot::Slot;
use super::{Front, locked};
use klamm_core::client::{Command, Event, Role};
use klamm_core::config::ClientConfig;
use klamm_core::driver::{Action, Clock};
use klamm_core::producer::{Collect, Left, Taken};
use klamm_core::{Client, Error, ErrorKind, Now, OpId, PartitionIx, ProducerIx, Time, Wake, WorkId};
use produce::Producer;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Gives a producer up, as an engine that ends does.
#[cfg(all(loom, test))]
pub(super) fn abandon(front: Arc<super::producer::ProducerFront>, error: &Error, wakers: &mut Wakers) {
    Producer::new(front).abandon(error, wakers);
}

/// Work of the engine has numbers from here on; the core's are below.
const OWN_WORK: u64 = 1 << 63;

/// The engine of one client. An adapter gives it to `klamm_core::driver::Driver`.
#[doc(hidden)]
pub struct Engine {
    client: Client,
    front: Arc<Front>,
    producers: BTreeMap<ProducerIx, Producer>,
    consumers: Consumers,
    ops: BTreeMap<OpId, OpSetter>,
    timers: BTreeMap<(Time, u64), OpSetter>,
    works: BTreeMap<WorkId, Underway>,
    actions: VecDeque<Action>,
    next: u64,
    closing: Option<close::Closing>,
    held: Vec<consume::Held>,
    ended: bool,
    published: Option<Time>,
    wakers: Wakers,
    // Emptied and reused in each turn.
    inputs: Vec<Input>,
    outgoing: Vec<crate::front::shelf::Outgoing>,
    freed: Vec<klamm_core::consumer::Freed>,
    dirty: Vec<Arc<Slot>>,
    lefts: Vec<(ProducerIx, PartitionIx, Left)>,
    collect: Collect,
    taken: Vec<Taken>,
}

/// Makes the engine once the runtime's clock is known.
#[doc(hidden)]
pub struct MakeEngine {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) seed: u64,
    pub(crate) real: bool,
    pub(crate) made: Arc<std::sync::OnceLock<Arc<Front>>>,
}

impl MakeEngine {
    /// The engine over this clock.
    pub fn make(self, clock: Clock) -> Engine {
        let now = clock.now();
        let (window, count) = (self.config.metrics_sample_window, self.config.metrics_num_samples);
        let front = Arc::new(Front::measured(FrontClock::new(clock, self.real), self.seed, window, count));
        let front = self.made.get_or_init(|| front).clone();
        Engine {
            client: Client::new(self.config, self.seed, now),
            front,
            producers: BTreeMap::new(),
            consumers: Consumers::default(),
            ops: BTreeMap::new(),
            timers: BTreeMap::new(),
            works: BTreeMap::new(),
            actions: VecDeque::new(),
            next: 0,
            closing: None,
            held: Vec::new(),
            ended: false,
            published: None,
            wakers: Wakers::new(),
            inputs: Vec::new(),
            outgoing: Vec::new(),
            freed: Vec::new(),
            dirty: Vec::new(),
            lefts: Vec::new(),
            collect: Collect::default(),
            taken: Vec::new(),
        }
    }
}

impl Engine {
    fn take_inputs(&mut self, now: Now) {
        let mut inputs = std::mem::take(&mut self.inputs);
        self.front.inbox.swap(&mut inputs);
        for input in inputs.drain(..) {
            match input {
                Input::Command(op, setter, command) => {
                    if let Some(setter) = setter {
                        self.ops.insert(op, setter);
                    }
                    if let Command::Purge(ix, _) = command {
                        self.purge(now, ix);
                    }
                    self.client.handle_command(now, op, command);
                }
                Input::OpenProducer(front) => {
                    let ix = front.shared.ix;
                    let command = Command::OpenProducer(ix, front.config.clone(), Some(front.shared.clone()));
                    self.client.handle_command(now, self.front.op(), command);
                    self.producers.insert(ix, Producer::new(front));
                }
                Input::CloseProducer(front, setter, deadline) => self.close_producer(&front, setter, deadline),
                Input::BeginTransaction(front, generation) => self.begin_transaction(&front, generation),
                Input::EndTransaction(front, generation, step, setters) => {
                    self.end_transaction(&front, generation, step, setters);
                }
                Input::OpenConsumer(shelf) => {
                    let command = Command::OpenConsumer(shelf.ix, shelf.config.clone());
                    self.client.handle_command(now, self.front.op(), command);
                    self.consumers.open(shelf);
                }
                Input::CloseConsumer(ix, setter, how, deadline) => {
                    self.close_consumer(now, ix, setter, how, deadline);
                }
                Input::CloseAfter(after, ix, setter, how, deadline) => {
                    self.held.push(consume::Held { after, ix, setter, how, deadline, begun: now.mono });
                }
                Input::HurryConsumer(ix, at) => {
                    self.held.iter_mut().filter(|held| held.ix == ix).for_each(|held| held.deadline = at);
                    if let Some(op) = self.consumers.closing(ix) {
                        self.client.handle_command(now, op, Command::Deadline(at));
                    }
                }
                Input::Timer(at, setter) => {
                    self.next += 1;
                    self.timers.insert((at, self.next), setter);
                }
                Input::Close(setter, deadline) => self.close(now, setter, deadline),
            }
        }
        self.inputs = inputs;
    }

    fn handle_event(&mut self, event: Event) {
        match event {
            Event::Done { op, result } => self.done(op, result),
            Event::Topic { producer, name, shape } => {
                if let Some(producer) = self.producers.get_mut(&producer) {
                    producer.topic(&name, shape, &mut self.wakers);
                }
            }
            Event::CodecRefused { producer, partition, codec } => {
                if let Some(slot) = self.producers.get(&producer).and_then(|p| p.slot(partition)) {
                    slot.refuse(codec);
                }
            }
            Event::Delivered { producer, partition, batch, base_offset, append_time } => {
                if let Some(setter) = self.producers.get(&producer).and_then(|p| p.slot(partition)?.resolve(batch)) {
                    setter.deliver(base_offset, append_time, &mut self.wakers);
                }
            }
            Event::Failed { producer, partition, batch, error, culprits } => {
                if let Some(setter) = self.producers.get(&producer).and_then(|p| p.slot(partition)?.resolve(batch)) {
                    setter.fail(error, culprits, &mut self.wakers);
                }
            }
            Event::Split { producer, partition, batch, into } => {
                let Some(slot) = self.producers.get(&producer).and_then(|p| p.slot(partition)) else { return };
                slot.was_split();
                let Some(setter) = slot.resolve(batch) else { return };
                let parts: Vec<_> = into.iter().map(|part| (part.first, part.count)).collect();
                let setters = setter.split(&parts, &mut self.wakers);
                slot.add_parts(into.iter().map(|part| part.no).zip(setters));
            }
            other => {
                if let Role::Consumer(consumer) = other.role() {
                    self.consumers.handle(consumer, other);
                }
            }
        }
    }

    fn done(&mut self, op: OpId, result: Result<klamm_core::client::Reply, Error>) {
        if let Some(setter) = self.ops.remove(&op) {
            setter.set(result);
            return;
        }
        if self.consumers.closed(op, &result, &mut self.wakers) {
            self.front.signal.notify();
            return;
        }
        if !self.ended(op, &result) {
            self.closed(op);
        }
    }

    /// Wakes whom this turn's outcomes concern. No lock is held here.
    fn wake(&mut self) {
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
    }

    fn publish(&mut self, now: Now, always: bool) {
        const EVERY: std::time::Duration = std::time::Duration::from_millis(20);
        if !always && self.published.is_some_and(|at| now.mono.since(at) < EVERY) {
            return;
        }
        self.published = Some(now.mono);
        self.tell_counts(now);
        let known = |ix: &ProducerIx| self.producers.contains_key(ix);
        let ended: Vec<_> = self.client.stats().producers.iter().filter(|(ix, _)| !known(ix)).cloned().collect();
        if ended.is_empty() {
            return;
        }
        for (ix, own) in ended {
            if let Some(shared) = self.front.producer(ix) {
                shared.keep_last(own);
            }
        }
        self.client.forget_ended();
        self.tell_counts(now);
    }

    fn tell_counts(&self, now: Now) {
        let waits = self.producers.iter().map(|(ix, p)| (*ix, p.front.shared.times.short_total(now.mono)));
        locked(&self.front.recent).publish(now.mono, self.client.stats(), waits);
    }

    /// The earliest timer of the front.
    fn own_timeout(&self) -> Option<Wake> {
        let timers = self.timers.keys().next().map(|(at, _)| *at);
        let tickets = self.producers.values().filter_map(Producer::deadline);
        let closing = self.closing.as_ref().and_then(|closing| closing.deadline());
        let polls = self.consumers.deadline();
        let held = self.held.iter().map(consume::Held::until);
        let at = timers.into_iter().chain(tickets).chain(closing).chain(polls).chain(held).min()?;
        Some(Wake { at, why: klamm_core::Why::Operation })
    }

    fn expire(&mut self, now: Now) {
        while let Some(entry) = self.timers.first_entry().filter(|entry| entry.key().0 <= now.mono) {
            entry.remove().set(Ok(klamm_core::client::Reply::Unit));
        }
        for producer in self.producers.values_mut() {
            producer.expire(now, &mut self.wakers);
        }
        self.consumers.expire(now, &mut self.wakers);
        self.expire_closing(now);
        self.close_held(now);
    }

    /// Resolves everything that waits, without another turn.
    fn end(&mut self, error: &Error) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let late = self.front.inbox.kill(error.clone());
        for (_, setter) in std::mem::take(&mut self.ops) {
            setter.set(Err(error.clone()));
        }
        for (_, setter) in std::mem::take(&mut self.timers) {
            setter.set(Err(error.clone()));
        }
        for (_, producer) in std::mem::take(&mut self.producers) {
            producer.abandon(error, &mut self.wakers);
        }
        for input in late {
            match input {
                Input::Command(_, Some(setter), _) | Input::Timer(_, setter) => setter.set(Err(error.clone())),
                Input::EndTransaction(_, _, _, setters) => {
                    setters.into_iter().for_each(|setter| setter.set(Err(error.clone())));
                }
                Input::OpenProducer(front) => Producer::new(front).abandon(error, &mut self.wakers),
                Input::OpenConsumer(shelf) => self.consumers.open(shelf),
                Input::CloseProducer(_, Some(setter), _)
                | Input::CloseConsumer(_, Some(setter), ..)
                | Input::CloseAfter(_, _, Some(setter), ..)
                | Input::Close(Some(setter), _) => {
                    setter.set(Ok(klamm_core::client::Reply::Unit));
                }
                _ => {}
            }
        }
        self.held.drain(..).filter_map(|held| held.setter).for_each(|setter| setter.set(Err(error.clone())));
        self.works.clear();
        self.consumers.abandon(error, &mut self.wakers);
        self.end_closing(error);
        self.wake();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end(&Error::new(ErrorKind::Closed, "the client's driver is gone"));
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("producers", &self.producers.len()).field("ended", &self.ended).finish()
    }
}
