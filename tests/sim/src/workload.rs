//! Workloads that judge themselves: what was promised, held against the brokers' logs.

use crate::Sim;
pub use crate::history::{History, Promise, Seen, Sent, judge};
use klamm::config::OffsetReset;
use klamm::{Batch, Config, Consumer, ConsumerConfig, Kafka, Record};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// Sends `n` numbered records for each of `senders` keys, with pauses, and returns what was said of each.
pub async fn produce(sim: &Sim, config: Config, topic: &str, senders: u64, n: u64) -> Vec<Sent> {
    let kafka = Kafka::connect(sim, config).await.expect("the cluster answers in time");
    let producer = kafka.producer().expect("a good configuration");
    let mut sent = Vec::new();
    for i in 0..n {
        for s in 0..senders {
            let (key, value) = (format!("k{s}"), format!("{s}-{i}"));
            let delivery = producer.send(Record::to(topic).key(&key).value(&value));
            sent.push((value, delivery));
        }
        if i % 10 == 9 {
            sim.sleep(Duration::from_millis(50)).await;
        }
    }
    let mut results = Vec::new();
    for (value, delivery) in sent {
        results.push((value, delivery.await.map(drop)));
    }
    kafka.close().await.expect("what was sent has its outcome already");
    results
}

/// Acknowledged: in the log once, in the order of sending. Failed and surely not written: not in the log.
///
/// # Panics
/// If a promise is broken.
pub fn judge_log(sim: &Sim, topic: &str, results: &[Sent]) {
    judge(sim, topic, results, Promise::Once);
}

/// The configuration of a member of the group `readers` that begins at the earliest record.
pub fn reader() -> ConsumerConfig {
    let group = ConsumerConfig::group("readers").auto_offset_reset(OffsetReset::Earliest);
    group.session_timeout(Duration::from_secs(6)).heartbeat_interval(Duration::from_millis(500))
}

/// Members of one group read everything that `results` says is there, come and go, and commit what they read.
///
/// # Panics
/// If an acknowledged record is never handed out, if one member sees a partition go backwards within one assignment, or if
/// ever an offset is committed that is not done, or lower than one before.
pub async fn consume(sim: &Sim, config: Config, topic: &'static str, members: usize, results: &[Sent]) {
    let history = History::default();
    let wanted: BTreeSet<String> = results.iter().filter(|(_, r)| r.is_ok()).map(|(v, _)| v.clone()).collect();
    let done = Rc::new(RefCell::new(false));
    let left = Rc::new(RefCell::new(members));
    history.watch(sim, "readers", topic, &done);
    for member in 0..members {
        let (sim, config, history, done, left) =
            (sim.clone(), config.clone(), history.clone(), done.clone(), left.clone());
        sim.clone().spawn(async move {
            sim.sleep(Duration::from_millis(300 * member as u64)).await;
            while !*done.borrow() {
                // The first member stays; the others leave now and then.
                let polls = if member == 0 { u32::MAX } else { 15 };
                life(&sim, config.clone(), reader(), topic, member, polls, &history, &done).await;
            }
            *left.borrow_mut() -= 1;
        });
    }
    loop {
        sim.sleep(Duration::from_millis(200)).await;
        let have = history.values();
        if wanted.is_subset(&have) {
            break;
        }
        let missing = wanted.difference(&have).count();
        assert!(sim.elapsed() < Duration::from_secs(900), "{missing} acknowledged records were never handed out");
    }
    *done.borrow_mut() = true;
    while *left.borrow() > 0 {
        sim.sleep(Duration::from_millis(200)).await;
    }
    history.judge_commits(sim, "readers", topic);
}

/// One membership: polls until the end, or so often, then closes.
#[expect(clippy::too_many_arguments, reason = "a task and all that it shares with the others")]
pub async fn life(
    sim: &Sim,
    config: Config,
    group: ConsumerConfig,
    topic: &str,
    member: usize,
    polls: u32,
    history: &History,
    done: &Rc<RefCell<bool>>,
) {
    let kafka = Kafka::connect(sim, config).await.expect("the cluster answers in time");
    let mut consumer = kafka.consumer_with(group).expect("a good configuration");
    consumer.subscribe([topic]).expect("a subscription");
    let mut positions = BTreeMap::new();
    for _ in 0..polls {
        if *done.borrow() || !turn(&mut consumer, member, &mut positions, history).await {
            break;
        }
    }
    // With the close the application is done with what it has.
    history.came_back(&positions);
    consumer.close().await.ok();
    kafka.close().await.ok();
}

/// One poll, and what came of it; false at the end of the consumer.
pub async fn turn(
    consumer: &mut Consumer,
    member: usize,
    positions: &mut BTreeMap<(String, i32), i64>,
    history: &History,
) -> bool {
    history.came_back(positions);
    match consumer.poll(Duration::from_millis(500)).await {
        Ok(Some(batch)) => note(&batch, member, positions, history),
        Ok(None) => return false,
        Err(error) => assert!(!error.is_fatal(), "member {member}: {error:?}"),
    }
    true
}

/// Notes what a batch brought.
///
/// # Panics
/// If a partition goes backwards within one assignment.
pub fn note(batch: &Batch, member: usize, positions: &mut BTreeMap<(String, i32), i64>, history: &History) {
    // A new assignment may begin before the end of the last one: at its committed offset.
    for gone in batch.assigned().iter().chain(batch.lost()) {
        positions.remove(&(gone.topic.to_string(), gone.partition));
    }
    for record in batch {
        let partition = (record.topic().to_owned(), record.partition());
        let offset = record.offset();
        let before = positions.insert(partition.clone(), offset);
        assert!(before.is_none_or(|b| b < offset), "{partition:?}: {offset} after {before:?}");
        let value = String::from_utf8_lossy(record.value().unwrap_or_default()).into_owned();
        history.hand_out(Seen { member, partition, offset, value });
    }
}
