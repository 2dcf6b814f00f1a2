//! Where each partition is to end.

use klamm::{Consumer, Result, Timestamp, TopicPartition};
use std::collections::HashMap;

/// The ends of the partitions that are read, as they were when the partition came.
pub(super) struct Ends {
    until: Option<Timestamp>,
    /// Of those that are not read to their end yet.
    open: HashMap<TopicPartition, i64>,
    /// Of those that are.
    done: HashMap<TopicPartition, i64>,
}

impl Ends {
    /// The ends that the partitions have now; with `until`, at the first record of that time or later, if it comes first.
    pub(super) fn new(until: Option<Timestamp>) -> Self {
        Self { until, open: HashMap::new(), done: HashMap::new() }
    }

    /// Partitions to read.
    pub(super) fn add(&mut self, consumer: &Consumer, more: Vec<TopicPartition>) -> Result<()> {
        if more.is_empty() {
            return Ok(());
        }
        let ends = consumer.end_offsets(more.clone()).wait()?;
        self.open.extend(ends);
        if let Some(until) = self.until {
            let times = more.into_iter().map(|partition| (partition, until));
            for (partition, found) in consumer.offsets_for_times(times).wait()? {
                if let (Some(end), Some(found)) = (self.open.get_mut(&partition), found) {
                    *end = found.offset().min(*end);
                }
            }
        }
        Ok(())
    }

    /// Partitions that are no longer ours.
    pub(super) fn remove(&mut self, gone: &[TopicPartition]) {
        for partition in gone {
            self.open.remove(partition);
            self.done.remove(partition);
        }
    }

    /// Where a partition ends.
    pub(super) fn of(&self, partition: &TopicPartition) -> i64 {
        self.open.get(partition).or_else(|| self.done.get(partition)).copied().unwrap_or(i64::MAX)
    }

    /// A partition is read up to this offset.
    pub(super) fn passed(&mut self, partition: &TopicPartition, next: i64) {
        if self.open.get(partition).is_some_and(|end| next >= *end) {
            if let Some((partition, end)) = self.open.remove_entry(partition) {
                self.done.insert(partition, end);
            }
        }
    }

    /// Looks where the partitions are: what brings no record (an empty partition, the end of a transaction) passes too.
    pub(super) fn look(&mut self, consumer: &Consumer) {
        let open: Vec<TopicPartition> = self.open.keys().cloned().collect();
        for partition in open {
            // Without a position yet it is looked at again after the next poll.
            if let Ok(next) = consumer.position(partition.clone()).wait() {
                self.passed(&partition, next);
            }
        }
    }

    /// Whether all of them are read.
    pub(super) fn reached(&self) -> bool {
        self.open.is_empty() && !self.done.is_empty()
    }
}
