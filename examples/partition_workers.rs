//! One worker per partition: a rebalance ends the workers of the partitions that go, and waits for them.

mod support;

use klamm::admin::NewTopic;
use klamm::config::{AutoCommit, ConsumerConfig};
use klamm::{ConsumerRecord, Kafka, PartitionStream, Record, Result, Tokio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

async fn work(mut partition: PartitionStream) -> Result<()> {
    while let Some(batch) = partition.poll(Duration::from_secs(1)).await? {
        for record in &batch {
            bill(record).await?;
        }
        partition.commit_sync().await?;
    }
    Ok(()) // revoked: `partition` is dropped here and the rebalance goes on
}

async fn workers(kafka: Kafka) -> Result<()> {
    let consumer = kafka.consumer_with(ConsumerConfig::group("billing").auto_commit(AutoCommit::Off))?;
    consumer.subscribe(["orders"])?;
    let mut partitions = consumer.into_partitions();
    while let Some(partition) = partitions.next().await? {
        // A partition whose worker failed comes again, from its last commit.
        tokio::spawn(async move {
            if let Err(error) = work(partition).await {
                eprintln!("{error}");
            }
        });
    }
    partitions.close().await
}

static BILLED: AtomicU32 = AtomicU32::new(0);

async fn bill(record: ConsumerRecord<'_>) -> Result<()> {
    println!("billed {record}");
    BILLED.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let kafka = Kafka::connect(Tokio, support::bootstrap()).await?;
    // If the topic exists it is as well.
    let _ = kafka.admin().create_topics([NewTopic::new("orders", 3, 1)]).await?.all();
    let producer = kafka.producer()?;
    let running = tokio::spawn(workers(kafka.clone()));
    // A new group begins with what comes after it (auto.offset.reset=latest).
    for id in 0.. {
        if BILLED.load(Ordering::Relaxed) >= 9 {
            break;
        }
        producer.send(Record::to("orders").partition(id % 3).value("hello")).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    kafka.close().await?; // the streams end, so `workers` does
    running.await.expect("it does not panic")
}
