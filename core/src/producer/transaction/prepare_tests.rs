//! The states of a prepared transaction, row by row.

use super::super::{Ask, State, Transaction};
use super::*;
use crate::client::{CommitOffset, EndTransaction, GroupMeta};
use crate::producer::transaction::{GroupOffset, GroupOffsets};
use crate::wire::Uuid;
use crate::{PartitionIx, TopicIx};
use std::time::Duration;

const OP: OpId = OpId(1);
const WHO: Identity = Identity { id: 7, epoch: 3 };

fn open(protocol: Protocol) -> Transaction {
    let mut txn = Transaction::new("t".into(), Duration::from_secs(60));
    txn.two_phase = true;
    txn.renewed();
    txn.begin(1);
    assert!(txn.open(protocol));
    txn.touched = true;
    txn
}

fn prepared() -> Transaction {
    let mut txn = open(Protocol::V2);
    txn.prepare(OP, 1).unwrap();
    assert_eq!(txn.rest(WHO), Some(OP));
    txn
}

fn kept() -> Transaction {
    let mut txn = Transaction::new("t".into(), Duration::from_secs(60));
    txn.two_phase = true;
    txn.keep = true;
    txn.await_decision();
    txn
}

fn state(id: i64, epoch: i16) -> Decision {
    Decision::Complete(PreparedTxnState::new(id, epoch))
}

#[test]
fn a_transaction_is_prepared_when_everything_in_it_has_its_outcome_and_without_a_request() {
    let mut txn = open(Protocol::V1);
    txn.waiting.insert(PartitionIx(3));
    let offset = CommitOffset { offset: 7, leader_epoch: -1, metadata: "".into() };
    let left = vec![GroupOffset { place: (TopicIx(0), 0), topic_id: Uuid::ZERO, offset }];
    txn.groups.insert("g".into());
    let group = GroupMeta { group: "g".into(), ..GroupMeta::default() };
    txn.offsets.push_back(GroupOffsets { op: OP, generation: 1, group, left });
    txn.prepare(OP, 1).unwrap();
    assert_eq!((txn.next(true), txn.is_prepared(false)), (Some(Ask::AddPartitions), false));
    txn.waiting.clear();
    assert_eq!((txn.next(true), txn.is_prepared(false)), (Some(Ask::CommitOffsets), false));
    txn.offsets.clear();
    assert!(!txn.is_prepared(true), "a batch has no outcome");
    assert_eq!(txn.next(false), None, "nobody is asked");
    assert!(!txn.ends_unheard(false));
    assert!(txn.is_prepared(false));
}

#[test]
fn a_prepared_transaction_takes_nothing_and_ends_only_by_a_decision() {
    let mut txn = prepared();
    assert!(!txn.is_sending() && txn.refuses(1));
    assert_eq!((txn.next(false), txn.ends_unheard(false)), (None, false));
    for commit in [true, false] {
        assert!(txn.finish(OP, &EndTransaction { generation: 1, commit, trouble: None }).is_err(), "by no other way");
    }
    assert!(txn.prepare(OP, 1).is_err());
    txn.begin(2);
    assert!(!txn.open(Protocol::V2), "and nothing begins before");
}

#[test]
fn it_is_committed_if_it_is_the_one_that_was_decided_on_and_else_aborted() {
    let rows = [
        (Decision::Commit, true),
        (Decision::Abort, false),
        (state(7, 3), true),
        (state(7, 2), false),
        (state(8, 3), false),
        (Decision::Complete(PreparedTxnState::NONE), false),
    ];
    for (decision, commit) in rows {
        let mut txn = prepared();
        assert_eq!(txn.complete(OpId(2), decision), Ok(true));
        assert_eq!(txn.end.as_ref().unwrap().commit, commit, "{decision:?}");
        assert_eq!((txn.next(false), txn.ends_as(Some(WHO))), (Some(Ask::End), Some(WHO)));
        assert_eq!(txn.over(false), Some((OpId(2), Ok(()))));
        assert_eq!((txn.state, txn.prepared), (State::Ready, None));
    }
}

#[test]
fn tx_04_a_completion_that_is_not_answered_leaves_it_prepared_and_asks_the_same_again() {
    let mut txn = prepared();
    txn.complete(OP, Decision::Commit).unwrap();
    txn.end.as_mut().unwrap().unknown = true;
    txn.fail(&Error::from_code(ErrorCode::MESSAGE_TOO_LARGE));
    assert_eq!((txn.state, txn.next(false)), (State::Prepared, Some(Ask::End)));
    assert!(txn.end.as_ref().unwrap().commit && !txn.is_sending());
    assert!(txn.complete(OpId(2), Decision::Abort).is_err(), "and nothing else");
}

#[test]
fn what_failed_before_is_aborted_instead_of_prepared() {
    let mut txn = open(Protocol::V2);
    txn.prepare(OP, 1).unwrap();
    txn.fail(&Error::from_code(ErrorCode::MESSAGE_TOO_LARGE));
    assert!(!txn.is_prepared(false));
    assert_eq!(txn.next(false), Some(Ask::End));
    assert_eq!(txn.over(false).unwrap().1.unwrap_err().kind(), ErrorKind::Aborted);
}

#[test]
fn what_nobody_heard_of_is_prepared_and_ends_without_a_word() {
    let mut txn = prepared();
    txn.touched = false;
    txn.complete(OP, Decision::Commit).unwrap();
    assert_eq!(txn.next(false), None);
    assert!(txn.ends_unheard(false));
}

#[test]
fn one_that_was_found_is_ended_under_the_id_that_came_with_it() {
    let mut txn = Transaction::new("t".into(), Duration::from_secs(60));
    txn.renewed();
    txn.found(WHO);
    assert_eq!(txn.protocol, Protocol::V2);
    assert_eq!(txn.complete(OP, state(7, 3)), Ok(true));
    let ours = Identity { id: 7, epoch: 4 };
    assert_eq!((txn.next(false), txn.ends_as(Some(ours))), (Some(Ask::End), Some(ours)));
}

#[test]
fn without_a_coordinator_that_keeps_the_decision_comes_before_the_producer_id() {
    let mut txn = kept();
    assert_eq!(txn.next(false), None, "InitProducerId would abort it");
    assert!(txn.complete(OP, Decision::Commit).is_err(), "which one?");
    assert_eq!(txn.complete(OP, state(7, 3)), Ok(true));
    assert_eq!((txn.next(false), txn.ends_as(None)), (Some(Ask::End), Some(WHO)));
    txn.end.as_mut().unwrap().commit = false;
    assert_eq!(txn.next(false), Some(Ask::Init), "when it is committed");
    for decision in [Decision::Abort, Decision::Complete(PreparedTxnState::NONE)] {
        let mut txn = kept();
        assert_eq!(txn.complete(OP, decision), Ok(true));
        assert_eq!(txn.next(false), Some(Ask::Init), "which aborts it");
    }
}

#[test]
fn where_nothing_is_prepared_there_is_nothing_to_complete() {
    let mut txn = Transaction::new("t".into(), Duration::from_secs(60));
    assert!(txn.complete(OP, Decision::Abort).is_err(), "it has no producer id");
    txn.renewed();
    assert_eq!(txn.complete(OP, state(7, 3)), Ok(false), "KIP-939: no-op");
    txn.begin(1);
    txn.open(Protocol::V2);
    assert!(txn.complete(OP, state(7, 3)).is_err());
}
