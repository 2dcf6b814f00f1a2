//! The behaviour suite: everything that must hold on every cluster and every runtime, in one table.
//!
//! `cargo test -p klamm-live --test suite` runs all of it; `-- kafka_4_4_0::tokio` a part, `-- --list` names it.

mod admin;
mod admin_transactions;
mod bank;
mod brokers;
mod chaos;
mod client;
mod conformance;
mod consume;
mod exactly_once;
mod groups;
mod harm;
mod java_names;
mod killed;
mod librdkafka;
mod monkey;
mod noise;
mod produce;
mod raw;
mod scenarios;
mod transactions;
mod two_phase;
mod waiting;

use std::process::ExitCode;

fn main() -> ExitCode {
    let victim = match (std::env::var_os(brokers::VICTIM), std::env::var(two_phase::PREPARER)) {
        (Some(_), _) => Some(brokers::be_a_victim()),
        (None, Ok(words)) => Some(two_phase::prepare_and_wait(&words)),
        (None, Err(_)) => None,
    };
    match victim {
        Some(Ok(())) => return ExitCode::SUCCESS,
        Some(Err(error)) => {
            eprintln!("{error:#}");
            return ExitCode::FAILURE;
        }
        None => {}
    }
    if std::env::var_os(bank::CLERK).is_some() {
        return match bank::be_a_clerk() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::FAILURE
            }
        };
    }
    let tables = [
        // Before nodes are killed: they answer by who leads what.
        conformance::BEHAVIOURS,
        brokers::BEHAVIOURS,
        produce::BEHAVIOURS,
        transactions::BEHAVIOURS,
        transactions::peers::BEHAVIOURS,
        exactly_once::BEHAVIOURS,
        two_phase::BEHAVIOURS,
        java_names::BEHAVIOURS,
        consume::BEHAVIOURS,
        groups::BEHAVIOURS,
        waiting::BEHAVIOURS,
        librdkafka::BEHAVIOURS,
        admin::BEHAVIOURS,
        admin_transactions::BEHAVIOURS,
        noise::BEHAVIOURS,
        raw::BEHAVIOURS,
        harm::BEHAVIOURS,
        scenarios::BEHAVIOURS,
        killed::BEHAVIOURS,
        bank::BEHAVIOURS,
        chaos::BEHAVIOURS,
    ];
    klamm_live::suite::run(&tables.concat())
}
