//! What goes wrong.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use klamm::admin::NewTopic;
use klamm_live::{Proxy, Runtime, probe};

use super::{PARTITIONS, Run};
use crate::client::{connect, drive};
use crate::monkey::doze;

/// A run of this length does everything at least once.
const LONG: Duration = Duration::from_secs(60);

/// How often each thing was done.
#[derive(Debug, Default)]
pub(super) struct Toll {
    kills: usize,
    pauses: usize,
    rolling_restarts: usize,
    moves: usize,
    recreations: usize,
    delays: usize,
    resets: usize,
    silences: usize,
}

/// Goes on for so long; everything is whole at the end.
pub(super) fn rage(run: &Run<'_>, length: Duration) -> Result<Toll> {
    let cluster = run.target.real()?;
    let (mut rng, mut toll) = (fastrand::Rng::new(), Toll::default());
    doze(&run.over, Duration::from_secs(2));
    let begin = Instant::now();
    // The first round does everything once, in some order; a rolling restart takes long, so it is left to longer runs, whose
    // first round is not cut short.
    let is_long = length >= LONG;
    let mut first: Vec<u8> = if is_long { (0..8).collect() } else { vec![0, 1, 3, 4, 5, 6, 7] };
    rng.shuffle(&mut first);
    while (begin.elapsed() < length || is_long && !first.is_empty()) && !run.is_over() {
        let node = rng.usize(1..=3);
        let proxy: &Proxy = &run.proxies[node - 1];
        match first.pop().unwrap_or_else(|| [0, 0, 0, 1, 1, 2, 3, 3, 4, 5, 6, 6, 7, 7][rng.usize(..14)]) {
            0 => {
                run.note(format!("node {node} is killed"));
                cluster.kill(node)?;
                toll.kills += 1;
                doze(&run.over, Duration::from_millis(rng.u64(200..5_000)));
                cluster.restart(node)?;
                run.note(format!("node {node} is back"));
            }
            1 => {
                run.note(format!("node {node} is stopped"));
                cluster.pause(node)?;
                toll.pauses += 1;
                doze(&run.over, Duration::from_millis(rng.u64(500..8_000)));
                cluster.resume(node)?;
                run.note(format!("node {node} goes on"));
            }
            2 => {
                toll.rolling_restarts += 1;
                for node in 1..=3 {
                    run.note(format!("node {node} is restarted"));
                    cluster.stop(node)?;
                    cluster.restart(node)?;
                    probe::wait_until_whole(&cluster.client_ports(), Duration::from_secs(60))?;
                }
            }
            3 => {
                let mut replicas = vec![1, 2, 3];
                rng.shuffle(&mut replicas);
                // Two of three for a while: what is left out has to copy everything when it comes back.
                replicas.truncate(rng.usize(2..=3));
                let partition = rng.i32(0..PARTITIONS);
                run.note(format!("partition {partition} moves to {replicas:?}"));
                toll.moves += 1;
                cluster.probe(node)?.reassign(&run.topic, partition, &replicas)?;
                doze(&run.over, Duration::from_secs(1));
                replicas.extend((1..=3).find(|replica| !replicas.contains(replica)));
                cluster.probe(node)?.reassign(&run.topic, partition, &replicas)?;
            }
            4 => {
                run.note("the fleeting topic is created anew");
                toll.recreations += 1;
                drive(Runtime::Tokio, recreate(run))?;
            }
            5 => {
                let delay = Duration::from_millis(rng.u64(5..80));
                run.note(format!("node {node} answers {delay:?} later"));
                toll.delays += 1;
                proxy.delay(delay);
                doze(&run.over, Duration::from_millis(rng.u64(1_000..4_000)));
                proxy.delay(Duration::ZERO);
            }
            6 => {
                run.note(format!("connections to node {node} are reset"));
                toll.resets += 1;
                proxy.reset();
            }
            _ => {
                let all = rng.u8(..4) == 0;
                run.note(format!("node {node} (all: {all}) falls silent"));
                toll.silences += 1;
                let silent = |yes| {
                    run.proxies.iter().zip(1..).filter(|(_, n)| all || *n == node).for_each(|(p, _)| p.fall_silent(yes))
                };
                silent(true);
                doze(&run.over, Duration::from_millis(rng.u64(500..9_000)));
                silent(false);
                run.note("and is heard again");
            }
        }
        // Mostly the next blow falls when replicas are in sync again; at times while they are not.
        if rng.u8(..3) > 0 {
            probe::wait_until_whole(&cluster.client_ports(), Duration::from_secs(60))?;
        }
        doze(&run.over, Duration::from_millis(rng.u64(0..1_500)));
    }
    cluster.heal()?;
    run.note("all is healed");
    thread::sleep(Duration::from_secs(1));
    Ok(toll)
}

async fn recreate(run: &Run<'_>) -> Result<()> {
    let kafka = connect(run.target, Runtime::Tokio).await?;
    let name = run.fleeting.as_str();
    kafka.admin().delete_topics([name]).await?.all().context("the deletion")?;
    let begin = Instant::now();
    loop {
        match kafka.admin().create_topics([NewTopic::new(name, 2, 3)]).await?.all() {
            Ok(_) => break,
            // It goes on being there for a moment, and a producer that still writes may have made the brokers create it.
            Err(error) if begin.elapsed() > Duration::from_secs(5) => {
                run.note(format!("it is there already: {error}"));
                break;
            }
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
    Ok(kafka.close().await?)
}
