//! What transactions promise, under every fault the simulator has.

use klamm::config::IsolationLevel;
use klamm_sim::bank::{Day, Fate, bank, transfers};
use klamm_sim::{Faults, check};

#[test]
fn money_is_neither_made_nor_lost_when_nothing_goes_wrong() {
    check(0..2, |sim| async move {
        let ledger = bank(sim, Day { clerks: 1, ..Day::new(3, 2, 10) }).await;
        assert!(ledger.count(Fate::Committed) > 20 && ledger.count(Fate::Aborted) > 3, "{ledger:?}");
    });
}

#[test]
fn money_is_neither_made_nor_lost_under_every_fault() {
    check(0..4, |sim| async move {
        sim.faults(Faults::all().transactions(true).recreations(true));
        bank(sim, Day { clerks: 2, ..Day::new(2, 1, 6) }).await;
    });
}

/// Seeds that once entered a record twice: a clerk that took itself for dead came back as the member that it had been, in the
/// generation in which its transaction was still open.
#[test]
fn who_comes_back_does_not_enter_a_record_twice() {
    for seed in [20_875, 1_002_457] {
        check(seed..seed + 1, transfers);
    }
}

/// The judge is no yes-man.
#[test]
#[should_panic(expected = "saw something else")]
fn a_reader_of_aborted_records_is_caught() {
    check(0..1, |sim| async move {
        bank(sim, Day { isolation: IsolationLevel::ReadUncommitted, ..Day::new(2, 1, 12) }).await;
    });
}
