//! What time alone ends: delivery deadlines, pauses, idle topics, the producer itself.

use super::machine::Producer;
use crate::client::Reply;
use crate::client::role::Cx;
use crate::error::{Error, ErrorKind};
use crate::{OpId, PartitionIx, Time};

/// The end that was asked for, once or again with another deadline.
#[derive(Debug)]
pub(super) struct Closing {
    ops: Vec<OpId>,
    pub(super) deadline: Time,
}

impl Producer {
    pub(super) fn pass_time(&mut self, cx: &mut Cx<'_>) {
        self.cool_down(cx);
        let now = cx.now.mono;
        while let Some(partition) = self.index.linger.pop(now) {
            self.file(now, partition);
        }
        while let Some(partition) = self.index.backoff.pop(now) {
            if let Some(queue) = self.queues.get_mut(&partition) {
                queue.wake(now);
            }
            self.file(now, partition);
        }
        while let Some(partition) = self.index.delivery.pop(now) {
            self.expire(cx, partition);
        }
        self.ask_at = self.ask_at.filter(|at| *at > now);
        if let Some(txn) = &mut self.transaction {
            txn.retry_at = txn.retry_at.filter(|at| *at > now);
        }
        let Self { topics, index, queues, .. } = self;
        topics.expire(now, |topic| {
            index.active.iter().any(|p| queues.get(p).is_some_and(|queue| queue.place.0 == topic))
        });
        if self.closing.as_ref().is_some_and(|closing| closing.deadline <= now) {
            self.end_late(cx);
        }
    }

    /// Batches past `delivery.timeout.ms` fail, sent or not; whether they may be written is said (rule 6). Those that lie in the
    /// front are asked for (contracts B11).
    fn expire(&mut self, cx: &mut Cx<'_>, partition: PartitionIx) {
        let now = cx.now.mono;
        let Some(queue) = self.queues.get_mut(&partition) else { return };
        // What the front kept back then it has to give up now.
        queue.stalled = false;
        let (limit, gone) = (queue.terms.delivery_timeout, queue.expire(now));
        if !gone.is_empty() {
            let waited = self.waited_for(cx, partition);
            for entry in &gone {
                self.fail(cx, partition, entry, |about| about.expired(limit, || waited.clone()));
            }
        }
        self.settle(cx, partition);
    }

    /// Gives up what is not sent, and if `in_flight` what is on the wire too.
    pub(crate) fn purge(&mut self, cx: &mut Cx<'_>, op: OpId, in_flight: bool) {
        let all: Vec<PartitionIx> = self.index.active.iter().copied().collect();
        for partition in all {
            let Some(queue) = self.queues.get_mut(&partition) else { continue };
            let gone = if in_flight { queue.clear() } else { queue.take_unsent(u64::MAX) };
            for entry in &gone {
                let why = Error::new(ErrorKind::Aborted, "the producer was purged");
                self.fail(cx, partition, entry, |about| about.given_up(why));
            }
            self.settle(cx, partition);
        }
        cx.done(op, Ok(Reply::Unit));
        self.end_if_done(cx);
    }

    /// The front has handed over everything; `op` is answered when all of it has its outcome, or at `deadline`. Asked again,
    /// the later deadline counts for both.
    pub(crate) fn close(&mut self, cx: &mut Cx<'_>, op: OpId, deadline: Time) {
        if self.closed {
            let error = Error::new(ErrorKind::Closed, "the producer is closed");
            cx.done(op, Err(error));
            return;
        }
        let closing = self.closing.get_or_insert_with(|| Closing { ops: Vec::new(), deadline });
        closing.ops.push(op);
        closing.deadline = deadline;
        self.unfiled = true;
        self.end_if_done(cx);
        if self.closing.is_some() && deadline <= cx.now.mono {
            self.end_late(cx);
        }
    }

    /// Answers the close when nothing is left here or in the front.
    pub(super) fn end_if_done(&mut self, cx: &mut Cx<'_>) {
        if self.closing.is_none() || self.queues.values().any(|q| !q.is_empty() || q.collecting || q.has_left()) {
            return;
        }
        self.closed = true;
        for op in self.closing.take().into_iter().flat_map(|closing| closing.ops) {
            cx.done(op, Ok(Reply::Unit));
        }
    }

    fn end_late(&mut self, cx: &mut Cx<'_>) {
        let Some(closing) = self.closing.take() else { return };
        self.closed = true;
        let partitions: Vec<PartitionIx> = self.queues.keys().copied().collect();
        let mut batches = 0usize;
        for partition in partitions {
            let Some(queue) = self.queues.get_mut(&partition) else { continue };
            for entry in queue.clear() {
                batches += 1;
                let why = Error::new(ErrorKind::Closed, "the producer was closed before");
                self.fail(cx, partition, &entry, |about| about.given_up(why));
            }
        }
        let text = format!("the producer was closed with {batches} batches that have no acknowledgement");
        for op in closing.ops {
            cx.done(op, Err(Error::new(ErrorKind::Timeout, text.clone())));
        }
    }
}
