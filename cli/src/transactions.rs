//! `klamm transactions`: listing, describing and ending them.

use crate::client::ClientArgs;
use crate::exit::Usage;
use crate::table::{self, join, or_dash};
use crate::topics::fail;
use clap::{Args, Subcommand};
use klamm::TopicPartition;
use klamm::admin::{
    AbortTransactionSpec, Admin, ProducerState, TransactionDescription, TransactionListing, TransactionState,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Lists transactional ids, shows what they do, and ends transactions that hang
#[derive(Args, Debug)]
pub(crate) struct Transactions {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(List),
    Describe(Describe),
    Producers(Producers),
    FindHanging(FindHanging),
    Abort(Abort),
    Fence(Fence),
}

/// Lists transactional ids, those of all brokers
#[derive(Args, Debug)]
struct List {
    #[command(flatten)]
    client: ClientArgs,
    /// Only those in this state, such as Ongoing
    #[arg(long, value_name = "STATE")]
    state: Vec<String>,
    /// Only those that this producer id has
    #[arg(long, value_name = "ID")]
    producer_id: Vec<i64>,
    /// Only those whose transaction has been open for more than so many seconds
    #[arg(long, value_name = "SECONDS")]
    open_for: Option<f64>,
    /// Only those that this regular expression matches as a whole
    #[arg(long, value_name = "REGEX")]
    matching: Option<String>,
    /// One JSON object per transactional id
    #[arg(short = 'J', long)]
    json: bool,
}

/// Describes transactional ids: their state, and where they write
#[derive(Args, Debug)]
struct Describe {
    #[command(flatten)]
    client: ClientArgs,
    #[arg(value_name = "TRANSACTIONAL_ID", required = true)]
    ids: Vec<String>,
    /// One JSON object per transactional id
    #[arg(short = 'J', long)]
    json: bool,
}

/// Shows the producers that the partitions of topics know
#[derive(Args, Debug)]
struct Producers {
    #[command(flatten)]
    client: ClientArgs,
    #[arg(value_name = "TOPIC", required = true)]
    topics: Vec<String>,
    /// Only those with an open transaction
    #[arg(long)]
    open: bool,
    /// Asks this broker instead of the leaders
    #[arg(long, value_name = "ID")]
    broker: Option<i32>,
    /// One JSON object per producer and partition
    #[arg(short = 'J', long)]
    json: bool,
}

/// Finds transactions that are open in a partition and that no coordinator will end
#[derive(Args, Debug)]
struct FindHanging {
    #[command(flatten)]
    client: ClientArgs,
    /// Looks in these topics only
    #[arg(value_name = "TOPIC")]
    topics: Vec<String>,
    /// Leaves out those that wrote something in the last so many seconds: more than transaction.max.timeout.ms
    #[arg(long, value_name = "SECONDS", default_value_t = 900.0)]
    idle_for: f64,
    /// One JSON object per transaction and partition
    #[arg(short = 'J', long)]
    json: bool,
}

/// Aborts what a transaction wrote to one partition, past its coordinator
#[derive(Args, Debug)]
struct Abort {
    #[command(flatten)]
    client: ClientArgs,
    topic: String,
    partition: i32,
    /// Where the transaction begins
    #[arg(long, value_name = "OFFSET")]
    start_offset: i64,
}

/// Fences the producers of transactional ids: what they have open is aborted
#[derive(Args, Debug)]
struct Fence {
    #[command(flatten)]
    client: ClientArgs,
    #[arg(value_name = "TRANSACTIONAL_ID", required = true)]
    ids: Vec<String>,
}

impl Transactions {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.what {
            What::List(command) => command.run(),
            What::Describe(command) => command.run(),
            What::Producers(command) => command.run(),
            What::FindHanging(command) => command.run(),
            What::Abort(command) => command.run(),
            What::Fence(command) => command.run(),
        }
    }
}

fn seconds(option: &str, given: f64) -> Result<Duration, Usage> {
    Duration::try_from_secs_f64(given).map_err(|e| Usage(format!("{option} {given}: {e}")))
}

impl List {
    fn run(self) -> anyhow::Result<()> {
        let state = |text: &String| {
            TransactionState::parse(text).ok_or_else(|| Usage(format!("--state {text}: no such state")))
        };
        let states = self.state.iter().map(state).collect::<Result<Vec<_>, _>>()?;
        let open_for = self.open_for.map(|given| seconds("--open-for", given)).transpose()?;
        let client = self.client.connect_plain()?;
        let mut list = client.kafka.admin().list_transactions().in_states(states).with_producer_ids(self.producer_id);
        if let Some(open_for) = open_for {
            list = list.open_for(open_for);
        }
        if let Some(matching) = self.matching {
            list = list.matching(matching);
        }
        let listed = list.wait()?;
        if self.json {
            table::json(listed.iter().map(|one| {
                json!({
                    "transactional_id": &*one.transactional_id, "coordinator": one.coordinator,
                    "producer_id": one.producer_id, "state": &*one.state,
                })
            }))?;
        } else {
            let row = |one: &TransactionListing| {
                let (coordinator, producer) = (one.coordinator.to_string(), one.producer_id.to_string());
                [one.transactional_id.to_string(), coordinator, producer, one.state.to_string()]
            };
            table::print(["TRANSACTIONAL_ID", "COORDINATOR", "PRODUCER_ID", "STATE"], listed.iter().map(row))?;
        }
        Ok(())
    }
}

fn names(partitions: &[TopicPartition]) -> Vec<String> {
    partitions.iter().map(ToString::to_string).collect()
}

impl Describe {
    fn run(self) -> anyhow::Result<()> {
        let client = self.client.connect_plain()?;
        let mut failed = Ok(());
        let mut described = Vec::new();
        for (_, one) in client.kafka.admin().describe_transactions(self.ids).wait()? {
            match one {
                Ok(one) => described.push(one),
                Err(error) => failed = fail(&error),
            }
        }
        if self.json {
            table::json(described.iter().map(|one| {
                json!({
                    "transactional_id": &*one.transactional_id, "coordinator": one.coordinator,
                    "producer_id": one.producer_id, "producer_epoch": one.producer_epoch, "state": &*one.state,
                    "timeout_ms": one.timeout.as_millis() as u64, "start": one.start.map(|t| t.0),
                    "partitions": names(&one.partitions),
                })
            }))?;
        } else {
            let heads = [
                "TRANSACTIONAL_ID",
                "COORDINATOR",
                "PRODUCER_ID",
                "EPOCH",
                "STATE",
                "TIMEOUT_MS",
                "START",
                "PARTITIONS",
            ];
            let row = |one: &TransactionDescription| {
                let text = |n: i64| n.to_string();
                let timeout = one.timeout.as_millis().to_string();
                let partitions = Some(join(names(&one.partitions))).filter(|p| !p.is_empty());
                [
                    one.transactional_id.to_string(),
                    text(one.coordinator.into()),
                    text(one.producer_id),
                    text(one.producer_epoch.into()),
                    one.state.to_string(),
                    timeout,
                    or_dash(one.start.map(|t| t.0)),
                    or_dash(partitions),
                ]
            };
            table::print(heads, described.iter().map(row))?;
        }
        failed
    }
}

/// What one partition knows of one producer.
type Known = (TopicPartition, ProducerState);

/// The producers of all partitions of these topics; of every topic if none is named.
fn known(admin: &Admin, topics: Vec<String>, broker: Option<i32>) -> anyhow::Result<Vec<Known>> {
    let topics = match topics.is_empty() {
        true => admin.list_topics().include_internal(true).wait()?.iter().map(|t| t.name.to_string()).collect(),
        false => topics,
    };
    let mut places: Vec<TopicPartition> = Vec::new();
    for (_, topic) in admin.describe_topics(topics).wait()?.all()? {
        places.extend(topic.partitions.iter().map(|p| TopicPartition::from((&*topic.name, p.partition()))));
    }
    let mut asked = admin.describe_producers(places);
    if let Some(broker) = broker {
        asked = asked.broker(broker);
    }
    let mut all = Vec::new();
    for (place, producers) in asked.wait()?.all()? {
        all.extend(producers.into_iter().map(|one| (place.clone(), one)));
    }
    Ok(all)
}

fn show(all: &[Known], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let value = |(place, one): &Known| -> Value {
            json!({
                "topic": &*place.topic, "partition": place.partition, "producer_id": one.producer_id,
                "producer_epoch": one.producer_epoch, "coordinator_epoch": one.coordinator_epoch,
                "last_sequence": one.last_sequence, "last_timestamp": one.last_timestamp.map(|t| t.0),
                "start_offset": one.current_transaction_start,
            })
        };
        table::json(all.iter().map(value))?;
    } else {
        let row = |(place, one): &Known| {
            [
                place.to_string(),
                one.producer_id.to_string(),
                one.producer_epoch.to_string(),
                or_dash(one.coordinator_epoch),
                or_dash(one.last_sequence),
                or_dash(one.last_timestamp.map(|t| t.0)),
                or_dash(one.current_transaction_start),
            ]
        };
        let heads =
            ["PARTITION", "PRODUCER_ID", "EPOCH", "COORDINATOR_EPOCH", "SEQUENCE", "LAST_TIMESTAMP", "START_OFFSET"];
        table::print(heads, all.iter().map(row))?;
    }
    Ok(())
}

impl Producers {
    fn run(self) -> anyhow::Result<()> {
        let client = self.client.connect_plain()?;
        let mut all = known(&client.kafka.admin(), self.topics, self.broker)?;
        all.retain(|(_, one)| !self.open || one.current_transaction_start.is_some());
        show(&all, self.json)
    }
}

impl FindHanging {
    fn run(self) -> anyhow::Result<()> {
        let idle = seconds("--idle-for", self.idle_for)?;
        let client = self.client.connect_plain()?;
        let admin = client.kafka.admin();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let before = i64::try_from(now.saturating_sub(idle).as_millis()).unwrap_or(i64::MAX);
        let mut open = known(&admin, self.topics, None)?;
        open.retain(|(_, one)| {
            let rests = one.last_timestamp.is_none_or(|at| at.0 <= before);
            rests && one.current_transaction_start.is_some()
        });
        let at_work = at_work(&admin, &open)?;
        // One is at work if its id has its producer, is in a transaction, and that one knows of the partition.
        open.retain(|(place, one)| !at_work.get(&one.producer_id).is_some_and(|places| places.contains(place)));
        show(&open, self.json)
    }
}

/// The partitions that the coordinators know of, by producer id.
fn at_work(admin: &Admin, open: &[Known]) -> anyhow::Result<BTreeMap<i64, Vec<TopicPartition>>> {
    let producers: Vec<i64> = open.iter().map(|(_, one)| one.producer_id).collect();
    if producers.is_empty() {
        return Ok(BTreeMap::new());
    }
    let listed = admin.list_transactions().with_producer_ids(producers).wait()?;
    let ids: Vec<String> = listed.iter().map(|one| one.transactional_id.to_string()).collect();
    let mut places: BTreeMap<i64, Vec<TopicPartition>> = BTreeMap::new();
    for (_, one) in admin.describe_transactions(ids).wait()?.all()? {
        places.entry(one.producer_id).or_default().extend(one.partitions);
    }
    Ok(places)
}

impl Abort {
    fn run(self) -> anyhow::Result<()> {
        let client = self.client.connect_plain()?;
        let admin = client.kafka.admin();
        let place = TopicPartition::from((self.topic, self.partition));
        let all = admin.describe_producers([&place]).wait()?.all()?;
        let producers = all.into_iter().flat_map(|(_, producers)| producers);
        let begins = |one: &ProducerState| one.current_transaction_start == Some(self.start_offset);
        let spec = producers.into_iter().find(begins).and_then(|one| AbortTransactionSpec::of(&place, &one));
        let Some(spec) = spec else {
            anyhow::bail!("no open transaction of {place} begins at offset {}", self.start_offset);
        };
        admin.abort_transaction(spec).wait()?;
        eprintln!("the transaction at offset {} of {place} is aborted", self.start_offset);
        Ok(())
    }
}

impl Fence {
    fn run(self) -> anyhow::Result<()> {
        let client = self.client.connect_plain()?;
        let mut failed = Ok(());
        for (id, fenced) in client.kafka.admin().fence_producers(self.ids).wait()? {
            match fenced {
                Ok(now) => eprintln!("{id} fenced: producer {}, epoch {}", now.producer_id, now.producer_epoch),
                Err(error) => failed = fail(&error),
            }
        }
        failed
    }
}
