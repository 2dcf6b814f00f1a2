//! A handful of requests by hand over a plain socket: what a cluster says about itself, seen without any client.
//! klamm is under test here, so its own code must not be the judge.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(5);

const FETCH: i16 = 1;
const LIST_OFFSETS: i16 = 2;
const METADATA: i16 = 3;
const ALTER_PARTITION_REASSIGNMENTS: i16 = 45;
const API_VERSIONS: i16 = 18;
const ELECT_LEADERS: i16 = 43;

/// What Metadata version 1 tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Node ids of the brokers that are alive, with their ports.
    pub brokers: Vec<(i32, u16)>,
    /// The topics that were asked for, or all.
    pub topics: Vec<Topic>,
}

/// One topic of [`Metadata`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topic {
    /// The broker's error code, 0 if none.
    pub error: i16,
    /// Its name.
    pub name: String,
    /// Its partitions, by index.
    pub partitions: Vec<Partition>,
}

/// One partition of a [`Topic`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    /// The broker's error code, 0 if none.
    pub error: i16,
    /// Its number.
    pub index: i32,
    /// The node id of its leader, -1 if none.
    pub leader: i32,
    /// The nodes that store it.
    pub replicas: Vec<i32>,
    /// Those that are in sync.
    pub in_sync: Vec<i32>,
}

/// One batch of records as it lies in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredBatch {
    /// Offset of its first record.
    pub base_offset: i64,
    /// How many records it holds.
    pub records: i32,
    /// 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
    pub codec: i16,
    /// The producer id that wrote it, -1 without idempotence.
    pub producer_id: i64,
}

/// One connection to one node.
#[derive(Debug)]
pub struct Probe(TcpStream);

impl Probe {
    /// Connects to a port on loopback.
    pub fn connect(port: u16) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream =
            TcpStream::connect_timeout(&address, PATIENCE).with_context(|| format!("cannot reach {address}"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// The API keys that the node offers, with their lowest and highest version.
    pub fn api_versions(&mut self) -> Result<Vec<(i16, i16, i16)>> {
        let answer = self.ask(API_VERSIONS, 0, &[])?;
        let mut read = Cursor(&answer);
        let error = read.i16()?;
        ensure!(error == 0, "ApiVersions answered error {error}");
        read.array(|read| Ok((read.i16()?, read.i16()?, read.i16()?)))
    }

    /// The brokers, and these topics; `None` means all topics, an empty slice none. Asking for a topic that does not
    /// exist makes the broker create it.
    pub fn metadata(&mut self, topics: Option<&[&str]>) -> Result<Metadata> {
        let mut body = Vec::new();
        match topics {
            None => body.extend((-1_i32).to_be_bytes()),
            Some(names) => {
                body.extend((names.len() as i32).to_be_bytes());
                names.iter().for_each(|name| put_string(&mut body, name));
            }
        }
        let answer = self.ask(METADATA, 1, &body)?;
        let mut read = Cursor(&answer);
        let brokers = read.array(|read| {
            let (id, _host, port, _rack) = (read.i32()?, read.string()?, read.i32()?, read.string()?);
            Ok((id, u16::try_from(port)?))
        })?;
        let _controller = read.i32()?;
        let topics = read.array(|read| {
            let (error, name, _internal) = (read.i16()?, read.string()?.unwrap_or_default(), read.take(1)?);
            Ok(Topic { error, name, partitions: read.array(Cursor::partition)? })
        })?;
        Ok(Metadata { brokers, topics })
    }

    /// The offset behind the last record of a partition; this node must lead it.
    pub fn end_offset(&mut self, topic: &str, partition: i32) -> Result<i64> {
        const LATEST: i64 = -1;
        let mut body = (-1_i32).to_be_bytes().to_vec();
        body.extend(1_i32.to_be_bytes());
        put_string(&mut body, topic);
        body.extend(1_i32.to_be_bytes());
        body.extend(partition.to_be_bytes());
        body.extend(LATEST.to_be_bytes());
        let answer = self.ask(LIST_OFFSETS, 1, &body)?;
        let mut read = Cursor(&answer);
        let topics = read.array(|read| {
            read.string()?;
            read.array(|read| {
                let (_index, error, _timestamp, offset) = (read.i32()?, read.i16()?, read.i64()?, read.i64()?);
                ensure!(error == 0, "ListOffsets of {topic}-{partition} answered error {error}");
                Ok(offset)
            })
        })?;
        topics.into_iter().flatten().next().context("ListOffsets answered nothing")
    }

    /// Asks for other replicas of a partition, the first of which is to lead it; any node passes that on.
    pub fn reassign(&mut self, topic: &str, partition: i32, replicas: &[i32]) -> Result<()> {
        let mut body = 10_000_i32.to_be_bytes().to_vec();
        let compact = |body: &mut Vec<u8>, length: usize| body.push(u8::try_from(length + 1).unwrap_or(u8::MAX));
        compact(&mut body, 1);
        compact(&mut body, topic.len());
        body.extend(topic.as_bytes());
        compact(&mut body, 1);
        body.extend(partition.to_be_bytes());
        compact(&mut body, replicas.len());
        replicas.iter().for_each(|replica| body.extend(replica.to_be_bytes()));
        body.extend([0; 3]); // no tagged fields: of the partition, the topic, the request
        // The header of the request ends with tagged fields, and so does that of the answer.
        body.insert(0, 0);
        let answer = self.ask(ALTER_PARTITION_REASSIGNMENTS, 0, &body)?;
        let mut read = Cursor(&answer);
        let (_tags, _throttle, error) = (read.take(1)?, read.i32()?, read.i16()?);
        ensure!(error == 0, "AlterPartitionReassignments answered error {error}");
        Ok(())
    }

    /// Makes the first replica of each partition its leader, where it is in sync; any node passes that on.
    pub fn elect_first_replicas(&mut self) -> Result<()> {
        // Their first replicas; of all topics; then the time-out. Version 0 tells no error of the whole, and 4.4.0 was seen to
        // elect nobody by it.
        let body = [&[0][..], &(-1_i32).to_be_bytes(), &10_000_i32.to_be_bytes()].concat();
        let answer = self.ask(ELECT_LEADERS, 1, &body)?;
        let mut read = Cursor(&answer);
        let _throttle = read.i32()?;
        let refused = read.i16()?;
        ensure!(refused == 0, "ElectLeaders answered error {refused}");
        read.array(|read| {
            let topic = read.string()?.unwrap_or_default();
            read.array(|read| {
                let (index, error, _message) = (read.i32()?, read.i16()?, read.string()?);
                // 84: it leads already.
                ensure!(matches!(error, 0 | 84), "ElectLeaders of {topic}-{index} answered error {error}");
                Ok(())
            })
        })?;
        Ok(())
    }

    /// The batches of a partition from its first offset on; this node must lead it.
    pub fn batches(&mut self, topic: &str, partition: i32) -> Result<Vec<StoredBatch>> {
        let mut found: Vec<StoredBatch> = Vec::new();
        let end = self.end_offset(topic, partition)?;
        loop {
            let next = found.last().map_or(0, |batch| batch.base_offset + i64::from(batch.records));
            if next >= end {
                return Ok(found);
            }
            let log = self.fetch(topic, partition, next)?;
            let more = parse_batches(&log)?;
            // Compaction and transactions leave gaps; the suite's topics have neither.
            ensure!(
                more.first().is_some_and(|batch| batch.base_offset == next),
                "no batch at offset {next} of {topic}"
            );
            found.extend(more);
        }
    }

    fn fetch(&mut self, topic: &str, partition: i32, offset: i64) -> Result<Vec<u8>> {
        const MAX_BYTES: i32 = 8 << 20;
        let mut body = (-1_i32).to_be_bytes().to_vec();
        body.extend(500_i32.to_be_bytes());
        body.extend(1_i32.to_be_bytes());
        body.extend(MAX_BYTES.to_be_bytes());
        body.push(0);
        body.extend(1_i32.to_be_bytes());
        put_string(&mut body, topic);
        body.extend(1_i32.to_be_bytes());
        body.extend(partition.to_be_bytes());
        body.extend(offset.to_be_bytes());
        body.extend(MAX_BYTES.to_be_bytes());
        let answer = self.ask(FETCH, 4, &body)?;
        let mut read = Cursor(&answer);
        let _throttle = read.i32()?;
        let topics = read.array(|read| {
            read.string()?;
            read.array(|read| {
                let (_index, error, _high, _stable) = (read.i32()?, read.i16()?, read.i64()?, read.i64()?);
                ensure!(error == 0, "Fetch of {topic}-{partition} answered error {error}");
                read.array(|read| Ok((read.i64()?, read.i64()?)))?;
                let length = read.i32()?;
                Ok(read.take(usize::try_from(length.max(0))?)?.to_vec())
            })
        })?;
        topics.into_iter().flatten().next().context("Fetch answered nothing")
    }

    fn ask(&mut self, api: i16, version: i16, body: &[u8]) -> Result<Vec<u8>> {
        const CORRELATION: i32 = 7;
        let mut frame = vec![0; 4];
        frame.extend(api.to_be_bytes());
        frame.extend(version.to_be_bytes());
        frame.extend(CORRELATION.to_be_bytes());
        put_string(&mut frame, "klamm-live");
        frame.extend(body);
        let length = frame.len() as i32 - 4;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        self.0.write_all(&frame)?;
        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length))?];
        self.0.read_exact(&mut answer)?;
        ensure!(answer.len() >= 4 && answer[..4] == CORRELATION.to_be_bytes(), "an answer to another request");
        Ok(answer.split_off(4))
    }
}

/// A connection to the leader of a partition, in the cluster whose nodes listen at these ports of loopback.
pub fn leader(ports: &[u16], topic: &str, partition: i32) -> Result<Probe> {
    let any = ports.iter().find_map(|port| Probe::connect(*port).ok()).context("no node can be reached")?;
    let metadata = { any }.metadata(Some(&[topic]))?;
    let partitions = metadata.topics.first().map(|topic| topic.partitions.as_slice()).unwrap_or_default();
    let known = partitions.iter().find(|known| known.index == partition);
    let leader = known.with_context(|| format!("no partition {topic}-{partition}"))?.leader;
    let address = metadata.brokers.iter().find(|(id, _)| *id == leader);
    Probe::connect(address.with_context(|| format!("{topic}-{partition} has no leader"))?.1)
}

/// Waits until every node answers and each of them knows all the others, and every partition has all its replicas in
/// sync. A listening port alone is too early.
pub fn wait_until_whole(ports: &[u16], limit: Duration) -> Result<()> {
    let deadline = Instant::now() + limit;
    loop {
        let state = ports.iter().try_for_each(|port| is_whole(*port, ports));
        match state {
            Ok(()) => return Ok(()),
            Err(why) if Instant::now() >= deadline => return Err(why.context(format!("not whole after {limit:?}"))),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// Gives every partition back to its first replica, and waits until every node knows that of the internal topics: who
/// coordinates what is then as it was before nodes were killed.
pub fn lead_as_at_first(ports: &[u16], limit: Duration) -> Result<()> {
    let deadline = Instant::now() + limit;
    loop {
        let state = Probe::connect(ports[0])
            .and_then(|mut probe| probe.elect_first_replicas())
            .and_then(|()| ports.iter().try_for_each(|port| is_led_by_first_replicas(*port)));
        match state {
            Ok(()) => return Ok(()),
            Err(why) if Instant::now() >= deadline => return Err(why.context(format!("led by others after {limit:?}"))),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

fn is_led_by_first_replicas(port: u16) -> Result<()> {
    let metadata = Probe::connect(port)?.metadata(None)?;
    for topic in metadata.topics.iter().filter(|topic| topic.name.starts_with("__")) {
        for partition in &topic.partitions {
            let first = partition.replicas.first() == Some(&partition.leader);
            let name = &topic.name;
            ensure!(first, "as the node at {port} tells, {name}-{} is led by another: {partition:?}", partition.index);
        }
    }
    Ok(())
}

fn is_whole(port: u16, ports: &[u16]) -> Result<()> {
    let mut probe = Probe::connect(port)?;
    ensure!(!probe.api_versions()?.is_empty(), "the node at port {port} offers nothing");
    let metadata = probe.metadata(None)?;
    let known: BTreeSet<u16> = metadata.brokers.iter().map(|(_, port)| *port).collect();
    let all: BTreeSet<u16> = ports.iter().copied().collect();
    ensure!(known == all, "the node at port {port} knows {} of {} nodes", known.len(), all.len());
    for topic in &metadata.topics {
        for partition in &topic.partitions {
            let whole = partition.leader >= 0 && partition.in_sync.len() == partition.replicas.len();
            ensure!(whole, "{}-{} has replicas out of sync: {partition:?}", topic.name, partition.index);
        }
    }
    Ok(())
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as i16).to_be_bytes());
    out.extend(text.as_bytes());
}

/// Reads whole batches off the front; a broker may cut the last one off.
fn parse_batches(log: &[u8]) -> Result<Vec<StoredBatch>> {
    const MAGIC: usize = 16;
    let mut rest = log;
    let mut found = Vec::new();
    while rest.len() >= 61 {
        let mut read = Cursor(rest);
        let base_offset = read.i64()?;
        let length = 12 + usize::try_from(read.i32()?)?;
        if rest[MAGIC] != 2 {
            bail!("a batch of format {} at offset {base_offset}", rest[MAGIC]);
        }
        if rest.len() < length {
            break;
        }
        let at = |from: usize| Cursor(&rest[from..]);
        found.push(StoredBatch {
            base_offset,
            records: at(57).i32()?,
            codec: at(21).i16()? & 7,
            producer_id: at(43).i64()?,
        });
        rest = &rest[length..];
    }
    Ok(found)
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).context("the answer is too short")?;
        self.0 = rest;
        Ok(taken)
    }
    fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.take(2)?.try_into()?))
    }
    fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.take(4)?.try_into()?))
    }
    fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.take(8)?.try_into()?))
    }
    fn string(&mut self) -> Result<Option<String>> {
        match usize::try_from(self.i16()?) {
            Ok(length) => Ok(Some(String::from_utf8(self.take(length)?.to_vec())?)),
            Err(_) => Ok(None),
        }
    }
    fn array<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        (0..self.i32()?.max(0)).map(|_| item(self)).collect()
    }
    fn partition(&mut self) -> Result<Partition> {
        Ok(Partition {
            error: self.i16()?,
            index: self.i32()?,
            leader: self.i32()?,
            replicas: self.array(Self::i32)?,
            in_sync: self.array(Self::i32)?,
        })
    }
}
