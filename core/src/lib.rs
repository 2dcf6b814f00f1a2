//! klamm's protocol core: a Kafka client as a state machine without I/O.

pub mod codec;
pub mod config;
pub mod driver;
pub mod error;
pub mod ids;
pub mod producer;
pub mod record;
pub mod rng;
pub mod time;
pub mod wire;

pub use error::{Error, ErrorCode, ErrorKind};
pub use ids::*;
pub use time::{Now, Time, Timers, Timestamp, Wake, Why};
pub use wire::{ApiKey, Uuid};
