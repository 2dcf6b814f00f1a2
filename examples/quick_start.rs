//! Sends a record and reads it back, on tokio: `cargo run --example quick_start [HOST:PORT]`.

mod support;

use klamm::{Config, Kafka, Record, Result, Tokio};
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<()> {
    let config = Config::new(support::bootstrap()).set("auto.offset.reset", "earliest");
    let kafka = Kafka::connect(Tokio, config).await?;
    kafka.producer()?.send(Record::to("orders").key("o-1").value("hello")).await?; // acknowledged
    let mut consumer = kafka.consumer("billing")?;
    consumer.subscribe(["orders"])?;
    if let Some(batch) = consumer.poll(Duration::from_secs(10)).await? {
        for record in &batch {
            println!("{record}");
        }
    }
    kafka.close().await
}
