//! Instructions per record on the client's hot paths, counted by valgrind's callgrind: no clock, no noise.
//!
//! ```text
//! cargo run --release -p klamm-instructions               # counts every cell and prints the table
//! cargo run --release -p klamm-instructions -- check      # and fails if one is above its bound in budget.txt
//! cargo run --release -p klamm-instructions -- run 'send_to' 100 100000
//! ```
//! Brokers, network and clock are in the same thread ([`world`]). Counted are the application's loop and the driver's turns
//! ([`work`]); not the brokers, nor the copies to and from sockets, nor reading the clock.

mod count;
mod work;
mod world;

use std::process::ExitCode;
use work::How;

/// The client at work: callgrind counts from here to the end of `f`.
#[inline(never)]
pub(crate) fn inside<R>(f: impl FnOnce() -> R) -> R {
    std::hint::black_box(f())
}

/// Not the client, though called by it: callgrind does not count from here to the end of `f`.
#[inline(never)]
pub(crate) fn outside<R>(f: impl FnOnce() -> R) -> R {
    std::hint::black_box(f())
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["run", how, size, records] => {
            let how = How::named(how).ok_or_else(|| format!("{how:?} is none of the ways"))?;
            work::run(how, size.parse()?, records.parse()?)?;
            Ok(ExitCode::SUCCESS)
        }
        [] => count::table(false),
        ["check"] => count::table(true),
        _ => Err("nothing, or check, or run HOW SIZE RECORDS".into()),
    }
}
