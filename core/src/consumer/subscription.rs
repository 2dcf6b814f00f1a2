//! What a consumer reads: partitions by hand, topics with all their partitions, or a group's share of topics.

use crate::client::TopicChooser;
use crate::metadata::View;
use crate::{ErrorCode, TopicIx};
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
    /// What chooses `topics`, from which listing of all topics on.
    chooser: Option<(TopicChooser, u64)>,
}

impl Subscription {
    pub(super) fn set(&mut self, mode: Mode, topics: BTreeSet<TopicIx>) {
        self.found.retain(|ix, _| topics.contains(ix) && mode == Mode::All);
        self.mode = mode;
        self.topics = topics;
        if matches!(mode, Mode::None | Mode::Manual) {
            self.chooser = None;
        }
    }

    /// From the next listing on the topics are those that `chooser` takes.
    pub(super) fn choose(&mut self, chooser: Option<TopicChooser>, view: &View) {
        self.chooser = chooser.map(|chooser| (chooser, view.listings + 1));
    }

    /// Whether the topics are chosen by their names.
    pub(super) fn is_chosen(&self) -> bool {
        self.chooser.is_some()
    }

    /// The topics that are chosen now, if all are known and that changes anything. A topic that the last listing left out is
    /// gone; any other doubt about one may pass.
    pub(super) fn chosen(&self, view: &View, internal_too: bool) -> Option<BTreeSet<TopicIx>> {
        let (chooser, since) = self.chooser.as_ref()?;
        if view.listings < *since {
            return None;
        }
        let gone = [ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ErrorCode::UNKNOWN_TOPIC_ID];
        let there = view.topics.values().filter(|topic| !topic.doubt.is_some_and(|doubt| gone.contains(&doubt)));
        let chosen = there.filter(|topic| internal_too || !topic.internal).filter(|topic| chooser.chooses(&topic.name));
        let chosen: BTreeSet<TopicIx> = chosen.map(|topic| topic.ix).collect();
        (chosen != self.topics || !matches!(self.mode, Mode::All | Mode::Group)).then_some(chosen)
    }

    /// Takes note of a topic's number of partitions; true if it was found before, so that new ones are later ones.
    pub(super) fn find(&mut self, topic: TopicIx, partitions: usize) -> bool {
        self.found.insert(topic, partitions).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::TopicView;
    use crate::wire::Uuid;
    use std::sync::Arc;

    fn view(listings: u64, topics: &[(u32, &str, bool, Option<ErrorCode>)]) -> View {
        let topic = |(ix, name, internal, doubt): &(u32, &str, bool, Option<ErrorCode>)| {
            let topic = TopicView {
                ix: TopicIx(*ix),
                name: (*name).into(),
                id: Uuid::default(),
                incarnation: 0,
                internal: *internal,
                doubt: *doubt,
                partitions: Vec::new(),
            };
            (topic.ix, Arc::new(topic))
        };
        View { listings, topics: topics.iter().map(topic).collect(), ..View::default() }
    }

    #[test]
    fn topics_are_chosen_from_the_next_listing_on_internal_ones_only_if_asked_for() {
        let mut s = Subscription::default();
        let before = view(3, &[(1, "m-1", false, None)]);
        s.choose(Some(TopicChooser::new(|name| name.starts_with("m-") || name.starts_with("__"))), &before);
        assert_eq!(s.chosen(&before, false), None, "what was listed before may be old");
        let passing = Some(ErrorCode::LEADER_NOT_AVAILABLE);
        let gone = Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        let topics =
            [(1, "m-1", false, None), (2, "n-1", false, None), (3, "m-2", false, passing), (4, "m-3", false, gone)];
        let all = [&topics[..], &[(5, "__consumer_offsets", true, None)]].concat();
        let now = view(4, &all);
        assert_eq!(s.chosen(&now, false), Some([TopicIx(1), TopicIx(3)].into()));
        assert_eq!(s.chosen(&now, true), Some([TopicIx(1), TopicIx(3), TopicIx(5)].into()));
        s.set(Mode::Group, [TopicIx(1), TopicIx(3)].into());
        assert_eq!(s.chosen(&now, false), None, "nothing changed");
        s.set(Mode::Manual, BTreeSet::new());
        assert!(!s.is_chosen());
    }

    #[test]
    fn nothing_that_fits_is_an_answer_too() {
        let mut s = Subscription::default();
        s.choose(Some(TopicChooser::new(|_| false)), &View::default());
        assert_eq!(s.chosen(&view(1, &[(1, "t", false, None)]), false), Some(BTreeSet::new()));
        s.set(Mode::Group, BTreeSet::new());
        assert_eq!(s.chosen(&view(2, &[(1, "t", false, None)]), false), None);
    }

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
