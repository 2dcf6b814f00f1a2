//! A batch that the producer answers for: its stamp, its fate so far, its attempts.

use super::handover::Batch;
use super::sequence::Stamp;
use crate::BrokerId;
use crate::error::{Error, Fate};
use crate::record::HEADER_LEN;

/// A batch without an outcome.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) batch: Batch,
    /// The number that it, or the batch that it was split from, got at seal: what the queue is sorted by.
    pub(crate) order: u64,
    pub(crate) stamp: Option<Stamp>,
    /// Which batch of its window it is.
    pub(crate) nth: u64,
    pub(crate) fate: Fate,
    pub(crate) refused_only: bool,
    /// How often it was sent.
    pub(crate) attempts: u32,
    /// The request that it is under way in.
    pub(crate) sent: Option<u64>,
    /// What went wrong last, and where.
    pub(crate) last: Option<(Error, Option<BrokerId>)>,
}

impl Entry {
    pub(crate) fn new(batch: Batch) -> Self {
        let order = batch.no.0;
        let (fate, refused_only) = (Fate::NotWritten, false);
        Self { batch, order, stamp: None, nth: 0, fate, refused_only, attempts: 0, sent: None, last: None }
    }

    /// Whether its records may be in the log, as far as is known now (contracts A2).
    pub(crate) fn possibly_written(&self) -> bool {
        self.fate != Fate::NotWritten || self.sent.is_some()
    }

    /// Bytes that it takes in a request.
    pub(crate) fn size(&self) -> usize {
        HEADER_LEN + self.batch.body.len()
    }
}
