//! The two notations of a message, Kafka's JSON and klamm's `messages!`, brought into one form.

use klamm_core::wire::Field;
use serde_json::Value;
use std::collections::BTreeMap;

/// A field in one version of its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Its name in snake case.
    pub name: String,
    /// Kafka's type, structures without their name.
    pub ty: String,
    /// Whether it may be null in this version.
    pub nullable: bool,
    /// Its default; empty for zero, false, nothing and null.
    pub default: String,
    /// Its tag, if it is a tagged field.
    pub tag: Option<u64>,
    /// Whether it may be left out in versions that do not have it.
    pub ignorable: bool,
    /// What it consists of.
    pub fields: Vec<Fact>,
}

/// `SomeKafkaName` as `some_kafka_name`.
pub fn snake(name: &str) -> String {
    let mut out = String::new();
    let mut after_small = false;
    for c in name.chars() {
        if c.is_ascii_uppercase() && after_small {
            out.push('_');
        }
        after_small = !c.is_ascii_uppercase();
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// Whether Kafka's version pattern (`3`, `2-7`, `4+`, `none`) has that version.
///
/// # Panics
/// If it is no such pattern.
pub fn kafka_has(pattern: &str, version: i16) -> bool {
    let number = |s: &str| s.parse::<i16>().unwrap_or_else(|_| panic!("version pattern {pattern}"));
    match (pattern, pattern.split_once('-')) {
        ("none", _) => false,
        (_, Some((low, high))) => (number(low)..=number(high)).contains(&version),
        _ => match pattern.strip_suffix('+') {
            Some(low) => number(low) <= version,
            None => number(pattern) == version,
        },
    }
}

/// Whether a Rust pattern of versions (`3`, `2..=7`, `4..`) has that version.
///
/// # Panics
/// If it is no such pattern.
pub fn rust_has(pattern: &str, version: i16) -> bool {
    let number = |s: &str| s.trim().parse::<i16>().unwrap_or_else(|_| panic!("version pattern {pattern}"));
    match (pattern.split_once("..="), pattern.split_once("..")) {
        (Some((low, high)), _) => (number(low)..=number(high)).contains(&version),
        (None, Some((low, rest))) => rest.trim().is_empty() && number(low) <= version,
        (None, None) => number(pattern) == version,
    }
}

/// The fields of a schema of Kafka's in one version, in their order.
///
/// # Panics
/// If it is no schema.
pub fn kafka_facts(schema: &Value, version: i16) -> Vec<Fact> {
    let mut structs = BTreeMap::new();
    for common in schema["commonStructs"].as_array().into_iter().flatten() {
        structs.insert(text(common, "name"), &common["fields"]);
    }
    kafka_fields(&schema["fields"], &structs, version)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn kafka_fields(fields: &Value, structs: &BTreeMap<&str, &Value>, version: i16) -> Vec<Fact> {
    let all = fields.as_array().expect("an array of fields");
    let here = all.iter().filter(|f| kafka_has(text(f, "versions"), version));
    here.map(|f| {
        let full = text(f, "type");
        let element = full.trim_start_matches("[]");
        let array = &full[..full.len() - element.len()];
        let inner = if f["fields"].is_array() { Some(&f["fields"]) } else { structs.get(element).copied() };
        let tagged = f["taggedVersions"].as_str().is_some_and(|p| kafka_has(p, version));
        Fact {
            name: snake(text(f, "name")),
            ty: match (inner, element) {
                (Some(_), _) => format!("{array}struct"),
                // The same bytes; klamm calls both bytes.
                (None, "records") => format!("{array}bytes"),
                (None, other) => format!("{array}{other}"),
            },
            nullable: f["nullableVersions"].as_str().is_some_and(|p| kafka_has(p, version)),
            default: kafka_default(&f["default"]),
            tag: tagged.then(|| f["tag"].as_u64().expect("a tag")),
            ignorable: f["ignorable"].as_bool().unwrap_or(text(f, "ignorable") == "true"),
            fields: inner.map(|i| kafka_fields(i, structs, version)).unwrap_or_default(),
        }
    })
    .collect()
}

fn kafka_default(default: &Value) -> String {
    let text = match default {
        Value::Null => String::new(),
        Value::String(s) => s.clone(),
        other => other.to_string(),
    };
    match text.as_str() {
        "null" | "false" | "0" => String::new(),
        hex if hex.starts_with("0x") => {
            i64::from_str_radix(&hex[2..], 16).unwrap_or_else(|e| panic!("{hex}: {e}")).to_string()
        }
        _ => text,
    }
}

/// The fields of a declared message in one version, in their order.
///
/// # Panics
/// If a field has a type or default that this test does not know.
pub fn klamm_facts(fields: &[Field], version: i16) -> Vec<Fact> {
    let here = fields.iter().filter(|f| rust_has(f.versions, version));
    here.map(|f| {
        let ty: String = f.ty.split_whitespace().collect();
        let inner = ty.strip_prefix("Option<").and_then(|t| t.strip_suffix('>'));
        let optional = inner.is_some();
        let ty = inner.unwrap_or(&ty);
        let element = ty.strip_prefix("Vec<").and_then(|t| t.strip_suffix('>'));
        let array = if element.is_some() { "[]" } else { "" };
        let element = match element.unwrap_or(ty) {
            "String" => "string",
            "Bytes" => "bytes",
            "bool" => "bool",
            "i8" => "int8",
            "i16" | "ErrorCode" | "ApiKey" => "int16",
            "i32" | "BrokerId" => "int32",
            "i64" => "int64",
            "Uuid" => "uuid",
            other => {
                assert!(!f.fields.is_empty(), "{}: what is {other} to Kafka?", f.name);
                "struct"
            }
        };
        Fact {
            name: f.name.trim_start_matches("r#").to_owned(),
            ty: format!("{array}{element}"),
            nullable: optional && f.nullable.is_none_or(|p| rust_has(p, version)),
            default: klamm_default(f.default),
            tag: f.tag.map(u64::from),
            ignorable: f.ignorable,
            fields: klamm_facts(f.fields, version),
        }
    })
    .collect()
}

fn klamm_default(default: &str) -> String {
    let text: String = default.split_whitespace().collect();
    let inner = text.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(&text);
    match inner {
        "i32::MIN" => i32::MIN.to_string(),
        "i32::MAX" => i32::MAX.to_string(),
        "i64::MAX" => i64::MAX.to_string(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_snakes() {
        assert_eq!(snake("ThrottleTimeMs"), "throttle_time_ms");
        assert_eq!(snake("Enable2Pc"), "enable2_pc");
        assert_eq!(snake("timeoutMs"), "timeout_ms");
    }

    #[test]
    fn version_patterns_are_understood() {
        let kafka = |p: &str| (0..10).filter(|&v| kafka_has(p, v)).collect::<Vec<_>>();
        let rust = |p: &str| (0..10).filter(|&v| rust_has(p, v)).collect::<Vec<_>>();
        for (k, r) in [("7+", "7 .."), ("7+", "7.."), ("2-4", "2..=4"), ("2-4", "2 ..= 4"), ("3", "3")] {
            assert_eq!(kafka(k), rust(r), "{k}");
        }
        assert!(kafka("none").is_empty());
    }
}
