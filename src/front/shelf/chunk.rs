//! One chunk on the shelf, and the pieces that it is handed out in.

use super::lane::Place;
use super::lent::Lent;
use super::memory::{Buffer, Credit};
use klamm_core::Error;
use klamm_core::client::{Chunk, Stamp, TopicPartition};
use klamm_core::codec::{Codecs, Decompressor};
use klamm_core::record::{
    ChunkCursor, ReadLimits, RecordError, RecordView, RecordsInfo, Section, TimestampType, VerifiedBatch,
    VerifiedRecords,
};
use std::ops::Range;
use std::sync::Arc;

/// What one reading thread keeps between batches.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    decompressor: Decompressor,
    plain: Vec<u8>,
    /// A batch that it reads record by record.
    pub(super) lent: Option<Lent>,
}

/// Where records come from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) tp: Arc<TopicPartition>,
    pub(crate) stamp: Stamp,
}

/// The verified records of one batch, and what all of them share: one reference count for whoever keeps a record.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) origin: Origin,
    bytes: Arc<Buffer>,
    start: usize,
    end: usize,
    info: RecordsInfo,
    pub(crate) timestamp_type: TimestampType,
    pub(crate) leader_epoch: i32,
}

impl Tools {
    /// With the application's own codecs.
    pub(crate) fn new(codecs: &Codecs) -> Self {
        Self { decompressor: Decompressor::with(codecs.clone()), ..Self::default() }
    }
}

impl Source {
    fn new(origin: Origin, batch: &VerifiedBatch, bytes: Arc<Buffer>, range: Range<usize>) -> Arc<Self> {
        Arc::new(Self {
            origin,
            bytes,
            start: range.start,
            end: range.end,
            info: batch.info,
            timestamp_type: batch.timestamp_type,
            leader_epoch: batch.leader_epoch,
        })
    }

    #[inline]
    fn section(&self) -> &[u8] {
        self.bytes.bytes().get(self.start..self.end).unwrap_or_default()
    }

    #[inline]
    fn records(&self, at: usize, count: u32) -> VerifiedRecords<'_> {
        VerifiedRecords::new(self.section(), self.info, at, count)
    }

    /// The record that begins at `at`.
    #[inline]
    pub(crate) fn record(&self, at: usize) -> Option<RecordView<'_>> {
        self.records(at, 1).next()
    }

    /// All bytes that its memory holds.
    pub(crate) fn whole(&self) -> &[u8] {
        self.bytes.bytes()
    }

    /// The record that begins at `at`, at the front of memory of its own.
    pub(crate) fn compact(&self, at: usize) -> Arc<Self> {
        let mut records = self.records(at, 1);
        let _ = records.next();
        let bytes = self.section().get(at..records.position()).unwrap_or_default().to_vec();
        let (start, end, bytes) = (0, bytes.len(), Buffer::own(bytes));
        let Self { info, timestamp_type, leader_epoch, .. } = *self;
        Arc::new(Self { origin: self.origin.clone(), bytes, start, end, info, timestamp_type, leader_epoch })
    }
}

/// Some of the records of one batch.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) source: Arc<Source>,
    /// The fetch response that decompressed records came in: it counts as held as long as they are.
    _keep: Option<Arc<Buffer>>,
    at: usize,
    pub(crate) count: u32,
    /// The position behind its last record.
    pub(crate) next: i64,
}

impl Piece {
    fn new(batch: &VerifiedBatch, source: Arc<Source>, keep: Option<Arc<Buffer>>) -> Self {
        Self { source, _keep: keep, at: batch.first, count: batch.count, next: batch.next_offset }
    }

    /// Its records.
    #[inline]
    pub(crate) fn records(&self) -> VerifiedRecords<'_> {
        self.source.records(self.at, self.count)
    }

    /// Where its first record begins.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// The position behind its last record.
    pub(crate) fn end(&self) -> Place {
        (self.next, self.source.leader_epoch)
    }

    /// Takes the first `max` records off; all of it if it has no more than that.
    fn split(rest: &mut Option<Self>, max: u32) -> Option<Self> {
        let whole = rest.as_mut()?;
        if whole.count <= max {
            return rest.take();
        }
        let mut records = whole.source.records(whole.at, max);
        let last = records.nth(max.saturating_sub(1) as usize).map_or(whole.next, |record| record.offset);
        let position = records.position();
        let first = Self { count: max, next: last.saturating_add(1), ..whole.clone() };
        whole.at = position;
        whole.count -= max;
        Some(first)
    }
}

/// How a chunk stands after reading.
#[derive(Debug)]
pub(crate) enum Left {
    /// There is more in it.
    More,
    /// It is used up.
    Nothing,
    /// It cannot be read further.
    Problem(Error),
}

/// One partition's part of a fetch response, on its way to the application.
#[derive(Debug)]
pub(crate) struct Shelved {
    pub(crate) origin: Origin,
    frame: Arc<Buffer>,
    range: Range<usize>,
    cursor: ChunkCursor,
    rest: Option<Piece>,
    end: (i64, i32),
    problem: Option<Error>,
    broken: Option<RecordError>,
    /// Everything before is handed out.
    pub(crate) position: (i64, i32),
    credit: Credit,
}

impl Shelved {
    pub(crate) fn new(
        chunk: Chunk,
        tp: Arc<TopicPartition>,
        frame: Arc<Buffer>,
        limits: ReadLimits,
        credit: Credit,
    ) -> Self {
        Self {
            origin: Origin { tp, stamp: chunk.stamp },
            frame,
            range: chunk.bytes,
            cursor: ChunkCursor::new(chunk.asked, chunk.aborted, limits),
            rest: None,
            end: (chunk.next, chunk.leader_epoch),
            problem: chunk.problem,
            broken: None,
            position: (chunk.asked, -1),
            credit,
        }
    }

    /// Bytes that it takes on the shelf.
    pub(crate) fn bytes(&self) -> u64 {
        self.credit.bytes
    }

    /// After a problem: the offset behind the batch that cannot be read, as far as one can tell.
    pub(crate) fn behind_problem(&self) -> i64 {
        let least = self.position.0.saturating_add(1);
        self.cursor.behind_failure().map_or(least, |behind| behind.max(least))
    }

    /// How many records can be taken without verifying anything first.
    pub(super) fn verified(&self) -> u32 {
        self.rest.as_ref().map_or(0, |piece| piece.count)
    }

    /// Takes one verified record off, unless it is the last one: where it begins, and its offset.
    #[inline]
    pub(super) fn next_but_last(&mut self) -> Option<(Arc<Source>, usize, i64)> {
        let piece = self.rest.as_mut().filter(|piece| piece.count > 1)?;
        let mut records = piece.source.records(piece.at, 1);
        let offset = records.next()?.offset;
        let (at, behind) = (piece.at, records.position());
        piece.at = behind;
        piece.count -= 1;
        self.position = (offset.saturating_add(1), piece.source.leader_epoch);
        Some((piece.source.clone(), at, offset))
    }

    /// Whether a record can be taken without verifying anything first.
    pub(crate) fn has_verified(&self) -> bool {
        self.rest.is_some()
    }

    /// Takes at most `max` records, verifying and decompressing batches as they are met. Call it without a lock, unless
    /// [`has_verified`](Self::has_verified) and `max` is one.
    pub(crate) fn read(&mut self, mut max: u32, tools: &mut Tools, into: &mut Vec<Piece>) -> Left {
        loop {
            if self.rest.is_some() {
                if max == 0 {
                    return Left::More;
                }
                if let Some(piece) = Piece::split(&mut self.rest, max) {
                    max -= piece.count;
                    self.position = piece.end();
                    into.push(piece);
                }
                continue;
            }
            if let Some(error) = self.broken {
                return Left::Problem(error.into());
            }
            // What is behind the last record of a chunk is looked at now: it may be used up.
            if max == 0 && self.cursor.position() < self.range.len() {
                return Left::More;
            }
            let bytes = self.frame.bytes().get(self.range.clone()).unwrap_or_default();
            match self.cursor.next_batch(bytes, &mut tools.decompressor, &mut tools.plain) {
                Some(Ok(batch)) => self.rest = Some(self.piece(&batch, tools)),
                Some(Err(error)) => {
                    self.move_to(self.cursor.next_offset(), -1);
                    self.broken = Some(error);
                }
                None => {
                    self.move_to(self.cursor.next_offset().max(self.end.0), self.end.1);
                    return match &self.problem {
                        Some(error) => Left::Problem(error.clone()),
                        None => Left::Nothing,
                    };
                }
            }
        }
    }

    fn move_to(&mut self, offset: i64, leader_epoch: i32) {
        if offset > self.position.0 {
            let epoch = if leader_epoch >= 0 { leader_epoch } else { self.position.1 };
            self.position = (offset, epoch);
        }
    }

    fn piece(&self, batch: &VerifiedBatch, tools: &mut Tools) -> Piece {
        match batch.section {
            Section::Chunk { start, end } => {
                let from = self.range.start;
                let range = from + start..from + end;
                Piece::new(batch, Source::new(self.origin.clone(), batch, self.frame.clone(), range), None)
            }
            Section::Plain { len } => {
                let home = &self.credit.home;
                let bytes = std::mem::replace(&mut tools.plain, home.spare());
                let plain = Buffer::plain(bytes, home.clone());
                let source = Source::new(self.origin.clone(), batch, plain, 0..len);
                Piece::new(batch, source, Some(self.frame.clone()))
            }
        }
    }
}

/// What a batch that cannot be read means to the application.
pub(crate) fn with_place(error: Error, topic: &Arc<str>, partition: i32) -> Error {
    if error.topic().is_some() { error } else { error.with_topic(topic.clone()).with_partition(partition) }
}

/// Not every problem stays: what the core tries again is told once.
pub(crate) fn is_sticky(error: &Error) -> bool {
    use klamm_core::ErrorKind::{Corrupt, Unsupported};
    matches!(error.kind(), Corrupt | Unsupported)
}
