//! Batch buffers that are zeroed once and used again and again, the last returned first: it is the warmest.

use super::locked;
use super::sync::Mutex;

/// The sizes of buffers, in halves of the usual one: batches that are compressed hold more than their size in plain bytes.
const HALVES: [usize; 7] = [2, 3, 4, 6, 8, 12, 16];

/// Buffers of the usual size and a few larger ones.
#[derive(Debug)]
pub(crate) struct Pool {
    size: usize,
    most: usize,
    free: [Mutex<Vec<Vec<u8>>>; HALVES.len()],
}

impl Pool {
    /// For buffers of `size` bytes or somewhat more, of which at most `most` wait here.
    pub(crate) fn new(size: usize, most: usize) -> Self {
        Self { size, most, free: std::array::from_fn(|_| Mutex::default()) }
    }

    fn len_of(&self, class: usize) -> usize {
        HALVES.get(class).map_or(usize::MAX, |halves| (self.size / 2).saturating_mul(*halves) + self.size % 2)
    }

    /// How long the longest kept buffer of at most `len` bytes is; at least the usual one.
    pub(crate) fn fitting(&self, len: usize) -> usize {
        (0..HALVES.len()).rev().map(|class| self.len_of(class)).find(|size| *size <= len).unwrap_or(self.size)
    }

    /// A buffer of `len` bytes, all of them in use (`len()`), at least of the usual size.
    pub(crate) fn get(&self, len: usize) -> Vec<u8> {
        let len = len.max(self.size);
        match (0..HALVES.len()).find(|class| self.len_of(*class) == len) {
            Some(class) => self.get_class(class),
            None => vec![0; len],
        }
    }

    /// A buffer of at least `len` bytes, a kept one if there are any so large.
    pub(crate) fn get_over(&self, len: usize) -> Vec<u8> {
        match (0..HALVES.len()).find(|class| self.len_of(*class) >= len) {
            Some(class) => self.get_class(class),
            None => vec![0; len],
        }
    }

    fn get_class(&self, class: usize) -> Vec<u8> {
        let kept = self.free.get(class).and_then(|free| locked(free).pop());
        kept.unwrap_or_else(|| vec![0; self.len_of(class)])
    }

    /// Takes a buffer back; one of a size of its own is dropped.
    pub(crate) fn put(&self, buffer: Vec<u8>) {
        let class = (0..HALVES.len()).find(|class| self.len_of(*class) == buffer.len());
        let Some((class, free)) = class.and_then(|class| Some((class, self.free.get(class)?))) else { return };
        let mut free = locked(free);
        if free.len() < (self.most * 2).div_ceil(HALVES[class]) {
            free.push(buffer);
        }
    }

    /// Lets go of all buffers.
    pub(crate) fn clear(&self) {
        for free in &self.free {
            let free = std::mem::take(&mut *locked(free));
            drop(free);
        }
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
        let big = pool.get(999);
        assert_eq!(big.len(), 999);
        pool.put(big);
        pool.put(vec![1; 16]);
        pool.put(vec![2; 16]);
        assert_eq!((pool.get(1)[0], pool.get(1)[0]), (1, 0));
    }

    #[test]
    fn larger_buffers_come_in_a_few_sizes_and_are_kept_too() {
        let pool = Pool::new(16, 4);
        let sizes: Vec<usize> = [1, 17, 24, 25, 33, 49, 65, 97, 128, 129].map(|len| pool.get_over(len).len()).into();
        assert_eq!(sizes, [16, 24, 24, 32, 48, 64, 96, 128, 128, 129]);
        assert_eq!(
            [1, 16, 17, 24, 25].map(|len| pool.get(len).len()),
            [16, 16, 17, 24, 25],
            "what was granted, no more"
        );
        let mut large = pool.get(48);
        large[0] = 9;
        pool.put(large);
        assert_eq!(pool.get_over(40)[0], 9);
        assert_eq!([1, 16, 23, 24, 50, 1000].map(|len| pool.fitting(len)), [16, 16, 16, 24, 48, 128]);
    }
}
