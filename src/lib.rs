//! klamm: a Kafka client for tokio, async-std and plain threads, on one core without I/O.
//!
//! ```no_run
//! # #[cfg(feature = "tokio")]
//! # async fn doc() -> klamm::Result<()> {
//! use klamm::{Kafka, Record, Tokio};
//! let kafka = Kafka::connect(Tokio, "localhost:9092").await?;
//! let at = kafka.producer()?.send(Record::to("orders").key("o-1").value("hello")).await?;
//! println!("offset {:?} of partition {}", at.offset(), at.partition());
//! kafka.close().await
//! # }
//! ```
//!
//! Whatever may wait is a plain function that returns a named future: the call has happened, the future only waits.
//! `.await` it on any executor, `.wait()` for it on any thread.

pub mod admin;
pub mod codec;
pub mod config;
mod consumer;
mod deliveries;
mod delivery;
mod front;
mod interceptor;
mod kafka;
#[cfg(feature = "tracing")]
mod log;
mod metadata;
pub mod metrics;
mod op;
mod partitioning;
mod producer;
mod raw;
mod receipts;
mod record;
pub mod serdes;
mod start;
mod transactional;
mod typed;

pub use admin::Admin;
pub use config::{Config, ConsumerConfig, ProducerConfig};
pub use consumer::{
    Batch, CloseOptions, Consumed, Consumer, ConsumerHandle, ConsumerInterceptor, ConsumerRecord, ConsumerState,
    GroupMetadata, Headers, NextPartition, OffsetAndTimestamp, Offsets, OwnedRecord, PartitionBatch, PartitionState,
    PartitionStream, Partitions, Pattern, Polling, PollingPartition, Position, Receiving, RecordId, RecordIter,
    RecordStream, Records, TimestampType, TopicPartition,
};
pub use deliveries::Deliveries;
pub use delivery::{Delivery, Queued, RecordMetadata, TrySendError, TrySendReason};
pub use interceptor::{Acknowledgement, ProducerInterceptor, RecordEdit};
pub use kafka::Kafka;
pub use klamm_core::error::Phase;
pub use klamm_core::{Error, ErrorCode, ErrorKind, Timestamp};
pub use metadata::{Node, PartitionInfo};
pub use metrics::{Metric, Metrics};
pub use op::Op;
pub use partitioning::{Partitioner, Partitioning, Placement, Plugin, Scheme, TopicView};
pub use producer::{Buffered, Producer, Purge, Topic};
pub use raw::Route;
pub use receipts::{Receipt, Receipts, Room, RunMetadata, Settled};
pub use record::{Header, Record, Target};
#[cfg(feature = "async-std")]
pub use start::AsyncStd;
#[cfg(feature = "blocking")]
pub use start::Blocking;
pub use start::Runtime;
#[cfg(feature = "tokio")]
pub use start::Tokio;

#[cfg(feature = "unstable-protocol")]
pub use klamm_core::client::PreparedTxnState;
pub use serdes::{Deserializer, Serializer};
pub use transactional::{ExactlyOnce, Outcome, PollStep, Step, Transaction, TransactionalProducer};
pub use typed::{EncodeBuf, TypedTopic};

/// What a call of klamm gives.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[doc(hidden)]
pub mod internal {
    //! For klamm's own simulator and benchmarks: no part of the public interface.
    pub use crate::front::engine::{Engine, MakeEngine};
    pub use crate::front::looped::Looped;
    pub use crate::front::set_yield_hook;
}

/// The auto traits of what users hold are part of the interface: a change of them is a breaking one.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    const fn future<T: Send + Sync + Unpin + 'static>() {}
    shared::<Kafka>();
    shared::<Producer>();
    shared::<Topic>();
    shared::<ExactlyOnce>();
    shared::<Step<'static>>();
    shared::<TransactionalProducer>();
    shared::<Transaction<'static>>();
    shared::<Config>();
    shared::<Error>();
    shared::<Metrics>();
    shared::<Receipts>();
    shared::<TypedTopic<serdes::Utf8, serdes::I64>>();
    future::<Op<()>>();
    future::<Op<Kafka>>();
    future::<Delivery>();
    future::<Deliveries>();
    future::<Queued<Delivery>>();
    future::<Queued<Deliveries>>();
    shared::<Record<'static>>();
    shared::<TrySendError<'static>>();
};
