//! ApiVersions (broker-data 1.5 to 1.10, 2).

use super::spoil;
use crate::answer::{Answer, Call, Respond, Serve};
use crate::api::Api;
use crate::state::State;
use klamm_core::ErrorCode;
use klamm_core::wire::messages::api_versions::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use klamm_core::wire::messages::{ApiVersionsRequest, ApiVersionsResponse};

/// Name, highest level and finalized level of the features of a fresh 4.4 cluster whose level a client may look at.
const FEATURES: &[(&str, i16, i16, i16)] =
    &[("group.version", 0, 1, 1), ("metadata.version", 7, 33, 33), (TRANSACTION_VERSION, 0, 2, 2)];
/// Its level is the cluster's to choose.
const TRANSACTION_VERSION: &str = "transaction.version";

fn entry(api: Api, unstable: bool) -> ApiVersion {
    let (min_version, max_version) = api.served(unstable);
    // 1.10: Produce is announced from 0 on, though versions below 3 close the connection.
    let min_version = if api == Api::Produce { 0 } else { min_version };
    ApiVersion { api_key: api.key(), min_version, max_version }
}

/// 1.5: the answer to a version that the broker does not speak.
pub(crate) fn unsupported() -> ApiVersionsResponse {
    ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        api_keys: vec![entry(Api::ApiVersions, false)],
        ..Default::default()
    }
}

/// 1.7: `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`.
fn is_software(text: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    ends(text.chars().next()) && ends(text.chars().last()) && text.chars().all(inside)
}

impl Serve for ApiVersionsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<ApiVersionsResponse> {
        let named = is_software(&self.client_software_name) && is_software(&self.client_software_version);
        if call.version >= 3 && !named {
            return Answer::Now(self.refuse(ErrorCode::INVALID_REQUEST));
        }
        // 1.8: a client that names the broker it means gets no other.
        match &self.cluster_id {
            None if self.node_id == -1 => {}
            Some(cluster) if self.node_id != -1 => {
                if *cluster != state.settings.cluster_id || self.node_id != call.broker {
                    return Answer::Now(self.refuse(ErrorCode::REBOOTSTRAP_REQUIRED));
                }
            }
            _ => return Answer::Now(self.refuse(ErrorCode::INVALID_REQUEST)),
        }
        // In version 3 features whose lowest level is 0 are left out.
        let transactions = state.settings.transaction_version;
        let unstable = state.settings.unstable_versions;
        let shown = |min: i16| call.version >= 4 || min > 0;
        Answer::Now(ApiVersionsResponse {
            api_keys: Api::ALL.iter().map(|api| entry(*api, unstable)).collect(),
            supported_features: FEATURES
                .iter()
                .filter(|(_, min, ..)| shown(*min))
                .map(|&(name, min_version, max_version, _)| SupportedFeatureKey {
                    name: name.to_owned(),
                    min_version,
                    max_version,
                })
                .collect(),
            finalized_features_epoch: state.features_epoch,
            finalized_features: FEATURES
                .iter()
                .map(|&(name, .., fresh)| (name, if name == TRANSACTION_VERSION { transactions } else { fresh }))
                .filter(|(_, level)| *level > 0)
                .map(|(name, level)| FinalizedFeatureKey {
                    name: name.to_owned(),
                    max_version_level: level,
                    min_version_level: level,
                })
                .collect(),
            ..Default::default()
        })
    }

    fn refuse(&self, error_code: ErrorCode) -> ApiVersionsResponse {
        ApiVersionsResponse { error_code, ..Default::default() }
    }
}

impl Respond for ApiVersionsResponse {
    fn fail(&mut self, code: ErrorCode) {
        spoil(&mut self.error_code, code);
    }
    fn omit(&mut self) {
        self.api_keys.pop();
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
