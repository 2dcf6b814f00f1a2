//! Plain counters and histograms, read by snapshot.

mod histogram;
mod producer;

pub use histogram::Histogram;
pub use producer::ProducerStats;

use crate::{BrokerId, ProducerIx, Time};

/// `Clone` for counters that copies in place: plain fields, histograms, lists by key. All fields are named, or it does not
/// compile.
macro_rules! copied_in_place {
    ($counts:ident: $($plain:ident),*; $($whole:ident),*; $($list:ident),*) => {
        impl Clone for $counts {
            fn clone(&self) -> Self {
                let mut new = Self::default();
                new.clone_from(self);
                new
            }

            fn clone_from(&mut self, other: &Self) {
                let Self { $($plain,)* $($whole,)* $($list,)* } = other;
                $(self.$plain = *$plain;)*
                $(self.$whole.clone_from($whole);)*
                $($crate::stats::copy_list(&mut self.$list, $list);)*
            }
        }
    };
}
use copied_in_place;

/// Copies a list in place: its keys seldom change.
fn copy_list<K: Clone + PartialEq, V: Clone>(list: &mut Vec<(K, V)>, other: &[(K, V)]) {
    list.truncate(other.len());
    for ((key, value), (new_key, new)) in list.iter_mut().zip(other) {
        if key != new_key {
            key.clone_from(new_key);
        }
        value.clone_from(new);
    }
    let there = list.len();
    list.extend_from_slice(other.get(there..).unwrap_or_default());
}

/// What was counted of one broker, over all connections to it.
#[derive(Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeStats {
    /// Requests put on the way, those to Fetch and JoinGroup among them.
    pub requests: u64,
    /// Their sizes in bytes, without what frames them.
    pub request_size: Histogram,
    /// Answers received, those to Fetch and JoinGroup not among them.
    pub responses: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// From the last byte of a request to the whole of its answer. Long polls of Fetch and JoinGroup are not in it.
    pub latency: Histogram,
}

copied_in_place!(NodeStats: requests, responses, bytes_in, bytes_out; request_size, latency;);

/// What was counted of one topic that is written to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicStats {
    /// Records acknowledged.
    pub records_acked: u64,
    /// Bytes of records acknowledged, as they were sent.
    pub bytes: u64,
    /// Bytes of records acknowledged, before compression.
    pub plain_bytes: u64,
    /// Records failed.
    pub records_failed: u64,
    /// Batches acknowledged.
    pub batches: u64,
    /// Batches sent again.
    pub retries: u64,
    /// Records sent again.
    pub records_retried: u64,
}

impl TopicStats {
    fn add(&mut self, other: &Self) {
        self.records_acked += other.records_acked;
        self.bytes += other.bytes;
        self.plain_bytes += other.plain_bytes;
        self.records_failed += other.records_failed;
        self.batches += other.batches;
        self.retries += other.retries;
        self.records_retried += other.records_retried;
    }
}

/// What the core has counted since it began. All numbers only grow, but those of what is there now.
#[derive(Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Requests built.
    pub requests: u64,
    /// Answers received.
    pub responses: u64,
    /// Requests whose answer was lost.
    pub lost: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Connections opened.
    pub connects: u64,
    /// Connection attempts that failed.
    pub connect_failures: u64,
    /// Connections closed by their deadline.
    pub deadlines: u64,
    /// Metadata answers merged.
    pub metadata: u64,
    /// Fetch answers with records.
    pub fetches: u64,
    /// Bytes of records fetched.
    pub fetched_bytes: u64,
    /// Rebalances begun.
    pub rebalances: u64,
    /// Heartbeats answered.
    pub heartbeats: u64,
    /// Commits answered without error.
    pub commits: u64,
    /// Commits that failed.
    pub commit_failures: u64,
    /// Time that brokers asked us to pause, in milliseconds.
    pub throttled_ms: u64,
    /// Connections that stand now.
    pub connections: u64,
    /// By broker, in the order in which they were met.
    pub nodes: Vec<(BrokerId, NodeStats)>,
    /// When metadata was merged last.
    pub metadata_at: Option<Time>,
    /// Of the producers that have ended, together.
    pub(crate) ended: ProducerStats,
    /// By producer that has not ended.
    pub producers: Vec<(ProducerIx, ProducerStats)>,
}

copied_in_place!(
    Stats: requests, responses, lost, bytes_in, bytes_out, connects, connect_failures, deadlines, metadata, fetches, fetched_bytes, rebalances, heartbeats, commits, commit_failures, throttled_ms, connections, metadata_at; ended; nodes, producers
);

impl Stats {
    pub(crate) fn node(&mut self, broker: BrokerId) -> &mut NodeStats {
        slot(&mut self.nodes, |known| *known == broker, || broker)
    }

    /// The counts of a producer, new if need be.
    pub(crate) fn producer(&mut self, producer: ProducerIx) -> &mut ProducerStats {
        slot(&mut self.producers, |known| *known == producer, || producer)
    }

    /// Forgets producers; what they counted stays in what was counted of all.
    pub(crate) fn forget(&mut self, ended: impl Fn(ProducerIx) -> bool) {
        let Self { producers, ended: all, .. } = self;
        producers.retain(|(ix, own)| {
            let ended = ended(*ix);
            if ended {
                all.add(own);
            }
            !ended
        });
    }

    /// What was counted of all producers together, those that have ended included.
    pub fn produced(&self) -> ProducerStats {
        let mut all = self.ended.clone();
        for (_, own) in &self.producers {
            all.add(own);
        }
        all
    }

    /// What was counted of one producer, if it has sent anything and has not ended.
    pub fn of_producer(&self, producer: ProducerIx) -> Option<&ProducerStats> {
        self.producers.iter().find(|(ix, _)| *ix == producer).map(|(_, stats)| stats)
    }
}

/// The entry of a key, new if need be. A client meets few brokers, and one turn's batches are of few topics.
fn slot<K, V: Default>(all: &mut Vec<(K, V)>, is: impl Fn(&K) -> bool, key: impl FnOnce() -> K) -> &mut V {
    let at = all.iter().position(|(known, _)| is(known)).unwrap_or_else(|| {
        all.push((key(), V::default()));
        all.len() - 1
    });
    &mut all[at].1
}
