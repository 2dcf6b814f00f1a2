//! The end of a transaction goes to every partition that it wrote to (broker-coord 5.5, broker-data 4.15).

use crate::log::partition::Append;
use crate::log::producer::Marker;
use crate::state::State;
use crate::topics::OFFSETS;
use crate::txns::transaction::{Phase, Place};
use klamm_core::{ErrorCode, Time};
use std::time::Duration;

/// How long a coordinator waits before it asks again a leader that is not there.
const AGAIN: Duration = Duration::from_millis(20);

/// How far the marker of one partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It is sent at that time.
    Due(Time),
    /// It lies in the leader's log at this offset, written in that epoch, and waits for its replicas.
    Written { offset: i64, epoch: i32 },
}

impl Progress {
    pub(crate) fn due(&self) -> Option<Time> {
        match self {
            Self::Due(at) => Some(*at),
            Self::Written { .. } => None,
        }
    }
}

/// What became of an attempt to write a marker.
enum Attempt {
    Written {
        offset: i64,
        epoch: i32,
    },
    /// It is where it belongs.
    Done,
    Later,
}

impl State {
    /// Sends the markers of a transaction that prepares: each takes a time of its own.
    pub(super) fn begin_markers(&mut self, id: &str, from: Time) {
        let Some(entry) = self.txns.by_id.get_mut(id) else { return };
        let Some(is) = &entry.is else { return };
        let spread = u64::try_from(self.settings.marker_delay.as_nanos()).unwrap_or(u64::MAX);
        for place in &is.partitions {
            // At least half of the delay, so that an answer to EndTxn always comes before what it announces.
            let wait = spread / 2 + self.rng.below(spread / 2 + 1);
            entry.markers.insert(place.clone(), Progress::Due(from + Duration::from_nanos(wait)));
        }
        if spread == 0 {
            self.elapse_markers_of(id);
        }
        self.complete(id);
    }

    /// Sends the markers that are due.
    pub(super) fn elapse_markers(&mut self) {
        let now = self.mono;
        let due = |progress: &Progress| progress.due().is_some_and(|at| at <= now);
        let ids: Vec<String> =
            self.txns.by_id.iter().filter(|(_, e)| e.markers.values().any(due)).map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.elapse_markers_of(&id);
            self.complete(&id);
        }
    }

    fn elapse_markers_of(&mut self, id: &str) {
        let Some((_, coordinator_epoch)) = self.transaction_coordinator(id) else { return };
        let Some(entry) = self.txns.by_id.get(id) else { return };
        let Some(is) = &entry.is else { return };
        let v2 = is.v2;
        let commit = is.phase == Phase::PrepareCommit;
        let marker = Marker { id: is.identity.id, epoch: is.identity.epoch, commit, coordinator_epoch };
        let due = |progress: &Progress| progress.due().is_some_and(|at| at <= self.mono);
        let places: Vec<Place> = entry.markers.iter().filter(|(_, p)| due(p)).map(|(place, _)| place.clone()).collect();
        for place in places {
            let attempt = self.send_marker(&place, marker, v2);
            let Some(entry) = self.txns.by_id.get_mut(id) else { return };
            match attempt {
                Attempt::Done => drop(entry.markers.remove(&place)),
                Attempt::Written { offset, epoch } => {
                    entry.markers.insert(place, Progress::Written { offset, epoch });
                }
                Attempt::Later => drop(entry.markers.insert(place, Progress::Due(self.mono + AGAIN))),
            }
        }
    }

    /// Writes a marker to the leader of one partition, if there is one.
    fn send_marker(&mut self, place: &Place, marker: Marker, v2: bool) -> Attempt {
        let (name, index) = place;
        let leader = match self.topics.get(name).and_then(|t| t.partition(*index)) {
            // A partition that is no more needs none.
            None => return Attempt::Done,
            Some(partition) => partition.now.leader,
        };
        let Some(broker) = leader.filter(|b| self.nodes.get(b).is_some_and(|node| node.up)) else {
            return Attempt::Later;
        };
        if name == OFFSETS {
            if self.groups.loading(*index, self.mono) {
                return Attempt::Later;
            }
            // The offsets' log is taken as replicated at once.
            self.end_offsets(*index, marker, v2).unwrap_or_default();
            return Attempt::Done;
        }
        match self.write_marker(place, marker, v2, broker) {
            Ok((offset, epoch)) => Attempt::Written { offset, epoch },
            Err(ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::NOT_ENOUGH_REPLICAS) => Attempt::Later,
            // 5.5: what a newer epoch or coordinator has decided is not this one's business any more.
            Err(_) => Attempt::Done,
        }
    }

    /// Writes a marker into the log of a partition that `broker` leads; gives its offset and leader epoch.
    pub(crate) fn write_marker(
        &mut self,
        place: &Place,
        marker: Marker,
        v2: bool,
        broker: i32,
    ) -> Result<(i64, i32), ErrorCode> {
        let (mono, wall, lag) = (self.mono, self.wall, self.settings.replication_lag);
        let topic = self.topics.get_mut(&place.0).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        let policy = topic.policy.clone();
        let partition = topic.partition_mut(place.1).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        let how = Append { broker, acks: -1, policy: &policy, mono, wall, lag, verified: false, v2 };
        let offset = partition.append_marker(marker, v2, &how)?;
        self.parked.stale = true;
        Ok((offset, partition.now.epoch))
    }

    /// Looks at the markers that wait for their replicas; `parked` calls it when something changed.
    pub(crate) fn settle_markers(&mut self) {
        let waits = |p: &Progress| matches!(p, Progress::Written { .. });
        let ids: Vec<String> =
            self.txns.by_id.iter().filter(|(_, e)| e.markers.values().any(waits)).map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.complete(&id);
        }
    }

    /// Takes note of markers that are committed; when all are, the transaction is complete.
    fn complete(&mut self, id: &str) {
        if self.transaction_coordinator(id).is_none() {
            return;
        }
        let State { txns, topics, mono, .. } = self;
        let Some(entry) = txns.by_id.get_mut(id) else { return };
        entry.markers.retain(|(name, index), progress| {
            let Progress::Written { offset, epoch } = *progress else { return true };
            let Some(partition) = topics.get(name).and_then(|t| t.partition(*index)) else { return false };
            if partition.now.epoch != epoch {
                // The next leader may not have it: it is asked as well.
                *progress = Progress::Due(*mono + AGAIN);
                return true;
            }
            partition.high_watermark() <= offset
        });
        let Some(is) = entry.is.as_ref().filter(|t| t.phase.is_preparing()) else { return };
        if entry.markers.is_empty() && entry.change.is_none() {
            let to = is.completed(*mono);
            self.change_transaction(id, to, None);
        }
    }
}
