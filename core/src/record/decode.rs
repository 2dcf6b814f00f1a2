//! The records of one batch, read lazily and borrowed from its decompressed bytes.

use super::batch::{BatchHeader, RECORD_MIN};
use super::error::{Fault, RecordError};
use super::varint::Silent;
use super::view::{RecordView, end_of, read, read_any};

/// What a batch's header says that its records are read by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordsInfo {
    /// What offset deltas count from.
    pub base_offset: i64,
    /// The highest offset delta that a record may have.
    pub last_offset_delta: i32,
    /// What timestamp deltas count from, in ms.
    pub base_timestamp: i64,
    /// The timestamp of every record, if the broker set one for the batch.
    pub append_time: Option<i64>,
    /// How many records there are.
    pub count: u32,
}

impl From<&BatchHeader> for RecordsInfo {
    fn from(header: &BatchHeader) -> Self {
        Self {
            base_offset: header.base_offset,
            last_offset_delta: header.last_offset_delta,
            base_timestamp: header.base_timestamp,
            append_time: header.append_time(),
            count: u32::try_from(header.count).unwrap_or(0),
        }
    }
}

/// The records of a batch whose bytes nobody has checked yet. After an error there is nothing more.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    info: RecordsInfo,
    at: usize,
    index: u32,
    last_delta: i64,
    done: bool,
}

impl<'a> Records<'a> {
    /// Over the decompressed records of a batch.
    pub fn new(bytes: &'a [u8], info: RecordsInfo) -> Self {
        Self { bytes, info, at: 0, index: 0, last_delta: -1, done: false }
    }

    /// Where the next record begins.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Checks the number of records against the number of bytes, before anything is read.
    pub(super) fn check_count(&self) -> Result<(), RecordError> {
        if self.info.count as usize <= self.bytes.len() / RECORD_MIN {
            Ok(())
        } else {
            let count = i32::try_from(self.info.count).unwrap_or(i32::MAX);
            Err(Fault::Count(count).at(self.info.base_offset, 0))
        }
    }

    #[inline(always)]
    fn step(&mut self) -> Result<RecordView<'a>, Silent> {
        let mut at = self.at;
        let (delta, view) = read_any(self.bytes, &mut at, &self.info, true)?;
        if delta <= self.last_delta || delta > i64::from(self.info.last_offset_delta) {
            return Err(Silent);
        }
        self.at = at;
        self.index += 1;
        self.last_delta = delta;
        Ok(view)
    }

    /// What is wrong at the record on which [`step`](Self::step) failed.
    #[cold]
    fn diagnose(&mut self) -> RecordError {
        let mut at = self.at;
        let fault = match read::<Fault>(self.bytes, &mut at, &self.info, true) {
            Ok((delta, _)) => Fault::OffsetDelta(delta),
            Err(fault) => fault,
        };
        self.fail(fault)
    }

    fn fail(&mut self, fault: Fault) -> RecordError {
        self.done = true;
        fault.at(self.info.base_offset.saturating_add(self.last_delta).saturating_add(1), self.at)
    }

    /// The error at the end of all records, if there are bytes left over.
    fn end(&mut self) -> Option<RecordError> {
        self.done = true;
        let rest = self.bytes.len() - self.at;
        (rest > 0).then(|| self.fail(Fault::Trailing(rest)))
    }

    /// Checks all records and finds those that are at `from` or above.
    pub(super) fn check(mut self, from: i64) -> Checked {
        let mut checked = Checked { first: 0, count: 0, error: None };
        while self.index < self.info.count {
            match self.step() {
                Ok(record) if record.offset < from => checked.first = self.at,
                Ok(_) => checked.count += 1,
                Err(Silent) => {
                    checked.error = Some(self.diagnose());
                    return checked;
                }
            }
        }
        checked.error = self.end();
        checked
    }
}

/// What a look at every record of a batch finds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checked {
    /// Where the first visible record begins.
    pub(super) first: usize,
    /// How many visible records there are.
    pub(super) count: u32,
    /// What stands behind them.
    pub(super) error: Option<RecordError>,
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<RecordView<'a>, RecordError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        if self.index == self.info.count {
            return self.end().map(Err);
        }
        match self.step() {
            Ok(view) => Some(Ok(view)),
            Err(Silent) => Some(Err(self.diagnose())),
        }
    }
}

/// The records of a batch that was verified before: iteration cannot fail.
#[derive(Clone, Debug)]
pub struct VerifiedRecords<'a> {
    bytes: &'a [u8],
    info: RecordsInfo,
    at: usize,
    left: u32,
}

impl<'a> VerifiedRecords<'a> {
    /// `count` records from byte `at` on, in decompressed bytes that were verified. Over other bytes it ends early
    /// where a record makes no sense; it never panics.
    pub fn new(bytes: &'a [u8], info: RecordsInfo, at: usize, count: u32) -> Self {
        Self { bytes, info, at, left: count }
    }

    /// Where the next record begins: with [`len`](ExactSizeIterator::len) all that is needed to go on later.
    pub fn position(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for VerifiedRecords<'a> {
    type Item = RecordView<'a>;

    #[inline]
    fn next(&mut self) -> Option<RecordView<'a>> {
        if self.left == 0 {
            return None;
        }
        match read_any(self.bytes, &mut self.at, &self.info, false) {
            Ok((_, view)) => {
                self.left -= 1;
                Some(view)
            }
            Err(_) => {
                self.left = 0;
                None
            }
        }
    }

    /// Passes the first `n` by their lengths alone.
    #[inline]
    fn nth(&mut self, n: usize) -> Option<RecordView<'a>> {
        let passed = u32::try_from(n).unwrap_or(u32::MAX).min(self.left);
        for _ in 0..passed {
            match end_of(self.bytes, self.at) {
                Some(end) => self.at = end,
                None => {
                    self.left = 0;
                    return None;
                }
            }
        }
        self.left -= passed;
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for VerifiedRecords<'_> {}
