//! Scenarios of the catalogue that need no killing, by their numbers.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use klamm::ProducerConfig;
use klamm::admin::{ConfigChange, ConfigResource, NewTopic};
use klamm_live::{Behaviour, Kind, Runtime, Target, Version};

use crate::client::{LIMIT, connect, drive, reader, take};

pub(crate) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::of_klamm("id_18_batches_that_became_too_large_are_split_in_order", too_large).on(newest),
    Behaviour::of_klamm("pr_12_a_topic_created_anew_is_written_on", recreated).on(newest),
];

fn newest(kind: Kind) -> bool {
    matches!(kind, Kind::Memory | Kind::Real(Version::V4_4_0))
}

/// The limit of the topic falls under the size of the batches that are under way.
fn too_large(target: &Target, runtime: Runtime) -> Result<()> {
    const RECORDS: usize = 600;
    let topic = target.topic("lowered");
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        kafka.admin().create_topics([NewTopic::new(topic.as_str(), 1, 1)]).await?.all()?;
        let section = ProducerConfig::new().set("batch.size", 200_000).set("linger.ms", 20);
        let producer = kafka.producer_with(section)?;
        let mut deliveries = Vec::new();
        for n in 0..RECORDS {
            if n == RECORDS / 3 {
                let change = vec![ConfigChange::set("max.message.bytes", 20_000)];
                kafka
                    .admin()
                    .incremental_alter_configs([(ConfigResource::topic(topic.as_str()), change)])
                    .await?
                    .all()?;
            }
            let value = format!("{n:04}{}", "x".repeat(1_000));
            let record = klamm::Record::to(topic.as_str()).partition(0).value(&value);
            deliveries.push(producer.send(record).queued().await?);
        }
        for (n, delivery) in deliveries.into_iter().enumerate() {
            let at = delivery.await.with_context(|| format!("record {n}"))?;
            ensure!(at.offset() == Some(n as i64), "record {n} is at {:?}", at.offset());
        }
        let mut consumer = reader(&kafka, &topic)?;
        for (n, record) in take(&mut consumer, RECORDS).await?.into_iter().enumerate() {
            let value = record.value.context("a tombstone")?;
            ensure!(value.starts_with(format!("{n:04}").as_bytes()), "something else is at {n}");
        }
        consumer.close().await?;
        Ok(kafka.close().await?)
    })?;
    let batches = target.probe_leader(&topic, 0)?.batches(&topic, 0)?;
    let late: Vec<i32> = batches.iter().rev().take(5).map(|batch| batch.records).collect();
    ensure!(late.iter().all(|records| *records < 20), "the last batches have {late:?} records");
    Ok(())
}

/// Every record has an outcome, and those that are acknowledged by the new topic are there, once and in order.
fn recreated(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("anew");
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        let new = || [NewTopic::new(topic.as_str(), 1, 1)];
        kafka.admin().create_topics(new()).await?.all()?;
        let producer = kafka.producer()?;
        let send = |value: String| producer.send(klamm::Record::to(topic.as_str()).partition(0).value(&value));
        for n in 0..20 {
            send(format!("old-{n:02}")).await?;
        }
        kafka.admin().delete_topics([topic.as_str()]).await?.all()?;
        let begin = Instant::now();
        while let Err(error) = kafka.admin().create_topics(new()).await?.all() {
            ensure!(begin.elapsed() < LIMIT, "{error:?}");
            thread::sleep(Duration::from_millis(50));
        }
        let mut expected = Vec::new();
        while expected.len() < 20 {
            ensure!(begin.elapsed() < LIMIT, "only {} records were taken", expected.len());
            let deliveries: Vec<_> = (0..5)
                .map(|n| format!("new-{:04}", begin.elapsed().as_millis() as usize + n))
                .map(|v| (v.clone(), send(v)))
                .collect();
            for (value, delivery) in deliveries {
                if delivery.await.is_ok() {
                    expected.push(value);
                }
            }
            thread::sleep(Duration::from_millis(10));
        }
        let mut consumer = reader(&kafka, &topic)?;
        let read = take(&mut consumer, expected.len()).await?;
        let read: Vec<String> = read
            .into_iter()
            .map(|r| String::from_utf8_lossy(r.value.as_deref().unwrap_or_default()).into_owned())
            .collect();
        ensure!(read == expected, "acknowledged {expected:?}, read {read:?}");
        consumer.close().await?;
        Ok(kafka.close().await?)
    })
}
