//! One record, read from its bytes.

use super::decode::RecordsInfo;
use super::encode::Header;
use super::error::Fault;
use super::varint::{Silent, get32, get64};

/// One record, borrowed from the bytes of its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// Its offset in the partition.
    pub offset: i64,
    /// Its timestamp in ms; -1 where the format has none.
    pub timestamp: i64,
    /// Its key; null is not the same as empty.
    pub key: Option<&'a [u8]>,
    /// Its value; null (a tombstone) is not the same as empty.
    pub value: Option<&'a [u8]>,
    /// Its headers, in order, repeated keys included.
    pub headers: Headers<'a>,
}

/// The headers of one record, checked before: iteration gives all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headers<'a> {
    count: u32,
    bytes: &'a [u8],
}

impl<'a> Headers<'a> {
    #[inline]
    fn check<E: From<Fault>>(self) -> Result<(), E> {
        let mut iter = self.iter();
        while iter.left > 0 {
            iter.read::<E>()?;
        }
        if iter.bytes.is_empty() { Ok(()) } else { Err(Fault::Trailing(iter.bytes.len()).into()) }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// In the order in which they were written.
    pub fn iter(&self) -> HeadersIter<'a> {
        HeadersIter { left: self.count, bytes: self.bytes }
    }

    /// The last header with this key: the one that counts where a key repeats.
    pub fn last(&self, name: &str) -> Option<Header<'a>> {
        self.iter().filter(|h| h.key == name.as_bytes()).last()
    }
}

impl<'a> IntoIterator for Headers<'a> {
    type Item = Header<'a>;
    type IntoIter = HeadersIter<'a>;

    fn into_iter(self) -> HeadersIter<'a> {
        self.iter()
    }
}

/// The headers of one record, one after the other.
#[derive(Clone, Debug)]
pub struct HeadersIter<'a> {
    left: u32,
    bytes: &'a [u8],
}

impl<'a> HeadersIter<'a> {
    #[inline]
    fn read<E: From<Fault>>(&mut self) -> Result<Header<'a>, E> {
        let mut at = 0;
        let Some(key) = field::<E>(self.bytes, &mut at)? else { return Err(Fault::FieldLength(-1).into()) };
        let value = field::<E>(self.bytes, &mut at)?;
        self.bytes = self.bytes.get(at..).unwrap_or_default();
        self.left -= 1;
        Ok(Header { key, value })
    }
}

impl<'a> Iterator for HeadersIter<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        if self.left == 0 {
            return None;
        }
        let next = self.read::<Silent>().ok();
        if next.is_none() {
            self.left = 0;
        }
        next
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for HeadersIter<'_> {}

/// Reads one record at `at` and moves `at` behind it; gives its offset delta beside it.
#[inline(always)]
pub(super) fn read<'a, E: From<Fault>>(
    bytes: &'a [u8],
    at: &mut usize,
    info: &RecordsInfo,
    check_headers: bool,
) -> Result<(i64, RecordView<'a>), E> {
    let mut start = *at;
    let length = get32::<E>(bytes, &mut start)?;
    // The record is cut out first: no field can leave it.
    let Ok(size) = usize::try_from(length) else { return Err(Fault::FieldLength(length).into()) };
    let end = start.checked_add(size).ok_or(Fault::Truncated)?;
    let record = bytes.get(start..end).ok_or(Fault::Truncated)?;
    // The first byte holds attributes, of which none is in use.
    let mut p = 1;
    let timestamp_delta = get64::<E>(record, &mut p)?;
    let offset_delta = get32::<E>(record, &mut p)?;
    let key = field::<E>(record, &mut p)?;
    let value = field::<E>(record, &mut p)?;
    let count = get32::<E>(record, &mut p)?;
    let rest = record.get(p..).ok_or(Fault::Truncated)?;
    // A header takes two bytes at least.
    if count < 0 || count as u64 > (rest.len() / 2) as u64 {
        return Err(Fault::HeaderCount(count).into());
    }
    let headers = Headers { count: count as u32, bytes: rest };
    if check_headers {
        headers.check::<E>()?;
    }
    let timestamp = match info.append_time {
        Some(time) => time,
        None => info.base_timestamp.checked_add(timestamp_delta).ok_or(Fault::Overflow)?,
    };
    let offset = info.base_offset.checked_add(offset_delta).ok_or(Fault::Overflow)?;
    *at = end;
    Ok((offset_delta, RecordView { offset, timestamp, key, value, headers }))
}

/// Reads a record of the common shape (short fields, no headers) by words instead of bytes; `None` for any other, or
/// for one that is not right: then [`read`] decides.
#[inline(always)]
fn read_short<'a>(bytes: &'a [u8], at: usize, info: &RecordsInfo) -> Option<(usize, i64, RecordView<'a>)> {
    let (length, taken) = short(word(bytes, at)?)?;
    let start = at + taken;
    let end = start + size_of(length)?;
    let record = bytes.get(start..end)?;
    let mut w = word(record, 0)? >> 8;
    let (time, taken) = short(w)?;
    w >>= 8 * taken;
    let mut p = 1 + taken;
    let (delta, taken) = short(w)?;
    p += taken;
    let mut w = word(record, p)?;
    let (raw, taken) = short(w)?;
    p += taken;
    let key = if raw == 1 {
        w >>= 8 * taken;
        None
    } else {
        let key = record.get(p..p + size_of(raw)?)?;
        p += key.len();
        w = word(record, p)?;
        Some(key)
    };
    let (raw, taken) = short(w)?;
    p += taken;
    let value = record.get(p..p + size_of(raw)?)?;
    if record.get(p + value.len()..)? != [0] {
        return None;
    }
    let timestamp = match info.append_time {
        Some(time) => time,
        None => info.base_timestamp.checked_add(unzigzag(time))?,
    };
    let delta = unzigzag(delta);
    let offset = info.base_offset.checked_add(delta)?;
    Some((end, delta, RecordView { offset, timestamp, key, value: Some(value), headers: Headers::default() }))
}

/// Eight bytes at `at`, the first one lowest.
#[inline(always)]
fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

/// An integer of up to three bytes at the low end of `w`, and how many they are.
#[inline(always)]
fn short(w: u64) -> Option<(u64, usize)> {
    if w & 0x80 == 0 {
        Some((w & 0x7f, 1))
    } else if w & 0x8000 == 0 {
        Some((w & 0x7f | w >> 1 & 0x3f80, 2))
    } else if w & 0x80_0000 == 0 {
        Some((w & 0x7f | w >> 1 & 0x3f80 | w >> 2 & 0x1f_c000, 3))
    } else {
        None
    }
}

/// The length that a zigzag integer of [`short`] means; `None` below 0.
#[inline(always)]
fn size_of(raw: u64) -> Option<usize> {
    (raw & 1 == 0).then_some((raw >> 1) as usize)
}

#[inline(always)]
fn unzigzag(raw: u64) -> i64 {
    (raw >> 1) as i64 ^ -((raw & 1) as i64)
}

/// Where the record at `at` ends, by its length alone.
#[inline(always)]
pub(super) fn end_of(bytes: &[u8], at: usize) -> Option<usize> {
    let (size, start) = match word(bytes, at).and_then(short) {
        Some((length, taken)) => (size_of(length)?, at + taken),
        None => {
            let mut start = at;
            (usize::try_from(get32::<Silent>(bytes, &mut start).ok()?).ok()?, start)
        }
    };
    start.checked_add(size).filter(|end| *end <= bytes.len())
}

/// Reads one record, by the short way if it goes.
#[inline(always)]
pub(super) fn read_any<'a>(
    bytes: &'a [u8],
    at: &mut usize,
    info: &RecordsInfo,
    check_headers: bool,
) -> Result<(i64, RecordView<'a>), Silent> {
    match read_short(bytes, *at, info) {
        Some((end, delta, view)) => {
            *at = end;
            Ok((delta, view))
        }
        None => read_long(bytes, at, info, check_headers),
    }
}

#[inline(never)]
fn read_long<'a>(
    bytes: &'a [u8],
    at: &mut usize,
    info: &RecordsInfo,
    check_headers: bool,
) -> Result<(i64, RecordView<'a>), Silent> {
    read::<Silent>(bytes, at, info, check_headers)
}

/// Reads a nullable field: a length, then so many bytes.
#[inline(always)]
fn field<'a, E: From<Fault>>(bytes: &'a [u8], at: &mut usize) -> Result<Option<&'a [u8]>, E> {
    let length = get32::<E>(bytes, at)?;
    let Ok(size) = usize::try_from(length) else {
        return if length == -1 { Ok(None) } else { Err(Fault::FieldLength(length).into()) };
    };
    let end = at.checked_add(size).ok_or(Fault::FieldLength(length))?;
    let field = bytes.get(*at..end).ok_or(Fault::FieldLength(length))?;
    *at = end;
    Ok(Some(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passing_by_lengths_ends_where_reading_ends() {
        let mut random = fastrand::Rng::with_seed(5);
        let sizes = [0, 1, 50, 100, 9_000, 1_100_000];
        for _ in 0..50 {
            let mut body = super::super::BodyBuf::with_limit(8 << 20);
            let count = random.u32(1..8);
            for n in 0..count {
                let value = vec![7; sizes[random.usize(0..sizes.len())]];
                body.append(i64::from(n), None, random.bool().then_some(&value[..]), &[Header::new("k", b"v")])
                    .unwrap();
            }
            let info =
                RecordsInfo { base_offset: 10, last_offset_delta: 100, base_timestamp: 0, append_time: None, count };
            let all = super::super::VerifiedRecords::new(body.plain(), info, 0, count);
            for n in 0..count as usize + 2 {
                let (mut passed, mut read) = (all.clone(), all.clone());
                let last = (0..n).all(|_| read.next().is_some()).then(|| read.next()).flatten();
                assert_eq!(passed.nth(n), last);
                assert_eq!((passed.len(), passed.position()), (read.len(), read.position()));
            }
        }
    }

    #[test]
    fn the_short_way_reads_what_the_long_way_reads_and_nothing_else() {
        let mut random = fastrand::Rng::with_seed(3);
        let (mut short, mut long) = (0, 0);
        for _ in 0..200_000 {
            let mut body = super::super::BodyBuf::with_limit(400);
            let (key, value) = (vec![5; random.usize(..20)], vec![6; random.usize(..200)]);
            let key = random.bool().then_some(&key[..]);
            let headers = [Header::new("k", b"v")];
            body.append(0, key, Some(&value), if random.u8(..8) == 0 { &headers } else { &[] });
            body.append(random.i64(-3..100_000), key, random.bool().then_some(&value[..]), &[]);
            let mut bytes = body.plain().to_vec();
            for _ in 0..random.usize(..4) {
                let at = random.usize(..bytes.len().min(20));
                bytes[at] = random.u8(..);
            }
            let append_time = random.bool().then_some(9);
            let base_offset = if random.bool() { 1 << 40 } else { i64::MAX - 1 };
            let info =
                RecordsInfo { base_offset, last_offset_delta: 5, base_timestamp: i64::MAX, append_time, count: 2 };
            let mut end = 0;
            let read = read::<Fault>(&bytes, &mut end, &info, true);
            match read_short(&bytes, 0, &info) {
                Some((short_end, delta, view)) => {
                    assert_eq!(read, Ok((delta, view)));
                    assert_eq!(short_end, end);
                    short += 1;
                }
                None => long += 1,
            }
        }
        assert!(short > 10_000 && long > 10_000, "{short} {long}");
    }
}
