//! The producer, the application and the front that feed it, and the links to the brokers with what goes wrong on them.

use super::brokers::Brokers;
use super::requests::{self, Asked};
use crate::client::role::{
    CoordinatorKind, Cx, Known, Lane, LinkFacts, Needs, News, Request, Response, RoleMachine, Tag,
};
use crate::client::{CommitOffset, EndTransaction, Event, GroupMeta, SendOffsets, TopicPartition};
use crate::cluster::Coordinators;
use crate::config::{ClientConfig, ProducerConfig};
use crate::metadata::{Diff, Names, Node, PartitionView, TopicView, View};
use crate::producer::handover::{Batch, Collect, Left, Take, Taken};
use crate::producer::machine::Producer;
use crate::producer::model::batch;
use crate::rng::Rng;
use crate::stats::Stats;
use crate::wire::messages::api_versions::ApiVersion;
use crate::wire::messages::find_coordinator::Coordinator;
use crate::wire::messages::{ApiVersionsResponse, FindCoordinatorResponse};
use crate::wire::{ApiKey, ApiRanges, Message, Uuid, Writer};
use crate::{
    BatchNo, BrokerId, ConnId, Error, ErrorCode, ErrorKind, Now, OpId, PartitionIx, ProducerIx, Time, Timestamp,
    TopicIx,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub(super) const BROKERS: i32 = 3;
const IX: ProducerIx = ProducerIx(4);
const LANES: [Lane; 2] = [Lane::Produce(IX), Lane::Txn(IX)];

/// A request on its way.
pub(super) struct Flight {
    pub(super) tag: Tag,
    pub(super) version: i16,
    pub(super) asked: Asked,
    pub(super) answer: Option<Vec<u8>>,
}

#[derive(Default)]
pub(super) struct Link {
    pub(super) flights: VecDeque<Flight>,
    pub(super) breaks: u32,
}

/// What the application did in one transaction, and what it was told.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// Its batches: by number, acknowledged or why not.
    pub(super) batches: BTreeMap<u64, Option<Result<(), Error>>>,
    pub(super) offset: bool,
    pub(super) commit: Option<bool>,
    pub(super) told: Option<Result<(), Error>>,
    /// The first failure of a batch, as the front keeps it.
    trouble: Option<Error>,
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Start,
    Offsets,
    End(u64),
}

pub(super) struct World {
    pub(super) dice: Rng,
    pub(super) now: Now,
    names: Names,
    topic: TopicIx,
    view: Arc<View>,
    places: Vec<PartitionIx>,
    pub(super) leaders: Vec<(BrokerId, i32)>,
    /// Who coordinates the transactions, and the group.
    pub(super) at: [BrokerId; 2],
    pub(super) links: BTreeMap<(BrokerId, Lane), Link>,
    /// Produce requests that lie in a broker's socket although their connection is gone.
    pub(super) ghosts: Vec<(BrokerId, i16, Asked)>,
    pub(super) brokers: Brokers,
    pub(super) producer: Producer,
    coordinators: Coordinators,
    stats: Stats,
    versions: ApiRanges,
    cx_rng: Rng,
    events: VecDeque<Event>,
    news: Vec<News>,
    stale: bool,
    /// The finalized `transaction.version`.
    pub(super) version: i16,
    slots: Vec<VecDeque<Batch>>,
    next_batch: u64,
    next_op: u64,
    ops: BTreeMap<OpId, Op>,
    pub(super) started: Option<Result<(), Error>>,
    pub(super) stories: BTreeMap<u64, Story>,
    /// The transaction that takes records.
    pub(super) open: Option<u64>,
    latest: u64,
    begun: u64,
    ends: VecDeque<(u64, bool, bool)>,
    /// Chance of a fault per request, in 1000.
    pub(super) faults: u64,
    /// Chance of one that ends the producer, in 1000.
    pub(super) fatal: u64,
    /// An EndTxn had no answer, or one that proves nothing.
    pub(super) doubts: bool,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Rng::new(seed);
        let version = 1 + dice.below(2) as i16;
        let config = ProducerConfig {
            transactional_id: Some("tx".into()),
            retry_backoff: Duration::from_millis(20),
            retry_backoff_max: Duration::from_millis(100),
            delivery_timeout: Duration::from_millis([900, 60_000][dice.below(2) as usize]),
            max_in_flight_requests_per_connection: 1 + dice.below(5) as u32,
            ..ProducerConfig::default()
        };
        let api = |(key, max)| ApiVersion { api_key: key, min_version: 0, max_version: max };
        let apis = [
            (ApiKey::PRODUCE, 12),
            (ApiKey::FIND_COORDINATOR, 4),
            (ApiKey::INIT_PRODUCER_ID, 5),
            (ApiKey::ADD_PARTITIONS_TO_TXN, 5),
            (ApiKey::ADD_OFFSETS_TO_TXN, 4),
            (ApiKey::TXN_OFFSET_COMMIT, 5),
            (ApiKey::END_TXN, 5),
        ];
        let versions = ApiVersionsResponse { api_keys: apis.map(api).into(), ..Default::default() };
        let mut names = Names::default();
        let topic = names.topic("t");
        let partitions = 1 + dice.below(3) as i32;
        let places: Vec<PartitionIx> = (0..partitions).map(|n| names.partition(topic, n)).collect();
        let any = |dice: &mut Rng| BrokerId(1 + dice.below(BROKERS as u64) as i32);
        let leaders = places.iter().map(|_| (any(&mut dice), 0)).collect();
        // Close to the last epoch, so that runs come to it: with the first protocol, where each is asked for.
        let first = if version == 1 && dice.below(3) == 0 { i16::MAX - 4 } else { 0 };
        let backoff = (Duration::from_millis(5), Duration::from_millis(20));
        let mut world = Self {
            now: Now { mono: Time(1_000_000_000_000), wall: Timestamp(0) },
            names,
            topic,
            view: Arc::default(),
            slots: places.iter().map(|_| VecDeque::new()).collect(),
            brokers: Brokers::new(places.len(), first),
            places,
            leaders,
            at: [any(&mut dice), any(&mut dice)],
            links: BTreeMap::new(),
            ghosts: Vec::new(),
            producer: Producer::new(IX, Arc::new(config), None, &ClientConfig::default()),
            coordinators: Coordinators::new(backoff, Duration::from_secs(30)),
            stats: Stats::default(),
            versions: ApiRanges::new(&versions),
            cx_rng: dice.fork(),
            events: VecDeque::new(),
            news: Vec::new(),
            stale: true,
            version,
            next_batch: 0,
            next_op: 0,
            ops: BTreeMap::new(),
            started: None,
            stories: BTreeMap::new(),
            open: None,
            latest: 0,
            begun: 0,
            ends: VecDeque::new(),
            faults: [0, 40, 150, 350][dice.below(4) as usize],
            fatal: [0, 0, 6, 25][dice.below(4) as usize],
            doubts: false,
            dice,
        };
        world.with(|p, cx| p.want_topic(cx, "t".into()));
        world.refresh();
        let op = world.op(Op::Start);
        world.with(|p, cx| p.init_transactions(cx, op));
        world
    }

    fn op(&mut self, what: Op) -> OpId {
        self.next_op += 1;
        self.ops.insert(OpId(self.next_op), what);
        OpId(self.next_op)
    }

    /// Whether something the application asked for has no answer.
    pub(super) fn waits(&self) -> bool {
        !self.ops.is_empty()
            || !self.ends.is_empty()
            || self.stories.values().any(|s| s.batches.values().any(Option::is_none))
    }

    pub(super) fn with<T>(&mut self, call: impl FnOnce(&mut Producer, &mut Cx<'_>) -> T) -> T {
        let view = self.view.clone();
        let mut cx = Cx {
            now: self.now,
            rng: &mut self.cx_rng,
            view: &view,
            names: &mut self.names,
            coordinators: &self.coordinators,
            events: &mut self.events,
            news: &mut self.news,
            stats: &mut self.stats,
            troubles: &Default::default(),
        };
        let out = call(&mut self.producer, &mut cx);
        for event in std::mem::take(&mut self.events) {
            match event {
                Event::Delivered { batch, .. } => self.outcome(batch, Ok(())),
                Event::Failed { batch, error, .. } => self.outcome(batch, Err(error)),
                Event::Done { op, result } => self.done(op, result.map(drop)),
                Event::Split { .. } => panic!("nothing is too large here"),
                _ => {}
            }
        }
        for news in std::mem::take(&mut self.news) {
            match news {
                News::CoordinatorLost { kind, key, broker } => {
                    self.coordinators.lost(self.now, kind, &key, broker, &mut self.cx_rng);
                }
                News::CoordinatorWorks { kind, key } => self.coordinators.confirm(kind, &key),
                News::Stale { .. } | News::Leader { .. } => self.stale = true,
                _ => {}
            }
        }
        out
    }

    fn outcome(&mut self, batch: BatchNo, result: Result<(), Error>) {
        let story = self.stories.values_mut().find(|s| s.batches.contains_key(&batch.0)).expect("a batch of ours");
        if let Err(error) = &result {
            story.trouble.get_or_insert(error.clone());
        }
        let before = story.batches.insert(batch.0, Some(result));
        assert!(matches!(before, Some(None)), "{batch:?} ended twice");
    }

    fn done(&mut self, op: OpId, result: Result<(), Error>) {
        match self.ops.remove(&op).expect("answered twice") {
            Op::Start => self.started = Some(result),
            Op::Offsets => {}
            Op::End(generation) => {
                let (front, ..) = self.ends.pop_front().expect("an end");
                assert_eq!(front, generation);
                self.stories.get_mut(&generation).unwrap().told = Some(result);
            }
        }
    }

    // ---- the application and its front -----------------------------------------------------------------------------

    pub(super) fn begin(&mut self) {
        if self.open.is_none() && self.ends.len() < 3 {
            self.latest += 1;
            self.open = Some(self.latest);
            self.stories.insert(self.latest, Story::default());
        }
        self.engine();
    }

    pub(super) fn send(&mut self) {
        let Some(generation) = self.open else { return };
        let (at, count) = (self.dice.below(self.places.len() as u64) as usize, 1 + self.dice.below(4) as u32);
        let mut fresh = batch(self.next_batch, count);
        (fresh.entered, fresh.generation) = (self.now.mono, generation);
        self.stories.get_mut(&generation).unwrap().batches.insert(self.next_batch, None);
        self.next_batch += 1;
        self.slots[at].push_back(fresh);
        let level = [(self.places[at], self.left(at))];
        self.with(|p, cx| p.handle_slots(cx, &level));
    }

    /// Its value names the transaction.
    pub(super) fn send_offsets(&mut self) {
        let Some(generation) = self.open else { return };
        if std::mem::replace(&mut self.stories.get_mut(&generation).unwrap().offset, true) {
            return;
        }
        let offset = CommitOffset { offset: generation as i64, leader_epoch: -1, metadata: "".into() };
        let group = GroupMeta { group: "g".into(), generation: 3, member: "m".into(), instance: None };
        let offsets = vec![(TopicPartition { topic: "t".into(), partition: 0 }, offset)];
        let op = self.op(Op::Offsets);
        self.with(|p, cx| p.send_offsets(cx, op, SendOffsets { generation, group, offsets }));
    }

    pub(super) fn end(&mut self, commit: bool) {
        let Some(generation) = self.open.take() else { return };
        self.stories.get_mut(&generation).unwrap().commit = Some(commit);
        self.ends.push_back((generation, commit, false));
        self.engine();
    }

    fn left(&self, at: usize) -> Left {
        let slot = &self.slots[at];
        Left {
            packed: slot.len() as u32,
            bytes: slot.iter().map(|b| b.body.len() as u64).sum(),
            oldest_entry: slot.iter().map(|b| b.entered).min(),
            ..Left::default()
        }
    }

    /// As the front's engine: one end after the other, each when its batches have their outcome.
    pub(super) fn engine(&mut self) {
        loop {
            let wanted = self.ends.front().map_or(self.latest, |end| end.0);
            if self.begun < wanted {
                self.begun = wanted;
                self.with(|p, cx| p.begin_transaction(cx, wanted));
                continue;
            }
            let Some((generation, commit, asked)) = self.ends.front().copied() else { return };
            let story = &self.stories[&generation];
            let trouble = story.trouble.clone();
            let settled = story.batches.values().all(Option::is_some);
            if asked || (commit && trouble.is_none() && !settled) {
                return;
            }
            self.ends[0].2 = true;
            if !commit || trouble.is_some() {
                self.discard(generation);
            }
            let op = self.op(Op::End(generation));
            self.with(|p, cx| p.end_transaction(cx, op, &EndTransaction { generation, commit, trouble }));
        }
    }

    fn discard(&mut self, generation: u64) {
        for at in 0..self.slots.len() {
            let (gone, keep): (VecDeque<_>, VecDeque<_>) =
                std::mem::take(&mut self.slots[at]).into_iter().partition(|b| b.generation <= generation);
            self.slots[at] = keep;
            for batch in gone {
                let error = Error::new(ErrorKind::Aborted, "its transaction is aborted");
                self.outcome(batch.no, Err(error));
            }
            let level = [(self.places[at], self.left(at))];
            self.with(|p, cx| p.handle_slots(cx, &level));
        }
    }

    pub(super) fn collect(&mut self) -> bool {
        let (mut collect, mut any) = (Collect::default(), false);
        while self.producer.poll_collect(self.now, &self.view, &self.names, &mut collect) {
            any = true;
            let mut taken = Vec::new();
            for ix in &collect.from {
                let at = self.places.iter().position(|p| p == ix).unwrap();
                let due = |b: &Batch| match collect.take {
                    Take::Expire { entered_before } => b.entered < entered_before,
                    Take::Send => true,
                };
                let batch = if self.slots[at].front().is_some_and(due) { self.slots[at].pop_front() } else { None };
                taken.push(Taken { partition: *ix, batch, left: self.left(at) });
            }
            self.with(|p, cx| p.handle_taken(cx, collect.id, &mut taken));
        }
        self.engine();
        any
    }

    // ---- links and brokers -----------------------------------------------------------------------------------------

    /// Offers every link that is wanted until nobody has anything for it.
    pub(super) fn offer(&mut self) -> bool {
        let mut needs = Needs::default();
        let known = Known { view: &self.view, names: &self.names, coordinators: &self.coordinators };
        self.producer.needs(&mut needs, &known);
        self.look_for_coordinators(&needs);
        let mut needs = Needs::default();
        let known = Known { view: &self.view, names: &self.names, coordinators: &self.coordinators };
        self.producer.needs(&mut needs, &known);
        let mut any = false;
        for (broker, lane) in needs.links {
            loop {
                let versions = self.versions.clone();
                let link = self.links.entry((broker, lane)).or_default();
                let conn = ConnId { index: broker.0 as u32, generation: link.breaks };
                let facts = LinkFacts { broker, lane, conn, versions: &versions, in_flight: link.flights.len() };
                let Some(request) = self.with(|p, cx| p.poll_request(&facts, cx)) else { break };
                any = true;
                self.take_request(broker, lane, &request);
            }
        }
        any
    }

    fn take_request(&mut self, broker: BrokerId, lane: Lane, request: &Request) {
        let asked = requests::read(request, &self.names);
        let produces = matches!(asked, Asked::Produce(_));
        assert_eq!(lane, LANES[usize::from(!produces)]);
        let link = self.links.get_mut(&(broker, lane)).unwrap();
        assert!(produces || link.flights.is_empty(), "two things asked of a coordinator at once");
        link.flights.push_back(Flight { tag: request.tag, version: request.version, asked, answer: None });
    }

    fn look_for_coordinators(&mut self, needs: &Needs) {
        self.coordinators.want(needs);
        while self.coordinators.wants_link(self.now.mono) {
            let versions = self.versions.clone();
            let conn = ConnId { index: 0, generation: 0 };
            let link = LinkFacts { broker: BrokerId(1), lane: Lane::Control, conn, versions: &versions, in_flight: 0 };
            let Some(request) = self.coordinators.poll_request(&link, self.now) else { break };
            let at = |key: &str| self.at[usize::from(key == "g")];
            let found = |key: &str| Coordinator {
                key: key.into(),
                node_id: at(key),
                host: "h".into(),
                port: 9,
                ..Default::default()
            };
            let keys: Vec<&str> = needs
                .coordinators
                .iter()
                .map(|(kind, _)| if *kind == CoordinatorKind::Group { "g" } else { "tx" })
                .collect();
            let answer =
                FindCoordinatorResponse { coordinators: keys.into_iter().map(found).collect(), ..Default::default() };
            let mut w = Writer::new();
            answer.encode(&mut w, request.version).unwrap();
            let response = Response { version: request.version, frame: w.into_vec(), at: 0 };
            self.coordinators.handle_response(self.now, &mut self.cx_rng, request.tag, Ok(response)).unwrap();
        }
    }

    pub(super) fn any_link(&mut self, wanted: impl Fn(&Link) -> bool) -> Option<(BrokerId, Lane)> {
        let all: Vec<_> = self.links.iter().filter(|(_, link)| wanted(link)).map(|(key, _)| *key).collect();
        if all.is_empty() { None } else { Some(all[self.dice.below(all.len() as u64) as usize]) }
    }

    /// A broker works on the next request of a link.
    pub(super) fn work(&mut self) -> bool {
        let Some(key) = self.any_link(|link| link.flights.iter().any(|f| f.answer.is_none())) else { return false };
        let flights = &self.links[&key].flights;
        let at = flights.iter().position(|f| f.answer.is_none()).unwrap();
        let (asked, version) = (flights[at].asked.clone(), flights[at].version);
        let spoil = self.spoil(&asked, key.0);
        let mut bytes = self.serve(key.0, version, &asked, spoil, false);
        if self.dice.below(1000) < self.faults / 10 {
            self.doubts |= matches!(asked, Asked::End(..));
            bytes.truncate(bytes.len() / 2);
        }
        self.links.get_mut(&key).unwrap().flights[at].answer = Some(bytes);
        true
    }

    /// The oldest answer of a link arrives.
    pub(super) fn arrive(&mut self) -> bool {
        let Some(key) = self.any_link(|link| link.flights.front().is_some_and(|f| f.answer.is_some())) else {
            return false;
        };
        let flight = self.links.get_mut(&key).unwrap().flights.pop_front().unwrap();
        let response = Response { version: flight.version, frame: flight.answer.unwrap(), at: 0 };
        self.with(|p, cx| p.handle_response(cx, key.0, flight.tag, Ok(response)));
        self.engine();
        true
    }

    pub(super) fn pass(&mut self, by: Duration) {
        self.now.mono = self.now.mono + by;
        self.with(|p, cx| p.handle_timeout(cx));
        let wake = self.producer.poll_timeout();
        assert!(wake.is_none_or(|w| w.at > self.now.mono), "wakes for ever: {wake:?}");
        self.engine();
    }

    pub(super) fn until_wake(&self) -> Option<Duration> {
        let wakes = [self.producer.poll_timeout(), self.coordinators.poll_timeout()];
        Some(wakes.into_iter().flatten().map(|w| w.at).min()?.since(self.now.mono))
    }

    pub(super) fn move_leader(&mut self) {
        let at = self.dice.below(self.leaders.len() as u64) as usize;
        let (_, epoch) = self.leaders[at];
        self.leaders[at] = (BrokerId(1 + self.dice.below(BROKERS as u64) as i32), epoch + 1);
    }

    pub(super) fn is_stale(&self) -> bool {
        self.stale
    }

    /// A new metadata answer.
    pub(super) fn refresh(&mut self) {
        self.stale = false;
        let old = self.view.clone();
        let mut diff = Diff { topics: vec![self.topic], ..Diff::default() };
        let partitions =
            (0..).zip(self.places.iter().zip(&self.leaders)).map(|(number, (ix, (leader, leader_epoch)))| {
                let before = old.topic(self.topic).and_then(|t| t.partition(number));
                if before.is_none_or(|p| p.leader_epoch != *leader_epoch) {
                    diff.moved.push(*ix);
                }
                PartitionView {
                    ix: *ix,
                    number,
                    leader: Some(*leader),
                    leader_epoch: *leader_epoch,
                    replicas: Vec::new(),
                    isr: Vec::new(),
                    offline: Vec::new(),
                    error: ErrorCode::NONE,
                }
            });
        let topic = TopicView {
            ix: self.topic,
            name: "t".into(),
            id: Uuid([1; 16]),
            incarnation: 0,
            internal: false,
            doubt: None,
            partitions: partitions.collect(),
        };
        let node = |b| Node { id: BrokerId(b), host: "h".into(), port: 9, rack: None };
        let mut view = View {
            version: old.version + 1,
            brokers: (1..=BROKERS).map(|b| (BrokerId(b), node(b))).collect(),
            topics: [(self.topic, Arc::new(topic))].into(),
            ..View::default()
        };
        view.features.levels.insert(super::super::FEATURE.into(), self.version);
        self.view = Arc::new(view);
        self.with(|p, cx| p.handle_metadata(cx, &diff));
        self.engine();
    }
}
