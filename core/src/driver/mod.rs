//! The loop between a [`Machine`] that decides and a [`Net`] that waits: the same one under every runtime and in the simulator.

mod conn;
mod net;
mod ready;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod toy;
mod transfer;

pub use net::{
    Action, Clock, Close, Machine, Net, NetError, NetEvent, PackWork, Phase, SocketOptions, Work, WorkDone, WorkLost,
};

use crate::time::Wake;
use crate::{ConnId, Now, Time};
use conn::{Conn, Reading, Writing};
use ready::Ready;
use std::collections::BTreeMap;
use std::io::IoSlice;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Rounds before the loop lets other tasks of its runtime run.
const ROUNDS: usize = 64;
/// Longer than this between two rounds is a stall: what arrived meanwhile is read before any deadline is judged (contracts B5).
const STALL: Duration = Duration::from_secs(1);
/// How long the outbox of a gracefully closed connection may take to leave.
const LINGER: Duration = Duration::from_secs(2);

/// Carries out what a machine decides, on whatever a runtime lends. A future in all but name: adapters poll it.
pub struct Driver<M: Machine, N: Net> {
    machine: M,
    net: N,
    clock: Clock,
    conns: BTreeMap<ConnId, Conn<N::Stream>>,
    ready: Arc<Ready>,
    /// Connections to be read in the next round; a stale id is harmless.
    reads: Vec<ConnId>,
    /// Connections to be written in the next round.
    writes: Vec<ConnId>,
    /// Emptied and reused in each round.
    scratch: Vec<ConnId>,
    /// Look-ups, connects and works that the net still owes an answer.
    owed: usize,
    /// The earliest end of a graceful close.
    closing: Option<Time>,
    /// When the last round began, or the last poll ended.
    last_seen: Option<Time>,
    /// Deadlines wait for the next poll.
    stalled: bool,
    done: bool,
}

impl<M: Machine, N: Net> Driver<M, N> {
    /// A driver that has done nothing yet.
    pub fn new(machine: M, net: N) -> Self {
        let clock = net.clock();
        Self {
            machine,
            net,
            clock,
            conns: BTreeMap::new(),
            ready: Arc::default(),
            reads: Vec::new(),
            writes: Vec::new(),
            scratch: Vec::new(),
            owed: 0,
            closing: None,
            last_seen: None,
            stalled: false,
            done: false,
        }
    }

    /// The machine, for whoever drives this by hand.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// The machine, for whoever drives this by hand; the next poll takes in what was changed.
    pub fn machine_mut(&mut self) -> &mut M {
        &mut self.machine
    }

    /// The net, for whoever drives this by hand.
    pub fn net_mut(&mut self) -> &mut N {
        &mut self.net
    }

    /// Connections that are open or being opened.
    pub fn connections(&self) -> usize {
        self.conns.len()
    }

    /// Works until nothing is left to do, at most 64 rounds; ready once the machine is done and every connection closed.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.done {
            return Poll::Ready(());
        }
        self.machine.register(cx.waker());
        self.ready.awake();
        for _ in 0..ROUNDS {
            if self.round(cx) {
                continue;
            }
            if self.stalled {
                // Nothing more was to be read here; but the runtime may not have looked at its sockets since.
                break;
            }
            if self.machine.phase() == Phase::Done {
                if self.conns.is_empty() {
                    self.done = true;
                    return Poll::Ready(());
                }
                if self.close_all() {
                    continue;
                }
            }
            if self.sleep(cx) {
                self.last_seen = Some(self.clock.now().mono);
                return Poll::Pending;
            }
        }
        self.stalled = false;
        self.last_seen = Some(self.clock.now().mono);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Deadlines are judged only after what arrived while nobody looked (a frozen process, a blocked runtime): what is here is
    /// read, the runtime is given a turn, and only then they count.
    fn note_stall(&mut self, now: Time) {
        let gap = self.last_seen.replace(now).map_or(Duration::ZERO, |last| now.since(last));
        if gap <= STALL || self.machine.poll_timeout().is_none_or(|wake| wake.at > now) {
            return;
        }
        self.stalled = true;
        for (id, conn) in &mut self.conns {
            if conn.reading == Reading::Armed {
                conn.reading = Reading::Due;
                self.reads.push(*id);
            }
        }
    }

    /// One round: what came in, what is due, what goes out. True if anything was done or is left to do.
    fn round(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.clock.now();
        self.note_stall(now.mono);
        self.machine.handle_turn(now);
        let mut busy = self.take_events(now, cx);
        self.take_woken();
        busy |= self.read_due(now);
        if !self.stalled {
            busy |= self.expire(now);
        }
        busy |= self.act(now);
        busy |= self.machine.poll_deliver(now);
        while let Some(id) = self.machine.poll_transmit() {
            self.want_write(id);
            busy = true;
        }
        busy |= self.write_due(now);
        while let Some(id) = self.machine.poll_resume() {
            self.resume(id);
            busy = true;
        }
        busy || !self.reads.is_empty() || !self.writes.is_empty()
    }

    fn take_events(&mut self, now: Now, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        // An adapter need not keep the waker while it owes nothing (tokio's `JoinSet` does not).
        while self.owed > 0 {
            let Poll::Ready(event) = self.net.poll_event(cx) else { break };
            any = true;
            self.owed -= 1;
            match event {
                NetEvent::Lookup(id, Ok(addrs)) => self.machine.handle_lookup(now, id, Ok(&addrs)),
                NetEvent::Lookup(id, Err(error)) => self.machine.handle_lookup(now, id, Err(error)),
                NetEvent::Worked(id, done) => self.machine.handle_work(now, id, done),
                NetEvent::Connected(id, result) => self.connected(now, id, result),
            }
        }
        any
    }

    fn connected(&mut self, now: Now, id: ConnId, result: Result<N::Stream, NetError>) {
        // A connection closed meanwhile is not in the table: its stream ends here (contracts B16).
        let Some(conn) = self.conns.get_mut(&id) else { return };
        match result {
            Ok(stream) => {
                conn.stream = Some(stream);
                conn.reading = Reading::Due;
                self.reads.push(id);
                self.machine.handle_connected(now, id);
            }
            Err(error) => {
                self.conns.remove(&id);
                self.machine.handle_closed(now, id, Some(error));
            }
        }
    }

    fn take_woken(&mut self) {
        self.ready.take(&mut self.scratch);
        for id in self.scratch.drain(..) {
            let Some(conn) = self.conns.get_mut(&id) else { continue };
            conn.signal.clear();
            if conn.reading == Reading::Armed {
                conn.reading = Reading::Due;
                self.reads.push(id);
            }
            if conn.writing == Writing::Armed {
                conn.writing = Writing::Due;
                self.writes.push(id);
            }
        }
    }

    fn resume(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(&id).filter(|c| c.reading == Reading::Stopped) {
            conn.reading = Reading::Due;
            self.reads.push(id);
        }
    }

    fn want_write(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(&id).filter(|c| c.writing == Writing::Idle) {
            conn.writing = Writing::Due;
            self.writes.push(id);
        }
    }

    fn expire(&mut self, now: Now) -> bool {
        let mut any = false;
        if self.machine.poll_timeout().is_some_and(|wake| wake.at <= now.mono) {
            self.machine.handle_timeout(now);
            any = true;
        }
        if self.closing.is_some_and(|at| at <= now.mono) {
            self.conns.retain(|_, conn| conn.closing.is_none_or(|at| at > now.mono));
            self.closing = self.conns.values().filter_map(|conn| conn.closing).min();
            any = true;
        }
        any
    }

    fn act(&mut self, now: Now) -> bool {
        let mut any = false;
        while let Some(action) = self.machine.poll_action() {
            any = true;
            match action {
                Action::Lookup { id, host, port } => {
                    self.owed += 1;
                    self.net.lookup(id, host, port);
                }
                Action::Connect { conn, addr, broker: _ } => {
                    self.owed += 1;
                    self.conns.insert(conn, Conn::new(self.ready.signal(conn)));
                    self.net.connect(conn, addr, &self.machine.socket_options());
                }
                Action::Work { id, work } => {
                    self.owed += 1;
                    self.net.offload(id, work);
                }
                Action::Close { conn, how } => self.close(now, conn, how),
            }
        }
        any
    }

    fn close(&mut self, now: Now, id: ConnId, how: Close) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let unsent = conn.stream.is_some() && self.machine.transmit(id, &mut [IoSlice::new(&[])]) > 0;
        if how == Close::Abort || !unsent || conn.broken.is_some() {
            self.conns.remove(&id);
            return;
        }
        let until = now.mono + LINGER;
        conn.closing = Some(until);
        self.closing = Some(self.closing.map_or(until, |at| at.min(until)));
        self.resume(id);
        self.want_write(id);
    }

    /// The machine is done and will not ask: what it left open is closed, so that the loop ends.
    fn close_all(&mut self) -> bool {
        let now = self.clock.now();
        let left: Vec<_> = self.conns.iter().filter(|(_, c)| c.closing.is_none()).map(|(id, _)| *id).collect();
        for id in &left {
            self.close(now, *id, Close::Graceful);
        }
        !left.is_empty()
    }

    /// True if the loop may sleep now: nothing woke and no time came meanwhile.
    fn sleep(&mut self, cx: &mut Context<'_>) -> bool {
        let machine = self.machine.poll_timeout().map(|wake: Wake| wake.at);
        let until = machine.into_iter().chain(self.closing).min();
        let slept = self.net.poll_sleep(cx, until).is_pending() && self.ready.sleep(cx.waker());
        if slept && self.machine.may_park() {
            return true;
        }
        self.ready.awake();
        false
    }
}

impl<M: Machine, N: Net> Drop for Driver<M, N> {
    fn drop(&mut self) {
        let why = if self.done { "the client was closed" } else { "the runtime that drove the client went away" };
        self.machine.abandon(why);
    }
}
