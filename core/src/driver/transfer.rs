//! Bytes between the machine and its connections: fair shares, short reads and writes, the end of a stream.

use super::conn::{Reading, Writing};
use super::{Driver, Machine, Net, NetError};
use crate::{ConnId, Now};
use std::io::{self, IoSlice};
use std::task::{Context, Poll};

/// Slices of one vectored write.
const SLICES: usize = 64;
/// Vectored writes of one connection in one round.
const WRITES: usize = 4;

impl<M: Machine, N: Net> Driver<M, N> {
    /// Reads each due connection once: one lent buffer is the quota, so that none starves another.
    pub(super) fn read_due(&mut self, now: Now) -> bool {
        let mut due = std::mem::take(&mut self.reads);
        let mut any = false;
        for id in due.drain(..) {
            if let Some(end) = self.read(now, id, &mut any) {
                any = true;
                self.end(now, id, end);
            }
        }
        // What became due meanwhile was pushed to the new list; keep the larger allocation.
        due.append(&mut self.reads);
        self.reads = due;
        any
    }

    /// One read. `Some` ends the connection.
    fn read(&mut self, now: Now, id: ConnId, any: &mut bool) -> Option<Option<NetError>> {
        let conn = self.conns.get_mut(&id).filter(|c| c.reading == Reading::Due)?;
        let stream = conn.stream.as_mut()?;
        let mut cx = Context::from_waker(&conn.waker);
        let mut waste = [0; 1024];
        let discard = conn.closing.is_some();
        let buf = if discard { &mut waste[..] } else { self.machine.recv_buf(id).unwrap_or_default() };
        if buf.is_empty() {
            conn.reading = Reading::Stopped;
            return conn.broken.take().map(Some);
        }
        match self.net.poll_read(stream, &mut cx, buf) {
            Poll::Pending => {
                conn.reading = Reading::Armed;
                conn.broken.take().map(Some)
            }
            Poll::Ready(Ok(0)) => Some(conn.broken.take()),
            Poll::Ready(Ok(n)) => {
                *any = true;
                self.reads.push(id);
                if !discard {
                    self.machine.handle_received(now, id, n);
                }
                None
            }
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {
                self.reads.push(id);
                None
            }
            Poll::Ready(Err(error)) => Some(Some(conn.broken.take().unwrap_or_else(|| error.into()))),
        }
    }

    fn end(&mut self, now: Now, id: ConnId, why: Option<NetError>) {
        // A connection that the machine closed itself is no news to it.
        if self.conns.remove(&id).is_some_and(|conn| conn.closing.is_none()) {
            self.machine.handle_closed(now, id, why);
        }
    }

    pub(super) fn write_due(&mut self, now: Now) -> bool {
        let mut due = std::mem::take(&mut self.writes);
        let mut any = false;
        for id in due.drain(..) {
            any |= self.write(now, id);
        }
        due.append(&mut self.writes);
        self.writes = due;
        any
    }

    /// Writes one connection until it is empty, blocked or has had its share.
    fn write(&mut self, now: Now, id: ConnId) -> bool {
        let Some(conn) = self.conns.get_mut(&id).filter(|c| c.writing == Writing::Due) else { return false };
        let Some(stream) = &mut conn.stream else {
            conn.writing = Writing::Idle;
            return false;
        };
        let mut cx = Context::from_waker(&conn.waker);
        for _ in 0..WRITES {
            let mut iov = [IoSlice::new(&[]); SLICES];
            let slices = self.machine.transmit(id, &mut iov);
            let Some(iov) = iov.get(..slices).filter(|iov| !iov.is_empty()) else {
                conn.writing = Writing::Idle;
                if conn.closing.is_some() {
                    self.conns.remove(&id);
                }
                return true;
            };
            let error = match self.net.poll_write(stream, &mut cx, iov) {
                Poll::Pending => {
                    conn.writing = Writing::Armed;
                    return false;
                }
                Poll::Ready(Ok(0)) => io::Error::from(io::ErrorKind::WriteZero),
                Poll::Ready(Ok(n)) => {
                    self.machine.handle_sent(now, id, n);
                    continue;
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => continue,
                Poll::Ready(Err(error)) => error,
            };
            // Answers that are already here must not become unknown outcomes: read to the end first (contracts 4.3).
            conn.writing = Writing::Broken;
            conn.broken = Some(error.into());
            if conn.closing.is_some() {
                self.conns.remove(&id);
            } else if conn.reading != Reading::Due {
                conn.reading = Reading::Due;
                self.reads.push(id);
            }
            return true;
        }
        self.writes.push(id);
        true
    }
}
