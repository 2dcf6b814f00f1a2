//! One cell of the table: what is done, by whom, how.

use std::fmt;

/// What one client process does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// `produce` or `consume`.
    pub what: String,
    /// Bytes of a value.
    pub size: usize,
    /// `librdkafka`, or how klamm is used.
    pub who: String,
    /// Settings at their best, or as they come.
    pub tuned: bool,
}

impl Cell {
    /// `produce/100/librdkafka/tuned`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let what = parts.next().filter(|what| ["produce", "consume"].contains(what))?.to_owned();
        let size = parts.next()?.parse().ok()?;
        let who = parts.next()?.to_owned();
        let tuned = match parts.next()? {
            "tuned" => true,
            "defaults" => false,
            _ => return None,
        };
        Some(Self { what, size, who, tuned })
    }

    /// Whether it is the peer's.
    pub fn is_peer(&self) -> bool {
        self.who.starts_with("librdkafka")
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = if self.tuned { "tuned" } else { "defaults" };
        write!(f, "{}/{}/{}/{settings}", self.what, self.size, self.who)
    }
}

/// Values of `size` bytes, different ones, few enough to stay in cache.
pub fn values(size: usize) -> Vec<Vec<u8>> {
    (0..64u8).map(|n| (0..size).map(|at| n.wrapping_mul(31).wrapping_add(at as u8)).collect()).collect()
}
