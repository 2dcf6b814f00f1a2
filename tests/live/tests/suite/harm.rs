//! What klamm keeps while brokers are killed or fall silent.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use klamm::{Config, ConsumerConfig, ProducerConfig};
use klamm_live::{Behaviour, Kind, Runtime, Target};

use crate::client::{LIMIT, by_place, connect, connect_with, drive};

pub(crate) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::of_klamm("nothing_is_lost_or_doubled_while_brokers_are_killed", brokers_are_killed)
        .on(Kind::survives_a_crash)
        .alone()
        .within(Duration::from_secs(300)),
    Behaviour::of_klamm("a_leader_that_falls_silent_holds_nothing_up_for_long", a_leader_is_paused)
        .on(|kind| kind.is_real() && kind.survives_a_crash())
        .alone(),
];

/// At least so many are sent, and on until the last broker is back: all of the harm falls into the sending.
const RECORDS: usize = 100_000;

/// What the threads of a trial tell each other.
#[derive(Default)]
struct Progress {
    sent: AtomicUsize,
    healed: AtomicBool,
    all_sent: AtomicBool,
    failed: AtomicBool,
}

/// One broker after the other is killed and started again, while a producer writes and a group of one reads along.
fn brokers_are_killed(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("kills");
    let progress = Progress::default();
    let told = |outcome: Result<()>| {
        progress.failed.fetch_or(outcome.is_err(), Ordering::AcqRel);
        outcome
    };
    thread::scope(|scope| {
        let faults = scope.spawn(|| told(kill_each(target, &progress)));
        let reading = scope.spawn(|| told(drive(runtime, read_along(target, runtime, &topic, &progress))));
        let sent = told(drive(runtime, write_on(target, runtime, &topic, &progress)));
        faults.join().map_err(|_| anyhow!("the thread that kills panicked"))?.context("killing")?;
        sent.context("writing")?;
        reading.join().map_err(|_| anyhow!("the reading thread panicked"))?.context("reading")
    })?;
    let sent = progress.sent.load(Ordering::Acquire);
    let read = by_place(target.java()?.consume(&topic, sent, &[])?);
    ensure!(read.len() == sent, "{sent} acknowledged, {} in the log", read.len());
    for partition in 0..3 {
        let of_partition = read.iter().filter(|record| record.partition == Some(partition));
        let values: Vec<&[u8]> = of_partition.filter_map(|record| record.value.as_deref()).collect();
        ensure!(values.is_sorted(), "partition {partition} is out of order");
        ensure!(values.windows(2).all(|pair| pair[0] != pair[1]), "partition {partition} has a duplicate");
    }
    Ok(())
}

fn kill_each(target: &Target, progress: &Progress) -> Result<()> {
    for node in target.node_ids() {
        thread::sleep(Duration::from_secs(2));
        target.kill(node)?;
        thread::sleep(Duration::from_secs(5));
        target.heal()?;
    }
    progress.healed.store(true, Ordering::Release);
    Ok(())
}

async fn write_on(target: &Target, runtime: Runtime, topic: &str, progress: &Progress) -> Result<()> {
    let kafka = connect(target, runtime).await?;
    let producer = kafka.producer()?;
    let (mut n, mut deliveries) = (0, Vec::new());
    while n < RECORDS || !progress.healed.load(Ordering::Acquire) {
        ensure!(!progress.failed.load(Ordering::Acquire), "given up after {n} records, because others failed");
        for _ in 0..100 {
            let value = format!("{n:08}");
            let record = klamm::Record::to(topic).partition((n % 3) as i32).value(&value);
            deliveries.push(producer.send(record).queued().await?);
            n += 1;
        }
        thread::sleep(Duration::from_millis(20));
    }
    for delivery in deliveries {
        delivery.await?;
    }
    progress.sent.store(n, Ordering::Release);
    progress.all_sent.store(true, Ordering::Release);
    Ok(kafka.close().await?)
}

/// Reads every record at least once, and each partition in order apart from what is read again after a loss.
async fn read_along(target: &Target, runtime: Runtime, topic: &str, progress: &Progress) -> Result<()> {
    let kafka = connect(target, runtime).await?;
    let group = target.topic("reader");
    let config = ConsumerConfig::group(&*group)
        .set("auto.offset.reset", "earliest")
        .set("auto.commit.interval.ms", 500)
        .set("session.timeout.ms", 10_000);
    let mut consumer = kafka.consumer_with(config)?;
    consumer.subscribe([topic])?;
    let mut seen: [BTreeSet<usize>; 3] = Default::default();
    let mut deadline = None;
    loop {
        ensure!(!progress.failed.load(Ordering::Acquire), "given up, because others failed");
        let batch = consumer.poll(Duration::from_millis(200)).await?.context("woken up")?;
        for record in &batch {
            let value: usize = std::str::from_utf8(record.value().context("a tombstone")?)?.parse()?;
            let seen = &mut seen[record.partition() as usize];
            // Every third number is of this partition: one that is left out was lost on the way.
            let next = seen.last().map_or(record.partition() as usize, |last| last + 3);
            ensure!(value <= next, "{value} came where {next} was due");
            seen.insert(value);
        }
        if progress.all_sent.load(Ordering::Acquire) {
            let count: usize = seen.iter().map(BTreeSet::len).sum();
            let sent = progress.sent.load(Ordering::Acquire);
            if count >= sent {
                ensure!(count == sent, "{count} read, {sent} sent");
                break;
            }
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + LIMIT);
            ensure!(Instant::now() < deadline, "{count} of {sent} records read, {}", consumer.state());
        }
    }
    consumer.close().await?;
    Ok(kafka.close().await?)
}

fn a_leader_is_paused(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("paused");
    let cluster = target.real()?;
    let node = *cluster.node_ids().end();
    drive(runtime, async {
        let config = Config::new(target.bootstrap()).request_timeout(Duration::from_secs(3));
        let kafka = connect_with(config, runtime).await?;
        let producer = kafka.producer_with(ProducerConfig::new().set("delivery.timeout.ms", 60_000))?;
        let send = |n: i32| {
            let value = n.to_string();
            producer.send(klamm::Record::to(&topic).partition(n % 3).value(&value))
        };
        for n in 0..3 {
            send(n).await?;
        }
        cluster.pause(node)?;
        let begin = Instant::now();
        let deliveries: Vec<_> = (3..300).map(send).collect();
        for delivery in deliveries {
            delivery.await?;
        }
        let took = begin.elapsed();
        ensure!(took < LIMIT, "written only after {took:?}");
        cluster.resume(node)?;
        Ok(kafka.close().await?)
    })?;
    target.heal()?;
    let read = by_place(target.java()?.consume(&topic, 300, &[])?);
    ensure!(read.len() == 300, "{} records in the log", read.len());
    let all: BTreeSet<_> = read.iter().map(|record| record.value.clone()).collect();
    ensure!(all.len() == 300, "{} different records in the log", all.len());
    Ok(())
}
