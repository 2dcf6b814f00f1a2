//! `klamm topics`: list, describe, create, delete.

use crate::client::{ClientArgs, pair};
use crate::exit::Usage;
use crate::table::{self, join, or_dash};
use clap::{Args, Subcommand};
use klamm::admin::{Admin, NewPartitions, NewTopic, TopicDescription};
use klamm::{Node, PartitionInfo};
use serde_json::{Value, json};

/// Lists, describes, creates, grows and deletes topics
#[derive(Args, Debug)]
pub(crate) struct Topics {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(List),
    Describe(Describe),
    Create(Create),
    Grow(Grow),
    Delete(Delete),
}

/// All topics
#[derive(Args, Debug)]
struct List {
    #[command(flatten)]
    client: ClientArgs,
    /// Also Kafka's own
    #[arg(long)]
    internal: bool,
    /// One JSON object per topic
    #[arg(short = 'J', long)]
    json: bool,
}

/// Partitions, leaders and replicas; of all topics without a name
#[derive(Args, Debug)]
struct Describe {
    #[command(flatten)]
    client: ClientArgs,
    #[arg(value_name = "TOPIC")]
    topics: Vec<String>,
    /// One JSON object per topic
    #[arg(short = 'J', long)]
    json: bool,
}

/// Creates topics
#[derive(Args, Debug)]
struct Create {
    #[command(flatten)]
    client: ClientArgs,
    #[arg(value_name = "TOPIC", required = true)]
    topics: Vec<String>,
    /// How many partitions [default: the broker's num.partitions]
    #[arg(long, value_name = "N", default_value_t = -1, hide_default_value = true, allow_negative_numbers = true)]
    partitions: i32,
    /// On how many brokers each lies [default: the broker's default.replication.factor]
    #[arg(long, value_name = "N", default_value_t = -1, hide_default_value = true, allow_negative_numbers = true)]
    replication_factor: i16,
    /// Sets a topic configuration
    #[arg(long, value_name = "KEY=VALUE")]
    config: Vec<String>,
    /// Only checks whether they could be created
    #[arg(long)]
    validate_only: bool,
    /// A topic that exists is no failure
    #[arg(long)]
    if_not_exists: bool,
}

/// Adds partitions to topics
#[derive(Args, Debug)]
struct Grow {
    #[command(flatten)]
    client: ClientArgs,
    #[arg(value_name = "TOPIC", required = true)]
    topics: Vec<String>,
    /// How many partitions in all
    #[arg(long, value_name = "N")]
    partitions: i32,
}

/// Deletes topics with all that is in them
#[derive(Args, Debug)]
struct Delete {
    #[command(flatten)]
    client: ClientArgs,
    #[arg(value_name = "TOPIC", required = true)]
    topics: Vec<String>,
}

impl Topics {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::List(list) => list.run(),
            Command::Describe(describe) => describe.run(),
            Command::Create(create) => create.run(),
            Command::Grow(grow) => {
                let admin = grow.client.connect_plain()?;
                let to = |name| (name, NewPartitions::increase_to(grow.partitions));
                report(admin.kafka.admin().create_partitions(grow.topics.into_iter().map(to)).wait()?, "grown")
            }
            Command::Delete(delete) => {
                let client = delete.client.connect_plain()?;
                report(client.kafka.admin().delete_topics(delete.topics).wait()?, "deleted")
            }
        }
    }
}

impl List {
    fn run(self) -> anyhow::Result<()> {
        let client = self.client.connect_plain()?;
        let topics = client.kafka.admin().list_topics().include_internal(self.internal).wait()?;
        if self.json {
            table::json(topics.iter().map(|topic| {
                let id = topic.id.map(|id| id.to_string());
                json!({ "topic": &*topic.name, "id": id, "internal": topic.internal, "partitions": topic.partitions })
            }))?;
        } else {
            let row = |topic: klamm::admin::TopicListing| {
                [topic.name.to_string(), topic.partitions.to_string(), or_dash(topic.id)]
            };
            table::print(["TOPIC", "PARTITIONS", "ID"], topics.into_iter().map(row))?;
        }
        Ok(())
    }
}

impl Describe {
    fn run(self) -> anyhow::Result<()> {
        let client = self.client.connect_plain()?;
        let admin = client.kafka.admin();
        let names = if self.topics.is_empty() { all(&admin)? } else { self.topics };
        let mut failed = Ok(());
        let mut described = Vec::new();
        for (_, topic) in admin.describe_topics(names).wait()? {
            match topic {
                Ok(topic) => described.push(topic),
                Err(error) => failed = fail(&error),
            }
        }
        if self.json {
            table::json(described.iter().map(whole))?;
        } else {
            let rows = described.iter().flat_map(|topic| topic.partitions.iter().map(row));
            table::print(["TOPIC", "PARTITION", "LEADER", "REPLICAS", "IN SYNC", "OFFLINE"], rows)?;
        }
        failed
    }
}

fn all(admin: &Admin) -> klamm::Result<Vec<String>> {
    Ok(admin.list_topics().wait()?.into_iter().map(|topic| topic.name.to_string()).collect())
}

fn row(p: &PartitionInfo) -> [String; 6] {
    let ids = |nodes: &[Node]| join(nodes.iter().map(Node::id));
    [
        p.topic().to_owned(),
        p.partition().to_string(),
        or_dash(p.leader().map(Node::id)),
        ids(p.replicas()),
        ids(p.in_sync_replicas()),
        ids(p.offline_replicas()),
    ]
}

fn whole(topic: &TopicDescription) -> Value {
    let ids = |nodes: &[Node]| nodes.iter().map(Node::id).collect::<Vec<_>>();
    let partition = |p: &PartitionInfo| {
        json!({
            "partition": p.partition(), "leader": p.leader().map(Node::id), "replicas": ids(p.replicas()),
            "isr": ids(p.in_sync_replicas()), "offline": ids(p.offline_replicas()),
        })
    };
    let partitions: Vec<Value> = topic.partitions.iter().map(partition).collect();
    let id = topic.id.map(|id| id.to_string());
    json!({ "topic": &*topic.name, "id": id, "internal": topic.internal, "partitions": partitions })
}

impl Create {
    fn run(self) -> anyhow::Result<()> {
        let configs = self.config.iter().map(|text| pair("--config", text)).collect::<Result<Vec<_>, Usage>>()?;
        let topic = |name: &String| {
            let topic = NewTopic::new(name.as_str(), self.partitions, self.replication_factor);
            configs.iter().fold(topic, |topic, (key, value)| topic.config(*key, value))
        };
        let client = self.client.connect_plain()?;
        let topics = self.topics.iter().map(topic);
        let results = client.kafka.admin().create_topics(topics).validate_only(self.validate_only).wait()?;
        let mut failed = Ok(());
        for (name, created) in results {
            let exists = |error: &klamm::Error| error.code() == Some(klamm::ErrorCode::TOPIC_ALREADY_EXISTS);
            match created {
                Ok(_) if self.validate_only => eprintln!("{name} could be created"),
                Ok(_) => eprintln!("{name} created"),
                Err(error) if self.if_not_exists && exists(&error) => eprintln!("{name} exists"),
                Err(error) => failed = fail(&error),
            }
        }
        failed
    }
}

/// Says what became of each item.
pub(crate) fn report<K: ToString, V>(results: klamm::admin::Results<K, V>, done: &str) -> anyhow::Result<()> {
    let mut failed = Ok(());
    for (item, result) in results {
        match result {
            Ok(_) => eprintln!("{} {done}", item.to_string()),
            Err(error) => failed = fail(&error),
        }
    }
    failed
}

/// Says what went wrong with one item; the others go on.
pub(crate) fn fail(error: &klamm::Error) -> anyhow::Result<()> {
    eprintln!("klamm: {error}");
    Err(crate::exit::Told.into())
}
