//! Committed offsets: who may commit, what is read back (broker-coord 3).

use super::script::Script;
use crate::transactions::wire::Sort;
use anyhow::Result;
use klamm_core::ErrorCode;
use klamm_core::wire::Uuid;
use klamm_core::wire::messages::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use klamm_core::wire::messages::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use klamm_core::wire::messages::{
    DescribeGroupsRequest, JoinGroupRequest, OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest,
};

const GROUP: &str = "conformance-commits";
/// A group that nobody makes, in the same partition of the offsets, by the hash of its name.
const NOBODY: &str = "conformance-nobody-3";
const MEMBERS: &str = "conformance-commits-of-members";
const TOPIC: &str = "conformance-committed";

fn commit(group: &str, generation: i32, member: &str, partitions: &[(i32, i64)]) -> OffsetCommitRequest {
    let one = |(partition_index, committed_offset): &(i32, i64)| OffsetCommitRequestPartition {
        partition_index: *partition_index,
        committed_offset: *committed_offset,
        ..Default::default()
    };
    OffsetCommitRequest {
        group_id: group.to_owned(),
        generation_id_or_member_epoch: generation,
        member_id: member.to_owned(),
        topics: vec![OffsetCommitRequestTopic {
            name: TOPIC.to_owned(),
            partitions: partitions.iter().map(one).collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn read(group: &str, topic: Option<(&str, &[i32])>) -> OffsetFetchRequest {
    let topics = topic.map(|(name, indexes)| {
        vec![OffsetFetchRequestTopics {
            name: name.to_owned(),
            partition_indexes: indexes.to_vec(),
            ..Default::default()
        }]
    });
    let group = OffsetFetchRequestGroup { group_id: group.to_owned(), topics, ..Default::default() };
    OffsetFetchRequest { groups: vec![group], ..Default::default() }
}

fn read_old(group: &str, topic: Option<(&str, &[i32])>) -> OffsetFetchRequest {
    let topics = topic.map(|(name, indexes)| {
        vec![OffsetFetchRequestTopic { name: name.to_owned(), partition_indexes: indexes.to_vec() }]
    });
    OffsetFetchRequest { group_id: group.to_owned(), topics, ..Default::default() }
}

fn ready(s: &mut Script, group: &str) -> Result<i32> {
    let at = s.wire.coordinator(group, Sort::Group)?;
    let request = DescribeGroupsRequest { groups: vec![group.to_owned()], include_authorized_operations: false };
    let loads = |s: &mut Script| {
        let code = s.wire.ask(at, &request, 5)?.groups[0].error_code;
        Ok((code == ErrorCode::NONE).then_some(()))
    };
    s.until(loads, "coordinator that has loaded")?;
    Ok(at)
}

pub(super) fn play(s: &mut Script) -> Result<()> {
    s.topic(TOPIC, &[&[1, 2, 3], &[2, 3, 1], &[3, 1, 2]], &[])?;
    let at = ready(s, GROUP)?;
    simple(s, at)?;
    fetched(s, at)?;
    let at = ready(s, MEMBERS)?;
    members(s, at)
}

/// A group without members.
fn simple(s: &mut Script, at: i32) -> Result<()> {
    for version in [8, 9] {
        let what = format!("a generation of an unknown group, version {version}");
        s.ask(("C 3.2", &what), at, &commit(GROUP, 3, "m", &[(0, 5)]), version)?;
    }
    s.ask(("C 3.2", "no generation of an unknown group"), at, &commit(GROUP, -1, "", &[(0, 5)]), 8)?;
    s.ask(("C 3.2", "no generation, with a member"), at, &commit(GROUP, -1, "m", &[(0, 6)]), 8)?;
    s.ask(("C 3.2", "a generation of an empty group"), at, &commit(GROUP, 3, "m", &[(0, 5)]), 8)?;
    s.ask(("C 3.1", "an unknown partition beside a known one"), at, &commit(GROUP, -1, "", &[(1, 7), (9, 7)]), 8)?;
    s.ask(("C 3.1", "only an unknown partition, of a member"), at, &commit(GROUP, 3, "m", &[(9, 7)]), 8)?;
    s.ask(("C 3.1", "only an unknown partition, at another broker"), at % 3 + 1, &commit(GROUP, -1, "", &[(9, 7)]), 8)?;
    s.ask(("C 3.1", "no topic"), at, &OffsetCommitRequest { topics: Vec::new(), ..commit(GROUP, 3, "m", &[]) }, 8)?;
    s.ask(("C 3.1", "at another broker"), at % 3 + 1, &commit(GROUP, -1, "", &[(0, 7)]), 8)?;
    let mut unknown = commit(GROUP, -1, "", &[(0, 7)]);
    unknown.topics[0].topic_id = Uuid([7; 16]);
    s.ask(("C 3.1", "an unknown id"), at, &unknown, 10)?;
    s.ask(("C 3.1", "a negative offset"), at, &commit(GROUP, -1, "", &[(2, -7)]), 8)?;
    let mut told = commit(GROUP, -1, "", &[(0, 8), (1, 9)]);
    told.topics[0].partitions[0].committed_metadata = Some("x".repeat(4097));
    told.topics[0].partitions[1].committed_metadata = Some("words".to_owned());
    told.topics[0].partitions[1].committed_leader_epoch = 4;
    s.ask(("C 3.1", "too much metadata, and some"), at, &told, 8)?;
    for version in [2, 3, 5, 6, 7] {
        s.ask(("C 3.1", &format!("version {version}")), at, &commit(GROUP, -1, "", &[(0, 6)]), version)?;
    }
    Ok(())
}

/// What is read back.
fn fetched(s: &mut Script, at: i32) -> Result<()> {
    let some: &[i32] = &[0, 1, 2, 9];
    for version in [8, 9] {
        s.ask(("C 3.3", &format!("version {version}")), at, &read(GROUP, Some((TOPIC, some))), version)?;
    }
    for version in [1, 2, 5, 7] {
        s.ask(("C 3.3", &format!("version {version}")), at, &read_old(GROUP, Some((TOPIC, some))), version)?;
    }
    let mut all = s.wire.ask(at, &read(GROUP, None), 8)?;
    all.groups[0].topics.iter_mut().for_each(|t| t.partitions.sort_by_key(|p| p.partition_index));
    s.note(("C 3.3", "all"), &all);
    s.ask(("C 3.3", "an unknown topic"), at, &read(GROUP, Some(("conformance-nowhere", &[0]))), 8)?;
    s.ask(("C 3.3", "an unknown group"), at, &read(NOBODY, Some((TOPIC, &[0]))), 8)?;
    s.ask(("C 3.3", "at another broker"), at % 3 + 1, &read(GROUP, Some((TOPIC, &[0]))), 8)?;
    s.ask(("C 3.3", "at another broker, version 5"), at % 3 + 1, &read_old(GROUP, Some((TOPIC, &[0]))), 5)?;
    let mut unknown = read(GROUP, Some((TOPIC, &[0])));
    unknown.groups[0].topics.iter_mut().flatten().for_each(|t| t.topic_id = Uuid([7; 16]));
    s.ask(("C 3.3", "an unknown id"), at, &unknown, 10)?;
    let mut member = read(GROUP, Some((TOPIC, &[0])));
    member.groups[0].member_id = Some("nobody".to_owned());
    member.groups[0].member_epoch = 7;
    s.ask(("C 3.3", "a stranger"), at, &member, 9)?;
    Ok(())
}

/// A group with a member.
fn members(s: &mut Script, at: i32) -> Result<()> {
    let join = JoinGroupRequest {
        group_id: MEMBERS.to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        protocol_type: "consumer".to_owned(),
        protocols: vec![klamm_core::wire::messages::join_group::JoinGroupRequestProtocol {
            name: "range".to_owned(),
            ..Default::default()
        }],
        ..Default::default()
    };
    // Before version 4 a member needs no id to join.
    let joined = s.wire.ask(at, &join, 3)?;
    let (who, generation) = (joined.member_id.as_str(), joined.generation_id);
    let places = &[(0, 5)];
    s.ask(("C 3.2", "before the sync"), at, &commit(MEMBERS, generation, who, places), 8)?;
    s.ask(("C 3.2", "before the sync, an old generation"), at, &commit(MEMBERS, generation - 1, who, places), 8)?;
    let sync = SyncGroupRequest {
        group_id: MEMBERS.to_owned(),
        generation_id: generation,
        member_id: who.to_owned(),
        ..Default::default()
    };
    s.wire.ask(at, &sync, 3)?;
    s.ask(("C 3.2", "a member"), at, &commit(MEMBERS, generation, who, places), 8)?;
    s.ask(("C 3.2", "a member, a generation too high"), at, &commit(MEMBERS, generation + 1, who, places), 8)?;
    s.ask(("C 3.2", "a member without a generation"), at, &commit(MEMBERS, -1, who, places), 8)?;
    s.ask(("C 3.2", "a stranger"), at, &commit(MEMBERS, generation, "nobody", places), 8)?;
    s.ask(("C 3.2", "nobody, where there are members"), at, &commit(MEMBERS, -1, "", places), 8)?;
    let named =
        OffsetCommitRequest { group_instance_id: Some("i".to_owned()), ..commit(MEMBERS, generation, who, places) };
    s.ask(("C 3.2", "an instance nobody has"), at, &named, 8)?;
    Ok(())
}
