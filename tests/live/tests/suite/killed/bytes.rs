//! Bytes that come in part, or too late.

use super::{Line, Outage, Sent, Stage, ensure_gapless, judge, number, warm_up};
use crate::client::{LIMIT, connect, connect_with, drive};
use anyhow::{Context, Result, ensure};
use klamm::{Config, ProducerConfig};
use klamm_live::{Cutter, Runtime};
use std::thread;
use std::time::{Duration, Instant};

/// PR-05. A client that takes an answer which it cannot read for a refusal, and sends the records under new numbers, would
/// show them twice.
pub(super) fn answers_cut_short(outage: &Outage<'_>, runtime: Runtime) -> Result<String> {
    let cutters = outage.target.ports().into_iter().map(|port| Cutter::to(port, 20)).collect::<Result<Vec<_>>>()?;
    let ports: Vec<u16> = cutters.iter().map(Cutter::port).collect();
    drive(runtime, async {
        let bootstrap: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let config = Config::new(bootstrap.join(",")).rewrite_address(move |broker| {
            let port = broker.id.and_then(|id| ports.get(usize::try_from(id - 1).ok()?));
            port.map_or_else(|| format!("{}:{}", broker.host, broker.port), |port| format!("127.0.0.1:{port}"))
        });
        let kafka = connect_with(config, runtime).await?;
        let (topic, partition) = outage.topic(&kafka, "pr-05").await?;
        let producer =
            kafka.producer_with(ProducerConfig::new().set("batch.size", 500).set("delivery.timeout.ms", 300_000))?;
        let mut line = Line::to(&producer, &topic, partition);
        let mut n = 0;
        while !outage.is(Stage::LastCall) || n < 2_000 {
            (0..10).for_each(|_| {
                line.send(number(n));
                n += 1;
            });
            line.settle(5_000).await;
            if n == 500 {
                outage.ready();
            }
            thread::sleep(Duration::from_millis(10));
        }
        line.settle(0).await;
        outage.quiet();
        outage.wait_for(Stage::AllKilled);
        (0..10).for_each(|_| {
            line.send(number(n));
            n += 1;
        });
        line.settle(0).await;
        outage.wait_for(Stage::Healed);
        let log = outage.read(&topic).await?;
        let (acknowledged, failed) = judge(&line.sent, &log, partition)?;
        ensure!(failed == 0, "{failed} failed: {:?}", line.sent.iter().find_map(|sent| sent.outcome.as_ref().err()));
        ensure!(ensure_gapless(&log, partition)? == n && acknowledged == n, "{acknowledged} of {n} are acknowledged");
        kafka.close().await?;
        let cuts: u64 = cutters.iter().map(Cutter::cuts).sum();
        ensure!(cuts > 0, "no answer was cut");
        Ok(format!("{n} acknowledged, {cuts} answers cut"))
    })
}

/// As long as a request may be, nearly; every byte tells whose it is.
fn long(topic: &str, n: usize) -> String {
    const LENGTH: usize = 150_000;
    let unit = format!("{topic}:{n:04};");
    unit.repeat(LENGTH / unit.len())
}

/// PR-23. A client that gives the memory of an expired batch to the next one while the socket still holds it would write
/// records that nobody sent, or those of one topic to the other.
pub(super) fn expired_on_the_socket(outage: &Outage<'_>, runtime: Runtime) -> Result<String> {
    drive(runtime, async {
        let kafka = connect(outage.target, runtime).await?;
        let (silent, led) = outage.topic(&kafka, "pr-23-silent").await?;
        let (other, not_led) = outage.topic(&kafka, "pr-23-other").await?;
        // Of the partitions that others lead.
        let not_led = (not_led + 1) % 3;
        let section = ProducerConfig::new()
            .set("batch.size", 500_000)
            .set("buffer.memory", 12_000_000)
            .set("linger.ms", 0)
            .set("request.timeout.ms", 1_200)
            .set("delivery.timeout.ms", 1_200);
        let producer = kafka.producer_with(section)?;
        // Connections stand, and leaders are known.
        for (topic, partition) in [(&silent, led), (&other, not_led)] {
            warm_up(&producer, klamm::Record::to(topic.as_str()).partition(partition).value("first")).await?;
        }
        outage.ready();
        outage.wait_for(Stage::Silent);
        // More than the buffers of a socket take.
        let mut to_silent = Line::to(&producer, &silent, led);
        (0..100).for_each(|n| to_silent.send(long(&silent, n)));
        // In the memory that becomes free, for a node that answers.
        let mut to_other = Line::to(&producer, &other, not_led);
        let begin = Instant::now();
        let mut n = 0;
        let is_written = |line: &Line<'_>| line.sent.iter().filter(|sent| sent.outcome.is_ok()).count() >= 20;
        while !outage.is(Stage::Killed) || !is_written(&to_other) && begin.elapsed() < 3 * LIMIT {
            to_silent.settle(200).await;
            if to_silent.sent.iter().any(|sent| sent.outcome.is_err()) {
                to_other.send(long(&other, n));
                n += 1;
                to_other.settle(5).await;
            }
            thread::sleep(Duration::from_millis(20));
        }
        to_silent.settle(0).await;
        to_other.settle(0).await;
        outage.wait_for(Stage::Healed);
        let mut told = Vec::new();
        for (line, topic, partition) in [(to_silent, &silent, led), (to_other, &other, not_led)] {
            let log = outage.read(topic).await?;
            for record in log.iter().filter(|record| record.value.as_deref() != Some(b"first")) {
                let value = super::text(record);
                let n = value.split([':', ';']).nth(1).and_then(|n| n.parse().ok()).context("a spoilt record")?;
                ensure!(value == long(topic, n), "record {n} of {topic} is spoilt");
            }
            let ours: Vec<_> = log.iter().filter(|r| r.value.as_deref() != Some(b"first")).cloned().collect();
            let (acknowledged, failed) = judge(&line.sent, &ours, partition)?;
            told.push((acknowledged, failed, log.len(), brief(&line.sent)));
        }
        ensure!(told[0].1 > 0, "nothing expired: {told:?}");
        ensure!(told[1].0 > 0, "nothing else was written meanwhile: {told:?}");
        kafka.close().await?;
        Ok(format!("acknowledged, failed, in the log: {told:?}"))
    })
}

/// Why the first failed.
fn brief(sent: &[Sent]) -> Option<klamm::ErrorKind> {
    sent.iter().find_map(|sent| sent.outcome.as_ref().err().map(klamm::Error::kind))
}
