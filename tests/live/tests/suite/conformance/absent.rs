//! What is told of a broker that was killed, and of what it led (broker-data 2.4, 2.5).

use super::script::Script;
use anyhow::{Context, Result};
use klamm_core::wire::messages::describe_topic_partitions::TopicRequest;
use klamm_core::wire::messages::metadata::MetadataRequestTopic;
use klamm_core::wire::messages::{DescribeClusterRequest, DescribeTopicPartitionsRequest, MetadataRequest};

const TOPIC: &str = "conformance-absent";
/// It has other replicas too.
const FOLLOWED: &str = "conformance-absent-followed";
/// The one that is killed.
const GONE: i32 = 3;

fn note(s: &mut Script, rule: (&str, &str), version: i16) -> Result<()> {
    let mut told = s.wire.ask(1, &request(), version)?;
    told.brokers.sort_by_key(|broker| broker.node_id);
    told.topics.sort_by(|a, b| a.name.cmp(&b.name));
    told.topics.iter_mut().for_each(|t| t.partitions.sort_by_key(|p| p.partition_index));
    s.note(rule, &told);
    Ok(())
}

fn request() -> MetadataRequest {
    let named = |name: &str| MetadataRequestTopic { name: Some(name.to_owned()), ..Default::default() };
    let topics = Some(vec![named(TOPIC), named(FOLLOWED)]);
    MetadataRequest { topics, allow_auto_topic_creation: false, ..Default::default() }
}

pub(super) fn play(s: &mut Script) -> Result<()> {
    s.topic(TOPIC, &[&[GONE], &[1]], &[])?;
    s.topic(FOLLOWED, &[&[1, GONE], &[1, 2]], &[])?;
    s.kill(GONE)?;
    // Its session has to end, and its replica to fall out of sync.
    s.until(
        |s| {
            let told = s.wire.ask(1, &request(), 9)?;
            let topic = told.topics.iter().find(|topic| topic.name.as_deref() == Some(FOLLOWED)).context("no topic")?;
            let fell = topic.partitions.iter().all(|p| p.partition_index != 0 || p.isr_nodes.len() == 1);
            Ok((told.brokers.len() == 2 && fell).then_some(()))
        },
        "end of the killed broker's session",
    )?;
    for version in [4, 5, 6, 7, 9, 12] {
        note(s, ("D 2.4", &format!("a partition without leader, version {version}")), version)?;
    }
    let topics = vec![TopicRequest { name: TOPIC.to_owned() }, TopicRequest { name: FOLLOWED.to_owned() }];
    let paged = DescribeTopicPartitionsRequest { topics, response_partition_limit: 2000, cursor: None };
    s.ask(("D 2.11", "a partition without leader"), 1, &paged, 0)?;
    let mut told = s.wire.ask(1, &DescribeClusterRequest::default(), 1)?;
    told.brokers.sort_by_key(|broker| broker.broker_id);
    s.note(("D 2.2", "DescribeCluster without a killed broker"), &told);
    s.heal()?;
    s.until(
        |s| {
            let told = s.wire.ask(1, &request(), 9)?;
            let topic = told.topics.first().context("no topic")?;
            let whole =
                topic.partitions.iter().all(|p| p.leader_id.0 > 0 && p.isr_nodes.len() == p.replica_nodes.len());
            Ok((told.brokers.len() == 3 && whole).then_some(()))
        },
        "killed broker that is back",
    )?;
    note(s, ("D 2.5", "the leader is back"), 9)
}
