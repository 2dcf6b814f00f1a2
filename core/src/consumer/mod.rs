//! A consumer: what it reads, where it stands, what it fetches, and its membership in a group.
//!
//! The fetch position (what to ask for next) is here; the consumed position (what the application got) belongs to the
//! front, which reports it as a level (`Progress`). Every decision about a partition carries a `Stamp`: data, positions
//! and commits of an older one are dropped on both sides.

mod arrival;
mod assignment;
mod commands;
mod fetch;
mod handover;
mod missing;
mod partition;
mod position;
mod session;
mod subscription;

pub use handover::{Freed, Progress};

use crate::client::role::{Cx, Known, Lane, LinkFacts, Needs, Request, RequestError, Response, RoleMachine, Tag};
use crate::client::{CloseConsumer, CommitOffset, Event, Reply, Stamp, TopicPartition};
use crate::config::{ClientConfig, ConsumerConfig};
use crate::metadata::Diff;
use crate::{BrokerId, ConsumerIx, Error, ErrorKind, OpId, PartitionIx, Time, TopicIx, Wake, Why};
use fetch::Fetcher;
use missing::Missing;
use partition::{Minter, Partition};
use position::Positions;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use subscription::{Mode, Subscription};

/// How long a close waits for the links on which fetch sessions are ended: brokers forget them anyhow.
const SESSIONS_PATIENCE: Duration = Duration::from_millis(100);

/// What the request under a token was.
#[derive(Clone, Copy, Debug)]
enum Sent {
    Fetch,
    Position,
    CloseSession,
}

/// A close under way.
#[derive(Debug)]
struct Closing {
    op: OpId,
    deadline: Time,
    how: CloseConsumer,
    /// Fetch sessions are ended until then.
    sessions: Option<Time>,
}

/// One consumer.
#[derive(Debug)]
pub(crate) struct Consumer {
    ix: ConsumerIx,
    config: Arc<ConsumerConfig>,
    subscription: Subscription,
    partitions: BTreeMap<PartitionIx, Partition>,
    paused: BTreeSet<PartitionIx>,
    minter: Minter,
    /// Assignments told so far: the token of the last.
    assignments: u64,
    fetcher: Fetcher,
    positions: Positions,
    missing: Missing,
    /// Partitions whose trouble waits until all before it is consumed.
    troubled: BTreeSet<PartitionIx>,
    /// Who waits for a position.
    waiting: Vec<(OpId, PartitionIx)>,
    sent: BTreeMap<u64, Sent>,
    tokens: u64,
    spare: Vec<Vec<u8>>,
    closing: Option<Closing>,
    closed: bool,
}

impl Consumer {
    pub(crate) fn new(ix: ConsumerIx, config: Arc<ConsumerConfig>, _: &ClientConfig) -> Self {
        Self {
            ix,
            subscription: Subscription::default(),
            partitions: BTreeMap::new(),
            paused: BTreeSet::new(),
            minter: Minter::default(),
            assignments: 0,
            fetcher: Fetcher::new(ix, config.clone()),
            positions: Positions::new(ix, config.clone()),
            missing: Missing::new(config.default_api_timeout),
            troubled: BTreeSet::new(),
            waiting: Vec::new(),
            sent: BTreeMap::new(),
            tokens: 0,
            spare: Vec::new(),
            closing: None,
            closed: false,
            config,
        }
    }

    /// The front's levels, as `poll_want_progress` asked for them.
    pub(crate) fn handle_progress(&mut self, cx: &mut Cx<'_>, _progress: &Progress) {
        self.sweep(cx);
    }

    /// Memory comes home; a buffer goes back to the link that fills it.
    pub(crate) fn handle_freed(&mut self, freed: Freed) -> Option<Vec<u8>> {
        match freed {
            Freed::Chunk(ix, bytes) => {
                self.fetcher.unshelve(ix, bytes);
                None
            }
            Freed::Frame(frame, buffer) => {
                self.fetcher.take_back(frame);
                Some(buffer)
            }
        }
    }

    /// The buffer of an answer that brought nothing for the application.
    pub(crate) fn take_spare_buffer(&mut self) -> Option<Vec<u8>> {
        self.spare.pop()
    }

    /// Whether the front's levels are needed now.
    pub(crate) fn poll_want_progress(&mut self) -> bool {
        false
    }

    /// Whether it has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    fn send(&mut self, what: Sent, request: Option<Request>) -> Option<Request> {
        let request = request?;
        self.sent.insert(self.tokens, what);
        self.tokens += 1;
        Some(request)
    }

    fn fail(&self, cx: &mut Cx<'_>, error: Error) {
        cx.events.push_back(Event::ConsumerFailed { consumer: self.ix, error });
    }

    fn close(&mut self, cx: &mut Cx<'_>, op: OpId, how: CloseConsumer, deadline: Time) {
        for (waiting, _) in std::mem::take(&mut self.waiting) {
            cx.done(waiting, Err(Error::new(ErrorKind::Closed, "the consumer was closed")));
        }
        self.closing = Some(Closing { op, deadline, how, sessions: None });
        self.go_on_closing(cx);
    }

    /// One step of a close after the other: commits, leave, fetch sessions.
    fn go_on_closing(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        let Some(closing) = &mut self.closing else { return };
        if self.closed {
            return;
        }
        let until = *closing.sessions.get_or_insert((now + SESSIONS_PATIENCE).min(closing.deadline));
        if self.fetcher.has_sessions() && until > now {
            return;
        }
        let op = closing.op;
        self.closed = true;
        self.partitions.clear();
        cx.done(op, Ok(Reply::Unit));
    }

    fn released(&mut self, _cx: &mut Cx<'_>, _token: u64, _partition: PartitionIx) {}

    fn commit(&mut self, cx: &mut Cx<'_>, op: OpId, _entries: Vec<(TopicPartition, Option<Stamp>, CommitOffset)>) {
        cx.done(op, Err(Error::new(ErrorKind::Unsupported, "commits are not there yet")));
    }

    fn committed(&mut self, cx: &mut Cx<'_>, op: OpId, _partitions: Vec<TopicPartition>) {
        cx.done(op, Err(Error::new(ErrorKind::Unsupported, "commits are not there yet")));
    }

    fn ask_rejoin(&mut self, cx: &mut Cx<'_>, op: OpId, _reason: &Arc<str>) {
        cx.done(op, Err(Error::new(ErrorKind::Unsupported, "groups are not there yet")));
    }

    fn leave_subscription(&mut self, _cx: &mut Cx<'_>, _next: Mode) {}

    fn subscribe_group(&mut self, _cx: &mut Cx<'_>, _topics: BTreeSet<TopicIx>) -> Result<(), Error> {
        Err(Error::new(ErrorKind::Unsupported, "groups are not there yet"))
    }
}

impl RoleMachine for Consumer {
    fn needs(&self, out: &mut Needs, known: &Known<'_>) {
        if self.closed || self.closing.is_some() {
            return;
        }
        for topic in self.topics(known.names) {
            *out.topics.entry(topic).or_default() |= self.config.allow_auto_create_topics;
        }
        let leader = |ix| known.view.leader(known.names.place(ix)).map(|(leader, _)| leader);
        // A preferred replica's lease is looked at when the fetch is built: here its link is wanted all the same.
        self.fetcher.needs(out, Time::ZERO, &self.partitions, leader);
        for p in self.partitions.values() {
            if let (Some(lane), Some(leader)) = (Positions::lane_of(p), leader(p.ix)) {
                out.links.insert((leader, lane));
            }
        }
    }

    fn poll_request(&mut self, link: &LinkFacts<'_>, cx: &mut Cx<'_>) -> Option<Request> {
        if self.closed {
            return None;
        }
        self.sweep(cx);
        let token = self.tokens;
        match link.lane {
            Lane::Fetch(_) if self.closing.is_some() => {
                let ending = self.closing.as_ref().is_some_and(|c| c.sessions.is_some());
                let request = if ending { self.fetcher.close_session(link, token) } else { None };
                let request = self.send(Sent::CloseSession, request);
                self.go_on_closing(cx);
                request
            }
            Lane::Fetch(_) => {
                let request = self.fetcher.poll_request(link, cx, &mut self.partitions, token);
                self.send(Sent::Fetch, request)
            }
            Lane::Control | Lane::Slow => {
                let request = self.positions.poll_request(link, cx, &mut self.partitions, token);
                self.send(Sent::Position, request)
            }
            Lane::Produce(_) | Lane::Group(_) | Lane::Join(_) => None,
        }
    }

    fn handle_response(&mut self, cx: &mut Cx<'_>, broker: BrokerId, tag: Tag, result: Result<Response, RequestError>) {
        let all = &mut self.partitions;
        match self.sent.remove(&tag.token) {
            Some(Sent::Fetch) => {
                let arrived = self.fetcher.handle_response(cx, self.ix, all, tag.token, result).unwrap_or_default();
                self.spare.extend(arrived.spare);
                self.troubled.extend(arrived.troubled);
            }
            Some(Sent::Position) => {
                let troubled = self.positions.handle_response(cx, broker, all, tag.token, result);
                self.troubled.extend(troubled);
            }
            Some(Sent::CloseSession) | None => {}
        }
        self.sweep(cx);
        self.go_on_closing(cx);
    }

    fn handle_metadata(&mut self, cx: &mut Cx<'_>, diff: &Diff) {
        if !self.closed && self.closing.is_none() {
            self.take_diff(cx, diff);
            self.sweep(cx);
        }
    }

    fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        for p in self.partitions.values_mut() {
            p.handle_timeout(now);
        }
        for error in self.missing.handle_timeout(cx) {
            self.fail(cx, error);
        }
        self.sweep(cx);
        self.go_on_closing(cx);
    }

    fn poll_timeout(&self) -> Option<Wake> {
        if self.closed {
            return None;
        }
        if let Some(closing) = &self.closing {
            return Some(Wake { at: closing.sessions.unwrap_or(closing.deadline), why: Why::Operation });
        }
        let partitions = self.partitions.values().filter_map(Partition::due).min();
        let at = [partitions, self.missing.poll_timeout()].into_iter().flatten().min()?;
        Some(Wake { at, why: Why::Backoff })
    }
}
