//! Requests in wire form: for what klamm has no call for (yet).

use crate::TopicPartition;
use crate::kafka::Kafka;
use crate::op::{Op, ask};
use crate::producer::unexpected;
use bytes::Bytes;
use klamm_core::client::{self, Command, Reply};

/// Where a raw request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Route {
    /// To any broker.
    Any,
    /// To the broker with this `node.id`.
    Broker(i32),
    /// To the broker that metadata names as controller; with KRaft one that passes on to it.
    Controller,
    /// To the coordinator of this group.
    Group(String),
    /// To the coordinator of this transactional id.
    TransactionalId(String),
    /// To the leader of this partition.
    Leader(TopicPartition),
}

impl From<Route> for client::Route {
    fn from(route: Route) -> Self {
        match route {
            Route::Any => Self::Any,
            Route::Broker(id) => Self::Broker(id),
            Route::Controller => Self::Controller,
            Route::Group(id) => Self::Group(id.into()),
            Route::TransactionalId(id) => Self::TransactionalId(id.into()),
            Route::Leader(place) => Self::Leader(place),
        }
    }
}

impl Kafka {
    /// Sends a request that is encoded already, and gives the body of its answer: for APIs that klamm has no call for. klamm
    /// finds the broker, writes the header in the form of the API and version, and reads the answer's; what stands between is
    /// yours, error codes of the answer included. Kafka's protocol guide says what the bytes mean.
    ///
    /// A request that never left for its broker is sent again while there is time (`default.api.timeout.ms`, or
    /// [`within`](Op::within)). What may have reached one is not: whether it may be repeated only you know.
    ///
    /// # Errors
    /// `Unsupported` if the broker does not serve the API in that version; `Timeout`; else why the connection ended, with
    /// [`is_outcome_unknown`](crate::Error::is_outcome_unknown). A Produce request with `acks=0` has no answer, and so ends
    /// in `Timeout`.
    ///
    /// # Cancel safety
    /// Dropping it ends the waiting; the request is sent all the same.
    #[must_use = "await it, or `.wait()`"]
    pub fn request_bytes(&self, to: Route, api_key: i16, version: i16, body: Bytes) -> Op<Bytes> {
        let command = Command::Raw { to: to.into(), api_key, version, body };
        ask(self.front(), Some(self.default_api_timeout()), command, |reply| match reply {
            Reply::Raw(body) => Ok(body),
            other => Err(unexpected(&other)),
        })
    }
}
