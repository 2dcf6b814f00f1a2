//! A machine that sends messages to an echo server and checks what comes back: the same under every runtime.

use klamm_core::driver::{
    Action, Clock, Close, Machine, NetError, PackWork, Phase, SocketOptions, Work, WorkDone, WorkLost,
};
use klamm_core::{BatchNo, ConnId, LookupId, Now, ProducerIx, Time, Wake, Why, WorkId};
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::Waker;
use std::time::Duration;

/// Where to.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// An address.
    Addr(SocketAddr),
    /// A name and a port.
    Host(&'static str, u16),
}

/// What the machine does.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Whom it talks to.
    pub(crate) target: Target,
    /// Bytes of a message.
    pub(crate) size: usize,
    /// Messages in all.
    pub(crate) messages: usize,
    /// Messages under way at once.
    pub(crate) depth: usize,
    /// A pause before the end.
    pub(crate) pause: Duration,
    /// Looks at each byte that comes back.
    pub(crate) check: bool,
}

impl Plan {
    pub(crate) fn new(target: Target, size: usize, messages: usize) -> Self {
        Self { target, size, messages, depth: 1, pause: Duration::from_millis(5), check: true }
    }
}

/// What the machine tells its test.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    Worked(bool),
    Resolved(Result<bool, ErrorKind>),
    Connected,
    Closed(Option<ErrorKind>),
    /// All messages came back, this long after the connection stood.
    Echoed(Duration),
    /// It is this long after that.
    Paused(Duration),
    Abandoned(String),
}

pub(crate) struct Echo {
    plan: Plan,
    tell: Sender<Told>,
    clock: Clock,
    actions: Vec<Action>,
    message: Vec<u8>,
    buf: Vec<u8>,
    sent: usize,
    allowed: usize,
    received: usize,
    wants_transmit: bool,
    began: Time,
    echoed: Option<Time>,
    phase: Phase,
}

const CONN: ConnId = ConnId { index: 0, generation: 0 };

impl Echo {
    pub(crate) fn new(plan: Plan, clock: Clock) -> (Self, Receiver<Told>) {
        let (tell, told) = channel();
        let slot = (ProducerIx(0), 0, BatchNo(0));
        let plain = b"to be packed"[..].into();
        let work = Work::Pack(PackWork {
            slot,
            compression: klamm_core::codec::Compression::NONE,
            codecs: klamm_core::codec::Codecs::default(),
            plain,
        });
        let first = match plan.target {
            Target::Addr(addr) => Action::Connect { conn: CONN, addr, broker: None },
            Target::Host(host, port) => Action::Lookup { id: LookupId(1), host: host.into(), port },
        };
        let machine = Self {
            tell,
            clock,
            actions: vec![first, Action::Work { id: WorkId(1), work }],
            message: (0..plan.size).map(|n| (n % 251) as u8).collect(),
            buf: vec![0; 256 * 1024],
            sent: 0,
            allowed: 0,
            received: 0,
            wants_transmit: false,
            began: Time::ZERO,
            echoed: None,
            phase: Phase::Running,
            plan,
        };
        (machine, told)
    }

    fn tell(&self, told: Told) {
        // A test that looked away is no concern of the machine.
        drop(self.tell.send(told));
    }

    fn all(&self) -> usize {
        self.plan.size * self.plan.messages
    }

    fn allow(&mut self) {
        let allowed = (self.received / self.plan.size + self.plan.depth) * self.plan.size;
        let allowed = allowed.min(self.all());
        self.wants_transmit |= self.sent == self.allowed && allowed > self.allowed;
        self.allowed = allowed;
    }
}

impl Machine for Echo {
    fn register(&mut self, _waker: &Waker) {}
    fn handle_turn(&mut self, _now: Now) {}
    fn handle_lookup(&mut self, _now: Now, _id: LookupId, answer: Result<&[SocketAddr], NetError>) {
        self.tell(Told::Resolved(answer.as_ref().map(|all| !all.is_empty()).map_err(|e| e.kind)));
        match answer {
            Ok(all) => self.actions.extend(all.iter().find(|a| a.is_ipv4()).map(|addr| Action::Connect {
                conn: CONN,
                addr: *addr,
                broker: None,
            })),
            Err(_) => self.phase = Phase::Done,
        }
    }
    fn handle_connected(&mut self, now: Now, _conn: ConnId) {
        self.began = now.mono;
        self.tell(Told::Connected);
        self.allow();
    }
    fn handle_closed(&mut self, _now: Now, _conn: ConnId, why: Option<NetError>) {
        self.tell(Told::Closed(why.map(|w| w.kind)));
        self.phase = Phase::Done;
    }
    fn handle_received(&mut self, now: Now, _conn: ConnId, n: usize) {
        let mut at = self.received % self.plan.size;
        for byte in self.buf[..n].iter().filter(|_| self.plan.check) {
            assert_eq!(*byte, self.message[at], "a byte was changed");
            at = if at + 1 == self.plan.size { 0 } else { at + 1 };
        }
        self.received += n;
        if self.received == self.all() {
            self.tell(Told::Echoed(self.clock.now().mono.since(self.began)));
            self.echoed = Some(now.mono);
        }
        self.allow();
    }
    fn handle_sent(&mut self, _now: Now, _conn: ConnId, n: usize) {
        self.sent += n;
    }
    fn handle_timeout(&mut self, now: Now) {
        if let Some(at) = self.echoed.filter(|at| *at + self.plan.pause <= now.mono) {
            self.tell(Told::Paused(now.mono.since(at)));
            self.echoed = None;
            self.actions.push(Action::Close { conn: CONN, how: Close::Graceful });
            self.phase = Phase::Done;
        }
    }
    fn handle_work(&mut self, _now: Now, _id: WorkId, done: Result<WorkDone, WorkLost>) {
        let right = matches!(done, Ok(WorkDone::Packed(_, Ok(bytes))) if bytes == b"to be packed");
        self.tell(Told::Worked(right));
    }
    fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop()
    }
    fn poll_transmit(&mut self) -> Option<ConnId> {
        std::mem::take(&mut self.wants_transmit).then_some(CONN)
    }
    fn poll_resume(&mut self) -> Option<ConnId> {
        None
    }
    fn poll_deliver(&mut self, _now: Now) -> bool {
        false
    }
    fn poll_timeout(&self) -> Option<Wake> {
        self.echoed.map(|at| Wake { at: at + self.plan.pause, why: Why::Idle })
    }
    fn may_park(&mut self) -> bool {
        true
    }
    fn recv_buf(&mut self, _conn: ConnId) -> Option<&mut [u8]> {
        Some(&mut self.buf)
    }
    fn transmit<'a>(&'a self, _conn: ConnId, iov: &mut [IoSlice<'a>]) -> usize {
        let (mut at, mut n) = (self.sent, 0);
        for slot in iov {
            if at >= self.allowed {
                break;
            }
            let rest = &self.message[at % self.plan.size..];
            *slot = IoSlice::new(rest);
            at += rest.len();
            n += 1;
        }
        n
    }
    fn socket_options(&self) -> SocketOptions {
        SocketOptions::default()
    }
    fn phase(&self) -> Phase {
        self.phase
    }
    fn abandon(&mut self, why: &str) {
        self.tell(Told::Abandoned(why.to_owned()));
    }
}

/// A server that sends back what it gets; each connection on a thread of its own.
pub(crate) fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            std::thread::spawn(move || {
                let mut buf = vec![0; 256 * 1024];
                while let Ok(n @ 1..) = stream.read(&mut buf) {
                    if stream.write_all(&buf[..n]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    addr
}

/// An address that nobody listens on.
pub(crate) fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// A server that accepts and says nothing.
pub(crate) fn silence() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// What the machine tells until it is dropped, but for the timing-dependent place of the work. A connection that ends at once
/// may end the machine before the work is done.
pub(crate) fn story(told: &Receiver<Told>) -> Vec<Told> {
    let mut all = Vec::new();
    while let Ok(next) = told.recv_timeout(Duration::from_secs(60)) {
        let last = matches!(next, Told::Abandoned(_));
        all.push(next);
        if last {
            break;
        }
    }
    let echoed = all.iter().any(|t| matches!(t, Told::Echoed(_)));
    assert!(all.contains(&Told::Worked(true)) || !echoed, "the work was not done: {all:?}");
    all.retain(|t| !matches!(t, Told::Worked(_)));
    all
}

/// The same cases for every runtime; `run` starts a machine for the plan.
pub(crate) fn cases(run: impl Fn(Plan) -> Receiver<Told>) {
    let end = || Told::Abandoned("the client was closed".into());
    let target = Target::Addr(server());
    for (size, messages, depth) in [(64, 200, 1), (64, 1000, 20), (1024 * 1024, 5, 1), (1024 * 1024, 10, 5), (7, 9, 2)]
    {
        let told = story(&run(Plan { depth, ..Plan::new(target.clone(), size, messages) }));
        assert!(
            matches!(&told[..], [Told::Connected, Told::Echoed(_), Told::Paused(p), last]
                if *p >= Duration::from_millis(5) && *last == end()),
            "{size} bytes: {told:?}"
        );
    }
    let told = story(&run(Plan::new(Target::Addr(nobody()), 64, 1)));
    assert_eq!(told, [Told::Closed(Some(ErrorKind::ConnectionRefused)), end()]);
    let told = story(&run(Plan::new(Target::Host("no-such-host.invalid", 9092), 64, 1)));
    assert!(matches!(&told[..], [Told::Resolved(Err(_)), last] if *last == end()), "{told:?}");
    let Target::Addr(addr) = target else { unreachable!() };
    let told = story(&run(Plan::new(Target::Host("localhost", addr.port()), 64, 3)));
    assert!(matches!(&told[..], [Told::Resolved(Ok(true)), Told::Connected, Told::Echoed(_), ..]), "{told:?}");
}

/// Prints what a round trip costs and how much passes, for the sizes of the design's measurement (A.2).
pub(crate) fn measure(name: &str, run: impl Fn(Plan) -> Receiver<Told>) {
    let addr = server();
    for (size, messages, depth) in [(64, 40_000, 1), (16 * 1024, 40_000, 5), (1024 * 1024, 1000, 5)] {
        let plan = Plan { depth, check: false, ..Plan::new(Target::Addr(addr), size, messages) };
        let told = run(plan);
        let took = told.iter().find_map(|t| if let Told::Echoed(took) = t { Some(took) } else { None });
        let seconds = took.expect("all messages came back").as_secs_f64();
        let (trips, each) = (messages as f64 / seconds, seconds / messages as f64 * 1e6);
        let rate = (size * messages) as f64 / seconds / 1e9;
        println!("{name:24} {size:>8} B x{depth}: {each:8.1} us each, {trips:8.0}/s, {rate:5.2} GB/s each way");
    }
}
