//! klamm's transactions on every cluster, beside the official consumer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use klamm::admin::NewTopic;
use klamm::config::{Config, ConsumerConfig, IsolationLevel};
use klamm::{Consumer, ErrorKind, ExactlyOnce, GroupMetadata, Kafka, Offsets, Outcome, Record, Transaction};
use klamm_live::{Behaviour, Kind, Runtime, Target, Version};

use crate::client::{LIMIT, by_place, connect, connect_with, drive, expect_nothing, from_klamm, take};

pub(crate) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::of_klamm("transactions_are_seen_whole_or_not_at_all", whole_or_not_at_all).on_every_runtime(),
    Behaviour::of_klamm("a_newer_producer_fences_the_older", fencing),
    Behaviour::of_klamm("a_failed_send_makes_a_commit_an_abort", poisoned),
    Behaviour::of_klamm("a_batch_that_a_broker_refuses_costs_its_transaction", refused_batch),
    Behaviour::of_klamm("positions_are_committed_with_their_transaction", positions),
    Behaviour::of_klamm("positions_of_a_member_that_left_are_refused", left).on(fences_members),
    Behaviour::of_klamm("each_record_is_transformed_once_while_members_come_and_go", transform)
        .on(fences_members)
        .on_every_runtime(),
    Behaviour::of_klamm("exactly_once_is_refused_where_members_are_not_fenced", refused)
        .on(|kind| !fences_members(kind)),
];

/// Brokers before 2.5 do not look at the generation of offsets in a transaction (KIP-447).
fn fences_members(kind: Kind) -> bool {
    !matches!(kind, Kind::Real(Version::V2_1_1))
}

fn reader(kafka: &Kafka, topic: &str, isolation: IsolationLevel) -> Result<Consumer> {
    let section = ConsumerConfig::standalone().set("auto.offset.reset", "earliest").isolation_level(isolation);
    let consumer = kafka.consumer_with(section)?;
    consumer.subscribe([topic])?;
    Ok(consumer)
}

/// Sends one record to each of three partitions and waits until they are in the log.
async fn fill(txn: &Transaction<'_>, topic: &str, value: &str) -> Result<()> {
    for partition in 0..3 {
        txn.send(Record::to(topic).partition(partition).value(value)).queued().await?;
    }
    Ok(txn.flush().await?)
}

fn values(records: &[klamm_live::Record]) -> Vec<String> {
    let mut all: Vec<String> =
        records.iter().map(|r| String::from_utf8_lossy(r.value.as_deref().unwrap_or_default()).into_owned()).collect();
    all.sort();
    all
}

fn whole_or_not_at_all(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("transactions");
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        let mut producer = kafka.transactional_producer(&format!("{topic}-id")).await?;
        ensure!(producer.transactional_id() == format!("{topic}-id"));
        let mut dirty = reader(&kafka, &topic, IsolationLevel::ReadUncommitted)?;
        let mut clean = reader(&kafka, &topic, IsolationLevel::ReadCommitted)?;

        let txn = producer.begin_transaction()?;
        fill(&txn, &topic, "committed").await?;
        ensure!(values(&take(&mut dirty, 3).await?) == ["committed"; 3]);
        expect_nothing(&mut clean).await?;
        txn.commit().await?;
        ensure!(values(&take(&mut clean, 3).await?) == ["committed"; 3]);

        let txn = producer.begin_transaction()?;
        fill(&txn, &topic, "aborted").await?;
        let unsent = txn.send(Record::to(topic.as_str()).partition(0).value("never sent"));
        txn.abort().await?;
        let error = unsent.await;
        ensure!(error.as_ref().is_err_and(|e| e.kind() == ErrorKind::Aborted) || error.is_ok(), "{error:?}");
        let txn = producer.begin_transaction()?;
        fill(&txn, &topic, "dropped").await?;
        drop(txn);
        producer.begin_transaction()?.commit().await?; // an empty one
        let txn = producer.begin_transaction()?;
        fill(&txn, &topic, "later").await?;
        txn.commit().await?;

        let seen = take(&mut clean, 3).await?;
        ensure!(values(&seen) == ["later"; 3], "{seen:?}");
        let deadline = Instant::now() + LIMIT;
        let mut count = BTreeMap::new();
        while count.get("later") != Some(&3) {
            ensure!(Instant::now() < deadline, "read_uncommitted saw only {count:?}");
            let batch = dirty.poll(Duration::from_millis(200)).await?.context("woken up")?;
            for value in values(&batch.iter().map(from_klamm).collect::<Vec<_>>()) {
                *count.entry(value).or_insert(0) += 1;
            }
        }
        ensure!(count.get("aborted") == Some(&3) && count.get("dropped") == Some(&3), "{count:?}");
        producer.close().await?;
        kafka.close().await?;
        let java = target.java()?.consume(&topic, 6, &["isolation.level=read_committed"])?;
        ensure!(
            values(&java) == ["committed", "committed", "committed", "later", "later", "later"],
            "Java read {java:?}"
        );
        Ok(())
    })
}

fn fencing(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("fencing");
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        let id = format!("{topic}-id");
        let mut old = kafka.transactional_producer(&id).await?;
        let txn = old.begin_transaction()?;
        fill(&txn, &topic, "of the old").await?;
        let mut new = kafka.transactional_producer(&id).await?;
        let error = txn.commit().await.err().context("a fenced producer committed")?;
        ensure!(error.kind() == ErrorKind::Fenced && error.is_fatal(), "{error:?}");
        let error = old.begin_transaction().err().context("a fenced producer went on")?;
        ensure!(error.is_fatal(), "{error:?}");
        let txn = new.begin_transaction()?;
        fill(&txn, &topic, "of the new").await?;
        txn.commit().await?;
        let mut clean = reader(&kafka, &topic, IsolationLevel::ReadCommitted)?;
        ensure!(values(&take(&mut clean, 3).await?) == ["of the new"; 3]);
        expect_nothing(&mut clean).await?;
        Ok(kafka.close().await?)
    })
}

fn poisoned(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("poisoned");
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        let mut producer = kafka.transactional_producer(&format!("{topic}-id")).await?;
        let txn = producer.begin_transaction()?;
        fill(&txn, &topic, "with a failure").await?;
        let huge = vec![b'x'; 2 << 20];
        drop(txn.send(Record::to(topic.as_str()).partition(0).value(&huge))); // nobody looks
        let error = txn.commit().await.err().context("a transaction with a failed record was committed")?;
        ensure!(error.kind() == ErrorKind::Aborted && !error.is_fatal(), "{error:?}");
        let txn = producer.begin_transaction()?;
        fill(&txn, &topic, "whole").await?;
        txn.commit().await?;
        let mut clean = reader(&kafka, &topic, IsolationLevel::ReadCommitted)?;
        ensure!(values(&take(&mut clean, 3).await?) == ["whole"; 3]);
        Ok(kafka.close().await?)
    })
}

/// A broker from 2.5 on gives the producer the next epoch (KIP-360). With an older one it ends: the numbers of its batches have
/// a gap, and asking for a producer id as if it were new could fence one that took its place meanwhile.
fn refused_batch(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("refused");
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        let new = NewTopic::new(topic.as_str(), 3, 1).config("max.message.bytes", "1000");
        kafka.admin().create_topics([new]).await?.all()?;
        let id = format!("{topic}-id");
        let mut producer = kafka.transactional_producer(&id).await?;
        let txn = producer.begin_transaction()?;
        fill(&txn, &topic, "with a failure").await?;
        let huge: String = (0..5000).map(|n| char::from(b'a' + (n * n % 23) as u8)).collect();
        let told = txn.send(Record::to(topic.as_str()).partition(0).value(&huge)).await.err().context("it is taken")?;
        ensure!(told.code() == Some(klamm::ErrorCode(10)), "{told:?}");
        let error = txn.commit().await.err().context("a transaction with a failed record was committed")?;
        ensure!(error.kind() == ErrorKind::Aborted && !error.is_fatal(), "{error:?}");
        if !fences_members(target.kind()) {
            let ended = match producer.begin_transaction() {
                Ok(txn) => txn.commit().await,
                Err(error) => Err(error),
            };
            let ended = ended.err().context("it went on with a gap")?;
            ensure!(ended.is_fatal() && ended.kind() == ErrorKind::Unsupported, "{ended:?}");
            ensure!(ended.to_string().contains("new transactional producer"), "{ended}");
            drop(producer);
            producer = kafka.transactional_producer(&id).await?;
        }
        let txn = producer.begin_transaction()?;
        fill(&txn, &topic, "whole").await?;
        txn.commit().await?;
        let mut clean = reader(&kafka, &topic, IsolationLevel::ReadCommitted)?;
        ensure!(values(&take(&mut clean, 3).await?) == ["whole"; 3]);
        Ok(kafka.close().await?)
    })
}

fn positions(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("positions");
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        let group = format!("{topic}-group");
        let mut producer = kafka.transactional_producer(&format!("{topic}-id")).await?;
        let member = kafka.consumer(&group)?;
        let committed = async |partition| -> Result<Option<i64>> {
            Ok(member.committed([(topic.as_str(), partition)]).await?.get((topic.as_str(), partition)))
        };
        let outside = GroupMetadata::outside(&group);
        for (n, commits) in [(5, true), (7, false), (9, true)] {
            let txn = producer.begin_transaction()?;
            txn.send(Record::to(topic.as_str()).partition(0).value("x")).queued().await?;
            let offsets = Offsets::new().with((topic.as_str(), 0), n).with((topic.as_str(), 1), 2 * n).metadata("note");
            txn.send_offsets(offsets, &outside).await?;
            if commits {
                txn.commit().await?
            } else {
                txn.abort().await?
            }
            // An EndTxn is answered before its markers are written, and brokers before 2.5 do not make readers wait for them.
            let (expected, deadline) = (if commits { n } else { 5 }, Instant::now() + LIMIT);
            loop {
                let found = (committed(0).await?, committed(1).await?);
                if found == (Some(expected), Some(2 * expected)) {
                    break;
                }
                let waits = !fences_members(target.kind()) && Instant::now() < deadline;
                ensure!(waits, "after {n}: {found:?}");
            }
        }
        // Only positions, no record; and a commit that waits for them by itself.
        let txn = producer.begin_transaction()?;
        drop(txn.send_offsets(Offsets::new().with((topic.as_str(), 2), 3), &outside));
        txn.commit().await?;
        let deadline = Instant::now() + LIMIT;
        while committed(2).await? != Some(3) {
            ensure!(!fences_members(target.kind()) && Instant::now() < deadline, "{:?}", committed(2).await?);
        }
        Ok(kafka.close().await?)
    })
}

fn left(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("left");
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        let group = format!("{topic}-group");
        let mut producer = kafka.transactional_producer(&format!("{topic}-id")).await?;
        let txn = producer.begin_transaction()?;
        fill(&txn, &topic, "read").await?;
        txn.commit().await?;
        let section =
            ConsumerConfig::group(&group).set("auto.offset.reset", "earliest").set("enable.auto.commit", false);
        let mut member = kafka.consumer_with(section)?;
        member.subscribe([topic.as_str()])?;
        take(&mut member, 3).await?;
        let was = member.group_metadata().context("a member has a group")?;
        member.close().await?;
        let txn = producer.begin_transaction()?;
        txn.send(Record::to(topic.as_str()).partition(0).value("too late")).queued().await?;
        let error = txn.send_offsets(Offsets::new().with((topic.as_str(), 0), 1), &was).await.err();
        let error = error.context("positions of a member that left were taken")?;
        ensure!(!error.is_fatal(), "{error:?}");
        let error = txn.commit().await.err().context("committed all the same")?;
        ensure!(error.kind() == ErrorKind::Aborted && !error.is_fatal(), "{error:?}");
        let txn = producer.begin_transaction()?;
        fill(&txn, &topic, "again").await?;
        txn.commit().await?;
        let mut clean = reader(&kafka, &topic, IsolationLevel::ReadCommitted)?;
        ensure!(values(&take(&mut clean, 6).await?) == ["again", "again", "again", "read", "read", "read"]);
        Ok(kafka.close().await?)
    })
}

/// One step: everything that came goes on to `to`. Every third is given up.
async fn step(eos: &mut ExactlyOnce, to: &str, turn: &mut usize) -> Result<()> {
    let step = eos.poll(Duration::from_millis(100)).await?.context("woken up")?;
    for record in step.batch() {
        step.send(record.forward_to(to)).queued().await?;
    }
    *turn += usize::from(!step.batch().is_empty());
    if *turn % 3 == 2 && !step.batch().is_empty() {
        *turn += 1;
        return Ok(()); // dropped: aborted, and read again
    }
    match step.commit().await? {
        Outcome::Committed => Ok(()),
        Outcome::Aborted(why) => ensure_passing(&why),
        other => anyhow::bail!("{other:?}"),
    }
}

fn ensure_passing(why: &klamm::Error) -> Result<()> {
    ensure!(!why.is_fatal(), "{why:?}");
    Ok(())
}

fn transform(target: &Target, runtime: Runtime) -> Result<()> {
    const RECORDS: usize = 120;
    let (from, to) = (target.topic("from"), target.topic("to"));
    drive(runtime, async {
        let config = Config::new(target.bootstrap())
            .set("auto.offset.reset", "earliest")
            .set("session.timeout.ms", 6000)
            .set("heartbeat.interval.ms", 300)
            .set("max.poll.records", 7);
        let kafka = connect_with(config, runtime).await?;
        let producer = kafka.producer()?;
        let mut sent = Vec::new();
        for n in 0..RECORDS {
            let value = format!("{n:04}");
            producer.send(Record::to(from.as_str()).partition((n % 3) as i32).value(&value)).await?;
            sent.push(value);
        }
        let group = format!("{from}-group");
        let mut clean = reader(&kafka, &to, IsolationLevel::ReadCommitted)?;
        let mut read = Vec::new();
        let deadline = Instant::now() + 2 * LIMIT;
        let (mut turn, mut second) = (0, None);
        let mut first = kafka.exactly_once(&group, &format!("{from}-1")).await?;
        first.subscribe([from.as_str()])?;
        while read.len() < RECORDS {
            ensure!(Instant::now() < deadline, "{} of {RECORDS} records came", read.len());
            step(&mut first, &to, &mut turn).await?;
            if read.len() > RECORDS / 4 && second.is_none() {
                let member = kafka.exactly_once(&group, &format!("{from}-2")).await?;
                member.subscribe([from.as_str()])?;
                second = Some(member);
            }
            if let Some(second) = &mut second {
                step(second, &to, &mut turn).await?;
            }
            let batch = clean.poll(Duration::from_millis(20)).await?.context("woken up")?;
            read.extend(batch.iter().map(from_klamm));
        }
        expect_nothing(&mut clean).await?;
        ensure!(values(&read) == sent, "not each record once: {:?}", values(&by_place(read)));
        first.close().await?;
        if let Some(second) = second {
            second.close().await?;
        }
        Ok(kafka.close().await?)
    })
}

fn refused(target: &Target, runtime: Runtime) -> Result<()> {
    let (from, to) = (target.topic("from"), target.topic("to"));
    drive(runtime, async {
        let config = Config::new(target.bootstrap()).set("auto.offset.reset", "earliest");
        let kafka = connect_with(config, runtime).await?;
        kafka.producer()?.send(Record::to(from.as_str()).value("x")).await?;
        let mut eos = kafka.exactly_once(&format!("{from}-group"), &format!("{from}-1")).await?;
        eos.subscribe([from.as_str()])?;
        let deadline = Instant::now() + LIMIT;
        let error = loop {
            ensure!(Instant::now() < deadline, "nothing was refused");
            let mut turn = 0;
            if let Err(error) = step(&mut eos, &to, &mut turn).await {
                break error;
            }
        };
        let error = error.downcast_ref::<klamm::Error>().context("an error of klamm")?;
        ensure!(error.kind() == ErrorKind::Unsupported && error.is_fatal(), "{error:?}");
        Ok(kafka.close().await?)
    })
}
