//! Golden vectors, message schemas and config keys compared with Kafka

pub mod jar;
pub mod notation;
