//! Fetch: what is read, how much of it, when it is answered, and sessions (broker-data 6).

use super::batch::{Batch, THREE, survey};
use super::script::Script;
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use klamm_core::wire::messages::fetch::{FetchPartition, FetchTopic, ForgottenTopic};
use klamm_core::wire::messages::produce::{PartitionProduceData, TopicProduceData};
use klamm_core::wire::messages::{FetchRequest, FetchResponse, ProduceRequest};
use std::time::Instant;

const TOPIC: &str = "conformance-fetch";
/// How long a broker is let wait for records.
const WAIT: i32 = 400;

fn write(s: &mut Script, partition: i32, times: usize) -> Result<()> {
    for _ in 0..times {
        let records = Some(Batch { records: THREE, ..Batch::default() }.bytes());
        let request = ProduceRequest {
            transactional_id: None,
            acks: -1,
            timeout_ms: 5000,
            topic_data: vec![TopicProduceData {
                name: TOPIC.to_owned(),
                partition_data: vec![PartitionProduceData { index: partition, records }],
                ..Default::default()
            }],
        };
        let told = s.wire.ask(1, &request, 11)?;
        ensure!(told.responses[0].partition_responses[0].error_code.is_ok(), "{told:?}");
    }
    Ok(())
}

fn at(partition: i32, fetch_offset: i64) -> FetchPartition {
    FetchPartition { partition, fetch_offset, partition_max_bytes: 1 << 20, ..Default::default() }
}

fn of(topic: &str, partitions: Vec<FetchPartition>) -> FetchRequest {
    FetchRequest {
        max_wait_ms: 0,
        min_bytes: 1,
        max_bytes: 1 << 20,
        topics: vec![FetchTopic { topic: topic.to_owned(), partitions, ..Default::default() }],
        ..Default::default()
    }
}

/// Asks, and writes down what was answered, what lies in it, and whether the broker waited.
fn fetch(
    s: &mut Script,
    rule: (&str, &str),
    broker: i32,
    request: &FetchRequest,
    version: i16,
) -> Result<FetchResponse> {
    // A machine that has much to do makes an answer late that was not held back: it is asked for again, at last with more
    // time to wait. An answer that comes early was not held back, so one of those is enough.
    let holds = request.max_wait_ms > 0;
    let mut waits = [WAIT, WAIT, 3 * WAIT].into_iter();
    let (answer, waited) = loop {
        let max_wait_ms = waits.next().filter(|_| holds).unwrap_or(request.max_wait_ms);
        let begin = Instant::now();
        let asked = FetchRequest { max_wait_ms, ..request.clone() };
        let answer = s.wire.ask(broker, &asked, version).with_context(|| format!("{rule:?}"))?;
        let waited = holds && begin.elapsed().as_millis() as i32 >= max_wait_ms * 9 / 10;
        if !waited || max_wait_ms > WAIT {
            break (answer, waited);
        }
    };
    let mut told = answer.clone();
    told.responses.sort_by(|a, b| a.topic.cmp(&b.topic));
    for partition in told.responses.iter_mut().flat_map(|t| &mut t.partitions) {
        // "; " keeps the parts of one partition in one piece.
        partition.records = partition.records.take().map(|r| Bytes::from(survey(&r).join("; ")));
    }
    s.note(rule, &(if waited { "waited" } else { "at once" }, told));
    Ok(answer)
}

pub(super) fn play(s: &mut Script) -> Result<()> {
    s.topic(TOPIC, &[&[1, 2, 3], &[1, 2, 3], &[1, 2, 3], &[2, 3, 1]], &[])?;
    write(s, 0, 4)?;
    write(s, 1, 1)?;
    // Followers learn of the high watermark by their next fetch.
    s.until(
        |s| {
            let known = |told: FetchResponse| told.responses[0].partitions[0].high_watermark == 12;
            let both = known(s.wire.ask(2, &of(TOPIC, vec![at(0, 0)]), 11)?)
                && known(s.wire.ask(3, &of(TOPIC, vec![at(0, 0)]), 11)?);
            Ok(both.then_some(()))
        },
        "high watermark at the followers",
    )?;
    offsets(s)?;
    sizes(s)?;
    waits(s)?;
    sessions(s)
}

fn offsets(s: &mut Script) -> Result<()> {
    for version in [4, 5, 7, 11, 12] {
        fetch(s, ("D 6.13", &format!("version {version}")), 1, &of(TOPIC, vec![at(0, 0)]), version)?;
    }
    fetch(s, ("D 6.13", "within a batch"), 1, &of(TOPIC, vec![at(0, 4)]), 11)?;
    fetch(s, ("D 6.9", "at the end"), 1, &of(TOPIC, vec![at(0, 12)]), 11)?;
    fetch(s, ("D 6.8", "behind the end"), 1, &of(TOPIC, vec![at(0, 13)]), 11)?;
    fetch(s, ("D 6.8", "a negative offset"), 1, &of(TOPIC, vec![at(0, -1)]), 11)?;
    fetch(s, ("D 6.2", "unknown topic"), 1, &of("conformance-nowhere", vec![at(0, 0)]), 11)?;
    fetch(s, ("D 6.2", "unknown partition"), 1, &of(TOPIC, vec![at(9, 0)]), 11)?;
    fetch(s, ("D 6.1", "zero id"), 1, &of(TOPIC, vec![at(0, 0)]), 13)?;
    for version in [10, 11, 12] {
        fetch(s, ("D 6.6", &format!("of a follower, version {version}")), 2, &of(TOPIC, vec![at(0, 3)]), version)?;
    }
    for epoch in [0, 1, 7] {
        for broker in [1, 2] {
            let asked = FetchPartition { current_leader_epoch: epoch, ..at(0, 0) };
            let what = format!("leader epoch {epoch} of broker {broker}");
            fetch(s, ("D 6.6", &what), broker, &of(TOPIC, vec![asked]), 12)?;
        }
    }
    for (epoch, offset) in [(0, 3), (0, 12), (0, 13), (4, 3), (-1, 3)] {
        let asked = FetchPartition { last_fetched_epoch: epoch, ..at(0, offset) };
        fetch(s, ("D 6.7", &format!("last fetched epoch {epoch} at {offset}")), 1, &of(TOPIC, vec![asked]), 12)?;
    }
    let committed = FetchRequest { isolation_level: 1, ..of(TOPIC, vec![at(0, 9)]) };
    fetch(s, ("D 5.4", "committed records of no transaction"), 1, &committed, 11)?;
    Ok(())
}

fn sizes(s: &mut Script) -> Result<()> {
    for limit in [0, 1, 85, 86, 100, 200, 300] {
        let asked = FetchPartition { partition_max_bytes: limit, ..at(0, 0) };
        fetch(s, ("D 6.11", &format!("partition limit {limit}")), 1, &of(TOPIC, vec![asked]), 11)?;
        let asked = FetchRequest { max_bytes: limit, ..of(TOPIC, vec![at(0, 0), at(1, 0)]) };
        fetch(s, ("D 6.12", &format!("limit {limit} for two partitions")), 1, &asked, 11)?;
    }
    Ok(())
}

fn waits(s: &mut Script) -> Result<()> {
    let wait = |request: FetchRequest| FetchRequest { max_wait_ms: WAIT, ..request };
    fetch(s, ("D 6.15", "an idle partition"), 1, &wait(of(TOPIC, vec![at(2, 0)])), 11)?;
    fetch(s, ("D 6.15", "no partition"), 1, &wait(of(TOPIC, vec![])), 11)?;
    fetch(s, ("D 6.15", "something to read"), 1, &wait(of(TOPIC, vec![at(2, 0), at(0, 0)])), 11)?;
    let none = FetchRequest { min_bytes: 0, ..wait(of(TOPIC, vec![at(2, 0)])) };
    fetch(s, ("D 6.15", "no least number of bytes"), 1, &none, 11)?;
    let many = FetchRequest { min_bytes: 10_000, ..wait(of(TOPIC, vec![at(0, 0)])) };
    fetch(s, ("D 6.15", "fewer than the least number of bytes"), 1, &many, 11)?;
    let capped = FetchRequest { min_bytes: 10_000, max_bytes: 100, ..wait(of(TOPIC, vec![at(0, 0)])) };
    fetch(s, ("D 6.10", "the least number is bounded by the largest"), 1, &capped, 11)?;
    fetch(
        s,
        ("D 6.15", "an offset out of range beside an idle one"),
        1,
        &wait(of(TOPIC, vec![at(2, 0), at(0, 99)])),
        11,
    )?;
    let mut unknown = wait(of(TOPIC, vec![at(2, 0)]));
    unknown.topics.extend(of("conformance-nowhere", vec![at(0, 0)]).topics);
    fetch(s, ("D 6.16", "an unknown topic beside an idle one"), 1, &unknown, 11)?;
    fetch(s, ("D 6.16", "only an unknown topic"), 1, &wait(of("conformance-nowhere", vec![at(0, 0)])), 11)?;
    Ok(())
}

fn sessions(s: &mut Script) -> Result<()> {
    let session = |id: i32, epoch: i32, partitions: Vec<FetchPartition>| {
        let mut request = of(TOPIC, partitions);
        request.topics.retain(|t| !t.partitions.is_empty());
        FetchRequest { session_id: id, session_epoch: epoch, ..request }
    };
    let id = fetch(s, ("D 6.22", "a full request"), 1, &session(0, 0, vec![at(0, 9), at(1, 3)]), 11)?.session_id;
    fetch(s, ("D 6.25", "the next reads the same again"), 1, &session(id, 1, vec![]), 11)?;
    fetch(s, ("D 6.22", "the epoch before"), 1, &session(id, 1, vec![]), 11)?;
    fetch(s, ("D 6.22", "an epoch too high"), 1, &session(id, 9, vec![]), 11)?;
    fetch(s, ("D 6.22", "the right one still works"), 1, &session(id, 2, vec![at(0, 12)]), 11)?;
    fetch(s, ("D 6.24", "nothing new is not listed"), 1, &session(id, 3, vec![]), 11)?;
    fetch(s, ("D 6.24", "an error is listed"), 1, &session(id, 4, vec![at(1, 99)]), 11)?;
    fetch(s, ("D 6.24", "and listed again"), 1, &session(id, 5, vec![]), 11)?;
    fetch(s, ("D 6.24", "and once when it is mended"), 1, &session(id, 6, vec![at(1, 3)]), 11)?;
    fetch(s, ("D 6.24", "and then no more"), 1, &session(id, 7, vec![]), 11)?;
    write(s, 1, 1)?;
    fetch(s, ("D 6.24", "new records are listed"), 1, &session(id, 8, vec![]), 11)?;
    let forget = |partitions: Vec<i32>| ForgottenTopic { topic: TOPIC.to_owned(), partitions, ..Default::default() };
    let mut request = session(id, 9, vec![]);
    request.forgotten_topics_data = vec![forget(vec![1])];
    fetch(s, ("D 6.23", "one is forgotten"), 1, &request, 11)?;
    fetch(s, ("D 6.22", "another version of ids"), 1, &session(id, 10, vec![]), 13)?;
    let mut request = session(id, 10, vec![]);
    request.forgotten_topics_data = vec![forget(vec![0])];
    fetch(s, ("D 6.23", "the last is forgotten"), 1, &request, 11)?;
    fetch(s, ("D 6.22", "the session is gone"), 1, &session(id, 11, vec![]), 11)?;
    fetch(s, ("D 6.22", "an unknown session"), 1, &session(123, 1, vec![at(0, 12)]), 11)?;
    fetch(s, ("D 6.22", "without a session"), 1, &session(0, -1, vec![at(0, 12)]), 11)?;
    let id = fetch(s, ("D 6.22", "a session of no partition"), 1, &session(0, 0, vec![]), 11)?.session_id;
    fetch(s, ("D 6.23", "one is added"), 1, &session(id, 1, vec![at(0, 9)]), 11)?;
    fetch(s, ("D 6.22", "it is closed"), 1, &session(id, -1, vec![]), 11)?;
    fetch(s, ("D 6.22", "and gone"), 1, &session(id, 2, vec![]), 11)?;
    Ok(())
}
