//! Idempotent producers: their numbers, their ids, their epochs.

use super::writers::hasty;
use super::{Line, Outage, Sent, Stage, ensure_gapless, judge, number, text, warm_up};
use crate::client::{connect, drive};
use anyhow::{Context, Result, anyhow, ensure};
use klamm::{ErrorKind, Producer, ProducerConfig, Timestamp, TopicPartition};
use klamm_live::{Record, Runtime};
use std::collections::VecDeque;
use std::thread;
use std::time::Duration;

/// ID-10. A client that gives numbers to records which it then refuses, or forgets, would write nothing more behind them.
pub(super) fn refused_here(outage: &Outage<'_>, runtime: Runtime) -> Result<String> {
    drive(runtime, async {
        let kafka = connect(outage.target, runtime).await?;
        let (topic, partition) = outage.topic(&kafka, "id-10").await?;
        let section = ProducerConfig::new()
            .set("max.request.size", 3_000)
            .set("batch.size", 1_000)
            .set("buffer.memory", 65_536)
            .set("max.block.ms", 300_000)
            .set("delivery.timeout.ms", 300_000);
        let producer = kafka.producer_with(section)?;
        let mut line = Line::to(&producer, &topic, partition);
        let (mut n, mut too_large, mut given_up) = (0, 0, 0);
        while !outage.is(Stage::LastCall) || n < 300 {
            line.send(number(n));
            n += 1;
            if n % 7 == 0 {
                let value = "x".repeat(5_000);
                let refused = producer.send(klamm::Record::to(topic.as_str()).partition(partition).value(&value)).await;
                let kind = refused.err().context("a record too large was written")?.kind();
                ensure!(kind == ErrorKind::RecordTooLarge, "{kind:?}");
                too_large += 1;
            }
            if n % 11 == 0 {
                // Nobody waits for it, also where it stands in line for memory.
                let value = format!("given-up-{n}");
                drop(producer.send(klamm::Record::to(topic.as_str()).partition(partition).value(&value)));
                given_up += 1;
            }
            // More than fit into the memory, and not more than may wait for it.
            line.settle(900).await;
            if n == 200 {
                outage.ready();
            }
            thread::sleep(Duration::from_millis(5));
        }
        line.settle(0).await;
        producer.flush().await?;
        outage.quiet();
        outage.wait_for(Stage::AllKilled);
        line.send(number(n));
        n += 1;
        line.settle(0).await;
        outage.wait_for(Stage::Healed);
        let mut log = outage.read(&topic).await?;
        let (acknowledged, failed) = judge(&line.sent, &log, partition)?;
        ensure!(failed == 0, "{failed} failed: {:?}", line.sent.iter().find_map(|sent| sent.outcome.as_ref().err()));
        log.retain(|record| !text(record).starts_with("given-up"));
        ensure!(ensure_gapless(&log, partition)? == n && acknowledged == n, "{acknowledged} of {n} are acknowledged");
        kafka.close().await?;
        Ok(format!("{n} acknowledged, {too_large} refused, {given_up} given up"))
    })
}

/// One of the threads of ID-11.
fn send_on(outage: &Outage<'_>, producer: &Producer, topic: &str, thread: usize) -> Vec<(i32, Sent)> {
    let mut under_way = VecDeque::new();
    let mut sent = Vec::new();
    let mut n = 0;
    while !outage.is(Stage::Healed) || n < 200 || !under_way.is_empty() {
        if !outage.is(Stage::Healed) || n < 200 {
            let (partition, value) = (n % 3, format!("{thread}-{n:06}"));
            let delivery = producer.send(klamm::Record::to(topic).partition(partition).value(&value));
            under_way.push_back((partition, value, delivery));
            n += 1;
            thread::sleep(Duration::from_millis(5));
        }
        let is_known = |(_, _, delivery): &(_, _, klamm::Delivery)| delivery.is_ready();
        while under_way.len() > 300 || outage.is(Stage::Healed) || under_way.front().is_some_and(is_known) {
            let Some((partition, value, delivery)) = under_way.pop_front() else { break };
            let outcome = drive(Runtime::Blocking, async { Ok(delivery.await) });
            if let Ok(outcome) = outcome {
                let outcome = outcome.map(|at| at.offset().unwrap_or(-1));
                sent.push((partition, Sent { value, outcome }));
            }
        }
    }
    sent
}

/// ID-11. A client that seals a batch while its producer id changes would write one without an id, or under an old one: then
/// it is refused, or written twice.
pub(super) fn many_threads_and_new_epochs(outage: &Outage<'_>, runtime: Runtime) -> Result<String> {
    drive(runtime, async {
        let kafka = connect(outage.target, runtime).await?;
        let (topic, _) = outage.topic(&kafka, "id-11").await?;
        let producer = kafka.producer_with(hasty())?;
        // To a partition of its own: what is there twice or not at all does not count.
        let (other, _) = outage.topic(&kafka, "id-11-first").await?;
        warm_up(&producer, klamm::Record::to(other.as_str()).partition(0).value("first")).await?;
        outage.ready();
        let sent = thread::scope(|scope| {
            let threads = [0, 1, 2].map(|thread| {
                let (producer, topic) = (producer.clone(), topic.as_str());
                scope.spawn(move || send_on(outage, &producer, topic, thread))
            });
            let sent = threads.map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked")));
            sent.into_iter().collect::<Result<Vec<_>>>()
        })?;
        let log = outage.read(&topic).await?;
        let (mut acknowledged, mut failed, mut batches) = (0, 0, 0);
        let mut by_partition: [Vec<Sent>; 3] = Default::default();
        sent.into_iter().flatten().for_each(|(partition, sent)| by_partition[partition as usize].push(sent));
        for (partition, sent) in (0..).zip(&by_partition) {
            let (some, not) = judge(sent, &log, partition)?;
            (acknowledged, failed) = (acknowledged + some, failed + not);
            let stored = outage.target.probe_leader(&topic, partition)?.batches(&topic, partition)?;
            let bare = stored.iter().find(|batch| batch.producer_id < 0);
            ensure!(bare.is_none(), "a batch without an id: {bare:?}");
            batches += stored.len();
        }
        ensure!(failed > 0, "no batch failed: the epoch never changed");
        kafka.close().await?;
        Ok(format!("{acknowledged} acknowledged, {failed} failed, {batches} batches"))
    })
}

/// ID-12. A client that goes on under what the brokers have forgotten would fail for good, or write twice.
///
/// Brokers forget a producer a day after the time of its last record. These records are from years ago: a broker that was
/// killed leaves their producer out when it restores its state.
pub(super) fn forgotten(outage: &Outage<'_>, runtime: Runtime) -> Result<String> {
    drive(runtime, async {
        let kafka = connect(outage.target, runtime).await?;
        let (topic, partition) = outage.topic(&kafka, "id-12").await?;
        let place = TopicPartition::from((topic.as_str(), partition));
        let producer = kafka.producer_with(ProducerConfig::new().set("delivery.timeout.ms", 300_000))?;
        let ten = async |from: usize| -> Result<()> {
            let values: Vec<String> = (from..from + 10).map(number).collect();
            let old = Timestamp::from_millis(1_600_000_000_000);
            let record = |value| klamm::Record::to(topic.as_str()).partition(partition).timestamp(old).value(value);
            let deliveries: Vec<_> = values.iter().map(|value| producer.send(record(value))).collect();
            for (value, delivery) in values.iter().zip(deliveries) {
                let offset = delivery.await.with_context(|| value.clone())?.offset().context("no offset")?;
                ensure!(number(usize::try_from(offset)?) == *value, "{value} is at {offset}");
            }
            Ok(())
        };
        ten(0).await?;
        outage.ready();
        outage.wait_for(Stage::Killed);
        ten(10).await?;
        outage.quiet();
        outage.wait_for(Stage::Healed);
        let known = kafka.admin().describe_producers([&place]).await?.all()?.pop().context("no answer")?.1;
        ensure!(known.is_empty(), "the leader has not forgotten the producer: {known:?}");
        ten(20).await?;
        let log: Vec<Record> = outage.read(&topic).await?;
        ensure!(ensure_gapless(&log, partition)? == 30, "{} records", log.len());
        kafka.close().await?;
        Ok("30 records".to_owned())
    })
}
