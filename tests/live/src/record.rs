//! Records as the peers write them: one a line, so that what went in and what came out compare as text.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result, bail};

/// A record to produce, or one that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Its topic.
    pub topic: String,
    /// Its partition; not set: the producer chooses.
    pub partition: Option<i32>,
    /// Where it lies; set by whoever wrote or read it.
    pub offset: Option<i64>,
    /// Milliseconds since 1970; not set: now.
    pub timestamp: Option<i64>,
    /// `none`, `gzip`, `snappy`, `lz4` or `zstd`; not set in a record that was read.
    pub codec: Option<String>,
    /// Its key, or null.
    pub key: Option<Vec<u8>>,
    /// Its value, or null.
    pub value: Option<Vec<u8>>,
    /// Its headers in order, repeated names included.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Record {
    /// A record of this topic with nothing in it.
    pub fn to(topic: impl Into<String>) -> Self {
        Self { topic: topic.into(), ..Self::default() }
    }

    /// With a key.
    pub fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// With a value.
    pub fn value(mut self, value: impl Into<Vec<u8>>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// With one more header.
    pub fn header(mut self, name: impl Into<String>, value: Option<&[u8]>) -> Self {
        self.headers.push((name.into(), value.map(<[u8]>::to_vec)));
        self
    }

    /// In this partition.
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// At this time, in milliseconds since 1970.
    pub fn timestamp(mut self, milliseconds: i64) -> Self {
        self.timestamp = Some(milliseconds);
        self
    }

    /// Compressed by this codec.
    pub fn codec(mut self, name: &str) -> Self {
        self.codec = Some(name.to_owned());
        self
    }

    /// The same without what a consumer cannot see.
    pub fn as_read(mut self) -> Self {
        self.codec = None;
        self
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn or_dash(value: Option<impl ToString>) -> String {
            value.map_or_else(|| "-".to_owned(), |value| value.to_string())
        }
        let headers: Vec<String> = self
            .headers
            .iter()
            .map(|(name, value)| format!("{}={}", hex(Some(name.as_bytes())), hex(value.as_deref())))
            .collect();
        write!(f, "{}\t{}\t{}", self.topic, or_dash(self.partition), or_dash(self.offset))?;
        write!(f, "\t{}\t{}", or_dash(self.timestamp), self.codec.as_deref().unwrap_or("-"))?;
        write!(f, "\t{}\t{}\t{}", hex(self.key.as_deref()), hex(self.value.as_deref()), headers.join(","))
    }
}

impl FromStr for Record {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> Result<Self> {
        let fields: Vec<&str> = line.split('\t').collect();
        let [topic, partition, offset, timestamp, codec, key, value, headers] = fields[..] else {
            bail!("not a record: {line:?}");
        };
        let given = |text: &'static str, field: &str| -> Result<Option<i64>> {
            if field == "-" { Ok(None) } else { field.parse().map(Some).with_context(|| format!("{text}: {field:?}")) }
        };
        let header = |pair: &str| -> Result<(String, Option<Vec<u8>>)> {
            let (name, value) = pair.split_once('=').with_context(|| format!("not a header: {pair:?}"))?;
            Ok((String::from_utf8(bytes(name)?.unwrap_or_default())?, bytes(value)?))
        };
        Ok(Self {
            topic: topic.to_owned(),
            partition: given("partition", partition)?.map(i32::try_from).transpose()?,
            offset: given("offset", offset)?,
            timestamp: given("timestamp", timestamp)?,
            codec: (codec != "-").then(|| codec.to_owned()),
            key: bytes(key)?,
            value: bytes(value)?,
            headers: headers.split(',').filter(|pair| !pair.is_empty()).map(header).collect::<Result<_>>()?,
        })
    }
}

fn hex(bytes: Option<&[u8]>) -> String {
    match bytes {
        None => "-".to_owned(),
        Some(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

fn bytes(hex: &str) -> Result<Option<Vec<u8>>> {
    if hex == "-" {
        return Ok(None);
    }
    let byte = |pair: &[u8]| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?);
    hex.as_bytes().chunks(2).map(byte).collect::<Result<Vec<u8>>>().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_back_as_the_same_record() {
        let full = Record::to("t").partition(2).timestamp(17).codec("lz4").key("k\t\n").value([0, 255]);
        let full = full.header("h", Some(b"v")).header("h", None).header("", Some(b""));
        for record in [full, Record::to("empty"), Record::to("t").key("").value("")] {
            assert_eq!(record.to_string().parse::<Record>().unwrap(), record);
        }
    }

    #[test]
    fn null_and_empty_differ() {
        assert!(Record::to("t").to_string().ends_with("\t-\t-\t"));
        assert!(Record::to("t").key("").value("").to_string().ends_with("\t\t\t"));
    }
}
