//! Committed offsets (broker-coord 3.2).

use super::group::{Group, Phase};
use klamm_core::{ErrorCode, Time};

/// An offset that a group committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
    /// Where it stands in the order of all commits.
    pub(crate) position: u64,
}

impl Group {
    /// Whether a commit is taken from that caller; renews its session (2.8).
    pub(crate) fn check_commit(
        &mut self,
        generation: i32,
        member: &str,
        instance: Option<&str>,
        now: Time,
    ) -> Result<(), ErrorCode> {
        if self.phase == Phase::Empty && generation < 0 {
            return Ok(());
        }
        let anonymous = member.is_empty() && instance.is_none() && generation < 0;
        if anonymous {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        self.validate(member, instance)?;
        if generation != self.generation {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        // Preparing accepts: the old generation is still current; Completing does not.
        if self.phase == Phase::Completing {
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        if let Some(member) = self.member_mut(member) {
            member.touch(now);
        }
        Ok(())
    }
}
