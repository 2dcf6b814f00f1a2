//! Requests by hand, and what was answered, in a form that two clusters can be compared by.

use super::shape::shape;
use crate::transactions::wire::Wire;
use anyhow::{Context, Result, ensure};
use klamm_core::wire::Request;
use klamm_core::wire::messages::create_topics::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig};
use klamm_core::wire::messages::fetch::{FetchPartition, FetchTopic};
use klamm_core::wire::messages::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use klamm_core::wire::messages::metadata::MetadataRequestTopic;
use klamm_core::wire::messages::{CreateTopicsRequest, FetchRequest, ListOffsetsRequest, MetadataRequest};
use klamm_core::{BrokerId, ErrorCode};
use klamm_live::Target;
use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(40);

/// One answer: which rule it is about, what was asked, what was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) rule: String,
    pub(super) what: String,
    pub(super) told: String,
}

/// A conversation with a cluster of three brokers, written down.
pub(super) struct Script {
    pub(super) wire: Wire,
    pub(super) answers: Vec<Answer>,
    target: Target,
}

impl Script {
    pub(super) fn with(target: &Target) -> Self {
        Self { wire: Wire::to(target), answers: Vec::new(), target: target.clone() }
    }

    /// A broker is gone at once, without a word to anyone.
    pub(super) fn kill(&mut self, broker: i32) -> Result<()> {
        self.target.kill(usize::try_from(broker)?)
    }

    /// Brings back what was killed, on new connections.
    pub(super) fn heal(&mut self) -> Result<()> {
        self.target.heal()?;
        self.wire = Wire::to(&self.target);
        Ok(())
    }

    /// Asks, and writes the answer down.
    pub(super) fn ask<R: Request>(
        &mut self,
        (rule, what): (&str, &str),
        broker: i32,
        request: &R,
        version: i16,
    ) -> Result<R::Response>
    where
        R::Response: Debug,
    {
        let answer = self.wire.ask(broker, request, version).with_context(|| format!("{rule}, {what}"))?;
        self.note((rule, what), &answer);
        Ok(answer)
    }

    /// Writes down what was told.
    pub(super) fn note(&mut self, (rule, what): (&str, &str), told: &impl Debug) {
        let told = shape(&format!("{told:?}"));
        self.answers.push(Answer { rule: rule.to_owned(), what: what.to_owned(), told });
    }

    /// Asks, and writes down whether the broker closed the connection.
    pub(super) fn closes<R: Request>(
        &mut self,
        (rule, what): (&str, &str),
        broker: i32,
        request: &R,
        version: i16,
    ) -> Result<()> {
        let told = match self.wire.ask(broker, request, version) {
            Ok(_) => "answered",
            Err(error) => {
                let io = error.downcast_ref::<std::io::Error>().context("no answer that can be read")?;
                ensure!(io.kind() != std::io::ErrorKind::WouldBlock, "{rule}, {what}: neither answered nor closed");
                "closed"
            }
        };
        self.note((rule, what), &told);
        Ok(())
    }

    /// Asks again and again until the answer is what is waited for; nothing is written down.
    pub(super) fn until<T>(&mut self, mut ask: impl FnMut(&mut Self) -> Result<Option<T>>, what: &str) -> Result<T> {
        let begin = Instant::now();
        loop {
            if let Some(found) = ask(self)? {
                return Ok(found);
            }
            ensure!(begin.elapsed() < PATIENCE, "no {what} within {PATIENCE:?}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Creates a topic whose partitions lie on these brokers, each led by its first; every broker knows of it then.
    pub(super) fn topic(&mut self, name: &str, replicas: &[&[i32]], configs: &[(&str, &str)]) -> Result<()> {
        let assignment = |(index, brokers): (usize, &&[i32])| CreatableReplicaAssignment {
            partition_index: index as i32,
            broker_ids: brokers.iter().map(|id| BrokerId(*id)).collect(),
        };
        let config = |(key, value): &(&str, &str)| CreatableTopicConfig {
            name: (*key).to_owned(),
            value: Some((*value).to_owned()),
        };
        let topic = CreatableTopic {
            name: name.to_owned(),
            num_partitions: -1,
            replication_factor: -1,
            assignments: replicas.iter().enumerate().map(assignment).collect(),
            // The records are from years ago.
            configs: configs.iter().chain(&[("retention.ms", "-1")]).map(config).collect(),
        };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, validate_only: false };
        let told = self.wire.ask(1, &request, 7)?.topics.remove(0);
        ensure!(told.error_code.is_ok(), "{name}: {} {:?}", told.error_code, told.error_message);
        for broker in 1..=3 {
            let known = |s: &mut Self| {
                let named = MetadataRequestTopic { name: Some(name.to_owned()), ..Default::default() };
                let request = MetadataRequest { topics: Some(vec![named]), ..Default::default() };
                let told = s.wire.ask(broker, &request, 9)?.topics.remove(0);
                let led =
                    told.partitions.iter().all(|p| p.leader_id.0 > 0 && p.isr_nodes.len() == p.replica_nodes.len());
                Ok((told.error_code == ErrorCode::NONE && led && told.partitions.len() == replicas.len()).then_some(()))
            };
            self.until(known, "topic on every broker")?;
        }
        // A broker knows of a partition before it serves it.
        for (index, broker) in (0..).zip(replicas).flat_map(|(n, all)| all.iter().map(move |broker| (n, *broker))) {
            let partition = FetchPartition { partition: index, partition_max_bytes: 1, ..Default::default() };
            let topics = vec![FetchTopic { topic: name.to_owned(), partitions: vec![partition], ..Default::default() }];
            let request = FetchRequest { topics, ..Default::default() };
            let serves = |s: &mut Self| {
                let told = s.wire.ask(broker, &request, 11)?;
                Ok(told.responses[0].partitions[0].error_code.is_ok().then_some(()))
            };
            self.until(serves, "replica that is served")?;
            if replicas[index as usize][0] == broker {
                let asked = ListOffsetsPartition { partition_index: index, timestamp: -1, ..Default::default() };
                let topics = vec![ListOffsetsTopic { name: name.to_owned(), partitions: vec![asked] }];
                let request = ListOffsetsRequest { topics, ..Default::default() };
                let leads = |s: &mut Self| {
                    let told = s.wire.ask(broker, &request, 7)?;
                    Ok(told.topics[0].partitions[0].error_code.is_ok().then_some(()))
                };
                self.until(leads, "leader at work")?;
            }
        }
        Ok(())
    }
}
