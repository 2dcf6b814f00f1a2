//! A run that fails is made shorter: what can be left out of its plan without saving it is left out.

use crate::Sim;
use crate::sim::{last_plan, run_without};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Once;
use std::time::{Duration, Instant};

/// No longer than this is a failing run made shorter.
const PATIENCE: Duration = Duration::from_secs(60);

thread_local!(static QUIET: Cell<bool> = const { Cell::new(false) });

/// Runs `run`; if it fails, says with how little the seed still fails, then fails in the same way.
///
/// # Panics
/// As `run` does.
pub fn shrinking<F: Future<Output = ()> + 'static>(seed: u64, app: &impl Fn(Sim) -> F, run: impl FnOnce()) {
    let Err(panic) = catch_unwind(AssertUnwindSafe(run)) else { return };
    if std::env::var("KLAMM_SIM_SHRINK").is_ok_and(|text| text == "0") {
        resume_unwind(panic);
    }
    let plan = last_plan();
    let all = plan.len();
    let begun = Instant::now();
    let mut without: BTreeSet<usize> = (0..all).filter(|place| plan.is_idle(*place)).collect();
    let mut runs = 0;
    let mut fails = |without: &BTreeSet<usize>| {
        runs += 1;
        quietly(|| catch_unwind(AssertUnwindSafe(|| run_without(seed, without.clone(), app))).is_err())
    };
    // Halves first, then quarters, down to single things; from the end, which matters least.
    let mut size = all.div_ceil(2);
    while size > 0 && begun.elapsed() < PATIENCE {
        let mut end = all;
        while end > 0 && begun.elapsed() < PATIENCE {
            let start = end.saturating_sub(size);
            let less: BTreeSet<usize> = without.iter().copied().chain(start..end).collect();
            if less.len() > without.len() && fails(&less) {
                without = less;
            }
            end = start;
        }
        size /= 2;
    }
    let again = quietly(|| catch_unwind(AssertUnwindSafe(|| run_without(seed, without.clone(), app)))).err();
    eprintln!("seed {seed}: {} of {all} things that go wrong are enough ({runs} runs):", all - without.len());
    eprint!("{}", last_plan());
    resume_unwind(again.unwrap_or(panic));
}

/// Without a message for each panic, on this thread. `run` catches its panics.
pub fn quietly<R>(run: impl FnOnce() -> R) -> R {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                before(info);
            }
        }));
    });
    QUIET.set(true);
    let result = run();
    QUIET.set(false);
    result
}
