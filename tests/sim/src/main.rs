//! Random histories under many seeds: `klamm-sim [bank] --seeds 200 [--from 0] [--seconds 60] [--once]`.

use klamm_sim::bank::transfers;
use klamm_sim::{Sim, random, run_seed, shrinking};
use std::future::Future;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const USAGE: &str = "usage: klamm-sim [bank] [--seeds N] [--from SEED] [--seconds N] [--once]
  bank         transactions: transfers between accounts
  --seeds N    so many seeds at most; default 200
  --from SEED  the first one; default: new ones each time
  --seconds N  ends before the first seed that would begin later
  --once       runs each seed once, not twice to compare";

fn main() -> ExitCode {
    let (mut seeds, mut seconds, mut once) = (200, u64::MAX, false);
    // New seeds each time, printed: what fails can be run again.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let mut from = since.as_secs() * 1_000_000;
    let mut args = std::env::args().skip(1).peekable();
    let bank = args.next_if(|arg| arg == "bank").is_some();
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|n| n.parse().ok());
        match arg.as_str() {
            "--once" => once = true,
            "--seeds" | "--from" | "--seconds" => {
                let Some(n) = number() else { return wrong() };
                match arg.as_str() {
                    "--seeds" => seeds = n,
                    "--from" => from = n,
                    _ => seconds = n,
                }
            }
            _ => return wrong(),
        }
    }
    let plan = Seeds { name: if bank { "klamm-sim bank" } else { "klamm-sim" }, from, seeds, seconds, once };
    if bank {
        plan.run(&transfers)
    } else {
        plan.run(&random::everything)
    }
    ExitCode::SUCCESS
}

/// Which seeds are run, and how.
struct Seeds {
    name: &'static str,
    from: u64,
    seeds: u64,
    seconds: u64,
    once: bool,
}

impl Seeds {
    fn run<F: Future<Output = ()> + 'static>(self, app: &impl Fn(Sim) -> F) {
        let Self { name, from, seeds, seconds, once } = self;
        println!("{seeds} seeds from {from} on; one seed again: {name} --seeds 1 --from SEED");
        let begun = Instant::now();
        let mut passed = 0u64;
        for seed in from..from + seeds {
            if begun.elapsed().as_secs() >= seconds {
                break;
            }
            let told = Told(name, seed);
            shrinking(seed, app, || {
                let first = run_seed(seed, app);
                if !once {
                    assert_eq!(first, run_seed(seed, app), "two runs of one seed differ");
                }
            });
            std::mem::forget(told);
            passed += 1;
        }
        println!("{passed} passed, 0 failed, in {:.1} s", begun.elapsed().as_secs_f64());
    }
}

fn wrong() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

/// Says which seed was running when something failed.
struct Told(&'static str, u64);

impl Drop for Told {
    fn drop(&mut self) {
        eprintln!("seed {} fails; run it again with: {} --seeds 1 --from {}", self.1, self.0, self.1);
    }
}
