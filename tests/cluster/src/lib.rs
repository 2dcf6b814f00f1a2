//! An in-memory Kafka cluster that speaks the real protocol, for tests without a broker
