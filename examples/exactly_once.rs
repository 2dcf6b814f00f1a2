//! Reads, transforms and writes, each record exactly once: output and positions are committed in one transaction.

mod support;

use klamm::config::{Config, ConsumerConfig, IsolationLevel, StartOffset};
use klamm::{Kafka, Outcome, Record, Result, Tokio};
use std::collections::BTreeMap;
use std::time::Duration;

async fn upper(kafka: Kafka) -> Result<()> {
    let mut eos = kafka.exactly_once("upper", "upper-0").await?;
    eos.subscribe(["orders"])?;
    while let Some(step) = eos.poll(Duration::from_secs(1)).await? {
        for record in step.batch() {
            let value = record.value().unwrap_or_default().to_ascii_uppercase();
            step.send(record.forward_to("upper").value(&value)).queued().await?; // `?` drops the step: aborted, read again
        }
        if let Outcome::Aborted(why) = step.commit().await? {
            eprintln!("again: {why}");
        }
    }
    eos.close().await
}

#[tokio::main]
async fn main() -> Result<()> {
    const RECORDS: usize = 100;
    let config = Config::new(support::bootstrap()).set("auto.offset.reset", "earliest");
    let kafka = Kafka::connect(Tokio, config).await?;
    let producer = kafka.producer()?;
    for n in 0..RECORDS {
        producer.send(Record::to("orders").key("o-1").value(&format!("order {n}"))).queued().await?;
    }
    producer.flush().await?;
    let running = tokio::spawn(upper(kafka.clone()));

    let section = ConsumerConfig::standalone().isolation_level(IsolationLevel::ReadCommitted);
    let mut reader = kafka.consumer_with(section.start(StartOffset::Earliest))?;
    reader.subscribe(["upper"])?;
    let mut seen: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    while seen.len() < RECORDS {
        let Some(batch) = reader.poll(Duration::from_secs(10)).await? else { break };
        for record in &batch {
            *seen.entry(record.value().unwrap_or_default().to_vec()).or_default() += 1;
        }
    }
    println!("{} records, each written {} time", seen.len(), seen.values().max().unwrap_or(&0));
    kafka.close().await?; // the poll gives None, so `upper` ends
    running.await.expect("it does not panic")
}
