//! Which codec a topic's batches are compressed by, and which come after it if a broker refuses that one.

use super::{Codec, Compression};

/// Codecs in the order of preference, each once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preference {
    all: [Compression; Codec::ALL.len()],
    len: usize,
}

impl Preference {
    /// The first choice and what comes after it. A codec that comes again counts where it came first.
    pub fn new(first: Compression, then: &[Compression]) -> Self {
        let mut this = Self { all: [first; Codec::ALL.len()], len: 1 };
        for next in then {
            if this.of(next.codec()).is_none() {
                this.all[this.len] = *next;
                this.len += 1;
            }
        }
        this
    }

    /// The first choice.
    pub const fn first(&self) -> Compression {
        self.all[0]
    }

    /// How a codec of the list is used.
    pub fn of(&self, codec: Codec) -> Option<Compression> {
        self.all[..self.len].iter().copied().find(|compression| compression.codec() == codec)
    }

    /// The first whose codec is none of these.
    pub fn but(&self, refused: Refused) -> Option<Compression> {
        self.all[..self.len].iter().copied().find(|compression| !refused.has(compression.codec()))
    }
}

impl From<Compression> for Preference {
    /// Without a second choice.
    fn from(only: Compression) -> Self {
        Self::new(only, &[])
    }
}

/// A set of codecs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused(u8);

impl Refused {
    /// One more; whether it is new.
    pub fn add(&mut self, codec: Codec) -> bool {
        let before = *self;
        self.0 |= 1 << codec.id();
        *self != before
    }

    /// As a number that fits an atomic.
    pub const fn to_bits(self) -> u8 {
        self.0
    }

    /// The set with these bits.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// Whether it is among them.
    pub const fn has(self, codec: Codec) -> bool {
        self.0 & 1 << codec.id() != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_nobody_refused_is_next() {
        let gzip = Compression { codec: Codec::Gzip, level: Some(9) };
        let zstd = Compression { codec: Codec::Zstd, level: None };
        let again = Compression { codec: Codec::Gzip, level: None };
        let preference = Preference::new(zstd, &[gzip, again, Compression::NONE]);
        let mut refused = Refused::default();
        assert_eq!(preference.but(refused), Some(zstd));
        assert!(refused.add(Codec::Zstd) && !refused.add(Codec::Zstd));
        assert_eq!(preference.but(refused), Some(gzip));
        assert_eq!(preference.of(Codec::Gzip), Some(gzip));
        refused.add(Codec::Gzip);
        assert_eq!(preference.but(refused), Some(Compression::NONE));
        refused.add(Codec::None);
        assert_eq!(preference.but(refused), None);
        assert_eq!(preference.of(Codec::Snappy), None);
    }
}
