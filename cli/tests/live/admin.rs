//! The administrative commands.

use crate::{ended, feed, told};
use anyhow::{Result, ensure};
use klamm_live::{Behaviour, Kind, Runtime, Target};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::of_klamm("topics_are_created_listed_described_grown_and_deleted", topics).on(Kind::is_real),
    Behaviour::of_klamm("the_brokers_are_those_of_the_cluster", brokers).on(Kind::is_real),
    Behaviour::of_klamm("configurations_are_shown_and_changed", configs).on(modern),
    Behaviour::of_klamm("access_control_lists_come_and_go", acls).on(modern),
    Behaviour::of_klamm("groups_are_listed_and_described", groups).on(Kind::is_real),
    Behaviour::of_klamm("a_broker_that_is_too_old_is_named_as_such", too_old).on(|kind| !kind.is_modern()),
];

fn modern(kind: Kind) -> bool {
    kind.is_real() && kind.is_modern()
}

/// What one broker knows the next may not have heard of.
fn until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds()? {
        ensure!(Instant::now() < deadline, "{what}: not within 20 s");
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn topics(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("cli");
    let create = format!("topics create {topic} --partitions 2 --replication-factor 1 --config cleanup.policy=compact");
    told(target, runtime, &create)?;
    until("two partitions", || Ok(target.partitions(&topic)? == 2))?;
    let twice = ended(target, runtime, &create);
    ensure!(twice.code == Some(1) && twice.err.contains("TOPIC_ALREADY_EXISTS"), "{twice:?}");
    told(target, runtime, &format!("{create} --if-not-exists"))?;
    let listed = told(target, runtime, "topics list")?;
    ensure!(listed.lines().any(|line| line.starts_with(&topic)), "{listed}");
    let described = told(target, runtime, &format!("topics describe {topic} -J"))?;
    let described: serde_json::Value = serde_json::from_str(&described)?;
    let partitions = described["partitions"].as_array().map_or(0, Vec::len);
    ensure!(partitions == 2 && described["partitions"][0]["leader"].is_i64(), "{described}");
    told(target, runtime, &format!("topics grow {topic} --partitions 3"))?;
    until("three partitions", || Ok(target.partitions(&topic)? == 3))?;
    told(target, runtime, &format!("topics delete {topic}"))?;
    until("no partitions", || Ok(target.partitions(&topic)? == 0))?;
    let gone = ended(target, runtime, &format!("topics describe {topic}"));
    ensure!(gone.code == Some(1) && gone.err.contains(&topic), "{gone:?}");
    Ok(())
}

fn brokers(target: &Target, runtime: Runtime) -> Result<()> {
    let told = told(target, runtime, "cluster -J")?;
    let cluster: serde_json::Value = serde_json::from_str(&told)?;
    let ports: Vec<u64> =
        cluster["brokers"].as_array().into_iter().flatten().flat_map(|b| b["port"].as_u64()).collect();
    let expected: Vec<u64> = target.ports().into_iter().map(u64::from).collect();
    ensure!(ports == expected && cluster["controller"].is_i64() && cluster["cluster"].is_string(), "{told}");
    Ok(())
}

fn configs(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("configs");
    told(target, runtime, &format!("topics create {topic} --partitions 1 --replication-factor 1"))?;
    until("a partition", || Ok(target.partitions(&topic)? == 1))?;
    let shows = |text: &str| {
        let text = text.to_owned();
        until(&text, || Ok(told(target, runtime, &format!("configs --topic {topic} -J"))?.contains(&text)))
    };
    told(target, runtime, &format!("configs --topic {topic} --set retention.ms=123456"))?;
    shows("\"value\":\"123456\"")?;
    told(target, runtime, &format!("configs --topic {topic} --append cleanup.policy=compact --delete retention.ms"))?;
    shows("compact")?;
    let wrong = ended(target, runtime, &format!("configs --topic {topic} --set nonsense=1"));
    ensure!(wrong.code == Some(1) && wrong.err.contains("nonsense"), "{wrong:?}");
    Ok(())
}

fn acls(target: &Target, runtime: Runtime) -> Result<()> {
    let rule = format!("--principal User:{} --topic orders --operation read", target.topic("who"));
    told(target, runtime, &format!("acls create {rule}"))?;
    let listed = || told(target, runtime, &format!("acls list {rule} -J"));
    until("the rule", || Ok(listed()?.contains("\"operation\":\"read\"")))?;
    told(target, runtime, &format!("acls delete {rule}"))?;
    until("no rule", || Ok(listed()?.is_empty()))
}

fn groups(target: &Target, runtime: Runtime) -> Result<()> {
    let (topic, group) = (target.topic("groups"), target.topic("group"));
    feed(target, runtime, &format!("produce -t {topic}"), b"a\n")?;
    told(target, runtime, &format!("consume -G {group} {topic} -e"))?;
    let listed = told(target, runtime, "groups")?;
    ensure!(listed.contains(&group), "{listed}");
    let described = ended(target, runtime, &format!("groups {group}"));
    ensure!(described.code == Some(0) && described.err.contains("Empty"), "{described:?}");
    let unknown = ended(target, runtime, "groups nobody");
    ensure!(unknown.code == Some(1) && unknown.err.contains("no such group"), "{unknown:?}");
    Ok(())
}

fn too_old(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("old");
    for (words, why) in [
        (format!("topics create {topic}"), "too old to choose the number of partitions"),
        (format!("topics create {topic} --partitions 1"), "Kafka 2.4"),
        (format!("configs --topic {topic} --set retention.ms=1"), "does not support IncrementalAlterConfigs"),
        ("groups --state Stable".to_owned(), "too old to list groups by their state"),
        ("cluster --fenced".to_owned(), "too old to list fenced brokers"),
    ] {
        let ended = ended(target, runtime, &words);
        ensure!(ended.code == Some(1) && ended.err.contains(why), "{words}: {ended:?}");
    }
    Ok(())
}
