//! klamm as a member of a group, beside itself and beside the official client.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use klamm::admin::NewTopic;
use klamm::{Config, Consumer, ConsumerConfig, Kafka, Pattern};
use klamm_live::{Behaviour, Record, Runtime, Target};

use crate::client::{LIMIT, connect, connect_with, drive, from_klamm, send_all, take};

pub(crate) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::of_klamm("two_members_share_a_topic_and_one_takes_over", two_members).on_every_runtime(),
    Behaviour::of_klamm("klamm_and_java_share_a_group", with_java),
    Behaviour::of_klamm("a_pattern_is_followed_as_topics_come", pattern),
    Behaviour::of_klamm("a_commit_is_where_the_next_member_goes_on", commits),
    Behaviour::of_klamm("auto_commit_covers_what_was_polled_before", auto_commit),
];

/// A member that begins at the first record and notices a dead member soon.
fn member(kafka: &Kafka, group: &str, topic: &str, settings: &[(&str, &str)]) -> Result<Consumer> {
    let config = ConsumerConfig::group(group)
        .set("partition.assignment.strategy", "range")
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", false)
        .set("session.timeout.ms", 6000)
        .set("heartbeat.interval.ms", 500);
    let config = settings.iter().fold(config, |config, (key, value)| config.set(key, value));
    let consumer = kafka.consumer_with(config)?;
    consumer.subscribe([topic])?;
    Ok(consumer)
}

/// The partitions of the one topic that a member has.
fn owned(consumer: &Consumer) -> BTreeSet<i32> {
    consumer.assignment().iter().map(|owned| owned.partition).collect()
}

/// Polls members in turn until `done` holds, and gives the records that came meanwhile.
async fn poll_until(
    members: &mut [&mut Consumer],
    what: &str,
    mut done: impl FnMut(&[&mut Consumer], &[Record]) -> bool,
) -> Result<Vec<Record>> {
    let (deadline, mut records) = (Instant::now() + LIMIT, Vec::new());
    while !done(members, &records) {
        ensure!(Instant::now() < deadline, "{what}: not within {LIMIT:?}, {} records came", records.len());
        for consumer in members.iter_mut() {
            let batch = consumer.poll(Duration::from_millis(100)).await?.context("woken up")?;
            records.extend(batch.iter().map(from_klamm));
        }
    }
    Ok(records)
}

async fn fill(kafka: &Kafka, topic: &str, values: std::ops::Range<i32>) -> Result<()> {
    let record = |n: i32| Record::to(topic).partition(n % 3).value(format!("{n}"));
    send_all(&kafka.producer()?, &values.map(record).collect::<Vec<_>>()).await.map(drop)
}

fn values(records: &[Record]) -> BTreeSet<String> {
    records.iter().filter_map(|r| r.value.as_deref()).map(|v| String::from_utf8_lossy(v).into_owned()).collect()
}

fn pattern(target: &Target, runtime: Runtime) -> Result<()> {
    let (stem, group) = (target.topic("pattern"), target.topic("group"));
    let topics: Vec<String> = ["a", "b", "late", "debug"].iter().map(|end| format!("{stem}.{end}")).collect();
    drive(runtime, async {
        let config = Config::new(target.bootstrap()).metadata_max_age(Duration::from_millis(500));
        let kafka = connect_with(config, runtime).await?;
        let create = async |topic: &String| {
            kafka.admin().create_topics([NewTopic::new(topic.as_str(), 3, 1)]).await?.all()?;
            fill(&kafka, topic, 0..6).await
        };
        for topic in [&topics[0], &topics[1], &topics[3]] {
            create(topic).await?;
        }
        let mut consumer = member(&kafka, &group, &topics[0], &[])?;
        consumer.subscribe_pattern(Pattern::client(&format!(r"{stem}\..*"))?.except(r".*\.debug")?)?;
        take(&mut consumer, 12).await?;
        consumer.commit_sync().await?;
        create(&topics[2]).await?;
        let late = take(&mut consumer, 6).await?;
        ensure!(late.iter().all(|record| record.topic == topics[2]), "{late:?}");
        ensure!(consumer.subscription() == topics[..3], "{:?}", consumer.subscription());
        Ok(kafka.close().await?)
    })
}

fn two_members(target: &Target, runtime: Runtime) -> Result<()> {
    let (topic, group) = (target.topic("members"), target.topic("group"));
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        fill(&kafka, &topic, 0..30).await?;
        let mut first = member(&kafka, &group, &topic, &[])?;
        let read = take(&mut first, 30).await?;
        ensure!(values(&read).len() == 30, "records came twice");
        first.commit_sync().await?;
        ensure!(owned(&first) == BTreeSet::from([0, 1, 2]), "one member alone has {:?}", owned(&first));
        let mut second = member(&kafka, &group, &topic, &[])?;
        let early = poll_until(&mut [&mut first, &mut second], "the share of two", |members, _| {
            let (a, b) = (owned(members[0]), owned(members[1]));
            a.is_disjoint(&b) && a.len() + b.len() == 3 && a.len().abs_diff(b.len()) == 1
        })
        .await?;
        ensure!(early.is_empty(), "committed records came again: {early:?}");
        fill(&kafka, &topic, 30..60).await?;
        let read =
            poll_until(&mut [&mut first, &mut second], "what was written then", |_, records| records.len() >= 30)
                .await?;
        ensure!(values(&read) == (30..60).map(|n| n.to_string()).collect(), "{:?}", values(&read));
        first.commit_sync().await?;
        second.commit_sync().await?;
        second.close().await?;
        let late = poll_until(&mut [&mut first], "the take-over", |members, _| owned(members[0]).len() == 3).await?;
        ensure!(late.is_empty(), "committed records came again: {late:?}");
        first.close().await?;
        Ok(kafka.close().await?)
    })
}

fn with_java(target: &Target, runtime: Runtime) -> Result<()> {
    let (topic, group) = (target.topic("mixed"), target.topic("group"));
    let java = target.java()?;
    java.produce(&[Record::to(&topic).partition(0).value("first")], &[])?;
    let mut other = java.join(&group, &[&topic], &["client.id=java"])?;
    other.wait_for_partitions(&topic, &[0, 1, 2], LIMIT)?;
    drive(runtime, async {
        // Behind "java" in the order of member ids, by which the range assignor goes.
        let config = Config::new(target.bootstrap()).set("client.id", "klamm");
        let kafka = connect_with(config, runtime).await?;
        let mut ours = member(&kafka, &group, &topic, &[])?;
        poll_until(&mut [&mut ours], "klamm's share", |members, _| owned(members[0]) == BTreeSet::from([2])).await?;
        other.wait_for_partitions(&topic, &[0, 1], LIMIT)?;
        other.close()?;
        poll_until(&mut [&mut ours], "klamm alone", |members, _| owned(members[0]).len() == 3).await?;
        ours.close().await?;
        Ok(kafka.close().await?)
    })
}

fn commits(target: &Target, runtime: Runtime) -> Result<()> {
    let (topic, group) = (target.topic("commits"), target.topic("group"));
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        let record = |n: i32| Record::to(&topic).partition(0).value(format!("{n}"));
        send_all(&kafka.producer()?, &(0..10).map(record).collect::<Vec<_>>()).await?;
        let at = (topic.as_str(), 0);
        let mut first = member(&kafka, &group, &topic, &[("max.poll.records", "4")])?;
        let batch = loop {
            let batch = first.poll(Duration::from_secs(1)).await?.context("woken up")?;
            if !batch.is_empty() {
                break batch;
            }
        };
        first.commit_sync_offsets(&batch).await?;
        let committed = first.committed([at]).await?.get(at);
        ensure!(committed == Some(batch.len() as i64), "{committed:?} is committed after {} records", batch.len());
        let read = batch.len();
        drop(batch);
        // It reads on, and leaves without a commit of that.
        let more = first.poll(Duration::from_secs(10)).await?.context("woken up")?;
        ensure!(!more.is_empty(), "nothing more came");
        drop(more);
        first.close().await?;
        let mut second = member(&kafka, &group, &topic, &[])?;
        let rest = take(&mut second, 10 - read).await?;
        ensure!(rest[0].offset == Some(read as i64), "the next member went on at {:?}", rest[0].offset);
        second.commit_async().await?;
        ensure!(second.committed([at]).await?.get(at) == Some(10), "the second commit is not there");
        second.close().await?;
        Ok(kafka.close().await?)
    })
}

fn auto_commit(target: &Target, runtime: Runtime) -> Result<()> {
    let (topic, group) = (target.topic("auto-commit"), target.topic("group"));
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        fill(&kafka, &topic, 0..30).await?;
        let settings = [("enable.auto.commit", "true"), ("auto.commit.interval.ms", "200")];
        let mut first = member(&kafka, &group, &topic, &settings)?;
        take(&mut first, 30).await?;
        let deadline = Instant::now() + LIMIT;
        loop {
            // Only what earlier polls gave is committed: polling goes on.
            let batch = first.poll(Duration::from_millis(100)).await?.context("woken up")?;
            ensure!(batch.is_empty(), "more records than were written");
            let committed = first.committed([0, 1, 2].map(|partition| (topic.as_str(), partition))).await?;
            if [0, 1, 2].into_iter().all(|partition| committed.get((topic.as_str(), partition)) == Some(10)) {
                break;
            }
            ensure!(Instant::now() < deadline, "not committed by itself: {committed:?}");
        }
        fill(&kafka, &topic, 30..33).await?;
        take(&mut first, 3).await?;
        first.close().await?;
        // Closing commits the last batch too.
        let second = member(&kafka, &group, &topic, &[])?;
        let committed = second.committed([(topic.as_str(), 0)]).await?.get((topic.as_str(), 0));
        ensure!(committed == Some(11), "{committed:?} is committed after close");
        second.close().await?;
        Ok(kafka.close().await?)
    })
}
