//! Brokers and the links to them: who is dialled, what stands, what may be sent on.

mod coordinator;
mod dial;
mod links;
mod peer;
#[cfg(test)]
mod tests;

pub(crate) use coordinator::{Coordinator, Coordinators};
pub(crate) use peer::Peer;

use crate::client::role::{Lane, Needs};
use crate::config::{Address, Broker, ClientConfig};
use crate::driver::{Action, Close, NetError};
use crate::link::{Link, LinkSettings};
use crate::metadata::{Features, View};
use crate::rng::Rng;
use crate::stats::Stats;
use crate::{BrokerId, ConnId, Error, ErrorKind, LookupId, Now, ProducerIx, Time};
use dial::{Dial, Step};
use peer::Health;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Links that were opened for a moment's need (joins, admin) go after this long without use.
const ON_DEMAND_IDLE: Duration = Duration::from_secs(60);

type Key = (Peer, Lane);

/// All connections of a client.
#[derive(Debug)]
pub(crate) struct Cluster {
    config: Arc<ClientConfig>,
    seeds: Vec<Address>,
    health: BTreeMap<Peer, Health>,
    dials: BTreeMap<Key, Dial>,
    up: BTreeMap<Key, ConnId>,
    conns: Vec<Place>,
    free: Vec<u32>,
    lookups: BTreeMap<LookupId, Key>,
    next_lookup: u64,
    wanted: BTreeSet<Key>,
    wanted_any: BTreeSet<Lane>,
    actions: VecDeque<Action>,
    transmits: VecDeque<ConnId>,
    resumes: VecDeque<ConnId>,
    /// A link ended or a greeting came since the client last looked.
    news: ClusterNews,
    in_flight: BTreeMap<ProducerIx, usize>,
}

/// What the client should know of the links' lives.
#[derive(Debug, Default)]
pub(crate) struct ClusterNews {
    /// Brokers whose working connection ended: metadata may be out of date.
    pub(crate) ended: Vec<Peer>,
    /// Features that greetings brought.
    pub(crate) features: Vec<Features>,
    /// A broker greeted.
    pub(crate) greeted: bool,
    /// Working connections that ended by themselves, and why.
    pub(crate) lost: Vec<(BrokerId, Error)>,
    /// Why brokers cannot be reached; `None`: they can.
    pub(crate) troubles: Vec<(BrokerId, Option<Error>)>,
}

#[derive(Debug)]
struct Place {
    generation: u32,
    state: Conn,
}

#[derive(Debug)]
enum Conn {
    Free,
    Dialing(Key),
    Up(Key, Box<Link>),
}

impl Cluster {
    pub(crate) fn new(config: Arc<ClientConfig>) -> Self {
        Self {
            seeds: config.bootstrap_servers.clone(),
            config,
            health: BTreeMap::new(),
            dials: BTreeMap::new(),
            up: BTreeMap::new(),
            conns: Vec::new(),
            free: Vec::new(),
            lookups: BTreeMap::new(),
            next_lookup: 0,
            wanted: BTreeSet::new(),
            wanted_any: BTreeSet::new(),
            actions: VecDeque::new(),
            transmits: VecDeque::new(),
            resumes: VecDeque::new(),
            news: ClusterNews::default(),
            in_flight: BTreeMap::new(),
        }
    }

    /// How many requests of a producer may be under way to one broker.
    pub(crate) fn limit_in_flight(&mut self, producer: ProducerIx, requests: usize) {
        self.in_flight.insert(producer, requests);
    }

    /// Takes the sum of what the roles want and dials what is missing.
    pub(crate) fn want(&mut self, now: Now, needs: &Needs, view: &View, rng: &mut Rng, stats: &mut Stats) {
        self.wanted = needs.links.iter().map(|(broker, lane)| (Peer::Broker(*broker), *lane)).collect();
        self.wanted_any.clone_from(&needs.any);
        self.dial_wanted(now, view, rng, stats);
    }

    fn dial_wanted(&mut self, now: Now, view: &View, rng: &mut Rng, stats: &mut Stats) {
        let missing: Vec<Key> =
            self.wanted.iter().filter(|k| !self.up.contains_key(k) && !self.dials.contains_key(k)).copied().collect();
        for key in missing {
            self.dial(now, key, view, rng, stats);
        }
        let lanes: Vec<Lane> = self.wanted_any.iter().copied().filter(|lane| !self.has_any(*lane)).collect();
        for lane in lanes {
            if let Some(peer) = self.choose(now.mono, view, rng) {
                self.dial(now, (peer, lane), view, rng, stats);
            }
        }
    }

    fn has_any(&self, lane: Lane) -> bool {
        self.up.keys().chain(self.dials.keys()).any(|(_, l)| *l == lane)
    }

    /// A peer for a request that any broker can answer: a broker that works, else one that may be tried, else a seed.
    fn choose(&self, now: Time, view: &View, rng: &mut Rng) -> Option<Peer> {
        let ready = |peer: &Peer| self.health.get(peer).is_none_or(|h| h.until <= now);
        let brokers: Vec<Peer> = view.brokers.keys().map(|id| Peer::Broker(*id)).filter(&ready).collect();
        let fine: Vec<Peer> =
            brokers.iter().filter(|p| self.health.get(p).is_none_or(|h| h.failures == 0)).copied().collect();
        let seeds: Vec<Peer> = (0u32..).map(Peer::Seed).take(self.seeds.len()).filter(&ready).collect();
        // With every known broker failing, the bootstrap servers take part again (KIP-899).
        let choice = if !fine.is_empty() { fine } else { brokers.into_iter().chain(seeds).collect() };
        let n = rng.below(choice.len() as u64);
        choice.get(usize::try_from(n).ok()?).copied()
    }

    fn address(&self, peer: Peer, view: &View) -> Option<(Arc<str>, u16)> {
        let (id, host, port) = match peer {
            Peer::Broker(id) => view.brokers.get(&id).map(|n| (Some(id.0), n.host.clone(), n.port))?,
            Peer::Seed(n) => self.seeds.get(n as usize).map(|a| (None, Arc::from(&*a.host), a.port))?,
        };
        match &self.config.rewrite_address {
            None => Some((host, port)),
            Some(rewrite) => {
                let address = Address::parse(&rewrite.rewrite(Broker::new(id, &host, port))).ok()?;
                Some((Arc::from(&*address.host), address.port))
            }
        }
    }

    fn dial(&mut self, now: Now, key: Key, view: &View, rng: &mut Rng, stats: &mut Stats) {
        let Some((host, port)) = self.address(key.0, view) else { return };
        let health = self.health.entry(key.0).or_default();
        if health.until > now.mono {
            return;
        }
        let limit = (self.config.socket_connection_setup_timeout, self.config.socket_connection_setup_timeout_max);
        let limit = health.setup_limit(rng, limit);
        let mut dial = Dial::new(now.mono, host, port, limit);
        let step = dial.start();
        self.dials.insert(key, dial);
        self.step(now, key, step, rng, stats);
    }

    fn step(&mut self, now: Now, key: Key, step: Step, rng: &mut Rng, stats: &mut Stats) {
        let Some(dial) = self.dials.get_mut(&key) else { return };
        match step {
            Step::Lookup => {
                let id = LookupId(self.next_lookup);
                self.next_lookup += 1;
                dial.lookup = Some(id);
                self.lookups.insert(id, key);
                self.actions.push_back(Action::Lookup { id, host: dial.host.clone(), port: dial.port });
            }
            Step::Connect(addr) => {
                let conn = self.new_conn(key);
                if let Some(dial) = self.dials.get_mut(&key) {
                    dial.begun(now.mono, conn);
                }
                let broker = Some(key.0.broker()).filter(|b| b.0 >= 0);
                self.actions.push_back(Action::Connect { conn, addr, broker });
            }
            Step::Abandon(conn) => {
                self.release(conn);
                self.actions.push_back(Action::Close { conn, how: Close::Abort });
                let why = Some(dial::timed_out("the connection was not set up in time"));
                let next = self.dials.get_mut(&key).and_then(|d| d.handle_closed(conn, why));
                if let Some(next) = next {
                    self.step(now, key, next, rng, stats);
                }
            }
            Step::Failed(error) => {
                let (host, port) = (dial.host.clone(), dial.port);
                self.dials.remove(&key);
                let error = unreachable(key.0, &host, port, &error, self.reachable_seed());
                stats.connect_failures += 1;
                self.fail(now, key.0, rng, error);
            }
        }
    }

    fn reachable_seed(&self) -> Option<String> {
        let (Peer::Seed(n), _) = self.up.keys().find(|(peer, _)| matches!(peer, Peer::Seed(_)))? else { return None };
        self.seeds.get(*n as usize).map(ToString::to_string)
    }

    fn fail(&mut self, now: Now, peer: Peer, rng: &mut Rng, error: Error) {
        let backoff = (self.config.reconnect_backoff, self.config.reconnect_backoff_max);
        self.news.troubles.push((peer.broker(), Some(error.clone())));
        self.health.entry(peer).or_default().failed(now.mono, rng, backoff, error);
        self.news.ended.push(peer);
    }

    fn new_conn(&mut self, key: Key) -> ConnId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.conns.push(Place { generation: 0, state: Conn::Free });
            u32::try_from(self.conns.len() - 1).unwrap_or(u32::MAX)
        });
        let place = &mut self.conns[index as usize];
        place.state = Conn::Dialing(key);
        ConnId { index, generation: place.generation }
    }

    fn release(&mut self, conn: ConnId) -> Option<Conn> {
        let place = self.conns.get_mut(conn.index as usize).filter(|p| p.generation == conn.generation)?;
        let state = std::mem::replace(&mut place.state, Conn::Free);
        // A place whose generations are used up stays empty, so that an id is never used again.
        if let Some(next) = place.generation.checked_add(1) {
            place.generation = next;
            self.free.push(conn.index);
        }
        Some(state)
    }

    pub(crate) fn handle_lookup(
        &mut self,
        now: Now,
        id: LookupId,
        answer: Result<&[SocketAddr], NetError>,
        rng: &mut Rng,
        stats: &mut Stats,
    ) {
        let Some(key) = self.lookups.remove(&id) else { return };
        if let Some(dial) = self.dials.get_mut(&key).filter(|d| d.lookup == Some(id)) {
            let step = dial.handle_lookup(answer);
            self.step(now, key, step, rng, stats);
        }
    }

    pub(crate) fn handle_connected(&mut self, now: Now, conn: ConnId, stats: &mut Stats) {
        let Some(place) = self.conns.get_mut(conn.index as usize).filter(|p| p.generation == conn.generation) else {
            return;
        };
        let Conn::Dialing(key) = place.state else { return };
        stats.connects += 1;
        let in_flight = match key.1 {
            Lane::Produce(ix) => self.in_flight.get(&ix).copied().unwrap_or(1),
            _ => usize::MAX,
        };
        let (peer, setup_limit) = match self.dials.get(&key) {
            Some(dial) => (format!("{}:{}", dial.host, dial.port), dial.attempt_limit),
            None => (String::new(), self.config.socket_connection_setup_timeout),
        };
        let settings = LinkSettings {
            client_id: self.config.client_id.clone(),
            setup_limit,
            request_timeout: self.config.request_timeout,
            max_response: self.config.response_max_bytes,
            in_flight,
            peer,
        };
        let mut link = Link::new(conn, key.1, settings, now);
        link.handle_connected(now);
        place.state = Conn::Up(key, Box::new(link));
        self.up.insert(key, conn);
        stats.connections = self.up.len() as u64;
        if let Some(dial) = self.dials.remove(&key) {
            for loser in dial.others(Some(conn)).collect::<Vec<_>>() {
                self.release(loser);
                self.actions.push_back(Action::Close { conn: loser, how: Close::Abort });
            }
        }
        self.note_transmit(conn);
    }
}

fn unreachable(peer: Peer, host: &str, port: u16, error: &NetError, seed: Option<String>) -> Error {
    let who = match peer {
        Peer::Broker(id) => format!("broker {id} at {host}:{port}"),
        Peer::Seed(_) => format!("bootstrap server {host}:{port}"),
    };
    let text = match (peer, seed) {
        (Peer::Broker(_), Some(seed)) => {
            format!("cannot reach {who} ({error}), though bootstrap server {seed} answers")
        }
        _ => format!("cannot reach {who} ({error})"),
    };
    let made = Error::new(ErrorKind::Connect, text).with_broker(peer.broker().0);
    match peer {
        Peer::Broker(_) => made.with_hint(
            "that address comes from the broker's advertised.listeners; correct it there or use Config::rewrite_address",
        ),
        Peer::Seed(_) => made.with_hint("check bootstrap.servers, and that a broker listens there"),
    }
}
