//! Produce: the order of checks, producer state, the wait for replicas (broker-data 3 and 4).

mod raw;

use bytes::{Bytes, BytesMut};
use klamm_core::ErrorCode;
use klamm_core::wire::messages::produce::{PartitionProduceData, TopicProduceData};
use klamm_core::wire::messages::*;
use raw::{Batch, Lab, START, produce, produced};

fn lab() -> (Lab, klamm_cluster::Peer) {
    let mut lab = Lab::new(1);
    lab.brokers.create_topic(lab.now, "t", 1);
    let peer = lab.connect(1);
    (lab, peer)
}

fn code_of(records: Bytes) -> (ErrorCode, i64, i64) {
    let (mut lab, peer) = lab();
    produced(&lab.ask(peer, &produce("t", records, -1), 9))
}

fn spoiled(at: usize, byte: u8) -> Bytes {
    let mut bytes = BytesMut::from(&Batch::of(&["a"]).bytes()[..]);
    bytes[at] = byte;
    bytes.freeze()
}

#[test]
fn a_malformed_first_batch_fails_every_partition_of_the_request_3_1() {
    let (mut lab, peer) = lab();
    lab.brokers.create_topic(lab.now, "u", 1);
    let mut request = produce("t", Batch::of(&["a"]).bytes(), -1);
    request.topic_data.push(TopicProduceData {
        name: "u".to_owned(),
        partition_data: vec![PartitionProduceData { index: 0, records: Some(spoiled(16, 3)) }],
        ..Default::default()
    });
    let answer = lab.ask(peer, &request, 9);
    for topic in &answer.responses {
        let p = &topic.partition_responses[0];
        assert_eq!((p.error_code, p.base_offset), (ErrorCode::CORRUPT_MESSAGE, -1));
        assert!(p.error_message.is_some());
    }
    assert!(lab.brokers.records("t").is_empty());
}

#[test]
fn a_transactional_batch_needs_a_transactional_id_3_2() {
    let batch = Batch { attributes: 16, ..Batch::of(&["a"]).by(1, 0, 0) };
    assert_eq!(code_of(batch.bytes()).0, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
}

#[test]
fn unknown_topics_and_partitions_are_3_and_unknown_ids_100_3_3_and_3_4() {
    let (mut lab, peer) = lab();
    let batch = Batch::of(&["a"]).bytes();
    let unknown = (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, -1, -1);
    assert_eq!(produced(&lab.ask(peer, &produce("nothing", batch.clone(), -1), 9)), unknown);
    let mut request = produce("t", batch.clone(), -1);
    request.topic_data[0].partition_data[0].index = 7;
    assert_eq!(produced(&lab.ask(peer, &request, 9)), unknown);
    assert_eq!(produced(&lab.ask(peer, &produce("t", batch.clone(), -1), 13)).0, ErrorCode::UNKNOWN_TOPIC_ID);
    let mut request = produce("t", batch, -1);
    request.topic_data[0].topic_id = lab.brokers.topic_id("t").expect("exists");
    let answer = lab.ask(peer, &request, 13);
    assert_eq!(produced(&answer).0, ErrorCode::NONE);
    assert_eq!(answer.responses[0].topic_id, request.topic_data[0].topic_id);
}

#[test]
fn exactly_one_complete_batch_is_taken_and_a_cut_tail_dropped_3_5_and_note_9() {
    let one = Batch::of(&["a"]).bytes();
    assert_eq!(code_of(Bytes::new()), (ErrorCode::INVALID_RECORD, -1, -1));
    assert_eq!(code_of(one.slice(..one.len() - 1)).0, ErrorCode::INVALID_RECORD);
    assert_eq!(code_of([&one[..], &one[..]].concat().into()).0, ErrorCode::INVALID_RECORD);
    assert_eq!(code_of([&one[..], &one[..40]].concat().into()).0, ErrorCode::NONE);
}

#[test]
fn old_messages_are_invalid_records_3_5() {
    assert_eq!(code_of(spoiled(16, 1)).0, ErrorCode::INVALID_RECORD);
}

#[test]
fn acks_must_be_minus_1_0_or_1_3_9() {
    let (mut lab, peer) = lab();
    let answer = lab.ask(peer, &produce("t", Batch::of(&["a"]).bytes(), 2), 9);
    assert_eq!(produced(&answer), (ErrorCode::INVALID_REQUIRED_ACKS, -1, -1));
}

#[test]
fn internal_topics_are_closed_to_producers_3_10() {
    let (mut lab, peer) = lab();
    lab.ask(peer, &FindCoordinatorRequest::default(), 3);
    let answer = lab.ask(peer, &produce("__consumer_offsets", Batch::of(&["a"]).bytes(), 1), 9);
    assert_eq!(produced(&answer).0, ErrorCode::INVALID_TOPIC_EXCEPTION);
}

#[test]
fn a_follower_says_6_and_from_version_10_on_who_leads_3_13_and_note_10() {
    let mut lab = Lab::new(2);
    lab.brokers.create_topic(lab.now, "t", 1);
    let peer = lab.connect(2);
    let answer = lab.ask(peer, &produce("t", Batch::of(&["a"]).bytes(), -1), 9);
    assert_eq!(produced(&answer), (ErrorCode::NOT_LEADER_OR_FOLLOWER, -1, -1));
    assert!(answer.node_endpoints.is_empty());
    let answer = lab.ask(peer, &produce("t", Batch::of(&["a"]).bytes(), -1), 10);
    let p = &answer.responses[0].partition_responses[0];
    assert_eq!((p.current_leader.leader_id.0, p.current_leader.leader_epoch), (1, 0));
    assert_eq!(answer.node_endpoints[0].node_id.0, 1);
}

#[test]
fn under_min_isr_acks_all_is_19_before_the_duplicate_check_and_acks_1_is_invisible_3_14_and_note_3() {
    let mut lab = Lab::new(2);
    lab.brokers.create_topic_with(lab.now, "t", 1, 2, &[("min.insync.replicas", "2")]);
    let peer = lab.connect(1);
    let batch = Batch::of(&["a"]).by(5, 0, 0).bytes();
    assert_eq!(produced(&lab.ask(peer, &produce("t", batch.clone(), -1), 9)).0, ErrorCode::NONE);
    lab.brokers.shrink_isr(lab.now, "t", 0, 2);
    let refused = (ErrorCode::NOT_ENOUGH_REPLICAS, -1, 0);
    assert_eq!(produced(&lab.ask(peer, &produce("t", batch, -1), 9)), refused);
    let next = Batch::of(&["b"]).by(5, 0, 1).bytes();
    assert_eq!(produced(&lab.ask(peer, &produce("t", next, 1), 9)).0, ErrorCode::NONE);
    assert_eq!(lab.brokers.offsets("t", 0), Some((0, 1, 2)));
    lab.brokers.expand_isr(lab.now, "t", 0, 2);
    assert_eq!(lab.brokers.offsets("t", 0), Some((0, 2, 2)));
}

#[test]
fn effective_min_isr_is_no_more_than_the_replicas_note_3() {
    let mut lab = Lab::new(1);
    lab.brokers.create_topic_with(lab.now, "t", 1, 1, &[("min.insync.replicas", "2")]);
    let peer = lab.connect(1);
    assert_eq!(produced(&lab.ask(peer, &produce("t", Batch::of(&["a"]).bytes(), -1), 9)).0, ErrorCode::NONE);
}

#[test]
fn the_batch_is_checked_in_order_3_15_to_3_20() {
    let start = |code| (code, -1, 0);
    let none = |code| (code, -1, -1);
    assert_eq!(code_of(spoiled(7, 1)), start(ErrorCode::INVALID_RECORD), "base offset");
    assert_eq!(code_of(spoiled(66, 0xff)), none(ErrorCode::CORRUPT_MESSAGE), "crc");
    let counted = Batch { count: Some(2), ..Batch::of(&["a"]) };
    assert_eq!(code_of(counted.bytes()), start(ErrorCode::INVALID_RECORD), "count");
    let both = Batch { count: Some(2), last_delta: Some(1), ..Batch::of(&["a"]) };
    assert_eq!(code_of(both.bytes()), start(ErrorCode::INVALID_RECORD), "records present");
    let control = Batch { attributes: 32, ..Batch::of(&["a"]) };
    assert_eq!(code_of(control.bytes()), start(ErrorCode::INVALID_RECORD), "control");
    assert_eq!(code_of(Batch::of(&["a"]).by(1, 0, -1).bytes()), start(ErrorCode::INVALID_RECORD), "sequence");
    let codec = Batch { attributes: 6, ..Batch::of(&["a"]) };
    assert_eq!(code_of(codec.bytes()), start(ErrorCode::UNKNOWN_SERVER_ERROR), "codec");
    let gzip = Batch { attributes: 1, ..Batch::of(&["a"]) };
    assert_eq!(code_of(gzip.around(b"no gzip")), start(ErrorCode::UNKNOWN_SERVER_ERROR), "payload");
}

#[test]
fn zstd_is_refused_before_version_7_3_6() {
    let (mut lab, peer) = lab();
    let zstd = Batch { attributes: 4, ..Batch::of(&["a"]) }.bytes();
    let answer = lab.ask(peer, &produce("t", zstd, -1), 6);
    assert_eq!(produced(&answer).0, ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
}

#[test]
fn a_batch_beyond_max_message_bytes_is_10_and_beyond_segment_bytes_18_3_16_and_3_23() {
    let mut lab = Lab::new(1);
    lab.brokers.create_topic_with(lab.now, "small", 1, 1, &[("max.message.bytes", "100")]);
    lab.brokers.create_topic_with(lab.now, "narrow", 1, 1, &[("segment.bytes", "100")]);
    let peer = lab.connect(1);
    let batch = Batch::of(&[&"x".repeat(200)]).bytes();
    let answer = lab.ask(peer, &produce("small", batch.clone(), -1), 9);
    assert_eq!(produced(&answer), (ErrorCode::MESSAGE_TOO_LARGE, -1, -1));
    let answer = lab.ask(peer, &produce("narrow", batch, -1), 9);
    assert_eq!(produced(&answer), (ErrorCode::RECORD_LIST_TOO_LARGE, -1, -1));
}

#[test]
fn a_bad_record_fails_its_whole_batch_and_a_bad_timestamp_wins_3_21() {
    let mut lab = Lab::new(1);
    lab.brokers.create_topic_with(lab.now, "c", 1, 1, &[("cleanup.policy", "compact")]);
    let peer = lab.connect(1);
    let answer = lab.ask(peer, &produce("c", Batch::of(&["a"]).bytes(), -1), 9);
    let p = &answer.responses[0].partition_responses[0];
    assert_eq!((p.error_code, p.log_start_offset), (ErrorCode::INVALID_RECORD, 0));
    assert_eq!((p.record_errors[0].batch_index, p.error_message.is_some()), (0, true));
    let late = Batch { timestamp: START + 2 * 3_600_000, ..Batch::of(&["a"]) };
    let answer = lab.ask(peer, &produce("c", late.bytes(), -1), 9);
    assert_eq!(produced(&answer).0, ErrorCode::INVALID_TIMESTAMP);
}

#[test]
fn log_append_time_is_told_and_stored_note_6() {
    let mut lab = Lab::new(1);
    lab.brokers.create_topic_with(lab.now, "t", 1, 1, &[("message.timestamp.type", "LogAppendTime")]);
    let peer = lab.connect(1);
    lab.pass(50);
    let answer = lab.ask(peer, &produce("t", Batch::of(&["a"]).bytes(), -1), 9);
    assert_eq!(answer.responses[0].partition_responses[0].log_append_time_ms, START + 50);
    assert_eq!(lab.brokers.records("t")[0].timestamp, START + 50);
    let answer = lab.ask(peer, &raw::fetch("t", 0), 11);
    let records = raw::fetched(&answer).2;
    let crc = klamm_core::record::crc32c(&records[21..]);
    assert_eq!(records[17..21], crc.to_be_bytes());
}

#[test]
fn a_topic_with_a_codec_of_its_own_recompresses_note_11() {
    let mut lab = Lab::new(1);
    lab.brokers.create_topic_with(lab.now, "t", 1, 1, &[("compression.type", "zstd")]);
    let peer = lab.connect(1);
    lab.ask(peer, &produce("t", Batch::of(&["a", "b"]).bytes(), -1), 9);
    let answer = lab.ask(peer, &raw::fetch("t", 0), 11);
    assert_eq!(raw::fetched(&answer).2[22] & 7, 4);
    assert_eq!(lab.brokers.records("t").len(), 2);
}

#[test]
fn a_duplicate_is_answered_with_its_first_offset_and_its_timestamp_4_1_and_note_6() {
    let (mut lab, peer) = lab();
    let batch = |sequence| Batch::of(&["a"]).by(5, 0, sequence).bytes();
    for sequence in 0..3 {
        lab.ask(peer, &produce("t", batch(sequence), -1), 9);
    }
    let answer = lab.ask(peer, &produce("t", batch(1), -1), 9);
    assert_eq!(produced(&answer), (ErrorCode::NONE, 1, 0));
    assert_eq!(answer.responses[0].partition_responses[0].log_append_time_ms, START);
    assert_eq!(lab.brokers.records("t").len(), 3);
    let gap = lab.ask(peer, &produce("t", batch(7), -1), 9);
    assert_eq!(produced(&gap), (ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1, 0));
}

#[test]
fn a_restarted_broker_knows_the_last_batch_of_a_producer_only_4_11() {
    let (mut lab, peer) = lab();
    let batch = |sequence| Batch::of(&["a"]).by(5, 0, sequence).bytes();
    for sequence in 0..3 {
        lab.ask(peer, &produce("t", batch(sequence), -1), 9);
    }
    lab.brokers.kill_broker(lab.now, 1);
    lab.pass(1000);
    lab.brokers.start_broker(lab.now, 1);
    assert_eq!(lab.brokers.leader("t", 0), Some((Some(1), 2)), "two epochs on (5.8)");
    let peer = lab.connect(1);
    assert_eq!(produced(&lab.ask(peer, &produce("t", batch(2), -1), 9)).1, 2);
    let older = lab.ask(peer, &produce("t", batch(1), -1), 9);
    assert_eq!(produced(&older).0, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
}

#[test]
fn a_moved_leader_knows_all_five_batches_4_11() {
    let mut lab = Lab::new(2);
    lab.brokers.create_topic(lab.now, "t", 1);
    let peer = lab.connect(1);
    let batch = |sequence| Batch::of(&["a"]).by(5, 0, sequence).bytes();
    for sequence in 0..5 {
        lab.ask(peer, &produce("t", batch(sequence), -1), 9);
    }
    lab.brokers.move_leader(lab.now, "t", 0, 2).expect("moves");
    let peer = lab.connect(2);
    assert_eq!(produced(&lab.ask(peer, &produce("t", batch(0), -1), 9)), (ErrorCode::NONE, 0, 0));
}

#[test]
fn an_idle_producer_expires_by_the_timestamps_of_its_records_4_14() {
    let (mut lab, peer) = lab();
    let old = Batch { timestamp: START - 24 * 3_600_000, ..Batch::of(&["a"]) };
    lab.ask(peer, &produce("t", old.clone().by(5, 0, 0).bytes(), -1), 9);
    let gap = old.by(5, 0, 9).bytes();
    let refused = lab.ask(peer, &produce("t", gap.clone(), -1), 9);
    assert_eq!(produced(&refused).0, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    lab.pass(600_001);
    let peer = lab.connect(1);
    assert_eq!(produced(&lab.ask(peer, &produce("t", gap, -1), 9)).0, ErrorCode::NONE);
}

#[test]
fn a_wait_that_times_out_is_7_with_the_real_offset_and_is_committed_later_3_27_and_note_2() {
    let mut lab = Lab::new(2);
    lab.brokers.create_topic(lab.now, "t", 1);
    lab.brokers.freeze_replica(lab.now, "t", 0, 2, true);
    let peer = lab.connect(1);
    lab.send(peer, &produce("t", Batch::of(&["a"]).bytes(), -1), 9);
    lab.pass(999);
    assert_eq!(lab.frame(peer), None);
    lab.pass(1);
    let answer = lab.answer::<ProduceRequest>(peer, 9).expect("times out");
    assert_eq!(produced(&answer), (ErrorCode::REQUEST_TIMED_OUT, 0, 0));
    assert_eq!(lab.brokers.offsets("t", 0), Some((0, 0, 1)));
    lab.brokers.freeze_replica(lab.now, "t", 0, 2, false);
    assert_eq!(lab.brokers.offsets("t", 0), Some((0, 1, 1)));
}

#[test]
fn a_write_that_waits_ends_when_the_isr_shrinks_enough_3_26() {
    let mut lab = Lab::new(2);
    lab.brokers.create_topic(lab.now, "t", 1);
    lab.brokers.freeze_replica(lab.now, "t", 0, 2, true);
    let peer = lab.connect(1);
    lab.send(peer, &produce("t", Batch::of(&["a"]).bytes(), -1), 9);
    lab.brokers.shrink_isr(lab.now, "t", 0, 2);
    let answer = lab.answer::<ProduceRequest>(peer, 9).expect("committed by one");
    assert_eq!(produced(&answer).0, ErrorCode::NONE);
}

#[test]
fn a_leader_that_moves_ends_the_wait_with_6_and_the_real_offset_3_28() {
    let mut lab = Lab::new(2);
    lab.brokers.create_topic(lab.now, "t", 1);
    lab.brokers.freeze_replica(lab.now, "t", 0, 2, true);
    let peer = lab.connect(1);
    lab.send(peer, &produce("t", Batch::of(&["a"]).bytes(), -1), 9);
    lab.brokers.move_leader(lab.now, "t", 0, 2).expect("moves");
    let answer = lab.answer::<ProduceRequest>(peer, 9).expect("ends");
    assert_eq!(produced(&answer).0, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert_eq!(produced(&answer).1, 0, "it was appended there");
    assert!(lab.brokers.records("t").is_empty(), "and truncated by the new leader");
}

#[test]
fn a_deleted_topic_ends_the_wait_with_3_and_the_real_offset_3_29() {
    let mut lab = Lab::new(2);
    lab.brokers.create_topic(lab.now, "t", 1);
    lab.brokers.freeze_replica(lab.now, "t", 0, 2, true);
    let peer = lab.connect(1);
    lab.send(peer, &produce("t", Batch::of(&["a"]).bytes(), -1), 9);
    lab.brokers.recreate_topic(lab.now, "t");
    let answer = lab.answer::<ProduceRequest>(peer, 9).expect("ends");
    assert_eq!(produced(&answer), (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, 0, 0));
}

#[test]
fn a_truncated_batch_is_forgotten_by_the_new_leader_4_12() {
    let mut lab = Lab::with(|s| {
        s.brokers = 2;
        s.replication_lag = std::time::Duration::from_millis(100);
    });
    lab.brokers.create_topic(lab.now, "t", 1);
    let peer = lab.connect(1);
    let batch = |sequence| Batch::of(&["a"]).by(5, 0, sequence).bytes();
    lab.send(peer, &produce("t", batch(0), -1), 9);
    lab.pass(200);
    assert!(lab.answer::<ProduceRequest>(peer, 9).is_some());
    assert_eq!(produced(&lab.ask(peer, &produce("t", batch(1), 1), 9)).1, 1);
    lab.brokers.kill_broker(lab.now, 1);
    lab.pass(600);
    assert_eq!(lab.brokers.records("t").len(), 1, "acks=1 was lost with its leader");
    let peer = lab.connect(2);
    let later = lab.ask(peer, &produce("t", batch(2), 1), 9);
    assert_eq!(produced(&later).0, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(produced(&lab.ask(peer, &produce("t", batch(1), 1), 9)).1, 1);
}

#[test]
fn a_producer_id_is_new_each_time_even_for_one_who_has_one_8() {
    let (mut lab, peer) = lab();
    let first = lab.ask(peer, &InitProducerIdRequest::default(), 4);
    let has = InitProducerIdRequest { producer_id: first.producer_id, producer_epoch: 3, ..Default::default() };
    let second = lab.ask(peer, &has, 4);
    assert_eq!((second.error_code, second.producer_epoch), (ErrorCode::NONE, 0));
    assert_ne!(first.producer_id, second.producer_id);
    let half = InitProducerIdRequest { producer_id: 1, ..Default::default() };
    assert_eq!(lab.ask(peer, &half, 4).error_code, ErrorCode::INVALID_REQUEST);
    let empty = InitProducerIdRequest { transactional_id: Some(String::new()), ..Default::default() };
    assert_eq!(lab.ask(peer, &empty, 4).error_code, ErrorCode::INVALID_REQUEST);
}
