//! One cell of the table: what is done, by whom, how.

use std::fmt;

/// Partitions unless a cell says otherwise.
const PARTITIONS: i32 = 4;

/// What one client process does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// `produce`, `consume`, or `latency` of produced records at a fixed rate.
    pub what: String,
    /// Bytes of a value.
    pub size: usize,
    /// `librdkafka`, `krafka`, `floor`, or how klamm is used.
    pub who: String,
    /// Settings at their best, or as they come.
    pub tuned: bool,
    /// `linger.ms` of a latency cell.
    pub linger: u64,
    /// Keys of 8 bytes, each another.
    pub keys: bool,
    /// `none`, `lz4` or `zstd`.
    pub codec: String,
    /// Partitions of the topic.
    pub partitions: i32,
    /// Threads or tasks that send.
    pub threads: u64,
}

impl Cell {
    /// `produce/100/librdkafka/tuned`, and behind that any of `keys`, `lz4`, `zstd`, `p12` (partitions), `t4` (threads).
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let what = parts.next().filter(|what| ["produce", "consume", "latency"].contains(what))?.to_owned();
        let size = parts.next()?.parse().ok()?;
        let who = parts.next()?.to_owned();
        let (tuned, linger) = match (what.as_str(), parts.next()?) {
            ("latency", settings) => (true, settings.strip_prefix("linger")?.parse().ok()?),
            (_, "tuned") => (true, 0),
            (_, "defaults") => (false, 0),
            _ => return None,
        };
        let (mut keys, mut codec, mut partitions, mut threads) = (false, "none".to_owned(), PARTITIONS, 1);
        for part in parts {
            match part {
                "keys" => keys = true,
                "lz4" | "zstd" => codec = part.to_owned(),
                _ if part.starts_with('p') => partitions = part[1..].parse().ok()?,
                _ if part.starts_with('t') => threads = part[1..].parse().ok()?,
                _ => return None,
            }
        }
        Some(Self { what, size, who, tuned, linger, keys, codec, partitions, threads })
    }

    /// What it may be compared with: the same work, by whomever.
    pub fn work(&self) -> String {
        let Self { what, size, codec, keys, partitions, threads, linger, .. } = self;
        let mut work = format!("{what}/{size}");
        if what == "latency" {
            work += &format!("/linger{linger}");
        }
        for (differs, part) in [
            (*keys, "keys".to_owned()),
            (codec != "none", codec.clone()),
            (*partitions != PARTITIONS, format!("p{partitions}")),
            (*threads != 1, format!("t{threads}")),
        ] {
            if differs {
                work += &format!("/{part}");
            }
        }
        work
    }

    /// The topic that it needs.
    pub fn topic(&self) -> String {
        format!("bench-{}-{}-{}", self.size, self.codec, self.partitions)
    }

    /// Who does it, with which settings.
    pub fn by(&self) -> String {
        let settings = if self.what == "latency" || self.who == "floor" {
            ""
        } else if self.tuned {
            " tuned"
        } else {
            " defaults"
        };
        format!("{}{settings}", self.who)
    }

    /// Whether the others' figures are set in relation to it.
    pub fn is_measure(&self) -> bool {
        self.who == "librdkafka" && self.tuned
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let work = self.work();
        let mut parts = work.split('/');
        let settings = match self.what.as_str() {
            "latency" => format!("linger{}", self.linger),
            _ if self.tuned => "tuned".to_owned(),
            _ => "defaults".to_owned(),
        };
        write!(f, "{}/{}/{}/{settings}", parts.next().unwrap_or(""), parts.next().unwrap_or(""), self.who)?;
        parts.filter(|part| !part.starts_with("linger")).try_for_each(|part| write!(f, "/{part}"))
    }
}

/// What is sent, or was.
pub struct Load {
    values: Vec<Vec<u8>>,
    keys: bool,
}

impl Load {
    /// The records of a cell: few different ones that stay in cache, or with a codec a megabyte of JSON, since the ratio counts.
    pub fn new(cell: &Cell) -> Self {
        let size = cell.size;
        let bytes = |n: u8| (0..size).map(|at| n.wrapping_mul(31).wrapping_add(at as u8)).collect();
        let values = match cell.codec.as_str() {
            "none" => (0..64).map(bytes).collect(),
            _ => (0..(1u64 << 20) / size as u64).map(|n| json(n, size)).collect(),
        };
        Self { values, keys: cell.keys }
    }

    /// How many different values there are.
    #[cfg(feature = "krafka")]
    pub fn len(&self) -> u64 {
        self.values.len() as u64
    }

    /// The value of the `n`-th record.
    #[inline]
    pub fn value(&self, n: u64) -> &[u8] {
        &self.values[n as usize % self.values.len()]
    }

    /// The key of the `n`-th record.
    #[inline]
    pub fn key(&self, n: u64) -> Option<[u8; 8]> {
        self.keys.then(|| mix(n).to_le_bytes())
    }
}

fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) ^ (n >> 31)
}

/// A document of exactly `size` bytes, as services write them.
fn json(n: u64, size: usize) -> Vec<u8> {
    const WORDS: [&str; 8] =
        ["created", "shipped", "paid", "returned", "in-transit", "cancelled", "on-hold", "delivered"];
    let mut text = String::from("{");
    let mut field = 0u64;
    while text.len() < size {
        let random = mix(n * 1_000 + field);
        let word = WORDS[(random % 8) as usize];
        text += &format!(
            "\"id{field}\":{},\"status\":\"{word}\",\"amount\":{}.{:02},",
            random >> 34,
            random % 9_973,
            random % 100
        );
        field += 1;
    }
    let mut bytes = text.into_bytes();
    bytes.truncate(size.max(1));
    if let Some(last) = bytes.last_mut() {
        *last = b'}';
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_what_it_is_called() {
        for name in [
            "produce/100/blocking-send/tuned",
            "consume/1024/tokio-poll/defaults/lz4",
            "produce/100/librdkafka/tuned/keys/zstd/p100/t4",
            "latency/100/tokio-send/linger5",
        ] {
            assert_eq!(Cell::parse(name).map(|cell| cell.to_string()).as_deref(), Some(name));
        }
        assert_eq!(Cell::parse("produce/100/x/best"), None);
    }

    #[test]
    fn values_have_the_size_that_was_asked_for() {
        let cell = Cell::parse("produce/100/x/tuned/lz4").unwrap();
        let load = Load::new(&cell);
        assert!((0..20_000).all(|n| load.value(n).len() == 100));
        assert_ne!(load.value(1), load.value(2));
    }
}
