//! A reference model for the back half: a cluster with real sequence checks, random faults, and what must hold whatever
//! happens (contracts section 3).

mod broker;
mod cases;
mod monitor;
mod run;
mod world;

use super::handover::Batch;
use crate::codec::Codec;
use crate::record::BodyBuf;
use crate::{BatchNo, Time, Timestamp};
use bytes::Bytes;

/// A batch of so many records; each says its batch's number and its place.
pub(super) fn batch(no: u64, count: u32) -> Batch {
    let mut buf = BodyBuf::with_limit(64 * count as usize + 64);
    for i in 0..count {
        buf.append(1000, None, Some(format!("{no}.{i}").as_bytes()), &[]).unwrap();
    }
    let facts = buf.facts();
    Batch {
        no: BatchNo(no),
        body: Bytes::copy_from_slice(buf.plain()),
        crc: facts.crc,
        codec: Codec::None,
        count,
        plain_bytes: buf.len() as u32,
        base_timestamp: Timestamp(1000),
        max_timestamp: Timestamp(1000),
        entered: Time(0),
        generation: 0,
    }
}
