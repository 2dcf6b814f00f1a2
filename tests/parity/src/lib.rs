//! Golden vectors, message schemas and config keys compared with Kafka
