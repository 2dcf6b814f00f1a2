//! The producer, the front that feeds it, the links and brokers around it, and the faults.

use super::super::sequence::NEAR_WRAP;
use super::batch;
use super::broker::{Log, Seen};
use super::monitor::Monitor;
use crate::client::Event;
use crate::client::role::{Cx, Known, Lane, LinkFacts, Needs, News, Request, RequestError, Response, RoleMachine, Tag};
use crate::cluster::Coordinators;
use crate::config::{Acks, ClientConfig, ProducerConfig};
use crate::metadata::{Diff, Names, Node, PartitionView, TopicView, View};
use crate::producer::handover::{Batch, Collect, Left, Take, Taken};
use crate::producer::machine::Producer;
use crate::rng::Rng;
use crate::stats::Stats;
use crate::wire::messages::api_versions::ApiVersion;
use crate::wire::messages::produce::{LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse};
use crate::wire::messages::{ApiVersionsResponse, InitProducerIdResponse, ProduceRequest, ProduceResponse};
use crate::wire::{ApiKey, ApiRanges, Message, Reader, Uuid, Writer};
use crate::{BrokerId, ConnId, Error, ErrorCode, ErrorKind, Now, PartitionIx, ProducerIx, Time, Timestamp, TopicIx};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub(super) const BROKERS: i32 = 3;

/// One partition with its slot in the front.
pub(super) struct Place {
    pub(super) ix: PartitionIx,
    pub(super) log: Log,
    pub(super) past: Vec<Log>,
    slot: VecDeque<Batch>,
    /// The batch that takes records, and since when.
    open: Option<(Batch, Time)>,
    next_no: u64,
}

impl Place {
    fn left(&self) -> Left {
        let batches = || self.slot.iter().chain(self.open.as_ref().map(|(batch, _)| batch));
        Left {
            packed: self.slot.len() as u32,
            bytes: batches().map(|b| b.body.len() as u64).sum(),
            open_since: self.open.as_ref().map(|(_, since)| *since),
            oldest_entry: batches().map(|b| b.entered).min(),
            ..Left::default()
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slot.is_empty() && self.open.is_none()
    }
}

/// A request on its way.
struct Flight {
    tag: Tag,
    version: i16,
    body: Vec<u8>,
    answer: Option<Result<Vec<u8>, ()>>,
    silent: bool,
    partitions: Vec<PartitionIx>,
}

#[derive(Default)]
pub(super) struct Link {
    pub(super) up: bool,
    breaks: u32,
    flights: VecDeque<Flight>,
}

pub(super) struct World {
    pub(super) dice: Rng,
    pub(super) now: Now,
    pub(super) names: Names,
    pub(super) topic: TopicIx,
    pub(super) view: Arc<View>,
    pub(super) places: Vec<Place>,
    pub(super) links: BTreeMap<BrokerId, Link>,
    /// Requests that lie in a broker's socket although their connection is gone.
    ghosts: Vec<(BrokerId, i16, Vec<u8>)>,
    /// One of them was worked on.
    pub(super) haunted: bool,
    pub(super) init: Option<(Tag, BrokerId, i16)>,
    next_id: i64,
    pub(super) producer: Producer,
    pub(super) monitor: Monitor,
    pub(super) stats: Stats,
    pub(super) acks: Acks,
    /// Requests name topics by their ids.
    pub(super) by_id: bool,
    versions: ApiRanges,
    cx_rng: Rng,
    coordinators: Coordinators,
    events: VecDeque<Event>,
    news: Vec<News>,
    /// Chance of a fault per request and partition, in 1000.
    pub(super) faults: u64,
    pub(super) stale: bool,
    /// Only faults that pass: then nothing may fail.
    pub(super) gentle: bool,
    pub(super) errors: Vec<Error>,
    pub(super) culprits: Vec<(u32, Error)>,
    /// Every event that is no batch's outcome.
    pub(super) heard: Vec<Event>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Rng::new(seed);
        let mut config = ProducerConfig::default();
        let mode = dice.below(10);
        config.enable_idempotence = mode < 7;
        config.acks = match mode {
            7 => Acks::One,
            8 => Acks::Zero,
            _ => Acks::All,
        };
        config.max_in_flight_requests_per_connection = 1 + dice.below(5) as u32;
        config.linger = Duration::from_millis([0, 5, 300][dice.below(3) as usize]);
        config.retry_backoff = Duration::from_millis(20);
        config.retry_backoff_max = Duration::from_millis(100);
        config.delivery_timeout = Duration::from_millis([900, 5_000, 60_000][dice.below(3) as usize]);
        config.max_request_size = [60, 400, 100_000][dice.below(3) as usize];
        if dice.below(10) == 0 {
            config.retries = dice.below(3) as u32;
        }
        let gentle = dice.below(4) == 0;
        if gentle {
            (config.delivery_timeout, config.retries) = (Duration::from_secs(60), u32::MAX);
        }
        let places = 1 + dice.below(4) as i32;
        let mut world = Self::of(dice, config, places);
        world.gentle = gentle;
        world.faults = [0, 30, 150, 400][world.dice.below(4) as usize];
        if world.dice.below(4) == 0 && !gentle {
            for place in &mut world.places {
                place.log.max_bytes = 61 + [30, 60, 200][world.dice.below(3) as usize];
            }
        }
        world.with(|p, cx| p.want_topic(cx, "t".into()));
        world
    }

    /// A world without faults, about which the producer knows nothing yet.
    pub(super) fn of(mut dice: Rng, config: ProducerConfig, places: i32) -> Self {
        let highest = if dice.below(2) == 0 { 13 } else { 9 };
        let api = |key, max| ApiVersion { api_key: key, min_version: 0, max_version: max };
        let versions = ApiVersionsResponse {
            api_keys: vec![api(ApiKey::PRODUCE, highest), api(ApiKey::INIT_PRODUCER_ID, 5)],
            ..Default::default()
        };
        let mut names = Names::default();
        let topic = names.topic("t");
        let places: Vec<Place> = (0..places)
            .map(|n| Place {
                ix: names.partition(topic, n),
                log: Log::new(1, BrokerId(1 + dice.below(BROKERS as u64) as i32)),
                past: Vec::new(),
                slot: VecDeque::new(),
                open: None,
                next_no: 0,
            })
            .collect();
        let idempotent = config.enable_idempotence;
        let most = match () {
            () if idempotent || config.retries == 0 => config.max_in_flight_requests_per_connection as usize,
            () => 1,
        };
        let (acks, backoff) = (config.acks, Duration::from_millis(1));
        let producer = Producer::new(ProducerIx(4), Arc::new(config), None, &ClientConfig::default());
        Self {
            now: Now { mono: Time(1_000_000_000_000), wall: Timestamp(0) },
            names,
            topic,
            view: Arc::default(),
            places,
            links: (1..=BROKERS).map(|b| (BrokerId(b), Link { up: true, ..Link::default() })).collect(),
            ghosts: Vec::new(),
            haunted: false,
            init: None,
            next_id: 100,
            producer,
            monitor: Monitor::new(idempotent, most),
            stats: Stats::default(),
            acks,
            by_id: highest == 13,
            versions: ApiRanges::new(&versions),
            cx_rng: dice.fork(),
            coordinators: Coordinators::new((backoff, backoff), backoff),
            events: VecDeque::new(),
            news: Vec::new(),
            faults: 0,
            stale: true,
            gentle: true,
            errors: Vec::new(),
            culprits: Vec::new(),
            heard: Vec::new(),
            dice,
        }
    }

    /// Calls the producer and takes what it says.
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
        while let Some(event) = self.events.pop_front() {
            self.monitor.event(&event);
            match event {
                Event::Failed { error, culprits, .. } => {
                    self.errors.push(error);
                    self.culprits.extend(culprits);
                }
                Event::Delivered { .. } | Event::Split { .. } => {}
                other => self.heard.push(other),
            }
        }
        for news in std::mem::take(&mut self.news) {
            self.stale |= matches!(news, News::Stale { .. } | News::Leader { .. });
        }
        out
    }

    pub(super) fn chance(&mut self, in_1000: u64) -> bool {
        self.dice.below(1000) < in_1000
    }

    /// Records come in at the front: a batch that stays open, or one that is sealed.
    pub(super) fn append_records(&mut self) {
        let (at, stays_open) = (self.dice.below(self.places.len() as u64) as usize, self.chance(300));
        self.append_at(at, stays_open);
    }

    pub(super) fn append_sealed(&mut self) {
        self.append_at(0, false);
    }

    pub(super) fn append_open(&mut self) {
        self.append_at(0, true);
    }

    fn append_at(&mut self, at: usize, stays_open: bool) {
        let (count, now) = (1 + self.dice.below(6) as u32, self.now.mono);
        let place = &mut self.places[at];
        place.slot.extend(place.open.take().map(|(batch, _)| batch));
        let mut fresh = batch(place.next_no, count);
        fresh.entered = now;
        place.next_no += 1;
        if stays_open {
            place.open = Some((fresh, now));
        } else {
            place.slot.push_back(fresh);
        }
        let (ix, left) = (place.ix, place.left());
        self.with(|p, cx| p.handle_slots(cx, &[(ix, left)]));
    }

    /// Records begin or cease to wait for memory.
    pub(super) fn press(&mut self, waiting: bool) {
        self.producer.handle_pressure(waiting);
    }

    /// Answers every collect, as the engine does.
    pub(super) fn collect(&mut self) -> bool {
        let mut collect = Collect::default();
        let mut any = false;
        let mut rounds = 0;
        while self.producer.poll_collect(self.now, &self.view, &self.names, &mut collect) {
            any = true;
            rounds += 1;
            assert!(rounds < 1000, "asks for ever");
            let mut taken = Vec::new();
            let mut bytes = 0;
            for ix in &collect.from {
                let place = self.places.iter_mut().find(|p| p.ix == *ix).unwrap();
                let due = |b: &Batch| match collect.take {
                    Take::Expire { entered_before } => b.entered < entered_before,
                    Take::Send => bytes == 0 || bytes < collect.max_bytes,
                };
                if place.slot.is_empty() && place.open.as_ref().is_some_and(|(b, _)| due(b)) {
                    place.slot.extend(place.open.take().map(|(batch, _)| batch));
                }
                let batch = if place.slot.front().is_some_and(due) { place.slot.pop_front() } else { None };
                if let Some(batch) = &batch {
                    bytes += batch.body.len();
                    self.monitor.taken(*ix, batch.no, batch.count);
                }
                taken.push(Taken { partition: *ix, batch, left: place.left() });
            }
            self.with(|p, cx| p.handle_taken(cx, collect.id, &mut taken));
            assert!(taken.is_empty());
        }
        any
    }

    pub(super) fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        self.producer
            .needs(&mut needs, &Known { view: &self.view, names: &self.names, coordinators: &self.coordinators });
        needs
    }

    /// Offers every link that is up until nobody wants it.
    pub(super) fn offer(&mut self) -> bool {
        let mut any = false;
        let up: Vec<BrokerId> = self.links.iter().filter(|(_, link)| link.up).map(|(b, _)| *b).collect();
        let needs = self.needs();
        for broker in up {
            for lane in [Lane::Control, Lane::Produce(ProducerIx(4))] {
                if !(needs.any.contains(&lane) || needs.links.contains(&(broker, lane))) {
                    continue;
                }
                loop {
                    let versions = self.versions.clone();
                    let in_flight = self.links[&broker].flights.len();
                    let conn = ConnId { index: broker.0 as u32, generation: self.links[&broker].breaks };
                    let facts = LinkFacts { broker, lane, conn, versions: &versions, in_flight };
                    let Some(request) = self.with(|p, cx| p.poll_request(&facts, cx)) else { break };
                    any = true;
                    self.take_request(broker, lane, request);
                }
            }
        }
        any
    }

    fn take_request(&mut self, broker: BrokerId, lane: Lane, request: Request) {
        if request.api == ApiKey::INIT_PRODUCER_ID {
            assert_eq!(lane, Lane::Control);
            assert!(self.init.is_none(), "asked twice");
            self.init = Some((request.tag, broker, request.version));
            return;
        }
        assert_eq!((request.api, lane), (ApiKey::PRODUCE, Lane::Produce(ProducerIx(4))));
        let body = request.body.concat();
        let message = ProduceRequest::decode(&mut Reader::new(&body), request.version).expect("a Produce request");
        let mut partitions = Vec::new();
        for topic in &message.topic_data {
            for part in &topic.partition_data {
                let ix = self.names.find("t", part.index).unwrap();
                assert!(!partitions.contains(&ix), "a partition twice in one request");
                let seen = Seen::read(part.records.as_ref().unwrap());
                self.monitor.sent(ix, broker, &seen, request.silent);
                partitions.push(ix);
            }
        }
        let (tag, version, silent) = (request.tag, request.version, request.silent);
        let flight = Flight { tag, version, body, answer: None, silent, partitions };
        self.links.get_mut(&broker).unwrap().flights.push_back(flight);
    }

    /// A broker works on the next request of its link.
    pub(super) fn work(&mut self, broker: BrokerId) -> bool {
        let flights = &self.links[&broker].flights;
        let Some(at) = flights.iter().position(|f| f.answer.is_none()) else { return false };
        let (body, version) = (flights[at].body.clone(), flights[at].version);
        let bytes = self.serve(broker, version, &body);
        self.links.get_mut(&broker).unwrap().flights[at].answer = Some(Ok(bytes));
        true
    }

    fn serve(&mut self, broker: BrokerId, version: i16, body: &[u8]) -> Vec<u8> {
        let message = ProduceRequest::decode(&mut Reader::new(body), version).unwrap();
        let mut answer = ProduceResponse::default();
        for topic in message.topic_data {
            let mut parts = Vec::new();
            for part in topic.partition_data {
                let index = part.index;
                let place = self.places.iter().position(|p| self.names.place(p.ix).1 == index).unwrap();
                let by_id = version >= 13;
                let id = if by_id { topic.topic_id } else { self.places[place].log.id };
                if let Some(said) = self.append(broker, place, id, &part.records.unwrap()) {
                    parts.push(PartitionProduceResponse { index, ..said });
                }
            }
            answer.responses.push(TopicProduceResponse {
                name: topic.name,
                topic_id: topic.topic_id,
                partition_responses: parts,
            });
        }
        if version < 10 {
            answer
                .responses
                .iter_mut()
                .flat_map(|t| &mut t.partition_responses)
                .for_each(|p| p.current_leader = Default::default());
        } else {
            let node = |b| NodeEndpoint { node_id: BrokerId(b), host: "h".into(), port: 9, ..Default::default() };
            answer.node_endpoints = (1..=BROKERS).map(node).collect();
        }
        let mut w = Writer::new();
        answer.encode(&mut w, version).expect("an answer");
        let mut bytes = w.into_vec();
        if self.chance(self.faults / 8) {
            bytes.truncate(bytes.len() / 2);
        }
        bytes
    }

    /// A broker comes to a request whose connection is gone.
    pub(super) fn haunt(&mut self) -> bool {
        let Some((broker, version, body)) = self.ghosts.pop() else { return false };
        self.haunted = true;
        self.serve(broker, version, &body);
        true
    }

    /// Appends one batch, with a fault before or after. `None`: the partition is left out of the answer.
    fn append(&mut self, broker: BrokerId, place: usize, id: Uuid, batch: &Bytes) -> Option<PartitionProduceResponse> {
        let refuse =
            |code: ErrorCode| PartitionProduceResponse { error_code: code, base_offset: -1, ..Default::default() };
        let (early, late) = (self.chance(self.faults / 2), self.chance(self.faults / 2));
        let (dice, gentle) = (self.dice.below(100), self.gentle);
        let log = &mut self.places[place].log;
        if id != log.id {
            return Some(refuse(ErrorCode::UNKNOWN_TOPIC_ID));
        }
        if log.leader != Some(broker) {
            let leader_id = log.leader.unwrap_or(BrokerId(-1));
            let current_leader = LeaderIdAndEpoch { leader_id, leader_epoch: log.epoch };
            return Some(PartitionProduceResponse { current_leader, ..refuse(ErrorCode(6)) });
        }
        if early {
            let codes: &[i16] = if gentle { &[19, 3, 6] } else { &[19, 19, 19, 3, 6, 87, 2, 29] };
            return Some(refuse(ErrorCode(codes[dice as usize % codes.len()])));
        }
        match log.append(&Seen::read(batch)) {
            Err(code) => Some(refuse(code)),
            Ok(_) if late && dice < 20 => None,
            Ok(base) if late => {
                let codes: &[i16] = if gentle { &[7, 6, 3, 56, 20] } else { &[7, 7, 6, 3, 56, 20, -1] };
                let code = ErrorCode(codes[dice as usize % codes.len()]);
                // Not every broker names the offset of what it could not replicate.
                let base_offset = if dice % 3 == 0 { -1 } else { base };
                Some(PartitionProduceResponse { error_code: code, base_offset, ..Default::default() })
            }
            Ok(base) => Some(PartitionProduceResponse { base_offset: base, ..Default::default() }),
        }
    }

    /// The oldest finished answer of a link arrives.
    pub(super) fn arrive(&mut self, broker: BrokerId) -> bool {
        let flights = &mut self.links.get_mut(&broker).unwrap().flights;
        if flights.front().is_none_or(|f| f.answer.is_none()) {
            return false;
        }
        let flight = flights.pop_front().unwrap();
        let frame = if flight.silent { Vec::new() } else { flight.answer.unwrap().unwrap() };
        self.back(broker, flight.tag, &flight.partitions, Ok(Response { version: flight.version, frame, at: 0 }));
        true
    }

    /// The next request of a link is answered with this.
    pub(super) fn answer(&mut self, broker: BrokerId, answer: impl FnOnce(i16, Uuid) -> ProduceResponse) {
        let flight = self.links.get_mut(&broker).unwrap().flights.pop_front().expect("a request");
        let id = if flight.version >= 13 { self.places[0].log.id } else { Uuid::ZERO };
        let mut w = Writer::new();
        answer(flight.version, id).encode(&mut w, flight.version).unwrap();
        let response = Response { version: flight.version, frame: w.into_vec(), at: 0 };
        self.back(broker, flight.tag, &flight.partitions, Ok(response));
    }

    fn back(&mut self, broker: BrokerId, tag: Tag, of: &[PartitionIx], result: Result<Response, RequestError>) {
        for partition in of {
            self.monitor.returned(*partition);
        }
        self.with(|p, cx| p.handle_response(cx, broker, tag, result));
    }

    /// A link ends: what it carries was worked on or not, and nobody says which.
    pub(super) fn cut(&mut self, broker: BrokerId) {
        let mut unsent = 0;
        while self.links[&broker].flights.iter().any(|f| f.answer.is_none()) {
            if self.chance(400) {
                unsent = self.links[&broker].flights.iter().filter(|f| f.answer.is_none()).count();
                break;
            }
            self.work(broker);
        }
        let sent_none = self.dice.below(unsent as u64 + 1) as usize;
        let link = self.links.get_mut(&broker).unwrap();
        link.up = false;
        link.breaks += 1;
        let flights = std::mem::take(&mut link.flights);
        let sent = flights.len() - sent_none;
        for (i, flight) in flights.into_iter().enumerate() {
            let why = Error::new(ErrorKind::Connect, "the connection ended").with_broker(broker.0);
            // Without stamps nothing tells the late copy from a new batch.
            if i < sent && flight.answer.is_none() && self.monitor.idempotent {
                self.ghosts.push((broker, flight.version, flight.body));
            }
            let error = if i < sent { RequestError::Lost(why) } else { RequestError::NotSent(why) };
            self.back(broker, flight.tag, &flight.partitions, Err(error));
        }
    }

    /// The answer to InitProducerId arrives.
    pub(super) fn identify(&mut self) -> bool {
        let Some((tag, broker, version)) = self.init.take() else { return false };
        let result = if self.chance(self.faults) {
            Err(RequestError::Lost(Error::new(ErrorKind::Connect, "the connection ended")))
        } else {
            let busy = self.chance(self.faults);
            self.next_id += i64::from(!busy);
            let wraps = if self.dice.below(2) == 0 { NEAR_WRAP } else { 0 };
            let answer = InitProducerIdResponse {
                error_code: ErrorCode(if busy { 14 } else { 0 }),
                producer_id: if busy { -1 } else { self.next_id | wraps },
                // Close to the last epoch, so that runs come to it.
                producer_epoch: if self.dice.below(3) == 0 { i16::MAX - 2 } else { 0 },
                ..Default::default()
            };
            let mut w = Writer::new();
            answer.encode(&mut w, version).unwrap();
            Ok(Response { version, frame: w.into_vec(), at: 0 })
        };
        self.with(|p, cx| p.handle_response(cx, broker, tag, result));
        true
    }

    pub(super) fn pass(&mut self, by: Duration) {
        self.now.mono = self.now.mono + by;
        self.with(|p, cx| p.handle_timeout(cx));
        let wake = self.producer.poll_timeout();
        assert!(wake.is_none_or(|w| w.at > self.now.mono), "wakes for ever: {wake:?} at {:?}", self.now.mono);
    }

    pub(super) fn until_wake(&self) -> Option<Duration> {
        Some(self.producer.poll_timeout()?.at.since(self.now.mono))
    }

    /// A new metadata answer.
    pub(super) fn refresh(&mut self) {
        self.stale = false;
        let old = self.view.clone();
        let before = old.topic(self.topic);
        let mut diff = Diff { topics: vec![self.topic], ..Diff::default() };
        let incarnation = self.places[0].log.incarnation;
        if before.is_some_and(|t| t.incarnation != incarnation) {
            diff.recreated.push(self.topic);
        }
        let partitions = self.places.iter().zip(0..).map(|(place, number)| {
            let (leader, leader_epoch) = (place.log.leader, place.log.epoch);
            let known = before.and_then(|t| t.partition(number)).map(|p| (p.leader, p.leader_epoch));
            if known != Some((leader, leader_epoch)) {
                diff.moved.push(place.ix);
            }
            PartitionView {
                ix: place.ix,
                number,
                leader,
                leader_epoch,
                replicas: Vec::new(),
                isr: Vec::new(),
                offline: Vec::new(),
                error: ErrorCode::NONE,
            }
        });
        let topic = TopicView {
            ix: self.topic,
            name: "t".into(),
            id: self.places[0].log.id,
            incarnation,
            internal: false,
            doubt: None,
            partitions: partitions.collect(),
        };
        let node = |b| Node { id: BrokerId(b), host: "h".into(), port: 9, rack: None };
        self.view = Arc::new(View {
            version: old.version + 1,
            brokers: (1..=BROKERS).map(|b| (BrokerId(b), node(b))).collect(),
            topics: [(self.topic, Arc::new(topic))].into(),
            ..View::default()
        });
        self.with(|p, cx| p.handle_metadata(cx, &diff));
    }
}
