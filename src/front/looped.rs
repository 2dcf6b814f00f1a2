//! A producer whose batches are acknowledged on the spot: what `send` costs alone, for benchmarks.

use super::Front;
use super::ack::Wakers;
use super::clock::FrontClock;
use super::pack::Packing;
use super::producer::{ProducerFront, Settings};
use super::slot::wake;
use crate::config::Config;
use crate::kafka::Handle;
use crate::partitioning::Choice;
use crate::producer::Producer;
use klamm_core::client::{PartitionShape, TopicShape};
use klamm_core::config::builder::ProducerConfig;
use klamm_core::driver::Clock;
use klamm_core::{BrokerId, Now, PartitionIx, Time, Timestamp, TopicIx};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// The front of one producer with a broker that acknowledges at once and keeps nothing.
#[doc(hidden)]
pub struct Looped {
    front: Arc<ProducerFront>,
    producer: Producer,
    dirty: Vec<Arc<super::slot::Slot>>,
}

impl Looped {
    /// A producer of this section and its topic `t`.
    ///
    /// # Errors
    /// What is wrong with the section.
    pub fn new(section: &ProducerConfig, partitions: u32) -> crate::Result<Self> {
        let epoch = Instant::now();
        let clock = Clock::new(move || Now {
            mono: Time(u64::try_from(epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)),
            wall: Timestamp::from(SystemTime::now()),
        });
        let given = Config::new("localhost:1");
        let config = given.builder().resolve_producer(section)?;
        let settings = Settings::new(&config, Choice::new(&config.partitioning, false)?);
        let shared = Arc::new(Front::new(FrontClock::new(clock, true), 1));
        let front = Arc::new(ProducerFront::new(shared.clone(), Arc::new(config), settings, None));
        let handle = Handle::new(shared, Arc::new(given.builder().resolve()?), given);
        let producer = Producer::new(front.clone(), Arc::new(handle));
        let partitions = (0..partitions)
            .map(|number| PartitionShape { ix: PartitionIx(number), leader: Some(BrokerId(1)), near: false })
            .collect();
        let mut wakers = Wakers::new();
        front.topic("t").publish(&TopicShape { topic: TopicIx(0), incarnation: 0, partitions }, &mut wakers);
        wake(wakers);
        Ok(Self { front, producer, dirty: Vec::new() })
    }

    /// The producer.
    pub fn producer(&self) -> &Producer {
        &self.producer
    }

    /// Acknowledges every batch that is sealed.
    pub fn turn(&mut self) {
        let mut wakers = Wakers::new();
        self.front.shared.swap_dirty(&mut self.dirty);
        for slot in self.dirty.drain(..) {
            slot.visit();
            while let (Some(Packing::Done(batch)), _) = slot.take_packed(&mut wakers) {
                if let Some(setter) = slot.resolve(batch.no) {
                    setter.deliver(Some(0), None, &mut wakers);
                }
            }
        }
        wake(wakers);
    }
}
