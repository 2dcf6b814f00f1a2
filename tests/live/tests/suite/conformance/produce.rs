//! Produce: what is refused, in which order, and what an answer holds (broker-data 3 and 4).

use super::batch::{Batch, THREE, TIME};
use super::script::Script;
use anyhow::Result;
use bytes::Bytes;
use klamm_core::wire::Uuid;
use klamm_core::wire::messages::ProduceRequest;
use klamm_core::wire::messages::produce::{PartitionProduceData, TopicProduceData};

const TOPIC: &str = "conformance-produce";
const STAMPED: &str = "conformance-append-time";
const COMPACTED: &str = "conformance-compacted";
const STRICT: &str = "conformance-strict";
const SEQUENCES: &str = "conformance-sequences";

fn produce(topic: &str, partitions: &[(i32, Bytes)], acks: i16) -> ProduceRequest {
    let data = |(index, records): &(i32, Bytes)| PartitionProduceData { index: *index, records: Some(records.clone()) };
    let partition_data = partitions.iter().map(data).collect();
    ProduceRequest {
        transactional_id: None,
        acks,
        timeout_ms: 5000,
        topic_data: vec![TopicProduceData { name: topic.to_owned(), partition_data, ..Default::default() }],
    }
}

fn sound() -> Bytes {
    Batch::default().bytes()
}

pub(super) fn play(s: &mut Script) -> Result<()> {
    s.topic(TOPIC, &[&[1, 2, 3], &[2, 3, 1], &[3, 1, 2], &[1, 2, 3]], &[("max.message.bytes", "2000")])?;
    s.topic(STAMPED, &[&[1, 2, 3]], &[("message.timestamp.type", "LogAppendTime")])?;
    s.topic(COMPACTED, &[&[1, 2, 3]], &[("cleanup.policy", "compact")])?;
    s.topic(STRICT, &[&[1, 2, 3]], &[("message.timestamp.before.max.ms", "3600000")])?;
    s.topic(SEQUENCES, &[&[1, 2, 3], &[1, 2, 3]], &[])?;
    answers(s)?;
    requests(s)?;
    batches(s)?;
    records(s)?;
    sequences(s)
}

/// What a success holds in each version.
fn answers(s: &mut Script) -> Result<()> {
    for version in [3, 5, 8, 10, 12] {
        s.ask(("D 3.26", &format!("version {version}")), 1, &produce(TOPIC, &[(0, sound())], -1), version)?;
    }
    s.ask(("D 3.26", "acks of one"), 1, &produce(TOPIC, &[(0, sound())], 1), 11)?;
    s.ask(("D 3.6n", "append time is told"), 1, &produce(STAMPED, &[(0, sound())], -1), 11)?;
    let mut twice = produce(TOPIC, &[(0, sound())], -1);
    twice.topic_data.push(TopicProduceData {
        name: STRICT.to_owned(),
        partition_data: vec![PartitionProduceData { index: 7, records: Some(sound()) }],
        ..Default::default()
    });
    let mut told = s.wire.ask(1, &twice, 11)?;
    told.responses.sort_by(|a, b| a.name.cmp(&b.name));
    s.note(("D 3.4", "one good partition, one unknown"), &told);
    Ok(())
}

/// What is wrong with the request.
fn requests(s: &mut Script) -> Result<()> {
    for acks in [2, -2] {
        s.ask(("D 3.9", &format!("acks of {acks}")), 1, &produce(TOPIC, &[(0, sound())], acks), 11)?;
    }
    s.ask(("D 3.9", "acks of 2 and an unknown partition"), 1, &produce(TOPIC, &[(9, sound())], 2), 11)?;
    s.ask(("D 3.4", "unknown topic"), 1, &produce("conformance-nowhere", &[(0, sound())], -1), 11)?;
    s.ask(("D 3.4", "unknown partition"), 1, &produce(TOPIC, &[(9, sound())], -1), 11)?;
    s.ask(("D 3.4", "negative partition"), 1, &produce(TOPIC, &[(-1, sound())], -1), 11)?;
    for (what, id) in [("unknown id", Uuid([7; 16])), ("zero id", Uuid([0; 16]))] {
        let mut request = produce(TOPIC, &[(0, sound())], -1);
        request.topic_data[0].topic_id = id;
        s.ask(("D 3.3", what), 1, &request, 13)?;
    }
    for version in [9, 10, 11] {
        let what = format!("not the leader, version {version}");
        s.ask(("D 3.13", &what), 2, &produce(TOPIC, &[(0, sound())], -1), version)?;
    }
    s.ask(("D 3.10", "internal topic"), 1, &produce("__consumer_offsets", &[(0, sound())], -1), 11)?;
    s.closes(("D 1.14", "acks of none and an unknown partition"), 1, &produce(TOPIC, &[(9, sound())], 0), 11)
}

/// What is wrong with a batch.
fn batches(s: &mut Script) -> Result<()> {
    let d = Batch::default;
    let two = [sound(), sound()].concat();
    let long = "x".repeat(2000);
    let records = [(None, Some(long.as_str()))];
    let cases: Vec<(&str, &str, Bytes)> = vec![
        ("D 3.5", "no batch", Bytes::new()),
        ("D 3.5", "half a batch", sound().slice(..40)),
        ("D 3.5", "two batches", two.into()),
        ("D 3.5", "magic 1", Batch { magic: 1, ..d() }.bytes()),
        ("D 3.5", "magic 0", Batch { magic: 0, ..d() }.bytes()),
        ("D 3.1", "magic 3", Batch { magic: 3, ..d() }.bytes()),
        ("D 3.15", "a base offset", Batch { base_offset: 5, ..d() }.bytes()),
        ("D 3.16", "too large", Batch { records: &records, ..d() }.bytes()),
        ("D 3.17", "a wrong checksum", Batch { crc_off_by: 1, ..d() }.bytes()),
        ("D 3.18", "count too large", Batch { count: Some(2), ..d() }.bytes()),
        ("D 3.18", "count of none", Batch { count: Some(0), last_offset_delta: Some(-1), ..d() }.bytes()),
        ("D 3.18", "last offset too large", Batch { last_offset_delta: Some(3), ..d() }.bytes()),
        ("D 3.18", "a control batch", Batch { attributes: 32, ..d() }.bytes()),
        ("D 3.18", "an id without a sequence", Batch { producer: (7, 0, -1), ..d() }.bytes()),
        ("D 3.19", "an unknown codec", Batch { attributes: 5, ..d() }.bytes()),
        ("D 3.19", "gzip that is none", Batch { attributes: 1, payload: Some(b"not gzip"), ..d() }.bytes()),
        ("D 3.20", "fewer records than counted", Batch { count: Some(2), last_offset_delta: Some(1), ..d() }.bytes()),
        ("D 3.9n", "bytes behind the batch", [&sound()[..], &[1, 2, 3]].concat().into()),
        ("D 3.9n", "the bit of append time", Batch { attributes: 8, ..d() }.bytes()),
        ("D 3.9n", "high bits of the attributes", Batch { attributes: 0x4000, ..d() }.bytes()),
    ];
    for (rule, what, bytes) in cases {
        s.ask((rule, what), 2, &produce(TOPIC, &[(1, bytes)], -1), 11)?;
    }
    let zstd = Batch { attributes: 4, ..d() }.bytes();
    s.ask(("D 3.6", "zstd by version 6"), 2, &produce(TOPIC, &[(1, zstd)], -1), 6)?;
    let transactional = Batch { attributes: 16, producer: (7, 0, 0), ..d() }.bytes();
    s.ask(("D 3.2", "a transaction without an id"), 2, &produce(TOPIC, &[(1, transactional.clone())], -1), 11)?;
    let other = Batch { attributes: 16, producer: (8, 0, 0), ..d() }.bytes();
    let mut request = produce(TOPIC, &[(0, transactional), (3, other)], -1);
    request.transactional_id = Some("conformance".to_owned());
    let mut told = s.wire.ask(1, &request, 11)?;
    told.responses.iter_mut().for_each(|t| t.partition_responses.sort_by_key(|p| p.index));
    s.note(("D 3.7", "two producers in one request"), &told);
    Ok(())
}

/// What is wrong with single records.
fn records(s: &mut Script) -> Result<()> {
    let d = Batch::default;
    let keys = [(Some("k"), Some("v")), (None, Some("v")), (None, None)];
    s.ask(
        ("D 3.21", "no keys where it is compacted"),
        1,
        &produce(COMPACTED, &[(0, Batch { records: &keys, ..d() }.bytes())], -1),
        11,
    )?;
    let bytes = Batch { records: THREE, ..d() }.bytes();
    s.ask(("D 3.21", "too old"), 1, &produce(STRICT, &[(0, bytes.clone())], -1), 11)?;
    s.ask(("D 3.21", "too old, version 7"), 1, &produce(STRICT, &[(0, bytes)], -1), 7)?;
    let times = [TIME, 9_000_000_000_000, TIME];
    let bytes = Batch { records: THREE, timestamps: Some(&times), ..d() }.bytes();
    s.ask(("D 3.21", "too far in the future"), 2, &produce(TOPIC, &[(1, bytes)], -1), 11)?;
    let bytes = Batch { attributes: 8, ..d() }.bytes();
    s.ask(("D 3.21", "marked with an append time where it has one"), 1, &produce(STAMPED, &[(0, bytes)], -1), 11)?;
    let mut far = 9_000_000_000_000;
    let times: Vec<i64> = std::iter::from_fn(|| {
        far += 1;
        Some(far)
    })
    .take(3)
    .collect();
    let bytes = Batch { records: &keys, timestamps: Some(&times), ..d() }.bytes();
    s.ask(("D 3.21", "no keys and too far in the future"), 1, &produce(COMPACTED, &[(0, bytes)], -1), 11)?;
    Ok(())
}

/// Sequences of an idempotent producer.
fn sequences(s: &mut Script) -> Result<()> {
    let of = |epoch, sequence| Batch { records: THREE, ..Batch::of(9_100_000_000, epoch, sequence) };
    let cases: Vec<(&str, &str, Batch<'_>)> = vec![
        ("D 4.6", "an unknown producer begins anywhere", of(3, 30)),
        ("D 4.5", "the next", of(3, 33)),
        ("D 4.1", "the same again", of(3, 33)),
        ("D 4.1", "the one before again", of(3, 30)),
        ("D 4.5", "a gap", of(3, 40)),
        ("D 4.5", "a part of one", Batch { records: super::batch::ONE, ..of(3, 33) }),
        ("D 4.5", "older than all", of(3, 27)),
        ("D 4.3", "an older epoch", of(2, 36)),
        ("D 4.3", "an older epoch, the same again", of(2, 33)),
        ("D 4.4", "a newer epoch not from zero", of(5, 36)),
        ("D 4.4", "a newer epoch from zero", of(5, 0)),
        ("D 4.3", "the epoch before, the same again", of(3, 33)),
        ("D 4.4", "the newer epoch goes on", of(5, 3)),
    ];
    for (rule, what, batch) in cases {
        s.ask((rule, what), 1, &produce(SEQUENCES, &[(0, batch.bytes())], -1), 11)?;
    }
    for n in 0..6 {
        let batch = Batch::of(9_200_000_000, 0, n);
        s.ask(("D 4.5", &format!("one after the other, {n}")), 1, &produce(SEQUENCES, &[(1, batch.bytes())], -1), 11)?;
    }
    for (what, n) in [("the sixth last again", 0), ("the fifth last again", 1), ("the last again", 5)] {
        let batch = Batch::of(9_200_000_000, 0, n);
        s.ask(("D 4.1", what), 1, &produce(SEQUENCES, &[(1, batch.bytes())], -1), 11)?;
    }
    for (what, first) in [("up to the last number", i32::MAX - 1), ("wraps inside", 1), ("and goes on", 4)] {
        let first = if what == "wraps inside" { i32::MAX - 1 } else { first };
        let batch = Batch { records: THREE, ..Batch::of(9_300_000_000, 0, first) };
        let batch = if what == "and goes on" { Batch { producer: (9_300_000_000, 0, 1), ..batch } } else { batch };
        s.ask(("D 4.5w", what), 1, &produce(SEQUENCES, &[(1, batch.bytes())], -1), 11)?;
    }
    Ok(())
}
