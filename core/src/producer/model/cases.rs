//! Scripted runs: what the machine needs, tells and ends with.

use super::monitor::End;
use super::run::heal;
use super::world::World;
use crate::client::role::{Lane, RequestError, Response, RoleMachine};
use crate::client::{Event, PartitionShape, Reply};
use crate::config::{Acks, ProducerConfig};
use crate::metadata::Diff;
use crate::rng::Rng;
use crate::wire::messages::InitProducerIdResponse;
use crate::wire::{Message, Writer};
use crate::{BrokerId, Error, ErrorCode, ErrorKind, OpId, ProducerIx, Why};
use std::time::Duration;

fn config() -> ProducerConfig {
    ProducerConfig { linger: Duration::ZERO, delivery_timeout: Duration::from_secs(10), ..ProducerConfig::default() }
}

fn world(config: ProducerConfig) -> World {
    World::of(Rng::new(1), config, 1)
}

fn known(config: ProducerConfig) -> World {
    let mut world = world(config);
    world.with(|p, cx| p.want_topic(cx, "t".into()));
    world.refresh();
    world.heard.clear();
    world
}

fn acked(world: &World) -> usize {
    world.monitor.ends.values().filter(|end| matches!(end, End::Acked(_))).count()
}

#[test]
fn it_needs_links_for_what_it_sends_and_an_id_for_what_it_writes_to() {
    let mut world = world(config());
    assert!(world.needs().is_empty(), "nothing is asked of it");
    world.with(|p, cx| p.want_topic(cx, "t".into()));
    assert_eq!(world.needs().topics, [(world.topic, true)].into(), "brokers may create it");
    assert!(world.needs().any.contains(&Lane::Control));
    assert!(world.needs().links.is_empty());
    world.refresh();
    world.offer();
    assert!(!world.needs().any.contains(&Lane::Control), "asked for already");
    world.identify();
    world.append_sealed();
    let leader = world.places[0].log.leader.unwrap();
    assert_eq!(world.needs().links, [(leader, Lane::Produce(ProducerIx(4)))].into());
    heal(&mut world);
    assert!(acked(&world) > 0);
    assert!(world.needs().links.is_empty());
}

#[test]
fn a_topic_is_told_when_it_is_known_and_when_it_changes_and_not_again() {
    let mut world = world(config());
    world.with(|p, cx| p.want_topic(cx, "t".into()));
    assert!(world.heard.is_empty());
    world.refresh();
    let leader = world.places[0].log.leader;
    let Some(Event::Topic { shape: Ok(shape), .. }) = world.heard.pop() else { panic!("{:?}", world.heard) };
    assert_eq!(
        (shape.topic, shape.partitions),
        (world.topic, vec![PartitionShape { ix: world.places[0].ix, leader, near: false }])
    );
    world.refresh();
    assert!(world.heard.is_empty());
    world.places[0].log.leader = None;
    world.refresh();
    let Some(Event::Topic { shape: Ok(shape), .. }) = world.heard.pop() else { panic!("{:?}", world.heard) };
    assert_eq!(shape.partitions, [PartitionShape { ix: world.places[0].ix, leader: None, near: false }]);
    world.with(|p, cx| p.want_topic(cx, "t".into()));
    assert!(matches!(world.heard.pop(), Some(Event::Topic { shape: Ok(_), .. })), "who asks again is told again");
}

#[test]
fn an_unknown_topic_is_told_once_and_asked_for_on_and_a_forbidden_one_is_final() {
    let mut world = world(config());
    let topic = world.topic;
    world.with(|p, cx| p.want_topic(cx, "t".into()));
    let failed = |code| Diff { failed: vec![(topic, ErrorCode(code))], ..Diff::default() };
    for _ in 0..3 {
        world.with(|p, cx| p.handle_metadata(cx, &failed(3)));
    }
    let Some(Event::Topic { shape: Err(error), .. }) = world.heard.pop() else { panic!("{:?}", world.heard) };
    assert!(error.is_retriable() && world.heard.is_empty(), "{error}");
    assert_eq!((error.kind(), error.topic()), (ErrorKind::UnknownTopic, Some("t")));
    assert!(world.needs().topics.contains_key(&topic));
    world.with(|p, cx| p.handle_metadata(cx, &failed(29)));
    let Some(Event::Topic { shape: Err(error), .. }) = world.heard.pop() else { panic!("{:?}", world.heard) };
    assert_eq!((error.kind(), error.is_retriable()), (ErrorKind::Authorization, false));
    assert!(!world.needs().topics.contains_key(&topic), "until somebody asks again");
    world.with(|p, cx| p.want_topic(cx, "t".into()));
    world.refresh();
    assert!(matches!(world.heard.pop(), Some(Event::Topic { shape: Ok(_), .. })));
    world.with(|p, cx| p.handle_metadata(cx, &failed(3)));
    assert!(world.heard.is_empty(), "a topic that was there is not gone because one broker says so");
}

#[test]
fn a_topic_that_nobody_writes_to_is_needed_no_longer_and_again_when_somebody_does() {
    let mut world = known(config());
    world.pass(Duration::from_secs(299));
    assert!(!world.needs().topics.is_empty());
    world.pass(Duration::from_secs(2));
    assert!(world.needs().is_empty());
    world.append_sealed();
    assert!(!world.needs().topics.is_empty());
}

#[test]
fn batches_in_the_front_of_a_partition_without_leader_fail_at_their_deadline_as_not_written() {
    let mut world = known(config());
    world.places[0].log.leader = None;
    world.refresh();
    world.append_sealed();
    world.offer();
    assert!(!world.collect(), "nobody could take it");
    assert_eq!(world.producer.poll_timeout().map(|w| w.why), Some(Why::Delivery));
    world.pass(Duration::from_secs(10));
    assert!(world.collect());
    let error = world.errors.pop().expect("a failure");
    assert_eq!(
        error.to_string(),
        "record for t-0 not sent within delivery.timeout.ms (10 s): the partition has no leader"
    );
    assert!(!error.possibly_written() && error.kind() == ErrorKind::Timeout);
}

#[test]
fn an_open_batch_is_collected_after_linger_or_at_once_under_pressure() {
    let mut world = known(ProducerConfig { linger: Duration::from_millis(50), ..config() });
    world.offer();
    world.identify();
    world.append_open();
    world.offer();
    assert!(!world.collect());
    assert_eq!(world.producer.poll_timeout().map(|w| w.why), Some(Why::Linger));
    world.pass(Duration::from_millis(49));
    assert!(!world.collect());
    world.pass(Duration::from_millis(1));
    assert!(world.collect());
    heal(&mut world);
    world.append_open();
    world.offer();
    assert!(!world.collect());
    world.press(true);
    assert!(world.collect());
}

#[test]
fn a_refused_producer_id_fails_everything_and_says_what_to_do() {
    let mut world = known(config());
    world.append_sealed();
    world.offer();
    let (tag, broker, version) = world.init.take().expect("InitProducerId");
    let answer = InitProducerIdResponse { error_code: ErrorCode(31), producer_id: -1, ..Default::default() };
    let mut w = Writer::new();
    answer.encode(&mut w, version).unwrap();
    let response = Response { version, frame: w.into_vec(), at: 0 };
    world.with(|p, cx| p.handle_response(cx, broker, tag, Ok(response)));
    assert!(world.collect());
    world.append_sealed();
    assert!(world.collect());
    assert_eq!(world.errors.len(), 2);
    let error = world.errors.pop().unwrap();
    assert!(error.is_fatal() && !error.possibly_written() && error.kind() == ErrorKind::Authorization);
    assert!(error.to_string().contains("CLUSTER_AUTHORIZATION_FAILED"), "{error}");
    assert!(error.to_string().contains("enable.idempotence=false"), "{error}");
}

#[test]
fn a_request_for_an_id_that_is_lost_is_repeated_after_a_pause() {
    let mut world = known(config());
    world.offer();
    let (tag, broker, _) = world.init.take().expect("InitProducerId");
    let lost = RequestError::Lost(Error::new(ErrorKind::Connect, "the connection ended"));
    world.with(|p, cx| p.handle_response(cx, broker, tag, Err(lost)));
    assert!(!world.offer());
    world.pass(world.until_wake().unwrap());
    assert!(world.offer());
    assert!(world.init.is_some());
}

#[test]
fn without_acks_a_batch_is_delivered_when_it_is_written() {
    let mut world = known(ProducerConfig { acks: Acks::Zero, enable_idempotence: false, ..config() });
    for _ in 0..3 {
        world.append_sealed();
        heal(&mut world);
    }
    assert!(world.monitor.ends.values().all(|end| matches!(end, End::Acked(None))));
    assert!(acked(&world) >= 3);
}

#[test]
fn a_close_is_answered_when_all_is_acknowledged() {
    let mut world = known(config());
    world.append_sealed();
    world.offer();
    let deadline = world.now.mono + Duration::from_secs(5);
    world.with(|p, cx| p.close(cx, OpId(9), deadline));
    assert!(world.heard.is_empty() && !world.producer.is_closed());
    heal(&mut world);
    assert!(matches!(world.heard.pop(), Some(Event::Done { op: OpId(9), result: Ok(Reply::Unit) })));
    assert!(world.producer.is_closed() && world.needs().is_empty());
}

#[test]
fn a_close_that_is_late_fails_what_is_left_and_says_whether_it_may_be_written() {
    let mut world = known(config());
    heal(&mut world);
    world.append_sealed();
    world.offer();
    world.collect();
    world.offer();
    world.append_sealed();
    let deadline = world.now.mono + Duration::from_secs(5);
    world.with(|p, cx| p.close(cx, OpId(9), deadline));
    world.pass(Duration::from_secs(5));
    assert!(matches!(world.heard.pop(), Some(Event::Done { op: OpId(9), result: Err(_) })));
    let error = world.errors.pop().expect("a failure");
    assert!(error.possibly_written() && error.kind() == ErrorKind::Closed, "{error}");
    assert!(world.producer.is_closed());
}

#[test]
fn records_that_the_broker_names_are_told_apart_from_the_rest_of_their_batch() {
    use crate::wire::messages::ProduceResponse;
    use crate::wire::messages::produce::{BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse};
    let mut world = known(config());
    heal(&mut world);
    world.append_sealed();
    world.offer();
    world.collect();
    world.offer();
    let leader = world.places[0].log.leader.unwrap();
    let error = |batch_index| BatchIndexAndErrorMessage {
        batch_index,
        batch_index_error_message: Some("no key on a compacted topic".into()),
    };
    let part = PartitionProduceResponse {
        error_code: ErrorCode::INVALID_RECORD,
        base_offset: -1,
        record_errors: vec![error(0), error(99), error(-1)],
        error_message: Some("one or more records are invalid".into()),
        ..Default::default()
    };
    world.answer(leader, |version, topic_id| {
        let topic = TopicProduceResponse {
            name: if version < 13 { "t".into() } else { String::new() },
            topic_id,
            partition_responses: vec![part],
        };
        ProduceResponse { responses: vec![topic], ..Default::default() }
    });
    let error = world.errors.pop().expect("a failure");
    assert!(error.is_retriable() && !error.possibly_written(), "the others of the batch may go again");
    assert!(error.to_string().contains("one or more records are invalid"), "{error}");
    let culprits: Vec<_> = world.culprits.iter().map(|(at, error)| (*at, error.text().to_owned())).collect();
    assert_eq!(culprits, [(0, "INVALID_RECORD: no key on a compacted topic".to_owned())]);
    assert_eq!(error.broker(), Some(leader.0));
    assert_ne!(leader, BrokerId(-1));
}

#[test]
fn a_forgotten_producer_goes_on_at_once_and_one_that_is_refused_again_pauses() {
    use crate::wire::messages::ProduceResponse;
    use crate::wire::messages::produce::{PartitionProduceResponse, TopicProduceResponse};
    let mut world = known(config());
    heal(&mut world);
    world.append_sealed();
    world.offer();
    world.collect();
    let leader = world.places[0].log.leader.unwrap();
    for round in 0..4 {
        assert!(world.offer(), "{round}");
        world.answer(leader, |version, topic_id| {
            let part = PartitionProduceResponse { error_code: ErrorCode(45), base_offset: -1, ..Default::default() };
            let name = if version < 13 { "t".into() } else { String::new() };
            let topic = TopicProduceResponse { name, topic_id, partition_responses: vec![part] };
            ProduceResponse { responses: vec![topic], ..Default::default() }
        });
        if round > 0 {
            assert!(!world.offer(), "{round}");
            world.pass(world.until_wake().unwrap());
        }
    }
    heal(&mut world);
    assert!(world.errors.is_empty() && acked(&world) > 0);
    assert_eq!(world.stats.produced().bumps, 4);
}
