//! A running operation.

use crate::front::Front;
use crate::front::op::OpSlot;
use crate::front::park;
use crate::{Error, Result};
use klamm_core::OpId;
use klamm_core::client::Reply;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// An operation that has begun: awaiting its end is optional, like that of a `JoinHandle`.
///
/// `.await` it on any executor, or [`wait`](Self::wait) for it on any thread of yours.
///
/// # Cancel safety
/// Dropping it ends the waiting, never the work: the operation goes on and its answer is discarded.
#[must_use = "the operation runs; await it, or `.wait()`, to know how it ended"]
#[doc(alias = "KafkaFuture")]
pub struct Op<T> {
    work: Box<dyn Work<T>>,
    front: Option<Arc<Front>>,
}

/// What an operation waits for.
pub(crate) trait Work<T>: Send + Sync {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T>>;
    fn is_ready(&self) -> bool;
    fn limit(&mut self, limit: Duration);
}

impl<T> Op<T> {
    pub(crate) fn new(front: Arc<Front>, work: impl Work<T> + 'static) -> Self {
        Self { work: Box::new(work), front: Some(front) }
    }

    /// One that is over already.
    pub(crate) fn ready(result: Result<T>) -> Self
    where
        T: Send + Sync + 'static,
    {
        Self { work: Box::new(Over(Some(result))), front: None }
    }

    /// Limits the operation itself, instead of `default.api.timeout.ms`: after `limit` from now it ends with
    /// `ErrorKind::Timeout`. Work that has reached a broker may still take effect.
    #[doc(alias = "timeout")]
    pub fn within(mut self, limit: Duration) -> Self {
        self.work.limit(limit);
        self
    }

    pub(crate) fn limit(&mut self, limit: Duration) {
        self.work.limit(limit);
    }

    /// Whether it is over: then awaiting it returns at once.
    pub fn is_ready(&self) -> bool {
        self.work.is_ready()
    }

    /// Parks this thread until the operation is over.
    ///
    /// # Errors
    /// The operation's own; `ErrorKind::Misuse` on the thread that runs the client's driver (a current-thread runtime),
    /// where it would never return.
    pub fn wait(self) -> Result<T> {
        if self.front.as_ref().is_some_and(|front| !self.work.is_ready() && park::would_deadlock(front)) {
            return Err(park::misuse());
        }
        match park::block_on(self, None) {
            Some(result) => result,
            None => Err(park::misuse()),
        }
    }
}

impl<T> Future for Op<T> {
    type Output = Result<T>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.work.poll(cx)
    }
}

impl<T> fmt::Debug for Op<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Op").field("is_ready", &self.is_ready()).finish_non_exhaustive()
    }
}

struct Over<T>(Option<Result<T>>);

impl<T: Send + Sync> Work<T> for Over<T> {
    fn poll(&mut self, _: &mut Context<'_>) -> Poll<Result<T>> {
        match self.0.take() {
            Some(result) => Poll::Ready(result),
            None => Poll::Pending,
        }
    }
    fn is_ready(&self) -> bool {
        true
    }
    fn limit(&mut self, _: Duration) {}
}

/// An operation of the core: its reply, turned into what the caller asked for.
pub(crate) struct Asked<F> {
    pub(crate) op: OpId,
    pub(crate) slot: Arc<OpSlot>,
    pub(crate) front: Arc<Front>,
    pub(crate) turn: F,
}

impl<T, F: FnMut(Reply) -> Result<T> + Send + Sync> Work<T> for Asked<F> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T>> {
        self.slot.poll(cx).map(|reply| reply.and_then(&mut self.turn))
    }
    fn is_ready(&self) -> bool {
        self.slot.is_ready()
    }
    fn limit(&mut self, limit: Duration) {
        self.front.limit(self.op, limit);
    }
}

/// Starts a command of the core as an operation with `default.api.timeout.ms`.
pub(crate) fn ask<T>(
    front: &Arc<Front>,
    limit: Option<Duration>,
    command: klamm_core::client::Command,
    turn: impl FnMut(Reply) -> Result<T> + Send + Sync + 'static,
) -> Op<T> {
    let (op, slot) = front.start(command);
    if let Some(limit) = limit {
        front.limit(op, limit);
    }
    Op::new(front.clone(), Asked { op, slot, front: front.clone(), turn })
}

/// Something of the front that is polled until it has come about.
pub(crate) trait Watch<T>: Send + Sync {
    /// The result, or the waker is kept.
    fn check(&mut self, waker: &Waker) -> Option<Result<T>>;
    /// Whether `check` would give a result.
    fn is_ready(&self) -> bool;
}

/// Waits for a [`Watch`], with a limit of its own if one is set: a timer of the driver wakes it.
pub(crate) struct Until<W> {
    front: Arc<Front>,
    what: &'static str,
    watch: W,
    limit: Option<(Arc<OpSlot>, Duration)>,
}

/// Waits for `watch`; `what` names it in a timeout.
pub(crate) fn until<T, W: Watch<T> + 'static>(front: &Arc<Front>, what: &'static str, watch: W) -> Op<T> {
    Op::new(front.clone(), Until { front: front.clone(), what, watch, limit: None })
}

impl<T, W: Watch<T>> Work<T> for Until<W> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T>> {
        if let Some(result) = self.watch.check(cx.waker()) {
            return Poll::Ready(result);
        }
        if let Some((slot, limit)) = &self.limit {
            if slot.poll(cx).is_ready() {
                let text = format!("{} took longer than {} ms", self.what, limit.as_millis());
                return Poll::Ready(Err(Error::new(crate::ErrorKind::Timeout, text)));
            }
        }
        Poll::Pending
    }
    fn is_ready(&self) -> bool {
        self.watch.is_ready() || self.limit.as_ref().is_some_and(|(slot, _)| slot.is_ready())
    }
    fn limit(&mut self, limit: Duration) {
        self.limit = Some((self.front.timer(limit), limit));
    }
}
