//! What to ask a broker for next, and how much memory the answers may take.

use super::pace::Pace;
use super::partition::{Partition, Wire};
use super::session::{Ask, FIRST_WITH_IDS, Session, Wanted};
use crate::client::role::{Cx, Lane, LinkFacts, Needs, Owner, Request, Tag};
use crate::config::ConsumerConfig;
use crate::wire::messages::FetchRequest;
use crate::{BrokerId, ConsumerIx, FrameIx, PartitionIx, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A fetch that leaves a partition out for want of room waits no longer than this, so that the partition is asked for
/// as soon as the application has made room (contracts B10). It doubles while the application makes none.
const SHORT_WAIT: Duration = Duration::from_millis(20);
const FIRST_WITH_RACK: i16 = 11;

type Partitions = BTreeMap<PartitionIx, Partition>;

/// The fetches of one consumer.
#[derive(Debug)]
pub(super) struct Fetcher {
    ix: ConsumerIx,
    pub(super) config: Arc<ConsumerConfig>,
    pub(super) sessions: BTreeMap<BrokerId, Session>,
    paces: BTreeMap<BrokerId, Pace>,
    pub(super) outstanding: BTreeMap<u64, Outstanding>,
    frames: BTreeMap<FrameIx, u64>,
    next_frame: u32,
    /// Bytes of frames that the front holds.
    held: u64,
    /// Bytes on the shelf, by partition. They outlive an assignment: the shelf drops them in its own time.
    shelf: BTreeMap<PartitionIx, u64>,
    short_wait: Duration,
    /// Where the next request's rotation begins.
    rotation: usize,
}

/// A fetch on the wire.
#[derive(Debug)]
pub(super) struct Outstanding {
    pub(super) broker: BrokerId,
    pub(super) partitions: Vec<PartitionIx>,
    /// It told only what changed in its session.
    pub(super) incremental: bool,
    /// When it was asked.
    at: Time,
    /// How many bytes could come.
    bytes: u64,
}

impl Fetcher {
    pub(super) fn new(ix: ConsumerIx, config: Arc<ConsumerConfig>) -> Self {
        Self {
            ix,
            config,
            sessions: BTreeMap::new(),
            paces: BTreeMap::new(),
            outstanding: BTreeMap::new(),
            frames: BTreeMap::new(),
            next_frame: 0,
            held: 0,
            shelf: BTreeMap::new(),
            short_wait: SHORT_WAIT,
            rotation: 0,
        }
    }

    /// Names the bytes of an answer that goes to the front.
    pub(super) fn hand_out(&mut self, chunks: impl Iterator<Item = (PartitionIx, u64)>) -> FrameIx {
        let mut all = 0;
        for (ix, bytes) in chunks {
            *self.shelf.entry(ix).or_default() += bytes;
            all += bytes;
        }
        let frame = FrameIx(self.next_frame);
        self.next_frame = self.next_frame.wrapping_add(1);
        self.frames.insert(frame, all);
        self.held += all;
        frame
    }

    /// The bytes of an answer came home.
    pub(super) fn take_back(&mut self, frame: FrameIx) {
        self.held -= self.frames.remove(&frame).unwrap_or(0).min(self.held);
        self.short_wait = SHORT_WAIT;
    }

    /// A chunk left the shelf.
    pub(super) fn unshelve(&mut self, ix: PartitionIx, bytes: u64) {
        self.short_wait = SHORT_WAIT;
        if let Some(held) = self.shelf.get_mut(&ix) {
            *held = held.saturating_sub(bytes);
            if *held == 0 {
                self.shelf.remove(&ix);
            }
        }
    }

    /// Bytes of a partition on the shelf.
    pub(super) fn shelved(&self, ix: PartitionIx) -> u64 {
        self.shelf.get(&ix).copied().unwrap_or(0)
    }

    /// How many bytes may be asked for now, of all brokers together, beyond what is held already. Data of paused partitions
    /// does not count: it would keep the others from ever being fetched (contracts B9); each partition has its own bound
    /// beside. An application that holds everything and still polls gets a little at a time.
    fn room(&self, all: &Partitions) -> u64 {
        let parked = |ix: &PartitionIx| all.get(ix).is_none_or(|p| p.gates.paused);
        let (parked, ready) = self.shelf.iter().fold((0, 0), |(parked_sum, ready), (ix, bytes)| {
            if parked(ix) { (parked_sum + bytes, ready) } else { (parked_sum, ready + bytes) }
        });
        let room = (self.config.prefetch_bytes as u64).saturating_sub(self.held.saturating_sub(parked));
        if ready == 0 { room.max(u64::from(self.config.max_partition_fetch_bytes)) } else { room }
    }

    /// What `broker` may be asked for: in all, and of one partition. Each broker has a share of its own: the long poll of one
    /// that has nothing must not keep the others waiting.
    fn shares(&self, broker: BrokerId, room: u64, cx: &Cx<'_>, all: &Partitions) -> (u64, u64) {
        let leader = |ix| cx.view.leader(cx.names.place(ix)).map(|(leader, _)| leader);
        let ready = all.values().filter(|p| !p.gates.paused);
        let (mut brokers, mut own) = (BTreeSet::new(), 0);
        for source in ready.filter_map(|p| p.source(leader(p.ix), cx.now.mono)) {
            brokers.insert(source);
            own += usize::from(source == broker);
        }
        let pace = self.paces.get(&broker).copied().unwrap_or_default();
        let min = self.config.fetch_min_bytes;
        let most = u64::from(self.config.fetch_max_bytes).min(pace.bytes(min));
        let one = pace.share(min, own).min(u64::from(self.config.max_partition_fetch_bytes));
        ((room / (brokers.len() as u64).max(1)).max(1).min(most), one)
    }

    /// An answer of `fetch` brought so many bytes.
    pub(super) fn answered(&mut self, fetch: &Outstanding, bytes: u64, now: Time) {
        let took = now.since(fetch.at);
        let most = u64::from(self.config.fetch_max_bytes);
        self.paces.entry(fetch.broker).or_default().answered(fetch.bytes, bytes, took, most);
    }

    /// A partition with `most` on the shelf is fetched no further: one answer is read while the next is on its way.
    fn has_room(&self, ix: PartitionIx, most: u64) -> bool {
        self.shelved(ix) < most.max(1)
    }

    pub(super) fn needs(
        &self,
        out: &mut Needs,
        now: Time,
        all: &Partitions,
        leader: impl Fn(PartitionIx) -> Option<BrokerId>,
    ) {
        let brokers: BTreeSet<BrokerId> = all.values().filter_map(|p| p.source(leader(p.ix), now)).collect();
        out.links.extend(brokers.into_iter().map(|broker| (broker, Lane::Fetch(self.ix))));
    }

    pub(super) fn poll_request(
        &mut self,
        link: &LinkFacts<'_>,
        cx: &mut Cx<'_>,
        all: &mut Partitions,
        token: u64,
    ) -> Option<Request> {
        // One at a time: the next one says what the answer to this one changed.
        if self.outstanding.values().any(|o| o.broker == link.broker) {
            return None;
        }
        let version = link.version::<FetchRequest>()?;
        let room = self.room(all);
        let (max_bytes, one) = self.shares(link.broker, room, cx, all);
        let (mut wanted, left_out) = self.wanted(link.broker, cx, all, room, one);
        if wanted.is_empty() {
            return None;
        }
        let turn = self.rotation % wanted.len();
        wanted.rotate_left(turn);
        self.rotation = self.rotation.wrapping_add(1);
        // Ids only if every topic has one: they cannot be mixed with names.
        let with_ids = wanted.iter().all(|(_, w)| !w.topic_id.is_zero());
        let version = if with_ids { version } else { version.min(FIRST_WITH_IDS - 1) };
        let mut wait = self.config.fetch_max_wait;
        if left_out {
            wait = wait.min(self.short_wait);
            self.short_wait = self.short_wait.saturating_mul(2);
        }
        let session = self.sessions.entry(link.broker).or_default();
        let ask = session.ask(version, &wanted);
        let incremental = session.is_incremental();
        let request = self.build(version, ask, max_bytes, wait, token)?;
        for (ix, w) in &wanted {
            if let Some(p) = all.get_mut(ix) {
                p.wire = Wire::Asked { fetch: token, broker: link.broker, offset: w.offset };
            }
        }
        let bytes = max_bytes.min(one.saturating_mul(wanted.len() as u64));
        let partitions = wanted.into_iter().map(|(ix, _)| ix).collect();
        let fetch = Outstanding { broker: link.broker, partitions, incremental, at: cx.now.mono, bytes };
        self.outstanding.insert(token, fetch);
        Some(request)
    }

    /// The partitions to be fetched from this broker, and whether one had to be left out for want of room.
    fn wanted(
        &self,
        broker: BrokerId,
        cx: &Cx<'_>,
        all: &Partitions,
        room: u64,
        one: u64,
    ) -> (Vec<(PartitionIx, Wanted)>, bool) {
        let now = cx.now.mono;
        let mut wanted = Vec::new();
        let mut left_out = false;
        for p in all.values().filter(|p| p.may_fetch(now)) {
            let (topic, number) = cx.names.place(p.ix);
            let Some(topic) = cx.view.topic(topic) else { continue };
            let Some(known) = topic.partition(number) else { continue };
            if p.source(known.leader, now) != Some(broker) {
                continue;
            }
            if !self.has_room(p.ix, one) || room == 0 {
                left_out = true;
                continue;
            }
            let most = i32::try_from(one).unwrap_or(i32::MAX);
            let one = Wanted {
                topic: topic.name.clone(),
                topic_id: topic.id,
                number,
                offset: p.offset,
                leader_epoch: known.leader_epoch,
                // As Java's consumer: a truncated log is found by OffsetForLeaderEpoch when the leader changes. An epoch
                // that the leader does not know would come back as OFFSET_OUT_OF_RANGE and reset the position.
                last_fetched_epoch: -1,
                max_bytes: most.max(p.least_bytes),
            };
            wanted.push((p.ix, one));
        }
        (wanted, left_out)
    }

    fn build(&self, version: i16, ask: Ask, max_bytes: u64, wait: Duration, token: u64) -> Option<Request> {
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
    pub(super) fn lost(&mut self, fetch: &Outstanding, all: &mut Partitions, token: u64) {
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

    /// Whether a broker still keeps a session for us.
    pub(super) fn has_sessions(&self) -> bool {
        self.sessions.values().any(Session::is_open)
    }

    /// Ends the session with a broker: it need not keep what nobody will ask for.
    pub(super) fn close_session(&mut self, link: &LinkFacts<'_>, token: u64) -> Option<Request> {
        let version = link.version::<FetchRequest>()?;
        let ask = self.sessions.get_mut(&link.broker).filter(|s| s.is_open())?.close();
        self.build(version, ask, 0, SHORT_WAIT, token)
    }
}

#[cfg(test)]
mod tests {
    use super::super::partition::Want;
    use super::*;

    fn fetcher() -> Fetcher {
        let config = ConsumerConfig { prefetch_bytes: 1000, max_partition_fetch_bytes: 100, ..Default::default() };
        Fetcher::new(ConsumerIx(0), Arc::new(config))
    }

    fn partitions(n: u32) -> Partitions {
        (0..n).map(|n| (PartitionIx(n), Partition::new(PartitionIx(n), 1, 1, Want::Committed))).collect()
    }

    #[test]
    fn room_is_what_is_neither_held_nor_asked_for() {
        let (mut f, all) = (fetcher(), partitions(2));
        assert_eq!(f.room(&all), 1000);
        let frame = f.hand_out([(PartitionIx(0), 300), (PartitionIx(1), 100)].into_iter());
        assert_eq!(f.room(&all), 600);
        f.unshelve(PartitionIx(0), 300);
        assert_eq!(f.room(&all), 600, "the application still has the frame");
        f.unshelve(PartitionIx(1), 100);
        f.take_back(frame);
        assert_eq!(f.room(&all), 1000);
    }

    #[test]
    fn what_paused_partitions_hold_does_not_keep_the_others_from_being_fetched() {
        let (mut f, mut all) = (fetcher(), partitions(2));
        f.hand_out([(PartitionIx(0), 1000)].into_iter());
        assert_eq!(f.room(&all), 0);
        all.get_mut(&PartitionIx(0)).expect("it").gates.paused = true;
        assert_eq!(f.room(&all), 1000);
        assert!(!f.has_room(PartitionIx(0), 100), "but it is not fetched further itself");
        assert!(f.has_room(PartitionIx(1), 100));
    }

    #[test]
    fn an_application_that_holds_all_it_got_still_gets_more() {
        let (mut f, all) = (fetcher(), partitions(1));
        f.hand_out([(PartitionIx(0), 5000)].into_iter());
        assert_eq!(f.room(&all), 0);
        f.unshelve(PartitionIx(0), 5000);
        assert_eq!(f.room(&all), 100);
    }
}
