//! Transactions by version 1 and 2, as their producers see them (broker-coord 5, broker-data 4 and 5).

mod raw;

use klamm_core::ErrorCode;
use klamm_core::wire::messages::*;
use raw::transact::{identity, init, lab, owner, writes};
use raw::{Batch, fetch, fetched, produce, produced};
use std::time::Duration;

const NONE: ErrorCode = ErrorCode::NONE;
const BUSY: ErrorCode = ErrorCode::CONCURRENT_TRANSACTIONS;
const FENCED: ErrorCode = ErrorCode::PRODUCER_FENCED;
const EPOCH: ErrorCode = ErrorCode::INVALID_PRODUCER_EPOCH;
const STATE: ErrorCode = ErrorCode::INVALID_TXN_STATE;
const MAPPING: ErrorCode = ErrorCode::INVALID_PRODUCER_ID_MAPPING;

#[test]
fn the_coordinator_of_a_transactional_id_is_found_the_second_time_1_1() {
    let mut lab = raw::Lab::new(3);
    let peer = lab.connect(2);
    let find = FindCoordinatorRequest { coordinator_keys: vec!["x".to_owned()], key_type: 1, ..Default::default() };
    assert_eq!(lab.ask(peer, &find, 6).coordinators[0].error_code, ErrorCode::COORDINATOR_NOT_AVAILABLE);
    let found = lab.ask(peer, &find, 6).coordinators.remove(0);
    assert_eq!(found.error_code, NONE);
    let wrong = if found.node_id.0 == 1 { 2 } else { 1 };
    let (right, wrong) = (lab.connect(found.node_id.0), lab.connect(wrong));
    assert_eq!(lab.ask(wrong, &init("x", -1, -1), 5).error_code, ErrorCode::NOT_COORDINATOR);
    assert_eq!(lab.ask(right, &init("x", -1, -1), 5).error_code, NONE);
}

#[test]
fn a_time_out_is_checked_before_anything_else_5_3() {
    let (mut lab, _) = lab(|s| s.brokers = 3);
    for broker in 1..=3 {
        let peer = lab.connect(broker);
        for ms in [0, -1, 900_001] {
            let request = InitProducerIdRequest { transaction_timeout_ms: ms, ..init("x", -1, -1) };
            assert_eq!(lab.ask(peer, &request, 5).error_code, ErrorCode::INVALID_TRANSACTION_TIMEOUT);
        }
    }
}

#[test]
fn init_bumps_the_epoch_and_fences_by_the_name_that_the_version_has_5_3() {
    let (mut lab, peer) = lab(|_| {});
    let first = lab.own(peer);
    assert_eq!(first.epoch, 0);
    assert_eq!(identity(&lab.ask(peer, &init("x", first.producer, 0), 5)), (NONE, first.producer, 1));
    assert_eq!(identity(&lab.ask(peer, &init("x", first.producer, 0), 5)), (NONE, first.producer, 1), "a retry");
    assert_eq!(identity(&lab.ask(peer, &init("x", -1, -1), 5)), (NONE, first.producer, 2));
    assert_eq!(identity(&lab.ask(peer, &init("x", first.producer, 1), 5)), (FENCED, -1, -1));
    assert_eq!(lab.ask(peer, &init("x", first.producer, 1), 3).error_code, EPOCH);
    assert_eq!(lab.ask(peer, &init("x", first.producer + 9, 2), 5).error_code, FENCED);
    assert_eq!(identity(&lab.ask(peer, &init("new", 77, 5), 5)).2, 0, "who is unknown gets what is fresh");
}

#[test]
fn init_over_an_open_transaction_aborts_it_and_costs_two_epochs_5_3() {
    for level in [1, 2] {
        let (mut lab, peer) = lab(|s| s.transaction_version = level);
        let first = lab.own(peer);
        let first = owner(first.producer, lab.ask(peer, &init("x", first.producer, 0), 5).producer_epoch);
        assert_eq!(lab.add(peer, &first, &[0], 3), [NONE]);
        assert_eq!(lab.write(peer, &first, 0, 0, "gone", 11), NONE);
        assert_eq!(lab.ask(peer, &init("x", -1, -1), 5).error_code, BUSY);
        assert_eq!(lab.ask(peer, &init("x", -1, -1), 5).error_code, BUSY, "until the markers are written");
        lab.pass(20);
        assert_eq!(identity(&lab.ask(peer, &init("x", -1, -1), 5)), (NONE, first.producer, 3));
        assert!(lab.values().is_empty());
        assert_eq!(lab.add(peer, &first, &[0], 3), [FENCED]);
        assert_eq!(lab.add(peer, &first, &[0], 1), [EPOCH], "the old name of it");
        assert_eq!(lab.write(peer, &first, 0, 1, "late", 11), EPOCH);
    }
}

#[test]
fn version_1_commits_and_its_marker_comes_later_5_5() {
    let (mut lab, peer) = lab(|s| s.transaction_version = 1);
    let who = lab.own(peer);
    assert_eq!(lab.add(peer, &who, &[0, 1], 3), [NONE, NONE]);
    assert_eq!(lab.add(peer, &who, &[1], 3), [NONE], "again");
    assert_eq!(lab.write(peer, &who, 0, 0, "a", 11), NONE);
    assert_eq!(lab.write(peer, &who, 1, 0, "b", 11), NONE);
    assert_eq!(lab.read_committed(peer, 0).1, 0);
    assert_eq!(lab.end(peer, &who, true, 4), (NONE, -1, -1));
    // The decision is there, the markers are not: readers wait, and so must the next transaction.
    assert_eq!(lab.state(), "PrepareCommit");
    assert_eq!(lab.read_committed(peer, 0).1, 0);
    assert_eq!(lab.add(peer, &who, &[0], 3), [BUSY]);
    assert_eq!(lab.end(peer, &who, true, 4).0, BUSY);
    assert_eq!(lab.end(peer, &who, false, 4).0, BUSY);
    assert_eq!(lab.end(peer, &who.at(5), false, 4).0, FENCED, "version 1 looks at the epoch first");
    lab.pass(20);
    assert_eq!(lab.state(), "CompleteCommit");
    assert_eq!(lab.values(), ["a", "b"]);
    assert_eq!(lab.end(peer, &who, true, 4).0, NONE, "a retry");
    assert_eq!(lab.end(peer, &who, false, 4).0, STATE);
    // The next transaction goes on with the epoch and the sequences.
    assert_eq!(lab.add(peer, &who, &[0], 3), [NONE]);
    assert_eq!(lab.write(peer, &who, 0, 1, "c", 11), NONE);
}

#[test]
fn version_1_without_a_transaction_has_nothing_to_end_5_5() {
    let (mut lab, peer) = lab(|s| s.transaction_version = 1);
    let who = lab.own(peer);
    assert_eq!(lab.end(peer, &who, true, 4).0, STATE);
    assert_eq!(lab.end(peer, &who, false, 4).0, STATE);
    assert_eq!(lab.end(peer, &who.at(1), false, 1).0, EPOCH);
    assert_eq!(lab.end(peer, &owner(who.producer + 1, 0), false, 4).0, MAPPING);
    let stranger = raw::transact::Owner { id: "y".to_owned(), ..who };
    assert_eq!(lab.end(peer, &stranger, false, 4).0, MAPPING);
}

#[test]
fn version_2_enrols_by_writing_and_bumps_the_epoch_with_every_end_5_5() {
    let (mut lab, peer) = lab(|_| {});
    let who = lab.own(peer);
    assert_eq!(lab.write(peer, &who, 0, 0, "a", 13 - 1), NONE);
    assert_eq!(lab.state(), "Ongoing");
    assert_eq!(lab.write(peer, &who, 0, 1, "b", 12), NONE);
    assert_eq!(lab.end(peer, &who, true, 5), (NONE, who.producer, 1));
    assert_eq!(lab.end(peer, &who, true, 5).0, BUSY, "before the epoch is looked at");
    lab.pass(20);
    assert_eq!(lab.end(peer, &who, true, 5), (NONE, who.producer, 1), "the answer was lost");
    assert_eq!(lab.end(peer, &who, false, 5).0, STATE);
    let next = who.at(1);
    assert_eq!(lab.end(peer, &next, true, 5).0, STATE, "there is nothing to commit");
    assert_eq!(lab.write(peer, &who, 0, 2, "late", 12), EPOCH);
    assert_eq!(lab.write(peer, &next, 0, 2, "gap", 12), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(lab.write(peer, &next, 0, 0, "c", 12), NONE);
    assert_eq!(lab.end(peer, &next, false, 5), (NONE, who.producer, 2));
    lab.pass(20);
    assert_eq!(lab.values(), ["a", "b"]);
    assert_eq!(lab.end(peer, &who.at(2), false, 5), (NONE, who.producer, 3), "an abort of nothing bumps as well");
    assert_eq!(lab.end(peer, &who.at(9), false, 5).0, FENCED);
}

#[test]
fn a_write_of_version_2_waits_a_little_for_the_last_transaction_to_be_complete_4_20() {
    let (mut lab, peer) = lab(|s| s.marker_delay = Duration::from_millis(60));
    let who = lab.own(peer);
    assert_eq!(lab.write(peer, &who, 0, 0, "a", 12), NONE);
    assert_eq!(lab.end(peer, &who, true, 5).0, NONE);
    lab.send(peer, &writes(&who.at(1), 0, 0, "b"), 12);
    assert!(lab.answer::<ProduceRequest>(peer, 12).is_none(), "the leader asks again for itself");
    lab.pass(100);
    let answer = lab.answer::<ProduceRequest>(peer, 12).expect("an answer");
    assert_eq!(produced(&answer).0, NONE);
}

#[test]
fn a_write_of_version_2_is_told_51_after_100_ms_4_20() {
    let (mut lab, peer) = lab(|s| s.marker_delay = Duration::from_secs(5));
    let who = lab.own(peer);
    assert_eq!(lab.write(peer, &who, 0, 0, "a", 12), NONE);
    assert_eq!(lab.end(peer, &who, true, 5).0, NONE);
    lab.send(peer, &writes(&who.at(1), 1, 0, "b"), 12);
    lab.pass(99);
    assert!(lab.answer::<ProduceRequest>(peer, 12).is_none());
    lab.pass(2);
    let answer = lab.answer::<ProduceRequest>(peer, 12).expect("an answer");
    assert_eq!(produced(&answer), (BUSY, -1, -1));
    // Version 1 is told to try again, by a code that it knows.
    lab.send(peer, &writes(&who.at(1), 1, 0, "b"), 11);
    let answer = lab.answer::<ProduceRequest>(peer, 11).expect("an answer at once");
    assert_eq!(produced(&answer), (ErrorCode::NOT_ENOUGH_REPLICAS, -1, -1));
}

#[test]
fn a_write_without_enrolment_is_refused_by_the_name_that_the_version_has_5_6() {
    let (mut lab, peer) = lab(|s| s.transaction_version = 1);
    let who = lab.own(peer);
    assert_eq!(lab.write(peer, &who, 0, 0, "a", 10), STATE);
    assert_eq!(lab.write(peer, &who, 0, 0, "a", 11), ErrorCode::TRANSACTION_ABORTABLE);
    assert_eq!(lab.add(peer, &who, &[1], 3), [NONE]);
    assert_eq!(lab.write(peer, &who, 0, 0, "a", 11), ErrorCode::TRANSACTION_ABORTABLE, "another partition");
    assert_eq!(lab.write(peer, &who.at(3), 1, 0, "a", 11), EPOCH, "too high is fenced too");
    assert_eq!(lab.write(peer, &owner(who.producer + 1, 0), 1, 0, "a", 11), MAPPING);
    let nobody = raw::transact::Owner { id: "y".to_owned(), ..who.clone() };
    assert_eq!(lab.write(peer, &nobody, 1, 0, "a", 11), MAPPING);
    assert_eq!(lab.write(peer, &who, 1, 0, "a", 11), NONE);
}

#[test]
fn records_of_two_producers_in_one_request_refuse_all_of_it_3_7() {
    let (mut lab, peer) = lab(|_| {});
    let who = lab.own(peer);
    let mut request = writes(&who, 0, 0, "a");
    let other = writes(&who.at(1), 1, 0, "b").topic_data[0].partition_data.remove(0);
    request.topic_data[0].partition_data.push(other);
    let answer = lab.ask(peer, &request, 12);
    let told: Vec<_> = answer.responses[0].partition_responses.iter().map(|p| p.error_code).collect();
    assert_eq!(told, [MAPPING, MAPPING]);
    assert!(answer.responses[0].partition_responses[0].error_message.is_some());
}

#[test]
fn a_plain_record_of_a_producer_in_a_transaction_is_refused_4_8() {
    let (mut lab, peer) = lab(|_| {});
    let who = lab.own(peer);
    assert_eq!(lab.write(peer, &who, 0, 0, "a", 12), NONE);
    let plain = produce("t", Batch::of(&["b"]).by(who.producer, 0, 1).bytes(), -1);
    assert_eq!(produced(&lab.ask(peer, &plain, 12)).0, STATE);
}

#[test]
fn one_unknown_partition_keeps_all_of_them_out_5_4() {
    let (mut lab, peer) = lab(|_| {});
    let who = lab.own(peer);
    let told = lab.add(peer, &who, &[0, 7], 3);
    assert_eq!(told, [ErrorCode::OPERATION_NOT_ATTEMPTED, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION]);
    assert_eq!(lab.state(), "Empty");
    let inner = lab.ask(peer, &raw::transact::adds(&who, "__consumer_offsets", &[0]), 3);
    let code = inner.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code;
    assert_eq!(code, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
}

#[test]
fn readers_of_committed_records_stop_at_the_last_stable_offset_5_3_and_5_4() {
    let (mut lab, peer) = lab(|_| {});
    let who = lab.own(peer);
    assert_eq!(lab.write(peer, &who, 0, 0, "gone", 12), NONE);
    // What follows an open transaction is held back as well.
    let plain = produce("t", Batch::of(&["plain"]).bytes(), -1);
    assert_eq!(produced(&lab.ask(peer, &plain, 12)).1, 1);
    let (records, stable, aborted) = lab.read_committed(peer, 0);
    assert!(records.is_empty() && aborted.is_empty());
    assert_eq!(stable, 0);
    let anyone = lab.ask(peer, &fetch("t", 0), 11);
    assert!(!fetched(&anyone).2.is_empty());
    assert_eq!(anyone.responses[0].partitions[0].aborted_transactions, None);
    assert_eq!(lab.end(peer, &who, false, 5).0, NONE);
    lab.pass(20);
    let (records, stable, aborted) = lab.read_committed(peer, 0);
    assert_eq!((stable, aborted), (3, vec![(who.producer, 0)]));
    assert!(records.len() > 78, "the aborted record and the marker are in it");
    assert_eq!(lab.read_committed(peer, 2).2, [(who.producer, 0)], "up to its marker");
    assert_eq!(lab.read_committed(peer, 3).2, []);
    assert_eq!(lab.values(), ["plain"]);
}

#[test]
fn aborted_transactions_come_in_the_order_of_their_markers_5_4() {
    let (mut lab, peer) = lab(|_| {});
    let first = lab.own(peer);
    let answer = lab.ask(peer, &init("other", -1, -1), 5);
    let second = raw::transact::Owner { id: "other".to_owned(), ..owner(answer.producer_id, 0) };
    assert_eq!(lab.write(peer, &first, 0, 0, "a", 12), NONE);
    assert_eq!(lab.write(peer, &second, 0, 0, "b", 12), NONE);
    assert_eq!(lab.end(peer, &second, false, 5).0, NONE);
    lab.pass(20);
    assert_eq!(lab.read_committed(peer, 0).1, 0, "the first is still open");
    assert_eq!(lab.end(peer, &first, false, 5).0, NONE);
    lab.pass(20);
    assert_eq!(lab.read_committed(peer, 0).2, [(second.producer, 1), (first.producer, 0)]);
}

#[test]
fn a_fetch_that_waits_for_committed_records_is_woken_by_the_marker_6_20() {
    let (mut lab, peer) = lab(|_| {});
    let who = lab.own(peer);
    assert_eq!(lab.write(peer, &who, 0, 0, "a", 12), NONE);
    let reader = lab.connect(1);
    let request = FetchRequest { isolation_level: 1, ..raw::parked("t", 0, 5_000) };
    lab.send(reader, &request, 11);
    lab.pass(100);
    assert!(lab.answer::<FetchRequest>(reader, 11).is_none());
    assert_eq!(lab.end(peer, &who, true, 5).0, NONE);
    assert!(lab.answer::<FetchRequest>(reader, 11).is_none(), "the decision is no marker");
    lab.pass(20);
    let answer = lab.answer::<FetchRequest>(reader, 11).expect("woken");
    assert!(!fetched(&answer).2.is_empty());
}

#[test]
fn the_end_of_a_partition_is_the_last_stable_offset_to_readers_of_committed_records_7() {
    use klamm_core::wire::messages::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
    let (mut lab, peer) = lab(|_| {});
    let who = lab.own(peer);
    assert_eq!(lab.write(peer, &who, 0, 0, "a", 12), NONE);
    let end = |lab: &mut raw::Lab, isolation_level, timestamp| {
        let partitions = vec![ListOffsetsPartition { timestamp, ..Default::default() }];
        let topics = vec![ListOffsetsTopic { name: "t".to_owned(), partitions }];
        let request = ListOffsetsRequest { isolation_level, topics, ..Default::default() };
        lab.ask(peer, &request, 7).topics[0].partitions[0].offset
    };
    assert_eq!((end(&mut lab, 0, -1), end(&mut lab, 1, -1)), (1, 0));
    assert_eq!((end(&mut lab, 0, 0), end(&mut lab, 1, 0)), (0, -1));
}

#[test]
fn a_transaction_that_lasts_too_long_is_aborted_and_its_producer_fenced_5_6() {
    for level in [1, 2] {
        let (mut lab, peer) = lab(|s| s.transaction_version = level);
        let request = InitProducerIdRequest { transaction_timeout_ms: 500, ..init("x", -1, -1) };
        let who = owner(lab.ask(peer, &request, 5).producer_id, 0);
        assert_eq!(lab.add(peer, &who, &[0], 3), [NONE]);
        assert_eq!(lab.write(peer, &who, 0, 0, "gone", 11), NONE);
        lab.pass(400);
        assert_eq!(lab.add(peer, &who, &[1], 3), [NONE], "this does not prolong it");
        lab.pass(400);
        assert_eq!(lab.state(), "CompleteAbort");
        assert_eq!(lab.brokers.transaction("x").map(|t| t.2), Some(1), "one epoch");
        assert_eq!(lab.add(peer, &who, &[0], 3), [FENCED]);
        assert_eq!(lab.write(peer, &who, 0, 1, "late", 11), EPOCH);
        assert_eq!(lab.end(peer, &who, true, 4).0, FENCED);
        assert!(lab.values().is_empty());
        let again = identity(&lab.ask(peer, &init("x", who.producer, 0), 5));
        if level == 1 {
            assert_eq!(lab.end(peer, &who, false, 4).0, FENCED);
            assert_eq!(again.0, FENCED, "version 1 shuts its owner out");
        } else {
            assert_eq!(again, (NONE, who.producer, 1), "version 2 tells its owner the epoch");
        }
    }
}

#[test]
fn after_a_time_out_version_2_commits_into_an_invalid_state_and_aborts_in_vain_5_5() {
    let (mut lab, peer) = lab(|_| {});
    let request = InitProducerIdRequest { transaction_timeout_ms: 200, ..init("x", -1, -1) };
    let who = owner(lab.ask(peer, &request, 5).producer_id, 0);
    assert_eq!(lab.write(peer, &who, 0, 0, "gone", 12), NONE);
    lab.pass(500);
    assert_eq!(lab.end(peer, &who, true, 5).0, STATE);
    assert_eq!(lab.end(peer, &who, false, 5), (NONE, who.producer, 1));
}

#[test]
fn a_change_that_is_not_replicated_yet_keeps_its_id_busy_and_its_caller_waiting_5_2() {
    let (mut lab, peer) = lab(|s| s.transaction_write = Duration::from_millis(30));
    lab.send(peer, &init("x", -1, -1), 5);
    assert!(lab.answer::<InitProducerIdRequest>(peer, 5).is_none());
    let other = lab.connect(1);
    assert_eq!(lab.ask(other, &init("x", -1, -1), 5).error_code, BUSY);
    lab.pass(40);
    let who = owner(lab.answer::<InitProducerIdRequest>(peer, 5).expect("written").producer_id, 0);
    // A write of version 2 waits for its enrolment.
    lab.send(peer, &writes(&who, 0, 0, "a"), 12);
    assert!(lab.answer::<ProduceRequest>(peer, 12).is_none());
    assert!(lab.brokers.records("t").is_empty());
    lab.pass(40);
    assert_eq!(produced(&lab.answer::<ProduceRequest>(peer, 12).expect("enrolled")).0, NONE);
}

#[test]
fn what_a_coordinator_had_not_replicated_is_lost_with_it_or_not_1_8() {
    let mut fates = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let (mut lab, _) = lab(|s| {
            s.seed = seed;
            s.brokers = 3;
            s.transaction_write = Duration::from_millis(30);
        });
        lab.brokers.move_transaction_coordinator(lab.now, "x", 1).expect("moves");
        let peer = lab.connect(1);
        lab.send(peer, &init("x", -1, -1), 5);
        lab.pass(40);
        let who = owner(lab.answer::<InitProducerIdRequest>(peer, 5).expect("written").producer_id, 0);
        lab.send(peer, &raw::transact::adds(&who, "t", &[0]), 3);
        lab.pass(40);
        lab.answer::<AddPartitionsToTxnRequest>(peer, 3).expect("written");
        lab.send(peer, &raw::transact::ends(&who, true), 5);
        lab.brokers.move_transaction_coordinator(lab.now, "x", 2).expect("moves");
        let told = lab.answer::<EndTxnRequest>(peer, 5).expect("told");
        assert_eq!((told.error_code, told.producer_epoch), (ErrorCode::NOT_COORDINATOR, -1));
        lab.pass(200);
        let state = lab.state();
        fates.insert(state);
        let peer = lab.connect(2);
        lab.send(peer, &raw::transact::ends(&who, true), 5);
        lab.pass(40);
        let told = lab.answer::<EndTxnRequest>(peer, 5).expect("told");
        assert_eq!((told.error_code, told.producer_epoch), (NONE, 1), "a retry ends it either way: {state}");
    }
    assert_eq!(fates.into_iter().collect::<Vec<_>>(), ["CompleteCommit", "Ongoing"]);
}

#[test]
fn a_coordinator_that_crashes_leaves_its_markers_to_the_next_1_8() {
    let (mut lab, _) = lab(|s| {
        s.brokers = 3;
        s.marker_delay = Duration::from_millis(50);
    });
    for partition in [0, 1] {
        lab.brokers.move_leader(lab.now, "t", partition, 2).expect("moves");
    }
    lab.brokers.move_transaction_coordinator(lab.now, "x", 1).expect("moves");
    let (peer, leader) = (lab.connect(1), lab.connect(2));
    let who = lab.own(peer);
    assert_eq!(lab.write(leader, &who, 0, 0, "a", 12), NONE);
    assert_eq!(lab.end(peer, &who, true, 5).0, NONE);
    lab.brokers.kill_broker(lab.now, 1);
    lab.pass(400);
    assert!(lab.values().is_empty(), "nobody writes the marker");
    lab.pass(400);
    assert_eq!(lab.state(), "CompleteCommit");
    assert_eq!(lab.values(), ["a"]);
}

#[test]
fn markers_wait_for_a_leader_that_is_down_5_5() {
    let (mut lab, _) = lab(|s| s.brokers = 2);
    lab.brokers.create_topic_with(lab.now, "alone", 1, 1, &[]);
    lab.brokers.move_transaction_coordinator(lab.now, "x", 2).expect("moves");
    for partition in [0, 1] {
        lab.brokers.move_leader(lab.now, "t", partition, 1).expect("moves");
    }
    let (peer, leader) = (lab.connect(2), lab.connect(1));
    let who = lab.own(peer);
    let mut request = writes(&who, 0, 0, "a");
    request.topic_data[0].name = "alone".to_owned();
    assert_eq!(produced(&lab.ask(leader, &request, 12)).0, NONE);
    lab.brokers.kill_broker(lab.now, 1);
    assert_eq!(lab.end(peer, &who, true, 5).0, NONE);
    lab.pass(3_000);
    assert_eq!(lab.state(), "PrepareCommit");
    assert_eq!(lab.ask(peer, &init("x", -1, -1), 5).error_code, BUSY);
    lab.brokers.start_broker(lab.now, 1);
    lab.pass(100);
    assert_eq!(lab.state(), "CompleteCommit");
    assert_eq!(lab.brokers.committed_records("alone").len(), 1);
}

#[test]
fn a_marker_that_was_not_replicated_is_written_again_by_the_next_leader_5_5() {
    let (mut lab, _) = lab(|s| {
        s.brokers = 3;
        s.replication_lag = Duration::from_millis(200);
    });
    lab.pass(300);
    lab.brokers.move_transaction_coordinator(lab.now, "x", 3).expect("moves");
    lab.brokers.move_leader(lab.now, "t", 0, 1).expect("moves");
    lab.pass(500);
    let (peer, leader) = (lab.connect(3), lab.connect(1));
    let who = lab.own(peer);
    lab.send(leader, &writes(&who, 0, 0, "a"), 12);
    lab.pass(500);
    assert_eq!(produced(&lab.answer::<ProduceRequest>(leader, 12).expect("replicated")).0, NONE);
    assert_eq!(lab.end(peer, &who, true, 5).0, NONE);
    lab.pass(50);
    // The marker lies in the first leader's log only, and goes with it.
    assert_eq!(lab.state(), "PrepareCommit");
    assert_eq!(lab.read_committed(leader, 0).1, 0);
    lab.brokers.kill_broker(lab.now, 1);
    lab.pass(2_000);
    assert_eq!(lab.state(), "CompleteCommit");
    assert_eq!(lab.values(), ["a"]);
}

#[test]
fn an_id_that_nobody_uses_is_forgotten_5_2() {
    let (mut lab, peer) = lab(|s| {
        s.transactional_id_expiration = Duration::from_secs(60);
        s.transactional_id_expiration_check = Duration::from_secs(10);
    });
    let who = lab.own(peer);
    lab.pass(100_000);
    let peer = lab.connect(1);
    assert_eq!(lab.end(peer, &who, false, 5).0, MAPPING);
    let again = lab.own(peer);
    assert_ne!(again.producer, who.producer);
}

#[test]
fn the_transaction_version_of_the_cluster_is_announced_5_1() {
    for level in [0, 1, 2] {
        let (mut lab, peer) = lab(|s| s.transaction_version = level);
        let request = ApiVersionsRequest {
            client_software_name: "raw".to_owned(),
            client_software_version: "1".to_owned(),
            ..Default::default()
        };
        let answer = lab.ask(peer, &request, 3);
        let feature = answer.finalized_features.iter().find(|f| f.name == "transaction.version");
        let levels = feature.map(|f| (f.min_version_level, f.max_version_level));
        assert_eq!(levels, (level > 0).then_some((level, level)), "level 0 is not finalized");
        let serves = |key| answer.api_keys.iter().find(|a| a.api_key.0 == key).map(|a| a.max_version);
        assert_eq!((serves(26), serves(28)), (Some(5), Some(6)), "whatever the level");
    }
}

#[test]
fn two_phase_commit_has_no_time_out_and_is_let_in_by_options_only_kip_939() {
    let two_phase = |keep| InitProducerIdRequest { enable2_pc: true, keep_prepared_txn: keep, ..init("x", -1, -1) };
    let (mut lab, peer) = lab(|s| s.unstable_versions = true);
    assert_eq!(lab.ask(peer, &two_phase(false), 6).error_code, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    for keep_prepared in [false, true] {
        let (mut lab, peer) = raw::transact::lab(|s| {
            s.unstable_versions = true;
            s.two_phase_commit = true;
            s.keep_prepared = keep_prepared;
        });
        let long = InitProducerIdRequest { transaction_timeout_ms: i32::MAX, ..two_phase(false) };
        let first = lab.ask(peer, &long, 6);
        assert_eq!((first.error_code, first.producer_epoch, first.ongoing_txn_producer_id), (NONE, 0, -1));
        let who = owner(first.producer_id, first.producer_epoch);
        assert_eq!(lab.write(peer, &who, 0, 0, "a", 12), NONE);
        lab.pass(3_600_000);
        let peer = lab.connect(1);
        let kept = lab.ask(peer, &two_phase(true), 6);
        if !keep_prepared {
            assert_eq!(kept.error_code, ErrorCode::UNSUPPORTED_VERSION, "as Kafka 4.4");
            assert_eq!(lab.end(peer, &who, true, 5).0, NONE, "an hour later it is still open");
            continue;
        }
        assert_eq!((kept.error_code, kept.producer_id, kept.producer_epoch), (NONE, who.producer, 1));
        assert_eq!((kept.ongoing_txn_producer_id, kept.ongoing_txn_producer_epoch), (who.producer, 0));
        assert_eq!(lab.end(peer, &who, true, 4).0, ErrorCode::PRODUCER_FENCED);
        assert_eq!(lab.end(peer, &who, true, 5).0, ErrorCode::PRODUCER_FENCED);
        assert_eq!(lab.end(peer, &who.at(1), true, 5), (NONE, who.producer, 2));
    }
}
