//! Batch buffers that are zeroed once and used again and again, the last returned first: it is the warmest.

use super::locked;
use std::sync::Mutex;

/// Buffers of one size.
#[derive(Debug)]
pub(crate) struct Pool {
    size: usize,
    most: usize,
    free: Mutex<Vec<Vec<u8>>>,
}

impl Pool {
    /// For buffers of `size` bytes, of which at most `most` wait here.
    pub(crate) fn new(size: usize, most: usize) -> Self {
        Self { size, most, free: Mutex::new(Vec::new()) }
    }

    /// A buffer of at least `len` bytes, all of them in use (`len()`); larger than usual ones are made to measure.
    pub(crate) fn get(&self, len: usize) -> Vec<u8> {
        if len > self.size {
            return vec![0; len];
        }
        locked(&self.free).pop().unwrap_or_else(|| vec![0; self.size])
    }

    /// Takes a buffer back; one of another size is dropped.
    pub(crate) fn put(&self, buffer: Vec<u8>) {
        if buffer.len() != self.size {
            return;
        }
        let mut free = locked(&self.free);
        if free.len() < self.most {
            free.push(buffer);
        }
    }

    /// Lets go of all buffers.
    pub(crate) fn clear(&self) {
        let free = std::mem::take(&mut *locked(&self.free));
        drop(free);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_buffer_returned_is_the_next_one_out() {
        let pool = Pool::new(16, 2);
        let (mut a, b) = (pool.get(10), pool.get(16));
        a[0] = 7;
        pool.put(b);
        pool.put(a);
        assert_eq!(pool.get(16)[0], 7);
    }

    #[test]
    fn buffers_of_other_sizes_and_too_many_are_not_kept() {
        let pool = Pool::new(16, 1);
        let big = pool.get(99);
        assert_eq!(big.len(), 99);
        pool.put(big);
        pool.put(vec![1; 16]);
        pool.put(vec![2; 16]);
        assert_eq!((pool.get(1)[0], pool.get(1)[0]), (1, 0));
    }
}
