//! CreatePartitions (broker-coord 6.3).

use super::create_topics::Refused;
use crate::answer::{Answer, Call, Respond, Serve};
use crate::log::Partition;
use crate::state::State;
use klamm_core::ErrorCode;
use klamm_core::wire::Uuid;
use klamm_core::wire::messages::create_partitions::{CreatePartitionsTopic, CreatePartitionsTopicResult};
use klamm_core::wire::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

fn failed(name: &str, (error_code, message): Refused) -> CreatePartitionsTopicResult {
    CreatePartitionsTopicResult {
        name: name.to_owned(),
        error_code,
        error_message: Some(message).filter(|m| !m.is_empty()),
    }
}

impl State {
    pub(crate) fn add_partitions(&mut self, asked: &CreatePartitionsTopic, validate_only: bool) -> Result<(), Refused> {
        let Some(topic) = self.topics.get(&asked.name) else {
            return Err((ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, String::new()));
        };
        let present = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        let factor = topic.partitions.first().map_or(1, |p| p.replicas.len());
        if asked.count <= present || asked.count > 10_000 {
            let text =
                format!("The topic {} currently has {present} partition(s); {} is not more.", asked.name, asked.count);
            return Err((ErrorCode::INVALID_PARTITIONS, text));
        }
        let added = asked.count - present;
        let replicas: Vec<Vec<i32>> = match &asked.assignments {
            None => {
                let factor = i16::try_from(factor).unwrap_or(i16::MAX);
                (present..asked.count).map(|index| self.place(index, factor)).collect()
            }
            Some(given) if given.len() as i64 != i64::from(added) => {
                let text = format!("{added} partitions are added, but {} are assigned.", given.len());
                return Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, text));
            }
            Some(given) => given.iter().map(|a| a.broker_ids.iter().map(|b| b.0).collect()).collect(),
        };
        self.check_replicas(&replicas, factor)?;
        if !validate_only {
            let live = self.live();
            let new = replicas.into_iter().map(|r| Partition::new(r, |b| live.contains(&b)));
            if let Some(topic) = self.topics.get_mut(&asked.name) {
                topic.partitions.extend(new);
            }
        }
        Ok(())
    }
}

impl Serve for CreatePartitionsRequest {
    fn serve(self, state: &mut State, _: &Call) -> Answer<CreatePartitionsResponse> {
        if self.timeout_ms <= 0 {
            return Answer::Now(self.refuse(ErrorCode::REQUEST_TIMED_OUT));
        }
        let mut results: Vec<CreatePartitionsTopicResult> = Vec::new();
        for topic in &self.topics {
            if self.topics.iter().filter(|t| t.name == topic.name).count() > 1 {
                if !results.iter().any(|r| r.name == topic.name) {
                    let refused = (ErrorCode::INVALID_REQUEST, "Duplicate topic name.".to_owned());
                    results.push(failed(&topic.name, refused));
                }
                continue;
            }
            results.push(match state.add_partitions(topic, self.validate_only) {
                Err(refused) => failed(&topic.name, refused),
                Ok(()) => CreatePartitionsTopicResult { name: topic.name.clone(), ..Default::default() },
            });
        }
        state.parked.stale = true;
        Answer::Now(CreatePartitionsResponse { results, ..Default::default() })
    }

    fn refuse(&self, code: ErrorCode) -> CreatePartitionsResponse {
        let results = self.topics.iter().map(|t| failed(&t.name, (code, code.to_string()))).collect();
        CreatePartitionsResponse { results, ..Default::default() }
    }

    fn names(&self, topic: &str, _id: Option<Uuid>) -> bool {
        self.topics.iter().any(|t| t.name == topic)
    }
}

impl Respond for CreatePartitionsResponse {
    fn fail(&mut self, code: ErrorCode) {
        for result in self.results.iter_mut().filter(|r| r.error_code.is_ok()) {
            *result = failed(&result.name, (code, code.to_string()));
        }
    }
    fn omit(&mut self) {
        self.results.pop();
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
