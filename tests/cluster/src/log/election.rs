//! Leaders come and go (broker-data 5.8 to 5.11, 9).

use super::partition::{Leadership, Partition, replay};
use super::producer::Producers;
use crate::configs::Policy;
use klamm_core::Time;

impl Partition {
    /// Makes `leader` the leader: what it does not have is gone, its offsets will be used again (5.9).
    fn lead(&mut self, leader: Option<i32>, known_at: Time) {
        self.before = Some((self.now, known_at));
        self.now = Leadership { leader, epoch: self.now.epoch + 1 };
        let Some(leader) = leader else { return };
        let end = self.copies.entry(leader).or_default().end;
        if end < self.log.end {
            self.log.truncate(end);
            let end = self.log.end;
            for copy in self.copies.values_mut().filter(|c| c.end > end) {
                copy.end = end;
                copy.high_watermark = copy.high_watermark.min(end);
                copy.producers = Producers::default();
                replay(&mut copy.producers, &self.log, 0);
            }
        }
        for copy in self.copies.values_mut() {
            copy.acked = 0;
        }
        self.log.begin_epoch(self.now.epoch);
        self.epoch_start = self.log.end;
        self.eligible.clear();
    }

    /// A planned change: `leader` is a replica from now on, in sync if it was not.
    pub(crate) fn move_to(&mut self, leader: i32, policy: &Policy, known_at: Time) {
        if self.is_led_by(leader) {
            return;
        }
        if !self.replicas.contains(&leader) {
            self.replicas.push(leader);
        }
        if !self.isr.contains(&leader) {
            self.join(leader, policy);
        }
        self.lead(Some(leader), known_at);
    }

    /// `broker` was declared dead: it leaves the ISR, and leads no more.
    pub(crate) fn fence(&mut self, broker: i32, live: impl Fn(i32) -> bool, policy: &Policy, known_at: Time) {
        if !self.replicas.contains(&broker) {
            return;
        }
        if self.isr.len() > 1 || !self.isr.contains(&broker) {
            self.isr.retain(|b| *b != broker);
        } else {
            // The last one of the ISR stays eligible: only it is known to have everything (2.5).
            self.eligible = std::mem::take(&mut self.isr);
        }
        if self.is_led_by(broker) {
            let next = self.replicas.iter().copied().find(|b| self.isr.contains(b) && live(*b));
            self.lead(next, known_at);
        }
        self.commit(policy);
    }

    /// `broker` is back with what it had on disk; only the last batch of each producer is remembered (4.11).
    pub(crate) fn restart(&mut self, broker: i32, policy: &Policy, known_at: Time) {
        let Some(copy) = self.copies.get_mut(&broker) else { return };
        copy.producers.restart();
        copy.frozen = false;
        if self.now.leader.is_some() {
            self.join(broker, policy);
        } else if self.eligible.contains(&broker) || self.isr.contains(&broker) {
            self.isr = vec![broker];
            self.lead(Some(broker), known_at);
            self.commit(policy);
        }
    }

    /// `broker` catches up and joins the ISR.
    pub(crate) fn join(&mut self, broker: i32, policy: &Policy) {
        let copy = self.copies.entry(broker).or_default();
        copy.frozen = false;
        let from = copy.end.min(self.log.end);
        if copy.end > self.log.end {
            copy.producers = Producers::default();
            replay(&mut copy.producers, &self.log, 0);
        } else {
            replay(&mut copy.producers, &self.log, from);
        }
        copy.end = self.log.end;
        copy.acked = copy.end;
        if !self.isr.contains(&broker) {
            self.isr.push(broker);
        }
        self.commit(policy);
    }

    /// The leader drops `broker` from the ISR; the epoch stays (5.8).
    pub(crate) fn drop_from_isr(&mut self, broker: i32, policy: &Policy) {
        if self.is_led_by(broker) || self.isr.len() < 2 {
            return;
        }
        self.isr.retain(|b| *b != broker);
        self.commit(policy);
    }
}
