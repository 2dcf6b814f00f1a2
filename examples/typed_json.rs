//! One constant says what a topic holds, for writers and readers: `cargo run --features json --example typed_json`.

mod support;

use klamm::serdes::{Json, Utf8};
use klamm::{Config, ConsumerRecord, Kafka, Producer, Result, Tokio, TypedTopic};
use std::time::Duration;

#[derive(serde::Serialize, serde::Deserialize)]
struct Order {
    id: u64,
    total: f64,
}

const ORDERS: TypedTopic<Utf8, Json<Order>> = TypedTopic::new("orders", Utf8, Json::new());

async fn place(producer: &Producer, order: &Order) -> Result<()> {
    let at = producer.send_typed(&ORDERS, Some(format!("o-{}", order.id).as_str()), Some(order)).await?;
    println!("{at:?}");
    Ok(())
}

fn total(record: ConsumerRecord<'_>) -> Result<f64> {
    Ok(ORDERS.value(&record)?.map_or(0.0, |order| order.total))
}

#[tokio::main]
async fn main() -> Result<()> {
    let config = Config::new(support::bootstrap()).set("auto.offset.reset", "earliest");
    let kafka = Kafka::connect(Tokio, config).await?;
    place(&kafka.producer()?, &Order { id: 1, total: 9.5 }).await?;
    place(&kafka.producer()?, &Order { id: 2, total: 0.5 }).await?;
    let mut consumer = kafka.consumer("totals")?;
    consumer.subscribe([ORDERS.name()])?;
    let (mut orders, mut sum) = (0, 0.0);
    while orders < 2 {
        let Some(batch) = consumer.poll(Duration::from_secs(10)).await? else { break };
        for record in &batch {
            orders += 1;
            sum += total(record)?;
        }
    }
    println!("{orders} orders, {sum} in all");
    kafka.close().await
}
