//! The consumer with its links, brokers, metadata and application, in virtual time.

use super::broker::{self, Log, Sessions};
use super::coordinator::Group;
use super::front::Front;
use crate::client::role::{Cx, Known, Lane, LinkFacts, Needs, News, Request, RequestError, Response, RoleMachine, Tag};
use crate::client::{Command, Event, Subscription, TopicPartition};
use crate::cluster::Coordinators;
use crate::config::{AutoCommit, ClientConfig, ConsumerConfig, OffsetReset};
use crate::consumer::Consumer;
use crate::metadata::{Diff, Names, PartitionView, TopicView, View};
use crate::rng::Rng;
use crate::stats::Stats;
use crate::wire::messages::api_versions::ApiVersion;
use crate::wire::messages::find_coordinator::Coordinator as Found;
use crate::wire::messages::*;
use crate::wire::{ApiKey, ApiRanges, Message, Reader, Request as _, Uuid, Writer};
use crate::{BrokerId, ConsumerIx, Error, ErrorCode, ErrorKind, Now, OpId, Time, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub(super) const PARTITIONS: i32 = 4;
const BROKERS: i32 = 3;
pub(super) const IX: ConsumerIx = ConsumerIx(3);

struct Flight {
    tag: Tag,
    api: ApiKey,
    version: i16,
    body: Vec<u8>,
    served: bool,
    since: Time,
    answer: Option<Vec<u8>>,
}

#[derive(Default)]
struct Link {
    /// Up from then on.
    up: Time,
    flights: VecDeque<Flight>,
}

pub(super) struct World {
    pub(super) dice: Rng,
    pub(super) now: Now,
    pub(super) consumer: Consumer,
    pub(super) front: Front,
    pub(super) logs: BTreeMap<i32, Log>,
    pub(super) sessions: BTreeMap<BrokerId, Sessions>,
    pub(super) group: Group,
    pub(super) coordinator: BrokerId,
    links: BTreeMap<(BrokerId, Lane), Link>,
    names: Names,
    view: Arc<View>,
    stale: bool,
    coordinators: Coordinators,
    events: VecDeque<Event>,
    news: Vec<News>,
    rng: Rng,
    pub(super) stats: Stats,
    versions: ApiRanges,
    /// Chance of a fault per request, in 1000.
    pub(super) faults: u64,
    pub(super) requests: u64,
    /// Up to where all records of a partition were processed by somebody.
    pub(super) prefix: BTreeMap<i32, i64>,
    pub(super) away: Time,
    pub(super) ops: u64,
    pub(super) explicit: bool,
    pub(super) seen: Vec<ApiKey>,
}

impl World {
    pub(super) fn new(seed: u64, mode: u64) -> Self {
        let mut dice = Rng::new(seed);
        let explicit = dice.below(3) == 0;
        let interval = Duration::from_secs(1);
        let config = ConsumerConfig {
            group_id: (mode < 2).then(|| "g".into()),
            session_timeout: Duration::from_secs(10),
            heartbeat_interval: Duration::from_secs(1),
            max_poll_interval: Duration::from_secs(20),
            auto_offset_reset: OffsetReset::Earliest,
            fetch_max_wait: Duration::from_millis(200),
            max_partition_fetch_bytes: [100, 400, 100_000][dice.below(3) as usize],
            prefetch_bytes: [300, 5000][dice.below(2) as usize],
            retry_backoff: Duration::from_millis(50),
            retry_backoff_max: Duration::from_millis(500),
            auto_commit: if explicit { AutoCommit::Off } else { AutoCommit::Polled(interval) },
            ..ConsumerConfig::default()
        };
        let api = |key, max| ApiVersion { api_key: key, min_version: 0, max_version: max };
        let api_keys = vec![
            api(ApiKey::FETCH, 12),
            api(ApiKey::LIST_OFFSETS, 7),
            api(ApiKey::OFFSET_FOR_LEADER_EPOCH, 4),
            api(ApiKey::JOIN_GROUP, 9),
            api(ApiKey::SYNC_GROUP, 5),
            api(ApiKey::HEARTBEAT, 4),
            api(ApiKey::LEAVE_GROUP, 5),
            api(ApiKey::OFFSET_COMMIT, 9),
            api(ApiKey::OFFSET_FETCH, 9),
            api(ApiKey::FIND_COORDINATOR, 6),
        ];
        let backoff = (Duration::from_millis(50), Duration::from_millis(500));
        let mut world = Self {
            now: Now { mono: Time(1_000_000_000_000), wall: Timestamp(0) },
            consumer: Consumer::new(IX, Arc::new(config), &ClientConfig::default()),
            front: Front::default(),
            logs: (0..PARTITIONS).map(|n| (n, Log::new(BrokerId(1 + n % BROKERS)))).collect(),
            sessions: (1..=BROKERS).map(|b| (BrokerId(b), Sessions::default())).collect(),
            group: Group::new(),
            coordinator: BrokerId(1),
            links: BTreeMap::new(),
            names: Names::default(),
            view: Arc::default(),
            stale: true,
            coordinators: Coordinators::new(backoff, Duration::from_secs(5)),
            events: VecDeque::new(),
            news: Vec::new(),
            rng: dice.fork(),
            stats: Stats::default(),
            versions: ApiRanges::new(&ApiVersionsResponse { api_keys, ..Default::default() }),
            faults: 0,
            requests: 0,
            prefix: (0..PARTITIONS).map(|n| (n, 0)).collect(),
            away: Time::ZERO,
            ops: 0,
            explicit,
            seen: Vec::new(),
            dice,
        };
        let subscription = match mode {
            1 => Subscription::Partitions(
                (0..PARTITIONS).map(|partition| TopicPartition { topic: "t".into(), partition }).collect(),
            ),
            _ => Subscription::Topics(vec!["t".into()]),
        };
        world.command(Command::Subscribe(IX, subscription));
        world
    }

    pub(super) fn with<T>(&mut self, call: impl FnOnce(&mut Consumer, &mut Cx<'_>) -> T) -> T {
        let view = self.view.clone();
        let mut cx = Cx {
            now: self.now,
            rng: &mut self.rng,
            view: &view,
            names: &mut self.names,
            coordinators: &self.coordinators,
            events: &mut self.events,
            news: &mut self.news,
            stats: &mut self.stats,
            troubles: &Default::default(),
        };
        let out = call(&mut self.consumer, &mut cx);
        for news in std::mem::take(&mut self.news) {
            match news {
                News::Stale { .. } | News::Leader { .. } => self.stale = true,
                News::CoordinatorLost { kind, key, broker } => {
                    self.coordinators.lost(self.now, kind, &key, broker, &mut self.rng);
                }
                News::CoordinatorWorks { kind, key } => self.coordinators.confirm(kind, &key),
                News::Undecodable { error } => panic!("{error}"),
                News::Throttled { .. } | News::Deadline { .. } | News::ClusterStale => {}
            }
        }
        while let Some(event) = self.events.pop_front() {
            if let Event::Positioned { partition, offset, .. } = &event {
                let number = self.names.place(*partition).1;
                assert!(*offset <= self.prefix[&number], "position {offset} skips records of {number}");
            }
            for freed in self.front.event(event) {
                self.consumer.handle_freed(freed);
            }
        }
        while self.consumer.take_spare_buffer().is_some() {}
        out
    }

    pub(super) fn command(&mut self, command: Command) -> OpId {
        self.ops += 1;
        let op = OpId(self.ops);
        self.with(|c, cx| c.handle_command(cx, op, command));
        op
    }

    fn fault(&mut self, codes: &[i16]) -> Option<ErrorCode> {
        let hit = self.dice.below(1000) < self.faults;
        hit.then(|| ErrorCode(codes[self.dice.below(codes.len() as u64) as usize]))
    }

    /// What the client does around its roles: coordinators, links, requests.
    pub(super) fn settle(&mut self) {
        for _ in 0..20 {
            let mut needs = Needs::default();
            let known = Known { view: &self.view, names: &self.names, coordinators: &self.coordinators };
            self.consumer.needs(&mut needs, &known);
            self.coordinators.want(&needs);
            self.find_coordinator();
            for key in needs.links {
                self.links.entry(key).or_default();
            }
            if self.offer() == 0 {
                return;
            }
        }
        panic!("it never stops asking");
    }

    fn find_coordinator(&mut self) {
        let versions = self.versions.clone();
        let link = LinkFacts {
            broker: BrokerId(1),
            lane: Lane::Control,
            conn: crate::ConnId { index: 0, generation: 0 },
            versions: &versions,
            in_flight: 0,
        };
        let Some(request) = self.coordinators.poll_request(&link, self.now) else { return };
        let found =
            Found { key: "g".into(), node_id: self.coordinator, host: "h".into(), port: 9092, ..Default::default() };
        let answer = FindCoordinatorResponse { coordinators: vec![found], ..Default::default() };
        let response = Response { version: request.version, frame: encode(&answer, request.version), at: 0 };
        let _ = self.coordinators.handle_response(self.now, &mut self.rng, request.tag, Ok(response));
        self.with(|c, cx| c.handle_metadata(cx, &Diff::default()));
    }

    fn offer(&mut self) -> u32 {
        let mut asked = 0;
        let keys: Vec<_> = self.links.keys().copied().collect();
        let versions = self.versions.clone();
        for (broker, lane) in keys {
            if self.links[&(broker, lane)].up > self.now.mono {
                continue;
            }
            loop {
                let in_flight = self.links[&(broker, lane)].flights.len();
                let link = LinkFacts {
                    broker,
                    lane,
                    conn: crate::ConnId { index: 0, generation: 0 },
                    versions: &versions,
                    in_flight,
                };
                let Some(request) = self.with(|c, cx| c.poll_request(&link, cx)) else { break };
                asked += 1;
                self.requests += 1;
                self.seen.push(request.api);
                assert!(in_flight < 10, "{lane:?} fills up");
                self.send(broker, lane, request);
            }
        }
        asked
    }

    fn send(&mut self, broker: BrokerId, lane: Lane, request: Request) {
        if request.api == JoinGroupRequest::KEY {
            assert!(!self.front.holds(), "it joins while the application holds partitions");
        }
        let flight = Flight {
            tag: request.tag,
            api: request.api,
            version: request.version,
            body: request.body.concat(),
            served: false,
            since: self.now.mono,
            answer: None,
        };
        self.links.get_mut(&(broker, lane)).unwrap().flights.push_back(flight);
    }

    /// A broker looks at the oldest request of each connection.
    fn serve(&mut self) {
        let keys: Vec<_> = self.links.keys().copied().collect();
        for key in keys {
            let Some(mut flight) = self.links.get_mut(&key).unwrap().flights.pop_front() else { continue };
            if flight.answer.is_none() && self.dice.below(10) < 7 {
                let first = !std::mem::replace(&mut flight.served, true);
                flight.answer = self.answer(key.0, &flight, first);
            }
            let ready = flight.answer.is_some() && self.dice.below(10) < 7;
            if !ready {
                self.links.get_mut(&key).unwrap().flights.push_front(flight);
                continue;
            }
            let response = Response { version: flight.version, frame: flight.answer.unwrap(), at: 0 };
            self.with(|c, cx| c.handle_response(cx, key.0, flight.tag, Ok(response)));
        }
    }

    fn answer(&mut self, broker: BrokerId, flight: &Flight, first: bool) -> Option<Vec<u8>> {
        let (now, v, body) = (self.now.mono, flight.version, &flight.body[..]);
        let moved = (broker != self.coordinator).then_some(ErrorCode(16));
        match flight.api {
            ApiKey::FETCH => {
                let request: FetchRequest = read(body, v);
                let over = flight.since + Duration::from_millis(request.max_wait_ms as u64) <= now;
                let fault = self.fault(&[6, 3, 74, -1, 78]);
                let session = self.sessions.get_mut(&broker).unwrap();
                session.fetch(broker, &self.logs, &request, first, over, fault).map(|a| encode(&a, v))
            }
            ApiKey::LIST_OFFSETS => {
                let fault = self.fault(&[6, 78, 5]);
                Some(encode(&broker::list(broker, &self.logs, &read(body, v), fault), v))
            }
            ApiKey::OFFSET_FOR_LEADER_EPOCH => Some(encode(&broker::epochs(broker, &self.logs, &read(body, v)), v)),
            ApiKey::JOIN_GROUP => match moved.or(if first { self.fault(&[14, 15, 16, 25, 27]) } else { None }) {
                Some(error_code) => Some(encode(&JoinGroupResponse { error_code, ..Default::default() }, v)),
                None => self.group.join(now, &read(body, v), first).map(|a| encode(&a, v)),
            },
            ApiKey::SYNC_GROUP => match moved.or(if first { self.fault(&[15, 16, 22, 25, 27]) } else { None }) {
                Some(error_code) => Some(encode(&SyncGroupResponse { error_code, ..Default::default() }, v)),
                None => {
                    let mut answer = self.group.sync(now, &read(body, v))?;
                    if self.fault(&[-1]).is_some() {
                        // Cut: no assignment at all, rather than an empty one.
                        answer.assignment.truncate(answer.assignment.len().saturating_sub(1));
                    }
                    Some(encode(&answer, v))
                }
            },
            ApiKey::HEARTBEAT => match moved.or(self.fault(&[15, 16, 22, 25])) {
                Some(error_code) => Some(encode(&HeartbeatResponse { error_code, ..Default::default() }, v)),
                None => Some(encode(&self.group.heartbeat(now, &read(body, v)), v)),
            },
            ApiKey::LEAVE_GROUP => Some(encode(&self.group.leave(now, &read(body, v)), v)),
            ApiKey::OFFSET_COMMIT => {
                let fault = moved.or(self.fault(&[14, 15, 16, 3]));
                let (answer, taken) = self.group.commit(now, &read(body, v), fault);
                for (number, offset) in taken {
                    let done = self.prefix[&number];
                    assert!(offset <= done, "{offset} of {number} was committed, but only {done} are done");
                }
                Some(encode(&answer, v))
            }
            ApiKey::OFFSET_FETCH => {
                let fault = moved.or(self.fault(&[14, 16, 88]));
                Some(encode(&self.group.fetch(&read(body, v), fault), v))
            }
            other => panic!("{other:?}"),
        }
    }

    /// A connection breaks: what was on it is lost.
    pub(super) fn cut(&mut self, at: usize) {
        let wait = self.dice.below(3000);
        self.cut_for(at, Duration::from_millis(wait));
    }

    pub(super) fn cut_for(&mut self, at: usize, wait: Duration) {
        let Some(key) = self.links.keys().nth(at).copied() else { return };
        self.links.get_mut(&key).unwrap().up = self.now.mono + wait;
        while let Some(flight) = self.links.get_mut(&key).unwrap().flights.pop_front() {
            let error = Error::new(ErrorKind::Connect, "cut");
            let lost = flight.served || self.dice.below(2) == 0;
            let result = Err(if lost { RequestError::Lost(error) } else { RequestError::NotSent(error) });
            self.with(|c, cx| c.handle_response(cx, key.0, flight.tag, result));
        }
    }

    pub(super) fn refresh(&mut self) {
        self.stale = false;
        let ix = self.names.topic("t");
        let partitions: Vec<PartitionView> = self
            .logs
            .iter()
            .map(|(n, log)| PartitionView {
                ix: self.names.partition(ix, *n),
                number: *n,
                leader: Some(log.leader),
                leader_epoch: log.epoch,
                replicas: vec![],
                isr: vec![],
                offline: vec![],
                error: ErrorCode::NONE,
            })
            .collect();
        let old = self.view.clone();
        let moved =
            partitions.iter().filter(|p| old.leader((ix, p.number)) != Some((p.leader.unwrap(), p.leader_epoch)));
        let diff = Diff { topics: vec![ix], moved: moved.map(|p| p.ix).collect(), ..Diff::default() };
        let topic = TopicView {
            ix,
            name: "t".into(),
            id: Uuid::ZERO,
            incarnation: 0,
            internal: false,
            doubt: None,
            partitions,
        };
        let topics = [(ix, Arc::new(topic))].into();
        self.view = Arc::new(View { version: old.version + 1, topics, ..View::default() });
        self.with(|c, cx| c.handle_metadata(cx, &diff));
    }

    pub(super) fn seek(&mut self) {
        let (at, back) = (self.dice.below(4) as usize, self.dice.below(10) as i64);
        self.note_done();
        if let Some((command, freed)) = self.front.seek(IX, at, back) {
            self.command(command);
            for freed in freed {
                self.consumer.handle_freed(freed);
            }
        }
    }

    pub(super) fn pause(&mut self, partition: i32, pause: bool) {
        let command = self.front.pause(IX, partition, pause);
        self.command(command);
    }

    /// The application polls, or is busy.
    fn application(&mut self) {
        if self.away > self.now.mono || self.dice.below(2) == 0 {
            return;
        }
        self.front.polling = true;
        for command in self.front.poll(IX) {
            self.command(command);
        }
        self.note_done();
        let progress = self.front.progress();
        if self.dice.below(4) == 0 {
            self.with(|c, cx| c.handle_progress(cx, &progress));
        }
        let n = 1 + self.dice.below(5) as usize;
        let (records, freed) = self.front.take(n);
        for freed in freed {
            self.consumer.handle_freed(freed);
        }
        if !records.is_empty() {
            self.front.polling = false;
            self.front.last_return = self.now.mono;
        }
        if self.explicit && self.dice.below(10) == 0 {
            let commit = self.front.commit(IX);
            self.note_done();
            self.command(commit);
        }
    }

    fn note_done(&mut self) {
        for gate in self.front.gates.values() {
            let prefix = self.prefix.get_mut(&gate.number).unwrap();
            *prefix = (*prefix).max(gate.done);
        }
    }

    /// The other member reads and commits all there is.
    fn others(&mut self) {
        for number in self.group.others() {
            if self.dice.below(10) == 0 {
                let end = self.logs[&number].end;
                self.prefix.insert(number, end);
                self.group.committed.insert(number, end);
            }
        }
    }

    /// Time passes, and everybody does a little.
    pub(super) fn tick(&mut self) {
        let long = self.dice.below(20) == 0;
        let by = if long { 1 + self.dice.below(300) } else { 1 + self.dice.below(15) };
        self.now.mono = self.now.mono + Duration::from_millis(by);
        let now = self.now.mono;
        if self.consumer.poll_timeout().is_some_and(|w| w.at <= now) {
            self.with(|c, cx| c.handle_timeout(cx));
        }
        self.settle();
        let wake = self.consumer.poll_timeout();
        assert!(wake.is_none_or(|w| w.at > now), "a wake-up in the past: {wake:?} at {now:?}");
        self.group.tick(now);
        self.others();
        self.serve();
        if self.stale && self.dice.below(5) == 0 {
            self.refresh();
        }
        self.settle();
        self.application();
        let mut asked = 0;
        while self.consumer.poll_want_progress() {
            let progress = self.front.progress();
            self.with(|c, cx| c.handle_progress(cx, &progress));
            asked += 1;
            assert!(asked < 5, "it never has enough of progress");
        }
        self.settle();
    }

    pub(super) fn is_caught_up(&self) -> bool {
        self.logs.iter().all(|(n, log)| self.prefix[n] == log.end)
    }
}

fn encode<M: Message>(message: &M, version: i16) -> Vec<u8> {
    let mut w = Writer::new();
    message.encode(&mut w, version).unwrap();
    w.into_vec()
}

fn read<M: Message>(body: &[u8], version: i16) -> M {
    M::decode(&mut Reader::new(body), version).unwrap()
}
