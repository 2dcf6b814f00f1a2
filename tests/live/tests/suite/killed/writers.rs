//! Plain producers.

use super::{Line, Outage, Stage, judge, number, text};
use crate::client::{connect, drive, send_all};
use anyhow::{Context, Result, ensure};
use klamm::{Config, ErrorKind, ProducerConfig};
use klamm_live::{Record, Runtime};
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

/// Gives up sooner than a leader is replaced.
pub(super) fn hasty() -> ProducerConfig {
    ProducerConfig::new().set("delivery.timeout.ms", 2_500).set("request.timeout.ms", 1_000).set("linger.ms", 0)
}

/// PR-02. A client that took the end of a failed batch, or an answer to it, for that of the records behind it would
/// acknowledge records that are at none of the told offsets.
pub(super) fn failed_and_sent_again(outage: &Outage<'_>, runtime: Runtime) -> Result<String> {
    drive(runtime, async {
        let kafka = connect(outage.target, runtime).await?;
        let (topic, partition) = outage.topic(&kafka, "pr-02").await?;
        let producer = kafka.producer_with(hasty())?;
        let mut line = Line::to(&producer, &topic, partition);
        let (mut n, mut failures) = (0, 0);
        while !outage.is(Stage::Healed) || n < 200 {
            line.send(number(n));
            line.settle(400).await;
            let failed = line.sent.iter().filter(|sent| sent.outcome.is_err()).count();
            if failed > failures {
                // Right behind the failure.
                (failures, n) = (failed, n + 1);
                line.send(number(n));
            }
            if n == 100 {
                outage.ready();
            }
            n += 1;
            thread::sleep(Duration::from_millis(10));
        }
        line.settle(0).await;
        let (acknowledged, failed) = judge(&line.sent, &outage.read(&topic).await?, partition)?;
        let first = line.sent.iter().position(|sent| sent.outcome.is_err()).context("nothing failed")?;
        let later = line.sent[first..].iter().filter(|sent| sent.outcome.is_ok()).count();
        ensure!(later > 0, "nothing was acknowledged behind the first failure");
        kafka.close().await?;
        Ok(format!("{acknowledged} acknowledged, {later} of them behind a failure, {failed} failed"))
    })
}

/// PR-03. A client whose close overtakes what was sent before it, or that tells such records as written, would show an error
/// for one of the first, or an acknowledged record that is not in the log.
pub(super) fn sent_before_close(outage: &Outage<'_>, runtime: Runtime) -> Result<String> {
    const BEFORE: usize = 300;
    drive(runtime, async {
        let kafka = connect(outage.target, runtime).await?;
        let (topic, partition) = outage.topic(&kafka, "pr-03").await?;
        let producer =
            kafka.producer_with(ProducerConfig::new().set("linger.ms", 50).set("delivery.timeout.ms", 300_000))?;
        producer.send(klamm::Record::to(topic.as_str()).partition(partition).value("first")).await?;
        outage.ready();
        // Nobody leads the partition when it closes.
        outage.wait_for(Stage::Killed);
        let mut deliveries = Vec::new();
        for n in 0..BEFORE {
            let value = number(n);
            let record = klamm::Record::to(topic.as_str()).partition(partition).value(&value);
            deliveries.push((value.clone(), producer.send(record).queued().await?));
        }
        let racer = producer.clone();
        let raced = thread::scope(|scope| -> Result<_> {
            let racing = scope.spawn(|| {
                let race = |n: usize| {
                    let value = format!("race-{n:04}");
                    let record = klamm::Record::to(topic.as_str()).partition(partition).value(&value);
                    let delivery = racer.send(record);
                    thread::sleep(Duration::from_millis(1));
                    (value, delivery)
                };
                (0..500).map(race).collect::<Vec<_>>()
            });
            thread::sleep(Duration::from_millis(100));
            drive(Runtime::Blocking, async { Ok(producer.close().await?) })?;
            racing.join().map_err(|_| anyhow::anyhow!("the racer panicked"))
        })?;
        outage.quiet();
        outage.wait_for(Stage::Healed);
        let log = outage.read(&topic).await?;
        let at = |offset: Option<i64>| {
            log.iter().find(|r| r.partition == Some(partition) && r.offset == offset).map(text).unwrap_or_default()
        };
        for (value, delivery) in deliveries {
            let offset = delivery.await.with_context(|| format!("{value}, which was sent before the close"))?.offset();
            ensure!(at(offset) == value, "{value} is acknowledged at {offset:?}, where {:?} is", at(offset));
        }
        let (mut written, mut refused) = (0, 0);
        for (value, delivery) in raced {
            match delivery.await {
                Ok(place) => {
                    let offset = place.offset();
                    ensure!(at(offset) == value, "{value} is acknowledged at {offset:?}, where {:?} is", at(offset));
                    written += 1;
                }
                Err(error) => {
                    ensure!(error.kind() == ErrorKind::Closed, "{value}: {error}");
                    ensure!(log.iter().all(|record| text(record) != value), "{value} was refused and is there");
                    refused += 1;
                }
            }
        }
        ensure!(refused > 0, "nothing was sent behind the close");
        kafka.close().await?;
        Ok(format!("{BEFORE} written by the close, {written} of those beside it, {refused} refused"))
    })
}

/// PR-06. A client that writes null as empty, also when it writes a batch again for another leader, would differ from what
/// Java reads.
pub(super) fn null_and_empty(outage: &Outage<'_>, runtime: Runtime) -> Result<String> {
    drive(runtime, async {
        let kafka = connect(outage.target, runtime).await?;
        let (topic, partition) = outage.topic(&kafka, "pr-06").await?;
        let producer = kafka.producer_with(ProducerConfig::new().set("delivery.timeout.ms", 300_000))?;
        let at = Record::to(&topic).partition(partition);
        let some = [
            at.clone().key("key"),
            at.clone().key("key").value(""),
            at.clone().key("").value("value"),
            at.clone().value("value"),
            at.clone().header("null", None).header("empty", Some(b"")).header("", Some(b"v")),
        ];
        let many: Vec<Record> = some.iter().cycle().take(50).cloned().collect();
        let mut written = send_all(&producer, &many).await?;
        outage.ready();
        for stage in [Stage::Killed, Stage::AllKilled, Stage::Healed] {
            outage.wait_for(stage);
            written.extend(send_all(&producer, &many).await?);
            if stage == Stage::Killed {
                outage.quiet();
            }
        }
        kafka.close().await?;
        let read = outage.target.java()?.consume(&topic, written.len(), &[])?;
        let plain = |all: Vec<Record>| -> Vec<Record> {
            all.into_iter().map(|record| Record { timestamp: None, codec: None, ..record }).collect()
        };
        let (read, written) = (plain(read), plain(written));
        let odd = read.iter().zip(&written).find(|(a, b)| a != b);
        ensure!(read.len() == written.len() && odd.is_none(), "{} and {}: {odd:?}", read.len(), written.len());
        Ok(format!("{} records", read.len()))
    })
}

/// PR-26. A client that lets the second batch go out before the first is through would show a number before a smaller one.
/// Without idempotence a batch may be there twice.
pub(super) fn without_idempotence(outage: &Outage<'_>, runtime: Runtime) -> Result<String> {
    drive(runtime, async {
        let kafka = connect(outage.target, runtime).await?;
        let (topic, partition) = outage.topic(&kafka, "pr-26").await?;
        let section = ProducerConfig::new()
            .set("enable.idempotence", false)
            .set("max.in.flight.requests.per.connection", 5)
            .set("batch.size", 200)
            .set("request.timeout.ms", 2_000)
            .set("delivery.timeout.ms", 300_000);
        let producer = kafka.producer_with(section)?;
        let mut line = Line::to(&producer, &topic, partition);
        let mut n = 0;
        while !outage.is(Stage::Healed) || n < 200 {
            (0..10).for_each(|_| {
                line.send(number(n));
                n += 1;
            });
            line.settle(20_000).await;
            if n == 100 {
                outage.ready();
            }
            thread::sleep(Duration::from_millis(20));
        }
        line.settle(0).await;
        for sent in &line.sent {
            sent.outcome.as_ref().map_err(|error| anyhow::anyhow!("{}: {error}", sent.value))?;
        }
        let log = outage.read(&topic).await?;
        let mut next = 0;
        for record in log.iter().filter(|record| record.partition == Some(partition)) {
            let value = text(record);
            ensure!(value <= number(next), "{value} is where {} is due", number(next));
            next += usize::from(value == number(next));
        }
        ensure!(next == n, "{next} of {n} are there");
        kafka.close().await?;
        Ok(format!("{n} records in order, {} again", log.len() - n))
    })
}

/// PR-45. A client that reckons with signs as Java does not, or that looks at which partitions have leaders, would put keys
/// elsewhere.
pub(super) fn keys(outage: &Outage<'_>, runtime: Runtime) -> Result<String> {
    drive(runtime, async {
        let config = Config::new(outage.target.bootstrap());
        let kafka = crate::client::connect_with(config, runtime).await?;
        let (topic, _) = outage.topic(&kafka, "pr-45").await?;
        let (of_java, _) = outage.topic(&kafka, "pr-45-java").await?;
        let producer = kafka.producer_with(ProducerConfig::new().set("delivery.timeout.ms", 300_000))?;
        let keys: Vec<Vec<u8>> = (0u32..300)
            .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[..1 + n as usize % 4].to_vec())
            .chain([vec![], vec![0xff; 7], vec![0x80], "größe".into()])
            .collect();
        let records =
            |topic: &str| -> Vec<Record> { keys.iter().map(|key| Record::to(topic).key(key.clone())).collect() };
        let mut written = send_all(&producer, &records(&topic)).await?;
        outage.ready();
        for stage in [Stage::Killed, Stage::AllKilled, Stage::Healed] {
            outage.wait_for(stage);
            written.extend(send_all(&producer, &records(&topic)).await?);
            if stage == Stage::Killed {
                outage.quiet();
            }
        }
        kafka.close().await?;
        let java = outage.target.java()?.produce(&records(&of_java), &[])?;
        let places: BTreeMap<_, _> = java.into_iter().map(|record| (record.key, record.partition)).collect();
        for record in &written {
            let expected = places.get(&record.key);
            ensure!(expected == Some(&record.partition), "{:?}: {:?}, Java {expected:?}", record.key, record.partition);
        }
        let log = outage.read(&topic).await?;
        ensure!(log.len() == written.len(), "{} of {} are there", log.len(), written.len());
        ensure!(
            log.iter().all(|record| places.get(&record.key) == Some(&record.partition)),
            "another place in the log"
        );
        Ok(format!("{} keys, {} records", places.len(), log.len()))
    })
}
