//! The virtual network as the driver sees it.

use crate::world::{Shared, lock};
use klamm_core::driver::{Clock, Net, NetEvent, SocketOptions, Work};
use klamm_core::{ConnId, LookupId, Time, WorkId};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

/// One client's network.
pub(crate) struct SimNet {
    world: Shared,
    side: usize,
    clock: Clock,
    armed: Option<Time>,
}

/// One client's end of a connection.
pub(crate) struct SimStream {
    world: Shared,
    id: u64,
}

impl Drop for SimStream {
    fn drop(&mut self) {
        lock(&self.world).drop_wire(self.id);
    }
}

impl Drop for SimNet {
    fn drop(&mut self) {
        lock(&self.world).drop_side(self.side);
    }
}

impl SimNet {
    pub(crate) fn new(world: &Shared) -> Self {
        let mut locked = lock(world);
        let (side, clock) = (locked.new_side(), locked.clock());
        drop(locked);
        Self { world: world.clone(), side, clock, armed: None }
    }
}

impl Net for SimNet {
    type Stream = SimStream;

    fn clock(&self) -> Clock {
        self.clock.clone()
    }

    fn lookup(&mut self, id: LookupId, host: Arc<str>, port: u16) {
        lock(&self.world).lookup(self.side, id, &host, port);
    }

    fn connect(&mut self, conn: ConnId, addr: SocketAddr, _: &SocketOptions) {
        lock(&self.world).connect(self.side, conn, addr);
    }

    fn offload(&mut self, id: WorkId, work: Work) {
        let done = work.run();
        lock(&self.world).worked(self.side, id, done);
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<NetEvent<SimStream>> {
        let event = lock(&self.world).poll_event(self.side, cx.waker());
        match event {
            None => Poll::Pending,
            Some(NetEvent::Lookup(id, answer)) => Poll::Ready(NetEvent::Lookup(id, answer)),
            Some(NetEvent::Worked(id, done)) => Poll::Ready(NetEvent::Worked(id, done)),
            Some(NetEvent::Connected(conn, result)) => {
                let stream = result.map(|id| SimStream { world: self.world.clone(), id });
                Poll::Ready(NetEvent::Connected(conn, stream))
            }
        }
    }

    fn poll_read(&mut self, s: &mut SimStream, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        lock(&self.world).read(s.id, cx.waker(), buf).map_or(Poll::Pending, Poll::Ready)
    }

    fn poll_write(&mut self, s: &mut SimStream, cx: &mut Context<'_>, iov: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let slices: Vec<&[u8]> = iov.iter().map(|slice| &**slice).collect();
        lock(&self.world).write(s.id, cx.waker(), &slices).map_or(Poll::Pending, Poll::Ready)
    }

    fn poll_sleep(&mut self, cx: &mut Context<'_>, until: Option<Time>) -> Poll<()> {
        let Some(until) = until else { return Poll::Pending };
        if self.clock.now().mono >= until {
            self.armed = None;
            return Poll::Ready(());
        }
        if self.armed != Some(until) {
            self.armed = Some(until);
            lock(&self.world).wake_at(until, cx.waker().clone());
        }
        Poll::Pending
    }
}
