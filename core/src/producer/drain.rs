//! Which batches the next request to a broker carries.
//!
//! Everything is read again here: leader, stamp, limits. What was true when a batch was collected does not count.

use super::index::{Climate, Index};
use super::queue::Queue;
use crate::config::Acks;
use crate::{BrokerId, PartitionIx};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::time::Duration;

/// A batch that goes: its partition and its place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pick {
    pub(crate) partition: PartitionIx,
    pub(crate) at: usize,
}

/// What a request says once for all its batches.
pub(crate) type Limits = (Acks, Duration);

/// Picks at most one batch per partition (Produce v3+ allows no more), in rotation, up to `max_bytes`; the first may exceed
/// it. One request has one `acks` and one time limit, so topics with others wait for the next.
pub(crate) fn pick(
    index: &Index,
    queues: &BTreeMap<PartitionIx, Queue>,
    climate: &Climate,
    broker: BrokerId,
    from: PartitionIx,
    max_bytes: usize,
) -> (Option<Limits>, SmallVec<[Pick; 8]>) {
    let mut picks = SmallVec::new();
    let mut limits: Option<Limits> = None;
    let mut bytes = 0usize;
    for partition in index.sendable(broker, from) {
        let Some(queue) = queues.get(&partition) else { continue };
        let Some(at) = queue.ready(climate.minting(queue)) else { continue };
        let Some(entry) = queue.entry(at) else { continue };
        let own = (queue.terms.acks, queue.terms.request_timeout);
        if limits.is_some_and(|limits| limits != own) {
            continue;
        }
        if !picks.is_empty() && bytes.saturating_add(entry.size()) > max_bytes {
            // Nobody further on is let past a batch that does not fit: the rotation begins with it next time.
            break;
        }
        bytes = bytes.saturating_add(entry.size());
        limits = Some(own);
        picks.push(Pick { partition, at });
    }
    (limits, picks)
}

#[cfg(test)]
mod tests {
    use super::super::model::batch;
    use super::super::sequence::Identity;
    use super::super::state::Minting;
    use super::super::terms::Terms;
    use super::*;
    use crate::config::ProducerConfig;
    use crate::{Time, TopicIx};

    const BROKER: BrokerId = BrokerId(1);

    /// One queue per entry, each with two batches of 61 + 12 bytes.
    fn queues(acks: &[Acks]) -> (Index, BTreeMap<PartitionIx, Queue>, Climate) {
        let minting = Minting::Under(Identity { id: 1, epoch: 0 });
        let climate = Climate { now: Time(0), minting, generation: 0, pressure: false, doomed: false };
        let (mut index, mut queues) = (Index::default(), BTreeMap::new());
        for (number, acks) in (0..).zip(acks) {
            let config = ProducerConfig { acks: *acks, ..ProducerConfig::default() };
            let ix = PartitionIx(number);
            let mut queue = Queue::new(ix, (TopicIx(0), number as i32), Terms::of(&config, "t"));
            queue.lead(Some((BROKER, 0)));
            queue.push(batch(0, 1));
            queue.push(batch(1, 1));
            index.file(&mut queue, &climate);
            queues.insert(ix, queue);
        }
        (index, queues, climate)
    }

    fn picked(acks: &[Acks], from: u32, max_bytes: usize) -> Vec<u32> {
        let (index, queues, climate) = queues(acks);
        let (_, picks) = pick(&index, &queues, &climate, BROKER, PartitionIx(from), max_bytes);
        picks.iter().map(|p| p.partition.0).collect()
    }

    #[test]
    fn every_partition_gives_one_batch_in_rotation() {
        assert_eq!(picked(&[Acks::All; 4], 1, 10_000), [2, 3, 0, 1]);
    }

    #[test]
    fn the_request_stops_at_its_size_but_takes_the_first_whatever_it_is() {
        let size = 61 + batch(0, 1).body.len();
        assert_eq!(picked(&[Acks::All; 4], 3, 2 * size), [0, 1]);
        assert_eq!(picked(&[Acks::All; 4], 3, 1), [0]);
    }

    #[test]
    fn topics_with_other_acks_wait_for_a_request_of_their_own() {
        assert_eq!(picked(&[Acks::All, Acks::One, Acks::All, Acks::Zero], 3, 10_000), [0, 2]);
    }

    #[test]
    fn nothing_goes_to_a_broker_that_leads_nothing() {
        let (index, queues, climate) = queues(&[Acks::All]);
        assert_eq!(pick(&index, &queues, &climate, BrokerId(2), PartitionIx(0), 100).1.as_slice(), []);
    }
}
