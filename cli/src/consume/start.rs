//! `-o`: where to begin, and where to end.

use klamm::Timestamp;
use std::str::FromStr;

/// Where to begin in each partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Start {
    /// At the first record.
    #[default]
    Beginning,
    /// Behind the last one.
    End,
    /// Where the group committed.
    Stored,
    /// At this offset.
    At(i64),
    /// So many records before the end.
    BeforeEnd(i64),
    /// At the first record that is not older.
    Since(Timestamp),
}

/// One `-o`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// Where to begin.
    From(Start),
    /// `e@`: before the first record that is not older.
    Until(Timestamp),
}

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse::<i64>().map_err(|_| format!("{text:?} is no number"));
        if let Some(ms) = text.strip_prefix("s@") {
            return Ok(Self::From(Start::Since(Timestamp::from_millis(number(ms)?))));
        }
        if let Some(ms) = text.strip_prefix("e@") {
            return Ok(Self::Until(Timestamp::from_millis(number(ms)?)));
        }
        Ok(Self::From(match text {
            "beginning" | "earliest" | "smallest" => Start::Beginning,
            "end" | "latest" | "largest" => Start::End,
            "stored" => Start::Stored,
            _ => match text.strip_prefix('-') {
                Some(before) if before.starts_with('-') => return Err(format!("{text:?} is no number")),
                Some(before) => Start::BeforeEnd(number(before)?),
                None => Start::At(number(text).map_err(|_| {
                    format!("{text:?}: beginning, end, stored, N, -N, s@MILLISECONDS or e@MILLISECONDS is wanted")
                })?),
            },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_kcat_is_understood() {
        for (text, bound) in [
            ("beginning", Bound::From(Start::Beginning)),
            ("end", Bound::From(Start::End)),
            ("stored", Bound::From(Start::Stored)),
            ("17", Bound::From(Start::At(17))),
            ("-5", Bound::From(Start::BeforeEnd(5))),
            ("s@1700000000000", Bound::From(Start::Since(Timestamp::from_millis(1_700_000_000_000)))),
            ("e@5", Bound::Until(Timestamp::from_millis(5))),
        ] {
            assert_eq!(text.parse(), Ok(bound), "{text}");
        }
        for wrong in ["", "x", "--1", "s@", "s@noon"] {
            assert!(wrong.parse::<Bound>().is_err(), "{wrong}");
        }
    }
}
