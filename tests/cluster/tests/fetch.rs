//! Fetch and lookups of offsets (broker-data 5 to 7).

mod raw;

use klamm_cluster::Peer;
use klamm_core::ErrorCode;
use klamm_core::wire::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsTopic};
use klamm_core::wire::messages::fetch::{FetchPartition, FetchTopic};
use klamm_core::wire::messages::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use klamm_core::wire::messages::offset_for_leader_epoch::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use klamm_core::wire::messages::*;
use raw::{Batch, Lab, START, fetch, fetched, parked, produce};
use std::time::Duration;

fn fill(lab: &mut Lab, topic: &str, values: &[&str]) {
    let (leader, _) = lab.brokers.leader(topic, 0).expect("exists");
    let peer = lab.connect(leader.expect("led"));
    for value in values {
        let answer = lab.ask(peer, &produce(topic, Batch::of(&[value]).bytes(), 1), 9);
        assert_eq!(raw::produced(&answer).0, ErrorCode::NONE);
    }
}

fn lab(values: &[&str]) -> (Lab, Peer) {
    let mut lab = Lab::new(1);
    lab.brokers.create_topic(lab.now, "t", 1);
    fill(&mut lab, "t", values);
    let peer = lab.connect(1);
    (lab, peer)
}

fn size(values: &[&str]) -> usize {
    values.iter().map(|v| Batch::of(&[v]).bytes().len()).sum()
}

#[test]
fn the_first_batch_comes_whole_and_the_tail_is_cut_6_11_and_6_12() {
    let (mut lab, peer) = lab(&["one", "two", "three"]);
    let one = size(&["one"]);
    for limit in [0, 1, 10] {
        let request = FetchRequest { max_bytes: limit, ..fetch("t", 0) };
        assert_eq!(fetched(&lab.ask(peer, &request, 11)).2.len(), one, "limit {limit}");
    }
    let request = FetchRequest { max_bytes: one as i32 + 20, ..fetch("t", 0) };
    assert_eq!(fetched(&lab.ask(peer, &request, 11)).2.len(), one + 20);
}

#[test]
fn a_fetch_begins_with_the_batch_that_holds_the_offset_6_13() {
    let (mut lab, peer) = lab(&[]);
    lab.ask(peer, &produce("t", Batch::of(&["a", "b", "c"]).bytes(), 1), 9);
    let records = fetched(&lab.ask(peer, &fetch("t", 2), 11)).2;
    assert_eq!(records[..8], 0i64.to_be_bytes());
}

#[test]
fn only_the_first_partition_that_yields_may_exceed_the_limit_6_11() {
    let (mut lab, peer) = lab(&["one"]);
    lab.brokers.create_topic(lab.now, "u", 1);
    fill(&mut lab, "u", &["two"]);
    let mut request = FetchRequest { max_bytes: 1, ..fetch("t", 0) };
    request.topics.extend(fetch("u", 0).topics);
    let answer = lab.ask(peer, &request, 11);
    let sizes: Vec<usize> =
        answer.responses.iter().map(|t| t.partitions[0].records.as_ref().map_or(0, |r| r.len())).collect();
    assert_eq!(sizes, [size(&["one"]), 0]);
}

#[test]
fn offsets_outside_of_the_log_are_1_and_its_end_is_empty_6_8_and_6_9() {
    let (mut lab, peer) = lab(&["a"]);
    let failed = (ErrorCode::OFFSET_OUT_OF_RANGE, -1, 0);
    for offset in [-1, 2] {
        let (code, high_watermark, records) = fetched(&lab.ask(peer, &fetch("t", offset), 11));
        assert_eq!((code, high_watermark, records.len()), failed, "offset {offset}");
    }
    let (code, high_watermark, records) = fetched(&lab.ask(peer, &fetch("t", 1), 11));
    assert_eq!((code, high_watermark, records.len()), (ErrorCode::NONE, 1, 0));
}

#[test]
fn a_parked_fetch_is_woken_by_enough_bytes_6_17() {
    let (mut lab, peer) = lab(&[]);
    let request = FetchRequest { min_bytes: size(&["a", "b"]) as i32, ..parked("t", 0, 10_000) };
    lab.send(peer, &request, 11);
    fill(&mut lab, "t", &["a"]);
    lab.pass(10);
    assert!(lab.answer::<FetchRequest>(peer, 11).is_none());
    fill(&mut lab, "t", &["b"]);
    let answer = lab.answer::<FetchRequest>(peer, 11).expect("woken");
    assert_eq!(fetched(&answer).2.len(), size(&["a", "b"]));
}

#[test]
fn an_unknown_topic_does_not_end_the_wait_of_the_others_but_an_inner_error_does_6_16() {
    let (mut lab, peer) = lab(&["a"]);
    let mut request = parked("t", 1, 600);
    request.topics.extend(fetch("nothing", 0).topics);
    lab.send(peer, &request, 11);
    lab.pass(599);
    assert!(lab.answer::<FetchRequest>(peer, 11).is_none());
    lab.pass(1);
    let answer = lab.answer::<FetchRequest>(peer, 11).expect("at its end");
    assert_eq!(answer.responses[1].partitions[0].error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(answer.responses[1].partitions[0].aborted_transactions, Some(Vec::new()));
    let answer = lab.ask(peer, &parked("nothing", 0, 600), 11);
    assert_eq!(fetched(&answer).0, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    lab.brokers.create_topic(lab.now, "u", 1);
    let mut request = parked("t", 1, 600);
    request.topics.extend(fetch("u", 9).topics);
    let answer = lab.ask(peer, &request, 11);
    assert_eq!(answer.responses[1].partitions[0].error_code, ErrorCode::OFFSET_OUT_OF_RANGE);
}

#[test]
fn a_deleted_topic_wakes_its_fetch_with_3_and_a_deleted_id_is_100() {
    let (mut lab, peer) = lab(&[]);
    lab.send(peer, &parked("t", 0, 10_000), 11);
    let id = lab.brokers.topic_id("t").expect("exists");
    lab.brokers.delete_topic(lab.now, "t");
    let answer = lab.answer::<FetchRequest>(peer, 11).expect("woken");
    assert_eq!(fetched(&answer).0, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let mut request = fetch("", 0);
    request.topics[0].topic_id = id;
    assert_eq!(fetched(&lab.ask(peer, &request, 13)).0, ErrorCode::UNKNOWN_TOPIC_ID);
}

#[test]
fn epochs_are_checked_before_leadership_and_followers_serve_from_version_11_on_6_6() {
    let mut lab = Lab::new(2);
    lab.brokers.create_topic(lab.now, "t", 1);
    fill(&mut lab, "t", &["a"]);
    let follower = lab.connect(2);
    let with_epoch = |epoch| {
        let mut request = fetch("t", 0);
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        request
    };
    let code = |lab: &mut Lab, request: &FetchRequest, version| fetched(&lab.ask(follower, request, version)).0;
    assert_eq!(code(&mut lab, &with_epoch(9), 10), ErrorCode::UNKNOWN_LEADER_EPOCH);
    assert_eq!(code(&mut lab, &with_epoch(0), 10), ErrorCode::NOT_LEADER_OR_FOLLOWER);
    let (ok, _, records) = fetched(&lab.ask(follower, &with_epoch(0), 11));
    assert_eq!((ok, records.len()), (ErrorCode::NONE, size(&["a"])));
    lab.brokers.move_leader(lab.now, "t", 0, 2).expect("moves");
    let answer = lab.ask(follower, &with_epoch(0), 12);
    let p = &answer.responses[0].partitions[0];
    assert_eq!((p.error_code, p.current_leader.leader_id.0), (ErrorCode::FENCED_LEADER_EPOCH, -1));
    let mut request = with_epoch(0);
    request.topics[0].topic_id = lab.brokers.topic_id("t").expect("exists");
    let answer = lab.ask(follower, &request, 16);
    let p = &answer.responses[0].partitions[0];
    assert_eq!((p.current_leader.leader_id.0, p.current_leader.leader_epoch), (2, 1));
    assert_eq!(answer.node_endpoints[0].node_id.0, 2);
}

#[test]
fn a_diverging_epoch_is_told_without_records_6_7() {
    let mut lab = Lab::with(|s| {
        s.brokers = 2;
        s.replication_lag = Duration::from_millis(50);
    });
    lab.brokers.create_topic(lab.now, "t", 1);
    fill(&mut lab, "t", &["a"]);
    lab.pass(200);
    fill(&mut lab, "t", &["lost", "lost"]);
    lab.brokers.kill_broker(lab.now, 1);
    lab.pass(1000);
    fill(&mut lab, "t", &["x", "y"]);
    lab.pass(200);
    let peer = lab.connect(2);
    let mut request = fetch("t", 3);
    request.topics[0].partitions[0].last_fetched_epoch = 0;
    let answer = lab.ask(peer, &request, 12);
    let p = &answer.responses[0].partitions[0];
    assert_eq!((p.error_code, p.diverging_epoch.epoch, p.diverging_epoch.end_offset), (ErrorCode::NONE, 0, 1));
    assert!(p.records.as_ref().is_some_and(|r| r.is_empty()));
    let asked = OffsetForLeaderEpochRequest {
        topics: vec![OffsetForLeaderTopic {
            topic: "t".to_owned(),
            partitions: vec![OffsetForLeaderPartition { leader_epoch: 0, ..Default::default() }],
        }],
        ..Default::default()
    };
    let answer = lab.ask(peer, &asked, 4);
    let p = &answer.topics[0].partitions[0];
    assert_eq!((p.error_code, p.leader_epoch, p.end_offset), (ErrorCode::NONE, 0, 1));
}

#[test]
fn data_above_the_high_watermark_is_not_shown_and_not_waited_for_6_9_and_6_19() {
    let mut lab = Lab::new(2);
    lab.brokers.create_topic(lab.now, "t", 1);
    fill(&mut lab, "t", &["a"]);
    lab.brokers.freeze_replica(lab.now, "t", 0, 2, true);
    fill(&mut lab, "t", &["b", "c"]);
    let peer = lab.connect(1);
    let (code, high_watermark, records) = fetched(&lab.ask(peer, &fetch("t", 0), 11));
    assert_eq!((code, high_watermark, records.len()), (ErrorCode::NONE, 1, size(&["a"])));
    assert!(fetched(&lab.ask(peer, &parked("t", 2, 1000), 11)).2.is_empty());
    lab.send(peer, &parked("t", 1, 1000), 11);
    assert!(lab.answer::<FetchRequest>(peer, 11).is_none(), "the high watermark itself is waited at");
    lab.brokers.freeze_replica(lab.now, "t", 0, 2, false);
    let answer = lab.answer::<FetchRequest>(peer, 11).expect("committed now");
    assert_eq!(fetched(&answer).2.len(), size(&["b", "c"]));
}

fn with_session(id: i32, epoch: i32, topics: Vec<FetchTopic>) -> FetchRequest {
    FetchRequest { session_id: id, session_epoch: epoch, topics, ..fetch("t", 0) }
}

#[test]
fn an_incremental_answer_lists_only_what_changed_6_24() {
    let (mut lab, peer) = lab(&["a"]);
    let full = lab.ask(peer, &with_session(0, 0, fetch("t", 1).topics), 11);
    let id = full.session_id;
    assert!(id > 0 && full.responses.len() == 1);
    let quiet = lab.ask(peer, &with_session(id, 1, Vec::new()), 11);
    assert_eq!((quiet.session_id, quiet.responses.len()), (id, 0));
    fill(&mut lab, "t", &["b"]);
    let news = lab.ask(peer, &with_session(id, 2, Vec::new()), 11);
    assert_eq!(fetched(&news).2.len(), size(&["b"]));
    let again = lab.ask(peer, &with_session(id, 3, Vec::new()), 11);
    assert_eq!(fetched(&again).2.len(), size(&["b"]), "the stored offset is read again (6.25)");
}

#[test]
fn a_wrong_session_epoch_leaves_the_session_as_it_was_6_22() {
    let (mut lab, peer) = lab(&["a"]);
    let id = lab.ask(peer, &with_session(0, 0, fetch("t", 1).topics), 11).session_id;
    let other = lab.connect(1);
    let wrong = lab.ask(other, &with_session(id, 5, Vec::new()), 11);
    assert_eq!((wrong.error_code, wrong.session_id), (ErrorCode::INVALID_FETCH_SESSION_EPOCH, 0));
    assert_eq!(lab.ask(other, &with_session(id, 1, Vec::new()), 11).error_code, ErrorCode::NONE);
    let unknown = lab.ask(peer, &with_session(id ^ 1, 1, Vec::new()), 11);
    assert_eq!(unknown.error_code, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
    let ids = lab.ask(peer, &with_session(id, 2, Vec::new()), 13);
    assert_eq!(ids.error_code, ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
}

#[test]
fn forgetting_the_last_partition_closes_the_session_6_23() {
    use klamm_core::wire::messages::fetch::ForgottenTopic;
    let (mut lab, peer) = lab(&["a"]);
    let id = lab.ask(peer, &with_session(0, 0, fetch("t", 1).topics), 11).session_id;
    let forgotten = ForgottenTopic { topic: "t".to_owned(), partitions: vec![0], ..Default::default() };
    let mut request = with_session(id, 1, Vec::new());
    request.forgotten_topics_data = vec![forgotten];
    assert_eq!(lab.ask(peer, &request, 11).session_id, 0);
    let gone = lab.ask(peer, &with_session(id, 2, Vec::new()), 11);
    assert_eq!(gone.error_code, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
}

#[test]
fn a_recreated_topic_is_103_in_an_old_session_6_26() {
    let (mut lab, peer) = lab(&["a"]);
    let mut topics = fetch("", 1).topics;
    topics[0].topic_id = lab.brokers.topic_id("t").expect("exists");
    let id = lab.ask(peer, &with_session(0, 0, topics), 13).session_id;
    lab.brokers.delete_topic(lab.now, "t");
    let gone = lab.ask(peer, &with_session(id, 1, Vec::new()), 13);
    assert_eq!(fetched(&gone).0, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    lab.brokers.create_topic(lab.now, "t", 1);
    let other = lab.ask(peer, &with_session(id, 2, Vec::new()), 13);
    assert_eq!(fetched(&other).0, ErrorCode::INCONSISTENT_TOPIC_ID);
    let repeated = lab.ask(peer, &with_session(id, 3, Vec::new()), 13);
    assert_eq!(fetched(&repeated).0, ErrorCode::INCONSISTENT_TOPIC_ID, "errors are told every time (6.24)");
}

fn list(timestamp: i64) -> ListOffsetsRequest {
    ListOffsetsRequest {
        topics: vec![ListOffsetsTopic {
            name: "t".to_owned(),
            partitions: vec![ListOffsetsPartition { timestamp, ..Default::default() }],
        }],
        ..Default::default()
    }
}

fn listed(answer: &ListOffsetsResponse) -> (ErrorCode, i64, i64) {
    let p = &answer.topics[0].partitions[0];
    (p.error_code, p.offset, p.timestamp)
}

#[test]
fn offsets_are_found_by_time_and_by_special_values_7() {
    let (mut lab, peer) = lab(&[]);
    for at in [10, 30, 20] {
        let batch = Batch { timestamp: START + at, ..Batch::of(&["a"]) };
        lab.ask(peer, &produce("t", batch.bytes(), 1), 9);
    }
    let ask = |lab: &mut Lab, timestamp| listed(&lab.ask(peer, &list(timestamp), 9));
    assert_eq!(ask(&mut lab, -1), (ErrorCode::NONE, 3, -1));
    assert_eq!(ask(&mut lab, -2), (ErrorCode::NONE, 0, -1));
    assert_eq!(ask(&mut lab, -3), (ErrorCode::NONE, 1, START + 30));
    assert_eq!(ask(&mut lab, START + 11), (ErrorCode::NONE, 1, START + 30));
    assert_eq!(ask(&mut lab, START + 31), (ErrorCode::NONE, -1, -1));
    assert_eq!(ask(&mut lab, -6).0, ErrorCode::UNSUPPORTED_VERSION);
    let mut twice = list(-1);
    twice.topics[0].partitions.push(ListOffsetsPartition { timestamp: -2, ..Default::default() });
    assert_eq!(listed(&lab.ask(peer, &twice, 9)).0, ErrorCode::INVALID_REQUEST);
}

#[test]
fn a_new_leader_that_does_not_know_the_high_watermark_says_78_or_5_7_1() {
    let mut lab = Lab::with(|s| {
        s.brokers = 3;
        s.replication_lag = Duration::from_millis(50);
    });
    lab.brokers.create_topic(lab.now, "t", 1);
    fill(&mut lab, "t", &["a"]);
    // One round copies the data, the next the high watermark: the leader moves in between.
    lab.pass(50);
    lab.brokers.freeze_replica(lab.now, "t", 0, 3, true);
    lab.brokers.move_leader(lab.now, "t", 0, 2).expect("moves");
    let peer = lab.connect(2);
    assert_eq!(lab.brokers.offsets("t", 0).map(|(_, hw, end)| (hw, end)), Some((0, 1)));
    assert_eq!(listed(&lab.ask(peer, &list(-1), 5)).0, ErrorCode::OFFSET_NOT_AVAILABLE);
    assert_eq!(listed(&lab.ask(peer, &list(-1), 4)).0, ErrorCode::LEADER_NOT_AVAILABLE);
    assert_eq!(listed(&lab.ask(peer, &list(-2), 5)), (ErrorCode::NONE, 0, -1));
}

#[test]
fn deleted_records_are_out_of_range_and_their_end_is_the_low_watermark_7_3() {
    let (mut lab, peer) = lab(&["a", "b", "c"]);
    let delete = |offset| DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: "t".to_owned(),
            partitions: vec![DeleteRecordsPartition { partition_index: 0, offset }],
        }],
        timeout_ms: 1000,
    };
    let deleted = |lab: &mut Lab, offset| {
        let answer = lab.ask(peer, &delete(offset), 2);
        let p = &answer.topics[0].partitions[0];
        (p.error_code, p.low_watermark)
    };
    assert_eq!(deleted(&mut lab, 2), (ErrorCode::NONE, 2));
    assert_eq!(deleted(&mut lab, 1), (ErrorCode::NONE, 2));
    assert_eq!(deleted(&mut lab, 4), (ErrorCode::OFFSET_OUT_OF_RANGE, -1));
    assert_eq!(fetched(&lab.ask(peer, &fetch("t", 1), 11)).0, ErrorCode::OFFSET_OUT_OF_RANGE);
    assert_eq!(lab.brokers.records("t").len(), 1);
    assert_eq!(deleted(&mut lab, -1), (ErrorCode::NONE, 3));
}

#[test]
fn a_prepared_batch_is_served_without_end() {
    let batch = Batch::of(&["a", "b"]).bytes();
    let mut lab = Lab::with(|s| s.prepared = Some(Batch::of(&["a", "b"]).bytes()));
    lab.brokers.create_topic(lab.now, "t", 1);
    let peer = lab.connect(1);
    let records = fetched(&lab.ask(peer, &fetch("t", 4), 11)).2;
    assert_eq!(records.len() / batch.len(), (1 << 20) / batch.len());
    assert_eq!(records[batch.len()..batch.len() + 8], 6i64.to_be_bytes());
}

#[test]
fn a_sink_acknowledges_rising_offsets_and_keeps_nothing() {
    let mut lab = Lab::with(|s| s.sink = true);
    lab.brokers.create_topic(lab.now, "t", 1);
    let peer = lab.connect(1);
    for base in [0, 2] {
        let answer = lab.ask(peer, &produce("t", Batch::of(&["a", "b"]).bytes(), -1), 9);
        assert_eq!(raw::produced(&answer), (ErrorCode::NONE, base, 0));
    }
    assert!(lab.brokers.records("t").is_empty());
}

#[test]
fn the_same_partition_twice_counts_once() {
    let (mut lab, peer) = lab(&["a"]);
    let mut request = fetch("t", 9);
    request.topics[0].partitions.push(FetchPartition { partition_max_bytes: 1 << 20, ..Default::default() });
    let answer = lab.ask(peer, &request, 11);
    assert_eq!(answer.responses[0].partitions.len(), 1);
    assert_eq!(fetched(&answer).2.len(), size(&["a"]));
}
