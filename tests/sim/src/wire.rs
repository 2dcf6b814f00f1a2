//! One virtual connection: two byte streams with delays, and its end.

use klamm_cluster::Peer;
use klamm_core::Time;
use std::collections::VecDeque;
use std::io;
use std::task::Waker;

/// A connection between a client and a broker.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) peer: Peer,
    /// What has arrived at the client.
    pub(crate) inbox: VecDeque<u8>,
    /// What has arrived at the broker's socket, which does not read it yet.
    pub(crate) waiting: VecDeque<u8>,
    /// How it ended, seen from the client: `Ok` is an orderly end behind the last byte.
    pub(crate) end: Option<Result<(), io::ErrorKind>>,
    pub(crate) reader: Option<Waker>,
    pub(crate) writer: Option<Waker>,
    /// Bytes on their way to the broker, for back-pressure.
    pub(crate) outgoing: usize,
    /// Nothing overtakes what was sent before, in either direction.
    pub(crate) last_out: Time,
    pub(crate) last_in: Time,
    /// The client let go of it.
    pub(crate) dropped: bool,
}

impl Wire {
    pub(crate) fn new(peer: Peer, now: Time) -> Self {
        Self {
            peer,
            inbox: VecDeque::new(),
            waiting: VecDeque::new(),
            end: None,
            reader: None,
            writer: None,
            outgoing: 0,
            last_out: now,
            last_in: now,
            dropped: false,
        }
    }

    /// Ends it for the client.
    pub(crate) fn cut(&mut self, end: Result<(), io::ErrorKind>) {
        if self.end.is_none() {
            if end.is_err() {
                self.inbox.clear();
            }
            self.end = Some(end);
        }
        self.wake();
    }

    pub(crate) fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }

    /// Takes the first `n` bytes that wait at the client into `buf`.
    pub(crate) fn take(&mut self, buf: &mut [u8], n: usize) -> usize {
        let n = n.min(self.inbox.len()).min(buf.len());
        for (to, byte) in buf.iter_mut().zip(self.inbox.drain(..n)) {
            *to = byte;
        }
        n
    }
}
