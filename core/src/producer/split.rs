//! Cuts a batch that is too large for its topic in two; what packing anew takes.

use super::handover::{Batch, Memory};
use crate::codec::{Codec, Codecs, Compression, Compressor, Decompressor, Preference};
use crate::record::{BodyBuf, BodyCrc, Header, Records, RecordsInfo, SLACK};
use crate::{BatchNo, Error, ErrorKind, Timestamp};
use bytes::Bytes;
use std::sync::Arc;

/// By what the halves are compressed and what they are charged to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Means<'a> {
    /// What the topic is configured to compress by.
    pub(crate) compression: Preference,
    /// The application's own codecs.
    pub(crate) codecs: &'a Codecs,
    pub(crate) memory: Option<&'a Arc<dyn Memory>>,
}

/// Bytes of a half, charged until their last reference is gone.
struct Charged {
    bytes: Vec<u8>,
    memory: Option<Arc<dyn Memory>>,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Charged {
    fn drop(&mut self) {
        if let Some(memory) = &self.memory {
            memory.give(self.bytes.len());
        }
    }
}

/// The two halves, by bytes, each with at least one record; `count` of the batch is at least 2. The codec stays, and so does
/// the configured level.
pub(crate) fn halve(batch: &Batch, numbers: [BatchNo; 2], means: Means<'_>) -> Result<[Batch; 2], Error> {
    let plain = plain(batch, means.codecs)?;
    let len = plain.len();
    let info = RecordsInfo {
        base_offset: 0,
        last_offset_delta: i32::try_from(batch.count).unwrap_or(i32::MAX).saturating_sub(1),
        base_timestamp: batch.base_timestamp.0,
        append_time: None,
        count: batch.count,
    };
    // Deltas shrink when the base moves closer, but a base further back may make them longer: room for that.
    let room = len.saturating_add(10 * usize::try_from(batch.count).unwrap_or(usize::MAX));
    let mut halves = [BodyBuf::new(vec![0; room.saturating_add(SLACK)]), BodyBuf::default()];
    let mut headers: Vec<Header<'_>> = Vec::new();
    for record in Records::new(&plain, info) {
        let record = record?;
        headers.clear();
        headers.extend(record.headers);
        let first = &halves[0];
        let last_one = first.count() + 1 == batch.count;
        if halves[1].is_empty() && first.count() > 0 && (first.len() >= len / 2 || last_one) {
            halves[1] = BodyBuf::new(vec![0; room.saturating_sub(first.len()).saturating_add(SLACK)]);
        }
        let half = usize::from(halves[1].limit() > 0);
        if halves[half].append(record.timestamp, record.key, record.value, &headers).is_none() {
            return Err(Error::new(
                ErrorKind::Corrupt,
                "a record of a batch that is to be split does not fit its half",
            ));
        }
    }
    if halves[0].count().checked_add(halves[1].count()) != Some(batch.count) || halves[1].is_empty() {
        return Err(Error::new(ErrorKind::Corrupt, "a batch that is to be split has not the records that it says"));
    }
    let [first, second] = halves;
    Ok([seal(batch, &first, numbers[0], means)?, seal(batch, &second, numbers[1], means)?])
}

/// The records of a batch in wire form.
pub(super) fn plain(batch: &Batch, codecs: &Codecs) -> Result<Vec<u8>, Error> {
    let mut plain = Vec::new();
    let limit = usize::try_from(batch.plain_bytes).unwrap_or(usize::MAX);
    let decompressed = Decompressor::with(codecs.clone()).decompress(batch.codec, &batch.body, &mut plain, limit);
    plain.truncate(decompressed?);
    Ok(plain)
}

/// Compresses into a buffer of just that size.
pub(super) fn compress(plain: &[u8], by: Compression, means: Means<'_>) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    let len = Compressor::with(by, means.codecs.clone()).compress(plain, &mut out)?;
    out.truncate(len);
    out.shrink_to_fit();
    Ok(out)
}

/// A body that is charged to the producer's memory.
pub(super) fn charge(bytes: Vec<u8>, memory: Option<&Arc<dyn Memory>>) -> Bytes {
    if let Some(memory) = memory {
        memory.take(bytes.len());
    }
    Bytes::from_owner(Charged { bytes, memory: memory.cloned() })
}

fn seal(parent: &Batch, half: &BodyBuf, no: BatchNo, means: Means<'_>) -> Result<Batch, Error> {
    let bytes = match parent.codec {
        Codec::None => half.plain().to_vec(),
        codec => {
            let configured = means.compression.of(codec);
            let by = configured.map_or_else(|| means.codecs.compression(codec, None), Ok)?;
            compress(half.plain(), by, means)?
        }
    };
    let body = charge(bytes, means.memory);
    Ok(Batch {
        no,
        crc: BodyCrc::of(&body),
        body,
        codec: parent.codec,
        count: half.count(),
        plain_bytes: u32::try_from(half.len()).unwrap_or(u32::MAX),
        base_timestamp: Timestamp(half.base_timestamp()),
        max_timestamp: Timestamp(half.max_timestamp()),
        entered: parent.entered,
        generation: parent.generation,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::Time;

    fn by(compression: Compression) -> Means<'static> {
        let codecs = Box::leak(Box::default());
        Means { compression: compression.into(), codecs, memory: None }
    }

    pub(in super::super) fn means(codec: Codec) -> Means<'static> {
        by(Compression::new(codec, None).unwrap())
    }

    type Plain = (i64, Option<Vec<u8>>, Option<Vec<u8>>, usize);

    pub(in super::super) fn batch(codec: Codec, records: &[Plain]) -> Batch {
        let mut buf = BodyBuf::with_limit(1 << 20);
        for (timestamp, key, value, headers) in records {
            let headers = vec![Header::new("h", b"x"); *headers];
            buf.append(*timestamp, key.as_deref(), value.as_deref(), &headers).unwrap();
        }
        let parent = Batch {
            no: BatchNo(7),
            body: Bytes::new(),
            crc: BodyCrc::of(b""),
            codec,
            count: 0,
            plain_bytes: 0,
            base_timestamp: Timestamp(0),
            max_timestamp: Timestamp(0),
            entered: Time(5),
            generation: 3,
        };
        seal(&parent, &buf, BatchNo(7), means(codec)).unwrap()
    }

    pub(in super::super) fn records(batch: &Batch) -> Vec<Plain> {
        let mut plain = Vec::new();
        let len = Decompressor::default().decompress(batch.codec, &batch.body, &mut plain, 1 << 20).unwrap();
        let info = RecordsInfo {
            base_offset: 0,
            last_offset_delta: batch.count as i32 - 1,
            base_timestamp: batch.base_timestamp.0,
            append_time: None,
            count: batch.count,
        };
        let owned = |b: Option<&[u8]>| b.map(<[u8]>::to_vec);
        Records::new(&plain[..len], info)
            .map(|r| r.unwrap())
            .map(|r| (r.timestamp, owned(r.key), owned(r.value), r.headers.into_iter().count()))
            .collect()
    }

    #[test]
    fn the_halves_hold_the_records_of_the_whole_in_order() {
        let all: Vec<Plain> = (0..9)
            .map(|i| (1000 - i * 300, (i % 2 == 0).then(|| vec![i as u8]), Some(vec![7; 50]), i as usize % 3))
            .collect();
        for codec in Codec::ALL {
            let whole = batch(codec, &all);
            let [a, b] = halve(&whole, [BatchNo(1), BatchNo(2)], means(codec)).unwrap();
            assert_eq!((a.no, b.no, a.codec, a.entered, b.generation), (BatchNo(1), BatchNo(2), codec, Time(5), 3));
            assert_eq!(a.count + b.count, 9);
            assert_eq!(a.max_timestamp, Timestamp(1000));
            assert_eq!([records(&a), records(&b)].concat(), all, "{codec}");
        }
    }

    #[test]
    fn a_large_last_or_first_record_gets_a_half_of_its_own() {
        let (big, small) = ((0, None, Some(vec![1; 5000]), 0), (0, None, None, 0));
        for (all, counts) in [
            (vec![small.clone(), small.clone(), big.clone()], [2, 1]),
            (vec![big.clone(), small.clone(), small.clone()], [1, 2]),
            (vec![small.clone(), small], [1, 1]),
        ] {
            let [a, b] = halve(&batch(Codec::None, &all), [BatchNo(1), BatchNo(2)], means(Codec::None)).unwrap();
            let got = [a.count, b.count];
            assert!(got == counts || got.iter().all(|n| *n > 0), "{got:?}");
            assert_eq!([records(&a), records(&b)].concat(), all);
        }
    }

    #[test]
    fn a_body_that_is_not_what_it_says_is_an_error() {
        let mut whole = batch(Codec::None, &[(0, None, None, 0), (0, None, None, 0)]);
        whole.count = 3;
        assert!(halve(&whole, [BatchNo(1), BatchNo(2)], means(Codec::None)).is_err());
        whole.body = Bytes::from_static(b"\xff\xff\xff");
        assert!(halve(&whole, [BatchNo(1), BatchNo(2)], means(Codec::None)).is_err());
    }

    #[test]
    fn the_halves_are_compressed_at_the_configured_level() {
        let text =
            |i: usize| (0..400).flat_map(|j| format!("{:x} ", i * j * 7919 % 65_521).into_bytes()).collect::<Vec<u8>>();
        let all: Vec<Plain> = (0..20).map(|i| (0, None, Some(text(i)), 0)).collect();
        for (codec, fast, best) in [(Codec::Gzip, 1, 9), (Codec::Zstd, 1, 19)] {
            let whole = batch(codec, &all);
            let size = |level| {
                let means = by(Compression::new(codec, Some(level)).unwrap());
                let [a, b] = halve(&whole, [BatchNo(1), BatchNo(2)], means).unwrap();
                a.body.len() + b.body.len()
            };
            assert!(size(best) < size(fast), "{codec}");
        }
    }

    #[derive(Debug, Default)]
    struct Ledger(
        #[expect(clippy::disallowed_types, reason = "counts in a test, across a shared reference")]
        std::sync::atomic::AtomicI64,
    );

    impl Ledger {
        fn used(&self) -> i64 {
            self.0.load(std::sync::atomic::Ordering::Relaxed)
        }
    }

    impl Memory for Ledger {
        fn take(&self, bytes: usize) {
            self.0.fetch_add(bytes as i64, std::sync::atomic::Ordering::Relaxed);
        }
        fn give(&self, bytes: usize) {
            self.0.fetch_sub(bytes as i64, std::sync::atomic::Ordering::Relaxed);
        }
    }

    #[test]
    fn the_halves_are_charged_until_their_last_reference_is_gone() {
        let ledger = Arc::new(Ledger::default());
        let memory: Arc<dyn Memory> = ledger.clone();
        let whole = batch(Codec::None, &[(0, None, Some(vec![7; 500]), 0), (0, None, Some(vec![7; 100]), 0)]);
        let means = Means { memory: Some(&memory), ..means(Codec::None) };
        let [a, b] = halve(&whole, [BatchNo(1), BatchNo(2)], means).unwrap();
        let (first, second) = (a.body.len() as i64, b.body.len() as i64);
        assert_eq!(ledger.used(), first + second);
        let on_the_wire = a.body.clone();
        drop(a);
        drop(b);
        assert_eq!(ledger.used(), first, "a link still holds it");
        drop(on_the_wire);
        assert_eq!(ledger.used(), 0);
    }
}
