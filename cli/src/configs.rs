//! `klamm configs`: reading and changing the configurations of topics, brokers and groups.

use crate::client::{ClientArgs, pair};
use crate::exit::Usage;
use crate::table::{self, or_dash};
use crate::topics::fail;
use clap::Args;
use klamm::admin::{Admin, ConfigChange, ConfigEntry, ConfigResource, ConfigSource};
use serde_json::json;

/// Shows configurations, or changes single keys of them
#[derive(Args, Debug)]
pub(crate) struct Configs {
    #[command(flatten)]
    client: ClientArgs,
    #[command(flatten)]
    of: Whose,
    #[command(flatten)]
    change: Changes,
    /// Also values that are the default
    #[arg(long)]
    all: bool,
    /// One JSON object per key
    #[arg(short = 'J', long)]
    json: bool,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Whose")]
struct Whose {
    /// A topic's
    #[arg(long)]
    topic: Vec<String>,
    /// A broker's, by its id; `default` for what holds for all
    #[arg(long)]
    broker: Vec<String>,
    /// A group's (Kafka 4.0 and later)
    #[arg(long)]
    group: Vec<String>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Changes")]
struct Changes {
    /// Sets a value
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Goes back to the default
    #[arg(long, value_name = "KEY")]
    delete: Vec<String>,
    /// Adds to a list
    #[arg(long, value_name = "KEY=VALUE")]
    append: Vec<String>,
    /// Takes out of a list
    #[arg(long, value_name = "KEY=VALUE")]
    subtract: Vec<String>,
    /// Only checks whether they could be changed
    #[arg(long)]
    validate_only: bool,
}

impl Whose {
    fn resources(&self) -> Result<Vec<ConfigResource>, Usage> {
        let broker = |id: &String| match id.as_str() {
            "default" => Ok(ConfigResource::broker_defaults()),
            id => match id.parse() {
                Ok(id) => Ok(ConfigResource::broker(id)),
                Err(_) => Err(Usage(format!("--broker {id}: an id or `default` is wanted"))),
            },
        };
        let mut all: Vec<_> = self.topic.iter().map(|name| ConfigResource::topic(name.as_str())).collect();
        all.extend(self.broker.iter().map(broker).collect::<Result<Vec<_>, _>>()?);
        all.extend(self.group.iter().map(|name| ConfigResource::group(name.as_str())));
        if all.is_empty() { Err(Usage("whose? give --topic, --broker or --group".to_owned())) } else { Ok(all) }
    }
}

impl Changes {
    fn changes(&self) -> Result<Vec<ConfigChange>, Usage> {
        let mut all = Vec::new();
        for text in &self.set {
            let (key, value) = pair("--set", text)?;
            all.push(ConfigChange::set(key, value));
        }
        all.extend(self.delete.iter().map(|key| ConfigChange::delete(key.as_str())));
        for text in &self.append {
            let (key, value) = pair("--append", text)?;
            all.push(ConfigChange::append(key, value));
        }
        for text in &self.subtract {
            let (key, value) = pair("--subtract", text)?;
            all.push(ConfigChange::subtract(key, value));
        }
        Ok(all)
    }
}

impl Configs {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let resources = self.of.resources()?;
        let changes = self.change.changes()?;
        let client = self.client.connect_plain()?;
        let admin = client.kafka.admin();
        if changes.is_empty() { self.show(&admin, resources) } else { self.alter(&admin, resources, &changes) }
    }

    fn alter(&self, admin: &Admin, of: Vec<ConfigResource>, changes: &[ConfigChange]) -> anyhow::Result<()> {
        let each = of.into_iter().map(|resource| (resource, changes.to_vec()));
        let mut failed = Ok(());
        let done = if self.change.validate_only { "could be changed" } else { "changed" };
        for (resource, result) in
            admin.incremental_alter_configs(each).validate_only(self.change.validate_only).wait()?
        {
            match result {
                Ok(()) => eprintln!("{} {} {done}", resource.kind(), resource.name()),
                Err(error) => failed = fail(&error),
            }
        }
        failed
    }

    fn show(&self, admin: &Admin, of: Vec<ConfigResource>) -> anyhow::Result<()> {
        let mut failed = Ok(());
        let mut entries: Vec<(ConfigResource, ConfigEntry)> = Vec::new();
        for (resource, config) in admin.describe_configs(of).wait()? {
            match config {
                Ok(config) => {
                    let shown = config.into_iter().filter(|entry| self.all || entry.source != ConfigSource::Default);
                    entries.extend(shown.map(|entry| (resource.clone(), entry)));
                }
                Err(error) => failed = fail(&error),
            }
        }
        if self.json {
            table::json(entries.iter().map(|(of, entry)| {
                json!({
                    "resource": of.kind().to_string(), "name": of.name(), "key": &*entry.name,
                    "value": entry.value.as_deref(), "source": entry.source.to_string(),
                    "read_only": entry.read_only, "sensitive": entry.sensitive,
                })
            }))?;
        } else {
            let row = |(of, entry): &(ConfigResource, ConfigEntry)| {
                let value = if entry.sensitive { "***".to_owned() } else { or_dash(entry.value.as_deref()) };
                let whose = format!("{} {}", of.kind(), of.name());
                [whose, entry.name.to_string(), value, entry.source.to_string()]
            };
            table::print(["OF", "KEY", "VALUE", "SOURCE"], entries.iter().map(row))?;
        }
        failed
    }
}
