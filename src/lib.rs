//! klamm: an Apache Kafka client for Rust.
