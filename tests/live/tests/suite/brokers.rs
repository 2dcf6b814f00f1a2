//! That the harness gives what the other behaviours stand on: real clusters, real faults, honest peers.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use klamm_live::peers::Heard;
use klamm_live::{Behaviour, Cluster, Kind, Record, Target, Version};

const CODECS: [(&str, i16); 5] = [("none", 0), ("gzip", 1), ("snappy", 2), ("lz4", 3), ("zstd", 4)];

pub(crate) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::of_harness("every_node_answers_and_knows_the_others", every_node_answers),
    Behaviour::of_harness("java_reads_what_java_wrote_with_every_codec", java_reads_what_java_wrote),
    Behaviour::of_harness("two_java_members_share_a_topic", two_java_members_share_a_topic).on(Kind::is_real),
    Behaviour::of_harness("kcat_reads_what_java_wrote", kcat_reads_what_java_wrote),
    Behaviour::of_harness("a_killed_node_comes_back", a_killed_node_comes_back).alone(),
    Behaviour::of_harness("a_killed_process_is_gone_until_restarted", a_killed_process_is_gone)
        .on(Kind::is_real)
        .alone(),
    Behaviour::of_harness("a_paused_node_is_silent_until_it_goes_on", a_paused_node_is_silent)
        .on(Kind::is_real)
        .alone(),
    Behaviour::of_harness("nothing_is_left_of_a_killed_run", nothing_is_left_of_a_killed_run)
        .on(|kind| kind == Kind::Real(Version::V2_1_1)),
];

fn every_node_answers(target: &Target) -> Result<()> {
    for node in target.node_ids() {
        let mut probe = target.probe(node)?;
        let fetch = probe.api_versions()?.into_iter().find(|(api, ..)| *api == 1).context("no Fetch")?;
        let expected = match target.kind() {
            Kind::Memory | Kind::Real(Version::V4_4_0) => (1, 4, 18),
            Kind::Real(Version::V3_9_2) => (1, 0, 17),
            Kind::Real(Version::V2_1_1) => (1, 0, 10),
        };
        ensure!(fetch == expected, "Fetch is {fetch:?}: not {}", target.kind().name());
        let mut ids: Vec<i32> = probe.metadata(Some(&[]))?.brokers.into_iter().map(|(id, _)| id).collect();
        ids.sort_unstable();
        ensure!(ids == (1..=target.kind().nodes() as i32).collect::<Vec<_>>(), "node {node} knows {ids:?}");
    }
    Ok(())
}

fn java_reads_what_java_wrote(target: &Target) -> Result<()> {
    let java = target.java()?;
    let topic = target.topic("java-codecs");
    let mut records = Vec::new();
    // zstd came with Kafka 2.1, so all five are known to all targets.
    for (index, (codec, _)) in CODECS.iter().enumerate() {
        let at = Record::to(&topic).partition(0).codec(codec).timestamp(1_700_000_000_000 + index as i64);
        records.push(at.clone().key(format!("key of {codec}")).value("x".repeat(1000)));
        records.push(at.clone().key("").value(""));
        records.push(at.clone());
        records.push(at.value([0, 9, 10, 255]).header("h", Some(b"\t")).header("h", None).header("", Some(b"")));
    }
    let written = java.produce(&records, &[])?;
    let read = java.consume(&topic, records.len(), &[])?;
    let expected: Vec<Record> = written.into_iter().map(Record::as_read).collect();
    ensure!(read == expected, "read\n{read:#?}\nwritten\n{expected:#?}");
    let batches = target.probe_leader(&topic, 0)?.batches(&topic, 0)?;
    let codecs: Vec<i16> = batches.iter().map(|batch| batch.codec).collect();
    for (name, id) in CODECS {
        ensure!(codecs.contains(&id), "no batch is compressed by {name}: {codecs:?}");
    }
    ensure!(batches.iter().map(|batch| batch.records).sum::<i32>() == records.len() as i32, "{batches:?}");
    Ok(())
}

fn two_java_members_share_a_topic(target: &Target) -> Result<()> {
    let limit = Duration::from_secs(40);
    let java = target.java()?;
    let topic = target.topic("java-group");
    let group = target.topic("group");
    let record = |partition| Record::to(&topic).partition(partition).value(format!("to {partition}"));
    java.produce(&[record(0), record(1), record(2)], &[])?;
    // The range assignor goes by member id, which begins with the client id.
    let mut first = java.join(&group, &[&topic], &["client.id=first"])?;
    first.wait_for_partitions(&topic, &[0, 1, 2], limit)?;
    let mut values = Vec::new();
    while values.len() < 3 {
        values.push(first.wait_for(limit, |heard| if let Heard::Record(r) = heard { r.value } else { None })?);
    }
    values.sort();
    ensure!(values == [b"to 0", b"to 1", b"to 2"], "{values:?}");
    let mut second = java.join(&group, &[&topic], &["client.id=second"])?;
    second.wait_for_partitions(&topic, &[2], limit)?;
    first.wait_for_partitions(&topic, &[0, 1], limit)?;
    second.close()?;
    first.wait_for_partitions(&topic, &[0, 1, 2], limit)?;
    first.close()
}

fn kcat_reads_what_java_wrote(target: &Target) -> Result<()> {
    let kcat = target.kcat()?;
    let topic = target.topic("kcat");
    target.java()?.produce(&[Record::to(&topic).partition(0).key("k").value("from Java")], &[])?;
    let text = kcat.run(&["-C", "-t", &topic, "-o", "beginning", "-e", "-q", "-K", ":"], "")?;
    ensure!(text == "k:from Java\n", "kcat read {text:?}");
    Ok(())
}

fn a_killed_node_comes_back(target: &Target) -> Result<()> {
    let java = target.java()?;
    let topic = target.topic("killed");
    let record = |text: &str| Record::to(&topic).partition(0).value(text);
    java.produce(&[record("before")], &[])?;
    let node = *target.node_ids().end();
    target.kill(node)?;
    ensure!(target.probe(node).is_err(), "something still listens where the node was");
    if target.kind().survives_a_crash() {
        java.produce(&[record("while one is gone")], &[])?;
    }
    target.heal()?;
    java.produce(&[record("after")], &[])?;
    let read = java.consume(&topic, 2, &[])?;
    let values: Vec<String> =
        read.iter().map(|r| String::from_utf8_lossy(r.value.as_deref().unwrap_or_default()).into_owned()).collect();
    let expected: &[&str] =
        if target.kind().survives_a_crash() { &["before", "while one is gone", "after"] } else { &["before", "after"] };
    ensure!(values == expected, "read {values:?}");
    Ok(())
}

fn a_killed_process_is_gone(target: &Target) -> Result<()> {
    let cluster = target.real()?;
    let node = *cluster.node_ids().end();
    let pid = cluster.pid(node).context("the node has no pid")?;
    cluster.kill(node)?;
    ensure!(!is_running(pid), "the node still runs");
    cluster.restart(node)?;
    ensure!(cluster.pid(node).is_some_and(|new| new != pid), "the node has its old pid");
    Ok(())
}

fn a_paused_node_is_silent(target: &Target) -> Result<()> {
    let cluster = target.real()?;
    let node = *cluster.node_ids().end();
    cluster.pause(node)?;
    // The kernel still accepts connections for it.
    let mut probe = cluster.probe(node)?;
    let start = Instant::now();
    ensure!(probe.api_versions().is_err(), "a paused node answered");
    ensure!(start.elapsed() > Duration::from_secs(4), "the node refused instead of being silent");
    cluster.resume(node)?;
    ensure!(!cluster.probe(node)?.api_versions()?.is_empty(), "the node does not answer again");
    Ok(())
}

/// This binary starts itself as a process that has a cluster and is killed.
pub(crate) const VICTIM: &str = "KLAMM_LIVE_VICTIM";

/// What that process does: it starts a cluster, says so, and waits for its end.
pub(crate) fn be_a_victim() -> Result<()> {
    let cluster = Cluster::start(Version::V2_1_1)?;
    let pid = cluster.pid(1).context("the node has no pid")?;
    println!("{pid} {}", cluster.folder().display());
    thread::sleep(Duration::from_secs(120));
    Ok(())
}

fn nothing_is_left_of_a_killed_run(_target: &Target) -> Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    let mut victim = command.env(VICTIM, "1").stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(victim.stdout.take().context("no stdout")?).read_line(&mut line)?;
    victim.kill()?;
    victim.wait()?;
    let (pid, run) = line.trim().split_once(' ').with_context(|| format!("the victim said {line:?}"))?;
    let (pid, run) = (pid.parse()?, Path::new(run));
    ensure!(run.is_dir(), "{} is not there", run.display());
    let deadline = Instant::now() + Duration::from_secs(20);
    while is_running(pid) {
        ensure!(Instant::now() < deadline, "a broker outlived its run");
        thread::sleep(Duration::from_millis(100));
    }
    klamm_live::cluster::sweep()?;
    ensure!(!run.exists(), "{} is still there", run.display());
    Ok(())
}

fn is_running(pid: u32) -> bool {
    // A process that nobody has reaped yet still has a number; its state is Z.
    let state = match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.rsplit(") ").next().unwrap_or_default().to_owned(),
        Err(_) if Path::new("/proc/self").exists() => return false,
        Err(_) => match Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output() {
            Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
            Err(_) => return false,
        },
    };
    !state.is_empty() && !state.starts_with('Z')
}
