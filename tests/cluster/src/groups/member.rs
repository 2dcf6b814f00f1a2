//! A member of a classic group.

use crate::answer::Ticket;
use bytes::Bytes;
use klamm_core::Time;
use std::time::Duration;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) instance: Option<String>,
    pub(crate) client_id: String,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    /// What it supports, best first, with its metadata for each.
    pub(crate) protocols: Vec<(String, Bytes)>,
    pub(crate) assignment: Bytes,
    /// Its parked JoinGroup.
    pub(crate) join: Option<Ticket>,
    /// Its parked SyncGroup.
    pub(crate) sync: Option<Ticket>,
    /// It has never been told a generation.
    pub(crate) is_new: bool,
    /// It owes a SyncGroup since the last join.
    pub(crate) owes_sync: bool,
    /// When its session ends.
    pub(crate) expires: Option<Time>,
}

impl Member {
    /// Its metadata for a protocol.
    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        self.protocols.iter().find(|(name, _)| name == protocol).map(|(_, bytes)| bytes.clone()).unwrap_or_default()
    }

    /// Whether its session is kept alive by what it waits for (2.8).
    pub(crate) fn waits(&self) -> bool {
        !self.is_new && (self.join.is_some() || self.sync.is_some())
    }

    pub(crate) fn touch(&mut self, now: Time) {
        self.expires = Some(now + self.session_timeout);
    }
}
