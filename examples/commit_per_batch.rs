//! A group that commits what it has worked off, batch by batch: each record is worked off at least once.

mod support;

use klamm::config::{AutoCommit, ConsumerConfig};
use klamm::{ConsumerRecord, Kafka, Record, Result, Tokio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

async fn run(kafka: Kafka) -> Result<()> {
    let mut consumer = kafka.consumer_with(ConsumerConfig::group("billing").auto_commit(AutoCommit::Off))?;
    consumer.subscribe(["orders"])?;
    while let Some(batch) = consumer.poll(Duration::from_secs(1)).await? {
        for record in &batch {
            bill(record).await?;
        }
        consumer.commit_sync_offsets(&batch).await?; // next offset of each partition in the batch
    }
    consumer.close().await
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
    let producer = kafka.producer()?;
    let running = tokio::spawn(run(kafka.clone()));
    // A new group begins with what comes after it (auto.offset.reset=latest).
    while BILLED.load(Ordering::Relaxed) < 3 {
        producer.send(Record::to("orders").key("o-1").value("hello")).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    kafka.close().await?; // the poll gives None, so `run` ends
    running.await.expect("it does not panic")
}
