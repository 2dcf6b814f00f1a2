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
#[derive(Clone, Debug)]
pub(crate) struct Producer {
    pub(crate) epoch: i16,
    batches: VecDeque<Entry>,
    pub(crate) last_timestamp: i64,
    /// The epoch of the coordinator that wrote its last marker, -1 if there was none.
    pub(crate) coordinator_epoch: i32,
    /// Where its open transaction begins.
    pub(crate) open: Option<i64>,
}

impl Default for Producer {
    fn default() -> Self {
        Self { epoch: -1, batches: VecDeque::new(), last_timestamp: -1, coordinator_epoch: -1, open: None }
    }
}

impl Producer {
    /// The sequence of its last record in this epoch, -1 if it has none.
    pub(crate) fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(-1, |entry| entry.last_sequence)
    }
}

/// A transaction that ended, as offsets of its first record and of its marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ended {
    first: i64,
    marker: i64,
}

/// The producers of one replica.
#[derive(Clone, Debug, Default)]
pub(crate) struct Producers {
    by_id: BTreeMap<i64, Producer>,
    /// Transactions whose marker is not known to be committed.
    ended: Vec<Ended>,
}

/// What a leader knows of a batch beyond its header (4.2, 4.6, 4.20).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The batch belongs to a transaction.
    pub(crate) transactional: bool,
    /// The coordinator said that the partition belongs to that transaction.
    pub(crate) verified: bool,
    /// The producer speaks transactions v2 (Produce 12 and up).
    pub(crate) v2: bool,
}

/// The end of a transaction, as its coordinator has it written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
    pub(crate) commit: bool,
    pub(crate) coordinator_epoch: i32,
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

    /// 4.2 to 4.8: what a batch that is no duplicate must satisfy.
    pub(crate) fn check(&self, stamp: Stamp, terms: Terms) -> Result<(), ErrorCode> {
        let known = self.by_id.get(&stamp.id);
        // 4.3, and 4.2 in the same breath.
        if known.is_some_and(|p| stamp.epoch < p.epoch) {
            return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        if terms.transactional && !self.is_open(stamp.id, stamp.epoch) && !terms.verified {
            return Err(ErrorCode::INVALID_TXN_STATE);
        }
        let Some(producer) = known else {
            // 4.6: without state anything is accepted, and 59 is never sent; transactions v2 begin at 0.
            let late = terms.transactional && terms.v2 && stamp.first != 0;
            return if late { Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER) } else { Ok(()) };
        };
        let expected = match producer.batches.back() {
            Some(last) if stamp.epoch == producer.epoch => next_sequence(last.last_sequence),
            // 4.4, 4.7: a new epoch, and one without batches, begin at 0.
            _ => 0,
        };
        if stamp.first != expected {
            return Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        }
        // 4.8.
        if producer.open.is_some() && !terms.transactional {
            return Err(ErrorCode::INVALID_TXN_STATE);
        }
        Ok(())
    }

    /// Whether a transaction of that producer and epoch is open here.
    pub(crate) fn is_open(&self, id: i64, epoch: i16) -> bool {
        self.by_id.get(&id).is_some_and(|p| p.epoch == epoch && p.open.is_some())
    }

    /// The epoch that a producer id is known with.
    pub(crate) fn epoch(&self, id: i64) -> Option<i16> {
        self.by_id.get(&id).map(|p| p.epoch)
    }

    /// 4.15: whether a marker may be written.
    pub(crate) fn check_marker(&self, marker: Marker, v2: bool) -> Result<(), ErrorCode> {
        let Some(producer) = self.by_id.get(&marker.id) else { return Ok(()) };
        if marker.coordinator_epoch < producer.coordinator_epoch {
            return Err(ErrorCode::TRANSACTION_COORDINATOR_FENCED);
        }
        let repeated = producer.open.is_none() && marker.epoch == producer.epoch;
        let fits = if v2 { marker.epoch > producer.epoch || repeated } else { marker.epoch >= producer.epoch };
        if fits { Ok(()) } else { Err(ErrorCode::INVALID_PRODUCER_EPOCH) }
    }

    /// Notes a marker in the log; gives the first offset of the transaction that it ends, if there is data of it.
    pub(crate) fn note_marker(&mut self, marker: Marker, offset: i64, timestamp: i64) -> Option<i64> {
        let producer = self.by_id.entry(marker.id).or_default();
        if producer.epoch != marker.epoch {
            producer.batches.clear();
        }
        producer.epoch = marker.epoch;
        producer.coordinator_epoch = marker.coordinator_epoch;
        producer.last_timestamp = timestamp;
        let first = producer.open.take()?;
        self.ended.push(Ended { first, marker: offset });
        Some(first)
    }

    /// 5.3: the first offset whose transaction is open, or ended by a marker that is not below `committed`.
    pub(crate) fn first_unstable(&self, committed: i64) -> Option<i64> {
        let open = self.by_id.values().filter_map(|p| p.open);
        let ended = self.ended.iter().filter(|e| e.marker >= committed).map(|e| e.first);
        open.chain(ended).min()
    }

    /// The first offset whose transaction is open.
    pub(crate) fn first_open(&self) -> Option<i64> {
        self.by_id.values().filter_map(|p| p.open).min()
    }

    /// Forgets ended transactions whose marker is below `committed`.
    pub(crate) fn settle(&mut self, committed: i64) {
        self.ended.retain(|e| e.marker >= committed);
    }

    /// Every producer id with its state.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &Producer)> {
        self.by_id.iter().map(|(id, producer)| (*id, producer))
    }

    /// Notes an appended batch.
    pub(crate) fn note(&mut self, stamp: Stamp, base_offset: i64, max_timestamp: i64, transactional: bool) {
        let producer = self.by_id.entry(stamp.id).or_default();
        if transactional {
            producer.open.get_or_insert(base_offset);
        }
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

    /// 4.14: forgets producers without open transaction whose last batch bears a timestamp of `before` or earlier.
    pub(crate) fn expire(&mut self, before: i64) {
        self.by_id.retain(|_, producer| producer.last_timestamp > before || producer.open.is_some());
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
            producers.note(stamp(0, first, count), offset, 0, false);
            offset += i64::from(count);
        }
        producers
    }

    #[test]
    fn the_last_five_batches_are_duplicates_and_older_ones_are_out_of_order_4_1_and_4_5() {
        let producers = after(&[(0, 2), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1)]);
        assert_eq!(producers.duplicate(stamp(0, 2, 1)).map(|e| e.base_offset), Some(2));
        assert_eq!(producers.duplicate(stamp(0, 0, 2)), None);
        assert_eq!(producers.check(stamp(0, 0, 2), Terms::default()), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
    }

    #[test]
    fn a_part_of_a_batch_is_no_duplicate_4_5() {
        let producers = after(&[(0, 3)]);
        assert_eq!(producers.duplicate(stamp(0, 0, 2)), None);
        assert_eq!(producers.check(stamp(0, 1, 2), Terms::default()), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
    }

    #[test]
    fn a_sequence_wraps_inside_a_batch_and_behind_it_4_5() {
        let mut producers = Producers::default();
        producers.note(stamp(0, i32::MAX - 1, 4), 0, 0, false);
        assert_eq!(producers.check(stamp(0, 2, 1), Terms::default()), Ok(()));
        let mut producers = Producers::default();
        producers.note(stamp(0, i32::MAX, 1), 0, 0, false);
        assert_eq!(producers.check(stamp(0, 0, 1), Terms::default()), Ok(()));
    }

    #[test]
    fn an_old_epoch_is_invalid_even_for_an_old_duplicate_and_a_new_one_begins_at_zero_4_3_and_4_4() {
        let mut producers = after(&[(0, 1)]);
        producers.note(stamp(3, 0, 1), 1, 0, false);
        assert_eq!(producers.duplicate(stamp(0, 0, 1)), None);
        assert_eq!(producers.check(stamp(0, 0, 1), Terms::default()), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
        assert_eq!(producers.check(stamp(9, 1, 1), Terms::default()), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
        assert_eq!(producers.check(stamp(9, 0, 1), Terms::default()), Ok(()));
    }

    #[test]
    fn an_unknown_producer_may_begin_anywhere_4_6() {
        assert_eq!(Producers::default().check(stamp(5, 77, 1), Terms::default()), Ok(()));
    }

    #[test]
    fn a_restart_leaves_the_last_batch_only_4_11() {
        let mut producers = after(&[(0, 1), (1, 1), (2, 1)]);
        producers.restart();
        assert!(producers.duplicate(stamp(0, 2, 1)).is_some());
        assert!(producers.duplicate(stamp(0, 1, 1)).is_none());
        assert_eq!(producers.check(stamp(0, 3, 1), Terms::default()), Ok(()));
    }

    const TXN: Terms = Terms { transactional: true, verified: true, v2: false };
    const TXN2: Terms = Terms { v2: true, ..TXN };

    fn marker(epoch: i16, coordinator_epoch: i32) -> Marker {
        Marker { id: 7, epoch, commit: true, coordinator_epoch }
    }

    #[test]
    fn a_transaction_begins_verified_and_goes_on_without_4_2() {
        let mut producers = Producers::default();
        let unverified = Terms { verified: false, ..TXN };
        assert_eq!(producers.check(stamp(0, 0, 1), unverified), Err(ErrorCode::INVALID_TXN_STATE));
        assert_eq!(producers.check(stamp(0, 0, 1), TXN), Ok(()));
        producers.note(stamp(0, 0, 1), 5, 0, true);
        assert_eq!(producers.check(stamp(0, 1, 1), unverified), Ok(()));
        assert_eq!(producers.first_unstable(9), Some(5));
    }

    #[test]
    fn a_plain_batch_within_a_transaction_is_refused_4_8() {
        let mut producers = Producers::default();
        producers.note(stamp(0, 0, 1), 0, 0, true);
        assert_eq!(producers.check(stamp(0, 1, 1), Terms::default()), Err(ErrorCode::INVALID_TXN_STATE));
        let gap = producers.check(stamp(0, 2, 1), Terms::default());
        assert_eq!(gap, Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER), "the sequence is looked at first");
    }

    #[test]
    fn transactions_v2_begin_at_sequence_zero_4_6() {
        let producers = Producers::default();
        assert_eq!(producers.check(stamp(0, 3, 1), TXN2), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
        assert_eq!(producers.check(stamp(0, 3, 1), TXN), Ok(()));
    }

    #[test]
    fn a_marker_of_the_same_epoch_lets_sequences_go_on_and_a_bumped_one_starts_them_anew_4_7_and_4_16() {
        let mut producers = Producers::default();
        producers.note(stamp(0, 0, 2), 0, 0, true);
        assert_eq!(producers.note_marker(marker(0, 1), 2, 0), Some(0));
        assert_eq!(producers.check(stamp(0, 2, 1), TXN), Ok(()));
        producers.note(stamp(0, 2, 1), 3, 0, true);
        assert_eq!(producers.note_marker(marker(1, 1), 4, 0), Some(3));
        assert_eq!(producers.check(stamp(0, 3, 1), TXN), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
        assert_eq!(producers.check(stamp(1, 3, 1), TXN), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
        assert_eq!(producers.check(stamp(1, 0, 1), TXN), Ok(()));
    }

    #[test]
    fn a_marker_needs_a_fitting_epoch_and_the_newest_coordinator_4_15() {
        let mut producers = Producers::default();
        producers.note(stamp(3, 0, 1), 0, 0, true);
        assert_eq!(producers.check_marker(marker(2, 1), false), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
        assert_eq!(producers.check_marker(marker(3, 1), false), Ok(()));
        assert_eq!(producers.check_marker(marker(3, 1), true), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
        assert_eq!(producers.check_marker(marker(4, 1), true), Ok(()));
        producers.note_marker(marker(4, 5), 1, 0);
        assert_eq!(producers.check_marker(marker(4, 5), true), Ok(()), "the coordinator repeats itself");
        let old = producers.check_marker(marker(4, 4), true);
        assert_eq!(old, Err(ErrorCode::TRANSACTION_COORDINATOR_FENCED));
    }

    #[test]
    fn what_ended_is_unstable_until_its_marker_is_committed_5_3() {
        let mut producers = Producers::default();
        producers.note(stamp(0, 0, 1), 0, 0, true);
        producers.note_marker(marker(0, 1), 1, 0);
        assert_eq!(producers.first_unstable(1), Some(0));
        assert_eq!(producers.first_unstable(2), None);
        producers.settle(2);
        assert_eq!(producers.first_unstable(0), None);
    }

    #[test]
    fn an_open_transaction_keeps_its_producer_from_expiring_4_14() {
        let mut producers = Producers::default();
        producers.note(stamp(0, 0, 1), 0, 100, true);
        producers.expire(500);
        assert!(producers.is_open(7, 0));
        producers.note_marker(marker(0, 1), 1, 200);
        producers.expire(500);
        assert_eq!(producers.epoch(7), None);
    }
}
