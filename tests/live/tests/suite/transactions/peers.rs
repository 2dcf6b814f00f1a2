//! Transactions that others write, and who sees them: the official client, librdkafka and klamm agree.

use crate::client::{connect_with, drive, take};
use anyhow::{Context, Result, ensure};
use klamm::{Config, ConsumerConfig};
use klamm_live::{Behaviour, Java, Kcat, Kind, Runtime, Target, Version};
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::of_klamm("committed_readers_see_what_java_committed", java_writes).on(Kind::is_modern),
    Behaviour::of_klamm("committed_readers_see_what_librdkafka_committed", kcat_writes).on(Kind::is_modern),
    Behaviour::of_klamm("committed_readers_see_what_java_committed_by_version_1", java_by_version_1)
        .on(|kind| kind == Kind::Memory),
];

/// Values by partition, in the order of their offsets.
type Seen = BTreeMap<i32, Vec<String>>;

fn java_writes(target: &Target, runtime: Runtime) -> Result<()> {
    let (java, kcat) = (target.java()?, target.kcat().ok());
    agree(&java, kcat.as_ref(), &target.bootstrap(), &target.topic("txn-java"), runtime)
}

fn java_by_version_1(_: &Target, runtime: Runtime) -> Result<()> {
    let cluster = klamm_cluster::Cluster::builder().brokers(3).default_partitions(3).transaction_version(1);
    let cluster = cluster.settings(|s| s.transaction_write = Duration::from_millis(2)).start()?;
    let java = Java::new(Version::V4_4_0, cluster.bootstrap())?;
    let kcat = Kcat::new(cluster.bootstrap()).ok();
    agree(&java, kcat.as_ref(), &cluster.bootstrap(), "old-times", runtime)
}

/// Java commits, aborts, commits again, and dies in the middle of the next; a second one takes over.
fn agree(java: &Java, kcat: Option<&Kcat>, bootstrap: &str, topic: &str, runtime: Runtime) -> Result<()> {
    let (id, group) = (format!("id-of-{topic}"), format!("group-of-{topic}"));
    let mut lines = Vec::new();
    let mut expected = Seen::new();
    for (turn, end) in ["commit", "abort", "commit", "abort", "commit"].into_iter().enumerate() {
        for n in 0..30 {
            let (partition, value) = (n % 3, format!("{end}-{turn}-{n}"));
            lines.push(format!("record {topic} {partition} {value}"));
            if end == "commit" {
                expected.entry(partition).or_default().push(value);
            }
        }
        lines.push(format!("offset {group} {topic} 0 {}", turn + 1));
        lines.push(end.to_owned());
    }
    lines.extend([format!("record {topic} 0 never-ended"), format!("offset {group} {topic} 0 77"), "leave".to_owned()]);
    java.transact(&id, &lines, &["batch.size=100"])?;
    let after = [format!("record {topic} 1 after"), "commit".to_owned()];
    java.transact(&id, &after, &[])?;
    expected.entry(1).or_default().push("after".to_owned());
    let count = expected.values().map(Vec::len).sum();

    let read = java.consume(topic, count, &["isolation.level=read_committed"])?;
    let mut seen = Seen::new();
    for record in read {
        let value = record.value.context("a value")?;
        seen.entry(record.partition.context("a partition")?).or_default().push(String::from_utf8(value)?);
    }
    ensure!(seen == expected, "Java read {seen:?}, committed is {expected:?}");

    let seen = drive(runtime, async {
        let kafka = connect_with(Config::new(bootstrap), runtime).await?;
        let config = ConsumerConfig::standalone().set("auto.offset.reset", "earliest");
        let mut consumer = kafka.consumer_with(config.set("isolation.level", "read_committed"))?;
        consumer.subscribe([topic])?;
        let mut seen = Seen::new();
        for record in take(&mut consumer, count).await? {
            let value = record.value.context("a value")?;
            seen.entry(record.partition.context("a partition")?).or_default().push(String::from_utf8(value)?);
        }
        consumer.close().await?;
        let reader = kafka.consumer_with(ConsumerConfig::group(&group))?;
        let committed = reader.committed([(topic, 0)]).await?;
        ensure!(committed.get((topic, 0)) == Some(5), "committed is {committed:?}");
        reader.close().await?;
        kafka.close().await?;
        Ok(seen)
    })?;
    ensure!(seen == expected, "klamm read {seen:?}, committed is {expected:?}");

    if let Some(kcat) = kcat {
        let read = kcat.run(&["-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", "%p %s\n"], "")?;
        let mut seen = Seen::new();
        for (partition, value) in read.lines().filter_map(|line| line.split_once(' ')) {
            seen.entry(partition.parse()?).or_default().push(value.to_owned());
        }
        ensure!(seen == expected, "kcat read {seen:?}, committed is {expected:?}");
    }
    Ok(())
}

/// kcat writes all of its input in one transaction.
fn kcat_writes(target: &Target, runtime: Runtime) -> Result<()> {
    let kcat = target.kcat()?;
    let topic = target.topic("txn-kcat");
    let id = format!("transactional.id=id-of-{topic}");
    for round in 0..3 {
        let lines: String = (0..50).map(|n| format!("{round}-{n}\n")).collect();
        kcat.run(&["-P", "-t", &topic, "-p", "0", "-X", &id], &lines)?;
    }
    let expected: Vec<String> = (0..3).flat_map(|round| (0..50).map(move |n| format!("{round}-{n}"))).collect();
    let read = target.java()?.consume(&topic, expected.len(), &["isolation.level=read_committed"])?;
    let values = |records: Vec<klamm_live::Record>| -> Vec<String> {
        let values = records.into_iter().filter_map(|r| String::from_utf8(r.value?).ok());
        values.collect()
    };
    let seen = values(read);
    ensure!(seen == expected, "Java read {seen:?}");
    drive(runtime, async {
        let kafka = connect_with(Config::new(target.bootstrap()), runtime).await?;
        let config = ConsumerConfig::standalone().set("auto.offset.reset", "earliest");
        let mut consumer = kafka.consumer_with(config.set("isolation.level", "read_committed"))?;
        consumer.subscribe([topic.as_str()])?;
        let seen = values(take(&mut consumer, expected.len()).await?);
        ensure!(seen == expected, "klamm read {seen:?}");
        consumer.close().await?;
        Ok(kafka.close().await?)
    })
}
