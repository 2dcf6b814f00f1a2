//! What a replica remembers of each producer id: its epoch and its last five batches (broker-data 4).

use klamm_core::ErrorCode;
use std::collections::{BTreeMap, VecDeque};

/// Batches remembered per producer.
const CACHED: usize = 5;

/// The facts of one appended batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) first_sequence: i32,
    pub(crate) last_sequence: i32,
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) max_timestamp: i64,
}

/// The state of one producer id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Producer {
    epoch: i16,
    batches: VecDeque<Entry>,
    last_timestamp: i64,
}

/// The producers of one replica.
#[derive(Clone, Debug, Default)]
pub(crate) struct Producers {
    by_id: BTreeMap<i64, Producer>,
}

/// Who wrote a batch, as its header says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
    pub(crate) first: i32,
    pub(crate) count: i32,
}

impl Stamp {
    /// The sequence of the last record; 0 follows 2^31-1 (4.5).
    pub(crate) fn last(self) -> i32 {
        let last = i64::from(self.first) + i64::from(self.count) - 1;
        (last & i64::from(i32::MAX)) as i32
    }
}

fn next_sequence(last: i32) -> i32 {
    last.checked_add(1).unwrap_or(0)
}

impl Producers {
    /// 4.1: exactly the same first and last sequence among the five batches of the same epoch.
    pub(crate) fn duplicate(&self, stamp: Stamp) -> Option<Entry> {
        let producer = self.by_id.get(&stamp.id).filter(|p| p.epoch == stamp.epoch)?;
        let same = |e: &&Entry| e.first_sequence == stamp.first && e.last_sequence == stamp.last();
        producer.batches.iter().find(same).copied()
    }

    /// 4.3 to 4.7: what a batch that is no duplicate must satisfy.
    pub(crate) fn check(&self, stamp: Stamp) -> Result<(), ErrorCode> {
        // 4.6: without state anything is accepted, and 59 is never sent.
        let Some(producer) = self.by_id.get(&stamp.id) else { return Ok(()) };
        if stamp.epoch < producer.epoch {
            return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        let expected = match producer.batches.back() {
            Some(last) if stamp.epoch == producer.epoch => next_sequence(last.last_sequence),
            // 4.4, 4.7: a new epoch, and one without batches, begin at 0.
            _ => 0,
        };
        if stamp.first == expected { Ok(()) } else { Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER) }
    }

    /// Notes an appended batch.
    pub(crate) fn note(&mut self, stamp: Stamp, base_offset: i64, max_timestamp: i64) {
        let producer = self.by_id.entry(stamp.id).or_default();
        if producer.epoch != stamp.epoch {
            producer.batches.clear();
        }
        producer.epoch = stamp.epoch;
        producer.last_timestamp = max_timestamp;
        producer.batches.push_back(Entry {
            first_sequence: stamp.first,
            last_sequence: stamp.last(),
            base_offset,
            last_offset: base_offset + i64::from(stamp.count) - 1,
            max_timestamp,
        });
        if producer.batches.len() > CACHED {
            producer.batches.pop_front();
        }
    }

    /// 4.11: after a restart, clean or not, only the last batch of each producer is known.
    pub(crate) fn restart(&mut self) {
        for producer in self.by_id.values_mut() {
            let older = producer.batches.len().saturating_sub(1);
            producer.batches.drain(..older);
        }
    }

    /// 4.14: forgets producers whose last batch bears a timestamp of `before` or earlier.
    pub(crate) fn expire(&mut self, before: i64) {
        self.by_id.retain(|_, producer| producer.last_timestamp > before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(epoch: i16, first: i32, count: i32) -> Stamp {
        Stamp { id: 7, epoch, first, count }
    }

    fn after(batches: &[(i32, i32)]) -> Producers {
        let mut producers = Producers::default();
        let mut offset = 0;
        for &(first, count) in batches {
            producers.note(stamp(0, first, count), offset, 0);
            offset += i64::from(count);
        }
        producers
    }

    #[test]
    fn the_last_five_batches_are_duplicates_and_older_ones_are_out_of_order_4_1_and_4_5() {
        let producers = after(&[(0, 2), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1)]);
        assert_eq!(producers.duplicate(stamp(0, 2, 1)).map(|e| e.base_offset), Some(2));
        assert_eq!(producers.duplicate(stamp(0, 0, 2)), None);
        assert_eq!(producers.check(stamp(0, 0, 2)), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
    }

    #[test]
    fn a_part_of_a_batch_is_no_duplicate_4_5() {
        let producers = after(&[(0, 3)]);
        assert_eq!(producers.duplicate(stamp(0, 0, 2)), None);
        assert_eq!(producers.check(stamp(0, 1, 2)), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
    }

    #[test]
    fn a_sequence_wraps_inside_a_batch_and_behind_it_4_5() {
        let mut producers = Producers::default();
        producers.note(stamp(0, i32::MAX - 1, 4), 0, 0);
        assert_eq!(producers.check(stamp(0, 2, 1)), Ok(()));
        let mut producers = Producers::default();
        producers.note(stamp(0, i32::MAX, 1), 0, 0);
        assert_eq!(producers.check(stamp(0, 0, 1)), Ok(()));
    }

    #[test]
    fn an_old_epoch_is_invalid_even_for_an_old_duplicate_and_a_new_one_begins_at_zero_4_3_and_4_4() {
        let mut producers = after(&[(0, 1)]);
        producers.note(stamp(3, 0, 1), 1, 0);
        assert_eq!(producers.duplicate(stamp(0, 0, 1)), None);
        assert_eq!(producers.check(stamp(0, 0, 1)), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
        assert_eq!(producers.check(stamp(9, 1, 1)), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
        assert_eq!(producers.check(stamp(9, 0, 1)), Ok(()));
    }

    #[test]
    fn an_unknown_producer_may_begin_anywhere_4_6() {
        assert_eq!(Producers::default().check(stamp(5, 77, 1)), Ok(()));
    }

    #[test]
    fn a_restart_leaves_the_last_batch_only_4_11() {
        let mut producers = after(&[(0, 1), (1, 1), (2, 1)]);
        producers.restart();
        assert!(producers.duplicate(stamp(0, 2, 1)).is_some());
        assert!(producers.duplicate(stamp(0, 1, 1)).is_none());
        assert_eq!(producers.check(stamp(0, 3, 1)), Ok(()));
    }
}
