//! The front half of one partition: the open batch, and the sealed ones in the order in which they were sealed.
//!
//! Pure data: the facade keeps one per partition behind a lock. A batch that is being packed keeps its place in the
//! queue, so order is fixed at seal and a fence counts it (contracts A1).

use super::handover::{Batch, Left};
use crate::record::{BodyBuf, Header};
use crate::{BatchNo, Error, Time};
use std::collections::VecDeque;
use std::time::Duration;

/// A batch that takes no more records.
#[derive(Debug)]
pub enum Sealed {
    /// Some thread compresses it and takes its checksum.
    Packing(BatchNo, Facts),
    /// Ready to be taken.
    Packed(Batch),
    /// It could not be packed: it goes to nobody but the one who resolves it.
    Broken(BatchNo, Error),
}

impl Sealed {
    fn no(&self) -> BatchNo {
        match self {
            Self::Packing(no, _) | Self::Broken(no, _) => *no,
            Self::Packed(batch) => batch.no,
        }
    }

    fn entered(&self) -> Option<Time> {
        match self {
            Self::Packing(_, facts) => Some(facts.entered),
            Self::Packed(batch) => Some(batch.entered),
            Self::Broken(..) => None,
        }
    }
}

/// What a sealed batch keeps of its time in the open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// When its oldest record entered `send`.
    pub entered: Time,
    /// The gate's generation under which its records were admitted.
    pub generation: u64,
    /// Bytes of its records before compression.
    pub plain_bytes: u32,
    /// How many records.
    pub count: u32,
}

/// A sealed batch's records on their way to be packed. Answer with [`Accumulator::put_back`].
#[derive(Debug)]
pub struct Plain {
    /// Its number.
    pub no: BatchNo,
    /// Its records.
    pub body: BodyBuf,
    /// The rest.
    pub facts: Facts,
}

#[derive(Debug)]
struct Open {
    body: BodyBuf,
    entered: Time,
    since: Time,
    generation: u64,
    urgent: bool,
}

/// What [`Accumulator::take`] found at the head.
#[derive(Debug)]
pub enum Head {
    /// A batch, out of the accumulator now.
    Batch(Batch),
    /// A batch that could not be packed, out of the accumulator now: resolve it, then ask again.
    Broken(BatchNo, Error),
    /// Nothing that may be taken: the queue is empty, or some thread still packs its head.
    Nothing,
}

/// The open batch and the sealed ones of one partition.
#[derive(Debug, Default)]
pub struct Accumulator {
    open: Option<Open>,
    sealed: VecDeque<Sealed>,
    next: u64,
    sticky_bytes: usize,
    /// Only what `hurry` released may be taken.
    manual: bool,
    /// The first batch that was not released.
    released: u64,
}

impl Accumulator {
    /// From now on nothing goes by itself, however full or old: only what [`hurry`](Self::hurry) names (`manual.flushing`).
    pub fn flush_manually(&mut self) {
        self.manual = true;
    }

    fn is_parked(&self, no: BatchNo) -> bool {
        self.manual && no.0 >= self.released
    }

    /// Appends a record to the open batch and gives its index there. `None`: there is no open batch, or the record does
    /// not fit, or it was admitted under another generation; nothing changed. No allocation.
    ///
    /// `sticky`: the sticky choice brought it here, so its bytes count for [`roll`](Self::roll) (KIP-794).
    #[inline]
    pub fn append(
        &mut self,
        generation: u64,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
        sticky: bool,
    ) -> Option<u32> {
        let open = self.open.as_mut()?;
        if open.generation != generation {
            return None;
        }
        let before = open.body.len();
        let index = open.body.append(timestamp, key, value, headers)?;
        if sticky {
            self.sticky_bytes += open.body.len() - before;
        }
        Some(index)
    }

    /// As [`append`](Self::append) for the records that most producers send: with a value, without headers, under the
    /// generation that the caller compared with [`open_generation`](Self::open_generation).
    #[inline(never)]
    pub fn append_short(&mut self, timestamp: i64, key: Option<&[u8]>, value: &[u8], sticky: bool) -> Option<u32> {
        let body = &mut self.open.as_mut()?.body;
        let before = body.len();
        let index = body.append(timestamp, key, Some(value), &[])?;
        if sticky {
            self.sticky_bytes += body.len() - before;
        }
        Some(index)
    }

    /// Whether the sticky choice shall move on: it has put at least `batch_size` bytes here. Counts anew if so.
    pub fn roll(&mut self, batch_size: usize) -> bool {
        let due = self.sticky_bytes >= batch_size.max(1);
        if due {
            self.sticky_bytes = 0;
        }
        due
    }

    /// Opens a batch over `body`, which is empty. Gives the body back if there is one open already.
    ///
    /// # Errors
    /// The body, untouched.
    pub fn open(&mut self, body: BodyBuf, now: Time, entered: Time, generation: u64) -> Result<BatchNo, BodyBuf> {
        if self.open.is_some() {
            return Err(body);
        }
        self.open = Some(Open { body, entered, since: now, generation, urgent: false });
        Ok(BatchNo(self.next))
    }

    /// The oldest entry of the open batch moves back to `entered`, if that is older.
    pub fn entered(&mut self, entered: Time) {
        if let Some(open) = &mut self.open {
            open.entered = open.entered.min(entered);
        }
    }

    /// Whether a batch is open, with or without records.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Batches here, the open one included: what KIP-794 calls the length of the queue.
    pub fn queued(&self) -> usize {
        self.sealed.len() + usize::from(self.open.is_some())
    }

    /// How many records the open batch has.
    pub fn open_count(&self) -> u32 {
        self.open.as_ref().map_or(0, |open| open.body.count())
    }

    /// The timestamp that the open batch counts from, once it has a record.
    #[inline]
    pub fn base_timestamp(&self) -> Option<i64> {
        self.open.as_ref().filter(|open| !open.body.is_empty()).map(|open| open.body.base_timestamp())
    }

    /// The open batch's number, if it has records.
    pub fn open_no(&self) -> Option<BatchNo> {
        (self.open_count() > 0).then_some(BatchNo(self.next))
    }

    /// The open batch must not linger, if it has records. With manual flushing this lets go whatever is here.
    pub fn hurry(&mut self) {
        self.released = self.next + u64::from(self.open_count() > 0);
        if let Some(open) = self.open.as_mut().filter(|open| !open.body.is_empty()) {
            open.urgent = true;
        }
    }

    /// Closes the open batch: its place in the queue is fixed now. `None` if there is none or it is empty (an empty one
    /// stays open).
    pub fn seal(&mut self) -> Option<Plain> {
        if self.open_count() == 0 {
            return None;
        }
        let open = self.open.take()?;
        let no = BatchNo(self.next);
        self.next += 1;
        let plain_bytes = u32::try_from(open.body.len()).unwrap_or(u32::MAX);
        let facts = Facts { entered: open.entered, generation: open.generation, plain_bytes, count: open.body.count() };
        self.sealed.push_back(Sealed::Packing(no, facts));
        Some(Plain { no, body: open.body, facts })
    }

    /// Takes an open batch without records away again, for its memory.
    pub fn close_empty(&mut self) -> Option<BodyBuf> {
        if self.open_count() > 0 {
            return None;
        }
        self.open.take().map(|open| open.body)
    }

    /// Puts a packed batch, or why it could not be packed, into its place. `Err` if nothing waits for it there: the
    /// batches were taken away meanwhile.
    ///
    /// # Errors
    /// What was to be put back.
    pub fn put_back(&mut self, no: BatchNo, packed: Result<Batch, Error>) -> Result<(), Result<Batch, Error>> {
        match self.sealed.iter_mut().find(|sealed| sealed.no() == no) {
            Some(place @ Sealed::Packing(..)) => {
                *place = match packed {
                    Ok(batch) => Sealed::Packed(batch),
                    Err(error) => Sealed::Broken(no, error),
                };
                Ok(())
            }
            _ => Err(packed),
        }
    }

    /// Takes the head of the queue. Stops at a batch that is being packed, or that waits for a flush.
    pub fn take(&mut self) -> Head {
        if self.sealed.front().is_some_and(|head| self.is_parked(head.no())) {
            return Head::Nothing;
        }
        self.take_head()
    }

    fn take_head(&mut self) -> Head {
        match self.sealed.pop_front() {
            Some(Sealed::Packed(batch)) => Head::Batch(batch),
            Some(Sealed::Broken(no, error)) => Head::Broken(no, error),
            Some(packing) => {
                self.sealed.push_front(packing);
                Head::Nothing
            }
            None => Head::Nothing,
        }
    }

    /// Takes the head if its oldest record entered before `time`.
    pub fn take_expired(&mut self, time: Time) -> Head {
        match self.sealed.front() {
            Some(head) if head.entered().is_none_or(|entered| entered < time) => self.take_head(),
            _ => Head::Nothing,
        }
    }

    /// Whether the open batch is due: nothing sealed lies before it, and it has lingered, is urgent or memory is short.
    /// With manual flushing only urgency counts.
    pub fn is_due(&self, now: Time, linger: Duration, pressure: bool) -> bool {
        let by_itself = |open: &Open| !self.manual && (pressure || open.since + linger <= now);
        self.sealed.is_empty()
            && self.open.as_ref().is_some_and(|open| !open.body.is_empty() && (open.urgent || by_itself(open)))
    }

    /// Whether the open batch has a record that entered before `time`, and nothing sealed lies before it.
    pub fn is_expired(&self, time: Time) -> bool {
        self.sealed.is_empty() && self.open.as_ref().is_some_and(|open| !open.body.is_empty() && open.entered < time)
    }

    /// The generation of the open batch.
    #[inline]
    pub fn open_generation(&self) -> Option<u64> {
        self.open.as_ref().map(|open| open.generation)
    }

    /// Forgets the batches of all generations up to this one: their transaction is aborted. What is being packed of them has
    /// no place to come back to.
    pub fn discard(&mut self, generation: u64) -> (Vec<Sealed>, Option<BodyBuf>) {
        let goes = |sealed: &Sealed| match sealed {
            Sealed::Packing(_, facts) => facts.generation <= generation,
            Sealed::Packed(batch) => batch.generation <= generation,
            // Generations only grow along the queue; a broken batch fails either way.
            Sealed::Broken(..) => false,
        };
        let (gone, keep): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.sealed).into_iter().partition(goes);
        self.sealed = keep;
        let open = self.open.take_if(|open| open.generation <= generation).map(|open| {
            if !open.body.is_empty() {
                self.next += 1;
            }
            open.body
        });
        (gone.into(), open)
    }

    /// Forgets everything, for a producer that is given up. What is being packed then has no place to come back to.
    pub fn clear(&mut self) -> (Vec<Sealed>, Option<BodyBuf>) {
        let open = self.open.take().map(|open| {
            if !open.body.is_empty() {
                self.next += 1;
            }
            open.body
        });
        (self.sealed.drain(..).collect(), open)
    }

    /// Records in open and sealed batches, and their plain bytes.
    pub fn held(&self) -> (u64, u64) {
        let open = self.open.as_ref().map_or((0, 0), |o| (u64::from(o.body.count()), o.body.len() as u64));
        self.sealed.iter().fold(open, |(records, bytes), sealed| match sealed {
            Sealed::Packing(_, facts) => (records + u64::from(facts.count), bytes + u64::from(facts.plain_bytes)),
            Sealed::Packed(batch) => (records + u64::from(batch.count), bytes + batch.body.len() as u64),
            Sealed::Broken(..) => (records, bytes),
        })
    }

    /// What the core has to know (contracts B1). `line` and `oldest_in_line` are of the records that wait outside.
    pub fn left(&self, line: u32, oldest_in_line: Option<Time>) -> Left {
        let mut left = Left { line, oldest_entry: oldest_in_line, ..Left::default() };
        for sealed in &self.sealed {
            match sealed {
                _ if self.is_parked(sealed.no()) => left.parked += 1,
                Sealed::Packing(..) => left.packing += 1,
                Sealed::Packed(batch) => {
                    left.packed += u32::from(left.packing == 0);
                    left.bytes += batch.body.len() as u64;
                }
                Sealed::Broken(..) => left.packed += u32::from(left.packing == 0),
            }
            left.oldest_entry = earlier(left.oldest_entry, sealed.entered());
        }
        if let Some(open) = self.open.as_ref().filter(|open| !open.body.is_empty()) {
            left.bytes += open.body.len() as u64;
            if self.manual && !open.urgent {
                left.parked += 1;
            } else {
                left.open_since = Some(open.since);
                left.urgent = open.urgent;
            }
            left.oldest_entry = earlier(left.oldest_entry, Some(open.entered));
        }
        left
    }
}

fn earlier(a: Option<Time>, b: Option<Time>) -> Option<Time> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::BodyBuf;
    use crate::{ErrorKind, Timestamp};
    use bytes::Bytes;

    fn body() -> BodyBuf {
        BodyBuf::with_limit(64)
    }

    fn pack(plain: Plain) -> Batch {
        let facts = plain.body.facts();
        let (base, max) = (plain.body.base_timestamp(), plain.body.max_timestamp());
        Batch {
            no: plain.no,
            body: Bytes::copy_from_slice(plain.body.plain()),
            crc: facts.crc,
            codec: facts.codec,
            count: plain.facts.count,
            plain_bytes: plain.facts.plain_bytes,
            base_timestamp: Timestamp(base),
            max_timestamp: Timestamp(max),
            entered: plain.facts.entered,
            generation: plain.facts.generation,
        }
    }

    fn filled(acc: &mut Accumulator, at: u64) -> Plain {
        acc.open(body(), Time(at), Time(at), 0).unwrap();
        acc.append(0, 0, None, Some(b"v"), &[], false).unwrap();
        acc.seal().unwrap()
    }

    fn taken(acc: &mut Accumulator) -> Option<u64> {
        match acc.take() {
            Head::Batch(batch) => Some(batch.no.0),
            Head::Broken(..) | Head::Nothing => None,
        }
    }

    #[test]
    fn a_batch_that_is_packed_first_still_waits_for_the_one_sealed_before_it() {
        let mut acc = Accumulator::default();
        let first = filled(&mut acc, 1);
        let second = filled(&mut acc, 2);
        acc.put_back(second.no, Ok(pack(second))).unwrap();
        assert_eq!((acc.left(0, None).packed, acc.left(0, None).packing), (0, 1));
        assert_eq!(taken(&mut acc), None);
        acc.put_back(first.no, Ok(pack(first))).unwrap();
        assert_eq!((taken(&mut acc), taken(&mut acc), taken(&mut acc)), (Some(0), Some(1), None));
    }

    #[test]
    fn a_batch_that_broke_leaves_its_place_to_the_next() {
        let mut acc = Accumulator::default();
        let first = filled(&mut acc, 1);
        let second = filled(&mut acc, 2);
        acc.put_back(second.no, Ok(pack(second))).unwrap();
        acc.put_back(first.no, Err(Error::new(ErrorKind::Corrupt, "codec"))).unwrap();
        assert_eq!(acc.left(0, None).packed, 2);
        assert!(matches!(acc.take(), Head::Broken(BatchNo(0), _)));
        assert_eq!(taken(&mut acc), Some(1));
    }

    #[test]
    fn what_comes_back_after_a_clear_is_handed_out_again() {
        let mut acc = Accumulator::default();
        let first = filled(&mut acc, 1);
        let (sealed, open) = acc.clear();
        assert_eq!((sealed.len(), open.is_none()), (1, true));
        assert!(acc.put_back(first.no, Ok(pack(first))).is_err());
        let next = filled(&mut acc, 3);
        assert_eq!(next.no, BatchNo(1), "a number is never used again");
    }

    #[test]
    fn an_empty_open_batch_is_not_sealed_and_does_not_linger() {
        let mut acc = Accumulator::default();
        acc.open(body(), Time(1), Time(1), 0).unwrap();
        assert!(acc.seal().is_none());
        acc.hurry();
        assert!(!acc.is_due(Time(1_000_000), Duration::ZERO, true));
        assert_eq!(acc.left(0, None), Left::default());
        assert!(acc.open(body(), Time(2), Time(2), 0).is_err());
        assert!(acc.close_empty().is_some());
    }

    #[test]
    fn the_open_batch_is_due_after_linger_or_when_it_is_urgent() {
        let mut acc = Accumulator::default();
        acc.open(body(), Time(100), Time(50), 0).unwrap();
        acc.append(0, 0, None, Some(b"v"), &[], false).unwrap();
        let linger = Duration::from_nanos(10);
        assert!(!acc.is_due(Time(109), linger, false));
        assert!(acc.is_due(Time(109), linger, true));
        assert!(acc.is_due(Time(110), linger, false));
        acc.hurry();
        assert!(acc.is_due(Time(100), linger, false));
        assert_eq!(acc.left(0, None).oldest_entry, Some(Time(50)));
    }

    #[test]
    fn expiry_takes_whole_batches_from_the_head_only() {
        let mut acc = Accumulator::default();
        let first = filled(&mut acc, 10);
        acc.put_back(first.no, Ok(pack(first))).unwrap();
        let second = filled(&mut acc, 20);
        acc.put_back(second.no, Ok(pack(second))).unwrap();
        assert!(matches!(acc.take_expired(Time(10)), Head::Nothing));
        assert!(matches!(acc.take_expired(Time(20)), Head::Batch(batch) if batch.no == BatchNo(0)));
        assert!(matches!(acc.take_expired(Time(20)), Head::Nothing));
    }

    #[test]
    fn a_record_of_another_generation_does_not_join_the_batch() {
        let mut acc = Accumulator::default();
        acc.open(body(), Time(1), Time(1), 7).unwrap();
        assert_eq!(acc.append(8, 0, None, None, &[], false), None);
        assert_eq!(acc.append(7, 0, None, None, &[], false), Some(0));
    }

    #[test]
    fn the_sticky_choice_moves_on_after_a_batchs_worth_of_bytes_however_many_batches_that_took() {
        let mut acc = Accumulator::default();
        let mut batches = 0;
        loop {
            acc.open(body(), Time(1), Time(1), 0).unwrap();
            acc.append(0, 0, Some(b"keyed"), Some(b"does not count"), &[], false).unwrap();
            acc.append(0, 0, None, Some(b"ten bytes!"), &[], true).unwrap();
            acc.seal().unwrap();
            batches += 1;
            if acc.roll(100) {
                break;
            }
        }
        assert_eq!(batches, 6, "17 bytes a batch");
        assert!(!acc.roll(100));
    }

    #[test]
    fn with_manual_flushing_nothing_goes_but_what_was_there_at_a_flush() {
        let mut acc = Accumulator::default();
        acc.flush_manually();
        let late = Time(0) + Duration::from_secs(9);
        let fill = |acc: &mut Accumulator| {
            acc.open(body(), Time(0), Time(0), 0).unwrap();
            acc.append(0, 1, None, Some(b"v"), &[], false).unwrap();
        };
        fill(&mut acc);
        let plain = acc.seal().unwrap();
        let no = plain.no;
        acc.put_back(no, Ok(pack(plain))).unwrap();
        fill(&mut acc);
        assert!(!acc.is_due(late, Duration::ZERO, true));
        assert!(matches!(acc.take(), Head::Nothing));
        let left = acc.left(0, None);
        assert_eq!((left.packed, left.open_since, left.parked, left.oldest_entry), (0, None, 2, Some(Time(0))));
        assert!(!left.is_ready(late, Duration::ZERO, true));
        acc.hurry();
        assert_eq!(acc.left(0, None).parked, 0);
        assert!(matches!(acc.take(), Head::Batch(batch) if batch.no == no));
        assert!(acc.is_due(Time(0), Duration::from_secs(5), false));
        let plain = acc.seal().unwrap();
        fill(&mut acc);
        let second = plain.no;
        acc.put_back(second, Ok(pack(plain))).unwrap();
        assert!(matches!(acc.take(), Head::Batch(batch) if batch.no == second));
        assert!(!acc.is_due(late, Duration::ZERO, true), "it came after the flush");
        assert!(acc.is_expired(late), "its deadline counts all the same");
        assert_eq!(acc.left(0, None).parked, 1);
    }
}
