//! What passes between a consumer's front (shelf, cursors, gates) and the core (positions, fetches, group).

use crate::client::Stamp;
use crate::{FrameIx, PartitionIx, Time};

/// What the shelf knows, as levels: the core asks for it with `poll_want_progress` (contracts A13, B7). A member that was
/// put out of its group for not polling joins again when a `Progress` says that the application polls: the front hands one
/// in, asked or not, when a poll begins after an `Event::Lost`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// A poll is waiting right now: `max.poll.interval.ms` does not run.
    pub polling: bool,
    /// When the last poll returned.
    pub last_return: Time,
    /// The offsets that may be committed: for each partition the next offset and the leader epoch of the record before it.
    /// With automatic commits of polled records: where the application stood at the *start* of its last poll; with
    /// acknowledgements: behind the last record of an unbroken acknowledged run.
    pub done: Vec<(PartitionIx, Stamp, i64, i32)>,
    /// What was delivered: the position that the application sees.
    pub delivered: Vec<(PartitionIx, Stamp, i64, i32)>,
}

/// Memory that comes home, wherever its data died. It carries no stamp and is never dropped (contracts B8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freed {
    /// A chunk left the shelf: its partition may be fetched further.
    Chunk(PartitionIx, u64),
    /// The last chunk of a frame is gone: here is its buffer, for the next response.
    Frame(FrameIx, Vec<u8>),
}
