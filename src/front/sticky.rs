//! Where records without a key go now, and what moves that choice on: bytes, waiting batches, brokers that take none.

use super::clock::FrontClock;
use super::locked;
use super::producer::Settings;
use super::sync::Mutex;
use super::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use klamm_core::client::TopicShape;
use klamm_core::codec::{Codec, Refused};
use klamm_core::producer::{Chooser, Ratio};
use klamm_core::{BrokerId, Time};
use std::collections::BTreeMap;
use std::sync::Arc;

/// So many partitions are weighed anew at each move; of larger topics one move in several does it.
const WEIGHED: usize = 512;

/// How busy a partition is: written under its slot's lock, read by whoever moves the choice on.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// Batches in the slot, the open one included.
    queued: AtomicU32,
    /// When the first of them could have gone, in ns.
    since: AtomicU64,
    /// When one was last taken, in ns.
    taken: AtomicU64,
}

impl Load {
    /// The slot has so many batches now; `due`: when the first of them could go, if it had none before.
    pub(super) fn queued(&self, queued: usize, due: impl FnOnce() -> Option<Time>) {
        let before = self.queued.swap(u32::try_from(queued).unwrap_or(u32::MAX), Ordering::Relaxed);
        if before == 0 && queued > 0 {
            if let Some(due) = due() {
                self.since.store(due.0, Ordering::Relaxed);
            }
        }
    }

    /// One was taken just now.
    pub(super) fn taken(&self, now: Time) {
        self.taken.store(now.0, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Choosing {
    chooser: Chooser,
    /// By number.
    partitions: Vec<(Arc<Load>, Option<BrokerId>)>,
    /// Moves since the last weighing.
    age: usize,
}

impl Choosing {
    fn weigh(&mut self, settings: &Settings, clock: &FrontClock) {
        self.age += 1;
        if !settings.adaptive || self.age * WEIGHED < self.partitions.len() {
            return;
        }
        self.age = 0;
        let patience = settings.availability_timeout;
        let slow = if patience.is_zero() { BTreeMap::new() } else { self.waits(clock.now().mono) };
        let Self { chooser, partitions, .. } = self;
        chooser.weigh(|number| {
            let (load, leader) = partitions.get(number as usize)?;
            let is_slow = leader.and_then(|leader| slow.get(&leader)).is_some_and(|wait| *wait > patience);
            (!is_slow).then(|| load.queued.load(Ordering::Relaxed))
        });
    }

    /// For how long each broker has left batches of this topic waiting without taking any.
    fn waits(&self, now: Time) -> BTreeMap<BrokerId, std::time::Duration> {
        let mut brokers: BTreeMap<BrokerId, (Option<Time>, Time)> = BTreeMap::new();
        for (load, leader) in &self.partitions {
            let Some(leader) = leader else { continue };
            let (since, taken) = brokers.entry(*leader).or_insert((None, Time::ZERO));
            *taken = (*taken).max(Time(load.taken.load(Ordering::Relaxed)));
            if load.queued.load(Ordering::Relaxed) > 0 {
                let here = Time(load.since.load(Ordering::Relaxed));
                *since = Some(since.map_or(here, |since| since.min(here)));
            }
        }
        let waits =
            brokers.into_iter().filter_map(|(broker, (since, taken))| Some((broker, now.since(since?.max(taken)))));
        waits.collect()
    }
}

/// The sticky choice of one topic, on a cache line of its own.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Sticky {
    current: AtomicU32,
    /// Bytes that wait in line for the current choice.
    lined: AtomicUsize,
    choosing: Mutex<Choosing>,
    /// How well the topic's batches compress: decides how much they take before they are full.
    ratio: AtomicU32,
    /// Codecs that brokers refused for the topic.
    refused: AtomicU8,
}

impl Sticky {
    pub(super) fn new(seed: u64) -> Self {
        let choosing = Choosing { chooser: Chooser::new(seed), partitions: Vec::new(), age: 0 };
        Self {
            current: AtomicU32::new(0),
            lined: AtomicUsize::new(0),
            choosing: Mutex::new(choosing),
            ratio: AtomicU32::new(Ratio::default().to_bits()),
            refused: AtomicU8::new(0),
        }
    }

    /// Where records without a key go now.
    #[inline]
    pub(crate) fn current(&self) -> u32 {
        self.current.load(Ordering::Relaxed)
    }

    /// A record goes in line for `to`: after a batch's worth of them the choice moves on, as it does when a batch is full.
    /// Else all that waits for a topic, or for memory, would go to one partition.
    pub(crate) fn line(&self, to: u32, bytes: usize, settings: &Settings, clock: &FrontClock) {
        let lined = self.lined.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if lined >= settings.batch_size {
            self.lined.store(0, Ordering::Relaxed);
            self.roll(to, settings, clock);
        }
    }

    /// Moves on from `from`, unless that happened already.
    pub(crate) fn roll(&self, from: u32, settings: &Settings, clock: &FrontClock) {
        let mut choosing = locked(&self.choosing);
        if self.current() == from {
            choosing.weigh(settings, clock);
            self.current.store(choosing.chooser.roll(), Ordering::Relaxed);
        }
    }

    /// Takes in the topic's shape. Moves on if the choice cannot stand, or is the `first`.
    pub(super) fn publish(&self, shape: &TopicShape, loads: impl Iterator<Item = Arc<Load>>, first: bool) {
        let count = u32::try_from(shape.partitions.len()).unwrap_or(0);
        let mut choosing = locked(&self.choosing);
        choosing.partitions.clear();
        choosing.partitions.extend(loads.zip(shape.partitions.iter().map(|partition| partition.leader)));
        let led = (0..).zip(&shape.partitions).filter(|(_, partition)| partition.leader.is_some());
        choosing.chooser.set(count, led.map(|(number, partition)| (number, partition.near)));
        let current = self.current();
        if first || current >= count || !choosing.chooser.is_available(current) {
            self.current.store(choosing.chooser.roll(), Ordering::Relaxed);
        }
    }

    /// How well the topic's batches compress.
    pub(super) fn ratio(&self) -> Ratio {
        Ratio::from_bits(self.ratio.load(Ordering::Relaxed))
    }

    /// A batch was compressed. Of two at once one may count alone: it is an estimate.
    pub(super) fn packed(&self, plain: usize, packed: usize) {
        self.ratio.store(self.ratio().observed(plain, packed).to_bits(), Ordering::Relaxed);
    }

    /// Codecs that brokers refused for the topic.
    pub(super) fn refused(&self) -> Refused {
        Refused::from_bits(self.refused.load(Ordering::Relaxed))
    }

    /// One more; the next one compresses otherwise.
    pub(super) fn refuse(&self, codec: Codec) {
        let mut refused = self.refused();
        if refused.add(codec) {
            self.refused.store(refused.to_bits(), Ordering::Relaxed);
            self.was_split();
        }
    }

    /// A batch was too large for its broker: begin to learn anew (`RecordAccumulator.splitAndReenqueue`).
    pub(super) fn was_split(&self) {
        self.ratio.store(Ratio::default().to_bits(), Ordering::Relaxed);
    }

    /// Any partition with a leader.
    pub(super) fn draw(&self) -> u32 {
        locked(&self.choosing).chooser.draw()
    }

    /// The `turn`-th of a round.
    pub(super) fn in_turn(&self, turn: u32) -> u32 {
        locked(&self.choosing).chooser.in_turn(turn)
    }

    /// Whether the partition has a leader.
    pub(super) fn is_available(&self, partition: u32) -> bool {
        locked(&self.choosing).chooser.is_available(partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use klamm_core::client::PartitionShape;
    use klamm_core::config::ProducerConfig;
    use klamm_core::driver::Clock;
    use klamm_core::{Now, PartitionIx, TopicIx};
    use std::time::Duration;

    struct Rig {
        time: Arc<AtomicU64>,
        clock: FrontClock,
        settings: Settings,
        sticky: Sticky,
        loads: Vec<Arc<Load>>,
    }

    /// Partitions 0 and 1 on broker 1, partitions 2 and 3 on broker 2.
    fn rig(change: impl FnOnce(&mut ProducerConfig)) -> Rig {
        let time = Arc::new(AtomicU64::new(0));
        let read = time.clone();
        let clock = Clock::new(move || Now { mono: Time(read.load(Ordering::Relaxed)), ..Now::default() });
        let mut config = ProducerConfig::default();
        change(&mut config);
        let settings = Settings::new(&config, crate::partitioning::Choice::Builtin);
        let loads: Vec<Arc<Load>> = (0..4).map(|_| Arc::default()).collect();
        let sticky = Sticky::new(9);
        let partitions = (0..4)
            .map(|n| PartitionShape { ix: PartitionIx(n), leader: Some(BrokerId(1 + n as i32 / 2)), near: false })
            .collect();
        let shape = TopicShape { topic: TopicIx(0), incarnation: 0, partitions };
        sticky.publish(&shape, loads.iter().cloned(), true);
        Rig { time, clock: FrontClock::new(clock, false), settings, sticky, loads }
    }

    impl Rig {
        fn at(&self, time: Duration) -> Time {
            self.time.store(time.as_nanos() as u64, Ordering::Relaxed);
            Time(time.as_nanos() as u64)
        }

        fn hits(&self) -> [u32; 4] {
            let mut hits = [0; 4];
            for _ in 0..8000 {
                self.sticky.roll(self.sticky.current(), &self.settings, &self.clock);
                hits[self.sticky.current() as usize] += 1;
            }
            hits
        }
    }

    #[test]
    fn a_partition_whose_batches_wait_gets_less_and_all_the_same_if_it_is_not_to() {
        let adaptive = rig(|_| ());
        adaptive.loads[0].queued(3, || None);
        let hits = adaptive.hits();
        assert!(hits[0] < 800 && hits[1] > 2000, "weights 1, 4, 4, 4: {hits:?}");
        let even = rig(|config| config.partitioner_adaptive_partitioning_enable = false);
        even.loads[0].queued(3, || None);
        assert!(even.hits().iter().all(|n| (1800..2200).contains(n)));
    }

    #[test]
    fn a_broker_that_takes_nothing_is_left_out_until_it_takes_something() {
        let rig = rig(|config| config.partitioner_availability_timeout = Duration::from_secs(1));
        let begin = rig.at(Duration::from_secs(10));
        rig.loads[0].queued(1, || Some(begin));
        rig.loads[2].queued(1, || Some(begin));
        rig.at(Duration::from_millis(10_900));
        assert!(rig.hits().iter().all(|n| *n > 500), "not yet");
        let later = rig.at(Duration::from_millis(11_500));
        rig.loads[3].taken(later);
        let hits = rig.hits();
        assert_eq!((hits[0], hits[1]), (0, 0), "partition 1 has nothing waiting, but the same broker: {hits:?}");
        assert!(hits[2] > 0 && hits[3] > 0);
        rig.loads[1].taken(later);
        assert!(rig.hits().iter().all(|n| *n > 500));
    }
}
