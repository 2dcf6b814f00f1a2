//! What a consumer reads: partitions by hand, topics with all their partitions, or a group's share of topics.

use crate::TopicIx;
use std::collections::{BTreeMap, BTreeSet};

/// How partitions are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// Nothing is read.
    #[default]
    None,
    /// The application names partitions; a group is for commits only.
    Manual,
    /// All partitions of the topics: there is no group.
    All,
    /// What the group assigns.
    Group,
}

/// What the application asked for.
#[derive(Debug, Default)]
pub(super) struct Subscription {
    pub(super) mode: Mode,
    /// The topics of `All` and `Group`.
    pub(super) topics: BTreeSet<TopicIx>,
    /// How many partitions of each topic of `All` were found so far. Partitions that come later are read from their
    /// first record: nobody could have read them before.
    found: BTreeMap<TopicIx, usize>,
}

impl Subscription {
    pub(super) fn set(&mut self, mode: Mode, topics: BTreeSet<TopicIx>) {
        self.found.retain(|ix, _| topics.contains(ix) && mode == Mode::All);
        self.mode = mode;
        self.topics = topics;
    }

    /// Takes note of a topic's number of partitions; true if it was found before, so that new ones are later ones.
    pub(super) fn find(&mut self, topic: TopicIx, partitions: usize) -> bool {
        self.found.insert(topic, partitions).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_is_subscribed_again_is_found_anew() {
        let mut s = Subscription::default();
        let (a, b) = (TopicIx(1), TopicIx(2));
        s.set(Mode::All, [a, b].into());
        assert!(!s.find(a, 1));
        assert!(s.find(a, 2), "the second partition came later");
        s.set(Mode::All, [b].into());
        s.set(Mode::All, [a].into());
        assert!(!s.find(a, 2));
    }
}
