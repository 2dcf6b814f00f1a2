//! The corpora, replayed, and mutated for a short while.
//!
//! `KLAMM_FUZZ_ITERATIONS` inputs of each target (or as many as `KLAMM_FUZZ_SECONDS` allow for all of them together) are
//! made of the corpora, drawn from `KLAMM_FUZZ_SEED`. `KLAMM_FUZZ_TARGET` keeps to one target. An input that fails is
//! written to a file, whose name is printed: put it into the target's corpus.

use fastrand::Rng;
use klamm_fuzz::mutation::mutate;
use klamm_fuzz::seeds::seeds;
use klamm_fuzz::{TARGETS, Target};
use peak_alloc::PeakAlloc;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Inputs of each target, if nothing else is said.
const ITERATIONS: u64 = 100;
/// The longest input that mutation makes.
const MOST: usize = 4096;

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

fn corpus(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    let mut all: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.expect("a folder is readable").path())
        .map(|path| (path.clone(), std::fs::read(&path).expect("a file is readable")))
        .collect();
    all.sort();
    all
}

/// Runs a target on an input and weighs it; keeps the input if anything is wrong.
fn run(target: &Target, input: &[u8], origin: &str) {
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    let done = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let peak = HEAP.peak_usage().saturating_sub(before);
    let most = target.flat + target.per_byte * input.len();
    if done.is_ok() && peak <= most {
        return;
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-failure", target.name));
    std::fs::write(&path, input).expect("the folder for temporary files is writable");
    let name = target.name;
    match done {
        Err(_) => panic!("{name} fails on {origin}, kept in {}", path.display()),
        Ok(()) => panic!("{name} holds {peak} bytes, {most} at most, on {origin}, kept in {}", path.display()),
    }
}

/// One test: targets are weighed one at a time.
#[test]
fn corpora_and_what_is_made_of_them_pass() {
    let only = std::env::var("KLAMM_FUZZ_TARGET").ok();
    let targets: Vec<_> = TARGETS.iter().filter(|t| only.as_deref().is_none_or(|name| name == t.name)).collect();
    assert!(!targets.is_empty(), "there is no target of that name");
    let seed = setting("KLAMM_FUZZ_SEED").unwrap_or(1);
    let share = setting("KLAMM_FUZZ_SECONDS").map(|s| Duration::from_secs(s) / targets.len() as u32);
    let iterations = setting("KLAMM_FUZZ_ITERATIONS").unwrap_or(ITERATIONS);
    println!("KLAMM_FUZZ_SEED={seed}");
    for target in targets {
        let files = corpus(target);
        assert!(!files.is_empty(), "{} has no corpus", target.name);
        for (path, input) in &files {
            run(target, input, &path.display().to_string());
        }
        let mut inputs = seeds(target.name);
        inputs.extend(files.into_iter().map(|(_, input)| input));
        let (mut rng, begin, mut done) = (Rng::with_seed(seed), Instant::now(), 0);
        while share.map_or(done < iterations, |share| begin.elapsed() < share) {
            let input = mutate(&mut rng, &inputs, MOST);
            run(target, &input, &format!("input {done} of seed {seed}"));
            done += 1;
        }
        println!("{}: {} inputs of the corpus, {done} made of them", target.name, inputs.len());
    }
}
