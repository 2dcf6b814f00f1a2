//! Transactions.

use super::{Outage, Stage, number, text};
use crate::client::{LIMIT, connect, drive, expect_nothing, take};
use anyhow::{Result, ensure};
use klamm::config::{ConsumerConfig, IsolationLevel};
use klamm::{GroupMetadata, Kafka, Offsets, ProducerConfig, Record, TransactionalProducer};
use klamm_live::Runtime;
use std::thread;
use std::time::{Duration, Instant};

/// What committed readers see of a topic, in the order of the places.
async fn committed(kafka: &Kafka, topic: &str, count: usize) -> Result<Vec<String>> {
    let section = ConsumerConfig::standalone().set("auto.offset.reset", "earliest");
    let mut consumer = kafka.consumer_with(section.isolation_level(IsolationLevel::ReadCommitted))?;
    consumer.subscribe([topic])?;
    let read = take(&mut consumer, count).await?;
    expect_nothing(&mut consumer).await?;
    consumer.close().await?;
    Ok(crate::client::by_place(read).iter().map(text).collect())
}

/// How a transaction ended, asked until it is known.
async fn settled(producer: &mut TransactionalProducer, mut outcome: klamm::Result<()>) -> Result<bool> {
    loop {
        match outcome {
            Ok(()) => return Ok(true),
            Err(error) if error.is_outcome_unknown() => outcome = producer.resume_commit().await,
            Err(error) if error.is_fatal() => return Err(error.into()),
            Err(_) => return Ok(false),
        }
    }
}

/// One record in a transaction that is committed, however often that takes.
async fn committed_at_last<'r>(producer: &mut TransactionalProducer, record: impl Fn() -> Record<'r>) -> Result<()> {
    let begin = Instant::now();
    loop {
        ensure!(begin.elapsed() < 3 * LIMIT, "no transaction was committed");
        let Ok(txn) = producer.begin_transaction() else {
            thread::sleep(Duration::from_millis(20));
            continue;
        };
        drop(txn.send(record()));
        let outcome = txn.commit().await;
        if settled(producer, outcome).await? {
            return Ok(());
        }
    }
}

/// TX-02. A client whose EndTxn overtakes positions that are on their way would commit without them, or leave them to the next
/// transaction, also to one that is aborted.
pub(super) fn positions_on_the_wire(outage: &Outage<'_>, runtime: Runtime) -> Result<String> {
    drive(runtime, async {
        let kafka = connect(outage.target, runtime).await?;
        let (topic, partition) = outage.topic(&kafka, "tx-02").await?;
        let group = format!("{topic}-group");
        let member = kafka.consumer(&group)?;
        let outside = GroupMetadata::outside(&group);
        let section = ProducerConfig::new().transactional_id(format!("{topic}-id"));
        let section = section.set("transaction.timeout.ms", 300_000).set("max.block.ms", 20_000);
        let mut producer = kafka.transactional_producer_with(section).await?;
        let (mut n, mut last, mut values, mut aborted) = (0usize, None, Vec::new(), 0);
        while !outage.is(Stage::Healed) || n < 60 {
            let Ok(txn) = producer.begin_transaction() else {
                thread::sleep(Duration::from_millis(20));
                continue;
            };
            let value = number(n);
            let delivery = txn.send(Record::to(topic.as_str()).partition(partition).value(&value));
            let position = i64::try_from(n)? + 1;
            // Neither is waited for; every third transaction is given up.
            let carried = txn.send_offsets(Offsets::new().with((topic.as_str(), partition), position), &outside);
            let ends_well = match n % 3 {
                2 => {
                    let outcome = txn.abort().await;
                    ensure!(!outcome.as_ref().is_err_and(klamm::Error::is_fatal), "{outcome:?}");
                    false
                }
                _ => {
                    let outcome = txn.commit().await;
                    settled(&mut producer, outcome).await?
                }
            };
            drop((delivery, carried));
            if ends_well {
                values.push(value);
                last = Some(position);
            } else {
                aborted += 1;
            }
            let begin = Instant::now();
            let found = loop {
                match member.committed([(topic.as_str(), partition)]).await {
                    Ok(found) => break found.get((topic.as_str(), partition)),
                    // The coordinator is away.
                    Err(error) => ensure!(begin.elapsed() < 3 * LIMIT, "{error}"),
                }
            };
            ensure!(found == last, "behind transaction {n}, which ended well: {ends_well}: {found:?}, {last:?} is due");
            n += 1;
            if n == 20 {
                outage.ready();
            }
            thread::sleep(Duration::from_millis(30));
        }
        let seen = committed(&kafka, &topic, values.len()).await?;
        ensure!(seen == values, "committed {values:?}, seen {seen:?}");
        producer.close().await?;
        kafka.close().await?;
        Ok(format!("{} committed, {aborted} aborted", values.len()))
    })
}

/// TX-07. A client that takes "nothing was registered" for "nothing to commit" would tell of a commit whose records are nowhere.
pub(super) fn nothing_reached_the_cluster(outage: &Outage<'_>, runtime: Runtime) -> Result<String> {
    drive(runtime, async {
        let kafka = connect(outage.target, runtime).await?;
        let (topic, partition) = outage.topic(&kafka, "tx-07").await?;
        let section = ProducerConfig::new().transactional_id(format!("{topic}-id"));
        let section = section
            .set("request.timeout.ms", 1_000)
            .set("delivery.timeout.ms", 1_500)
            .set("linger.ms", 0)
            .set("max.block.ms", 10_000)
            .set("transaction.timeout.ms", 300_000);
        let mut producer = kafka.transactional_producer_with(section).await?;
        let value = |value: &'static str| Record::to(topic.as_str()).partition(partition).value(value);
        committed_at_last(&mut producer, || value("before")).await?;
        outage.ready();
        outage.wait_for(Stage::AllKilled);
        let txn = producer.begin_transaction()?;
        let lost = [txn.send(value("lost-1")), txn.send(value("lost-2"))];
        let mut errors = Vec::new();
        for delivery in lost {
            match delivery.await {
                Ok(at) => anyhow::bail!("written at {:?} to a cluster that is down", at.offset()),
                Err(error) => errors.push(error.kind()),
            }
        }
        let outcome = txn.commit().await;
        ensure!(outcome.is_err(), "a commit of records that expired is told as done");
        ensure!(!settled(&mut producer, outcome).await?, "a commit of records that expired is told as done later");
        outage.wait_for(Stage::Healed);
        committed_at_last(&mut producer, || value("after")).await?;
        let seen = committed(&kafka, &topic, 2).await?;
        ensure!(seen == ["before", "after"], "{seen:?}");
        producer.close().await?;
        kafka.close().await?;
        Ok(format!("{errors:?}, then written"))
    })
}
