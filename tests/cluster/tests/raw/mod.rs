//! Raw requests to the pure brokers, in virtual time.
#![expect(dead_code, reason = "each test file takes what it needs")]

pub(crate) mod transact;

use bytes::Bytes;
use klamm_cluster::{Brokers, Peer, Settings};
use klamm_core::wire::frame::{decode_correlation, decode_response_tags, encode_request};
use klamm_core::wire::messages::*;
use klamm_core::wire::{Reader, Request, Wire, Writer};
use klamm_core::{ErrorCode, Now, Time, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;

/// The wall clock at the start, in ms.
pub(crate) const START: i64 = 1_700_000_000_000;

/// Brokers, a clock, and what each connection has received.
pub(crate) struct Lab {
    pub(crate) brokers: Brokers,
    pub(crate) now: Now,
    received: BTreeMap<Peer, Vec<u8>>,
    closed: Vec<Peer>,
    correlation: i32,
    pub(crate) client_id: String,
}

impl Lab {
    pub(crate) fn new(brokers: i32) -> Self {
        Self::with(|s| s.brokers = brokers)
    }

    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::default();
        change(&mut settings);
        Self {
            brokers: Brokers::new(settings),
            now: Now { mono: Time(1_000_000_000), wall: Timestamp(START) },
            received: BTreeMap::new(),
            closed: Vec::new(),
            correlation: 0,
            client_id: "raw".to_owned(),
        }
    }

    pub(crate) fn connect(&mut self, broker: i32) -> Peer {
        self.brokers.accept(self.now, broker).expect("the broker is up")
    }

    /// Time passes, with every timeout on the way.
    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.now.mono + Duration::from_millis(ms);
        while let Some(at) = self.brokers.poll_timeout().filter(|at| *at <= end) {
            self.jump(at.max(self.now.mono));
            self.brokers.handle_timeout(self.now);
            self.collect();
        }
        self.jump(end);
    }

    fn jump(&mut self, to: Time) {
        let passed = to.since(self.now.mono);
        let wall = self.now.wall.as_millis() + passed.as_millis() as i64;
        self.now = Now { mono: to, wall: Timestamp(wall) };
    }

    fn collect(&mut self) {
        while let Some(peer) = self.brokers.poll_transmit() {
            loop {
                let bytes = self.brokers.transmit(peer).to_vec();
                if bytes.is_empty() {
                    break;
                }
                self.brokers.sent(self.now, peer, bytes.len());
                self.received.entry(peer).or_default().extend(bytes);
            }
        }
        while let Some(peer) = self.brokers.poll_closed() {
            self.closed.push(peer);
        }
    }

    pub(crate) fn bytes(&mut self, peer: Peer, bytes: &[u8]) {
        self.brokers.receive(self.now, peer, bytes);
        self.collect();
    }

    /// Sends a request; its answer is taken by [`answer`](Self::answer).
    pub(crate) fn send<R: Request>(&mut self, peer: Peer, request: &R, version: i16) {
        self.correlation += 1;
        let mut w = Writer::new();
        encode_request(&mut w, request, version, self.correlation, Some(&self.client_id)).expect("encodes");
        self.bytes(peer, w.as_slice());
    }

    /// The next answer on a connection, if it is there.
    pub(crate) fn answer<R: Request>(&mut self, peer: Peer, version: i16) -> Option<R::Response> {
        self.collect();
        let frame = self.frame(peer)?;
        let bytes = Bytes::from(frame);
        let mut r = Reader::shared(&bytes);
        decode_correlation(&mut r).expect("correlation");
        decode_response_tags(&mut r, R::KEY, version).expect("tags");
        let response = <R::Response as Wire>::get(&mut r, version_of::<R>(version)).expect("the answer decodes");
        assert!(r.is_empty(), "bytes behind the answer");
        Some(response)
    }

    /// The next frame on a connection without its length.
    pub(crate) fn frame(&mut self, peer: Peer) -> Option<Vec<u8>> {
        let bytes = self.received.get_mut(&peer)?;
        let length = i32::from_be_bytes(*bytes.first_chunk()?) as usize;
        assert!(bytes.len() >= 4 + length, "a frame in pieces");
        let rest = bytes.split_off(4 + length);
        let frame = std::mem::replace(bytes, rest);
        Some(frame[4..].to_vec())
    }

    /// Sends and expects an answer at once.
    pub(crate) fn ask<R: Request>(&mut self, peer: Peer, request: &R, version: i16) -> R::Response {
        self.send(peer, request, version);
        self.answer::<R>(peer, version).expect("an answer at once")
    }

    /// Whether the broker closed a connection.
    pub(crate) fn is_closed(&mut self, peer: Peer) -> bool {
        self.collect();
        self.closed.contains(&peer)
    }
}

fn version_of<R: Request>(version: i16) -> klamm_core::wire::Version {
    <R::Response as klamm_core::wire::Message>::version(version)
}

type Field = Option<Vec<u8>>;

/// A batch that is easily spoiled.
#[derive(Clone)]
pub(crate) struct Batch {
    pub(crate) producer: (i64, i16, i32),
    pub(crate) attributes: i16,
    pub(crate) timestamp: i64,
    pub(crate) records: Vec<(Field, Field)>,
    pub(crate) count: Option<i32>,
    pub(crate) last_delta: Option<i32>,
}

impl Batch {
    pub(crate) fn of(values: &[&str]) -> Self {
        Self {
            producer: (-1, -1, -1),
            attributes: 0,
            timestamp: START,
            records: values.iter().map(|v| (None, Some(v.as_bytes().to_vec()))).collect(),
            count: None,
            last_delta: None,
        }
    }

    pub(crate) fn by(mut self, id: i64, epoch: i16, sequence: i32) -> Self {
        self.producer = (id, epoch, sequence);
        self
    }

    pub(crate) fn bytes(&self) -> Bytes {
        let mut body = Writer::new();
        for (i, (key, value)) in self.records.iter().enumerate() {
            let mut record = Writer::new();
            record.u8(0);
            record.varlong(0);
            record.varint(i as i32);
            for field in [key, value] {
                record.varint(field.as_ref().map_or(-1, |f| f.len() as i32));
                record.raw(field.as_deref().unwrap_or_default());
            }
            record.varint(0);
            body.varint(record.len() as i32);
            body.raw(record.as_slice());
        }
        self.around(body.as_slice())
    }

    /// The header in front of these bytes.
    pub(crate) fn around(&self, body: &[u8]) -> Bytes {
        let n = self.records.len() as i32;
        let mut w = Writer::new();
        w.i64(0);
        w.i32(49 + body.len() as i32);
        w.i32(-1);
        w.u8(2);
        w.u32(0);
        w.i16(self.attributes);
        w.i32(self.last_delta.unwrap_or(n - 1));
        w.i64(self.timestamp);
        w.i64(self.timestamp);
        w.i64(self.producer.0);
        w.i16(self.producer.1);
        w.i32(self.producer.2);
        w.i32(self.count.unwrap_or(n));
        w.raw(body);
        let mut bytes = w.into_vec();
        let crc = klamm_core::record::crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        bytes.into()
    }
}

/// A produce request for partition 0 of `topic`.
pub(crate) fn produce(topic: &str, records: Bytes, acks: i16) -> ProduceRequest {
    use klamm_core::wire::messages::produce::{PartitionProduceData, TopicProduceData};
    ProduceRequest {
        acks,
        timeout_ms: 1000,
        topic_data: vec![TopicProduceData {
            name: topic.to_owned(),
            partition_data: vec![PartitionProduceData { index: 0, records: Some(records) }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// The only partition of an answer: code, base offset, log start.
pub(crate) fn produced(response: &ProduceResponse) -> (ErrorCode, i64, i64) {
    let p = &response.responses[0].partition_responses[0];
    (p.error_code, p.base_offset, p.log_start_offset)
}

/// A sessionless fetch of partition 0 of `topic`.
pub(crate) fn fetch(topic: &str, offset: i64) -> FetchRequest {
    use klamm_core::wire::messages::fetch::{FetchPartition, FetchTopic};
    FetchRequest {
        max_wait_ms: 0,
        min_bytes: 1,
        topics: vec![FetchTopic {
            topic: topic.to_owned(),
            partitions: vec![FetchPartition {
                fetch_offset: offset,
                partition_max_bytes: 1 << 20,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// The only partition of an answer: code, high watermark, bytes of records.
pub(crate) fn fetched(response: &FetchResponse) -> (ErrorCode, i64, Bytes) {
    let p = &response.responses[0].partitions[0];
    (p.error_code, p.high_watermark, p.records.clone().unwrap_or_default())
}

/// A fetch that waits for `ms` if there is nothing.
pub(crate) fn parked(topic: &str, offset: i64, ms: i32) -> FetchRequest {
    FetchRequest { max_wait_ms: ms, ..fetch(topic, offset) }
}
