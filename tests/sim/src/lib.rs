//! The whole client over a virtual network and clock, from one seed.
//!
//! Facade, front, driver and core run as they do in production; only the sockets, the clock and the executor are the
//! simulator's, and the brokers are [`klamm_cluster`]'s. Everything random is drawn from one seed: the same seed gives the
//! same run, byte for byte, and [`check`] makes sure of it by running each seed twice.
//!
//! ```
//! use klamm::{Kafka, Record};
//! use klamm_sim::{Faults, check};
//!
//! check(0..3, |sim| async move {
//!     sim.faults(Faults::all());
//!     let kafka = Kafka::connect(&sim, sim.cluster().bootstrap()).await.unwrap();
//!     kafka.producer().unwrap().send(Record::to("orders").value("hello")).await.unwrap();
//!     assert_eq!(sim.cluster().records("orders").len(), 1);
//! });
//! ```

pub mod bank;
pub mod clerks;
mod executor;
mod faults;
mod flight;
mod history;
mod machine;
mod monitor;
mod net;
mod plan;
pub mod random;
mod shrink;
mod sim;
mod strike;
mod wire;
pub mod workload;
mod world;

pub use faults::Faults;
pub use machine::Machine;
pub use shrink::{quietly, shrinking};
pub use sim::{Sim, check, run_seed};
