//! What a fetch takes out of a log (broker-data 6.8 to 6.14).

use super::partition::Partition;
use bytes::{Bytes, BytesMut};

/// The bytes between an offset and the bound that a reader may see.
pub(crate) struct Slice {
    pub(crate) records: Bytes,
    /// The offset behind the last batch of which there is anything.
    pub(crate) end: i64,
}

impl Partition {
    /// What `broker` has: its end and its high watermark.
    pub(crate) fn bounds(&self, broker: i32) -> Option<(i64, i64)> {
        self.copies.get(&broker).map(|copy| (copy.end, copy.high_watermark))
    }

    /// How many bytes lie between `offset` and `bound` in one segment, counted up to `enough`; and whether the start is on
    /// an older segment than the bound (6.17).
    pub(crate) fn available(&self, offset: i64, bound: i64, enough: usize) -> (usize, bool) {
        let mut bytes = 0;
        let mut segment = None;
        for batch in self.log.from(offset).take_while(|b| b.last < bound) {
            if *segment.get_or_insert(batch.segment) != batch.segment {
                return (bytes, true);
            }
            bytes += batch.bytes.len();
            if bytes >= enough {
                break;
            }
        }
        (bytes, false)
    }

    /// At most `limit` bytes; with `whole_first` the first batch is given whole even beyond the limit (6.11). The tail may
    /// be a cut batch (6.12); a bound falls on batch borders.
    pub(crate) fn read(&self, offset: i64, bound: i64, limit: usize, whole_first: bool) -> Slice {
        let mut out = BytesMut::new();
        let mut segment = None;
        let mut end = offset;
        for batch in self.log.from(offset).take_while(|b| b.last < bound) {
            if *segment.get_or_insert(batch.segment) != batch.segment {
                break;
            }
            let room = limit.saturating_sub(out.len());
            if batch.bytes.len() <= room {
                out.extend_from_slice(&batch.bytes);
                end = batch.last + 1;
                continue;
            }
            if out.is_empty() {
                if whole_first {
                    return Slice { records: batch.bytes.clone(), end: batch.last + 1 };
                }
                break;
            }
            out.extend_from_slice(&batch.bytes[..room]);
            end = batch.last + 1;
            break;
        }
        Slice { records: out.freeze(), end }
    }
}
