//! Which partitions are assigned: how a set replaces another, and what the application is told of it.

use super::Consumer;
use super::partition::{Partition, Position, Want};
use super::subscription::Mode;
use crate::client::role::Cx;
use crate::client::{Event, GroupMeta, Reply, Stamp, TopicPartition};
use crate::metadata::{Diff, OffsetSpec};
use crate::{Error, ErrorKind, PartitionIx, TopicIx};
use std::collections::{BTreeMap, BTreeSet};

impl Consumer {
    /// Makes `wanted` the assignment. Partitions that stay keep their position and stamp.
    pub(super) fn assign(&mut self, cx: &mut Cx<'_>, wanted: BTreeMap<PartitionIx, Want>) {
        let gone: Vec<PartitionIx> = self.partitions.keys().filter(|ix| !wanted.contains_key(ix)).copied().collect();
        self.drop_partitions(cx, gone, None);
        self.paused.retain(|ix| wanted.contains_key(ix));
        let new: Vec<(PartitionIx, Want)> =
            wanted.into_iter().filter(|(ix, _)| !self.partitions.contains_key(ix)).collect();
        self.assignments += 1;
        let assign = self.minter.next();
        for (ix, want) in new {
            let mut p = Partition::new(ix, assign, self.assignments, want);
            p.gates.paused = self.paused.contains(&ix);
            self.partitions.insert(ix, p);
        }
        let name = |(ix, p): (&PartitionIx, &Partition)| {
            let (topic, partition) = cx.names.named(*ix);
            (TopicPartition { topic: topic.clone(), partition }, *ix, p.stamp)
        };
        let partitions: Vec<(TopicPartition, PartitionIx, Stamp)> = self.partitions.iter().map(name).collect();
        cx.events.push_back(Event::Assigned {
            consumer: self.ix,
            token: self.assignments,
            partitions,
            group: self.group_meta(),
        });
        self.look_for_starts(cx);
        let places: Vec<_> = self.partitions.keys().map(|ix| cx.names.place(*ix)).collect();
        self.missing.check(cx, places.into_iter());
    }

    /// Partitions without a group begin where the configuration says.
    fn look_for_starts(&mut self, cx: &mut Cx<'_>) {
        if self.config.group_id.is_some() {
            return;
        }
        for p in self.partitions.values_mut() {
            self.positions.committed(cx, p, None);
        }
    }

    /// Takes partitions away, now and finally.
    pub(super) fn drop_partitions(&mut self, cx: &mut Cx<'_>, gone: Vec<PartitionIx>, why: Option<Error>) {
        if gone.is_empty() {
            return;
        }
        for ix in &gone {
            self.partitions.remove(ix);
            self.troubled.remove(ix);
        }
        self.waiting.retain(|(op, ix)| {
            let stays = !gone.contains(ix);
            if !stays {
                let (topic, number) = cx.names.named(*ix);
                cx.done(*op, Err(not_assigned(topic, number)));
            }
            stays
        });
        cx.events.push_back(Event::Lost { consumer: self.ix, partitions: gone, why });
    }

    /// The application has seen the assignment: its partitions may be fetched.
    pub(super) fn applied(&mut self, cx: &mut Cx<'_>, token: u64) {
        for p in self.partitions.values_mut().filter(|p| p.token <= token && p.gates.unseen) {
            p.gates.unseen = false;
            if p.position == Position::Unpositioned(Want::Application) {
                self.positions.nowhere(cx, p);
            }
        }
    }

    /// The topics that must be known.
    pub(super) fn topics(&self, names: &crate::metadata::Names) -> BTreeSet<TopicIx> {
        let mut topics = self.subscription.topics.clone();
        topics.extend(self.partitions.keys().map(|ix| names.place(*ix).0));
        topics
    }

    /// Takes the partitions of the subscribed topics as they are known now.
    pub(super) fn assign_all(&mut self, cx: &mut Cx<'_>) {
        let mut wanted: BTreeMap<PartitionIx, Want> = BTreeMap::new();
        for topic in self.subscription.topics.clone() {
            let kept = self.partitions.values().filter(|p| cx.names.place(p.ix).0 == topic);
            let Some(known) = cx.view.topic(topic) else {
                wanted.extend(kept.map(|p| (p.ix, Want::Committed)));
                continue;
            };
            let later = self.subscription.find(topic, known.partitions.len());
            let want = if later { Want::Listed(OffsetSpec::Earliest) } else { Want::Committed };
            wanted.extend(known.partitions.iter().map(|p| (p.ix, want)));
        }
        let same = wanted.len() == self.partitions.len() && wanted.keys().eq(self.partitions.keys());
        if !same || self.assignments == 0 {
            self.assign(cx, wanted);
        }
    }

    /// Reads the topics that are chosen by their names now (Java's `maybeUpdateSubscriptionMetadata`).
    fn choose_topics(&mut self, cx: &mut Cx<'_>) {
        let Some(chosen) = self.subscription.chosen(cx.view, !self.config.exclude_internal_topics) else { return };
        let mut topics: Vec<_> = chosen.iter().map(|ix| cx.names.topic_name(*ix).clone()).collect();
        topics.sort_unstable();
        cx.events.push_back(Event::Chosen { consumer: self.ix, topics });
        if self.config.group_id.is_some() {
            if let Err(error) = self.subscribe_group(cx, chosen) {
                self.fail(cx, error);
            }
            return;
        }
        self.subscription.set(Mode::All, chosen);
        self.assign_all(cx);
    }

    /// The view changed: leaders moved, topics came or were created anew.
    pub(super) fn take_diff(&mut self, cx: &mut Cx<'_>, diff: &Diff) {
        if self.closing.is_none() {
            self.choose_topics(cx);
        }
        let wanted = self.topics(cx.names);
        for error in self.missing.handle_metadata(cx, diff, &wanted) {
            cx.events.push_back(Event::ConsumerFailed { consumer: self.ix, error });
        }
        for p in self.partitions.values_mut() {
            if diff.recreated.contains(&cx.names.place(p.ix).0) {
                self.positions.recreated(cx, p, &mut self.minter);
            }
        }
        for ix in &diff.moved {
            let leader = cx.view.leader(cx.names.place(*ix));
            if let (Some(p), Some((leader, epoch))) = (self.partitions.get_mut(ix), leader) {
                p.leader_changed(leader, epoch);
            }
        }
        if self.subscription.mode == Mode::All && !diff.topics.is_empty() {
            self.assign_all(cx);
        }
        let places: Vec<_> = self.partitions.keys().map(|ix| cx.names.place(*ix)).collect();
        self.missing.check(cx, places.into_iter());
    }

    /// Acts on trouble whose time has come, and answers those who wait for a position.
    pub(super) fn sweep(&mut self, cx: &mut Cx<'_>) {
        if !self.troubled.is_empty() {
            for ix in std::mem::take(&mut self.troubled) {
                let Some(p) = self.partitions.get_mut(&ix) else { continue };
                self.positions.settle_trouble(cx, p, &mut self.minter, self.fetcher.shelved(ix));
                if p.trouble.is_some() {
                    self.troubled.insert(ix);
                }
            }
        }
        if !self.waiting.is_empty() {
            let partitions = &self.partitions;
            self.waiting.retain(|(op, ix)| {
                let placed = partitions.get(ix).filter(|p| p.is_placed());
                if let Some(p) = placed {
                    cx.done(*op, Ok(Reply::Position(p.start)));
                }
                placed.is_none()
            });
        }
    }

    /// The membership, as transactions need it (KIP-447).
    pub(super) fn group_meta(&self) -> GroupMeta {
        let outside = GroupMeta { generation: -1, ..GroupMeta::default() };
        match &self.membership {
            Some(m) => GroupMeta {
                group: m.group.clone(),
                generation: m.classic.generation,
                member: m.classic.member.clone(),
                instance: self.config.group_instance_id.clone().filter(|_| m.classic.generation >= 0),
            },
            None => outside,
        }
    }
}

/// Says that a call concerns a partition that this consumer does not read.
pub(super) fn not_assigned(topic: &str, partition: i32) -> Error {
    let text = format!("{topic}-{partition} is not assigned to this consumer");
    Error::new(ErrorKind::Misuse, text).with_topic(topic).with_partition(partition)
}
