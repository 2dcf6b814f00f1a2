//! Transactions in a log: markers, what is stable, which were aborted (broker-data 4.15, 5.3 to 5.5).

use super::batch::{HEADER, OVERHEAD, Raw, records};
use super::partition::{Append, Partition};
use super::producer::Marker;
use super::stored::seal;
use klamm_core::ErrorCode;

/// `index.interval.bytes`: how coarse the bound is up to which aborted transactions are named (5.4).
const INDEX_INTERVAL: usize = 4096;

/// A transaction that was aborted here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aborted {
    pub(crate) producer: i64,
    pub(crate) first: i64,
    /// The offset of its marker.
    pub(crate) marker: i64,
}

/// The marker in a control batch; `None` if it is no control batch, or one of another kind.
pub(crate) fn marker_of(raw: Raw<'_>) -> Option<Marker> {
    if !raw.is_control() {
        return None;
    }
    let plain = raw.unpack().ok()?;
    let record = records(&plain).next()?.ok()?;
    let kind = i16::from_be_bytes(*record.key?.get(2..)?.first_chunk()?);
    let coordinator_epoch = i32::from_be_bytes(*record.value?.get(2..)?.first_chunk()?);
    if !matches!(kind, 0 | 1) {
        return None;
    }
    Some(Marker { id: raw.producer_id(), epoch: raw.producer_epoch(), commit: kind == 1, coordinator_epoch })
}

/// 5.5: the control batch of a marker, 78 bytes.
fn control_batch(marker: Marker, wall: i64) -> Vec<u8> {
    let mut record = vec![0, 0, 0];
    // Four bytes of key, six of value, as zigzag varints; no headers.
    record.push(8);
    record.extend_from_slice(&0i16.to_be_bytes());
    record.extend_from_slice(&i16::from(marker.commit).to_be_bytes());
    record.push(12);
    record.extend_from_slice(&0i16.to_be_bytes());
    record.extend_from_slice(&marker.coordinator_epoch.to_be_bytes());
    record.push(0);
    let size = HEADER + 1 + record.len();
    let mut out = Vec::with_capacity(size);
    out.extend_from_slice(&0i64.to_be_bytes());
    out.extend_from_slice(&((size - OVERHEAD) as i32).to_be_bytes());
    out.extend_from_slice(&(-1i32).to_be_bytes());
    out.push(2);
    out.extend_from_slice(&0u32.to_be_bytes());
    // Transactional and control.
    out.extend_from_slice(&(16i16 | 32).to_be_bytes());
    out.extend_from_slice(&0i32.to_be_bytes());
    out.extend_from_slice(&wall.to_be_bytes());
    out.extend_from_slice(&wall.to_be_bytes());
    out.extend_from_slice(&marker.id.to_be_bytes());
    out.extend_from_slice(&marker.epoch.to_be_bytes());
    out.extend_from_slice(&(-1i32).to_be_bytes());
    out.extend_from_slice(&1i32.to_be_bytes());
    out.push((record.len() * 2) as u8);
    out.extend_from_slice(&record);
    seal(&mut out);
    out
}

impl Partition {
    /// The last stable offset as `broker` knows it: what a reader of committed records may see ends there (5.3).
    pub(crate) fn last_stable(&self, broker: i32) -> i64 {
        let Some(copy) = self.copies.get(&broker) else { return 0 };
        let committed = copy.high_watermark;
        let unstable = copy.producers.first_unstable(committed).map_or(committed, |at| at.max(self.log.start));
        unstable.min(committed)
    }

    /// Writes a marker as the leader; gives its offset.
    pub(crate) fn append_marker(&mut self, marker: Marker, v2: bool, how: &Append<'_>) -> Result<i64, ErrorCode> {
        if !self.is_led_by(how.broker) {
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        if !self.enough_in_sync(how.policy) {
            return Err(ErrorCode::NOT_ENOUGH_REPLICAS);
        }
        let epoch = self.now.epoch;
        let copy = self.copies.entry(how.broker).or_default();
        copy.producers.check_marker(marker, v2)?;
        let bytes = control_batch(marker, how.wall);
        let offset = self.log.append(Raw::stored(&bytes), epoch, how.policy, how.wall);
        copy.end = self.log.end;
        let first = copy.producers.note_marker(marker, offset, how.wall);
        if let Some(first) = first.filter(|_| !marker.commit) {
            self.log.aborted.push(Aborted { producer: marker.id, first, marker: offset });
        }
        self.copy_later(how.mono, how.lag, how.policy);
        Ok(offset)
    }

    /// 5.4: the aborted transactions that a fetch from `from` names when it returned records up to `end`: in the order of
    /// their markers, and some beyond what it returned.
    pub(crate) fn aborted(&self, from: i64, end: i64, broker: i32) -> Vec<Aborted> {
        let mut beyond = 0;
        let mut segment = None;
        let mut upper = self.bounds(broker).map_or(end, |(leo, _)| leo);
        for batch in self.log.from(from) {
            let rolled = *segment.get_or_insert(batch.segment) != batch.segment;
            if rolled || (batch.base >= end && beyond > INDEX_INTERVAL) {
                upper = upper.min(batch.base);
                break;
            }
            if batch.base >= end {
                beyond += batch.bytes.len();
            }
        }
        self.log.aborted.iter().filter(|a| a.marker >= from && a.first < upper).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_a_control_batch_of_78_bytes_that_reads_back_5_5() {
        let marker = Marker { id: 5, epoch: 3, commit: true, coordinator_epoch: 9 };
        let bytes = control_batch(marker, 1_000);
        assert_eq!(bytes.len(), 78);
        let (raw, rest) = Raw::split(&bytes).expect("a batch");
        assert!(rest.is_empty() && raw.crc_matches() && raw.is_control() && raw.is_transactional());
        assert_eq!((raw.count(), raw.base_sequence(), raw.last_offset_delta()), (1, -1, 0));
        assert_eq!(marker_of(raw), Some(marker));
        let abort = Marker { commit: false, ..marker };
        let bytes = control_batch(abort, 1_000);
        assert_eq!(marker_of(Raw::stored(&bytes)), Some(abort));
    }
}
