//! What the client knows of the cluster, when it asks again, and what for.

mod merge;
mod names;
mod view;

pub(crate) use merge::node;
pub use names::Names;
pub use view::{Diff, Features, Node, OffsetSpec, PartitionView, TopicView, View};

use crate::client::role::{LinkFacts, Needs, Owner, Request, RequestError, Response, Tag};
use crate::config::ClientConfig;
use crate::rng::Rng;
use crate::wire::Uuid;
use crate::wire::messages::metadata::MetadataRequestTopic;
use crate::wire::messages::{MetadataRequest, MetadataResponse};
use crate::{BrokerId, Error, ErrorCode, Now, PartitionIx, Time, TopicIx, Wake, Why};
use merge::Merger;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Requests by topic id begin here (KIP-516).
const FIRST_WITH_IDS: i16 = 12;
/// The switch for auto-creation begins here; before it the broker decides alone.
const FIRST_WITH_AUTO_CREATION: i16 = 4;

/// Decides when to ask and what for, and keeps the view.
#[derive(Debug)]
pub(crate) struct Metadata {
    max_age: Duration,
    backoff: (Duration, Duration),
    timeout: Duration,
    wanted: BTreeMap<TopicIx, bool>,
    wanted_ids: BTreeSet<Uuid>,
    all_wanted: bool,
    topics: BTreeMap<TopicIx, TopicState>,
    /// When the brokers, and all topics if wanted, are to be asked for again.
    cluster_due: Time,
    ids_due: Time,
    ids_attempts: u32,
    /// After a lost request: not before.
    not_before: Time,
    failures: u32,
    asked: Option<Asked>,
    tokens: u64,
    merger: Merger,
    view: Arc<View>,
}

#[derive(Clone, Copy, Debug, Default)]
struct TopicState {
    /// Ask again then.
    due: Time,
    /// Answers in a row that left it unresolved.
    attempts: u32,
    /// A role found the view wrong since the last request was built.
    stale: bool,
}

#[derive(Debug)]
struct Asked {
    token: u64,
    topics: Option<BTreeSet<TopicIx>>,
    ids: BTreeSet<Uuid>,
}

impl Metadata {
    pub(crate) fn new(config: &ClientConfig) -> Self {
        Self {
            max_age: config.metadata_max_age,
            backoff: (config.retry_backoff, config.retry_backoff_max),
            timeout: config.request_timeout,
            wanted: BTreeMap::new(),
            wanted_ids: BTreeSet::new(),
            all_wanted: false,
            topics: BTreeMap::new(),
            cluster_due: Time::ZERO,
            ids_due: Time::ZERO,
            ids_attempts: 0,
            not_before: Time::ZERO,
            failures: 0,
            asked: None,
            tokens: 0,
            merger: Merger::default(),
            view: Arc::default(),
        }
    }

    pub(crate) fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Takes the sum of what the roles want now.
    pub(crate) fn want(&mut self, needs: &Needs) {
        if self.wanted != needs.topics {
            self.wanted.clone_from(&needs.topics);
            let wanted = &self.wanted;
            self.topics.retain(|ix, _| wanted.contains_key(ix));
        }
        if self.wanted_ids != needs.topic_ids {
            self.wanted_ids.clone_from(&needs.topic_ids);
            self.ids_due = Time::ZERO;
            self.ids_attempts = 0;
        }
        if needs.all_topics && !self.all_wanted {
            self.cluster_due = Time::ZERO;
        }
        self.all_wanted = needs.all_topics;
    }

    /// Whether a Control link is wanted to ask by, now or as soon as `poll_timeout` says.
    pub(crate) fn wants_link(&self, now: Time) -> bool {
        self.asked.is_some() || self.due().is_some_and(|at| at <= now)
    }

    /// The brokers are to be asked for at once.
    pub(crate) fn refresh_cluster(&mut self) {
        self.cluster_due = Time::ZERO;
    }

    /// The connection to a broker ended: others may lead its partitions by now.
    pub(crate) fn lost(&mut self, now: Now, broker: BrokerId, rng: &mut Rng) {
        self.refresh_cluster();
        let led = |ix: &&TopicIx| {
            self.view.topic(**ix).is_some_and(|t| t.partitions.iter().any(|p| p.leader == Some(broker)))
        };
        let led: Vec<TopicIx> = self.wanted.keys().filter(led).copied().collect();
        for topic in led {
            self.stale(now, topic, None, rng);
        }
    }

    /// A role found the view of a topic wrong (contracts B20: new information is not rate-limited).
    pub(crate) fn stale(&mut self, now: Now, topic: TopicIx, leader_epoch: Option<i32>, rng: &mut Rng) {
        let known =
            self.view.topic(topic).map_or(-1, |t| t.partitions.iter().map(|p| p.leader_epoch).max().unwrap_or(-1));
        let state = self.topics.entry(topic).or_default();
        if leader_epoch.is_some_and(|epoch| epoch > known) {
            state.due = now.mono;
        } else if !state.stale {
            let wait = if state.attempts == 0 {
                Duration::ZERO
            } else {
                rng.backoff(self.backoff.0, self.backoff.1, state.attempts - 1)
            };
            state.due = if state.due == Time::ZERO { now.mono + wait } else { state.due.min(now.mono + wait) };
        }
        state.stale = true;
    }

    /// Takes a leader that an answer named.
    pub(crate) fn hint(
        &mut self,
        names: &Names,
        partition: PartitionIx,
        leader: BrokerId,
        epoch: i32,
        endpoint: Option<Node>,
    ) -> Option<Diff> {
        let (view, diff) = merge::merge_hint(&self.view, names.place(partition), leader, epoch, endpoint)?;
        self.view = Arc::new(view);
        Some(diff)
    }

    /// Learns of brokers that another answer named, until the next Metadata answer lists them all.
    pub(crate) fn learn(&mut self, nodes: Vec<Node>) {
        for node in nodes {
            if !self.view.brokers.contains_key(&node.id) {
                Arc::make_mut(&mut self.view).brokers.insert(node.id, node);
            }
        }
    }

    /// Merges the finalized features that a connection's greeting brought: the highest epoch is true (contracts A26).
    pub(crate) fn features(&mut self, features: &Features) {
        if features.epoch > self.view.features.epoch {
            Arc::make_mut(&mut self.view).features = features.clone();
        }
    }

    /// Forgets the brokers: the cluster is found again by the bootstrap servers (KIP-899).
    pub(crate) fn rebootstrap(&mut self) {
        let view = Arc::make_mut(&mut self.view);
        view.version += 1;
        view.brokers.clear();
        self.cluster_due = Time::ZERO;
    }

    fn resolved(&self, ix: TopicIx) -> bool {
        // A leader that the answer does not list is gone, and its successor is not chosen yet.
        let leads = |p: &PartitionView| p.leader.is_some_and(|id| self.view.brokers.contains_key(&id));
        self.view
            .topic(ix)
            .is_some_and(|t| t.doubt.is_none() && !t.partitions.is_empty() && t.partitions.iter().all(leads))
    }

    fn due(&self) -> Option<Time> {
        if self.asked.is_some() {
            return None;
        }
        let topics = self.wanted.keys().map(|ix| self.topics.get(ix).map_or(Time::ZERO, |s| s.due)).min();
        let ids = (!self.wanted_ids.is_empty()).then_some(self.ids_due);
        let due = [Some(self.cluster_due), topics, ids].into_iter().flatten().min()?;
        Some(due.max(self.not_before))
    }

    pub(crate) fn poll_request(&mut self, link: &LinkFacts<'_>, now: Now, names: &Names) -> Option<Request> {
        if self.due()? > now.mono {
            return None;
        }
        let version = link.version::<MetadataRequest>()?;
        let due = |ix: &TopicIx| self.topics.get(ix).is_none_or(|s| s.due <= now.mono);
        let auto = self.wanted.iter().find(|(ix, _)| due(ix)).is_some_and(|(_, auto)| *auto);
        let by_id = version >= FIRST_WITH_IDS && !self.wanted_ids.is_empty() && self.ids_due <= now.mono;
        let mut asked = Asked { token: self.tokens, topics: Some(BTreeSet::new()), ids: BTreeSet::new() };
        self.tokens += 1;
        if by_id {
            // Names beside ids are ignored by the broker (broker-data 2.3): ids go alone.
            asked.ids.clone_from(&self.wanted_ids);
        } else if self.all_wanted && self.cluster_due <= now.mono {
            asked.topics = None;
        } else {
            let new_only = self.wanted.keys().filter(|ix| due(ix)).all(|ix| self.view.topic(*ix).is_none());
            asked.topics = Some(
                self.wanted.iter().filter(|(ix, a)| **a == auto && (!new_only || due(ix))).map(|(ix, _)| *ix).collect(),
            );
        }
        let topic = |ix: &TopicIx| names.topic_name(*ix).to_string();
        let named = asked
            .topics
            .iter()
            .flatten()
            .map(|ix| MetadataRequestTopic { name: Some(topic(ix)), ..Default::default() });
        let ids = asked.ids.iter().map(|id| MetadataRequestTopic { topic_id: *id, name: None });
        let request = MetadataRequest {
            topics: asked.topics.is_some().then(|| ids.chain(named).collect()),
            allow_auto_topic_creation: version < FIRST_WITH_AUTO_CREATION || (auto && asked.topics.is_some()),
            ..Default::default()
        };
        for ix in asked.topics.iter().flatten() {
            self.topics.entry(*ix).or_default().stale = false;
        }
        let tag = Tag { owner: Owner::Metadata, token: asked.token };
        self.asked = Some(asked);
        Request::new(tag, link, &request, self.timeout).ok()
    }

    /// Takes an answer in. `Err`: it is no Metadata answer. `Ok(Some)`: the view changed as the diff says.
    pub(crate) fn handle_response(
        &mut self,
        now: Now,
        rng: &mut Rng,
        names: &mut Names,
        tag: Tag,
        result: Result<Response, RequestError>,
    ) -> Result<Option<Diff>, Error> {
        let Some(asked) = self.asked.take_if(|a| a.token == tag.token) else { return Ok(None) };
        let response = match result {
            Ok(response) => response,
            Err(_) => {
                self.not_before = now.mono + rng.backoff(self.backoff.0, self.backoff.1, self.failures);
                self.failures = self.failures.saturating_add(1);
                return Ok(None);
            }
        };
        let version = response.version;
        let answer = response.decode::<MetadataRequest>()?;
        self.failures = 0;
        self.not_before = Time::ZERO;
        if answer.error_code == ErrorCode::REBOOTSTRAP_REQUIRED {
            self.rebootstrap();
            return Ok(None);
        }
        if other_cluster(&self.view, &answer) {
            self.not_before = now.mono + self.backoff.1;
            return Ok(None);
        }
        // An answer about all topics leaves out those that are gone; one by ids says nothing of names.
        let named = match &asked.topics {
            Some(topics) if asked.ids.is_empty() => topics.clone(),
            Some(_) => BTreeSet::new(),
            None => self.view.topics.keys().copied().collect(),
        };
        let (mut view, diff) = self.merger.merge(&self.view, names, version, answer, &named);
        view.listings += u64::from(asked.topics.is_none());
        self.view = Arc::new(view);
        self.reschedule(now, rng, &asked);
        Ok(Some(diff))
    }

    fn reschedule(&mut self, now: Now, rng: &mut Rng, asked: &Asked) {
        let later = now.mono + self.max_age;
        // Whoever wants all topics since then is not answered by some of them.
        if asked.topics.is_none() || !self.all_wanted {
            self.cluster_due = later;
        }
        let covered: Vec<TopicIx> = match &asked.topics {
            Some(topics) => topics.iter().copied().collect(),
            None => self.wanted.keys().copied().collect(),
        };
        for ix in covered {
            let resolved = self.resolved(ix);
            let state = self.topics.entry(ix).or_default();
            if resolved {
                // Stale news that came while the request was under way may be newer than the answer.
                state.due = if state.stale { now.mono + self.backoff.0 } else { later };
                state.attempts = if state.stale { state.attempts + 1 } else { 0 };
            } else {
                state.due = now.mono + rng.backoff(self.backoff.0, self.backoff.1, state.attempts);
                state.attempts = state.attempts.saturating_add(1);
            }
        }
        if !asked.ids.is_empty() {
            self.ids_due = now.mono + rng.backoff(self.backoff.0, self.backoff.1, self.ids_attempts);
            self.ids_attempts = self.ids_attempts.saturating_add(1);
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Wake> {
        Some(Wake { at: self.due()?, why: Why::Metadata })
    }
}

/// The answer is from another cluster than the one we met first: its addresses were given to somebody else.
fn other_cluster(view: &View, answer: &MetadataResponse) -> bool {
    matches!((&view.cluster_id, &answer.cluster_id), (Some(known), Some(told)) if **known != **told)
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: TopicIx = TopicIx(0);

    /// A view of one topic, led by broker 1, after an answer that lists these brokers.
    fn after_answer(brokers: &[i32]) -> (Metadata, Now, Rng) {
        let mut metadata = Metadata::new(&ClientConfig::default());
        let (now, mut rng) = (Now { mono: Time(1_000_000_000), wall: crate::Timestamp(0) }, Rng::new(1));
        let mut needs = Needs::default();
        needs.topics.insert(T, false);
        metadata.want(&needs);
        let node = |id: &i32| node(*id, "h", 9092, None);
        let partition = PartitionView {
            ix: PartitionIx(0),
            number: 0,
            leader: Some(BrokerId(1)),
            leader_epoch: 3,
            replicas: Vec::new(),
            isr: Vec::new(),
            offline: Vec::new(),
            error: ErrorCode::NONE,
        };
        let topic = TopicView {
            ix: T,
            name: "t".into(),
            id: Uuid::default(),
            incarnation: 0,
            internal: false,
            doubt: None,
            partitions: vec![partition],
        };
        let view = Arc::make_mut(&mut metadata.view);
        view.brokers = brokers.iter().filter_map(node).collect();
        view.topics.insert(T, Arc::new(topic));
        let asked = Asked { token: 0, topics: Some(BTreeSet::from([T])), ids: BTreeSet::new() };
        metadata.reschedule(now, &mut rng, &asked);
        (metadata, now, rng)
    }

    #[test]
    fn a_lost_leader_makes_its_topics_due_at_once_and_no_others() {
        let (mut metadata, now, mut rng) = after_answer(&[1, 2]);
        assert!(metadata.due().unwrap() > now.mono + Duration::from_secs(60));
        metadata.lost(now, BrokerId(2), &mut rng);
        assert!(metadata.topics[&T].due > now.mono);
        metadata.lost(now, BrokerId(1), &mut rng);
        assert!(metadata.topics[&T].due <= now.mono);
    }

    #[test]
    fn a_topic_whose_leader_is_not_among_the_brokers_is_asked_for_again_soon() {
        let (metadata, now, _) = after_answer(&[2, 3]);
        assert!(metadata.due().unwrap() <= now.mono + Duration::from_secs(1));
    }

    #[test]
    fn who_wants_all_topics_while_some_are_asked_for_is_answered_next() {
        let (mut metadata, now, mut rng) = after_answer(&[1]);
        let some = Asked { token: 0, topics: Some(BTreeSet::from([T])), ids: BTreeSet::new() };
        metadata.want(&Needs { all_topics: true, ..Needs::default() });
        metadata.reschedule(now, &mut rng, &some);
        assert!(metadata.due().unwrap() <= now.mono, "not after metadata.max.age.ms");
        metadata.reschedule(now, &mut rng, &Asked { topics: None, ..some });
        assert!(metadata.due().unwrap() > now.mono + Duration::from_secs(60));
    }

    #[test]
    fn an_answer_of_another_cluster_is_known_by_its_id() {
        let view = View { cluster_id: Some("ours".into()), ..View::default() };
        let answer = |id: Option<&str>| MetadataResponse { cluster_id: id.map(Into::into), ..Default::default() };
        assert!(other_cluster(&view, &answer(Some("theirs"))));
        assert!(!other_cluster(&view, &answer(Some("ours"))) && !other_cluster(&view, &answer(None)));
        assert!(!other_cluster(&View::default(), &answer(Some("theirs"))), "the first one that is met");
    }
}
