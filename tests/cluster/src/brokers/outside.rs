//! What a test does to a cluster from outside, without the protocol.

use super::Brokers;
use crate::api::Api;
use crate::fault::Fault;
use crate::log::stored::{StoredRecord, open};
use crate::log::transaction::Aborted;
use crate::settings::Settings;
use klamm_core::Now;
use klamm_core::wire::Uuid;
use klamm_core::wire::messages::create_partitions::CreatePartitionsTopic;
use std::time::Duration;

impl Brokers {
    /// How the cluster was set up.
    pub fn settings(&self) -> &Settings {
        &self.state.settings
    }

    /// The ids of all brokers, up or not.
    pub fn broker_ids(&self) -> Vec<i32> {
        self.state.nodes.keys().copied().collect()
    }

    /// Whether a broker's process runs.
    pub fn is_up(&self, broker: i32) -> bool {
        self.state.nodes.get(&broker).is_some_and(|node| node.up)
    }

    /// Where clients are told to find a broker.
    pub fn set_address(&mut self, broker: i32, host: &str, port: u16) {
        if let Some(node) = self.state.nodes.get_mut(&broker) {
            node.host = host.to_owned();
            node.port = port;
        }
    }

    /// How far what followers have, and what brokers know of leaders, lags behind from now on.
    pub fn set_lags(&mut self, replication: Duration, metadata: Duration) {
        self.state.settings.replication_lag = replication;
        self.state.settings.metadata_lag = metadata;
    }

    /// The epoch that producer ids without transactions begin with, from now on.
    pub fn set_first_epoch(&mut self, epoch: i16) {
        self.state.settings.first_epoch = epoch.max(0);
    }

    /// How long a crashed broker stays listed and stays leader, from now on.
    pub fn set_broker_session(&mut self, session: Duration) {
        self.state.settings.broker_session = session;
    }

    /// How long a coordinator loads after it took over, from now on.
    pub fn set_coordinator_load(&mut self, load: Duration) {
        self.state.settings.coordinator_load = load;
    }

    /// Finalizes a level of `transaction.version`; who connects from now on is told of it.
    pub fn set_transaction_version(&mut self, level: i16) {
        if self.state.settings.transaction_version != level {
            self.state.settings.transaction_version = level;
            self.state.features_epoch += 1;
        }
    }

    /// Lets two-phase commits in from now on (KIP-939), and says whether a prepared transaction is kept on demand.
    pub fn set_two_phase_commit(&mut self, keep_prepared: bool) {
        let settings = &mut self.state.settings;
        (settings.unstable_versions, settings.two_phase_commit) = (true, true);
        settings.keep_prepared = keep_prepared;
    }

    /// Gives a topic more partitions, as CreatePartitions does. False if there is no such topic, or it has as many.
    pub fn add_partitions(&mut self, now: Now, topic: &str, count: i32) -> bool {
        self.set_time(now);
        let asked = CreatePartitionsTopic { name: topic.to_owned(), count, assignments: None };
        let done = self.state.add_partitions(&asked, false).is_ok();
        self.state.parked.stale = true;
        self.run(now);
        done
    }

    /// Deletes what is before an offset, as DeleteRecords at the leader does. False if there is no such place.
    pub fn delete_records(&mut self, now: Now, topic: &str, partition: i32, before: i64) -> bool {
        self.set_time(now);
        let Some((Some(leader), _)) = self.leader(topic, partition) else { return false };
        self.state.delete_records(topic, partition, before, leader).is_ok()
    }

    /// Puts a broker into a rack.
    pub fn set_rack(&mut self, broker: i32, rack: &str) {
        if let Some(node) = self.state.nodes.get_mut(&broker) {
            node.rack = Some(rack.to_owned());
        }
    }

    /// `host:port` of every broker, separated by commas.
    pub fn bootstrap(&self) -> String {
        let all: Vec<String> = self.state.nodes.values().map(|node| format!("{}:{}", node.host, node.port)).collect();
        all.join(",")
    }

    /// Creates a topic with the default replication; if there is one of that name nothing happens.
    pub fn create_topic(&mut self, now: Now, name: &str, partitions: i32) {
        self.set_time(now);
        if self.state.topics.get(name).is_none() {
            self.state.create_default(name, partitions);
        }
    }

    /// Creates a topic with a replication factor and configuration of its own.
    pub fn create_topic_with(
        &mut self,
        now: Now,
        name: &str,
        partitions: i32,
        replication: i16,
        configs: &[(&str, &str)],
    ) {
        self.set_time(now);
        if self.state.topics.get(name).is_none() {
            let replicas = (0..partitions).map(|index| self.state.place(index, replication)).collect();
            let configs = configs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            self.state.create_topic(name, replicas, configs);
        }
    }

    /// Deletes a topic: its name is unknown from now on. False if there was none.
    pub fn delete_topic(&mut self, now: Now, name: &str) -> bool {
        self.set_time(now);
        let gone = self.state.delete_topic(name);
        self.state.parked.stale = true;
        self.run(now);
        gone
    }

    /// Deletes a topic and creates it again: another id, offsets from 0, no memory of producers (5.11).
    pub fn recreate_topic(&mut self, now: Now, name: &str) {
        let Some(partitions) = self.state.topics.get(name).map(|t| t.partitions.len()) else { return };
        self.delete_topic(now, name);
        self.create_topic(now, name, i32::try_from(partitions).unwrap_or(1));
    }

    /// The id of a topic.
    pub fn topic_id(&self, name: &str) -> Option<Uuid> {
        self.state.topics.get(name).map(|topic| topic.id)
    }

    /// The names of all topics, internal ones included, sorted.
    pub fn topic_names(&self) -> Vec<String> {
        self.state.topics.iter().map(|(name, _)| name.to_owned()).collect()
    }

    /// How many partitions a topic has; 0 if there is none of that name.
    pub fn partition_count(&self, topic: &str) -> i32 {
        self.state.topics.get(topic).map_or(0, |t| i32::try_from(t.partitions.len()).unwrap_or(i32::MAX))
    }

    /// The leader of a partition and its epoch.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<(Option<i32>, i32)> {
        let now = self.state.topics.get(topic)?.partition(partition)?.now;
        Some((now.leader, now.epoch))
    }

    /// Log start, high watermark and log end of a partition.
    pub fn offsets(&self, topic: &str, partition: i32) -> Option<(i64, i64, i64)> {
        let partition = self.state.topics.get(topic)?.partition(partition)?;
        Some((partition.log.start, partition.high_watermark(), partition.log.end))
    }

    /// Every record in the leaders' logs, partition after partition, committed or not.
    pub fn records(&self, topic: &str) -> Vec<StoredRecord> {
        let mut out = Vec::new();
        for (index, partition) in self.state.topics.get(topic).into_iter().flat_map(|t| t.numbered()) {
            for batch in partition.log.from(partition.log.start) {
                open(batch, index, &mut out);
            }
        }
        out.retain(|r| {
            let start = self.state.topics.get(topic).and_then(|t| t.partition(r.partition)).map_or(0, |p| p.log.start);
            r.offset >= start
        });
        out
    }

    /// The records in the leaders' logs that a reader of committed records sees: those below the last stable offset whose
    /// transaction was not aborted.
    pub fn committed_records(&self, topic: &str) -> Vec<StoredRecord> {
        let mut out = Vec::new();
        for (index, partition) in self.state.topics.get(topic).into_iter().flat_map(|t| t.numbered()) {
            let Some(leader) = partition.now.leader else { continue };
            let (start, stable) = (partition.log.start, partition.last_stable(leader));
            for batch in partition.log.from(start).take_while(|b| b.last < stable) {
                let raw = batch.raw();
                let within =
                    |a: &Aborted| a.producer == raw.producer_id() && (a.first..=a.marker).contains(&batch.base);
                if !(raw.is_transactional() && partition.log.aborted.iter().any(within)) {
                    open(batch, index, &mut out);
                }
            }
            out.retain(|r| r.partition != index || r.offset >= start);
        }
        out
    }

    /// The last stable offset of a partition, as its leader knows it.
    pub fn last_stable_offset(&self, topic: &str, partition: i32) -> Option<i64> {
        let partition = self.state.topics.get(topic)?.partition(partition)?;
        Some(partition.last_stable(partition.now.leader?))
    }

    /// The first offset of a partition that belongs to an open transaction, whatever is replicated of it.
    pub fn first_undecided(&self, topic: &str, partition: i32) -> Option<i64> {
        let partition = self.state.topics.get(topic)?.partition(partition)?;
        partition.copies.get(&partition.now.leader?)?.producers.first_open()
    }

    /// What the coordinator's log has of a transactional id: its state by name, its producer id and epoch.
    pub fn transaction(&self, id: &str) -> Option<(&'static str, i64, i16)> {
        let is = self.state.txns.get(id)?;
        Some((is.phase.name(), is.identity.id, is.identity.epoch))
    }

    /// How long the transactions of a transactional id may stay open.
    pub fn transaction_timeout(&self, id: &str) -> Option<std::time::Duration> {
        self.state.txns.get(id).map(|is| is.timeout)
    }

    /// The offset that a group committed for a partition.
    pub fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        self.state.groups.committed(group, topic, partition)
    }

    /// Begins to describe a fault of one API.
    pub fn fault(&mut self, api: Api) -> Fault<'_> {
        Fault::new(Some(api), |plan| self.state.faults.push(plan))
    }

    /// Begins to describe a fault of every API.
    pub fn fault_any(&mut self) -> Fault<'_> {
        Fault::new(None, |plan| self.state.faults.push(plan))
    }

    /// Forgets all faults.
    pub fn clear_faults(&mut self) {
        self.state.faults.clear();
    }

    pub(crate) fn install(&mut self, plan: crate::fault::Plan) {
        self.state.faults.push(plan);
    }
}
