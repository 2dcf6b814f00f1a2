//! Behaviours as data, and the runner that makes a named test of each on every target and runtime it is meant for.

use std::collections::BTreeMap;
use std::env;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::need::Missing;
use crate::target::{Kind, Stage, Target};

/// Who drives the client under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// tokio.
    Tokio,
    /// async-std.
    AsyncStd,
    /// A thread of klamm's own.
    Blocking,
}

impl Runtime {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tokio, Self::AsyncStd, Self::Blocking];

    fn name(self) -> &'static str {
        match self {
            Self::Tokio => "tokio",
            Self::AsyncStd => "async_std",
            Self::Blocking => "blocking",
        }
    }
}

/// One thing that must hold, and where.
#[derive(Clone, Copy, Debug)]
pub struct Behaviour {
    name: &'static str,
    check: Check,
    on: fn(Kind) -> bool,
    everywhere: bool,
    alone: bool,
    limit: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Check {
    Once(fn(&Target) -> Result<()>),
    PerRuntime(fn(&Target, Runtime) -> Result<()>),
}

impl Behaviour {
    /// A behaviour of klamm: checked on every target, each time on another runtime.
    pub const fn of_klamm(name: &'static str, check: fn(&Target, Runtime) -> Result<()>) -> Self {
        Self::new(name, Check::PerRuntime(check))
    }

    /// A behaviour of this harness or of the brokers: no client of ours is involved.
    pub const fn of_harness(name: &'static str, check: fn(&Target) -> Result<()>) -> Self {
        Self::new(name, Check::Once(check))
    }

    const fn new(name: &'static str, check: Check) -> Self {
        Self { name, check, on: |_| true, everywhere: false, alone: false, limit: Duration::from_secs(120) }
    }

    /// Only on these targets.
    pub const fn on(mut self, on: fn(Kind) -> bool) -> Self {
        self.on = on;
        self
    }

    /// On every runtime of every target: it is what users do first, or the runtimes differ in it.
    pub const fn on_every_runtime(mut self) -> Self {
        self.everywhere = true;
        self
    }

    /// With the cluster for itself: it does harm to nodes, which are mended afterwards.
    pub const fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// It must end within this time instead of two minutes.
    pub const fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }
}

/// With this variable set, everything runs on every runtime.
pub const FULL: &str = "KLAMM_LIVE_FULL";

/// Runs what the command line selects, as `cargo test` would. Every cluster is stopped before it returns.
pub fn run(behaviours: &[Behaviour]) -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    let full = env::var_os(FULL).is_some();
    let mut before: Option<Arc<Stage>> = None;
    for (turn, kind) in Kind::all().into_iter().enumerate() {
        // Every trial holds the stage: a cluster ends with the last trial that could use it, selected or not.
        let stage = Arc::new(Stage::new(kind));
        let here = behaviours.iter().enumerate().filter(|(_, behaviour)| (behaviour.on)(kind));
        let mut here: Vec<(usize, Behaviour)> = here.map(|(index, behaviour)| (index, *behaviour)).collect();
        here.sort_by_key(|(_, behaviour)| behaviour.alone);
        let known = trials.len();
        for (index, behaviour) in here {
            // The turns of a behaviour take all runtimes, and so do the behaviours of a target.
            let one = Runtime::ALL[(turn + index) % Runtime::ALL.len()];
            let all = full || behaviour.everywhere;
            trials.extend(trials_of(behaviour, kind, |runtime| all || runtime == one, &stage));
        }
        if !arguments.list && trials[known..].iter().any(|trial: &Trial| is_selected(&arguments, trial.name())) {
            if let Some(before) = before.replace(Arc::clone(&stage)) {
                before.is_followed_by(stage);
            }
        }
    }
    let code = libtest_mimic::run(&arguments, trials).exit_code();
    if !arguments.list {
        eprint!("{}", told(&TIMES.lock().unwrap_or_else(PoisonError::into_inner)));
    }
    code
}

/// As the runner will decide.
fn is_selected(arguments: &Arguments, name: &str) -> bool {
    let fits = |filter: &String| if arguments.exact { name == filter } else { name.contains(filter) };
    arguments.filter.as_ref().is_none_or(fits) && !arguments.skip.iter().any(fits)
}

/// How long each trial took, without its wait for the cluster.
static TIMES: Mutex<Vec<(String, Duration)>> = Mutex::new(Vec::new());

/// The longest, and the sum of each cluster.
fn told(times: &[(String, Duration)]) -> String {
    let mut longest: Vec<&(String, Duration)> = times.iter().collect();
    longest.sort_by_key(|(_, took)| std::cmp::Reverse(*took));
    let most = if env::var_os(FULL).is_some() { longest.len() } else { 12 };
    let mut sums: BTreeMap<&str, Duration> = BTreeMap::new();
    for (name, took) in times {
        *sums.entry(name.split("::").next().unwrap_or_default()).or_default() += *took;
    }
    let lines = longest.iter().take(most).map(|(name, took)| format!("{:>7.1} s {name}\n", took.as_secs_f64()));
    let sums = sums.iter().map(|(cluster, took)| format!("{:>7.1} s {cluster} in all\n", took.as_secs_f64()));
    lines.chain(sums).collect()
}

fn trials_of(behaviour: Behaviour, kind: Kind, on: impl Fn(Runtime) -> bool, stage: &Arc<Stage>) -> Vec<Trial> {
    type Run = Box<dyn Fn(&Target) -> Result<()> + Send>;
    let checks: Vec<(String, Run)> = match behaviour.check {
        Check::Once(check) => vec![(format!("{}::harness::{}", kind.name(), behaviour.name), Box::new(check))],
        Check::PerRuntime(check) => Runtime::ALL
            .into_iter()
            .filter(|runtime| on(*runtime))
            .map(|runtime| -> (String, Run) {
                let name = format!("{}::{}::{}", kind.name(), runtime.name(), behaviour.name);
                (name, Box::new(move |target| check(target, runtime)))
            })
            .collect(),
    };
    let trial = |(name, check): (String, Run)| {
        let stage = Arc::clone(stage);
        Trial::ignorable_test(name.clone(), move || verdict(perform(behaviour, &name, check, &stage)))
    };
    checks.into_iter().map(trial).collect()
}

fn perform(
    behaviour: Behaviour,
    name: &str,
    check: impl Fn(&Target) -> Result<()> + Send + 'static,
    stage: &Stage,
) -> Result<()> {
    let _hold = stage.hold(behaviour.alone);
    stage.is_used();
    let target = stage.target()?;
    let begin = Instant::now();
    let mut outcome = within(behaviour.limit, {
        let target = target.clone();
        move || check(&target)
    });
    if behaviour.alone {
        let healed = target.heal();
        outcome = outcome.and(healed);
    }
    TIMES.lock().unwrap_or_else(PoisonError::into_inner).push((name.to_owned(), begin.elapsed()));
    outcome
}

/// Runs `check` in a thread of its own: one that hangs fails and does not hold up the rest.
fn within(limit: Duration, check: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let outcome = panic::catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            Err(anyhow!("panicked: {}", text.unwrap_or("no message")))
        });
        // The runner has given up on us: nobody listens.
        let _ = sender.send(outcome);
    });
    receiver.recv_timeout(limit).unwrap_or_else(|_| Err(anyhow!("did not end within {limit:?}")))
}

/// A missing prerequisite skips a test by name, except where it is required.
fn verdict(outcome: Result<()>) -> Result<Completion, Failed> {
    match outcome {
        Ok(()) => Ok(Completion::Completed),
        Err(error) => match error.downcast_ref::<Missing>() {
            Some(missing) if !missing.is_failure() => Ok(Completion::ignored_with(missing)),
            _ => Err(format!("{error:#}").into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_hangs_or_panics_fails() {
        assert!(within(Duration::from_secs(5), || Ok(())).is_ok());
        let hung = within(Duration::from_millis(10), || {
            thread::sleep(Duration::from_secs(1));
            Ok(())
        });
        assert!(hung.unwrap_err().to_string().contains("did not end within"));
        let panicked = within(Duration::from_secs(5), || panic!("on purpose"));
        assert_eq!(panicked.unwrap_err().to_string(), "panicked: on purpose");
    }

    #[test]
    fn a_stage_is_wanted_by_the_names_that_the_runner_takes() {
        let parse = |words: &[&str]| Arguments::from_iter([&["suite"], words].concat());
        let is = |words: &[&str]| is_selected(&parse(words), "kafka_4_4_0::tokio::reads");
        assert!(is(&[]) && is(&["4_4"]) && is(&["--exact", "kafka_4_4_0::tokio::reads"]));
        assert!(!is(&["3_9"]) && !is(&["--skip", "tokio"]) && !is(&["--exact", "reads"]));
    }

    #[test]
    fn times_are_told_the_longest_first_and_by_cluster() {
        let took = |name: &str, ms| (name.to_owned(), Duration::from_millis(ms));
        let text = told(&[took("a::x::one", 1_500), took("b::x::one", 200), took("a::y::two", 2_500)]);
        let words: Vec<&str> =
            text.split_whitespace().filter(|word| word.contains("::") || word.contains('.')).collect();
        assert_eq!(words, ["2.5", "a::y::two", "1.5", "a::x::one", "0.2", "b::x::one", "4.0", "0.2"]);
    }

    #[test]
    fn an_error_is_a_failure_and_never_a_skipped_test() {
        assert!(verdict(Err(anyhow!("wrong"))).is_err());
        assert!(matches!(verdict(Ok(())), Ok(Completion::Completed)));
    }
}
