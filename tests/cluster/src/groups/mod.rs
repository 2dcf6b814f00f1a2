//! Classic consumer groups and the offsets they commit (broker-coord 2 and 3).
//!
//! A [`Group`](group::Group) is a state machine of its own: requests and times go in, answers to parked requests come out.
//! The log under a real coordinator is taken as replicated at once; what survives a change of coordinator is what a real one
//! would have written (1.7).

pub(crate) mod group;
pub(crate) mod join;
pub(crate) mod leave;
pub(crate) mod member;
pub(crate) mod offsets;
pub(crate) mod pending;
pub(crate) mod rebalance;
pub(crate) mod sync;

use crate::answer::Ticket;
use crate::log::producer::Marker;
use crate::serve::{join_group, sync_group};
use crate::state::{State, partition_of};
use crate::topics::OFFSETS;
use group::{Group, Phase};
use join::Joined;
use klamm_core::{ErrorCode, Time};
use offsets::Committed;
use std::collections::BTreeMap;
use std::time::Duration;
use sync::Synced;

/// The answer to a request that was parked in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Join(Joined),
    Sync(Synced),
}

/// What a group is told about the world, and where it puts its answers.
pub(crate) struct Env {
    pub(crate) now: Time,
    pub(crate) initial_delay: Duration,
    pub(crate) max_size: usize,
    pub(crate) out: Vec<(Ticket, Reply)>,
}

/// All groups, and which partitions of the offsets topic are being loaded.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    by_id: BTreeMap<String, Group>,
    loading: BTreeMap<i32, Time>,
    writers: pending::Writers,
    /// The position of the last commit.
    position: u64,
}

impl Groups {
    pub(crate) fn get(&self, id: &str) -> Option<&Group> {
        self.by_id.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Group> {
        self.by_id.get_mut(id)
    }

    /// Keeps an offset; the group is there.
    pub(crate) fn commit(&mut self, group: &str, place: (String, i32), mut committed: Committed) {
        self.position += 1;
        committed.position = self.position;
        if let Some(group) = self.by_id.get_mut(group) {
            group.offsets.insert(place, committed);
        }
    }

    /// The group of that id, made if there is none.
    pub(crate) fn make(&mut self, id: &str, now: Time) -> &mut Group {
        self.by_id.entry(id.to_owned()).or_insert_with(|| Group::new(now))
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Group> {
        self.by_id.remove(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Group)> {
        self.by_id.iter().map(|(id, group)| (id.as_str(), group))
    }

    /// A topic was deleted: so are its offsets, everywhere (3.6).
    pub(crate) fn forget_topic(&mut self, name: &str) {
        for group in self.by_id.values_mut() {
            group.offsets.retain(|(topic, _), _| topic != name);
            for offsets in group.uncertain.values_mut() {
                offsets.retain(|(topic, _), _| topic != name);
            }
        }
    }

    /// Whether the coordinator of that partition still reads its log (1.4).
    pub(crate) fn loading(&self, partition: i32, now: Time) -> bool {
        self.loading.get(&partition).is_some_and(|until| now < *until)
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.by_id.values().filter_map(Group::next_deadline).min()
    }

    pub(crate) fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        self.by_id.get(group)?.offsets.get(&(topic.to_owned(), partition)).map(|committed| committed.offset)
    }
}

impl State {
    pub(crate) fn env(&self) -> Env {
        Env {
            now: self.mono,
            initial_delay: self.settings.group_initial_delay,
            max_size: self.settings.group_max_size,
            out: Vec::new(),
        }
    }

    /// Sends the answers that a group gave to parked requests.
    pub(crate) fn deliver(&mut self, env: Env) {
        for (ticket, reply) in env.out {
            let Some(version) = self.inflight.get(&ticket).map(|i| i.version) else { continue };
            match reply {
                Reply::Join(joined) => self.finish(ticket, join_group::response(joined, version)),
                Reply::Sync(synced) => self.finish(ticket, sync_group::response(synced)),
            }
        }
    }

    /// Lets time pass in every group.
    pub(crate) fn elapse_groups(&mut self) {
        let mut env = self.env();
        for group in self.groups.by_id.values_mut() {
            group.elapse(&mut env);
        }
        self.deliver(env);
    }

    /// Whether the offsets topic exists; if not it is created now, for the next who asks (1.1).
    pub(crate) fn need_offsets_topic(&mut self) -> bool {
        if self.topics.get(OFFSETS).is_some() {
            return true;
        }
        self.create_default(OFFSETS, self.settings.offsets_partitions);
        false
    }

    /// The coordinator of the groups in that partition changed (1.6, 1.7).
    pub(crate) fn move_groups(&mut self, partition: i32) {
        let until = self.mono + self.settings.coordinator_load;
        self.groups.loading.insert(partition, until);
        let mut env = self.env();
        let moved: Vec<String> =
            self.groups.by_id.keys().filter(|id| self.group_partition(id) == partition).cloned().collect();
        for id in moved {
            let Some(group) = self.groups.by_id.get_mut(&id) else { continue };
            group.fail_parked(ErrorCode::NOT_COORDINATOR, &mut env);
            if !group.reload(env.now) {
                self.groups.by_id.remove(&id);
            }
        }
        self.deliver(env);
    }

    /// A marker in a partition of the offsets topic.
    pub(crate) fn end_offsets(&mut self, partition: i32, marker: Marker, v2: bool) -> Result<(), ErrorCode> {
        let count = self.settings.offsets_partitions;
        self.groups.end_transaction(partition, |group| partition_of(group, count), marker, v2)
    }

    /// Whether a group may be worked on: its coordinator is here and it is not empty-named.
    pub(crate) fn check_group(&self, broker: i32, group: &str) -> Result<(), ErrorCode> {
        if group.is_empty() {
            return Err(ErrorCode::INVALID_GROUP_ID);
        }
        self.coordinates(broker, group)
    }
}

impl Group {
    fn fail_parked(&mut self, code: ErrorCode, env: &mut Env) {
        for member in &mut self.members {
            if let Some(ticket) = member.join.take() {
                env.out.push((ticket, Reply::Join(Joined::failed(code, &member.id))));
            }
            if let Some(ticket) = member.sync.take() {
                env.out.push((ticket, Reply::Sync(Synced::failed(code))));
            }
        }
    }

    /// Becomes what the log says of it (1.7); false if the log says nothing.
    fn reload(&mut self, now: Time) -> bool {
        let offsets = std::mem::take(&mut self.offsets);
        let uncertain = std::mem::take(&mut self.uncertain);
        let Some(written) = self.written.take() else {
            let simple = !offsets.is_empty() || !uncertain.is_empty();
            *self = Group { offsets, uncertain, ..Group::new(now) };
            return simple;
        };
        let back = Group { offsets, uncertain, ..(*written).clone() };
        *self = Group { written: Some(written), ..back };
        for member in &mut self.members {
            member.join = None;
            member.sync = None;
            member.owes_sync = false;
            // Session timers restart in full.
            member.expires = Some(now + member.session_timeout);
        }
        true
    }

    /// Notes that the log has the group as it is now.
    pub(crate) fn write(&mut self) {
        self.written = None;
        let mut copy = self.clone();
        copy.offsets.clear();
        copy.uncertain.clear();
        copy.pending.clear();
        copy.join_deadline = None;
        copy.sync_deadline = None;
        copy.initial = None;
        if copy.phase != Phase::Empty {
            copy.phase = Phase::Stable;
        }
        self.written = Some(Box::new(copy));
    }
}
