//! One consumer, one partition, one request after the other: each step of a position as brokers' answers make it.

use super::Consumer;
use super::handover::Freed;
use super::model::batch;
use crate::client::role::{Cx, Lane, LinkFacts, News, Request, Response, RoleMachine, Tag};
use crate::client::{Chunk, Command, Event, SeekTo, Stamp, Subscription, TopicPartition};
use crate::cluster::Coordinators;
use crate::config::{ClientConfig, ConsumerConfig, OffsetReset};
use crate::metadata::{Diff, Names, PartitionView, TopicView, View};
use crate::rng::Rng;
use crate::stats::Stats;
use crate::wire::messages::api_versions::ApiVersion;
use crate::wire::messages::fetch::{EpochEndOffset as Diverged, FetchableTopicResponse, PartitionData};
use crate::wire::messages::list_offsets::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use crate::wire::messages::offset_for_leader_epoch::{EpochEndOffset, OffsetForLeaderTopicResult};
use crate::wire::messages::*;
use crate::wire::{ApiKey, ApiRanges, Message, Reader, Request as Api, Uuid, Writer};
use crate::{BrokerId, ConnId, ConsumerIx, ErrorCode, ErrorKind, FrameIx, Now, OpId, Time, Timestamp};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

const IX: ConsumerIx = ConsumerIx(0);

struct Steps {
    now: Now,
    consumer: Consumer,
    names: Names,
    view: Arc<View>,
    coordinators: Coordinators,
    events: VecDeque<Event>,
    news: Vec<News>,
    rng: Rng,
    stats: Stats,
    versions: ApiRanges,
    seek: u32,
    frames: Vec<(FrameIx, Vec<Chunk>)>,
}

/// A request as the broker reads it.
struct Asked<R> {
    tag: Tag,
    version: i16,
    says: R,
}

impl Steps {
    /// A consumer that was assigned the one partition of a topic, which broker 1 leads. There are no fetch sessions: each
    /// request says all.
    fn new(reset: OffsetReset) -> Self {
        let config = ConsumerConfig {
            auto_offset_reset: reset,
            max_partition_fetch_bytes: 100,
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_millis(100),
            ..ConsumerConfig::default()
        };
        let api = |key, max| ApiVersion { api_key: key, min_version: 0, max_version: max };
        let api_keys =
            vec![api(ApiKey::FETCH, 12), api(ApiKey::LIST_OFFSETS, 7), api(ApiKey::OFFSET_FOR_LEADER_EPOCH, 4)];
        let backoff = (Duration::from_millis(50), Duration::from_millis(500));
        let mut steps = Self {
            now: Now { mono: Time(1_000_000_000_000), wall: Timestamp(0) },
            consumer: Consumer::new(IX, Arc::new(config), &ClientConfig::default()),
            names: Names::default(),
            view: Arc::default(),
            coordinators: Coordinators::new(backoff, Duration::from_secs(5)),
            events: VecDeque::new(),
            news: Vec::new(),
            rng: Rng::new(1),
            stats: Stats::default(),
            versions: ApiRanges::new(&ApiVersionsResponse { api_keys, ..Default::default() }),
            seek: 0,
            frames: Vec::new(),
        };
        let partitions = Subscription::Partitions(vec![TopicPartition { topic: "t".into(), partition: 0 }]);
        steps.command(Command::Subscribe(IX, partitions));
        steps.lead(0);
        let token = steps.events.drain(..).find_map(|e| match e {
            Event::Assigned { token, .. } => Some(token),
            _ => None,
        });
        steps.command(Command::Applied(IX, token.expect("it is assigned")));
        // Where it begins each test says itself.
        steps.events.clear();
        steps
    }

    fn with<T>(&mut self, call: impl FnOnce(&mut Consumer, &mut Cx<'_>) -> T) -> T {
        let view = self.view.clone();
        let mut cx = Cx {
            now: self.now,
            rng: &mut self.rng,
            view: &view,
            names: &mut self.names,
            coordinators: &self.coordinators,
            events: &mut self.events,
            news: &mut self.news,
            stats: &mut self.stats,
            troubles: &Default::default(),
        };
        call(&mut self.consumer, &mut cx)
    }

    fn command(&mut self, command: Command) {
        self.with(|c, cx| c.handle_command(cx, OpId(1), command));
    }

    /// Metadata says that broker 1 leads under this epoch.
    fn lead(&mut self, epoch: i32) {
        let ix = self.names.topic("t");
        let partition = PartitionView {
            ix: self.names.partition(ix, 0),
            number: 0,
            leader: Some(BrokerId(1)),
            leader_epoch: epoch,
            replicas: vec![],
            isr: vec![],
            offline: vec![],
            error: ErrorCode::NONE,
        };
        let diff = Diff { topics: vec![ix], moved: vec![partition.ix], ..Diff::default() };
        let topic = TopicView {
            ix,
            name: "t".into(),
            id: Uuid::ZERO,
            incarnation: 0,
            internal: false,
            doubt: None,
            partitions: vec![partition],
        };
        let topics = [(ix, Arc::new(topic))].into();
        self.view = Arc::new(View { version: self.view.version + 1, topics, ..View::default() });
        self.with(|c, cx| c.handle_metadata(cx, &diff));
    }

    fn seek(&mut self, to: SeekTo) {
        self.seek += 1;
        let partition = TopicPartition { topic: "t".into(), partition: 0 };
        self.command(Command::Seek(IX, partition, self.seek, to));
    }

    fn seek_to(&mut self, offset: i64) {
        self.seek(SeekTo::Offset { offset, leader_epoch: -1 });
    }

    fn wait(&mut self, time: Duration) {
        self.now.mono = self.now.mono + time;
        self.with(|c, cx| c.handle_timeout(cx));
    }

    fn request(&mut self, lane: Lane) -> Option<Request> {
        let versions = self.versions.clone();
        let conn = ConnId { index: 0, generation: 0 };
        let link = LinkFacts { broker: BrokerId(1), lane, conn, versions: &versions, in_flight: 0 };
        self.with(|c, cx| c.poll_request(&link, cx))
    }

    /// What it asks for now on this lane: an `R` or nothing.
    fn asks<R: Api>(&mut self, lane: Lane) -> Option<Asked<R>> {
        let request = self.request(lane)?;
        assert_eq!(request.api, R::KEY);
        let says = R::decode(&mut Reader::new(&request.body.concat()), request.version).expect("it can be read");
        Some(Asked { tag: request.tag, version: request.version, says })
    }

    fn fetches(&mut self) -> Option<Asked<FetchRequest>> {
        self.asks(Lane::Fetch(IX))
    }

    /// The offset of its next fetch, and how much it asks for.
    fn fetch(&mut self) -> (Asked<FetchRequest>, i64, i32) {
        let asked = self.fetches().expect("it fetches");
        let part = &asked.says.topics[0].partitions[0];
        let (offset, most) = (part.fetch_offset, part.partition_max_bytes);
        (asked, offset, most)
    }

    fn answer<R: Api>(&mut self, asked: &Asked<R>, answer: &R::Response) {
        let mut w = Writer::new();
        answer.encode(&mut w, asked.version).expect("it can be written");
        let response = Response { version: asked.version, frame: w.into_vec(), at: 0 };
        self.with(|c, cx| c.handle_response(cx, BrokerId(1), asked.tag, Ok(response)));
    }

    fn bring(&mut self, asked: &Asked<FetchRequest>, part: PartitionData) {
        let topic = FetchableTopicResponse { topic: "t".into(), partitions: vec![part], ..Default::default() };
        self.answer(asked, &FetchResponse { responses: vec![topic], ..Default::default() });
        let mut kept = VecDeque::new();
        for event in self.events.drain(..) {
            match event {
                Event::Fetched { frame, chunks, .. } => self.frames.push((frame, chunks)),
                other => kept.push_back(other),
            }
        }
        self.events = kept;
    }

    fn end_is(&mut self, asked: &Asked<ListOffsetsRequest>, offset: i64) {
        let part = ListOffsetsPartitionResponse { offset, leader_epoch: 0, ..Default::default() };
        let topic = ListOffsetsTopicResponse { name: "t".into(), partitions: vec![part] };
        self.answer(asked, &ListOffsetsResponse { topics: vec![topic], ..Default::default() });
    }

    fn epoch_ends(&mut self, asked: &Asked<OffsetForLeaderEpochRequest>, end_offset: i64) {
        let part = EpochEndOffset { end_offset, leader_epoch: 0, ..Default::default() };
        let topic = OffsetForLeaderTopicResult { topic: "t".into(), partitions: vec![part] };
        self.answer(asked, &OffsetForLeaderEpochResponse { topics: vec![topic], ..Default::default() });
    }

    /// The application has read all it was given.
    fn read_all(&mut self) {
        for (frame, chunks) in std::mem::take(&mut self.frames) {
            for chunk in chunks {
                self.consumer.handle_freed(Freed::Chunk(chunk.partition, chunk.bytes.len() as u64));
            }
            self.consumer.handle_freed(Freed::Frame(frame, Vec::new()));
        }
    }

    /// Where it was placed last, and under which stamp.
    fn placed(&mut self) -> Option<(Stamp, i64)> {
        let told = self.events.drain(..).filter_map(|e| match e {
            Event::Positioned { stamp, offset, .. } => Some((stamp, offset)),
            _ => None,
        });
        told.last()
    }

    fn failure(&mut self) -> Option<ErrorKind> {
        self.events.drain(..).find_map(|e| match e {
            Event::ConsumerFailed { error, .. } => Some(error.kind()),
            _ => None,
        })
    }
}

fn records(bytes: Vec<u8>) -> PartitionData {
    PartitionData { high_watermark: 1000, records: Some(bytes.into()), ..Default::default() }
}

fn error(code: i16) -> PartitionData {
    PartitionData { error_code: ErrorCode(code), high_watermark: -1, ..Default::default() }
}

#[test]
fn a_batch_that_was_cut_is_asked_for_as_large_as_it_is() {
    let mut s = Steps::new(OffsetReset::None);
    s.seek_to(10);
    let (fetch, _, most) = s.fetch();
    assert_eq!(most, 100);
    let whole = batch(10, 50, 0);
    assert!(whole.len() > 200);
    s.bring(&fetch, records(whole[..100].to_vec()));
    let (fetch, offset, most) = s.fetch();
    assert_eq!((offset, most), (10, i32::try_from(whole.len()).unwrap()));
    s.bring(&fetch, records(whole));
    s.read_all();
    let (_, offset, most) = s.fetch();
    assert_eq!((offset, most), (60, 100), "the next one may be small again");
}

#[test]
fn a_fetch_without_records_moves_nothing_however_far_the_log_goes() {
    let mut s = Steps::new(OffsetReset::Latest);
    s.seek_to(10);
    for _ in 0..3 {
        let (fetch, offset, _) = s.fetch();
        assert_eq!(offset, 10);
        s.bring(&fetch, records(Vec::new()));
    }
    assert!(s.asks::<ListOffsetsRequest>(Lane::Control).is_none());
}

#[test]
fn only_an_offset_out_of_range_resets() {
    for code in [-1, 2, 3, 6, 29, 56, 74, 75, 76, 78, 100, 103] {
        let mut s = Steps::new(OffsetReset::Latest);
        s.seek_to(10);
        let (fetch, ..) = s.fetch();
        s.bring(&fetch, error(code));
        s.read_all();
        assert!(s.asks::<ListOffsetsRequest>(Lane::Control).is_none(), "code {code}");
        assert!(s.fetches().is_none(), "code {code}: it is asked again after a while");
        s.wait(Duration::from_secs(3));
        assert_eq!(s.fetch().1, 10, "code {code}");
    }
}

#[test]
fn an_offset_out_of_range_goes_where_the_reset_says_or_is_told() {
    let mut s = Steps::new(OffsetReset::Latest);
    s.seek_to(10);
    let (fetch, ..) = s.fetch();
    s.bring(&fetch, error(1));
    let list = s.asks::<ListOffsetsRequest>(Lane::Control).expect("it looks for the end");
    assert_eq!(list.says.topics[0].partitions[0].timestamp, -1);
    assert!(s.fetches().is_none());
    s.end_is(&list, 77);
    assert_eq!(s.fetch().1, 77);

    let mut s = Steps::new(OffsetReset::None);
    s.seek_to(10);
    let (fetch, ..) = s.fetch();
    s.bring(&fetch, error(1));
    assert_eq!(s.failure(), Some(ErrorKind::NoOffset));
    assert!(s.asks::<ListOffsetsRequest>(Lane::Control).is_none() && s.fetches().is_none());
}

#[test]
fn an_offset_out_of_range_waits_for_what_was_fetched_before_it() {
    let mut s = Steps::new(OffsetReset::Earliest);
    s.seek_to(0);
    let (fetch, ..) = s.fetch();
    s.bring(&fetch, records(batch(0, 3, 0)));
    let (fetch, offset, _) = s.fetch();
    assert_eq!(offset, 3);
    s.bring(&fetch, error(1));
    assert!(s.asks::<ListOffsetsRequest>(Lane::Control).is_none(), "the application has not read the first three");
    assert!(s.fetches().is_none());
    s.read_all();
    assert!(s.asks::<ListOffsetsRequest>(Lane::Control).is_some());
}

#[test]
fn a_list_offsets_answer_of_before_a_seek_says_nothing() {
    let mut s = Steps::new(OffsetReset::None);
    s.seek(SeekTo::End);
    let late = s.asks::<ListOffsetsRequest>(Lane::Control).expect("it looks for the end");
    s.seek_to(5);
    s.end_is(&late, 77);
    let (fetch, offset, _) = s.fetch();
    assert_eq!(offset, 5, "it was moved meanwhile");
    s.bring(&fetch, records(Vec::new()));

    s.seek(SeekTo::End);
    let late = s.asks::<ListOffsetsRequest>(Lane::Control).expect("it looks for the end");
    s.seek(SeekTo::Beginning);
    let next = s.asks::<ListOffsetsRequest>(Lane::Control).expect("it looks for the beginning");
    s.end_is(&late, 77);
    assert!(s.fetches().is_none(), "the end is not the beginning");
    s.end_is(&next, 2);
    assert_eq!(s.fetch().1, 2);
}

#[test]
fn records_that_a_new_leader_does_not_have_are_noticed_before_the_next_fetch() {
    for (reset, end, after) in
        [(OffsetReset::Latest, 7, Some(7)), (OffsetReset::None, 7, None), (OffsetReset::None, 10, Some(10))]
    {
        let mut s = Steps::new(reset);
        s.seek(SeekTo::Offset { offset: 10, leader_epoch: 0 });
        assert!(s.fetches().is_none(), "whose log it is has to be known first");
        let asked = s.asks::<OffsetForLeaderEpochRequest>(Lane::Control).expect("it asks where the epoch ends");
        assert_eq!(asked.says.topics[0].partitions[0].leader_epoch, 0);
        s.epoch_ends(&asked, end);
        match after {
            Some(offset) => assert_eq!(s.fetch().1, offset),
            None => {
                assert_eq!(s.failure(), Some(ErrorKind::DataLoss));
                assert!(s.fetches().is_none(), "nothing goes on until the application seeks");
            }
        }
    }
}

#[test]
fn a_new_leader_is_asked_for_the_end_of_the_epoch_that_was_read_last() {
    let mut s = Steps::new(OffsetReset::Latest);
    s.seek_to(0);
    let (fetch, ..) = s.fetch();
    s.bring(&fetch, records(batch(0, 3, 2)));
    s.read_all();
    s.lead(4);
    assert!(s.fetches().is_none());
    let asked = s.asks::<OffsetForLeaderEpochRequest>(Lane::Control).expect("it asks where the epoch ends");
    let part = &asked.says.topics[0].partitions[0];
    assert_eq!((part.leader_epoch, part.current_leader_epoch), (2, 4));
    s.epoch_ends(&asked, 3);
    assert_eq!(s.fetch().1, 3);
}

#[test]
fn a_leader_that_finds_a_fetch_in_a_history_of_its_own_moves_it_there() {
    let mut s = Steps::new(OffsetReset::Latest);
    s.seek_to(10);
    let (fetch, ..) = s.fetch();
    let diverging_epoch = Diverged { epoch: 1, end_offset: 6 };
    s.bring(&fetch, PartitionData { diverging_epoch, records: Some(Vec::new().into()), ..Default::default() });
    assert_eq!(s.fetch().1, 6);
}

#[test]
fn an_end_that_the_broker_does_not_know_is_no_truncation() {
    let mut s = Steps::new(OffsetReset::Earliest);
    s.seek(SeekTo::Offset { offset: 10, leader_epoch: 0 });
    let asked = s.asks::<OffsetForLeaderEpochRequest>(Lane::Control).expect("it asks where the epoch ends");
    s.epoch_ends(&asked, -1);
    assert_eq!(s.fetch().1, 10);

    let mut s = Steps::new(OffsetReset::Earliest);
    s.seek(SeekTo::Offset { offset: 10, leader_epoch: 0 });
    let asked = s.asks::<OffsetForLeaderEpochRequest>(Lane::Control).expect("it asks where the epoch ends");
    let part = EpochEndOffset { end_offset: 3, leader_epoch: -1, ..Default::default() };
    let topic = OffsetForLeaderTopicResult { topic: "t".into(), partitions: vec![part] };
    s.answer(&asked, &OffsetForLeaderEpochResponse { topics: vec![topic], ..Default::default() });
    assert_eq!(s.fetch().1, 10);
}

#[test]
fn an_offset_that_was_looked_up_is_good_for_its_epoch_and_asked_about_under_the_next() {
    let mut s = Steps::new(OffsetReset::None);
    s.seek(SeekTo::End);
    let list = s.asks::<ListOffsetsRequest>(Lane::Control).expect("it looks for the end");
    s.end_is(&list, 5);
    s.lead(0);
    assert!(s.asks::<OffsetForLeaderEpochRequest>(Lane::Control).is_none(), "the same epoch again");
    s.lead(1);
    let asked = s.asks::<OffsetForLeaderEpochRequest>(Lane::Control).expect("another epoch");
    assert_eq!(asked.says.topics[0].partitions[0].leader_epoch, 0);
    s.epoch_ends(&asked, 5);
    s.lead(1);
    assert!(s.asks::<OffsetForLeaderEpochRequest>(Lane::Control).is_none(), "it was found good under that one");
}

#[test]
fn a_reset_is_told_under_a_stamp_of_its_own() {
    for (truncated, to) in [(false, 77), (true, 7)] {
        let mut s = Steps::new(OffsetReset::Latest);
        s.seek_to(10);
        let before = s.placed().expect("a seek is told").0;
        if truncated {
            let (fetch, ..) = s.fetch();
            let diverging_epoch = Diverged { epoch: 1, end_offset: 7 };
            s.bring(&fetch, PartitionData { diverging_epoch, ..Default::default() });
        } else {
            let (fetch, ..) = s.fetch();
            s.bring(&fetch, error(1));
            let list = s.asks::<ListOffsetsRequest>(Lane::Control).expect("it looks for the end");
            s.end_is(&list, 77);
        }
        let (stamp, offset) = s.placed().expect("a reset is told");
        assert_eq!(offset, to);
        assert!(stamp.assign != before.assign && stamp.seek == before.seek, "{before:?} {stamp:?}");
    }
}

#[test]
fn a_seek_waits_for_nothing_that_was_wrong_where_it_came_from() {
    let mut s = Steps::new(OffsetReset::Latest);
    s.seek_to(0);
    let (fetch, ..) = s.fetch();
    s.bring(&fetch, records(batch(0, 3, 0)));
    let (fetch, ..) = s.fetch();
    s.bring(&fetch, error(1));
    assert!(s.fetches().is_none(), "trouble, and something on the shelf");
    s.seek_to(2);
    s.read_all();
    let (fetch, offset, _) = s.fetch();
    assert_eq!(offset, 2);
    s.bring(&fetch, error(6));
    assert!(s.fetches().is_none(), "it backs off");
    s.seek_to(1);
    let (fetch, offset, _) = s.fetch();
    assert_eq!(offset, 1);
    s.bring(&fetch, records(Vec::new()));
    s.seek(SeekTo::End);
    let list = s.asks::<ListOffsetsRequest>(Lane::Control).expect("it looks for the end");
    s.answer(&list, &ListOffsetsResponse::default());
    assert!(s.asks::<ListOffsetsRequest>(Lane::Control).is_none(), "it backs off");
    s.seek(SeekTo::Beginning);
    assert!(s.asks::<ListOffsetsRequest>(Lane::Control).is_some());
}

#[test]
fn what_an_answer_says_of_leaders_and_of_its_broker_is_passed_on() {
    let mut s = Steps::new(OffsetReset::Latest);
    s.seek_to(0);
    s.news.clear();
    let (fetch, ..) = s.fetch();
    s.bring(&fetch, error(6));
    assert!(matches!(s.news[..], [News::Stale { leader_epoch: None, .. }]), "{:?}", s.news);
    s.wait(Duration::from_secs(1));
    s.news.clear();
    let (fetch, ..) = s.fetch();
    let mut named = error(74);
    (named.current_leader.leader_id, named.current_leader.leader_epoch) = (BrokerId(2), 5);
    s.bring(&fetch, named);
    let told = [News::Stale { topic: s.names.topic("t"), code: ErrorCode(74), leader_epoch: Some(5) }];
    assert_eq!(s.news[..1], told);
    assert!(matches!(s.news[1..], [News::Leader { broker: BrokerId(2), leader_epoch: 5, .. }]), "{:?}", s.news);
    s.wait(Duration::from_secs(1));
    s.news.clear();
    let (fetch, ..) = s.fetch();
    s.answer(&fetch, &FetchResponse { throttle_time_ms: 50, ..Default::default() });
    assert_eq!(s.news[..], [News::Throttled { ms: 50 }]);
}
