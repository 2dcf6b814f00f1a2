//! The bytes of records that only their number matters of.

use klamm::{Record, Topic};

/// What is sent: slices of one buffer, so that the measurement is not of their making.
pub(super) struct Bytes {
    pool: Vec<u8>,
    size: usize,
    key_size: usize,
}

impl Bytes {
    pub(super) fn new(size: usize, key_size: usize) -> Self {
        let mut x = 0x2545_f491_4f6c_dd1du64;
        let text = |_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            b'a' + u8::try_from(x % 26).unwrap_or(0)
        };
        let pool = (0..(64 << 10) + size.max(key_size)).map(text).collect();
        Self { pool, size, key_size }
    }

    #[inline]
    pub(super) fn record<'a>(&'a self, topic: &'a Topic, n: u64) -> Record<'a> {
        let from = usize::try_from(n.wrapping_mul(31) & 0xffff).unwrap_or(0);
        let record = Record::to(topic);
        let record = match self.pool.get(from..from + self.size) {
            Some(value) => record.value(value),
            None => record,
        };
        match self.pool.get(from..from + self.key_size) {
            Some(key) if !key.is_empty() => record.key(key),
            _ => record,
        }
    }
}
