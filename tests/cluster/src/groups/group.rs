//! What a classic group is, and the questions that its operations ask of it (broker-coord 2.1 to 2.3).

use super::member::Member;
use super::offsets::Committed;
use klamm_core::{ErrorCode, Time};
use std::collections::BTreeMap;
use std::time::Duration;

/// The states of a classic group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Empty,
    Preparing,
    Completing,
    Stable,
}

impl Phase {
    /// As ListGroups and DescribeGroups name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Preparing => "PreparingRebalance",
            Self::Completing => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// The first rebalance of a group, which waits for more members (2.3).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Initial {
    /// How long it may still wait after the present window.
    pub(crate) remaining: Duration,
    /// How long the present window is.
    pub(crate) delay: Duration,
    /// A member was added in the present window.
    pub(crate) added: bool,
}

/// A classic group, or one that only commits offsets.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) phase: Phase,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) leader: Option<String>,
    /// In the order in which they were added.
    pub(crate) members: Vec<Member>,
    /// Ids that were handed out and have not joined yet, and until when they may.
    pub(crate) pending: BTreeMap<String, Time>,
    pub(crate) initial: Option<Initial>,
    pub(crate) join_deadline: Option<Time>,
    pub(crate) sync_deadline: Option<Time>,
    pub(crate) offsets: BTreeMap<(String, i32), Committed>,
    /// Offsets of transactions that have not ended, by producer id (3.4).
    pub(crate) uncertain: BTreeMap<i64, BTreeMap<(String, i32), Committed>>,
    /// When it was made or became empty.
    pub(crate) since: Time,
    /// What its coordinator wrote last: all that survives a move (1.7).
    pub(crate) written: Option<Box<Group>>,
}

impl Group {
    pub(crate) fn new(now: Time) -> Self {
        Self {
            phase: Phase::Empty,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: Vec::new(),
            pending: BTreeMap::new(),
            initial: None,
            join_deadline: None,
            sync_deadline: None,
            offsets: BTreeMap::new(),
            uncertain: BTreeMap::new(),
            since: now,
            written: None,
        }
    }

    pub(crate) fn member(&self, id: &str) -> Option<&Member> {
        self.members.iter().find(|m| m.id == id)
    }

    pub(crate) fn member_mut(&mut self, id: &str) -> Option<&mut Member> {
        self.members.iter_mut().find(|m| m.id == id)
    }

    /// The id of the static member of that instance.
    pub(crate) fn static_member(&self, instance: &str) -> Option<&str> {
        self.members.iter().find(|m| m.instance.as_deref() == Some(instance)).map(|m| m.id.as_str())
    }

    /// 2.2 #8d: whether the caller is who it says.
    pub(crate) fn validate(&self, id: &str, instance: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance) = instance {
            match self.static_member(instance) {
                None => return Err(ErrorCode::UNKNOWN_MEMBER_ID),
                Some(owner) if owner != id => return Err(ErrorCode::FENCED_INSTANCE_ID),
                Some(_) => {}
            }
        }
        if self.member(id).is_none() { Err(ErrorCode::UNKNOWN_MEMBER_ID) } else { Ok(()) }
    }

    /// 2.2 #7: whether a caller with these protocols fits to the members.
    pub(crate) fn supports(&self, protocol_type: &str, protocols: &[(String, bytes::Bytes)]) -> bool {
        if self.phase == Phase::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let everywhere = |name: &str| self.members.iter().all(|m| m.protocols.iter().any(|(p, _)| p == name));
        self.protocol_type.as_deref() == Some(protocol_type) && protocols.iter().any(|(name, _)| everywhere(name))
    }

    /// 2.3: each member votes for its first protocol that all support; ties fall by the order of Java's hash map, here by
    /// the hash of the name.
    pub(crate) fn vote(&self) -> Option<String> {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in &self.members {
            let common = |name: &&(String, bytes::Bytes)| {
                self.members.iter().all(|m| m.protocols.iter().any(|(other, _)| *other == name.0))
            };
            if let Some((name, _)) = member.protocols.iter().find(common) {
                *votes.entry(name).or_default() += 1;
            }
        }
        let best = votes.iter().max_by_key(|(name, n)| (**n, std::cmp::Reverse(bucket(name))))?;
        Some((*best.0).to_owned())
    }

    /// The largest rebalance timeout of the members.
    pub(crate) fn rebalance_timeout(&self) -> Duration {
        self.members.iter().map(|m| m.rebalance_timeout).max().unwrap_or_default()
    }

    pub(crate) fn all_joined(&self) -> bool {
        self.members.iter().all(|m| m.join.is_some()) && self.pending.is_empty()
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let pending = self.pending.values().copied().min();
        let sessions = self.members.iter().filter(|m| !m.waits()).filter_map(|m| m.expires).min();
        [pending, sessions, self.join_deadline, self.sync_deadline].into_iter().flatten().min()
    }
}

/// Where Java's `HashMap` of 16 buckets puts a string.
fn bucket(name: &str) -> u32 {
    let hash = name.encode_utf16().fold(0u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)));
    (hash ^ (hash >> 16)) & 15
}
