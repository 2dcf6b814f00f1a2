//! Which partitions have something for whom, kept up to date with every change: no turn scans all partitions.

use super::queue::Queue;
use super::state::{Minting, State};
use crate::{BrokerId, PartitionIx, Time, Timers};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// Stands for the leader where none is needed: batches that are collected to be failed.
pub(crate) const NOBODY: BrokerId = BrokerId(i32::MIN);

/// Under what a queue is filed at present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filed {
    sendable: Option<BrokerId>,
    collectable: Option<BrokerId>,
    links: [Option<BrokerId>; 2],
    active: bool,
}

/// What the producer as a whole adds to the question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Climate {
    pub(crate) now: Time,
    /// The identity of idempotent topics.
    pub(crate) minting: Minting,
    /// The transaction that is open; 0 without.
    pub(crate) generation: u64,
    /// Records wait for memory, or the producer closes: nothing lingers (contracts B12).
    pub(crate) pressure: bool,
    /// The producer, or its open transaction, is of no more use: everything is collected, to be failed.
    pub(crate) doomed: bool,
}

impl Climate {
    pub(crate) fn minting(&self, queue: &Queue) -> Minting {
        match queue.terms.mode.idempotent {
            // Its partition is not part of the transaction yet.
            true if queue.enrolled != self.generation => Minting::Waiting,
            true => self.minting,
            false => Minting::Unstamped,
        }
    }
}

/// Sets and timers over all queues.
#[derive(Debug, Default)]
pub(crate) struct Index {
    sendable: BTreeSet<(BrokerId, PartitionIx)>,
    collectable: BTreeSet<(BrokerId, PartitionIx)>,
    links: BTreeMap<BrokerId, u32>,
    pub(crate) active: BTreeSet<PartitionIx>,
    /// The front holds batches past their deadline.
    pub(crate) overdue: BTreeSet<PartitionIx>,
    pub(crate) linger: Timers<PartitionIx>,
    pub(crate) delivery: Timers<PartitionIx>,
    pub(crate) backoff: Timers<PartitionIx>,
}

impl Index {
    /// Files a queue anew after any change of it.
    pub(crate) fn file(&mut self, queue: &mut Queue, climate: &Climate) {
        let p = queue.partition;
        let filed = look(queue, climate);
        let before = std::mem::replace(&mut queue.filed, filed);
        if before != filed {
            refile(&mut self.sendable, p, before.sendable, filed.sendable);
            refile(&mut self.collectable, p, before.collectable, filed.collectable);
            for broker in filed.links.into_iter().flatten() {
                *self.links.entry(broker).or_insert(0) += 1;
            }
            for broker in before.links.into_iter().flatten() {
                if let Some(n) = self.links.get_mut(&broker) {
                    *n -= 1;
                    if *n == 0 {
                        self.links.remove(&broker);
                    }
                }
            }
            if filed.active {
                self.active.insert(p);
            } else {
                self.active.remove(&p);
            }
        }
        self.time(queue, climate);
    }

    /// Timers are set to the earliest moment that may matter; when one rings too early the queue is filed again. So most
    /// changes leave them alone.
    fn time(&mut self, queue: &Queue, climate: &Climate) {
        let p = queue.partition;
        let earlier = |timers: &mut Timers<PartitionIx>, at: Time| {
            if timers.get(p).is_none_or(|set| at < set) {
                timers.set(p, at);
            }
        };
        if let Some(since) = queue.left.open_since {
            let at = since + queue.terms.linger;
            if at > climate.now && !climate.pressure && !queue.left.urgent {
                earlier(&mut self.linger, at);
            }
        }
        if let State::Backoff(until) = queue.state {
            earlier(&mut self.backoff, until);
        }
        if let Some(at) = queue.deadline() {
            if at > climate.now {
                earlier(&mut self.delivery, at);
            } else if !queue.stalled && queue.left_to_take() {
                self.overdue.insert(p);
            }
        }
    }

    /// Brokers whose link is needed: something is to be sent there, or under way.
    pub(crate) fn links(&self) -> impl Iterator<Item = BrokerId> {
        self.links.keys().copied()
    }

    /// Partitions with a batch for this broker, beginning behind `from` and once around (PR-33).
    pub(crate) fn sendable(&self, broker: BrokerId, from: PartitionIx) -> impl Iterator<Item = PartitionIx> {
        around(&self.sendable, broker, from)
    }

    /// Partitions whose slot in the front has a batch for this broker, in the same rotation.
    pub(crate) fn collectable(&self, broker: BrokerId, from: PartitionIx) -> impl Iterator<Item = PartitionIx> {
        around(&self.collectable, broker, from)
    }
}

fn look(queue: &Queue, climate: &Climate) -> Filed {
    let active = queue.is_active();
    if !active {
        return Filed::default();
    }
    let minting = climate.minting(queue);
    let leader = queue.leader.map(|(broker, _)| broker);
    let sendable = queue.ready(minting).is_some();
    let collectable = if climate.doomed {
        (!queue.collecting && !queue.stalled && queue.left_to_take()).then_some(NOBODY)
    } else {
        // A batch that may be sent is one that does not let others be wanted.
        let has = !sendable && queue.left.is_ready(climate.now, queue.terms.linger, climate.pressure);
        leader.filter(|_| has && queue.wants(minting))
    };
    Filed {
        sendable: leader.filter(|_| sendable),
        collectable,
        links: [leader, queue.owing().filter(|at| Some(*at) != leader)],
        active,
    }
}

fn refile(
    set: &mut BTreeSet<(BrokerId, PartitionIx)>,
    p: PartitionIx,
    before: Option<BrokerId>,
    now: Option<BrokerId>,
) {
    if before == now {
        return;
    }
    if let Some(broker) = before {
        set.remove(&(broker, p));
    }
    if let Some(broker) = now {
        set.insert((broker, p));
    }
}

fn around(
    set: &BTreeSet<(BrokerId, PartitionIx)>,
    broker: BrokerId,
    from: PartitionIx,
) -> impl Iterator<Item = PartitionIx> {
    let (first, here, last) = (PartitionIx(0), (broker, from), PartitionIx(u32::MAX));
    let behind = set.range((Bound::Excluded(here), Bound::Included((broker, last))));
    behind.chain(set.range((broker, first)..=here)).map(|(_, p)| *p)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rotation_begins_behind_the_last_served_and_comes_around_once() {
        let set: BTreeSet<_> = [1, 2, 5].into_iter().map(|p| (BrokerId(1), PartitionIx(p))).collect();
        let order = |from| around(&set, BrokerId(1), PartitionIx(from)).map(|p| p.0).collect::<Vec<_>>();
        assert_eq!(order(2), [5, 1, 2]);
        assert_eq!(order(0), [1, 2, 5]);
        assert_eq!(order(u32::MAX), [1, 2, 5]);
        assert_eq!(around(&set, BrokerId(2), PartitionIx(0)).count(), 0);
    }
}
