//! One connection: its bytes in both directions, and the request that it waits for.

use crate::answer::Ticket;
use bytes::{Bytes, BytesMut};
use klamm_core::Time;
use klamm_core::wire::frame::{LENGTH_PREFIX, frame_length};
use std::collections::VecDeque;
use std::time::Duration;

/// Bytes kept of a client that pipelines while its request is served; the rest waits in its socket.
const AHEAD: usize = 1 << 20;
/// Bytes of answers that a client has not taken, beyond which nothing more is read from it.
const BEHIND: usize = 16 << 20;

#[derive(Debug)]
pub(super) struct Conn {
    pub(super) broker: i32,
    pub(super) inbox: BytesMut,
    pub(super) outbox: VecDeque<Bytes>,
    /// The request in hand: one at a time, in order (1.11).
    pub(super) busy: Option<Ticket>,
    pub(super) muted_until: Option<Time>,
    /// The last time that bytes went either way (1.12).
    pub(super) active: Time,
    pub(super) closing: bool,
}

/// A frame header that no broker believes (1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadLength;

impl Conn {
    pub(super) fn new(broker: i32, now: Time) -> Self {
        Self {
            broker,
            inbox: BytesMut::new(),
            outbox: VecDeque::new(),
            busy: None,
            muted_until: None,
            active: now,
            closing: false,
        }
    }

    pub(super) fn wants_input(&self) -> bool {
        let held = self.busy.is_some() || self.muted_until.is_some();
        let behind: usize = self.outbox.iter().map(Bytes::len).sum();
        !self.closing && behind < BEHIND && !(held && self.inbox.len() >= AHEAD)
    }

    pub(super) fn deadline(&self, idle: Duration) -> Option<Time> {
        let idle = self.active + idle;
        Some(self.muted_until.map_or(idle, |until| until.min(idle)))
    }

    pub(super) fn sent(&mut self, mut n: usize) {
        while let Some(front) = self.outbox.front_mut() {
            if n < front.len() {
                drop(front.split_to(n));
                return;
            }
            n -= front.len();
            self.outbox.pop_front();
        }
    }

    /// The next whole frame without its length, if the connection may be read now.
    pub(super) fn next_frame(&mut self, most: usize) -> Result<Option<Bytes>, BadLength> {
        if self.busy.is_some() || self.muted_until.is_some() || self.closing {
            return Ok(None);
        }
        let Some(prefix) = self.inbox.first_chunk::<LENGTH_PREFIX>() else { return Ok(None) };
        let length = frame_length(*prefix, most).map_err(|_| BadLength)?;
        // 1.2: a frame of no bytes has no header.
        if length == 0 {
            return Err(BadLength);
        }
        if self.inbox.len() - LENGTH_PREFIX < length {
            return Ok(None);
        }
        let mut frame = self.inbox.split_to(LENGTH_PREFIX + length);
        Ok(Some(frame.split_off(LENGTH_PREFIX).freeze()))
    }
}
