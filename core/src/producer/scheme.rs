//! The partitioners of librdkafka and Sarama, so that records go where those clients put them.
//!
//! They differ in the hash, in what becomes of its sign, and in what they do without a key: each row of [`Scheme`] says so.

use super::partitioner::{Placement, murmur2};
use std::fmt;

/// A partitioner of librdkafka (`partitioner`) or Sarama (`Producer.Partitioner`).
///
/// Where librdkafka draws a partition for a record without a key, it stays with it for a while
/// (`sticky.partitioning.linger.ms`); klamm stays for a batch's worth of bytes (KIP-794).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Scheme {
    /// `random`: a draw for each record with a key, the sticky choice for one without.
    Random,
    /// `consistent`: CRC-32 of the key; no key and an empty one hash alike.
    Consistent,
    /// `consistent_random`, librdkafka's default: CRC-32 of the key; without a key, or with an empty one, the sticky choice.
    ConsistentRandom,
    /// `murmur2`: as Java for keys; no key hashes as an empty one.
    Murmur2,
    /// `murmur2_random`: as Java for keys, empty ones included; without a key the sticky choice.
    Murmur2Random,
    /// `fnv1a`: FNV-1a of the key, its sign removed; no key hashes as an empty one.
    Fnv1a,
    /// `fnv1a_random`: FNV-1a of the key, empty ones included; without a key the sticky choice.
    Fnv1aRandom,
    /// `sarama_hash` (`NewHashPartitioner`): FNV-1a, the remainder's sign removed; without a key a draw for each record.
    SaramaHash,
    /// `sarama_reference_hash` (`NewReferenceHashPartitioner`): FNV-1a without its top bit; without a key a draw for each
    /// record.
    SaramaReferenceHash,
    /// `sarama_crc` (`NewConsistentCRCHashPartitioner`): CRC-32, unsigned; without a key a draw for each record.
    SaramaCrc,
    /// `sarama_random` (`NewRandomPartitioner`): a draw for each record, keys or not.
    SaramaRandom,
    /// `manual` (`NewManualPartitioner`): every record must name its partition.
    Manual,
}

impl Scheme {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Random,
        Self::Consistent,
        Self::ConsistentRandom,
        Self::Murmur2,
        Self::Murmur2Random,
        Self::Fnv1a,
        Self::Fnv1aRandom,
        Self::SaramaHash,
        Self::SaramaReferenceHash,
        Self::SaramaCrc,
        Self::SaramaRandom,
        Self::Manual,
    ];

    /// Its name as a value of `partitioner.class`, and of `partitioner`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Consistent => "consistent",
            Self::ConsistentRandom => "consistent_random",
            Self::Murmur2 => "murmur2",
            Self::Murmur2Random => "murmur2_random",
            Self::Fnv1a => "fnv1a",
            Self::Fnv1aRandom => "fnv1a_random",
            Self::SaramaHash => "sarama_hash",
            Self::SaramaReferenceHash => "sarama_reference_hash",
            Self::SaramaCrc => "sarama_crc",
            Self::SaramaRandom => "sarama_random",
            Self::Manual => "manual",
        }
    }

    /// The scheme of this name; Sarama's constructors are names too (`NewHashPartitioner`).
    pub fn from_name(name: &str) -> Option<Self> {
        let constructor = name.strip_prefix("sarama.").unwrap_or(name);
        match constructor {
            "NewHashPartitioner" => Some(Self::SaramaHash),
            "NewReferenceHashPartitioner" => Some(Self::SaramaReferenceHash),
            "NewConsistentCRCHashPartitioner" => Some(Self::SaramaCrc),
            "NewRandomPartitioner" => Some(Self::SaramaRandom),
            "NewManualPartitioner" => Some(Self::Manual),
            _ => Self::ALL.into_iter().find(|scheme| scheme.name().eq_ignore_ascii_case(name)),
        }
    }

    /// Where a record with this key goes among `count` partitions; `None` if the record has to say so itself.
    pub fn place(self, key: Option<&[u8]>, count: u32) -> Option<Placement> {
        let bytes = key.unwrap_or_default();
        let hash = match (self, key) {
            (Self::Manual, _) => return None,
            (Self::SaramaRandom, _) | (Self::Random, Some(_)) => return Some(Placement::Random),
            (Self::SaramaHash | Self::SaramaReferenceHash | Self::SaramaCrc, None) => return Some(Placement::Random),
            (Self::ConsistentRandom, Some(&[])) => return Some(Placement::Sticky),
            (Self::Random | Self::ConsistentRandom | Self::Murmur2Random | Self::Fnv1aRandom, None) => {
                return Some(Placement::Sticky);
            }
            (Self::Consistent | Self::ConsistentRandom | Self::SaramaCrc, _) => crc32fast::hash(bytes),
            (Self::Murmur2 | Self::Murmur2Random, _) => murmur2(bytes) & 0x7fff_ffff,
            // |hash mod n| and |hash| mod n are the same where division truncates, as in C and Go.
            (Self::Fnv1a | Self::Fnv1aRandom | Self::SaramaHash, _) => (fnv1a(bytes) as i32).unsigned_abs(),
            (Self::SaramaReferenceHash, _) => fnv1a(bytes) & 0x7fff_ffff,
        };
        let at = hash.checked_rem(count).unwrap_or(0);
        Some(Placement::At(i32::try_from(at).unwrap_or(0)))
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// FNV-1a, 32 bits.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Scheme::*;

    fn at(scheme: Scheme, key: Option<&[u8]>, count: u32) -> i32 {
        match scheme.place(key, count) {
            Some(Placement::At(partition)) => partition,
            other => panic!("{scheme} {key:?}: {other:?}"),
        }
    }

    /// librdkafka, tests/0048-partitioner.c: partitions of 7 and of 17.
    const KEYS: [Option<&[u8]>; 5] = [
        None,
        Some(b""),
        Some(b"23456"),
        Some(b"this is another string with more length to it perhaps"),
        Some(b"hejsan"),
    ];

    #[test]
    fn librdkafkas_keys_land_where_its_own_test_says() {
        let table = [
            (Consistent, [(0, 0), (0, 0), (5, 7), (6, 15), (3, 14)]),
            (Murmur2, [(2, 11), (2, 11), (5, 9), (1, 11), (6, 5)]),
            (Fnv1a, [(2, 0), (2, 0), (5, 6), (6, 0), (3, 4)]),
        ];
        for (scheme, expected) in table {
            for (key, (seven, seventeen)) in KEYS.into_iter().zip(expected) {
                assert_eq!((at(scheme, key, 7), at(scheme, key, 17)), (seven, seventeen), "{scheme} {key:?}");
            }
        }
        // The `_random` variants agree with them wherever they hash at all.
        for (random, plain) in [(ConsistentRandom, Consistent), (Murmur2Random, Murmur2), (Fnv1aRandom, Fnv1a)] {
            for key in &KEYS[2..] {
                assert_eq!(random.place(*key, 17), plain.place(*key, 17), "{random} {key:?}");
            }
        }
    }

    #[test]
    fn fnv1a_agrees_with_librdkafkas_own_vectors() {
        // librdkafka, src/rdfnv1a.c: 32 bits, the sign flipped if negative.
        for (key, hash) in [
            ("kafka", 221_496_545_u32),
            ("giberish123456789", 2_007_335_573),
            ("1234", 37_477_635),
            ("234", 770_325_714),
            ("34", 1_947_183_166),
            ("4", 822_911_587),
            ("PreAmbleWillBeRemoved,ThePrePartThatIs", 1_707_857_564),
            ("reAmbleWillBeRemoved,ThePrePartThatIs", 1_850_328_986),
            ("eAmbleWillBeRemoved,ThePrePartThatIs", 1_777_259_350),
            ("AmbleWillBeRemoved,ThePrePartThatIs", 1_790_754_851),
            ("", 2_128_831_035),
        ] {
            assert_eq!((fnv1a(key.as_bytes()) as i32).unsigned_abs(), hash, "{key:?}");
        }
        // The Internet draft of FNV.
        assert_eq!(fnv1a(b"foobar"), 0xbf9c_f968);
    }

    #[test]
    fn saramas_keys_land_where_its_own_test_says() {
        // IBM/sarama, partitioner_test.go, TestConsistentCRCHashPartitioner: 100 partitions.
        for (key, partition) in [
            ("abc123def456", 57),
            ("SheetJS", 26),
            ("9e8c7f4cf45857cfff7645d6", 24),
            ("3900446192ff85a5f67da10c", 75),
            ("0f4407b7a67d6d27de372198", 50),
        ] {
            assert_eq!(at(SaramaCrc, Some(key.as_bytes()), 100), partition, "{key}");
        }
        // TestHashPartitionerWithHasherMinInt32: a hash of 2^31, the one whose sign cannot be removed. What Go's arithmetic makes
        // of it: -(-2147483648 % 50), and (hash & 0x7fffffff) % 50.
        assert_eq!(fnv1a(b"1468509572224"), 1 << 31);
        assert_eq!(at(SaramaHash, Some(b"1468509572224"), 50), 48);
        assert_eq!(at(SaramaReferenceHash, Some(b"1468509572224"), 50), 0);
        // The same hash with its top bit (0xa4bd_aa19) under both: -(-1531074023 % 10) and 616409625 % 10.
        let (hash, reference) = (at(SaramaHash, Some(b"customer"), 10), at(SaramaReferenceHash, Some(b"customer"), 10));
        assert_eq!((hash, reference), (3, 5));
    }

    #[test]
    fn a_record_without_a_key_goes_where_its_family_sends_it() {
        let sticky = Some(Placement::Sticky);
        let draw = Some(Placement::Random);
        for (scheme, none, empty) in [
            (Random, sticky, draw),
            (ConsistentRandom, sticky, sticky),
            (Murmur2Random, sticky, Some(Placement::At(2))),
            (Fnv1aRandom, sticky, Some(Placement::At(2))),
            (SaramaHash, draw, Some(Placement::At(2))),
            (SaramaReferenceHash, draw, Some(Placement::At(0))),
            (SaramaCrc, draw, Some(Placement::At(0))),
            (SaramaRandom, draw, draw),
            (Manual, None, None),
        ] {
            assert_eq!((scheme.place(None, 7), scheme.place(Some(b""), 7)), (none, empty), "{scheme}");
        }
    }

    #[test]
    fn every_scheme_is_found_by_its_name_and_divides_by_no_zero() {
        for scheme in Scheme::ALL {
            assert_eq!(Scheme::from_name(scheme.name()), Some(scheme));
            if let Some(Placement::At(partition)) = scheme.place(Some(b"key"), 0) {
                assert_eq!(partition, 0);
            }
        }
        assert_eq!(Scheme::from_name("sarama.NewHashPartitioner"), Some(SaramaHash));
        assert_eq!(Scheme::from_name("Consistent_Random"), Some(ConsistentRandom));
        assert_eq!(Scheme::from_name("murmur3"), None);
    }
}
