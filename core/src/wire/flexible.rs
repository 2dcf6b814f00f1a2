//! From which version on an API's requests and answers are flexible (KIP-482): of APIs that this crate does not declare too,
//! for the form of the header in front of a raw request depends on it.

use super::ApiKey;

impl ApiKey {
    /// The first version whose headers end in tagged fields; `i16::MAX` if there is none. Whatever Kafka adds is flexible from
    /// the beginning.
    pub const fn flexible_from(self) -> i16 {
        match self.0 {
            // SaslHandshake comes before anything is known of the other side; OffsetDelete was never raised.
            17 | 47 => i16::MAX,
            0 | 3 => 9,
            1 => 12,
            2 | 9 | 11 => 6,
            8 => 8,
            10 | 16 | 18 | 24 | 25 | 26 | 28 => 3,
            12 | 13 | 14 | 20 | 23 | 32 => 4,
            15 | 19 => 5,
            21 | 22 | 29 | 30 | 31 | 33..=43 => 2,
            27 | 44 | 48 | 49 | 53 | 54 => 1,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_agrees_with_every_declared_message() {
        for key in ApiKey::ALL {
            if let Some(declared) = key.declared() {
                // A message that is declared up to a version below its first flexible one knows of none.
                let known = key.flexible_from() <= declared.max;
                let ours = if known { key.flexible_from() } else { i16::MAX };
                assert_eq!(declared.flexible, ours, "{key}");
            }
        }
    }
}
