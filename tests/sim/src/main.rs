//! Random histories under many seeds: `klamm-sim --seeds 200 [--from 0] [--seconds 60] [--once]`.

use klamm_sim::{random, run_seed, shrinking};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const USAGE: &str = "usage: klamm-sim [--seeds N] [--from SEED] [--seconds N] [--once]
  --seeds N    so many seeds at most; default 200
  --from SEED  the first one; default: new ones each time
  --seconds N  ends before the first seed that would begin later
  --once       runs each seed once, not twice to compare";

fn main() -> ExitCode {
    let (mut seeds, mut seconds, mut once) = (200, u64::MAX, false);
    // New seeds each time, printed: what fails can be run again.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let mut from = since.as_secs() * 1_000_000;
    let mut args = std::env::args().skip(1);
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
    println!("{seeds} seeds from {from} on; one seed again: klamm-sim --seeds 1 --from SEED");
    let begun = Instant::now();
    let mut passed = 0u64;
    for seed in from..from + seeds {
        if begun.elapsed().as_secs() >= seconds {
            break;
        }
        let told = Told(seed);
        shrinking(seed, &random::everything, || {
            let first = run_seed(seed, &random::everything);
            if !once {
                assert_eq!(first, run_seed(seed, &random::everything), "two runs of one seed differ");
            }
        });
        std::mem::forget(told);
        passed += 1;
    }
    println!("{passed} passed, 0 failed, in {:.1} s", begun.elapsed().as_secs_f64());
    ExitCode::SUCCESS
}

fn wrong() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

/// Says which seed was running when something failed.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        eprintln!("seed {} fails; run it again with: klamm-sim --seeds 1 --from {}", self.0, self.0);
    }
}
