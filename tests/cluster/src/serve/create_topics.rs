//! CreateTopics (broker-coord 6.2).

use crate::answer::{Answer, Call, Respond, Serve};
use crate::configs::{TOPIC, find};
use crate::state::State;
use crate::topics::is_valid_name;
use klamm_core::ErrorCode;
use klamm_core::wire::Uuid;
use klamm_core::wire::messages::create_topics::{CreatableTopic, CreatableTopicConfigs, CreatableTopicResult};
use klamm_core::wire::messages::{CreateTopicsRequest, CreateTopicsResponse};
use std::collections::BTreeMap;

/// Partitions in one request.
const MOST_PARTITIONS: i64 = 10_000;
const DEFAULT_CONFIG: i8 = 5;
const TOPIC_CONFIG: i8 = 1;

/// A code and what a broker says about it.
pub(super) type Refused = (ErrorCode, String);

fn failed(name: &str, (code, message): Refused) -> CreatableTopicResult {
    CreatableTopicResult {
        name: name.to_owned(),
        error_code: code,
        error_message: Some(message),
        configs: Some(Vec::new()),
        ..Default::default()
    }
}

/// Checks every pair; a later pair of the same key wins.
pub(super) fn check_configs<'a>(
    pairs: impl Iterator<Item = (&'a str, Option<&'a str>)>,
) -> Result<BTreeMap<String, String>, Refused> {
    let mut configs = BTreeMap::new();
    let pairs: Vec<_> = pairs.collect();
    if let Some((name, _)) = pairs.iter().find(|(_, value)| value.is_none()) {
        return Err((ErrorCode::INVALID_CONFIG, format!("Null value not supported for topic configs: {name}")));
    }
    for (name, value) in pairs {
        let value = value.unwrap_or_default();
        let key = find(TOPIC, name)
            .ok_or_else(|| (ErrorCode::INVALID_CONFIG, format!("Unknown topic config name: {name}")))?;
        key.check(value).map_err(|text| (ErrorCode::INVALID_CONFIG, text))?;
        configs.insert(name.to_owned(), value.to_owned());
    }
    Ok(configs)
}

impl State {
    /// The name alone: a topic that exists wins over a collision.
    fn check_name(&self, name: &str) -> Result<(), Refused> {
        if name == "__cluster_metadata" {
            return Err((ErrorCode::INVALID_REQUEST, format!("Creation of internal topic {name} is prohibited.")));
        }
        if self.topics.get(name).is_some() {
            return Err((ErrorCode::TOPIC_ALREADY_EXISTS, format!("Topic '{name}' already exists.")));
        }
        if !is_valid_name(name) {
            return Err((ErrorCode::INVALID_TOPIC_EXCEPTION, format!("Topic name '{name}' is illegal.")));
        }
        if let Some(other) = self.topics.collision(name) {
            let text = format!("Topic '{name}' collides with existing topic: {other}");
            return Err((ErrorCode::INVALID_TOPIC_EXCEPTION, text));
        }
        Ok(())
    }

    fn assigned(&self, topic: &CreatableTopic) -> Result<Vec<Vec<i32>>, Refused> {
        if topic.replication_factor != -1 || topic.num_partitions != -1 {
            let text = "counts and assignments exclude each other".to_owned();
            return Err((ErrorCode::INVALID_REQUEST, text));
        }
        let bad = |text: &str| (ErrorCode::INVALID_REPLICA_ASSIGNMENT, text.to_owned());
        let mut by_index = BTreeMap::new();
        for assignment in &topic.assignments {
            let brokers: Vec<i32> = assignment.broker_ids.iter().map(|b| b.0).collect();
            if by_index.insert(assignment.partition_index, brokers).is_some() {
                return Err(bad("a partition was assigned twice"));
            }
        }
        if !by_index.keys().copied().eq((0..).take(by_index.len())) {
            return Err(bad("partitions must be consecutive from 0"));
        }
        let replicas: Vec<Vec<i32>> = by_index.into_values().collect();
        self.check_replicas(&replicas, replicas.first().map_or(0, Vec::len))?;
        Ok(replicas)
    }

    /// Whether replicas can be placed there.
    pub(super) fn check_replicas(&self, replicas: &[Vec<i32>], factor: usize) -> Result<(), Refused> {
        let bad = |text: &str| (ErrorCode::INVALID_REPLICA_ASSIGNMENT, text.to_owned());
        for brokers in replicas {
            if brokers.is_empty() || brokers.len() != factor {
                return Err(bad("every partition needs the same number of replicas, at least one"));
            }
            if brokers.iter().any(|b| !self.nodes.contains_key(b)) {
                return Err(bad("an assigned broker is not registered"));
            }
            if brokers.iter().enumerate().any(|(i, b)| brokers[i + 1..].contains(b)) {
                return Err(bad("a broker was assigned twice"));
            }
            if !brokers.iter().any(|b| self.is_live(*b)) {
                return Err(bad("all brokers of a partition are fenced"));
            }
        }
        Ok(())
    }

    fn counted(&self, topic: &CreatableTopic) -> Result<Vec<Vec<i32>>, Refused> {
        let bad_factor = |text: String| (ErrorCode::INVALID_REPLICATION_FACTOR, text);
        if topic.replication_factor == 0 || topic.replication_factor < -1 {
            let text = "Replication factor must be larger than 0, or -1 to use the default value.";
            return Err(bad_factor(text.to_owned()));
        }
        if topic.num_partitions == 0 || topic.num_partitions < -1 {
            let text = "Number of partitions was set to an invalid non-positive value.".to_owned();
            return Err((ErrorCode::INVALID_PARTITIONS, text));
        }
        let factor =
            if topic.replication_factor == -1 { self.settings.replication() } else { topic.replication_factor };
        let partitions =
            if topic.num_partitions == -1 { self.settings.default_partitions } else { topic.num_partitions };
        if usize::try_from(factor).unwrap_or(0) > self.nodes.len() || self.live().is_empty() {
            let text = format!(
                "Unable to replicate the partition {factor} time(s): The target replication factor of {factor} cannot be \
                 reached because only {} broker(s) are registered.",
                self.nodes.len()
            );
            return Err(bad_factor(text));
        }
        Ok((0..partitions).map(|index| self.place(index, factor)).collect())
    }

    fn create(&mut self, topic: &CreatableTopic, validate_only: bool) -> Result<CreatableTopicResult, Refused> {
        self.check_name(&topic.name)?;
        let configs = check_configs(topic.configs.iter().map(|c| (c.name.as_str(), c.value.as_deref())))?;
        let replicas = if topic.assignments.is_empty() { self.counted(topic)? } else { self.assigned(topic)? };
        let num_partitions = i32::try_from(replicas.len()).unwrap_or(i32::MAX);
        let replication_factor = replicas.first().map_or(-1, |r| i16::try_from(r.len()).unwrap_or(i16::MAX));
        let told = TOPIC.iter().map(|key| CreatableTopicConfigs {
            name: key.name.to_owned(),
            value: Some(configs.get(key.name).cloned().unwrap_or_else(|| key.default.to_owned())),
            read_only: false,
            config_source: if configs.contains_key(key.name) { TOPIC_CONFIG } else { DEFAULT_CONFIG },
            is_sensitive: false,
        });
        let told = told.collect();
        // A validated topic gets an id that nobody will ever see again.
        let topic_id = if validate_only { self.new_uuid() } else { self.create_topic(&topic.name, replicas, configs) };
        Ok(CreatableTopicResult {
            name: topic.name.clone(),
            topic_id,
            num_partitions,
            replication_factor,
            configs: Some(told),
            ..Default::default()
        })
    }
}

fn is_repeated(topics: &[CreatableTopic], name: &str) -> bool {
    topics.iter().filter(|t| t.name == name).count() > 1
}

impl Serve for CreateTopicsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<CreateTopicsResponse> {
        // A deadline that has passed on the controller's queue: usually nothing was created.
        if self.timeout_ms <= 0 {
            return Answer::Now(self.refuse(ErrorCode::REQUEST_TIMED_OUT));
        }
        let wanted: i64 =
            self.topics.iter().map(|t| i64::from(t.num_partitions.max(0)).max(t.assignments.len() as i64)).sum();
        if wanted > MOST_PARTITIONS {
            return Answer::Now(self.refuse(ErrorCode::POLICY_VIOLATION));
        }
        let mut topics = Vec::new();
        let mut repeated: BTreeMap<&str, CreatableTopicResult> = BTreeMap::new();
        for topic in &self.topics {
            let name = topic.name.as_str();
            if is_repeated(&self.topics, name) {
                let refused = (ErrorCode::INVALID_REQUEST, "Duplicate topic name.".to_owned());
                repeated.insert(name, failed(name, refused));
                continue;
            }
            let created = state.create(topic, self.validate_only);
            topics.push(created.unwrap_or_else(|refused| failed(name, refused)));
        }
        topics.extend(repeated.into_values());
        if call.version < 5 {
            for topic in &mut topics {
                topic.configs = None;
            }
        }
        Answer::Now(CreateTopicsResponse { topics, ..Default::default() })
    }

    fn refuse(&self, code: ErrorCode) -> CreateTopicsResponse {
        let topics = self.topics.iter().map(|t| failed(&t.name, (code, code.to_string()))).collect();
        CreateTopicsResponse { topics, ..Default::default() }
    }

    fn names(&self, topic: &str, _id: Option<Uuid>) -> bool {
        self.topics.iter().any(|t| t.name == topic)
    }
}

impl Respond for CreateTopicsResponse {
    fn fail(&mut self, code: ErrorCode) {
        for topic in self.topics.iter_mut().filter(|t| t.error_code.is_ok()) {
            *topic = failed(&topic.name, (code, code.to_string()));
        }
    }
    fn omit(&mut self) {
        self.topics.pop();
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
