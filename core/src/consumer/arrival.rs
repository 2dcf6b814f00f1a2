//! A fetch answer: what of it is for the application, what moves positions, what is wrong.
//!
//! Only batch headers are looked at here; records are decoded by the application's thread. So a header is believed only
//! as far as it cannot throw the position anywhere (contracts A10).

use super::fetch::{Fetcher, Outstanding};
use super::partition::{Partition, Position, Trouble, Wire, fetch_error};
use crate::client::role::{Cx, News, RequestError, Response};
use crate::client::{AbortedTransaction, Chunk, Event};
use crate::config::ConsumerConfig;
use crate::error::{FetchAction, fetch_class};
use crate::metadata::Node;
use crate::record::survey;
use crate::wire::Reader;
use crate::wire::fetch::{Fetched, FetchedPartition};
use crate::{BrokerId, ConsumerIx, Error, ErrorCode, ErrorKind, PartitionIx};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long the replica that the leader named is read from before the leader is asked again (KIP-392).
const PREFERRED_LEASE: Duration = Duration::from_secs(300);
/// After the first error that only people can mend.
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
        cx.stats.fetches += 1;
        let bytes = chunks.iter().map(|c| c.bytes.len() as u64).sum();
        cx.stats.fetched_bytes += bytes;
        self.answered(&fetch, bytes, cx.now.mono);
        let frame = self.hand_out(chunks.iter().map(|c| (c.partition, c.bytes.len() as u64)));
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
        let code = answer.error_code;
        if !session.answered(code, answer.session_id) {
            // A session that went out of step is begun anew at once; whatever else is wrong takes its time.
            if fetch_class(code) != FetchAction::NewSession || !self.fetch.incremental {
                self.back_off_all(&fetcher.config, code);
            }
            return;
        }
        for topic in &answer.topics {
            let named = session.name_of(topic.id).filter(|_| topic.name.is_empty()).map(|name| &**name);
            let name = named.unwrap_or(topic.name);
            for part in answer.of(topic) {
                if let Some(ix) = self.cx.names.find(name, part.index) {
                    self.partition(&fetcher.config, ix, part, answer, body);
                }
            }
        }
    }

    fn back_off_all(&mut self, config: &ConsumerConfig, code: ErrorCode) {
        for ix in &self.fetch.partitions {
            let awaited = |p: &&mut Partition| matches!(p.wire, Wire::Asked { fetch, .. } if fetch == self.token);
            if let Some(p) = self.all.get_mut(ix).filter(awaited) {
                let wait = self.cx.rng.backoff(config.retry_backoff, config.retry_backoff_max, p.attempts);
                p.back_off(self.cx.now.mono + wait, code);
            }
        }
    }

    fn partition(
        &mut self,
        config: &ConsumerConfig,
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
        // Nobody would get to see it.
        if p.gates.revoking {
            return;
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
        let found = survey(body.get(records.clone()).unwrap_or_default(), p.offset);
        let behind = found.bytes > 0 && found.next_offset <= p.offset;
        if found.bytes == 0 && found.problem.is_none() {
            // The broker cut even the first batch: it must be asked for as much as that one takes.
            p.least_bytes = found.cut.map_or(0, |n| i32::try_from(n).unwrap_or(i32::MAX));
            p.advance(p.offset, -1);
            return;
        }
        let (topic, number) = self.cx.names.named(ix);
        let text = match &found.problem {
            Some(problem) => Some(problem.to_string()),
            None => behind.then(|| format!("the batches in the answer end before offset {}", p.offset)),
        };
        let problem = text.map(|text| {
            let error = Error::new(ErrorKind::Corrupt, format!("{topic}-{number}: {text}"));
            let error = error.with_topic(topic.clone()).with_partition(number).with_offset(found.next_offset);
            error.with_api("Fetch").with_hint("skip the batch with skip_past, or seek elsewhere")
        });
        let chunk = Chunk {
            partition: ix,
            stamp: p.stamp,
            asked: p.offset,
            next: found.next_offset,
            bytes: records.start..records.start + found.bytes,
            leader_epoch: found.leader_epoch,
            aborted: aborted(part),
            high_watermark: part.high_watermark,
            last_stable: part.last_stable_offset,
            log_start: part.log_start_offset,
            problem,
        };
        p.least_bytes = 0;
        p.advance(found.next_offset, found.leader_epoch);
        if chunk.problem.is_some() {
            p.position = Position::Stuck;
        }
        self.chunks.push(chunk);
    }

    fn error(&mut self, config: &ConsumerConfig, ix: PartitionIx, part: &FetchedPartition<'_>, answer: &Fetched<'_>) {
        let code = part.error_code;
        let Some(p) = self.all.get_mut(&ix) else { return };
        let now = self.cx.now.mono;
        let wait = self.cx.rng.backoff(config.retry_backoff, config.retry_backoff_max, p.attempts);
        let topic = self.cx.names.place(ix).0;
        match fetch_class(code) {
            // A follower may lag or have less: the leader knows.
            FetchAction::Reset if p.preferred.is_some() => p.preferred = None,
            FetchAction::Reset => {
                p.trouble = Some(Trouble::OutOfRange);
                self.arrived.troubled.push(ix);
            }
            FetchAction::Refresh => {
                p.preferred = None;
                p.back_off(now + wait, code);
                let leader = &part.current_leader;
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
                p.back_off(now + hopeless(p.attempts), code);
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

/// How long after an error that only people can mend: ever longer, so that nobody who does not poll collects errors.
pub(super) fn hopeless(attempts: u32) -> Duration {
    HOPELESS_BACKOFF.saturating_mul(1 << attempts.min(6))
}
