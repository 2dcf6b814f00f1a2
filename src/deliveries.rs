//! The records of one call, on their way together.

use crate::delivery::{At, Delivery, Queueable, Queued};
use crate::front::append::{self, Sent};
use crate::front::park;
use crate::front::topics::TopicSlot;
use crate::producer::{Producer, failed};
use crate::record::{Record, Target, To};
use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Records of a caller's iterator that are looked at together: none of its code runs under a lock of ours.
const STRETCH: usize = 32;

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
        self.runs.iter().all(|run| match &run.at {
            At::Batch(ack, first, _) => ack.are_ready(*first, run.count),
            At::Line(ticket) => ticket.outcome_known(),
        })
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
        self.runs.push(Run { at, from: self.len, count: 1 });
        self.len += 1;
    }

    /// A record in a batch: most often it follows the one before.
    #[inline]
    fn place(&mut self, (ack, index, delta): append::At<'_>) {
        if let Some(Run { at: At::Batch(before, first, same), count, .. }) = self.runs.last_mut() {
            if Arc::ptr_eq(before, ack) && first.wrapping_add(*count) == index && *same == delta {
                *count += 1;
                self.len += 1;
                return;
            }
        }
        self.push(At::Batch(ack.clone(), index, delta));
    }

    fn poll_all(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(run) = self.runs.get_mut(self.looked) {
            let (failed, first) = ready!(run.poll(cx));
            self.failed += failed;
            if self.first.is_none() {
                self.first = first;
            }
            self.looked += 1;
        }
        Poll::Ready(())
    }
}

impl Run {
    /// How many of its records failed, and why the first of them did.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(usize, Option<Error>)> {
        if let At::Line(_) = self.at {
            let mut one = Delivery(self.at.clone());
            if let Err(error) = ready!(one.poll_queued(cx)) {
                return Poll::Ready((1, Some(error)));
            }
            self.at = one.0;
        }
        let At::Batch(ack, begin, _) = &self.at else { return Poll::Pending };
        let (mut ahead, mut failed, mut first) = (0, 0, None);
        while ahead < self.count {
            match ack.run(begin + ahead, self.count - ahead) {
                Some((result, alike)) => {
                    if let Err(error) = result {
                        failed += alike as usize;
                        first.get_or_insert(error);
                    }
                    ahead += alike;
                }
                // An outcome that came meanwhile is found by the next round.
                None => drop(ready!(ack.poll(begin + ahead, cx))),
            }
        }
        Poll::Ready((failed, first))
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
        if let Some(interceptors) = self.interceptors() {
            let mut all = Deliveries::default();
            for record in records {
                all.push(self.send_intercepted(interceptors, &record).0);
            }
            return all;
        }
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
    let small = topic.small();
    let is_small = |record: &Record<'_>| {
        record.value.map_or(0, <[u8]>::len).saturating_add(record.key.map_or(0, <[u8]>::len)) < small
    };
    let alike = |record: &&Record<'_>| {
        record.partition == first.partition
            && (record.partition.is_some() || record.key.is_none())
            && record.header_list().is_empty()
            && is_small(record)
            && same(&record.target, &first.target)
    };
    if shared && first.header_list().is_empty() && is_small(first) {
        let run = std::iter::once(first).chain(records.take_while(alike)).map(Record::parts);
        let taken = topic.send_run(first.partition, run, &mut |at: append::At<'_>| into.place(at));
        if taken > 0 {
            return taken;
        }
    }
    match topic.send(&first.parts(), true, |at: append::At<'_>| into.place(at)) {
        Ok(Sent::Placed(())) => {}
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
