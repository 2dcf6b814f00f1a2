//! Requests that no client would send, and runs that repeat exactly.

mod raw;

use klamm_cluster::Api;
use klamm_core::wire::messages::*;
use klamm_core::wire::{Message, Request, Wire};
use raw::{Batch, Lab, fetch, produce};

/// Sends arbitrary values of a request in each of its versions; whatever is answered must be an answer to it.
fn storm<R: Request>(rng: &mut fastrand::Rng) {
    let api = Api::from_key(R::KEY).expect("served");
    let (low, high) = api.versions();
    for version in low..=high {
        let mut lab = Lab::new(2);
        lab.brokers.create_topic(lab.now, "t", 2);
        lab.brokers.move_coordinator(lab.now, "", 1).expect("moves");
        for _ in 0..40 {
            let peer = lab.connect(1);
            let request = R::arbitrary(rng, R::version(version));
            lab.send(peer, &request, version);
            lab.pass(rng.u64(..50));
            lab.answer::<R>(peer, version);
            lab.brokers.hang_up(lab.now, peer);
        }
    }
}

#[test]
fn arbitrary_requests_are_answered_in_their_own_form_or_not_at_all() {
    let mut rng = fastrand::Rng::with_seed(3);
    macro_rules! storms {
        ($( $request:ident )*) => { $( storm::<$request>(&mut rng); )* };
    }
    storms! {
        ApiVersionsRequest CreateAclsRequest CreatePartitionsRequest CreateTopicsRequest DeleteAclsRequest
        DeleteGroupsRequest DeleteRecordsRequest DeleteTopicsRequest DescribeAclsRequest DescribeClusterRequest
        DescribeConfigsRequest DescribeGroupsRequest DescribeTopicPartitionsRequest FetchRequest
        FindCoordinatorRequest HeartbeatRequest IncrementalAlterConfigsRequest InitProducerIdRequest JoinGroupRequest
        LeaveGroupRequest ListGroupsRequest ListOffsetsRequest MetadataRequest OffsetCommitRequest OffsetFetchRequest
        OffsetForLeaderEpochRequest ProduceRequest SyncGroupRequest
        AddOffsetsToTxnRequest AddPartitionsToTxnRequest DescribeProducersRequest DescribeTransactionsRequest
        EndTxnRequest ListTransactionsRequest TxnOffsetCommitRequest WriteTxnMarkersRequest
    }
}

#[test]
fn a_batch_with_any_byte_spoiled_is_refused_or_stored_whole() {
    let good = Batch::of(&["abc", "d"]).by(4, 0, 0).bytes();
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.to_vec();
            bytes[at] ^= 1 << bit;
            let mut lab = Lab::new(1);
            lab.brokers.create_topic(lab.now, "t", 1);
            let peer = lab.connect(1);
            let answer = lab.ask(peer, &produce("t", bytes.into(), -1), 9);
            let code = raw::produced(&answer).0;
            // The leader's epoch in a request is overwritten; everything else is under a check (3.15 to 3.17).
            assert_eq!(code.is_ok(), (12..16).contains(&at), "byte {at} bit {bit}: {code:?}");
            assert_eq!(lab.brokers.records("t").len(), if code.is_ok() { 2 } else { 0 });
        }
    }
}

#[test]
fn the_same_inputs_and_seed_give_the_same_bytes() {
    fn run(seed: u64) -> Vec<Vec<u8>> {
        let mut lab = Lab::with(|s| {
            s.seed = seed;
            s.brokers = 3;
        });
        let mut rng = fastrand::Rng::with_seed(9);
        let mut frames = Vec::new();
        for step in 0..300 {
            let broker = rng.i32(1..4);
            if !lab.brokers.is_up(broker) {
                lab.brokers.start_broker(lab.now, broker);
            }
            let peer = lab.connect(broker);
            match rng.u8(..8) {
                0 => lab.send(peer, &MetadataRequest { topics: None, ..Default::default() }, 12),
                1 => lab.send(peer, &InitProducerIdRequest::default(), 4),
                2 => lab.send(peer, &JoinGroupRequest { group_id: "g".to_owned(), ..arbitrary(&mut rng) }, 9),
                3 => lab.send(
                    peer,
                    &FindCoordinatorRequest { coordinator_keys: vec!["g".to_owned()], ..Default::default() },
                    6,
                ),
                4 => lab.send(peer, &fetch("t", rng.i64(0..5)), 11),
                5 if step % 7 == 0 => lab.brokers.kill_broker(lab.now, broker),
                6 => lab.brokers.create_topic(lab.now, "t", 2),
                _ => lab.send(peer, &produce("t", Batch::of(&["a"]).bytes(), -1), 9),
            }
            lab.pass(rng.u64(..200));
            frames.extend(lab.frame(peer));
        }
        frames
    }
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

fn arbitrary<R: Message>(rng: &mut fastrand::Rng) -> R {
    <R as Wire>::arbitrary(rng, R::version(R::MAX))
}
