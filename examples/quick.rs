//! Sends a record and tells where it is: `cargo run --example quick -- HOST:PORT TOPIC`.

use klamm::{Kafka, Record, Result, Tokio};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let server = args.next().unwrap_or_else(|| "localhost:9092".into());
    let topic = args.next().unwrap_or_else(|| "quick".into());
    let kafka = Kafka::connect(Tokio, server).await?;
    let producer = kafka.producer()?;
    for i in 0..3 {
        let value = format!("hello {i}");
        let at = producer.send(Record::to(&topic).key("o-1").value(&value).header("n", "1")).await?;
        println!("partition {} offset {:?}", at.partition(), at.offset());
    }
    kafka.close().await
}
