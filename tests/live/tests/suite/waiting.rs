//! The blocking API: the same types, `.wait()` on a plain thread, no executor.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use klamm::admin::NewTopic;
use klamm::{Blocking, Config, ConsumerConfig, Kafka, Partitioner, Partitioning, Placement, ProducerConfig, TopicView};
use klamm_live::{Behaviour, Kind, Record, Runtime, Target};

use crate::client::{LIMIT, connect, drive, send_all, to_klamm};

pub(crate) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::of_klamm("the_blocking_api_does_it_all_without_await", without_await),
    Behaviour::of_klamm("a_partitioner_of_ones_own_is_asked", own_partitioner),
    Behaviour::of_klamm("many_threads_share_one_producer", many_threads).on(|kind| kind == Kind::Memory),
    Behaviour::of_klamm("the_defaults_of_kafka_2_5_write_and_read", old_defaults),
];

/// Always on klamm's own thread, whatever runtime the other behaviours have here.
fn without_await(target: &Target, _runtime: Runtime) -> Result<()> {
    let (topic, group) = (target.topic("waiting"), target.topic("group"));
    let kafka = Kafka::connect(Blocking, target.bootstrap()).wait()?;
    kafka.admin().create_topics([NewTopic::new(topic.as_str(), 2, 1)]).wait()?.all()?;
    let producer = kafka.producer()?;
    let values: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let deliveries = values
        .iter()
        .map(|value| producer.send(klamm::Record::to(&topic).partition(1).value(value)).queued().wait())
        .collect::<klamm::Result<Vec<_>>>()?;
    producer.flush().wait()?;
    for (expected, delivery) in (0..).zip(deliveries) {
        ensure!(delivery.is_ready(), "flush did not wait");
        ensure!(delivery.wait()?.offset() == Some(expected), "not at offset {expected}");
    }
    let config = ConsumerConfig::group(&*group).set("auto.offset.reset", "earliest").set("enable.auto.commit", false);
    let mut consumer = kafka.consumer_with(config)?;
    consumer.subscribe([&*topic])?;
    let mut read = Vec::new();
    for record in consumer.iter().take(60) {
        read.push(String::from_utf8(record?.value().context("a tombstone")?.to_vec())?);
    }
    ensure!(read == values[..60], "the iterator gave {read:?}");
    consumer.commit_sync().wait()?;
    ensure!(consumer.committed([(&*topic, 1)]).wait()?.get((&*topic, 1)) == Some(60), "60 records are not committed");
    while read.len() < 100 {
        let batch = consumer.poll(LIMIT).wait()?.context("woken up")?;
        ensure!(!batch.is_empty(), "only {} records came", read.len());
        for record in &batch {
            read.push(String::from_utf8(record.value().context("a tombstone")?.to_vec())?);
        }
    }
    ensure!(read == values, "read {read:?}");
    consumer.close().wait()?;
    kafka.close().wait()?;
    ensure!(producer.send(klamm::Record::to(&topic)).wait().is_err(), "a closed producer wrote");
    Ok(())
}

/// By the first byte of the value; sticky where there is none.
struct ByValue;

impl Partitioner for ByValue {
    fn partition(&self, record: &klamm::Record<'_>, topic: &TopicView<'_>) -> Placement {
        match record.value_bytes().and_then(|value| value.first()) {
            Some(first) => Placement::At(i32::from(*first) % topic.partition_count()),
            None => Placement::Sticky,
        }
    }
}

fn own_partitioner(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("own-partitioner");
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        let producer = kafka.producer_with(ProducerConfig::new().partitioner(Partitioning::from(ByValue)))?;
        let records: Vec<Record> = (0..60u8).map(|n| Record::to(&topic).key("one for all").value([n])).collect();
        for (n, written) in (0..).zip(send_all(&producer, &records).await?) {
            ensure!(written.partition == Some(n % 3), "value {n} is in {:?}", written.partition);
        }
        send_all(&producer, &[Record::to(&topic)]).await?;
        Ok(kafka.close().await?)
    })
}

fn many_threads(target: &Target, runtime: Runtime) -> Result<()> {
    const THREADS: usize = 8;
    const EACH: usize = 5000;
    let topic = target.topic("threads");
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        let producer = kafka.producer()?;
        producer.topic(&topic).ready().await?;
        thread::scope(|scope| {
            let writers: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let (producer, topic) = (&producer, topic.as_str());
                    scope.spawn(move || -> Result<()> {
                        let mut deliveries = Vec::with_capacity(EACH);
                        for n in 0..EACH {
                            let value = format!("{thread}:{n:05}");
                            let record = klamm::Record::to(topic).partition((thread % 3) as i32).value(&value);
                            deliveries.push(producer.send(record).queued().wait()?);
                        }
                        deliveries.into_iter().try_for_each(|delivery| Ok(delivery.wait().map(drop)?))
                    })
                })
                .collect();
            writers
                .into_iter()
                .try_for_each(|writer| writer.join().map_err(|_| anyhow::anyhow!("a writer panicked"))?)
        })?;
        let mut consumer = crate::client::reader(&kafka, &topic)?;
        let read = crate::client::take(&mut consumer, THREADS * EACH).await?;
        for thread in 0..THREADS {
            let prefix = format!("{thread}:");
            let of_thread: Vec<&[u8]> = read
                .iter()
                .filter_map(|record| record.value.as_deref())
                .filter(|value| value.starts_with(prefix.as_bytes()))
                .collect();
            ensure!(of_thread.len() == EACH, "{} records of thread {thread}", of_thread.len());
            ensure!(of_thread.windows(2).all(|pair| pair[0] < pair[1]), "thread {thread} is out of order");
        }
        consumer.close().await?;
        Ok(kafka.close().await?)
    })
}

fn old_defaults(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("old-defaults");
    drive(runtime, async {
        let kafka = crate::client::connect_with(Config::kafka_2_5(target.bootstrap()), runtime).await?;
        let records: Vec<Record> = (0..50).map(|n| Record::to(&topic).partition(0).value(format!("{n}"))).collect();
        let producer = kafka.producer()?;
        let deliveries: Vec<_> = records.iter().map(|record| producer.send(to_klamm(record))).collect();
        for delivery in deliveries {
            delivery.await?;
        }
        let mut consumer = crate::client::reader(&kafka, &topic)?;
        let read = crate::client::take(&mut consumer, 50).await?;
        ensure!(read.iter().zip(&records).all(|(read, sent)| read.value == sent.value), "{read:?}");
        consumer.close().await?;
        kafka.close().within(Duration::from_secs(10)).await?;
        Ok(())
    })?;
    let batches = target.probe_leader(&topic, 0)?.batches(&topic, 0)?;
    ensure!(batches.iter().all(|batch| batch.producer_id == -1), "idempotent though 2.5 was not: {batches:?}");
    Ok(())
}
