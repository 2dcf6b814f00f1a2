//! The contract between the client and its role machines (producer, consumer, admin, metadata, coordinators).
//!
//! A role says what it needs as a level (`needs`), is asked for requests when a link can take one (`poll_request`), and is
//! told every outcome (`handle_response`). No closures, nothing to cancel: a request belongs to its role (contracts A20, B15).

use super::Event;
use crate::error::{ErrorCode, ErrorKind};
use crate::metadata::{Names, View};
use crate::rng::Rng;
use crate::stats::Stats;
use crate::wire::{self, ApiKey, ApiRanges};
use crate::{BrokerId, ConnId, ConsumerIx, Now, OpId, PartitionIx, ProducerIx, TopicIx};
use bytes::Bytes;
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// What a connection is for: two requests share one only if either may wait for the other (contracts B3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Lane {
    /// Metadata, FindCoordinator, InitProducerId without a transaction, ListOffsets of the ends, OffsetForLeaderEpoch.
    Control,
    /// Admin and whatever carries a timeout, ListOffsets by time.
    Slow,
    /// Produce of one producer.
    Produce(ProducerIx),
    /// A producer's transactions: requests to their coordinators.
    Txn(ProducerIx),
    /// Fetch of one consumer: one outstanding.
    Fetch(ConsumerIx),
    /// Heartbeat, commit, offset fetch, leave of one consumer.
    Group(ConsumerIx),
    /// Join and sync of one consumer: they park.
    Join(ConsumerIx),
}

/// What a coordinator coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum CoordinatorKind {
    Group,
    Transaction,
}

/// Whose request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Owner {
    Metadata,
    Coordinators,
    Producer(ProducerIx),
    Consumer(ConsumerIx),
    Admin,
    /// ListOffsets, metadata and raw requests of the application.
    Lookups,
}

/// Names a request towards its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Tag {
    pub(crate) owner: Owner,
    pub(crate) token: u64,
}

/// A request that a role has built for one link.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) tag: Tag,
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    /// The body behind the request header, in pieces that are never copied.
    pub(crate) body: SmallVec<[Bytes; 2]>,
    /// How long the broker may take once it is this request's turn; the link adds its slack (contracts B5).
    pub(crate) timeout: Duration,
    /// No answer will come (Produce with acks=0): completes when its last byte is written (contracts A25).
    pub(crate) silent: bool,
    /// The largest answer that makes sense (contracts C-2).
    pub(crate) max_response: usize,
}

impl Request {
    /// A request in the highest version that both sides speak.
    pub(crate) fn new<R: wire::Request>(
        tag: Tag,
        link: &LinkFacts<'_>,
        message: &R,
        timeout: Duration,
    ) -> Result<Self, crate::Error> {
        let version = link.version::<R>().ok_or_else(|| link.unsupported::<R>())?;
        Self::versioned(tag, message, version, timeout)
    }

    /// A request in this version.
    pub(crate) fn versioned<R: wire::Request>(
        tag: Tag,
        message: &R,
        version: i16,
        timeout: Duration,
    ) -> Result<Self, crate::Error> {
        let mut w = wire::Writer::new();
        message.encode(&mut w, version).map_err(|e| {
            let text = format!("{} {version} cannot say what is asked: {e}", api::<R>());
            crate::Error::new(ErrorKind::Unsupported, text).with_api(api::<R>())
        })?;
        Ok(Self {
            tag,
            api: R::KEY,
            version,
            body: smallvec::smallvec![Bytes::from(w.into_vec())],
            timeout,
            silent: false,
            max_response: CONTROL_RESPONSE,
        })
    }
}

/// The largest answer of a request that is no fetch: a million partitions in one metadata answer.
pub(crate) const CONTROL_RESPONSE: usize = 128 * 1024 * 1024;

/// A broker's answer: `frame[at..]` is the body behind the response header.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) version: i16,
    pub(crate) frame: Vec<u8>,
    pub(crate) at: usize,
}

impl Response {
    /// Reads it as the answer to an `R`, whatever stands behind that: the mock cluster of librdkafka 2.12 ends answers with a
    /// byte too many, which Java too leaves alone.
    pub(crate) fn decode<R: wire::Request>(&self) -> Result<R::Response, crate::Error> {
        let mut r = wire::Reader::new(self.body());
        <R::Response as wire::Message>::decode_front(&mut r, self.version).map_err(nonsense::<R>)
    }

    /// The same where nothing may stand behind it: what an acknowledgement says must be beyond doubt.
    pub(crate) fn decode_whole<R: wire::Request>(&self) -> Result<R::Response, crate::Error> {
        let mut r = wire::Reader::new(self.body());
        <R::Response as wire::Message>::decode(&mut r, self.version).map_err(nonsense::<R>)
    }

    pub(crate) fn body(&self) -> &[u8] {
        self.frame.get(self.at..).unwrap_or_default()
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RequestError {
    /// Not one byte of it reached the socket.
    NotSent(crate::Error),
    /// The connection ended, or its deadline passed, after at least one byte was taken: the broker may have acted on it.
    Lost(crate::Error),
}

impl RequestError {
    pub(crate) fn error(&self) -> &crate::Error {
        match self {
            Self::NotSent(error) | Self::Lost(error) => error,
        }
    }
}

/// What a role may know of the link that it builds a request for. Only ready, unmuted links with room are offered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkFacts<'a> {
    pub(crate) broker: BrokerId,
    pub(crate) lane: Lane,
    /// Which connection it is: another one after each break, also one that nothing was lost by.
    pub(crate) conn: ConnId,
    pub(crate) versions: &'a ApiRanges,
    /// Requests under way on it.
    pub(crate) in_flight: usize,
}

impl LinkFacts<'_> {
    /// The highest version of an API that both sides speak.
    pub(crate) fn version<R: wire::Request>(&self) -> Option<i16> {
        self.versions.pick(R::KEY, R::MIN, R::MAX)
    }

    /// Says that the broker does not know the API in any version that we speak.
    pub(crate) fn unsupported<R: wire::Request>(&self) -> crate::Error {
        let text = format!("broker {} does not support {} {} to {}", self.broker, api::<R>(), R::MIN, R::MAX);
        let error = crate::Error::new(ErrorKind::Unsupported, text).with_api(api::<R>()).with_broker(self.broker.0);
        match R::KEY.since() {
            Some(kafka) => error.with_hint(format!("Kafka {kafka} and later know it")),
            None => error,
        }
    }
}

fn nonsense<R: wire::Request>(error: wire::DecodeError) -> crate::Error {
    crate::Error::new(ErrorKind::Corrupt, format!("a broker's answer makes no sense: {error}")).with_api(api::<R>())
}

/// The API's name in the protocol guide.
fn api<R: wire::Request>() -> &'static str {
    R::KEY.name().unwrap_or(R::NAME)
}

/// What a role wants, while it wants it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Links to be dialled and kept.
    pub(crate) links: BTreeSet<(BrokerId, Lane)>,
    /// Any broker's link of these lanes will do.
    pub(crate) any: BTreeSet<Lane>,
    /// Topics to be known, and whether the broker may create them (contracts C-8).
    pub(crate) topics: BTreeMap<TopicIx, bool>,
    /// Topics known only by id (assignments of newer brokers).
    pub(crate) topic_ids: BTreeSet<crate::wire::Uuid>,
    /// All topics are wanted.
    pub(crate) all_topics: bool,
    /// Coordinators to be known.
    pub(crate) coordinators: BTreeSet<(CoordinatorKind, Arc<str>)>,
}

impl Needs {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a role tells the shared machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The view of a topic is wrong: refresh. `leader_epoch` above the view's skips the backoff (contracts B20).
    Stale { topic: TopicIx, code: ErrorCode, leader_epoch: Option<i32> },
    /// A broker named the new leader (KIP-951); `endpoint` if it told the address.
    Leader { partition: PartitionIx, broker: BrokerId, leader_epoch: i32, endpoint: Option<crate::metadata::Node> },
    /// A coordinator is no longer the one we know.
    CoordinatorLost { kind: CoordinatorKind, key: Arc<str>, broker: BrokerId },
    /// A coordinator does its work: how often it was lost before no longer counts.
    CoordinatorWorks { kind: CoordinatorKind, key: Arc<str> },
    /// An answer cannot be decoded or contradicts itself: the link it came by is aborted (contracts A25).
    Undecodable { error: crate::Error },
    /// The broker that was taken for the controller is none: the cluster is to be asked for again.
    ClusterStale,
    /// The answer asked us to leave the broker alone for a while (KIP-219): its link is muted.
    Throttled { ms: i32 },
    /// An operation has this deadline; the client answers it with a timeout unless it is done before.
    Deadline { op: OpId, at: crate::Time },
}

/// What a role may look at to say what it needs.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) view: &'a View,
    pub(crate) names: &'a Names,
    pub(crate) coordinators: &'a crate::cluster::Coordinators,
}

/// What every role call gets beside its own arguments.
pub(crate) struct Cx<'a> {
    pub(crate) now: Now,
    pub(crate) rng: &'a mut Rng,
    pub(crate) view: &'a Arc<View>,
    pub(crate) names: &'a mut Names,
    pub(crate) coordinators: &'a crate::cluster::Coordinators,
    pub(crate) events: &'a mut VecDeque<Event>,
    pub(crate) news: &'a mut Vec<News>,
    pub(crate) stats: &'a mut Stats,
    /// Why brokers cannot be reached that could not when they were last tried.
    pub(crate) troubles: &'a BTreeMap<BrokerId, crate::Error>,
}

impl Cx<'_> {
    /// Answers an operation.
    pub(crate) fn done(&mut self, op: OpId, result: Result<super::Reply, crate::Error>) {
        self.events.push_back(Event::Done { op, result });
    }
}

/// A role machine. (A contract for readers: the client calls the roles by name, never through `dyn`.)
pub(crate) trait RoleMachine {
    /// Adds what it needs now.
    fn needs(&self, out: &mut Needs, known: &Known<'_>);
    /// A request for this link, if it has one now. Asked until it returns `None`.
    fn poll_request(&mut self, link: &LinkFacts<'_>, cx: &mut Cx<'_>) -> Option<Request>;
    /// The outcome of a request: exactly one for each that it built. `broker` is the one it was built for.
    fn handle_response(&mut self, cx: &mut Cx<'_>, broker: BrokerId, tag: Tag, result: Result<Response, RequestError>);
    /// The view changed.
    fn handle_metadata(&mut self, cx: &mut Cx<'_>, diff: &crate::metadata::Diff);
    /// Its timer is due; too early is no harm.
    fn handle_timeout(&mut self, cx: &mut Cx<'_>);
    /// When it wants `handle_timeout`.
    fn poll_timeout(&self) -> Option<crate::Wake>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::messages::{HeartbeatRequest, HeartbeatResponse};
    use crate::wire::{Message as _, Writer};

    #[test]
    fn bytes_behind_an_answer_are_left_alone_and_missing_ones_are_told() {
        let mut w = Writer::new();
        HeartbeatResponse { throttle_time_ms: 7, ..Default::default() }.encode(&mut w, 4).unwrap();
        let mut frame = w.into_vec();
        frame.push(0);
        let longer = Response { version: 4, frame: frame.clone(), at: 0 };
        assert_eq!(longer.decode::<HeartbeatRequest>().unwrap().throttle_time_ms, 7);
        assert!(longer.decode_whole::<HeartbeatRequest>().is_err());
        frame.truncate(frame.len() - 3);
        let error = Response { version: 4, frame, at: 0 }.decode::<HeartbeatRequest>().unwrap_err();
        assert_eq!((error.kind(), error.api()), (ErrorKind::Corrupt, Some("Heartbeat")));
    }
}
