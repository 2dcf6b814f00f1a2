//! Placeholder: replaced by the real room, which another builder is about to land (keep theirs in a conflict).
mod handover;
use crate::client::Command;
use crate::client::role::*;
use crate::config::*;
use crate::metadata::*;
use crate::*;
pub use handover::{Freed, Progress};
use std::sync::Arc;
#[derive(Debug)]
pub(crate) struct Consumer;
impl Consumer {
    pub(crate) fn new(_: ConsumerIx, _: Arc<ConsumerConfig>, _: &ClientConfig) -> Self {
        panic!()
    }
    pub(crate) fn handle_progress(&mut self, _: &mut Cx<'_>, _: &Progress) {
        panic!()
    }
    pub(crate) fn handle_freed(&mut self, _: Freed) -> Option<Vec<u8>> {
        panic!()
    }
    pub(crate) fn poll_want_progress(&mut self) -> bool {
        panic!()
    }
    pub(crate) fn is_closed(&self) -> bool {
        panic!()
    }
    pub(crate) fn handle_command(&mut self, _: &mut Cx<'_>, _: OpId, _: Command) {
        panic!()
    }
}
impl RoleMachine for Consumer {
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
