use super::*;
use crate::ErrorCode;
use crate::client::CommitOffset;

fn starting() -> Transaction {
    Transaction::new("t".into(), Duration::from_secs(60))
}

fn ready() -> Transaction {
    let mut txn = starting();
    txn.renewed();
    txn
}

fn open(protocol: Protocol) -> Transaction {
    let mut txn = ready();
    txn.begin(1);
    assert!(txn.open(protocol));
    txn
}

fn end(generation: u64, commit: bool) -> EndTransaction {
    EndTransaction { generation, commit, trouble: None }
}

fn offsets(generation: u64) -> GroupOffsets {
    let offset = CommitOffset { offset: 7, leader_epoch: -1, metadata: "".into() };
    let left = vec![GroupOffset { place: (TopicIx(0), 0), topic_id: Uuid::ZERO, offset }];
    GroupOffsets { op: OpId(9), generation, group: GroupMeta { group: "g".into(), ..GroupMeta::default() }, left }
}

fn trouble() -> Error {
    Error::from_code(ErrorCode::MESSAGE_TOO_LARGE)
}

const OP: OpId = OpId(1);

#[test]
fn nothing_begins_before_there_is_a_producer_id() {
    let mut txn = starting();
    assert_eq!(txn.next(false), Some(Ask::Init));
    txn.begin(1);
    assert!(!txn.open(Protocol::V2), "not yet");
    assert!(!txn.is_sending());
    txn.renewed();
    assert!(txn.open(Protocol::V2));
    assert!(txn.is_sending());
    assert_eq!(txn.next(true), None);
}

#[test]
fn in_the_first_protocol_partitions_and_groups_are_added_first() {
    let mut txn = open(Protocol::V1);
    txn.waiting.insert(PartitionIx(3));
    txn.offsets.push_back(offsets(1));
    assert_eq!(txn.next(true), Some(Ask::AddPartitions));
    txn.waiting.clear();
    assert_eq!(txn.next(true), Some(Ask::AddOffsets));
    txn.groups.insert("g".into());
    assert_eq!(txn.next(true), Some(Ask::CommitOffsets));
}

#[test]
fn in_the_second_protocol_offsets_go_at_once() {
    let mut txn = open(Protocol::V2);
    txn.offsets.push_back(offsets(1));
    assert_eq!(txn.next(true), Some(Ask::CommitOffsets));
}

#[test]
fn a_commit_waits_for_batches_partitions_and_offsets() {
    let mut txn = open(Protocol::V1);
    txn.touched = true;
    txn.waiting.insert(PartitionIx(3));
    txn.groups.insert("g".into());
    txn.offsets.push_back(offsets(1));
    txn.finish(OP, &end(1, true)).unwrap();
    assert_eq!(txn.next(true), Some(Ask::AddPartitions));
    txn.waiting.clear();
    assert_eq!(txn.next(true), Some(Ask::CommitOffsets));
    txn.offsets.clear();
    assert_eq!(txn.next(true), None, "a batch has no outcome");
    assert_eq!(txn.next(false), Some(Ask::End));
    txn.call = Some(Call { token: 1, ask: Ask::End, partitions: Vec::new(), offsets: None });
    assert_eq!(txn.next(false), None, "one thing at a time");
}

#[test]
fn an_abort_waits_for_what_is_on_the_wire_and_for_nothing_else() {
    let mut txn = open(Protocol::V1);
    txn.touched = true;
    txn.waiting.insert(PartitionIx(3));
    txn.offsets.push_back(offsets(1));
    txn.finish(OP, &end(1, false)).unwrap();
    assert!(!txn.is_sending());
    assert_eq!(txn.next(true), None);
    assert_eq!(txn.next(false), Some(Ask::End));
}

#[test]
fn a_transaction_that_nobody_heard_of_ends_without_a_word() {
    for commit in [true, false] {
        let mut txn = open(Protocol::V2);
        txn.finish(OP, &end(1, commit)).unwrap();
        assert_eq!(txn.next(false), None);
        assert!(!txn.ends_unheard(true));
        assert!(txn.ends_unheard(false));
        assert_eq!(txn.over(false), Some((OP, Ok(()))));
        assert_eq!(txn.state, State::Ready);
    }
    let mut txn = open(Protocol::V2);
    txn.offsets.push_back(offsets(1));
    txn.finish(OP, &end(1, true)).unwrap();
    assert!(!txn.ends_unheard(false), "its offsets are to be committed");
}

#[test]
fn a_failure_turns_a_commit_into_an_abort_and_says_so() {
    let mut txn = open(Protocol::V2);
    txn.touched = true;
    txn.fail(&trouble());
    assert!(!txn.is_sending());
    assert_eq!(txn.next(false), None, "the application ends it");
    txn.finish(OP, &end(1, true)).unwrap();
    assert!(!txn.end.as_ref().unwrap().commit);
    assert_eq!(txn.next(false), Some(Ask::End));
    let (_, result) = txn.over(false).unwrap();
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Aborted);
    assert!(error.to_string().contains("MESSAGE_TOO_LARGE"), "{error}");
    assert!(error.is_retriable() && !error.is_fatal());
}

#[test]
fn a_failure_behind_the_call_of_commit_counts_too() {
    let mut txn = open(Protocol::V2);
    txn.finish(OP, &end(1, true)).unwrap();
    txn.fail(&trouble());
    assert!(!txn.end.as_ref().unwrap().commit);
    assert_eq!(txn.over(false).unwrap().1.unwrap_err().kind(), ErrorKind::Aborted);
}

#[test]
fn a_record_that_failed_in_the_front_poisons_the_commit() {
    let mut txn = open(Protocol::V1);
    txn.finish(OP, &EndTransaction { trouble: Some(trouble()), ..end(1, true) }).unwrap();
    assert!(!txn.end.as_ref().unwrap().commit);
    assert!(txn.ends_unheard(false));
    assert!(txn.over(false).unwrap().1.is_err());
}

#[test]
fn after_a_lost_commit_only_a_commit_may_be_asked_for() {
    let mut txn = open(Protocol::V1);
    txn.touched = true;
    txn.finish(OP, &end(1, true)).unwrap();
    let end = txn.end.as_mut().unwrap();
    (end.asked, end.unknown) = (true, true);
    txn.fail(&trouble());
    assert!(txn.end.as_ref().unwrap().commit, "it may be committed already");
    let fenced = Error::from_code(ErrorCode::PRODUCER_FENCED);
    let told = txn.die(&fenced);
    assert!(told[0].1.is_outcome_unknown() && told[0].1.is_fatal());
}

#[test]
fn a_commit_of_what_the_coordinator_aborted_becomes_an_abort() {
    let mut txn = open(Protocol::V2);
    txn.touched = true;
    txn.finish(OP, &end(1, true)).unwrap();
    txn.end.as_mut().unwrap().unknown = true;
    txn.was_aborted(&Error::from_code(ErrorCode::INVALID_TXN_STATE));
    assert_eq!(txn.next(false), Some(Ask::End));
    assert!(!txn.end.as_ref().unwrap().commit);
    assert_eq!(txn.over(false).unwrap().1.unwrap_err().kind(), ErrorKind::Aborted);
}

#[test]
fn the_next_transaction_opens_when_the_one_before_is_over() {
    let mut txn = open(Protocol::V1);
    txn.offsets.push_back(offsets(2));
    assert_eq!(txn.next(false), None, "offsets of the next one wait for it");
    txn.finish(OP, &end(1, true)).unwrap();
    txn.begin(2);
    assert!(!txn.open(Protocol::V1));
    assert!(txn.refuses(0) && !txn.refuses(1) && !txn.refuses(2));
    assert!(txn.ends_unheard(false));
    txn.over(true);
    assert_eq!((txn.state, txn.next(false)), (State::Bumping, Some(Ask::Init)));
    assert!(!txn.open(Protocol::V1), "its epoch cannot be used");
    txn.renewed();
    assert!(txn.open(Protocol::V1));
    assert_eq!((txn.generation, txn.next(false)), (2, Some(Ask::AddOffsets)));
    assert!(txn.refuses(1) && !txn.refuses(2));
}

#[test]
fn what_is_not_open_cannot_be_ended_and_nothing_is_ended_twice() {
    let mut txn = ready();
    assert!(txn.finish(OP, &end(1, true)).is_err());
    let mut txn = open(Protocol::V1);
    assert!(txn.finish(OP, &end(7, true)).is_err());
    txn.finish(OP, &end(1, true)).unwrap();
    assert!(txn.finish(OP, &end(1, false)).is_err());
}

#[test]
fn everybody_who_waits_hears_of_the_end_of_the_producer() {
    let mut txn = open(Protocol::V1);
    txn.starters.push(OpId(3));
    txn.offsets.push_back(offsets(1));
    txn.finish(OP, &end(1, false)).unwrap();
    let told: Vec<_> = txn.die(&trouble()).into_iter().map(|(op, _)| op).collect();
    assert_eq!(told, [OP, OpId(9), OpId(3)]);
    assert_eq!(txn.next(false), None);
    assert!(txn.refuses(1) && txn.refuses(2));
    txn.begin(2);
    assert!(!txn.open(Protocol::V1));
}

#[test]
fn a_cluster_that_was_upgraded_costs_a_new_epoch() {
    let mut txn = open(Protocol::V1);
    txn.finish(OP, &end(1, true)).unwrap();
    txn.over(false);
    txn.begin(2);
    assert!(!txn.open(Protocol::V2));
    assert_eq!((txn.state, txn.next(false)), (State::Bumping, Some(Ask::Init)));
    txn.renewed();
    assert!(txn.open(Protocol::V2));
    assert_eq!((txn.generation, txn.protocol), (2, Protocol::V2));
}

/// A commit whose EndTxn is on the wire, or was lost.
#[test]
fn what_fails_after_the_end_was_asked_for_makes_no_abort_of_a_commit() {
    for unknown in [false, true] {
        let mut txn = open(Protocol::V2);
        txn.touched = true;
        txn.finish(OP, &end(1, true)).unwrap();
        let asked = txn.end.as_mut().unwrap();
        (asked.asked, asked.unknown) = (true, unknown);
        txn.fail(&trouble());
        assert_eq!(txn.next(false), Some(Ask::End), "it is asked again until it is answered");
        assert!(txn.end.as_ref().unwrap().commit);
        assert_eq!(txn.over(false), Some((OP, Ok(()))));
    }
}
