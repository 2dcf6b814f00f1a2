//! What a group promises: everything acknowledged is handed out, nothing is committed that was not.

use klamm::Config;
use klamm_sim::workload::{consume, judge_log, produce};
use klamm_sim::{Faults, Sim, check};

fn config(sim: &Sim) -> Config {
    Config::new(sim.cluster().bootstrap())
}

#[test]
fn members_that_come_and_go_read_everything() {
    check(0..12, |sim| async move {
        let results = produce(&sim, config(&sim), "orders", 3, 60).await;
        consume(&sim, config(&sim), "orders", 3, &results).await;
    });
}

#[test]
fn members_read_everything_under_every_fault() {
    check(0..30, |sim| async move {
        sim.faults(Faults::all());
        let results = produce(&sim, config(&sim), "orders", 3, 60).await;
        judge_log(&sim, "orders", &results);
        consume(&sim, config(&sim), "orders", 2, &results).await;
    });
}
