//! Ends at Ctrl-C: what was consumed is committed, the group is left, nothing is cut off.

mod support;

use klamm::{Config, ConsumerRecord, Kafka, Record, Result, Tokio};
use std::time::Duration;

async fn serve(kafka: Kafka) -> Result<()> {
    let mut consumer = kafka.consumer("billing")?;
    consumer.subscribe(["orders"])?;
    let stop = consumer.handle();
    tokio::spawn(async move {
        tokio::signal::ctrl_c().await.ok();
        stop.wakeup()
    });
    while let Some(batch) = consumer.poll(Duration::MAX).await? {
        // None after wakeup(): the batch in hand was finished.
        for record in &batch {
            bill(record).await?;
        }
    }
    consumer.close().await?; // commits what was consumed, leaves
    kafka.close().within(Duration::from_secs(10)).await
}

async fn bill(record: ConsumerRecord<'_>) -> Result<()> {
    println!("billed {record}");
    press_ctrl_c();
    Ok(())
}

/// So that the example ends by itself; without `kill` press it yourself.
fn press_ctrl_c() {
    let _ = std::process::Command::new("kill").args(["-INT", &std::process::id().to_string()]).status();
}

#[tokio::main]
async fn main() -> Result<()> {
    let config = Config::new(support::bootstrap()).set("auto.offset.reset", "earliest");
    let kafka = Kafka::connect(Tokio, config).await?;
    kafka.producer()?.send(Record::to("orders").value("hello")).await?;
    serve(kafka).await
}
