//! Runs of the model: faults first, then peace; then everybody was told, and the logs bear it out.

use super::brokers::Mark;
use super::world::{BROKERS, World};
use crate::{BrokerId, ErrorKind};
use std::collections::BTreeSet;
use std::time::Duration;

fn step(world: &mut World) {
    match world.dice.below(100) {
        0..=7 => world.begin(),
        8..=23 => world.send(),
        24..=25 => world.send_offsets(),
        26..=30 => {
            let commit = world.dice.below(3) > 0;
            world.end(commit);
        }
        31..=50 => {
            world.offer();
            world.collect();
            world.offer();
        }
        51..=68 => {
            world.work();
        }
        69..=84 => {
            world.arrive();
        }
        85..=88 => {
            world.brokers.write_markers();
        }
        89..=93 => {
            let by = Duration::from_micros(1 + world.dice.below(60_000));
            world.pass(by);
        }
        94 => {
            if world.is_stale() || world.dice.below(10) == 0 {
                world.refresh();
            }
        }
        _ if world.faults == 0 => {}
        95 | 96 => world.cut(),
        97 => {
            world.haunt();
        }
        98 => match world.dice.below(6) {
            0 | 1 => world.move_leader(),
            2 | 3 => {
                let which = world.dice.below(2) as usize;
                world.at[which] = BrokerId(1 + world.dice.below(BROKERS as u64) as i32);
            }
            4 if world.dice.below(4) == 0 => world.version = 2,
            5 if world.fatal > 0 && world.dice.below(4) == 0 => world.brokers.time_out(),
            _ => {}
        },
        _ => world.pass(Duration::from_millis(400)),
    }
}

/// Without faults everything comes to its end, and without waiting for more than its pauses.
fn heal(world: &mut World) {
    (world.faults, world.fatal) = (0, 0);
    if world.open.is_some() {
        let commit = world.dice.below(2) == 0;
        world.end(commit);
    }
    world.refresh();
    for _ in 0..5_000 {
        if world.is_stale() {
            world.refresh();
        }
        let mut moved = world.dice.below(3) == 0 && world.haunt();
        moved |= world.offer() | world.collect() | world.work() | world.arrive();
        moved |= world.dice.below(3) == 0 && world.brokers.write_markers();
        if !world.waits() {
            return;
        }
        if !moved && !world.brokers.write_markers() {
            let wait = world.until_wake().expect("something waits and nothing will wake it");
            assert!(wait <= Duration::from_millis(200), "stuck for {wait:?}: {:#?}", world.producer);
            world.pass(wait.max(Duration::from_micros(1)));
        }
    }
    panic!("does not come to an end: {:#?}", world.producer);
}

fn is_dead(world: &World) -> bool {
    world.producer.is_doomed()
}

/// What the application was told against what the brokers have.
fn check(world: &World) -> [u64; 4] {
    let mut seen = [0; 4];
    let logs = || world.brokers.logs.iter().flat_map(|log| &log.batches);
    assert!(logs().all(|(_, mark)| *mark != Mark::Open), "a transaction hangs");
    let committed: Vec<u64> = logs().filter(|(_, mark)| *mark == Mark::Committed).map(|(seen, _)| seen.no).collect();
    let once: BTreeSet<u64> = committed.iter().copied().collect();
    assert_eq!(committed.len(), once.len(), "a batch is committed twice");
    let written: BTreeSet<u64> = logs().map(|(seen, _)| seen.no).collect();
    for past in world.brokers.past.iter().filter(|past| past.committed) {
        let of = |no: &u64| world.stories.iter().find(|(_, story)| story.batches.contains_key(no)).map(|(g, _)| *g);
        let mut generations: BTreeSet<u64> = past.batches.iter().filter_map(of).collect();
        generations.extend(past.offset.map(|offset| offset as u64));
        assert!(generations.len() <= 1, "of several transactions: {generations:?}");
    }
    for (generation, story) in &world.stories {
        let result = story.told.as_ref().expect("everybody is told");
        let there = story.batches.keys().filter(|no| once.contains(no)).count();
        let offset = world.brokers.past.iter().any(|past| past.committed && past.offset == Some(*generation as i64));
        let all = there == story.batches.len() && offset == story.offset;
        let none = there == 0 && !offset;
        match (story.commit, result) {
            (Some(true), Ok(())) => {
                assert!(all, "{generation} is told as committed: {there} of {} batches, {offset}", story.batches.len());
                let failed = story.batches.values().any(|end| !matches!(end, Some(Ok(()))));
                assert!(!failed, "{generation} is told as committed, and a batch of it as failed");
                seen[0] += 1;
            }
            (Some(true), Err(error)) if error.is_outcome_unknown() => {
                assert!(world.doubts && error.is_fatal(), "{generation}: who should know? {error:?}");
                assert!(all || none, "{generation} is torn: {there} of {} batches, {offset}", story.batches.len());
                seen[1] += 1;
            }
            (_, Err(error)) => {
                assert!(none, "{generation}: {there} batches, {offset} are committed, and told: {error:?}");
                assert!(error.is_fatal() || error.kind() == ErrorKind::Aborted, "{generation}: {error:?}");
                seen[2] += 1;
            }
            (_, Ok(())) => {
                assert!(none, "{generation} is told as aborted: {there} batches, {offset} are committed");
                seen[3] += 1;
            }
        }
        for (no, end) in &story.batches {
            if let Some(Err(error)) = end {
                let lie = !error.possibly_written() && written.contains(no);
                assert!(!lie, "{generation}: batch {no} is told as not written: {error:?}");
            }
        }
    }
    seen
}

fn run(seed: u64) -> [u64; 5] {
    let mut world = World::new(seed);
    for _ in 0..100 + world.dice.below(900) {
        step(&mut world);
    }
    heal(&mut world);
    let dead = is_dead(&world);
    if !dead {
        // It goes on.
        world.begin();
        world.send();
        world.send_offsets();
        world.end(true);
        heal(&mut world);
        let last = world.stories.values().next_back().and_then(|story| story.told.clone());
        assert_eq!(last, Some(Ok(())), "it does not go on");
    }
    while world.haunt() {}
    // The next producer of the name.
    world.brokers.write_markers();
    if world.brokers.init(None).is_err() {
        world.brokers.write_markers();
    }
    let [done, unknown, aborted, given_up] = check(&world);
    [done, unknown, aborted, given_up, u64::from(dead)]
}

/// `KLAMM_SEEDS=20000 cargo test -p klamm-core transaction::model` runs more.
fn seeds() -> std::ops::Range<u64> {
    let many = option_env!("KLAMM_SEEDS").and_then(|n| n.parse().ok()).unwrap_or(300);
    0..many
}

#[test]
fn whatever_happens_transactions_are_what_they_were_told_to_be() {
    let mut sum = [0; 5];
    for seed in seeds() {
        let ran = std::panic::catch_unwind(|| run(seed));
        let Ok(counts) = ran else { panic!("seed {seed}") };
        sum.iter_mut().zip(counts).for_each(|(sum, n)| *sum += n);
    }
    let [done, unknown, aborted, given_up, dead] = sum;
    println!("committed {done}, unknown {unknown}, aborted instead {aborted}, aborted {given_up}; dead {dead}");
    // A run that never came to these places would prove nothing about them.
    assert!(done > 500 && unknown > 0 && aborted > 100 && given_up > 200 && dead > 10);
}
