//! CPU per record of klamm and of other clients, in one alternating run against the same broker.
//!
//! ```text
//! ./run quick|table|full [--reps N] [--records N] [--minutes N] [--bootstrap HOST:PORT] [--write] [--no-limits]
//! ./run CELL .. [the same]
//! ./run limits
//! target/release/klamm-peers client CELL RECORDS BOOTSTRAP
//! target/release/klamm-peers broker CELL
//! target/release/klamm-peers front send|receipts|keyed|batch SIZE RECORDS
//! ```
//! A cell is `produce/100/blocking-receipts/tuned`, with `/keys`, `/lz4`, `/zstd`, `/p12` (partitions), `/t4` (threads) behind it
//! if that is wanted; or `latency/100/tokio-send/linger0/p1`. `--write` puts the tables and a plot into docs/.

mod broker;
mod cell;
mod floor;
mod front;
#[cfg(feature = "krafka")]
mod krafka;
mod latency;
mod limits;
mod ours;
mod ours_consume;
#[cfg(feature = "librdkafka")]
mod rd;
mod report;
mod run;
mod sets;
mod usage;

use cell::Cell;
use latency::Latencies;
use usage::Cost;

/// Whatever goes wrong.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "quick | table | full | CELL .., each with [--reps N] [--records N] [--minutes N] [--bootstrap B] [--write] \
                     [--no-limits]; limits; client CELL RECORDS BOOTSTRAP";

/// What is said of a peer that could not be built.
#[cfg(not(all(feature = "librdkafka", feature = "krafka")))]
const NOT_BUILT: &str = "this peer was not built in";

/// Does what the arguments say; with `count`, which says how often memory was allocated so far, clients tell that too.
///
/// # Errors
/// What could not be done. A cell that fails does not end a run.
pub fn main(count: Option<fn() -> u64>) -> Result<(), Failure> {
    if let Some(count) = count {
        usage::count_allocations(count);
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        [] => Err(USAGE.into()),
        ["limits"] => {
            limits::all()?.iter().for_each(|limit| println!("{:60} {:8.1} ns per 100 B", limit.what, limit.ns));
            Ok(())
        }
        ["swallow", address] => limits::swallow(address),
        ["front", how, size, records] => front::front(how, size.parse()?, records.parse()?),
        ["broker", cell] => Ok(broker::serve(&Cell::parse(cell).ok_or("no such cell")?)?),
        ["client", cell, records, bootstrap] => {
            client(&Cell::parse(cell).ok_or("no such cell")?, records.parse()?, bootstrap)
        }
        asked => run::run(asked),
    }
}

/// One client's work, and what it came to.
fn client(cell: &Cell, records: u64, bootstrap: &str) -> Result<(), Failure> {
    if cell.what == "latency" {
        let seen = delays(cell, bootstrap, records)?;
        println!("p50={} p99={} p999={}", seen.p50, seen.p99, seen.p999);
        return Ok(());
    }
    let cost = cost(cell, bootstrap, records)?;
    print!("cpu={} rate={} rss={}", cost.cpu, cost.rate, usage::peak_rss());
    println!("{}", cost.allocations.map_or_else(String::new, |count| format!(" allocations={count}")));
    Ok(())
}

fn delays(cell: &Cell, bootstrap: &str, records: u64) -> Result<Latencies, Failure> {
    match cell.who.as_str() {
        #[cfg(feature = "librdkafka")]
        "librdkafka" => rd::latency(cell, bootstrap, records),
        #[cfg(feature = "krafka")]
        "krafka" => krafka::latency(cell, bootstrap, records),
        #[cfg(not(feature = "librdkafka"))]
        "librdkafka" => Err(NOT_BUILT.into()),
        #[cfg(not(feature = "krafka"))]
        "krafka" => Err(NOT_BUILT.into()),
        _ => latency::ours(cell, bootstrap, records),
    }
}

fn cost(cell: &Cell, bootstrap: &str, records: u64) -> Result<Cost, Failure> {
    match (cell.what.as_str(), cell.who.as_str()) {
        #[cfg(feature = "librdkafka")]
        ("produce", "librdkafka") => rd::produce(cell, bootstrap, records),
        #[cfg(feature = "librdkafka")]
        (_, "librdkafka") => rd::consume(cell, bootstrap, records),
        #[cfg(feature = "krafka")]
        ("produce", "krafka") => krafka::produce(cell, bootstrap, records),
        #[cfg(feature = "krafka")]
        (_, "krafka") => krafka::consume(cell, bootstrap, records),
        #[cfg(not(feature = "librdkafka"))]
        (_, "librdkafka") => Err(NOT_BUILT.into()),
        #[cfg(not(feature = "krafka"))]
        (_, "krafka") => Err(NOT_BUILT.into()),
        ("produce", "floor") => floor::produce(cell, bootstrap, records),
        ("produce", _) => ours::produce(cell, bootstrap, records),
        (_, "floor") => floor::consume(cell, bootstrap, records),
        _ => ours_consume::consume(cell, bootstrap, records),
    }
}
