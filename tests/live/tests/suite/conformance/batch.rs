//! Record batches by hand, sound and unsound.

use bytes::Bytes;
use klamm_core::record::crc32c;
use klamm_core::wire::Writer;

/// When all records are written that do not say otherwise.
pub(super) const TIME: i64 = 1_700_000_000_000;

/// A batch of records, each a key and a value. What is left at its default is sound.
#[derive(Clone)]
pub(super) struct Batch<'a> {
    pub(super) records: &'a [(Option<&'a str>, Option<&'a str>)],
    pub(super) base_offset: i64,
    pub(super) magic: u8,
    pub(super) attributes: i16,
    pub(super) timestamps: Option<&'a [i64]>,
    pub(super) producer: (i64, i16, i32),
    pub(super) count: Option<i32>,
    pub(super) last_offset_delta: Option<i32>,
    pub(super) crc_off_by: u32,
    pub(super) payload: Option<&'a [u8]>,
}

/// One record without key, whose value is `v`.
pub(super) const ONE: &[(Option<&str>, Option<&str>)] = &[(None, Some("v"))];
/// Three of them.
pub(super) const THREE: &[(Option<&str>, Option<&str>)] = &[(None, Some("v")), (None, Some("v")), (None, Some("v"))];

impl Default for Batch<'_> {
    fn default() -> Self {
        Self {
            records: ONE,
            base_offset: 0,
            magic: 2,
            attributes: 0,
            timestamps: None,
            producer: (-1, -1, -1),
            count: None,
            last_offset_delta: None,
            crc_off_by: 0,
            payload: None,
        }
    }
}

fn varint(out: &mut Vec<u8>, value: i64) {
    let mut bits = ((value << 1) ^ (value >> 63)) as u64;
    while bits >= 0x80 {
        out.push((bits as u8) | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

fn text(out: &mut Vec<u8>, text: Option<&str>) {
    varint(out, text.map_or(-1, |t| t.len() as i64));
    out.extend(text.unwrap_or_default().as_bytes());
}

impl Batch<'_> {
    pub(super) fn of(producer: i64, epoch: i16, sequence: i32) -> Self {
        Self { producer: (producer, epoch, sequence), ..Self::default() }
    }

    pub(super) fn bytes(&self) -> Bytes {
        let time = |n: usize| self.timestamps.and_then(|all| all.get(n)).copied().unwrap_or(TIME + n as i64);
        let times: Vec<i64> = (0..self.records.len()).map(time).collect();
        let first = times.first().copied().unwrap_or(TIME);
        let mut payload = Vec::new();
        for (n, (key, value)) in self.records.iter().enumerate() {
            let mut record = vec![0];
            varint(&mut record, times[n] - first);
            varint(&mut record, n as i64);
            text(&mut record, *key);
            text(&mut record, *value);
            record.push(0);
            varint(&mut payload, record.len() as i64);
            payload.extend(record);
        }
        if let Some(other) = self.payload {
            payload = other.to_vec();
        }
        let count = self.records.len() as i32;
        let mut w = Writer::new();
        w.i64(self.base_offset);
        w.i32(49 + payload.len() as i32);
        w.i32(-1);
        w.u8(self.magic);
        w.u32(0);
        w.i16(self.attributes);
        w.i32(self.last_offset_delta.unwrap_or(count - 1));
        w.i64(first);
        w.i64(times.iter().copied().max().unwrap_or(first));
        w.i64(self.producer.0);
        w.i16(self.producer.1);
        w.i32(self.producer.2);
        w.i32(self.count.unwrap_or(count));
        w.raw(&payload);
        let mut bytes = w.into_vec();
        let crc = crc32c(&bytes[21..]).wrapping_add(self.crc_off_by);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        bytes.into()
    }
}

/// What lies in an answer's records, batch by batch.
pub(super) fn survey(records: &[u8]) -> Vec<String> {
    let mut rest = records;
    let mut found = Vec::new();
    let number = |at: &[u8]| at.iter().fold(0i64, |n, byte| (n << 8) | i64::from(*byte));
    while rest.len() >= 61 {
        let length = 12 + number(&rest[8..12]) as usize;
        let (batch, left) = match rest.split_at_checked(length) {
            Some(split) => split,
            None => break,
        };
        let (base, epoch, attributes, delta, count) = (
            number(&batch[..8]),
            number(&batch[12..16]) as i32,
            number(&batch[21..23]),
            number(&batch[23..27]),
            number(&batch[57..61]),
        );
        let sequence = number(&batch[53..57]) as i32;
        found.push(format!(
            "{base}+{delta}: {count} records in {length} bytes, attributes {attributes}, leader epoch {epoch}, sequence {sequence}"
        ));
        rest = left;
    }
    if !rest.is_empty() {
        found.push(format!("{} bytes of the next", rest.len()));
    }
    found
}
