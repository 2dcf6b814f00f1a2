//! How partitions get their offsets, and how an offset of a truncated history is noticed.
//!
//! A need is a level: a partition that is unpositioned or validating stays so until an answer for it, under its present
//! stamp, says otherwise. A missing, failed or late answer changes nothing (contracts A16).

use super::arrival::hopeless;
use super::partition::{Minter, Partition, Position, Trouble, Want};
use crate::client::role::{Cx, Lane, LinkFacts, News, Owner, Request, RequestError, Response, Tag};
use crate::client::{Event, Stamp};
use crate::config::{ConsumerConfig, OffsetReset, StartOffset};
use crate::error::{Action, list_offsets_class};
use crate::metadata::OffsetSpec;
use crate::wire::messages::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use crate::wire::messages::offset_for_leader_epoch::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use crate::wire::messages::{ListOffsetsRequest, OffsetForLeaderEpochRequest};
use crate::{BrokerId, ConsumerIx, Error, ErrorCode, ErrorKind, PartitionIx, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Says "a consumer" in requests that brokers send each other too.
const CONSUMER: BrokerId = BrokerId(-1);
const FIRST_WITH_ISOLATION: i16 = 2;

type Partitions = BTreeMap<PartitionIx, Partition>;

/// The position requests of one consumer.
#[derive(Debug)]
pub(super) struct Positions {
    ix: ConsumerIx,
    config: Arc<ConsumerConfig>,
    asked: BTreeMap<u64, Asked>,
}

#[derive(Debug)]
struct Asked {
    validation: bool,
    entries: Vec<(PartitionIx, Stamp)>,
}

impl Positions {
    pub(super) fn new(ix: ConsumerIx, config: Arc<ConsumerConfig>) -> Self {
        Self { ix, config, asked: BTreeMap::new() }
    }

    /// Where a partition without a committed offset begins. `None`: nowhere, the application has to say.
    pub(super) fn start(&self, now: Timestamp) -> Option<OffsetSpec> {
        match self.config.start {
            StartOffset::AsReset => self.reset_to(now),
            StartOffset::Earliest => Some(OffsetSpec::Earliest),
            StartOffset::Latest => Some(OffsetSpec::Latest),
            StartOffset::ByDuration(age) => Some(OffsetSpec::Timestamp(before(now, age))),
            StartOffset::Timestamp(at) => Some(OffsetSpec::Timestamp(at)),
        }
    }

    fn reset_to(&self, now: Timestamp) -> Option<OffsetSpec> {
        match self.config.auto_offset_reset {
            OffsetReset::Earliest => Some(OffsetSpec::Earliest),
            OffsetReset::Latest => Some(OffsetSpec::Latest),
            OffsetReset::ByDuration(age) => Some(OffsetSpec::Timestamp(before(now, age))),
            OffsetReset::None => None,
        }
    }

    /// The topic exists anew: no offset of the old one means anything (KIP-516).
    pub(super) fn recreated(&self, cx: &mut Cx<'_>, p: &mut Partition, minter: &mut Minter) {
        p.stamp.assign = minter.next();
        p.committed = None;
        match self.start(cx.now.wall) {
            Some(spec) => p.unplace(Want::Listed(spec)),
            None => self.stuck(cx, p, ErrorKind::NoOffset, "its topic was deleted and created anew"),
        }
    }

    /// Takes the group's answer for a partition: its committed offset, or that there is none.
    pub(super) fn committed(&self, cx: &mut Cx<'_>, p: &mut Partition, committed: Option<(i64, i32)>) {
        if p.position != Position::Unpositioned(Want::Committed) {
            return;
        }
        match committed {
            Some((offset, leader_epoch)) => {
                p.place(offset, leader_epoch);
                p.committed = Some(offset);
                self.positioned(cx, p);
            }
            None => match self.start(cx.now.wall) {
                Some(spec) => p.position = Position::Unpositioned(Want::Listed(spec)),
                None if p.gates.unseen => p.position = Position::Unpositioned(Want::Application),
                None => self.nowhere(cx, p),
            },
        }
    }

    /// Nobody says where to begin, and the application had its chance to seek.
    pub(super) fn nowhere(&self, cx: &mut Cx<'_>, p: &mut Partition) {
        self.stuck(cx, p, ErrorKind::NoOffset, "it has no committed offset");
    }

    /// Acts on trouble once all that was fetched before it was consumed (contracts A10).
    pub(super) fn settle_trouble(&self, cx: &mut Cx<'_>, p: &mut Partition, minter: &mut Minter, shelved: u64) {
        if shelved > 0 {
            return;
        }
        match p.trouble.take() {
            None => {}
            Some(Trouble::OutOfRange) => match self.reset_to(cx.now.wall) {
                Some(spec) => {
                    p.stamp.assign = minter.next();
                    p.unplace(Want::Listed(spec));
                }
                None => self.stuck(cx, p, ErrorKind::NoOffset, "its offset is outside of the log"),
            },
            Some(Trouble::Truncated { end }) if self.reset_to(cx.now.wall).is_some() => {
                // The first offset that the two histories do not share: nothing before it is read twice (KIP-320).
                p.stamp.assign = minter.next();
                p.place(end, -1);
                self.positioned(cx, p);
            }
            Some(Trouble::Truncated { .. }) => {
                self.stuck(cx, p, ErrorKind::DataLoss, "records before its offset were lost with an old leader");
            }
        }
    }

    fn positioned(&self, cx: &mut Cx<'_>, p: &Partition) {
        cx.events.push_back(Event::Positioned {
            consumer: self.ix,
            partition: p.ix,
            stamp: p.stamp,
            offset: p.offset,
            leader_epoch: p.leader_epoch,
        });
    }

    fn stuck(&self, cx: &mut Cx<'_>, p: &mut Partition, kind: ErrorKind, what: &str) {
        let (topic, number) = cx.names.named(p.ix);
        let text = format!("{topic}-{number} has no position: {what} and auto.offset.reset is none");
        let mut error = Error::new(kind, text).with_topic(topic.clone()).with_partition(number);
        if p.offset >= 0 {
            error = error.with_offset(p.offset);
        }
        p.position = Position::Stuck;
        let error = error.with_hint("seek to an offset, or set auto.offset.reset");
        cx.events.push_back(Event::ConsumerFailed { consumer: self.ix, error });
    }

    fn lane(spec: OffsetSpec) -> Lane {
        match spec {
            OffsetSpec::Earliest | OffsetSpec::Latest => Lane::Control,
            OffsetSpec::MaxTimestamp | OffsetSpec::Timestamp(_) => Lane::Slow,
        }
    }

    /// The links that partitions without a position want.
    pub(super) fn lane_of(p: &Partition) -> Option<Lane> {
        match p.position {
            Position::Unpositioned(Want::Listed(spec)) => Some(Self::lane(spec)),
            Position::Validating => Some(Lane::Control),
            _ => None,
        }
    }

    pub(super) fn poll_request(
        &mut self,
        link: &LinkFacts<'_>,
        cx: &mut Cx<'_>,
        all: &mut Partitions,
        token: u64,
    ) -> Option<Request> {
        self.list(link, cx, all, token).or_else(|| self.validate(link, cx, all, token))
    }

    /// The partitions that this broker leads and that `wants` something of it now.
    fn due<'a>(
        link: &'a LinkFacts<'_>,
        cx: &'a Cx<'_>,
        all: &'a mut Partitions,
        wants: impl Fn(&Partition) -> bool + 'a,
    ) -> impl Iterator<Item = (&'a mut Partition, i32)> + 'a {
        all.values_mut().filter_map(move |p| {
            let (leader, epoch) = cx.view.leader(cx.names.place(p.ix))?;
            let due = p.asked.is_none() && p.position_due.is_none_or(|at| at <= cx.now.mono) && leader == link.broker;
            (due && wants(p)).then_some((p, epoch))
        })
    }

    fn list(&mut self, link: &LinkFacts<'_>, cx: &Cx<'_>, all: &mut Partitions, token: u64) -> Option<Request> {
        let version = link.version::<ListOffsetsRequest>()?;
        let lane = link.lane;
        let wants =
            move |p: &Partition| matches!(p.position, Position::Unpositioned(Want::Listed(s)) if Self::lane(s) == lane);
        let mut topics: BTreeMap<&str, Vec<ListOffsetsPartition>> = BTreeMap::new();
        let mut entries = Vec::new();
        for (p, epoch) in Self::due(link, cx, all, wants) {
            let Position::Unpositioned(Want::Listed(spec)) = p.position else { continue };
            let (topic, number) = cx.names.named(p.ix);
            p.asked = Some(token);
            entries.push((p.ix, p.stamp));
            topics.entry(topic).or_default().push(ListOffsetsPartition {
                partition_index: number,
                current_leader_epoch: epoch,
                timestamp: spec.timestamp(),
            });
        }
        if entries.is_empty() {
            return None;
        }
        let isolation = if version >= FIRST_WITH_ISOLATION { self.config.isolation_level.wire() } else { 0 };
        let topics =
            topics.into_iter().map(|(name, partitions)| ListOffsetsTopic { name: name.to_owned(), partitions });
        let request = ListOffsetsRequest {
            replica_id: CONSUMER,
            isolation_level: isolation,
            topics: topics.collect(),
            timeout_ms: i32::try_from(self.config.request_timeout.as_millis()).unwrap_or(i32::MAX),
        };
        self.send(token, Asked { validation: false, entries }, &request, version)
    }

    fn validate(&mut self, link: &LinkFacts<'_>, cx: &Cx<'_>, all: &mut Partitions, token: u64) -> Option<Request> {
        if link.lane != Lane::Control {
            return None;
        }
        let Some(version) = link.version::<OffsetForLeaderEpochRequest>() else {
            // A broker that cannot tell is believed.
            for (p, epoch) in Self::due(link, cx, all, |p| p.position == Position::Validating) {
                p.position = Position::Valid;
                p.validated = Some((link.broker, epoch));
            }
            return None;
        };
        let mut topics: BTreeMap<&str, Vec<OffsetForLeaderPartition>> = BTreeMap::new();
        let mut entries = Vec::new();
        for (p, epoch) in Self::due(link, cx, all, |p| p.position == Position::Validating) {
            let (topic, number) = cx.names.named(p.ix);
            p.asked = Some(token);
            entries.push((p.ix, p.stamp));
            let partition = OffsetForLeaderPartition {
                partition: number,
                current_leader_epoch: epoch,
                leader_epoch: p.leader_epoch,
            };
            topics.entry(topic).or_default().push(partition);
        }
        if entries.is_empty() {
            return None;
        }
        let topics =
            topics.into_iter().map(|(topic, partitions)| OffsetForLeaderTopic { topic: topic.to_owned(), partitions });
        let request = OffsetForLeaderEpochRequest { replica_id: CONSUMER, topics: topics.collect() };
        self.send(token, Asked { validation: true, entries }, &request, version)
    }

    fn send<R: crate::wire::Request>(
        &mut self,
        token: u64,
        asked: Asked,
        request: &R,
        version: i16,
    ) -> Option<Request> {
        let tag = Tag { owner: Owner::Consumer(self.ix), token };
        let request = Request::versioned(tag, request, version, self.config.request_timeout).ok()?;
        self.asked.insert(token, asked);
        Some(request)
    }

    /// Takes an answer in, if the token is one of its own; returns the partitions that are in trouble.
    pub(super) fn handle_response(
        &mut self,
        cx: &mut Cx<'_>,
        broker: BrokerId,
        all: &mut Partitions,
        token: u64,
        result: Result<Response, RequestError>,
    ) -> Vec<PartitionIx> {
        let Some(asked) = self.asked.remove(&token) else { return Vec::new() };
        let found = match result {
            Ok(response) if asked.validation => read_epochs(&response),
            Ok(response) => read_offsets(&response),
            Err(_) => Ok(BTreeMap::new()),
        };
        let found = found.unwrap_or_else(|error| {
            cx.news.push(News::Undecodable { error });
            BTreeMap::new()
        });
        let mut troubled = Vec::new();
        for (ix, stamp) in asked.entries {
            let place = cx.names.named(ix);
            let answer = found.get(&(place.0.to_string(), place.1)).copied();
            let Some(p) = all.get_mut(&ix).filter(|p| p.stamp == stamp && p.asked == Some(token)) else { continue };
            p.asked = None;
            match answer {
                Some(answer) if answer.code.is_ok() && asked.validation => self.validated(cx, broker, p, answer),
                Some(answer) if answer.code.is_ok() => self.listed(cx, p, answer),
                other => self.failed(cx, p, other.map(|a| a.code)),
            }
            if p.trouble.is_some() {
                troubled.push(ix);
            }
        }
        troubled
    }

    fn listed(&self, cx: &mut Cx<'_>, p: &mut Partition, answer: Found) {
        let Position::Unpositioned(Want::Listed(spec)) = p.position else { return };
        if answer.offset < 0 {
            // No record is that young: the end is where younger ones will come.
            if matches!(spec, OffsetSpec::Timestamp(_) | OffsetSpec::MaxTimestamp) {
                p.position = Position::Unpositioned(Want::Listed(OffsetSpec::Latest));
            } else {
                self.failed(cx, p, None);
            }
            return;
        }
        p.place(answer.offset, -1);
        p.leader_epoch = answer.epoch;
        p.validated = cx.view.leader(cx.names.place(p.ix));
        self.positioned(cx, p);
    }

    fn validated(&self, cx: &mut Cx<'_>, broker: BrokerId, p: &mut Partition, answer: Found) {
        if p.position != Position::Validating {
            return;
        }
        p.position = Position::Valid;
        p.attempts = 0;
        p.validated = cx.view.leader(cx.names.place(p.ix)).filter(|(leader, _)| *leader == broker);
        // An undefined end says that the broker knows of no truncation.
        if answer.offset >= 0 && answer.epoch >= 0 && answer.offset < p.offset {
            p.trouble = Some(Trouble::Truncated { end: answer.offset });
        }
    }

    fn failed(&self, cx: &mut Cx<'_>, p: &mut Partition, code: Option<ErrorCode>) {
        let (first, max) = (self.config.retry_backoff, self.config.retry_backoff_max);
        p.position_due = Some(cx.now.mono + cx.rng.backoff(first, max, p.attempts));
        p.attempts = p.attempts.saturating_add(1);
        let Some(code) = code else { return };
        match list_offsets_class(code) {
            Action::Retry => {}
            Action::Refresh => {
                let topic = cx.names.place(p.ix).0;
                cx.news.push(News::Stale { topic, code, leader_epoch: None });
            }
            _ => {
                let (topic, number) = cx.names.named(p.ix);
                let error =
                    Error::from_code(code).with_topic(topic.clone()).with_partition(number).with_api("ListOffsets");
                p.position_due = Some(cx.now.mono + hopeless(p.attempts));
                cx.events.push_back(Event::ConsumerFailed { consumer: self.ix, error });
            }
        }
    }
}

fn before(now: Timestamp, age: Duration) -> Timestamp {
    Timestamp(now.0.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX)).max(0))
}

#[derive(Clone, Copy, Debug)]
struct Found {
    code: ErrorCode,
    offset: i64,
    epoch: i32,
}

type FoundAll = Result<BTreeMap<(String, i32), Found>, Error>;

fn read_offsets(response: &Response) -> FoundAll {
    let mut found = BTreeMap::new();
    for topic in response.decode::<ListOffsetsRequest>()?.topics {
        for p in topic.partitions {
            let one = Found { code: p.error_code, offset: p.offset, epoch: p.leader_epoch };
            found.insert((topic.name.clone(), p.partition_index), one);
        }
    }
    Ok(found)
}

fn read_epochs(response: &Response) -> FoundAll {
    let mut found = BTreeMap::new();
    for topic in response.decode::<OffsetForLeaderEpochRequest>()?.topics {
        for p in topic.partitions {
            let one = Found { code: p.error_code, offset: p.end_offset, epoch: p.leader_epoch };
            found.insert((topic.topic.clone(), p.partition), one);
        }
    }
    Ok(found)
}
