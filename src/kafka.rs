//! One cluster.

use crate::admin::Admin;
use crate::config::Config;
use crate::consumer::Consumer;
use crate::front::Front;
use crate::front::engine::MakeEngine;
use crate::front::inbox::Input;
use crate::front::op::{OpSlot, op_slot};
use crate::front::producer::{ProducerFront, Settings};
use crate::front::shelf::Shelf;
use crate::interceptor::Interceptors;
use crate::metrics::Metrics;
use crate::op::{Op, Work, ask};
use crate::partitioning::Choice;
use crate::producer::{Producer, unexpected};
use crate::start::Runtime;
use crate::{Error, ErrorKind, Result};
use klamm_core::client::{Command, Reply};
use klamm_core::config::ClientConfig;
use klamm_core::config::builder::{ConsumerConfig, ProducerConfig};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

/// How long [`Kafka::close`] takes at most, unless [`Op::within`] says otherwise.
const CLOSE: Duration = Duration::from_secs(30);

/// One cluster: its connections, its metadata, and the driver that runs them. Producers, consumers and the
/// administration come from it and share it; a clone is the same one, a second `connect` is a second driver.
///
/// ```no_run
/// # #[cfg(feature = "tokio")]
/// # async fn doc() -> klamm::Result<()> {
/// use klamm::{Kafka, Record, Tokio};
/// let kafka = Kafka::connect(Tokio, "localhost:9092").await?;
/// kafka.producer()?.send(Record::to("orders").key("o-1").value("hello")).await?;
/// kafka.close().await
/// # }
/// ```
#[derive(Clone)]
pub struct Kafka {
    handle: Arc<Handle>,
}

/// Lives as long as any handle of the client.
pub(crate) struct Handle {
    pub(crate) front: Arc<Front>,
    pub(crate) config: Arc<ClientConfig>,
    given: Config,
}

impl Handle {
    pub(crate) fn new(front: Arc<Front>, config: Arc<ClientConfig>, given: Config) -> Self {
        Self { front, config, given }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.front.close_gates();
        // A refusal means that the driver is gone already.
        let _ = self.front.push(Input::Close(None, None));
    }
}

impl Kafka {
    /// Connects: done when a broker answered and accepted the login. The runtime is a value: `Tokio`, `AsyncStd`,
    /// `Blocking`.
    ///
    /// # Errors
    /// `Config` with all problems of the configuration; `Misuse` without a runtime to run on; else why no broker could be
    /// reached within `default.api.timeout.ms`.
    ///
    /// # Cancel safety
    /// Dropped before it is done, the client ends.
    #[must_use = "await it, or `.wait()`"]
    pub fn connect(runtime: impl Runtime, config: impl Into<Config>) -> Op<Self> {
        match Self::connect_lazy(runtime, config) {
            Ok(kafka) => {
                let front = kafka.handle.front.clone();
                let limit = kafka.handle.config.default_api_timeout;
                ask(&front, Some(limit), Command::Connect, move |_| Ok(kafka.clone()))
            }
            Err(error) => Op::ready(Err(error)),
        }
    }

    /// A client that dials when it is used first: for services that start before Kafka.
    ///
    /// # Errors
    /// `Config` with all problems of the configuration; `Misuse` without a runtime to run on.
    pub fn connect_lazy(runtime: impl Runtime, config: impl Into<Config>) -> Result<Self> {
        let given = config.into();
        let config = Arc::new(given.builder().resolve()?);
        let made = Arc::new(OnceLock::new());
        let (real, seed) = (runtime.is_real(), runtime.seed());
        runtime.start(MakeEngine { config: config.clone(), seed, real, made: made.clone() })?;
        let Some(front) = made.get().cloned() else {
            return Err(Error::new(ErrorKind::Misuse, "the runtime did not start the client's driver"));
        };
        Ok(Self { handle: Arc::new(Handle::new(front, config, given)) })
    }

    /// A producer with the producer section given at `connect`, else with defaults. No I/O.
    ///
    /// Each call makes a new one, with its own `buffer.memory`, producer id and connections: keep it, and clone it to share it.
    ///
    /// # Errors
    /// `Config` if the section contradicts itself, `Unsupported` if it asks for what this build has not.
    #[doc(alias = "KafkaProducer")]
    pub fn producer(&self) -> Result<Producer> {
        self.producer_with(ProducerConfig::new())
    }

    /// A producer that differs, on this client's connections: what `config` sets counts, the rest is as the producer section
    /// given at `connect` has it.
    ///
    /// # Errors
    /// As [`producer`](Self::producer).
    pub fn producer_with(&self, config: ProducerConfig) -> Result<Producer> {
        let producer = self.any_producer_with(config)?;
        if producer.inner().config.transactional_id.is_some() {
            return Err(Error::new(ErrorKind::Config, "a producer with a transactional.id sends in transactions only")
                .with_hint("use transactional_producer, or remove transactional.id"));
        }
        Ok(producer)
    }

    pub(crate) fn any_producer_with(&self, config: ProducerConfig) -> Result<Producer> {
        let config = self.handle.given.builder().resolve_producer(&config)?;
        let interceptors = Interceptors::new(&config.interceptors)?;
        let choice = Choice::new(&config.partitioning, config.partitioner_ignore_keys)?;
        let settings = Settings::new(&config, choice).with_choices(&config)?;
        let front = Arc::new(ProducerFront::new(self.handle.front.clone(), Arc::new(config), settings, interceptors));
        self.handle.front.add_producer(&front.shared);
        self.handle.front.push(Input::OpenProducer(front.clone()))?;
        Ok(Producer::new(front, self.handle.clone()))
    }

    /// A member of a group, with the consumer section given at `connect`, else with defaults. It joins at its first poll.
    /// No I/O.
    ///
    /// # Errors
    /// `Config` if the section contradicts itself.
    #[doc(alias = "KafkaConsumer")]
    pub fn consumer(&self, group: &str) -> Result<Consumer> {
        self.consumer_with(ConsumerConfig::group(group))
    }

    /// A consumer without a group: assign partitions to it, or subscribe it to all partitions of topics. No I/O.
    ///
    /// # Errors
    /// As [`consumer`](Self::consumer).
    pub fn standalone_consumer(&self) -> Result<Consumer> {
        self.consumer_with(ConsumerConfig::standalone())
    }

    /// A consumer that differs, on this client's connections: what `config` sets counts, the rest is as the consumer section
    /// given at `connect` has it. [`ConsumerConfig::standalone`] means no group, whatever that section says.
    ///
    /// # Errors
    /// As [`consumer`](Self::consumer).
    pub fn consumer_with(&self, config: ConsumerConfig) -> Result<Consumer> {
        let config = self.handle.given.builder().resolve_consumer(&config)?;
        let front = &self.handle.front;
        let shelf = Shelf::new(front.consumer_ix(), Arc::new(config), front.clone())?;
        front.push(Input::OpenConsumer(shelf.clone()))?;
        Ok(Consumer::new(shelf, self.handle.clone()))
    }

    /// The administration, on this client's connections and with their keys (`default.api.timeout.ms` and the like); each
    /// operation takes its options itself. No I/O.
    #[doc(alias = "Admin.create")]
    pub fn admin(&self) -> Admin {
        Admin::new(self.handle.clone())
    }

    /// Asks a broker for an answer: for readiness probes.
    #[must_use = "await it, or `.wait()`"]
    pub fn ping(&self) -> Op<()> {
        ask(&self.handle.front, Some(self.handle.config.default_api_timeout), Command::Connect, |reply| match reply {
            Reply::Unit => Ok(()),
            other => Err(unexpected(&other)),
        })
    }

    /// The configuration as it was given; [`Config::settings`] tells how it took effect.
    pub fn config(&self) -> &Config {
        &self.handle.given
    }

    /// What was counted so far, over all producers and consumers of this client.
    pub fn metrics(&self) -> Metrics {
        Metrics::of_client(&self.handle.front)
    }

    pub(crate) fn front(&self) -> &Arc<Front> {
        &self.handle.front
    }

    pub(crate) fn default_api_timeout(&self) -> Duration {
        self.handle.config.default_api_timeout
    }

    /// Ends everything in order: producers flush, consumers commit and leave, connections close. Takes 30 s at most,
    /// unless [`within`](Op::within) says otherwise; what is not acknowledged by then fails with `Closed`.
    ///
    /// # Errors
    /// `Undelivered` if records failed whose `Delivery` nobody looked at.
    ///
    /// # Cancel safety
    /// Dropping it ends the waiting; the client closes all the same.
    #[must_use = "await it, or `.wait()`"]
    pub fn close(&self) -> Op<()> {
        let front = &self.handle.front;
        front.close_gates();
        let (setter, slot) = op_slot();
        let deadline = front.clock.now().mono + CLOSE;
        // A refusal answers the slot.
        let _ = front.push(Input::Close(Some(setter), Some(deadline)));
        Op::new(front.clone(), Closing { slot, front: front.clone() })
    }

    #[doc(hidden)]
    pub fn is_driver_gone(&self) -> bool {
        self.handle.front.inbox.dead().is_some()
    }
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka").field("config", &self.handle.given).finish_non_exhaustive()
    }
}

struct Closing {
    slot: Arc<OpSlot>,
    front: Arc<Front>,
}

impl Work<()> for Closing {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.slot.poll(cx).map(|reply| match reply {
            Ok(_) => Ok(()),
            // It is closed: that was the wish.
            Err(error) if error.kind() == ErrorKind::Closed => Ok(()),
            Err(error) => Err(error),
        })
    }
    fn is_ready(&self) -> bool {
        self.slot.is_ready()
    }
    fn limit(&mut self, limit: Duration) {
        let at = self.front.clock.now().mono + limit;
        let _ = self.front.push(Input::Close(None, Some(at)));
    }
}
