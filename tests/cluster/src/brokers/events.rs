//! What happens to brokers and leaders (broker-data 9).

use super::Brokers;
use crate::state::State;
use crate::topics::{OFFSETS, TRANSACTIONS};
use klamm_core::Now;

/// Why an event could not be brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventError {
    /// There is no broker with that id, or it is down.
    NoSuchBroker,
    /// There is no such topic or partition.
    NoSuchPartition,
}

impl std::fmt::Display for EventError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoSuchBroker => "there is no such broker, or it is down",
            Self::NoSuchPartition => "there is no such topic or partition",
        })
    }
}

impl std::error::Error for EventError {}

impl Brokers {
    /// Kills a broker: its connections break at once; clients are told of it when its session expires.
    pub fn kill_broker(&mut self, now: Now, broker: i32) {
        self.set_time(now);
        let expires = now.mono + self.state.settings.broker_session;
        let Some(node) = self.state.nodes.get_mut(&broker).filter(|node| node.up) else { return };
        node.up = false;
        node.expires = Some(expires);
        node.sessions = Default::default();
        for (_, topic) in self.state.topics.iter_mut() {
            for copy in topic.partitions.iter_mut().filter_map(|p| p.copies.get_mut(&broker)) {
                copy.frozen = true;
            }
        }
        let broken: Vec<_> = self.conns.iter().filter(|(_, c)| c.broker == broker).map(|(peer, _)| *peer).collect();
        for peer in broken {
            self.forget(peer);
            self.closed.push_back(peer);
        }
        // What it had in hand is not done any more.
        self.state.parked.held.retain(|_, held| held.call.broker != broker);
        self.state.parked.stale = true;
        if self.state.settings.broker_session.is_zero() {
            self.state.fence(broker);
        }
        self.run(now);
    }

    /// Starts a killed broker again, with what it had on disk.
    pub fn start_broker(&mut self, now: Now, broker: i32) {
        self.set_time(now);
        match self.state.nodes.get(&broker) {
            None => return,
            Some(node) if node.up => return,
            // A broker that registers anew loses what it led before, also within its old session.
            Some(node) if !node.fenced => self.state.fence(broker),
            Some(_) => {}
        }
        if let Some(node) = self.state.nodes.get_mut(&broker) {
            node.up = true;
            node.fenced = false;
        }
        let known_at = now.mono + self.state.settings.metadata_lag;
        self.state.change_leaders(|partition, policy| partition.restart(broker, policy, known_at));
        self.run(now);
    }

    /// Makes `leader` the leader of a partition. If it had no replica it gets one.
    pub fn move_leader(&mut self, now: Now, topic: &str, partition: i32, leader: i32) -> Result<(), EventError> {
        self.set_time(now);
        if !self.state.is_live(leader) {
            return Err(EventError::NoSuchBroker);
        }
        let known_at = now.mono + self.state.settings.metadata_lag;
        let found = self.state.topics.get(topic).and_then(|t| t.partition(partition)).is_some();
        if !found {
            return Err(EventError::NoSuchPartition);
        }
        self.state.change_leader(topic, partition, |p, policy| p.move_to(leader, policy, known_at));
        self.run(now);
        Ok(())
    }

    /// Makes `broker` the coordinator of a group.
    pub fn move_coordinator(&mut self, now: Now, group: &str, broker: i32) -> Result<(), EventError> {
        self.set_time(now);
        self.state.need_offsets_topic();
        let partition = self.state.group_partition(group);
        self.move_leader(now, OFFSETS, partition, broker)
    }

    /// Has Produce refuse a codec from now on.
    pub fn refuse_codec(&mut self, codec: klamm_core::codec::Codec) {
        self.state.settings.refused_codecs.push(codec);
    }

    /// Makes `broker` the coordinator of a transactional id.
    pub fn move_transaction_coordinator(&mut self, now: Now, id: &str, broker: i32) -> Result<(), EventError> {
        self.set_time(now);
        self.state.need_transaction_topic();
        let partition = self.state.transaction_partition(id);
        self.move_leader(now, TRANSACTIONS, partition, broker)
    }

    /// Takes a follower out of the in-sync replicas, as a leader does with one that lags too long.
    pub fn shrink_isr(&mut self, now: Now, topic: &str, partition: i32, broker: i32) {
        self.set_time(now);
        self.state.change_leader(topic, partition, |p, policy| p.drop_from_isr(broker, policy));
        self.run(now);
    }

    /// Lets a replica catch up and join the in-sync replicas.
    pub fn expand_isr(&mut self, now: Now, topic: &str, partition: i32, broker: i32) {
        self.set_time(now);
        self.state.change_leader(topic, partition, |p, policy| {
            if p.replicas.contains(&broker) {
                p.join(broker, policy);
            }
        });
        self.run(now);
    }

    /// Stops a follower from copying (`true`), while it counts as in sync, or lets it go on.
    pub fn freeze_replica(&mut self, now: Now, topic: &str, partition: i32, broker: i32, frozen: bool) {
        self.set_time(now);
        self.state.change_leader(topic, partition, |p, _| {
            if let Some(copy) = p.copies.get_mut(&broker) {
                copy.frozen = frozen;
            }
        });
        self.run(now);
    }
}

impl State {
    /// The controller gives a broker up (2.2): its partitions get other leaders, if there are any.
    pub(crate) fn fence(&mut self, broker: i32) {
        let known_at = self.mono + self.settings.metadata_lag;
        if let Some(node) = self.nodes.get_mut(&broker) {
            node.fenced = true;
            node.expires = None;
        }
        let live = self.live();
        self.change_leaders(|partition, policy| partition.fence(broker, |b| live.contains(&b), policy, known_at));
    }

    fn change_leaders(&mut self, mut change: impl FnMut(&mut crate::log::Partition, &crate::configs::Policy)) {
        let names: Vec<String> = self.topics.iter().map(|(name, _)| name.to_owned()).collect();
        for name in names {
            let count = self.topics.get(&name).map_or(0, |t| t.partitions.len());
            for index in (0..).take(count) {
                self.change_leader(&name, index, &mut change);
            }
        }
    }

    /// Changes a partition, and tells those who care.
    fn change_leader(
        &mut self,
        topic: &str,
        index: i32,
        change: impl FnOnce(&mut crate::log::Partition, &crate::configs::Policy),
    ) {
        let (now, lag) = (self.mono, self.settings.replication_lag);
        let Some(found) = self.topics.get_mut(topic) else { return };
        let policy = found.policy.clone();
        let Some(partition) = found.partition_mut(index) else { return };
        let before = partition.now;
        change(partition, &policy);
        partition.copy_later(now, lag, &policy);
        let after = partition.now;
        self.parked.stale = true;
        if before.leader == after.leader {
            return;
        }
        match topic {
            OFFSETS => self.move_groups(index),
            TRANSACTIONS => self.move_transactions(index),
            _ => {}
        }
    }
}
