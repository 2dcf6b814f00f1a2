//! Faults of chosen requests, and the honesty of what the logs then hold.

mod raw;

use klamm_cluster::{Api, Peer};
use klamm_core::ErrorCode;
use klamm_core::wire::messages::*;
use raw::{Batch, Lab, fetch, fetched, produce, produced};
use std::time::Duration;

fn lab() -> (Lab, Peer) {
    let mut lab = Lab::new(1);
    lab.brokers.create_topic(lab.now, "t", 1);
    let peer = lab.connect(1);
    (lab, peer)
}

fn one() -> ProduceRequest {
    produce("t", Batch::of(&["a"]).bytes(), -1)
}

#[test]
fn an_error_before_apply_writes_nothing_and_strikes_once() {
    let (mut lab, peer) = lab();
    lab.brokers.fault(Api::Produce).error(6);
    assert_eq!(produced(&lab.ask(peer, &one(), 9)), (ErrorCode::NOT_LEADER_OR_FOLLOWER, -1, -1));
    assert!(lab.brokers.records("t").is_empty());
    assert_eq!(produced(&lab.ask(peer, &one(), 9)).0, ErrorCode::NONE);
}

#[test]
fn every_error_can_come_after_the_append() {
    for code in [3, 6, 7, 20, 56, -1, 19, 2] {
        let (mut lab, peer) = lab();
        lab.brokers.fault(Api::Produce).error_after_apply(code);
        let (got, base, _) = produced(&lab.ask(peer, &one(), 9));
        assert_eq!(got, ErrorCode(code));
        assert_eq!(base, if [3, 6, 7, 20, 56].contains(&code) { 0 } else { -1 }, "code {code}");
        assert_eq!(lab.brokers.records("t").len(), 1, "code {code}");
    }
}

#[test]
fn a_missing_partition_and_a_truncated_answer_hide_an_append() {
    let (mut lab, peer) = lab();
    lab.brokers.fault(Api::Produce).omit_after_apply();
    assert!(lab.ask(peer, &one(), 9).responses.is_empty());
    lab.brokers.fault(Api::Produce).truncate_after_apply();
    lab.send(peer, &one(), 9);
    let cut = lab.frame(peer).expect("a whole frame");
    assert!(cut.len() >= 4 && cut.len() < 30, "{} bytes", cut.len());
    assert_eq!(lab.brokers.records("t").len(), 2);
}

#[test]
fn a_connection_breaks_before_or_after_the_append() {
    let (mut lab, peer) = lab();
    lab.brokers.fault(Api::Produce).disconnect();
    lab.send(peer, &one(), 9);
    assert!(lab.is_closed(peer) && lab.brokers.records("t").is_empty());
    let peer = lab.connect(1);
    lab.brokers.fault(Api::Produce).disconnect_after_apply();
    lab.send(peer, &one(), 9);
    assert!(lab.is_closed(peer));
    assert_eq!((lab.frame(peer), lab.brokers.records("t").len()), (None, 1));
}

#[test]
fn acks_0_can_break_its_connection_after_the_append_too() {
    let (mut lab, peer) = lab();
    lab.brokers.fault(Api::Produce).disconnect_after_apply();
    lab.send(peer, &produce("t", Batch::of(&["a"]).bytes(), 0), 9);
    assert!(lab.is_closed(peer));
    assert_eq!(lab.brokers.records("t").len(), 1);
}

#[test]
fn silence_leaves_the_connection_open_and_unread() {
    for apply in [false, true] {
        let (mut lab, peer) = lab();
        let fault = lab.brokers.fault(Api::Produce);
        if apply {
            fault.silence_after_apply()
        } else {
            fault.silence()
        }
        lab.send(peer, &one(), 9);
        lab.send(peer, &MetadataRequest::default(), 9);
        lab.pass(60_000);
        assert!(!lab.is_closed(peer));
        assert_eq!((lab.frame(peer), lab.brokers.records("t").len()), (None, usize::from(apply)));
    }
}

#[test]
fn a_delay_before_apply_holds_the_request_and_one_after_it_the_answer() {
    for (before, written) in [(true, 0), (false, 1)] {
        let (mut lab, peer) = lab();
        let fault = lab.brokers.fault(Api::Produce);
        let by = Duration::from_millis(300);
        if before {
            fault.delay_before_apply(by)
        } else {
            fault.delay(by)
        }
        lab.send(peer, &one(), 9);
        lab.pass(299);
        assert_eq!((lab.frame(peer), lab.brokers.records("t").len()), (None, written));
        lab.pass(1);
        let answer = lab.answer::<ProduceRequest>(peer, 9).expect("answered");
        assert_eq!((produced(&answer).0, lab.brokers.records("t").len()), (ErrorCode::NONE, 1));
    }
}

#[test]
fn corrupt_records_fail_their_checksum_once_and_the_log_stays_whole() {
    let (mut lab, peer) = lab();
    lab.ask(peer, &one(), 9);
    lab.brokers.fault(Api::Fetch).corrupt_records();
    let good = |records: &[u8]| klamm_core::record::crc32c(&records[21..]).to_be_bytes() == records[17..21];
    assert!(!good(&fetched(&lab.ask(peer, &fetch("t", 0), 11)).2));
    assert!(good(&fetched(&lab.ask(peer, &fetch("t", 0), 11)).2));
}

#[test]
fn a_fault_chooses_its_broker_its_topic_and_its_turn() {
    let mut lab = Lab::new(2);
    lab.brokers.create_topic(lab.now, "t", 1);
    lab.brokers.create_topic(lab.now, "u", 1);
    let peer = lab.connect(1);
    lab.brokers.fault(Api::Produce).on_topic("u").error(6);
    lab.brokers.fault(Api::Metadata).on_broker(2).disconnect();
    lab.brokers.fault(Api::Fetch).after(1).times(2).error(6);
    assert_eq!(produced(&lab.ask(peer, &one(), 9)).0, ErrorCode::NONE);
    let other = produce("u", Batch::of(&["a"]).bytes(), -1);
    assert_eq!(produced(&lab.ask(peer, &other, 9)).0, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    lab.ask(peer, &MetadataRequest::default(), 9);
    let codes: Vec<i16> = (0..4).map(|_| fetched(&lab.ask(peer, &fetch("t", 0), 11)).0.0).collect();
    assert_eq!(codes, [0, 6, 6, 0]);
    let peer = lab.connect(2);
    lab.send(peer, &MetadataRequest::default(), 9);
    assert!(lab.is_closed(peer));
}

#[test]
fn a_share_of_requests_is_drawn_from_the_seed() {
    let struck = |seed: u64| {
        let mut lab = Lab::with(|s| s.seed = seed);
        lab.brokers.create_topic(lab.now, "t", 1);
        let peer = lab.connect(1);
        lab.brokers.fault(Api::Produce).always().one_in(4).error(7);
        (0..64).map(|_| produced(&lab.ask(peer, &one(), 9)).0.0).collect::<Vec<_>>()
    };
    assert_eq!(struck(1), struck(1));
    assert_ne!(struck(1), struck(2));
    let hits = struck(1).iter().filter(|code| **code == 7).count();
    assert!((4..32).contains(&hits), "{hits}");
}

#[test]
fn every_api_can_be_refused_in_every_version() {
    let mut lab = Lab::new(1);
    lab.brokers.fault_any().always().error(-1);
    macro_rules! refuse {
        ($( $request:ident $({ $field:ident })? )*) => { $(
            let api = Api::from_key(<$request as klamm_core::wire::Request>::KEY).expect("served");
            let (low, high) = api.versions();
            for version in low..=high {
                let peer = lab.connect(1);
                // A list that may not be null in old versions is empty.
                lab.ask(peer, &$request { $( $field: (version < 8).then(Vec::new), )? ..Default::default() }, version);
            }
        )* };
    }
    refuse! {
        CreateAclsRequest CreatePartitionsRequest CreateTopicsRequest DeleteAclsRequest DeleteGroupsRequest
        DeleteRecordsRequest DeleteTopicsRequest DescribeAclsRequest DescribeClusterRequest DescribeConfigsRequest
        DescribeGroupsRequest DescribeTopicPartitionsRequest FetchRequest FindCoordinatorRequest HeartbeatRequest
        IncrementalAlterConfigsRequest InitProducerIdRequest JoinGroupRequest LeaveGroupRequest ListGroupsRequest
        ListOffsetsRequest MetadataRequest { topics } OffsetCommitRequest OffsetFetchRequest { topics }
        OffsetForLeaderEpochRequest ProduceRequest SyncGroupRequest ApiVersionsRequest
        AddOffsetsToTxnRequest AddPartitionsToTxnRequest DescribeProducersRequest DescribeTransactionsRequest
        EndTxnRequest ListTransactionsRequest TxnOffsetCommitRequest WriteTxnMarkersRequest
    }
    lab.brokers.clear_faults();
    let peer = lab.connect(1);
    assert_eq!(lab.ask(peer, &MetadataRequest::default(), 12).brokers.len(), 1);
}
