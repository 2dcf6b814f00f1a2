//! One chunk on the shelf, and the pieces that it is handed out in.

use super::memory::{Buffer, Credit, Home};
use klamm_core::Error;
use klamm_core::client::{Chunk, Stamp};
use klamm_core::codec::Decompressor;
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
}

/// Verified records of one batch: plain data beside the bytes that they are read from.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) source: Arc<Buffer>,
    /// The fetch response that decompressed records came in: it counts as held as long as they are.
    _keep: Option<Arc<Buffer>>,
    start: usize,
    end: usize,
    info: RecordsInfo,
    at: usize,
    pub(crate) count: u32,
    /// The position behind its last record.
    pub(crate) next: i64,
    pub(crate) timestamp_type: TimestampType,
    pub(crate) leader_epoch: i32,
}

impl Piece {
    fn new(batch: &VerifiedBatch, source: Arc<Buffer>, range: Range<usize>, keep: Option<Arc<Buffer>>) -> Self {
        Self {
            source,
            _keep: keep,
            start: range.start,
            end: range.end,
            info: batch.info,
            at: batch.first,
            count: batch.count,
            next: batch.next_offset,
            timestamp_type: batch.timestamp_type,
            leader_epoch: batch.leader_epoch,
        }
    }

    #[inline]
    fn section(&self) -> &[u8] {
        self.source.bytes().get(self.start..self.end).unwrap_or_default()
    }

    /// Its records.
    #[inline]
    pub(crate) fn records(&self) -> VerifiedRecords<'_> {
        VerifiedRecords::new(self.section(), self.info, self.at, self.count)
    }

    /// The one record that begins at `at`.
    pub(crate) fn record(&self, at: usize) -> Option<RecordView<'_>> {
        VerifiedRecords::new(self.section(), self.info, at, 1).next()
    }

    /// Where its first record begins.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// The same, without keeping the compressed bytes that it came from.
    pub(crate) fn unpinned(self) -> Self {
        Self { _keep: None, ..self }
    }

    /// The piece with the one record that begins at `at`; it holds nothing but the bytes.
    pub(crate) fn single(&self, at: usize, offset: i64) -> Self {
        Self { _keep: None, at, count: 1, next: offset.saturating_add(1), ..self.clone() }
    }

    /// The same, in memory of its own.
    pub(crate) fn compact(&self) -> Self {
        let mut records = self.records();
        let _ = records.by_ref().last();
        let bytes = self.section().get(self.at..records.position()).unwrap_or_default().to_vec();
        Self { start: 0, end: bytes.len(), at: 0, source: Buffer::own(bytes), _keep: None, ..self.clone() }
    }

    /// Takes the first `max` records off; all of it if it has no more than that.
    fn split(rest: &mut Option<Self>, max: u32) -> Option<Self> {
        let whole = rest.as_mut()?;
        if whole.count <= max {
            return rest.take();
        }
        let mut records = VerifiedRecords::new(whole.section(), whole.info, whole.at, max);
        let last = records.by_ref().last().map_or(whole.next, |record| record.offset);
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
    pub(crate) stamp: Stamp,
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
    pub(crate) fn new(chunk: Chunk, frame: Arc<Buffer>, limits: ReadLimits, home: &Arc<Home>) -> Self {
        let bytes = chunk.bytes.len() as u64;
        Self {
            stamp: chunk.stamp,
            frame,
            range: chunk.bytes,
            cursor: ChunkCursor::new(chunk.asked, chunk.aborted, limits),
            rest: None,
            end: (chunk.next, chunk.leader_epoch),
            problem: chunk.problem,
            broken: None,
            position: (chunk.asked, -1),
            credit: Credit { partition: chunk.partition, bytes, home: home.clone() },
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
                    self.position = (piece.next, piece.leader_epoch);
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
                Piece::new(batch, self.frame.clone(), from + start..from + end, None)
            }
            Section::Plain { len } => {
                let home = &self.credit.home;
                let bytes = std::mem::replace(&mut tools.plain, home.spare());
                Piece::new(batch, Buffer::plain(bytes, home.clone()), 0..len, Some(self.frame.clone()))
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
