//! The producer: batches on their way from the application to the brokers.
//!
//! The front half ([`Accumulator`]) is where records become batches, one slot per partition behind a lock. The back half
//! (`Producer`, a role machine) takes sealed batches over and is responsible for their outcome: exactly one event for each.

mod accumulator;
mod answer;
mod collect;
mod drain;
mod ending;
mod entry;
mod expiry;
mod handover;
mod identity;
mod index;
mod machine;
#[cfg(test)]
mod model;
mod outcome;
mod partitioner;
mod queue;
mod ratio;
mod recode;
mod report;
mod request;
mod scheme;
mod send;
mod sequence;
mod split;
mod state;
mod terms;
mod topics;
mod transaction;
mod warm;

pub use accumulator::{Accumulator, Facts, Head, Plain, Sealed};
pub use handover::{Batch, Collect, Left, Memory, Take, Taken};
pub(crate) use machine::Producer;
pub use partitioner::{Chooser, Placement, murmur2, partition_for_key};
pub use ratio::Ratio;
pub use scheme::Scheme;
