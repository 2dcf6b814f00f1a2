//! DescribeConfigs (broker-coord 6.4).

use super::create_topics::Refused;
use crate::answer::{Answer, Call, Respond, Serve};
use crate::configs::{BROKER, DYNAMIC, GROUP, Key, Kind, TOPIC, VERIFICATION, find};
use crate::state::{State, resource};
use crate::topics::is_valid_name;
use klamm_core::ErrorCode;
use klamm_core::wire::messages::describe_configs::{
    DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use klamm_core::wire::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use std::collections::BTreeMap;

/// Where a value comes from, as the protocol numbers it.
mod source {
    pub(super) const TOPIC: i8 = 1;
    pub(super) const BROKER: i8 = 2;
    pub(super) const DEFAULT_BROKER: i8 = 3;
    pub(super) const STATIC: i8 = 4;
    pub(super) const DEFAULT: i8 = 5;
    pub(super) const GROUP: i8 = 8;
}

/// The values that a key has at each level, the one that counts first.
type Levels = Vec<(i8, String, String)>;

fn failed(resource_type: i8, name: &str, (error_code, message): Refused) -> DescribeConfigsResult {
    DescribeConfigsResult {
        error_code,
        error_message: Some(message),
        resource_type,
        resource_name: name.to_owned(),
        configs: Vec::new(),
    }
}

impl State {
    fn dynamic(&self, kind: i8, name: &str) -> BTreeMap<String, String> {
        self.configs.get(&(kind, name.to_owned())).cloned().unwrap_or_default()
    }

    /// What the broker has under a broker key: set for it, for all, in its file, by default.
    fn broker_levels(&self, broker: i32, key: &str, default: &str) -> Levels {
        let mut levels = Levels::new();
        let mut add = |source, value: Option<String>| {
            if let Some(value) = value {
                levels.push((source, key.to_owned(), value));
            }
        };
        add(source::BROKER, self.dynamic(resource::BROKER, &broker.to_string()).remove(key));
        add(source::DEFAULT_BROKER, self.dynamic(resource::BROKER, "").remove(key));
        add(source::STATIC, self.static_value(broker, key));
        add(source::DEFAULT, Some(default.to_owned()));
        levels
    }

    /// Whether a leader asks coordinators about transactions that did not come with version 2 (broker-data 4.20).
    pub(crate) fn verifies_transactions(&self, broker: i32) -> bool {
        let levels = self.broker_levels(broker, VERIFICATION, "true");
        levels.first().is_none_or(|(_, _, value)| value != "false")
    }

    fn static_value(&self, broker: i32, key: &str) -> Option<String> {
        let settings = &self.settings;
        if let Some(value) = settings.broker_configs.get(key) {
            return Some(value.clone());
        }
        Some(match key {
            "node.id" | "broker.id" => broker.to_string(),
            "auto.create.topics.enable" => settings.auto_create.to_string(),
            "num.partitions" => settings.default_partitions.to_string(),
            "default.replication.factor" => settings.replication().to_string(),
            "min.insync.replicas" if settings.min_insync_replicas != 1 => settings.min_insync_replicas.to_string(),
            "offsets.topic.num.partitions" => settings.offsets_partitions.to_string(),
            "group.initial.rebalance.delay.ms" => settings.group_initial_delay.as_millis().to_string(),
            "group.min.session.timeout.ms" => settings.group_min_session.as_millis().to_string(),
            "group.max.session.timeout.ms" => settings.group_max_session.as_millis().to_string(),
            _ => return None,
        })
    }

    fn levels(&self, kind: i8, name: &str, key: &Key, broker: i32) -> Levels {
        let mut levels = Levels::new();
        match kind {
            resource::TOPIC => {
                let own = self.topics.get(name).and_then(|t| t.configs.get(key.name));
                levels.extend(own.map(|value| (source::TOPIC, key.name.to_owned(), value.clone())));
                let below = if key.broker.is_empty() { key.name } else { key.broker };
                levels.extend(self.broker_levels(broker, below, key.default));
            }
            resource::GROUP => {
                let own = self.dynamic(kind, name).remove(key.name);
                levels.extend(own.map(|value| (source::GROUP, key.name.to_owned(), value)));
                levels.push((source::DEFAULT, key.broker.to_owned(), key.default.to_owned()));
            }
            _ => levels = self.broker_levels(broker, key.name, key.default),
        }
        levels
    }

    fn describe_configs(
        &self,
        asked: &DescribeConfigsResource,
        request: &DescribeConfigsRequest,
        call: &Call,
    ) -> Result<Vec<DescribeConfigsResourceResult>, Refused> {
        let name = asked.resource_name.as_str();
        let invalid = |text: String| Err((ErrorCode::INVALID_REQUEST, text));
        let dynamic_broker_keys = || TOPIC.iter().filter(|key| !key.broker.is_empty());
        // Name, default, type, whether it can be changed.
        let keys: Vec<(&Key, &str, bool)> = match asked.resource_type {
            resource::TOPIC if !is_valid_name(name) => {
                return Err((ErrorCode::INVALID_TOPIC_EXCEPTION, format!("Topic name '{name}' is illegal.")));
            }
            resource::TOPIC if self.topics.get(name).is_none() => {
                return Err((ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, String::new()));
            }
            resource::TOPIC => TOPIC.iter().map(|key| (key, key.name, false)).collect(),
            resource::GROUP => GROUP.iter().map(|key| (key, key.name, false)).collect(),
            resource::BROKER if name.is_empty() => {
                let set = self.dynamic(resource::BROKER, "");
                let of_topics = dynamic_broker_keys().map(|k| (k, k.broker, false));
                let all = of_topics.chain(DYNAMIC.iter().map(|k| (k, k.name, false)));
                all.filter(|(_, name, _)| set.contains_key(*name)).collect()
            }
            resource::BROKER if name != call.broker.to_string() => {
                return invalid(format!(
                    "Unexpected broker id, expected {} or empty string, but received {name}",
                    call.broker
                ));
            }
            resource::BROKER => {
                let own = BROKER.iter().map(|key| (key, key.name, true));
                let own = own.chain(DYNAMIC.iter().map(|key| (key, key.name, false)));
                own.chain(dynamic_broker_keys().map(|key| (key, key.broker, false))).collect()
            }
            // Loggers and client metrics exist, but nothing is known of them.
            resource::BROKER_LOGGER | resource::CLIENT_METRICS => Vec::new(),
            other => return invalid(format!("Unsupported resource type: {other}")),
        };
        let wanted = |name: &str| asked.configuration_keys.as_ref().is_none_or(|k| k.iter().any(|k| k == name));
        let mut configs = Vec::new();
        for (key, shown, read_only) in keys.into_iter().filter(|(_, shown, _)| wanted(shown)) {
            let mut levels = if shown == key.name {
                self.levels(asked.resource_type, name, key, call.broker)
            } else {
                self.broker_levels(call.broker, shown, key.default)
            };
            if asked.resource_type == resource::BROKER && name.is_empty() {
                levels.retain(|(source, ..)| *source == source::DEFAULT_BROKER);
            }
            let Some((config_source, _, value)) = levels.first().cloned() else { continue };
            let synonyms = levels.into_iter().map(|(source, name, value)| DescribeConfigsSynonym {
                name,
                value: Some(value),
                source,
            });
            configs.push(DescribeConfigsResourceResult {
                name: shown.to_owned(),
                value: Some(value),
                read_only,
                config_source,
                is_sensitive: false,
                synonyms: if request.include_synonyms { synonyms.collect() } else { Vec::new() },
                config_type: config_type(key),
                documentation: None,
            });
        }
        Ok(configs)
    }
}

fn config_type(key: &Key) -> i8 {
    let kind: Kind = key.kind;
    kind as i8
}

impl Serve for DescribeConfigsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<DescribeConfigsResponse> {
        let known =
            [resource::TOPIC, resource::BROKER, resource::BROKER_LOGGER, resource::CLIENT_METRICS, resource::GROUP];
        // One unknown type spoils the whole request.
        if self.resources.iter().any(|r| !known.contains(&r.resource_type)) {
            return Answer::Now(self.refuse(ErrorCode::INVALID_REQUEST));
        }
        let results = self.resources.iter().map(|asked| {
            let name = &asked.resource_name;
            match state.describe_configs(asked, &self, call) {
                Err(refused) => failed(asked.resource_type, name, refused),
                Ok(configs) => DescribeConfigsResult {
                    error_code: ErrorCode::NONE,
                    error_message: Some(String::new()),
                    resource_type: asked.resource_type,
                    resource_name: name.clone(),
                    configs,
                },
            }
        });
        Answer::Now(DescribeConfigsResponse { results: results.collect(), ..Default::default() })
    }

    fn refuse(&self, code: ErrorCode) -> DescribeConfigsResponse {
        let refused = |r: &DescribeConfigsResource| failed(r.resource_type, &r.resource_name, (code, code.to_string()));
        DescribeConfigsResponse { results: self.resources.iter().map(refused).collect(), ..Default::default() }
    }
}

impl Respond for DescribeConfigsResponse {
    fn fail(&mut self, code: ErrorCode) {
        for result in self.results.iter_mut().filter(|r| r.error_code.is_ok()) {
            *result = failed(result.resource_type, &result.resource_name, (code, code.to_string()));
        }
    }
    fn omit(&mut self) {
        self.results.pop();
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}

/// The key of a broker that can be changed while it runs.
pub(super) fn dynamic_broker_key(name: &str) -> Option<&'static Key> {
    let of_topics = TOPIC.iter().find(|key| key.broker == name).filter(|_| find(BROKER, name).is_none());
    of_topics.or_else(|| find(DYNAMIC, name))
}
