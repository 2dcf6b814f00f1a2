//! Topics and partitions that are wanted and not there: when the application is told.
//!
//! A topic that nobody may read or that cannot exist is told at once; one that is not there may be about to be created,
//! so it is told once after the time that a call may take, and looked for further (CO-32).

use crate::client::role::{Cx, News};
use crate::metadata::Diff;
use crate::{Error, ErrorCode, ErrorKind, Time, TopicIx};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A partition that was just added to its topic is known to all brokers after this.
const PARTITION_PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Entry {
    /// `None`: it was told.
    due: Option<Time>,
    code: ErrorCode,
}

/// What is missed.
#[derive(Debug)]
pub(super) struct Missing {
    patience: Duration,
    topics: BTreeMap<TopicIx, Entry>,
    partitions: BTreeMap<(TopicIx, i32), Entry>,
}

impl Missing {
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, topics: BTreeMap::new(), partitions: BTreeMap::new() }
    }

    /// Takes what a metadata answer said of the topics that are wanted; returns what is to be told at once.
    pub(super) fn handle_metadata(&mut self, cx: &Cx<'_>, diff: &Diff, wanted: &BTreeSet<TopicIx>) -> Vec<Error> {
        let found = |ix: &TopicIx| cx.view.topic(*ix).is_some_and(|t| t.doubt.is_none());
        self.topics.retain(|ix, _| wanted.contains(ix) && !found(ix));
        let mut errors = Vec::new();
        for (ix, code) in diff.failed.iter().filter(|(ix, _)| wanted.contains(ix)) {
            let at_once = matches!(*code, ErrorCode::TOPIC_AUTHORIZATION_FAILED | ErrorCode::INVALID_TOPIC_EXCEPTION);
            let due = cx.now.mono + self.patience;
            let entry = self.topics.entry(*ix).or_insert(Entry { due: Some(due), code: ErrorCode::NONE });
            if at_once && entry.code != *code {
                entry.due = None;
                let name = cx.names.topic_name(*ix).clone();
                errors.push(Error::from_code(*code).with_api("Metadata").with_topic(name));
            }
            entry.code = *code;
        }
        errors
    }

    /// Notes which assigned partitions have numbers beyond those of their topic.
    pub(super) fn check(&mut self, cx: &mut Cx<'_>, assigned: impl Iterator<Item = (TopicIx, i32)>) {
        let beyond = |(topic, number): &(TopicIx, i32)| {
            cx.view.topic(*topic).is_some_and(|t| t.doubt.is_none() && t.partition(*number).is_none())
        };
        let now: BTreeSet<(TopicIx, i32)> = assigned.filter(beyond).collect();
        self.partitions.retain(|place, _| now.contains(place));
        let due = cx.now.mono + PARTITION_PATIENCE;
        let code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        for place in now {
            self.partitions.entry(place).or_insert_with(|| {
                // What we know may be older than the partition.
                cx.news.push(News::Stale { topic: place.0, code, leader_epoch: None });
                Entry { due: Some(due), code }
            });
        }
    }

    /// What has been missed for so long that the application must know.
    pub(super) fn handle_timeout(&mut self, cx: &Cx<'_>) -> Vec<Error> {
        let now = cx.now.mono;
        let mut errors = Vec::new();
        for (ix, entry) in &mut self.topics {
            if entry.due.take_if(|at| *at <= now).is_some() {
                let name = cx.names.topic_name(*ix).clone();
                let text = format!("topic \"{name}\" does not exist (asked for {} s)", self.patience.as_secs());
                let error = Error::new(ErrorKind::UnknownTopic, text).with_topic(name).with_retriable(true);
                errors.push(error.with_hint("create it; it is read as soon as it is there"));
            }
        }
        for ((ix, number), entry) in &mut self.partitions {
            if entry.due.take_if(|at| *at <= now).is_some() {
                let name = cx.names.topic_name(*ix).clone();
                let count = cx.view.topic(*ix).map_or(0, |t| t.partitions.len());
                let text = format!("{name}-{number} does not exist: the topic has {count} partitions");
                let error = Error::new(ErrorKind::UnknownTopic, text).with_topic(name).with_partition(*number);
                errors.push(error.with_retriable(true).with_hint("partitions are counted from 0"));
            }
        }
        errors
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.topics.values().chain(self.partitions.values()).filter_map(|e| e.due).min()
    }
}
