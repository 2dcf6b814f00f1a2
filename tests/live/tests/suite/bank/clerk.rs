//! The bank's clerks: processes of their own, so that they can be killed, stopped and replaced. Each says on stdout what
//! it knows, a line at a time, before anything depends on it.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use klamm::config::OffsetReset;
use klamm::{
    Config, ConsumerConfig, Error, ErrorKind, ExactlyOnce, Kafka, Outcome, ProducerConfig, Record,
    TransactionalProducer,
};
use klamm_live::bank::{Leg, copy_of};
use klamm_live::{Runtime, process_time};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record as Values};
use tracing::{Event, Metadata, Subscriber};

use crate::client::{connect_with, drive};

/// The variable that makes a clerk of this binary; its value is a [`Task`].
pub(crate) const CLERK: &str = "KLAMM_LIVE_CLERK";

/// How long a clerk tries to begin its work.
const PATIENCE: Duration = Duration::from_secs(90);

/// What a clerk is to do.
#[derive(Clone, Debug)]
pub(super) struct Task {
    /// A teller makes transfers; else it copies them into the audit.
    pub(super) teller: bool,
    pub(super) bootstrap: String,
    pub(super) runtime: Runtime,
    /// Different for each life.
    pub(super) life: String,
    /// The transactional id.
    pub(super) id: String,
    /// What the names of topics and of the group begin with.
    pub(super) stem: String,
}

impl Task {
    pub(super) fn text(&self) -> String {
        let Self { teller, bootstrap, runtime, life, id, stem } = self;
        let runtime = Runtime::ALL.iter().position(|r| r == runtime).unwrap_or_default();
        format!("{teller} {bootstrap} {runtime} {life} {id} {stem}")
    }

    fn parse(text: &str) -> Result<Self> {
        let fields: Vec<&str> = text.split(' ').collect();
        let [teller, bootstrap, runtime, life, id, stem] = fields[..] else { bail!("not a task: {text:?}") };
        Ok(Self {
            teller: teller.parse()?,
            bootstrap: bootstrap.to_owned(),
            runtime: Runtime::ALL[runtime.parse::<usize>()?],
            life: life.to_owned(),
            id: id.to_owned(),
            stem: stem.to_owned(),
        })
    }
}

/// What the client tells goes into the diary too: who looks for a cause needs it.
struct Teller;

impl Subscriber for Teller {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("klamm::")
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Values<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        struct Text(String);
        impl Visit for Text {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                let _ = write!(self.0, " {}={value:?}", field.name());
            }
        }
        let mut text = Text(event.metadata().target().to_owned());
        event.record(&mut text);
        say("log", &text.0.replace('\n', " / "));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// The topics of the bank: two that hold transfers and the audit, with their partitions.
pub(super) fn topics(stem: &str) -> [(String, i32); 3] {
    [(format!("{stem}-ledger"), 6), (format!("{stem}-vault"), 3), (format!("{stem}-audit"), 9)]
}

/// What the process does: it works until its stdin ends.
pub(crate) fn be_a_clerk() -> Result<()> {
    let task = Task::parse(&std::env::var(CLERK)?)?;
    tracing::subscriber::set_global_default(Teller)?;
    let over = Arc::new(AtomicBool::new(false));
    let seen = over.clone();
    thread::spawn(move || {
        // Whatever comes, and an error too: the office has nothing more to say.
        let _ = std::io::stdin().read(&mut [0]);
        seen.store(true, Ordering::Release);
    });
    thread::spawn(|| {
        loop {
            say("cpu", &process_time().as_millis().to_string());
            thread::sleep(Duration::from_millis(500));
        }
    });
    let outcome = drive(task.runtime, async {
        match task.teller {
            true => tell(&task, &over).await,
            false => audit(&task, &over).await,
        }
    });
    say("cpu", &process_time().as_millis().to_string());
    match outcome {
        Err(error) if error.downcast_ref::<Error>().is_some_and(|e| e.kind() == ErrorKind::Fenced) => {
            say("fenced", &one_line(&error));
            Ok(())
        }
        Err(error) => {
            say("failed", &one_line(&error));
            Ok(())
        }
        Ok(()) => {
            say("done", "");
            Ok(())
        }
    }
}

fn one_line(error: &anyhow::Error) -> String {
    format!("{error:#}").replace('\n', " / ")
}

/// Says it before anything else happens. Without an office there is nobody to work for.
fn say(what: &str, rest: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{what} {rest}").and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}

async fn open(task: &Task, rng: &mut fastrand::Rng) -> Result<(Kafka, TransactionalProducer)> {
    let begin = Instant::now();
    let kafka = connect(task).await?;
    // Some wait for answers so briefly that commits are left in doubt.
    let patience = [1_500, 10_000, 60_000][rng.usize(..3)];
    let codec = ["none", "lz4", "zstd", "gzip", "snappy"][rng.usize(..5)];
    let section = ProducerConfig::new()
        .transactional_id(&task.id)
        .set("transaction.timeout.ms", [6_000, 20_000][rng.usize(..2)])
        .set("max.block.ms", patience)
        .set("compression.type", codec);
    loop {
        match kafka.transactional_producer_with(section.clone()).await {
            Ok(producer) => return Ok((kafka, producer)),
            Err(error) if error.is_fatal() || begin.elapsed() > PATIENCE => return Err(error.into()),
            Err(error) => say("note", &format!("cannot begin: {error}")),
        }
        thread::sleep(Duration::from_millis(100));
    }
}

async fn connect(task: &Task) -> Result<Kafka> {
    let begin = Instant::now();
    loop {
        let config = Config::new(&*task.bootstrap)
            .client_id(&task.life)
            .request_timeout(Duration::from_secs(10))
            .consumer(
                ConsumerConfig::group(format!("{}-auditors", task.stem))
                    .auto_offset_reset(OffsetReset::Earliest)
                    .set("session.timeout.ms", 6_000)
                    .set("heartbeat.interval.ms", 500)
                    .set("max.poll.records", 100),
            )
            .producer(ProducerConfig::new().set("transaction.timeout.ms", 20_000).set("max.block.ms", 15_000));
        match connect_with(config, task.runtime).await {
            Ok(kafka) => return Ok(kafka),
            Err(error) if begin.elapsed() > PATIENCE => return Err(error),
            Err(error) => say("note", &format!("cannot connect: {error:#}").replace('\n', " / ")),
        }
    }
}

async fn tell(task: &Task, over: &AtomicBool) -> Result<()> {
    let mut rng = fastrand::Rng::new();
    let (kafka, mut producer) = open(task, &mut rng).await?;
    say("open", "");
    let topics = topics(&task.stem);
    let mut number = 0;
    while !over.load(Ordering::Acquire) {
        number += 1;
        transfer(&mut producer, &topics, task, number, &mut rng).await?;
        thread::sleep(Duration::from_millis(rng.u64(0..40)));
    }
    say("note", "closes");
    producer.close().await?;
    Ok(kafka.close().await?)
}

/// One transfer. An error ends the teller's life.
async fn transfer(
    producer: &mut TransactionalProducer,
    topics: &[(String, i32); 3],
    task: &Task,
    number: u64,
    rng: &mut fastrand::Rng,
) -> Result<()> {
    let name = format!("{}.{number}", task.life);
    let transaction = match producer.begin_transaction() {
        Ok(transaction) => transaction,
        Err(error) if error.is_fatal() => return Err(error.into()),
        // The end of a transaction that nobody waited for, told late.
        Err(error) => {
            say("note", &format!("{name} cannot begin: {error}"));
            return Ok(());
        }
    };
    say("begin", &name);
    let legs = rng.usize(2..7);
    let mut rest = 0;
    let mut deliveries = Vec::new();
    for leg in 0..legs {
        let amount = if leg + 1 == legs { -rest } else { rng.i64(-100..100) };
        rest += amount;
        let (topic, partitions) = &topics[rng.usize(..2)];
        let value = Leg { life: task.life.clone(), number, leg, legs, amount }.to_string();
        let key = format!("account-{}", rng.u8(..20));
        let record = Record::to(topic.as_str()).partition(rng.i32(0..*partitions)).key(&key).value(&value);
        let delivery = transaction.send(record.header("leg", format!("{leg}").as_bytes()));
        if rng.u8(..4) == 0 {
            deliveries.push(delivery);
        }
    }
    // Some look what became of their records, most leave that to the commit.
    for delivery in deliveries {
        if let Err(error) = delivery.await {
            say("note", &format!("a record of {name}: {error}"));
        }
    }
    match rng.u8(..20) {
        0 => {
            say("aborted", &name);
            drop(transaction);
            return Ok(());
        }
        1 | 2 => {
            say("aborted", &name);
            return match transaction.abort().await {
                Err(error) if error.is_fatal() => Err(error.into()),
                _ => Ok(()),
            };
        }
        3 => {
            // What was written is aborted as well, not only what waited.
            transaction.flush().await.ok();
            say("aborted", &name);
            return match transaction.abort().await {
                Err(error) if error.is_fatal() => Err(error.into()),
                _ => Ok(()),
            };
        }
        _ => {}
    }
    let mut ended = transaction.commit().await;
    while let Err(error) = &ended {
        if error.is_fatal() || !error.is_outcome_unknown() {
            break;
        }
        say("unresolved", &format!("{name} {error}"));
        ended = producer.resume_commit().await;
    }
    match ended {
        Ok(()) => say("committed", &name),
        Err(error) => {
            say(if error.is_outcome_unknown() { "unknown" } else { "aborted" }, &name);
            say("note", &format!("{name}: {error:?}").replace('\n', " / "));
            if error.is_fatal() {
                return Err(error.into());
            }
        }
    }
    Ok(())
}

async fn audit(task: &Task, over: &AtomicBool) -> Result<()> {
    let begin = Instant::now();
    let kafka = connect(task).await?;
    let mut eos = loop {
        match kafka.exactly_once(&format!("{}-auditors", task.stem), &task.id).await {
            Ok(eos) => break eos,
            Err(error) if error.is_fatal() || begin.elapsed() > PATIENCE => return Err(error.into()),
            Err(error) => say("note", &format!("cannot begin: {error}")),
        }
    };
    let [ledger, vault, (audit, _)] = topics(&task.stem);
    eos.subscribe([ledger.0.as_str(), vault.0.as_str()])?;
    say("open", "");
    while !over.load(Ordering::Acquire) {
        match step(&mut eos, &audit, (&ledger.0, &vault.0)).await {
            Ok(()) => {}
            Err(error) => match error.downcast_ref::<Error>() {
                Some(e) if !e.is_fatal() => say("note", &one_line(&error)),
                _ => return Err(error),
            },
        }
    }
    eos.close().await?;
    Ok(kafka.close().await?)
}

async fn step(eos: &mut ExactlyOnce, audit: &str, from: (&str, &str)) -> Result<()> {
    let step = eos.poll(Duration::from_millis(200)).await?.context("woken up")?;
    if step.batch().is_empty() {
        return Ok(());
    }
    for record in step.batch() {
        let value = std::str::from_utf8(record.value().context("a tombstone")?)?;
        ensure!(record.topic() == from.0 || record.topic() == from.1, "a record of {}", record.topic());
        let (sort, into) = match record.topic() == from.0 {
            true => ("ledger", record.partition()),
            false => ("vault", 6 + record.partition()),
        };
        let copy = copy_of((sort, record.partition()), record.offset(), value);
        step.send(Record::to(audit).partition(into).value(&copy)).queued().await?;
    }
    let count = step.batch().len();
    if fastrand::u8(..12) == 0 {
        say("step-dropped", "");
        return Ok(()); // aborted, and read again
    }
    match step.commit().await? {
        Outcome::Committed => say("step", &count.to_string()),
        Outcome::Aborted(why) => {
            ensure!(!why.is_fatal(), "a fatal error for an aborted step: {why:?}");
            say("step-aborted", &why.to_string());
        }
        other => bail!("{other:?}"),
    }
    Ok(())
}
