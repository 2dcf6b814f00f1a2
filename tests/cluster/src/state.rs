//! All that the brokers know together: topics, groups, configurations, and the requests they have in hand.

use crate::acls::Acls;
use crate::answer::{Inflight, Later, Output, Ticket};
use crate::configs::Policy;
use crate::fault::Plan;
use crate::fetch_session::Sessions;
use crate::groups::Groups;
use crate::log::Partition;
use crate::parked::Parked;
use crate::settings::Settings;
use crate::topics::{OFFSETS, Topic, Topics};
use crate::txns::Transactions;
use klamm_core::rng::Rng;
use klamm_core::wire::Uuid;
use klamm_core::{ErrorCode, Time};
use std::collections::{BTreeMap, VecDeque};

/// One broker.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) rack: Option<String>,
    /// Its process runs.
    pub(crate) up: bool,
    /// The controller counts on it. It learns of a crash only when the broker's session expires (2.2).
    pub(crate) fenced: bool,
    pub(crate) expires: Option<Time>,
    pub(crate) sessions: Sessions,
}

/// The kinds of resources that have configurations, as the protocol numbers them.
pub(crate) mod resource {
    pub(crate) const TOPIC: i8 = 2;
    pub(crate) const BROKER: i8 = 4;
    pub(crate) const BROKER_LOGGER: i8 = 8;
    pub(crate) const CLIENT_METRICS: i8 = 16;
    pub(crate) const GROUP: i8 = 32;
}

/// The partition of `count` in which a coordinator keeps what goes by that name (broker-coord 0.4): Java's hash decides.
pub(crate) fn partition_of(name: &str, count: i32) -> i32 {
    let hash = name.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    hash.checked_abs().unwrap_or(0) % count.max(1)
}

/// See the module.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) settings: Settings,
    pub(crate) rng: Rng,
    pub(crate) nodes: BTreeMap<i32, Node>,
    pub(crate) topics: Topics,
    pub(crate) groups: Groups,
    pub(crate) txns: Transactions,
    pub(crate) acls: Acls,
    /// What was set by IncrementalAlterConfigs on brokers and groups.
    pub(crate) configs: BTreeMap<(i8, String), BTreeMap<String, String>>,
    pub(crate) faults: Vec<Plan>,
    pub(crate) inflight: BTreeMap<Ticket, Inflight>,
    pub(crate) parked: Parked,
    pub(crate) later: BTreeMap<(Time, Ticket), Later>,
    pub(crate) output: VecDeque<Output>,
    pub(crate) tickets: u64,
    pub(crate) producer_ids: i64,
    /// `finalized_features_epoch`.
    pub(crate) features_epoch: i64,
    /// When idle producers are looked for next; there is no need before the first producer id.
    pub(crate) expiry_check: Option<Time>,
    /// The wall clock's reading at the current input, in ms.
    pub(crate) wall: i64,
    /// The monotonic clock's reading at the current input.
    pub(crate) mono: Time,
}

impl State {
    pub(crate) fn new(settings: Settings) -> Self {
        let node = || Node {
            host: "127.0.0.1".to_owned(),
            port: 9092,
            rack: None,
            up: true,
            fenced: false,
            expires: None,
            sessions: Sessions::default(),
        };
        Self {
            rng: Rng::new(settings.seed),
            nodes: (1..=settings.brokers).map(|id| (id, node())).collect(),
            settings,
            topics: Topics::default(),
            groups: Groups::default(),
            txns: Transactions::default(),
            acls: Acls::default(),
            configs: BTreeMap::new(),
            faults: Vec::new(),
            inflight: BTreeMap::new(),
            parked: Parked::default(),
            later: BTreeMap::new(),
            output: VecDeque::new(),
            tickets: 0,
            producer_ids: 0,
            features_epoch: 1,
            expiry_check: None,
            wall: 0,
            mono: Time::ZERO,
        }
    }

    /// The brokers that clients are told of (2.2).
    pub(crate) fn live(&self) -> Vec<i32> {
        self.nodes.iter().filter(|(_, node)| !node.fenced).map(|(id, _)| *id).collect()
    }

    pub(crate) fn is_live(&self, broker: i32) -> bool {
        self.nodes.get(&broker).is_some_and(|node| !node.fenced)
    }

    /// A random live broker, a new draw each time; -1 if there is none (2.1).
    pub(crate) fn any_controller(&mut self) -> i32 {
        let live = self.live();
        let at = self.rng.below(live.len() as u64) as usize;
        live.get(at).copied().unwrap_or(-1)
    }

    /// A fresh id that is not zero.
    pub(crate) fn new_uuid(&mut self) -> Uuid {
        let (high, low) = (self.rng.u64(), self.rng.u64() | 1);
        Uuid(((u128::from(high) << 64) | u128::from(low)).to_be_bytes())
    }

    /// The text of a fresh id, as in member ids.
    pub(crate) fn new_uuid_text(&mut self) -> String {
        let bits = u128::from_be_bytes(self.new_uuid().0);
        let hex = format!("{bits:032x}");
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    /// The cluster-wide broker configuration: settings, and what was changed since.
    pub(crate) fn cluster_configs(&self) -> BTreeMap<String, String> {
        let mut configs = self.settings.broker_configs.clone();
        configs
            .entry("min.insync.replicas".to_owned())
            .or_insert_with(|| self.settings.min_insync_replicas.to_string());
        configs.extend(self.configs.get(&(resource::BROKER, String::new())).cloned().unwrap_or_default());
        configs
    }

    /// The replicas of partition `index`: its leader comes first, partition after partition round the brokers.
    pub(crate) fn place(&self, index: i32, factor: i16) -> Vec<i32> {
        let live = self.live();
        let all: Vec<i32> = self.nodes.keys().copied().collect();
        let factor = usize::try_from(factor).unwrap_or(1);
        let brokers = if live.len() >= factor { &live } else { &all };
        let first = usize::try_from(index).unwrap_or(0);
        (0..factor.min(brokers.len())).map(|i| brokers[(first + i) % brokers.len()]).collect()
    }

    /// Creates a topic whose name and counts were checked.
    pub(crate) fn create_topic(
        &mut self,
        name: &str,
        replicas: Vec<Vec<i32>>,
        configs: BTreeMap<String, String>,
    ) -> Uuid {
        let id = self.new_uuid();
        let partitions = replicas.into_iter().map(|r| Partition::new(r, |b| self.is_live(b))).collect();
        let policy = Policy::of(&configs, &self.cluster_configs());
        self.topics.insert(name, Topic { id, partitions, configs, policy });
        id
    }

    /// Creates a topic with the cluster's defaults.
    pub(crate) fn create_default(&mut self, name: &str, partitions: i32) -> Uuid {
        let factor = self.settings.replication();
        let replicas = (0..partitions).map(|index| self.place(index, factor)).collect();
        self.create_topic(name, replicas, BTreeMap::new())
    }

    /// Deletes a topic and the offsets committed for it (3.6).
    pub(crate) fn delete_topic(&mut self, name: &str) -> bool {
        let gone = self.topics.remove(name).is_some();
        if gone {
            self.groups.forget_topic(name);
        }
        gone
    }

    /// Recomputes what topics' configurations mean.
    pub(crate) fn configs_changed(&mut self) {
        let cluster = self.cluster_configs();
        for (_, topic) in self.topics.iter_mut() {
            topic.policy = Policy::of(&topic.configs, &cluster);
        }
    }

    /// The partition of the offsets topic that a group lives in (broker-coord 0.4).
    pub(crate) fn group_partition(&self, group: &str) -> i32 {
        partition_of(group, self.settings.offsets_partitions)
    }

    /// Whether `broker` coordinates the group (broker-coord 1.4).
    pub(crate) fn coordinates(&self, broker: i32, group: &str) -> Result<(), ErrorCode> {
        let index = self.group_partition(group);
        let led = self.topics.get(OFFSETS).and_then(|t| t.partition(index)).is_some_and(|p| p.is_led_by(broker));
        if !led {
            return Err(ErrorCode::NOT_COORDINATOR);
        }
        if self.groups.loading(index, self.mono) {
            return Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
        }
        Ok(())
    }
}
