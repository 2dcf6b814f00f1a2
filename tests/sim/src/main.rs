//! Runs the self-judging workloads under many seeds: `klamm-sim --seeds 200 [--from 0]`.

use klamm::Config;
use klamm_sim::{Faults, Sim, run_seed, workload};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn main() -> ExitCode {
    let mut seeds = 200;
    // New seeds each time, printed: what fails can be run again.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let mut from = since.as_secs() * 1_000_000;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let number = args.next().and_then(|n| n.parse().ok());
        match (arg.as_str(), number) {
            ("--seeds", Some(n)) => seeds = n,
            ("--from", Some(n)) => from = n,
            _ => {
                eprintln!("usage: klamm-sim [--seeds N] [--from SEED]");
                return ExitCode::from(2);
            }
        }
    }
    println!("{seeds} seeds from {from} on; one seed again: klamm-sim --seeds 1 --from SEED");
    let begun = Instant::now();
    for seed in from..from + seeds {
        let told = Told(seed);
        let (first, second) = (run_seed(seed, &everything), run_seed(seed, &everything));
        assert_eq!(first, second, "two runs of one seed differ");
        std::mem::forget(told);
    }
    println!("{seeds} passed, 0 failed, in {:.1} s", begun.elapsed().as_secs_f64());
    ExitCode::SUCCESS
}

struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        eprintln!("seed {} fails: klamm-sim --seeds 1 --from {}", self.0, self.0);
    }
}

async fn everything(sim: Sim) {
    sim.faults(Faults::all());
    let config = || Config::new(sim.cluster().bootstrap());
    let results = workload::produce(&sim, config(), "orders", 3, 60).await;
    workload::judge_log(&sim, "orders", &results);
    workload::consume(&sim, config(), "orders", 2, &results).await;
}
