//! The brokers on real loopback TCP: one thread, one listener per broker.

use crate::brokers::{Brokers, Peer};
use crate::cluster::Shared;
use klamm_core::Now;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use socket2::{Domain, Socket, Type};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const WAKE: Token = Token(0);
const CHUNK: usize = 256 << 10;
/// Connections per cluster; more are refused.
const MOST: usize = 4096;

/// A broker's port: open while it is up, reserved while it is down (connections are refused).
enum Port {
    Open(TcpListener),
    Reserved(Socket),
    /// Somebody else took it while the broker was down; it is tried again.
    Lost,
}

struct Stream {
    peer: Peer,
    socket: TcpStream,
    /// Bytes may be waiting that were not read for back-pressure.
    behind: bool,
}

pub(crate) struct Server {
    poll: Poll,
    shared: Arc<Shared>,
    ports: BTreeMap<i32, (SocketAddr, Port)>,
    streams: BTreeMap<Token, Stream>,
    tokens: BTreeMap<Peer, Token>,
    next: usize,
    buffer: Vec<u8>,
}

fn bind(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}

fn listen(socket: Socket) -> io::Result<TcpListener> {
    socket.listen(1024)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Binds a port for each broker, the first to `port`, the next to the one after it; 0 lets the system choose.
pub(crate) fn bind_all(ids: &[i32], port: u16) -> io::Result<BTreeMap<i32, (SocketAddr, Socket)>> {
    let mut bound = BTreeMap::new();
    for (at, id) in (0u16..).zip(ids) {
        let port = if port == 0 { 0 } else { port.saturating_add(at) };
        let socket = bind((Ipv4Addr::LOCALHOST, port).into())?;
        let addr = socket.local_addr()?.as_socket().ok_or_else(|| io::Error::from(ErrorKind::AddrNotAvailable))?;
        bound.insert(*id, (addr, socket));
    }
    Ok(bound)
}

impl Server {
    pub(crate) fn new(poll: Poll, shared: Arc<Shared>, bound: BTreeMap<i32, (SocketAddr, Socket)>) -> io::Result<Self> {
        let mut ports = BTreeMap::new();
        for (id, (addr, socket)) in bound {
            let mut listener = listen(socket)?;
            poll.registry().register(&mut listener, listener_token(id), Interest::READABLE)?;
            ports.insert(id, (addr, Port::Open(listener)));
        }
        Ok(Self {
            next: 1 + ports.keys().last().map_or(0, |id| listener_token(*id).0),
            poll,
            shared,
            ports,
            streams: BTreeMap::new(),
            tokens: BTreeMap::new(),
            buffer: vec![0; CHUNK],
        })
    }

    /// Serves until the cluster is dropped.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        let shared = Arc::clone(&self.shared);
        while !shared.stop.load(Ordering::Acquire) {
            let timeout = {
                let brokers = shared.lock();
                let now = shared.now();
                // Rounded up, lest the thread turns idly in the last part of a millisecond.
                brokers.poll_timeout().map(|at| at.since(now.mono) + Duration::from_micros(999))
            };
            let behind = self.streams.values().any(|s| s.behind);
            let timeout = if behind { Some(Duration::from_millis(1)) } else { timeout };
            match self.poll.poll(&mut events, timeout) {
                Err(e) if e.kind() != ErrorKind::Interrupted => return,
                _ => {}
            }
            let mut brokers = shared.lock();
            let now = shared.now();
            brokers.handle_timeout(now);
            for event in &events {
                let token = event.token();
                if token == WAKE {
                    continue;
                }
                if let Some(id) = self.listening(token) {
                    self.accept(&mut brokers, id);
                    continue;
                }
                if event.is_readable() || event.is_read_closed() {
                    self.read(&mut brokers, token);
                }
                if event.is_writable() {
                    self.write(&mut brokers, token);
                }
            }
            let behind: Vec<Token> = self.streams.iter().filter(|(_, s)| s.behind).map(|(t, _)| *t).collect();
            for token in behind {
                self.read(&mut brokers, token);
            }
            self.flush(&mut brokers);
            self.follow(&brokers);
        }
    }

    fn now(&self) -> Now {
        self.shared.now()
    }

    fn listening(&self, token: Token) -> Option<i32> {
        self.ports.keys().copied().find(|id| listener_token(*id) == token)
    }

    fn accept(&mut self, brokers: &mut Brokers, id: i32) {
        while let Some((_, Port::Open(listener))) = self.ports.get(&id) {
            let Ok((mut socket, _)) = listener.accept() else { return };
            if self.streams.len() >= MOST {
                continue;
            }
            let Some(peer) = brokers.accept(self.now(), id) else { continue };
            let token = Token(self.next);
            self.next += 1;
            let both = Interest::READABLE | Interest::WRITABLE;
            let ready = socket.set_nodelay(true).and_then(|()| self.poll.registry().register(&mut socket, token, both));
            if ready.is_err() {
                brokers.hang_up(self.now(), peer);
                continue;
            }
            self.tokens.insert(peer, token);
            self.streams.insert(token, Stream { peer, socket, behind: false });
        }
    }

    fn read(&mut self, brokers: &mut Brokers, token: Token) {
        let Some(mut stream) = self.streams.remove(&token) else { return };
        let peer = stream.peer;
        loop {
            stream.behind = !brokers.wants_input(peer);
            if stream.behind {
                break;
            }
            match stream.socket.read(&mut self.buffer) {
                Ok(n) if n > 0 => brokers.receive(self.now(), peer, &self.buffer[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                _ => {
                    brokers.hang_up(self.now(), peer);
                    self.tokens.remove(&peer);
                    return;
                }
            }
        }
        self.streams.insert(token, stream);
    }

    fn write(&mut self, brokers: &mut Brokers, token: Token) {
        let Some(stream) = self.streams.get_mut(&token) else { return };
        let peer = stream.peer;
        loop {
            let bytes = brokers.transmit(peer);
            if bytes.is_empty() {
                return;
            }
            match stream.socket.write(bytes) {
                Ok(n) => brokers.sent(self.shared.now(), peer, n),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {
                    brokers.hang_up(self.shared.now(), peer);
                    self.tokens.remove(&peer);
                    self.streams.remove(&token);
                    return;
                }
            }
        }
    }

    fn flush(&mut self, brokers: &mut Brokers) {
        while let Some(peer) = brokers.poll_transmit() {
            if let Some(token) = self.tokens.get(&peer) {
                self.write(brokers, *token);
            }
        }
        while let Some(peer) = brokers.poll_closed() {
            if let Some(token) = self.tokens.remove(&peer) {
                self.streams.remove(&token);
            }
        }
    }

    /// Opens the ports of brokers that came up, closes those of brokers that went down.
    fn follow(&mut self, brokers: &Brokers) {
        for (id, (addr, port)) in &mut self.ports {
            let up = brokers.is_up(*id);
            *port = match std::mem::replace(port, Port::Lost) {
                Port::Open(mut listener) if !up => {
                    // An error leaves the port closed all the same once the listener is dropped.
                    let _ = self.poll.registry().deregister(&mut listener);
                    drop(listener);
                    bind(*addr).map_or(Port::Lost, Port::Reserved)
                }
                Port::Reserved(socket) if up => open(&self.poll, *id, socket),
                Port::Lost if up => bind(*addr).map_or(Port::Lost, |socket| open(&self.poll, *id, socket)),
                other => other,
            };
        }
    }
}

fn open(poll: &Poll, id: i32, socket: Socket) -> Port {
    let registered = listen(socket).and_then(|mut listener| {
        poll.registry().register(&mut listener, listener_token(id), Interest::READABLE)?;
        Ok(listener)
    });
    registered.map_or(Port::Lost, Port::Open)
}

fn listener_token(id: i32) -> Token {
    Token(usize::try_from(id).unwrap_or(0))
}

/// The poll and what wakes it.
pub(crate) fn new_poll() -> io::Result<(Poll, Waker)> {
    let poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), WAKE)?;
    Ok((poll, waker))
}
