//! Commits: one request under way per group, the newest offset of a partition first, every entry checked against the
//! assignment when its request is built (contracts A15).

use super::partition::Partition;
use super::verdict::{Asked, Next, Verdict, verdict};
use crate::client::role::{Cx, LinkFacts, Owner, Request, RequestError, Response, Tag};
use crate::client::{CommitOffset, Event, Reply, Stamp, TopicPartition};
use crate::config::ConsumerConfig;
use crate::wire::messages::OffsetCommitRequest;
use crate::wire::messages::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use crate::{ConsumerIx, Error, ErrorCode, ErrorKind, OpId, PartitionIx, Time};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The last version that names topics: with ids a topic that we have no id of could not be committed.
const LAST_WITH_NAMES: i16 = 9;
const FIRST_WITH_INSTANCE: i16 = 7;

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Op(OpId),
    Auto,
}

/// As whom a commit is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Outside of any generation: manual assignments.
    Alone,
    /// As a member.
    Member { generation: i32, member: Arc<str>, instance: Option<Arc<str>> },
    /// Not now: between two generations.
    Between,
}

#[derive(Clone, Debug)]
struct Entry {
    stamp: Option<Stamp>,
    offset: CommitOffset,
    /// Given up then.
    deadline: Time,
    /// Who waits for it.
    batches: Vec<u64>,
}

#[derive(Debug)]
struct Batch {
    who: Who,
    left: usize,
    error: Option<Error>,
}

#[derive(Debug)]
struct InFlight {
    token: u64,
    entries: BTreeMap<PartitionIx, Entry>,
}

/// The commits of one consumer.
#[derive(Debug)]
pub(super) struct Commits {
    ix: ConsumerIx,
    config: Arc<ConsumerConfig>,
    pending: BTreeMap<PartitionIx, Entry>,
    in_flight: Option<InFlight>,
    batches: BTreeMap<u64, Batch>,
    next_batch: u64,
    due: Option<Time>,
    attempts: u32,
}

impl Commits {
    pub(super) fn new(ix: ConsumerIx, config: Arc<ConsumerConfig>) -> Self {
        Self {
            ix,
            config,
            pending: BTreeMap::new(),
            in_flight: None,
            batches: BTreeMap::new(),
            next_batch: 0,
            due: None,
            attempts: 0,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.in_flight.is_none()
    }

    /// Whether an offset of this partition is on its way to the group.
    pub(super) fn concerns(&self, ix: PartitionIx) -> bool {
        self.pending.contains_key(&ix) || self.in_flight.as_ref().is_some_and(|f| f.entries.contains_key(&ix))
    }

    /// Takes offsets to commit; each replaces an older one of its partition that has not left yet.
    pub(super) fn add(&mut self, cx: &mut Cx<'_>, who: Who, entries: Vec<(PartitionIx, Option<Stamp>, CommitOffset)>) {
        let deadline = cx.now.mono + self.config.default_api_timeout;
        let mut latest: BTreeMap<PartitionIx, (Option<Stamp>, CommitOffset)> = BTreeMap::new();
        for (ix, stamp, offset) in entries {
            latest.insert(ix, (stamp, offset));
        }
        if who == Who::Auto {
            // What is already on its way need not go twice.
            latest.retain(|ix, (_, offset)| {
                let same = |e: &Entry| e.offset.offset == offset.offset;
                let flying = self.in_flight.as_ref().and_then(|f| f.entries.get(ix));
                !self.pending.get(ix).or(flying).is_some_and(same)
            });
        }
        if latest.is_empty() {
            if let Who::Op(op) = who {
                cx.done(op, Ok(Reply::Unit));
            }
            return;
        }
        let batch = self.next_batch;
        self.next_batch += 1;
        self.batches.insert(batch, Batch { who, left: latest.len(), error: None });
        for (ix, (stamp, offset)) in latest {
            let mut batches = self.pending.remove(&ix).map(|old| old.batches).unwrap_or_default();
            batches.push(batch);
            self.pending.insert(ix, Entry { stamp, offset, deadline, batches });
        }
        self.due = None;
    }

    pub(super) fn poll_request(
        &mut self,
        link: &LinkFacts<'_>,
        cx: &mut Cx<'_>,
        group: &Arc<str>,
        standing: &Standing,
        owned: &BTreeMap<PartitionIx, Partition>,
        token: u64,
    ) -> Option<Request> {
        if self.in_flight.is_some() || self.pending.is_empty() || self.due.is_some() || *standing == Standing::Between {
            return None;
        }
        self.fence(cx, standing, owned);
        if self.pending.is_empty() {
            return None;
        }
        let version = link.version::<OffsetCommitRequest>()?.min(LAST_WITH_NAMES);
        let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
        for (ix, entry) in &self.pending {
            let (topic, number) = cx.names.named(*ix);
            topics.entry(topic).or_default().push(OffsetCommitRequestPartition {
                partition_index: number,
                committed_offset: entry.offset.offset,
                committed_leader_epoch: entry.offset.leader_epoch,
                committed_metadata: Some(entry.offset.metadata.to_string()),
            });
        }
        let topics = topics.into_iter().map(|(name, partitions)| OffsetCommitRequestTopic {
            name: name.to_owned(),
            partitions,
            ..Default::default()
        });
        let mut request = OffsetCommitRequest {
            group_id: group.to_string(),
            generation_id_or_member_epoch: -1,
            topics: topics.collect(),
            ..Default::default()
        };
        if let Standing::Member { generation, member, instance } = standing {
            request.generation_id_or_member_epoch = *generation;
            request.member_id = member.to_string();
            request.group_instance_id =
                instance.as_ref().filter(|_| version >= FIRST_WITH_INSTANCE).map(ToString::to_string);
        }
        let tag = Tag { owner: Owner::Consumer(self.ix), token };
        match Request::versioned(tag, &request, version, self.config.request_timeout) {
            Ok(request) => {
                self.in_flight = Some(InFlight { token, entries: std::mem::take(&mut self.pending) });
                Some(request)
            }
            Err(error) => {
                self.fail_all(cx, &error);
                None
            }
        }
    }

    /// Refuses what belongs to an ownership that is over.
    fn fence(&mut self, cx: &mut Cx<'_>, standing: &Standing, owned: &BTreeMap<PartitionIx, Partition>) {
        let ours = |ix: &PartitionIx, entry: &Entry| match (entry.stamp, owned.get(ix)) {
            (None, _) => true,
            (Some(stamp), Some(p)) => p.stamp.assign == stamp.assign,
            (Some(_), None) => *standing == Standing::Alone,
        };
        let fenced: Vec<PartitionIx> = self.pending.iter().filter(|(ix, e)| !ours(ix, e)).map(|(ix, _)| *ix).collect();
        for ix in fenced {
            let Some(entry) = self.pending.remove(&ix) else { continue };
            let (topic, number) = cx.names.named(ix);
            let text = format!(
                "offset {} of {topic}-{number} was not committed: the partition was taken from this consumer since",
                entry.offset.offset
            );
            let error = Error::new(ErrorKind::CommitFailed, text).with_topic(topic.clone()).with_partition(number);
            let error = error.with_offset(entry.offset.offset);
            let hint = "its next owner reads these records again; finish and commit before a rebalance ends";
            self.finish(cx, entry, Some(error.with_hint(hint)));
        }
    }

    /// Takes an answer in. The verdict, if an error of it concerns the membership.
    pub(super) fn handle_response(
        &mut self,
        cx: &mut Cx<'_>,
        owned: &mut BTreeMap<PartitionIx, Partition>,
        alone: bool,
        token: u64,
        result: Result<Response, RequestError>,
    ) -> Option<(Verdict, ErrorCode)> {
        let flight = self.in_flight.take_if(|f| f.token == token)?;
        let answer = match result.map(|r| r.decode::<OffsetCommitRequest>()) {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                cx.news.push(crate::client::role::News::Undecodable { error });
                self.again(cx, flight.entries);
                return None;
            }
            // A commit that was made twice is made: asking again is safe.
            Err(_) => {
                self.again(cx, flight.entries);
                return Some((verdict(Asked::Commit, ErrorCode::COORDINATOR_NOT_AVAILABLE), ErrorCode::NONE));
            }
        };
        let mut codes: BTreeMap<PartitionIx, ErrorCode> = BTreeMap::new();
        for topic in &answer.topics {
            for p in &topic.partitions {
                if let Some(ix) = cx.names.find(&topic.name, p.partition_index) {
                    codes.insert(ix, p.error_code);
                }
            }
        }
        self.tell_committed(cx, &flight.entries, &codes);
        let (mut again, mut worst) = (BTreeMap::new(), None);
        for (ix, entry) in flight.entries {
            let Some(code) = codes.get(&ix).copied() else {
                again.insert(ix, entry);
                continue;
            };
            if code.is_ok() {
                cx.stats.commits += 1;
                if let Some(p) = owned.get_mut(&ix) {
                    p.committed = Some(entry.offset.offset);
                }
                self.finish(cx, entry, None);
                continue;
            }
            let v = verdict(Asked::Commit, code);
            // Without a membership there is nothing to be mended by joining.
            if v.next == Next::Report || (alone && !matches!(v.next, Next::Retry | Next::Rediscover)) {
                let error = refused(cx, ix, &entry, code);
                self.finish(cx, entry, Some(error));
            } else {
                again.insert(ix, entry);
                if v.next != Next::Retry {
                    worst = Some((v, code));
                }
            }
        }
        if again.is_empty() {
            self.attempts = 0;
        } else {
            self.again(cx, again);
        }
        worst
    }

    /// Interceptors are told before anybody sees the outcome.
    fn tell_committed(
        &self,
        cx: &mut Cx<'_>,
        entries: &BTreeMap<PartitionIx, Entry>,
        codes: &BTreeMap<PartitionIx, ErrorCode>,
    ) {
        if self.config.interceptors.is_empty() {
            return;
        }
        let taken = entries.iter().filter(|(ix, _)| codes.get(ix).is_some_and(|code| code.is_ok()));
        let offsets: Vec<_> = taken
            .map(|(ix, entry)| {
                let (topic, partition) = cx.names.named(*ix);
                (TopicPartition { topic: topic.clone(), partition }, entry.offset.clone())
            })
            .collect();
        if !offsets.is_empty() {
            cx.events.push_back(Event::Committed { consumer: self.ix, offsets });
        }
    }

    /// Puts entries back, behind whatever came since.
    fn again(&mut self, cx: &mut Cx<'_>, entries: BTreeMap<PartitionIx, Entry>) {
        for (ix, mut entry) in entries {
            match self.pending.get_mut(&ix) {
                Some(newer) => newer.batches.append(&mut entry.batches),
                None => {
                    self.pending.insert(ix, entry);
                }
            }
        }
        let wait = cx.rng.backoff(self.config.retry_backoff, self.config.retry_backoff_max, self.attempts);
        self.attempts = self.attempts.saturating_add(1);
        self.due = Some(cx.now.mono + wait);
    }

    fn finish(&mut self, cx: &mut Cx<'_>, entry: Entry, error: Option<Error>) {
        for id in entry.batches {
            let Some(batch) = self.batches.get_mut(&id) else { continue };
            batch.left = batch.left.saturating_sub(1);
            batch.error = batch.error.take().or_else(|| error.clone());
            if batch.left > 0 {
                continue;
            }
            let Some(batch) = self.batches.remove(&id) else { continue };
            let result = batch.error.map_or(Ok(()), Err);
            cx.stats.commit_failures += u64::from(result.is_err());
            match batch.who {
                Who::Op(op) => cx.done(op, result.map(|()| Reply::Unit)),
                Who::Auto => cx.events.push_back(Event::AutoCommitted { consumer: self.ix, result }),
            }
        }
    }

    /// Gives up everything that is not on the wire.
    pub(super) fn fail_all(&mut self, cx: &mut Cx<'_>, error: &Error) {
        for (_, entry) in std::mem::take(&mut self.pending) {
            self.finish(cx, entry, Some(error.clone()));
        }
    }

    /// Gives up what is on the wire too: nobody will be there for its answer.
    pub(super) fn abandon(&mut self, cx: &mut Cx<'_>) {
        let text = "the offsets may not be committed: the consumer was closed before the coordinator answered";
        let error = Error::new(ErrorKind::CommitFailed, text).with_outcome_unknown();
        let flight = self.in_flight.take().map(|f| f.entries).unwrap_or_default();
        for (_, entry) in flight {
            self.finish(cx, entry, Some(error.clone()));
        }
        self.fail_all(cx, &error);
    }

    pub(super) fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        self.due = self.due.filter(|at| *at > now);
        let late: Vec<PartitionIx> =
            self.pending.iter().filter(|(_, e)| e.deadline <= now).map(|(ix, _)| *ix).collect();
        for ix in late {
            let Some(entry) = self.pending.remove(&ix) else { continue };
            let (topic, number) = cx.names.named(ix);
            let text = format!("the commit of offset {} of {topic}-{number} took too long", entry.offset.offset);
            let error = Error::new(ErrorKind::Timeout, text).with_topic(topic.clone()).with_partition(number);
            self.finish(cx, entry, Some(error.with_outcome_unknown()));
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.pending.values().map(|e| e.deadline).chain(self.due).min()
    }
}

fn refused(cx: &Cx<'_>, ix: PartitionIx, entry: &Entry, code: ErrorCode) -> Error {
    let (topic, number) = cx.names.named(ix);
    let text = format!("offset {} of {topic}-{number} was not committed", entry.offset.offset);
    let error = Error::new(ErrorKind::CommitFailed, text).with_source(Error::from_code(code));
    error.with_topic(topic.clone()).with_partition(number).with_offset(entry.offset.offset).with_api("OffsetCommit")
}

#[cfg(test)]
mod tests {
    use super::super::partition::Want;
    use super::*;
    use crate::client::role::{Lane, News};
    use crate::cluster::Coordinators;
    use crate::metadata::{Names, View};
    use crate::rng::Rng;
    use crate::stats::Stats;
    use crate::wire::messages::api_versions::ApiVersion;
    use crate::wire::messages::offset_commit::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
    use crate::wire::messages::{ApiVersionsResponse, OffsetCommitResponse};
    use crate::wire::{ApiKey, ApiRanges, Message, Reader, Writer};
    use crate::{BrokerId, Now, Timestamp};
    use std::collections::VecDeque;
    use std::time::Duration;

    struct Rig {
        commits: Commits,
        names: Names,
        owned: BTreeMap<PartitionIx, Partition>,
        standing: Standing,
        events: VecDeque<Event>,
        now: Time,
        token: u64,
    }

    fn member(generation: i32) -> Standing {
        Standing::Member { generation, member: "m".into(), instance: None }
    }

    impl Rig {
        /// Owns partitions 0 and 1 under assignment 1.
        fn new() -> Self {
            let mut names = Names::default();
            let topic = names.topic("t");
            let owned = (0..2).map(|n| names.partition(topic, n));
            Self {
                owned: owned.map(|ix| (ix, Partition::new(ix, 1, 1, Want::Committed))).collect(),
                commits: Commits::new(ConsumerIx(0), Arc::default()),
                names,
                standing: member(1),
                events: VecDeque::new(),
                now: Time(1_000_000_000),
                token: 0,
            }
        }

        fn with<T>(
            &mut self,
            call: impl FnOnce(&mut Commits, &mut Cx<'_>, &mut BTreeMap<PartitionIx, Partition>) -> T,
        ) -> T {
            let (view, mut rng, mut stats, mut news) =
                (Arc::new(View::default()), Rng::new(1), Stats::default(), Vec::<News>::new());
            let coordinators = Coordinators::new((Duration::ZERO, Duration::ZERO), Duration::ZERO);
            let mut cx = Cx {
                now: Now { mono: self.now, wall: Timestamp(0) },
                rng: &mut rng,
                view: &view,
                names: &mut self.names,
                coordinators: &coordinators,
                events: &mut self.events,
                news: &mut news,
                stats: &mut stats,
                troubles: &Default::default(),
            };
            call(&mut self.commits, &mut cx, &mut self.owned)
        }

        fn commit(&mut self, op: u64, entries: &[(u32, u32, i64)]) {
            let offset = |offset| CommitOffset { offset, leader_epoch: -1, metadata: "".into() };
            let entries = entries
                .iter()
                .map(|(n, assign, o)| (PartitionIx(*n), Some(Stamp { assign: *assign, seek: 0 }), offset(*o)))
                .collect();
            self.with(|c, cx, _| c.add(cx, Who::Op(OpId(op)), entries));
        }

        /// The generation and the offsets that leave now.
        fn sent(&mut self) -> Option<(i32, Vec<(i32, i64)>)> {
            let api = ApiVersion { api_key: ApiKey::OFFSET_COMMIT, min_version: 0, max_version: 10 };
            let versions = ApiRanges::new(&ApiVersionsResponse { api_keys: vec![api], ..Default::default() });
            let lane = Lane::Group(ConsumerIx(0));
            let link = LinkFacts {
                broker: BrokerId(1),
                lane,
                conn: crate::ConnId { index: 0, generation: 0 },
                versions: &versions,
                in_flight: 0,
            };
            let (token, standing) = (self.token + 1, self.standing.clone());
            let request = self.with(|c, cx, owned| c.poll_request(&link, cx, &"g".into(), &standing, owned, token))?;
            self.token = token;
            assert_eq!(request.version, 9, "the last one with names");
            let body = request.body.concat();
            let request = OffsetCommitRequest::decode(&mut Reader::new(&body), 9).expect("reads");
            let offsets = request.topics[0].partitions.iter().map(|p| (p.partition_index, p.committed_offset));
            Some((request.generation_id_or_member_epoch, offsets.collect()))
        }

        fn answered(&mut self, codes: &[(i32, i16)]) -> Option<Next> {
            let one = |(n, code): &(i32, i16)| OffsetCommitResponsePartition {
                partition_index: *n,
                error_code: ErrorCode(*code),
            };
            let partitions = codes.iter().map(one).collect();
            let topics = vec![OffsetCommitResponseTopic { name: "t".into(), partitions, ..Default::default() }];
            let mut w = Writer::new();
            OffsetCommitResponse { topics, ..Default::default() }.encode(&mut w, 9).expect("writes");
            self.end(Ok(Response { version: 9, frame: w.into_vec(), at: 0 }))
        }

        fn lost(&mut self) -> Option<Next> {
            self.end(Err(RequestError::Lost(Error::new(ErrorKind::Connect, "gone"))))
        }

        fn end(&mut self, result: Result<Response, RequestError>) -> Option<Next> {
            let (token, alone) = (self.token, self.standing == Standing::Alone);
            let verdict = self.with(|c, cx, owned| c.handle_response(cx, owned, alone, token, result));
            self.now = self.now + Duration::from_secs(2);
            self.with(|c, cx, _| c.handle_timeout(cx));
            verdict.map(|(v, _)| v.next)
        }

        fn done(&mut self) -> Vec<(u64, Result<(), ErrorKind>)> {
            let done = self.events.drain(..).filter_map(|event| match event {
                Event::Done { op, result } => Some((op.0, result.map(drop).map_err(|e| e.kind()))),
                _ => None,
            });
            done.collect()
        }
    }

    #[test]
    fn a_newer_offset_replaces_an_older_one_that_has_not_left() {
        let mut r = Rig::new();
        r.commit(1, &[(0, 1, 5), (1, 1, 7)]);
        r.commit(2, &[(0, 1, 9)]);
        assert_eq!(r.sent(), Some((1, vec![(0, 9), (1, 7)])));
        assert_eq!(r.answered(&[(0, 0), (1, 0)]), None);
        assert_eq!(r.done(), [(2, Ok(())), (1, Ok(()))]);
        assert!(r.commits.is_idle());
        assert_eq!(r.owned[&PartitionIx(0)].committed, Some(9));
    }

    #[test]
    fn one_request_at_a_time_and_no_retry_overtakes_a_newer_offset() {
        let mut r = Rig::new();
        r.commit(1, &[(0, 1, 5)]);
        assert!(r.sent().is_some());
        r.commit(2, &[(0, 1, 9)]);
        assert_eq!(r.sent(), None, "one is under way");
        assert_eq!(r.lost(), Some(Next::Rediscover));
        assert_eq!(r.sent(), Some((1, vec![(0, 9)])), "the older one is not sent again");
        r.answered(&[(0, 0)]);
        let mut done = r.done();
        done.sort_by_key(|(op, _)| *op);
        assert_eq!(done, [(1, Ok(())), (2, Ok(()))]);
    }

    #[test]
    fn what_belongs_to_a_past_ownership_is_refused_and_never_sent() {
        let mut r = Rig::new();
        r.commit(1, &[(0, 0, 5)]);
        assert_eq!(r.sent(), None);
        assert_eq!(r.done(), [(1, Err(ErrorKind::CommitFailed))]);
        r.commit(2, &[(0, 0, 5), (1, 1, 6)]);
        assert_eq!(r.sent(), Some((1, vec![(1, 6)])));
        r.answered(&[(1, 0)]);
        assert_eq!(r.done(), [(2, Err(ErrorKind::CommitFailed))], "part of it was");
    }

    #[test]
    fn between_two_generations_commits_wait_and_are_built_anew() {
        let mut r = Rig::new();
        r.commit(1, &[(0, 1, 5)]);
        assert!(r.sent().is_some());
        assert_eq!(r.answered(&[(0, 27)]), Some(Next::Join), "the group rebalances");
        r.standing = Standing::Between;
        assert_eq!(r.sent(), None);
        r.standing = member(2);
        assert_eq!(r.sent(), Some((2, vec![(0, 5)])), "still owned: under the new generation");
        r.answered(&[(0, 0)]);
        assert_eq!(r.done(), [(1, Ok(()))]);
    }

    #[test]
    fn a_commit_of_nothing_is_done_at_once() {
        let mut r = Rig::new();
        r.commit(1, &[]);
        assert_eq!(r.done(), [(1, Ok(()))]);
        assert!(r.commits.is_idle());
    }

    #[test]
    fn each_partition_has_its_own_outcome_and_a_missing_one_is_asked_again() {
        let mut r = Rig::new();
        r.commit(1, &[(0, 1, 5), (1, 1, 6)]);
        r.sent();
        assert_eq!(r.answered(&[(0, 12)]), None, "its metadata is too large");
        assert_eq!(r.done(), []);
        assert_eq!(r.sent(), Some((1, vec![(1, 6)])));
        r.answered(&[(1, 0)]);
        assert_eq!(r.done(), [(1, Err(ErrorKind::CommitFailed))]);
    }

    #[test]
    fn outside_of_a_group_a_membership_error_is_final() {
        let mut r = Rig::new();
        r.standing = Standing::Alone;
        r.commit(1, &[(0, 1, 5)]);
        assert_eq!(r.sent(), Some((-1, vec![(0, 5)])));
        assert_eq!(r.answered(&[(0, 25)]), None, "there is nothing to join");
        assert_eq!(r.done(), [(1, Err(ErrorKind::CommitFailed))]);
        assert!(r.commits.is_idle());
    }

    #[test]
    fn an_offset_that_cannot_be_committed_is_given_up_in_time() {
        let mut r = Rig::new();
        r.commit(1, &[(0, 1, 5)]);
        r.standing = Standing::Between;
        r.now = r.commits.poll_timeout().expect("a limit");
        r.with(|c, cx, _| c.handle_timeout(cx));
        assert_eq!(r.done(), [(1, Err(ErrorKind::Timeout))]);
        assert_eq!(r.commits.poll_timeout(), None);
    }
}
