//! `klamm groups`: listing and describing them.

use crate::client::ClientArgs;
use crate::exit::Usage;
use crate::table::{self, join, or_dash};
use crate::topics::fail;
use clap::Args;
use klamm::admin::{GroupDescription, GroupMember, GroupState};
use serde_json::{Value, json};

/// Lists consumer groups, or describes those that are named
#[derive(Args, Debug)]
pub(crate) struct Groups {
    #[command(flatten)]
    client: ClientArgs,
    /// Describes these: their members and partitions
    #[arg(value_name = "GROUP")]
    groups: Vec<String>,
    /// Lists only groups in this state, such as Stable or Empty
    #[arg(long, value_name = "STATE")]
    state: Vec<String>,
    /// One JSON object per group
    #[arg(short = 'J', long)]
    json: bool,
}

impl Groups {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        if self.groups.is_empty() { self.list() } else { self.describe() }
    }

    fn list(self) -> anyhow::Result<()> {
        let state =
            |text: &String| GroupState::parse(text).ok_or_else(|| Usage(format!("--state {text}: no such state")));
        let states = self.state.iter().map(state).collect::<Result<Vec<_>, _>>()?;
        let client = self.client.connect_plain()?;
        let groups = client.kafka.admin().list_consumer_groups().in_states(states).wait()?;
        if self.json {
            table::json(groups.iter().map(|g| {
                let (state, kind) = (g.state.as_deref(), g.kind.as_deref());
                json!({ "group": &*g.group, "state": state, "type": kind, "protocol_type": &*g.protocol_type })
            }))?;
        } else {
            let row = |g: &klamm::admin::GroupListing| {
                [g.group.to_string(), or_dash(g.state.as_deref()), or_dash(g.kind.as_deref())]
            };
            table::print(["GROUP", "STATE", "TYPE"], groups.iter().map(row))?;
        }
        Ok(())
    }

    fn describe(self) -> anyhow::Result<()> {
        let client = self.client.connect_plain()?;
        let mut failed = Ok(());
        let mut described = Vec::new();
        for (_, group) in client.kafka.admin().describe_consumer_groups(self.groups).wait()? {
            match group {
                Ok(group) => described.push(group),
                Err(error) => failed = fail(&error),
            }
        }
        if self.json {
            table::json(described.iter().map(whole))?;
        } else {
            for group in &described {
                eprintln!("{}: {}, coordinated by broker {}", group.group, group.state, group.coordinator);
            }
            let rows = described.iter().flat_map(|group| group.members.iter().map(|member| row(group, member)));
            table::print(["GROUP", "MEMBER", "CLIENT", "HOST", "PARTITIONS"], rows)?;
        }
        failed
    }
}

fn partitions(member: &GroupMember) -> impl Iterator<Item = String> + '_ {
    member.assignment.iter().map(|partition| format!("{}-{}", partition.topic, partition.partition))
}

fn row(group: &GroupDescription, member: &GroupMember) -> [String; 5] {
    let name = member.instance.as_deref().unwrap_or(&member.member);
    let (client, host) = (member.client.to_string(), member.host.to_string());
    [group.group.to_string(), name.to_owned(), client, host, join(partitions(member))]
}

fn whole(group: &GroupDescription) -> Value {
    let member = |m: &GroupMember| {
        let partitions: Vec<String> = partitions(m).collect();
        json!({
            "member": &*m.member, "instance": m.instance.as_deref(), "client": &*m.client, "host": &*m.host,
            "partitions": partitions,
        })
    };
    let members: Vec<Value> = group.members.iter().map(member).collect();
    json!({
        "group": &*group.group, "state": &*group.state, "protocol_type": &*group.protocol_type,
        "assignor": &*group.protocol, "coordinator": group.coordinator, "members": members,
    })
}
