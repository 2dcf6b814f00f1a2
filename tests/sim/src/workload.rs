//! Workloads that judge themselves: what was promised, held against the brokers' logs.

use crate::Sim;
use klamm::config::OffsetReset;
use klamm::{Config, ConsumerConfig, Error, Kafka, Record};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// What became of one record.
pub type Sent = (String, Result<(), Error>);

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
    let log = sim.cluster().records(topic);
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let values: Vec<String> = log.iter().filter_map(|r| r.value.as_deref().map(text)).collect();
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for value in &values {
        *count.entry(value).or_default() += 1;
    }
    for (value, result) in results {
        let times = count.get(value.as_str()).copied().unwrap_or(0);
        match result {
            Ok(()) => assert_eq!(times, 1, "{value} was acknowledged"),
            Err(error) if error.possibly_written() => assert!(times <= 1, "{value} is there {times} times"),
            Err(error) => assert_eq!(times, 0, "{value} failed with {error:?}, but is there"),
        }
    }
    let mut order: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (sender, i) in values.iter().filter_map(|v| v.split_once('-')) {
        order.entry(sender).or_default().extend(i.parse::<u64>().ok());
    }
    for (sender, order) in order {
        assert!(order.is_sorted(), "sender {sender}: {order:?}");
    }
}

/// What the members of a group saw, in the order in which they saw it.
type Seen = Rc<RefCell<Vec<(usize, i32, i64, String)>>>;

/// Members of one group read everything that `results` says is there, come and go, and commit what they read.
///
/// # Panics
/// If an acknowledged record is never handed out, if one member sees a partition go backwards within one assignment, or if
/// the group commits beyond what was handed out.
pub async fn consume(sim: &Sim, config: Config, topic: &'static str, members: usize, results: &[Sent]) {
    let seen: Seen = Rc::default();
    let wanted: BTreeSet<String> = results.iter().filter(|(_, r)| r.is_ok()).map(|(v, _)| v.clone()).collect();
    let done = Rc::new(RefCell::new(false));
    let left = Rc::new(RefCell::new(members));
    for member in 0..members {
        let (sim, config, seen, done, left) = (sim.clone(), config.clone(), seen.clone(), done.clone(), left.clone());
        sim.clone().spawn(async move {
            sim.sleep(Duration::from_millis(300 * member as u64)).await;
            while !*done.borrow() {
                life(&sim, config.clone(), topic, member, &seen, &done).await;
            }
            *left.borrow_mut() -= 1;
        });
    }
    loop {
        sim.sleep(Duration::from_millis(200)).await;
        let have: BTreeSet<String> = seen.borrow().iter().map(|(.., value)| value.clone()).collect();
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
    judge_commits(sim, topic, &seen);
}

/// One membership: polls until the end, or for a while, then closes.
async fn life(sim: &Sim, config: Config, topic: &str, member: usize, seen: &Seen, done: &Rc<RefCell<bool>>) {
    let kafka = Kafka::connect(sim, config).await.expect("the cluster answers in time");
    let group = ConsumerConfig::group("readers").auto_offset_reset(OffsetReset::Earliest);
    let group = group.session_timeout(Duration::from_secs(6)).heartbeat_interval(Duration::from_millis(500));
    let mut consumer = kafka.consumer_with(group).expect("a good configuration");
    consumer.subscribe([topic]).expect("a subscription");
    // The first member stays; the others leave now and then.
    let polls = if member == 0 { u32::MAX } else { 15 };
    let mut positions: BTreeMap<i32, i64> = BTreeMap::new();
    for _ in 0..polls {
        if *done.borrow() {
            break;
        }
        match consumer.poll(Duration::from_millis(500)).await {
            Ok(Some(batch)) => {
                // A new assignment may begin before the end of the last one: at its committed offset.
                for partition in batch.assigned() {
                    positions.remove(&partition.partition);
                }
                for record in &batch {
                    let before = positions.insert(record.partition(), record.offset());
                    let offset = record.offset();
                    assert!(before.is_none_or(|b| b < offset), "{}: {offset} after {before:?}", record.partition());
                    let value = String::from_utf8_lossy(record.value().unwrap_or_default()).into_owned();
                    seen.borrow_mut().push((member, record.partition(), offset, value));
                }
            }
            Ok(None) => break,
            Err(error) => assert!(!error.is_fatal(), "member {member}: {error:?}"),
        }
    }
    consumer.close().await.ok();
    kafka.close().await.ok();
}

fn judge_commits(sim: &Sim, topic: &str, seen: &Seen) {
    let mut highest: BTreeMap<i32, i64> = BTreeMap::new();
    for (_, partition, offset, _) in seen.borrow().iter() {
        let at = highest.entry(*partition).or_insert(-1);
        *at = (*at).max(*offset);
    }
    for (partition, last) in highest {
        if let Some(committed) = sim.cluster().committed("readers", topic, partition) {
            assert!(
                committed <= last + 1,
                "{topic}-{partition}: {committed} is committed, {last} was the last handed out"
            );
        }
    }
}
