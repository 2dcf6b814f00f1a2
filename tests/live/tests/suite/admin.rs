//! Administration by klamm, checked by what the cluster then says.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use klamm::ErrorCode;
use klamm::admin::{
    AclBinding, AclFilter, AclOperation, ConfigChange, ConfigResource, GroupState, NewPartitions, NewTopic, Resource,
};
use klamm_live::{Behaviour, Kind, Runtime, Target};

use crate::client::{LIMIT, connect, drive};

pub(crate) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::of_klamm("the_cluster_is_described_as_it_is", describe_cluster),
    Behaviour::of_klamm("a_topic_is_created_grown_described_and_deleted", topics),
    Behaviour::of_klamm("one_bad_topic_does_not_spoil_the_others", partial_failure),
    Behaviour::of_klamm("configs_are_described_and_altered", configs).on(Kind::is_modern),
    Behaviour::of_klamm("acls_are_created_described_and_deleted", acls).on(Kind::is_modern),
    Behaviour::of_klamm("groups_are_listed_and_described", groups),
];

fn describe_cluster(target: &Target, runtime: Runtime) -> Result<()> {
    let nodes = target.ports().len();
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        let cluster = kafka.admin().describe_cluster().await?;
        ensure!(cluster.nodes.len() == nodes, "{cluster:?}");
        ensure!(cluster.controller.is_some() && cluster.cluster_id.is_some(), "{cluster:?}");
        Ok(kafka.close().await?)
    })
}

fn topics(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("admin");
    let name = topic.as_str();
    let replicas = target.ports().len().min(3);
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        let admin = kafka.admin();
        let new = NewTopic::new(name, 2, replicas as i16).config("cleanup.policy", "compact");
        admin.create_topics([new]).await?.all()?;
        // Who answers may not have heard of it yet.
        let deadline = Instant::now() + LIMIT;
        let description = loop {
            match admin.describe_topics([name]).await?.all() {
                Ok(described) => break described.into_iter().next().context("no description")?.1,
                Err(error) => ensure!(Instant::now() < deadline, "{name} is not described: {error}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        ensure!(description.partitions.len() == 2, "{description:?}");
        let whole = description.partitions.iter().all(|p| p.replicas().len() == replicas && p.leader().is_some());
        ensure!(whole, "{description:?}");
        while !admin.list_topics().await?.iter().any(|listed| *listed.name == *name) {
            ensure!(Instant::now() < deadline, "{name} is not listed");
            std::thread::sleep(Duration::from_millis(50));
        }
        admin.create_partitions([(name, NewPartitions::increase_to(5))]).await?.all()?;
        wait_for(|| Ok(target.partitions(name)? == 5), "five partitions")?;
        admin.delete_topics([name]).await?.all()?;
        let deadline = Instant::now() + LIMIT;
        while admin.list_topics().await?.iter().any(|listed| *listed.name == *name) {
            ensure!(Instant::now() < deadline, "{name} is still listed");
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(kafka.close().await?)
    })
}

fn partial_failure(target: &Target, runtime: Runtime) -> Result<()> {
    let (good, taken) = (target.topic("good"), target.topic("taken"));
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        let admin = kafka.admin();
        admin.create_topics([NewTopic::new(taken.as_str(), 1, 1)]).await?.all()?;
        let new = [
            NewTopic::new(taken.as_str(), 1, 1),
            NewTopic::new(good.as_str(), 1, 1),
            NewTopic::new("not/a/name", 1, 1),
        ];
        let outcome: Vec<Option<ErrorCode>> = admin
            .create_topics(new)
            .await?
            .into_iter()
            .map(|(_, result)| result.err().map(|error| error.code().unwrap_or(ErrorCode::UNKNOWN_SERVER_ERROR)))
            .collect();
        let expected = [Some(ErrorCode::TOPIC_ALREADY_EXISTS), None, Some(ErrorCode::INVALID_TOPIC_EXCEPTION)];
        ensure!(outcome == expected, "{outcome:?}");
        admin.delete_topics([good.as_str(), taken.as_str()]).await?.all()?;
        Ok(kafka.close().await?)
    })
}

fn configs(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("configs");
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        let admin = kafka.admin();
        admin.create_topics([NewTopic::new(topic.as_str(), 1, 1)]).await?.all()?;
        let resource = || ConfigResource::topic(topic.as_str());
        // The broker that is asked may not have heard of the new topic yet.
        let deadline = Instant::now() + LIMIT;
        while let Err(error) = admin.describe_configs([resource()]).await?.all() {
            ensure!(Instant::now() < deadline, "{error}");
            std::thread::sleep(Duration::from_millis(20));
        }
        for (change, expected) in [
            (ConfigChange::set("max.message.bytes", "12345"), "12345"),
            (ConfigChange::delete("max.message.bytes"), "1048588"),
        ] {
            admin.incremental_alter_configs([(resource(), vec![change])]).await?.all()?;
            let deadline = Instant::now() + LIMIT;
            loop {
                let (_, entries) = admin.describe_configs([resource()]).await?.all()?.pop().context("no answer")?;
                if entries.value("max.message.bytes") == Some(expected) {
                    break;
                }
                ensure!(Instant::now() < deadline, "max.message.bytes is {:?}", entries.get("max.message.bytes"));
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(kafka.close().await?)
    })
}

fn acls(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("acls");
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        let admin = kafka.admin();
        let bindings = [AclOperation::Read, AclOperation::Write]
            .map(|operation| AclBinding::allow("User:alice", operation, Resource::topic(topic.as_str())));
        admin.create_acls(bindings.clone()).await?.all()?;
        let filter = || AclFilter::any().resource(Resource::topic(topic.as_str()));
        let deadline = Instant::now() + LIMIT;
        loop {
            let found = admin.describe_acls(filter()).await?;
            if found.len() == 2 && bindings.iter().all(|binding| found.contains(binding)) {
                break;
            }
            ensure!(Instant::now() < deadline, "{found:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
        let deleted: usize = admin.delete_acls([filter()]).await?.all()?.iter().map(|(_, gone)| gone.len()).sum();
        ensure!(deleted == 2, "{deleted} were deleted");
        Ok(kafka.close().await?)
    })
}

fn groups(target: &Target, runtime: Runtime) -> Result<()> {
    let (topic, group) = (target.topic("admin-groups"), target.topic("group"));
    let java = target.java()?;
    java.produce(&[klamm_live::Record::to(&topic).value("x")], &[])?;
    let mut member = java.join(&group, &[&topic], &[])?;
    member.wait_for_partitions(&topic, &[0, 1, 2], LIMIT)?;
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        let admin = kafka.admin();
        let listed = admin.list_consumer_groups().await?;
        ensure!(listed.iter().any(|listing| *listing.group == *group), "{group} is not listed");
        let (_, described) =
            admin.describe_consumer_groups([group.as_str()]).await?.all()?.pop().context("no answer")?;
        ensure!(described.members.len() == 1, "{described:?}");
        ensure!(GroupState::parse(&described.state) == Some(GroupState::Stable), "{described:?}");
        let assigned: usize = described.members.iter().map(|member| member.assignment.len()).sum();
        ensure!(assigned == 3, "{described:?}");
        Ok(kafka.close().await?)
    })?;
    member.close()
}

fn wait_for(mut holds: impl FnMut() -> Result<bool>, what: &str) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    while !holds()? {
        ensure!(Instant::now() < deadline, "no {what} within {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
