//! Everything goes wrong at once: brokers are killed, stopped and restarted, connections cut, delayed and silenced,
//! partitions moved, topics created anew, members of a group come, go and fall asleep; and what was promised holds.
//!
//! `cargo test -p klamm-live --test suite -- chaos` takes a minute; `KLAMM_LIVE_SECONDS=600` before it makes it ten.

mod members;
mod senders;
mod storm;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use klamm::Config;
use klamm::admin::NewTopic;
use klamm_live::bank::Log;
use klamm_live::chaos::{Told, Watch, judge_written};
use klamm_live::{Behaviour, Kind, Proxy, Runtime, Target, Version, process_time};

use crate::client::{by_place, connect, drive};
use crate::monkey::duration;

pub(crate) const BEHAVIOURS: &[Behaviour] =
    &[Behaviour::of_klamm("pr_01_pr_41_id_01_id_02_id_04_id_05_id_06_chaos_breaks_no_promise", chaos)
        .on(|kind| kind == Kind::Real(Version::V4_4_0))
        .alone()
        .within(Duration::from_secs(3600))];

/// Nobody waits longer for the next acknowledgement, or for the next record that there is, whatever goes wrong.
const BOUND: Duration = Duration::from_secs(45);

/// The topic that is judged, and how many partitions it has.
const PARTITIONS: i32 = 6;

/// What all threads of a run know.
struct Run<'a> {
    target: &'a Target,
    proxies: Vec<Proxy>,
    topic: String,
    /// It is deleted and created anew now and then.
    fleeting: String,
    group: String,
    begin: Instant,
    over: AtomicBool,
    /// All is written and read.
    done: AtomicBool,
    watch: Mutex<Watch>,
    diary: Mutex<Vec<String>>,
    failures: Mutex<Vec<String>>,
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Run<'_> {
    fn note(&self, text: impl AsRef<str>) {
        locked(&self.diary).push(format!("{:>8.3} {}", self.begin.elapsed().as_secs_f64(), text.as_ref()));
    }

    /// Something that must not be; the run ends.
    fn fail(&self, text: String) {
        self.note(&text);
        locked(&self.failures).push(text);
        self.over.store(true, Ordering::Release);
        self.done.store(true, Ordering::Release);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// A client whose every connection goes through a proxy.
    fn config(&self) -> Config {
        let ports: Vec<u16> = self.proxies.iter().map(Proxy::port).collect();
        let bootstrap: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        Config::new(bootstrap.join(","))
            .request_timeout(Duration::from_secs(5))
            .set("socket.connection.setup.timeout.ms", 3_000)
            .rewrite_address(move |broker| {
                let port = broker.id.and_then(|id| ports.get(usize::try_from(id - 1).ok()?));
                port.map_or_else(|| format!("{}:{}", broker.host, broker.port), |port| format!("127.0.0.1:{port}"))
            })
    }
}

fn chaos(target: &Target, runtime: Runtime) -> Result<()> {
    let proxies = target.ports().into_iter().map(Proxy::to).collect::<Result<Vec<_>>>()?;
    let run = Run {
        target,
        proxies,
        topic: target.topic("chaos"),
        fleeting: target.topic("fleeting"),
        group: target.topic("chaotic"),
        begin: Instant::now(),
        over: AtomicBool::new(false),
        done: AtomicBool::new(false),
        watch: Mutex::default(),
        diary: Mutex::default(),
        failures: Mutex::default(),
    };
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        let topics = [NewTopic::new(run.topic.as_str(), PARTITIONS, 3), NewTopic::new(run.fleeting.as_str(), 2, 3)];
        kafka.admin().create_topics(topics).await?.all()?;
        Ok(kafka.close().await?)
    })?;
    let outcome = all_of_it(&run, runtime);
    if outcome.is_err() {
        let folder = std::env::temp_dir().join(&run.topic);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("diary"), locked(&run.diary).join("\n"))?;
        for node in target.node_ids() {
            let log = format!("node-{node}.log");
            std::fs::copy(target.real()?.folder().join(&log), folder.join(&log))?;
        }
        eprintln!("the diary of the chaos and the brokers' logs are in {}", folder.display());
    }
    outcome
}

fn all_of_it(run: &Run<'_>, runtime: Runtime) -> Result<()> {
    let (length, used) = (duration(20), process_time());
    thread::scope(|scope| {
        let senders = Runtime::ALL.map(|runtime| scope.spawn(move || drive(runtime, senders::send_on(run, runtime))));
        let members = scope.spawn(|| members::come_and_go(run));
        let watching = scope.spawn(|| drive(runtime, members::watch_commits(run, runtime)));
        let toll = storm::rage(run, length);
        if let Err(error) = &toll {
            run.fail(format!("the storm: {error:#}"));
        }
        run.over.store(true, Ordering::Release);
        let mut told: BTreeMap<String, Vec<Told>> = BTreeMap::new();
        let mut brief: BTreeMap<String, Vec<Told>> = BTreeMap::new();
        let mut stall = Duration::ZERO;
        for sender in senders {
            match sender.join().map_err(|_| anyhow!("a sender panicked")).and_then(|sent| sent) {
                Ok(sent) => {
                    told.insert(sent.name.clone(), sent.told);
                    brief.insert(sent.name, sent.fleeting);
                    stall = stall.max(sent.stall);
                }
                Err(error) => run.fail(format!("a sender: {error:#}")),
            }
        }
        let read = finish(run, &told, &brief);
        if let Err(error) = &read {
            run.fail(format!("{error:#}"));
        }
        run.done.store(true, Ordering::Release);
        let members = members.join().map_err(|_| anyhow!("who hires members panicked"))?;
        watching.join().map_err(|_| anyhow!("who watches commits panicked"))??;
        let failures = locked(&run.failures).clone();
        ensure!(failures.is_empty(), "{failures:#?}");
        let (log, members, toll) = (read?, members?, toll?);
        let again = locked(&run.watch).judge(&log)?;
        let count = |what: Told| told.values().flatten().filter(|told| **told == what).count();
        let carried: u64 = run.proxies.iter().map(Proxy::carried).sum();
        eprintln!(
            "chaos: {length:?}, {toll:?}; {members:?}; {} records acknowledged, {} in doubt, {} not written; {} read, {again} \
             of them again; {} MB through the proxies; no acknowledgement for at most {stall:.1?}; CPU {:.1?}",
            count(Told::Acknowledged),
            count(Told::InDoubt),
            count(Told::NotWritten),
            log.values().map(Vec::len).sum::<usize>(),
            carried >> 20,
            process_time() - used,
        );
        ensure!(stall < BOUND, "nothing was acknowledged for {stall:?}");
        Ok(())
    })
}

/// Judges the logs, and waits until the group has read all of its topic.
fn finish(run: &Run<'_>, told: &BTreeMap<String, Vec<Told>>, brief: &BTreeMap<String, Vec<Told>>) -> Result<Log> {
    ensure!(locked(&run.failures).is_empty(), "something failed before");
    let log = read(run, &run.topic)?;
    judge_written(told, &log)?;
    // What a deleted topic of that name had is gone: of its records only those can be judged that are there.
    judge_written(brief, &read(run, &run.fleeting)?).context("the topic that is created anew")?;
    let total: usize = log.values().map(Vec::len).sum();
    let begin = Instant::now();
    loop {
        let count = locked(&run.watch).count();
        if count >= total {
            return Ok(log);
        }
        ensure!(begin.elapsed() < BOUND, "the group has read {count} of {total} records");
        thread::sleep(Duration::from_millis(100));
    }
}

fn read(run: &Run<'_>, topic: &str) -> Result<Log> {
    let mut log = Log::new();
    for record in by_place(run.target.java()?.consume(topic, 0, &[])?) {
        let place = (record.topic, record.partition.context("no partition")?);
        let value = String::from_utf8(record.value.context("a tombstone")?)?;
        log.entry(place).or_default().push((record.offset.context("no offset")?, value));
    }
    Ok(log)
}

/// Shared by the threads that members are.
type Flag = Arc<AtomicBool>;
