//! `klamm acls`: listing, creating and deleting them.

use crate::client::ClientArgs;
use crate::exit::Usage;
use crate::table;
use crate::topics::fail;
use clap::{Args, Subcommand};
use klamm::admin::{AclBinding, AclFilter, AclOperation, AclPermission, PatternType, Resource, ResourceType};
use serde_json::{Value, json};

/// Lists, creates and deletes access control lists
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Acls {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(List),
    Create(Create),
    Delete(Delete),
}

/// The rules that match
#[derive(Args, Debug)]
struct List {
    #[command(flatten)]
    client: ClientArgs,
    #[command(flatten)]
    rule: Rule,
    /// One JSON object per rule
    #[arg(short = 'J', long)]
    json: bool,
}

/// Creates rules: one for each resource and operation
#[derive(Args, Debug)]
struct Create {
    #[command(flatten)]
    client: ClientArgs,
    #[command(flatten)]
    rule: Rule,
}

/// Deletes the rules that match
#[derive(Args, Debug)]
struct Delete {
    #[command(flatten)]
    client: ClientArgs,
    #[command(flatten)]
    rule: Rule,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Rule")]
struct Rule {
    /// Who, such as User:alice
    #[arg(long)]
    principal: Option<String>,
    /// What, such as read, write, describe
    #[arg(long)]
    operation: Vec<String>,
    /// A topic; * for all
    #[arg(long)]
    topic: Vec<String>,
    /// A group; * for all
    #[arg(long)]
    group: Vec<String>,
    /// A transactional id; * for all
    #[arg(long)]
    transactional_id: Vec<String>,
    /// The cluster
    #[arg(long)]
    cluster: bool,
    /// The names are prefixes
    #[arg(long)]
    prefixed: bool,
    /// From where
    #[arg(long)]
    host: Option<String>,
    /// It forbids
    #[arg(long)]
    deny: bool,
}

impl Rule {
    fn resources(&self) -> Vec<Resource> {
        let kinds = [
            (ResourceType::Topic, &self.topic),
            (ResourceType::Group, &self.group),
            (ResourceType::TransactionalId, &self.transactional_id),
        ];
        let named = kinds.iter().flat_map(|(kind, names)| names.iter().map(|name| Resource::new(*kind, name.as_str())));
        let named = named.map(|resource| if self.prefixed { resource.prefixed() } else { resource });
        named.chain(self.cluster.then(Resource::cluster)).collect()
    }

    fn operations(&self) -> Result<Vec<AclOperation>, Usage> {
        let parse = |text: &String| {
            AclOperation::parse(text).ok_or_else(|| Usage(format!("--operation {text}: no such operation")))
        };
        self.operation.iter().map(parse).collect()
    }

    fn bindings(&self) -> Result<Vec<AclBinding>, Usage> {
        let (resources, operations) = (self.resources(), self.operations()?);
        let Some(principal) = &self.principal else { return Err(Usage("whose? give --principal".to_owned())) };
        if resources.is_empty() || operations.is_empty() {
            return Err(Usage(
                "give --operation, and one of --topic, --group, --transactional-id, --cluster".to_owned(),
            ));
        }
        let mut bindings = Vec::new();
        for resource in resources {
            for operation in &operations {
                let binding = match self.deny {
                    true => AclBinding::deny(principal.as_str(), *operation, resource.clone()),
                    false => AclBinding::allow(principal.as_str(), *operation, resource.clone()),
                };
                bindings.push(match &self.host {
                    Some(host) => binding.host(host.as_str()),
                    None => binding,
                });
            }
        }
        Ok(bindings)
    }

    /// One filter for each resource and operation; what is not said matches any.
    fn filters(&self) -> Result<Vec<AclFilter>, Usage> {
        let mut any = AclFilter::any();
        if let Some(principal) = &self.principal {
            any = any.principal(principal.as_str());
        }
        if let Some(host) = &self.host {
            any = any.host(host.as_str());
        }
        if self.deny {
            any = any.permission(AclPermission::Deny);
        }
        let resources = self.resources();
        let mut filters: Vec<AclFilter> =
            resources.into_iter().map(|resource| any.clone().resource(resource)).collect();
        if filters.is_empty() {
            filters.push(if self.prefixed { any.pattern(PatternType::Prefixed) } else { any });
        }
        let operations = self.operations()?;
        if operations.is_empty() {
            return Ok(filters);
        }
        let each = |filter: AclFilter| operations.iter().map(move |operation| filter.clone().operation(*operation));
        Ok(filters.into_iter().flat_map(each).collect())
    }
}

impl Acls {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.command {
            Some(Command::List(list)) => list.run(),
            Some(Command::Create(create)) => create.run(),
            Some(Command::Delete(delete)) => delete.run(),
            None => self.list.run(),
        }
    }
}

impl List {
    fn run(self) -> anyhow::Result<()> {
        let filters = self.rule.filters()?;
        let client = self.client.connect_plain()?;
        let mut rules = Vec::new();
        for filter in filters {
            rules.extend(client.kafka.admin().describe_acls(filter).wait()?);
        }
        rules.sort();
        rules.dedup();
        print(&rules, self.json)
    }
}

impl Create {
    fn run(self) -> anyhow::Result<()> {
        let bindings = self.rule.bindings()?;
        let client = self.client.connect_plain()?;
        let mut failed = Ok(());
        for (rule, result) in client.kafka.admin().create_acls(bindings).wait()? {
            match result {
                Ok(()) => eprintln!("{} created", row(&rule).join(" ")),
                Err(error) => failed = fail(&error),
            }
        }
        failed
    }
}

impl Delete {
    fn run(self) -> anyhow::Result<()> {
        if self.rule.principal.is_none() && self.rule.resources().is_empty() {
            return Err(
                Usage("which? give --principal or a resource: all rules at once are not deleted".to_owned()).into()
            );
        }
        let filters = self.rule.filters()?;
        let client = self.client.connect_plain()?;
        let mut failed = Ok(());
        for (_, result) in client.kafka.admin().delete_acls(filters).wait()? {
            match result {
                Ok(rules) => rules.iter().for_each(|rule| eprintln!("{} deleted", row(rule).join(" "))),
                Err(error) => failed = fail(&error),
            }
        }
        failed
    }
}

fn row(rule: &AclBinding) -> [String; 7] {
    let resource = rule.resource();
    [
        resource.kind().to_string(),
        resource.name().to_owned(),
        resource.pattern().to_string(),
        rule.permission().to_string(),
        rule.principal().to_owned(),
        rule.operation().to_string(),
        rule.from_host().to_owned(),
    ]
}

fn print(rules: &[AclBinding], json: bool) -> anyhow::Result<()> {
    let heads = ["RESOURCE", "NAME", "PATTERN", "PERMISSION", "PRINCIPAL", "OPERATION", "HOST"];
    if !json {
        table::print(heads, rules.iter().map(row))?;
        return Ok(());
    }
    let object = |rule: &AclBinding| -> Value {
        let [resource, name, pattern, permission, principal, operation, host] = row(rule);
        json!({
            "resource": resource, "name": name, "pattern": pattern, "permission": permission,
            "principal": principal, "operation": operation, "host": host,
        })
    };
    table::json(rules.iter().map(object))?;
    Ok(())
}
