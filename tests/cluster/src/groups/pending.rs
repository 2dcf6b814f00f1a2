//! Offsets that are committed within transactions (broker-coord 3.4).
//!
//! The offsets topic has no log here; of its producers is kept what its log would say of them: their epoch, and whether a
//! transaction of theirs is open.

use super::Groups;
use super::group::{Group, Phase};
use super::offsets::Committed;
use crate::log::producer::Marker;
use klamm_core::ErrorCode;
use std::collections::BTreeMap;

/// Who commits offsets within transactions: by partition of the offsets topic and producer id.
#[derive(Debug, Default)]
pub(crate) struct Writers(BTreeMap<(i32, i64), Writer>);

#[derive(Clone, Copy, Debug)]
struct Writer {
    epoch: i16,
    coordinator_epoch: i32,
    open: bool,
}

impl Groups {
    /// Whether a transaction of that producer and epoch has written offsets to that partition already.
    pub(crate) fn has_transaction(&self, partition: i32, id: i64, epoch: i16) -> bool {
        self.writers.0.get(&(partition, id)).is_some_and(|w| w.open && w.epoch == epoch)
    }

    /// The epoch that the log of a partition of the offsets topic knows a producer with.
    pub(crate) fn writer_epoch(&self, partition: i32, id: i64) -> Option<i16> {
        self.writers.0.get(&(partition, id)).map(|w| w.epoch)
    }

    /// Keeps an offset until its transaction ends.
    pub(crate) fn commit_pending(
        &mut self,
        (group, partition): (&str, i32),
        (id, epoch): (i64, i16),
        place: (String, i32),
        mut committed: Committed,
    ) {
        self.position += 1;
        committed.position = self.position;
        let writer =
            self.writers.0.entry((partition, id)).or_insert(Writer { epoch, coordinator_epoch: -1, open: true });
        writer.epoch = epoch;
        writer.open = true;
        if let Some(group) = self.by_id.get_mut(group) {
            group.uncertain.entry(id).or_default().insert(place, committed);
        }
    }

    /// A marker in one partition: what its producer committed there counts, or is gone. `of` tells a group's partition.
    pub(crate) fn end_transaction(
        &mut self,
        partition: i32,
        of: impl Fn(&str) -> i32,
        marker: Marker,
        v2: bool,
    ) -> Result<(), ErrorCode> {
        let Marker { id, epoch, commit, coordinator_epoch } = marker;
        if let Some(known) = self.writers.0.get(&(partition, id)) {
            if coordinator_epoch < known.coordinator_epoch {
                return Err(ErrorCode::TRANSACTION_COORDINATOR_FENCED);
            }
            let repeated = !known.open && epoch == known.epoch;
            let fits = if v2 { epoch > known.epoch || repeated } else { epoch >= known.epoch };
            if !fits {
                return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
            }
        }
        self.writers.0.insert((partition, id), Writer { epoch, coordinator_epoch, open: false });
        for (_, group) in self.by_id.iter_mut().filter(|(name, _)| of(name) == partition) {
            let Some(offsets) = group.uncertain.remove(&id) else { continue };
            for (place, committed) in offsets.into_iter().filter(|_| commit) {
                // A plain commit that came later stands.
                let newer = group.offsets.get(&place).is_some_and(|c| c.position > committed.position);
                if !newer {
                    group.offsets.insert(place, committed);
                }
            }
        }
        Ok(())
    }
}

impl Group {
    /// Whether a transaction may still change the offset of a partition.
    pub(crate) fn is_unstable(&self, topic: &str, index: i32) -> bool {
        self.uncertain.values().any(|offsets| offsets.keys().any(|(name, at)| name == topic && *at == index))
    }

    /// Whether a commit within a transaction is taken from that caller: unlike a plain one it is while members sync, and
    /// from one who does not say who it is.
    pub(crate) fn check_pending(&self, generation: i32, member: &str, instance: Option<&str>) -> Result<(), ErrorCode> {
        let anonymous = member.is_empty() && instance.is_none() && generation < 0;
        if anonymous || (self.phase == Phase::Empty && generation < 0) {
            return Ok(());
        }
        self.validate(member, instance)?;
        if generation == self.generation { Ok(()) } else { Err(ErrorCode::ILLEGAL_GENERATION) }
    }
}
