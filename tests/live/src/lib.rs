//! Real Apache Kafka for tests: nothing to install but Java 17 and Maven.
//!
//! [`Cluster`] resolves the jars of a [`Version`] from Maven's registry into the workspace's target folder, formats and
//! starts its nodes on free ports of loopback, and stops them when it is dropped. If this process dies without dropping
//! it, a watchdog shell ends the nodes; if that dies too, the next run does, by their pid files.
//!
//! [`suite::run`] makes a named test of every [`Behaviour`] on every target and runtime. Where Java, Maven or its
//! registry is missing, such tests are skipped by name; with `CI=true` they fail instead.
//!
//! [`Java`] is the official client as a peer, [`Probe`] a raw connection that judges without any client.

pub mod bank;
pub mod chaos;
mod classes;
pub mod cluster;
pub mod cutter;
mod folders;
mod jars;
pub mod need;
pub mod peers;
mod ports;
pub mod probe;
mod process;
pub mod proxy;
pub mod record;
mod settings;
pub mod suite;
pub mod target;
mod version;

pub use cluster::Cluster;
pub use cutter::Cutter;
pub use jars::of as jars_of;
pub use peers::{Java, Kcat};
pub use probe::Probe;
pub use process::process_time;
pub use proxy::Proxy;
pub use record::Record;
pub use suite::{Behaviour, Runtime};
pub use target::{Kind, Target};
pub use version::{Mode, Version};
