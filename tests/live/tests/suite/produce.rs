//! What klamm writes, as the official client and the log itself see it.

use std::collections::{BTreeMap, BTreeSet};

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use klamm::ProducerConfig;
use klamm_live::{Behaviour, Record, Runtime, Target};

use crate::client::{LIMIT, connect, drive, send_all, to_klamm};

pub(crate) const CODECS: [(&str, i16); 5] = [("none", 0), ("gzip", 1), ("snappy", 2), ("lz4", 3), ("zstd", 4)];

pub(crate) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::of_klamm("java_reads_what_klamm_wrote_with_every_codec", java_reads_every_codec).on_every_runtime(),
    Behaviour::of_klamm("equal_keys_share_a_partition_and_java_agrees_which", keys_go_where_java_puts_them),
    Behaviour::of_klamm("records_without_keys_reach_every_partition", keyless_records_spread),
    Behaviour::of_klamm("each_level_of_acks_writes", every_acks),
    Behaviour::of_klamm("flush_waits_for_all_and_close_loses_none", flush_and_close).on_every_runtime(),
    Behaviour::of_klamm("a_record_too_large_fails_and_the_next_is_written", too_large),
];

/// Everything that a record can be, with one codec.
pub(crate) fn all_sorts(topic: &str, codec: &str) -> Vec<Record> {
    let at = Record::to(topic).partition(0).codec(codec);
    vec![
        at.clone().key(format!("key of {codec}")).value("x".repeat(10_000)).timestamp(1_700_000_000_000),
        at.clone().key("").value("").timestamp(1_700_000_000_001),
        at.clone().timestamp(1_600_000_000_000),
        at.clone().key("only a key").timestamp(1_700_000_000_003),
        at.value([0, 9, 10, 255])
            .timestamp(1_700_000_000_004)
            .header("h", Some(b"\t"))
            .header("h", None)
            .header("", Some(b""))
            .header("größe", Some("ß".as_bytes())),
    ]
}

fn java_reads_every_codec(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("codecs");
    let written = drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        let mut written = Vec::new();
        for (codec, _) in CODECS {
            let producer = kafka.producer_with(ProducerConfig::new().set("compression.type", codec))?;
            written.extend(send_all(&producer, &all_sorts(&topic, codec)).await?);
        }
        kafka.close().await?;
        Ok(written)
    })?;
    let read = target.java()?.consume(&topic, written.len(), &[])?;
    ensure!(read == written, "Java read\n{read:#?}\nklamm wrote\n{written:#?}");
    let batches = target.probe_leader(&topic, 0)?.batches(&topic, 0)?;
    let used: BTreeSet<i16> = batches.iter().map(|batch| batch.codec).collect();
    ensure!(used == CODECS.iter().map(|(_, id)| *id).collect(), "the log's batches have codecs {used:?}");
    ensure!(batches.iter().all(|batch| batch.producer_id >= 0), "idempotence is not on: {batches:?}");
    Ok(())
}

fn keys_go_where_java_puts_them(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("keys");
    let keyed = |n: usize| Record::to(&topic).key(format!("key-{}", n % 50)).value(format!("value-{n}"));
    let records: Vec<Record> = (0..200).map(keyed).collect();
    let by_java = target.java()?.produce(&records, &[])?;
    let by_klamm = drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        let written = send_all(&kafka.producer()?, &records).await?;
        kafka.close().await?;
        Ok(written)
    })?;
    for (java, klamm) in by_java.iter().zip(&by_klamm) {
        ensure!(java.partition == klamm.partition, "Java put {java:?} where klamm put {klamm:?}");
    }
    let partitions: BTreeSet<Option<i32>> = by_klamm.iter().map(|record| record.partition).collect();
    ensure!(partitions.len() == 3, "50 keys reached only {partitions:?}");
    Ok(())
}

fn keyless_records_spread(target: &Target, runtime: Runtime) -> Result<()> {
    for partitioner in ["default", "org.apache.kafka.clients.producer.RoundRobinPartitioner"] {
        let topic = target.topic("keyless");
        let records: Vec<Record> = (0..300).map(|n| Record::to(&topic).value(format!("{n:0>1000}"))).collect();
        let written = drive(runtime, async {
            let kafka = connect(target, runtime).await?;
            let mut config = ProducerConfig::new().set("batch.size", 4096);
            if partitioner != "default" {
                config = config.set("partitioner.class", partitioner);
            }
            let written = send_all(&kafka.producer_with(config)?, &records).await?;
            kafka.close().await?;
            Ok(written)
        })?;
        let mut counts = BTreeMap::new();
        for record in &written {
            *counts.entry(record.partition).or_insert(0) += 1;
        }
        ensure!(counts.len() == 3 && counts.values().all(|count| *count >= 30), "{partitioner}: {counts:?}");
    }
    Ok(())
}

fn every_acks(target: &Target, runtime: Runtime) -> Result<()> {
    for acks in ["0", "1", "all"] {
        let topic = target.topic("acks");
        let records: Vec<Record> = (0..20).map(|n| Record::to(&topic).partition(0).value(format!("{n}"))).collect();
        drive(runtime, async {
            let kafka = connect(target, runtime).await?;
            let config = ProducerConfig::new().set("acks", acks).set("enable.idempotence", acks == "all");
            let written = send_all(&kafka.producer_with(config)?, &records).await?;
            let offsets: Vec<Option<i64>> = written.iter().map(|record| record.offset).collect();
            let expected = (0..20).map(|n| (acks != "0").then_some(n)).collect::<Vec<_>>();
            ensure!(offsets == expected, "acks={acks} told the offsets {offsets:?}");
            Ok(kafka.close().await?)
        })?;
        let deadline = Instant::now() + LIMIT;
        // Not every node knows at once who leads a new topic.
        let end = || target.probe_leader(&topic, 0).and_then(|mut leader| leader.end_offset(&topic, 0));
        while end().ok() != Some(20) {
            ensure!(Instant::now() < deadline, "acks={acks} did not write all records: {:?}", end());
            thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

fn flush_and_close(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("flush");
    let record = |n: usize| Record::to(&topic).partition(0).value(format!("{n}"));
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        // Nothing but flush and close may send these within the test's time.
        let config = ProducerConfig::new().set("linger.ms", 60_000).set("delivery.timeout.ms", 180_000);
        let producer = kafka.producer_with(config)?;
        let records: Vec<Record> = (0..100).map(record).collect();
        let first: Vec<_> = records[..50].iter().map(|r| producer.send(to_klamm(r))).collect();
        let begin = Instant::now();
        producer.flush().await?;
        ensure!(first.iter().all(klamm::Delivery::is_ready), "flush returned before all records were acknowledged");
        for r in &records[50..] {
            drop(producer.send(to_klamm(r)));
        }
        producer.close().await?;
        ensure!(begin.elapsed() < LIMIT, "flush and close lingered for {:?}", begin.elapsed());
        Ok(kafka.close().await?)
    })?;
    let read = target.java()?.consume(&topic, 100, &[])?;
    let values: Vec<_> = read.iter().map(|r| r.value.clone()).collect();
    let expected: Vec<_> = (0..100).map(|n| record(n).value).collect();
    ensure!(values == expected, "Java read {} records, or in another order", read.len());
    Ok(())
}

fn too_large(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("large");
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        let producer = kafka.producer()?;
        let huge = Record::to(&topic).partition(0).value(vec![7; 2 << 20]);
        let error = producer.send(to_klamm(&huge)).await.err().context("2 MiB were accepted")?;
        ensure!(error.kind() == klamm::ErrorKind::RecordTooLarge, "{error}");
        let written = send_all(&producer, &[Record::to(&topic).partition(0).value("small")]).await?;
        ensure!(written[0].offset == Some(0), "{written:?}");
        Ok(kafka.close().await?)
    })
}
