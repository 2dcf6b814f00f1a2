//! Topic and directory ids.

use std::fmt;

/// 128 bits that name a topic, a log directory or a cluster member. It prints as Kafka's tools print it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Uuid {
    /// The id that stands for "none".
    pub const ZERO: Self = Self([0; 16]);

    /// Whether it stands for "none".
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// Reads the 22 characters (URL-safe base64 without padding) that Kafka's tools print.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 22 {
            return None;
        }
        let mut bits: u128 = 0;
        for (i, c) in text.bytes().enumerate() {
            let six = u8::try_from(ALPHABET.iter().position(|&a| a == c)?).ok()?;
            // 22 characters carry 132 bits: the last four have to be zero.
            if i == 21 {
                if six & 0xf != 0 {
                    return None;
                }
                bits = (bits << 2) | u128::from(six >> 4);
            } else {
                bits = (bits << 6) | u128::from(six);
            }
        }
        Some(Self(bits.to_be_bytes()))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        let mut text = [0; 22];
        for (i, c) in text.iter_mut().enumerate() {
            let six = if i == 21 { (bits << 4) & 0x3f } else { (bits >> (122 - 6 * i)) & 0x3f };
            *c = ALPHABET[six as usize];
        }
        f.pad(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_prints_as_kafka_does() {
        assert_eq!(Uuid::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(Uuid(1u128.to_be_bytes()).to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(Uuid([0xff; 16]).to_string(), "_____________________w");
    }

    #[test]
    fn what_it_prints_it_reads() {
        let id = Uuid(*b"\x00\x10\x83\x10\x51\x87\x20\x92\x8b\x30\xd3\x8f\x41\x14\x93\xff");
        assert_eq!(Uuid::parse(&id.to_string()), Some(id));
        assert_eq!(Uuid::parse("AAAAAAAAAAAAAAAAAAAAAB"), None, "bits behind the 128th");
        assert_eq!(Uuid::parse("AAAA"), None);
        assert_eq!(Uuid::parse("AAAAAAAAAAAAAAAAAAAAA="), None);
    }
}
