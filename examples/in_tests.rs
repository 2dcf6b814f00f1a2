//! How an application tests its own code: against an in-memory cluster, with faults. `cargo test --example in_tests`.

mod support;

use klamm::{Kafka, Producer, Record, Result, Tokio};

/// The application.
async fn publish(producer: &Producer, order: u64) -> Result<()> {
    producer.send(Record::to("orders").key(&order.to_be_bytes()).value("hello")).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let kafka = Kafka::connect(Tokio, support::bootstrap()).await?;
    publish(&kafka.producer()?, 1001).await?;
    kafka.close().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use klamm_cluster::{Api, Cluster};

    #[tokio::test]
    async fn an_order_is_written_once() -> klamm::Result<()> {
        let cluster = Cluster::start().unwrap();
        cluster.fault(Api::Produce).times(1).disconnect_after_apply();
        let kafka = Kafka::connect(Tokio, cluster.bootstrap()).await?;
        publish(&kafka.producer()?, 1001).await?;
        assert_eq!(cluster.records("orders").len(), 1);
        Ok(())
    }

    #[cfg(feature = "blocking")]
    #[test]
    fn a_synchronous_test_waits() -> klamm::Result<()> {
        let cluster = Cluster::start().unwrap();
        let kafka = Kafka::connect(klamm::Blocking, cluster.bootstrap()).wait()?;
        kafka.producer()?.send(Record::to("orders").value("hello")).wait()?;
        assert_eq!(cluster.records("orders").len(), 1);
        Ok(())
    }
}
