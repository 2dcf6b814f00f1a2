//! What the application asks, on its way to the driver.

use super::op::OpSetter;
use super::producer::ProducerFront;
use super::shelf::Shelf;
use super::sync::{Mutex, leaf};
use super::transaction::Step;
use klamm_core::client::{CloseConsumer, Command};
use klamm_core::{ConsumerIx, Error, ErrorKind, OpId, ProducerIx, Time};
use std::fmt;
use std::sync::Arc;

/// More waiting commands than this are refused: commands are control-plane, so this many mean that nobody reads them.
const MOST: usize = 65_536;

/// One thing that the application asks.
pub(crate) enum Input {
    /// A command for the core; `None`: nobody waits for an answer, or another command of the same id carries the setter.
    Command(OpId, Option<OpSetter>, Command),
    /// A new producer.
    OpenProducer(Arc<ProducerFront>),
    /// A producer whose gate is closed: it is answered when all of it is resolved; after the deadline what is left fails.
    CloseProducer(Arc<ProducerFront>, Option<OpSetter>, Option<Time>),
    /// Records of this generation belong to a new transaction.
    BeginTransaction(Arc<ProducerFront>, u64),
    /// A transaction takes a step towards its end; nobody may wait for that.
    EndTransaction(Arc<ProducerFront>, u64, Step, Vec<OpSetter>),
    /// A new consumer.
    OpenConsumer(Arc<Shelf>),
    /// A consumer whose polls have ended; answered when the core ended it, at this time at the latest.
    CloseConsumer(ConsumerIx, Option<OpSetter>, CloseConsumer, Time),
    /// The same, once the transactions of this producer have ended, which may carry the consumer's positions.
    CloseAfter(ProducerIx, ConsumerIx, Option<OpSetter>, CloseConsumer, Time),
    /// The close of a consumer has no more time than this.
    HurryConsumer(ConsumerIx, Time),
    /// Answers the slot at this time.
    Timer(Time, OpSetter),
    /// All roles and the client itself are to end; `None`: the last handle is gone, everything may finish first.
    Close(Option<OpSetter>, Option<Time>),
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(op, _, command) => write!(f, "Command({op}, {command:?})"),
            Self::OpenProducer(_) => f.write_str("OpenProducer"),
            Self::CloseProducer(_, _, deadline) => write!(f, "CloseProducer({deadline:?})"),
            Self::BeginTransaction(_, generation) => write!(f, "BeginTransaction({generation})"),
            Self::EndTransaction(_, generation, step, _) => write!(f, "EndTransaction({generation}, {step:?})"),
            Self::OpenConsumer(shelf) => write!(f, "OpenConsumer({})", shelf.ix),
            Self::CloseConsumer(ix, _, how, deadline) => write!(f, "CloseConsumer({ix}, {how:?}, {deadline:?})"),
            Self::CloseAfter(after, ix, ..) => write!(f, "CloseAfter({after}, {ix})"),
            Self::HurryConsumer(ix, at) => write!(f, "HurryConsumer({ix}, {at:?})"),
            Self::Timer(at, _) => write!(f, "Timer({at:?})"),
            Self::Close(_, deadline) => write!(f, "Close({deadline:?})"),
        }
    }
}

#[derive(Debug, Default)]
struct Queue {
    inputs: Vec<Input>,
    dead: Option<Error>,
}

/// The commands since the driver's last turn: it swaps the vector, so nothing is allocated in steady state.
#[derive(Debug, Default)]
pub(crate) struct Inbox(Mutex<Queue>);

impl Inbox {
    /// Hands an input over.
    ///
    /// # Errors
    /// The driver is gone, or does not read; setters in `input` are then resolved with that error.
    pub(crate) fn push(&self, mut input: Input) -> Result<(), Error> {
        let refused = {
            let mut queue = leaf(&self.0);
            match &queue.dead {
                Some(error) => error.clone(),
                None if queue.inputs.len() >= MOST => Error::new(
                    ErrorKind::BufferFull,
                    format!("{MOST} operations wait for the driver, which does not run"),
                ),
                None => {
                    queue.inputs.push(input);
                    return Ok(());
                }
            }
        };
        if let Input::Command(_, setter, _)
        | Input::CloseProducer(_, setter, _)
        | Input::CloseConsumer(_, setter, ..)
        | Input::CloseAfter(_, _, setter, ..)
        | Input::Close(setter, _) = &mut input
        {
            if let Some(setter) = setter.take() {
                setter.set(Err(refused.clone()));
            }
        }
        if let Input::EndTransaction(_, _, _, setters) = &mut input {
            setters.drain(..).for_each(|setter| setter.set(Err(refused.clone())));
        }
        Err(refused)
    }

    /// Swaps the inputs out.
    pub(crate) fn swap(&self, into: &mut Vec<Input>) {
        debug_assert!(into.is_empty());
        std::mem::swap(&mut leaf(&self.0).inputs, into);
    }

    /// Whether something waits.
    pub(crate) fn is_empty(&self) -> bool {
        leaf(&self.0).inputs.is_empty()
    }

    /// Refuses everything from now on and gives back what waited.
    pub(crate) fn kill(&self, error: Error) -> Vec<Input> {
        let mut queue = leaf(&self.0);
        queue.dead.get_or_insert(error);
        std::mem::take(&mut queue.inputs)
    }

    /// Why it refuses everything, if it does.
    pub(crate) fn dead(&self) -> Option<Error> {
        leaf(&self.0).dead.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::op::op_slot;
    use super::*;

    #[test]
    fn a_dead_inbox_resolves_what_comes_too_late() {
        let inbox = Inbox::default();
        inbox.kill(Error::new(ErrorKind::Closed, "over"));
        let (setter, slot) = op_slot();
        let refused = inbox.push(Input::Close(Some(setter), None)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Closed);
        assert_eq!(slot.take().unwrap().unwrap_err(), refused);
    }
}
