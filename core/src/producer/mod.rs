//! The producer: batches on their way from the application to the brokers.

mod accumulator;
mod handover;
mod partitioner;

pub use accumulator::{Accumulator, Facts, Head, Plain, Sealed};
pub use handover::{Batch, Collect, Left, Take, Taken};
pub use partitioner::{Chooser, Placement, murmur2, partition_for_key};
