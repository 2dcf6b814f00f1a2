//! What goes wrong, carried out.

use crate::plan::{Blow, Lags, Spoil};
use crate::world::{Event, World};
use klamm_cluster::{Api, Cluster};
use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

impl World {
    pub(crate) fn lag(&self, lags: Lags) {
        let ms = Duration::from_millis;
        self.cluster.with(|b, _| {
            b.set_lags(ms(lags.replication), ms(lags.metadata));
            b.set_broker_session(ms(lags.session));
            b.set_coordinator_load(ms(lags.load));
        });
    }

    /// The next blow falls, and the one behind it is arranged for.
    pub(crate) fn strike(&mut self) {
        let place = self.struck;
        self.struck += 1;
        let blow = self.plan.blow(place).and_then(|(_, blow)| blow);
        if let Some((at, _)) = self.plan.blow(place + 1) {
            self.at(klamm_core::Time::ZERO + at, Event::Strike);
        }
        if let Some(blow) = blow {
            self.note(7, place as u64, &[]);
            self.carry_out(blow);
            self.tend_brokers();
        }
    }

    fn carry_out(&mut self, blow: Blow) {
        match blow {
            Blow::Reset(n) => self.reset(n),
            Blow::Twice => self.twice = true,
            Blow::Clock(ahead) => self.wall.store(ahead, Ordering::Relaxed),
            Blow::Kill { broker, back } => {
                let (all, up) = brokers(&self.cluster);
                // One at a time, so that a majority of the replicas is always there.
                if let Some(broker) = pick(&up, broker).filter(|_| all == up.len() && all > 1) {
                    self.cluster.kill_broker(broker);
                    self.in_(Duration::from_millis(back), Event::Revive(broker));
                }
            }
            Blow::Coordinate { broker } => {
                if let Some(broker) = pick(&brokers(&self.cluster).1, broker) {
                    // Before the first group there is nothing to move; a broker that is not yet known to be down is refused.
                    self.cluster.move_coordinator("readers", broker).ok();
                }
            }
            Blow::CoordinateTransactions { partition, broker } => {
                if let Some(broker) = pick(&brokers(&self.cluster).1, broker) {
                    // Before the first transaction there is nothing to move.
                    self.cluster.move_leader("__transaction_state", partition % 3, broker).ok();
                }
            }
            Blow::Lead { topic, partition, broker } => {
                let (topic, broker) = (self.topic(topic), pick(&brokers(&self.cluster).1, broker));
                if let (Some(topic), Some(broker)) = (topic, broker) {
                    // There may be no such partition: then nothing happens.
                    self.cluster.move_leader(&topic, partition, broker).ok();
                }
            }
            Blow::Isr { topic, partition, broker, back } => {
                let (topic, broker) = (self.topic(topic), pick(&brokers(&self.cluster).1, broker));
                let (Some(topic), Some(broker)) = (topic, broker) else { return };
                self.cluster.with(|b, now| {
                    if back {
                        b.expand_isr(now, &topic, partition, broker);
                    } else {
                        b.shrink_isr(now, &topic, partition, broker);
                    }
                });
            }
            Blow::Grow { topic } => {
                if let Some(topic) = self.topic(topic) {
                    self.cluster.with(|b, now| {
                        let count = b.partition_count(&topic);
                        b.add_partitions(now, &topic, count + 1)
                    });
                }
            }
            Blow::Recreate { topic } => {
                if let Some(topic) = self.topic(topic).filter(|name| !self.kept.contains(name)) {
                    let records = self.cluster.records(&topic);
                    self.past.entry(topic.clone()).or_default().push(records);
                    self.cluster.recreate_topic(&topic);
                }
            }
            Blow::Upgrade => self.cluster.with(|b, _| b.set_transaction_version(2)),
            Blow::Answer(api, spoil) => spoil_answer(&self.cluster, api, spoil),
        }
    }

    /// The topic of that number, internal ones left out.
    fn topic(&self, n: usize) -> Option<String> {
        let topics: Vec<String> = self.cluster.with(|b, _| b.topic_names());
        let ours: Vec<&String> = topics.iter().filter(|name| !name.starts_with("__")).collect();
        ours.get(n % ours.len().max(1)).map(|name| (*name).clone())
    }

    fn reset(&mut self, n: usize) {
        let Some(id) = self.wires.keys().nth(n % self.wires.len().max(1)).copied() else { return };
        let peer = self.wires.get_mut(&id).map(|wire| {
            wire.cut(Err(io::ErrorKind::ConnectionReset));
            wire.waiting.clear();
            wire.peer
        });
        if let Some(peer) = peer {
            self.peers.remove(&peer);
            self.cluster.with(|b, now| b.hang_up(now, peer));
        }
    }
}

/// How many brokers there are, and which of them run.
fn brokers(cluster: &Cluster) -> (usize, Vec<i32>) {
    cluster.with(|b, _| {
        let all = b.broker_ids();
        (all.len(), all.into_iter().filter(|id| b.is_up(*id)).collect())
    })
}

fn pick(from: &[i32], n: usize) -> Option<i32> {
    from.get(n % from.len().max(1)).copied()
}

fn spoil_answer(cluster: &Cluster, api: Api, spoil: Spoil) {
    let ms = Duration::from_millis;
    let fault = cluster.fault(api).times(1);
    match spoil {
        Spoil::ErrorAfter(code) => fault.error_after_apply(code),
        Spoil::OmitAfter => fault.omit_after_apply(),
        Spoil::TruncateAfter => fault.truncate_after_apply(),
        Spoil::Disconnect => fault.disconnect(),
        Spoil::DisconnectAfter => fault.disconnect_after_apply(),
        Spoil::SilenceAfter => fault.silence_after_apply(),
        Spoil::Silence => fault.silence(),
        Spoil::Throttle(by) => fault.throttle(ms(by)),
        Spoil::Late(by) => fault.delay(ms(by)),
    }
}
