//! A partition's log with the checks of a real broker (broker-data section 4).

use super::super::sequence::first;
use crate::record::{BatchHeader, HEADER_LEN, Records, RecordsInfo};
use crate::wire::Uuid;
use crate::{BrokerId, ErrorCode};
use std::collections::{BTreeMap, VecDeque};

/// How many batches of a producer a broker remembers.
const REMEMBERED: usize = 5;

/// A record by its batch's number and its place in it.
pub(super) type Rec = (u64, u32);

/// A batch as it came over the wire.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) id: i64,
    pub(super) epoch: i16,
    pub(super) base: i32,
    pub(super) crc: u32,
    pub(super) len: usize,
    pub(super) records: Vec<Rec>,
}

impl Seen {
    /// Reads a batch and checks it as a broker would.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let header = BatchHeader::parse(bytes).expect("a batch header");
        header.check_crc(bytes).expect("the checksum joined from header and body");
        assert_eq!(header.len(), bytes.len(), "one whole batch");
        let records: Vec<Rec> = Records::new(&bytes[HEADER_LEN..], RecordsInfo::from(&header))
            .map(|record| {
                let text = std::str::from_utf8(record.expect("a record").value.unwrap()).unwrap().to_owned();
                let (no, i) = text.split_once('.').unwrap();
                (no.parse().unwrap(), i.parse().unwrap())
            })
            .collect();
        assert_eq!(records.len(), header.count as usize);
        let stamp = header.stamp;
        let body_crc = crate::record::crc32c(&bytes[HEADER_LEN..]);
        Self {
            id: stamp.producer_id,
            epoch: stamp.epoch,
            base: stamp.base_sequence,
            crc: body_crc,
            len: bytes.len(),
            records,
        }
    }

    /// The sequence number of its last record.
    pub(super) fn last(&self) -> i32 {
        ((i64::from(self.base) + self.records.len() as i64 - 1) % (1 << 31)) as i32
    }
}

#[derive(Clone, Debug)]
struct Producer {
    epoch: i16,
    /// First and last sequence number, and base offset.
    last: VecDeque<(i32, i32, i64)>,
}

/// One log of a partition.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) id: Uuid,
    pub(super) incarnation: u32,
    pub(super) leader: Option<BrokerId>,
    pub(super) epoch: i32,
    pub(super) max_bytes: usize,
    pub(super) batches: Vec<Vec<Rec>>,
    producers: BTreeMap<i64, Producer>,
}

impl Log {
    pub(super) fn new(id: u8, leader: BrokerId) -> Self {
        Self {
            id: Uuid([id; 16]),
            incarnation: u32::from(id) - 1,
            leader: Some(leader),
            epoch: 0,
            max_bytes: usize::MAX,
            batches: Vec::new(),
            producers: BTreeMap::new(),
        }
    }

    pub(super) fn records(&self) -> Vec<Rec> {
        self.batches.concat()
    }

    /// Appends, or says where the batch is already, or why not.
    pub(super) fn append(&mut self, seen: &Seen) -> Result<i64, ErrorCode> {
        if seen.len > self.max_bytes {
            return Err(ErrorCode::MESSAGE_TOO_LARGE);
        }
        if seen.id >= 0 {
            if let Some(known) = self.producers.get(&seen.id) {
                let same = |(first, last, _): &&(i32, i32, i64)| (*first, *last) == (seen.base, seen.last());
                if let Some((.., offset)) = known.last.iter().find(same).filter(|_| known.epoch == seen.epoch) {
                    return Ok(*offset);
                }
                if seen.epoch < known.epoch {
                    return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
                }
                let next = match known.last.back() {
                    Some((_, last, _)) if known.epoch == seen.epoch => {
                        if *last == i32::MAX {
                            0
                        } else {
                            last + 1
                        }
                    }
                    _ => first(seen.id),
                };
                if seen.base != next {
                    return Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
                }
            }
        }
        let offset = self.batches.iter().map(Vec::len).sum::<usize>() as i64;
        if seen.id >= 0 {
            let fresh = || Producer { epoch: seen.epoch, last: VecDeque::new() };
            let known = self.producers.entry(seen.id).or_insert_with(fresh);
            if known.epoch != seen.epoch {
                *known = fresh();
            }
            known.last.push_back((seen.base, seen.last(), offset));
            if known.last.len() > REMEMBERED {
                known.last.pop_front();
            }
        }
        self.batches.push(seen.records.clone());
        Ok(offset)
    }

    /// A restart: the snapshot keeps only the last batch of each producer.
    pub(super) fn restart(&mut self) {
        for known in self.producers.values_mut() {
            known.last.drain(..known.last.len().saturating_sub(1));
        }
    }
}
