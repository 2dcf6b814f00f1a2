//! Bytes in: frames are cut out of what arrived, large ones without a copy.
//!
//! The length in front of a frame is a claim of the peer. It is held against what the oldest request may be answered with,
//! and memory follows the bytes that are there, not the claim (contracts C-2).

use crate::wire::frame::{LENGTH_PREFIX, frame_length};

/// The first buffer for a large answer; from here on it grows fourfold.
const LARGE: usize = 64 * 1024;
/// The buffer of a connection whose answers are small.
const SMALL: usize = 4 * 1024;
/// Buffers kept for large answers: one is being filled, the application holds others.
const POOL: usize = 8;
/// Once kept buffers have so many bytes, no more than three are.
const POOL_BYTES: usize = 8 << 20;

/// A length that the oldest request cannot be answered with: not Kafka, or out of step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadLength(pub(super) [u8; LENGTH_PREFIX]);

/// What arrived and was not yet cut into frames: `buf[start..filled]`.
pub(super) struct Inbox {
    buf: Vec<u8>,
    start: usize,
    filled: usize,
    first: usize,
    /// How long the last large frame was: the next one is likely to be.
    last: usize,
    pool: Vec<Vec<u8>>,
}

impl Inbox {
    /// `large`: answers are worth a pool of buffers.
    pub(super) fn new(large: bool) -> Self {
        let first = if large { LARGE } else { SMALL };
        Self { buf: Vec::new(), start: 0, filled: 0, first, last: 0, pool: Vec::new() }
    }

    /// Where the next bytes go: never empty.
    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.buf.copy_within(self.start..self.filled, 0);
            self.filled -= self.start;
            self.start = 0;
        }
        if self.filled == self.buf.len() {
            let pooled = if self.filled == 0 { self.pooled(self.last) } else { None };
            match pooled {
                Some(pooled) => self.buf = pooled,
                None => self.move_to((self.buf.len() * 2).max(self.first)),
            }
        }
        self.buf.get_mut(self.filled..).unwrap_or_default()
    }

    /// `n` bytes now stand in what `space` lent.
    pub(super) fn received(&mut self, n: usize) {
        self.filled = self.filled.saturating_add(n).min(self.buf.len());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.filled
    }

    /// What arrived of the next frame, its length included.
    pub(super) fn begun(&self) -> &[u8] {
        self.buf.get(self.start..self.filled).unwrap_or_default()
    }

    /// The next whole frame of at most `most` bytes: a buffer, and where in it the length prefix stands. The buffer ends with
    /// the frame.
    pub(super) fn next(&mut self, most: usize) -> Result<Option<(Vec<u8>, usize)>, BadLength> {
        let Some(prefix) = self.begun().first_chunk::<LENGTH_PREFIX>().copied() else { return Ok(None) };
        let length = frame_length(prefix, most).map_err(|_| BadLength(prefix))?;
        let total = length.saturating_add(LENGTH_PREFIX);
        if self.filled - self.start < total {
            self.make_room(total);
            return Ok(None);
        }
        Ok(Some(self.cut(total)))
    }

    fn cut(&mut self, total: usize) -> (Vec<u8>, usize) {
        let (start, end) = (self.start, self.start + total);
        self.start = end;
        // A small answer is copied out so that the buffer stays; a large one leaves with it.
        let leaves = total >= LARGE && !self.pool.is_empty() && total > self.buf.len() / 16;
        if total <= self.buf.len() / 4 && !leaves {
            let frame = self.buf.get(start..end).unwrap_or_default().to_vec();
            self.forget_if_empty();
            return (frame, 0);
        }
        let rest = self.filled - end;
        self.last = total;
        let mut next = self.pooled(total).unwrap_or_default();
        if next.len() < rest {
            next.resize(rest.max(self.first), 0);
        }
        if let (Some(to), Some(from)) = (next.get_mut(..rest), self.buf.get(end..self.filled)) {
            to.copy_from_slice(from);
        }
        let mut frame = std::mem::replace(&mut self.buf, next);
        frame.truncate(end);
        self.start = 0;
        self.filled = rest;
        (frame, start)
    }

    fn forget_if_empty(&mut self) {
        if self.start == self.filled {
            self.start = 0;
            self.filled = 0;
        }
    }

    /// A frame of `total` bytes is on its way and not all here.
    fn make_room(&mut self, total: usize) {
        if self.buf.len() - self.start >= total {
            return;
        }
        if self.buf.capacity() - self.start >= total {
            return self.buf.resize(self.start + total, 0);
        }
        let here = self.filled - self.start;
        if let Some(at) = self.fitting(total) {
            let mut pooled = self.pool.swap_remove(at);
            if pooled.len() < total {
                pooled.resize(total, 0);
            }
            self.move_into(pooled);
        } else if here.saturating_mul(4) >= total {
            self.move_to(total);
        } else if self.filled == self.buf.len() {
            self.move_to(self.buf.len().saturating_mul(4).max(LARGE).min(total));
        }
    }

    fn move_to(&mut self, size: usize) {
        self.move_into(vec![0; size]);
    }

    fn move_into(&mut self, mut buf: Vec<u8>) {
        let here = self.begun();
        if let Some(to) = buf.get_mut(..here.len()) {
            to.copy_from_slice(here);
        }
        self.filled -= self.start;
        self.start = 0;
        let old = std::mem::replace(&mut self.buf, buf);
        self.give(old);
    }

    /// The kept buffer for a frame that is likely to be so long.
    fn pooled(&mut self, total: usize) -> Option<Vec<u8>> {
        let largest = || self.pool.iter().enumerate().max_by_key(|(_, b)| b.len()).map(|(at, _)| at);
        let at = self.fitting(total).or_else(largest)?;
        Some(self.pool.swap_remove(at))
    }

    /// The smallest one that is long enough; among equals the one that came home last, which caches still hold.
    fn fitting(&self, total: usize) -> Option<usize> {
        let enough = self.pool.iter().enumerate().filter(|(_, b)| b.capacity() >= total);
        enough.rev().min_by_key(|(_, b)| b.capacity()).map(|(at, _)| at)
    }

    /// A buffer that left with a frame comes home. The largest ones are kept.
    pub(super) fn give(&mut self, buf: Vec<u8>) {
        if self.first != LARGE || buf.len() < LARGE {
            return;
        }
        self.pool.push(buf);
        let bytes: usize = self.pool.iter().map(Vec::capacity).sum();
        if self.pool.len() > POOL || (bytes > POOL_BYTES && self.pool.len() > 3) {
            let smallest = self.pool.iter().enumerate().min_by_key(|(_, b)| b.len()).map(|(at, _)| at);
            smallest.map(|at| self.pool.swap_remove(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(body: &[u8]) -> Vec<u8> {
        [&u32::to_be_bytes(body.len() as u32)[..], body].concat()
    }

    /// Feeds `bytes` in pieces and returns the frames' bodies.
    fn feed(inbox: &mut Inbox, mut bytes: &[u8], piece: usize, most: usize) -> Result<Vec<Vec<u8>>, BadLength> {
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            let space = inbox.space();
            assert!(!space.is_empty());
            let n = space.len().min(piece).min(bytes.len());
            space[..n].copy_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
            inbox.received(n);
            while let Some((frame, at)) = inbox.next(most)? {
                frames.push(frame[at + 4..].to_vec());
            }
        }
        Ok(frames)
    }

    #[test]
    fn frames_come_out_whole_whatever_the_pieces() {
        let bodies: Vec<Vec<u8>> =
            [0, 1, 5, 1000, 5000, 3, 70_000, 300_000, 2].iter().map(|n| vec![*n as u8; *n]).collect();
        let bytes: Vec<u8> = bodies.iter().flat_map(|b| framed(b)).collect();
        for large in [false, true] {
            for piece in [1, 2, 3, 4, 5, 7, 1000, 4096, 65_536, 1_000_000] {
                let mut inbox = Inbox::new(large);
                assert_eq!(feed(&mut inbox, &bytes, piece, 300_000).unwrap(), bodies, "pieces of {piece}");
                assert!(inbox.is_empty());
            }
        }
    }

    #[test]
    fn a_length_beyond_what_was_asked_for_or_below_zero_is_refused() {
        for (length, most) in [(101i32, 100), (-1, 100), (i32::MIN, 100), (i32::MAX, 100), (1, 0)] {
            let mut inbox = Inbox::new(false);
            let prefix = length.to_be_bytes();
            assert_eq!(feed(&mut inbox, &prefix, 4, most), Err(BadLength(prefix)));
        }
    }

    #[test]
    fn memory_follows_the_bytes_and_not_the_claim() {
        let mut inbox = Inbox::new(true);
        let huge = 1_000_000_000;
        feed(&mut inbox, &(huge as i32).to_be_bytes(), 4, huge).unwrap();
        assert!(inbox.space().len() < LARGE);
        let mut sent = 4;
        while sent < 40_000_000 {
            feed(&mut inbox, &[0; 8192], 8192, huge).unwrap();
            sent += 8192;
            assert!(inbox.buf.len() <= (sent * 4).max(LARGE), "{} bytes for {sent}", inbox.buf.len());
        }
    }

    #[test]
    fn a_large_answer_gets_one_buffer_of_its_size_once_a_quarter_is_there() {
        let mut inbox = Inbox::new(true);
        let frame = framed(&vec![1; 200_000]);
        feed(&mut inbox, &frame[..65_536], 65_536, 200_000).unwrap();
        assert_eq!(inbox.buf.len(), frame.len());
    }

    #[test]
    fn a_buffer_that_comes_home_is_read_into_again() {
        let mut inbox = Inbox::new(true);
        let bytes = framed(&vec![7; 500_000]);
        let (last, most) = bytes.split_last().unwrap();
        feed(&mut inbox, most, 60_000, 500_000).unwrap();
        inbox.space()[0] = *last;
        inbox.received(1);
        let (frame, at) = inbox.next(500_000).unwrap().unwrap();
        assert_eq!((&frame[at..], frame.len()), (&bytes[..], bytes.len()));
        let place = frame.as_ptr();
        inbox.give(frame);
        // It is taken first, whatever smaller ones its growth left behind.
        inbox.buf = Vec::new();
        assert_eq!(inbox.space().len(), bytes.len());
        assert_eq!(inbox.space().as_ptr(), place);
    }

    #[test]
    fn small_answers_leave_the_buffer_where_it_is() {
        let mut inbox = Inbox::new(false);
        let place = inbox.space().as_ptr();
        for _ in 0..10 {
            assert_eq!(feed(&mut inbox, &framed(b"answer"), 100, 100).unwrap(), [b"answer"]);
        }
        assert_eq!(inbox.space().as_ptr(), place);
    }

    #[test]
    fn strange_buffers_are_not_kept() {
        let mut inbox = Inbox::new(true);
        inbox.give(vec![0; 10]);
        assert!(inbox.pool.is_empty());
        for _ in 0..10 {
            inbox.give(vec![0; LARGE]);
        }
        assert_eq!(inbox.pool.len(), POOL);
        let mut small = Inbox::new(false);
        small.give(vec![0; LARGE]);
        assert!(small.pool.is_empty());
    }
}
