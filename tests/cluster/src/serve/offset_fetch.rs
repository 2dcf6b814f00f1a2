//! OffsetFetch (broker-coord 3.3).

use super::spoil;
use crate::answer::{Answer, Call, Respond, Serve};
use crate::groups::offsets::Committed;
use crate::state::State;
use klamm_core::ErrorCode;
use klamm_core::wire::Uuid;
use klamm_core::wire::messages::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use klamm_core::wire::messages::{OffsetFetchRequest, OffsetFetchResponse};
use std::collections::BTreeMap;

fn entry(partition_index: i32, found: Option<&Committed>) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: found.map_or(-1, |c| c.offset),
        committed_leader_epoch: found.map_or(-1, |c| c.leader_epoch),
        // What is not there is no error, at any level.
        metadata: Some(found.map_or_else(String::new, |c| c.metadata.clone())),
        error_code: ErrorCode::NONE,
    }
}

fn unknown_id(topic: &OffsetFetchRequestTopics) -> OffsetFetchResponseTopics {
    let failed =
        |index| OffsetFetchResponsePartitions { error_code: ErrorCode::UNKNOWN_TOPIC_ID, ..entry(index, None) };
    OffsetFetchResponseTopics {
        name: String::new(),
        topic_id: topic.topic_id,
        partitions: topic.partition_indexes.iter().copied().map(failed).collect(),
    }
}

impl State {
    fn fetch_offsets(
        &self,
        asked: &OffsetFetchRequestGroup,
        require_stable: bool,
        call: &Call,
    ) -> OffsetFetchResponseGroup {
        let group_id = asked.group_id.clone();
        if let Err(error_code) = self.check_group_for_offsets(call.broker, &group_id) {
            return OffsetFetchResponseGroup { group_id, topics: Vec::new(), error_code };
        }
        let group = self.groups.get(&group_id);
        let find = |name: &str, index: i32| group.and_then(|g| g.offsets.get(&(name.to_owned(), index)));
        // With it, what an open transaction may still change is not told.
        let told = |name: &str, index: i32, found: Option<&Committed>| {
            let unstable = require_stable && group.is_some_and(|g| g.is_unstable(name, index));
            let error_code = if unstable { ErrorCode::UNSTABLE_OFFSET_COMMIT } else { ErrorCode::NONE };
            OffsetFetchResponsePartitions { error_code, ..entry(index, found.filter(|_| !unstable)) }
        };
        let uses_ids = call.version >= 10;
        let topics = match &asked.topics {
            Some(topics) => topics
                .iter()
                .map(|topic| {
                    let name = if uses_ids { self.topics.name(topic.topic_id) } else { Some(topic.name.as_str()) };
                    let Some(name) = name else { return unknown_id(topic) };
                    OffsetFetchResponseTopics {
                        name: if uses_ids { String::new() } else { name.to_owned() },
                        topic_id: topic.topic_id,
                        partitions: topic.partition_indexes.iter().map(|i| told(name, *i, find(name, *i))).collect(),
                    }
                })
                .collect(),
            None => {
                let mut all: BTreeMap<&str, Vec<OffsetFetchResponsePartitions>> = BTreeMap::new();
                for ((topic, index), committed) in group.iter().flat_map(|g| &g.offsets) {
                    all.entry(topic).or_default().push(told(topic, *index, Some(committed)));
                }
                all.into_iter()
                    .map(|(name, partitions)| OffsetFetchResponseTopics {
                        name: if uses_ids { String::new() } else { name.to_owned() },
                        topic_id: self.topics.get(name).map_or(Uuid::ZERO, |t| t.id),
                        partitions,
                    })
                    .collect()
            }
        };
        OffsetFetchResponseGroup { group_id, topics, error_code: ErrorCode::NONE }
    }
}

/// The one group of versions 1 to 7, as the later ones ask for it.
fn single(request: &OffsetFetchRequest) -> OffsetFetchRequestGroup {
    let topics = request.topics.as_ref().map(|topics| {
        let topics = topics.iter().map(|t| OffsetFetchRequestTopics {
            name: t.name.clone(),
            topic_id: Uuid::ZERO,
            partition_indexes: t.partition_indexes.clone(),
        });
        topics.collect()
    });
    OffsetFetchRequestGroup { group_id: request.group_id.clone(), topics, ..Default::default() }
}

/// The answer for one group in the form of versions 1 to 7; version 1 has errors at partitions only.
fn old_form(group: OffsetFetchResponseGroup, asked: &OffsetFetchRequestGroup, version: i16) -> OffsetFetchResponse {
    let code = group.error_code;
    let mut topics: Vec<OffsetFetchResponseTopic> = group
        .topics
        .into_iter()
        .map(|t| OffsetFetchResponseTopic {
            name: t.name,
            partitions: t
                .partitions
                .into_iter()
                .map(|p| OffsetFetchResponsePartition {
                    partition_index: p.partition_index,
                    committed_offset: p.committed_offset,
                    committed_leader_epoch: if version >= 5 { p.committed_leader_epoch } else { -1 },
                    metadata: p.metadata,
                    error_code: p.error_code,
                })
                .collect(),
        })
        .collect();
    if version == 1 && !code.is_ok() {
        let failed = |index: &i32| OffsetFetchResponsePartition {
            partition_index: *index,
            committed_offset: -1,
            committed_leader_epoch: -1,
            metadata: Some(String::new()),
            error_code: code,
        };
        topics = asked
            .topics
            .iter()
            .flatten()
            .map(|t| OffsetFetchResponseTopic {
                name: t.name.clone(),
                partitions: t.partition_indexes.iter().map(failed).collect(),
            })
            .collect();
    }
    OffsetFetchResponse { topics, error_code: code, ..Default::default() }
}

impl Serve for OffsetFetchRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<OffsetFetchResponse> {
        if call.version >= 8 {
            let groups =
                self.groups.iter().map(|group| state.fetch_offsets(group, self.require_stable, call)).collect();
            return Answer::Now(OffsetFetchResponse { groups, ..Default::default() });
        }
        let asked = single(&self);
        let found = state.fetch_offsets(&asked, self.require_stable, call);
        Answer::Now(old_form(found, &asked, call.version))
    }

    fn refuse(&self, error_code: ErrorCode) -> OffsetFetchResponse {
        if self.groups.is_empty() {
            return OffsetFetchResponse { error_code, ..Default::default() };
        }
        let groups = self.groups.iter().map(|g| OffsetFetchResponseGroup {
            group_id: g.group_id.clone(),
            topics: Vec::new(),
            error_code,
        });
        OffsetFetchResponse { groups: groups.collect(), ..Default::default() }
    }
}

impl Respond for OffsetFetchResponse {
    fn fail(&mut self, code: ErrorCode) {
        if self.groups.is_empty() {
            spoil(&mut self.error_code, code);
        }
        for group in &mut self.groups {
            spoil(&mut group.error_code, code);
        }
    }
    fn omit(&mut self) {
        self.groups.pop();
        if let Some(topic) = self.topics.last_mut() {
            topic.partitions.pop();
        }
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
