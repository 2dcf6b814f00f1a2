//! Reads what the last hour brought: without a group, and with a running member of one.

mod support;

use klamm::config::{ConsumerConfig, StartOffset};
use klamm::{Config, Consumer, Kafka, Record, Result, Timestamp, Tokio};
use std::time::{Duration, SystemTime};

async fn last_hour(kafka: &Kafka, member: &Consumer) -> Result<()> {
    let since = Timestamp::from(SystemTime::now() - Duration::from_secs(3600));
    let mut all = kafka.consumer_with(ConsumerConfig::standalone().start(StartOffset::Timestamp(since)))?;
    all.subscribe(["orders"])?; // every partition, later ones too
    println!("{} records", all.poll(Duration::from_secs(5)).await?.map_or(0, |batch| batch.len()));
    member.seek_to_timestamp(member.assignment(), since).await?; // a running group member
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let config = Config::new(support::bootstrap()).set("auto.offset.reset", "earliest");
    let kafka = Kafka::connect(Tokio, config).await?;
    let producer = kafka.producer()?;
    let old = Timestamp::from(SystemTime::now() - Duration::from_secs(7200));
    producer.send(Record::to("orders").value("two hours old").timestamp(old)).await?;
    producer.send(Record::to("orders").value("new")).await?;
    let mut member = kafka.consumer("billing")?;
    member.subscribe(["orders"])?;
    while member.poll(Duration::from_secs(1)).await?.is_some_and(|batch| batch.is_empty()) {}
    last_hour(&kafka, &member).await?;
    let again = member.poll(Duration::from_secs(5)).await?;
    println!("the member reads {:?} again", again.and_then(|batch| batch.iter().next().map(|r| r.to_string())));
    kafka.close().await
}
