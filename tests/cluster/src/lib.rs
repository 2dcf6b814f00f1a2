//! An in-memory Kafka cluster that speaks the real protocol, for tests without a broker.
//!
//! [`Cluster`] serves it on loopback TCP, so that any client can use it; [`Brokers`] is the same cluster as a pure state
//! machine, for a simulator with a network and a clock of its own.
//!
//! ```
//! use klamm_cluster::{Api, Cluster};
//!
//! let cluster = Cluster::with_brokers(3)?;
//! cluster.create_topic("orders", 2);
//! cluster.fault(Api::Produce).times(1).disconnect_after_apply();
//! println!("bootstrap.servers={}", cluster.bootstrap());
//! assert!(cluster.records("orders").is_empty());
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! It is faithful to Kafka 4.4 where it has the feature: the order of checks, which errors come before an append and which
//! after it, what a duplicate is answered, when a join is answered, how a transaction ends and what its marker changes. It
//! has no KIP-848 groups, no SASL and no TLS; what it does not serve it does not announce.

mod acls;
mod answer;
mod api;
mod brokers;
mod cluster;
mod configs;
mod fault;
mod fetch_session;
mod groups;
mod log;
mod parked;
mod serve;
mod server;
mod settings;
mod state;
mod topics;
mod txns;

pub use api::Api;
pub use brokers::{Brokers, EventError, Peer};
pub use cluster::{Builder, Cluster};
pub use fault::Fault;
pub use log::stored::StoredRecord;
pub use settings::Settings;
