//! The records of one call, on their way together.

use crate::delivery::{At, Delivery, Queueable, Queued};
use crate::front::append::{self, Sent};
use crate::front::line::Parts;
use crate::front::park;
use crate::front::topics::TopicSlot;
use crate::producer::{Producer, failed};
use crate::record::{Record, Target, To};
use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Records of a caller's iterator that are looked at together: none of its code runs under a lock of ours.
const STRETCH: usize = 16;

/// The records of one [`send_batch`](Producer::send_batch): one allocation per call, none per record.
///
/// Awaited, all are acknowledged, or it says how many failed and why the first did.
///
/// # Cancel safety
/// As [`Delivery`].
#[derive(Clone, Default)]
pub struct Deliveries {
    runs: Vec<Run>,
    len: usize,
    /// Runs before this one are looked at: some of them failed.
    looked: usize,
    failed: usize,
    first: Option<Error>,
}

/// Records that follow each other in the call and in a batch.
#[derive(Clone)]
struct Run {
    at: At,
    from: usize,
    count: u32,
}

impl Deliveries {
    /// How many records there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The record at this place of the call.
    pub fn get(&self, index: usize) -> Option<Delivery> {
        let at = self.runs.partition_point(|run| run.from <= index).checked_sub(1)?;
        let run = self.runs.get(at)?;
        let ahead = u32::try_from(index - run.from).ok().filter(|ahead| *ahead < run.count)?;
        Some(Delivery(run.at.ahead(ahead)))
    }

    /// All records, in the order of the call.
    pub fn iter(&self) -> impl Iterator<Item = Delivery> {
        self.runs.iter().flat_map(|run| (0..run.count).map(|ahead| Delivery(run.at.ahead(ahead))))
    }

    /// Resolves when all are in the buffer.
    pub fn queued(self) -> Queued<Self> {
        Queued::new(self)
    }

    /// Whether all are in the buffer, or failed before they got there: then back-pressure need not be waited for.
    pub fn is_queued(&self) -> bool {
        self.runs.iter().all(|run| match &run.at {
            At::Batch(..) => true,
            At::Line(ticket) => ticket.is_ready(),
        })
    }

    /// Whether every outcome is known.
    pub fn is_ready(&self) -> bool {
        self.iter().all(|delivery| delivery.is_ready())
    }

    /// Parks this thread until every record is acknowledged or failed.
    ///
    /// # Errors
    /// As awaiting it; `ErrorKind::Misuse` on the thread that runs the driver.
    pub fn wait(self) -> Result<()> {
        let front = self.runs.first().map(|run| Delivery(run.at.clone()).front().clone());
        if front.is_some_and(|front| park::would_deadlock(&front) && !self.is_ready()) {
            return Err(park::misuse());
        }
        park::block_on(self, None).unwrap_or_else(|| Err(park::misuse()))
    }

    fn push(&mut self, at: At) {
        let number = self.len;
        self.len += 1;
        if let (Some(last), At::Batch(ack, index, delta)) = (self.runs.last_mut(), &at) {
            let follows = match &last.at {
                At::Batch(before, first, same) => {
                    Arc::ptr_eq(before, ack) && first.wrapping_add(last.count) == *index && same == delta
                }
                At::Line(_) => false,
            };
            if follows {
                last.count += 1;
                return;
            }
        }
        self.runs.push(Run { at, from: number, count: 1 });
    }

    fn poll_all(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(run) = self.runs.get(self.looked) {
            for ahead in 0..run.count {
                let mut one = Delivery(run.at.ahead(ahead));
                match Pin::new(&mut one).poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(error)) => {
                        self.failed += 1;
                        self.first.get_or_insert(error);
                    }
                }
            }
            self.looked += 1;
        }
        Poll::Ready(())
    }
}

impl At {
    fn ahead(&self, ahead: u32) -> Self {
        match self {
            Self::Batch(ack, index, delta) => Self::Batch(ack.clone(), index.saturating_add(ahead), *delta),
            Self::Line(ticket) => Self::Line(ticket.clone()),
        }
    }
}

impl Future for Deliveries {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.poll_all(cx).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(match self.first.clone() {
            None => Ok(()),
            Some(first) if self.len == 1 => Err(first),
            Some(first) => {
                let text = format!("{} of {} records were not acknowledged; the first", self.failed, self.len);
                let possibly = first.possibly_written();
                let error = Error::new(ErrorKind::NotDelivered, text).with_retriable(first.is_retriable());
                Err(error.with_possibly_written(possibly).with_source(first))
            }
        })
    }
}

impl Queueable for Deliveries {
    fn poll_buffered(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        for run in &mut self.runs {
            if let At::Line(_) = run.at {
                let mut one = Delivery(run.at.clone());
                match one.poll_queued(cx) {
                    Poll::Ready(Ok(())) => run.at = one.0,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return Poll::Pending,
                }
            }
        }
        Poll::Ready(Ok(()))
    }
    fn unsent(&self) -> usize {
        self.runs.last().map_or(0, |run| Delivery(run.at.clone()).unsent())
    }
    fn would_deadlock(&self) -> bool {
        self.runs.iter().any(|run| Delivery(run.at.clone()).would_deadlock())
    }
}

impl fmt::Debug for Deliveries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deliveries").field("len", &self.len).field("ready", &self.is_ready()).finish()
    }
}

impl Producer {
    /// Sends records in the order of the iterator; records without a key, or with the same partition, share the lock of
    /// their partition. As [`send`](Self::send) for each of them.
    #[must_use = "await the acknowledgements, or `.queued()` for back-pressure; the records are on their way either way"]
    pub fn send_batch<'r>(&self, records: impl IntoIterator<Item = Record<'r>>) -> Deliveries {
        let mut records = records.into_iter();
        let mut all = Deliveries { runs: Vec::with_capacity(4), ..Deliveries::default() };
        loop {
            let stretch: [Option<Record<'r>>; STRETCH] = std::array::from_fn(|_| records.next());
            let count = stretch.iter().take_while(|record| record.is_some()).count();
            let mut rest = stretch.get(..count).unwrap_or_default();
            while let Some(Some(first)) = rest.first() {
                let taken = self.with_topic(&first.target, |topic| send_some(topic, rest, &mut all));
                rest = rest.get(taken..).unwrap_or_default();
            }
            if count < STRETCH {
                return all;
            }
        }
    }
}

/// Sends at least the first of `records`; gives how many were sent.
fn send_some(topic: &TopicSlot, records: &[Option<Record<'_>>], into: &mut Deliveries) -> usize {
    let mut records = records.iter().flatten();
    let Some(first) = records.next() else { return 1 };
    let shared = first.partition.is_some() || (first.key.is_none() && topic.is_sticky());
    let alike = |record: &&Record<'_>| {
        record.partition == first.partition
            && (record.partition.is_some() || record.key.is_none())
            && record.header_list().is_empty()
            && same(&record.target, &first.target)
    };
    let run = || std::iter::once(first).chain(records.clone().take_while(alike)).map(Record::parts);
    let size = |parts: Parts<'_>| parts.value.map_or(0, <[u8]>::len) + parts.key.map_or(0, <[u8]>::len);
    if shared && first.header_list().is_empty() && run().all(|parts| size(parts) < topic.small()) {
        let taken = topic.send_run(first.partition, run(), &mut |(ack, index, delta)| {
            into.push(At::Batch(ack.clone(), index, delta));
        });
        if taken > 0 {
            return taken;
        }
    }
    match topic.send(&first.parts(), true, append::place) {
        Ok(Sent::Placed(placed)) => into.push(At::Batch(placed.ack, placed.index, placed.delta)),
        Ok(Sent::Waiting(ticket)) => into.push(At::Line(ticket)),
        Err(refusal) => into.push(At::Line(failed(topic, refusal))),
    }
    1
}

fn same(a: &Target<'_>, b: &Target<'_>) -> bool {
    match (a.0, b.0) {
        (To::Topic(a), To::Topic(b)) => Arc::ptr_eq(&a.slot, &b.slot),
        _ => a.name() == b.name(),
    }
}
