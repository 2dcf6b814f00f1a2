//! Names of Java classes as values, and what klamm has in their place.

use super::Assignor;
use crate::producer::Scheme;
use std::fmt;

/// A serializer or deserializer that the configuration names. klamm sends and hands out bytes; a typed topic whose
/// types are of another class fails, so that a copied file cannot lie.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Serde {
    /// Bytes as they are (`ByteArray`, `ByteBuffer`, `Bytes`).
    Raw,
    /// UTF-8.
    String,
    /// Two bytes, big-endian.
    Short,
    /// Four bytes, big-endian.
    Integer,
    /// Eight bytes, big-endian.
    Long,
    /// Four bytes, IEEE 754.
    Float,
    /// Eight bytes, IEEE 754.
    Double,
    /// One byte, 0 or 1.
    Boolean,
    /// Text of 36 letters.
    Uuid,
    /// Always null.
    Void,
    /// Another class, for which `Config::class` gave a Rust value.
    Registered(String),
}

impl fmt::Display for Serde {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registered(name) => f.write_str(name),
            known => write!(f, "{known:?}"),
        }
    }
}

/// The class behind a Java name: the package and `class ` (as Java prints it) do not count for Kafka's own.
fn own_class(name: &str, package: &str) -> Option<String> {
    let name = name.strip_prefix("class ").unwrap_or(name);
    match name.strip_prefix(package) {
        Some(class) => Some(class.into()),
        None if !name.contains('.') => Some(name.into()),
        None => None,
    }
}

/// klamm's counterpart of one of Kafka's serializers or deserializers.
pub(super) fn serde(name: &str) -> Option<Serde> {
    let class = own_class(name, "org.apache.kafka.common.serialization.")?;
    let what = class.strip_suffix("Serializer").or_else(|| class.strip_suffix("Deserializer"))?;
    Some(match what {
        "ByteArray" | "ByteBuffer" | "Bytes" => Serde::Raw,
        "String" => Serde::String,
        "Short" => Serde::Short,
        "Integer" => Serde::Integer,
        "Long" => Serde::Long,
        "Float" => Serde::Float,
        "Double" => Serde::Double,
        "Boolean" => Serde::Boolean,
        "UUID" => Serde::Uuid,
        "Void" => Serde::Void,
        _ => return None,
    })
}

/// An assignor by Java's class or by the name that goes over the wire.
pub(super) fn assignor(name: &str) -> Assignor {
    let class = own_class(name, "org.apache.kafka.clients.consumer.").unwrap_or_default();
    match class.as_str() {
        "RangeAssignor" | "range" => Assignor::Range,
        "RoundRobinAssignor" | "roundrobin" => Assignor::RoundRobin,
        "StickyAssignor" | "sticky" => Assignor::Sticky,
        "CooperativeStickyAssignor" | "cooperative-sticky" => Assignor::CooperativeSticky,
        _ => Assignor::Custom(name.into()),
    }
}

/// What klamm has for the name of a partitioner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KnownPartitioner {
    UniformSticky,
    RoundRobin,
    /// Of another client.
    Scheme(Scheme),
    /// Removed in Kafka 4.0; what replaced it is klamm's default.
    Removed,
}

/// klamm's counterpart of a partitioner of Kafka's, librdkafka's or Sarama's.
pub(super) fn partitioner(name: &str) -> Option<KnownPartitioner> {
    match name {
        "uniform_sticky" => return Some(KnownPartitioner::UniformSticky),
        "round_robin" | "sarama_round_robin" | "NewRoundRobinPartitioner" | "sarama.NewRoundRobinPartitioner" => {
            return Some(KnownPartitioner::RoundRobin);
        }
        _ => {}
    }
    if let Some(scheme) = Scheme::from_name(name) {
        return Some(KnownPartitioner::Scheme(scheme));
    }
    let name = name.replace(".internals.", ".");
    match own_class(&name, "org.apache.kafka.clients.producer.")?.as_str() {
        "RoundRobinPartitioner" => Some(KnownPartitioner::RoundRobin),
        "DefaultPartitioner" | "UniformStickyPartitioner" => Some(KnownPartitioner::Removed),
        _ => None,
    }
}

/// The last part of a class's name.
pub(super) fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Why a class cannot be had, and what to do.
pub(super) fn unknown(name: &str, key: &str) -> String {
    format!("klamm cannot load Java class {name} ({key}): give a Rust value with Config::class, or remove the line")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_own_classes_have_a_counterpart_under_their_full_and_short_names() {
        assert_eq!(serde("org.apache.kafka.common.serialization.StringSerializer"), Some(Serde::String));
        assert_eq!(serde("class org.apache.kafka.common.serialization.LongDeserializer"), Some(Serde::Long));
        assert_eq!(serde("ByteArraySerializer"), Some(Serde::Raw));
        assert_eq!(serde("com.acme.StringSerializer"), None);
        assert_eq!(serde("io.confluent.kafka.serializers.KafkaAvroSerializer"), None);
        assert_eq!(
            assignor("org.apache.kafka.clients.consumer.CooperativeStickyAssignor"),
            Assignor::CooperativeSticky
        );
        assert_eq!(assignor("roundrobin"), Assignor::RoundRobin);
        assert_eq!(assignor("com.acme.RangeAssignor"), Assignor::Custom("com.acme.RangeAssignor".into()));
        assert_eq!(
            partitioner("org.apache.kafka.clients.producer.RoundRobinPartitioner"),
            Some(KnownPartitioner::RoundRobin)
        );
        assert_eq!(
            partitioner("org.apache.kafka.clients.producer.internals.DefaultPartitioner"),
            Some(KnownPartitioner::Removed)
        );
        assert_eq!(partitioner("fnv1a_random"), Some(KnownPartitioner::Scheme(Scheme::Fnv1aRandom)));
        assert_eq!(partitioner("sarama.NewRoundRobinPartitioner"), Some(KnownPartitioner::RoundRobin));
        assert_eq!(partitioner("com.acme.MyPartitioner"), None);
    }
}
