//! What was sent is known from a record's number alone; what arrived is struck off.

/// How large a value is.
pub(super) const SIZE: usize = 100;

/// Writes the value of record `n`: its number, then bytes that follow from it.
pub(super) fn fill(n: u64, value: &mut [u8; SIZE]) {
    let mut x = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for chunk in value.chunks_mut(8) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        chunk.copy_from_slice(&x.to_le_bytes()[..chunk.len()]);
    }
    value[..8].copy_from_slice(&n.to_be_bytes());
}

/// The records that arrived.
pub(super) struct Ledger {
    seen: Vec<u64>,
    records: u64,
    count: u64,
    /// By partition: the number of its last record and its offset.
    last: Vec<Option<(u64, i64)>>,
}

impl Ledger {
    pub(super) fn new(records: u64, partitions: usize) -> Self {
        let words = usize::try_from(records.div_ceil(64)).unwrap_or(usize::MAX);
        Self { seen: vec![0; words], records, count: 0, last: vec![None; partitions] }
    }

    /// How many different records arrived.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The next offset of each partition.
    pub(super) fn next_offsets(&self) -> Vec<i64> {
        self.last.iter().map(|last| last.map_or(0, |(_, offset)| offset + 1)).collect()
    }

    /// Checks a record that arrived.
    pub(super) fn enter(&mut self, partition: i32, offset: i64, value: &[u8]) -> Result<(), String> {
        let place = format_args!("partition {partition}, offset {offset}").to_string();
        let number = value.first_chunk().map(|bytes| u64::from_be_bytes(*bytes)).filter(|n| *n < self.records);
        let Some(n) = number else { return Err(format!("{place}: this was never sent: {value:?}")) };
        let mut sent = [0; SIZE];
        fill(n, &mut sent);
        if *value != sent {
            return Err(format!("{place}: record {n} has other bytes than were sent"));
        }
        let word = usize::try_from(n / 64).ok().and_then(|at| self.seen.get_mut(at));
        let (Some(word), bit) = (word, 1u64 << (n % 64)) else { return Err(format!("{place}: record {n} is unknown")) };
        if *word & bit != 0 {
            return Err(format!("{place}: record {n} arrived twice"));
        }
        *word |= bit;
        let last = usize::try_from(partition).ok().and_then(|at| self.last.get_mut(at));
        let Some(last) = last else { return Err(format!("{place}: there is no such partition")) };
        if let Some((before, at)) = last.replace((n, offset)) {
            if before >= n || at >= offset {
                return Err(format!("{place}: record {n} came behind record {before} of offset {at}"));
            }
        }
        self.count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(n: u64) -> [u8; SIZE] {
        let mut value = [0; SIZE];
        fill(n, &mut value);
        value
    }

    #[test]
    fn what_arrives_once_and_in_order_is_counted() {
        let mut ledger = Ledger::new(100, 2);
        ledger.enter(0, 0, &value(3)).unwrap();
        ledger.enter(1, 0, &value(1)).unwrap();
        ledger.enter(0, 1, &value(70)).unwrap();
        assert_eq!((ledger.count(), ledger.next_offsets()), (3, vec![2, 1]));
    }

    #[test]
    fn every_kind_of_damage_is_found() {
        let mut ledger = Ledger::new(100, 2);
        ledger.enter(0, 0, &value(3)).unwrap();
        let mut flipped = value(5);
        flipped[99] ^= 1;
        for (what, partition, offset, value) in [
            ("arrived twice", 0, 1, &value(3)[..]),
            ("behind", 0, 1, &value(2)),
            ("other bytes", 0, 1, &flipped),
            ("other bytes", 0, 1, &value(5)[..99]),
            ("never sent", 0, 1, &value(100)),
            ("never sent", 0, 1, b"short"),
            ("no such partition", 2, 1, &value(6)),
        ] {
            let error = ledger.enter(partition, offset, value).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
    }
}
