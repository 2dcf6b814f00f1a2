//! The protocol's enumerations: numbers on the wire, words for people.

use std::fmt;

/// Declares an enumeration of the protocol: each variant with its number; numbers that are not known are kept.
macro_rules! numbered {
    ($( $(#[$m:meta])* $name:ident { $( $(#[$vm:meta])* $variant:ident = $number:literal $text:literal, )* } )*) => { $(
        $(#[$m])*
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $( $(#[$vm])* $variant, )*
            /// One that this version of klamm has no name for.
            Other(i8),
        }

        impl $name {
            /// Its number on the wire.
            pub fn wire(self) -> i8 {
                match self { $( Self::$variant => $number, )* Self::Other(number) => number }
            }

            /// The variant of a number on the wire.
            pub fn from_wire(number: i8) -> Self {
                match number { $( $number => Self::$variant, )* other => Self::Other(other) }
            }

            /// Reads it as Kafka's tools write it, in any case, with or without `-` and `_`.
            pub fn parse(text: &str) -> Option<Self> {
                let plain = |s: &str| s.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
                let text = plain(text);
                $( if plain($text) == text { return Some(Self::$variant); } )*
                None
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $( Self::$variant => f.pad($text), )* Self::Other(number) => write!(f, "{number}") }
            }
        }
    )* };
}

numbered! {
    /// What an ACL is about.
    ResourceType {
        /// In a filter: any.
        Any = 1 "any",
        /// A topic.
        Topic = 2 "topic",
        /// A group.
        Group = 3 "group",
        /// The cluster as a whole.
        Cluster = 4 "cluster",
        /// A transactional id.
        TransactionalId = 5 "transactional-id",
        /// A delegation token.
        DelegationToken = 6 "delegation-token",
        /// A user.
        User = 7 "user",
    }
    /// How an ACL's resource name is meant.
    PatternType {
        /// In a filter: any.
        Any = 1 "any",
        /// In a filter: every pattern that covers the name.
        Match = 2 "match",
        /// The name itself, or `*` for all.
        Literal = 3 "literal",
        /// All names that begin with it (KIP-290).
        Prefixed = 4 "prefixed",
    }
    /// What may be done.
    AclOperation {
        /// In a filter: any.
        Any = 1 "any",
        /// Everything.
        All = 2 "all",
        /// Read.
        Read = 3 "read",
        /// Write.
        Write = 4 "write",
        /// Create.
        Create = 5 "create",
        /// Delete.
        Delete = 6 "delete",
        /// Alter.
        Alter = 7 "alter",
        /// Describe.
        Describe = 8 "describe",
        /// What brokers do.
        ClusterAction = 9 "cluster-action",
        /// Read configurations.
        DescribeConfigs = 10 "describe-configs",
        /// Change configurations.
        AlterConfigs = 11 "alter-configs",
        /// Produce idempotently (Kafka before 2.8).
        IdempotentWrite = 12 "idempotent-write",
        /// Create delegation tokens.
        CreateTokens = 13 "create-tokens",
        /// Describe delegation tokens.
        DescribeTokens = 14 "describe-tokens",
        /// Two-phase commit (KIP-939).
        TwoPhaseCommit = 15 "two-phase-commit",
    }
    /// Whether an ACL allows or forbids.
    AclPermission {
        /// In a filter: any.
        Any = 1 "any",
        /// It is forbidden.
        Deny = 2 "deny",
        /// It is allowed.
        Allow = 3 "allow",
    }
    /// Whose configuration.
    ConfigResourceType {
        /// A topic's.
        Topic = 2 "topic",
        /// A broker's; an empty name stands for the default of all.
        Broker = 4 "broker",
        /// A broker's log levels.
        BrokerLogger = 8 "broker-logger",
        /// A metrics subscription's (KIP-714).
        ClientMetrics = 16 "client-metrics",
        /// A group's (KIP-848).
        Group = 32 "group",
    }
    /// Where a configuration value comes from.
    ConfigSource {
        /// Set for the topic.
        Topic = 1 "topic",
        /// Set for this broker while it runs.
        DynamicBroker = 2 "dynamic-broker",
        /// Set for all brokers while they run.
        DynamicDefaultBroker = 3 "dynamic-default-broker",
        /// From the broker's file.
        StaticBroker = 4 "static-broker",
        /// Kafka's default.
        Default = 5 "default",
        /// Set for the broker's logger.
        DynamicBrokerLogger = 6 "dynamic-broker-logger",
        /// Set for the metrics subscription.
        ClientMetrics = 7 "client-metrics",
        /// Set for the group.
        Group = 8 "group",
    }
    /// How a configuration is to change (KIP-339).
    ConfigOperation {
        /// Takes this value.
        Set = 0 "set",
        /// Goes back to its default.
        Delete = 1 "delete",
        /// A list gets this too.
        Append = 2 "append",
        /// A list loses this.
        Subtract = 3 "subtract",
    }
}
