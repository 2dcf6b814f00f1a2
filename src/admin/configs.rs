//! Configurations of topics, brokers and groups.

use super::{Results, once, unit};
use klamm_core::admin::types::{ConfigChange, ConfigEntry, ConfigResource};
use klamm_core::admin::{AdminRequest, Value};

/// A configuration: its entries, in the broker's order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[doc(alias = "Config")]
pub struct ConfigEntries {
    entries: Vec<ConfigEntry>,
}

impl ConfigEntries {
    /// An entry by its key.
    pub fn get(&self, name: &str) -> Option<&ConfigEntry> {
        self.entries.iter().find(|entry| *entry.name == *name)
    }

    /// A value by its key; `None` for secrets too, which brokers do not tell.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.get(name)?.value.as_deref()
    }

    /// The entries.
    pub fn iter(&self) -> std::slice::Iter<'_, ConfigEntry> {
        self.entries.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl IntoIterator for ConfigEntries {
    type Item = ConfigEntry;
    type IntoIter = std::vec::IntoIter<ConfigEntry>;
    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<'a> IntoIterator for &'a ConfigEntries {
    type Item = &'a ConfigEntry;
    type IntoIter = std::slice::Iter<'a, ConfigEntry>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

fn resource(resource: &ConfigResource) -> String {
    match resource.name() {
        "" => format!("configuration of every {}", resource.kind()),
        name => format!("configuration of {} {name:?}", resource.kind()),
    }
}

op! {
    /// Reads configurations.
    ///
    /// ```no_run
    /// # async fn doc(admin: klamm::admin::Admin) -> klamm::Result<()> {
    /// use klamm::admin::ConfigResource;
    /// for (topic, config) in admin.describe_configs([ConfigResource::topic("orders")]).await?.all()? {
    ///     println!("{}: {:?}", topic.name(), config.value("retention.ms"));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "describeConfigs")]
    describe_configs(resources: Vec<ConfigResource> =
        |resources: impl IntoIterator<Item = ConfigResource>| once(resources))
        -> Results<ConfigResource, ConfigEntries>;
    DescribeConfigs {
        flags {
            /// Also the values that would count if the ones before them were not set. Default false.
            #[doc(alias = "includeSynonyms")]
            include_synonyms,
            /// Also what each key means (KIP-226, Kafka 2.6 and later). Default false.
            #[doc(alias = "includeDocumentation")]
            include_documentation,
        }
        lists {}
    }
    |op| {
        let request = AdminRequest::DescribeConfigs {
            resources: op.resources.clone(),
            synonyms: op.include_synonyms,
            documentation: op.include_documentation,
        };
        op.admin.each(op.limit, request, op.resources, resource, |value| match value {
            Value::Configs(entries) => Some(ConfigEntries { entries }),
            _ => None,
        })
    }
}

op! {
    /// Changes single keys of configurations (KIP-339, Kafka 2.3 and later); the other keys stay as they are.
    ///
    /// ```no_run
    /// # async fn doc(admin: klamm::admin::Admin) -> klamm::Result<()> {
    /// use klamm::admin::{ConfigChange, ConfigResource};
    /// let changes = vec![ConfigChange::set("retention.ms", 86_400_000), ConfigChange::delete("segment.ms")];
    /// admin.incremental_alter_configs([(ConfigResource::topic("orders"), changes)]).await?.all()?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "incrementalAlterConfigs")]
    incremental_alter_configs(changes: Vec<(ConfigResource, Vec<ConfigChange>)> =
        |changes: impl IntoIterator<Item = (ConfigResource, Vec<ConfigChange>)>| changes.into_iter().collect())
        -> Results<ConfigResource, ()>;
    IncrementalAlterConfigs {
        flags {
            /// Only checks whether they could be changed. Default false.
            #[doc(alias = "validateOnly")]
            validate_only,
        }
        lists {}
    }
    |op| {
        let keys = op.changes.iter().map(|(resource, _)| resource.clone()).collect();
        let request = AdminRequest::AlterConfigs { changes: op.changes, validate_only: op.validate_only };
        op.admin.each(op.limit, request, keys, resource, unit)
    }
}
