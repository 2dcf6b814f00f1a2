//! Who reads what the bank has committed, and whether other clients read the same.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use klamm::Consumer;
use klamm::config::{ConsumerConfig, IsolationLevel, OffsetReset};
use klamm_live::bank::Log;
use klamm_live::{Record, Runtime, Target};

use crate::client::{by_place, connect, take};

/// After everything has ended, a reader has so long to come to the end.
const PATIENCE: Duration = Duration::from_secs(60);

/// How far there is to read, once that is known.
#[derive(Default)]
pub(super) struct Goal {
    transfers: AtomicUsize,
    audit: AtomicUsize,
    known: AtomicBool,
    failed: AtomicBool,
    audited: AtomicUsize,
    shared: Mutex<BTreeSet<(String, i32, i64)>>,
}

impl Goal {
    pub(super) fn set_transfers(&self, records: usize) {
        self.transfers.store(records, Ordering::Release);
    }

    /// The last that becomes known.
    pub(super) fn set_audit(&self, records: usize) {
        self.audit.store(records, Ordering::Release);
        self.known.store(true, Ordering::Release);
    }

    pub(super) fn fail_if(&self, failed: bool) {
        self.failed.fetch_or(failed, Ordering::AcqRel);
    }

    /// The most copies that a reader saw.
    pub(super) fn audited(&self) -> usize {
        self.audited.load(Ordering::Acquire)
    }

    /// How many records there are, once that is known.
    fn total(&self) -> Result<Option<usize>> {
        if self.failed.load(Ordering::Acquire) {
            bail!("given up, because others failed");
        }
        let all = || self.transfers.load(Ordering::Acquire) + self.audit.load(Ordering::Acquire);
        Ok(self.known.load(Ordering::Acquire).then(all))
    }
}

/// What was read, by partition.
pub(super) fn log_of(records: &[Record]) -> Result<Log> {
    let mut log = Log::new();
    for record in by_place(records.to_vec()) {
        let place = (record.topic, record.partition.context("no partition")?);
        let value = String::from_utf8(record.value.context("a tombstone")?)?;
        log.entry(place).or_default().push((record.offset.context("no offset")?, value));
    }
    Ok(log)
}

async fn poll(consumer: &mut Consumer, log: &mut Log) -> Result<usize> {
    let batch = match consumer.poll(Duration::from_millis(200)).await {
        Ok(batch) => batch.context("woken up")?,
        Err(error) => {
            ensure!(!error.is_fatal(), "{error:?}");
            thread::sleep(Duration::from_millis(100));
            return Ok(0);
        }
    };
    for record in &batch {
        let value = String::from_utf8(record.value().context("a tombstone")?.to_vec())?;
        log.entry((record.topic().to_owned(), record.partition())).or_default().push((record.offset(), value));
    }
    Ok(batch.len())
}

fn committed() -> ConsumerConfig {
    let section = ConsumerConfig::standalone().auto_offset_reset(OffsetReset::Earliest);
    section.isolation_level(IsolationLevel::ReadCommitted)
}

/// Reads all of it from the first record on, each once.
pub(super) async fn read_along(
    target: &Target,
    runtime: Runtime,
    topics: &[(String, i32)],
    goal: &Goal,
) -> Result<Log> {
    let kafka = connect(target, runtime).await?;
    let mut consumer = kafka.consumer_with(committed())?;
    consumer.subscribe(topics.iter().map(|(name, _)| name.as_str()))?;
    let (mut log, mut count, mut audited, mut deadline) = (Log::new(), 0, 0, None);
    let audit = &topics[2].0;
    loop {
        let came = poll(&mut consumer, &mut log).await?;
        count += came;
        if came > 0 {
            audited =
                audited.max(log.iter().filter(|(place, _)| &place.0 == audit).map(|(_, records)| records.len()).sum());
            goal.audited.fetch_max(audited, Ordering::AcqRel);
        }
        let Some(total) = goal.total()? else { continue };
        // One more look, for what should not be there.
        if count >= total && came == 0 {
            break;
        }
        let deadline = *deadline.get_or_insert_with(|| Instant::now() + PATIENCE);
        ensure!(Instant::now() < deadline, "{count} of {total} records read: {}", consumer.state());
    }
    consumer.close().await?;
    kafka.close().await?;
    Ok(log)
}

/// Reads as a member of a group, which commits by itself.
pub(super) async fn share(
    target: &Target,
    runtime: Runtime,
    group: &str,
    topics: &[(String, i32)],
    goal: &Goal,
) -> Result<Log> {
    let kafka = connect(target, runtime).await?;
    let section = committed().with_group(group).set("enable.auto.commit", true).set("auto.commit.interval.ms", 500);
    let section = section.set("session.timeout.ms", 10_000);
    let mut consumer = kafka.consumer_with(section)?;
    consumer.subscribe(topics.iter().map(|(name, _)| name.as_str()))?;
    let (mut log, mut deadline) = (Log::new(), None);
    loop {
        let mut fresh = Log::new();
        let came = poll(&mut consumer, &mut fresh).await?;
        let together = {
            let mut shared = goal.shared.lock().unwrap_or_else(PoisonError::into_inner);
            for (place, records) in fresh {
                shared.extend(records.iter().map(|(offset, _)| (place.0.clone(), place.1, *offset)));
                log.entry(place).or_default().extend(records);
            }
            shared.len()
        };
        let Some(total) = goal.total()? else { continue };
        if together >= total && came == 0 {
            break;
        }
        let deadline = *deadline.get_or_insert_with(|| Instant::now() + PATIENCE);
        ensure!(Instant::now() < deadline, "{together} of {total} records read: {}", consumer.state());
    }
    consumer.close().await?;
    kafka.close().await?;
    Ok(log)
}

/// Waits until no transaction is open in these topics: what is stable is all there is.
pub(super) async fn settle(target: &Target, runtime: Runtime, topics: &[(String, i32)]) -> Result<()> {
    let kafka = connect(target, runtime).await?;
    let partitions = || topics.iter().flat_map(|(name, count)| (0..*count).map(move |p| (name.as_str(), p)));
    let uncommitted = committed().isolation_level(IsolationLevel::ReadUncommitted);
    let (stable, high) = (kafka.consumer_with(committed())?, kafka.consumer_with(uncommitted)?);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (end, last) = (high.end_offsets(partitions()).await?, stable.end_offsets(partitions()).await?);
        if end == last {
            break;
        }
        let open: Vec<_> = end.iter().filter(|(at, offset)| last.get(at) != Some(offset)).collect();
        ensure!(Instant::now() < deadline, "transactions hang: ends {open:?}, stable {last:?}");
        thread::sleep(Duration::from_millis(100));
    }
    Ok(kafka.close().await?)
}

/// klamm reads each partition by itself as Java read the topic, and librdkafka too: every byte of every record.
pub(super) async fn agree(target: &Target, runtime: Runtime, topic: &str, java: &[Record]) -> Result<()> {
    let java = by_place(java.to_vec());
    let kafka = connect(target, runtime).await?;
    for partition in 0..10 {
        let of: Vec<Record> = java.iter().filter(|r| r.partition == Some(partition)).cloned().collect();
        if of.is_empty() {
            continue;
        }
        let mut consumer = kafka.consumer_with(committed())?;
        consumer.assign([(topic, partition)])?;
        let read = take(&mut consumer, of.len()).await?;
        let different = read.iter().zip(&of).find(|(ours, theirs)| ours != theirs);
        ensure!(different.is_none(), "klamm and Java read {different:?}");
        consumer.close().await?;
    }
    kafka.close().await?;
    let kcat = target.kcat()?;
    let format = "%p\t%o\t%T\t%k\t%s\t%h\n";
    let read = kcat.run(&["-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", format], "")?;
    let mut read: Vec<&str> = read.lines().collect();
    read.sort_unstable();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let line = |r: &Record| {
        let headers =
            r.headers.iter().map(|(name, value)| format!("{name}={}", value.as_deref().map(text).unwrap_or_default()));
        let headers: Vec<String> = headers.collect();
        let (key, value) =
            (r.key.as_deref().map(text).unwrap_or_default(), r.value.as_deref().map(text).unwrap_or_default());
        let (partition, offset, time) = (r.partition.unwrap_or(-1), r.offset.unwrap_or(-1), r.timestamp.unwrap_or(-1));
        format!("{partition}\t{offset}\t{time}\t{key}\t{value}\t{}", headers.join(","))
    };
    let mut theirs: Vec<String> = java.iter().map(line).collect();
    theirs.sort_unstable();
    let different =
        (0..read.len().max(theirs.len())).find(|at| read.get(*at).copied() != theirs.get(*at).map(String::as_str));
    let different = different.map(|at| (read.get(at), theirs.get(at)));
    ensure!(different.is_none(), "librdkafka and Java read {different:?} of {topic}");
    Ok(())
}
