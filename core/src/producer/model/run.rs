//! Runs of the model: faults first, then peace; then every batch has its outcome and the logs bear it out.

use super::broker::{Log, Rec};
use super::monitor::End;
use super::world::{BROKERS, World};
use crate::config::Acks;
use crate::{BrokerId, PartitionIx};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

fn step(world: &mut World, turmoil: bool) {
    let broker = BrokerId(1 + world.dice.below(BROKERS as u64) as i32);
    match world.dice.below(100) {
        0..=18 => world.append_records(),
        19 => {
            let waiting = world.dice.below(4) == 0;
            world.press(waiting);
        }
        20..=39 => {
            world.offer();
            world.collect();
            world.offer();
        }
        40..=59 => {
            world.work(broker);
        }
        60..=74 => {
            world.arrive(broker);
        }
        75..=79 => {
            world.identify();
        }
        80..=89 => {
            let by = Duration::from_micros(1 + world.dice.below(60_000));
            world.pass(by);
        }
        90..=92 => {
            if world.stale || world.dice.below(10) == 0 {
                world.refresh();
            }
        }
        93..=94 => world.links.get_mut(&broker).unwrap().up = true,
        _ if !turmoil || world.faults == 0 => {}
        95 | 96 => world.cut(broker),
        97 => {
            let at = world.dice.below(world.places.len() as u64) as usize;
            let leader = BrokerId(1 + world.dice.below(BROKERS as u64) as i32);
            let none = world.dice.below(5) == 0;
            let log = &mut world.places[at].log;
            log.leader = if none { None } else { Some(leader) };
            log.epoch += 1;
        }
        98 if !world.gentle => match world.dice.below(30) {
            0 => {
                // The topic is deleted and created anew.
                for place in &mut world.places {
                    let id = place.log.incarnation as u8 + 2;
                    let mut log = Log::new(id, place.log.leader.unwrap_or(BrokerId(1)));
                    log.max_bytes = place.log.max_bytes;
                    place.past.push(std::mem::replace(&mut place.log, log));
                }
            }
            1..=6 => {
                let at = world.dice.below(world.places.len() as u64) as usize;
                world.places[at].log.restart();
            }
            7..=14 => {
                let at = world.dice.below(world.places.len() as u64) as usize;
                world.places[at].log.max_bytes = 61 + 25 + world.dice.below(40) as usize;
            }
            _ => {}
        },
        _ if world.dice.below(3) == 0 => {
            world.haunt();
        }
        _ => world.pass(Duration::from_millis(400)),
    }
}

/// Without faults everything comes to its end, and without waiting for more than its pauses and deadlines.
pub(super) fn heal(world: &mut World) {
    (world.faults, world.stale) = (0, true);
    world.press(false);
    for place in &mut world.places {
        place.log.leader.get_or_insert(BrokerId(1));
    }
    for _ in 0..20_000 {
        for link in world.links.values_mut() {
            link.up = true;
        }
        if world.stale {
            world.refresh();
        }
        let mut moved = world.dice.below(4) == 0 && world.haunt();
        moved |= world.identify() | world.offer() | world.collect();
        for broker in (1..=BROKERS).map(BrokerId) {
            moved |= world.work(broker) | world.arrive(broker);
        }
        let waiting = !world.monitor.open.is_empty() || world.places.iter().any(|p| !p.is_empty());
        if !waiting && !moved {
            return;
        }
        if !moved {
            let wait = world.until_wake().expect("something waits and nothing will wake it");
            // The longest pause there is: linger. A batch that only its deadline would free is stuck.
            assert!(wait <= Duration::from_millis(400), "stuck: nothing is due before {wait:?}: {:#?}", world.producer);
            world.pass(wait);
        }
    }
    panic!("does not come to an end: {:?}", world.producer);
}

fn check(world: &World) {
    if world.gentle && world.acks != Acks::Zero {
        assert!(world.errors.is_empty(), "failed although every fault passed: {:?}", world.errors);
    }
    let mut by_partition: BTreeMap<PartitionIx, Vec<(Rec, &End)>> = BTreeMap::new();
    for ((partition, rec), end) in &world.monitor.ends {
        by_partition.entry(*partition).or_default().push((*rec, end));
    }
    for place in &world.places {
        let logs: Vec<&Log> = place.past.iter().chain([&place.log]).collect();
        for log in &logs {
            let records = log.records();
            if world.monitor.idempotent {
                let unique: BTreeSet<&Rec> = records.iter().collect();
                assert_eq!(unique.len(), records.len(), "{}: twice: {records:?}", place.ix);
                // A copy that a broker finds late in a dead connection's socket is only fenced off by a higher epoch, not
                // by another producer id. Its batch was reported as possibly written.
                let doubtful = |rec: &Rec| matches!(world.monitor.ends[&(place.ix, *rec)], End::Failed { .. });
                let kept: Vec<&Rec> = records.iter().filter(|rec| !(world.haunted && doubtful(rec))).collect();
                // Requests by name reach a log that replaced another unnoticed, and without state it takes whichever batch
                // comes first: no client can tell. By id it refuses them.
                if log.incarnation == 0 || world.by_id {
                    assert!(kept.is_sorted(), "{}: out of order: {kept:?}", place.ix);
                }
            } else {
                let firsts: Vec<u64> = log.batches.iter().map(|batch| batch[0].0).collect();
                let muted = world.monitor.most == 1 && world.acks != Acks::Zero;
                assert!(!muted || firsts.is_sorted(), "{}: overtaken: {firsts:?}", place.ix);
            }
        }
        let written: BTreeSet<Rec> = logs.iter().flat_map(|log| log.records()).collect();
        for (rec, end) in by_partition.remove(&place.ix).unwrap_or_default() {
            match end {
                End::Acked(_) if world.acks == Acks::Zero => {}
                End::Acked(offset) => {
                    assert!(written.contains(&rec), "{} {rec:?}: acknowledged and not in the log", place.ix);
                    if let Some(offset) = offset {
                        let there = logs.iter().any(|log| log.records().get(*offset as usize) == Some(&rec));
                        assert!(there, "{} {rec:?}: not at its offset {offset}", place.ix);
                    }
                }
                End::Failed { possibly: false, text } => {
                    assert!(!written.contains(&rec), "{} {rec:?}: said not to be written: {text}", place.ix);
                }
                End::Failed { .. } => {}
            }
        }
    }
}

fn run(seed: u64) -> World {
    let mut world = World::new(seed);
    let steps = 50 + world.dice.below(600);
    for _ in 0..steps {
        step(&mut world, true);
    }
    heal(&mut world);
    check(&world);
    world
}

/// `KLAMM_SEEDS=20000 cargo test -p klamm-core model` runs more.
fn seeds() -> std::ops::Range<u64> {
    let many = option_env!("KLAMM_SEEDS").and_then(|n| n.parse().ok()).unwrap_or(250);
    0..many
}

#[test]
fn whatever_happens_every_batch_ends_once_and_the_logs_bear_it_out() {
    let (mut acked, mut possibly, mut not, mut bumps, mut splits, mut retries) = (0, 0, 0, 0, 0, 0);
    for seed in seeds() {
        let ran = std::panic::catch_unwind(|| run(seed));
        let Ok(world) = ran else { panic!("seed {seed}") };
        for end in world.monitor.ends.values() {
            match end {
                End::Acked(_) => acked += 1,
                End::Failed { possibly: true, .. } => possibly += 1,
                End::Failed { .. } => not += 1,
            }
        }
        bumps += world.stats.produced().bumps;
        splits += world.stats.produced().splits;
        retries += world.stats.produced().retries;
    }
    println!(
        "acked {acked}, possibly written {possibly}, not written {not}; bumps {bumps}, splits {splits}, retries {retries}"
    );
    // A run that never came to these places would prove nothing about them.
    assert!(acked > 1000 && possibly > 100 && not > 100 && bumps > 50 && splits > 50 && retries > 1000);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in [1, 17, 123] {
        let (a, b) = (run(seed), run(seed));
        assert_eq!(format!("{:?}", a.producer), format!("{:?}", b.producer));
        assert_eq!(a.stats, b.stats);
    }
}
