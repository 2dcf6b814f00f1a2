//! Operations of a consumer, in the order of its calls.

use crate::front::op::OpSlot;
use crate::front::shelf::Shelf;
use crate::op::{Op, Work};
use crate::producer::unexpected;
use crate::{Error, Result};
use klamm_core::OpId;
use klamm_core::client::{Command, Reply};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Starts a command as an operation with `default.api.timeout.ms`.
pub(super) fn ask<T: 'static>(
    shelf: &Arc<Shelf>,
    command: Command,
    turn: impl FnMut(Reply) -> Result<T> + Send + Sync + 'static,
) -> Op<T> {
    let started = shelf.start(command);
    limited(shelf, started, turn)
}

/// The same for one that was started already.
pub(super) fn limited<T: 'static>(
    shelf: &Arc<Shelf>,
    (op, slot): (OpId, Arc<OpSlot>),
    turn: impl FnMut(Reply) -> Result<T> + Send + Sync + 'static,
) -> Op<T> {
    shelf.limit(op, shelf.config.default_api_timeout);
    Op::new(shelf.front.clone(), Told { shelf: shelf.clone(), op, slot, turn })
}

/// Nothing is asked for but that it is done.
pub(super) fn done(reply: Reply) -> Result<()> {
    match reply {
        Reply::Unit => Ok(()),
        other => Err(unexpected(&other)),
    }
}

struct Told<F> {
    shelf: Arc<Shelf>,
    op: OpId,
    slot: Arc<OpSlot>,
    turn: F,
}

impl<T, F: FnMut(Reply) -> Result<T> + Send + Sync> Work<T> for Told<F> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T>> {
        self.slot.poll(cx).map(|reply| reply.and_then(&mut self.turn))
    }
    fn is_ready(&self) -> bool {
        self.slot.is_ready()
    }
    fn limit(&mut self, limit: Duration) {
        self.shelf.limit(self.op, limit);
    }
}

/// A commit whose failure is not forgotten if nobody looks.
pub(super) struct Committing {
    shelf: Arc<Shelf>,
    op: OpId,
    slot: Arc<OpSlot>,
    seen: bool,
}

impl Committing {
    pub(super) fn start(shelf: &Arc<Shelf>, command: Command) -> Op<()> {
        let (op, slot) = shelf.start(command);
        shelf.limit(op, shelf.config.default_api_timeout);
        Op::new(shelf.front.clone(), Self { shelf: shelf.clone(), op, slot, seen: false })
    }
}

impl Work<()> for Committing {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let polled = self.slot.poll(cx);
        self.seen |= polled.is_ready();
        polled.map(|reply| reply.and_then(done))
    }
    fn is_ready(&self) -> bool {
        self.slot.is_ready()
    }
    fn limit(&mut self, limit: Duration) {
        self.shelf.limit(self.op, limit);
    }
}

impl Drop for Committing {
    fn drop(&mut self) {
        if !self.seen {
            self.shelf.adopt(self.slot.clone());
        }
    }
}

/// Several operations, all of which have to succeed.
pub(super) struct All<F> {
    shelf: Arc<Shelf>,
    asked: Vec<(OpId, Arc<OpSlot>)>,
    replies: Vec<Option<Reply>>,
    turn: F,
}

impl<F> All<F> {
    pub(super) fn start<T: 'static>(shelf: &Arc<Shelf>, commands: Vec<Command>, turn: F) -> Op<T>
    where
        F: FnMut(Vec<Reply>) -> Result<T> + Send + Sync + 'static,
    {
        let asked: Vec<_> = commands.into_iter().map(|command| shelf.start(command)).collect();
        for (op, _) in &asked {
            shelf.limit(*op, shelf.config.default_api_timeout);
        }
        let replies = vec![None; asked.len()];
        Op::new(shelf.front.clone(), Self { shelf: shelf.clone(), asked, replies, turn })
    }
}

impl<T, F: FnMut(Vec<Reply>) -> Result<T> + Send + Sync> Work<T> for All<F> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let mut pending = false;
        for ((_, slot), reply) in self.asked.iter().zip(&mut self.replies) {
            if reply.is_some() {
                continue;
            }
            match slot.poll(cx) {
                Poll::Ready(Ok(answer)) => *reply = Some(answer),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => pending = true,
            }
        }
        if pending {
            return Poll::Pending;
        }
        Poll::Ready((self.turn)(std::mem::take(&mut self.replies).into_iter().flatten().collect()))
    }
    fn is_ready(&self) -> bool {
        self.asked.iter().all(|(_, slot)| slot.is_ready())
    }
    fn limit(&mut self, limit: Duration) {
        self.asked.iter().for_each(|(op, _)| self.shelf.limit(*op, limit));
    }
}

/// The end of a consumer.
pub(super) struct Ending {
    pub(super) shelf: Arc<Shelf>,
    pub(super) slot: Arc<OpSlot>,
    pub(super) hurry: fn(&Shelf, klamm_core::Time),
}

impl Work<()> for Ending {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.slot.poll(cx).map(|reply| match reply {
            Err(error) if error.kind() != crate::ErrorKind::Closed => Err::<(), Error>(error),
            // It is closed: that was the wish.
            _ => Ok(()),
        })
    }
    fn is_ready(&self) -> bool {
        self.slot.is_ready()
    }
    fn limit(&mut self, limit: Duration) {
        (self.hurry)(&self.shelf, self.shelf.front.clock.now().mono + limit);
    }
}
