//! A reference model: brokers with logs, fetch sessions and a classic coordinator, another member, an application with its
//! shelf, random faults, and what must hold whatever happens (contracts section 3, items 4, 6, 8).

mod broker;
mod cases;
mod coordinator;
mod front;
mod world;

use crate::codec::Codec;
use crate::record::{BatchHeader, BodyBuf, Stamp};

/// A batch of `count` records from `base` on.
pub(super) fn batch(base: i64, count: u32, epoch: i32) -> Vec<u8> {
    let mut buf = BodyBuf::with_limit(64 * count as usize + 64);
    for i in 0..count {
        buf.append(1000, None, Some(format!("{}", base + i64::from(i)).as_bytes()), &[]).unwrap();
    }
    let facts = buf.facts();
    let mut bytes = facts.header(Stamp::NONE, false).to_vec();
    bytes.extend_from_slice(buf.plain());
    let header = BatchHeader::parse(&bytes).unwrap();
    debug_assert_eq!(header.attributes.codec().unwrap(), Codec::None);
    // Base offset and leader epoch are the broker's, outside of the checksum.
    bytes[..8].copy_from_slice(&base.to_be_bytes());
    bytes[12..16].copy_from_slice(&epoch.to_be_bytes());
    bytes
}
