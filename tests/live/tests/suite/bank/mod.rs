//! A bank on a cluster whose brokers are killed: transfers of several records to several topics, tellers that die, are
//! stopped and replaced, auditors that copy every transfer exactly once, and readers of what is committed.
//!
//! `cargo test -p klamm-live --test suite -- the_bank` takes half a minute;
//! `KLAMM_LIVE_SECONDS=600` before it makes it ten.

mod clerk;
mod office;
mod readers;

pub(crate) use clerk::{CLERK, be_a_clerk};

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use klamm::admin::NewTopic;
use klamm_core::wire::messages::DescribeTransactionsRequest;
use klamm_live::bank::{Fate, judge_copies, judge_seen, judge_shared, judge_transfers};
use klamm_live::{Behaviour, Kind, Runtime, Target, Version};

use crate::client::{connect, drive};
use crate::monkey::{Toll, doze, duration, kill_at_random};
use crate::transactions::wire::{Sort, Wire};
use clerk::{Task, topics};
use office::Office;
use readers::{Goal, agree, log_of, read_along, settle, share};

pub(crate) const BEHAVIOURS: &[Behaviour] =
    &[Behaviour::of_klamm("the_bank_keeps_its_books_while_brokers_are_killed", bank)
        .on(|kind| kind == Kind::Real(Version::V4_4_0))
        .alone()
        .within(Duration::from_secs(3600))];

/// Nobody waits longer for the next commit of anybody, whatever is killed.
const BOUND: Duration = Duration::from_secs(30);

/// How many tellers and how many auditors there are at a time.
const STAFF: [(&str, usize); 2] = [("teller", 3), ("auditor", 2)];

fn bank(target: &Target, runtime: Runtime) -> Result<()> {
    let stem = target.topic("bank");
    drive(runtime, create(target, runtime, &stem))?;
    let mut office = Office::new();
    let outcome = open_to_close(target, runtime, &stem, &mut office);
    if outcome.is_err() {
        let folder = std::env::temp_dir().join(&stem);
        std::fs::create_dir_all(&folder)?;
        for (sort, count) in STAFF {
            for number in 0..count {
                let id = format!("{stem}-{sort}-{number}");
                let state = describe(target, &id);
                office.books().note(&format!("the coordinator of {id} says {state:?}"));
            }
        }
        std::fs::write(folder.join("diary"), office.books().diary.join("\n"))?;
        for node in target.node_ids() {
            let log = format!("node-{node}.log");
            std::fs::copy(target.real()?.folder().join(&log), folder.join(&log))?;
        }
        eprintln!("the bank's diary and the brokers' logs are in {}", folder.display());
    }
    // Whatever was, the next behaviours find the newest protocol.
    target.java()?.set_feature("transaction.version", 2)?;
    outcome
}

/// What the coordinator of a transactional id knows of it.
fn describe(target: &Target, id: &str) -> Result<(i32, String)> {
    let mut wire = Wire::to(target);
    let coordinator = wire.coordinator(id, Sort::Transaction)?;
    let request = DescribeTransactionsRequest { transactional_ids: vec![id.to_owned()] };
    Ok((coordinator, format!("{:?}", wire.ask(coordinator, &request, 0)?.transaction_states)))
}

async fn create(target: &Target, runtime: Runtime, stem: &str) -> Result<()> {
    let kafka = connect(target, runtime).await?;
    let new = topics(stem).map(|(name, partitions)| NewTopic::new(name.as_str(), partitions, 3));
    kafka.admin().create_topics(new).await?.all()?;
    Ok(kafka.close().await?)
}

fn open_to_close(target: &Target, runtime: Runtime, stem: &str, office: &mut Office) -> Result<()> {
    let java = target.java()?;
    // The first half is the protocol of old; then the cluster is upgraded under the clerks' hands.
    java.set_feature("transaction.version", 1)?;
    let [ledger, vault, audit] = topics(stem);
    let (goal, length) = (Goal::default(), duration(24));
    let all = [ledger.clone(), vault.clone(), audit.clone()];
    let group = &*format!("{stem}-readers");
    thread::scope(|scope| {
        let (goal, all) = (&goal, &all);
        let alone = |runtime| scope.spawn(move || drive(runtime, read_along(target, runtime, all, goal)));
        let readers = Runtime::ALL.map(|runtime| (runtime, alone(runtime)));
        let members = [0, 1].map(|_| scope.spawn(move || drive(runtime, share(target, runtime, group, all, goal))));
        let worked = work(target, stem, office, length);
        let closed = worked.and_then(|toll| Ok((toll, close(target, runtime, office, all, goal)?)));
        goal.fail_if(closed.is_err());
        let mut seen = BTreeMap::new();
        for (runtime, reader) in readers {
            let read = reader.join().map_err(|_| anyhow!("a reader panicked"))?;
            seen.insert(format!("the reader of {runtime:?}"), read);
        }
        let mut shared = Vec::new();
        for member in members {
            shared.push(member.join().map_err(|_| anyhow!("a member panicked"))?);
        }
        let (toll, logs) = closed?;
        for (who, read) in seen {
            judge_seen(&who, &logs.all(), &read.with_context(|| who.clone())?)?;
        }
        let shared = shared.into_iter().collect::<Result<Vec<_>>>().context("a member of the group of readers")?;
        let doubled = judge_shared("the group of readers", &logs.all(), &shared)?;
        report(office, &toll, length, logs.records, doubled);
        ensure!(office.books().stall.0 < BOUND, "nothing was committed for {:?}", office.books().stall);
        Ok(())
    })
}

/// Lets the clerks work while brokers are killed; all is healed at the end, and the tellers are gone.
fn work(target: &Target, stem: &str, office: &mut Office, length: Duration) -> Result<Toll> {
    for (sort, count) in STAFF {
        for number in 0..count {
            let life = format!("{}{number}", &sort[..1]);
            let (id, stem) = (format!("{stem}-{sort}-{number}"), stem.to_owned());
            let teller = sort == "teller";
            let (bootstrap, runtime) = (target.bootstrap(), Runtime::ALL[number % 3]);
            office.hire(Task { teller, bootstrap, runtime, life, id, stem })?;
        }
    }
    let cluster = target.real()?;
    let begin = Instant::now();
    while office.books().times("committed") < 10 {
        ensure!(begin.elapsed() < Duration::from_secs(60), "no teller commits: {:?}", office.books().said);
        thread::sleep(Duration::from_millis(50));
    }
    office.forget_stalls();
    let (begin, over) = (Instant::now(), AtomicBool::new(false));
    let mut rng = fastrand::Rng::new();
    let books = office.shared();
    let told = |text: String| {
        books.lock().unwrap_or_else(PoisonError::into_inner).note(&format!("the monkey: {text}"));
    };
    let toll = thread::scope(|scope| {
        let monkey = scope.spawn(|| kill_at_random(cluster, &over, told));
        let mut upgraded = false;
        let mut outcome = Ok(());
        while outcome.is_ok() && begin.elapsed() < length && !monkey.is_finished() {
            doze(&over, Duration::from_millis(rng.u64(500..3_500)));
            outcome = office.turn_over(&mut rng);
            if outcome.is_ok() && !upgraded && begin.elapsed() > length / 2 {
                upgraded = true;
                outcome = target.java().and_then(|java| java.set_feature("transaction.version", 2));
                office.books().note("version 2");
            }
        }
        over.store(true, Ordering::Release);
        let toll = monkey.join().map_err(|_| anyhow!("who kills panicked"))?;
        outcome.and(toll)
    });
    let toll = toll?;
    // It goes on for a moment when all is well again.
    let before = office.books().times("committed");
    let begin = Instant::now();
    while office.books().times("committed") < before + 10 {
        ensure!(begin.elapsed() < BOUND, "nobody commits though all is healed: {:?}", office.books().said);
        thread::sleep(Duration::from_millis(50));
    }
    office.dismiss(true)?;
    ensure!(office.books().failures.is_empty(), "{:#?}", office.books().failures);
    Ok(toll)
}

/// The committed logs, as the official consumer reads them.
struct Logs {
    transfers: klamm_live::bank::Log,
    audit: klamm_live::bank::Log,
    records: usize,
}

impl Logs {
    fn all(&self) -> klamm_live::bank::Log {
        self.transfers.iter().chain(&self.audit).map(|(place, records)| (place.clone(), records.clone())).collect()
    }
}

/// Waits until everything has ended, and judges what the tellers said and what the auditors copied.
fn close(target: &Target, runtime: Runtime, office: &mut Office, all: &[(String, i32)], goal: &Goal) -> Result<Logs> {
    drive(runtime, settle(target, runtime, &all[..2])).context("transactions of tellers")?;
    let mut transfers = klamm_live::bank::Log::new();
    let mut records = 0;
    for (topic, _) in &all[..2] {
        let read = target.java()?.consume(topic, 0, &["isolation.level=read_committed"])?;
        records += read.len();
        drive(runtime, agree(target, runtime, topic, &read))?;
        transfers.append(&mut log_of(&read)?);
    }
    judge_transfers(&office.books().fates, &transfers)?;
    goal.set_transfers(records);
    // The auditors come to the end.
    let begin = Instant::now();
    while goal.audited() < records {
        ensure!(
            begin.elapsed() < BOUND,
            "{} of {records} transfers were copied: {:?}",
            goal.audited(),
            office.books().said
        );
        thread::sleep(Duration::from_millis(50));
    }
    office.dismiss(false)?;
    ensure!(office.books().failures.is_empty(), "{:#?}", office.books().failures);
    drive(runtime, settle(target, runtime, &all[2..])).context("transactions of auditors")?;
    let read = target.java()?.consume(&all[2].0, records, &["isolation.level=read_committed"])?;
    drive(runtime, agree(target, runtime, &all[2].0, &read))?;
    let audit = log_of(&read)?;
    // Copies name their source by its sort.
    let sorts = |((topic, partition), records): (&(String, i32), &Vec<(i64, String)>)| {
        let sort = topic.rsplit('-').next().unwrap_or_default().to_owned();
        ((sort, *partition), records.clone())
    };
    judge_copies(&transfers.iter().map(sorts).collect(), &audit)?;
    goal.set_audit(read.len());
    Ok(Logs { transfers, audit, records: records + read.len() })
}

fn report(office: &Office, toll: &Toll, length: Duration, records: usize, doubled: usize) {
    let books = office.books();
    let cpu: u64 = books.cpu.values().sum();
    eprintln!(
        "the bank: {length:?}, {} kills of brokers; clerks: {:?}; {} transfers begun: {} committed, {} aborted, {} unknown, \
         {} left in doubt and resolved; {} steps of auditors committed, {} given up, {} aborted; {records} records \
         committed, {doubled} handed out twice by the group; nothing was committed for at most {:.1?} (at {:.1?}); \
         CPU of clerks {:.1} s",
        toll.kills,
        office.ends,
        books.fates.len(),
        books.count(Fate::Committed),
        books.count(Fate::Aborted),
        books.count(Fate::Unknown),
        books.times("unresolved"),
        books.times("step"),
        books.times("step-dropped"),
        books.times("step-aborted"),
        books.stall.0,
        books.stall.1,
        cpu as f64 / 1e3,
    );
}
