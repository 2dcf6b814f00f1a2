//! The same without an executor: `cargo run --features blocking --example quick_start_blocking [HOST:PORT]`.

mod support;

use klamm::{Blocking, Config, Kafka, Record, Result};
use std::time::Duration;

fn main() -> Result<()> {
    let config = Config::new(support::bootstrap()).set("auto.offset.reset", "earliest");
    let kafka = Kafka::connect(Blocking, config).wait()?;
    kafka.producer()?.send(Record::to("orders").key("o-1").value("hello")).wait()?; // acknowledged
    let mut consumer = kafka.consumer("billing")?;
    consumer.subscribe(["orders"])?;
    if let Some(batch) = consumer.poll(Duration::from_secs(10)).wait()? {
        for record in &batch {
            println!("{record}");
        }
    }
    kafka.close().wait()
}
