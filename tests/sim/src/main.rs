//! Random histories under many seeds: `klamm-sim [bank] --seeds 200 [--from 0] [--seconds 60] [--once]`.

use klamm_sim::bank::transfers;
use klamm_sim::{Sim, quietly, random, run_seed, shrinking};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const USAGE: &str =
    "usage: klamm-sim [bank] [--seeds N] [--from SEED] [--seconds N] [--threads N] [--once] [--keep-going]
  bank         transactions: transfers between accounts
  --seeds N    so many seeds at most; default 200
  --from SEED  the first one; default: new ones each time
  --seconds N  ends before the first seed that would begin later
  --threads N  so many seeds at a time; default: one on each core
  --once       runs each seed once, not twice to compare
  --keep-going runs all seeds, also after one that fails, and lists those that do";

fn main() -> ExitCode {
    // New seeds each time, printed: what fails can be run again.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let mut plan = Seeds {
        name: "klamm-sim",
        from: since.as_secs() * 1_000_000,
        seeds: 200,
        seconds: u64::MAX,
        threads: thread::available_parallelism().map_or(1, |n| n.get() as u64),
        once: false,
        keep_going: false,
    };
    let mut args = std::env::args().skip(1).peekable();
    let bank = args.next_if(|arg| arg == "bank").is_some();
    while let Some(arg) = args.next() {
        let mut number = |n: &mut u64| match args.next().and_then(|text| text.parse().ok()) {
            Some(given) => *n = given,
            None => *n = u64::MAX,
        };
        match arg.as_str() {
            "--once" => plan.once = true,
            "--keep-going" => plan.keep_going = true,
            "--seeds" => number(&mut plan.seeds),
            "--from" => number(&mut plan.from),
            "--seconds" => number(&mut plan.seconds),
            "--threads" => number(&mut plan.threads),
            _ => return wrong(),
        }
    }
    if [plan.seeds, plan.from, plan.threads].contains(&u64::MAX) || plan.threads == 0 {
        return wrong();
    }
    let passed = if bank {
        plan.name = "klamm-sim bank";
        plan.run(&transfers)
    } else {
        plan.run(&random::everything)
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::from(101) }
}

/// Which seeds are run, and how.
struct Seeds {
    name: &'static str,
    from: u64,
    seeds: u64,
    seconds: u64,
    threads: u64,
    once: bool,
    keep_going: bool,
}

impl Seeds {
    /// Whether all of them pass. What is told of those that fail does not depend on who ran which.
    fn run<F: Future<Output = ()> + 'static>(&self, app: &(impl Fn(Sim) -> F + Sync)) -> bool {
        let (from, end) = (self.from, self.from.saturating_add(self.seeds));
        println!("{} seeds from {from} on; one seed again: {} --seeds 1 --from SEED", self.seeds, self.name);
        let begun = Instant::now();
        let (next, passed, stop) = (AtomicU64::new(from), AtomicU64::new(0), AtomicBool::new(false));
        let failed = Mutex::new(Vec::new());
        let worker = || {
            while !stop.load(Ordering::Relaxed) && begun.elapsed().as_secs() < self.seconds {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= end {
                    break;
                }
                // Whoever took a lower seed ends it: the lowest that fails is always among those that are told.
                if quietly(|| catch_unwind(AssertUnwindSafe(|| self.one(seed, app)))).is_ok() {
                    let passed = passed.fetch_add(1, Ordering::Relaxed) + 1;
                    if passed % 1_000 == 0 {
                        println!("{passed} passed after {:.0} s", begun.elapsed().as_secs_f64());
                    }
                    continue;
                }
                if self.keep_going {
                    println!("seed {seed} failed");
                }
                stop.store(!self.keep_going, Ordering::Relaxed);
                if let Ok(mut failed) = failed.lock() {
                    failed.push(seed);
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(worker);
            }
        });
        let mut failed = failed.into_inner().unwrap_or_default();
        failed.sort_unstable();
        println!("{} passed, {} failed, in {:.1} s", passed.into_inner(), failed.len(), begun.elapsed().as_secs_f64());
        if self.keep_going && !failed.is_empty() {
            println!("failed: {failed:?}");
        }
        if let Some(seed) = failed.first().copied() {
            let again = catch_unwind(AssertUnwindSafe(|| shrinking(seed, app, || self.one(seed, app))));
            let more = if again.is_ok() { " (and not when run again)" } else { "" };
            eprintln!("seed {seed} fails{more}; run it again with: {} --seeds 1 --from {seed}", self.name);
        }
        failed.is_empty()
    }

    fn one<F: Future<Output = ()> + 'static>(&self, seed: u64, app: &impl Fn(Sim) -> F) {
        let first = run_seed(seed, app);
        if !self.once {
            assert_eq!(first, run_seed(seed, app), "two runs of one seed differ");
        }
    }
}

fn wrong() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}
