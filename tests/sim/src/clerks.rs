//! Clerks: a group that reads the ledger and enters each transfer in the books, reading and writing in one transaction.
//!
//! What must hold: each committed record of the ledger is in the committed books once and nothing else is; a group's committed
//! offset never covers a record that is not in the books, and never falls; at the end it covers all of them.

use crate::bank::{LEDGER, PATIENCE, within};
use crate::workload::reader;
use crate::{Machine, Sim};
use klamm::config::{AutoCommit, IsolationLevel};
use klamm::{Batch, Config, Kafka, ProducerConfig, Record, Transaction};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// The topic that holds what the clerks write.
pub const BOOKS: &str = "books";
const GROUP: &str = "readers";

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The clerks at work.
#[derive(Clone, Debug, Default)]
pub struct Desk {
    closed: Rc<RefCell<bool>>,
    left: Rc<RefCell<u64>>,
    ids: Rc<RefCell<BTreeSet<String>>>,
}

impl Desk {
    /// So many clerks begin.
    pub fn open(sim: &Sim, clerks: u64) -> Self {
        let desk = Self::default();
        if clerks > 0 {
            *desk.left.borrow_mut() = clerks;
            desk.watch(sim);
        }
        for number in 0..clerks {
            let (desk, sim) = (desk.clone(), sim.clone());
            sim.clone().spawn(async move {
                let mut life = 0;
                while !*desk.closed.borrow() {
                    life += 1;
                    let clerk = Clerk::draw(&sim, number, life);
                    desk.ids.borrow_mut().insert(clerk.id.clone());
                    clerk.live(&sim, &desk).await;
                    sim.sleep(ms(100)).await;
                }
                *desk.left.borrow_mut() -= 1;
            });
        }
        desk
    }

    /// The transactional ids that were used.
    pub fn ids(&self) -> Vec<String> {
        self.ids.borrow().iter().cloned().collect()
    }

    /// When everything is in the books the clerks go home.
    ///
    /// # Panics
    /// If they never come to the end.
    pub async fn close(&self, sim: &Sim) {
        while *self.left.borrow() > 0 && !*self.closed.borrow() {
            let (ledger, books) = (sim.cluster().committed_records(LEDGER), sim.cluster().committed_records(BOOKS));
            *self.closed.borrow_mut() = ledger.len() == books.len();
            let missing = ledger.len().abs_diff(books.len());
            assert!(sim.elapsed() < PATIENCE, "the books lack, or have too much, {missing} of {}", ledger.len());
            sim.sleep(ms(200)).await;
        }
        while *self.left.borrow() > 0 {
            sim.sleep(ms(200)).await;
            assert!(sim.elapsed() < PATIENCE * 2, "a clerk does not go home");
        }
    }

    /// Watches what is committed for the group.
    fn watch(&self, sim: &Sim) {
        let (desk, sim) = (self.clone(), sim.clone());
        sim.clone().spawn(async move {
            let mut before: BTreeMap<i32, i64> = BTreeMap::new();
            while *desk.left.borrow() > 0 {
                sim.sleep(ms(100)).await;
                let now: BTreeMap<i32, i64> = sim.cluster().with(|b, _| {
                    let all = 0..b.partition_count(LEDGER);
                    all.filter_map(|p| Some((p, b.committed(GROUP, LEDGER, p)?))).collect()
                });
                if now == before {
                    continue;
                }
                // A commit may be known at its group before it is in the books.
                let written: BTreeSet<String> =
                    sim.cluster().records(BOOKS).iter().map(|r| source(r.value.as_deref()).0).collect();
                for record in sim.cluster().committed_records(LEDGER) {
                    let covered = now.get(&record.partition).is_some_and(|end| record.offset < *end);
                    let place = format!("{}@{}", record.partition, record.offset);
                    assert!(!covered || written.contains(&place), "{place} is committed and not in the books: {now:?}");
                }
                for (partition, offset) in &now {
                    let last = before.get(partition).copied().unwrap_or(0);
                    assert!(last <= *offset, "{partition}: {offset} is committed after {last}");
                }
                before = now;
            }
        });
    }
}

/// Where an entry of the books comes from, and what it says.
fn source(value: Option<&[u8]>) -> (String, String) {
    let text = String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
    let (place, rest) = text.split_once(' ').expect("an entry");
    (place.to_owned(), rest.to_owned())
}

/// One life of one clerk.
struct Clerk {
    id: String,
    rng: fastrand::Rng,
    timeout: u64,
    section: klamm::ConsumerConfig,
}

impl Clerk {
    fn draw(sim: &Sim, number: u64, life: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(sim.seed() ^ (number << 40) ^ (life << 20) ^ 0xc1e4);
        // Sometimes nobody fences the last life but its group.
        let id = if rng.u8(..3) > 0 { format!("clerk-{number}") } else { format!("clerk-{number}-{life}") };
        let section = reader()
            .set("max.poll.records", [2, 7, 500][rng.usize(..3)])
            .set("max.poll.interval.ms", [6_500, 300_000][rng.usize(..2)])
            .set("heartbeat.interval.ms", 1_500)
            .set("fetch.max.wait.ms", [200, 3_000][rng.usize(..2)]);
        Self { id, timeout: [2_000, 5_000, 12_000][rng.usize(..3)], section, rng }
    }

    async fn live(mut self, sim: &Sim, desk: &Desk) {
        let machine = sim.machine();
        let producer = ProducerConfig::new().set("transaction.timeout.ms", self.timeout);
        let config = Config::new(sim.cluster().bootstrap()).producer(producer).consumer(self.section.clone());
        let kafka = Kafka::connect(&machine, config).await.expect("the cluster answers in time");
        // Who comes last stays, so that the work is done.
        let steps = if sim.elapsed() > Duration::from_secs(60) { u32::MAX } else { self.rng.u32(4..25) };
        if self.rng.bool() {
            self.step_by_step(sim, desk, &machine, &kafka, steps).await;
        } else {
            self.by_hand(sim, desk, &machine, &kafka, steps).await;
        }
        if self.rng.bool() {
            machine.kill();
        }
    }

    /// With what the client has for it.
    async fn step_by_step(&mut self, sim: &Sim, desk: &Desk, machine: &Machine, kafka: &Kafka, steps: u32) {
        let Ok(mut eos) = kafka.exactly_once(GROUP, &self.id).await else { return };
        eos.subscribe([LEDGER]).expect("a subscription");
        let quiet = steps == u32::MAX;
        for _ in 0..steps {
            if *desk.closed.borrow() {
                break;
            }
            let poll = eos.poll(ms(2_000));
            let step = match within(sim, ms(if self.rng.u8(..6) == 0 { 100 } else { 900_000 }), poll).await {
                Some(Ok(Some(step))) => step,
                Some(Ok(None)) => return,
                Some(Err(error)) if error.is_fatal() => return,
                Some(Err(_)) | None => continue,
            };
            if step.batch().is_empty() && self.rng.bool() {
                continue;
            }
            self.enter(step.transaction(), step.batch()).await;
            match if quiet { 9 } else { self.rng.u8(..14) } {
                0 => drop(step),
                1 => drop(step.commit()),
                2 => drop(within(sim, ms(self.rng.u64(..120)), step.commit()).await),
                3 => {
                    machine.freeze(ms(self.rng.u64(..15_000)));
                    drop(step.commit().await);
                }
                4 if self.rng.bool() => {
                    // Dies in the middle of it.
                    let commit = step.commit();
                    sim.sleep(ms(self.rng.u64(..20))).await;
                    machine.kill();
                    drop(commit);
                    return;
                }
                5 => {
                    sim.sleep(ms(self.rng.u64(..9_000))).await;
                    drop(step.commit().await);
                }
                _ => {
                    if step.commit().await.is_err_and(|error| error.is_fatal()) {
                        return;
                    }
                }
            }
        }
        if self.rng.u8(..3) > 0 {
            let closed = within(sim, PATIENCE, eos.close()).await;
            assert!(closed.is_some(), "{}: the close has no end", self.id);
        }
    }

    /// With a consumer and a producer of its own; begins anew after whatever goes wrong.
    async fn by_hand(&mut self, sim: &Sim, desk: &Desk, machine: &Machine, kafka: &Kafka, steps: u32) {
        let section = self.section.clone().isolation_level(IsolationLevel::ReadCommitted).auto_commit(AutoCommit::Off);
        let mut consumer = kafka.consumer_with(section).expect("a good configuration");
        let Ok(mut producer) = kafka.transactional_producer(&self.id).await else { return };
        consumer.subscribe([LEDGER]).expect("a subscription");
        let quiet = steps == u32::MAX;
        for _ in 0..steps {
            if *desk.closed.borrow() {
                break;
            }
            let batch = match consumer.poll(ms(2_000)).await {
                Ok(Some(batch)) => batch,
                Ok(None) => return,
                Err(error) if error.is_fatal() => return,
                Err(_) => continue,
            };
            let Some(group) = batch.group_metadata().filter(|_| !batch.is_empty()) else { continue };
            let Ok(transaction) = producer.begin_transaction() else { return };
            self.enter(&transaction, &batch).await;
            let fate = if quiet { 9 } else { self.rng.u8(..14) };
            // The group may have gone on meanwhile: then nothing of this is committed.
            match fate {
                0 => sim.sleep(ms(self.rng.u64(..9_000))).await,
                1 => machine.freeze(ms(self.rng.u64(..15_000))),
                _ => {}
            }
            if self.rng.bool() {
                drop(transaction.send_offsets(&batch, &group));
            } else if transaction.send_offsets(&batch, &group).await.is_err() {
                drop(transaction);
                break;
            }
            match fate {
                2 => {
                    machine.kill();
                    return;
                }
                3 => {
                    drop(transaction.abort().await);
                    break;
                }
                4 => sim.sleep(ms(self.rng.u64(..9_000))).await,
                _ => {}
            }
            let mut ended = transaction.commit().await;
            while ended.as_ref().is_err_and(|error| error.is_outcome_unknown() && !error.is_fatal()) {
                ended = producer.resume_commit().await;
            }
            if ended.is_err() {
                break;
            }
        }
        if self.rng.bool() {
            producer.close().await.ok();
            consumer.close().await.ok();
        }
    }

    async fn enter(&mut self, transaction: &Transaction<'_>, batch: &Batch) {
        for record in batch {
            let text = String::from_utf8_lossy(record.value().unwrap_or_default()).into_owned();
            let value = format!("{}@{} {text}", record.partition(), record.offset());
            let delivery = transaction.send(Record::to(BOOKS).partition(record.partition() % 2).value(&value));
            if self.rng.u8(..8) == 0 {
                delivery.await.ok();
            }
        }
    }
}

/// Holds the books against the ledger.
///
/// # Panics
/// If something is missing, there twice, out of order or made up, or if the group's offsets say something else.
pub fn judge(sim: &Sim) {
    let ledger = sim.cluster().committed_records(LEDGER);
    let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
    let wanted: BTreeMap<String, String> =
        ledger.iter().map(|r| (format!("{}@{}", r.partition, r.offset), text(r.value.as_deref()))).collect();
    let mut entered: BTreeMap<String, String> = BTreeMap::new();
    let mut last: BTreeMap<String, i64> = BTreeMap::new();
    for record in sim.cluster().committed_records(BOOKS) {
        let (place, value) = source(record.value.as_deref());
        let (partition, offset) = place.split_once('@').expect("a place");
        let offset: i64 = offset.parse().expect("an offset");
        let before = last.insert(partition.to_owned(), offset).unwrap_or(-1);
        assert!(before < offset, "{place} is entered after {before}");
        assert!(entered.insert(place.clone(), value).is_none(), "{place} is entered twice");
    }
    assert_eq!(entered, wanted, "the books are not what the ledger is");
    for record in ledger {
        let committed = sim.cluster().committed(GROUP, LEDGER, record.partition);
        assert!(committed > Some(record.offset), "{}: {committed:?} is committed", record.partition);
    }
}
