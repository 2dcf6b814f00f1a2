//! What a consumer can ask the cluster.

use super::told::ask;
use super::{Consumer, OffsetAndTimestamp, TopicPartition, partitions};
use crate::metadata::{self, PartitionInfo};
use crate::op::Op;
use crate::producer::unexpected;
use crate::{Result, Timestamp};
use klamm_core::client::{Command, ListedOffset, Reply};
use klamm_core::metadata::OffsetSpec;
use std::collections::HashMap;
use std::sync::Arc;

impl Consumer {
    /// The offsets of the first records.
    ///
    /// # Errors
    /// What a broker answers for any of them; `UnknownTopic`; `Timeout`.
    #[must_use = "await it, or `.wait()`"]
    #[doc(alias = "beginningOffsets")]
    pub fn beginning_offsets<T: Into<TopicPartition>>(
        &self,
        of: impl IntoIterator<Item = T>,
    ) -> Op<HashMap<TopicPartition, i64>> {
        self.ends(partitions(of), OffsetSpec::Earliest)
    }

    /// The offsets behind the last records (with `read_committed`: behind the last stable ones).
    ///
    /// # Errors
    /// As [`beginning_offsets`](Self::beginning_offsets).
    #[must_use = "await it, or `.wait()`"]
    #[doc(alias = "endOffsets")]
    pub fn end_offsets<T: Into<TopicPartition>>(
        &self,
        of: impl IntoIterator<Item = T>,
    ) -> Op<HashMap<TopicPartition, i64>> {
        self.ends(partitions(of), OffsetSpec::Latest)
    }

    fn ends(&self, of: Vec<TopicPartition>, spec: OffsetSpec) -> Op<HashMap<TopicPartition, i64>> {
        let entries = of.into_iter().map(|tp| (tp, spec)).collect();
        self.listed(entries, |listed| listed.offset)
    }

    /// For each partition the first record that is not older than the given time; `None` where there is none.
    ///
    /// # Errors
    /// As [`beginning_offsets`](Self::beginning_offsets).
    #[must_use = "await it, or `.wait()`"]
    #[doc(alias = "offsetsForTimes")]
    pub fn offsets_for_times<T: Into<TopicPartition>, S: Into<Timestamp>>(
        &self,
        times: impl IntoIterator<Item = (T, S)>,
    ) -> Op<HashMap<TopicPartition, Option<OffsetAndTimestamp>>> {
        let entries = times.into_iter().map(|(tp, at)| (tp.into(), OffsetSpec::Timestamp(at.into()))).collect();
        self.listed(entries, |listed| {
            let ListedOffset { offset, timestamp, leader_epoch } = *listed;
            (offset >= 0).then(|| OffsetAndTimestamp::new(offset, timestamp, leader_epoch))
        })
    }

    fn listed<T: 'static>(
        &self,
        entries: Vec<(TopicPartition, OffsetSpec)>,
        turn: fn(&ListedOffset) -> T,
    ) -> Op<HashMap<TopicPartition, T>> {
        let command = Command::ListOffsets(entries, self.shelf.config.isolation_level);
        ask(&self.shelf, command, move |reply| match reply {
            Reply::Offsets(all) => all.into_iter().map(|(tp, listed)| Ok((tp, turn(&listed?)))).collect(),
            other => Err(unexpected(&other)),
        })
    }

    /// The partitions of a topic as the client knows them; a broker is asked if it knows none.
    ///
    /// # Errors
    /// `UnknownTopic`, `Authorization`, `Timeout`.
    #[must_use = "await it, or `.wait()`"]
    #[doc(alias = "partitionsFor")]
    pub fn partitions_for(&self, topic: &str) -> Op<Vec<PartitionInfo>> {
        let name: Arc<str> = topic.into();
        ask(&self.shelf, Command::DescribePartitions(name.clone()), move |reply| match reply {
            Reply::View(view) => metadata::partitions(&view, &name),
            other => Err(unexpected(&other)),
        })
    }

    /// All topics that this client may see, with their partitions, fresh from a broker.
    ///
    /// # Errors
    /// `Timeout`.
    #[must_use = "await it, or `.wait()`"]
    #[doc(alias = "listTopics")]
    pub fn list_topics(&self) -> Op<HashMap<String, Vec<PartitionInfo>>> {
        ask(&self.shelf, Command::ListTopics, move |reply| match reply {
            Reply::View(view) => {
                let one = |name: &Arc<str>| Ok((name.to_string(), metadata::partitions(&view, name)?));
                view.topics.values().map(|topic| one(&topic.name)).collect::<Result<_>>()
            }
            other => Err(unexpected(&other)),
        })
    }
}
