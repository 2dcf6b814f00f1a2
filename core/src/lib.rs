//! klamm's protocol core: a Kafka client as a state machine without I/O.

pub mod admin;
pub mod client;
mod cluster;
pub mod codec;
pub mod config;
pub mod consumer;
pub mod driver;
pub mod error;
pub mod ids;
mod link;
pub mod metadata;
pub mod producer;
pub mod record;
pub mod rng;
mod similar;
pub mod stats;
pub mod time;
pub mod wire;

pub use client::Client;
pub use error::{Error, ErrorCode, ErrorKind};
pub use ids::*;
pub use time::{Now, Time, Timers, Timestamp, Wake, Why};
pub use wire::{ApiKey, Uuid};
