//! Offsets within transactions, and what is told of transactions (broker-coord 3.4, 5.7).

mod raw;

use klamm_cluster::Peer;
use klamm_core::ErrorCode;
use klamm_core::wire::messages::describe_producers::DescribeProducersRequestTopic;
use klamm_core::wire::messages::describe_transactions::DescribedTransaction;
use klamm_core::wire::messages::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use klamm_core::wire::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use klamm_core::wire::messages::write_txn_markers::{WritableTxnMarker, WritableTxnMarkerTopic};
use klamm_core::wire::messages::*;
use raw::Lab;
use raw::transact::{Owner, commits, init, lab, owner};
use std::time::Duration;

const NONE: ErrorCode = ErrorCode::NONE;

fn commit(lab: &mut Lab, peer: Peer, who: &Owner, offset: i64, version: i16) -> ErrorCode {
    lab.ask(peer, &commits(who, "g", offset), version).topics[0].partitions[0].error_code
}

fn enrol(lab: &mut Lab, peer: Peer, who: &Owner, version: i16) -> ErrorCode {
    let request = AddOffsetsToTxnRequest {
        transactional_id: who.id.clone(),
        producer_id: who.producer,
        producer_epoch: who.epoch,
        group_id: "g".to_owned(),
    };
    lab.ask(peer, &request, version).error_code
}

/// Code and offset of partition 0 of `t` in group `g`.
fn committed(lab: &mut Lab, peer: Peer, require_stable: bool) -> (ErrorCode, i64) {
    let topics =
        vec![OffsetFetchRequestTopics { name: "t".to_owned(), partition_indexes: vec![0], ..Default::default() }];
    let groups = vec![OffsetFetchRequestGroup { group_id: "g".to_owned(), topics: Some(topics), ..Default::default() }];
    let answer = lab.ask(peer, &OffsetFetchRequest { groups, require_stable, ..Default::default() }, 8);
    let p = &answer.groups[0].topics[0].partitions[0];
    (p.error_code, p.committed_offset)
}

fn plain(lab: &mut Lab, peer: Peer, offset: i64) {
    let request = OffsetCommitRequest {
        group_id: "g".to_owned(),
        topics: vec![OffsetCommitRequestTopic {
            name: "t".to_owned(),
            partitions: vec![OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() }],
            ..Default::default()
        }],
        ..Default::default()
    };
    assert_eq!(lab.ask(peer, &request, 9).topics[0].partitions[0].error_code, NONE);
}

#[test]
fn version_1_enrols_the_group_and_the_offset_counts_with_the_marker_3_4() {
    let (mut lab, peer) = lab(|s| s.transaction_version = 1);
    let who = lab.own(peer);
    assert_eq!(commit(&mut lab, peer, &who, 7, 3), ErrorCode::INVALID_TXN_STATE);
    assert_eq!(commit(&mut lab, peer, &who, 7, 4), ErrorCode::TRANSACTION_ABORTABLE);
    assert_eq!(enrol(&mut lab, peer, &who.at(3), 3), ErrorCode::PRODUCER_FENCED);
    assert_eq!(enrol(&mut lab, peer, &who.at(3), 1), ErrorCode::INVALID_PRODUCER_EPOCH);
    assert_eq!(enrol(&mut lab, peer, &who, 3), NONE);
    assert_eq!(commit(&mut lab, peer, &who, 7, 3), NONE);
    assert_eq!(committed(&mut lab, peer, false), (NONE, -1), "the last one that counts");
    assert_eq!(committed(&mut lab, peer, true), (ErrorCode::UNSTABLE_OFFSET_COMMIT, -1));
    assert_eq!(lab.end(peer, &who, true, 4).0, NONE);
    assert_eq!(committed(&mut lab, peer, true).0, ErrorCode::UNSTABLE_OFFSET_COMMIT, "the marker comes later");
    lab.pass(20);
    assert_eq!(committed(&mut lab, peer, true), (NONE, 7));
}

#[test]
fn version_2_enrols_the_group_by_committing_3_4() {
    let (mut lab, peer) = lab(|_| {});
    let who = lab.own(peer);
    assert_eq!(commit(&mut lab, peer, &who, 7, 5), NONE);
    assert_eq!(lab.state(), "Ongoing");
    assert_eq!(lab.end(peer, &who, false, 5), (NONE, who.producer, 1));
    // What is under way is shown as it is; the last epoch is not that of the log any more.
    assert_eq!(commit(&mut lab, peer, &who.at(1), 8, 5), ErrorCode::CONCURRENT_TRANSACTIONS);
    lab.pass(20);
    assert_eq!(committed(&mut lab, peer, true), (NONE, -1), "dropped");
    assert_eq!(commit(&mut lab, peer, &who, 8, 5), ErrorCode::INVALID_PRODUCER_EPOCH);
    assert_eq!(commit(&mut lab, peer, &who.at(4), 8, 5), ErrorCode::INVALID_PRODUCER_EPOCH, "too high");
    assert_eq!(commit(&mut lab, peer, &who.at(1), 8, 5), NONE);
}

#[test]
fn a_plain_commit_that_came_later_stands_3_4() {
    let (mut lab, peer) = lab(|_| {});
    let who = lab.own(peer);
    plain(&mut lab, peer, 1);
    assert_eq!(commit(&mut lab, peer, &who, 7, 5), NONE);
    plain(&mut lab, peer, 2);
    assert_eq!(committed(&mut lab, peer, false), (NONE, 2));
    assert_eq!(lab.end(peer, &who, true, 5).0, NONE);
    lab.pass(20);
    assert_eq!(committed(&mut lab, peer, true), (NONE, 2));
    assert_eq!(commit(&mut lab, peer, &who.at(1), 9, 5), NONE);
    assert_eq!(lab.end(peer, &who.at(1), true, 5).0, NONE);
    lab.pass(20);
    assert_eq!(committed(&mut lab, peer, true), (NONE, 9));
}

#[test]
fn an_offset_in_a_transaction_survives_its_coordinator_3_4() {
    let (mut lab, _) = lab(|s| s.brokers = 3);
    lab.brokers.move_coordinator(lab.now, "g", 1).expect("moves");
    lab.brokers.move_transaction_coordinator(lab.now, "x", 3).expect("moves");
    let (group, txn) = (lab.connect(1), lab.connect(3));
    let who = lab.own(txn);
    assert_eq!(commit(&mut lab, group, &who, 7, 5), NONE);
    lab.brokers.move_coordinator(lab.now, "g", 2).expect("moves");
    let group = lab.connect(2);
    assert_eq!(committed(&mut lab, group, true).0, ErrorCode::UNSTABLE_OFFSET_COMMIT);
    assert_eq!(lab.end(txn, &who, true, 5).0, NONE);
    lab.pass(20);
    assert_eq!(committed(&mut lab, group, true), (NONE, 7));
}

#[test]
fn a_commit_in_a_transaction_says_which_generation_it_means_3_4() {
    let (mut lab, peer) = lab(|_| {});
    let who = lab.own(peer);
    let with = |generation| TxnOffsetCommitRequest {
        generation_id_or_member_epoch: generation,
        member_id: "m".to_owned(),
        ..commits(&who, "g", 7)
    };
    let code = |answer: TxnOffsetCommitResponse| answer.topics[0].partitions[0].error_code;
    assert_eq!(code(lab.ask(peer, &with(3), 5)), ErrorCode::ILLEGAL_GENERATION);
    let id = lab.brokers.topic_id("t").expect("there");
    let mut by_id = with(3);
    by_id.topics[0].topic_id = id;
    assert_eq!(code(lab.ask(peer, &by_id, 6)), ErrorCode::GROUP_ID_NOT_FOUND);
    by_id.topics[0].topic_id = klamm_core::wire::Uuid([7; 16]);
    assert_eq!(code(lab.ask(peer, &by_id, 6)), ErrorCode::UNKNOWN_TOPIC_ID);
    assert_eq!(code(lab.ask(peer, &commits(&who, "g", 7), 5)), NONE, "who does not say makes a simple group");
    assert_eq!(code(lab.ask(peer, &with(3), 5)), ErrorCode::UNKNOWN_MEMBER_ID);
    let mut unknown = commits(&who, "g", 7);
    unknown.topics[0].partitions[0].partition_index = 9;
    assert_eq!(code(lab.ask(peer, &unknown, 5)), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

fn describe(lab: &mut Lab, peer: Peer, id: &str) -> DescribedTransaction {
    let request = DescribeTransactionsRequest { transactional_ids: vec![id.to_owned()] };
    lab.ask(peer, &request, 0).transaction_states.remove(0)
}

#[test]
fn a_transaction_is_described_with_its_partitions_5_7() {
    let (mut lab, peer) = lab(|_| {});
    assert_eq!(describe(&mut lab, peer, "x").error_code, ErrorCode::TRANSACTIONAL_ID_NOT_FOUND);
    assert_eq!(describe(&mut lab, peer, "").error_code, ErrorCode::INVALID_REQUEST);
    let who = lab.own(peer);
    let told = describe(&mut lab, peer, "x");
    assert_eq!((told.transaction_state.as_str(), told.transaction_start_time_ms), ("Empty", -1));
    assert_eq!((told.transaction_timeout_ms, told.producer_id, told.producer_epoch), (60_000, who.producer, 0));
    assert_eq!(lab.write(peer, &who, 1, 0, "a", 12), NONE);
    assert_eq!(commit(&mut lab, peer, &who, 7, 5), NONE);
    let told = describe(&mut lab, peer, "x");
    assert_eq!((told.transaction_state.as_str(), told.transaction_start_time_ms), ("Ongoing", raw::START));
    let topics: Vec<_> = told.topics.iter().map(|t| t.topic.as_str()).collect();
    assert_eq!(topics, ["__consumer_offsets", "t"]);
    assert_eq!(lab.end(peer, &who, true, 5).0, NONE);
    assert_eq!(describe(&mut lab, peer, "x").transaction_state, "PrepareCommit");
    lab.pass(20);
    let told = describe(&mut lab, peer, "x");
    assert_eq!((told.transaction_state.as_str(), told.topics.len()), ("CompleteCommit", 0));
}

#[test]
fn transactions_are_listed_by_state_producer_age_and_pattern_5_7() {
    let (mut lab, peer) = lab(|_| {});
    let who = lab.own(peer);
    lab.ask(peer, &init("order-7", -1, -1), 5);
    assert_eq!(lab.write(peer, &who, 0, 0, "a", 12), NONE);
    lab.pass(1_000);
    let mut list = |request: ListTransactionsRequest, version| {
        let answer = lab.ask(peer, &request, version);
        let ids: Vec<_> = answer.transaction_states.into_iter().map(|t| t.transactional_id).collect();
        (answer.error_code, ids, answer.unknown_state_filters)
    };
    let all = ListTransactionsRequest::default;
    assert_eq!(list(all(), 0).1, ["order-7", "x"]);
    let by_state = ListTransactionsRequest { state_filters: vec!["Ongoing".to_owned(), "Odd".to_owned()], ..all() };
    assert_eq!(list(by_state, 0), (NONE, vec!["x".to_owned()], vec!["Odd".to_owned()]));
    let odd = ListTransactionsRequest { state_filters: vec!["Odd".to_owned()], ..all() };
    assert_eq!(list(odd, 0).1, [""; 0]);
    let by_id = ListTransactionsRequest { producer_id_filters: vec![who.producer], ..all() };
    assert_eq!(list(by_id, 0).1, ["x"]);
    for (ms, found) in [(500, &["x"][..]), (5_000, &[])] {
        assert_eq!(list(ListTransactionsRequest { duration_filter: ms, ..all() }, 1).1, found);
    }
    let pattern = |p: &str| ListTransactionsRequest { transactional_id_pattern: Some(p.to_owned()), ..all() };
    assert_eq!(list(pattern("order-.*"), 2).1, ["order-7"]);
    assert_eq!(list(pattern("order"), 2).1, [""; 0], "all of the id");
    assert_eq!(list(pattern(""), 2).1.len(), 2);
    assert_eq!(list(pattern("(("), 2).0, ErrorCode::INVALID_REGULAR_EXPRESSION);
}

#[test]
fn a_tool_finds_a_transaction_that_hangs_and_ends_it_4_15() {
    let (mut lab, peer) = lab(|s| s.marker_delay = Duration::from_secs(100));
    let who = lab.own(peer);
    assert_eq!(lab.write(peer, &who, 0, 0, "a", 11 + 1), NONE);
    let topics = vec![DescribeProducersRequestTopic { name: "t".to_owned(), partition_indexes: vec![0, 9] }];
    let told = lab.ask(peer, &DescribeProducersRequest { topics }, 0).topics.remove(0).partitions;
    let found = &told[0].active_producers[0];
    assert_eq!((found.producer_id, found.producer_epoch, found.last_sequence), (who.producer, 0, 0));
    assert_eq!((found.current_txn_start_offset, found.coordinator_epoch), (0, -1));
    assert_eq!(told[1].error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let mut mark = |coordinator_epoch, producer_epoch| {
        let marker = WritableTxnMarker {
            producer_id: who.producer,
            producer_epoch,
            transaction_result: false,
            topics: vec![WritableTxnMarkerTopic { name: "t".to_owned(), partition_indexes: vec![0] }],
            coordinator_epoch,
            transaction_version: 0,
        };
        let answer = lab.ask(peer, &WriteTxnMarkersRequest { markers: vec![marker] }, 2);
        answer.markers[0].topics[0].partitions[0].error_code
    };
    assert_eq!(mark(5, 0), NONE);
    assert_eq!(mark(4, 0), ErrorCode::TRANSACTION_COORDINATOR_FENCED);
    assert_eq!(mark(5, -1), ErrorCode::INVALID_PRODUCER_EPOCH);
    assert_eq!(lab.read_committed(peer, 0).2, [(who.producer, 0)]);
    assert!(lab.values().is_empty());
}

#[test]
fn brokers_ask_for_several_transactions_at_once_5_4() {
    use klamm_core::wire::messages::add_partitions_to_txn::{AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction};
    let (mut lab, peer) = lab(|_| {});
    let who = lab.own(peer);
    let one = |who: &Owner, verify_only| AddPartitionsToTxnTransaction {
        transactional_id: who.id.clone(),
        producer_id: who.producer,
        producer_epoch: who.epoch,
        verify_only,
        topics: vec![AddPartitionsToTxnTopic { name: "t".to_owned(), partitions: vec![0] }],
    };
    let mut ask = |transactions, version| {
        let answer = lab.ask(peer, &AddPartitionsToTxnRequest { transactions, ..Default::default() }, version);
        let results = answer.results_by_transaction.into_iter().flat_map(|t| t.topic_results);
        results.flat_map(|t| t.results_by_partition).map(|p| p.partition_error_code).collect::<Vec<_>>()
    };
    assert_eq!(ask(vec![one(&who, true)], 5), [ErrorCode::TRANSACTION_ABORTABLE]);
    assert_eq!(ask(vec![one(&who, true)], 4), [ErrorCode::INVALID_TXN_STATE]);
    let stranger = Owner { id: "y".to_owned(), ..owner(5, 0) };
    let told = ask(vec![one(&who, false), one(&stranger, true)], 5);
    assert_eq!(told, [NONE, ErrorCode::INVALID_PRODUCER_ID_MAPPING]);
    assert_eq!(ask(vec![one(&who, true)], 5), [NONE]);
}
