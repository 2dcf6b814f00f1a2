//! A bank: transfers between accounts, each a transaction of two records, by tellers that replace each other.
//!
//! What must hold: of every transfer both halves are committed, once, or none; those that the client called committed are,
//! those that it called aborted are not; readers of committed records see each committed record once and nothing else.

use crate::{Faults, Sim};
use klamm::config::{IsolationLevel, OffsetReset};
use klamm::{Config, ConsumerConfig, Error, Kafka, ProducerConfig, Record, TransactionalProducer};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// The topic that holds the transfers.
pub const LEDGER: &str = "ledger";
/// How many accounts there are.
const ACCOUNTS: u64 = 5;
/// Nobody waits longer, in virtual time: the faults are over, and transactions time out.
const PATIENCE: Duration = Duration::from_secs(900);

/// What the client said of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is committed.
    Committed,
    /// It is not, and never will be.
    Aborted,
    /// Nobody can say: its teller was replaced in the middle of it.
    Unknown,
}

/// What became of every transfer.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Rc<RefCell<BTreeMap<String, (Fate, String)>>>);

impl Ledger {
    fn note(&self, transfer: &str, fate: Fate, why: impl Into<String>) {
        let before = self.0.borrow_mut().insert(transfer.to_owned(), (fate, why.into()));
        assert!(before.is_none(), "{transfer} has two ends");
    }

    /// How many transfers ended like that.
    pub fn count(&self, fate: Fate) -> usize {
        self.0.borrow().values().filter(|(f, _)| *f == fate).count()
    }
}

/// One teller's work: so many lives, one after the other, under one transactional id.
#[derive(Clone, Debug)]
pub struct Teller {
    /// Its transactional id.
    pub id: String,
    /// Tells its transfers from those of others with the same id.
    pub name: String,
    /// How often it begins anew.
    pub lives: u64,
    /// How many transfers it makes in each life.
    pub transfers: u64,
}

/// Does a teller's work, until it is done or another took its place.
pub async fn work(sim: Sim, config: Config, teller: Teller, ledger: Ledger) {
    for life in 0..teller.lives {
        let kafka = Kafka::connect(&sim, config.clone()).await.expect("the cluster answers in time");
        // Some transactions outlast this while the faults last.
        let timeout = Duration::from_secs(if sim.seed() % 3 == 0 { 3 } else { 30 });
        let section = ProducerConfig::new()
            .transactional_id(&teller.id)
            .set("transaction.timeout.ms", timeout.as_millis() as u64);
        let Some(mut producer) = open(&sim, &kafka, section).await else { return };
        let mut fenced = false;
        for n in 0..teller.transfers {
            let transfer = format!("{}.{life}.{n}", teller.name);
            let mut done = one(&sim, &mut producer, &transfer, n, &ledger).await;
            if matches!(done, Ok(false)) {
                done = one(&sim, &mut producer, &transfer, n, &ledger).await;
            }
            match done {
                Ok(begun) => assert!(begun, "{transfer} cannot begin"),
                Err(error) => {
                    assert!(error.is_fatal(), "{transfer}: {error:?}");
                    fenced = true;
                    break;
                }
            }
            sim.sleep(Duration::from_millis(pick(&transfer, 7) * 40)).await;
        }
        // Every other life ends without a farewell.
        if life % 2 == 0 && !fenced {
            producer.close().await.ok();
            kafka.close().await.ok();
        } else {
            drop(producer);
            drop(kafka);
        }
    }
}

/// Opens the producer; `None` if another took its place while it did.
async fn open(sim: &Sim, kafka: &Kafka, section: ProducerConfig) -> Option<TransactionalProducer> {
    loop {
        match kafka.transactional_producer_with(section.clone()).await {
            Ok(producer) => return Some(producer),
            Err(error) if error.is_fatal() => return None,
            Err(error) => assert!(sim.elapsed() < PATIENCE, "no producer after {:?}: {error:?}", sim.elapsed()),
        }
        sim.sleep(Duration::from_millis(500)).await;
    }
}

/// A number below `n` that depends on the text only.
fn pick(text: &str, n: u64) -> u64 {
    text.bytes().fold(1_469_598_103_934_665_603, |h: u64, b| (h ^ u64::from(b)).wrapping_mul(1_099_511_628_211)) % n
}

/// One transfer; false if it did not even begin. `Err`: the producer is of no more use.
async fn one(
    sim: &Sim,
    producer: &mut TransactionalProducer,
    transfer: &str,
    n: u64,
    ledger: &Ledger,
) -> Result<bool, Error> {
    let transaction = match producer.begin_transaction() {
        Ok(transaction) => transaction,
        Err(error) if error.is_fatal() => return Err(error),
        // The end of a transaction that nobody waited for, told late: the next call begins one.
        Err(_) => return Ok(false),
    };
    let (from, to) = (n % ACCOUNTS, (n + 1 + pick(transfer, ACCOUNTS - 1)) % ACCOUNTS);
    let amount = 1 + pick(transfer, 100);
    for (account, value) in [(from, format!("{transfer} out -{amount}")), (to, format!("{transfer} in {amount}"))] {
        let key = format!("account-{account}");
        let delivery = transaction.send(Record::to(LEDGER).key(&key).value(&value));
        // Some look, some do not.
        if n % 3 == 0 {
            delivery.await.ok();
        }
    }
    match pick(transfer, 10) {
        0 => {
            ledger.note(transfer, Fate::Aborted, "dropped");
            drop(transaction);
        }
        1 | 2 => {
            ledger.note(transfer, Fate::Aborted, "aborted");
            let ended = transaction.abort().await;
            return ended.or_else(|error| if error.is_fatal() { Err(error) } else { Ok(()) }).map(|()| true);
        }
        _ => {
            let mut ended = transaction.commit().await;
            while let Err(error) = &ended {
                if error.is_fatal() || !error.is_outcome_unknown() {
                    break;
                }
                assert!(sim.elapsed() < PATIENCE, "{transfer} has no end: {error:?}");
                ended = producer.resume_commit().await;
            }
            match ended {
                Ok(()) => ledger.note(transfer, Fate::Committed, ""),
                Err(error) => {
                    let fate = if error.is_outcome_unknown() { Fate::Unknown } else { Fate::Aborted };
                    ledger.note(transfer, fate, format!("{error:?}"));
                    return if error.is_fatal() { Err(error) } else { Ok(true) };
                }
            }
        }
    }
    Ok(true)
}

/// What a reader saw, by partition: offsets with values.
pub type Seen = Rc<RefCell<BTreeMap<i32, Vec<(i64, String)>>>>;

/// Reads until `done`, and then to the end of what is committed.
///
/// # Panics
/// If it never comes to the end, or goes backwards.
pub async fn read(sim: Sim, config: Config, isolation: IsolationLevel, seen: Seen, done: Rc<RefCell<bool>>) {
    let kafka = Kafka::connect(&sim, config).await.expect("the cluster answers in time");
    let section = ConsumerConfig::standalone().auto_offset_reset(OffsetReset::Earliest).isolation_level(isolation);
    let mut consumer = kafka.consumer_with(section).expect("a good configuration");
    consumer.subscribe([LEDGER]).expect("a subscription");
    loop {
        if *done.borrow() {
            let have: usize = seen.borrow().values().map(Vec::len).sum();
            if have >= sim.cluster().committed_records(LEDGER).len() {
                break;
            }
        }
        assert!(sim.elapsed() < PATIENCE, "the reader never came to the end");
        match consumer.poll(Duration::from_millis(500)).await {
            Ok(Some(batch)) => {
                for record in &batch {
                    let value = String::from_utf8_lossy(record.value().unwrap_or_default()).into_owned();
                    let mut seen = seen.borrow_mut();
                    let partition = seen.entry(record.partition()).or_default();
                    let last = partition.last().map_or(-1, |(offset, _)| *offset);
                    assert!(last < record.offset(), "{}: {} after {last}", record.partition(), record.offset());
                    partition.push((record.offset(), value));
                }
            }
            Ok(None) => panic!("nobody woke the reader"),
            Err(error) => assert!(!error.is_fatal(), "{error:?}"),
        }
    }
    consumer.close().await.ok();
    kafka.close().await.ok();
}

/// Waits until no transaction is open any more, here or at a coordinator.
///
/// # Panics
/// If one hangs.
pub async fn rest(sim: &Sim, ids: &[String]) {
    loop {
        let busy = |state: Option<(&'static str, i64, i16)>| {
            state.is_some_and(|(name, ..)| name == "Ongoing" || name.starts_with("Prepare"))
        };
        let open: Vec<_> = sim.cluster().with(|brokers, _| {
            let ids = ids.iter().filter(|id| busy(brokers.transaction(id))).cloned();
            let unstable = (0..brokers.partition_count(LEDGER)).filter(|p| {
                let end = brokers.offsets(LEDGER, *p).map(|(_, high, _)| high);
                end.is_some() && brokers.last_stable_offset(LEDGER, *p) != end
            });
            ids.chain(unstable.map(|p| format!("{LEDGER}-{p}"))).collect()
        });
        if open.is_empty() {
            return;
        }
        assert!(sim.elapsed() < PATIENCE, "{open:?} hang");
        sim.sleep(Duration::from_millis(100)).await;
    }
}

/// Holds the logs against what the clients said, and what a reader saw against the logs.
///
/// # Panics
/// If a promise is broken.
pub fn judge(sim: &Sim, ledger: &Ledger, seen: &Seen) {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let log = sim.cluster().committed_records(LEDGER);
    let mut halves: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut sum = 0;
    let mut there: BTreeMap<i32, Vec<(i64, String)>> = BTreeMap::new();
    for record in &log {
        let value = text(record.value.as_deref().unwrap_or_default());
        let field: Vec<&str> = value.split(' ').collect();
        assert_eq!(field.len(), 3, "{value}");
        sum += field[2].parse::<i64>().expect("an amount");
        halves.entry(field[0].to_owned()).or_default().push(field[1].to_owned());
        there.entry(record.partition).or_default().push((record.offset, value));
    }
    for (transfer, halves) in &mut halves {
        halves.sort();
        assert_eq!(halves, &["in", "out"], "{transfer} is torn or doubled");
    }
    assert_eq!(sum, 0, "money was made or lost");
    for (transfer, (fate, why)) in ledger.0.borrow().iter() {
        match fate {
            Fate::Committed => assert!(halves.contains_key(transfer), "{transfer} was committed and is not there"),
            Fate::Aborted => assert!(!halves.contains_key(transfer), "{transfer} is there, but was aborted: {why}"),
            Fate::Unknown => {}
        }
    }
    assert_eq!(*seen.borrow(), there, "a reader of committed records saw something else");
}

/// What a seed draws: the faults, how many tellers there are and how much they do.
pub async fn transfers(sim: Sim) {
    let mut rng = fastrand::Rng::with_seed(sim.seed() ^ 0xba4c);
    sim.faults(match rng.u8(..8) {
        0 => Faults::none(),
        1 => Faults::network(),
        _ => Faults::all().transactions(true).until(Duration::from_secs(rng.u64(3..15))),
    });
    bank(sim, rng.u64(1..4), rng.u64(1..4), rng.u64(4..14)).await;
}

/// All of it: `tellers` tellers, of which the first has a rival with the same id, and a reader from beginning to end.
pub async fn bank(sim: Sim, tellers: u64, lives: u64, transfers: u64) -> Ledger {
    bank_read_by(sim, IsolationLevel::ReadCommitted, tellers, lives, transfers).await
}

/// The same with a reader of that isolation: only one of committed records stands the judgement.
pub async fn bank_read_by(sim: Sim, isolation: IsolationLevel, tellers: u64, lives: u64, transfers: u64) -> Ledger {
    let config = || Config::new(sim.cluster().bootstrap());
    sim.cluster().create_topic(LEDGER, 3);
    let (ledger, seen, done) = (Ledger::default(), Seen::default(), Rc::new(RefCell::new(false)));
    let left = Rc::new(RefCell::new(0));
    let ids: Vec<String> = (0..tellers).map(|t| format!("teller-{t}")).collect();
    for t in 0..=tellers {
        // The last one is the rival.
        let id = ids[usize::try_from(t % tellers).unwrap_or_default()].clone();
        let teller = Teller { id, name: format!("t{t}"), lives, transfers };
        let (sim, config, ledger, left) = (sim.clone(), config(), ledger.clone(), left.clone());
        *left.borrow_mut() += 1;
        sim.clone().spawn(async move {
            if t == tellers {
                sim.sleep(Duration::from_secs(2)).await;
            }
            work(sim, config, teller, ledger).await;
            *left.borrow_mut() -= 1;
        });
    }
    let reader = Rc::new(RefCell::new(false));
    {
        let (sim, config, seen, done, reader) = (sim.clone(), config(), seen.clone(), done.clone(), reader.clone());
        sim.clone().spawn(async move {
            read(sim, config, isolation, seen, done).await;
            *reader.borrow_mut() = true;
        });
    }
    while *left.borrow() > 0 {
        sim.sleep(Duration::from_millis(200)).await;
    }
    rest(&sim, &ids).await;
    *done.borrow_mut() = true;
    while !*reader.borrow() {
        sim.sleep(Duration::from_millis(200)).await;
    }
    judge(&sim, &ledger, &seen);
    ledger
}
