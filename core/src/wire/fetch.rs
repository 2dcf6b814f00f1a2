//! Fetch responses, read without copying: names are borrowed, records are told as ranges of the frame.

use super::messages::FetchResponse;
use super::messages::fetch::{AbortedTransaction, EpochEndOffset, LeaderIdAndEpoch, NodeEndpoint, SnapshotId};
use super::{DecodeError, DecodeErrorKind, Message, Reader, Uuid, Version, Wire};
use crate::error::ErrorCode;
use crate::ids::BrokerId;
use std::ops::Range;

/// The answer to a fetch. It is whole: an error anywhere in the frame is found before any of it is used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fetched<'a> {
    /// For how many milliseconds the client must hold back.
    pub throttle_time_ms: i32,
    /// What went wrong with the request as a whole, 0 if nothing (version 7 and later).
    pub error_code: ErrorCode,
    /// The fetch session, 0 for none.
    pub session_id: i32,
    /// The topics, in the order of the answer.
    pub topics: Vec<FetchedTopic<'a>>,
    /// The partitions of all topics, in the order of the answer.
    pub partitions: Vec<FetchedPartition<'a>>,
    /// Where to reach the leaders that the answer names (KIP-951).
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// A topic of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedTopic<'a> {
    /// Its name, empty from version 13 on.
    pub name: &'a str,
    /// Its id, zero before version 13.
    pub id: Uuid,
    /// Which of [`Fetched::partitions`] are its own.
    pub partitions: Range<usize>,
}

/// The answer for one partition.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchedPartition<'a> {
    /// The partition.
    pub index: i32,
    /// What went wrong, 0 if nothing.
    pub error_code: ErrorCode,
    /// The first offset that is not replicated to all in sync.
    pub high_watermark: i64,
    /// The first offset of an undecided transaction, -1 if unknown.
    pub last_stable_offset: i64,
    /// The first offset of the log, -1 if unknown.
    pub log_start_offset: i64,
    /// Where the log differs from what was read before; the epoch is -1 if it does not.
    pub diverging_epoch: EpochEndOffset,
    /// The leader that the broker knows of; -1 if it says nothing.
    pub current_leader: LeaderIdAndEpoch,
    /// Aborted transactions, `None` unless committed records were asked for.
    pub aborted: Option<Aborted<'a>>,
    /// The broker to read from instead, -1 for none.
    pub preferred_read_replica: BrokerId,
    /// Where in the frame the record batches are, counted as the reader counts; `None` for null.
    pub records: Option<Range<usize>>,
}

/// The list of aborted transactions of a partition, in the order of their first offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aborted<'a> {
    bytes: &'a [u8],
    count: usize,
    v: Version,
}

impl<'a> Aborted<'a> {
    /// How many they are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Them.
    pub fn iter(&self) -> impl Iterator<Item = AbortedTransaction> + use<'a> {
        let (mut r, v) = (Reader::new(self.bytes), self.v);
        // They were all read once before: none fails now.
        (0..self.count).map_while(move |_| AbortedTransaction::get(&mut r, v).ok())
    }

    fn get(r: &mut Reader<'a>, v: Version) -> Result<Option<Self>, DecodeError> {
        let Some(count) = r.array_len(v, AbortedTransaction::min_size(v))? else { return Ok(None) };
        let mut behind = r.clone();
        for _ in 0..count {
            AbortedTransaction::get(&mut behind, v)?;
        }
        let bytes = r.take(behind.offset() - r.offset())?;
        Ok(Some(Self { bytes, count, v }))
    }
}

impl<'a> Fetched<'a> {
    /// Reads the body of a response, version 4 to 18, from all that is left in `r`.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, DecodeError> {
        if !(FetchResponse::MIN..=FetchResponse::MAX).contains(&version) {
            return Err(r.error(DecodeErrorKind::Version).of(FetchResponse::NAME));
        }
        let fetched = Self::body(r, FetchResponse::version(version)).map_err(|e| e.of(FetchResponse::NAME))?;
        if r.is_empty() { Ok(fetched) } else { Err(r.error(DecodeErrorKind::Trailing).of(FetchResponse::NAME)) }
    }

    /// The partitions of that topic.
    pub fn of(&self, topic: &FetchedTopic<'_>) -> &[FetchedPartition<'a>] {
        self.partitions.get(topic.partitions.clone()).unwrap_or_default()
    }

    fn body(r: &mut Reader<'a>, v: Version) -> Result<Self, DecodeError> {
        let mut all = Self { throttle_time_ms: r.i32().map_err(|e| e.within("throttle_time_ms"))?, ..Self::default() };
        if v.number >= 7 {
            all.error_code = ErrorCode(r.i16().map_err(|e| e.within("error_code"))?);
            all.session_id = r.i32().map_err(|e| e.within("session_id"))?;
        }
        let topics = some_len(r, v, smallest_topic(v)).map_err(|e| e.within("responses"))?;
        all.topics.reserve_exact(topics);
        for _ in 0..topics {
            all.topic(r, v)?;
        }
        if v.flexible {
            r.tags(|tag, body| match tag {
                0 if v.number >= 16 => {
                    all.node_endpoints = Wire::get(body, v).map_err(|e| e.within("node_endpoints"))?;
                    Ok(true)
                }
                _ => Ok(false),
            })?;
        }
        Ok(all)
    }

    fn topic(&mut self, r: &mut Reader<'a>, v: Version) -> Result<(), DecodeError> {
        let (name, id) = if v.number <= 12 {
            let start = r.offset();
            let name = r.str(v).map_err(|e| e.within("topic"))?;
            let null = || DecodeError::new(DecodeErrorKind::Null, start).within("topic");
            (name.ok_or_else(null)?, Uuid::ZERO)
        } else {
            ("", r.uuid().map_err(|e| e.within("topic_id"))?)
        };
        let n = some_len(r, v, smallest_partition(v)).map_err(|e| e.within("partitions"))?;
        let first = self.partitions.len();
        self.partitions.reserve(n);
        for _ in 0..n {
            self.partitions.push(FetchedPartition::get(r, v).map_err(|e| e.within("partitions"))?);
        }
        if v.flexible {
            r.tags(|_, _| Ok(false))?;
        }
        self.topics.push(FetchedTopic { name, id, partitions: first..self.partitions.len() });
        Ok(())
    }
}

impl<'a> FetchedPartition<'a> {
    fn get(r: &mut Reader<'a>, v: Version) -> Result<Self, DecodeError> {
        let mut p = Self {
            index: r.i32()?,
            error_code: ErrorCode(r.i16()?),
            high_watermark: r.i64()?,
            last_stable_offset: r.i64()?,
            log_start_offset: if v.number >= 5 { r.i64()? } else { -1 },
            diverging_epoch: EpochEndOffset::default(),
            current_leader: LeaderIdAndEpoch::default(),
            aborted: Aborted::get(r, v).map_err(|e| e.within("aborted_transactions"))?,
            preferred_read_replica: BrokerId(if v.number >= 11 { r.i32()? } else { -1 }),
            records: None,
        };
        if let Some(n) = r.bytes_len(v).map_err(|e| e.within("records"))? {
            let start = r.offset();
            r.take(n)?;
            p.records = Some(start..start + n);
        }
        if v.flexible {
            r.tags(|tag, body| {
                match tag {
                    0 => p.diverging_epoch = Wire::get(body, v).map_err(|e| e.within("diverging_epoch"))?,
                    1 => p.current_leader = Wire::get(body, v).map_err(|e| e.within("current_leader"))?,
                    // Only controllers want it; it is read so that this reader refuses what the declared message
                    // refuses.
                    2 => {
                        SnapshotId::get(body, v).map_err(|e| e.within("snapshot_id"))?;
                    }
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
        }
        Ok(p)
    }
}

fn some_len(r: &mut Reader<'_>, v: Version, smallest: usize) -> Result<usize, DecodeError> {
    let start = r.offset();
    r.array_len(v, smallest)?.ok_or_else(|| DecodeError::new(DecodeErrorKind::Null, start))
}

fn smallest_topic(v: Version) -> usize {
    super::messages::fetch::FetchableTopicResponse::min_size(v)
}

fn smallest_partition(v: Version) -> usize {
    super::messages::fetch::PartitionData::min_size(v)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Writer;
    use proptest::prelude::*;

    /// Turns what was read by hand into the declared message.
    fn declared(fetched: &Fetched<'_>, frame: &[u8]) -> FetchResponse {
        use crate::wire::messages::fetch::{FetchableTopicResponse, PartitionData};
        let partition = |p: &FetchedPartition<'_>| PartitionData {
            partition_index: p.index,
            error_code: p.error_code,
            high_watermark: p.high_watermark,
            last_stable_offset: p.last_stable_offset,
            log_start_offset: p.log_start_offset,
            diverging_epoch: p.diverging_epoch.clone(),
            current_leader: p.current_leader.clone(),
            // Only controllers want it, and the hand-written reader is for consumers.
            snapshot_id: SnapshotId::default(),
            aborted_transactions: p.aborted.map(|list| list.iter().collect()),
            preferred_read_replica: p.preferred_read_replica,
            records: p.records.clone().map(|range| frame[range].to_vec().into()),
        };
        let topic = |t: &FetchedTopic<'_>| FetchableTopicResponse {
            topic: t.name.to_owned(),
            topic_id: t.id,
            partitions: fetched.of(t).iter().map(partition).collect(),
        };
        FetchResponse {
            throttle_time_ms: fetched.throttle_time_ms,
            error_code: fetched.error_code,
            session_id: fetched.session_id,
            responses: fetched.topics.iter().map(topic).collect(),
            node_endpoints: fetched.node_endpoints.clone(),
        }
    }

    fn frame(seed: u64, version: i16) -> (Vec<u8>, FetchResponse) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut response = FetchResponse::arbitrary(&mut rng, FetchResponse::version(version));
        let mut w = Writer::new();
        w.i32(77);
        response.encode(&mut w, version).expect("encodes");
        for p in response.responses.iter_mut().flat_map(|t| &mut t.partitions) {
            p.snapshot_id = Default::default();
        }
        (w.into_vec(), response)
    }

    proptest! {
        #[test]
        fn it_reads_what_the_declared_message_says(seed: u64, version in 4..=18i16) {
            let (frame, response) = frame(seed, version);
            let mut r = Reader::new(&frame);
            prop_assert_eq!(r.i32(), Ok(77));
            let fetched = Fetched::decode(&mut r, version).expect("by hand");
            prop_assert_eq!(declared(&fetched, &frame), response);
        }

        #[test]
        fn it_refuses_what_the_declared_message_refuses(
            seed: u64,
            version in 4..=18i16,
            cuts in prop::collection::vec(any::<(u16, u8)>(), 1..4),
        ) {
            let (mut frame, _) = frame(seed, version);
            frame.drain(..4);
            for (at, with) in cuts {
                let at = usize::from(at) % frame.len();
                frame[at] = with;
            }
            let by_hand = Fetched::decode(&mut Reader::new(&frame), version);
            let by_schema = FetchResponse::decode(&mut Reader::new(&frame), version);
            match (by_hand, by_schema) {
                (Ok(fetched), Ok(mut response)) => {
                    for p in response.responses.iter_mut().flat_map(|t| &mut t.partitions) {
                        p.snapshot_id = Default::default();
                    }
                    prop_assert_eq!(declared(&fetched, &frame), response);
                }
                (Err(_), Err(_)) => {}
                (by_hand, _) => prop_assert!(false, "by hand: {by_hand:?}"),
            }
        }
    }

    #[test]
    fn a_hostile_count_is_refused_without_memory_for_it() {
        let mut w = Writer::new();
        w.i32(0);
        w.i16(0);
        w.i32(0);
        w.uvarint(u32::MAX);
        let e = Fetched::decode(&mut Reader::new(w.as_slice()), 12).expect_err("hostile");
        assert_eq!((e.kind, e.field, e.offset), (DecodeErrorKind::Length, "responses", 10));
    }

    #[test]
    fn bytes_behind_the_answer_are_refused() {
        let mut w = Writer::new();
        FetchResponse::default().encode(&mut w, 11).expect("encodes");
        w.u8(0);
        let e = Fetched::decode(&mut Reader::new(w.as_slice()), 11).expect_err("trailing");
        assert_eq!(e.kind, DecodeErrorKind::Trailing);
    }
}
