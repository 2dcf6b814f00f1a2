//! IncrementalAlterConfigs (broker-coord 6.4).

use super::create_topics::Refused;
use super::describe_configs::dynamic_broker_key;
use crate::answer::{Answer, Call, Respond, Serve};
use crate::configs::{GROUP, Key, Kind, TOPIC, find};
use crate::state::{State, resource};
use klamm_core::ErrorCode;
use klamm_core::wire::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterConfigsResourceResponse, AlterableConfig,
};
use klamm_core::wire::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use std::collections::BTreeMap;

/// The operations, as the protocol numbers them.
mod operation {
    pub(super) const SET: i8 = 0;
    pub(super) const DELETE: i8 = 1;
    pub(super) const APPEND: i8 = 2;
    pub(super) const SUBTRACT: i8 = 3;
}

fn told(asked: &AlterConfigsResource, refused: Option<Refused>) -> AlterConfigsResourceResponse {
    let (error_code, error_message) = refused.map_or((ErrorCode::NONE, None), |(code, text)| (code, Some(text)));
    AlterConfigsResourceResponse {
        error_code,
        error_message,
        resource_type: asked.resource_type,
        resource_name: asked.resource_name.clone(),
    }
}

fn changed(old: Option<&str>, key: &Key, change: &AlterableConfig) -> Result<Option<String>, Refused> {
    let value = change.value.as_deref().unwrap_or_default();
    let items = |text: &str| -> Vec<String> {
        text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
    };
    let mut list = items(old.unwrap_or(key.default));
    match change.config_operation {
        operation::DELETE => return Ok(None),
        operation::SET => return Ok(Some(value.to_owned())),
        _ if key.kind != Kind::List => {
            let text = format!("Can't alter key {} as a list because it is none.", key.name);
            return Err((ErrorCode::INVALID_CONFIG, text));
        }
        operation::APPEND => {
            for item in items(value) {
                if !list.contains(&item) {
                    list.push(item);
                }
            }
        }
        operation::SUBTRACT => {
            let gone = items(value);
            list.retain(|item| !gone.contains(item));
        }
        other => return Err((ErrorCode::INVALID_REQUEST, format!("Unknown operation {other}."))),
    }
    Ok(Some(list.join(",")))
}

impl State {
    /// All or nothing of one resource.
    fn alter(&mut self, asked: &AlterConfigsResource, validate_only: bool, broker: i32) -> Result<(), Refused> {
        let invalid = |text: String| Err((ErrorCode::INVALID_REQUEST, text));
        let name = asked.resource_name.as_str();
        for (at, change) in asked.configs.iter().enumerate() {
            if asked.configs[at + 1..].iter().any(|other| other.name == change.name) {
                return invalid(format!("Error due to duplicate config key {}.", change.name));
            }
            if change.value.is_none() && change.config_operation != operation::DELETE {
                return invalid(format!("Null value not supported for: {}", change.name));
            }
        }
        let key_of: fn(&str) -> Option<&'static Key> = match asked.resource_type {
            resource::TOPIC => |name| find(TOPIC, name),
            resource::GROUP => |name| find(GROUP, name),
            resource::BROKER if name.is_empty() || name == broker.to_string() => dynamic_broker_key,
            resource::BROKER => return invalid(format!("Unexpected broker id {name}.")),
            other => return invalid(format!("Unsupported resource type {other}.")),
        };
        let place = (asked.resource_type, name.to_owned());
        let mut configs: BTreeMap<String, String> = match asked.resource_type {
            resource::TOPIC => self.topics.get(name).map(|t| t.configs.clone()).unwrap_or_default(),
            _ => self.configs.get(&place).cloned().unwrap_or_default(),
        };
        for change in &asked.configs {
            let Some(key) = key_of(&change.name) else {
                return Err((ErrorCode::INVALID_CONFIG, format!("Unknown config name: {}", change.name)));
            };
            match changed(configs.get(&change.name).map(String::as_str), key, change)? {
                None => {
                    configs.remove(&change.name);
                }
                Some(value) => {
                    let bad = match asked.resource_type {
                        resource::BROKER => ErrorCode::INVALID_REQUEST,
                        _ => ErrorCode::INVALID_CONFIG,
                    };
                    key.check(&value).map_err(|text| (bad, text))?;
                    configs.insert(change.name.clone(), value);
                }
            }
        }
        // Values are checked before it is asked whether the topic exists.
        if asked.resource_type == resource::TOPIC && self.topics.get(name).is_none() {
            return Err((ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("The topic '{name}' does not exist.")));
        }
        if !validate_only {
            match self.topics.get_mut(name).filter(|_| asked.resource_type == resource::TOPIC) {
                Some(topic) => topic.configs = configs,
                None => {
                    self.configs.insert(place, configs);
                }
            }
            self.configs_changed();
            self.parked.stale = true;
        }
        Ok(())
    }
}

impl Serve for IncrementalAlterConfigsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<IncrementalAlterConfigsResponse> {
        let same = |a: &AlterConfigsResource, b: &AlterConfigsResource| {
            a.resource_type == b.resource_type && a.resource_name == b.resource_name
        };
        // An operation that nobody knows spoils the request.
        let known = operation::SET..=operation::SUBTRACT;
        if self.resources.iter().flat_map(|r| &r.configs).any(|change| !known.contains(&change.config_operation)) {
            let code = ErrorCode::UNKNOWN_SERVER_ERROR;
            let responses = self
                .resources
                .iter()
                .map(|asked| AlterConfigsResourceResponse { error_code: code, ..told(asked, None) });
            return Answer::Now(IncrementalAlterConfigsResponse {
                responses: responses.collect(),
                ..Default::default()
            });
        }
        let mut responses = Vec::new();
        for asked in &self.resources {
            // The same resource twice: both are refused.
            let refused = if self.resources.iter().filter(|other| same(asked, other)).count() > 1 {
                Some((ErrorCode::INVALID_REQUEST, "Each resource must appear at most once.".to_owned()))
            } else {
                state.alter(asked, self.validate_only, call.broker).err()
            };
            responses.push(told(asked, refused));
        }
        Answer::Now(IncrementalAlterConfigsResponse { responses, ..Default::default() })
    }

    fn refuse(&self, code: ErrorCode) -> IncrementalAlterConfigsResponse {
        let responses = self.resources.iter().map(|r| told(r, Some((code, code.to_string())))).collect();
        IncrementalAlterConfigsResponse { responses, ..Default::default() }
    }
}

impl Respond for IncrementalAlterConfigsResponse {
    fn fail(&mut self, code: ErrorCode) {
        for response in self.responses.iter_mut().filter(|r| r.error_code.is_ok()) {
            response.error_code = code;
            response.error_message = Some(code.to_string());
        }
    }
    fn omit(&mut self) {
        self.responses.pop();
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
