//! Partitions: what is stored, who has it, and what a broker checks before it stores more.

pub(crate) mod batch;
pub(crate) mod election;
pub(crate) mod offsets;
pub(crate) mod partition;
pub(crate) mod producer;
pub(crate) mod read;
pub(crate) mod stored;
pub(crate) mod transaction;
pub(crate) mod validate;

pub(crate) use partition::Partition;
