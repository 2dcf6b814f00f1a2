//! The front under `loom`: every order in which its threads can meet, up to a bound of preemptions, instead of those that
//! happen to come about.
//!
//! ```console
//! $ RUSTFLAGS="--cfg loom" cargo test --no-default-features --lib --target-dir target/loom front::models
//! ```
//!
//! The driver is the front's own half of it: what `front/engine` does in a turn and before it sleeps, with batches that are
//! acknowledged at once. Reference counts are the standard library's and no place where threads meet here.

mod consumers;
mod hand_over;
mod outcomes;
mod records;

use super::ack::Wakers;
use super::append::{Sent, place};
use super::clock::FrontClock;
use super::line::{Parts, Placed, Ticket};
use super::pack::{Packing, Sealed};
use super::producer::{ProducerFront, Settings};
use super::slot::{Slot, wake};
use super::topics::TopicSlot;
use super::{Front, append::Refusal};
use crate::partitioning::Choice;
use klamm_core::client::{PartitionShape, TopicShape};
use klamm_core::config::ProducerConfig;
use klamm_core::driver::Clock;
use klamm_core::{BrokerId, Now, PartitionIx, Time, Timestamp, TopicIx};
use std::sync::Arc;
use std::task::{Context, Poll};

/// The stack of a model's thread, in words.
const STACK: usize = 1 << 16;

/// Runs a model with at most so many preemptions: where threads go wrong, they mostly do with two.
fn model(preemptions: usize, run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    let run = Arc::new(run);
    builder.check(move || {
        let run = run.clone();
        // A front is more than the stack of a model's first thread takes.
        let thread = loom::thread::Builder::new().stack_size(STACK).spawn(move || run());
        thread.expect("a model has room for threads").join().expect("the model holds");
    });
}

fn front() -> Arc<Front> {
    let now = || Now { mono: Time(1_000_000), wall: Timestamp(1) };
    Arc::new(Front::new(FrontClock::new(Clock::new(now), false), 7))
}

/// One producer with one topic, and the driver's half of it.
struct Rig {
    producer: Arc<ProducerFront>,
    topic: Arc<TopicSlot>,
}

fn rig(change: impl FnOnce(&mut Settings)) -> Rig {
    let config = Arc::new(ProducerConfig::default());
    let mut settings = Settings::new(&config, Choice::Builtin);
    settings.linger = std::time::Duration::ZERO;
    change(&mut settings);
    let producer = Arc::new(ProducerFront::new(front(), config, settings, None));
    let topic = producer.topic("t");
    // The command that asks for the topic is nobody's concern here.
    producer.shared.front.inbox.swap(&mut Vec::new());
    Rig { producer, topic }
}

fn one_partition() -> TopicShape {
    let partition = PartitionShape { ix: PartitionIx(0), leader: Some(BrokerId(1)), near: false };
    TopicShape { topic: TopicIx(0), incarnation: 0, partitions: vec![partition] }
}

fn send(topic: &TopicSlot, value: &[u8]) -> Result<Sent<Placed>, Refusal> {
    let parts = Parts { partition: Some(0), timestamp: Some(1), key: None, value: Some(value), headers: &[] };
    topic.send(&parts, true, place)
}

impl Rig {
    /// With its partition known.
    fn published(self) -> Self {
        self.publish();
        self
    }

    fn publish(&self) {
        let mut wakers = Wakers::new();
        self.topic.publish(&one_partition(), &mut wakers);
        wake(wakers);
    }

    fn slot(&self) -> Arc<Slot> {
        self.topic.slot(0).unwrap().clone()
    }

    /// A turn of the driver: grants memory, takes what is there and acknowledges it. Gives how many records that were.
    fn turn(&self) -> u32 {
        let (shared, now) = (&self.producer.shared, self.producer.shared.front.clock.now());
        let mut wakers = Wakers::new();
        shared.front.signal.begin();
        let mut slots = Vec::new();
        shared.swap_dirty(&mut slots);
        for slot in &slots {
            slot.visit();
        }
        while shared.budget.is_open() {
            let Some(slot) = shared.budget.first() else { break };
            let mut packed = 0;
            let done = slot.serve(now, &mut wakers, &mut |sealed: Sealed| {
                packed += 1;
                sealed.pack();
            });
            if done {
                shared.budget.pass(false);
            } else if packed == 0 {
                break;
            }
        }
        let mut slots = Vec::new();
        shared.swap_dirty(&mut slots);
        for slot in &slots {
            slot.visit();
        }
        let mut count = 0;
        for slot in self.topic.slots() {
            loop {
                match slot.take(now.mono, true, &mut wakers).0 {
                    Some(Packing::ToDo(sealed)) => sealed.pack(),
                    Some(Packing::Done(batch)) => {
                        count += batch.count;
                        let setter = slot.resolve(batch.no).expect("a batch has an outcome to come");
                        setter.deliver(Some(0), None, &mut wakers);
                    }
                    None => break,
                }
            }
        }
        wake(wakers);
        count
    }

    /// Turns as the driver does, and sleeps as it does, until `done` says so of the records acknowledged so far.
    fn drive(&self, mut done: impl FnMut(u32) -> bool) {
        let (shared, mut count) = (&self.producer.shared, 0);
        loom::future::block_on(std::future::poll_fn(|cx: &mut Context<'_>| {
            shared.front.signal.register(cx.waker());
            loop {
                count += self.turn();
                if done(count) {
                    return Poll::Ready(());
                }
                shared.arm(false);
                if shared.front.signal.park() {
                    if shared.front.inbox.is_empty() && !shared.is_dirty() {
                        return Poll::Pending;
                    }
                    shared.front.signal.unpark();
                }
            }
        }));
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // What the driver's next turn would do: a slot on the list keeps its producer.
        self.producer.shared.swap_dirty(&mut Vec::new());
    }
}

/// The ticket or the place of a record that was taken.
fn is_delivered(sent: &Sent<Placed>) -> bool {
    match sent {
        Sent::Placed(placed) => placed.ack.is_ready(placed.index),
        Sent::Waiting(ticket) => settled(ticket),
    }
}

fn settled(ticket: &Arc<Ticket>) -> bool {
    ticket.outcome_known()
}
