//! Brokers, network and clock in the thread of the client: nothing happens unless it is asked for.

use crate::outside;
use bytes::Bytes;
use klamm::Runtime;
use klamm::internal::{Engine, MakeEngine};
use klamm_cluster::{Brokers, Peer, Settings};
use klamm_core::driver::{Clock, Driver, Net, NetEvent, SocketOptions, Work};
use klamm_core::{ConnId, LookupId, Now, Time, Timestamp, WorkId};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// The topic, of four partitions.
pub(crate) const TOPIC: &str = "t";
/// Its partitions.
pub(crate) const PARTITIONS: i32 = 4;
/// Where the wall clock begins, in ms.
const WALL: u64 = 1_767_225_600_000;

/// One connection: what the broker has not read, and what the client has not.
struct Wire {
    peer: Peer,
    out: Vec<u8>,
    inbox: Vec<u8>,
    /// How much of `inbox` was read.
    read: usize,
    reader: Option<Waker>,
}

struct Outside {
    brokers: Brokers,
    wires: Vec<Wire>,
    events: VecDeque<NetEvent<usize>>,
}

type Client = Driver<Engine, MemoryNet>;

/// The brokers and the one client's driver.
pub(crate) struct World {
    time: Arc<AtomicU64>,
    outside: Rc<RefCell<Outside>>,
    client: RefCell<Option<Client>>,
}

fn now(time: &AtomicU64) -> Now {
    let mono = time.load(Ordering::Relaxed);
    Now { mono: Time(mono), wall: Timestamp(i64::try_from(WALL + mono / 1_000_000).unwrap_or(i64::MAX)) }
}

impl World {
    /// One broker that acknowledges everything and, with `prepared`, serves that batch for ever.
    pub(crate) fn new(prepared: Option<Bytes>) -> Self {
        let mut settings = Settings::default();
        settings.sink = true;
        settings.prepared = prepared;
        let time = Arc::new(AtomicU64::new(1_000_000_000));
        let mut brokers = Brokers::new(settings);
        brokers.set_address(1, "127.0.0.1", 9092);
        brokers.create_topic(now(&time), TOPIC, PARTITIONS);
        let outside = Outside { brokers, wires: Vec::new(), events: VecDeque::new() };
        Self { time, outside: Rc::new(RefCell::new(outside)), client: RefCell::default() }
    }

    /// Lets time pass.
    pub(crate) fn advance(&self, by: Duration) {
        self.time.fetch_add(u64::try_from(by.as_nanos()).unwrap_or(0), Ordering::Relaxed);
    }

    /// The client's driver works until it has nothing to do. True: it has ended.
    pub(crate) fn turn(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.client.borrow_mut().as_mut().is_none_or(|client| client.poll(&mut cx).is_ready())
    }

    /// The brokers work until they have nothing to do.
    pub(crate) fn serve(&self) {
        let now = now(&self.time);
        let mut outside = self.outside.borrow_mut();
        let Outside { brokers, wires, .. } = &mut *outside;
        brokers.handle_timeout(now);
        for wire in wires.iter_mut() {
            let out = std::mem::take(&mut wire.out);
            brokers.receive(now, wire.peer, &out);
            wire.out = out;
            wire.out.clear();
        }
        while let Some(peer) = brokers.poll_transmit() {
            let Some(wire) = wires.iter_mut().find(|wire| wire.peer == peer) else { continue };
            loop {
                let bytes = brokers.transmit(peer);
                let n = bytes.len();
                if n == 0 {
                    break;
                }
                if wire.read == wire.inbox.len() {
                    wire.inbox.clear();
                    wire.read = 0;
                }
                wire.inbox.extend_from_slice(bytes);
                brokers.sent(now, peer, n);
            }
            if let Some(reader) = wire.reader.take() {
                reader.wake();
            }
        }
    }
}

impl Runtime for &World {
    fn start(self, make: MakeEngine) -> klamm::Result<()> {
        let net = MemoryNet { time: self.time.clone(), outside: self.outside.clone() };
        let engine = make.make(net.clock());
        *self.client.borrow_mut() = Some(Driver::new(engine, net));
        Ok(())
    }

    // The kernel's coarse clock is none of ours: valgrind 3.19 dies in the reader of it.
    fn is_real(&self) -> bool {
        false
    }

    fn seed(&self) -> u64 {
        7
    }
}

/// What the driver reaches the world by.
pub(crate) struct MemoryNet {
    time: Arc<AtomicU64>,
    outside: Rc<RefCell<Outside>>,
}

impl MemoryNet {
    fn event(&self, event: NetEvent<usize>) {
        self.outside.borrow_mut().events.push_back(event);
    }
}

impl Net for MemoryNet {
    type Stream = usize;

    fn clock(&self) -> Clock {
        let time = self.time.clone();
        Clock::new(move || now(&time))
    }

    fn lookup(&mut self, id: LookupId, _: Arc<str>, port: u16) {
        self.event(NetEvent::Lookup(id, Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])));
    }

    fn connect(&mut self, conn: ConnId, _: SocketAddr, _: &SocketOptions) {
        let mut outside = self.outside.borrow_mut();
        let accepted = outside.brokers.accept(now(&self.time), 1);
        let answer = accepted.map(|peer| {
            outside.wires.push(Wire { peer, out: Vec::new(), inbox: Vec::new(), read: 0, reader: None });
            outside.wires.len() - 1
        });
        let answer = answer.ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionRefused).into());
        outside.events.push_back(NetEvent::Connected(conn, answer));
    }

    fn offload(&mut self, id: WorkId, work: Work) {
        self.event(NetEvent::Worked(id, Ok(work.run())));
    }

    fn poll_event(&mut self, _: &mut Context<'_>) -> Poll<NetEvent<usize>> {
        self.outside.borrow_mut().events.pop_front().map_or(Poll::Pending, Poll::Ready)
    }

    fn poll_read(&mut self, wire: &mut usize, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        outside(|| {
            let mut outside = self.outside.borrow_mut();
            let Some(wire) = outside.wires.get_mut(*wire) else { return Poll::Ready(Ok(0)) };
            let there = wire.inbox.get(wire.read..).unwrap_or_default();
            let n = there.len().min(buf.len());
            if n == 0 {
                wire.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            if let (Some(to), Some(from)) = (buf.get_mut(..n), there.get(..n)) {
                to.copy_from_slice(from);
            }
            wire.read += n;
            Poll::Ready(Ok(n))
        })
    }

    fn poll_write(&mut self, wire: &mut usize, _: &mut Context<'_>, iov: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        outside(|| {
            let mut outside = self.outside.borrow_mut();
            let Some(wire) = outside.wires.get_mut(*wire) else {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            };
            let before = wire.out.len();
            iov.iter().for_each(|slice| wire.out.extend_from_slice(slice));
            Poll::Ready(Ok(wire.out.len() - before))
        })
    }

    fn poll_sleep(&mut self, _: &mut Context<'_>, until: Option<Time>) -> Poll<()> {
        if until.is_some_and(|until| now(&self.time).mono >= until) { Poll::Ready(()) } else { Poll::Pending }
    }
}
