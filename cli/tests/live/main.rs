//! The command on real Apache Kafka, judged by the official Java client; the other tests have the in-memory cluster.
//!
//! `cargo test -p klamm-cli --test live` runs all of it; `-- kafka_4_4_0` a part, `-- --list` names it.

mod admin;
mod kills;
mod records;
#[expect(dead_code, reason = "the other tests need more of it")]
#[path = "../support/mod.rs"]
mod support;

use anyhow::{Result, ensure};
use klamm_live::{Runtime, Target};
use std::process::{Command, ExitCode};
use support::{Ended, klamm, run};

fn main() -> ExitCode {
    klamm_live::suite::run(&[records::BEHAVIOURS, admin::BEHAVIOURS, kills::BEHAVIOURS].concat())
}

/// The command, pointed at this cluster; the words are separated by blanks.
fn command(target: &Target, runtime: Runtime, words: &str) -> Command {
    let mut words = words.split_whitespace();
    let mut command = klamm(&[words.next().unwrap_or_default()]);
    // Those with commands of their own take the options behind them.
    let rest: Vec<&str> = words.collect();
    let runtime = match runtime {
        Runtime::Tokio => "tokio",
        Runtime::AsyncStd => "async-std",
        Runtime::Blocking => "blocking",
    };
    command.args(rest).args(["-b", &target.bootstrap(), "--runtime", runtime]);
    command
}

/// Runs it without input.
fn ended(target: &Target, runtime: Runtime, words: &str) -> Ended {
    ended_after(target, runtime, words, b"")
}

/// Runs it with this input.
fn ended_after(target: &Target, runtime: Runtime, words: &str, input: &[u8]) -> Ended {
    run(command(target, runtime, words), input)
}

/// Its standard output; an error if it failed.
fn told(target: &Target, runtime: Runtime, words: &str) -> Result<String> {
    succeeded(words, ended(target, runtime, words))
}

/// Its standard output after this input; an error if it failed.
fn feed(target: &Target, runtime: Runtime, words: &str, input: &[u8]) -> Result<String> {
    succeeded(words, ended_after(target, runtime, words, input))
}

fn succeeded(words: &str, ended: Ended) -> Result<String> {
    ensure!(ended.code == Some(0), "klamm {words} ended with {:?}: {}", ended.code, ended.err);
    Ok(ended.out)
}
