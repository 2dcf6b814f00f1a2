//! Scenarios of the first priority, by their numbers, while nodes of a real cluster are killed with SIGKILL.
//!
//! They share one outage, for each would take it as long: a node falls silent (SIGSTOP), goes on, and is killed; when others
//! lead what it led, those are killed too; then all come back. Each scenario writes to a topic of its own, to the partition
//! that is led by the node that dies first, from before the outage until after it, and then judges what it finds.

mod bytes;
mod ids;
mod transactions;
mod writers;

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use klamm::admin::NewTopic;
use klamm::{Delivery, Kafka, Producer};
use klamm_live::{Behaviour, Kind, Record, Runtime, Target, Version};

use crate::client::{LIMIT, connect, from_klamm, reader};

/// A scenario, on one runtime; what it says is printed.
type Scenario = fn(&Outage<'_>, Runtime) -> Result<String>;

/// What shares the outage.
const SCENARIOS: &[(&str, Scenario)] = &[
    ("pr_02", writers::failed_and_sent_again),
    ("pr_03", writers::sent_before_close),
    ("pr_05", bytes::answers_cut_short),
    ("pr_06", writers::null_and_empty),
    ("pr_23", bytes::expired_on_the_socket),
    ("pr_26", writers::without_idempotence),
    ("pr_45", writers::keys),
    ("id_10", ids::refused_here),
    ("id_11", ids::many_threads_and_new_epochs),
    ("id_12", ids::forgotten),
    ("tx_02", transactions::positions_on_the_wire),
    ("tx_07", transactions::nothing_reached_the_cluster),
];

macro_rules! under_kill {
    ($($name:literal $number:literal),* $(,)?) => {
        &[$(
            Behaviour::of_harness($name, |target| told(target, $number)).on(is_killed).alone().within(Duration::from_secs(400)),
        )*]
    };
}

pub(crate) const BEHAVIOURS: &[Behaviour] = under_kill![
    "pr_02_kill_9_what_follows_a_failed_batch_is_written_when_it_is_acknowledged" "pr_02",
    "pr_03_kill_9_what_was_sent_before_close_is_written" "pr_03",
    "pr_05_kill_9_an_answer_cut_short_makes_no_duplicate" "pr_05",
    "pr_06_kill_9_null_stays_null" "pr_06",
    "pr_23_kill_9_what_expires_on_the_socket_spoils_nothing" "pr_23",
    "pr_26_kill_9_without_idempotence_order_is_kept" "pr_26",
    "pr_45_kill_9_keys_stay_where_java_puts_them" "pr_45",
    "id_10_kill_9_a_record_refused_here_leaves_no_gap" "id_10",
    "id_11_kill_9_every_batch_bears_its_producer_id" "id_11",
    "id_12_kill_9_a_forgotten_producer_writes_on" "id_12",
    "tx_02_kill_9_positions_on_the_wire_are_part_of_their_transaction" "tx_02",
    "tx_07_kill_9_what_never_reached_the_cluster_is_not_committed" "tx_07",
];

fn is_killed(kind: Kind) -> bool {
    kind == Kind::Real(Version::V4_4_0)
}

/// The node that is killed first.
const VICTIM: usize = 2;

/// How many scenarios wait for their answers before all nodes are killed: PR-03, 05, 06, 45, ID-10, ID-12.
const QUIET: usize = 6;

/// How far the outage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
enum Stage {
    /// All nodes work.
    Whole,
    /// The victim is stopped, and not gone.
    Silent,
    /// It goes on.
    Heard,
    /// It is killed.
    Killed,
    /// Others lead; who would have nothing under way when these are killed too waits for its answers.
    LastCall,
    /// All are killed.
    AllKilled,
    /// All are back.
    Healed,
}

/// What the scenarios see of each other: nothing but the time.
struct Outage<'a> {
    target: &'a Target,
    stage: AtomicU8,
    ready: AtomicUsize,
    quiet: AtomicUsize,
}

impl Outage<'_> {
    fn is(&self, stage: Stage) -> bool {
        self.stage.load(Ordering::Acquire) >= stage as u8
    }

    fn begin(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Release);
    }

    fn wait_for(&self, stage: Stage) {
        while !self.is(stage) {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The outage begins when all have said this, or failed.
    fn ready(&self) {
        self.ready.fetch_add(1, Ordering::AcqRel);
    }

    /// All are killed when those that wait for that have said this, or failed.
    ///
    /// A broker that was killed has restored of each producer its last batch only: it knows no other again, refuses what was
    /// under way before that one as out of sequence, and klamm tells such records as perhaps written. So records must all be
    /// acknowledged only where none are under way then.
    fn quiet(&self) {
        self.quiet.fetch_add(1, Ordering::AcqRel);
    }

    /// A topic of three partitions on all nodes; the partition that the victim leads.
    async fn topic(&self, kafka: &Kafka, stem: &str) -> Result<(String, i32)> {
        let topic = self.target.topic(stem);
        kafka.admin().create_topics([NewTopic::new(topic.as_str(), 3, 3)]).await?.all()?;
        let begin = Instant::now();
        while self.target.partitions(&topic)? != 3 {
            ensure!(begin.elapsed() < LIMIT, "{topic} is not known everywhere");
            thread::sleep(Duration::from_millis(20));
        }
        let metadata = self.target.probe(1)?.metadata(Some(&[&topic]))?;
        let known = metadata.topics.first().context("no topic")?;
        let led = known.partitions.iter().find(|p| usize::try_from(p.leader) == Ok(VICTIM));
        Ok((topic, led.with_context(|| format!("node {VICTIM} leads nothing of {known:?}"))?.index))
    }

    /// All records of a topic without transactions, in the order of their places.
    async fn read(&self, topic: &str) -> Result<Vec<Record>> {
        let begin = Instant::now();
        let ends = || -> Result<i64> {
            (0..3).map(|partition| self.target.probe_leader(topic, partition)?.end_offset(topic, partition)).sum()
        };
        let kafka = connect(self.target, Runtime::Blocking).await?;
        let mut consumer = reader(&kafka, topic)?;
        let (mut read, mut before) = (Vec::new(), None);
        loop {
            let batch = consumer.poll(Duration::from_millis(300)).await?.context("woken up")?;
            read.extend(batch.iter().map(from_klamm));
            // A leader that has just come back does not know at once that it is one, nor how far its log is committed.
            let end = ends().ok().and_then(|end| usize::try_from(end).ok());
            if batch.is_empty() && end == Some(read.len()) && before == end {
                break;
            }
            before = end;
            ensure!(begin.elapsed() < 2 * LIMIT, "{} records of {topic} read, the ends are {end:?}", read.len());
        }
        consumer.close().await?;
        kafka.close().await?;
        Ok(crate::client::by_place(read))
    }
}

/// Sends a record until it is acknowledged, however slow the machine is: what follows is to be about the outage.
async fn warm_up(producer: &Producer, record: klamm::Record<'_>) -> Result<()> {
    let begin = Instant::now();
    while let Err(error) = producer.send(record.clone()).await {
        ensure!(begin.elapsed() < LIMIT, "{error}");
    }
    Ok(())
}

/// What became of one record.
struct Sent {
    value: String,
    /// Its offset, or why there is none.
    outcome: klamm::Result<i64>,
}

/// Records on their way, in the order of sending.
struct Line<'a> {
    producer: &'a Producer,
    topic: &'a str,
    partition: i32,
    under_way: std::collections::VecDeque<(String, Delivery)>,
    sent: Vec<Sent>,
}

impl<'a> Line<'a> {
    fn to(producer: &'a Producer, topic: &'a str, partition: i32) -> Self {
        Self { producer, topic, partition, under_way: Default::default(), sent: Vec::new() }
    }

    fn send(&mut self, value: String) {
        let record = klamm::Record::to(self.topic).partition(self.partition).value(&value);
        let delivery = self.producer.send(record);
        self.under_way.push_back((value, delivery));
    }

    /// Takes the outcomes that are known; waits where more than `most` are under way.
    async fn settle(&mut self, most: usize) {
        while self.under_way.len() > most || self.under_way.front().is_some_and(|(_, delivery)| delivery.is_ready()) {
            let Some((value, delivery)) = self.under_way.pop_front() else { return };
            let outcome = delivery.await.map(|at| at.offset().unwrap_or(-1));
            self.sent.push(Sent { value, outcome });
        }
    }
}

fn text(record: &Record) -> String {
    String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned()
}

/// What every promise comes to: an acknowledged record is at its offset, no record is there twice, and what is told as surely
/// not written is nowhere. Gives how many were acknowledged, and how many failed.
fn judge(sent: &[Sent], log: &[Record], partition: i32) -> Result<(usize, usize)> {
    let of_partition = log.iter().filter(|record| record.partition == Some(partition));
    let by_offset: BTreeMap<i64, String> = of_partition.map(|r| (r.offset.unwrap_or(-1), text(r))).collect();
    let mut places: BTreeMap<&str, i64> = BTreeMap::new();
    for (offset, value) in &by_offset {
        if let Some(first) = places.insert(value, *offset) {
            bail!("{value} is at {first} and at {offset}");
        }
    }
    let (mut acknowledged, mut failed) = (0, 0);
    for Sent { value, outcome } in sent {
        match outcome {
            Ok(offset) => {
                let there = by_offset.get(offset);
                ensure!(there == Some(value), "{value} is acknowledged at {offset}, where {there:?} is");
                acknowledged += 1;
            }
            Err(error) => {
                let place = places.get(value.as_str());
                ensure!(error.possibly_written() || place.is_none(), "{value} is at {place:?} in spite of: {error}");
                failed += 1;
            }
        }
    }
    Ok((acknowledged, failed))
}

/// Numbers go up, each by one.
fn ensure_gapless(log: &[Record], partition: i32) -> Result<usize> {
    let of_partition = log.iter().filter(|record| record.partition == Some(partition));
    let mut count = 0;
    for (n, record) in of_partition.enumerate() {
        ensure!(text(record) == number(n), "{} is where {} is due", text(record), number(n));
        count = n + 1;
    }
    Ok(count)
}

fn number(n: usize) -> String {
    format!("{n:06}")
}

type Verdicts = BTreeMap<&'static str, Result<String, String>>;

/// The verdict on one scenario; the first that asks brings the outage about.
fn told(target: &Target, name: &str) -> Result<()> {
    static VERDICTS: Mutex<Option<Verdicts>> = Mutex::new(None);
    let mut verdicts = VERDICTS.lock().unwrap_or_else(PoisonError::into_inner);
    let all = match &mut *verdicts {
        Some(known) => known,
        // Once is enough, also of what went wrong.
        none => none.insert(happen(target).unwrap_or_else(|error| {
            let why = format!("{error:#}");
            SCENARIOS.iter().map(|(name, _)| (*name, Err(why.chars().take(2_000).collect()))).collect()
        })),
    };
    match all.get(name).context("no such scenario")? {
        Ok(_) => Ok(()),
        Err(why) => bail!("{why}"),
    }
}

fn happen(target: &Target) -> Result<Verdicts> {
    let begin = Instant::now();
    let outage = Outage { target, stage: AtomicU8::new(Stage::Whole as u8), ready: 0.into(), quiet: 0.into() };
    let outage = &outage;
    let (verdicts, toll) = thread::scope(|scope| {
        let play = |index: usize| {
            let (name, scenario) = SCENARIOS[index];
            scope.spawn(move || {
                let runtime = Runtime::ALL[index % Runtime::ALL.len()];
                let played = panic::catch_unwind(AssertUnwindSafe(|| scenario(outage, runtime)));
                let outcome = played.unwrap_or_else(|_| Err(anyhow!("panicked")));
                // Who fails early holds nobody up, and who has said so already does not count.
                outage.ready();
                outage.quiet();
                (name, outcome.map_err(|error| format!("{error:#}")))
            })
        };
        let threads: Vec<_> = (0..SCENARIOS.len()).map(play).collect();
        let begin = Instant::now();
        while outage.ready.load(Ordering::Acquire) < SCENARIOS.len() && begin.elapsed() < 2 * LIMIT {
            thread::sleep(Duration::from_millis(10));
        }
        let toll = harm(outage);
        outage.begin(Stage::Healed);
        let verdicts: Verdicts = threads.into_iter().filter_map(|thread| thread.join().ok()).collect();
        (verdicts, toll)
    });
    toll?;
    for (name, verdict) in &verdicts {
        eprintln!("{name}: {}", verdict.as_deref().unwrap_or("failed"));
    }
    eprintln!("killed: {:.1?}", begin.elapsed());
    Ok(verdicts)
}

fn harm(outage: &Outage<'_>) -> Result<()> {
    let cluster = outage.target.real()?;
    thread::sleep(Duration::from_millis(500));
    cluster.pause(VICTIM)?;
    outage.begin(Stage::Silent);
    // Less than its session lasts: it comes back as a leader, and reads what was written to it meanwhile.
    thread::sleep(Duration::from_millis(2_500));
    cluster.resume(VICTIM)?;
    outage.begin(Stage::Heard);
    thread::sleep(Duration::from_millis(500));
    cluster.kill(VICTIM)?;
    outage.begin(Stage::Killed);
    // Until others lead: its session ends after four seconds.
    thread::sleep(Duration::from_secs(6));
    outage.begin(Stage::LastCall);
    let begin = Instant::now();
    while outage.quiet.load(Ordering::Acquire) < QUIET && begin.elapsed() < LIMIT {
        thread::sleep(Duration::from_millis(10));
    }
    cluster.node_ids().filter(|node| *node != VICTIM).try_for_each(|node| cluster.kill(node))?;
    outage.begin(Stage::AllKilled);
    thread::sleep(Duration::from_secs(3));
    cluster.heal()
}
