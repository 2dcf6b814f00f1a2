//! A bank: transfers between accounts, each a transaction of two records, by tellers that replace each other; and clerks who
//! enter each of them in the books ([`clerks`]).
//!
//! What must hold: of every transfer both halves are committed, once, or none; those that the client called committed are,
//! those that it called aborted are not; readers of committed records see each committed record once and nothing else, and
//! see none before it is decided.

use crate::clerks::{self, BOOKS, Desk};
use crate::{Faults, Machine, Sim};
use klamm::config::{IsolationLevel, OffsetReset};
use klamm::{Config, ConsumerConfig, Error, Kafka, ProducerConfig, Record, TransactionalProducer};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// The topic that holds the transfers.
pub const LEDGER: &str = "ledger";
/// A topic that some transfers leave a note in, and that may be deleted and created anew meanwhile.
pub const NOTES: &str = "notes";
/// How many accounts there are.
const ACCOUNTS: u64 = 5;
/// Nobody waits longer, in virtual time: the faults are over, and transactions time out.
pub(crate) const PATIENCE: Duration = Duration::from_secs(900);

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
        let machine = sim.machine();
        let kafka = Kafka::connect(&machine, config.clone()).await.expect("the cluster answers in time");
        // Some transactions outlast this while the faults last.
        let timeout = Duration::from_secs(if sim.seed() % 3 == 0 { 2 } else { 12 });
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
        if !fenced && pick(&teller.name, 3) == 0 {
            leave_open(&sim, &machine, &mut producer, &format!("{}.{life}.x", teller.name), &ledger).await;
        }
        // Every other life ends without a farewell.
        if life % 2 == 0 && !fenced {
            producer.close().await.ok();
            kafka.close().await.ok();
        } else if pick(&teller.name, 2) == 0 {
            machine.kill();
        }
    }
}

/// A transaction that is open when its teller dies, or when it stands still for longer than transactions may last.
async fn leave_open(
    sim: &Sim,
    machine: &Machine,
    producer: &mut TransactionalProducer,
    transfer: &str,
    ledger: &Ledger,
) {
    let Ok(transaction) = producer.begin_transaction() else { return };
    for half in ["out -1", "in 1"] {
        drop(transaction.send(Record::to(LEDGER).key("account-0").value(&format!("{transfer} {half}"))));
    }
    sim.sleep(Duration::from_millis(pick(transfer, 5) * 30)).await;
    if pick(transfer, 2) == 0 {
        ledger.note(transfer, Fate::Aborted, "killed");
        machine.kill();
    } else {
        machine.freeze(Duration::from_secs(pick(transfer, 15)));
        let ended = transaction.commit().await;
        let fate = match &ended {
            Ok(()) => Fate::Committed,
            Err(error) if error.is_outcome_unknown() => Fate::Unknown,
            Err(_) => Fate::Aborted,
        };
        ledger.note(transfer, fate, format!("frozen: {ended:?}"));
    }
}

/// `future`, unless it takes longer than `time`: then it is dropped.
pub(crate) async fn within<T>(sim: &Sim, time: Duration, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut over) = (pin!(future), pin!(sim.sleep(time)));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending => over.as_mut().poll(cx).map(|()| None),
    })
    .await
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
pub(crate) fn pick(text: &str, n: u64) -> u64 {
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
    if pick(transfer, 6) == 0 {
        drop(transaction.send(Record::to(NOTES).value(transfer)));
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
            let mut ended = match pick(transfer, 7) {
                // Given up soon: it goes on, and the next call tells.
                0 | 1 => match within(sim, Duration::from_millis(pick(transfer, 90)), transaction.commit()).await {
                    Some(ended) => ended,
                    None if pick(transfer, 14) < 7 => producer.resume_commit().await,
                    None => {
                        ledger.note(transfer, Fate::Unknown, "nobody waited");
                        return Ok(true);
                    }
                },
                _ => transaction.commit().await,
            };
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
pub async fn read(
    sim: Sim,
    config: Config,
    topic: &str,
    isolation: IsolationLevel,
    seen: Seen,
    done: Rc<RefCell<bool>>,
) {
    let kafka = Kafka::connect(&sim, config).await.expect("the cluster answers in time");
    let section = ConsumerConfig::standalone().auto_offset_reset(OffsetReset::Earliest).isolation_level(isolation);
    // Idle fetches are most of what a run costs.
    let section = section.set("fetch.max.wait.ms", 3_000);
    let mut consumer = kafka.consumer_with(section).expect("a good configuration");
    consumer.subscribe([topic]).expect("a subscription");
    loop {
        if *done.borrow() {
            let have: usize = seen.borrow().values().map(Vec::len).sum();
            if have >= sim.cluster().committed_records(topic).len() {
                break;
            }
        }
        if sim.elapsed() >= PATIENCE {
            let there = sim.cluster().committed_records(topic);
            let lacks = there.iter().filter(|r| {
                let seen = seen.borrow();
                !seen.get(&r.partition).is_some_and(|seen| seen.iter().any(|(offset, _)| *offset == r.offset))
            });
            let lacks: Vec<_> = lacks
                .map(|r| {
                    (
                        r.partition,
                        r.offset,
                        String::from_utf8_lossy(r.value.as_deref().unwrap_or_default()).into_owned(),
                    )
                })
                .collect();
            panic!("the reader of {topic} never came to the end: it lacks {lacks:?}");
        }
        match consumer.poll(Duration::from_millis(1_000)).await {
            Ok(Some(batch)) => {
                for record in &batch {
                    let value = String::from_utf8_lossy(record.value().unwrap_or_default()).into_owned();
                    let open = sim.cluster().with(|b, _| b.first_undecided(topic, record.partition()));
                    let decided =
                        isolation == IsolationLevel::ReadUncommitted || open.is_none_or(|o| record.offset() < o);
                    assert!(decided, "{}: {} was read before it was decided", record.partition(), record.offset());
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
            let places = [LEDGER, BOOKS].map(|t| (0..brokers.partition_count(t)).map(move |p| (t, p)));
            let unstable = places.into_iter().flatten().filter(|(t, p)| {
                let end = brokers.offsets(t, *p).map(|(_, high, _)| high);
                end.is_some() && brokers.last_stable_offset(t, *p) != end
            });
            ids.chain(unstable.map(|(t, p)| format!("{t}-{p}"))).collect()
        });
        if open.is_empty() {
            return;
        }
        assert!(sim.elapsed() < PATIENCE, "{open:?} hang");
        sim.sleep(Duration::from_millis(100)).await;
    }
}

/// Holds the log against what the clients said.
///
/// # Panics
/// If a promise is broken.
pub fn judge(sim: &Sim, ledger: &Ledger) {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let log = sim.cluster().committed_records(LEDGER);
    let mut halves: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut sum = 0;
    let mut order: BTreeMap<(i32, String), Vec<Vec<u64>>> = BTreeMap::new();
    for record in &log {
        let value = text(record.value.as_deref().unwrap_or_default());
        let field: Vec<&str> = value.split(' ').collect();
        assert_eq!(field.len(), 3, "{value}");
        sum += field[2].parse::<i64>().expect("an amount");
        halves.entry(field[0].to_owned()).or_default().push(field[1].to_owned());
        // Of one teller, to one partition: in the order of sending.
        let (teller, number) = field[0].split_once('.').expect("a transfer's name");
        let number = number.split('.').map(|n| n.parse().unwrap_or(u64::MAX)).collect();
        order.entry((record.partition, teller.to_owned())).or_default().push(number);
    }
    for (teller, order) in order {
        assert!(order.is_sorted(), "{teller:?}: {order:?}");
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
}

/// What a seed draws: the faults, how many tellers and clerks there are and how much they do.
pub async fn transfers(sim: Sim) {
    let mut rng = fastrand::Rng::with_seed(sim.seed() ^ 0xba4c);
    let faults = Faults::all().transactions(true).recreations(true).until(Duration::from_secs(rng.u64(3..15)));
    sim.faults(match rng.u8(..8) {
        0 => Faults::none(),
        1 => Faults::network(),
        _ => faults,
    });
    let mut day = Day::new(rng.u64(1..4), rng.u64(1..4), rng.u64(3..10));
    // Most days are short: they find as much.
    if rng.u8(..3) > 0 {
        day = Day { tellers: day.tellers.min(2), lives: day.lives.min(2), ..day };
    }
    day.clerks = [0, 1, 2, 2][rng.usize(..4)];
    bank(sim, day).await;
}

/// What is done at the bank.
#[derive(Clone, Copy, Debug)]
pub struct Day {
    /// How many transactional ids write transfers; the first has two tellers that fence each other.
    pub tellers: u64,
    /// How often each begins anew.
    pub lives: u64,
    /// How many transfers it makes in each life.
    pub transfers: u64,
    /// How many members the group has that enters them in the books.
    pub clerks: u64,
    /// What the readers see: only those of committed records stand the judgement.
    pub isolation: IsolationLevel,
}

impl Day {
    /// Without clerks.
    pub fn new(tellers: u64, lives: u64, transfers: u64) -> Self {
        Self { tellers, lives, transfers, clerks: 0, isolation: IsolationLevel::ReadCommitted }
    }
}

/// A reader of a topic from beginning to end.
struct Reader {
    topic: &'static str,
    seen: Seen,
    over: Rc<RefCell<bool>>,
}

impl Reader {
    fn start(sim: &Sim, topic: &'static str, isolation: IsolationLevel, done: &Rc<RefCell<bool>>) -> Self {
        let all = Self { topic, seen: Seen::default(), over: Rc::default() };
        let (seen, over, done) = (all.seen.clone(), all.over.clone(), done.clone());
        let (config, sim) = (Config::new(sim.cluster().bootstrap()), sim.clone());
        sim.clone().spawn(async move {
            read(sim, config, topic, isolation, seen, done).await;
            *over.borrow_mut() = true;
        });
        all
    }

    async fn judge(&self, sim: &Sim) {
        while !*self.over.borrow() {
            sim.sleep(Duration::from_millis(200)).await;
        }
        let mut there: BTreeMap<i32, Vec<(i64, String)>> = BTreeMap::new();
        for record in sim.cluster().committed_records(self.topic) {
            let value = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned();
            there.entry(record.partition).or_default().push((record.offset, value));
        }
        assert_eq!(*self.seen.borrow(), there, "a reader of committed records saw something else");
    }
}

/// All of it: tellers, of which the first has a rival with the same id, clerks, and readers from beginning to end.
pub async fn bank(sim: Sim, day: Day) -> Ledger {
    let config = || Config::new(sim.cluster().bootstrap());
    for (topic, partitions) in [(LEDGER, 3), (BOOKS, 2), (NOTES, 1)] {
        sim.cluster().create_topic(topic, partitions);
    }
    sim.keep([LEDGER, BOOKS]);
    let (ledger, done) = (Ledger::default(), Rc::new(RefCell::new(false)));
    let left = Rc::new(RefCell::new(0));
    let mut ids: Vec<String> = (0..day.tellers).map(|t| format!("teller-{t}")).collect();
    for t in 0..=day.tellers {
        // The last one is the rival.
        let id = ids[usize::try_from(t % day.tellers).unwrap_or_default()].clone();
        let teller = Teller { id, name: format!("t{t}"), lives: day.lives, transfers: day.transfers };
        let (sim, config, ledger, left) = (sim.clone(), config(), ledger.clone(), left.clone());
        *left.borrow_mut() += 1;
        sim.clone().spawn(async move {
            if t == day.tellers {
                sim.sleep(Duration::from_secs(2)).await;
            }
            work(sim, config, teller, ledger).await;
            *left.borrow_mut() -= 1;
        });
    }
    let desk = Desk::open(&sim, day.clerks);
    let reader = Reader::start(&sim, LEDGER, day.isolation, &done);
    let of_books = (day.clerks > 0).then(|| Reader::start(&sim, BOOKS, day.isolation, &done));
    while *left.borrow() > 0 {
        sim.sleep(Duration::from_millis(200)).await;
    }
    rest(&sim, &ids).await;
    desk.close(&sim).await;
    ids.extend(desk.ids());
    rest(&sim, &ids).await;
    *done.borrow_mut() = true;
    reader.judge(&sim).await;
    judge(&sim, &ledger);
    if let Some(reader) = of_books {
        reader.judge(&sim).await;
        clerks::judge(&sim);
    }
    ledger
}
