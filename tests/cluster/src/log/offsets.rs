//! Offsets by timestamp (broker-data 7).

use super::batch::records;
use super::partition::Partition;
use klamm_core::ErrorCode;

/// An answer to ListOffsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) epoch: i32,
}

impl Found {
    const NOTHING: Self = Self { offset: -1, timestamp: -1, epoch: -1 };
}

impl Partition {
    /// The offset for a timestamp or one of its special values, as the leader answers it; with `committed_only` to a
    /// reader of committed records.
    pub(crate) fn find(&self, timestamp: i64, version: i16, committed_only: bool) -> Result<Found, ErrorCode> {
        let since = match timestamp {
            -3 => 7,
            -4 => 8,
            -5 => 9,
            -6 => 11,
            _ => 1,
        };
        if version < since || timestamp < -6 {
            return Err(ErrorCode::UNSUPPORTED_VERSION);
        }
        let hw = self.high_watermark();
        let bound = match self.now.leader {
            Some(leader) if committed_only => self.last_stable(leader),
            _ => hw,
        };
        // 7.1: after an election the new leader does not know yet how far the data is committed.
        let lagging = hw < self.epoch_start;
        let unknown = if version >= 5 { ErrorCode::OFFSET_NOT_AVAILABLE } else { ErrorCode::LEADER_NOT_AVAILABLE };
        match timestamp {
            -2 | -4 => {
                let start = self.log.start;
                let epoch = self.log.epochs.first().filter(|(_, at)| *at <= start).map_or(-1, |(epoch, _)| *epoch);
                Ok(Found { offset: start, timestamp: -1, epoch })
            }
            -1 | -3 if lagging => Err(unknown),
            -1 => Ok(Found { offset: bound, timestamp: -1, epoch: self.now.epoch }),
            -3 => Ok(self.newest()),
            -5 | -6 => Ok(Found::NOTHING),
            _ => match self.first_since(timestamp).filter(|found| found.offset < bound) {
                Some(found) => Ok(found),
                None if lagging => Err(unknown),
                None => Ok(Found::NOTHING),
            },
        }
    }

    fn newest(&self) -> Found {
        let mut best = Found::NOTHING;
        for batch in self.log.batches() {
            if batch.max_timestamp > best.timestamp {
                // What is deleted lies in its segment for a while, and is found there.
                best = self.in_batch(batch, |at, _| at >= batch.max_timestamp).unwrap_or(best);
            }
        }
        best
    }

    fn first_since(&self, timestamp: i64) -> Option<Found> {
        let late = |b: &&super::stored::Stored| b.max_timestamp >= timestamp;
        self.log
            .batches()
            .filter(late)
            .find_map(|batch| self.in_batch(batch, |at, offset| at >= timestamp && offset >= self.log.start))
    }

    fn in_batch(&self, batch: &super::stored::Stored, fits: impl Fn(i64, i64) -> bool) -> Option<Found> {
        let raw = batch.raw();
        let plain = raw.unpack().ok()?;
        records(&plain).map_while(Result::ok).find_map(|record| {
            let at = if raw.is_log_append_time() {
                raw.max_timestamp()
            } else {
                raw.base_timestamp().wrapping_add(record.timestamp_delta)
            };
            let offset = batch.base + i64::from(record.offset_delta);
            fits(at, offset).then_some(Found { offset, timestamp: at, epoch: batch.epoch })
        })
    }
}
