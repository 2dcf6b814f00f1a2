//! CPU per record of klamm and of librdkafka, in one alternating run against the same broker.
//!
//! ```text
//! cargo run --release -- run [--reps 5] [--records 2000000] [CELL ...]
//! cargo run --release -- client CELL RECORDS BOOTSTRAP
//! cargo run --release -- broker SIZE
//! cargo run --release -- front send|receipts|keyed|batch SIZE RECORDS
//! ```
//! A cell is `produce/100/blocking-receipts/tuned`.

mod broker;
mod cell;
mod front;
mod ours;
mod ours_consume;
mod rd;
mod run;
mod usage;

use cell::Cell;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["run", rest @ ..] => run::run(rest),
        ["front", how, size, records] => front::front(how, size.parse()?, records.parse()?),
        ["broker", size] => Ok(broker::serve(size.parse()?)?),
        ["client", cell, records, bootstrap] => {
            let cell = Cell::parse(cell).ok_or("no such cell")?;
            let records = records.parse()?;
            let cost = match (cell.what.as_str(), cell.is_peer()) {
                ("produce", true) => rd::produce(&cell, bootstrap, records),
                ("produce", false) => ours::produce(&cell, bootstrap, records),
                (_, true) => rd::consume(&cell, bootstrap, records),
                (_, false) => ours_consume::consume(&cell, bootstrap, records),
            }?;
            println!("{} {} {}", cost.cpu, cost.rate, usage::peak_rss());
            Ok(())
        }
        _ => Err("run [--reps N] [--records N] [CELL ..] | client CELL RECORDS BOOTSTRAP | broker SIZE".into()),
    }
}
