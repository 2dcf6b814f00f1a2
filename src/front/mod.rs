//! Where the application's threads and the driver meet. Only here are locks: each guards one small struct, is held for
//! O(1) work, never across a call into the application's code, and never two at a time but for leaves (`sync`).

pub(crate) mod ack;
pub(crate) mod append;
pub(crate) mod budget;
pub(crate) mod clock;
pub(crate) mod consumers;
pub(crate) mod engine;
pub(crate) mod inbox;
pub(crate) mod line;
pub(crate) mod looped;
#[cfg(all(loom, test))]
mod models;
pub(crate) mod op;
pub(crate) mod pack;
pub(crate) mod park;
pub(crate) mod pool;
#[cfg(feature = "unstable-protocol")]
pub(crate) mod prepared;
pub(crate) mod producer;
pub(crate) mod recent;
mod serve;
pub(crate) mod shelf;
pub(crate) mod signal;
pub(crate) mod slot;
mod sticky;
pub(crate) mod sync;
#[cfg(test)]
mod tests;
pub(crate) mod times;
pub(crate) mod topics;
pub(crate) mod transaction;

use clock::FrontClock;
use inbox::{Inbox, Input};
use klamm_core::client::Command;
use klamm_core::{Error, ErrorKind, OpId};
use op::{OpSlot, op_slot};
use producer::ProducerShared;
use recent::{Reading, Recent};
use signal::Signal;
use std::sync::{Arc, Weak};
use std::time::Duration;
use sync::Mutex;
use sync::atomic::{AtomicU32, AtomicU64, Ordering};
pub use sync::set_yield_hook;
pub(crate) use sync::{locked, yield_point};

/// What one `Kafka` shares between its handles and its driver.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) clock: FrontClock,
    pub(crate) signal: Signal,
    pub(crate) inbox: Inbox,
    /// The thread of the driver's last turn; 0 before the first.
    pub(crate) driver_thread: AtomicU64,
    /// What the driver last published.
    pub(crate) recent: Mutex<Recent>,
    producers: Mutex<Vec<Weak<ProducerShared>>>,
    seed: u64,
    next_op: AtomicU64,
    next_producer: AtomicU32,
    next_consumer: AtomicU32,
    process: u32,
}

impl Front {
    pub(crate) fn new(clock: FrontClock, seed: u64) -> Self {
        Self::measured(clock, seed, Duration::from_secs(30), 2)
    }

    /// With metrics over `count` windows.
    pub(crate) fn measured(clock: FrontClock, seed: u64, window: Duration, count: u32) -> Self {
        let recent = Recent::new(window, count, clock.now().mono);
        Self {
            clock,
            signal: Signal::new(),
            inbox: Inbox::default(),
            driver_thread: AtomicU64::new(0),
            recent: Mutex::new(recent),
            producers: Mutex::default(),
            seed,
            next_op: AtomicU64::new(1),
            next_producer: AtomicU32::new(0),
            next_consumer: AtomicU32::new(0),
            process: std::process::id(),
        }
    }

    /// The producer of this index, if anybody holds it.
    pub(crate) fn producer(&self, ix: klamm_core::ProducerIx) -> Option<Arc<ProducerShared>> {
        let producers: Vec<_> = locked(&self.producers).iter().filter_map(Weak::upgrade).collect();
        producers.into_iter().find(|producer| producer.ix == ix)
    }

    /// What was counted, and a window or two before.
    pub(crate) fn read_stats(&self) -> Reading {
        locked(&self.recent).read(self.clock.now().mono)
    }

    /// A name for an operation.
    pub(crate) fn op(&self) -> OpId {
        OpId(self.next_op.fetch_add(1, Ordering::Relaxed))
    }

    /// An index for a producer.
    pub(crate) fn producer_ix(&self) -> klamm_core::ProducerIx {
        klamm_core::ProducerIx(self.next_producer.fetch_add(1, Ordering::Relaxed))
    }

    /// An index for a consumer.
    pub(crate) fn consumer_ix(&self) -> klamm_core::ConsumerIx {
        klamm_core::ConsumerIx(self.next_consumer.fetch_add(1, Ordering::Relaxed))
    }

    /// A producer came into being.
    pub(crate) fn add_producer(&self, shared: &Arc<ProducerShared>) {
        let mut producers = locked(&self.producers);
        producers.retain(|kept| kept.strong_count() > 0);
        producers.push(Arc::downgrade(shared));
    }

    /// Closes the gates of all producers, by the thread that ends the client (contracts A8).
    pub(crate) fn close_gates(&self) {
        let producers: Vec<_> = locked(&self.producers).iter().filter_map(Weak::upgrade).collect();
        for producer in producers {
            producer.close_gate(producer::CLOSED);
        }
    }

    /// A seed for a part of the front, always the same for the same client seed and `part`.
    pub(crate) fn seed(&self, part: u64) -> u64 {
        self.seed ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// Hands an input to the driver and wakes it.
    ///
    /// # Errors
    /// The driver is gone, or this is a forked child of the process that connected (contracts C-9).
    pub(crate) fn push(&self, input: Input) -> Result<(), Error> {
        self.check_process()?;
        self.inbox.push(input)?;
        self.signal.notify();
        Ok(())
    }

    /// Starts an operation of the core; its answer appears in the slot, a refusal too.
    pub(crate) fn start(&self, command: Command) -> (OpId, Arc<OpSlot>) {
        let op = self.op();
        let (setter, slot) = op_slot();
        if let Err(error) = self.check_process() {
            setter.set(Err(error));
        } else if self.inbox.push(Input::Command(op, Some(setter), command)).is_ok() {
            self.signal.notify();
        }
        (op, slot)
    }

    /// Limits a running operation.
    pub(crate) fn limit(&self, op: OpId, limit: std::time::Duration) {
        let at = self.clock.now().mono + limit;
        // A refusal means that the driver is gone: then the operation is answered already.
        let _ = self.push(Input::Command(op, None, Command::Deadline(at)));
    }

    /// A slot that is answered after `limit`, or when the client ends.
    pub(crate) fn timer(&self, limit: std::time::Duration) -> Arc<OpSlot> {
        let (setter, slot) = op_slot();
        // A refusal answers the slot: then the client has ended.
        let _ = self.push(Input::Timer(self.clock.now().mono + limit, setter));
        slot
    }

    pub(crate) fn check_process(&self) -> Result<(), Error> {
        if std::process::id() == self.process {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Misuse, "this client was connected before the process forked")
            .with_hint("connect in the child process"))
    }
}

/// The error of what was under way when the client ended.
pub(crate) fn closed(handed_over: bool) -> Error {
    Error::new(ErrorKind::Closed, "the client was closed before the record was acknowledged")
        .with_possibly_written(handed_over)
}
