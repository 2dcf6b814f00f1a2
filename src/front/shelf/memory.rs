//! Fetched bytes, which go home wherever their last reader lets go of them (contracts B8).

use crate::front::Front;
use crate::front::sync::{Mutex, leaf};
use klamm_core::consumer::Freed;
use klamm_core::{FrameIx, PartitionIx};
use std::fmt;
use std::sync::Arc;

/// Buffers for decompressed records that wait for their next use, at most.
const SPARE: usize = 8;
/// Larger ones are not kept.
const SPARE_BYTES: usize = 8 << 20;

#[derive(Debug, Default)]
struct Returned {
    freed: Vec<Freed>,
    spare: Vec<Vec<u8>>,
    closed: bool,
}

/// Where the memory of one consumer comes home.
pub(crate) struct Home {
    front: Arc<Front>,
    returned: Mutex<Returned>,
}

impl Home {
    pub(crate) fn new(front: Arc<Front>) -> Arc<Self> {
        Arc::new(Self { front, returned: Mutex::default() })
    }

    fn free(&self, freed: Freed) {
        {
            let mut returned = leaf(&self.returned);
            if returned.closed {
                return;
            }
            returned.freed.push(freed);
        }
        self.front.signal.notify();
    }

    /// Swaps out what came home since the last time.
    pub(crate) fn swap(&self, into: &mut Vec<Freed>) {
        debug_assert!(into.is_empty());
        std::mem::swap(&mut leaf(&self.returned).freed, into);
    }

    /// Nobody asks any more: memory is given to the system.
    pub(crate) fn close(&self) {
        let mut returned = leaf(&self.returned);
        returned.closed = true;
        let old = (std::mem::take(&mut returned.freed), std::mem::take(&mut returned.spare));
        drop(returned);
        drop(old);
    }

    /// A buffer for decompressed records.
    pub(crate) fn spare(&self) -> Vec<u8> {
        leaf(&self.returned).spare.pop().unwrap_or_default()
    }

    fn keep(&self, buffer: Vec<u8>) {
        let mut returned = leaf(&self.returned);
        if !returned.closed && buffer.len() <= SPARE_BYTES && returned.spare.len() < SPARE {
            returned.spare.push(buffer);
        }
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home").finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A whole fetch response.
    Frame(FrameIx),
    /// Decompressed records.
    Plain,
}

/// Bytes that records are read from.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    /// `None`: they are nobody's but their reader's.
    home: Option<(Kind, Arc<Home>)>,
}

impl Buffer {
    /// A fetch response.
    pub(crate) fn frame(ix: FrameIx, bytes: Vec<u8>, home: Arc<Home>) -> Arc<Self> {
        Arc::new(Self { bytes, home: Some((Kind::Frame(ix), home)) })
    }

    /// Decompressed records.
    pub(crate) fn plain(bytes: Vec<u8>, home: Arc<Home>) -> Arc<Self> {
        Arc::new(Self { bytes, home: Some((Kind::Plain, home)) })
    }

    /// A copy.
    pub(crate) fn own(bytes: Vec<u8>) -> Arc<Self> {
        Arc::new(Self { bytes, home: None })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        match self.home.take() {
            Some((Kind::Frame(ix), home)) => home.free(Freed::Frame(ix, bytes)),
            Some((Kind::Plain, home)) => home.keep(bytes),
            None => {}
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("len", &self.bytes.len()).finish()
    }
}

/// The place that a chunk takes on the shelf; free when it is dropped.
#[derive(Debug)]
pub(crate) struct Credit {
    pub(crate) partition: PartitionIx,
    pub(crate) bytes: u64,
    pub(crate) home: Arc<Home>,
}

impl Drop for Credit {
    fn drop(&mut self) {
        self.home.free(Freed::Chunk(self.partition, self.bytes));
    }
}
