//! Incremental fetch sessions (KIP-227): the broker remembers what was asked, so that only changes are sent.

use crate::wire::Uuid;
use crate::wire::messages::fetch::{FetchPartition, FetchTopic, ForgottenTopic};
use crate::{ErrorCode, PartitionIx};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The session that is no session.
const NONE: i32 = 0;
/// Asks for a new session with everything.
const INITIAL: i32 = 0;
/// Asks for everything without a session.
const FINAL: i32 = -1;
/// Sessions begin in this version; topic ids in this one. A session cannot change between names and ids.
const FIRST_WITH_SESSIONS: i16 = 7;
pub(super) const FIRST_WITH_IDS: i16 = 13;

/// What is asked of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) topic: Arc<str>,
    pub(super) topic_id: Uuid,
    pub(super) number: i32,
    pub(super) offset: i64,
    pub(super) leader_epoch: i32,
    pub(super) last_fetched_epoch: i32,
    pub(super) max_bytes: i32,
}

/// The session with one broker.
#[derive(Debug, Default)]
pub(super) struct Session {
    id: i32,
    epoch: i32,
    by_id: bool,
    known: BTreeMap<PartitionIx, Wanted>,
    /// Names of the topics that are asked for by id.
    ids: BTreeMap<Uuid, Arc<str>>,
}

/// The session's part of a request.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Ask {
    pub(super) id: i32,
    pub(super) epoch: i32,
    pub(super) topics: Vec<FetchTopic>,
    pub(super) forgotten: Vec<ForgottenTopic>,
}

impl Session {
    /// What to send so that the broker fetches just these, in this order.
    pub(super) fn ask(&mut self, version: i16, wanted: &[(PartitionIx, Wanted)]) -> Ask {
        let by_id = version >= FIRST_WITH_IDS;
        if version < FIRST_WITH_SESSIONS {
            return Ask { epoch: FINAL, topics: topics(wanted.iter(), by_id), ..Ask::default() };
        }
        if by_id != self.by_id {
            self.reset();
        }
        self.by_id = by_id;
        if by_id {
            self.ids = wanted.iter().map(|(_, w)| (w.topic_id, w.topic.clone())).collect();
        }
        if self.epoch == INITIAL {
            self.known = wanted.iter().cloned().collect();
            return Ask { id: self.id, epoch: INITIAL, topics: topics(wanted.iter(), by_id), ..Ask::default() };
        }
        let now: BTreeSet<PartitionIx> = wanted.iter().map(|(ix, _)| *ix).collect();
        let mut gone: Vec<Wanted> = Vec::new();
        self.known.retain(|ix, was| {
            let stays = now.contains(ix);
            if !stays {
                gone.push(was.clone());
            }
            stays
        });
        let known = &self.known;
        // A recreated topic is another one to the broker: the old id is forgotten, the new one is added.
        gone.extend(
            wanted
                .iter()
                .filter_map(|(ix, w)| known.get(ix).filter(|was| by_id && was.topic_id != w.topic_id).cloned()),
        );
        let changed: Vec<_> = wanted.iter().filter(|(ix, w)| known.get(ix) != Some(w)).cloned().collect();
        let ask = Ask {
            id: self.id,
            epoch: self.epoch,
            topics: topics(changed.iter(), by_id),
            forgotten: forgotten(&gone, by_id),
        };
        self.known.extend(changed);
        ask
    }

    /// Whether the next request only tells changes.
    pub(super) fn is_incremental(&self) -> bool {
        self.epoch != INITIAL
    }

    /// What the answer did to the session. True: the answer counts.
    pub(super) fn answered(&mut self, code: ErrorCode, id: i32) -> bool {
        if !code.is_ok() {
            self.reset();
            return false;
        }
        if id == NONE {
            // The broker keeps no session for us, or closed it.
            self.id = NONE;
            self.reset();
        } else {
            let next = if self.epoch == i32::MAX { 1 } else { self.epoch + 1 };
            self.epoch = if id == self.id && self.epoch != INITIAL { next } else { 1 };
            self.id = id;
        }
        true
    }

    /// Nothing is known of the broker's side any more: everything is asked anew, and the old session closed by it.
    pub(super) fn reset(&mut self) {
        self.epoch = INITIAL;
        self.known.clear();
    }

    /// The name of a topic that an answer names by its id.
    pub(super) fn name_of(&self, id: Uuid) -> Option<&Arc<str>> {
        self.ids.get(&id)
    }

    /// Whether the broker surely keeps a session for us, in this state.
    pub(super) fn is_open(&self) -> bool {
        self.id != NONE && self.epoch != INITIAL
    }

    /// What to send so that the broker forgets the session.
    pub(super) fn close(&mut self) -> Ask {
        let ask = Ask { id: self.id, epoch: FINAL, ..Ask::default() };
        *self = Self::default();
        ask
    }
}

fn topics<'a>(wanted: impl Iterator<Item = &'a (PartitionIx, Wanted)>, by_id: bool) -> Vec<FetchTopic> {
    let mut topics: Vec<FetchTopic> = Vec::new();
    for (_, w) in wanted {
        let partition = FetchPartition {
            partition: w.number,
            current_leader_epoch: w.leader_epoch,
            fetch_offset: w.offset,
            last_fetched_epoch: w.last_fetched_epoch,
            partition_max_bytes: w.max_bytes,
            ..Default::default()
        };
        let same = |t: &FetchTopic| if by_id { t.topic_id == w.topic_id } else { t.topic == *w.topic };
        // The order of partitions is the order of service: only a run of one topic is put together.
        match topics.last_mut().filter(|t| same(t)) {
            Some(topic) => topic.partitions.push(partition),
            None => topics.push(FetchTopic {
                topic: if by_id { String::new() } else { w.topic.to_string() },
                topic_id: if by_id { w.topic_id } else { Uuid::ZERO },
                partitions: vec![partition],
            }),
        }
    }
    topics
}

fn forgotten(gone: &[Wanted], by_id: bool) -> Vec<ForgottenTopic> {
    let mut topics: BTreeMap<(&str, Uuid), Vec<i32>> = BTreeMap::new();
    for w in gone {
        topics.entry((&*w.topic, w.topic_id)).or_default().push(w.number);
    }
    let topic = |((name, id), partitions): ((&str, Uuid), Vec<i32>)| ForgottenTopic {
        topic: if by_id { String::new() } else { name.to_owned() },
        topic_id: if by_id { id } else { Uuid::ZERO },
        partitions,
    };
    topics.into_iter().map(topic).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn want(n: u32, offset: i64) -> (PartitionIx, Wanted) {
        let wanted = Wanted {
            topic: "t".into(),
            topic_id: Uuid([7; 16]),
            number: n as i32,
            offset,
            leader_epoch: 1,
            last_fetched_epoch: -1,
            max_bytes: 100,
        };
        (PartitionIx(n), wanted)
    }

    fn numbers(ask: &Ask) -> Vec<i32> {
        ask.topics.iter().flat_map(|t| &t.partitions).map(|p| p.partition).collect()
    }

    #[test]
    fn after_the_first_request_only_changes_are_sent() {
        let mut s = Session::default();
        let ask = s.ask(13, &[want(0, 0), want(1, 0)]);
        assert_eq!((ask.id, ask.epoch, numbers(&ask)), (0, 0, vec![0, 1]));
        assert!(s.answered(ErrorCode::NONE, 77));
        let ask = s.ask(13, &[want(0, 5), want(1, 0)]);
        assert_eq!((ask.id, ask.epoch, numbers(&ask)), (77, 1, vec![0]));
        assert!(s.answered(ErrorCode::NONE, 77));
        let ask = s.ask(13, &[want(1, 0)]);
        assert_eq!((ask.epoch, numbers(&ask), ask.forgotten[0].partitions.clone()), (2, vec![], vec![0]));
    }

    #[test]
    fn a_session_error_begins_anew_and_closes_the_old_session() {
        let mut s = Session::default();
        s.ask(13, &[want(0, 0)]);
        s.answered(ErrorCode::NONE, 77);
        s.ask(13, &[want(0, 1)]);
        assert!(!s.answered(ErrorCode(71), 0));
        let ask = s.ask(13, &[want(0, 1)]);
        assert_eq!((ask.id, ask.epoch, numbers(&ask)), (77, 0, vec![0]));
        assert!(s.answered(ErrorCode::NONE, 78));
        assert_eq!(s.ask(13, &[want(0, 1)]).epoch, 1);
    }

    #[test]
    fn a_change_between_names_and_ids_begins_anew() {
        let mut s = Session::default();
        s.ask(12, &[want(0, 0)]);
        s.answered(ErrorCode::NONE, 77);
        assert_eq!(s.ask(13, &[want(0, 0)]).epoch, 0);
    }

    #[test]
    fn a_recreated_topic_is_forgotten_by_its_old_id() {
        let mut s = Session::default();
        s.ask(13, &[want(0, 9)]);
        s.answered(ErrorCode::NONE, 77);
        let mut new = want(0, 0);
        new.1.topic_id = Uuid([8; 16]);
        let ask = s.ask(13, &[new]);
        assert_eq!(ask.forgotten[0].topic_id, Uuid([7; 16]));
        assert_eq!(ask.topics[0].topic_id, Uuid([8; 16]));
    }

    #[test]
    fn a_session_is_closed_by_its_number() {
        let mut s = Session::default();
        assert!(!s.is_open());
        s.ask(13, &[want(0, 0)]);
        s.answered(ErrorCode::NONE, 77);
        assert!(s.is_open());
        let ask = s.close();
        assert_eq!((ask.id, ask.epoch, ask.topics.len(), s.is_open()), (77, -1, 0, false));
    }

    #[test]
    fn old_brokers_get_everything_each_time_and_no_session() {
        let mut s = Session::default();
        for _ in 0..2 {
            let ask = s.ask(6, &[want(0, 0)]);
            assert_eq!((ask.id, ask.epoch, numbers(&ask)), (0, -1, vec![0]));
            s.answered(ErrorCode::NONE, 0);
        }
    }
}
