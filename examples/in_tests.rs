//! How an application tests its own code: against an in-memory cluster, with faults. `cargo test --example in_tests`.
//!
//! What Java's `MockProducer` is for is done here with the real producer and a cluster in the same process, so batching,
//! retries, partitioning and errors are the real ones too:
//!
//! | `MockProducer` | here |
//! |---|---|
//! | `history()` | `cluster.records("orders")`: key, value, headers, partition, offset |
//! | `completeNext()`, `autoComplete=false` | `cluster.fault(Api::Produce).delay_before_apply(..)` or `.silence()`: answers come late, or never |
//! | `errorNext(e)` | `cluster.fault(Api::Produce).times(1).error(code)`, `.error_after_apply(code)` |
//! | `sendException` and the like | a section of small limits: `max.block.ms`, `buffer.memory`, `max.request.size` |
//! | `fenceProducer()` | a second `transactional_producer` of the same name |
//! | `committed`, `consumerGroupOffsetsHistory` | `cluster.committed_records("orders")`, `cluster.committed(group, topic, partition)` |

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

    /// `errorNext`: a refusal that no retry helps against reaches the caller, and nothing was written.
    #[tokio::test]
    async fn an_order_that_was_refused_is_told() -> klamm::Result<()> {
        let cluster = Cluster::start().unwrap();
        let kafka = Kafka::connect(Tokio, cluster.bootstrap()).await?;
        let producer = kafka.producer()?;
        publish(&producer, 1001).await?;
        cluster.fault(Api::Produce).times(1).error(29);
        let error = publish(&producer, 1002).await.unwrap_err();
        assert_eq!((error.kind(), error.possibly_written()), (klamm::ErrorKind::Authorization, false));
        assert_eq!(cluster.records("orders").len(), 1);
        Ok(())
    }

    /// `autoComplete=false`: the acknowledgement comes when the test wants it to.
    #[tokio::test]
    async fn an_order_is_published_only_when_it_is_acknowledged() -> klamm::Result<()> {
        let cluster = Cluster::start().unwrap();
        let kafka = Kafka::connect(Tokio, cluster.bootstrap()).await?;
        let producer = kafka.producer()?;
        publish(&producer, 1001).await?;
        cluster.fault(Api::Produce).times(1).delay_before_apply(std::time::Duration::from_millis(200));
        let begun = std::time::Instant::now();
        publish(&producer, 1002).await?;
        assert!(begun.elapsed() >= std::time::Duration::from_millis(200));
        assert_eq!(cluster.records("orders").len(), 2);
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
