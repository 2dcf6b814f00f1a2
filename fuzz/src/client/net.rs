//! The network between client and brokers, byte by byte.

use super::answer;
use super::run::Run;
use klamm_cluster::{Brokers, Peer, Settings};
use klamm_core::driver::{Action, NetError};
use klamm_core::{ConnId, LookupId, Now, WorkId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{ErrorKind, IoSlice};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Port of every broker.
const PORT: u16 = 9092;
/// A frame longer than this is one that the harness fails to read.
const LONGEST: usize = 8 << 20;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The brokers answer it.
    Served,
    /// They do, but the answer's bytes are changed on the way.
    Spoiled(u8, u8),
    /// A lie in the right form: any values, drawn from this seed.
    Lied(u8),
    /// The right number and noise behind it.
    Noise(u8),
    /// An answer to another request.
    Foreign(u8),
    /// Nobody answers.
    Lost,
}

/// One connection.
#[derive(Debug, Default)]
struct Conn {
    addr: Option<SocketAddr>,
    peer: Option<Peer>,
    up: bool,
    /// What the client wrote, as far as it is no whole frame.
    sent: Vec<u8>,
    /// What the client is to read.
    incoming: VecDeque<u8>,
    /// Nothing comes behind it.
    ended: bool,
    /// The next answer is changed here.
    spoil: Option<(u8, u8)>,
}

/// Connections, look-ups and the brokers behind them.
pub(super) struct Net {
    pub(super) brokers: Brokers,
    /// What becomes of the next requests; after them all are served.
    pub(super) fates: VecDeque<Fate>,
    conns: BTreeMap<ConnId, Conn>,
    peers: BTreeMap<Peer, ConnId>,
    lookups: VecDeque<(LookupId, u8)>,
    dialing: VecDeque<ConnId>,
    works: Vec<WorkId>,
    writable: BTreeSet<ConnId>,
}

impl Net {
    pub(super) fn new(now: Now, brokers: i32) -> Self {
        let mut settings = Settings::default();
        settings.brokers = brokers;
        settings.offsets_partitions = 2;
        let mut brokers = Brokers::new(settings);
        for id in brokers.broker_ids() {
            brokers.set_address(id, &format!("b{id}"), PORT);
        }
        brokers.create_topic(now, "t0", 3);
        brokers.create_topic(now, "t1", 1);
        Self {
            brokers,
            fates: VecDeque::new(),
            conns: BTreeMap::new(),
            peers: BTreeMap::new(),
            lookups: VecDeque::new(),
            dialing: VecDeque::new(),
            works: Vec::new(),
            writable: BTreeSet::new(),
        }
    }

    pub(super) fn act(&mut self, now: Now, action: Action) {
        match action {
            Action::Lookup { id, host, .. } => {
                let number = host.strip_prefix('b').and_then(|n| n.parse().ok());
                self.lookups.push_back((id, number.unwrap_or(0)));
            }
            Action::Connect { conn, addr, .. } => {
                let fresh = self.conns.insert(conn, Conn { addr: Some(addr), ..Conn::default() });
                assert!(fresh.is_none(), "connection {conn} was there before");
                self.dialing.push_back(conn);
            }
            Action::Close { conn, .. } => self.forget(now, conn),
            Action::Work { id, .. } => self.works.push(id),
            other => panic!("an action that nobody knows: {other:?}"),
        }
    }

    fn forget(&mut self, now: Now, conn: ConnId) {
        self.dialing.retain(|dialing| *dialing != conn);
        self.writable.remove(&conn);
        if let Some(peer) = self.conns.remove(&conn).and_then(|c| c.peer) {
            self.peers.remove(&peer);
            self.brokers.hang_up(now, peer);
        }
    }

    pub(super) fn writable(&mut self, conn: ConnId) {
        self.writable.insert(conn);
    }

    pub(super) fn conns(&self) -> Vec<ConnId> {
        self.conns.keys().copied().collect()
    }

    /// The brokers' time passes.
    pub(super) fn pass(&mut self, now: Now) {
        while self.brokers.poll_timeout().is_some_and(|at| at <= now.mono) {
            self.brokers.handle_timeout(now);
        }
        self.collect(now);
    }

    /// Takes what the brokers send and whom they leave.
    pub(super) fn collect(&mut self, now: Now) {
        while let Some(peer) = self.brokers.poll_transmit() {
            let mut frame = Vec::new();
            while let bytes @ [_, ..] = self.brokers.transmit(peer) {
                frame.extend_from_slice(bytes);
                let n = bytes.len();
                self.brokers.sent(now, peer, n);
            }
            let Some(conn) = self.peers.get(&peer).and_then(|id| self.conns.get_mut(id)) else { continue };
            if let Some((at, with)) = conn.spoil.take() {
                // Behind length and number: the frame stays one.
                let at = 8 + usize::from(at) % frame.len().saturating_sub(8).max(1);
                if let Some(byte) = frame.get_mut(at) {
                    *byte = with;
                }
            }
            conn.incoming.extend(frame);
        }
        while let Some(peer) = self.brokers.poll_closed() {
            if let Some(conn) = self.peers.remove(&peer).and_then(|id| self.conns.get_mut(&id)) {
                conn.peer = None;
                conn.ended = true;
            }
        }
    }

    /// A whole request reached the other end.
    fn request(&mut self, now: Now, id: ConnId, frame: &[u8]) {
        let fate = self.fates.pop_front().unwrap_or(Fate::Served);
        let Some(conn) = self.conns.get_mut(&id) else { return };
        match (fate, answer::Asked::read(frame)) {
            (Fate::Lost, _) => {}
            (Fate::Lied(seed), Some(asked)) if asked.is_answered() => conn.incoming.extend(asked.lie(seed)),
            (Fate::Noise(seed), Some(asked)) if asked.is_answered() => conn.incoming.extend(asked.noise(seed)),
            (Fate::Foreign(by), Some(asked)) => conn.incoming.extend(asked.foreign(by)),
            (fate, _) => {
                if let Fate::Spoiled(at, with) = fate {
                    conn.spoil = Some((at, with));
                }
                match conn.peer {
                    Some(peer) => self.brokers.receive(now, peer, frame),
                    None => conn.ended = true,
                }
            }
        }
        self.collect(now);
    }
}

impl Run<'_> {
    /// Answers the oldest look-up, with an error if it is to fail.
    pub(super) fn look_up(&mut self, fail: bool) -> bool {
        let Some((id, number)) = self.net.lookups.pop_front() else { return false };
        let addr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, number)), PORT);
        let answer = if fail || number == 0 { Err(error(ErrorKind::NotFound)) } else { Ok(&[addr][..]) };
        self.client.handle_lookup(self.now, id, answer);
        true
    }

    /// Ends the oldest attempt to connect.
    pub(super) fn connect(&mut self, fail: bool) -> bool {
        let Some(id) = self.net.dialing.pop_front() else { return false };
        let Some(conn) = self.net.conns.get_mut(&id) else { return false };
        let broker = match conn.addr.map(|addr| addr.ip()) {
            Some(IpAddr::V4(ip)) => i32::from(ip.octets()[3]),
            _ => 0,
        };
        conn.peer = if fail { None } else { self.net.brokers.accept(self.now, broker) };
        let Some(peer) = conn.peer else {
            self.hang_up(id, Some(ErrorKind::ConnectionRefused));
            return true;
        };
        conn.up = true;
        self.net.peers.insert(peer, id);
        self.client.handle_connected(self.now, id);
        true
    }

    /// The socket takes up to `most` bytes.
    pub(super) fn write(&mut self, id: ConnId, most: usize) -> bool {
        let up = self.net.conns.get(&id).is_some_and(|conn| conn.up);
        if !up || !self.net.writable.contains(&id) {
            return false;
        }
        let mut iov = [IoSlice::new(&[]); 8];
        let slices = self.client.transmit(id, &mut iov);
        let mut bytes: Vec<u8> = iov.iter().take(slices).flat_map(|s| s.iter().copied()).collect();
        assert!(slices == 0 || !bytes.is_empty(), "slices of nothing");
        if bytes.is_empty() {
            self.net.writable.remove(&id);
            return false;
        }
        bytes.truncate(most.max(1));
        self.client.handle_sent(self.now, id, bytes.len());
        let Some(conn) = self.net.conns.get_mut(&id) else { return true };
        conn.sent.extend(bytes);
        while let Some(frame) = whole_frame(self.net.conns.get_mut(&id)) {
            self.tell(|| answer::Asked::read(&frame).map_or("an unknown request".into(), |asked| asked.to_string()));
            self.net.request(self.now, id, &frame);
        }
        true
    }

    /// Up to `most` bytes reach the client, or the end of the stream does.
    pub(super) fn read(&mut self, id: ConnId, most: usize) -> bool {
        let Some(conn) = self.net.conns.get_mut(&id).filter(|conn| conn.up) else { return false };
        if conn.incoming.is_empty() {
            let ended = conn.ended;
            if ended {
                self.hang_up(id, None);
            }
            return ended;
        }
        let Some(buf) = self.client.recv_buf(id) else { return false };
        assert!(!buf.is_empty(), "a buffer of nothing");
        let n = buf.len().min(most.max(1)).min(conn.incoming.len());
        for (to, from) in buf.iter_mut().zip(conn.incoming.drain(..n)) {
            *to = from;
        }
        self.client.handle_received(self.now, id, n);
        true
    }

    /// Bytes that nobody sent.
    pub(super) fn inject(&mut self, id: ConnId, bytes: &[u8]) {
        if let Some(conn) = self.net.conns.get_mut(&id) {
            conn.incoming.extend(bytes);
        }
    }

    /// The connection ends or fails, as the client sees it.
    pub(super) fn hang_up(&mut self, id: ConnId, why: Option<ErrorKind>) {
        self.net.forget(self.now, id);
        self.client.handle_closed(self.now, id, why.map(error));
    }

    /// Work that was asked for is lost.
    pub(super) fn lose_work(&mut self) {
        for id in std::mem::take(&mut self.net.works) {
            self.client.handle_work(self.now, id, Err(klamm_core::driver::WorkLost));
        }
    }
}

fn error(kind: ErrorKind) -> NetError {
    NetError { kind, text: kind.to_string().into() }
}

/// The first whole frame of what was sent, with its length.
fn whole_frame(conn: Option<&mut Conn>) -> Option<Vec<u8>> {
    let conn = conn?;
    let length = i32::from_be_bytes(*conn.sent.first_chunk()?);
    let length = usize::try_from(length).expect("a frame has a length");
    assert!(length <= LONGEST, "a request of {length} bytes");
    if conn.sent.len() < 4 + length {
        return None;
    }
    let rest = conn.sent.split_off(4 + length);
    Some(std::mem::replace(&mut conn.sent, rest))
}
