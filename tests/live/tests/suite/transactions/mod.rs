//! The same hand-built transactional requests to the in-memory cluster and to Apache Kafka: they answer alike.

pub(crate) mod dialogue;
pub(crate) mod peers;
pub(crate) mod wire;

use anyhow::Result;
use dialogue::Dialogue;
use klamm_core::ErrorCode as E;
use klamm_live::{Behaviour, Kind, Target, Version};
use std::thread;
use std::time::Duration;

pub(crate) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::of_harness("transactions_of_version_1_by_hand", version_1).on(is_newest),
    Behaviour::of_harness("transactions_of_version_2_by_hand", version_2).on(is_newest),
    Behaviour::of_harness("fencing_by_hand", fencing).on(is_newest),
    Behaviour::of_harness("offsets_in_transactions_by_hand", offsets).on(is_newest),
    Behaviour::of_harness("transactions_that_last_too_long_by_hand", timeouts).on(is_newest),
    Behaviour::of_harness("descriptions_of_transactions_by_hand", descriptions).on(is_newest),
];

/// The model is one of Kafka 4.4, with the level of features that a new cluster has.
pub(crate) fn is_newest(kind: Kind) -> bool {
    matches!(kind, Kind::Memory | Kind::Real(Version::V4_4_0))
}

const NOBODY: (i64, i16) = (-1, -1);

fn version_1(target: &Target) -> Result<()> {
    let mut d = Dialogue::with(target, "txn-v1")?;
    let (code, who) = d.init(NOBODY, 5)?;
    d.told("init", (code, who.1), (E::NONE, 0));
    let stranger = (who.0 + 1_000_000, 0);
    let high = (who.0, 4);
    let told = d.end_txn(who, true, 4)?.0;
    d.told("commit of nothing", told, E::INVALID_TXN_STATE);
    let told = d.end_txn(who, false, 4)?.0;
    d.told("abort of nothing", told, E::INVALID_TXN_STATE);
    let told = d.write(who, 0, 0, true, 10)?;
    d.told("write v10 without enrolment", told, (E::INVALID_TXN_STATE, -1));
    let told = d.write(who, 0, 0, true, 11)?;
    d.told("write v11 without enrolment", told, (E::TRANSACTION_ABORTABLE, -1));
    let told = d.add(stranger, &[0], 3)?;
    d.told("add by a stranger", told, vec![E::INVALID_PRODUCER_ID_MAPPING]);
    let told = d.add(high, &[0], 3)?;
    d.told("add with an epoch too high", told, vec![E::PRODUCER_FENCED]);
    let told = d.add(high, &[0], 1)?;
    d.told("add v1 with an epoch too high", told, vec![E::INVALID_PRODUCER_EPOCH]);
    let told = d.add(who, &[0, 9], 3)?;
    d.told("add of an unknown one", told, vec![E::OPERATION_NOT_ATTEMPTED, E::UNKNOWN_TOPIC_OR_PARTITION]);
    let told = d.add(who, &[0, 1], 3)?;
    d.told("add", told, vec![E::NONE, E::NONE]);
    let told = d.add_once(who, &[1], 3)?;
    d.told("add again", told, vec![E::NONE]);
    let told = d.write(who, 2, 0, true, 11)?;
    d.told("write elsewhere", told, (E::TRANSACTION_ABORTABLE, -1));
    let told = d.write(high, 0, 0, true, 11)?;
    d.told("write with an epoch too high", told, (E::INVALID_PRODUCER_EPOCH, -1));
    let told = d.write(stranger, 0, 0, true, 11)?;
    d.told("write by a stranger", told, (E::INVALID_PRODUCER_ID_MAPPING, -1));
    let told = d.write(who, 0, 0, true, 11)?;
    d.told("write", told, (E::NONE, 0));
    let told = d.write(who, 0, 0, true, 11)?;
    d.told("write again", told, (E::NONE, 0));
    let told = d.write(who, 0, 1, true, 11)?;
    d.told("write more", told, (E::NONE, 1));
    let told = d.write(who, 0, 3, true, 11)?;
    d.told("write with a gap", told, (E::OUT_OF_ORDER_SEQUENCE_NUMBER, -1));
    let told = d.write(who, 0, 2, false, 11)?;
    d.told("write outside of the transaction", told, (E::INVALID_TXN_STATE, -1));
    let told = d.read(0, 0)?;
    d.told("read while open", told, (2, 0, vec![], 0));
    let told = d.end_once(high, true, 4)?.0;
    d.told("commit with an epoch too high", told, E::PRODUCER_FENCED);
    let told = d.end_once(stranger, true, 4)?.0;
    d.told("commit by a stranger", told, E::INVALID_PRODUCER_ID_MAPPING);
    let told = d.end_once(who, true, 4)?;
    d.told("commit", told, (E::NONE, NOBODY));
    let told = d.settle()?;
    d.told("state", told, "CompleteCommit".to_owned());
    let told = d.read(0, 0)?;
    d.told("read when committed", (told.0, told.1, told.2), (3, 3, vec![]));
    let told = d.read(1, 0)?;
    d.told("a partition without data has its marker", (told.0, told.1, told.3), (1, 1, 78));
    let told = d.end_once(who, true, 4)?.0;
    d.told("commit again", told, E::NONE);
    let told = d.end_once(who, false, 4)?.0;
    d.told("abort what is committed", told, E::INVALID_TXN_STATE);
    let told = d.add(who, &[0], 3)?;
    d.told("the next one", told, vec![E::NONE]);
    let told = d.write(who, 0, 2, true, 11)?;
    d.told("its sequence goes on", told, (E::NONE, 3));
    let told = d.end_once(who, false, 4)?.0;
    d.told("abort", told, E::NONE);
    let told = d.settle()?;
    d.told("state", told, "CompleteAbort".to_owned());
    let told = d.read(0, 0)?;
    d.told("aborted transactions", (told.1, told.2), (5, vec![(who.0, 3)]));
    let told = d.read(0, 4)?;
    d.told("from the marker on", (told.2, told.3), (vec![(who.0, 3)], 78));
    let told = d.read(0, 5)?;
    d.told("behind the marker", (told.2, told.3), (vec![], 0));
    let told = d.end_once(who, false, 4)?.0;
    d.told("abort again", told, E::NONE);
    let told = d.end_once(who, true, 4)?.0;
    d.told("commit what is aborted", told, E::INVALID_TXN_STATE);
    d.end()
}

fn version_2(target: &Target) -> Result<()> {
    let mut d = Dialogue::with(target, "txn-v2")?;
    let (_, who) = d.init(NOBODY, 5)?;
    let at = |epoch| (who.0, epoch);
    let told = d.end_txn(at(0), true, 5)?;
    d.told("commit of nothing", told, (E::INVALID_TXN_STATE, NOBODY));
    let told = d.end_txn(at(0), false, 5)?;
    d.told("abort of nothing", told, (E::NONE, at(1)));
    d.settle()?;
    let told = d.end_txn(at(0), false, 5)?;
    d.told("abort of nothing again", told, (E::NONE, at(1)));
    let told = d.write(at(1), 0, 5, true, 12)?;
    d.told("the first write with a gap", told, (E::OUT_OF_ORDER_SEQUENCE_NUMBER, -1));
    let told = d.write(at(1), 0, 0, true, 12)?;
    d.told("write", told, (E::NONE, 0));
    let told = d.write(at(1), 0, 1, true, 12)?;
    d.told("write more", told, (E::NONE, 1));
    let told = d.end_txn(at(0), true, 5)?.0;
    d.told("commit with the epoch before", told, E::PRODUCER_FENCED);
    let told = d.end_txn((who.0 + 1_000_000, 1), true, 5)?.0;
    d.told("commit by a stranger", told, E::INVALID_PRODUCER_ID_MAPPING);
    let told = d.end_txn(at(1), true, 5)?;
    d.told("commit", told, (E::NONE, at(2)));
    d.settle()?;
    let told = d.end_txn(at(1), true, 5)?;
    d.told("commit again", told, (E::NONE, at(2)));
    let told = d.end_txn(at(1), false, 5)?.0;
    d.told("abort what is committed", told, E::INVALID_TXN_STATE);
    let told = d.end_txn(at(2), true, 5)?.0;
    d.told("commit of nothing after a commit", told, E::INVALID_TXN_STATE);
    let told = d.end_txn(at(9), true, 5)?.0;
    d.told("commit with an epoch too high", told, E::PRODUCER_FENCED);
    let told = d.write(at(1), 0, 2, true, 12)?;
    d.told("write with the epoch before", told, (E::INVALID_PRODUCER_EPOCH, -1));
    let told = d.write(at(2), 0, 2, true, 12)?;
    d.told("the sequence begins anew", told, (E::OUT_OF_ORDER_SEQUENCE_NUMBER, -1));
    let told = d.write(at(2), 0, 0, true, 12)?;
    d.told("write with the next epoch", told, (E::NONE, 3));
    let told = d.end_txn(at(2), false, 5)?;
    d.told("abort", told, (E::NONE, at(3)));
    d.settle()?;
    let told = d.end_txn(at(2), false, 5)?;
    d.told("abort again", told, (E::NONE, at(3)));
    let told = d.end_txn(at(2), true, 5)?.0;
    d.told("commit what is aborted", told, E::INVALID_TXN_STATE);
    let told = d.end_txn(at(3), true, 5)?.0;
    d.told("commit of nothing after an abort", told, E::INVALID_TXN_STATE);
    let told = d.end_txn(at(3), false, 5)?;
    d.told("abort of nothing after an abort", told, (E::NONE, at(4)));
    d.settle()?;
    let told = d.read(0, 0)?;
    d.told("aborted transactions", (told.0, told.1, told.2), (5, 5, vec![(who.0, 3)]));
    // One producer may speak both versions.
    let told = d.add(at(4), &[1], 3)?;
    d.told("add by version 1", told, vec![E::NONE]);
    let told = d.end_txn(at(4), true, 4)?.0;
    d.told("commit by version 1", told, E::NONE);
    d.settle()?;
    let told = d.write(at(4), 1, 0, true, 12)?.0;
    d.told("write by version 2 again", told, E::NONE);
    let told = d.end_txn(at(4), true, 5)?;
    d.told("commit by version 2 again", told, (E::NONE, at(5)));
    d.end()
}

fn fencing(target: &Target) -> Result<()> {
    let mut d = Dialogue::with(target, "txn-fencing")?;
    for ms in [0, -1, 900_001] {
        let told = d.init_once(NOBODY, ms, 5)?.0;
        d.told("a time-out out of range", told, E::INVALID_TRANSACTION_TIMEOUT);
    }
    let told = d.init_once((5, -1), 60_000, 5)?.0;
    d.told("half an identity", told, E::INVALID_REQUEST);
    let (_, who) = d.init((777, 3), 5)?;
    d.told("an unknown identity gets a fresh one", who.1, 0);
    let at = |epoch| (who.0, epoch);
    let told = d.init(at(0), 5)?;
    d.told("its owner", told, (E::NONE, at(1)));
    let told = d.init(at(0), 5)?;
    d.told("its owner, the answer lost", told, (E::NONE, at(1)));
    let told = d.init(NOBODY, 5)?;
    d.told("another", told, (E::NONE, at(2)));
    let told = d.init(at(1), 5)?;
    d.told("the one before", told, (E::PRODUCER_FENCED, NOBODY));
    let told = d.init(at(1), 3)?.0;
    d.told("the one before, by version 3", told, E::INVALID_PRODUCER_EPOCH);
    let told = d.init(at(3), 5)?.0;
    d.told("an epoch too high", told, E::PRODUCER_FENCED);
    let told = d.init((who.0 + 1_000_000, 2), 5)?.0;
    d.told("another id", told, E::PRODUCER_FENCED);
    let told = d.write(at(2), 0, 0, true, 12)?.0;
    d.told("write", told, E::NONE);
    let told = d.init_once(NOBODY, 60_000, 5)?.0;
    d.told("init over an open transaction", told, E::CONCURRENT_TRANSACTIONS);
    let told = d.init(NOBODY, 5)?;
    d.told("when it is aborted", told, (E::NONE, at(4)));
    d.settle()?;
    let told = d.write(at(2), 0, 1, true, 12)?.0;
    d.told("write by who was fenced", told, E::INVALID_PRODUCER_EPOCH);
    let told = d.add(at(2), &[0], 3)?;
    d.told("add by who was fenced", told, vec![E::PRODUCER_FENCED]);
    let told = d.end_txn(at(2), true, 4)?.0;
    d.told("commit by who was fenced", told, E::PRODUCER_FENCED);
    let told = d.end_txn(at(2), true, 1)?.0;
    d.told("commit by who was fenced, by version 1", told, E::INVALID_PRODUCER_EPOCH);
    let told = d.end_txn(at(2), true, 5)?.0;
    d.told("commit by who was fenced, by version 5", told, E::PRODUCER_FENCED);
    let told = d.commit(at(2), 5, -1, 5)?;
    d.told("offsets by who was fenced", told, E::INVALID_PRODUCER_EPOCH);
    let told = d.read(0, 0)?;
    d.told("aborted", told.2, vec![(who.0, 0)]);
    d.end()
}

fn offsets(target: &Target) -> Result<()> {
    let mut d = Dialogue::with(target, "txn-offsets")?;
    let (_, who) = d.init(NOBODY, 5)?;
    let at = |epoch| (who.0, epoch);
    let told = d.commit(at(0), 7, -1, 3)?;
    d.told("v3 without enrolment", told, E::INVALID_TXN_STATE);
    let told = d.commit(at(0), 7, -1, 4)?;
    d.told("v4 without enrolment", told, E::TRANSACTION_ABORTABLE);
    let told = d.add_offsets(at(4), 3)?;
    d.told("enrolment with an epoch too high", told, E::PRODUCER_FENCED);
    let told = d.add_offsets(at(4), 1)?;
    d.told("enrolment v1 with an epoch too high", told, E::INVALID_PRODUCER_EPOCH);
    let told = d.add_offsets(at(0), 3)?;
    d.told("enrolment", told, E::NONE);
    let told = d.commit(at(0), 7, 3, 4)?;
    d.told("a generation of an unknown group", told, E::ILLEGAL_GENERATION);
    let told = d.commit(at(0), 7, -1, 4)?;
    d.told("commit", told, E::NONE);
    let told = d.committed(false)?;
    d.told("not stable", told, (E::NONE, -1));
    let told = d.committed(true)?;
    d.told("stable", told, (E::UNSTABLE_OFFSET_COMMIT, -1));
    let told = d.end_txn(at(0), true, 4)?.0;
    d.told("end", told, E::NONE);
    d.settle()?;
    let told = d.committed(true)?;
    d.told("stable when committed", told, (E::NONE, 7));
    let told = d.commit(at(0), 8, -1, 5)?;
    d.told("v5 enrols by itself", told, E::NONE);
    let told = d.end_txn(at(0), false, 5)?;
    d.told("abort", told, (E::NONE, at(1)));
    d.settle()?;
    let told = d.committed(true)?;
    d.told("stable when aborted", told, (E::NONE, 7));
    let told = d.commit(at(0), 9, -1, 5)?;
    d.told("with the epoch before", told, E::INVALID_PRODUCER_EPOCH);
    let told = d.commit(at(7), 9, -1, 5)?;
    d.told("with an epoch too high", told, E::INVALID_PRODUCER_EPOCH);
    let told = d.commit((who.0 + 1_000_000, 0), 9, -1, 5)?;
    d.told("by a stranger", told, E::INVALID_PRODUCER_ID_MAPPING);
    let told = d.commit(at(1), 9, -1, 5)?;
    d.told("with the next epoch", told, E::NONE);
    d.end()
}

fn timeouts(target: &Target) -> Result<()> {
    let mut d = Dialogue::with(target, "txn-timeouts")?;
    let (_, who) =
        d.until(|told: &(E, dialogue::Identity)| dialogue::is_busy(told.0), |d| d.init_once(NOBODY, 500, 5))?;
    let at = |epoch| (who.0, epoch);
    let told = d.write(at(0), 0, 0, true, 12)?.0;
    d.told("write", told, E::NONE);
    let id = d.id.clone();
    let told = d.until(|told: &(_, String, _, _)| told.1 != "CompleteAbort", |d| d.describe(&id))?;
    d.told("aborted", (told.1.as_str(), told.2), ("CompleteAbort", 1));
    thread::sleep(Duration::from_millis(100));
    let told = d.end_txn(at(0), true, 5)?.0;
    d.told("commit by version 2", told, E::INVALID_TXN_STATE);
    let told = d.end_txn(at(0), false, 5)?;
    d.told("abort by version 2", told, (E::NONE, at(1)));
    let told = d.end_txn(at(0), true, 4)?.0;
    d.told("commit by version 1", told, E::PRODUCER_FENCED);
    let told = d.write(at(0), 0, 1, true, 12)?.0;
    d.told("write", told, E::INVALID_PRODUCER_EPOCH);
    let told = d.add(at(0), &[0], 3)?;
    d.told("add", told, vec![E::PRODUCER_FENCED]);
    let told = d.init(at(0), 5)?;
    d.told("its owner learns the epoch", told, (E::NONE, at(1)));
    d.end()
}

fn descriptions(target: &Target) -> Result<()> {
    use klamm_core::wire::messages::{ListTransactionsRequest, describe_producers::DescribeProducersRequestTopic};
    let mut d = Dialogue::with(target, "txn-told")?;
    let id = d.id.clone();
    let told = d.describe("")?.0;
    d.told("the empty id", told, E::INVALID_REQUEST);
    let told = d.describe("nobody-has-this-id")?.0;
    d.told("an unknown id", told, E::TRANSACTIONAL_ID_NOT_FOUND);
    let (_, who) = d.init(NOBODY, 5)?;
    let told = d.describe(&id)?;
    d.told("empty", told, (E::NONE, "Empty".to_owned(), 0, 0));
    let told = d.write(who, 0, 0, true, 12)?.0;
    d.told("write", told, E::NONE);
    let told = d.commit(who, 5, -1, 5)?;
    d.told("commit", told, E::NONE);
    let told = d.describe(&id)?;
    d.told("ongoing", told, (E::NONE, "Ongoing".to_owned(), 0, 2));
    let topics = vec![DescribeProducersRequestTopic { name: d.topic.clone(), partition_indexes: vec![0] }];
    let request = klamm_core::wire::messages::DescribeProducersRequest { topics };
    let told = d.wire.ask(d.leaders[0], &request, 0)?.topics.remove(0).partitions.remove(0);
    let found: Vec<_> = told
        .active_producers
        .iter()
        .map(|p| (p.producer_id, p.producer_epoch, p.last_sequence, p.coordinator_epoch, p.current_txn_start_offset))
        .collect();
    d.told("its producers", found, vec![(who.0, 0, 0, -1, 0)]);
    let all = ListTransactionsRequest::default;
    let pattern = |p: String| ListTransactionsRequest { transactional_id_pattern: Some(p), ..all() };
    let asked = [
        (ListTransactionsRequest { producer_id_filters: vec![who.0], ..all() }, 0, 1),
        (ListTransactionsRequest { state_filters: vec!["Odd".to_owned()], ..all() }, 0, 0),
        (ListTransactionsRequest { duration_filter: 3_600_000, ..all() }, 1, 0),
        (pattern(id.clone()), 2, 1),
        (pattern(id[..5].to_owned()), 2, 0),
    ];
    for (request, version, count) in asked {
        let told = d.wire.ask(d.coordinator, &request, version)?;
        let found = told.transaction_states.iter().filter(|t| t.transactional_id == id).count();
        d.told(&format!("listed by {request:?}"), found, count);
        d.told("unknown states", told.unknown_state_filters, request.state_filters);
    }
    let told = d.wire.ask(d.coordinator, &pattern("((".to_owned()), 2)?.error_code;
    d.told("a pattern that is none", told, E::INVALID_REGULAR_EXPRESSION);
    d.end()
}
