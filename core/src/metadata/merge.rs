//! How an answer changes the view: late and stale answers change nothing that is newer (contracts A17).

use super::{Diff, Names, Node, PartitionView, TopicView, View};
use crate::wire::Uuid;
use crate::wire::messages::MetadataResponse;
use crate::wire::messages::metadata::{MetadataResponsePartition, MetadataResponseTopic};
use crate::{BrokerId, ErrorCode, TopicIx};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Leader epochs in Metadata answers before v9 may be of an older leadership than the answer's leader (KAFKA-9212).
const FIRST_TRUE_EPOCHS: i16 = 9;

/// Merges answers into views, and remembers which ids a name has had.
#[derive(Debug, Default)]
pub(super) struct Merger {
    past_ids: BTreeMap<TopicIx, Vec<Uuid>>,
}

impl Merger {
    /// The view after `answer`, which should have told of the topics `asked`.
    pub(super) fn merge(
        &mut self,
        old: &View,
        names: &mut Names,
        version: i16,
        answer: MetadataResponse,
        asked: &BTreeSet<TopicIx>,
    ) -> (View, Diff) {
        let mut view = View { version: old.version + 1, ..old.clone() };
        let mut diff = Diff::default();
        if !answer.brokers.is_empty() {
            view.brokers =
                answer.brokers.iter().filter_map(|b| node(b.node_id.0, &b.host, b.port, b.rack.as_deref())).collect();
            diff.brokers = view.brokers != old.brokers;
        }
        if let Some(id) = answer.cluster_id {
            view.cluster_id = Some(id.into());
        }
        view.controller = (answer.controller_id.0 >= 0).then_some(answer.controller_id);
        let mut missing = asked.clone();
        for topic in answer.topics {
            let Some(ix) = topic_ix(&view, names, &topic) else { continue };
            missing.remove(&ix);
            let code = topic.error_code;
            if code.is_ok() {
                self.merge_topic(&mut view, &mut diff, names, ix, version, topic);
            } else {
                doubt(&mut view, &mut diff, ix, code);
            }
        }
        for ix in missing {
            doubt(&mut view, &mut diff, ix, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        }
        (view, diff)
    }

    fn merge_topic(
        &mut self,
        view: &mut View,
        diff: &mut Diff,
        names: &mut Names,
        ix: TopicIx,
        version: i16,
        answer: MetadataResponseTopic,
    ) {
        let before = view.topics.get(&ix).cloned();
        let mut topic = match &before {
            Some(known) => (**known).clone(),
            None => TopicView {
                ix,
                name: names.topic_name(ix).clone(),
                id: answer.topic_id,
                incarnation: 0,
                internal: false,
                doubt: None,
                partitions: Vec::new(),
            },
        };
        if !answer.topic_id.is_zero() && topic.id != answer.topic_id {
            let past = self.past_ids.entry(ix).or_default();
            if past.contains(&answer.topic_id) {
                return;
            }
            if !topic.id.is_zero() {
                past.push(topic.id);
                topic.incarnation += 1;
                topic.partitions.clear();
                diff.recreated.push(ix);
            }
            topic.id = answer.topic_id;
        }
        topic.internal = answer.is_internal;
        topic.doubt = None;
        let mut answers = answer.partitions;
        answers.sort_by_key(|p| p.partition_index);
        for partition in answers {
            merge_partition(&mut topic, diff, names, version, partition);
        }
        if before.as_deref() != Some(&topic) {
            diff.topics.push(ix);
            view.topics.insert(ix, Arc::new(topic));
        }
    }
}

fn merge_partition(
    topic: &mut TopicView,
    diff: &mut Diff,
    names: &mut Names,
    version: i16,
    answer: MetadataResponsePartition,
) {
    let Ok(place) = usize::try_from(answer.partition_index) else { return };
    // Numbers are consecutive in Kafka; one that leaves a gap has nowhere to stand until the gap is filled.
    if place > topic.partitions.len() {
        return;
    }
    let epoch = if version >= FIRST_TRUE_EPOCHS { answer.leader_epoch } else { -1 };
    let new = PartitionView {
        ix: names.partition(topic.ix, answer.partition_index),
        number: answer.partition_index,
        leader: (answer.leader_id.0 >= 0).then_some(answer.leader_id),
        leader_epoch: epoch,
        replicas: answer.replica_nodes,
        isr: answer.isr_nodes,
        offline: answer.offline_replicas,
        error: answer.error_code,
    };
    match topic.partitions.get_mut(place) {
        None => {
            diff.moved.push(new.ix);
            topic.partitions.push(new);
        }
        Some(known) if epoch >= 0 && epoch < known.leader_epoch => {}
        Some(known) => {
            if (known.leader, known.leader_epoch) != (new.leader, new.leader_epoch) {
                diff.moved.push(new.ix);
            }
            *known = new;
        }
    }
}

/// Takes a leader that a produce or fetch answer named (KIP-951): only forward, and only to a broker whose address is known.
pub(super) fn merge_hint(
    old: &View,
    place: (TopicIx, i32),
    leader: BrokerId,
    epoch: i32,
    endpoint: Option<Node>,
) -> Option<(View, Diff)> {
    let known = old.partition(place)?;
    if epoch <= known.leader_epoch || (endpoint.is_none() && !old.brokers.contains_key(&leader)) {
        return None;
    }
    let mut view = View { version: old.version + 1, ..old.clone() };
    let mut diff = Diff { topics: vec![place.0], moved: vec![known.ix], ..Diff::default() };
    if let Some(node) = endpoint {
        diff.brokers = view.brokers.get(&leader) != Some(&node);
        view.brokers.insert(leader, node);
    }
    let topic = Arc::make_mut(view.topics.get_mut(&place.0)?);
    let partition = topic.partitions.get_mut(usize::try_from(place.1).ok()?)?;
    partition.leader = Some(leader);
    partition.leader_epoch = epoch;
    partition.error = ErrorCode::NONE;
    Some((view, diff))
}

/// A broker as an answer names it; a port outside of its range names nothing.
pub(crate) fn node(id: i32, host: &str, port: i32, rack: Option<&str>) -> Option<(BrokerId, Node)> {
    let port = u16::try_from(port).ok().filter(|p| *p > 0)?;
    (id >= 0).then(|| (BrokerId(id), Node { id: BrokerId(id), host: host.into(), port, rack: rack.map(Into::into) }))
}

fn topic_ix(view: &View, names: &mut Names, topic: &MetadataResponseTopic) -> Option<TopicIx> {
    match &topic.name {
        Some(name) if !name.is_empty() => Some(names.topic(name)),
        // An id that no broker has a name for: the topic that had it stays in doubt.
        _ => view.topics.values().find(|t| !topic.topic_id.is_zero() && t.id == topic.topic_id).map(|t| t.ix),
    }
}

fn doubt(view: &mut View, diff: &mut Diff, ix: TopicIx, code: ErrorCode) {
    diff.failed.push((ix, code));
    if let Some(topic) = view.topics.get_mut(&ix) {
        if topic.doubt != Some(code) {
            Arc::make_mut(topic).doubt = Some(code);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::messages::metadata::MetadataResponseBroker;

    fn answer(id: u8, partitions: &[(i32, i32, i32)]) -> MetadataResponse {
        MetadataResponse {
            brokers: (1..=3)
                .map(|n| MetadataResponseBroker {
                    node_id: BrokerId(n),
                    host: "h".into(),
                    port: 9092,
                    ..Default::default()
                })
                .collect(),
            topics: vec![MetadataResponseTopic {
                name: Some("t".into()),
                topic_id: Uuid([id; 16]),
                partitions: partitions
                    .iter()
                    .map(|(number, leader, epoch)| MetadataResponsePartition {
                        partition_index: *number,
                        leader_id: BrokerId(*leader),
                        leader_epoch: *epoch,
                        ..Default::default()
                    })
                    .collect(),
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    struct World(Merger, Names, View);

    impl World {
        fn new() -> Self {
            Self(Merger::default(), Names::default(), View::default())
        }
        fn take(&mut self, version: i16, answer: MetadataResponse) -> Diff {
            let asked = BTreeSet::from([self.1.topic("t")]);
            let (view, diff) = self.0.merge(&self.2, &mut self.1, version, answer, &asked);
            self.2 = view;
            diff
        }
        fn leader(&mut self) -> (i32, i32) {
            let t = self.1.topic("t");
            self.2.leader((t, 0)).map(|(b, e)| (b.0, e)).unwrap()
        }
    }

    #[test]
    fn a_lower_leader_epoch_is_ignored_and_a_higher_one_is_taken() {
        let mut w = World::new();
        assert_eq!(w.take(12, answer(1, &[(0, 1, 5)])).moved.len(), 1);
        assert_eq!(w.take(12, answer(1, &[(0, 2, 4)])).moved, []);
        assert_eq!(w.leader(), (1, 5));
        assert_eq!(w.take(12, answer(1, &[(0, 2, 6)])).moved.len(), 1);
        assert_eq!(w.leader(), (2, 6));
    }

    #[test]
    fn epochs_of_old_versions_do_not_count() {
        let mut w = World::new();
        w.take(7, answer(0, &[(0, 1, 9)]));
        w.take(7, answer(0, &[(0, 2, 3)]));
        assert_eq!(w.leader(), (2, -1));
    }

    #[test]
    fn a_new_id_is_a_new_incarnation_and_the_old_id_never_comes_back() {
        let mut w = World::new();
        w.take(12, answer(1, &[(0, 1, 50), (1, 1, 50)]));
        let diff = w.take(12, answer(2, &[(0, 2, 0)]));
        assert_eq!(diff.recreated.len(), 1);
        assert_eq!(w.leader(), (2, 0));
        let t = w.1.topic("t");
        assert_eq!(w.2.topic(t).unwrap().incarnation, 1);
        assert_eq!(w.2.topic(t).unwrap().partitions.len(), 1);
        assert_eq!(w.take(12, answer(1, &[(0, 1, 51)])).recreated, []);
        assert_eq!(w.leader(), (2, 0));
    }

    #[test]
    fn a_topic_that_is_missing_or_in_error_keeps_its_last_good_state() {
        let mut w = World::new();
        w.take(12, answer(1, &[(0, 1, 5)]));
        let mut bad = answer(1, &[]);
        bad.topics[0].error_code = ErrorCode(3);
        let diff = w.take(12, bad);
        assert_eq!(diff.failed, [(w.1.topic("t"), ErrorCode(3))]);
        assert_eq!(w.leader(), (1, 5));
        let mut none = answer(1, &[]);
        none.topics.clear();
        assert_eq!(w.take(12, none).failed.len(), 1);
        assert_eq!(w.leader(), (1, 5));
        assert!(w.take(12, answer(1, &[(0, 1, 5)])).topics.len() == 1, "the doubt ends");
    }

    #[test]
    fn a_hint_moves_forward_only_and_only_to_a_known_address() {
        let mut w = World::new();
        w.take(12, answer(1, &[(0, 1, 5)]));
        let place = (w.1.topic("t"), 0);
        assert!(merge_hint(&w.2, place, BrokerId(2), 5, None).is_none());
        assert!(merge_hint(&w.2, place, BrokerId(9), 6, None).is_none());
        let (view, diff) = merge_hint(&w.2, place, BrokerId(2), 6, None).unwrap();
        assert_eq!(view.leader(place), Some((BrokerId(2), 6)));
        assert_eq!(diff.moved.len(), 1);
        let nine = node(9, "h9", 1, None).unwrap().1;
        let (view, _) = merge_hint(&w.2, place, BrokerId(9), 6, Some(nine)).unwrap();
        assert_eq!(&*view.brokers[&BrokerId(9)].host, "h9");
    }

    #[test]
    fn an_answer_about_one_topic_says_nothing_of_others() {
        let mut w = World::new();
        w.take(12, answer(1, &[(0, 1, 5)]));
        let asked = BTreeSet::from([w.1.topic("other")]);
        let mut other = answer(2, &[(0, 2, 1)]);
        other.topics[0].name = Some("other".into());
        w.2 = w.0.merge(&w.2, &mut w.1, 12, other, &asked).0;
        assert_eq!((w.leader(), w.2.topics.len()), ((1, 5), 2));
    }
}
