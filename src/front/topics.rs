//! A topic as a producer sees it: how many partitions, a slot for each, and the records that wait until that is known.

use super::ack::Wakers;
use super::append::Refusal;
use super::inbox::Input;
use super::line::{Kept, Parts, Ticket, Waiting};
use super::locked;
use super::producer::{OPEN, ProducerShared, Settings};
use super::slot::Slot;
use super::sticky::Sticky;
use super::sync::Mutex;
use super::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::partitioning::Choice;
use klamm_core::client::{Command, TopicShape};
use klamm_core::error::Phase;
use klamm_core::producer::{Placement, Scheme, partition_for_key};
use klamm_core::{Error, ErrorKind, PartitionIx};
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::task::Waker;

/// Partitions 2^k - 1 to 2^(k+1) - 2 stand in chunk k: the table grows without moving.
const CHUNKS: usize = 21;

/// Places for slots, filled when their partitions become known.
type Chunk = Box<[OnceLock<Arc<Slot>>]>;

#[derive(Debug, Default)]
struct Unplaced {
    line: VecDeque<Waiting>,
    wakers: Vec<Waker>,
    /// The core looks for the topic: it was asked to, and has not given up.
    asked: bool,
    /// Why the topic cannot be had; the next answer may say otherwise.
    error: Option<Error>,
    /// The last answer about the topic, if it was an error that may pass.
    doubt: Option<Error>,
    /// Nothing will come any more.
    refused: Option<Error>,
}

/// One topic of one producer.
#[derive(Debug)]
pub(crate) struct TopicSlot {
    pub(crate) name: Arc<str>,
    pub(crate) shared: Arc<ProducerShared>,
    pub(crate) settings: Arc<Settings>,
    /// 0 until the topic is known and every record that waited for it is placed.
    count: AtomicU32,
    /// Records of fewer bytes in key and value may be [sent at once](Self::send_at_once); 0: none of this topic.
    pub(super) at_once: usize,
    all_available: AtomicBool,
    turn: AtomicU32,
    sticky: Arc<Sticky>,
    chunks: [OnceLock<Chunk>; CHUNKS],
    unplaced: Mutex<Unplaced>,
}

impl TopicSlot {
    pub(crate) fn new(name: Arc<str>, shared: Arc<ProducerShared>, settings: Arc<Settings>, number: u64) -> Self {
        let seed = shared.front.seed(u64::from(shared.ix.0) << 32 | number);
        let plain = matches!(settings.choice, Choice::Builtin) && settings.batch_size > 0 && settings.max_records == 0;
        Self {
            at_once: if plain { settings.small() } else { 0 },
            name,
            shared,
            settings,
            count: AtomicU32::new(0),
            all_available: AtomicBool::new(false),
            turn: AtomicU32::new(seed as u32 & 0xffff),
            sticky: Arc::new(Sticky::new(seed)),
            chunks: [const { OnceLock::new() }; CHUNKS],
            unplaced: Mutex::default(),
        }
    }

    /// How many partitions there are; 0 while that is not known.
    #[inline]
    pub(crate) fn count(&self) -> u32 {
        self.count.load(Ordering::Acquire)
    }

    /// The slot of a partition.
    #[inline]
    pub(crate) fn slot(&self, partition: u32) -> Option<&Arc<Slot>> {
        let (chunk, at) = place(partition);
        self.chunks.get(chunk)?.get()?.get(at)?.get()
    }

    /// Every slot.
    pub(crate) fn slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        (0..).map_while(|partition| self.slot(partition))
    }

    fn add_slot(&self, number: u32, ix: PartitionIx) -> Option<&Arc<Slot>> {
        let (chunk, at) = place(number);
        let chunk = self.chunks.get(chunk)?.get_or_init(|| (0..1usize << chunk).map(|_| OnceLock::new()).collect());
        Some(chunk.get(at)?.get_or_init(|| {
            let (shared, settings) = (self.shared.clone(), self.settings.clone());
            Arc::new(Slot::new(shared, settings, self.name.clone(), number, ix, self.sticky.clone()))
        }))
    }

    /// The partition of a record, and whether the sticky choice made it. Asks the application's partitioner, if there is
    /// one: call it once per record, outside all locks.
    #[inline]
    pub(crate) fn choose(&self, parts: &Parts<'_>, count: u32) -> Result<Option<u32>, Error> {
        if let Some(partition) = parts.partition {
            return match u32::try_from(partition) {
                Ok(p) if p < count => Ok(Some(p)),
                _ => Err(self.out_of_range(partition, count)),
            };
        }
        match (&self.settings.choice, parts.key) {
            (Choice::Builtin, Some(key)) => Ok(Some(partition_for_key(key, count))),
            (Choice::Builtin, None) => Ok(None),
            (Choice::RoundRobin, _) => Ok(Some(self.in_turn(count))),
            (Choice::Scheme(scheme), key) => self.by_scheme(*scheme, key, count),
            (Choice::Custom(partitioner), _) => self.ask(partitioner, parts, count),
        }
    }

    fn in_turn(&self, count: u32) -> u32 {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        if self.all_available.load(Ordering::Relaxed) { turn % count } else { self.sticky.in_turn(turn) }
    }

    #[inline(never)]
    fn ask(&self, choice: &crate::partitioning::Shared, parts: &Parts<'_>, count: u32) -> Result<Option<u32>, Error> {
        let available = |p: u32| self.sticky.is_available(p);
        let placed = choice.place(&self.name, parts, count, &available);
        self.at(placed.map_err(|error| error.with_phase(Phase::Waiting))?, count)
    }

    #[inline(never)]
    fn by_scheme(&self, scheme: Scheme, key: Option<&[u8]>, count: u32) -> Result<Option<u32>, Error> {
        let Some(placement) = scheme.place(key, count) else {
            let text = format!("the record names no partition of {}, and partitioner.class is {scheme}", self.name);
            return Err(Error::new(ErrorKind::Misuse, text)
                .with_topic(self.name.clone())
                .with_phase(Phase::Waiting)
                .with_hint("set it with `Record::partition`, or choose another partitioner"));
        };
        self.at(placement, count)
    }

    fn at(&self, placement: Placement, count: u32) -> Result<Option<u32>, Error> {
        match placement {
            Placement::At(p) => match u32::try_from(p) {
                Ok(n) if n < count => Ok(Some(n)),
                _ => Err(self.out_of_range(p, count)),
            },
            Placement::Random => Ok(Some(self.sticky.draw())),
            _ => Ok(None),
        }
    }

    /// Whether records without a key go by the sticky choice.
    pub(crate) fn is_sticky(&self) -> bool {
        matches!(self.settings.choice, Choice::Builtin)
    }

    /// A record of fewer bytes in key and value cannot be too large.
    pub(crate) fn small(&self) -> usize {
        self.settings.small()
    }

    /// The sticky choice.
    #[inline]
    pub(crate) fn sticky(&self) -> u32 {
        self.sticky.current()
    }

    pub(crate) fn out_of_range(&self, partition: i32, count: u32) -> Error {
        Error::new(
            ErrorKind::Misuse,
            format!("partition {partition} of {} does not exist: it has {count}, counted from 0", self.name),
        )
        .with_topic(self.name.clone())
        .with_partition(partition)
        .with_phase(Phase::Waiting)
    }

    /// Has the core look for the topic, unless it does: it stops when a broker's answer is final, and when nobody has used the
    /// topic for long.
    pub(crate) fn look_for(&self) {
        {
            let mut unplaced = locked(&self.unplaced);
            if self.count() > 0 || std::mem::replace(&mut unplaced.asked, true) {
                return;
            }
            unplaced.error = None;
        }
        let front = &self.shared.front;
        let command = Command::Topic(self.shared.ix, self.name.clone());
        if let Err(error) = front.push(Input::Command(front.op(), None, command)) {
            self.refuse(error);
        }
    }

    /// Puts a record in line until the topic is known. `Ok(None)`: it is known by now, try again.
    pub(crate) fn wait_for_topic(&self, parts: &Parts<'_>) -> Result<Option<Arc<Ticket>>, Refusal> {
        let shared = &self.shared;
        let now = shared.front.clock.now();
        let record = Kept::new(parts, parts.timestamp.unwrap_or(now.wall.0));
        if !shared.budget.line(record.held()) {
            return Err(Refusal::Error(shared.line_full().with_topic(self.name.clone())));
        }
        let deadline = now.mono + self.settings.max_block.min(self.settings.delivery_timeout);
        let (waiting, ticket) = Waiting::new(shared, record, now.mono, deadline);
        let refused = {
            let mut unplaced = locked(&self.unplaced);
            if self.count() > 0 {
                drop(unplaced);
                // Its ticket dies unseen and unfailed: the record was never admitted.
                waiting.withdraw();
                return Ok(None);
            }
            if let Some(error) = &unplaced.refused {
                Some((waiting, error.clone()))
            } else if shared.gate() != OPEN {
                Some((waiting, shared.refusal()))
            } else {
                unplaced.line.push_back(waiting);
                None
            }
        };
        if let Some((waiting, error)) = refused {
            waiting.withdraw();
            return Err(Refusal::Closed(error));
        }
        self.look_for();
        shared.deadline_at(deadline);
        shared.front.signal.notify();
        Ok(Some(ticket))
    }

    /// The wait of a topic's first record is what its others wait too.
    fn note_wait(&self, line: &VecDeque<Waiting>) {
        if let Some(first) = line.front() {
            let waited = self.shared.front.clock.now().mono.since(first.entered);
            self.shared.times.metadata_wait.add(waited);
        }
    }

    /// The driver learned of the topic's partitions. Places what waited, in its order, then lets everybody through.
    pub(crate) fn publish(&self, shape: &TopicShape, wakers: &mut Wakers) -> Vec<Arc<Slot>> {
        let count = u32::try_from(shape.partitions.len()).unwrap_or(0);
        let mut slots = Vec::new();
        for (number, partition) in (0..).zip(&shape.partitions) {
            slots.extend(self.add_slot(number, partition.ix).cloned());
        }
        self.sticky.publish(shape, slots.iter().map(|slot| slot.load.clone()), self.count() == 0);
        let all_available = shape.partitions.iter().all(|partition| partition.leader.is_some());
        self.all_available.store(all_available, Ordering::Relaxed);
        if self.count() > 0 && count > 0 {
            self.count.store(count, Ordering::Release);
            return slots;
        }
        if count == 0 {
            return slots;
        }
        self.note_wait(&locked(&self.unplaced).line);
        loop {
            let waiting = {
                let mut unplaced = locked(&self.unplaced);
                unplaced.error = None;
                match unplaced.line.pop_front() {
                    Some(waiting) => waiting,
                    None => {
                        self.count.store(count, Ordering::Release);
                        wakers.append(&mut unplaced.wakers);
                        return slots;
                    }
                }
            };
            self.place(waiting, count, wakers);
        }
    }

    fn place(&self, mut waiting: Waiting, count: u32, wakers: &mut Wakers) {
        match waiting.record.with(|parts| self.choose(parts, count)) {
            Ok(chosen) => {
                waiting.sticky = chosen.is_none();
                let partition = chosen.unwrap_or_else(|| self.sticky());
                waiting.record.set_partition(i32::try_from(partition).unwrap_or(i32::MAX));
                if waiting.sticky {
                    let clock = &self.shared.front.clock;
                    self.sticky.line(partition, waiting.record.held(), &self.settings, clock);
                }
                if let Some(slot) = self.slot(partition) {
                    slot.enqueue(waiting);
                }
            }
            Err(error) => waiting.fail(error, wakers),
        }
    }

    /// The topic cannot be had right now: what its waits time out with.
    pub(crate) fn doubt(&self, error: Error) {
        locked(&self.unplaced).doubt = Some(error);
    }

    /// The topic cannot be had: ends the wait of its records only (contracts B21).
    pub(crate) fn fail_waiting(&self, error: &Error, wakers: &mut Wakers) {
        let failed = {
            let mut unplaced = locked(&self.unplaced);
            unplaced.error = Some(error.clone());
            unplaced.asked = false;
            self.note_wait(&unplaced.line);
            wakers.append(&mut unplaced.wakers);
            std::mem::take(&mut unplaced.line)
        };
        for waiting in failed {
            let error = error.clone().with_topic(self.name.clone()).with_phase(Phase::Waiting);
            waiting.fail(error.with_possibly_written(false), wakers);
        }
    }

    /// Fails what waits for the topic of the transactions up to `generation`.
    pub(crate) fn discard(&self, generation: u64, error: &Error, wakers: &mut Wakers) {
        let gone = {
            let mut unplaced = locked(&self.unplaced);
            let (gone, keep): (VecDeque<_>, _) =
                std::mem::take(&mut unplaced.line).into_iter().partition(|waiting| waiting.generation <= generation);
            unplaced.line = keep;
            gone
        };
        for waiting in gone {
            let error = error.clone().with_topic(self.name.clone()).with_phase(Phase::Waiting);
            waiting.fail(error.with_possibly_written(false), wakers);
        }
    }

    /// Nothing will come any more.
    pub(crate) fn refuse(&self, error: Error) {
        let mut wakers = Wakers::new();
        locked(&self.unplaced).refused.get_or_insert(error.clone());
        self.fail_waiting(&error, &mut wakers);
        for waker in wakers {
            waker.wake();
        }
    }

    /// Fails what waited too long; tells of the next deadline.
    pub(crate) fn expire(&self, now: klamm_core::Time, wakers: &mut Wakers) {
        let mut late = Vec::new();
        let doubt = {
            let mut unplaced = locked(&self.unplaced);
            while unplaced.line.front().is_some_and(|waiting| waiting.deadline <= now) {
                late.extend(unplaced.line.pop_front());
                unplaced.asked = false;
            }
            if let Some(next) = unplaced.line.front() {
                self.shared.deadline_at(next.deadline);
            }
            unplaced.doubt.clone()
        };
        for waiting in late {
            let limit = self.settings.max_block.as_millis();
            let missing = doubt.as_ref().is_some_and(|doubt| doubt.kind() == ErrorKind::UnknownTopic);
            let (kind, text) = if missing {
                (ErrorKind::UnknownTopic, format!("topic {:?} does not exist (asked for {limit} ms)", self.name))
            } else {
                let nobody = if doubt.is_none() { ": no broker answered" } else { "" };
                let text = format!("the partitions of topic {:?} were not known within {limit} ms{nobody}", self.name);
                (ErrorKind::Timeout, text)
            };
            let error = Waiting::timed_out(kind, &self.name, text);
            let error = match doubt.clone() {
                Some(doubt) => error.with_source(doubt),
                None => error,
            };
            waiting.fail(error, wakers);
        }
    }

    /// The tickets of records that wait for the topic; a flush waits for them.
    pub(crate) fn fence(&self, into: &mut Vec<Arc<Ticket>>) {
        let mut unplaced = locked(&self.unplaced);
        for waiting in &mut unplaced.line {
            waiting.urgent = true;
            into.extend(waiting.ticket().cloned());
        }
    }

    /// How many records wait for the topic.
    pub(crate) fn waiting(&self) -> usize {
        locked(&self.unplaced).line.len()
    }

    /// Whether the topic is known, or why it cannot be had; else the waker is kept.
    pub(crate) fn poll_ready(&self, waker: Option<&Waker>) -> Option<Result<(), Error>> {
        if self.count() > 0 {
            return Some(Ok(()));
        }
        let mut unplaced = locked(&self.unplaced);
        if self.count() > 0 {
            return Some(Ok(()));
        }
        if let Some(error) = unplaced.refused.as_ref().or(unplaced.error.as_ref()) {
            return Some(Err(error.clone()));
        }
        if let Some(waker) = waker.filter(|waker| !unplaced.wakers.iter().any(|kept| kept.will_wake(waker))) {
            unplaced.wakers.push(waker.clone());
        }
        None
    }
}

#[inline]
fn place(partition: u32) -> (usize, usize) {
    let n = partition as usize + 1;
    let chunk = n.ilog2() as usize;
    (chunk, n - (1 << chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_has_a_place_of_its_own_that_never_moves() {
        let mut expected = (0..4).flat_map(|chunk| (0..1usize << chunk).map(move |at| (chunk, at)));
        for partition in 0..15 {
            assert_eq!(Some(place(partition)), expected.next());
        }
    }
}
