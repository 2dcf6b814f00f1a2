//! Random histories: topology, producers and a group drawn from the seed, judged as they go and at the end.

use crate::workload::{History, Promise, Sent, judge, note, reader};
use crate::{Faults, Sim};
use klamm::{Config, ConsumerConfig, ErrorKind, Kafka, ProducerConfig, Record};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

const TOPIC: &str = "orders";

/// What every seed draws: faults, producers, a group. One seed in six deletes topics and creates them anew, without a group.
pub async fn everything(sim: Sim) {
    let mut rng = fastrand::Rng::with_seed(sim.seed() ^ 0xa11);
    let recreated = rng.u8(..6) == 0;
    sim.cluster().create_topic(TOPIC, rng.i32(1..5));
    sim.faults(match rng.u8(..8) {
        0 => Faults::none(),
        1 => Faults::network(),
        _ => Faults::all().recreations(recreated).until(Duration::from_secs(rng.u64(3..15))),
    });
    let left = Rc::new(RefCell::new(0));
    let mut outcomes = Vec::new();
    for number in 0..rng.usize(1..4) {
        let (one, rng) = (Writer::draw(&mut rng, number), rng.fork());
        let results: Rc<RefCell<Vec<Sent>>> = Rc::default();
        outcomes.push((one.promise, results.clone()));
        *left.borrow_mut() += 1;
        let (sim, left) = (sim.clone(), left.clone());
        sim.clone().spawn(async move {
            let sent = one.write(&sim, rng).await;
            *results.borrow_mut() = sent;
            *left.borrow_mut() -= 1;
        });
    }
    let group = (!recreated).then(|| Group::start(&sim, &mut rng));
    while *left.borrow() > 0 {
        sim.sleep(Duration::from_millis(100)).await;
    }
    for (promise, results) in outcomes {
        judge(&sim, TOPIC, &results.borrow(), promise);
    }
    if let Some(group) = group {
        group.finish(&sim).await;
    }
}

/// One producer.
struct Writer {
    number: usize,
    config: ProducerConfig,
    promise: Promise,
}

impl Writer {
    fn draw(rng: &mut fastrand::Rng, number: usize) -> Self {
        let (idempotent, acks, promise) = match rng.u8(..10) {
            0 => (false, "all", Promise::There),
            1 => (false, "1", Promise::Truth),
            2 => (false, "0", Promise::Truth),
            _ => (true, "all", Promise::Once),
        };
        let batch = [0, 100, 1_000, 16_384][rng.usize(..4)];
        let delivery = [5_000, 30_000, 120_000][rng.usize(..3)];
        let config = ProducerConfig::new()
            .set("enable.idempotence", idempotent)
            .set("acks", acks)
            .set("linger.ms", [0, 5, 50][rng.usize(..3)])
            .set("batch.size", batch)
            .set("buffer.memory", batch + [2_000, 30_000, 33_554_432][rng.usize(..3)])
            .set("compression.type", ["none", "gzip", "snappy", "lz4", "zstd"][rng.usize(..5)])
            .set("max.in.flight.requests.per.connection", rng.u8(1..6))
            .set("request.timeout.ms", [2_000, 4_000][rng.usize(..2)])
            .set("delivery.timeout.ms", delivery);
        Self { number, config, promise }
    }

    async fn write(self, sim: &Sim, mut rng: fastrand::Rng) -> Vec<Sent> {
        let config = Config::new(sim.cluster().bootstrap()).producer(self.config);
        let kafka = Kafka::connect(sim, config).await.expect("the cluster answers in time");
        let producer = kafka.producer().expect("a good configuration");
        let mut sent = Vec::new();
        let mut numbers: BTreeMap<String, u64> = BTreeMap::new();
        for _ in 0..rng.u32(10..60) {
            for _ in 0..rng.u32(1..6) {
                let sender = format!("p{}s{}", self.number, rng.u8(..3));
                let number = numbers.entry(sender.clone()).or_default();
                let value = format!("{sender}-{number}-{}", "x".repeat(rng.usize(..120)));
                *number += 1;
                let key = (rng.u8(..4) > 0).then(|| sender.clone());
                let mut record = Record::to(TOPIC).value(&value);
                if let Some(key) = &key {
                    record = record.key(key);
                }
                let delivery = producer.send(record);
                sent.push((value, delivery));
            }
            match rng.u8(..12) {
                0 => {
                    // A failure is told by its delivery too.
                    producer.flush().await.ok();
                }
                // Given up at once: it changes nothing.
                1 => drop(producer.flush()),
                2..=6 => sim.sleep(Duration::from_millis(rng.u64(1..300))).await,
                _ => {}
            }
        }
        if rng.bool() {
            producer.close().await.ok();
            assert!(sent.iter().all(|(_, delivery)| delivery.is_ready()), "closed, and something has no outcome");
            let refused = producer.send(Record::to(TOPIC).value("late")).await;
            assert_eq!(refused.map(drop).map_err(|e| e.kind()), Err(ErrorKind::Closed));
        }
        let mut results = Vec::new();
        for (value, delivery) in sent {
            results.push((value, delivery.await.map(drop)));
        }
        kafka.close().await.ok();
        results
    }
}

/// A group of a few members.
struct Group {
    history: History,
    done: Rc<RefCell<bool>>,
    left: Rc<RefCell<usize>>,
}

impl Group {
    fn start(sim: &Sim, rng: &mut fastrand::Rng) -> Self {
        let members = rng.usize(1..4);
        let all = Self { history: History::default(), done: Rc::default(), left: Rc::new(RefCell::new(members)) };
        all.history.watch(sim, "readers", TOPIC, &all.done);
        for number in 0..members {
            let (sim, history, done, left) = (sim.clone(), all.history.clone(), all.done.clone(), all.left.clone());
            let mut rng = rng.fork();
            sim.clone().spawn(async move {
                sim.sleep(Duration::from_millis(rng.u64(..2_000))).await;
                while !*done.borrow() {
                    let polls = if number == 0 { u32::MAX } else { rng.u32(3..40) };
                    Member { number, polls }.live(&sim, &mut rng, &history, &done).await;
                }
                *left.borrow_mut() -= 1;
            });
        }
        all
    }

    /// Waits until everything that is in the log was handed out. What was not replicated yet may still go, with its leader.
    async fn finish(self, sim: &Sim) {
        let value = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        loop {
            let log = sim.cluster().records(TOPIC);
            let wanted: BTreeSet<String> = log.iter().filter_map(|r| r.value.as_deref().map(value)).collect();
            let have = self.history.values();
            let missing: Vec<&String> = wanted.difference(&have).collect();
            if missing.is_empty() {
                break;
            }
            assert!(sim.elapsed() < Duration::from_secs(900), "never handed out: {missing:?}");
            sim.sleep(Duration::from_millis(200)).await;
        }
        *self.done.borrow_mut() = true;
        while *self.left.borrow() > 0 {
            sim.sleep(Duration::from_millis(200)).await;
        }
        self.history.judge_commits(sim, "readers", TOPIC);
    }
}

struct Member {
    number: usize,
    polls: u32,
}

impl Member {
    async fn live(&self, sim: &Sim, rng: &mut fastrand::Rng, history: &History, done: &Rc<RefCell<bool>>) {
        let kafka = Kafka::connect(sim, sim.cluster().bootstrap()).await.expect("the cluster answers in time");
        let mut consumer = kafka.consumer_with(draw_reader(rng)).expect("a good configuration");
        consumer.subscribe([TOPIC]).expect("a subscription");
        let mut positions: BTreeMap<(String, i32), i64> = BTreeMap::new();
        let mut generation = None;
        for _ in 0..self.polls {
            if *done.borrow() {
                break;
            }
            history.came_back(&positions);
            let timeout = Duration::from_millis(rng.u64(1..600));
            // One poll in four is given up: then it has taken nothing.
            let patience = if rng.u8(..4) == 0 { Duration::from_millis(rng.u64(..300)) } else { timeout * 2 };
            match within(sim, patience, consumer.poll(timeout)).await {
                None => {}
                Some(Ok(Some(batch))) => {
                    note(&batch, self.number, &mut positions, history);
                    generation = batch.group_metadata().map(|group| group.generation_id());
                }
                Some(Ok(None)) => break,
                Some(Err(error)) => assert!(!error.is_fatal(), "member {}: {error:?}", self.number),
            }
            let assigned = consumer.assignment();
            match rng.u8(..30) {
                // What is taken away at this very moment is refused.
                0 => drop(consumer.pause(assigned)),
                1..=6 => drop(consumer.resume(consumer.paused())),
                // To where it stands: nothing is read twice, and nothing left out. A rebalance of which no poll has told yet
                // may have begun anew behind that.
                7 if generation == consumer.group_metadata().map(|group| group.generation_id()) => {
                    for tp in assigned {
                        let at = positions.get(&(tp.topic.to_string(), tp.partition)).map(|last| last + 1);
                        if let Some(at) = at {
                            consumer.seek(tp, at).ok();
                        }
                    }
                }
                8 => consumer.enforce_rebalance("why not"),
                9..=12 => sim.sleep(Duration::from_millis(rng.u64(1..500))).await,
                _ => {}
            }
        }
        history.came_back(&positions);
        if rng.u8(..4) > 0 {
            consumer.close().await.ok();
        } else {
            // Only its heartbeats end, or its session.
            drop(consumer);
        }
        kafka.close().await.ok();
    }
}

fn draw_reader(rng: &mut fastrand::Rng) -> ConsumerConfig {
    reader()
        .set("auto.commit.interval.ms", [100, 1_000, 5_000][rng.usize(..3)])
        .set("max.poll.records", [1, 7, 500][rng.usize(..3)])
        .set("fetch.max.wait.ms", [10, 500][rng.usize(..2)])
        .set("max.partition.fetch.bytes", [200, 1_048_576][rng.usize(..2)])
        .set("isolation.level", ["read_committed", "read_uncommitted"][rng.usize(..2)])
}

/// `future`, unless it takes longer than `time`: then it is dropped.
async fn within<T>(sim: &Sim, time: Duration, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut over) = (pin!(future), pin!(sim.sleep(time)));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending => over.as_mut().poll(cx).map(|()| None),
    })
    .await
}
