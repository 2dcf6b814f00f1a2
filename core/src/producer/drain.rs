//! Which batches the next request to a broker carries.
//!
//! Everything is read again here: leader, stamp, limits. What was true when a batch was collected does not count.

use super::index::{Climate, Index};
use super::queue::Queue;
use crate::config::Acks;
use crate::{BrokerId, PartitionIx};
use std::collections::BTreeMap;

/// A batch that goes: its partition and its place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pick {
    pub(crate) partition: PartitionIx,
    pub(crate) at: usize,
}

/// Picks at most one batch per partition (Produce v3+ allows no more), in rotation, up to `max_bytes`; the first may exceed
/// it. One request has one `acks`, so topics with another wait for the next.
pub(crate) fn pick(
    index: &Index,
    queues: &BTreeMap<PartitionIx, Queue>,
    climate: &Climate,
    broker: BrokerId,
    from: PartitionIx,
    max_bytes: usize,
) -> (Option<Acks>, Vec<Pick>) {
    let mut picks = Vec::new();
    let mut acks: Option<Acks> = None;
    let mut bytes = 0usize;
    for partition in index.sendable(broker, from) {
        let Some(queue) = queues.get(&partition) else { continue };
        let Some(at) = queue.ready(climate.minting(queue)) else { continue };
        let Some(entry) = queue.entry(at) else { continue };
        if acks.is_some_and(|a| a != queue.terms.acks) {
            continue;
        }
        if !picks.is_empty() && bytes.saturating_add(entry.size()) > max_bytes {
            // Nobody further on is let past a batch that does not fit: the rotation begins with it next time.
            break;
        }
        bytes = bytes.saturating_add(entry.size());
        acks = Some(queue.terms.acks);
        picks.push(Pick { partition, at });
    }
    (acks, picks)
}
