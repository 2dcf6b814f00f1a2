//! The world outside of the client: time, connections, brokers, and what goes wrong with them.

use crate::faults::Faults;
use crate::monitor::Monitor;
use crate::plan::Plan;
use crate::wire::Wire;
use klamm_cluster::{Cluster, Peer, Settings, StoredRecord};
use klamm_core::driver::{Clock, NetError, NetEvent, WorkDone};
use klamm_core::{ConnId, LookupId, Now, Time, Timestamp, WorkId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

/// 2026-01-01: where the wall clock of every run begins.
const WALL_ORIGIN: i64 = 1_767_225_600_000;
/// What every broker's listener has for a port.
const PORT: u16 = 9092;
/// How much of what a client sends may be under way on one connection.
const SEND_BUFFER: usize = 256 * 1024;

/// What comes to pass at its time.
pub(crate) enum Event {
    ToBroker(u64, Vec<u8>),
    ToClient(u64, Vec<u8>),
    EndToClient(u64),
    HangUp(u64),
    Answer(usize, Answer),
    Wake(Waker),
    Strike,
    Revive(i32),
    Heal,
}

pub(crate) enum Answer {
    Lookup(LookupId, Result<Vec<SocketAddr>, NetError>),
    Connect(ConnId, i32),
    Worked(WorkId, WorkDone),
}

/// One client's side of the network.
#[derive(Default)]
struct Side {
    events: VecDeque<NetEvent<u64>>,
    waker: Option<Waker>,
    /// The client's driver is gone.
    gone: bool,
}

/// Everything that is not the client.
pub(crate) struct World {
    time: Arc<AtomicU64>,
    /// How far the clients' wall clocks are from the brokers', in ms.
    pub(crate) wall: Arc<AtomicI64>,
    seed: u64,
    rng: fastrand::Rng,
    events: BTreeMap<(Time, u64), Event>,
    order: u64,
    pub(crate) wires: BTreeMap<u64, Wire>,
    pub(crate) peers: BTreeMap<Peer, u64>,
    next_wire: u64,
    sides: Vec<Side>,
    pub(crate) cluster: Cluster,
    /// A handle of the cluster changed something since the brokers were last looked at.
    changed: Arc<AtomicBool>,
    until: Duration,
    pub(crate) plan: Plan,
    /// How many blows of the plan have fallen.
    pub(crate) struck: usize,
    /// The next answer of a broker comes twice.
    pub(crate) twice: bool,
    /// What was in topics that are deleted, oldest first.
    pub(crate) past: BTreeMap<String, Vec<Vec<StoredRecord>>>,
    /// Topics that are never deleted.
    pub(crate) kept: BTreeSet<String>,
    /// What is left out of the plan.
    without: BTreeSet<usize>,
    pub(crate) monitor: Monitor,
    trace: u64,
    happened: u64,
}

/// The shared world.
pub(crate) type Shared = Arc<Mutex<World>>;

pub(crate) fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now_of(time: &AtomicU64) -> Now {
    let mono = Time(time.load(Ordering::Relaxed));
    Now { mono, wall: Timestamp(WALL_ORIGIN + i64::try_from(mono.0 / 1_000_000).unwrap_or(i64::MAX)) }
}

impl World {
    pub(crate) fn new(seed: u64, without: BTreeSet<usize>) -> Self {
        let time = Arc::new(AtomicU64::new(0));
        let changed = Arc::new(AtomicBool::new(false));
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut settings = Settings::default();
        settings.brokers = 3;
        settings.default_partitions = 3;
        settings.seed = rng.u64(..);
        // Of another source, so that the runs of old seeds stay what they were.
        let mut transactions = fastrand::Rng::with_seed(seed ^ 0x7a5ac7);
        settings.transaction_partitions = 3;
        settings.transaction_version = transactions.i16(1..=2);
        settings.transaction_write = Duration::from_micros(transactions.u64(0..20_000));
        settings.marker_delay = Duration::from_micros(transactions.u64(0..80_000));
        let (clock, flag) = (time.clone(), changed.clone());
        let cluster =
            Cluster::in_process(settings, move || now_of(&clock), move || flag.store(true, Ordering::Relaxed));
        cluster.with(|brokers, _| {
            for id in brokers.broker_ids() {
                brokers.set_address(id, &format!("broker-{id}.sim"), PORT);
            }
        });
        Self {
            time,
            wall: Arc::default(),
            seed,
            rng,
            events: BTreeMap::new(),
            order: 0,
            wires: BTreeMap::new(),
            peers: BTreeMap::new(),
            next_wire: 0,
            sides: Vec::new(),
            cluster,
            changed,
            until: Duration::ZERO,
            plan: Plan::default(),
            struck: 0,
            twice: false,
            past: BTreeMap::new(),
            kept: BTreeSet::new(),
            without,
            monitor: Monitor::default(),
            trace: 0xcbf2_9ce4_8422_2325,
            happened: 0,
        }
    }

    pub(crate) fn clock(&self) -> Clock {
        let (time, wall) = (self.time.clone(), self.wall.clone());
        Clock::new(move || {
            let now = now_of(&time);
            Now { wall: Timestamp(now.wall.0 + wall.load(Ordering::Relaxed)), ..now }
        })
    }

    pub(crate) fn now(&self) -> Now {
        now_of(&self.time)
    }

    /// A number that two runs of one seed must share.
    pub(crate) fn trace(&self) -> u64 {
        self.trace
    }

    /// How many things have come to pass.
    pub(crate) fn happened(&self) -> u64 {
        self.happened
    }

    pub(crate) fn note(&mut self, kind: u8, what: u64, bytes: &[u8]) {
        let head = [&[kind][..], &what.to_le_bytes(), &self.now().mono.0.to_le_bytes()].concat();
        for byte in head.iter().chain(bytes) {
            self.trace = (self.trace ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub(crate) fn at(&mut self, when: Time, event: Event) {
        self.order += 1;
        self.events.insert((when, self.order), event);
    }

    pub(crate) fn in_(&mut self, delay: Duration, event: Event) {
        let when = self.now().mono + delay;
        self.at(when, event);
    }

    fn faulty(&self) -> bool {
        self.now().mono.0 < u64::try_from(self.until.as_nanos()).unwrap_or(u64::MAX)
    }

    fn delay(&mut self) -> Duration {
        if self.plan.has_climate(1) && self.faulty() {
            // Mostly quick, now and then far too slow.
            let most = if self.rng.u8(..10) == 0 { 200_000 } else { 3_000 };
            return Duration::from_micros(self.rng.u64(50..most));
        }
        Duration::from_micros(200)
    }

    /// How much of `n` bytes goes through at once.
    fn part(&mut self, n: usize) -> usize {
        if n > 1 && self.plan.has_climate(0) && self.faulty() && self.rng.bool() { self.rng.usize(1..=n) } else { n }
    }

    pub(crate) fn set_faults(&mut self, faults: Faults) {
        self.until = faults.until;
        self.plan = Plan::draw(self.seed, &faults, self.without.clone());
        if self.plan.has_climate(3) {
            self.lag(self.plan.lags);
        }
        if faults.until > Duration::ZERO {
            if let Some((at, _)) = self.plan.blow(0) {
                self.at(Time::ZERO + at, Event::Strike);
            }
            let end = Time::ZERO + faults.until;
            self.at(end.max(self.now().mono), Event::Heal);
        }
    }

    pub(crate) fn new_side(&mut self) -> usize {
        self.sides.push(Side::default());
        self.sides.len() - 1
    }

    // ---- what a client's `Net` asks --------------------------------------------------------------------------------

    pub(crate) fn lookup(&mut self, side: usize, id: LookupId, host: &str, port: u16) {
        let fails = self.plan.has_climate(2) && self.faulty() && self.rng.u8(..20) == 0;
        let number =
            host.strip_prefix("broker-").and_then(|h| h.strip_suffix(".sim")).and_then(|n| n.parse::<u8>().ok());
        let answer = match number {
            Some(n) if !fails => Ok(vec![SocketAddr::from(([10, 0, 0, n], port))]),
            _ => Err(NetError { kind: io::ErrorKind::NotFound, text: "the name does not resolve".into() }),
        };
        let delay = self.delay();
        self.in_(delay, Event::Answer(side, Answer::Lookup(id, answer)));
    }

    pub(crate) fn connect(&mut self, side: usize, conn: ConnId, addr: SocketAddr) {
        let broker = match addr.ip() {
            std::net::IpAddr::V4(ip) => i32::from(ip.octets()[3]),
            std::net::IpAddr::V6(_) => 0,
        };
        let delay = self.delay();
        self.in_(delay, Event::Answer(side, Answer::Connect(conn, broker)));
    }

    pub(crate) fn worked(&mut self, side: usize, id: WorkId, done: WorkDone) {
        let delay = Duration::from_micros(self.rng.u64(1..20_000));
        self.in_(delay, Event::Answer(side, Answer::Worked(id, done)));
    }

    pub(crate) fn poll_event(&mut self, side: usize, waker: &Waker) -> Option<NetEvent<u64>> {
        let side = &mut self.sides[side];
        let event = side.events.pop_front();
        if event.is_none() {
            side.waker = Some(waker.clone());
        }
        event
    }

    /// A client's driver is gone: connections that it did not take end with it.
    pub(crate) fn drop_side(&mut self, side: usize) {
        let side = &mut self.sides[side];
        side.gone = true;
        for event in std::mem::take(&mut side.events) {
            if let NetEvent::Connected(_, Ok(id)) = event {
                self.drop_wire(id);
            }
        }
    }

    pub(crate) fn wake_at(&mut self, when: Time, waker: Waker) {
        self.at(when, Event::Wake(waker));
    }

    pub(crate) fn read(&mut self, id: u64, waker: &Waker, buf: &mut [u8]) -> Option<io::Result<usize>> {
        let there = self.wires.get(&id).map_or(0, |w| w.inbox.len().min(buf.len()));
        let part = self.part(there);
        let Some(wire) = self.wires.get_mut(&id) else { return Some(Ok(0)) };
        if part > 0 {
            let n = wire.take(buf, part);
            self.monitor.flights.read(id, &buf[..n]);
            return Some(Ok(n));
        }
        if wire.end.is_some() {
            self.monitor.flights.end(id);
        }
        match wire.end {
            Some(Ok(())) => Some(Ok(0)),
            Some(Err(kind)) => Some(Err(kind.into())),
            None => {
                wire.reader = Some(waker.clone());
                None
            }
        }
    }

    pub(crate) fn write(&mut self, id: u64, waker: &Waker, bytes: &[&[u8]]) -> Option<io::Result<usize>> {
        let all: usize = bytes.iter().map(|b| b.len()).sum();
        let now = self.now().mono;
        let Some(wire) = self.wires.get_mut(&id) else { return Some(Err(io::ErrorKind::BrokenPipe.into())) };
        if let Some(end) = wire.end {
            self.monitor.flights.end(id);
            return Some(Err(end.err().unwrap_or(io::ErrorKind::BrokenPipe).into()));
        }
        let room = SEND_BUFFER.saturating_sub(wire.outgoing);
        if room == 0 {
            wire.writer = Some(waker.clone());
            return None;
        }
        let n = self.part(all.min(room));
        let taken: Vec<u8> = bytes.iter().flat_map(|b| b.iter().copied()).take(n).collect();
        self.monitor.wrote(id, &taken);
        let delay = self.delay();
        let wire = self.wires.get_mut(&id)?;
        wire.outgoing += n;
        wire.last_out = wire.last_out.max(now + delay);
        let when = wire.last_out;
        self.at(when, Event::ToBroker(id, taken));
        Some(Ok(n))
    }

    pub(crate) fn drop_wire(&mut self, id: u64) {
        let delay = self.delay();
        let now = self.now().mono;
        self.monitor.flights.end(id);
        if let Some(wire) = self.wires.get_mut(&id) {
            wire.dropped = true;
            let when = wire.last_out.max(now + delay);
            self.at(when, Event::HangUp(id));
        }
    }

    // ---- time passes ------------------------------------------------------------------------------------------------

    /// Lets the next thing come to pass; false if nothing ever will.
    pub(crate) fn step(&mut self) -> bool {
        if self.changed.swap(false, Ordering::Relaxed) {
            self.tend_brokers();
            return true;
        }
        let brokers = self.cluster.with(|b, _| b.poll_timeout());
        self.changed.store(false, Ordering::Relaxed);
        let next = self.events.first_key_value().map(|(key, _)| key.0);
        match (brokers, next) {
            (Some(due), next) if next.is_none_or(|at| due < at) => {
                self.advance(due);
                self.happened += 1;
                self.cluster.with(|b, now| b.handle_timeout(now));
                self.tend_brokers();
                true
            }
            (_, Some(at)) => {
                self.advance(at);
                if let Some((_, event)) = self.events.pop_first() {
                    self.happened += 1;
                    self.happen(event);
                }
                true
            }
            (None, None) | (Some(_), None) => false,
        }
    }

    fn advance(&self, to: Time) {
        self.time.fetch_max(to.0, Ordering::Relaxed);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::ToBroker(id, bytes) => {
                self.note(1, id, &bytes);
                if let Some(wire) = self.wires.get_mut(&id) {
                    wire.outgoing -= bytes.len();
                    wire.waiting.extend(bytes);
                    if let Some(waker) = wire.writer.take() {
                        waker.wake();
                    }
                }
                self.tend_brokers();
            }
            Event::ToClient(id, bytes) => {
                self.note(2, id, &bytes);
                if let Some(wire) = self.wires.get_mut(&id).filter(|w| w.end.is_none()) {
                    wire.inbox.extend(bytes);
                    wire.wake();
                }
            }
            Event::EndToClient(id) => {
                self.note(3, id, &[]);
                if let Some(wire) = self.wires.get_mut(&id) {
                    wire.cut(Ok(()));
                }
            }
            Event::HangUp(id) => self.hang_up(id),
            Event::Answer(side, answer) => self.answer(side, answer),
            Event::Wake(waker) => waker.wake(),
            Event::Strike => self.strike(),
            Event::Revive(broker) => {
                self.note(5, u64::from(broker.unsigned_abs()), &[]);
                self.cluster.start_broker(broker);
            }
            Event::Heal => {
                self.note(6, 0, &[]);
                self.cluster.clear_faults();
                self.twice = false;
                let settings = Settings::default();
                self.cluster.with(|b, _| {
                    b.set_lags(settings.replication_lag, settings.metadata_lag);
                    b.set_coordinator_load(settings.coordinator_load);
                });
            }
        }
    }

    fn hang_up(&mut self, id: u64) {
        let Some(wire) = self.wires.remove(&id) else { return };
        self.peers.remove(&wire.peer);
        self.note(4, id, &[]);
        self.cluster.with(|b, now| b.hang_up(now, wire.peer));
        self.tend_brokers();
    }

    fn answer(&mut self, side: usize, answer: Answer) {
        if self.sides[side].gone {
            return;
        }
        let event = match answer {
            Answer::Lookup(id, answer) => NetEvent::Lookup(id, answer),
            Answer::Worked(id, done) => NetEvent::Worked(id, Ok(done)),
            Answer::Connect(conn, broker) => match self.cluster.with(|b, now| b.accept(now, broker)) {
                Some(peer) => {
                    self.next_wire += 1;
                    let (id, now) = (self.next_wire, self.now().mono);
                    self.wires.insert(id, Wire::new(peer, now));
                    self.peers.insert(peer, id);
                    self.monitor.flights.begin(id, side, broker);
                    NetEvent::Connected(conn, Ok(id))
                }
                None => {
                    let error = io::Error::from(io::ErrorKind::ConnectionRefused);
                    NetEvent::Connected(conn, Err(error.into()))
                }
            },
        };
        let side = &mut self.sides[side];
        side.events.push_back(event);
        if let Some(waker) = side.waker.take() {
            waker.wake();
        }
    }

    /// Hands the brokers what arrived for them and sends what they have to say.
    pub(crate) fn tend_brokers(&mut self) {
        loop {
            let waiting: Vec<u64> =
                self.wires.iter().filter(|(_, w)| !w.waiting.is_empty()).map(|(id, _)| *id).collect();
            let mut moved = false;
            for id in waiting {
                let Some(wire) = self.wires.get_mut(&id) else { continue };
                let peer = wire.peer;
                if self.cluster.with(|b, _| b.wants_input(peer)) {
                    let bytes: Vec<u8> = wire.waiting.drain(..).collect();
                    self.cluster.with(|b, now| b.receive(now, peer, &bytes));
                    moved = true;
                }
            }
            moved |= self.take_answers();
            if !moved {
                break;
            }
        }
        self.changed.store(false, Ordering::Relaxed);
    }

    fn take_answers(&mut self) -> bool {
        let mut moved = false;
        while let Some(peer) = self.cluster.with(|b, _| b.poll_transmit()) {
            let bytes = self.cluster.with(|b, now| {
                let mut all = Vec::new();
                let mut twice = std::mem::take(&mut self.twice);
                while !b.transmit(peer).is_empty() {
                    let n = b.transmit(peer).len();
                    all.extend_from_slice(b.transmit(peer));
                    if std::mem::take(&mut twice) {
                        all.extend_from_slice(b.transmit(peer));
                    }
                    b.sent(now, peer, n);
                }
                all
            });
            moved = true;
            if let Some(id) = self.peers.get(&peer).copied() {
                self.send_to_client(id, bytes);
            }
        }
        while let Some(peer) = self.cluster.with(|b, _| b.poll_closed()) {
            moved = true;
            if let Some(id) = self.peers.remove(&peer) {
                let delay = self.delay();
                let now = self.now().mono;
                let last = self.wires.get_mut(&id).map(|w| {
                    w.last_in = w.last_in.max(now + delay);
                    w.last_in
                });
                if let Some(when) = last {
                    self.at(when, Event::EndToClient(id));
                }
            }
        }
        moved
    }

    fn send_to_client(&mut self, id: u64, mut bytes: Vec<u8>) {
        while !bytes.is_empty() {
            let n = self.part(bytes.len());
            let rest = bytes.split_off(n);
            let delay = self.delay();
            let now = self.now().mono;
            let Some(wire) = self.wires.get_mut(&id) else { return };
            wire.last_in = wire.last_in.max(now + delay);
            let when = wire.last_in;
            self.at(when, Event::ToClient(id, bytes));
            bytes = rest;
        }
    }
}
