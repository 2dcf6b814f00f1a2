//! Placeholder: replaced by the real room, which another builder is about to land (keep theirs in a conflict).
use crate::client::role::*;
use crate::config::*;
use crate::metadata::*;
use crate::*;
#[derive(Debug)]
pub(crate) struct Admin;
/// temp
#[derive(Clone, Debug)]
pub struct AdminRequest;
/// temp
#[derive(Clone, Debug)]
pub struct AdminReply;
impl Admin {
    pub(crate) fn new(_: &ClientConfig) -> Self {
        panic!()
    }
    pub(crate) fn handle_request(&mut self, _: &mut Cx<'_>, _: OpId, _: AdminRequest) {
        panic!()
    }
}
impl RoleMachine for Admin {
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
