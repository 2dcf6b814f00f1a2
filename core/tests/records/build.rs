//! Batches made the slow and obvious way: the reference for the encoder, and input for the decoder.

use klamm_core::codec::{Codec, Compression};
use klamm_core::record::{Attributes, BatchHeader, BodyCrc, Stamp};

/// One record with everything spelled out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rec {
    pub(crate) delta: i64,
    pub(crate) time: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

pub(crate) fn rec(delta: i64, value: &str) -> Rec {
    Rec { delta, value: Some(value.as_bytes().to_vec()), ..Rec::default() }
}

pub(crate) fn varint(out: &mut Vec<u8>, value: i64) {
    let mut raw = ((value << 1) ^ (value >> 63)) as u64;
    while raw >= 0x80 {
        out.push(raw as u8 | 0x80);
        raw >>= 7;
    }
    out.push(raw as u8);
}

fn field(out: &mut Vec<u8>, field: Option<&Vec<u8>>) {
    varint(out, field.map_or(-1, |f| f.len() as i64));
    out.extend(field.into_iter().flatten());
}

/// The wire form of records; timestamps count from `base_time`.
pub(crate) fn body(records: &[Rec], base_time: i64) -> Vec<u8> {
    let mut out = Vec::new();
    for r in records {
        let mut one = vec![0];
        varint(&mut one, r.time - base_time);
        varint(&mut one, r.delta);
        field(&mut one, r.key.as_ref());
        field(&mut one, r.value.as_ref());
        varint(&mut one, r.headers.len() as i64);
        for (key, value) in &r.headers {
            field(&mut one, Some(key));
            field(&mut one, value.as_ref());
        }
        varint(&mut out, one.len() as i64);
        out.extend(one);
    }
    out
}

/// A batch to be.
#[derive(Clone, Debug)]
pub(crate) struct Make {
    pub(crate) header: BatchHeader,
    pub(crate) body: Vec<u8>,
}

/// A plain batch of these records from `base` on.
pub(crate) fn make(base: i64, records: &[Rec]) -> Make {
    let first = records.first().map_or(0, |r| r.time);
    let header = BatchHeader {
        base_offset: base,
        length: 0,
        leader_epoch: 3,
        crc: 0,
        attributes: Attributes::new(Codec::None),
        last_offset_delta: records.last().map_or(0, |r| r.delta as i32),
        base_timestamp: first,
        max_timestamp: records.iter().map(|r| r.time).max().unwrap_or(-1),
        stamp: Stamp::NONE,
        count: records.len() as i32,
    };
    Make { header, body: body(records, first) }
}

impl Make {
    pub(crate) fn with(mut self, change: impl FnOnce(&mut BatchHeader)) -> Self {
        change(&mut self.header);
        self
    }

    pub(crate) fn packed(mut self, codec: Codec) -> Self {
        let mut out = Vec::new();
        let len = Compression::new(codec, None).unwrap().compress(&self.body, &mut out).unwrap();
        out.truncate(len);
        self.body = out;
        self.header.attributes.0 = self.header.attributes.0 & !7 | i16::from(codec.id());
        self
    }

    pub(crate) fn of_producer(mut self, producer_id: i64) -> Self {
        self.header.stamp = Stamp { producer_id, epoch: 0, base_sequence: 0 };
        self.header.attributes = self.header.attributes.transactional(true);
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = self.header.write_before(&BodyCrc::of(&self.body)).to_vec();
        out.extend(&self.body);
        out
    }
}

/// The marker that ends a transaction: type 0 aborts, 1 commits.
pub(crate) fn marker(base: i64, producer_id: i64, kind: i16) -> Vec<u8> {
    let mut key = vec![0, 0];
    key.extend(kind.to_be_bytes());
    let record = Rec { key: Some(key), value: Some(vec![0; 6]), ..Rec::default() };
    let made = make(base, &[record]).of_producer(producer_id);
    made.with(|h| h.attributes = h.attributes.control(true)).bytes()
}

pub(crate) fn unhex(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
