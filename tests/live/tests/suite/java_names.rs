//! The settings that users bring along from Java, as lines of a `.properties` file, judged by what lies in the log.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use klamm::{Config, ConsumerConfig, ErrorKind, Kafka, ProducerConfig, Record};
use klamm_live::{Behaviour, Runtime, Target};

use crate::client::{LIMIT, connect_with, drive, expect_nothing, take};

pub(crate) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::of_klamm("acks_and_idempotence_go_by_javas_names", acks_and_idempotence).on_every_runtime(),
    Behaviour::of_klamm("partitioners_go_by_javas_class_names", partitioners).on_every_runtime(),
    Behaviour::of_klamm("transactions_and_isolation_go_by_javas_names", transactions).on_every_runtime(),
];

async fn with_lines(target: &Target, runtime: Runtime, lines: &str) -> Result<Kafka> {
    let text = format!("bootstrap.servers={}\n{lines}\n", target.bootstrap());
    connect_with(Config::from_properties(&text), runtime).await
}

fn acks_and_idempotence(target: &Target, runtime: Runtime) -> Result<()> {
    drive(runtime, async {
        for (lines, stamped, told) in [
            ("", true, true),
            ("acks=all", true, true),
            ("acks=-1\nenable.idempotence=true", true, true),
            ("acks=all\nenable.idempotence=false", false, true),
            ("acks=1", false, true),
            ("acks=0", false, false),
        ] {
            let topic = target.topic("names");
            let kafka = with_lines(target, runtime, lines).await?;
            let producer = kafka.producer()?;
            for offset in 0..3 {
                let at = producer.send(Record::to(topic.as_str()).partition(0).value("v")).await?;
                ensure!(at.offset() == told.then_some(offset), "[{lines}] told {:?} instead of {offset}", at.offset());
            }
            kafka.close().await?;
            // Without acks=all a record may be told before anybody can read it, or before every node knows its topic.
            let deadline = Instant::now() + LIMIT;
            let batches = loop {
                let read = target.probe_leader(&topic, 0).and_then(|mut leader| leader.batches(&topic, 0));
                match read {
                    Ok(batches) if batches.iter().map(|batch| batch.records).sum::<i32>() == 3 => break batches,
                    read => ensure!(Instant::now() < deadline, "[{lines}] wrote {read:?}"),
                }
                thread::sleep(Duration::from_millis(20));
            };
            ensure!(batches.iter().all(|b| (b.producer_id >= 0) == stamped), "[{lines}] wrote {batches:?}");
        }
        for lines in ["acks=1\nenable.idempotence=true", "enable.idempotence=false\ntransactional.id=t", "acks=2"] {
            let refused = match with_lines(target, runtime, lines).await {
                Ok(kafka) => kafka.producer().map(drop),
                Err(error) => Err(error.downcast()?),
            };
            ensure!(
                refused.as_ref().is_err_and(|e: &klamm::Error| e.kind() == ErrorKind::Config),
                "[{lines}] {refused:?}"
            );
        }
        Ok(())
    })
}

fn partitioners(target: &Target, runtime: Runtime) -> Result<()> {
    const PACKAGE: &str = "org.apache.kafka.clients.producer";
    drive(runtime, async {
        let lines = format!("partitioner.class={PACKAGE}.RoundRobinPartitioner\nlinger.ms=0");
        let kafka = with_lines(target, runtime, &lines).await?;
        let (producer, mut counts) = (kafka.producer()?, [0; 3]);
        let topic = target.topic("names");
        for _ in 0..9 {
            let record = Record::to(topic.as_str()).key("always the same").value("v");
            counts[usize::try_from(producer.send(record).await?.partition())?] += 1;
        }
        ensure!(counts == [3, 3, 3], "round robin spread {counts:?}");
        kafka.close().await?;
        let keys = ["key-1", "key-2", "key-3", "key-4"];
        let topic = target.topic("names");
        let by_java: Vec<_> = target
            .java()?
            .produce(&keys.map(|key| klamm_live::Record::to(&topic).key(key).value("v")), &[])?
            .into_iter()
            .map(|record| record.partition)
            .collect();
        for lines in ["", "partitioner.class=org.apache.kafka.clients.producer.internals.DefaultPartitioner"] {
            let kafka = with_lines(target, runtime, lines).await?;
            for (key, java) in keys.iter().zip(&by_java) {
                let at = kafka.producer()?.send(Record::to(topic.as_str()).key(*key).value("v")).await?;
                ensure!(Some(at.partition()) == *java, "[{lines}] {key} went to {}, not to {java:?}", at.partition());
            }
            kafka.close().await?;
        }
        let unknown = ProducerConfig::new().set("partitioner.class", "com.example.Unknown");
        let kafka = with_lines(target, runtime, "").await?;
        let error = kafka.producer_with(unknown).map(drop);
        ensure!(error.as_ref().is_err_and(|e| e.kind() == ErrorKind::Config), "{error:?}");
        kafka.close().await?;
        Ok(())
    })
}

fn transactions(target: &Target, runtime: Runtime) -> Result<()> {
    drive(runtime, async {
        let topic = target.topic("names");
        let lines = format!("transactional.id={topic}-id\ntransaction.timeout.ms=30000\nauto.offset.reset=earliest");
        let writer = with_lines(target, runtime, &lines).await?;
        ensure!(writer.producer().is_err_and(|e| e.kind() == ErrorKind::Config), "a plain producer took the id");
        let mut producer = writer.transactional_producer_with(ProducerConfig::new()).await?;
        ensure!(producer.transactional_id() == format!("{topic}-id"));
        let reader = |isolation: &str| format!("isolation.level={isolation}\nauto.offset.reset=earliest");
        let clean = with_lines(target, runtime, &reader("read_committed")).await?;
        let dirty = with_lines(target, runtime, &reader("read_uncommitted")).await?;
        let plain = with_lines(target, runtime, "auto.offset.reset=earliest").await?;
        let mut consumers = Vec::new();
        for kafka in [&clean, &dirty, &plain] {
            let consumer = kafka.consumer_with(ConsumerConfig::standalone())?;
            consumer.subscribe([topic.as_str()])?;
            consumers.push(consumer);
        }

        let txn = producer.begin_transaction()?;
        txn.send(Record::to(topic.as_str()).partition(0).value("aborted")).queued().await?;
        txn.flush().await?;
        for consumer in &mut consumers[1..] {
            take(consumer, 1).await?;
        }
        expect_nothing(&mut consumers[0]).await?;
        txn.abort().await?;
        let txn = producer.begin_transaction()?;
        txn.send(Record::to(topic.as_str()).partition(0).value("committed")).queued().await?;
        txn.commit().await?;
        for consumer in &mut consumers {
            let seen = take(consumer, 1).await?;
            let value = seen.first().and_then(|record| record.value.as_deref()).context("no value")?;
            ensure!(value == b"committed", "{seen:?}");
        }
        for kafka in [writer, clean, dirty, plain] {
            kafka.close().await?;
        }
        let refused = with_lines(target, runtime, "isolation.level=serializable").await;
        ensure!(refused.is_err(), "an isolation level that does not exist was taken");
        Ok(())
    })
}
