//! What transactions promise, under every fault the simulator has.

use klamm_sim::bank::{Fate, bank};
use klamm_sim::{Faults, check};

#[test]
fn money_is_neither_made_nor_lost_when_nothing_goes_wrong() {
    check(0..3, |sim| async move {
        let ledger = bank(sim, 3, 2, 10).await;
        assert!(
            ledger.count(Fate::Committed) > 20 && ledger.count(Fate::Aborted) > 3 && ledger.count(Fate::Unknown) == 0,
            "{ledger:?}"
        );
    });
}

#[test]
fn money_is_neither_made_nor_lost_under_every_fault() {
    check(0..12, |sim| async move {
        sim.faults(Faults::all().transactions(true));
        bank(sim, 2, 3, 12).await;
    });
}
