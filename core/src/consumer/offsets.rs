//! Reading committed offsets: for partitions that want to begin there, and for the application.
//!
//! Only an explicit "none" for just that partition, without any error, says that there is no committed offset. A missing,
//! failed or unstable answer says nothing and is asked again (contracts A16).

use super::arrival::hopeless;
use super::partition::{Partition, Position, Want};
use super::position::Positions;
use super::verdict::{Asked, Next, verdict};
use crate::client::role::{Cx, LinkFacts, News, Owner, Request, RequestError, Response, Tag};
use crate::client::{CommitOffset, Event, Reply, Stamp, TopicPartition};
use crate::config::ConsumerConfig;
use crate::wire::messages::OffsetFetchRequest;
use crate::wire::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics};
use crate::{ConsumerIx, Error, ErrorCode, ErrorKind, OpId, PartitionIx, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The last version that names topics.
const LAST_WITH_NAMES: i16 = 9;
const FIRST_BATCHED: i16 = 8;
const FIRST_WITH_STABLE: i16 = 7;

type Partitions = BTreeMap<PartitionIx, Partition>;

#[derive(Debug)]
struct Flight {
    token: u64,
    needs: Vec<(PartitionIx, Stamp)>,
    ops: usize,
}

#[derive(Debug)]
struct Ask {
    op: OpId,
    partitions: Vec<TopicPartition>,
    deadline: Time,
}

/// The OffsetFetch requests of one consumer.
#[derive(Debug)]
pub(super) struct Offsets {
    ix: ConsumerIx,
    config: Arc<ConsumerConfig>,
    flight: Option<Flight>,
    /// Those in front belong to the request under way.
    asks: Vec<Ask>,
    due: Option<Time>,
    attempts: u32,
    told: Option<ErrorCode>,
}

#[derive(Clone, Debug)]
struct Found {
    code: ErrorCode,
    offset: i64,
    epoch: i32,
    metadata: Arc<str>,
}

type FoundAll = BTreeMap<(String, i32), Found>;

fn wants(p: &Partition) -> bool {
    p.position == Position::Unpositioned(Want::Committed)
}

impl Offsets {
    pub(super) fn new(ix: ConsumerIx, config: Arc<ConsumerConfig>) -> Self {
        Self { ix, config, flight: None, asks: Vec::new(), due: None, attempts: 0, told: None }
    }

    /// The application asks.
    pub(super) fn ask(&mut self, cx: &Cx<'_>, op: OpId, partitions: Vec<TopicPartition>) {
        let deadline = cx.now.mono + self.config.default_api_timeout;
        self.asks.push(Ask { op, partitions, deadline });
    }

    pub(super) fn is_wanted(&self, all: &Partitions) -> bool {
        !self.asks.is_empty() || all.values().any(wants)
    }

    /// `flying`: an offset of the partition is being committed; reading now could bring the one before.
    pub(super) fn poll_request(
        &mut self,
        link: &LinkFacts<'_>,
        cx: &Cx<'_>,
        group: &Arc<str>,
        all: &Partitions,
        flying: impl Fn(PartitionIx) -> bool,
        token: u64,
    ) -> Option<Request> {
        if self.flight.is_some() || self.due.is_some() {
            return None;
        }
        let needs: Vec<(PartitionIx, Stamp)> =
            all.values().filter(|p| wants(p) && !flying(p.ix)).map(|p| (p.ix, p.stamp)).collect();
        if needs.is_empty() && self.asks.is_empty() {
            return None;
        }
        let mut topics: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
        let needed = needs.iter().map(|(ix, _)| cx.names.named(*ix)).map(|(t, n)| (t.to_string(), n));
        let asked = self.asks.iter().flat_map(|a| &a.partitions).map(|tp| (tp.topic.to_string(), tp.partition));
        for (topic, number) in needed.chain(asked) {
            topics.entry(topic).or_default().insert(number);
        }
        let version = link.version::<OffsetFetchRequest>()?.min(LAST_WITH_NAMES);
        let mut request =
            OffsetFetchRequest { require_stable: version >= FIRST_WITH_STABLE, ..OffsetFetchRequest::default() };
        if version >= FIRST_BATCHED {
            let topics = topics.into_iter().map(|(name, numbers)| OffsetFetchRequestTopics {
                name,
                partition_indexes: numbers.into_iter().collect(),
                ..Default::default()
            });
            request.groups = vec![OffsetFetchRequestGroup {
                group_id: group.to_string(),
                topics: Some(topics.collect()),
                ..Default::default()
            }];
        } else {
            let topics = topics.into_iter().map(|(name, numbers)| OffsetFetchRequestTopic {
                name,
                partition_indexes: numbers.into_iter().collect(),
            });
            request.group_id = group.to_string();
            request.topics = Some(topics.collect());
        }
        let tag = Tag { owner: Owner::Consumer(self.ix), token };
        let request = Request::versioned(tag, &request, version, self.config.request_timeout).ok()?;
        self.flight = Some(Flight { token, needs, ops: self.asks.len() });
        Some(request)
    }

    /// Takes an answer in. True: the coordinator is another.
    pub(super) fn handle_response(
        &mut self,
        cx: &mut Cx<'_>,
        all: &mut Partitions,
        positions: &Positions,
        token: u64,
        result: Result<Response, RequestError>,
    ) -> bool {
        let Some(flight) = self.flight.take_if(|f| f.token == token) else { return false };
        let read = match result {
            Ok(response) => read(&response),
            Err(_) => {
                self.back_off(cx);
                return true;
            }
        };
        let (code, found) = read.unwrap_or_else(|error| {
            cx.news.push(News::Undecodable { error });
            (ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, BTreeMap::new())
        });
        let mut worst = code;
        for (ix, stamp) in flight.needs {
            let (topic, number) = cx.names.named(ix);
            let answer = found.get(&(topic.to_string(), number));
            let Some(p) = all.get_mut(&ix).filter(|p| p.stamp == stamp && wants(p)) else { continue };
            match answer {
                Some(found) if code.is_ok() && found.code.is_ok() => {
                    let committed = (found.offset >= 0).then_some((found.offset, found.epoch));
                    positions.committed(cx, p, committed);
                }
                Some(found) if !found.code.is_ok() => worst = found.code,
                _ if worst.is_ok() => worst = ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
                _ => {}
            }
        }
        let asks: Vec<Ask> = self.asks.drain(..flight.ops.min(self.asks.len())).collect();
        let mut again = Vec::new();
        for ask in asks {
            match answer(&ask, code, &found) {
                Ok(Some(committed)) => cx.done(ask.op, Ok(Reply::Committed(committed))),
                Ok(None) => again.push(ask),
                Err(code) if matches!(verdict(Asked::Commit, code).next, Next::Retry | Next::Rediscover) => {
                    worst = code;
                    again.push(ask);
                }
                Err(code) => cx.done(ask.op, Err(Error::from_code(code).with_api("OffsetFetch"))),
            }
        }
        if worst.is_ok() && !again.is_empty() {
            worst = ErrorCode::COORDINATOR_LOAD_IN_PROGRESS;
        }
        again.append(&mut self.asks);
        self.asks = again;
        self.settle(cx, worst)
    }

    fn settle(&mut self, cx: &mut Cx<'_>, worst: ErrorCode) -> bool {
        if worst.is_ok() {
            self.attempts = 0;
            self.told = None;
            return false;
        }
        let next = verdict(Asked::Commit, worst).next;
        if next == Next::Report {
            self.due = Some(cx.now.mono + hopeless(self.attempts));
            self.attempts = self.attempts.saturating_add(1);
            if self.told.replace(worst) != Some(worst) {
                let error = Error::from_code(worst).with_api("OffsetFetch");
                cx.events.push_back(Event::ConsumerFailed { consumer: self.ix, error });
            }
        } else {
            self.back_off(cx);
        }
        next == Next::Rediscover
    }

    fn back_off(&mut self, cx: &mut Cx<'_>) {
        let wait = cx.rng.backoff(self.config.retry_backoff, self.config.retry_backoff_max, self.attempts);
        self.attempts = self.attempts.saturating_add(1);
        self.due = Some(cx.now.mono + wait);
    }

    pub(super) fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        self.due = self.due.filter(|at| *at > now);
        if self.flight.is_none() {
            self.asks.retain(|ask| {
                if ask.deadline <= now {
                    let text = "reading committed offsets took longer than default.api.timeout.ms";
                    cx.done(ask.op, Err(Error::new(ErrorKind::Timeout, text)));
                }
                ask.deadline > now
            });
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let asks = self.asks.iter().map(|a| a.deadline).filter(|_| self.flight.is_none());
        asks.chain(self.due).min()
    }

    /// Ends what waits for an answer.
    pub(super) fn fail_all(&mut self, cx: &mut Cx<'_>, error: &Error) {
        for ask in std::mem::take(&mut self.asks) {
            cx.done(ask.op, Err(error.clone()));
        }
        self.flight = None;
    }
}

type Answer = Vec<(TopicPartition, Option<CommitOffset>)>;

/// The answer to one question: none yet if a partition is missing.
fn answer(ask: &Ask, code: ErrorCode, found: &FoundAll) -> Result<Option<Answer>, ErrorCode> {
    if !code.is_ok() {
        return Err(code);
    }
    let mut out = Vec::with_capacity(ask.partitions.len());
    for tp in &ask.partitions {
        let Some(one) = found.get(&(tp.topic.to_string(), tp.partition)) else { return Ok(None) };
        if !one.code.is_ok() {
            return Err(one.code);
        }
        let offset = CommitOffset { offset: one.offset, leader_epoch: one.epoch, metadata: one.metadata.clone() };
        out.push((tp.clone(), (one.offset >= 0).then_some(offset)));
    }
    Ok(Some(out))
}

fn read(response: &Response) -> Result<(ErrorCode, FoundAll), Error> {
    let answer = response.decode::<OffsetFetchRequest>()?;
    let mut found = BTreeMap::new();
    let mut add = |topic: &str, number, code, offset, epoch, metadata: Option<String>| {
        let metadata = metadata.unwrap_or_default().into();
        found.insert((topic.to_owned(), number), Found { code, offset, epoch, metadata });
    };
    let mut code = answer.error_code;
    for topic in answer.topics {
        for p in topic.partitions {
            let (number, offset, epoch) = (p.partition_index, p.committed_offset, p.committed_leader_epoch);
            add(&topic.name, number, p.error_code, offset, epoch, p.metadata);
        }
    }
    for group in answer.groups {
        code = group.error_code;
        for topic in group.topics {
            for p in topic.partitions {
                let (number, offset, epoch) = (p.partition_index, p.committed_offset, p.committed_leader_epoch);
                add(&topic.name, number, p.error_code, offset, epoch, p.metadata);
            }
        }
    }
    Ok((code, found))
}
