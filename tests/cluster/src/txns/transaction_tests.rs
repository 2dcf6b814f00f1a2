//! The tables of broker-coord 5.3 to 5.5, row by row.

use super::*;

const NOW: Time = Time(5_000);
const AT: Moment = Moment { mono: NOW, wall: 77 };
const LIMIT: Duration = Duration::from_secs(60);

fn made(phase: Phase, epoch: i16, last_epoch: i16) -> Transaction {
    let mut made = Transaction::new(by(9, 0), LIMIT, NOW);
    made.phase = phase;
    made.identity.epoch = epoch;
    made.last_epoch = last_epoch;
    made
}

fn by(id: i64, epoch: i16) -> Identity {
    Identity { id, epoch }
}

fn init(t: &Transaction, given: Option<Identity>) -> Result<(Identity, i16), ErrorCode> {
    match t.init(given, LIMIT, || 100, true, NOW)? {
        Init::Ready(next) => {
            assert_eq!(next.phase, Phase::Empty);
            assert!(next.partitions.is_empty());
            Ok((next.identity, next.last_epoch))
        }
        Init::Abort(_) => panic!("nothing is open"),
    }
}

const RESTING: [Phase; 3] = [Phase::Empty, Phase::CompleteCommit, Phase::CompleteAbort];

#[test]
fn init_by_another_bumps_the_epoch_and_forgets_the_last_one() {
    for phase in RESTING {
        assert_eq!(init(&made(phase, 3, 2), None), Ok((by(9, 4), -1)));
    }
}

#[test]
fn init_by_its_owner_bumps_the_epoch_and_remembers_the_last_one() {
    for phase in RESTING {
        assert_eq!(init(&made(phase, 3, 2), Some(by(9, 3))), Ok((by(9, 4), 3)));
    }
}

#[test]
fn init_by_its_owner_again_gets_the_epoch_that_it_missed() {
    for phase in RESTING {
        assert_eq!(init(&made(phase, 3, 2), Some(by(9, 2))), Ok((by(9, 3), 2)));
    }
}

#[test]
fn init_with_any_other_identity_is_fenced() {
    for phase in RESTING {
        for given in [by(9, 0), by(9, 1), by(9, 4), by(8, 3)] {
            assert_eq!(init(&made(phase, 3, 2), Some(given)), Err(ErrorCode::PRODUCER_FENCED), "{given:?}");
        }
    }
}

#[test]
fn init_waits_while_markers_are_written() {
    for phase in [Phase::PrepareCommit, Phase::PrepareAbort] {
        assert_eq!(made(phase, 3, 2).init(None, LIMIT, || 1, true, NOW), Err(ErrorCode::CONCURRENT_TRANSACTIONS));
        let stranger = made(phase, 3, 2).init(Some(by(8, 3)), LIMIT, || 1, true, NOW);
        assert_eq!(stranger, Err(ErrorCode::PRODUCER_FENCED), "the id comes first");
    }
}

#[test]
fn init_over_an_open_transaction_aborts_it_whatever_the_epoch() {
    for given in [None, Some(by(9, 3)), Some(by(9, 0)), Some(by(9, 12))] {
        let Ok(Init::Abort(next)) = made(Phase::Ongoing, 3, 2).init(given, LIMIT, || 1, true, NOW) else {
            panic!("{given:?}")
        };
        assert_eq!((next.phase, next.identity, next.last_epoch), (Phase::PrepareAbort, by(9, 4), 3));
    }
    let Ok(Init::Abort(next)) = made(Phase::Ongoing, 3, 2).init(None, LIMIT, || 1, false, NOW) else { panic!() };
    assert_eq!((next.identity, next.last_epoch), (by(9, 4), -1), "version 1 leaves the old owner outside");
}

#[test]
fn an_epoch_that_is_used_up_brings_another_producer_id() {
    let worn = made(Phase::Empty, LAST_EPOCH, 5);
    assert_eq!(init(&worn, None), Ok((by(100, 0), -1)));
    assert_eq!(init(&worn, Some(by(9, LAST_EPOCH))), Ok((by(100, 0), LAST_EPOCH)));
    let Ok(Init::Ready(next)) = worn.init(Some(by(9, LAST_EPOCH)), LIMIT, || 100, true, NOW) else { panic!() };
    assert_eq!(init(&next, Some(by(9, LAST_EPOCH))), Ok((by(100, 0), LAST_EPOCH)), "the retry of the former id");
    assert_eq!(init(&next, Some(by(9, 4))), Err(ErrorCode::PRODUCER_FENCED));
}

#[test]
fn partitions_are_added_in_any_state_but_while_markers_are_written() {
    let place = vec![("t".to_owned(), 0)];
    for phase in RESTING {
        let next = made(phase, 3, 2).add(by(9, 3), &place, AT).expect("added").expect("changed");
        assert_eq!((next.phase, next.start), (Phase::Ongoing, Some(AT)));
        let later = Moment { wall: 99, ..AT };
        assert_eq!(next.add(by(9, 3), &place, later), Ok(None), "it has it");
        let more = next.add(by(9, 3), &[("t".to_owned(), 1)], later).expect("added").expect("changed");
        assert_eq!((more.partitions.len(), more.start), (2, Some(AT)), "the time runs from the first");
    }
    for phase in [Phase::PrepareCommit, Phase::PrepareAbort] {
        assert_eq!(made(phase, 3, 2).add(by(9, 3), &place, AT), Err(ErrorCode::CONCURRENT_TRANSACTIONS));
    }
}

#[test]
fn partitions_are_added_by_the_present_identity_only() {
    let open = made(Phase::Ongoing, 3, 2);
    assert_eq!(open.add(by(8, 3), &[], AT), Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING));
    assert_eq!(open.add(by(9, 2), &[], AT), Err(ErrorCode::PRODUCER_FENCED));
    assert_eq!(open.add(by(9, 4), &[], AT), Err(ErrorCode::PRODUCER_FENCED), "too high is fenced too");
}

#[test]
fn a_leader_learns_partition_by_partition_what_belongs_to_a_transaction() {
    let mut open = made(Phase::Ongoing, 3, 2);
    open.partitions.insert(("t".to_owned(), 0));
    let places = [("t".to_owned(), 0), ("t".to_owned(), 1)];
    let told = open.verify(by(9, 3), &places);
    assert_eq!(told, Ok(vec![ErrorCode::NONE, ErrorCode::TRANSACTION_ABORTABLE]));
    assert_eq!(open.verify(by(9, 4), &places), Err(ErrorCode::PRODUCER_FENCED));
    assert_eq!(open.verify(by(1, 3), &places), Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING));
    let ending = made(Phase::PrepareCommit, 3, 2);
    assert_eq!(ending.verify(by(9, 3), &places), Err(ErrorCode::CONCURRENT_TRANSACTIONS));
}

/// The code of an EndTxn by version 1.
fn end_v1(phase: Phase, commit: bool) -> ErrorCode {
    made(phase, 3, 2).end_v1(commit, NOW).err().unwrap_or(ErrorCode::NONE)
}

#[test]
fn the_table_of_end_txn_version_1() {
    use ErrorCode as E;
    let rows = [
        (Phase::Ongoing, E::NONE, E::NONE),
        (Phase::CompleteCommit, E::NONE, E::INVALID_TXN_STATE),
        (Phase::CompleteAbort, E::INVALID_TXN_STATE, E::NONE),
        (Phase::PrepareCommit, E::CONCURRENT_TRANSACTIONS, E::INVALID_TXN_STATE),
        (Phase::PrepareAbort, E::INVALID_TXN_STATE, E::CONCURRENT_TRANSACTIONS),
        (Phase::Empty, E::INVALID_TXN_STATE, E::INVALID_TXN_STATE),
    ];
    for (phase, commit, abort) in rows {
        assert_eq!((end_v1(phase, true), end_v1(phase, false)), (commit, abort), "{phase:?}");
    }
}

#[test]
fn version_1_keeps_the_epoch() {
    let Ok(End::Begin(next, identity)) = made(Phase::Ongoing, 3, 2).end_v1(true, NOW) else { panic!() };
    assert_eq!((next.phase, next.identity, identity), (Phase::PrepareCommit, by(9, 3), by(9, 3)));
    assert_eq!(next.completed(NOW).phase, Phase::CompleteCommit);
}

/// The code of an EndTxn by version 2 with the present epoch, with the one before it, and with another.
fn end_v2(phase: Phase, commit: bool) -> [ErrorCode; 3] {
    let mut made = made(phase, 3, 2);
    made.v2 = true;
    [3, 2, 1].map(|epoch| made.end_v2(by(9, epoch), commit, || 100, NOW).err().unwrap_or(ErrorCode::NONE))
}

#[test]
fn the_table_of_end_txn_version_2() {
    use ErrorCode as E;
    let (ok, fenced, state) = (E::NONE, E::PRODUCER_FENCED, E::INVALID_TXN_STATE);
    let wait = E::CONCURRENT_TRANSACTIONS;
    let rows = [
        (Phase::Ongoing, [ok, fenced, fenced], [ok, fenced, fenced]),
        (Phase::Empty, [state, fenced, fenced], [ok, fenced, fenced]),
        (Phase::CompleteCommit, [state, ok, fenced], [ok, state, fenced]),
        (Phase::CompleteAbort, [state, state, fenced], [ok, ok, fenced]),
        (Phase::PrepareCommit, [fenced, wait, fenced], [fenced, state, fenced]),
        (Phase::PrepareAbort, [fenced, state, fenced], [fenced, wait, fenced]),
    ];
    for (phase, commit, abort) in rows {
        assert_eq!((end_v2(phase, true), end_v2(phase, false)), (commit, abort), "{phase:?}");
    }
    let stranger = made(Phase::Ongoing, 3, 2).end_v2(by(8, 3), true, || 100, NOW);
    assert_eq!(stranger, Err(E::INVALID_PRODUCER_ID_MAPPING));
}

#[test]
fn version_2_bumps_the_epoch_and_says_so() {
    let Ok(End::Begin(next, identity)) = made(Phase::Ongoing, 3, 2).end_v2(by(9, 3), true, || 100, NOW) else {
        panic!()
    };
    assert_eq!((next.phase, next.identity, identity), (Phase::PrepareCommit, by(9, 4), by(9, 4)));
    let done = next.completed(NOW);
    assert_eq!(done.end_v2(by(9, 3), true, || 100, NOW), Ok(End::Done(by(9, 4))), "the answer was lost");
}

#[test]
fn version_2_rotates_the_producer_id_behind_the_last_epoch() {
    let worn = made(Phase::Ongoing, LAST_EPOCH, LAST_EPOCH - 1);
    let Ok(End::Begin(next, identity)) = worn.end_v2(by(9, LAST_EPOCH), true, || 100, NOW) else { panic!() };
    assert_eq!(identity, by(100, 0));
    assert_eq!(next.identity, by(9, i16::MAX), "the markers carry the last epoch of all");
    let done = next.completed(NOW);
    assert_eq!(done.identity, by(100, 0));
    assert_eq!(done.end_v2(by(9, LAST_EPOCH), true, || 0, NOW), Ok(End::Done(by(100, 0))), "the answer was lost");
}

#[test]
fn an_abort_without_a_transaction_writes_no_markers_again() {
    let mut done = made(Phase::CompleteCommit, 3, 2);
    done.partitions.insert(("t".to_owned(), 0));
    let Ok(End::Begin(next, _)) = done.end_v2(by(9, 3), false, || 100, NOW) else { panic!() };
    assert!(next.partitions.is_empty());
}

#[test]
fn after_a_time_out_a_commit_by_version_2_is_an_invalid_state_and_an_abort_looks_like_a_retry() {
    let gone = made(Phase::Ongoing, 3, 2).fenced(true, NOW).completed(NOW);
    assert_eq!(gone.end_v2(by(9, 3), true, || 100, NOW), Err(ErrorCode::INVALID_TXN_STATE));
    assert_eq!(gone.end_v2(by(9, 3), false, || 100, NOW), Ok(End::Done(by(9, 4))));
    assert_eq!(init(&gone, Some(by(9, 3))), Ok((by(9, 4), 3)), "its owner learns the epoch");
    let gone = made(Phase::Ongoing, 3, 2).fenced(false, NOW).completed(NOW);
    assert_eq!(init(&gone, Some(by(9, 3))), Err(ErrorCode::PRODUCER_FENCED));
}

#[test]
fn a_transaction_is_overdue_behind_its_timeout_and_not_at_it() {
    let mut open = made(Phase::Ongoing, 3, 2);
    open.start = Some(AT);
    assert!(!open.is_overdue(NOW + LIMIT));
    assert!(open.is_overdue(NOW + LIMIT + Duration::from_millis(1)));
    open.phase = Phase::Empty;
    assert!(!open.is_overdue(NOW + LIMIT + LIMIT));
}

fn kept(t: &Transaction, given: Option<Identity>) -> Result<Transaction, ErrorCode> {
    match t.kept_for(given, LIMIT, || 100, NOW)? {
        Init::Ready(next) => Ok(next),
        Init::Abort(_) => panic!("it is to be kept"),
    }
}

#[test]
fn a_transaction_that_is_kept_goes_on_and_belongs_to_who_asked_kip_939() {
    let mut open = made(Phase::Ongoing, 3, 2);
    open.partitions.insert(("t".to_owned(), 0));
    let next = kept(&open, None).unwrap();
    assert_eq!((next.phase, next.identity, next.client), (Phase::Ongoing, by(9, 3), Some(by(9, 4))));
    assert_eq!(next.partitions, open.partitions);
    assert_eq!(kept(&next, None).unwrap().client, Some(by(9, 5)), "whoever comes last");
    assert_eq!(kept(&open, Some(by(9, 2))).unwrap_err(), ErrorCode::PRODUCER_FENCED);
    let place = [("t".to_owned(), 1)];
    assert_eq!(next.add(by(9, 3), &place, AT), Err(ErrorCode::PRODUCER_FENCED));
    assert_eq!(next.add(by(9, 4), &place, AT), Err(ErrorCode::INVALID_TXN_STATE), "it can only be ended");
    assert_eq!(next.end_v2(by(9, 3), true, || 0, NOW), Err(ErrorCode::PRODUCER_FENCED));
    for commit in [true, false] {
        let Ok(End::Begin(ending, identity)) = next.end_v2(by(9, 4), commit, || 0, NOW) else { panic!() };
        assert_eq!((ending.identity, identity), (by(9, 4), by(9, 5)), "markers carry the epoch behind its own");
        assert_eq!(ending.end_v2(by(9, 4), commit, || 0, NOW), Err(ErrorCode::CONCURRENT_TRANSACTIONS));
        let done = ending.completed(NOW);
        assert_eq!((done.identity, done.client), (by(9, 5), None));
        assert_eq!(done.end_v2(by(9, 4), commit, || 0, NOW), Ok(End::Done(by(9, 5))), "the answer was lost");
        assert_eq!(done.end_v2(by(9, 4), !commit, || 0, NOW), Err(ErrorCode::INVALID_TXN_STATE));
    }
    let worn = kept(&made(Phase::Ongoing, LAST_EPOCH, LAST_EPOCH - 1), None).unwrap();
    assert_eq!(worn.client, Some(by(100, 0)), "behind the last epoch comes another id");
    let Ok(Init::Abort(fenced)) = next.init(None, LIMIT, || 0, true, NOW) else { panic!() };
    assert_eq!(fenced.completed(NOW).identity, by(9, 4), "who kept it is fenced by the next");
}
