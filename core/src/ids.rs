//! The names by which core and driver speak of things.

use std::fmt;

macro_rules! ids {
    ($( $(#[$m:meta])* $name:ident($t:ty); )*) => { $(
        $(#[$m])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $t);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(&self.0, f) }
        }
    )* };
}

ids! {
    /// A name look-up that the core asked for.
    LookupId(u64);
    /// A piece of CPU work that the core asked for.
    WorkId(u64);
    /// An operation of the application, named by the front.
    OpId(u64);
    /// One request of the core for batches of the front.
    CollectId(u64);
    /// A broker's `node.id`.
    BrokerId(i32);
    /// A topic known to this client: minted by the core, never reused.
    TopicIx(u32);
    /// A partition known to this client: minted by the core from topic and number, never reused.
    PartitionIx(u32);
    /// A producer of this client, named by the front.
    ProducerIx(u32);
    /// A consumer of this client, named by the front.
    ConsumerIx(u32);
    /// A fetch response whose bytes the front holds.
    FrameIx(u32);
    /// A batch of one producer's partition, counted from 0 as the front seals them.
    BatchNo(u64);
}

/// A connection. The generation makes answers for a dropped connection recognisable; an id is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId {
    /// Place in the table of connections.
    pub index: u32,
    /// How often that place was used before.
    pub generation: u32,
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}
