//! A group whose members come, go and fall asleep, and who watches what it commits.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use klamm::config::OffsetReset;
use klamm::{Batch, Consumer, ConsumerConfig, Kafka};
use klamm_live::Runtime;
use klamm_live::bank::Place;

use super::{Flag, PARTITIONS, Run, locked};
use crate::client::{connect, connect_with, drive};

/// How a member leaves.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// It closes its consumer.
    Closes,
    /// It drops everything that it has.
    Drops,
}

/// What became of the members.
#[derive(Debug, Default)]
pub(super) struct Staff {
    members: usize,
    closed: usize,
    dropped: usize,
    slept: usize,
}

/// Who does not poll for so long is put out of the group.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Keeps two to four members until all is done.
pub(super) fn come_and_go(run: &Run<'_>) -> Result<Staff> {
    let (mut rng, mut staff) = (fastrand::Rng::new(), Staff::default());
    thread::scope(|scope| {
        let mut members: Vec<(Flag, Flag, thread::ScopedJoinHandle<'_, ()>)> = Vec::new();
        while !run.is_done() {
            if members.len() < 2 || (members.len() < 4 && !run.is_over() && rng.bool()) {
                staff.members += 1;
                let (number, leave, sleep) = (staff.members, Flag::default(), Flag::default());
                let way = if rng.bool() { Way::Closes } else { Way::Drops };
                match way {
                    Way::Closes => staff.closed += 1,
                    Way::Drops => staff.dropped += 1,
                }
                let (left, sleeps) = (leave.clone(), sleep.clone());
                let work = move || {
                    let runtime = Runtime::ALL[number % Runtime::ALL.len()];
                    let outcome = drive(runtime, member(run, runtime, number, way, &left, &sleeps));
                    if let Err(error) = outcome {
                        run.fail(format!("member {number}: {error:#}"));
                    }
                };
                run.note(format!("member {number} comes"));
                members.push((leave, sleep, scope.spawn(work)));
            } else if !run.is_over() {
                let at = rng.usize(..members.len());
                if rng.u8(..3) == 0 {
                    staff.slept += 1;
                    members[at].1.store(true, Ordering::Release);
                } else {
                    members.swap_remove(at).0.store(true, Ordering::Release);
                }
            }
            let until = Instant::now() + Duration::from_millis(rng.u64(1_000..5_000));
            while !run.is_done() && Instant::now() < until {
                thread::sleep(Duration::from_millis(20));
            }
        }
        members.iter().for_each(|(leave, ..)| leave.store(true, Ordering::Release));
    });
    Ok(staff)
}

async fn member(
    run: &Run<'_>,
    runtime: Runtime,
    number: usize,
    way: Way,
    leave: &AtomicBool,
    sleep: &AtomicBool,
) -> Result<()> {
    let by_itself = number % 2 == 0;
    let begin = Instant::now();
    let kafka = loop {
        match connect_with(run.config().client_id(format!("member-{number}")), runtime).await {
            Ok(kafka) => break kafka,
            Err(error) => ensure!(begin.elapsed() < 2 * super::BOUND, "cannot connect: {error:#}"),
        }
    };
    let section = ConsumerConfig::group(run.group.as_str())
        .auto_offset_reset(OffsetReset::Earliest)
        .set("enable.auto.commit", by_itself)
        .set("auto.commit.interval.ms", 300)
        .set("session.timeout.ms", 6_000)
        .set("heartbeat.interval.ms", 500)
        .set("max.poll.interval.ms", POLL_INTERVAL.as_millis() as u64)
        .set("max.poll.records", 200);
    let mut consumer = kafka.consumer_with(section)?;
    consumer.subscribe([run.topic.as_str()])?;
    let mut last: BTreeMap<i32, i64> = BTreeMap::new();
    while !leave.load(Ordering::Acquire) {
        let batch = match consumer.poll(Duration::from_millis(200)).await {
            Ok(batch) => batch.context("woken up")?,
            Err(error) => {
                run.note(format!("member {number}: {error}"));
                ensure!(!error.is_fatal(), "{error:?}");
                thread::sleep(Duration::from_millis(50));
                continue;
            }
        };
        for new in batch.assigned() {
            last.remove(&new.partition);
        }
        take(run, number, &batch, &mut last)?;
        if sleep.swap(false, Ordering::AcqRel) {
            run.note(format!("member {number} sleeps"));
            thread::sleep(POLL_INTERVAL + Duration::from_secs(2));
        }
        // Now it is done with them: whoever commits, by itself or not, may commit them.
        finish(run, &batch);
        if !by_itself && !batch.is_empty() {
            commit(run, number, &consumer).await?;
        }
    }
    leave_by(run, way, kafka, consumer, number).await
}

fn take(run: &Run<'_>, number: usize, batch: &Batch, last: &mut BTreeMap<i32, i64>) -> Result<()> {
    let mut watch = locked(&run.watch);
    for record in batch {
        let (partition, offset) = (record.partition(), record.offset());
        let before = last.insert(partition, offset);
        let in_order = before.is_none_or(|b| b < offset);
        ensure!(in_order, "member {number}: partition {partition}: {offset} after {before:?}");
        watch.hand_out(&(run.topic.clone(), partition), offset);
    }
    Ok(())
}

fn finish(run: &Run<'_>, batch: &Batch) {
    let mut watch = locked(&run.watch);
    for (place, next) in batch.next_offsets().iter() {
        watch.done(&(run.topic.clone(), place.partition), next);
    }
}

async fn commit(run: &Run<'_>, number: usize, consumer: &Consumer) -> Result<()> {
    let outcome = match number % 4 {
        1 => consumer.commit_sync().await,
        _ => consumer.commit_async().await,
    };
    if let Err(error) = outcome {
        run.note(format!("member {number} commits: {error}"));
        ensure!(!error.is_fatal(), "{error:?}");
    }
    Ok(())
}

async fn leave_by(run: &Run<'_>, way: Way, kafka: Kafka, consumer: Consumer, number: usize) -> Result<()> {
    run.note(format!("member {number} leaves: {way:?}"));
    match way {
        Way::Closes => {
            if let Err(error) = consumer.close().await {
                run.note(format!("member {number} closes: {error}"));
            }
            kafka.close().await.ok();
        }
        Way::Drops => drop((consumer, kafka)),
    }
    Ok(())
}

/// Looks at what is committed until all is done: it is never beyond what members came back after, and never falls.
pub(super) async fn watch_commits(run: &Run<'_>, runtime: Runtime) -> Result<()> {
    let kafka = connect(run.target, runtime).await?;
    let reader = kafka.consumer_with(ConsumerConfig::group(run.group.as_str()))?;
    let all = || (0..PARTITIONS).map(|partition| (run.topic.as_str(), partition));
    let mut best: BTreeMap<Place, i64> = BTreeMap::new();
    let mut falls = 0;
    while !run.is_done() {
        thread::sleep(Duration::from_millis(200));
        let Ok(committed) = reader.committed(all()).await else { continue };
        let found = all().filter_map(|at| Some(((at.0.to_owned(), at.1), committed.get(at)?)));
        let found: Vec<(Place, i64)> = found.collect();
        // A coordinator that was stopped and does not know yet that it is none any more tells old news.
        if found.iter().any(|(place, offset)| best.get(place).is_some_and(|b| b > offset)) {
            falls += 1;
            run.note(format!("commits seem to fall: {found:?} after {best:?}"));
            if falls > 40 {
                bail!("commits fell: {found:?} after {best:?}");
            }
            continue;
        }
        falls = 0;
        let mut watch = locked(&run.watch);
        for (place, offset) in &found {
            if let Err(error) = watch.committed(place, *offset) {
                drop(watch);
                run.fail(format!("{error:#}"));
                return Ok(());
            }
        }
        drop(watch);
        best.extend(found);
    }
    Ok(kafka.close().await?)
}
