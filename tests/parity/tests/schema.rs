//! Every declared message against the schemas of the official client, field by field and version by version.

use klamm_core::wire::messages::{Visit, visit_all};
use klamm_core::wire::{ApiKey, Message};
use klamm_parity::jar::schemas;
use klamm_parity::notation::{Fact, kafka_facts, kafka_has, klamm_facts};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Debug;

struct Compare {
    schemas: BTreeMap<String, Value>,
    differences: Vec<String>,
    versions: usize,
    fields: usize,
}

impl Compare {
    fn same<T: PartialEq + Debug>(&mut self, what: &str, kafka: T, klamm: T) {
        if kafka != klamm {
            self.differences.push(format!("{what}: Kafka {kafka:?}, klamm {klamm:?}"));
        }
    }

    fn fields(&mut self, path: &str, kafka: &[Fact], klamm: &[Fact]) {
        // Tagged fields go by number, the others by their order.
        let split = |all: &[Fact]| -> (Vec<Fact>, Vec<Fact>) { all.iter().cloned().partition(|f| f.tag.is_none()) };
        let ((kafka, mut kafka_tags), (klamm, mut klamm_tags)) = (split(kafka), split(klamm));
        kafka_tags.sort_by_key(|f| f.tag);
        klamm_tags.sort_by_key(|f| f.tag);
        for (kafka, klamm) in [(kafka, klamm), (kafka_tags, klamm_tags)] {
            let names = |all: &[Fact]| all.iter().map(|f| f.name.clone()).collect::<Vec<_>>();
            self.same(path, names(&kafka), names(&klamm));
            for (a, b) in kafka.iter().zip(&klamm) {
                let path = format!("{path}.{}", a.name);
                self.fields += 1;
                self.fields(&path, &a.fields, &b.fields);
                let flat = |f: &Fact| Fact { fields: Vec::new(), ..f.clone() };
                self.same(&path, flat(a), flat(b));
            }
        }
    }
}

impl Visit for Compare {
    fn message<M: Message + Debug + Clone + PartialEq>(&mut self, key: Option<ApiKey>) {
        let name = M::NAME;
        let Some(schema) = self.schemas.get(name).cloned() else {
            self.differences.push(format!("{name}: Kafka has no such message"));
            return;
        };
        self.same(&format!("{name} key"), schema["apiKey"].as_i64(), key.map(|k| i64::from(k.0)));
        let kind = match key {
            None => "data",
            Some(_) if name.ends_with("Request") => "request",
            Some(_) => "response",
        };
        self.same(&format!("{name} type"), schema["type"].as_str(), Some(kind));
        let valid = schema["validVersions"].as_str().unwrap_or_default();
        let flexible = schema["flexibleVersions"].as_str().unwrap_or_default();
        for version in -1..40 {
            let what = format!("{name} v{version}");
            let declared = (M::MIN..=M::MAX).contains(&version);
            self.same(&format!("{what} exists"), kafka_has(valid, version), declared);
            if !declared {
                continue;
            }
            self.versions += 1;
            self.same(&format!("{what} is flexible"), kafka_has(flexible, version), M::version(version).flexible);
            self.fields(&what, &kafka_facts(&schema, version), &klamm_facts(M::FIELDS, version));
        }
    }
}

fn settle(differences: &[String]) {
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn every_declared_message_is_as_kafka_declares_it() {
    let Some(schemas) = schemas("every_declared_message_is_as_kafka_declares_it") else { return };
    let mut compare = Compare { schemas, differences: Vec::new(), versions: 0, fields: 0 };
    visit_all(&mut compare);
    println!("compared {} (message, version) pairs, {} fields", compare.versions, compare.fields);
    settle(&compare.differences);
    assert!(compare.versions > 250 && compare.fields > 2500, "the comparison compared nothing");
}

#[test]
fn the_table_of_apis_is_kafkas() {
    let Some(schemas) = schemas("the_table_of_apis_is_kafkas") else { return };
    let mut differences = Vec::new();
    let mut kafka = BTreeMap::new();
    for (name, schema) in &schemas {
        let Some(api) = name.strip_suffix("Request").filter(|_| schema["type"] == "request") else { continue };
        if schema["validVersions"] != "none" {
            let key = schema["apiKey"].as_i64().and_then(|k| i16::try_from(k).ok()).expect("a key");
            kafka.insert(key, (api.to_owned(), schema["latestVersionUnstable"] == true));
            let flexible = schema["flexibleVersions"].as_str().and_then(|v| v.strip_suffix('+')?.parse().ok());
            if ApiKey(key).flexible_from() != flexible.unwrap_or(i16::MAX) {
                differences.push(format!("{api}: flexible from {flexible:?}"));
            }
        }
    }
    for key in ApiKey::ALL {
        match (kafka.get(&key.0), key.name()) {
            (Some((name, _)), Some(ours)) if name == ours => {}
            (name, ours) => differences.push(format!("{}: Kafka {name:?}, klamm {ours:?}", key.0)),
        }
        if let (Some(declared), Some((_, unstable))) = (key.declared(), kafka.get(&key.0)) {
            let stable = declared.max - i16::from(*unstable);
            if key.client_range() != Some((declared.min, stable)) {
                differences.push(format!("{key}: klamm sends {:?}, stable up to {stable}", key.client_range()));
            }
        }
    }
    for (key, (name, _)) in kafka {
        if ApiKey(key).name().is_none() {
            differences.push(format!("{key} {name} is not in the table"));
        }
    }
    settle(&differences);
}

#[test]
fn the_request_header_is_as_it_is_written_by_hand() {
    let Some(schemas) = schemas("the_request_header_is_as_it_is_written_by_hand") else { return };
    let header = &schemas["RequestHeader"];
    assert_eq!((header["validVersions"].as_str(), header["flexibleVersions"].as_str()), (Some("1-2"), Some("2+")));
    let fields: Vec<_> = kafka_facts(header, 2).into_iter().map(|f| (f.name, f.ty, f.nullable)).collect();
    let expected = [
        ("request_api_key", "int16", false),
        ("request_api_version", "int16", false),
        ("correlation_id", "int32", false),
        ("client_id", "string", true),
    ];
    assert_eq!(fields, expected.map(|(name, ty, nullable)| (name.to_owned(), ty.to_owned(), nullable)));
    assert_eq!(header["fields"][3]["flexibleVersions"], "none", "the client id has the old form in every version");
    let answer = kafka_facts(&schemas["ResponseHeader"], 1);
    assert_eq!(answer.len(), 1);
    assert_eq!((answer[0].name.as_str(), answer[0].ty.as_str()), ("correlation_id", "int32"));
}
