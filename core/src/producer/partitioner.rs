//! Which partition a record goes to: by its key as Java does it, sticky as KIP-794, or in turn.

use crate::rng::Rng;

/// A partition of one's own choice, or the built-in one for records without a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Placement {
    /// This partition.
    At(i32),
    /// The partition that records without a key go to now: it changes when it got a batch's worth of bytes (KIP-794).
    Sticky,
    /// Any partition with a leader, drawn anew for each record.
    Random,
}

/// Kafka's variant of MurmurHash2 (Java's `Utils.murmur2`).
#[inline]
pub fn murmur2(bytes: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mut hash = SEED ^ bytes.len() as u32;
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let tail = words.remainder();
    if !tail.is_empty() {
        for (i, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * i);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// Where Java's default partitioner puts a key among `count` partitions (`BuiltInPartitioner.partitionForKey`): all of
/// them count, whether they have a leader or not, so that a key stays where it is. 0 if there are none.
#[inline]
pub fn partition_for_key(key: &[u8], count: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff).checked_rem(count).unwrap_or(0)
}

/// The choice among the available partitions of one topic: uniform by a seeded draw, or by weights (KIP-794), and rather
/// near ones (KIP-1123).
#[derive(Clone, Debug)]
pub struct Chooser {
    available: Vec<u32>,
    /// Those of them whose leaders are near.
    near: Vec<u32>,
    /// Running sums of weights, each with its partition; empty: all candidates weigh the same.
    table: Vec<(u64, u32)>,
    count: u32,
    rng: Rng,
}

impl Chooser {
    /// One that knows no partition yet.
    pub fn new(seed: u64) -> Self {
        Self { available: Vec::new(), near: Vec::new(), table: Vec::new(), count: 0, rng: Rng::new(seed) }
    }

    /// Takes in how many partitions there are, which of them have a leader, and whether that is near.
    pub fn set(&mut self, count: u32, available: impl IntoIterator<Item = (u32, bool)>) {
        self.count = count;
        self.available.clear();
        self.near.clear();
        self.table.clear();
        for (partition, near) in available {
            self.available.push(partition);
            if near {
                self.near.push(partition);
            }
        }
    }

    /// Weighs the candidates by how many batches wait in each, as Java does (`BuiltInPartitioner.updatePartitionLoadStats`):
    /// the longest queue has weight 1, each batch less is one more. `None`: nothing goes there now, unless all are so.
    pub fn weigh(&mut self, mut queued: impl FnMut(u32) -> Option<u32>) {
        for candidates in [&self.near, &self.available] {
            self.table.clear();
            self.table.extend(candidates.iter().filter_map(|p| queued(*p).map(|n| (u64::from(n), *p))));
            let Some((first, _)) = self.table.first().copied() else { continue };
            if self.table.len() == candidates.len() && self.table.iter().all(|(n, _)| *n == first) {
                self.table.clear();
                return;
            }
            let most = self.table.iter().map(|(n, _)| *n).max().unwrap_or(0);
            let mut sum = 0;
            for (entry, _) in &mut self.table {
                sum += most + 1 - *entry;
                *entry = sum;
            }
            return;
        }
    }

    /// The next sticky choice: by the weights if there are any; else any near partition, any with a leader, any at all, each
    /// with the same chance. 0 if there are none.
    pub fn roll(&mut self) -> u32 {
        if let Some((sum, _)) = self.table.last() {
            let drawn = self.rng.below(*sum);
            let at = self.table.partition_point(|(sum, _)| *sum <= drawn);
            return self.table.get(at).map_or(0, |(_, partition)| *partition);
        }
        if !self.near.is_empty() {
            let at = self.rng.below(self.near.len() as u64) as usize;
            return self.near.get(at).copied().unwrap_or(0);
        }
        self.draw()
    }

    /// Any partition with a leader, each with the same chance; if none has one, any partition. 0 if there are none.
    pub fn draw(&mut self) -> u32 {
        if self.available.is_empty() {
            return self.rng.below(u64::from(self.count)) as u32;
        }
        let at = self.rng.below(self.available.len() as u64) as usize;
        self.available.get(at).copied().unwrap_or(0)
    }

    /// The `turn`-th partition in a round over those with a leader; if none has one, over all.
    pub fn in_turn(&self, turn: u32) -> u32 {
        match u32::try_from(self.available.len()) {
            Ok(n) if n > 0 => self.available.get((turn % n) as usize).copied().unwrap_or(0),
            _ => turn.checked_rem(self.count).unwrap_or(0),
        }
    }

    /// Whether this partition had a leader when the shape came.
    pub fn is_available(&self, partition: u32) -> bool {
        self.available.contains(&partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_agrees_with_kafkas_own_vectors() {
        // Apache Kafka, UtilsTest.testMurmur2, and librdkafka's unit tests.
        let cases: [(&[u8], u32); 12] = [
            (b"21", 3_321_034_988),
            (b"foobar", 3_504_634_814),
            (b"a-little-bit-long-string", 3_308_985_760),
            (b"a-little-bit-longer-string", 2_808_662_467),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", 4_236_069_325),
            (b"abc", 479_470_107),
            (b"kafka", 3_496_464_228),
            (b"giberish123456789", 2_404_723_468),
            (b"1234", 2_680_781_588),
            (b"234", 3_888_122_314),
            (b"4", 1_514_888_353),
            (b"", 275_646_681),
        ];
        for (key, hash) in cases {
            assert_eq!(murmur2(key), hash, "{}", String::from_utf8_lossy(key));
        }
    }

    #[test]
    fn keys_land_where_java_and_librdkafka_put_them() {
        let cases: [(&[u8], u32, u32); 12] = [
            (b"", 7, 2),
            (b"", 17, 11),
            (b"23456", 7, 5),
            (b"23456", 17, 9),
            (b"this is another string with more length to it perhaps", 7, 1),
            (b"this is another string with more length to it perhaps", 17, 11),
            (b"hejsan", 7, 6),
            (b"hejsan", 17, 5),
            (b"a", 1000, 524),
            (b"ab", 1000, 434),
            (b"abc", 1000, 107),
            (b"\0 ", 1000, 742),
        ];
        for (key, count, partition) in cases {
            assert_eq!(partition_for_key(key, count), partition, "{} of {count}", String::from_utf8_lossy(key));
        }
    }

    #[test]
    fn no_partitions_is_no_division_by_zero() {
        assert_eq!(partition_for_key(b"k", 0), 0);
        assert_eq!(Chooser::new(1).roll(), 0);
        assert_eq!(Chooser::new(1).in_turn(7), 0);
    }

    #[test]
    fn the_choice_is_uniform_over_partitions_with_a_leader() {
        let mut chooser = Chooser::new(3);
        chooser.set(6, [0, 2, 5].map(|p| (p, false)));
        let mut hits = [0u32; 6];
        for _ in 0..30_000 {
            hits[chooser.roll() as usize] += 1;
        }
        assert_eq!((hits[1], hits[3], hits[4]), (0, 0, 0));
        for p in [0, 2, 5] {
            assert!((9_500..10_500).contains(&hits[p]), "{hits:?}");
        }
    }

    #[test]
    fn without_any_leader_all_partitions_are_candidates() {
        let mut chooser = Chooser::new(3);
        chooser.set(4, []);
        let mut seen = [false; 4];
        for _ in 0..200 {
            seen[chooser.roll() as usize] = true;
        }
        assert_eq!(seen, [true; 4]);
        assert_eq!((0..4).map(|turn| chooser.in_turn(turn)).collect::<Vec<_>>(), [0, 1, 2, 3]);
    }

    #[test]
    fn a_round_visits_every_available_partition_once() {
        let mut chooser = Chooser::new(3);
        chooser.set(5, [1, 3, 4].map(|p| (p, false)));
        assert_eq!((0..6).map(|turn| chooser.in_turn(turn)).collect::<Vec<_>>(), [1, 3, 4, 1, 3, 4]);
    }

    fn hits(chooser: &mut Chooser) -> [u32; 4] {
        let mut hits = [0; 4];
        for _ in 0..40_000 {
            hits[chooser.roll() as usize] += 1;
        }
        hits
    }

    fn near(got: [u32; 4], shares: [u32; 4]) {
        let sum: u32 = shares.iter().sum();
        for (hits, share) in got.into_iter().zip(shares) {
            assert!(hits.abs_diff(40_000 * share / sum) < 900, "{got:?} for {shares:?}");
        }
    }

    #[test]
    fn fewer_waiting_batches_weigh_more_as_in_javas_own_example() {
        // BuiltInPartitioner: queues of 0, 3, 1 weigh 4, 1, 3.
        let mut chooser = Chooser::new(5);
        chooser.set(4, [0, 1, 2].map(|p| (p, false)));
        chooser.weigh(|p| [Some(0), Some(3), Some(1)][p as usize]);
        near(hits(&mut chooser), [4, 1, 3, 0]);
        chooser.weigh(|_| Some(7));
        near(hits(&mut chooser), [1, 1, 1, 0]);
        chooser.weigh(|p| (p != 1).then_some(2));
        near(hits(&mut chooser), [1, 0, 1, 0]);
        chooser.weigh(|_| None);
        near(hits(&mut chooser), [1, 1, 1, 0]);
        assert_eq!((0..3).map(|turn| chooser.in_turn(turn)).collect::<Vec<_>>(), [0, 1, 2], "rounds have no weights");
    }

    #[test]
    fn near_partitions_come_first_while_one_of_them_takes_records() {
        let mut chooser = Chooser::new(6);
        chooser.set(4, [(0, true), (1, false), (2, true), (3, false)]);
        near(hits(&mut chooser), [1, 0, 1, 0]);
        chooser.weigh(|p| Some(u32::from(p == 0)));
        near(hits(&mut chooser), [1, 0, 2, 0]);
        chooser.weigh(|p| (p != 0 && p != 2).then_some(0));
        near(hits(&mut chooser), [0, 1, 0, 1]);
        chooser.set(4, [(1, false), (3, false)]);
        near(hits(&mut chooser), [0, 1, 0, 1]);
        let drawn: std::collections::BTreeSet<u32> = (0..50).map(|_| chooser.draw()).collect();
        assert_eq!(drawn, [1, 3].into());
    }
}
