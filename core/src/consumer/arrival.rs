//! A fetch answer: what of it is for the application, what moves positions, what is wrong.
//!
//! Only batch headers are looked at here; records are decoded by the application's thread. So a header is believed only
//! as far as it cannot throw the position anywhere (contracts A10).

use super::fetch::{Fetcher, Outstanding};
use super::partition::{Partition, Position, Trouble, Wire, fetch_error};
use crate::client::role::{Cx, News, RequestError, Response};
use crate::client::{AbortedTransaction, Chunk, Event};
use crate::error::{FetchAction, fetch_class};
use crate::metadata::Node;
use crate::record::batches;
use crate::wire::{Fetched, FetchedPartition, Reader};
use crate::{BrokerId, ConsumerIx, Error, ErrorCode, ErrorKind, PartitionIx};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

/// How long the replica that the leader named is read from before the leader is asked again (KIP-392).
const PREFERRED_LEASE: Duration = Duration::from_secs(300);
/// After an error that only people can mend.
const HOPELESS_BACKOFF: Duration = Duration::from_secs(1);

type Partitions = BTreeMap<PartitionIx, Partition>;

/// What came of an answer.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    /// The answer's buffer, if nothing of it went to the application.
    pub(super) spare: Option<Vec<u8>>,
    /// Partitions with trouble that may already be acted on.
    pub(super) troubled: Vec<PartitionIx>,
}

impl Fetcher {
    /// Takes an answer in, if the token is one of its own.
    pub(super) fn handle_response(
        &mut self,
        cx: &mut Cx<'_>,
        ix: ConsumerIx,
        all: &mut Partitions,
        token: u64,
        result: Result<Response, RequestError>,
    ) -> Option<Arrived> {
        let fetch = self.outstanding.remove(&token)?;
        let Ok(response) = result else {
            self.lost(&fetch, all, token);
            return Some(Arrived::default());
        };
        let mut arrival = Arrival { cx, all, token, chunks: Vec::new(), arrived: Arrived::default(), fetch: &fetch };
        let read = Fetched::decode(&mut Reader::new(response.body()), response.version);
        match read {
            Ok(answer) => arrival.take(self, &answer, response.body()),
            Err(error) => {
                let error = Error::new(ErrorKind::Corrupt, format!("a broker's answer makes no sense: {error}"));
                arrival.cx.news.push(News::Undecodable { error: error.with_api("Fetch") });
            }
        }
        let Arrival { chunks, mut arrived, .. } = arrival;
        // What the answer did not speak of is asked again.
        for p in fetch.partitions.iter() {
            if let Some(p) = all.get_mut(p).filter(|p| matches!(p.wire, Wire::Asked { fetch, .. } if fetch == token)) {
                p.wire = Wire::Idle;
            }
        }
        if chunks.is_empty() {
            arrived.spare = Some(response.frame);
            return Some(arrived);
        }
        let bytes: u64 = chunks.iter().map(|c| c.bytes.len() as u64).sum();
        cx.stats.fetches += 1;
        cx.stats.fetched_bytes += bytes;
        let frame = self.hand_out(bytes);
        let chunks = chunks.into_iter().map(|c| shift(c, response.at)).collect();
        cx.events.push_back(Event::Fetched { consumer: ix, frame, bytes: response.frame, chunks });
        Some(arrived)
    }
}

/// From places in the body to places in the frame.
fn shift(mut chunk: Chunk, at: usize) -> Chunk {
    chunk.bytes = chunk.bytes.start + at..chunk.bytes.end + at;
    chunk
}

struct Arrival<'a, 'c> {
    cx: &'a mut Cx<'c>,
    all: &'a mut Partitions,
    fetch: &'a Outstanding,
    token: u64,
    chunks: Vec<Chunk>,
    arrived: Arrived,
}

impl Arrival<'_, '_> {
    fn take(&mut self, fetcher: &mut Fetcher, answer: &Fetched<'_>, body: &[u8]) {
        if answer.throttle_time_ms > 0 {
            self.cx.news.push(News::Throttled { ms: answer.throttle_time_ms });
        }
        let session = fetcher.sessions.entry(self.fetch.broker).or_default();
        // Partitions are found before the session forgets them.
        let found: Vec<Option<PartitionIx>> = answer
            .topics
            .iter()
            .flat_map(|t| answer.of(t).iter().map(|p| (t.name, t.id, p.index)))
            .map(|(name, id, number)| session.find(name, id, number).or_else(|| self.named(name, number)))
            .collect();
        if !session.answered(answer.error_code, answer.session_id) {
            return;
        }
        let partitions = answer.topics.iter().flat_map(|t| answer.of(t));
        for (ix, part) in found.into_iter().zip(partitions) {
            if let Some(ix) = ix {
                self.partition(&fetcher.config, ix, part, answer, body);
            }
        }
    }

    /// Sessionless answers of old brokers: by name.
    fn named(&self, name: &str, number: i32) -> Option<PartitionIx> {
        self.cx.names.find(name, number)
    }

    fn partition(
        &mut self,
        config: &crate::config::ConsumerConfig,
        ix: PartitionIx,
        part: &FetchedPartition<'_>,
        answer: &Fetched<'_>,
        body: &[u8],
    ) {
        let token = self.token;
        let Some(p) = self.all.get_mut(&ix) else { return };
        // Only the fetch that is awaited, for the place where the partition still is (contracts A11).
        match p.wire {
            Wire::Asked { fetch, offset, .. } if fetch == token && offset == p.offset => p.wire = Wire::Idle,
            _ => return,
        }
        if !part.error_code.is_ok() {
            return self.error(config, ix, part, answer);
        }
        if part.diverging_epoch.end_offset >= 0 {
            p.trouble = Some(Trouble::Truncated { end: part.diverging_epoch.end_offset });
            return self.arrived.troubled.push(ix);
        }
        if part.preferred_read_replica.0 >= 0 {
            p.preferred = Some((part.preferred_read_replica, self.cx.now.mono + PREFERRED_LEASE));
            return;
        }
        let records = part.records.clone().unwrap_or(0..0);
        let walked = walk(body.get(records.clone()).unwrap_or_default(), p.offset);
        if walked.len == 0 && walked.problem.is_none() {
            // A batch too large for the client's own limit would show here as one that is cut off.
            p.advance(p.offset, -1);
            return;
        }
        let (topic, number) = self.cx.names.named(ix);
        let problem = walked.problem.map(|text| {
            let text = format!("{topic}-{number}: {text}");
            let error = Error::new(ErrorKind::Corrupt, text).with_topic(topic.clone()).with_partition(number);
            error.with_offset(walked.next).with_hint("skip the batch with skip_past, or seek elsewhere")
        });
        let chunk = Chunk {
            partition: ix,
            stamp: p.stamp,
            asked: p.offset,
            next: walked.next,
            bytes: records.start..records.start + walked.len,
            leader_epoch: walked.leader_epoch,
            aborted: aborted(part),
            high_watermark: part.high_watermark,
            last_stable: part.last_stable_offset,
            log_start: part.log_start_offset,
            problem,
        };
        p.held += chunk.bytes.len() as u64;
        if chunk.problem.is_some() {
            p.position = Position::Stuck;
        }
        p.advance(walked.next, walked.leader_epoch);
        self.chunks.push(chunk);
    }

    fn error(
        &mut self,
        config: &crate::config::ConsumerConfig,
        ix: PartitionIx,
        part: &FetchedPartition<'_>,
        answer: &Fetched<'_>,
    ) {
        let code = part.error_code;
        let Some(p) = self.all.get_mut(&ix) else { return };
        let now = self.cx.now.mono;
        let wait = self.cx.rng.backoff(config.retry_backoff, config.retry_backoff_max, p.attempts);
        let topic = self.cx.names.place(ix).0;
        match fetch_class(code) {
            // A follower may lag or have less: the leader knows.
            FetchAction::Reset if p.preferred.take().is_some() => {}
            FetchAction::Reset => {
                p.trouble = Some(Trouble::OutOfRange);
                self.arrived.troubled.push(ix);
            }
            FetchAction::Refresh => {
                p.preferred = None;
                p.back_off(now + wait, code);
                let leader = part.current_leader;
                let leader_epoch = (leader.leader_epoch >= 0).then_some(leader.leader_epoch);
                self.cx.news.push(News::Stale { topic, code, leader_epoch });
                if leader.leader_id.0 >= 0 {
                    let endpoint = endpoint(answer, leader.leader_id);
                    self.cx.news.push(News::Leader {
                        partition: ix,
                        broker: leader.leader_id,
                        leader_epoch: leader.leader_epoch,
                        endpoint,
                    });
                }
            }
            FetchAction::Retry | FetchAction::NewSession => {
                p.preferred = None;
                p.back_off(now + wait, code);
            }
            FetchAction::Fatal => {
                p.back_off(now + HOPELESS_BACKOFF.max(wait), code);
                let (name, number) = self.cx.names.named(ix);
                let error = fetch_error(code, name, number, p.offset);
                self.chunks.push(empty(p, error));
            }
        }
    }
}

/// A chunk that brings nothing but an error, in its place among the others.
fn empty(p: &Partition, error: Error) -> Chunk {
    Chunk {
        partition: p.ix,
        stamp: p.stamp,
        asked: p.offset,
        next: p.offset,
        bytes: 0..0,
        leader_epoch: -1,
        aborted: Vec::new(),
        high_watermark: -1,
        last_stable: -1,
        log_start: -1,
        problem: Some(error),
    }
}

fn endpoint(answer: &Fetched<'_>, leader: BrokerId) -> Option<Node> {
    let node = answer.node_endpoints.iter().find(|n| n.node_id == leader)?;
    crate::metadata::node(node.node_id.0, &node.host, node.port, node.rack.as_deref()).map(|(_, node)| node)
}

fn aborted(part: &FetchedPartition<'_>) -> Vec<AbortedTransaction> {
    let list = part.aborted.iter().flat_map(|a| a.iter());
    list.map(|a| AbortedTransaction { producer_id: a.producer_id, first_offset: a.first_offset }).collect()
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Walked {
    /// Bytes of complete batches.
    len: usize,
    next: i64,
    leader_epoch: i32,
    problem: Option<String>,
}

/// From header to header: each batch must end at or behind the offset that was asked, and begin where the one before it
/// ended or later.
fn walk(bytes: &[u8], asked: i64) -> Walked {
    let mut walked = Walked { next: asked, leader_epoch: -1, ..Walked::default() };
    let mut batches = batches(bytes);
    let mut first = true;
    while let Some(batch) = batches.next() {
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => {
                walked.problem = Some(error.to_string());
                return walked;
            }
        };
        let (base, next) = (batch.base_offset(), batch.next_offset());
        // The first batch may begin before the asked offset, but it holds it or lies behind it.
        if next <= walked.next || (!first && base < walked.next) {
            walked.problem = Some(format!("a batch at offset {base} ends at {next}, though {} was next", walked.next));
            return walked;
        }
        first = false;
        walked.next = next;
        walked.leader_epoch = batch.leader_epoch().max(-1);
        walked.len = batches.position();
    }
    walked
}
