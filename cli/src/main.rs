//! The `klamm` command: produces, consumes and administers, with kcat's letters where kcat has one.
//!
//! Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.

mod acls;
mod bench;
mod client;
mod cluster;
mod configs;
mod consume;
mod demo;
mod escape;
mod exit;
mod groups;
mod mock;
mod produce;
mod stop;
mod table;
mod topics;
mod transactions;
mod usage;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// A Kafka client for the command line.
#[derive(Debug, Parser)]
#[command(name = "klamm", version, max_term_width = 100, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Produce(produce::Produce),
    Consume(consume::Consume),
    Topics(topics::Topics),
    Cluster(cluster::Cluster),
    Groups(groups::Groups),
    Transactions(transactions::Transactions),
    Acls(acls::Acls),
    Configs(configs::Configs),
    Mock(mock::Mock),
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    exit::code(match Cli::parse().command {
        Command::Demo(command) => command.run(),
        Command::Produce(command) => command.run(),
        Command::Consume(command) => command.run(),
        Command::Topics(command) => command.run(),
        Command::Cluster(command) => command.run(),
        Command::Groups(command) => command.run(),
        Command::Transactions(command) => command.run(),
        Command::Acls(command) => command.run(),
        Command::Configs(command) => command.run(),
        Command::Mock(command) => command.run(),
        Command::Bench(command) => command.run(),
    })
}
