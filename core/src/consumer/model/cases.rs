//! Runs of the model: faults first, then peace; then everything is read, committed and quiet.

use super::world::{IX, World};
use crate::client::{CloseConsumer, Command};
use crate::wire::ApiKey;
use crate::{BrokerId, ErrorKind, Time};
use std::time::Duration;

/// True if there were no faults at all.
fn turmoil(world: &mut World, mode: u64) -> bool {
    world.faults = [0, 20, 100, 300][world.dice.below(4) as usize];
    for _ in 0..1500 {
        world.tick();
        match world.dice.below(400) {
            0..=20 => {
                let number = world.dice.below(4) as i32;
                let count = 1 + world.dice.below(5) as u32;
                world.logs.get_mut(&number).unwrap().append(count);
            }
            32..=35 => world.seek(),
            36..=39 => {
                let (at, pause) = (world.dice.below(4) as i32, world.dice.below(2) == 0);
                world.pause(at, pause);
            }
            _ if world.faults == 0 => {}
            21..=24 => {
                let at = world.dice.below(12) as usize;
                world.cut(at);
            }
            25 | 26 => {
                let number = world.dice.below(4) as i32;
                let leader = BrokerId(1 + world.dice.below(3) as i32);
                let log = world.logs.get_mut(&number).unwrap();
                (log.leader, log.epoch) = (leader, log.epoch + 1);
            }
            27 => world.coordinator = BrokerId(1 + world.dice.below(3) as i32),
            28 => {
                let broker = BrokerId(1 + world.dice.below(3) as i32);
                world.sessions.get_mut(&broker).unwrap().evict();
            }
            29 if mode == 0 => world.group.toggle_other(world.now.mono),
            30 => world.away = world.now.mono + Duration::from_millis(world.dice.below(30_000)),
            31 if mode == 0 => {
                world.command(Command::Rejoin(IX, "why not".into()));
            }
            _ => {}
        }
    }
    let calm = std::mem::take(&mut world.faults) == 0;
    world.away = Time::ZERO;
    for at in 0..4 {
        world.pause(at, false);
    }
    world.refresh();
    if world.group.seats.contains_key(super::coordinator::OTHER) {
        world.group.toggle_other(world.now.mono);
    }
    calm
}

fn peace(world: &mut World, seed: u64) {
    let end = world.now.mono + Duration::from_secs(300);
    while !world.is_caught_up() || world.front.shelved() > 0 {
        world.tick();
        let errors: Vec<String> = world.front.errors.iter().map(ToString::to_string).collect();
        assert!(world.now.mono < end, "seed {seed}: it never gets there: {:#?} {errors:?}", world.consumer);
    }
}

fn run(seed: u64, mode: u64) {
    let mut world = World::new(seed, mode);
    let calm = turmoil(&mut world, mode);
    peace(&mut world, seed);
    let commits = mode < 2 && !world.explicit;
    // The last poll returned nothing, so all is done; and what is done is committed.
    for _ in 0..500 {
        world.tick();
    }
    if commits {
        for (number, log) in &world.logs {
            let committed = world.group.committed.get(number).copied().unwrap_or(0);
            assert_eq!(committed, log.end, "seed {seed}: partition {number}");
        }
    }
    // Nothing happens: heartbeats and long polls, but no more.
    let (before, since) = (world.requests, world.now.mono);
    world.seen.clear();
    while world.now.mono < since + Duration::from_secs(20) {
        world.tick();
    }
    let requests = world.requests - before;
    // Three brokers, each asked five times a second, and a heartbeat and a commit every second.
    assert!(requests <= 20 * (3 * 5 + 2), "seed {seed}: {requests} requests in 20 s: {:?}", world.seen);
    assert!(world.seen.contains(&ApiKey::FETCH), "it listens still");
    close(&mut world, seed, mode);
    if calm {
        assert!(world.sessions.values().all(|s| s.count() == 0), "seed {seed}: brokers keep fetch sessions for nobody");
    }
}

fn close(world: &mut World, seed: u64, mode: u64) {
    let deadline = world.now.mono + Duration::from_secs(30);
    let how = CloseConsumer { commit: true, leave: None };
    let op = world.command(Command::CloseConsumer(IX, how, deadline));
    while !world.consumer.is_closed() {
        world.tick();
        assert!(world.now.mono < deadline, "seed {seed}: it does not close: {:#?}", world.consumer);
    }
    for _ in 0..200 {
        world.tick();
    }
    assert!(world.front.answers.contains(&(op, true)), "seed {seed}");
    if mode == 0 {
        assert!(world.group.seats.is_empty(), "seed {seed}: it left a ghost: {:?}", world.group.seats);
    }
    let commands = world.ops;
    assert!(world.front.answers.len() as u64 <= commands);
}

#[test]
fn a_member_of_a_group_reads_everything_and_commits_no_more_than_is_done() {
    for seed in 0..40 {
        run(seed, 0);
    }
}

#[test]
fn a_manual_assignment_commits_without_a_membership() {
    for seed in 1000..1015 {
        run(seed, 1);
    }
}

#[test]
fn without_a_group_all_partitions_are_read() {
    for seed in 2000..2015 {
        run(seed, 2);
    }
}

#[test]
fn who_does_not_poll_is_put_out_and_comes_back_with_the_next_poll() {
    let mut world = World::new(7, 0);
    world.refresh();
    world.logs.get_mut(&0).unwrap().append(3);
    peace(&mut world, 7);
    world.front.polling = false;
    world.front.last_return = world.now.mono;
    world.away = world.now.mono + Duration::from_secs(60);
    while world.now.mono < world.away {
        world.tick();
    }
    assert_eq!(world.front.lost, 1);
    assert!(world.group.seats.is_empty(), "it left, and did not come back by itself");
    world.logs.get_mut(&0).unwrap().append(3);
    peace(&mut world, 7);
    assert_eq!(world.group.seats.len(), 1);
}

#[test]
fn a_session_that_ends_in_silence_costs_the_partitions() {
    let mut world = World::new(8, 0);
    world.refresh();
    peace(&mut world, 8);
    for _ in 0..300 {
        world.tick();
    }
    assert!(world.front.holds());
    for at in 0..12 {
        world.cut_for(at, Duration::from_secs(30));
    }
    let (sent, silent) = (world.now.mono, Duration::from_secs(10));
    while world.now.mono < sent + silent + Duration::from_secs(1) {
        // A second of heartbeats may have been answered before.
        assert!(world.front.lost == 0 || world.now.mono >= sent + silent - Duration::from_secs(3));
        world.tick();
    }
    assert_eq!(world.front.lost, 1, "{:?}", world.front.errors);
    assert!(world.front.errors.iter().all(|e| e.kind() != ErrorKind::Fenced));
}
