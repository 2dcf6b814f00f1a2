//! The states of a partition, and what new batches may be stamped with.

use super::sequence::Identity;
use crate::Time;

/// What may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing was acknowledged here yet (new leader, new epoch, failure, long idle): one in flight, the oldest first.
    /// Brokers without state accept any first number, so only one may be the first (contracts A23).
    Probing,
    /// The last outcome here was success.
    Streaming,
    /// The leader changed while the old one still owes answers: nothing (ID-15).
    Moving,
    /// A failure that may pass: nothing, then `Probing`.
    Backoff(Time),
    /// Nothing more goes out under the window's identity, and something is still on the wire: nothing (contracts A4).
    Settling,
    /// The window is empty and waits for an identity: nothing.
    Resetting,
}

/// Under what a batch that never had a stamp may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Minting {
    /// Without a stamp: the producer is not idempotent.
    Unstamped,
    /// Not at all: there is no producer id (rule 9).
    Waiting,
    /// Under this one, once the window has taken it.
    Under(Identity),
}
