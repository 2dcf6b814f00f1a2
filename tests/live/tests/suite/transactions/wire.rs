//! Requests by hand to whichever broker is responsible, over plain sockets.

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use klamm_core::ErrorCode;
use klamm_core::wire::frame::{decode_correlation, decode_response_tags, encode_request};
use klamm_core::wire::messages::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use klamm_core::wire::messages::{FindCoordinatorRequest, ListOffsetsRequest, MetadataRequest};
use klamm_core::wire::{Message, Reader, Request, Wire as _, Writer};
use klamm_live::Target;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// How long a broker may take to find its bearings.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a key of FindCoordinator is.
#[derive(Clone, Copy)]
pub(crate) enum Sort {
    Group = 0,
    Transaction = 1,
}

/// Connections to the brokers of a cluster.
pub(crate) struct Wire {
    ports: Vec<u16>,
    open: BTreeMap<i32, TcpStream>,
    correlation: i32,
}

impl Wire {
    pub(crate) fn to(target: &Target) -> Self {
        Self { ports: target.ports(), open: BTreeMap::new(), correlation: 0 }
    }

    /// Connections of its own to the same brokers, for who has to wait for another.
    pub(crate) fn beside(&self) -> Self {
        Self { ports: self.ports.clone(), open: BTreeMap::new(), correlation: 0 }
    }

    /// Asks a broker; a request that it does not answer is an error.
    pub(crate) fn ask<R: Request>(&mut self, broker: i32, request: &R, version: i16) -> Result<R::Response> {
        let told = self.exchange(broker, request, version);
        if told.is_err() {
            // Nothing more comes by that connection.
            self.open.remove(&broker);
        }
        told
    }

    /// Sends the bytes behind a request's correlation id as they are; what comes back behind that of the answer, `None` if the
    /// connection ends instead.
    pub(crate) fn raw(&mut self, broker: i32, (api, version): (i16, i16), rest: &[u8]) -> Result<Option<Vec<u8>>> {
        let port = usize::try_from(broker - 1).ok().and_then(|at| self.ports.get(at)).context("no broker")?;
        let mut stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, *port)))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut frame = vec![0; 4];
        frame.extend(api.to_be_bytes());
        frame.extend(version.to_be_bytes());
        frame.extend([0, 0, 0, 7]);
        frame.extend(rest);
        let length = i32::try_from(frame.len() - 4)?;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        stream.write_all(&frame)?;
        let mut length = [0; 4];
        match stream.read_exact(&mut length) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => bail!("neither answered nor closed"),
            Err(_) => return Ok(None),
            Ok(()) => {}
        }
        let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length))?];
        stream.read_exact(&mut answer)?;
        Ok(Some(answer.split_off(4)))
    }

    fn exchange<R: Request>(&mut self, broker: i32, request: &R, version: i16) -> Result<R::Response> {
        self.correlation += 1;
        let mut w = Writer::new();
        encode_request(&mut w, request, version, self.correlation, Some("by-hand"))?;
        let stream = match self.open.entry(broker) {
            std::collections::btree_map::Entry::Occupied(open) => open.into_mut(),
            std::collections::btree_map::Entry::Vacant(none) => {
                let port = usize::try_from(broker - 1).ok().and_then(|at| self.ports.get(at)).context("no broker")?;
                let stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, *port)))?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_nodelay(true)?;
                none.insert(stream)
            }
        };
        stream.write_all(w.as_slice())?;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(length))?];
        stream.read_exact(&mut frame)?;
        let bytes = Bytes::from(frame);
        let mut r = Reader::shared(&bytes);
        ensure!(decode_correlation(&mut r)? == self.correlation, "an answer to another request");
        decode_response_tags(&mut r, R::KEY, version)?;
        let response = <R::Response>::get(&mut r, <R::Response as Message>::version(version))?;
        ensure!(r.is_empty(), "bytes behind the answer");
        Ok(response)
    }

    /// The broker that coordinates a group or a transactional id.
    pub(crate) fn coordinator(&mut self, key: &str, sort: Sort) -> Result<i32> {
        let begin = Instant::now();
        loop {
            let request = FindCoordinatorRequest {
                coordinator_keys: vec![key.to_owned()],
                key_type: sort as i8,
                ..Default::default()
            };
            let found = self.ask(1, &request, 4)?.coordinators.into_iter().next().context("no answer")?;
            match found.error_code {
                ErrorCode::NONE => return Ok(found.node_id.0),
                ErrorCode::COORDINATOR_NOT_AVAILABLE if begin.elapsed() < PATIENCE => {
                    thread::sleep(Duration::from_millis(50));
                }
                code => bail!("no coordinator of {key}: {code}"),
            }
        }
    }

    /// Creates a topic of three partitions by asking for it; gives the leader of each, which is at work then.
    pub(crate) fn leaders(&mut self, topic: &str) -> Result<Vec<i32>> {
        use klamm_core::wire::messages::metadata::MetadataRequestTopic;
        let begin = Instant::now();
        loop {
            let named = MetadataRequestTopic { name: Some(topic.to_owned()), ..Default::default() };
            let request =
                MetadataRequest { topics: Some(vec![named]), allow_auto_topic_creation: true, ..Default::default() };
            let answer = self.ask(1, &request, 7)?;
            let found = answer.topics.into_iter().next().context("no answer")?;
            let mut leaders: Vec<_> = found.partitions.iter().map(|p| (p.partition_index, p.leader_id.0)).collect();
            leaders.sort_unstable();
            let led = leaders.len() == 3 && leaders.iter().all(|(_, leader)| *leader > 0);
            if led && self.are_at_work(topic, &leaders)? {
                return Ok(leaders.into_iter().map(|(_, leader)| leader).collect());
            }
            ensure!(begin.elapsed() < PATIENCE, "{topic} was not created: {}", found.error_code);
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Whether these leaders of partitions serve them: brokers are told of a leader before it knows that it is one.
    fn are_at_work(&mut self, topic: &str, leaders: &[(i32, i32)]) -> Result<bool> {
        for (partition_index, leader) in leaders {
            let asked = ListOffsetsPartition { partition_index: *partition_index, timestamp: -1, ..Default::default() };
            let topics = vec![ListOffsetsTopic { name: topic.to_owned(), partitions: vec![asked] }];
            let told = self.ask(*leader, &ListOffsetsRequest { topics, ..Default::default() }, 7)?;
            if !told.topics[0].partitions[0].error_code.is_ok() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
