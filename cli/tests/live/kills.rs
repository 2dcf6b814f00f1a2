//! Lines piped in while brokers are killed.

use crate::command;
use anyhow::{Context, Result, anyhow, ensure};
use klamm_live::{Behaviour, Kind, Runtime, Target};
use std::env;
use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

pub(crate) const BEHAVIOURS: &[Behaviour] =
    &[Behaviour::of_klamm("every_line_arrives_once_and_in_order_while_brokers_are_killed", brokers_are_killed)
        .on(|kind| kind.is_real() && Kind::survives_a_crash(kind))
        .alone()
        .within(Duration::from_secs(300))];

/// The lines are spread over the time that the killing takes.
const SPREAD: Duration = Duration::from_secs(20);
const PIECE: usize = 500;

/// How many lines at least, and on until the last broker is back; `KLAMM_LIVE_FULL` makes it a million.
fn lines() -> usize {
    if env::var_os(klamm_live::suite::FULL).is_some() { 1_000_000 } else { 200_000 }
}

/// One after the other is killed with SIGKILL and started again; all of it falls into the piping. One command writes to
/// a topic of one partition, another to one of three.
fn brokers_are_killed(target: &Target, runtime: Runtime) -> Result<()> {
    let topics = [(target.topic("piped"), 1), (target.topic("piped"), 3)];
    for (topic, partitions) in &topics {
        let create = format!("topics create {topic} --partitions {partitions} --replication-factor 3");
        crate::told(target, runtime, &format!("{create} --config min.insync.replicas=2"))?;
    }
    let healed = AtomicBool::new(false);
    let sent = thread::scope(|scope| {
        let pipes: Vec<_> =
            topics.iter().map(|(topic, _)| scope.spawn(|| pipe(target, runtime, topic, &healed))).collect();
        let killed = kill_each(target);
        // Whatever became of the brokers, the pipes must end.
        healed.store(true, Ordering::Release);
        let piped = |pipe: ScopedJoinHandle<'_, Result<usize>>| pipe.join().map_err(|_| anyhow!("a pipe panicked"))?;
        let sent = pipes.into_iter().map(piped).collect::<Result<Vec<_>>>();
        killed.and(sent)
    })?;
    topics.iter().zip(sent).try_for_each(|((topic, _), sent)| arrived(target, topic, sent))
}

fn kill_each(target: &Target) -> Result<()> {
    for node in target.node_ids() {
        thread::sleep(Duration::from_secs(1));
        target.kill(node)?;
        thread::sleep(Duration::from_secs(5));
        target.heal()?;
    }
    Ok(())
}

/// Gives the number of lines, which klamm says are written.
fn pipe(target: &Target, runtime: Runtime, topic: &str, healed: &AtomicBool) -> Result<usize> {
    let mut command = command(target, runtime, &format!("produce -t {topic}"));
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().context("cannot start klamm")?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    let mut n = 0;
    while n < lines() || !healed.load(Ordering::Acquire) {
        let piece: String = (n..n + PIECE).map(|n| format!("{n:08} of the lines that must arrive\n")).collect();
        if stdin.write_all(piece.as_bytes()).is_err() {
            break;
        }
        n += PIECE;
        thread::sleep(SPREAD * PIECE as u32 / lines() as u32);
    }
    drop(stdin);
    let mut err = String::new();
    child.stderr.take().context("no standard error")?.read_to_string(&mut err)?;
    let ended = child.wait()?;
    ensure!(ended.code() == Some(0), "klamm ended with {ended} after {n} lines: {err}");
    Ok(n)
}

fn arrived(target: &Target, topic: &str, sent: usize) -> Result<()> {
    let read = target.java()?.consume(topic, sent, &[])?;
    ensure!(read.len() == sent, "{sent} acknowledged, {} in the log", read.len());
    let mut seen = vec![false; sent];
    let mut last = std::collections::BTreeMap::new();
    for record in &read {
        let value = record.value.as_deref().context("a tombstone")?;
        let n: usize = std::str::from_utf8(value.get(..8).context("a short line")?)?.parse()?;
        let seen = seen.get_mut(n).with_context(|| format!("line {n} was never sent"))?;
        ensure!(!std::mem::replace(seen, true), "line {n} came twice");
        let before = last.insert(record.partition, n);
        ensure!(before.is_none_or(|before| before < n), "line {n} came behind {before:?}");
    }
    Ok(())
}
