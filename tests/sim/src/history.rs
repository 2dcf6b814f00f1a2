//! What happened in a run, as the applications saw it, and what must be true of it.

use crate::Sim;
use klamm::Error;
use klamm_cluster::StoredRecord;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// What became of one record.
pub type Sent = (String, Result<(), Error>);

/// How strictly a log is held against what was said of the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Idempotent: acknowledged is there once, in order; surely not written is not there.
    Once,
    /// acks=all without idempotence: acknowledged is there, surely not written is not.
    There,
    /// acks=0 and acks=1: surely not written is not there.
    Truth,
}

/// Holds what was said of each record against the brokers' logs, those of deleted topics of this name included.
///
/// # Panics
/// If a promise is broken.
pub fn judge(sim: &Sim, topic: &str, results: &[Sent], promise: Promise) {
    let mut logs = sim.past_records(topic);
    logs.push(sim.cluster().records(topic));
    let text = |r: &StoredRecord| r.value.as_deref().map(|v| String::from_utf8_lossy(v).into_owned());
    let all = logs.iter().flatten().filter_map(|r| Some((r.partition, text(r)?)));
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    let mut order: BTreeMap<(String, i32), Vec<u64>> = BTreeMap::new();
    for (partition, value) in all {
        // A value begins with its sender and its number.
        let mut parts = value.split('-');
        let sender = parts.next().unwrap_or_default().to_owned();
        order.entry((sender, partition)).or_default().extend(parts.next().and_then(|n| n.parse::<u64>().ok()));
        *count.entry(value).or_default() += 1;
    }
    for (value, result) in results {
        let times = count.get(value).copied().unwrap_or(0);
        match result {
            Ok(()) if promise == Promise::Once => assert_eq!(times, 1, "{value} was acknowledged"),
            Ok(()) if promise == Promise::There => assert!(times >= 1, "{value} was acknowledged"),
            Ok(()) => {}
            Err(error) if error.possibly_written() => {
                assert!(times <= 1 || promise != Promise::Once, "{value} is there {times} times");
            }
            Err(error) => assert_eq!(times, 0, "{value} failed with {error:?}, but is there"),
        }
    }
    if promise == Promise::Once {
        let ours: BTreeSet<&str> = results.iter().filter_map(|(value, _)| value.split('-').next()).collect();
        for (sender, order) in order.into_iter().filter(|(sender, _)| ours.contains(sender.0.as_str())) {
            assert!(order.is_sorted(), "sender and partition {sender:?}: {order:?}");
        }
    }
}

/// One record in an application's hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which member got it.
    pub member: usize,
    /// Of which topic and partition.
    pub partition: (String, i32),
    /// Its offset.
    pub offset: i64,
    /// Its value.
    pub value: String,
}

#[derive(Debug, Default)]
struct Records {
    seen: Vec<Seen>,
    /// By partition: behind the last record that its application came back after.
    done: BTreeMap<(String, i32), i64>,
    /// By partition: behind the last record that was handed out.
    delivered: BTreeMap<(String, i32), i64>,
    committed: BTreeMap<(String, i32), i64>,
}

/// What the members of one group saw.
#[derive(Clone, Debug, Default)]
pub struct History(Rc<RefCell<Records>>);

impl History {
    /// A record was handed out.
    pub fn hand_out(&self, seen: Seen) {
        let mut all = self.0.borrow_mut();
        let end = all.delivered.entry(seen.partition.clone()).or_insert(0);
        *end = (*end).max(seen.offset + 1);
        all.seen.push(seen);
    }

    /// An application came back for more: what it got is done. To be called before the poll.
    pub fn came_back(&self, positions: &BTreeMap<(String, i32), i64>) {
        let mut all = self.0.borrow_mut();
        for (partition, offset) in positions {
            let end = all.done.entry(partition.clone()).or_insert(0);
            *end = (*end).max(offset + 1);
        }
    }

    /// The values that were handed out.
    pub fn values(&self) -> BTreeSet<String> {
        self.0.borrow().seen.iter().map(|seen| seen.value.clone()).collect()
    }

    /// How often each value was handed out.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for seen in &self.0.borrow().seen {
            *counts.entry(seen.value.clone()).or_default() += 1;
        }
        counts
    }

    /// Everything that was handed out, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.0.borrow().seen.clone()
    }

    /// Holds what is committed now against what is done: an automatic commit never passes it, and no commit falls back.
    ///
    /// # Panics
    /// If one did.
    pub fn judge_commits(&self, sim: &Sim, group: &str, topic: &str) {
        let mut all = self.0.borrow_mut();
        let count = sim.cluster().with(|b, _| b.partition_count(topic));
        for partition in 0..count {
            let Some(committed) = sim.cluster().committed(group, topic, partition) else { continue };
            let place = (topic.to_owned(), partition);
            let done = all.done.get(&place).copied().unwrap_or(0);
            assert!(committed <= done, "{place:?}: {committed} is committed, only what is before {done} is done");
            let before = all.committed.insert(place.clone(), committed).unwrap_or(0);
            assert!(before <= committed, "{place:?}: {committed} is committed after {before}");
        }
    }

    /// Watches the commits of a group until `done`, every 20 ms.
    pub fn watch(&self, sim: &Sim, group: &'static str, topic: &'static str, done: &Rc<RefCell<bool>>) {
        let (history, sim, done) = (self.clone(), sim.clone(), done.clone());
        sim.clone().spawn(async move {
            while !*done.borrow() {
                sim.sleep(Duration::from_millis(20)).await;
                history.judge_commits(&sim, group, topic);
            }
        });
    }
}
