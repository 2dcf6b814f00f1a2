//! Two-phase commit (KIP-939): the decision outlives the process that prepared.

use crate::client::{connect_with, drive, from_klamm, take};
use anyhow::{Context, Result, ensure};
use klamm::config::{Config, ConsumerConfig, IsolationLevel};
use klamm::{ErrorKind, Kafka, PreparedTxnState, Record, TransactionalProducer};
use klamm_live::{Behaviour, Kind, Runtime, Target, Version};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

pub(crate) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::of_klamm("what_is_prepared_outlives_its_process", outlives_its_process).on(has_two_phases),
    Behaviour::of_klamm("what_is_prepared_ends_by_the_decision", ends_by_the_decision).on(has_two_phases),
    Behaviour::of_klamm("two_phase_commit_is_refused_where_brokers_hide_it", refused).on(|kind| !has_two_phases(kind)),
];

/// Where the suite lets out unstable versions.
fn has_two_phases(kind: Kind) -> bool {
    matches!(kind, Kind::Memory | Kind::Real(Version::V4_4_0))
}

/// This binary starts itself as a process that prepares a transaction and is killed: `bootstrap topic id`.
pub(crate) const PREPARER: &str = "KLAMM_LIVE_PREPARER";

/// What that process does: it prepares, says what, and waits for its end.
pub(crate) fn prepare_and_wait(words: &str) -> Result<()> {
    let words: Vec<&str> = words.split(' ').collect();
    let [bootstrap, topic, id] = words[..] else { anyhow::bail!("bootstrap, topic and id are wanted") };
    drive(Runtime::Blocking, async {
        let kafka = connect_with(config(bootstrap), Runtime::Blocking).await?;
        let mut producer = kafka.transactional_producer(id).await?;
        println!("{}", prepare(&mut producer, topic, "prepared").await?);
        std::thread::sleep(Duration::from_secs(120));
        Ok(())
    })
}

fn config(bootstrap: &str) -> Config {
    Config::new(bootstrap).set("transaction.two.phase.commit.enable", true)
}

async fn prepare(producer: &mut TransactionalProducer, topic: &str, value: &str) -> Result<PreparedTxnState> {
    let txn = producer.begin_transaction()?;
    for partition in 0..3 {
        txn.send(Record::to(topic).partition(partition).value(value)).queued().await?;
    }
    Ok(txn.prepare().await?)
}

async fn commit(producer: &mut TransactionalProducer, topic: &str, value: &str) -> Result<()> {
    let txn = producer.begin_transaction()?;
    for partition in 0..3 {
        txn.send(Record::to(topic).partition(partition).value(value)).queued().await?;
    }
    Ok(txn.commit().await?)
}

/// What a reader of committed records sees: these, three times each, and nothing else before the last.
async fn expect(kafka: &Kafka, topic: &str, values: &[&str]) -> Result<()> {
    let section = ConsumerConfig::standalone().set("auto.offset.reset", "earliest");
    let mut reader = kafka.consumer_with(section.isolation_level(IsolationLevel::ReadCommitted))?;
    reader.subscribe([topic])?;
    let records = take(&mut reader, 3 * values.len()).await?;
    let mut seen: Vec<_> = records.into_iter().map(|r| r.value.unwrap_or_default()).collect();
    let mut expected: Vec<_> = values.iter().flat_map(|value| vec![value.as_bytes().to_vec(); 3]).collect();
    seen.sort();
    expected.sort();
    ensure!(seen == expected, "{seen:?} instead of {expected:?}");
    Ok(())
}

fn outlives_its_process(target: &Target, runtime: Runtime) -> Result<()> {
    for commits in [true, false] {
        let topic = target.topic("two-phase-kill");
        let id = format!("{topic}-id");
        let mut command = Command::new(std::env::current_exe()?);
        let words = format!("{} {topic} {id}", target.bootstrap());
        let mut victim = command.env(PREPARER, words).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(victim.stdout.take().context("no stdout")?).read_line(&mut line)?;
        victim.kill()?;
        victim.wait()?;
        let state: PreparedTxnState = line.trim().parse()?;
        ensure!(state.has_transaction(), "the victim said {line:?}");
        drive(runtime, async {
            let kafka = connect_with(config(&target.bootstrap()), runtime).await?;
            let mut producer = kafka.keep_prepared(&id).await?;
            ensure!(producer.begin_transaction().is_err_and(|e| e.kind() == ErrorKind::Misuse), "it waits");
            producer.complete(if commits { &state } else { &PreparedTxnState::NONE }).await?;
            commit(&mut producer, &topic, "later").await?;
            expect(&kafka, &topic, if commits { &["prepared", "later"] } else { &["later"] }).await?;
            producer.close().await?;
            Ok(kafka.close().await?)
        })?;
    }
    Ok(())
}

fn ends_by_the_decision(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("two-phase");
    let id = format!("{topic}-id");
    drive(runtime, async {
        let kafka = connect_with(config(&target.bootstrap()), runtime).await?;
        let mut producer = kafka.transactional_producer(&id).await?;
        let one = prepare(&mut producer, &topic, "one").await?;
        ensure!(producer.prepared() == Some(one));
        producer.complete(&one).await?;
        let two = prepare(&mut producer, &topic, "two").await?;
        ensure!(one != two, "each transaction has a name of its own");
        producer.complete(&one).await?; // not the one that is prepared
        let three = prepare(&mut producer, &topic, "three").await?;
        producer.commit_prepared().await?;
        prepare(&mut producer, &topic, "four").await?;
        producer.abort_prepared().await?;
        let five = prepare(&mut producer, &topic, "five").await?;

        // One that comes while the first still lives, and decides on what was decided before.
        let mut next = kafka.keep_prepared(&id).await?;
        next.complete(&three).await?;
        commit(&mut next, &topic, "six").await?;
        let fenced = producer.complete(&five).await;
        ensure!(fenced.as_ref().is_err_and(|e| e.is_fatal() || e.kind() == ErrorKind::Aborted), "{fenced:?}");
        expect(&kafka, &topic, &["one", "three", "six"]).await?;
        for record in take_all(&kafka, &topic).await? {
            ensure!(record != b"five" && record != b"two" && record != b"four", "{record:?} is committed");
        }
        Ok(kafka.close().await?)
    })
}

async fn take_all(kafka: &Kafka, topic: &str) -> Result<Vec<Vec<u8>>> {
    let section = ConsumerConfig::standalone().set("auto.offset.reset", "earliest");
    let mut reader = kafka.consumer_with(section.isolation_level(IsolationLevel::ReadCommitted))?;
    reader.subscribe([topic])?;
    let mut all = Vec::new();
    for _ in 0..3 {
        let batch = reader.poll(Duration::from_millis(300)).await?.context("woken up")?;
        all.extend(batch.iter().map(from_klamm).map(|r| r.value.unwrap_or_default()));
    }
    Ok(all)
}

fn refused(target: &Target, runtime: Runtime) -> Result<()> {
    drive(runtime, async {
        let kafka = connect_with(config(&target.bootstrap()), runtime).await?;
        let error = kafka.transactional_producer("two-phase").await.err().context("it is not refused")?;
        ensure!(error.kind() == ErrorKind::Unsupported, "{error:?}");
        Ok(kafka.close().await?)
    })
}
