//! The brokers as a machine: bytes and time go in, bytes come out.

mod conn;
mod dispatch;
mod events;
mod outside;

use crate::answer::{Later, Output};
use crate::settings::Settings;
use crate::state::State;
use bytes::BytesMut;
use conn::Conn;
use klamm_core::{Now, Time};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use events::EventError;

/// A connection of a client to one broker. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(pub u64);

/// N Kafka brokers without sockets, threads or clocks.
///
/// Whoever drives it tells it of connections ([`accept`](Self::accept), [`hang_up`](Self::hang_up)), of bytes that arrived
/// ([`receive`](Self::receive)) and of time ([`handle_timeout`](Self::handle_timeout) at [`poll_timeout`](Self::poll_timeout)),
/// and takes what is to be sent ([`poll_transmit`](Self::poll_transmit), [`transmit`](Self::transmit)) and which connections
/// end ([`poll_closed`](Self::poll_closed)). The same inputs, times and seed give the same outputs.
#[derive(Debug)]
pub struct Brokers {
    state: State,
    conns: BTreeMap<Peer, Conn>,
    peers: u64,
    ready: VecDeque<Peer>,
    to_send: BTreeSet<Peer>,
    closed: VecDeque<Peer>,
}

impl Brokers {
    /// Brokers 1 to N, up and empty. Their addresses are 127.0.0.1:9092 until [`set_address`](Self::set_address).
    pub fn new(settings: Settings) -> Self {
        Self {
            state: State::new(settings),
            conns: BTreeMap::new(),
            peers: 0,
            ready: VecDeque::new(),
            to_send: BTreeSet::new(),
            closed: VecDeque::new(),
        }
    }

    /// A client connected to `broker`; `None` if that broker is down or unknown: the connection is refused.
    pub fn accept(&mut self, now: Now, broker: i32) -> Option<Peer> {
        self.state.nodes.get(&broker).filter(|node| node.up)?;
        self.peers += 1;
        let peer = Peer(self.peers);
        self.conns.insert(peer, Conn::new(broker, now.mono));
        Some(peer)
    }

    /// Bytes arrived from a client.
    pub fn receive(&mut self, now: Now, peer: Peer, bytes: &[u8]) {
        self.set_time(now);
        let Some(conn) = self.conns.get_mut(&peer) else { return };
        conn.active = now.mono;
        conn.inbox.extend_from_slice(bytes);
        self.ready.push_back(peer);
        self.run(now);
    }

    /// Whether more bytes of this client may be read now; false while it sends faster than it is served.
    pub fn wants_input(&self, peer: Peer) -> bool {
        self.conns.get(&peer).is_some_and(Conn::wants_input)
    }

    /// The client closed the connection, or it broke. What was asked is still done, unless it waits for something.
    pub fn hang_up(&mut self, now: Now, peer: Peer) {
        self.set_time(now);
        self.forget(peer);
        self.run(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Time> {
        let conns = self.conns.values().filter_map(|c| c.deadline(self.state.settings.max_idle)).min();
        [self.state.next_deadline(), conns].into_iter().flatten().min()
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) has come; too early is no harm.
    pub fn handle_timeout(&mut self, now: Now) {
        self.set_time(now);
        self.state.elapse();
        while let Some(entry) = self.state.later.first_entry().filter(|e| e.key().0 <= now.mono) {
            match entry.remove() {
                Later::Send(output) => self.state.output.push_back(output),
                Later::Serve { peer, frame } => self.serve_again(peer, frame),
            }
        }
        let idle = self.state.settings.max_idle;
        let mut over = Vec::new();
        for (peer, conn) in &mut self.conns {
            if conn.muted_until.is_some_and(|until| until <= now.mono) {
                conn.muted_until = None;
                self.ready.push_back(*peer);
            }
            // 1.12: a connection that waits for a parked request is idle too.
            if now.mono.since(conn.active) >= idle {
                over.push(*peer);
            }
        }
        for peer in over {
            self.close(peer);
        }
        self.run(now);
    }

    /// A connection on which there is something to send; named once until [`transmit`](Self::transmit) is empty again.
    pub fn poll_transmit(&mut self) -> Option<Peer> {
        self.to_send.pop_first()
    }

    /// The next bytes for a client; empty if there are none.
    pub fn transmit(&self, peer: Peer) -> &[u8] {
        self.conns.get(&peer).and_then(|c| c.outbox.front()).map_or(&[], |bytes| bytes)
    }

    /// `n` bytes of [`transmit`](Self::transmit) were sent.
    pub fn sent(&mut self, now: Now, peer: Peer, n: usize) {
        if let Some(conn) = self.conns.get_mut(&peer) {
            conn.active = now.mono;
            conn.sent(n);
            if conn.closing && conn.outbox.is_empty() {
                self.conns.remove(&peer);
                self.closed.push_back(peer);
            }
        }
    }

    /// A connection that a broker closed: nothing more comes from it, and nothing is read from it.
    pub fn poll_closed(&mut self) -> Option<Peer> {
        self.closed.pop_front()
    }

    /// The broker that a connection leads to.
    pub fn broker_of(&self, peer: Peer) -> Option<i32> {
        self.conns.get(&peer).map(|conn| conn.broker)
    }

    fn set_time(&mut self, now: Now) {
        self.state.mono = now.mono;
        self.state.wall = now.wall.as_millis();
    }

    /// Serves what can be served until nothing changes any more.
    fn run(&mut self, now: Now) {
        loop {
            while let Some(output) = self.state.output.pop_front() {
                self.take_out(output, now);
            }
            let Some(peer) = self.ready.pop_front() else {
                self.state.settle();
                if self.state.output.is_empty() {
                    return;
                }
                continue;
            };
            self.serve_next(peer, now);
        }
    }

    fn take_out(&mut self, output: Output, now: Now) {
        match output {
            Output::Frame { peer, bytes, mute } => {
                let Some(conn) = self.conns.get_mut(&peer) else { return };
                conn.busy = None;
                conn.active = now.mono;
                conn.outbox.push_back(bytes);
                conn.muted_until = mute.map(|by| now.mono + by);
                self.to_send.insert(peer);
                self.ready.push_back(peer);
            }
            Output::Next { peer } => {
                if let Some(conn) = self.conns.get_mut(&peer) {
                    conn.busy = None;
                    self.ready.push_back(peer);
                }
            }
            Output::Close { peer } => self.close(peer),
        }
    }

    /// Ends a connection once what was answered before has left.
    fn close(&mut self, peer: Peer) {
        let Some(conn) = self.conns.get_mut(&peer) else { return };
        conn.closing = true;
        conn.inbox = BytesMut::new();
        let drained = conn.outbox.is_empty();
        if let Some(ticket) = conn.busy.take() {
            self.state.abandon(ticket);
        }
        if drained {
            self.conns.remove(&peer);
            self.closed.push_back(peer);
        }
    }

    /// A connection is gone: what it waited for is not answered any more.
    fn forget(&mut self, peer: Peer) {
        if let Some(ticket) = self.conns.remove(&peer).and_then(|conn| conn.busy) {
            self.state.abandon(ticket);
        }
        self.to_send.remove(&peer);
    }
}
