//! One behaviour suite on the in-memory cluster and on real Apache Kafka, for every runtime
