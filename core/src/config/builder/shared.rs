//! Setters that a producer and a topic of it have in common.

use crate::config::entries::Entries;
use crate::config::{Compression, Origin, keys};

/// Writes the setters for a builder with `entries`, `partitioner` and `put`; `$of` ends their sentences.
macro_rules! shared_setters {
    ($Builder:ident, $of:literal) => {
        impl $Builder {
            #[doc = concat!("How batches", $of, " are compressed: a codec, or a codec and its level.")]
            #[must_use]
            #[doc(alias = "compression.type")]
            pub fn compression(self, compression: $crate::config::Compression) -> Self {
                Self { entries: $crate::config::builder::shared::put_compression(self.entries, compression), ..self }
            }

            #[doc = concat!("What batches", $of, " are compressed by if a broker refuses that, the best first.")]
            #[must_use]
            #[doc(alias = "compression.fallbacks")]
            pub fn compression_fallbacks(self, all: impl IntoIterator<Item = $crate::config::Compression>) -> Self {
                let all = all.into_iter().collect();
                Self { entries: $crate::config::builder::shared::put_fallbacks(self.entries, all), ..self }
            }

            #[doc = concat!("Who chooses the partition of a record", $of, " that names none.")]
            #[must_use]
            #[doc(alias = "partitioner.class")]
            pub fn partitioner(self, partitioner: impl Into<$crate::config::plugin::Partitioning>) -> Self {
                use $crate::config::plugin::Partitioning;
                match partitioner.into() {
                    Partitioning::UniformSticky => self.put("partitioner.class", "uniform_sticky"),
                    Partitioning::RoundRobin => self.put("partitioner.class", "round_robin"),
                    Partitioning::Scheme(scheme) => self.put("partitioner.class", scheme.name()),
                    Partitioning::Custom(plugin) => {
                        let mut this = self.put("partitioner.class", $crate::config::reader::FROM_CODE);
                        this.partitioner = Some(plugin);
                        this
                    }
                }
            }
        }
    };
}

/// One setter for each line: it takes the type, as the key has it.
macro_rules! plain_setters {
    ($Builder:ident { $( $(#[$meta:meta])+ $name:ident: $ty:ty = $key:literal; )+ }) => {
        impl $Builder { $(
            $(#[$meta])+
            #[must_use]
            pub fn $name(self, value: $ty) -> Self {
                self.put($key, &$crate::config::value::Value::write(&value))
            }
        )+ }
    };
}

fn put(entries: &mut Entries, name: &str, value: &str) {
    entries.put(keys::named(name), name, value, Origin::Code);
}

fn put_level(entries: &mut Entries, compression: Compression) {
    if let Some(level) = compression.level() {
        put(entries, &format!("compression.{}.level", compression.name()), &level.to_string());
    }
}

pub(super) fn put_compression(mut entries: Entries, compression: Compression) -> Entries {
    put(&mut entries, "compression.type", compression.name());
    put_level(&mut entries, compression);
    entries
}

pub(super) fn put_fallbacks(mut entries: Entries, all: Vec<Compression>) -> Entries {
    let names: Vec<_> = all.iter().map(|compression| compression.name()).collect();
    put(&mut entries, "compression.fallbacks", &names.join(","));
    all.into_iter().for_each(|compression| put_level(&mut entries, compression));
    entries
}
