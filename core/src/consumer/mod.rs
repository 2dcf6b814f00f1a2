//! A consumer: what it reads, where it stands, what it fetches, and its membership in a group.
//!
//! The fetch position (what to ask for next) is here; the consumed position (what the application got) belongs to the
//! front, which reports it as a level (`Progress`). Every decision about a partition carries a `Stamp`: data, positions
//! and commits of an older one are dropped on both sides.

mod arrival;
mod assign;
mod assignment;
mod auto;
mod classic;
mod closing;
mod commands;
mod commit;
mod fetch;
mod generation;
mod handover;
mod heartbeat;
mod membership;
mod missing;
#[cfg(test)]
mod model;
mod offsets;
mod pace;
mod partition;
mod position;
mod presence;
mod session;
mod standing;
#[cfg(test)]
mod steps;
mod subscription;
mod verdict;

pub use handover::{Freed, Progress};

use crate::client::Event;
use crate::client::role::{
    CoordinatorKind, Cx, Known, Lane, LinkFacts, Needs, News, Request, RequestError, Response, RoleMachine, Tag,
};
use crate::cluster::Coordinator;
use crate::config::{ClientConfig, ConsumerConfig};
use crate::metadata::Diff;
use crate::{BrokerId, ConsumerIx, Error, OpId, PartitionIx, Time, Wake, Why};
use auto::AutoTimer;
use classic::{Classic, State};
use closing::Closing;
use commit::{Commits, Standing};
use fetch::Fetcher;
use membership::Membership;
use missing::Missing;
use offsets::Offsets;
use partition::{Minter, Partition};
use position::Positions;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use subscription::{Mode, Subscription};
use verdict::{Asked, Next, verdict};

/// What the request under a token was.
#[derive(Clone, Copy, Debug)]
enum Sent {
    Fetch,
    Position,
    CloseSession,
    Join,
    Sync,
    Heartbeat,
    Leave,
    Commit,
    Offsets,
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
    /// With a group only; with a manual assignment it names the group of the commits.
    membership: Option<Membership>,
    commits: Commits,
    offsets: Offsets,
    auto_commit: AutoTimer,
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
            membership: config.group_id.clone().map(|group| {
                let classic = Classic::new(ix, config.clone(), group.clone());
                Membership::new(group, classic, config.max_poll_interval)
            }),
            commits: Commits::new(ix, config.clone()),
            offsets: Offsets::new(ix, config.clone()),
            auto_commit: AutoTimer::new(config.auto_commit, config.group_id.is_some()),
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
    pub(crate) fn handle_progress(&mut self, cx: &mut Cx<'_>, progress: &Progress) {
        self.take_progress(cx, progress);
        self.settle(cx);
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
        let membership = self.membership.as_ref().is_some_and(Membership::wants_progress);
        let closing = self.closing.as_ref().is_some_and(|c| c.reporting);
        !self.closed && (self.auto_commit.asked || membership || closing)
    }

    /// Whether it has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    fn fail(&self, cx: &mut Cx<'_>, error: Error) {
        cx.events.push_back(Event::ConsumerFailed { consumer: self.ix, error });
    }

    /// What every input may have made possible.
    fn settle(&mut self, cx: &mut Cx<'_>) {
        self.sweep(cx);
        self.go_on(cx);
        self.go_on_closing(cx);
        let steady = match &self.membership {
            Some(m) if self.subscription.mode == Mode::Group => {
                m.classic.state == State::Stable && m.revocation.is_none()
            }
            _ => true,
        };
        let running = steady && self.closing.is_none() && !self.partitions.is_empty();
        self.auto_commit.run(cx.now.mono, running);
    }

    fn group_request(&mut self, link: &LinkFacts<'_>, cx: &mut Cx<'_>, token: u64) -> Option<(Sent, Request)> {
        let standing = self.standing();
        let m = self.membership.as_mut()?;
        m.seen = true;
        if *cx.coordinators.get(CoordinatorKind::Group, &m.group) != Coordinator::Known(link.broker) {
            return None;
        }
        if let Some(request) = m.classic.poll_group(link, cx.now.mono, token) {
            let what = if m.classic.is_leave(token) { Sent::Leave } else { Sent::Heartbeat };
            return Some((what, request));
        }
        let group = m.group.clone();
        if let Some(request) = self.commits.poll_request(link, cx, &group, &standing, &self.partitions, token) {
            return Some((Sent::Commit, request));
        }
        if self.closing.is_some() {
            return None;
        }
        let commits = &self.commits;
        let flying = |ix| commits.concerns(ix);
        let request = self.offsets.poll_request(link, cx, &group, &self.partitions, flying, token)?;
        Some((Sent::Offsets, request))
    }

    fn join_request(&mut self, link: &LinkFacts<'_>, cx: &mut Cx<'_>, token: u64) -> Option<(Sent, Request)> {
        let m = self.membership.as_mut().filter(|_| self.closing.is_none())?;
        if *cx.coordinators.get(CoordinatorKind::Group, &m.group) != Coordinator::Known(link.broker) {
            return None;
        }
        let request = m.classic.poll_join(link, cx, &self.subscription.topics, token)?;
        let what = if matches!(m.classic.state, State::Joining(_)) { Sent::Join } else { Sent::Sync };
        Some((what, request))
    }

    fn group_response(
        &mut self,
        cx: &mut Cx<'_>,
        broker: BrokerId,
        token: u64,
        what: Sent,
        result: Result<Response, RequestError>,
    ) {
        let alone = self.standing() == Standing::Alone;
        let Some(m) = &mut self.membership else { return };
        let (outcome, asked) = match what {
            Sent::Join => (m.classic.joined(cx, token, result), Asked::Join),
            Sent::Sync => (m.classic.synced(cx, token, result), Asked::Sync),
            Sent::Heartbeat => (m.classic.beaten(cx, token, result), Asked::Heartbeat),
            Sent::Leave => return m.classic.left(token),
            Sent::Commit => {
                let verdict = self.commits.handle_response(cx, &mut self.partitions, alone, token, result);
                if let Some(verdict) = verdict {
                    self.take_verdict(cx, broker, verdict);
                }
                return;
            }
            Sent::Offsets => {
                let all = &mut self.partitions;
                if self.offsets.handle_response(cx, all, &self.positions, token, result) {
                    let key = m.group.clone();
                    cx.news.push(News::CoordinatorLost { kind: CoordinatorKind::Group, key, broker });
                }
                return;
            }
            Sent::Fetch | Sent::Position | Sent::CloseSession => return,
        };
        let next = if outcome.1.is_ok() { Next::Report } else { verdict(asked, outcome.1).next };
        self.take_outcome(cx, broker, outcome, next);
        self.elect(cx);
    }
}

impl RoleMachine for Consumer {
    fn needs(&self, out: &mut Needs, known: &Known<'_>) {
        if self.closed {
            return;
        }
        if let Some(m) = self.membership.as_ref().filter(|_| self.wants_coordinator()) {
            out.coordinators.insert((CoordinatorKind::Group, m.group.clone()));
            if let Some(broker) = known.coordinators.get(CoordinatorKind::Group, &m.group).broker() {
                out.links.insert((broker, Lane::Group(self.ix)));
                if m.classic.wants_join_link() {
                    out.links.insert((broker, Lane::Join(self.ix)));
                }
            }
        }
        if self.closing.is_some() {
            return;
        }
        let watched = self.membership.iter().flat_map(|m| m.classic.watched.keys().copied());
        for topic in self.topics(known.names).into_iter().chain(watched) {
            // Topics that were chosen are there; one that was deleted is not to come back by being asked for.
            let create = self.config.allow_auto_create_topics && !self.subscription.is_chosen();
            *out.topics.entry(topic).or_default() |= create;
        }
        out.all_topics |= self.subscription.is_chosen();
        let leader = |ix| known.view.leader(known.names.place(ix)).map(|(leader, _)| leader);
        // A replica's lease that is over is taken away by its timer.
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
        let (what, request) = match link.lane {
            Lane::Fetch(_) if self.closing.is_some() => (Sent::CloseSession, self.close_session(link, cx, token)?),
            Lane::Fetch(_) => (Sent::Fetch, self.fetcher.poll_request(link, cx, &mut self.partitions, token)?),
            Lane::Control | Lane::Slow if self.closing.is_none() => {
                (Sent::Position, self.positions.poll_request(link, cx, &mut self.partitions, token)?)
            }
            Lane::Group(_) => self.group_request(link, cx, token)?,
            Lane::Join(_) => self.join_request(link, cx, token)?,
            Lane::Control | Lane::Slow | Lane::Produce(_) | Lane::Txn(_) => return None,
        };
        self.sent.insert(token, what);
        self.tokens += 1;
        Some(request)
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
            Some(what) => self.group_response(cx, broker, tag.token, what, result),
        }
        self.settle(cx);
    }

    fn handle_metadata(&mut self, cx: &mut Cx<'_>, diff: &Diff) {
        if self.closed {
            return;
        }
        if self.closing.is_none() {
            self.take_diff(cx, diff);
        }
        self.group_metadata(cx, &diff.failed);
        self.settle(cx);
    }

    fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        for p in self.partitions.values_mut() {
            p.handle_timeout(now);
        }
        for error in self.missing.handle_timeout(cx) {
            self.fail(cx, error);
        }
        self.commits.handle_timeout(cx);
        self.offsets.handle_timeout(cx);
        self.auto_commit.handle_timeout(now);
        self.group_timeout(cx);
        self.settle(cx);
    }

    fn poll_timeout(&self) -> Option<Wake> {
        if self.closed {
            return None;
        }
        let closing = self.closing.as_ref().map(|c| c.sessions.unwrap_or(c.deadline));
        let partitions = self.partitions.values().filter_map(Partition::due).min();
        let wakes = [
            (closing, Why::Operation),
            (partitions.filter(|_| self.closing.is_none()), Why::Backoff),
            (self.missing.poll_timeout(), Why::Metadata),
            (self.commits.poll_timeout(), Why::Backoff),
            (self.offsets.poll_timeout(), Why::Backoff),
            (self.auto_commit.poll_timeout(), Why::Commit),
            (self.membership.as_ref().and_then(Membership::poll_timeout), Why::Heartbeat),
        ];
        wakes.into_iter().filter_map(|(at, why)| Some(Wake { at: at?, why })).min()
    }
}
