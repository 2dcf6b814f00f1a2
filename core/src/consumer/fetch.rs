//! What to ask a broker for next, and how much memory the answers may take.

use super::partition::{Partition, Wire};
use super::session::{FIRST_WITH_IDS, Session, Wanted};
use crate::client::role::{Cx, Lane, LinkFacts, Needs, Owner, Request, Tag};
use crate::config::ConsumerConfig;
use crate::wire::messages::FetchRequest;
use crate::{BrokerId, ConsumerIx, FrameIx, PartitionIx, Time, Wake, Why};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A fetch that leaves a partition out for want of room waits no longer than this, so that the partition is asked for
/// as soon as the application has made room (contracts B10).
const SHORT_WAIT: Duration = Duration::from_millis(20);
const FIRST_WITH_RACK: i16 = 11;
const FIRST_WITH_LAST_EPOCH: i16 = 12;

/// The fetches of one consumer.
#[derive(Debug)]
pub(super) struct Fetcher {
    ix: ConsumerIx,
    pub(super) config: Arc<ConsumerConfig>,
    pub(super) sessions: BTreeMap<BrokerId, Session>,
    pub(super) outstanding: BTreeMap<u64, Outstanding>,
    frames: BTreeMap<FrameIx, u64>,
    next_frame: u32,
    /// Bytes of frames that the front holds.
    held: u64,
    /// Where the next request's rotation begins.
    rotation: usize,
}

/// A fetch on the wire.
#[derive(Debug)]
pub(super) struct Outstanding {
    pub(super) broker: BrokerId,
    pub(super) max_bytes: u64,
    pub(super) partitions: Vec<PartitionIx>,
}

impl Fetcher {
    pub(super) fn new(ix: ConsumerIx, config: Arc<ConsumerConfig>) -> Self {
        Self {
            ix,
            config,
            sessions: BTreeMap::new(),
            outstanding: BTreeMap::new(),
            frames: BTreeMap::new(),
            next_frame: 0,
            held: 0,
            rotation: 0,
        }
    }

    /// Names the bytes of an answer that goes to the front.
    pub(super) fn hand_out(&mut self, bytes: u64) -> FrameIx {
        let frame = FrameIx(self.next_frame);
        self.next_frame = self.next_frame.wrapping_add(1);
        self.frames.insert(frame, bytes);
        self.held += bytes;
        frame
    }

    /// The bytes of an answer came home.
    pub(super) fn take_back(&mut self, frame: FrameIx) {
        self.held -= self.frames.remove(&frame).unwrap_or(0).min(self.held);
    }

    /// How many bytes may be asked for now, beyond what is held and asked for already. Data of paused partitions does not
    /// count: it would keep the others from ever being fetched (contracts B9); each partition has its own bound beside.
    fn room(&self, all: &BTreeMap<PartitionIx, Partition>) -> u64 {
        let paused: u64 = all.values().filter(|p| p.gates.paused).map(|p| p.held).sum();
        let asked: u64 = self.outstanding.values().map(|o| o.max_bytes).sum();
        (self.config.prefetch_bytes as u64).saturating_sub((self.held + asked).saturating_sub(paused))
    }

    /// A partition with this much on the shelf is fetched further: one answer is read while the next is on its way.
    fn has_room(&self, p: &Partition) -> bool {
        p.held < u64::from(self.config.max_partition_fetch_bytes.max(1))
    }

    pub(super) fn needs(
        &self,
        out: &mut Needs,
        now: Time,
        all: &BTreeMap<PartitionIx, Partition>,
        leader: impl Fn(PartitionIx) -> Option<BrokerId>,
    ) {
        for p in all.values() {
            if let Some(broker) = p.source(leader(p.ix), now) {
                out.links.insert((broker, Lane::Fetch(self.ix)));
            }
        }
    }

    pub(super) fn poll_request(
        &mut self,
        link: &LinkFacts<'_>,
        cx: &mut Cx<'_>,
        all: &mut BTreeMap<PartitionIx, Partition>,
        token: u64,
    ) -> Option<Request> {
        let version = link.version::<FetchRequest>()?;
        let room = self.room(all);
        let now = cx.now.mono;
        let mut wanted: Vec<(PartitionIx, Wanted)> = Vec::new();
        let mut left_out = false;
        for p in all.values() {
            let place = cx.names.place(p.ix);
            let Some(topic) = cx.view.topic(place.0) else { continue };
            let Some(known) = topic.partition(place.1) else { continue };
            if p.source(known.leader, now) != Some(link.broker) || !p.may_fetch(now) {
                continue;
            }
            if !self.has_room(p) || room == 0 {
                left_out = true;
                continue;
            }
            let wanted_one = Wanted {
                topic: topic.name.clone(),
                topic_id: topic.id,
                number: place.1,
                offset: p.offset,
                leader_epoch: known.leader_epoch,
                last_fetched_epoch: if version >= FIRST_WITH_LAST_EPOCH { p.leader_epoch } else { -1 },
                max_bytes: i32::try_from(self.config.max_partition_fetch_bytes).unwrap_or(i32::MAX),
            };
            wanted.push((p.ix, wanted_one));
        }
        if wanted.is_empty() {
            return None;
        }
        let turn = self.rotation % wanted.len();
        wanted.rotate_left(turn);
        self.rotation = self.rotation.wrapping_add(1);
        // Ids only if every topic has one: they cannot be mixed with names.
        let with_ids = wanted.iter().all(|(_, w)| !w.topic_id.is_zero());
        let version = if with_ids { version } else { version.min(FIRST_WITH_IDS - 1) };
        let max_bytes = u64::from(self.config.fetch_max_bytes).min(room);
        let request = self.build(link, version, &wanted, max_bytes, left_out, token)?;
        for (ix, w) in &wanted {
            if let Some(p) = all.get_mut(ix) {
                p.wire = Wire::Asked { fetch: token, broker: link.broker, offset: w.offset };
            }
        }
        let partitions = wanted.into_iter().map(|(ix, _)| ix).collect();
        self.outstanding.insert(token, Outstanding { broker: link.broker, max_bytes, partitions });
        Some(request)
    }

    fn build(
        &mut self,
        link: &LinkFacts<'_>,
        version: i16,
        wanted: &[(PartitionIx, Wanted)],
        max_bytes: u64,
        left_out: bool,
        token: u64,
    ) -> Option<Request> {
        let wait = if left_out { self.config.fetch_max_wait.min(SHORT_WAIT) } else { self.config.fetch_max_wait };
        let ask = self.sessions.entry(link.broker).or_default().ask(version, wanted);
        let rack = self.config.client_rack.as_deref().filter(|_| version >= FIRST_WITH_RACK);
        let request = FetchRequest {
            max_wait_ms: i32::try_from(wait.as_millis()).unwrap_or(i32::MAX),
            min_bytes: i32::try_from(self.config.fetch_min_bytes).unwrap_or(i32::MAX),
            max_bytes: i32::try_from(max_bytes).unwrap_or(i32::MAX),
            isolation_level: self.config.isolation_level.wire(),
            session_id: ask.id,
            session_epoch: ask.epoch,
            topics: ask.topics,
            forgotten_topics_data: ask.forgotten,
            rack_id: rack.unwrap_or_default().to_owned(),
            ..FetchRequest::default()
        };
        let tag = Tag { owner: Owner::Consumer(self.ix), token };
        // The broker holds the request for as long as `max_wait` before its own time begins.
        let timeout = self.config.request_timeout + wait;
        let mut request = Request::versioned(tag, &request, version, timeout).ok()?;
        // One batch is always returned whole, however large (KIP-74): only the client's own limit bounds it.
        request.max_response = usize::MAX;
        Some(request)
    }

    /// Ends a fetch without an answer: everything is asked anew.
    pub(super) fn lost(&mut self, fetch: &Outstanding, all: &mut BTreeMap<PartitionIx, Partition>, token: u64) {
        if let Some(session) = self.sessions.get_mut(&fetch.broker) {
            session.reset();
        }
        for ix in &fetch.partitions {
            if let Some(p) = all.get_mut(ix) {
                if matches!(p.wire, Wire::Asked { fetch, .. } if fetch == token) {
                    p.wire = Wire::Idle;
                }
                // A replica that cannot be reached is left for the leader.
                if p.preferred.is_some_and(|(replica, _)| replica == fetch.broker) {
                    p.preferred = None;
                }
            }
        }
    }

    /// When a backoff of a partition ends.
    pub(super) fn poll_timeout(all: &BTreeMap<PartitionIx, Partition>) -> Option<Wake> {
        let at = all.values().filter_map(|p| p.gates.backoff).min()?;
        Some(Wake { at, why: Why::Backoff })
    }
}
