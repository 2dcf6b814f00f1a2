//! Configurations of topics, brokers and groups: reading and changing them (KIP-226, KIP-339).

use super::types::{ConfigChange, ConfigEntry, ConfigResource, ConfigSource, ConfigSynonym};
use super::{Answer, Value};
use crate::Error;
use crate::client::role::Response;
use crate::wire::messages::describe_configs::{DescribeConfigsResource, DescribeConfigsResourceResult};
use crate::wire::messages::incremental_alter_configs::{AlterConfigsResource, AlterableConfig};
use crate::wire::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest};

const FIRST_WITH_DOCUMENTATION: i16 = 3;

pub(super) fn describe(
    resources: &[ConfigResource],
    which: &[usize],
    synonyms: bool,
    documentation: bool,
    version: i16,
) -> DescribeConfigsRequest {
    let one = |r: &ConfigResource| DescribeConfigsResource {
        resource_type: r.kind.wire(),
        resource_name: r.name.to_string(),
        configuration_keys: None,
    };
    DescribeConfigsRequest {
        resources: which.iter().filter_map(|n| resources.get(*n)).map(one).collect(),
        include_synonyms: synonyms,
        include_documentation: documentation && version >= FIRST_WITH_DOCUMENTATION,
    }
}

pub(super) fn described(
    response: &Response,
    resources: &[ConfigResource],
    which: &[usize],
) -> Result<Vec<Answer>, Error> {
    let results = response.decode::<DescribeConfigsRequest>()?.results;
    let mut answers = Vec::with_capacity(results.len());
    for r in results {
        let Some(n) = find(resources, which, r.resource_type, &r.resource_name) else { continue };
        let entries = r.configs.into_iter().map(entry).collect();
        answers.push(Answer::new(n, r.error_code, r.error_message, Value::Configs(entries)));
    }
    Ok(answers)
}

fn find(resources: &[ConfigResource], which: &[usize], kind: i8, name: &str) -> Option<usize> {
    which.iter().copied().find(|n| resources.get(*n).is_some_and(|r| r.kind.wire() == kind && *r.name == *name))
}

fn entry(c: DescribeConfigsResourceResult) -> ConfigEntry {
    let synonym = |s: crate::wire::messages::describe_configs::DescribeConfigsSynonym| ConfigSynonym {
        name: s.name.into(),
        value: s.value.map(Into::into),
        source: ConfigSource::from_wire(s.source),
    };
    ConfigEntry {
        name: c.name.into(),
        value: c.value.map(Into::into),
        source: ConfigSource::from_wire(c.config_source),
        read_only: c.read_only,
        sensitive: c.is_sensitive,
        synonyms: c.synonyms.into_iter().map(synonym).collect(),
        documentation: c.documentation.map(Into::into),
    }
}

pub(super) fn alter(
    changes: &[(ConfigResource, Vec<ConfigChange>)],
    which: &[usize],
    validate_only: bool,
) -> IncrementalAlterConfigsRequest {
    let one = |(r, changes): &(ConfigResource, Vec<ConfigChange>)| AlterConfigsResource {
        resource_type: r.kind.wire(),
        resource_name: r.name.to_string(),
        configs: changes
            .iter()
            .map(|c| AlterableConfig {
                name: c.name.to_string(),
                config_operation: c.change.wire(),
                value: c.value.as_deref().map(Into::into),
            })
            .collect(),
    };
    let resources = which.iter().filter_map(|n| changes.get(*n)).map(one).collect();
    IncrementalAlterConfigsRequest { resources, validate_only }
}

pub(super) fn altered(
    response: &Response,
    changes: &[(ConfigResource, Vec<ConfigChange>)],
    which: &[usize],
) -> Result<Vec<Answer>, Error> {
    let resources: Vec<ConfigResource> = changes.iter().map(|(r, _)| r.clone()).collect();
    let results = response.decode::<IncrementalAlterConfigsRequest>()?.responses;
    let answer = |r: crate::wire::messages::incremental_alter_configs::AlterConfigsResourceResponse| {
        let n = find(&resources, which, r.resource_type, &r.resource_name)?;
        Some(Answer::new(n, r.error_code, r.error_message, Value::Unit))
    };
    Ok(results.into_iter().filter_map(answer).collect())
}
