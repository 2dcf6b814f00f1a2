//! The producer: batches on their way from the application to the brokers.
//!
//! The front half ([`Accumulator`]) is where records become batches, one slot per partition behind a lock. The back half
//! (`Producer`, a role machine) takes sealed batches over and is responsible for their outcome: exactly one event for each.

mod accumulator;
mod answer;
mod collect;
mod drain;
mod expiry;
mod handover;
mod identity;
mod index;
mod machine;
mod outcome;
mod partitioner;
mod queue;
mod report;
mod request;
mod send;
mod sequence;
mod split;
mod terms;
#[cfg(test)]
mod tests;
mod topics;

pub use accumulator::{Accumulator, Facts, Head, Plain, Sealed};
pub use handover::{Batch, Collect, Left, Take, Taken};
pub(crate) use machine::Producer;
pub use partitioner::{Chooser, Placement, murmur2, partition_for_key};

// temp
use crate::client::role::*;
use crate::config::*;
use crate::metadata::*;
use crate::*;
use std::sync::Arc;
/// temp
#[derive(Debug)]
pub(crate) struct Producer;
impl Producer {
    pub(crate) fn new(_: ProducerIx, _: Arc<ProducerConfig>, _: &ClientConfig) -> Self {
        panic!()
    }
    pub(crate) fn handle_slots(&mut self, _: &mut Cx<'_>, _: &[(PartitionIx, Left)]) {
        panic!()
    }
    pub(crate) fn handle_pressure(&mut self, _: bool) {
        panic!()
    }
    pub(crate) fn poll_collect(&mut self, _: Now, _: &View, _: &Names, _: &mut Collect) -> bool {
        panic!()
    }
    pub(crate) fn handle_taken(&mut self, _: &mut Cx<'_>, _: CollectId, _: &mut Vec<Taken>) {
        panic!()
    }
    pub(crate) fn want_topic(&mut self, _: &mut Cx<'_>, _: Arc<str>) {
        panic!()
    }
    pub(crate) fn close(&mut self, _: &mut Cx<'_>, _: OpId, _: Time) {
        panic!()
    }
    pub(crate) fn is_closed(&self) -> bool {
        panic!()
    }
}
impl RoleMachine for Producer {
    fn needs(&self, _: &mut Needs, _: &Known<'_>) {}
    fn poll_request(&mut self, _: &LinkFacts<'_>, _: &mut Cx<'_>) -> Option<Request> {
        None
    }
    fn handle_response(&mut self, _: &mut Cx<'_>, _: BrokerId, _: Tag, _: Result<Response, RequestError>) {}
    fn handle_metadata(&mut self, _: &mut Cx<'_>, _: &Diff) {}
    fn handle_timeout(&mut self, _: &mut Cx<'_>) {}
    fn poll_timeout(&self) -> Option<Wake> {
        None
    }
}
