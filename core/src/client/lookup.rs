//! Questions of the application that belong to no role: offsets by time, topics, raw requests.

use super::raw::Raw;
use super::role::{Cx, Known, Lane, LinkFacts, Needs, News, Owner, Request, RequestError, Response, RoleMachine, Tag};
use super::{Command, ListedOffset, Reply, Route, TopicPartition};
use crate::config::{ClientConfig, IsolationLevel};
use crate::metadata::{Diff, Names, OffsetSpec};
use crate::wire::ApiKey;
use crate::wire::messages::ListOffsetsRequest;
use crate::wire::messages::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use crate::{BrokerId, Error, ErrorCode, ErrorKind, OpId, PartitionIx, Time, Timestamp, TopicIx, Wake, Why};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Answers in a row that do not know a topic before the application is told: brokers learn of a new topic one by one.
const UNKNOWN_ANSWERS: u32 = 5;
/// ListOffsets versions: the largest timestamp (KIP-734), and the isolation level.
const FIRST_WITH_MAX_TIMESTAMP: i16 = 7;
const FIRST_WITH_ISOLATION: i16 = 2;

/// The machine of all such questions.
#[derive(Debug)]
pub(super) struct Lookups {
    pub(super) open: BTreeMap<OpId, Lookup>,
    pub(super) asked: BTreeMap<u64, (OpId, Vec<usize>)>,
    pub(super) tokens: u64,
    pub(super) timeout: Duration,
    backoff: (Duration, Duration),
}

#[derive(Debug)]
pub(super) enum Lookup {
    Offsets {
        isolation: IsolationLevel,
        entries: Vec<Entry>,
    },
    Topic {
        topic: TopicIx,
        unknown: u32,
    },
    /// Answered by the first listing after this many.
    Topics {
        listings: u64,
    },
    Raw(Raw),
}

#[derive(Debug)]
pub(super) struct Entry {
    place: TopicPartition,
    ix: PartitionIx,
    spec: OffsetSpec,
    due: Time,
    attempts: u32,
    unknown: u32,
    asked: bool,
    result: Option<Result<ListedOffset, Error>>,
}

impl Lookups {
    pub(super) fn new(config: &ClientConfig) -> Self {
        Self {
            open: BTreeMap::new(),
            asked: BTreeMap::new(),
            tokens: 0,
            timeout: config.request_timeout,
            backoff: (config.retry_backoff, config.retry_backoff_max),
        }
    }

    /// Begins one of the commands that are for it.
    pub(super) fn handle_command(&mut self, cx: &mut Cx<'_>, op: OpId, command: Command) {
        let lookup = match command {
            Command::ListOffsets(wanted, isolation) => Lookup::Offsets {
                isolation,
                entries: wanted.into_iter().map(|(place, spec)| Entry::new(cx.names, place, spec)).collect(),
            },
            Command::DescribePartitions(name) => Lookup::Topic { topic: cx.names.topic(&name), unknown: 0 },
            Command::ListTopics => Lookup::Topics { listings: cx.view.listings },
            Command::Raw { to, api_key, version, body } => {
                if let Route::Leader(place) = &to {
                    cx.names.topic(&place.topic);
                }
                Lookup::Raw(Raw { to, api: ApiKey(api_key), version, body, asked: false })
            }
            _ => return,
        };
        self.open.insert(op, lookup);
        self.look(cx, op, None);
    }

    /// Answers the question if what is known now is enough.
    fn look(&mut self, cx: &mut Cx<'_>, op: OpId, diff: Option<&Diff>) {
        let result = match self.open.get_mut(&op) {
            Some(Lookup::Offsets { entries, .. }) => {
                if entries.iter().any(|e| e.result.is_none()) {
                    return;
                }
                let done = entries.drain(..).filter_map(|e| Some((e.place, e.result?)));
                Ok(Reply::Offsets(done.collect()))
            }
            Some(Lookup::Topic { topic, unknown }) => match look_topic(cx, *topic, unknown, diff) {
                Some(result) => result,
                None => return,
            },
            Some(Lookup::Topics { listings }) if cx.view.listings > *listings => Ok(Reply::View(cx.view.clone())),
            _ => return,
        };
        self.open.remove(&op);
        cx.done(op, result);
    }

    fn offsets_request(&mut self, link: &LinkFacts<'_>, cx: &mut Cx<'_>) -> Option<Request> {
        let version = link.version::<ListOffsetsRequest>()?;
        for (op, lookup) in &mut self.open {
            let Lookup::Offsets { isolation, entries } = lookup else { continue };
            let mut topics: BTreeMap<Arc<str>, Vec<ListOffsetsPartition>> = BTreeMap::new();
            let mut asked = Vec::new();
            for (n, entry) in entries.iter_mut().enumerate() {
                let Some((leader, epoch)) = cx.view.leader(cx.names.place(entry.ix)) else { continue };
                if leader != link.broker || !entry.is_due(cx.now.mono) || entry.lane() != link.lane {
                    continue;
                }
                if entry.spec == OffsetSpec::MaxTimestamp && version < FIRST_WITH_MAX_TIMESTAMP {
                    entry.result = Some(Err(link.unsupported::<ListOffsetsRequest>()));
                    continue;
                }
                entry.asked = true;
                asked.push(n);
                topics.entry(entry.place.topic.clone()).or_default().push(ListOffsetsPartition {
                    partition_index: entry.place.partition,
                    current_leader_epoch: epoch,
                    timestamp: entry.spec.timestamp(),
                });
            }
            if asked.is_empty() {
                continue;
            }
            let request = ListOffsetsRequest {
                replica_id: BrokerId(-1),
                isolation_level: if version >= FIRST_WITH_ISOLATION { isolation.wire() } else { 0 },
                topics: topics
                    .into_iter()
                    .map(|(name, partitions)| ListOffsetsTopic { name: name.to_string(), partitions })
                    .collect(),
                timeout_ms: i32::try_from(self.timeout.as_millis()).unwrap_or(i32::MAX),
            };
            let tag = Tag { owner: Owner::Lookups, token: self.tokens };
            self.tokens += 1;
            self.asked.insert(tag.token, (*op, asked));
            return Request::versioned(tag, &request, version, self.timeout).ok();
        }
        None
    }

    fn take_offsets(&mut self, cx: &mut Cx<'_>, op: OpId, asked: &[usize], result: Result<Response, RequestError>) {
        let backoff = self.backoff;
        let Some(Lookup::Offsets { entries, .. }) = self.open.get_mut(&op) else { return };
        let answer = match result.map(|response| response.decode::<ListOffsetsRequest>()) {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(error)) => {
                cx.news.push(News::Undecodable { error });
                None
            }
            Err(_) => None,
        };
        for n in asked {
            let Some(entry) = entries.get_mut(*n) else { continue };
            entry.asked = false;
            let found = answer.iter().flat_map(|a| &a.topics).filter(|t| *t.name == *entry.place.topic);
            let mut found = found.flat_map(|t| &t.partitions).filter(|p| p.partition_index == entry.place.partition);
            match found.next() {
                Some(p) if p.error_code.is_ok() => {
                    entry.result = Some(Ok(ListedOffset {
                        offset: p.offset,
                        timestamp: Timestamp(p.timestamp),
                        leader_epoch: p.leader_epoch,
                    }));
                }
                // A partition that the answer leaves out is one that was not answered.
                other => entry.failed(cx, backoff, other.map(|p| p.error_code)),
            }
        }
        self.look(cx, op, None);
    }
}

fn look_topic(cx: &Cx<'_>, topic: TopicIx, unknown: &mut u32, diff: Option<&Diff>) -> Option<Result<Reply, Error>> {
    if cx.view.topic(topic).is_some_and(|t| t.doubt.is_none() && !t.partitions.is_empty()) {
        return Some(Ok(Reply::View(cx.view.clone())));
    }
    let (_, code) = diff?.failed.iter().find(|(ix, _)| *ix == topic)?;
    *unknown += u32::from(*code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let final_answer = !code.is_retriable() || *unknown >= UNKNOWN_ANSWERS;
    final_answer.then(|| Err(Error::from_code(*code).with_topic(cx.names.topic_name(topic).clone())))
}

impl Entry {
    fn new(names: &mut Names, place: TopicPartition, spec: OffsetSpec) -> Self {
        let topic = names.topic(&place.topic);
        let ix = names.partition(topic, place.partition);
        Self { place, ix, spec, due: Time::ZERO, attempts: 0, unknown: 0, asked: false, result: None }
    }

    fn is_due(&self, now: Time) -> bool {
        self.result.is_none() && !self.asked && self.due <= now
    }

    fn lane(&self) -> Lane {
        match self.spec {
            OffsetSpec::Earliest | OffsetSpec::Latest => Lane::Control,
            OffsetSpec::MaxTimestamp | OffsetSpec::Timestamp(_) => Lane::Slow,
        }
    }

    fn failed(&mut self, cx: &mut Cx<'_>, backoff: (Duration, Duration), code: Option<ErrorCode>) {
        self.due = cx.now.mono + cx.rng.backoff(backoff.0, backoff.1, self.attempts);
        self.attempts = self.attempts.saturating_add(1);
        let Some(code) = code else { return };
        if code.is_retriable() {
            let topic = cx.names.place(self.ix).0;
            cx.news.push(News::Stale { topic, code, leader_epoch: None });
        } else {
            let error = Error::from_code(code).with_topic(self.place.topic.clone());
            self.result = Some(Err(error.with_partition(self.place.partition).with_api("ListOffsets")));
        }
    }
}

impl RoleMachine for Lookups {
    fn needs(&self, out: &mut Needs, known: &Known<'_>) {
        let Known { view, names, .. } = *known;
        for lookup in self.open.values() {
            match lookup {
                Lookup::Topic { topic, .. } => {
                    out.topics.entry(*topic).or_insert(false);
                }
                Lookup::Topics { .. } => out.all_topics = true,
                Lookup::Offsets { entries, .. } => {
                    for entry in entries.iter().filter(|e| e.result.is_none()) {
                        let place = names.place(entry.ix);
                        out.topics.entry(place.0).or_insert(false);
                        if let Some((leader, _)) = view.leader(place) {
                            out.links.insert((leader, entry.lane()));
                        }
                    }
                }
                Lookup::Raw(raw) => {
                    if matches!(raw.to, Route::Any) {
                        out.any.insert(Lane::Slow);
                    }
                    if let Route::Leader(place) = &raw.to {
                        out.topics.extend(names.find_topic(&place.topic).map(|t| (t, false)));
                    }
                    out.coordinators.extend(raw.coordinator());
                    out.links.extend(raw.target(known).map(|id| (id, Lane::Slow)));
                }
            }
        }
    }

    fn poll_request(&mut self, link: &LinkFacts<'_>, cx: &mut Cx<'_>) -> Option<Request> {
        if link.lane == Lane::Slow {
            if let Some(request) = self.raw_request(link, cx) {
                return Some(request);
            }
        }
        self.offsets_request(link, cx)
    }

    fn handle_response(&mut self, cx: &mut Cx<'_>, _: BrokerId, tag: Tag, result: Result<Response, RequestError>) {
        let Some((op, asked)) = self.asked.remove(&tag.token) else { return };
        if !asked.is_empty() {
            return self.take_offsets(cx, op, &asked, result);
        }
        match result {
            Ok(response) => {
                self.open.remove(&op);
                let body = Bytes::from(response.frame).slice(response.at..);
                cx.done(op, Ok(Reply::Raw(body)));
            }
            Err(RequestError::NotSent(_)) => {
                if let Some(Lookup::Raw(raw)) = self.open.get_mut(&op) {
                    raw.asked = false;
                }
            }
            // Whether a foreign request may be repeated only its sender knows.
            Err(RequestError::Lost(error)) => {
                self.open.remove(&op);
                cx.done(op, Err(error.with_outcome_unknown()));
            }
        }
    }

    fn handle_metadata(&mut self, cx: &mut Cx<'_>, diff: &Diff) {
        let ops: Vec<OpId> = self.open.keys().copied().collect();
        for op in ops {
            if let Some(Lookup::Offsets { entries, .. }) = self.open.get_mut(&op) {
                for entry in entries.iter_mut().filter(|e| e.result.is_none()) {
                    let topic = cx.names.place(entry.ix).0;
                    let Some((_, code)) = diff.failed.iter().find(|(ix, _)| *ix == topic) else { continue };
                    entry.unknown += 1;
                    if !code.is_retriable() || entry.unknown >= UNKNOWN_ANSWERS {
                        let error = Error::from_code(*code).with_topic(entry.place.topic.clone());
                        entry.result = Some(Err(error.with_partition(entry.place.partition)));
                    }
                }
                no_such_partition(cx, entries);
            }
            self.look(cx, op, Some(diff));
        }
    }

    fn handle_timeout(&mut self, _: &mut Cx<'_>) {}

    fn poll_timeout(&self) -> Option<Wake> {
        let entries = self.open.values().filter_map(|lookup| match lookup {
            Lookup::Offsets { entries, .. } => Some(entries),
            _ => None,
        });
        let due =
            entries.flatten().filter(|e| e.result.is_none() && !e.asked && e.due > Time::ZERO).map(|e| e.due).min();
        due.map(|at| Wake { at, why: Why::Backoff })
    }
}

/// A number that the topic does not have will not come by waiting.
fn no_such_partition(cx: &Cx<'_>, entries: &mut [Entry]) {
    for entry in entries.iter_mut().filter(|e| e.result.is_none()) {
        let (topic, number) = cx.names.place(entry.ix);
        let Some(known) = cx.view.topic(topic).filter(|t| t.doubt.is_none() && !t.partitions.is_empty()) else {
            continue;
        };
        if known.partition(number).is_none() {
            let text =
                format!("topic \"{}\" has {} partitions, there is no {number}", known.name, known.partitions.len());
            let error = Error::new(ErrorKind::UnknownTopic, text).with_topic(known.name.clone());
            entry.result = Some(Err(error.with_partition(number)));
        }
    }
}
