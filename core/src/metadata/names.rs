//! The table of topics and partitions that this client has ever heard of: it only grows, indices are never reused.

use crate::{PartitionIx, TopicIx};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Mints [`TopicIx`] and [`PartitionIx`] and gives their names back.
#[derive(Clone, Debug, Default)]
pub struct Names {
    topics: Vec<Arc<str>>,
    partitions: Vec<(TopicIx, i32)>,
    by_name: BTreeMap<Arc<str>, TopicIx>,
    by_number: BTreeMap<(TopicIx, i32), PartitionIx>,
}

impl Names {
    /// The index of a topic, minted if it is new.
    pub fn topic(&mut self, name: &str) -> TopicIx {
        if let Some(ix) = self.by_name.get(name) {
            return *ix;
        }
        let ix = TopicIx(u32::try_from(self.topics.len()).unwrap_or(u32::MAX));
        let name: Arc<str> = name.into();
        self.topics.push(name.clone());
        self.by_name.insert(name, ix);
        ix
    }

    /// The index of a partition, minted if it is new.
    pub fn partition(&mut self, topic: TopicIx, number: i32) -> PartitionIx {
        let next = PartitionIx(u32::try_from(self.partitions.len()).unwrap_or(u32::MAX));
        let ix = *self.by_number.entry((topic, number)).or_insert(next);
        if ix == next {
            self.partitions.push((topic, number));
        }
        ix
    }

    /// The index of a topic, if it is known.
    pub fn find_topic(&self, name: &str) -> Option<TopicIx> {
        self.by_name.get(name).copied()
    }

    /// The index of a partition, if it is known.
    pub fn find(&self, topic: &str, number: i32) -> Option<PartitionIx> {
        self.by_number.get(&(self.find_topic(topic)?, number)).copied()
    }

    /// A topic's name. Every index came from this table, so there always is one.
    pub fn topic_name(&self, topic: TopicIx) -> &Arc<str> {
        &self.topics[topic.0 as usize]
    }

    /// A partition's topic and number.
    pub fn place(&self, partition: PartitionIx) -> (TopicIx, i32) {
        self.partitions[partition.0 as usize]
    }

    /// A partition's topic name and number.
    pub fn named(&self, partition: PartitionIx) -> (&Arc<str>, i32) {
        let (topic, number) = self.place(partition);
        (self.topic_name(topic), number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_minted_once_and_names_its_partition() {
        let mut names = Names::default();
        let a = names.topic("a");
        let b = names.topic("b");
        let p = names.partition(b, 3);
        assert_ne!(a, b);
        assert_eq!(names.topic("a"), a);
        assert_eq!(names.partition(b, 3), p);
        assert_ne!(names.partition(a, 3), p);
        assert_eq!(names.named(p), (&Arc::from("b"), 3));
        assert_eq!(names.find("b", 3), Some(p));
        assert_eq!(names.find("b", 4), None);
    }
}
