//! A toy machine and a toy net with a virtual clock, for the tests of the loop.

#![expect(clippy::disallowed_types, reason = "the clock must be Send + Sync; a test's world is shared with its driver")]

use super::*;
use crate::time::{Timestamp, Why};
use crate::{LookupId, WorkId};
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::task::{Wake as TaskWake, Waker};

pub(super) fn conn(index: u32) -> ConnId {
    ConnId { index, generation: 0 }
}

/// Counts how often it was woken.
#[derive(Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl TaskWake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// One connection seen from the other end.
#[derive(Default)]
pub(super) struct Pipe {
    pub(super) inbound: VecDeque<u8>,
    pub(super) eof: bool,
    pub(super) sent: Vec<u8>,
    /// Bytes that may still be written before it blocks.
    pub(super) room: usize,
    pub(super) write_error: bool,
    waker: Option<Waker>,
}

#[derive(Default)]
pub(super) struct World {
    pub(super) pipes: BTreeMap<ConnId, Pipe>,
    pub(super) events: VecDeque<NetEvent<ToyStream>>,
    /// At most this many bytes in one read or write.
    pub(super) piece: usize,
    pub(super) reads: usize,
    /// Arrives just before the driver falls asleep.
    pub(super) at_sleep: Option<(ConnId, Vec<u8>)>,
    pub(super) sleeps_until: Option<Time>,
    pub(super) options: Vec<SocketOptions>,
}

/// Shared by a test and the net that its driver owns.
#[derive(Clone, Default)]
pub(super) struct Toys {
    world: Arc<Mutex<World>>,
    time: Arc<AtomicU64>,
    /// Its count of owners tells how many streams live.
    streams: Arc<()>,
}

#[derive(Debug)]
pub(super) struct ToyStream(ConnId, #[expect(dead_code, reason = "counted, not read")] Arc<()>);

impl Toys {
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub(super) fn advance(&self, by: Duration) {
        self.time.fetch_add(by.as_nanos() as u64, Ordering::Relaxed);
    }

    pub(super) fn open_streams(&self) -> usize {
        Arc::strong_count(&self.streams) - 2
    }

    pub(super) fn accept(&self, id: ConnId) {
        let mut world = self.world();
        world.pipes.insert(id, Pipe { room: usize::MAX, ..Pipe::default() });
        let stream = ToyStream(id, Arc::clone(&self.streams));
        world.events.push_back(NetEvent::Connected(id, Ok(stream)));
    }

    pub(super) fn with(&self, id: ConnId, change: impl FnOnce(&mut Pipe)) {
        let waker = {
            let mut world = self.world();
            let pipe = world.pipes.get_mut(&id).unwrap();
            change(pipe);
            pipe.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(super) fn arrive(&self, id: ConnId, bytes: &[u8]) {
        self.with(id, |pipe| pipe.inbound.extend(bytes));
    }
}

impl Net for Toys {
    type Stream = ToyStream;

    fn clock(&self) -> Clock {
        let time = Arc::clone(&self.time);
        Clock::new(move || Now { mono: Time(time.load(Ordering::Relaxed)), wall: Timestamp(0) })
    }
    fn lookup(&mut self, id: LookupId, _host: Arc<str>, port: u16) {
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        self.world().events.push_back(NetEvent::Lookup(id, Ok(vec![addr])));
    }
    fn connect(&mut self, _conn: ConnId, _addr: SocketAddr, socket: &SocketOptions) {
        self.world().options.push(socket.clone());
    }
    fn offload(&mut self, id: WorkId, _work: Work) {
        self.world().events.push_back(NetEvent::Worked(id, Err(WorkLost)));
    }
    fn poll_event(&mut self, _cx: &mut Context<'_>) -> Poll<NetEvent<ToyStream>> {
        self.world().events.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
    fn poll_read(&mut self, s: &mut ToyStream, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut world = self.world();
        world.reads += 1;
        let most = world.piece.max(1);
        let pipe = world.pipes.get_mut(&s.0).unwrap();
        let n = buf.len().min(pipe.inbound.len()).min(most);
        if n == 0 {
            pipe.waker = Some(cx.waker().clone());
            return if pipe.eof { Poll::Ready(Ok(0)) } else { Poll::Pending };
        }
        for (to, from) in buf.iter_mut().zip(pipe.inbound.drain(..n)) {
            *to = from;
        }
        Poll::Ready(Ok(n))
    }
    fn poll_write(&mut self, s: &mut ToyStream, cx: &mut Context<'_>, iov: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut world = self.world();
        let most = world.piece.max(1);
        let pipe = world.pipes.get_mut(&s.0).unwrap();
        if pipe.write_error {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let n = iov.iter().map(|s| s.len()).sum::<usize>().min(pipe.room).min(most);
        if n == 0 {
            pipe.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        pipe.room -= n;
        pipe.sent.extend(iov.iter().flat_map(|s| s.iter()).take(n));
        Poll::Ready(Ok(n))
    }
    fn poll_sleep(&mut self, _cx: &mut Context<'_>, until: Option<Time>) -> Poll<()> {
        let surprise = {
            let mut world = self.world();
            world.sleeps_until = until;
            world.at_sleep.take()
        };
        if let Some((id, bytes)) = surprise {
            self.arrive(id, &bytes);
        }
        if until.is_some_and(|at| at.0 <= self.time.load(Ordering::Relaxed)) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Does what its test wrote into it and keeps what it was told.
#[derive(Default)]
pub(super) struct Toy {
    pub(super) actions: VecDeque<Action>,
    pub(super) outbox: BTreeMap<ConnId, VecDeque<u8>>,
    pub(super) wants: VecDeque<ConnId>,
    pub(super) resumes: VecDeque<ConnId>,
    pub(super) stopped: BTreeSet<ConnId>,
    pub(super) got: BTreeMap<ConnId, Vec<u8>>,
    pub(super) log: Vec<String>,
    pub(super) timeout: Option<Time>,
    pub(super) ended: bool,
    /// Handed over by the application just before the loop sleeps.
    pub(super) late: Option<Action>,
    pub(super) abandoned: Option<Arc<Mutex<String>>>,
    pub(super) turns: usize,
    buf: Vec<u8>,
}

impl Toy {
    pub(super) fn send(&mut self, id: ConnId, bytes: &[u8]) {
        self.outbox.entry(id).or_default().extend(bytes);
        self.wants.push_back(id);
    }
}

impl Machine for Toy {
    fn register(&mut self, _waker: &Waker) {}
    fn handle_turn(&mut self, _now: Now) {
        self.turns += 1;
    }
    fn handle_lookup(&mut self, _now: Now, id: LookupId, answer: Result<&[SocketAddr], NetError>) {
        self.log.push(format!("lookup {id} {}", answer.is_ok()));
    }
    fn handle_connected(&mut self, _now: Now, conn: ConnId) {
        self.log.push(format!("connected {conn}"));
    }
    fn handle_closed(&mut self, _now: Now, conn: ConnId, why: Option<NetError>) {
        self.log.push(format!("closed {conn} {:?}", why.map(|w| w.kind)));
    }
    fn handle_received(&mut self, _now: Now, conn: ConnId, n: usize) {
        self.got.entry(conn).or_default().extend(&self.buf[..n]);
        if self.log.last().is_none_or(|l| *l != format!("received {conn}")) {
            self.log.push(format!("received {conn}"));
        }
    }
    fn handle_sent(&mut self, _now: Now, conn: ConnId, n: usize) {
        self.outbox.get_mut(&conn).unwrap().drain(..n);
    }
    fn handle_timeout(&mut self, now: Now) {
        if self.timeout.take_if(|at| *at <= now.mono).is_some() {
            self.log.push("timeout".into());
        }
    }
    fn handle_work(&mut self, _now: Now, id: WorkId, done: Result<WorkDone, WorkLost>) {
        self.log.push(format!("work {id} {}", done.is_ok()));
    }
    fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }
    fn poll_transmit(&mut self) -> Option<ConnId> {
        self.wants.pop_front()
    }
    fn poll_resume(&mut self) -> Option<ConnId> {
        self.resumes.pop_front()
    }
    fn poll_deliver(&mut self, _now: Now) -> bool {
        false
    }
    fn poll_timeout(&self) -> Option<Wake> {
        self.timeout.map(|at| Wake { at, why: Why::Request })
    }
    fn may_park(&mut self) -> bool {
        match self.late.take() {
            Some(action) => {
                self.actions.push_back(action);
                false
            }
            None => true,
        }
    }
    fn recv_buf(&mut self, conn: ConnId) -> Option<&mut [u8]> {
        self.buf.resize(8, 0);
        (!self.stopped.contains(&conn)).then_some(&mut self.buf[..])
    }
    fn transmit<'a>(&'a self, conn: ConnId, iov: &mut [IoSlice<'a>]) -> usize {
        let Some(out) = self.outbox.get(&conn) else { return 0 };
        let (a, b) = out.as_slices();
        let mut n = 0;
        for (to, part) in iov.iter_mut().zip([a, b].into_iter().filter(|p| !p.is_empty())) {
            *to = IoSlice::new(part);
            n += 1;
        }
        n
    }
    fn socket_options(&self) -> SocketOptions {
        SocketOptions::default()
    }
    fn phase(&self) -> Phase {
        if self.ended { Phase::Done } else { Phase::Running }
    }
    fn abandon(&mut self, why: &str) {
        if let Some(told) = &self.abandoned {
            told.lock().unwrap().push_str(why);
        }
    }
}
