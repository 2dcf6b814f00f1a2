//! `-J`: one JSON object per record, with kcat's keys.

use klamm::{ConsumerRecord, TimestampType};
use serde_json::to_writer;
use std::io::{self, Write};

/// Prints a record as a line of JSON. Keys and values that are not UTF-8 have replacement characters there, and beside
/// them their bytes in hexadecimal, as `key_hex` and `payload_hex`.
pub(super) fn print(record: &ConsumerRecord<'_>, out: &mut impl Write) -> io::Result<()> {
    let kind = match record.timestamp_type() {
        TimestampType::LogAppend => "logappend",
        _ => "create",
    };
    out.write_all(b"{\"topic\":")?;
    to_writer(&mut *out, record.topic())?;
    let (partition, offset, at) = (record.partition(), record.offset(), record.timestamp());
    write!(out, r#","partition":{partition},"offset":{offset},"tstype":"{kind}","ts":{at}"#)?;
    let headers = record.headers();
    if !headers.is_empty() {
        out.write_all(b",\"headers\":[")?;
        let mut between: &[u8] = b"";
        for header in headers {
            out.write_all(between)?;
            string(Some(header.key), out)?;
            out.write_all(b",")?;
            string(header.value, out)?;
            between = b",";
        }
        out.write_all(b"]")?;
    }
    member("key", record.key(), out)?;
    member("payload", record.value(), out)?;
    out.write_all(b"}\n")
}

fn member(name: &str, bytes: Option<&[u8]>, out: &mut impl Write) -> io::Result<()> {
    write!(out, ",\"{name}\":")?;
    string(bytes, out)?;
    if let Some(bytes) = bytes.filter(|bytes| std::str::from_utf8(bytes).is_err()) {
        write!(out, ",\"{name}_hex\":\"")?;
        bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))?;
        out.write_all(b"\"")?;
    }
    Ok(())
}

fn string(bytes: Option<&[u8]>, out: &mut impl Write) -> io::Result<()> {
    match bytes {
        None => out.write_all(b"null"),
        Some(bytes) => Ok(to_writer(out, &*String::from_utf8_lossy(bytes))?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_text_are_told_twice() {
        let mut out = Vec::new();
        member("key", Some(b"a\"b"), &mut out).unwrap();
        member("payload", Some(b"\xff\x00"), &mut out).unwrap();
        member("none", None, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let whole: serde_json::Value = serde_json::from_str(&format!("{{{}}}", &text[1..])).unwrap();
        assert_eq!(whole["key"], "a\"b");
        assert_eq!(whole["payload_hex"], "ff00");
        assert!(whole["none"].is_null() && whole.get("key_hex").is_none());
    }
}
